"""Sets of observations from the files of ingest: means over periods, and fluxes of inversions by region and month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError, nearest
from ...files import NETCDF, open_netcdf, read_parquet
from ...ingest.constraints.inversion_file import cell_area
from ...ingest.sites.periods import PERIOD_COLUMNS
from .correlation import Autoregressive, Covariance
from .kinds import interval, region_month
from .observations import ObservationSet
from .spans import FloatArray, IntArray, Points, Spans

if TYPE_CHECKING:
    import xarray as xr

SAME_PLACE = 2
"""Periods whose coordinates agree to so many digits [degrees] are of one cluster."""
SPREAD = 1.5
"""By how much the spread of inversions is widened: they share stations and fossil emissions, and differ too little."""


def read_periods(
    path: str | Path,
    variable: str,
    dates: pd.DatetimeIndex,
    sites: Sequence[str] | None = None,
    correlation: float = 0.0,
) -> tuple[ObservationSet, pd.DataFrame]:
    """Means of ``variable`` over periods in ``periods.parquet`` (docs/contracts.md), as the operator ``interval``.

    ``dates`` is the axis of the outputs and ``sites`` their cells; without ``sites`` the cells are all places of the
    file that have a period of the variable within ``dates``. ``correlation`` is that of the errors from one day to the
    next, between the middles of periods. Clusters are places.

    Returns the set, and the place of each cell: ``site``, ``lat``, ``lon``, NaN for sites without periods. Periods of
    other sites, and those that ``dates`` does not hold wholly, are left out. Raises :class:`InputError` for an absent
    file or column, and where no period is left.
    """
    source = Path(path)
    if not source.exists():
        raise InputError("file not found", where=str(source), hint="run 'fluxatlas ingest sites' first")
    table = read_parquet(source)
    lacking = [name for name in PERIOD_COLUMNS if name not in table]
    if lacking:
        raise InputError(f"columns {', '.join(lacking)} are absent", where=str(source), hint="see docs/contracts.md")
    rows = table[table["variable"] == variable].reset_index(drop=True)
    if rows.empty:
        known = sorted(set(table["variable"]))
        told = f"{nearest(variable, known)}; it has {', '.join(known) or 'no periods at all'}"
        raise InputError(f"no period of '{variable}'{told}", where=str(source), hint="check 'sites.entries'")
    rows["site"] = rows["site"].astype(str)
    held = Spans.between(dates, rows["start"], rows["end"]).length > 0
    rows = rows[held & (rows["site"].isin(list(sites)) if sites is not None else True)].reset_index(drop=True)
    if rows.empty:
        raise InputError(
            f"no period of '{variable}' lies within {dates[0].date()} to {dates[-1].date()} at the sites asked for",
            where=str(source),
            hint="check the years of the run, or leave the periods out",
        )
    cells = list(sites) if sites is not None else sorted(set(rows["site"]))
    places = rows.drop_duplicates("site").set_index("site")[["lat", "lon"]].reindex(cells)
    spans = Spans.between(dates, rows["start"], rows["end"])
    middle = (spans.first + spans.stop) / 2
    cell = rows["site"].map({site: number for number, site in enumerate(cells)}).to_numpy(np.int64)
    found = ObservationSet.of(
        interval(variable, spans, cell),
        rows["value"].to_numpy(float),
        rows["sd"].to_numpy(float),
        cluster=rows[["lat", "lon"]].round(SAME_PLACE).groupby(["lat", "lon"], dropna=False).ngroup().to_numpy(),
        errors=Autoregressive(correlation, middle, cell) if correlation else None,
    )
    return found, places.rename_axis("site").reset_index()


def read_constraint(
    path: str | Path,
    variable: str,
    dates: pd.DatetimeIndex,
    region: npt.NDArray[np.int64],
    points: Points,
    floor: float | npt.ArrayLike,
    factor: float = 1e-12,
    second: Points | None = None,
) -> ObservationSet:
    """Fluxes of inversions in ``ingest/constraints/<name>.nc`` as totals of regions and months, beside the output
    ``variable``, of the same sign and unit (positive to the atmosphere, g m-2 d-1 of carbon).

    ``region`` (lat, lon) numbers the region of each cell of the file, coast included, -1 for none; ``points`` are those
    of the outputs with the area [m2] that their fluxes are per, ``second`` those of a second draw. Totals have the unit
    ``factor`` g: Tg by default. The observation is the mean of the members that have the month. The covariance of its
    errors is that of the members over regions and months, widened by :data:`SPREAD` and by the error of their mean;
    to its diagonal is added ``floor``^2 (a number, or one per region, in the unit of the totals) for what members
    share, which is all where there is one member.

    A cell without any value is outside of a member; a member with another gap in a region does not have the month.
    Clusters are months; months that ``dates`` does not hold wholly are left out. Raises :class:`InputError` for a file
    without fluxes or not monthly, a region map of another shape, a ``floor`` that is not positive, and where no month
    is left.
    """
    least = _floor(floor, region)
    found = inversion_totals(path, _one_hot(region, least.size), factor)
    inside = Spans.months(dates, found.month).length > 0
    if not inside.any() or not least.size:
        raise InputError(
            f"no month lies within {dates[0].date()} to {dates[-1].date()}, or no region",
            where=str(path),
            hint="check the years of the run and the map of regions",
        )
    month, totals = found.month[inside], found.totals[inside]
    value, covariance = _ensemble(totals, least)
    when, number = np.repeat(month, least.size), np.tile(np.arange(least.size), month.size)
    made = [region_month(variable, dates, when, number, one, factor=factor) for one in (points, second or points)]
    return ObservationSet.of(
        made[0],
        value,
        cluster=np.repeat(np.arange(month.size), least.size),
        errors=Covariance(covariance),
        second=None if second is None else made[1],
    )


def _months(dataset: xr.Dataset, where: str) -> tuple[npt.NDArray[np.datetime64], FloatArray]:
    """The months of the file and their days; refused where its steps are others."""
    start, end = (dataset["time_bnds"].values[:, edge].astype("datetime64[D]") for edge in (0, 1))
    month = start.astype("datetime64[M]")
    if (month.astype("datetime64[D]") != start).any() or ((month + 1).astype("datetime64[D]") != end).any():
        raise InputError("the steps are not months", where=where, hint="make the constraint with 'step: month'")
    return month, (end - start).astype(float)


@dataclass(frozen=True, eq=False)
class InversionTotals:
    """Totals (month, region, member) of the fluxes of a constraint file, NaN where a member has a gap; ``area`` [m2]
    (region,) of what was summed, ``members`` by name, ``content`` what the file says of its fluxes."""

    month: npt.NDArray[np.datetime64]
    members: tuple[str, ...]
    totals: FloatArray
    area: FloatArray
    content: Mapping[str, Any]


def inversion_axes(path: str | Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Latitudes and longitudes of a file ``ingest/constraints/<name>.nc`` with fluxes; raises as the following."""
    with NETCDF, open_netcdf(path) as dataset:
        _fluxes(dataset, str(path))
        return dataset["lat"].to_numpy().astype(float), dataset["lon"].to_numpy().astype(float)


def inversion_totals(path: str | Path, share: FloatArray, factor: float = 1e-12) -> InversionTotals:
    """Totals of regions with the ``share`` (region, lat, lon) of the cells of a file ``ingest/constraints/<name>.nc``.

    Totals have the unit ``factor`` g: Tg by default. A cell without any value is outside of a member. Raises
    :class:`InputError` for a file without fluxes or not monthly, and for shares of another shape.
    """
    with NETCDF, open_netcdf(path) as dataset:
        flux = _fluxes(dataset, str(path))
        if share.shape[1:] != flux.shape[2:]:
            raise InputError(
                f"a map of regions of shape {share.shape[1:]} for a grid of {flux.shape[2:]}",
                where=str(path),
                hint="number the regions on the grid of the file",
            )
        month, days = _months(dataset, str(path))
        area = cell_area(flux["lat"].values, flux["lon"].values).ravel()
        inside = share.reshape(len(share), -1).T
        names = dataset["member_name"].to_numpy() if "member_name" in dataset else range(flux.sizes["member"])
        totals = _totals(flux, inside, area) * days[:, None, None] * factor
        return InversionTotals(month, tuple(map(str, names)), totals, area @ inside, dict(dataset.attrs))


def _fluxes(dataset: xr.Dataset, where: str) -> xr.DataArray:
    if "fco2" not in dataset or "member" not in dataset["fco2"].dims:
        held = ", ".join(str(name) for name in dataset.data_vars if not str(name).endswith("_bnds"))
        raise InputError(
            f"no fluxes of inversions ('fco2' by member); it holds {held}",
            where=where,
            hint="give a file of 'constraints' that was made of inversions",
        )
    return dataset["fco2"].transpose("time", "member", "lat", "lon")


def _one_hot(region: IntArray, count: int) -> FloatArray:
    return (
        np.stack([(region == number).astype(float) for number in range(count)])
        if count
        else np.zeros((0, *region.shape))
    )


def _floor(floor: float | npt.ArrayLike, region: IntArray) -> FloatArray:
    """The floor of every region (region,)."""
    count = int(region.max(initial=-1)) + 1
    given = np.asarray(floor, float)
    if given.shape not in ((), (count,)) or not (given > 0).all():
        raise InputError(
            "the error that all inversions share is not positive, or not one per region",
            hint=f"give 'floor' above 0, once or for each of the {count} regions",
        )
    return np.broadcast_to(given, (count,))


def _totals(flux: xr.DataArray, inside: FloatArray, area: FloatArray) -> FloatArray:
    """Sums over area (time, region, member) per day; NaN where a member has a gap in a region, or nothing in it."""
    use = np.flatnonzero(inside.any(axis=1))
    share, size = inside[use], area[use]
    found = []
    for member in range(flux.sizes["member"]):  # one in memory at a time
        part = flux.isel(member=member).values.reshape(flux.sizes["time"], -1)[:, use].astype(float)
        known = np.isfinite(part).any(axis=0)
        lacking = (np.isnan(part) & known) @ share > 0
        nothing = ~(known @ share > 0)
        found.append(np.where(lacking | nothing, np.nan, np.nan_to_num(part * size) @ share))
    return np.stack(found, axis=-1)


def _ensemble(totals: FloatArray, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (n,) over the members of ``totals`` (time, region, member), and the covariance (n, n) of its errors."""
    rows = totals.reshape(-1, totals.shape[-1])
    there = np.isfinite(rows)
    number = there.sum(axis=1)
    value = np.where(number > 0, np.where(there, rows, 0.0).sum(axis=1) / np.maximum(number, 1), np.nan)
    apart = np.where(there, rows - value[:, None], 0.0) / np.sqrt(np.maximum(number - 1, 1))[:, None]
    apart *= SPREAD * np.sqrt(1 + 1 / np.maximum(number, 1))[:, None]
    return value, apart @ apart.T + np.diag(np.tile(floor**2, totals.shape[0]))

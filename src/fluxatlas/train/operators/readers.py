"""What observes more than a day, from the files of ingest: means over periods as a set, and totals of inversions."""

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
from .correlation import Autoregressive
from .kinds import interval
from .observations import ObservationSet
from .spans import FloatArray, Spans

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
        weight=spans.length.astype(float),
        cluster=rows[["lat", "lon"]].round(SAME_PLACE).groupby(["lat", "lon"], dropna=False).ngroup().to_numpy(),
        errors=Autoregressive(correlation, middle, cell) if correlation else None,
    )
    return found, places.rename_axis("site").reset_index()


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

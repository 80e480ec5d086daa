"""Totals of inversions over regions and months, from the files of ingest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import NETCDF, open_netcdf
from ...ingest.constraints.inversion_file import cell_area
from .spans import FloatArray

if TYPE_CHECKING:
    import xarray as xr

SPREAD = 1.5
"""By how much the spread of inversions is widened: they share stations and fossil emissions, and differ too little."""


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

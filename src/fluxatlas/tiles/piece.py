"""A forcing piece in memory: the days of one year on the source grid around one tile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import files, variables
from ..errors import InputError
from ..grid import Tile
from ..regrid import TileRegridder
from ..weights import Method

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ForcingPiece:
    """Daily forcing ``data`` (time, ny, nx) float32 in canonical units, ``lat`` (ny,), ``lon`` (nx,), ``orog`` [m]."""

    path: str
    dates: pd.DatetimeIndex
    lat: FloatArray
    lon: FloatArray
    orog: FloatArray
    data: dict[str, npt.NDArray[np.float32]]

    @property
    def year(self) -> int:
        return int(self.dates[0].year)


def read_piece(path: str | Path, names: Sequence[str]) -> ForcingPiece:
    """Read the forcing variables ``names`` of a piece.

    Raises :class:`InputError` where a variable is absent or in another unit, or where the days are not all days of one
    calendar year in order.
    """
    with files.NETCDF, files.open_netcdf(path, whole=True) as dataset:
        dates = _whole_year(dataset, str(path))
        _check_variables(dataset, names, str(path))
        data = {}
        for name in names:
            try:
                values = dataset[name].transpose("time", "lat", "lon").to_numpy()
            except (OSError, RuntimeError, MemoryError) as problem:
                raise files.unreadable(problem, path, f"'{name}' cannot be read") from problem
            data[name] = values.astype(np.float32, copy=False)
        orog = dataset["orog"].transpose("lat", "lon").to_numpy().astype(float)
        return ForcingPiece(str(path), dates, dataset["lat"].to_numpy(), dataset["lon"].to_numpy(), orog, data)


def dates_of(path: str | Path) -> pd.DatetimeIndex:
    """The days of a piece without reading its data; raises as :func:`read_piece`."""
    with files.NETCDF, files.open_netcdf(path) as dataset:
        return _whole_year(dataset, str(path))


def make_regridder(piece: ForcingPiece, tile: Tile, orog: FloatArray, method: Method) -> TileRegridder:
    """The regridder from the grid of ``piece`` to ``tile`` with altitudes ``orog`` [m]."""
    return TileRegridder(piece.lat, piece.lon, tile, method=method, source_orog=piece.orog, target_orog=orog)


def _check_variables(dataset: xr.Dataset, names: Sequence[str], where: str) -> None:
    missing = [name for name in (*names, "orog") if name not in dataset]
    if missing:
        raise InputError(f"no variable {', '.join(missing)}", where=where, hint="make the forcing piece again")
    for name in names:
        given, wanted = dataset[name].attrs.get("units"), variables.get(name).units
        if given != wanted:
            raise InputError(f"'{name}' is in '{given}', not '{wanted}'", where=where, hint="make the piece again")


def _whole_year(dataset: xr.Dataset, where: str) -> pd.DatetimeIndex:
    """The dates of ``dataset``; raises unless they are every day of one year."""
    dates = pd.DatetimeIndex(dataset["time"].to_numpy()).normalize() if dataset.sizes.get("time") else None
    if dates is None:
        raise InputError("the forcing piece holds no days", where=where, hint="make it again")
    wanted = pd.date_range(f"{dates[0].year}-01-01", f"{dates[0].year}-12-31")
    if not dates.equals(wanted):
        absent = wanted.difference(dates)
        detail = (
            f"{len(absent)} are absent, the first is {absent[0]:%Y-%m-%d}" if len(absent) else "they are disordered"
        )
        raise InputError(
            f"the piece does not hold every day of {dates[0].year} once: {detail}",
            where=where,
            hint="make the forcing of this year again from complete raw files",
        )
    return dates

"""Regrid and downscale forcing to the cells of a tile, on the fly.

A cell's result depends only on the cell and on the source cells around it, never on the tile or the piece that it is
computed in: tiles join without a seam.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..constants import GRAVITY
from ..errors import GridError, InputError
from ..grid import Tile
from ..humidity import huss_from_vapour_pressure, saturation_vapour_pressure
from ..weights import AxisWeights, Method, axis_weights, cell_taps
from .apply import RowTaps, apply

FloatArray = npt.NDArray[np.floating[Any]]

LAPSE_RATE = 0.0065
"""Decrease of air temperature with altitude [K m-1] (International Standard Atmosphere)."""
DRY_AIR = 287.0597
"""Gas constant of dry air [J kg-1 K-1]."""
TEMPERATURES = ("tas", "tasmin", "tasmax")


class TileRegridder:
    """Regrids the forcing of one piece to cells of one tile.

    Parameters
    ----------
    piece_lat, piece_lon: cell centres of the source [degrees], regular, either direction.
    tile: the target tile.
    method: ``bilinear`` or ``conservative``.
    source_orog: altitude of the source cells (ny, nx) [m], or None for no downscaling.
    target_orog: altitude of the tile's cells (rows, columns) [m].
    lapse_rate: decrease of temperature with altitude [K m-1].
    precipitation_ratio: long-term precipitation of the tile's cells (rows, columns) divided by that of the source
        regridded to them; multiplies ``pr``. None: precipitation is not adapted.

    Raises :class:`GridError` where a layer has another shape than its grid, an axis is irregular, or only one of the
    altitudes is given. Source cells that are needed but lie outside the piece are refused when cells are asked for.
    """

    def __init__(
        self,
        piece_lat: npt.ArrayLike,
        piece_lon: npt.ArrayLike,
        tile: Tile,
        *,
        method: Method = "bilinear",
        source_orog: FloatArray | None = None,
        target_orog: FloatArray | None = None,
        lapse_rate: float = LAPSE_RATE,
        precipitation_ratio: FloatArray | None = None,
    ) -> None:
        if (source_orog is None) != (target_orog is None):
            raise GridError("downscaling needs the altitude of both grids", where=tile.name, hint="give both or none")
        self.tile = tile
        self._shape = (np.size(piece_lat), np.size(piece_lon))
        for name, layer, shape in (
            ("source_orog", source_orog, self._shape),
            ("target_orog", target_orog, tile.shape),
            ("precipitation_ratio", precipitation_ratio, tile.shape),
        ):
            if layer is not None and np.shape(layer) != shape:
                raise GridError(f"'{name}' has shape {np.shape(layer)}, not {shape}", where=tile.name)
        self._source = np.asarray(piece_lat, float), np.asarray(piece_lon, float)
        self._lat = axis_weights(self._source[0], tile.lat, "lat", method)
        self._lon = axis_weights(self._source[1], tile.lon, "lon", method)
        self._orog = source_orog, target_orog
        self._ratio = precipitation_ratio
        self._lapse_rate = lapse_rate
        self._cache: tuple[npt.NDArray[np.int64], AxisWeights, RowTaps | None] | None = None

    def cells(self, name: str, source: npt.NDArray[Any], cell_index: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """``source`` (time, ny, nx) at flat positions ``cell_index`` (n,) of the tile: (time, n), not downscaled."""
        if source.shape[1:] != self._shape:
            raise GridError(f"'{name}' has shape {source.shape[1:]}, the piece {self._shape}", where=self.tile.name)
        return apply(source, *self._taps(cell_index))

    def downscale(
        self, forcing: Mapping[str, npt.NDArray[Any]], cell_index: npt.NDArray[np.int64]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Regrid all of ``forcing`` (time, ny, nx) and adapt it to the altitude of the cells: (time, n) each.

        See :func:`downscale` for the physics; without altitudes the variables are only regridded (and ``pr`` multiplied
        by the ratio, if there is one). Raises :class:`GridError` where the piece lacks a source cell that is needed.
        """
        out = {name: self.cells(name, source, cell_index) for name, source in forcing.items()}
        if self._ratio is not None and "pr" in out:
            out["pr"] = out["pr"] * np.asarray(self._ratio, np.float32).ravel()[cell_index]
        source_orog, target_orog = self._orog
        if source_orog is None or target_orog is None:
            return out
        lift = np.asarray(target_orog, float).ravel()[cell_index] - self.cells("orog", source_orog[None], cell_index)[0]
        return downscale(out, lift, self._lapse_rate)

    def _taps(self, cell_index: npt.NDArray[np.int64]) -> tuple[AxisWeights, RowTaps | None]:
        if self._cache is None or not np.array_equal(self._cache[0], cell_index):
            rows, columns = np.unravel_index(cell_index, self.tile.shape)
            for weights, used, target, source, axis in (
                (self._lat, rows, self.tile.lat, self._source[0], "lat"),
                (self._lon, columns, self.tile.lon, self._source[1], "lon"),
            ):
                weights.require(np.isin(np.arange(len(target)), used), target, source, axis)
            taps = cell_taps(self._lat, self._lon, self.tile.shape[1], self._shape[1], cell_index)
            rows_of = RowTaps.of(self._lat, self._lon, np.asarray(cell_index))
            self._cache = np.array(cell_index, copy=True), taps, rows_of
        return self._cache[1:]


def downscale(
    forcing: Mapping[str, npt.NDArray[Any]], lift: FloatArray, lapse_rate: float = LAPSE_RATE
) -> dict[str, npt.NDArray[np.float32]]:
    """Adapt ``forcing`` (time, n) to cells that lie ``lift`` (n,) metres above the altitude it is given for.

    - ``tas``, ``tasmin``, ``tasmax`` fall by ``lapse_rate`` with altitude, all alike;
    - ``ps`` follows the hypsometric equation with the mean of the old and the new temperature;
    - ``huss`` is kept but capped at saturation over water at the new temperature and pressure;
    - ``rlds`` scales with the fourth power of temperature (constant emissivity of the air, our approximation [D]);
    - the rest is unchanged.

    Raises :class:`InputError` where pressure, humidity or longwave radiation come without ``tas``.
    """
    lacking = sorted({"ps", "huss", "rlds"} & set(forcing)) if "tas" not in forcing else []
    if lacking:
        raise InputError(f"{', '.join(lacking)} cannot be adjusted to another altitude without tas", hint="give it too")
    out = {name: np.asarray(values, np.float32) for name, values in forcing.items()}
    for name in TEMPERATURES:
        if name in out:
            out[name] = (out[name] - lapse_rate * lift).astype(np.float32)
    if "tas" not in out:
        return out
    before, after = np.asarray(forcing["tas"], float), out["tas"].astype(float)
    if "ps" in out:
        out["ps"] = (out["ps"] * np.exp(-GRAVITY * lift / (DRY_AIR * 0.5 * (before + after)))).astype(np.float32)
        if "huss" in out:
            pressure = out["ps"].astype(float)
            ceiling = huss_from_vapour_pressure(saturation_vapour_pressure(after), pressure)
            out["huss"] = np.where(out["huss"] > ceiling, ceiling, out["huss"]).astype(np.float32)
    if "rlds" in out:
        out["rlds"] = (out["rlds"] * (after / before) ** 4).astype(np.float32)
    return out


def at_points(
    forcing: Mapping[str, npt.NDArray[Any]],
    piece: tuple[FloatArray, FloatArray, FloatArray],
    lat: FloatArray,
    lon: FloatArray,
    elevation: FloatArray,
) -> dict[str, npt.NDArray[np.float32]]:
    """``forcing`` (time, ny, nx) interpolated bilinearly to points (n,) and adjusted to their altitude: (time, n) each.

    ``piece`` are the latitudes (ny,), longitudes (nx,) and altitudes (ny, nx) [m] of the source. ``elevation`` (n,) is
    in m, NaN where unknown (then that of the source is kept). Raises :class:`GridError` for a point outside the piece.
    """
    rows, columns = (np.asarray(axis, float) for axis in piece[:2])
    y, x = axis_weights(rows, lat, "lat", "bilinear"), axis_weights(columns, lon, "lon", "bilinear")
    for weights, points, source, axis in ((y, lat, rows, "lat"), (x, lon, columns, "lon")):
        weights.require(np.ones(len(points), bool), points, source, axis)
    index = (y.index[:, :, None] * len(columns) + x.index[:, None, :]).reshape(len(lat), -1)
    taps = AxisWeights(index, (y.weight[:, :, None] * x.weight[:, None, :]).reshape(len(lat), -1))
    lift = elevation - apply(piece[2][None], taps)[0]
    return downscale({name: apply(values, taps) for name, values in forcing.items()}, np.nan_to_num(lift))

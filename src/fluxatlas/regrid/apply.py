"""Apply regridding weights: a numba kernel over cells and days that leaves missing source cells out."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from .weights import AxisWeights, Method, axis_weights, cell_taps


@numba.njit(cache=True, nogil=True)
def _weighted(source: Any, index: Any, weight: Any, out: Any) -> None:
    """``out[t, i] = sum_k weight[i, k] * source[t, index[i, k]]`` over finite sources, divided by their weight."""
    days, cells = out.shape
    taps = index.shape[1]
    for t in range(days):
        for i in range(cells):
            total = 0.0
            known = 0.0
            for k in range(taps):
                value = source[t, index[i, k]]
                if not np.isnan(value):
                    total += weight[i, k] * value
                    known += weight[i, k]
            out[t, i] = total / known if known > 0.0 else np.nan


def apply(source: npt.NDArray[Any], taps: AxisWeights) -> npt.NDArray[np.float32]:
    """Regrid ``source`` (time, ny, nx) to cells: (time, n) float32; NaN where every source cell of a cell is NaN."""
    flat = np.ascontiguousarray(source, np.float32).reshape(source.shape[0], -1)
    out = np.empty((flat.shape[0], len(taps.index)), np.float32)
    _weighted(flat, taps.index, taps.weight, out)
    return out


def regrid(
    source: npt.NDArray[Any],
    source_lat: npt.ArrayLike,
    source_lon: npt.ArrayLike,
    target_lat: npt.ArrayLike,
    target_lon: npt.ArrayLike,
    method: Method,
) -> npt.NDArray[np.float32]:
    """Regrid whole fields (time, ny, nx) between regular grids: (time, target ny, target nx) float32."""
    lat = axis_weights(source_lat, target_lat, "lat", method)
    lon = axis_weights(source_lon, target_lon, "lon", method)
    lat.require(np.isfinite(target_lat), np.asarray(target_lat, float), np.asarray(source_lat, float), "lat")
    lon.require(np.isfinite(target_lon), np.asarray(target_lon, float), np.asarray(source_lon, float), "lon")
    rows, columns = len(lat.index), len(lon.index)
    taps = cell_taps(lat, lon, columns, np.size(source_lon), np.arange(rows * columns))
    return apply(source, taps).reshape(-1, rows, columns)

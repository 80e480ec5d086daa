"""Apply regridding weights: kernels over cells and days that leave missing source cells out.

Two forms with the same numbers: :func:`apply` for lists of cells (weights of both axes multiplied out, four taps when
the target is finer than the source), and :func:`separable` for whole fields (one axis after the other, so that the work
grows with the taps of one axis and not with their product).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from ..weights import AxisWeights, Method, axis_weights


@numba.njit(cache=True, nogil=True)
def _four(source: Any, index: Any, weight: Any, out: Any) -> None:
    """``out[t, i] = sum_k weight[k, i] * source[t, index[k, i]]`` for four taps."""
    i0, i1, i2, i3 = index[0], index[1], index[2], index[3]
    w0, w1, w2, w3 = weight[0], weight[1], weight[2], weight[3]
    for t in range(out.shape[0]):
        row, result = source[t], out[t]
        for i in range(out.shape[1]):
            total = w0[i] * row[i0[i]] + w1[i] * row[i1[i]] + w2[i] * row[i2[i]] + w3[i] * row[i3[i]]
            result[i] = total


@numba.njit(cache=True, nogil=True)
def _present(source: Any, index: Any, weight: Any, cells: Any, out: Any) -> None:
    """The sum over any number of taps for ``cells`` alone, leaving out missing sources day by day."""
    for t in range(out.shape[0]):
        row, result = source[t], out[t]
        for i in cells:
            total = 0.0
            known = 0.0
            for k in range(index.shape[0]):
                value = row[index[k, i]]
                if not np.isnan(value):
                    total += weight[k, i] * value
                    known += weight[k, i]
            result[i] = total / known if known > 0.0 else np.nan


def apply(source: npt.NDArray[Any], taps: AxisWeights) -> npt.NDArray[np.float32]:
    """Regrid ``source`` (time, ny, nx) to cells: (time, n) float32; NaN where every source cell of a cell is NaN.

    Sums are in double precision. Missing source cells are left out and the remaining weights are renormalised; which
    are missing may change from day to day. Cells without weights (NaN) become NaN.
    """
    flat = np.ascontiguousarray(source, np.float32).reshape(source.shape[0], -1)
    index, weight = np.ascontiguousarray(taps.index.T, np.uint32), np.ascontiguousarray(taps.weight.T, np.float64)
    out = np.empty((flat.shape[0], index.shape[1]), np.float32)
    cells = np.arange(index.shape[1])
    if len(index) == 4:
        _four(flat, index, weight, out)
        cells = np.flatnonzero(np.isnan(out).any(axis=0))
    if len(cells):
        _present(flat, index, weight, cells, out)
    return out


@numba.njit(cache=True, nogil=True)
def _two_passes(source: Any, y_index: Any, y_weight: Any, x_index: Any, x_weight: Any, out: Any) -> None:
    """Along rows, then along columns; ``known`` carries the weight of the cells that are not missing."""
    height, width = source.shape[1], out.shape[2]
    value, known = np.empty((height, width)), np.empty((height, width))
    for band in range(source.shape[0]):
        for y in range(height):
            row = source[band, y]
            for x in range(width):
                total, share = 0.0, 0.0
                for k in range(x_index.shape[1]):
                    read = row[x_index[x, k]]
                    if not np.isnan(read):
                        total += x_weight[x, k] * read
                        share += x_weight[x, k]
                value[y, x], known[y, x] = total, share
        for y in range(out.shape[1]):
            for x in range(width):
                total, share = 0.0, 0.0
                for k in range(y_index.shape[1]):
                    total += y_weight[y, k] * value[y_index[y, k], x]
                    share += y_weight[y, k] * known[y_index[y, k], x]
                out[band, y, x] = total / share if share > 0.0 else np.nan


def separable(source: npt.NDArray[Any], lat: AxisWeights, lon: AxisWeights) -> npt.NDArray[np.float32]:
    """Regrid whole fields ``source`` (band, ny, nx): (band, rows, columns) float32.

    Missing source cells are left out; NaN where all of them are missing or the weights do not cover a target cell.
    """
    fields = np.ascontiguousarray(source)
    out = np.empty((len(fields), len(lat.index), len(lon.index)), np.float32)
    if fields.dtype not in (np.float32, np.float64):
        fields = fields.astype(np.float32)
    _two_passes(fields, lat.index, lat.weight, lon.index, lon.weight, out)
    return out


def regrid(
    source: npt.NDArray[Any],
    source_lat: npt.ArrayLike,
    source_lon: npt.ArrayLike,
    target_lat: npt.ArrayLike,
    target_lon: npt.ArrayLike,
    method: Method,
) -> npt.NDArray[np.float32]:
    """Regrid whole fields (time, ny, nx) between regular grids: (time, target ny, target nx) float32.

    Raises :class:`GridError` for an irregular axis and for a target cell outside the source.
    """
    lat = axis_weights(source_lat, target_lat, "lat", method)
    lon = axis_weights(source_lon, target_lon, "lon", method)
    lat.require(np.isfinite(target_lat), np.asarray(target_lat, float), np.asarray(source_lat, float), "lat")
    lon.require(np.isfinite(target_lon), np.asarray(target_lon, float), np.asarray(source_lon, float), "lon")
    return separable(source, lat, lon)

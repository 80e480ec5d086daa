"""Apply regridding weights: kernels over cells and days that leave missing source cells out.

Two forms with the same numbers but for the last bit: :func:`apply` for lists of cells (weights of both axes multiplied
out, four taps when the target is finer than the source; dense rows by way of :class:`RowTaps`), and :func:`separable`
for whole fields (one axis after the other: the work grows with the taps of one axis and not with their product).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from ..weights import AxisWeights, Method, axis_weights

DENSE = 0.4
"""Share of the cells of their rows from which cells are worked on row by row."""


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
    """The sum over any number of taps for ``cells`` on days on which they are NaN, leaving out missing sources."""
    for t in range(out.shape[0]):
        row, result = source[t], out[t]
        for i in cells:
            if not np.isnan(result[i]):
                continue
            total = 0.0
            known = 0.0
            for k in range(index.shape[0]):
                value = row[index[k, i]]
                if not np.isnan(value):
                    total += weight[k, i] * value
                    known += weight[k, i]
            result[i] = total / known if known > 0.0 else np.nan


class RowTaps(NamedTuple):
    """Two taps of each axis for cells in the order of their rows: source ``rows`` and ``row_weights`` (2, k) of the k
    rows with cells, ``columns`` and ``column_weights`` (2, nx) of all columns, ``begins`` (k + 1,) of each row's cells
    in the list, and the ``places`` (n,) of the cells in their row."""

    rows: npt.NDArray[np.uint32]
    row_weights: npt.NDArray[np.float64]
    columns: npt.NDArray[np.uint32]
    column_weights: npt.NDArray[np.float64]
    begins: npt.NDArray[np.uint32]
    places: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, lat: AxisWeights, lon: AxisWeights, cells: npt.NDArray[np.int64]) -> RowTaps | None:
        """Those of ``cells``, flat positions; None where an axis has other than two taps, cells do not increase, or
        too few cells of their rows are asked for."""
        width = len(lon.index)
        row, place = np.divmod(cells, width)
        held, begins = np.unique(row, return_index=True)
        few = not cells.size or cells.size < DENSE * held.size * width
        if few or lat.index.shape[1] != 2 or lon.index.shape[1] != 2 or (np.diff(cells) <= 0).any():
            return None
        rows, columns = (np.ascontiguousarray(index.T, np.uint32) for index in (lat.index[held], lon.index))
        weights = (np.ascontiguousarray(axis.T, np.float64) for axis in (lat.weight[held], lon.weight))
        ends = np.append(begins, cells.size).astype(np.uint32)
        row_weights, column_weights = weights
        return cls(rows, row_weights, columns, column_weights, ends, place.astype(np.uint32))


@numba.njit(cache=True, nogil=True)
def _along_rows(source: Any, taps: Any, out: Any) -> None:
    """As :func:`_four`, source rows onto columns first, each once, and then pairs of these onto the rows."""
    low, high = taps.rows.min(), taps.rows.max() + 1
    left, right = taps.columns[0], taps.columns[1]
    left_weight, right_weight = taps.column_weights[0], taps.column_weights[1]
    width = left.size
    value, made = np.empty((high - low, width)), np.empty(width, np.float32)
    for t in range(source.shape[0]):
        for y in range(low, high):
            row, result = source[t, y], value[y - low]
            for x in range(width):
                result[x] = left_weight[x] * row[left[x]] + right_weight[x] * row[right[x]]
        for y in range(taps.rows.shape[1]):
            begin, end = taps.begins[y], taps.begins[y + 1]
            above, below = value[taps.rows[0, y] - low], value[taps.rows[1, y] - low]
            upper, lower = taps.row_weights[0, y], taps.row_weights[1, y]
            whole = out[t, begin:end] if end - begin == width else made
            for x in range(width):
                whole[x] = upper * above[x] + lower * below[x]
            if end - begin != width:
                for i in range(begin, end):
                    out[t, i] = made[taps.places[i]]


def apply(source: npt.NDArray[Any], taps: AxisWeights, rows: RowTaps | None = None) -> npt.NDArray[np.float32]:
    """Regrid ``source`` (time, ny, nx) to cells: (time, n) float32; NaN where every source cell of a cell is NaN.

    Sums are in double precision. Missing source cells are left out and the remaining weights are renormalised; which
    are missing may change from day to day. Cells without weights (NaN) become NaN. ``rows`` are the same taps, for
    cells that fill their rows densely enough to be worked on row by row.
    """
    fields = np.ascontiguousarray(source, np.float32)
    flat = fields.reshape(source.shape[0], -1)
    index, weight = np.ascontiguousarray(taps.index.T, np.uint32), np.ascontiguousarray(taps.weight.T, np.float64)
    out = np.empty((flat.shape[0], index.shape[1]), np.float32)
    cells = np.arange(index.shape[1])
    if len(index) != 4:
        out[:] = np.nan
    else:
        if rows is None:
            _four(flat, index, weight, out)
        else:
            _along_rows(fields, rows, out)
        cells = np.flatnonzero(np.isnan(out).any(axis=0)) if np.isnan(flat).any() else cells[:0]
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

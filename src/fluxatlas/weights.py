"""Separable regridding weights between regular latitude-longitude axes.

On regular grids both conservative and bilinear weights are a product of one weight per axis, so that an operator is two
short tables of (source index, weight) per target row and column instead of a sparse matrix over cells. Conservative
weights are exact on the sphere: overlap of sin(latitude) times overlap of longitude.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .errors import GridError

FloatArray = npt.NDArray[np.floating[Any]]
Method = Literal["conservative", "bilinear"]

LARGEST_DENOMINATOR = 5000
"""Steps down to 1/5000 degree are recognised as fractions."""


@dataclass(frozen=True)
class AxisWeights:
    """For each target cell of one axis, ``taps`` source indices and weights, both (n, taps).

    Weights sum to one; those of a target cell that the source does not cover are NaN.
    """

    index: npt.NDArray[np.int64]
    weight: FloatArray

    def require(self, needed: npt.NDArray[np.bool_], target: FloatArray, source: FloatArray, axis: str) -> None:
        """Raise :class:`GridError` if a ``needed`` (n,) target cell is not covered by the source."""
        lost = needed & np.isnan(self.weight[:, 0])
        if lost.any():
            raise GridError(
                f"the target cell at {axis} {target[lost][0]:.4f} lies outside the source cells "
                f"({min(source):.4f} to {max(source):.4f})",
                hint="cut the source with a halo of at least one cell around the target, or shrink the domain",
            )


def regular(centres: npt.ArrayLike, axis: str) -> FloatArray:
    """The cell centres of a regular axis, freed from rounding noise (coordinates stored as float32, truncated steps).

    A step that is a simple fraction of a degree and centres on multiples of half a step are made exact. So the same
    cell has bit for bit the same coordinate in every piece, and weights do not depend on where a piece was cut.
    Raises :class:`GridError` where the axis is irregular or has fewer than two cells.
    """
    values = np.asarray(centres, float)
    if values.ndim != 1 or len(values) < 2:
        raise GridError(f"{axis} has {values.size} cells; regridding needs at least two", hint="give a larger area")
    steps = np.diff(values)
    step = float(steps.mean())
    if not step or not np.abs(steps - step).max() <= 1e-3 * abs(step):
        raise GridError(
            f"{axis} is not regular: steps from {steps.min():g} to {steps.max():g} degrees",
            hint="regrid the source to a regular grid first",
        )
    simple = float(Fraction(step).limit_denominator(LARGEST_DENOMINATOR))
    if simple:
        exact = (round(2 * values[0] / simple) / 2 + np.arange(len(values))) * simple
        if np.abs(exact - values).max() <= 2e-3 * abs(step):
            return exact
    return values


def edges(centres: npt.ArrayLike, axis: str) -> FloatArray:
    """Cell edges (n + 1) of a regular axis; latitude edges stop at the poles. Raises what :func:`regular` does."""
    values = regular(centres, axis)
    half = 0.5 * (values[-1] - values[0]) / (len(values) - 1)
    found = np.concatenate([values[:1] - half, 0.5 * (values[:-1] + values[1:]), values[-1:] + half])
    return np.clip(found, -90.0, 90.0) if axis == "lat" else found


def axis_weights(
    source: npt.ArrayLike, target: npt.ArrayLike, axis: Literal["lat", "lon"], method: Method
) -> AxisWeights:
    """Weights from the ``source`` to the ``target`` cell centres of one axis; either may ascend or descend.

    Bilinear weights use the nearest source centre beyond the outermost one, up to the edge of its cell.
    Raises :class:`GridError` for an irregular axis; cells that are not covered are left to ``AxisWeights.require``.
    """
    source, target = np.asarray(source, float), np.asarray(target, float)
    return (_conservative if method == "conservative" else _bilinear)(source, target, axis)


def _measure(values: FloatArray, axis: str) -> FloatArray:
    return np.sin(np.deg2rad(values)) if axis == "lat" else values


def shares(given: FloatArray, wanted: FloatArray, axis: str) -> AxisWeights:
    """For each cell between the edges ``wanted`` the cells between the edges ``given`` and the share of it in each.

    By measure on the sphere; the shares sum to less than one where the source ends. Edges may run either way.
    """
    index, part, _, whole = _overlap(given, wanted, axis)
    return AxisWeights(index, part / whole[:, None])


def _overlap(
    given: FloatArray, wanted: FloatArray, axis: str
) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray, FloatArray]:
    """Taps and overlap of each, the share of each wanted cell that is covered, and its whole measure."""
    low = np.maximum(np.minimum(wanted[:-1], wanted[1:])[:, None], np.minimum(given[:-1], given[1:])[None, :])
    high = np.minimum(np.maximum(wanted[:-1], wanted[1:])[:, None], np.maximum(given[:-1], given[1:])[None, :])
    overlap = np.where(high > low, _measure(high, axis) - _measure(low, axis), 0.0)
    whole = np.abs(np.diff(_measure(wanted, axis)))
    covered = overlap.sum(axis=1) / whole
    overlap[overlap < 1e-9 * whole[:, None]] = 0.0
    taps = max(1, int((overlap > 0).sum(axis=1).max()))
    index = np.argsort(overlap == 0, axis=1, kind="stable")[:, :taps]
    part = np.take_along_axis(overlap, index, axis=1)
    return np.where(part > 0, index, index[:, :1]), part, covered, whole  # idle taps point to a cell read anyway


def _conservative(source: FloatArray, target: FloatArray, axis: str) -> AxisWeights:
    index, part, covered, _ = _overlap(edges(source, axis), edges(target, axis), axis)
    total = np.where(covered >= 1 - 1e-6, part.sum(axis=1), np.nan)
    return AxisWeights(index, part / total[:, None])


def _bilinear(source: FloatArray, target: FloatArray, axis: str) -> AxisWeights:
    source = regular(source, axis)
    flipped = source[0] > source[-1]
    ascending = source[::-1] if flipped else source
    half = 0.5 * (ascending[1] - ascending[0])
    outside = np.maximum(ascending[0] - target, target - ascending[-1])
    lower = np.clip(np.searchsorted(ascending, target, side="right") - 1, 0, len(source) - 2)
    share = (target - ascending[lower]) / (ascending[lower + 1] - ascending[lower])
    share = np.where(outside > half * (1 + 1e-6), np.nan, np.clip(share, 0.0, 1.0))
    index = np.stack([lower, lower + 1], axis=1)
    if flipped:
        index = len(source) - 1 - index
    return AxisWeights(index.astype(np.int64), np.stack([1.0 - share, share], axis=1))


def cell_taps(
    lat: AxisWeights, lon: AxisWeights, columns: int, source_columns: int, cells: npt.NDArray[np.int64]
) -> AxisWeights:
    """Combine two axes for single cells: flat source indices and weights, both (n, taps), in a fixed order.

    ``cells`` are flat positions in the target (``columns`` wide); the source is ``source_columns`` wide.
    """
    row, column = cells // columns, cells % columns
    index = lat.index[row][:, :, None] * source_columns + lon.index[column][:, None, :]
    weight = lat.weight[row][:, :, None] * lon.weight[column][:, None, :]
    return AxisWeights(index.reshape(len(cells), -1), weight.reshape(len(cells), -1))

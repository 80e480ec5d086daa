"""Where constraints lie: the cells of the file as they are, or means over the cells of one of fluxatlas' grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...errors import InputError
from ...grid import Grid
from ...weights import AxisWeights, shares
from ..coordinates import BBox

Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class CellAxes:
    """Cells of a result: edges (n + 1) in degrees, latitude north to south, longitude west to east."""

    lat_edges: npt.NDArray[np.float64]
    lon_edges: npt.NDArray[np.float64]

    @property
    def lat(self) -> npt.NDArray[np.float64]:
        return np.round(0.5 * (self.lat_edges[1:] + self.lat_edges[:-1]), 8)

    @property
    def lon(self) -> npt.NDArray[np.float64]:
        return np.round(0.5 * (self.lon_edges[1:] + self.lon_edges[:-1]), 8)

    @classmethod
    def regular(cls, lat: Array, lon: Array) -> CellAxes:
        """Cells around the centres of a regular grid; those beyond a pole are cut there."""
        height, width = float(lat[0] - lat[-1]) / (lat.size - 1), float(lon[-1] - lon[0]) / (lon.size - 1)
        rows = np.append(lat + 0.5 * height, lat[-1] - 0.5 * height)
        return cls(np.clip(rows, -90.0, 90.0), np.append(lon - 0.5 * width, lon[-1] + 0.5 * width))

    @classmethod
    def of_grid(cls, grid: Grid, bbox: BBox) -> CellAxes:
        """The cells of ``grid`` that overlap ``bbox``."""
        west, south, east, north = bbox
        n, (rows, columns) = grid.per_degree, grid.shape
        top, bottom = int(np.floor((90 - north) * n + 1e-9)), int(np.ceil((90 - south) * n - 1e-9))
        left, right = int(np.floor((west + 180) * n + 1e-9)), int(np.ceil((east + 180) * n - 1e-9))
        across = slice(max(left, 0), min(right, columns))
        down = slice(max(top, 0), min(bottom, rows))
        return cls(grid.lat_bounds(down), grid.lon_bounds(across))


class CellMean:
    """Area-weighted means over ``target`` cells of what lies in the cells of ``source``.

    A target cell gets the mean of the source cells with a value if they cover at least ``minimum_share`` of its area,
    else NaN. Exact on the sphere: weights are overlaps of the sine of latitude times overlaps of longitude.
    """

    def __init__(self, source: CellAxes, target: CellAxes, minimum_share: float) -> None:
        self.target, self.minimum_share = target, minimum_share
        self._rows = _matrix(shares(source.lat_edges, target.lat_edges, "lat"), source.lat_edges.size - 1)
        self._columns = _matrix(shares(source.lon_edges, target.lon_edges, "lon"), source.lon_edges.size - 1)
        if not self._rows.nnz or not self._columns.nnz:
            raise InputError(
                f"the source covers {source.lat_edges.min():g}..{source.lat_edges.max():g} N, "
                f"{source.lon_edges.min():g}..{source.lon_edges.max():g} E and none of the wanted cells",
                hint="choose a domain inside the source",
            )

    def __call__(self, values: Array) -> npt.NDArray[np.float32]:
        """Means (lat, lon) of ``values`` (lat, lon) of the source; NaN is missing."""
        known = np.isfinite(values)
        share = self._rows @ known.astype(np.float64) @ self._columns.T
        total = self._rows @ np.where(known, values, 0.0) @ self._columns.T
        enough = share >= max(self.minimum_share - 1e-9, 1e-9)
        return np.where(enough, total / np.where(enough, share, 1.0), np.nan).astype(np.float32)

    def days(self, values: Array, band: slice) -> npt.NDArray[np.float32]:
        """Means (time, row, lon) in the rows ``band`` of the target of ``values`` (time, lat, lon).

        ``values`` has the rows :meth:`needed` of the source alone.
        """
        rows = self._rows[band, self.needed(band)]
        known = np.isfinite(values)
        share, total = (
            rows @ np.moveaxis(self._across(each), 0, 1).reshape(values.shape[1], -1)
            for each in (known.astype(np.float64), np.where(known, values, 0.0))
        )
        enough = share >= max(self.minimum_share - 1e-9, 1e-9)
        found = np.where(enough, total / np.where(enough, share, 1.0), np.nan).astype(np.float32)
        return np.moveaxis(found.reshape(found.shape[0], len(values), -1), 1, 0)

    def _across(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sums (time, lat, target lon) along the rows of the source."""
        flat = values.reshape(-1, values.shape[-1]) @ self._columns.T
        return np.asarray(flat).reshape(*values.shape[:2], -1)

    def needed(self, band: slice) -> slice:
        """The rows of the source that the rows ``band`` of the target lie in."""
        used = np.flatnonzero(np.diff(self._rows[band].tocsc().indptr))
        return slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0)


def _matrix(weights: AxisWeights, size: int) -> Any:
    """The shares of an axis as a sparse matrix (target, source); rows that are not covered are empty."""
    count, taps = weights.weight.shape
    rows = np.repeat(np.arange(count), taps)
    matrix = sparse.csr_array((weights.weight.ravel(), (rows, weights.index.ravel())), shape=(count, size))
    matrix.eliminate_zeros()
    return matrix

"""The global grids and their tiles: the only source of coordinates in fluxatlas.

A :class:`Grid` is a regular latitude-longitude grid on a sphere whose origin is the corner (-180 E, 90 N). Rows run
from north to south, columns from west to east. A :class:`Tile` is a square block of whole cells, named by its
lower-left corner (``N30W120``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .errors import GridError, nearest

EARTH_RADIUS = 6_371_007.2
"""Radius [m] of the sphere with the area of the WGS84 ellipsoid (authalic radius)."""

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, order=True)
class Grid:
    """A global regular grid with ``per_degree`` cells per degree.

    Shapes: ``(rows, columns) = (180 * per_degree, 360 * per_degree)``. Units: degrees north and east; areas in m2 on
    a sphere of radius :data:`EARTH_RADIUS`.
    """

    name: str
    per_degree: int

    @property
    def shape(self) -> tuple[int, int]:
        return 180 * self.per_degree, 360 * self.per_degree

    @property
    def resolution(self) -> float:
        """Cell size in degrees."""
        return 1.0 / self.per_degree

    def lat(self, rows: slice = slice(None)) -> FloatArray:
        """Latitudes of the cell centres, north to south, for ``rows``."""
        index = np.arange(self.shape[0])[rows]
        return 90.0 - (index + 0.5) / self.per_degree

    def lon(self, columns: slice = slice(None)) -> FloatArray:
        """Longitudes of the cell centres, west to east, for ``columns``."""
        index = np.arange(self.shape[1])[columns]
        return -180.0 + (index + 0.5) / self.per_degree

    def lat_bounds(self, rows: slice = slice(None)) -> FloatArray:
        """Edges of ``rows`` (n + 1 values, north to south)."""
        start, stop, _ = rows.indices(self.shape[0])
        return 90.0 - np.arange(start, stop + 1) / self.per_degree

    def lon_bounds(self, columns: slice = slice(None)) -> FloatArray:
        """Edges of ``columns`` (n + 1 values, west to east)."""
        start, stop, _ = columns.indices(self.shape[1])
        return -180.0 + np.arange(start, stop + 1) / self.per_degree

    def cell_area(self, rows: slice = slice(None)) -> FloatArray:
        """Area [m2] of one cell in each of ``rows``; exact on the sphere."""
        edges = np.sin(np.deg2rad(self.lat_bounds(rows)))
        width = np.deg2rad(self.resolution)
        return EARTH_RADIUS**2 * width * (edges[:-1] - edges[1:])

    def index(self, lat: float, lon: float) -> tuple[int, int]:
        """Row and column of the cell that holds the point; a point on an edge belongs to the cell south or east.

        Raises :class:`GridError` for a latitude outside [-90, 90] or a longitude outside [-180, 180].
        """
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise GridError(f"({lat}, {lon}) is not a point in degrees north and east", hint="use -180..180")
        row = min(int(np.floor((90 - lat) * self.per_degree)), self.shape[0] - 1)
        return row, int(np.floor((lon + 180) * self.per_degree)) % self.shape[1]

    def snap(self, values: npt.ArrayLike, axis: str, tolerance: float = 0.01) -> npt.NDArray[np.int64]:
        """Row (``axis='lat'``) or column (``axis='lon'``) numbers of coordinates that lie on the cell centres.

        ``tolerance`` is a fraction of a cell. Raises :class:`GridError` for a value farther off than that.
        """
        given = np.atleast_1d(np.asarray(values, dtype=np.float64))
        origin = 90.0 - given if axis == "lat" else given + 180.0
        position = origin * self.per_degree - 0.5
        with np.errstate(invalid="ignore"):
            index = np.rint(position).astype(np.int64)
        off = np.abs(position - index)
        if not np.all(off <= tolerance):
            worst = int(np.nanargmax(np.where(np.isnan(off), np.inf, off)))
            raise GridError(
                f"{axis} {given[worst]!r} is {off[worst]:.3f} cells off the {self.name} grid",
                hint="regrid the file to this grid first; fluxatlas does not round coordinates until they match",
            )
        return index

    def tile(self, name: str, size: int) -> Tile:
        """The tile called ``name`` (such as ``N30W120``) of ``size`` degrees."""
        return Tile.parse(self, name, size)

    def tiles(self, size: int, bbox: tuple[float, float, float, float] | None = None) -> list[Tile]:
        """All tiles of ``size`` degrees that overlap ``bbox`` = (west, south, east, north), north-west first."""
        check_tile_size(size)
        west, south, east, north = bbox or (-180, -90, 180, 90)
        return [
            Tile(self, lat, lon, size)
            for lat in range(90 - size, -91, -size)
            if lat < north and lat + size > south
            for lon in range(-180, 180, size)
            if lon < east and lon + size > west
        ]


def check_tile_size(size: int) -> None:
    """Raise :class:`GridError` unless tiles of ``size`` degrees divide the globe."""
    if size < 1 or 180 % size or 90 % size:
        choices = [n for n in range(1, 91) if 90 % n == 0]
        raise GridError(f"a tile size of {size} degrees does not divide the grid", hint=f"use one of {choices}")


@dataclass(frozen=True, order=True)
class Tile:
    """A square block of a grid: ``size`` degrees from its lower-left corner (``south``, ``west``)."""

    grid: Grid
    south: int
    west: int
    size: int

    @classmethod
    def parse(cls, grid: Grid, name: str, size: int) -> Tile:
        """Read a tile name; raises :class:`GridError` for a malformed name or one off the lattice of ``size``."""
        check_tile_size(size)
        found = re.fullmatch(r"([NS])(\d{2})([EW])(\d{3})", name)
        if not found:
            raise GridError(f"'{name}' is not a tile name", hint="write the lower-left corner, such as N30W120")
        south = int(found[2]) * (1 if found[1] == "N" else -1)
        west = int(found[4]) * (1 if found[3] == "E" else -1)
        if (south + 90) % size or (west + 180) % size or not (-90 <= south < 90 and -180 <= west < 180):
            raise GridError(f"tile '{name}' does not lie on the lattice of {size} degree tiles")
        return cls(grid, south, west, size)

    @property
    def name(self) -> str:
        ns, ew = ("N", "S")[self.south < 0], ("E", "W")[self.west < 0]
        return f"{ns}{abs(self.south):02d}{ew}{abs(self.west):03d}"

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """West, south, east, north in degrees."""
        return self.west, self.south, self.west + self.size, self.south + self.size

    @property
    def rows(self) -> slice:
        n = self.grid.per_degree
        return slice((90 - self.south - self.size) * n, (90 - self.south) * n)

    @property
    def columns(self) -> slice:
        n = self.grid.per_degree
        return slice((self.west + 180) * n, (self.west + 180 + self.size) * n)

    @property
    def shape(self) -> tuple[int, int]:
        n = self.size * self.grid.per_degree
        return n, n

    @property
    def lat(self) -> FloatArray:
        return self.grid.lat(self.rows)

    @property
    def lon(self) -> FloatArray:
        return self.grid.lon(self.columns)

    @property
    def cell_area(self) -> FloatArray:
        """Area [m2] of one cell per row."""
        return self.grid.cell_area(self.rows)

    def __str__(self) -> str:
        return self.name


GRIDS = {grid.name: grid for grid in (Grid("4km", 24), Grid("1km", 120), Grid("0.25deg", 4), Grid("0.5deg", 2))}


@lru_cache
def get_grid(name: str) -> Grid:
    """The grid called ``name``; raises :class:`GridError` with the nearest name for an unknown one."""
    if name not in GRIDS:
        raise GridError(f"unknown grid '{name}'{nearest(name, GRIDS)}", hint=f"choose from {sorted(GRIDS)}")
    return GRIDS[name]

"""The drivers of a run in its store, as small as they are: the weather on the grid of the forcing, one series of the
atmosphere by row, twelve months of leaf area, and how each cell of the product takes them.

Group ``driver`` has two parts. ``0`` (time, lat, lon) holds the forcing pieces put together, packed as they are, on
their own grid. ``cells`` holds for each row and column of the product the source cells it takes and their weights
(``row_source``, ``row_weight`` (lat, tap), ``column_source``, ``column_weight`` (lon, tap)), the height of the cell
above the altitude of the forcing there (``lift`` (lat, lon) [m]), drivers of latitude alone (time, lat, one), and
monthly layers (month, lat, lon) with the share of each month in a day (``<name>_share`` (time, month, one)). A reader
makes of it what the networks have read, as the page does (``page/drivers.js``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
import zarr

from .. import humidity, variables
from ..axes import WRITTEN
from ..constants import GRAVITY
from ..drivers import slow_drivers
from ..errors import FluxAtlasError, InputError
from ..files import read_netcdf
from ..grid import Tile
from ..hashes import check_seal
from ..ingest.atmosphere import series_of
from ..products.metadata import COORDINATES
from ..regrid.tile import DRY_AIR, LAPSE_RATE
from ..results import RunResults
from ..systems import SlowDriver
from ..tiles.piece import make_regridder, read_piece
from ..weights import AxisWeights, Method, axis_weights, regular
from .arrays import plain, sharded
from .source import Lattice
from .tiles import RunTile, run_tiles

Array = npt.NDArray[Any]
GROUP = "driver"
CHUNK, SHARD = (366, 4, 4), (366, 64, 64)
"""Days, rows and columns of the weather's chunks and files: what the series of one cell reads little of."""
ADJUSTMENT = {
    "lapse_rate": LAPSE_RATE,
    "gravity": GRAVITY,
    "dry_air": DRY_AIR,
    "epsilon": humidity.EPSILON,
    "triple_pressure": humidity.TRIPLE_PRESSURE,
    "triple_point": humidity.TRIPLE_POINT,
    "saturation_slope": humidity.SATURATION_SLOPE,
    "saturation_offset": humidity.SATURATION_OFFSET,
}
"""Constants of :func:`fluxatlas.regrid.tile.downscale`, which the page follows."""


@dataclass(frozen=True)
class _TileFiles:
    """A tile of the run with its attributes and its forcing pieces by year."""

    run_tile: RunTile
    attributes: Path
    pieces: Mapping[int, Path]

    @property
    def tile(self) -> Tile:
        return self.run_tile.tile

    @property
    def method(self) -> Method:
        return cast(Method, self.run_tile.method)

    @cached_property
    def axes(self) -> tuple[Array, Array]:
        """Latitudes and longitudes of the source cells [degrees]."""
        with netCDF4.Dataset(next(iter(self.pieces.values()))) as data:
            return regular(data["lat"][:], "lat"), regular(data["lon"][:], "lon")


class DriverSource:
    """The drivers of the cells of ``lattice``, to be read piece by piece.

    Raises :class:`InputError` with what is absent, or does not fit together, where a run cannot give them.
    """

    def __init__(self, run: RunResults, lattice: Lattice) -> None:
        self.run, self.lattice, self.system = run, lattice, run.system
        self.tiles = [_tile_files(run, one) for one in run_tiles(run, lattice)]
        steps = {tuple(round(float(axis[1] - axis[0]), 9) for axis in one.axes) for one in self.tiles}
        if len(steps) > 1:
            raise InputError("the forcing pieces are on several grids", where=str(run.folder / "ingest" / "forcing"))
        down, self.right = steps.pop()
        self.down = -abs(down)
        self.north = max(float(one.axes[0].max()) for one in self.tiles)
        self.west = min(float(one.axes[1].min()) for one in self.tiles)
        self.round = round(360 / self.right)
        ends = [(rows.max(), columns.max()) for rows, columns in map(self.place, self.tiles)]
        self.shape = tuple(int(n) + 1 for n in np.max(ends, axis=0))

    @property
    def files(self) -> list[Path]:
        """All files that the drivers are made of."""
        series = [Path(option.split("=", 1)[1]) for option in self._series]
        return [path for one in self.tiles for path in (one.attributes, *one.pieces.values())] + series

    @property
    def _series(self) -> list[str]:
        folder = self.run.folder / "ingest" / "atmosphere"
        gases = [driver.series for driver in self.system.slow if driver.series]
        return [f"{gas}={path}" for gas in gases if (path := folder / f"{gas}_global.csv").exists()]

    def place(self, one: _TileFiles) -> tuple[Array, Array]:
        """Rows and columns of the source of a tile on the grid of all; columns go on around the globe."""
        lat, lon = one.axes
        rows, columns = (lat - self.north) / self.down, (lon - self.west) / self.right
        if max(np.abs(place - np.rint(place)).max() for place in (rows, columns)) > 1e-3:
            raise InputError("the grids of the forcing pieces are shifted", where=str(next(iter(one.pieces.values()))))
        return np.rint(rows).astype(int), np.rint(columns).astype(int) % self.round

    # --- what is read ------------------------------------------------------------------------------------------------

    def read(self, name: str, times: slice, rows: slice, columns: slice) -> Array | None:
        """Packed weather of a window of the source grid over ``times`` of the days of the run; None where there is
        none."""
        days = _days(self.run)[times]
        values = np.full((len(days), rows.stop - rows.start, columns.stop - columns.start), variables.FILL, np.int16)
        found = False
        for one in self.tiles:
            at_rows, at_columns = self.place(one)
            r, c = (
                np.flatnonzero((at >= window.start) & (at < window.stop))
                for at, window in ((at_rows, rows), (at_columns, columns))
            )
            if len(r) and len(c):
                found = True
                for year in days.year.unique():
                    mine = np.flatnonzero(days.year == year)
                    part = self._packed(one.pieces[year], name, days[mine].dayofyear.to_numpy() - 1)
                    target = np.ix_(mine, at_rows[r] - rows.start, at_columns[c] - columns.start)
                    values[target] = part[:, r][:, :, c]
        return values if found else None

    def _packed(self, path: Path, name: str, days: Array) -> Array:
        """``days`` of a piece (time, lat, lon) as they are packed."""
        with netCDF4.Dataset(path) as data:
            data.set_auto_maskandscale(False)
            stored = data[name]
            given = stored.dtype, stored.scale_factor, stored.add_offset, stored._FillValue
            if given != (np.int16, *(variables.get(name).packing or ()), variables.FILL):
                raise InputError(f"'{name}' is packed differently than by the table", where=str(path))
            return np.asarray(stored[int(days[0]) : int(days[-1]) + 1])

    def weights(self) -> tuple[AxisWeights, AxisWeights]:
        """Source rows of each row of the product and source columns of each column, with weights (n, taps); weights
        are 0 where no tile lies, or the forcing does not reach."""
        parts: tuple[list[Any], list[Any]] = ([], [])
        for one in self.tiles:
            (rows, columns), (inner_rows, inner_columns) = one.run_tile.here, one.run_tile.inner
            at_rows, at_columns = self.place(one)
            y = axis_weights(one.axes[0], one.tile.lat, "lat", one.method)
            x = axis_weights(one.axes[1], one.tile.lon, "lon", one.method)
            parts[0].append((rows, at_rows[y.index][inner_rows], y.weight[inner_rows]))
            parts[1].append((columns, at_columns[x.index][inner_columns], x.weight[inner_columns]))
        lat, lon = (_joined(part, size) for part, size in zip(parts, self.lattice.shape, strict=True))
        return lat, lon

    def lifts(self) -> Iterator[tuple[slice, slice, Array]]:
        """By tile: rows and columns of the product, and how far [m] its active cells lie above the forcing there."""
        for one in self.tiles:
            piece = read_piece(next(iter(one.pieces.values())), ())
            data = read_netcdf(one.attributes)
            orog = data["orog"].to_numpy().astype(float)
            index = np.flatnonzero(data["active"].to_numpy() == 1)
            lift = np.full(orog.size, np.nan, np.float32)
            regridder = make_regridder(piece, one.tile, orog, one.method)
            lift[index] = orog.ravel()[index] - regridder.cells("orog", piece.orog[None], index)[0]
            (rows, columns), inner = one.run_tile.here, one.run_tile.inner
            yield rows, columns, lift.reshape(orog.shape)[inner]

    def by_row(self, driver: SlowDriver, lat: Array) -> Array:
        """A driver without layers (time, lat)."""
        series = series_of(self.system.slow, self._series)
        return np.asarray(slow_drivers([driver], _days(self.run), lat, {}, series)[driver.name])

    def shares(self, driver: SlowDriver) -> Array:
        """(time, 12): the share of each month's layer in each day of a driver made of one monthly layer."""
        layers = {driver.layers[0]: np.eye(12)}
        return np.asarray(slow_drivers([driver], _days(self.run), np.zeros(12), layers, {})[driver.name])

    def months(self, driver: SlowDriver) -> Iterator[tuple[slice, slice, Array]]:
        """By tile: rows and columns of the product, and the monthly layer of ``driver`` (12, lat, lon) there."""
        for one in self.tiles:
            (rows, columns), inner = one.run_tile.here, one.run_tile.inner
            data = read_netcdf(one.attributes)
            layer = data[driver.layers[0]].transpose(..., "lat", "lon").to_numpy().astype(np.float32)
            yield rows, columns, np.where(data["active"].to_numpy() == 1, layer, np.float32(np.nan))[(..., *inner)]


def find_drivers(run: RunResults, lattice: Lattice) -> tuple[DriverSource | None, str]:
    """The drivers of ``run`` on the cells of ``lattice``; else None and why there are none."""
    try:
        return DriverSource(run, lattice), ""
    except FluxAtlasError as problem:
        return None, problem.what


def _days(run: RunResults) -> pd.DatetimeIndex:
    every = [pd.date_range(f"{year}-01-01", f"{year}-12-31") for year in run.years]
    return pd.DatetimeIndex(np.concatenate(every))


def _tile_files(run: RunResults, one: RunTile) -> _TileFiles:
    attributes = run.folder / "regrid" / "attributes" / f"{one.tile.name}.nc"
    pieces = {year: run.folder / "ingest" / "forcing" / one.tile.name / f"{year}.nc" for year in run.years}
    for path in (attributes, *pieces.values()):
        if not path.is_file():
            raise InputError(f"the run no longer has {path.relative_to(run.folder)}", where=str(run.folder))
        check_seal(path)
    return _TileFiles(one, attributes, pieces)


def _joined(parts: Sequence[tuple[slice, Array, Array]], size: int) -> AxisWeights:
    taps = max(index.shape[1] for _, index, _ in parts)
    index, weight = np.zeros((size, taps), np.int32), np.zeros((size, taps), np.float32)
    for where, source, share in parts:
        index[where, : source.shape[1]] = source
        weight[where, : source.shape[1]] = np.nan_to_num(share)
    return AxisWeights(index, weight)


# --- writing ---------------------------------------------------------------------------------------------------------


def write_drivers(root: zarr.Group, source: DriverSource) -> None:
    """Write the group ``driver``; a window of one file, or the layers of one tile, are in memory at a time."""
    system = source.system
    kept = [driver for driver in system.slow if len(driver.layers) <= 1]
    about = {
        "method": source.tiles[0].method,
        "adjustment": ADJUSTMENT,
        "drivers": [
            *(_described(name, "weather") for name in system.forcing),
            *(_described(driver.name, "month" if driver.layers else "row") for driver in kept),
        ],
    }
    group = root.create_group(GROUP, attributes=about)
    _write_weather(group.create_group("0"), source)
    _write_cells(group.create_group("cells"), source, kept)


def _described(name: str, kind: str) -> dict[str, str]:
    row = variables.get(name)
    return {"name": name, "kind": kind, "label": row.label, "long_name": row.long_name, "units": row.units}


def _write_time(group: zarr.Group, days: pd.DatetimeIndex) -> None:
    attrs = {key: value for key, value in COORDINATES["time"].items() if key != "bounds"}
    plain(group, "time", (days - pd.Timestamp("1970-01-01")).days.to_numpy().astype(np.int32), attrs)


def _write_weather(group: zarr.Group, source: DriverSource) -> None:
    days, (rows, columns) = _days(source.run), source.shape
    _write_time(group, days)
    plain(group, "lat", source.north + source.down * np.arange(rows), WRITTEN["lat"])
    plain(group, "lon", source.west + source.right * np.arange(columns), WRITTEN["lon"])
    shape = len(days), rows, columns
    for name in source.system.forcing:
        row = variables.get(name)
        assert row.packing is not None
        packing = {"scale_factor": row.packing[0], "add_offset": row.packing[1], "_FillValue": variables.FILL}
        attrs = {**row.attrs, **packing}
        array = sharded(group, name, ("time", "lat", "lon"), shape, CHUNK, SHARD, "int16", variables.FILL, attrs)
        for window in _windows(shape, SHARD):
            values = source.read(name, *window)
            if values is not None:
                array[window] = values


def _windows(shape: Sequence[int], block: Sequence[int]) -> Iterator[tuple[slice, slice, slice]]:
    starts = [range(0, size, step) for size, step in zip(shape, block, strict=True)]
    for t in starts[0]:
        for r in starts[1]:
            for c in starts[2]:
                one, two, three = (
                    slice(first, min(first + step, size))
                    for first, step, size in zip((t, r, c), block, shape, strict=True)
                )
                yield one, two, three


def _write_cells(group: zarr.Group, source: DriverSource, slow: Sequence[SlowDriver]) -> None:
    (lat, lon), days, shape = source.lattice.centres(), _days(source.run), source.lattice.shape
    plain(group, "lat", lat, WRITTEN["lat"])
    plain(group, "lon", lon, WRITTEN["lon"])
    _write_time(group, days)
    for axis, dim, weights in zip(("row", "column"), ("lat", "lon"), source.weights(), strict=True):
        for name, values in (("source", weights.index), ("weight", weights.weight)):
            taps = values.shape[1]
            words = {"long_name": f"{name} of each {axis} of the product among the {axis}s of the weather"}
            array = sharded(
                group, f"{axis}_{name}", (dim, "tap"), values.shape, (256, taps), (65536, taps), values.dtype, 0, words
            )
            array[:] = values
    block, nothing = (256, 256), float("nan")
    words = {"long_name": "height of the cell above the altitude of the forcing", "units": "m"}
    lift = sharded(group, "lift", ("lat", "lon"), shape, (64, 64), block, "float32", nothing, words)
    for rows, columns, values in source.lifts():
        lift[rows, columns] = values
    for driver in slow:
        row = variables.get(driver.name)
        if not driver.layers:
            dims, size = ("time", "lat", "one"), (len(days), len(lat), 1)
            array = sharded(group, driver.name, dims, size, (366, 8, 1), (366, 512, 1), "float32", nothing, row.attrs)
            for first in range(0, len(lat), 512):
                part = slice(first, first + 512)
                array[:, part, 0] = source.by_row(driver, lat[part])
            continue
        dims, size = ("month", "lat", "lon"), (12, *shape)
        months = sharded(group, driver.name, dims, size, (12, 32, 32), (12, *block), "float32", nothing, row.attrs)
        for rows, columns, values in source.months(driver):
            months[:, rows, columns] = values
        share = source.shares(driver)
        words = {"long_name": f"share of each month in {driver.name} of a day", "units": "1"}
        size = len(days), 12, 1
        array = sharded(
            group,
            f"{driver.name}_share",
            ("time", "month", "one"),
            size,
            (366, 12, 1),
            (366, 12, 1),
            "float32",
            0,
            words,
        )
        array[..., 0] = share

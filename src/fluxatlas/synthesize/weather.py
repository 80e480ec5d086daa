"""Where the weather of the samples comes from: cells of the tiles, and sites with their own meteorology.

Both give :class:`SeriesWeather` for a group of series that share their days, and attributes to draw soils around.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files
from ..errors import InputError
from ..gases import AnnualSeries
from ..grid import Grid
from ..regrid.sites import monthly_of
from ..systems import System
from ..tiles.cells import ActiveCells, read_cells
from ..tiles.piece import ForcingPiece, make_regridder, read_piece
from ..weights import Method

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
PathLike = str | Path

YEAR = 365


@dataclass(frozen=True)
class SeriesWeather:
    """Weather of ``n`` series: ``forcing`` (time, n) by variable, ``dates``, and what is known of their places.

    ``attributes`` (n,) and ``monthly`` (12, n) climatologies by name, NaN where unknown.
    """

    dates: pd.DatetimeIndex
    forcing: dict[str, FloatArray]
    lat: FloatArray
    lon: FloatArray
    attributes: dict[str, FloatArray]
    monthly: dict[str, FloatArray]


class GridWeather:
    """Active cells of tiles and the forcing pieces of their years.

    ``attributes`` are files ``<tile>.nc``, ``forcing`` files ``<tile>/<year>.nc``. A series starts on 1 January of a
    year from which ``years`` consecutive pieces exist. Raises :class:`InputError` where there is none for a tile.
    """

    def __init__(
        self,
        grid: Grid,
        tile_size: int,
        system: System,
        attributes: Sequence[PathLike],
        forcing: Sequence[PathLike],
        *,
        years: int,
        method: Method,
    ) -> None:
        self.system, self.days, self.method = system, years * YEAR, method
        pieces: dict[str, dict[int, str]] = defaultdict(dict)
        for path in map(Path, forcing):
            pieces[path.parent.name][_year(path)] = str(path)
        self.pieces, self.starts = [], []
        self.cells: list[ActiveCells] = []
        self.attributes: list[dict[str, FloatArray]] = []
        for path in map(Path, attributes):
            tile = grid.tile(path.stem, tile_size)
            cells = read_cells(path, tile, system)
            if not len(cells):
                continue
            self.cells.append(cells)
            self.attributes.append(_attributes(path, cells, system))
            self.pieces.append(pieces[tile.name])
            self.starts.append(_starts(pieces[tile.name], years, tile.name))
        owner = [np.full(len(cells), number) for number, cells in enumerate(self.cells)]
        within = [np.arange(len(cells)) for cells in self.cells]
        self.tile_of = np.concatenate([np.empty(0, np.int64), *owner]).astype(np.int64)
        self.cell_of = np.concatenate([np.empty(0, np.int64), *within]).astype(np.int64)
        self._last = lru_cache(maxsize=1)(self._read)

    def __len__(self) -> int:
        return len(self.tile_of)

    def pool(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Attributes (n,) and monthly layers (12, n) of all cells, which stand for what sites do not know."""
        attributes = {name: np.concatenate([a[name] for a in self.attributes]) for name in self.system.attributes}
        return attributes, {
            name: np.concatenate([c.monthly[name] for c in self.cells], axis=1) for name in self.system.monthly
        }

    def features(self) -> FloatArray:
        """What places are distinguished by (``System.strata``): means of the first year and attributes, (place, n)."""
        return np.concatenate([self._features(number) for number in range(len(self.cells))])

    def _features(self, number: int) -> FloatArray:
        cells = self.cells[number]
        piece = read_piece(self.pieces[number][self.starts[number][0]], self.system.forcing)
        mean = {name: values.mean(axis=0, keepdims=True) for name, values in piece.data.items()}
        regridder = make_regridder(piece, cells.tile, cells.orog, self.method)
        climate = regridder.downscale(mean, cells.index)
        soil = self.attributes[number]
        known = {**soil, **{name: values[0] for name, values in climate.items()}}
        return np.stack([known[name] for name in self.system.strata], axis=1)

    def groups(self, places: IntArray, rng: np.random.Generator) -> list[tuple[int, int, IntArray]]:
        """``places`` by tile and first year (drawn for each place): (tile number, year, positions into ``places``)."""
        tile = self.tile_of[places]
        year = np.array([rng.choice(self.starts[number]) for number in tile], np.int64)
        keys = sorted(set(zip(tile.tolist(), year.tolist(), strict=True)))
        return [(t, y, np.flatnonzero((tile == t) & (year == y))) for t, y in keys]

    def weather(self, tile: int, year: int, places: IntArray) -> SeriesWeather:
        """Weather of ``places``, all of one ``tile``, from 1 January of ``year``."""
        cells, chosen = self.cells[tile], self.cell_of[places]
        series: dict[str, list[FloatArray]] = {name: [] for name in self.system.forcing}
        dates: list[pd.DatetimeIndex] = []
        while sum(map(len, dates)) < self.days:
            piece = self._last(self.pieces[tile][year + len(dates)])
            regridder = make_regridder(piece, cells.tile, cells.orog, self.method)
            for name, values in regridder.downscale(piece.data, cells.index[chosen]).items():
                if name in series:
                    series[name].append(values)
            dates.append(piece.dates)
        forcing = {name: np.concatenate(parts)[: self.days] for name, parts in series.items()}
        refuse_holes(forcing, self.pieces[tile][year])
        attributes = {name: values[chosen] for name, values in self.attributes[tile].items()}
        monthly: dict[str, FloatArray] = {name: values[:, chosen] for name, values in cells.monthly.items()}
        days = pd.DatetimeIndex(np.concatenate(dates)[: self.days])
        return SeriesWeather(days, forcing, cells.lat[chosen], cells.lon[chosen], attributes, monthly)

    def _read(self, path: str) -> ForcingPiece:
        return read_piece(path, self.system.forcing)


def refuse_holes(forcing: Mapping[str, FloatArray], where: str) -> None:
    """Raise :class:`InputError` where a driver is missing over an active cell."""
    for name, values in forcing.items():
        if not np.isfinite(values).all():
            hint = "fill the forcing further inland (forcing.fill_cells), or make these cells inactive"
            raise InputError(f"driver '{name}' is missing over active cells", where=where, hint=hint)


def _year(path: Path) -> int:
    try:
        return int(path.stem)
    except ValueError:
        raise InputError("not a forcing piece", where=str(path), hint="give files <tile>/<year>.nc") from None


def _starts(pieces: Mapping[int, str], years: int, tile: str) -> list[int]:
    found = [year for year in sorted(pieces) if all(year + k in pieces for k in range(years))]
    if not found:
        raise InputError(
            f"tile {tile} has forcing of {sorted(pieces) or 'no year'}, but series of {years} years are wanted",
            hint="give the forcing pieces of consecutive years, or lower synthesize.years",
        )
    return found


def _attributes(path: Path, cells: ActiveCells, system: System) -> dict[str, FloatArray]:
    """Attributes of the active cells, (n,) each."""
    dataset = files.read_netcdf(path)
    return {name: dataset[name].to_numpy().ravel()[cells.index].astype(float) for name in system.attributes}


class SiteWeather:
    """Sites with their own meteorology: gap-free spans of whole days long enough for a series.

    ``attributes`` is ``sites_attributes.csv``, ``forcing`` is ``sites_forcing.parquet``. A series starts on a 1 January
    where a span allows it, else on the first day of the span; spans beyond the ``series`` of the atmosphere are
    left out, and sites without any other are named on stderr.
    """

    def __init__(
        self,
        system: System,
        attributes: PathLike,
        forcing: PathLike,
        *,
        years: int,
        series: Mapping[str, AnnualSeries],
    ) -> None:
        self.system, self.days, self.atmosphere = system, years * YEAR, tuple(series.values())
        self.table = _read_sites(attributes, system)
        own = _read_forcing(forcing, system)
        self.series = {site: part for site, part in own.items() if site in self.table.index}
        spans = {site: self._starts(part.index) for site, part in self.series.items()}
        inside = {site: [start for start in starts if self._covered(start)] for site, starts in spans.items()}
        self.starts = {site: starts for site, starts in inside.items() if starts}
        beyond = sorted(site for site, starts in spans.items() if starts and not inside[site])
        if beyond:
            print(f"synthesize: weather beyond the series of the atmosphere: {', '.join(beyond)}", file=sys.stderr)

    @property
    def sites(self) -> list[str]:
        """Sites with at least one span."""
        return sorted(self.starts)

    def pool(self) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
        """Attributes (n,) and monthly layers (12, n) of the sites that know all; raises :class:`InputError` if none."""
        rows: list[dict[str, Any]] = self.table.to_dict("records")  # type: ignore[assignment]
        layers = [{name: monthly_of(row, name)[:, None] for name in self.system.monthly} for row in rows]
        absent = [self._absent(row, monthly) for row, monthly in zip(rows, layers, strict=True)]
        whole = [number for number, names in enumerate(absent) if not names]
        if not whole:
            lacking = f"; site '{self.table.index[0]}' has no {', '.join(absent[0])}" if rows else ""
            hint = "give a table 'attributes' of the entry (docs/sites.md), or static layers that reach the sites"
            raise InputError(f"no site has all attributes{lacking}", where="sites.entries", hint=hint)
        return {name: np.array([float(rows[n][name]) for n in whole]) for name in self.system.attributes}, {
            name: np.concatenate([layers[n][name] for n in whole], axis=1) for name in self.system.monthly
        }

    def _absent(self, row: Mapping[str, Any], monthly: Mapping[str, FloatArray]) -> list[str]:
        """What a site does not know of itself."""
        names = [name for name in self.system.attributes if not np.isfinite(float(row.get(name, np.nan)))]
        return names + [name for name, values in monthly.items() if not np.isfinite(values).all()]

    def _starts(self, days: Any) -> list[pd.Timestamp]:
        edges = np.flatnonzero(np.diff(days.to_numpy()) != np.timedelta64(1, "D")) + 1
        found: list[pd.Timestamp] = []
        for span in np.split(np.arange(len(days)), edges):
            last = len(span) - self.days
            if last < 0:
                continue
            begin = days[span[: last + 1]]
            january = begin[(begin.month == 1) & (begin.day == 1)]
            found += list(january) if len(january) else [begin[0]]
        return found

    def _covered(self, start: pd.Timestamp) -> bool:
        """Whether the series of the atmosphere reach over the days from ``start``."""
        ends = pd.DatetimeIndex([start, start + pd.Timedelta(days=self.days - 1)])
        return all(given.covers(ends) for given in self.atmosphere)

    def groups(self, count: int, rng: np.random.Generator) -> list[tuple[str, pd.Timestamp, int]]:
        """``count`` series spread evenly over sites and randomly over their spans: (site, first day, series)."""
        order = rng.permutation(self.sites)
        found: dict[tuple[str, pd.Timestamp], int] = defaultdict(int)
        for site in np.resize(order, count):
            found[str(site), self.starts[site][rng.integers(len(self.starts[site]))]] += 1
        return [(site, start, number) for (site, start), number in sorted(found.items())]

    def weather(self, site: str, start: pd.Timestamp) -> SeriesWeather:
        """Weather of one series at ``site`` from ``start``."""
        dates = pd.date_range(start, periods=self.days)
        row: dict[str, Any] = self.table.loc[site].to_dict()  # type: ignore[assignment]
        part = self.series[site].loc[dates]
        forcing = {name: part[name].to_numpy(np.float32)[:, None] for name in self.system.forcing}
        known = {name: np.array([float(row.get(name, np.nan))]) for name in self.system.attributes}
        place = np.array([float(row["lat"])]), np.array([float(row["lon"])])
        monthly: dict[str, FloatArray] = {name: monthly_of(row, name)[:, None] for name in self.system.monthly}
        return SeriesWeather(dates, forcing, *place, known, monthly)


def _read_sites(path: PathLike, system: System) -> pd.DataFrame:
    table = files.read_made(path, ("site", "lat", "lon"), by="`regrid sites`")
    if "use" in table:
        table = table[table["use"] != "evaluate"]
    return table.set_index("site")


def _read_forcing(path: PathLike, system: System) -> dict[str, pd.DataFrame]:
    """Complete days of every site that has its own meteorology, by site, indexed by day."""
    table = files.read_made(path, ("site", "time", *system.forcing), by="`regrid sites`")
    if "forcing_source" in table:
        table = table[table["forcing_source"] == "site"]
    table = table.dropna(subset=list(system.forcing))
    return {
        str(site): part.set_index(pd.DatetimeIndex(part["time"]).normalize()).sort_index()
        for site, part in table.groupby("site", observed=True)
    }

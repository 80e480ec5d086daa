"""Daily soil moisture of satellites and reanalyses with their quality flags applied, streamed day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ... import variables as table
from ...errors import InputError
from ...grid import Grid, get_grid
from ..coordinates import BBox
from .cells import CellAxes, CellMean
from .ordering import in_order
from .recognise import recognise
from .screening import REASONS, Screen, flag_is_absent, kept_bits, rejects
from .soil_files import EaseFile, SoilFile, not_daily, open_soil_file
from .soil_kinds import soil_kind

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.floating[Any]]
Day = tuple[np.datetime64, dict[str, npt.NDArray[np.float32]]]

GLOBE: BBox = (-180.0, -90.0, 180.0, 90.0)
MOST_ALONE = 4
"""So many days of which none has a neighbour are means over longer than a day."""
DEFAULT_GRID = "0.25deg"
"""Grid for what comes on EASE-Grid 2.0."""


class SoilMoisture:
    """The gridded files of one product as a stream of days; memory does not grow with their number.

    ``cells`` are those of the result, ``names`` its variables: ``swc05`` ... [m3 m-3], or ``sat05`` [1] of a product in
    percent of saturation, each with ``<name>_sd`` where the files state an uncertainty.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        kind: str = "",
        *,
        bbox: BBox = GLOBE,
        grid: Grid | None = None,
        minimum_share: float = 0.5,
        overpass: str = "both",
        refuse_gaps: bool = False,
        years: tuple[int | None, int | None] = (None, None),
    ) -> None:
        if not paths:
            raise InputError("no soil moisture file is given", hint="name one file or a pattern")
        self.paths = [Path(p) for p in paths]
        self.kind = kind or recognise(self.paths[0]).kind
        self.facts = soil_kind(self.kind)
        self.refuse_gaps, self.years, self.overpass = refuse_gaps, years, overpass
        self._bbox, self._margin = bbox, 1 if grid else 0
        first = self._open(self.paths[0])
        self._source, self.per_day = first.cells, first.per_day
        if isinstance(first, EaseFile):
            grid = grid or get_grid(DEFAULT_GRID)
        self._mean = CellMean(first.cells, CellAxes.of_grid(grid, bbox), minimum_share) if grid else None
        self.cells = self._mean.target if self._mean else first.cells
        self.grid = grid.name if grid else f"{first.cells.lat.size} x {first.cells.lon.size} cells of the files"
        self._screens = {
            raw: Screen(self.facts, canonical, raw, str(first.attrs(raw).get("units", "")), str(first.path))
            for canonical, passes in first.passes.items()
            for raw, _, _ in passes
        }
        self.passes = first.passes
        self.names = self._result_names()
        first.close()
        self.flags: dict[str, str] = {}
        self.effects: Counter[str] = Counter()
        self.absent: list[str] = []

    def days(self) -> Iterator[Day]:
        """Each day that any file holds, in order, with arrays (lat, lon) by name; NaN where nothing was kept.

        Raises :class:`InputError` for files that do not belong together, times that are repeated, values that do not
        fit their unit and, at the end, no value at all.
        """
        self._sums: dict[str, Array] = {}
        self._counts: dict[str, Array] = {}
        self._seen = 0
        day: np.datetime64 | None = None
        steps, last = 0, None
        for path in in_order(self.paths, self._first_time):
            file = self._open(path)
            try:
                self._belongs(file)
                for today, where in _days(file):
                    if last is not None and file.times[where.start] <= last:
                        raise InputError(
                            f"the time {last} is present more than once, or files are not in order",
                            where=str(path),
                            hint="give each step once",
                        )
                    last = file.times[where][-1]
                    if day is not None and today != day:
                        yield from self._finished(day, steps)
                        self._gap(day, today, path)
                        steps = 0
                    day, steps = today, steps + (where.stop - where.start)
                    if self._wanted(today):
                        self._add(file, where)
            finally:
                file.close()
        if day is not None:
            yield from self._finished(day, steps)
        for screen in self._screens.values():
            screen.check_magnitude(self._where)
        if not any(screen.counts["kept"] for screen in self._screens.values()):
            raise InputError(
                "no value is left after the flags and ranges", where=self._where, hint=f"counts: {self.summary()}"
            )

    def counts(self) -> dict[str, dict[str, int]]:
        """What became of the values in the box, by canonical variable: kept, missing, flagged, out_of_range."""
        found: dict[str, dict[str, int]] = {}
        for screen in self._screens.values():
            entry = found.setdefault(screen.name, dict.fromkeys(REASONS, 0))
            for reason in REASONS:
                entry[reason] += screen.counts[reason]
        return found

    def summary(self) -> str:
        """One line on what quality control did."""
        return counted(self.counts())

    def attrs(self) -> dict[str, Any]:
        """What the result is and what was done; complete once all days went by."""
        attrs: dict[str, Any] = {"title": self.facts.title, "kind": self.kind, "citation": self.facts.citation}
        attrs["grid"] = self.grid
        if self.kind == "smap":
            attrs["overpass"] = self.overpass
        for name, counts in self.counts().items():
            attrs |= {f"{reason}_{name}": count for reason, count in counts.items()}
            attrs[f"clipped_{name}"] = sum(s.clipped for s in self._screens.values() if s.name == name)
            attrs[f"quality_flag_{name}"] = self.flags.get(name, "none")
            depth = self.facts.depth.get(name.replace("sat", "swc"), "")
            attrs |= {f"layer_{name}": depth} if depth else {}
        attrs["absent_days"] = sum(int(text.split(" ")[0]) for text in self.absent)
        attrs["incomplete_days"] = self.effects["incomplete_days"]
        if self.absent:
            attrs["gaps"] = "; ".join(self.absent[:20]) + ("; ..." if len(self.absent) > 20 else "")
        return attrs

    @property
    def _where(self) -> str:
        return f"{self.paths[0]}" + (f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else "")

    def _open(self, path: Path) -> SoilFile:
        return open_soil_file(path, self.facts, self._bbox, self._margin, self.overpass)

    def _first_time(self, path: Path) -> np.datetime64:
        file = self._open(path)
        file.close()
        return np.min(file.times)

    def _wanted(self, day: np.datetime64) -> bool:
        year = int(day.astype("datetime64[Y]").astype(int)) + 1970
        return (self.years[0] or year) <= year <= (self.years[1] or year)

    def _result_names(self) -> list[str]:
        names: list[str] = []
        for passes in self.passes.values():
            names.append(self._screens[passes[0][0]].name)
            if any(sd for _, _, sd in passes):
                names.append(f"{names[-1]}_sd")
        return names

    def _belongs(self, file: SoilFile) -> None:
        """Raise :class:`InputError` unless ``file`` has the cells and variables of the first one."""
        for mine, other in (
            (self._source.lat_edges, file.cells.lat_edges),
            (self._source.lon_edges, file.cells.lon_edges),
        ):
            if mine.size != other.size or np.abs(mine - other).max() > 0.02 * np.abs(np.diff(mine)).min():
                raise InputError(
                    f"its cells differ from those of {self.paths[0]}: {mine.size - 1} and {other.size - 1} from "
                    f"{mine[0]:g} and {other[0]:g} degrees",
                    where=str(file.path),
                    hint="give files of one product on one grid",
                )
        absent = [c for c in self.passes if c not in file.passes]
        if absent:
            raise InputError(
                f"'{self.passes[absent[0]][0][0]}' is absent, which {self.paths[0]} has",
                where=str(file.path),
                hint="give files of one product",
            )

    def _add(self, file: SoilFile, steps: slice) -> None:
        """Screen the steps of one day and add them to its sums."""
        where = f"{file.path}, {str(file.times[steps.start])[:10]}"
        for passes in file.passes.values():
            for raw, flag, sd in passes:
                screen = self._screens.get(raw) or next(iter(self._screens.values()))
                units = str(file.attrs(raw).get("units", ""))
                if Screen(self.facts, "swc05", raw, units, where).scale != screen.scale and screen.name[3:] == "05":
                    raise InputError(f"its unit '{units}' differs", where=where, hint="give files of one product")
                values = screen(file.read(raw, steps), self._rejected(file, flag, steps, screen.name), where)
                self._sum(screen.name, values)
                if sd:
                    self._sum(f"{screen.name}_sd", screen.uncertainty(file.read(sd, steps), values))

    def _rejected(self, file: SoilFile, flag: str, steps: slice, name: str) -> npt.NDArray[np.bool_] | None:
        """Where the flag of the file rejects; ``None`` where there is none, or none that can be applied."""
        if not flag:
            return None
        values = file.read(flag, steps)
        if flag_is_absent(values):
            return None
        self.flags[name] = flag.rsplit("/", 1)[-1]
        return rejects(values, kept_bits(file.attrs(flag), self.facts.keep_bits))

    def _sum(self, name: str, values: Array) -> None:
        known = np.isfinite(values)
        total, count = np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0)
        self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._counts[name] = self._counts[name] + count if name in self._counts else count

    def _finished(self, day: np.datetime64, steps: int) -> Iterator[Day]:
        """The day that is complete: means of its steps on the cells of the result."""
        if not self._wanted(day):
            return
        self._seen += 1
        whole = steps >= self.per_day
        self.effects["incomplete_days"] += not whole
        made: dict[str, npt.NDArray[np.float32]] = {}
        for name in self.names:
            if name not in self._sums or not whole:
                made[name] = np.full((self.cells.lat.size, self.cells.lon.size), np.nan, np.float32)
                continue
            count = self._counts[name]
            mean = np.where(count > 0, self._sums[name] / np.maximum(count, 1), np.nan)
            made[name] = self._mean(mean) if self._mean else mean.astype(np.float32)
        self._sums, self._counts = {}, {}
        yield day, made

    def _gap(self, day: np.datetime64, today: np.datetime64, path: Path) -> None:
        absent = int((today - day).astype(int)) - 1
        if not absent or not (self._wanted(day) and self._wanted(today)):
            return
        text = f"{absent} day{'s' if absent > 1 else ''} absent from {day + 1}"
        if self.refuse_gaps:
            raise InputError(
                f"a gap in time: {text}", where=str(path), hint="get the missing files, or leave out gaps: refuse"
            )
        self.absent.append(text)
        if len(self.absent) == self._seen >= MOST_ALONE:
            raise not_daily(absent + 1, path)


def _days(file: SoilFile) -> Iterator[tuple[np.datetime64, slice]]:
    """The days of a file and where their steps are; raises :class:`InputError` for disordered times."""
    steps = np.diff(file.times.astype(np.int64))
    if (steps <= 0).any():
        bad = file.times[1:][steps <= 0][0]
        raise InputError(
            f"the time {bad} is present more than once or out of order",
            where=str(file.path),
            hint="sort the steps and remove repeated ones",
        )
    days = file.times.astype("datetime64[D]")
    starts = np.append(0, np.flatnonzero(np.diff(days.astype(np.int64))) + 1)
    for start, stop in zip(starts, np.append(starts[1:], days.size), strict=True):
        yield days[start], slice(int(start), int(stop))


def counted(counts: dict[str, dict[str, int]]) -> str:
    """``swc05: kept 1,423 of 2,190 values (512 missing, 255 flagged, 0 out of range)``; one per variable."""
    return "; ".join(
        f"{name}: kept {c['kept']:,} of {sum(c.values()):,} values ({c['missing']:,} missing, {c['flagged']:,} flagged,"
        f" {c['out_of_range']:,} out of range)"
        for name, c in counts.items()
    )


def load_soil_moisture(path: str | Path | Sequence[str | Path], kind: str = "", **options: Any) -> xr.Dataset:
    """Daily soil moisture: canonical variables (swc05 [m3 m-3] ..., sat05 [1]), ``<name>_sd`` where it is stated.

    ``kind``: one of :data:`.soil_kinds.SOIL_KINDS`, empty: recognised; ``options`` of :class:`SoilMoisture`. Dimensions
    (time, lat, lon) of gridded files, or (time, location) with coordinates lat and lon of files of time series. Values
    with a flag, coded as missing, or outside the valid range are NaN; attributes ``kept_<name>``, ``missing_<name>``,
    ``flagged_<name>`` and ``out_of_range_<name>`` count them. A flag that is missing everywhere cannot be applied;
    ``quality_flag_<name>`` says which one was. Sub-daily steps become the mean of their day in UTC. The whole series is
    in memory; :class:`SoilMoisture` and :class:`.points.SoilPoints` stream it.

    Raises :class:`InputError` for an unreadable file, no variable of the kind, no usable coordinate or time, or no
    value left; :class:`UnitError` for a unit that is none of soil moisture.
    """
    import xarray as xr

    from .points import SoilPoints, are_points

    paths = [path] if isinstance(path, str | Path) else list(path)
    if kind:
        soil_kind(kind)
    if paths and are_points(Path(paths[0])):
        points = SoilPoints(paths, kind)
        blocks = [block for _, block in points.columns()]
        made: Any = {n: (("time", "location"), np.concatenate([b[n] for b in blocks], axis=1)) for n in points.names}
        coords: dict[str, Any] = {"lat": ("location", points.lat), "lon": ("location", points.lon)}
        times, attrs = points.days, points.attrs()
    else:
        source = SoilMoisture(paths, kind, **options)
        days = list(source.days())
        made = {n: (("time", "lat", "lon"), np.stack([one[n] for _, one in days])) for n in source.names}
        coords = {"lat": source.cells.lat, "lon": source.cells.lon}
        times, attrs = np.array([day for day, _ in days]), source.attrs()
    result = xr.Dataset(made, {**coords, "time": times.astype("datetime64[ns]")}, attrs)
    for name in made:
        result[name].attrs = dict(table.get(name.removesuffix("_sd")).attrs)
    return result

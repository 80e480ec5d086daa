"""One tile-year (or a spin-up of several years) from files to files."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from .. import files, variables
from ..config.infer import InferBlock
from ..errors import ConfigError, InputError, MemberMismatchError, counted
from ..grid import Tile
from ..ingest.atmosphere import series_of
from ..tiles.cells import ActiveCells, read_cells
from ..tiles.piece import dates_of
from ..train.ensemble import check_ensemble
from ..train.member import Member, constraint_of
from ..train.scaler import FAR
from .blocks import run_blocks
from .kernel import BlockResult, Job, forget_context
from .memory import of_tile, refuse_above
from .output import daily_names, kept_members, write_tile
from .sharing import choose_scheduler, make_blocks
from .state import StateStore, read_state, write_state
from .store import Store
from .student import read_student

PathLike = str | Path


@dataclass
class TileSummary:
    """What was done: active cells, cell-days, members, seconds by part of the work, values out of their valid range."""

    cells: int
    cell_days: int
    members: int
    seconds: dict[str, float] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)


def run_tile(
    tile: Tile,
    *,
    forcing: PathLike,
    attributes: PathLike,
    members: Sequence[PathLike],
    output: PathLike,
    state_out: PathLike,
    state_in: PathLike | None = None,
    year: int | None = None,
    settings: InferBlock | None = None,
    series: Sequence[str] = (),
    student: PathLike | None = None,
) -> TileSummary:
    """Run one tile-year and write its fluxes to ``output`` and the state of its last day to ``state_out``.

    Without ``state_in`` the networks start from their initial state; ``series`` are files of the atmosphere,
    ``gas=path``, to use instead of the tables of fluxatlas (:func:`fluxatlas.ingest.atmosphere.series_of`). An accepted
    ``student`` of the members (:mod:`~fluxatlas.infer.student`) runs in their place. Raises
    :class:`MemberMismatchError`, :class:`InputError`, :class:`ConfigError`, :class:`GridError` or
    :class:`MemoryLimitError` before anything is written where the inputs do not fit each other or the memory.
    """
    job = TileJob(tile, [forcing], attributes, members, settings, series, student)
    return job.tile_year(output, state_out, state_in, year)


def spin_up(
    tile: Tile,
    *,
    forcing: Sequence[PathLike],
    attributes: PathLike,
    members: Sequence[PathLike],
    state_out: PathLike,
    repeat: int = 1,
    settings: InferBlock | None = None,
    series: Sequence[str] = (),
    student: PathLike | None = None,
    before: int = 0,
) -> TileSummary:
    """Run the years of ``forcing`` in the order given, ``repeat`` times over, and write only the last state.

    With ``before``, the year that follows, they stand for the years before it where drivers alternate from year to year
    (:data:`fluxatlas.systems.slow.ALTERNATING`); 0: for themselves.
    """
    job = TileJob(tile, list(forcing) * repeat, attributes, members, settings, series, student)
    return job.spin_up(state_out, before)


class TileJob:
    """The checked inputs of a job and the steps through it."""

    def __init__(
        self,
        tile: Tile,
        forcing: Sequence[PathLike],
        attributes: PathLike,
        members: Sequence[PathLike],
        settings: InferBlock | None,
        series: Sequence[str],
        student: PathLike | None = None,
    ) -> None:
        if not members or not forcing:
            raise ConfigError(
                "inference needs at least one member and one forcing piece", hint="give --member, --forcing"
            )
        self.tile, self.forcing, self.attributes = tile, [str(path) for path in forcing], str(attributes)
        self.members, self.settings = [str(path) for path in members], settings or InferBlock()
        forms = self.settings.forms
        loaded = [member.bound_to(forms) for member in check_members(self.members, tile.grid.name)]
        self.network, self.system = loaded[0].network, loaded[0].system
        constraint = constraint_of(loaded, self.members)
        self.about = {"constraint": json.dumps(constraint, sort_keys=True)} if constraint else {}
        self.hashes = [files.file_hash(path) for path in self.members]  # of what runs, and owns the state
        self.student = read_student(student, self.hashes)
        if self.student:
            self.student.member.bound_to(forms)  # refuses any
            self.network, self.about["student"] = self.student.member.network, self.student.note
            self.hashes = [files.file_hash(self.student.path)]
        self.series = series_of(self.system.slow, series)
        self.cells: ActiveCells = read_cells(attributes, tile, self.system)
        self.days = [dates_of(path) for path in self.forcing]
        self.blocks = make_blocks(len(self.cells), self.settings.block_cells, self.settings.workers)
        self.scheduler = choose_scheduler(self.settings.scheduler, self.settings.workers, len(self.blocks))
        refuse_above(self.predicted_bytes(), self.settings.memory_mb, where=f"tile {tile.name}")

    def predicted_bytes(self) -> int:
        """Peak memory of this job; see :func:`fluxatlas.infer.memory.of_tile`."""
        return of_tile(
            self.settings,
            self.system,
            tile_cells=self.tile.shape[0] * self.tile.shape[1],
            land_cells=len(self.cells),
            piece_cells=max(self._piece_cells(path) for path in set(self.forcing)),
            days=max(map(len, self.days)),
            members=len(self.members),
            shape=self.network.shape,
            student=self.student is not None,
        )

    @staticmethod
    def _piece_cells(path: str) -> int:
        with files.open_netcdf(path) as piece:
            return int(piece.sizes["lat"] * piece.sizes["lon"])

    def tile_year(
        self, output: PathLike, state_out: PathLike, state_in: PathLike | None, year: int | None
    ) -> TileSummary:
        dates = self.days[0]
        if year is not None and dates[0].year != year:
            raise InputError(
                f"the forcing is of {dates[0].year}, not of {year}", where=self.forcing[0], hint="check it"
            )
        target = Path(output)
        with files.scratch(target) as folder:
            begun = None if state_in is None else self._state_store(folder / "begin")
            if begun and state_in is not None:
                read_state(state_in, self.cells, self.hashes, dates[0], begun)
            ended = self._state_store(folder / "end")
            kept = kept_members(self.settings, len(self.members))
            store = Store(str(folder), len(self.cells), len(dates), self.settings.time_chunk, kept)
            store.create(daily_names(self.system, kept))
            results = self._blocks(begun, ended, store, f"infer {self.tile.name} {dates[0].year}")
            report, begin = self._report(results), time.perf_counter()
            write_tile(
                target,
                results,
                store,
                self.cells,
                self.system,
                dates,
                members=len(self.members),
                settings=self.settings,
                attrs={**self._attrs("tile", state_in), **self.about, **_summary(report, self.tile, dates)},
            )
            report.seconds["write"] = time.perf_counter() - begin
            self._write_state(state_out, ended, dates[-1], spinup=False, state_in=state_in)
        return report

    def spin_up(self, state_out: PathLike, before: int = 0) -> TileSummary:
        with files.scratch(Path(state_out)) as folder:
            ended = self._state_store(folder / "end")
            title = f"spin-up {self.tile.name}, {counted(len(self.forcing), 'year')}"
            results = self._blocks(None, ended, None, title, before)
            self._write_state(state_out, ended, self.days[-1][-1], spinup=True, state_in=None)
        return self._report(results)

    def _state_store(self, folder: Path) -> StateStore:
        shapes = ((name, len(self.hashes), *shape) for name, shape in self.network.state_shapes.items())
        return StateStore(str(folder), len(self.cells), tuple(shapes))

    def _blocks(
        self, begun: StateStore | None, ended: StateStore, store: Store | None, title: str, before: int = 0
    ) -> list[BlockResult]:
        ended.create()
        if not self.blocks:
            print(f"{title}: no active cell, nothing to compute", file=sys.stderr)
            return []
        forcing, members = tuple(self.forcing), tuple(self.members)
        hashes = (*self.hashes, *(files.file_hash(path) for path in (self.attributes, *dict.fromkeys(forcing))))
        series = tuple(self.series.values())
        student = self.student.path if self.student else ""
        job = Job(
            self.tile, forcing, self.attributes, members, self.settings, hashes, ended, begun, store, series, student,
            before=before,
        )  # fmt: skip
        workers, scheduler = self.settings.workers, self.scheduler
        try:
            found = run_blocks(job, self.blocks, workers=workers, scheduler=scheduler, title=title)
            return sorted(found, key=lambda result: result.block.start)
        finally:
            forget_context()

    def _write_state(
        self, path: PathLike, state: StateStore, last: pd.Timestamp, *, spinup: bool, state_in: PathLike | None
    ) -> None:
        attrs = self._attrs("state", state_in)
        write_state(path, state, self.cells, self.hashes, last_day=last, spinup=spinup, attrs=attrs)

    def _attrs(self, what: str, state_in: PathLike | None) -> dict[str, str]:
        inputs = {f"forcing {n}": path for n, path in enumerate(self.forcing)}
        inputs |= {"attributes": self.attributes, **{f"member {n}": path for n, path in enumerate(self.members)}}
        if self.student:
            inputs["student"] = self.student.path
        if state_in is not None:
            inputs["state"] = str(state_in)
        inputs |= {gas: given.source for gas, given in self.series.items() if not given.carried}
        return files.provenance(f"infer {what}", self.settings.model_dump(mode="json"), inputs)

    def _report(self, results: list[BlockResult]) -> TileSummary:
        report = TileSummary(len(self.cells), len(self.cells) * sum(map(len, self.days)), len(self.members))
        for result in results:
            for total, part in (
                (report.seconds, result.seconds),
                (report.outside, result.outside),
                (report.beyond, result.beyond),
            ):
                for name, value in part.items():
                    total[name] = total.get(name, 0) + value  # type: ignore[assignment, operator]
        for name, count in report.outside.items():
            if count:
                low, high = variables.get(name).valid
                print(f"warning: {count} values of '{name}' lie outside [{low:g}, {high:g}]", file=sys.stderr)
        for name, count in report.beyond.items():
            if count:
                said = f"in {count} of {len(self.cells)} cells '{name}' lies more than {FAR:g} standard deviations from"
                print(
                    f"warning: {said} the samples; it is held there and the cells are outside the library",
                    file=sys.stderr,
                )
        return report


def check_members(paths: Sequence[str], grid: str) -> list[Member]:
    """Load the members; raises :class:`MemberMismatchError` where they do not fit each other, the grid or the units."""
    check_ensemble(paths)
    members = [Member.load(path) for path in paths]
    system = members[0].system
    units = {name: variables.get(name).units for name in (*system.forcing, *system.slow_drivers)}
    for path, member in zip(paths, members, strict=True):
        member.check(system=system.key, units=units, grid=grid, where=path)
        mine, first = member.network.state_shapes, members[0].network.state_shapes
        if mine != first:
            name = next(name for name in mine if mine[name] != first.get(name))
            ours, theirs = (" x ".join(map(str, shapes[name])) for shapes in (mine, first))
            raise MemberMismatchError(
                f"the state of '{name}' of the member is {ours} wide, that of the first member {theirs}",
                where=path,
                hint="the members of an ensemble share one architecture",
            )
    return members


def _summary(report: TileSummary, tile: Tile, dates: pd.DatetimeIndex) -> Mapping[str, str]:
    return {
        "title": f"Ensemble estimate for tile {tile.name}, {dates[0].year}",
        "Conventions": "CF-1.11",
        "grid": tile.grid.name,
        "tile": tile.name,
        "values_outside_valid_range": json.dumps(report.outside, sort_keys=True),
    }

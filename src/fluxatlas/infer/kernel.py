"""The work on one block of cells: regrid, run every member, average, pack; time outermost, state carried.

A :class:`Job` is the plain description of a tile-year that travels to the workers; a :class:`JobInputs` is what a
worker reads once for it. Daily values go into the :class:`~fluxatlas.infer.store.Store`, everything else comes back in
a small :class:`BlockResult`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .. import variables
from ..config.infer import InferBlock
from ..drivers import slow_drivers
from ..errors import InputError
from ..gases import AnnualSeries
from ..grid import Tile
from ..regrid import TileRegridder
from ..systems import System
from ..systems.slow import ALTERNATING
from ..tiles.cells import ActiveCells, read_cells
from ..tiles.piece import ForcingPiece, make_regridder, read_piece
from ..train.applicability import Verdict, features, of_ensemble
from ..train.member import Member
from .engine import Array, Engine, make_engine
from .packing import pack
from .sharing import CellBlock
from .state import StateStore
from .statistics import places_of, several, uncertainty
from .store import Store, member_name, sections

PIECES_KEPT = 2
_CONTEXT = Lock()


@dataclass(frozen=True)
class Job:
    """One tile over one or more years (more than one: a spin-up); ``store`` is None where only the state is wanted,
    ``state_in`` where the networks start from their initial state.

    ``series`` are those of the atmosphere that the system's slow drivers need. ``hashes`` of members, attributes and
    forcing tell this job from an earlier one of the same paths, whose :class:`JobInputs` a worker may still hold.
    ``student`` is the file of the network that runs in place of the members; empty: they run. ``before`` is the year
    that follows a spin-up, whose years stand for those before it (0: for themselves).
    """

    tile: Tile
    forcing: tuple[str, ...]
    attributes: str
    members: tuple[str, ...]
    settings: InferBlock
    hashes: tuple[str, ...]
    state_out: StateStore
    state_in: StateStore | None = None
    store: Store | None = None
    series: tuple[AnnualSeries, ...] = ()
    student: str = ""
    before: int = 0

    def turned(self, number: int, year: int) -> bool:
        """Whether piece ``number``, counted from 1, which is of ``year``, stands for a year of the other parity."""
        return self.before > 0 and (self.before - 1 - len(self.forcing) + number - year) % 2 == 1


@dataclass
class BlockResult:
    """What a block gives back beside its daily values.

    ``annual`` (member, cell) float32 per flux, mean of the last year, and ``annual_sd`` (cell,) its standard
    uncertainty at a place; ``verdict`` on the cells (none for a spin-up); ``outside``: how many values of each variable
    leave its valid range; ``beyond``: how many cells have each static beyond the samples of a member; ``seconds`` by
    part of the work.
    """

    block: CellBlock
    annual: dict[str, Array] = field(default_factory=dict)
    annual_sd: dict[str, Array] = field(default_factory=dict)
    verdict: Verdict | None = None
    outside: dict[str, int] = field(default_factory=dict)
    beyond: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


class JobInputs:
    """What a worker needs for a job, read once: members, cells, and one forcing piece at a time."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.members = [Member.load(path).bound_to(job.settings.forms) for path in job.members]
        networks = [Member.load(job.student)] if job.student else self.members
        self.engines: list[Engine] = [make_engine(job.settings.engine, one) for one in networks]
        self.cells: ActiveCells = read_cells(job.attributes, job.tile, self.system)
        self._lock = Lock()
        self._pieces: dict[str, ForcingPiece] = {}

    @property
    def system(self) -> System:
        return self.members[0].system

    def places(self, flux: str) -> Array:
        """(member, 2): a and b of the standard deviation ``a + b |flux|`` between places; 0 where a member has none."""
        return places_of(self.members, flux)

    def piece(self, path: str) -> ForcingPiece:
        """The piece at ``path``; the last two are kept, since threads may be in two years of a spin-up."""
        with self._lock:
            if path not in self._pieces:
                if len(self._pieces) == PIECES_KEPT:
                    self._pieces.pop(next(iter(self._pieces)))
                self._pieces[path] = read_piece(path, self.system.forcing)
            return self._pieces[path]


@lru_cache(maxsize=1)
def _context(job: Job) -> JobInputs:
    return JobInputs(job)


def context(job: Job) -> JobInputs:
    """The context of ``job`` in this process, read by the first thread that asks while the others wait."""
    with _CONTEXT:
        return _context(job)


def forget_context() -> None:
    """Drop the context of this process."""
    _context.cache_clear()


def run_block(job: Job, block: CellBlock) -> BlockResult:
    """Run all years of ``job`` over one block."""
    own = context(job)
    run = _BlockRun(own, block)
    for number, path in enumerate(job.forcing, 1):
        piece = own.piece(path)
        run.turned = job.turned(number, int(piece.dates[0].year))
        run.year(piece, last=number == len(job.forcing))
    return run.result()


class _BlockRun:
    """A block on its way through the years."""

    def __init__(self, own: JobInputs, block: CellBlock) -> None:
        self.own, self.block, self.turned = own, block, False
        self.part = slice(block.start, block.stop)
        self.index = own.cells.index[self.part]
        self.statics = {name: np.ascontiguousarray(v[self.part]) for name, v in own.cells.statics.items()}
        state = own.job.state_in.read(block.start, block.stop) if own.job.state_in else None
        self.states = [
            None if state is None else {k: np.ascontiguousarray(v[m]) for k, v in state.items()}
            for m in range(len(own.engines))
        ]
        self.outcome = BlockResult(block)
        self.outcome.outside = dict.fromkeys(own.system.outputs, 0)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.outcome.seconds[part] = self.outcome.seconds.get(part, 0.0) + time.perf_counter() - begin

    def year(self, piece: ForcingPiece, *, last: bool) -> None:
        """Run one year; daily values and annual means are kept of the ``last`` one if the job has a store."""
        job = self.own.job
        store = job.store if last else None
        regridder = make_regridder(piece, job.tile, self.own.cells.orog, job.settings.regrid)  # each thread its own
        sums = {name: np.zeros((len(self.own.members), len(self.index))) for name in self.own.system.flux_names}
        climate: dict[str, list[Array]] = {name: [] for name in self.own.system.climate}
        for days in sections(len(piece.dates), job.settings.time_chunk):
            with self._timed("regrid"):
                drivers = self._drivers(piece, regridder, days)
            with self._timed("network"):
                outputs = self._members(drivers, piece, days)
            if store:
                with self._timed("pack"):
                    self._keep(store, days, outputs, sums)
                for name in self.own.system.climate:
                    climate[name].append(drivers[name])
        if store:
            self.outcome.annual = {k: (v / len(piece.dates)).astype(np.float32) for k, v in sums.items()}
            self.outcome.annual_sd = {k: uncertainty(v, self.own.places(k)) for k, v in self.outcome.annual.items()}
            with self._timed("applicability"):
                self._judge({name: np.concatenate(values) for name, values in climate.items()})

    def _drivers(self, piece: ForcingPiece, regridder: TileRegridder, days: slice) -> dict[str, Array]:
        coarse = {name: values[days] for name, values in piece.data.items()}
        drivers = dict(regridder.downscale(coarse, self.index))
        cells = self.own.cells
        monthly = {name: values[:, self.part] for name, values in cells.monthly.items()}
        series = {given.gas: given for given in self.own.job.series}
        drivers.update(slow_drivers(self.own.system.slow, piece.dates[days], cells.lat[self.part], monthly, series))
        drivers = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in drivers.items()}
        if self.turned:
            drivers |= {name: 1 - drivers[name] for name in ALTERNATING if name in drivers}
        for name, values in drivers.items():
            if not np.isfinite(values).all():
                raise self._hole(name, values, piece, days)
        return drivers

    def _hole(self, name: str, values: Array, piece: ForcingPiece, days: slice) -> InputError:
        bad = ~np.isfinite(values)
        day, cell = (int(x[0]) for x in np.nonzero(bad))
        cells, position = self.own.cells, self.block.start + cell
        return InputError(
            f"driver '{name}' is missing over {int(bad.any(axis=0).sum())} active cells of a block, first on "
            f"{piece.dates[days][day]:%Y-%m-%d} at {cells.lat[position]:.4f} N, {cells.lon[position]:.4f} E",
            where=piece.path,
            hint="fill the forcing at the coast further inland (forcing.fill_cells), or make these cells inactive",
        )

    def _members(self, drivers: dict[str, Array], piece: ForcingPiece, days: slice) -> dict[str, Array]:
        """Outputs of all members (member, time, cell), of a student one mean if not a flux; the states move on."""
        job, system = self.own.job, self.own.system
        kept: list[dict[str, Array]] = []
        for m, engine in enumerate(self.own.engines):
            outputs, self.states[m] = engine.run(drivers, self.statics, self.states[m])
            if job.student:
                kept.append(several(outputs, system, len(self.own.members)))
            else:
                kept.append({name: outputs[name][None] for name in system.outputs})
            for name, values in kept[-1].items():
                if not np.isfinite(values).all():
                    who, where = ("the student", job.student) if job.student else (f"member {m}", job.members[m])
                    raise InputError(
                        f"{who} gives '{name}' that is not finite in {piece.dates[days][0]:%Y-%m}",
                        where=where,
                        hint="its weights or its scaler are broken, or the drivers are absurd: look at both",
                    )
        return {name: np.concatenate([values[name] for values in kept]) for name in system.outputs}

    def _keep(self, store: Store, days: slice, outputs: dict[str, Array], sums: dict[str, Any]) -> None:
        """Ensemble statistics of the days into the store, sums over time into ``sums``."""
        for name, values in outputs.items():
            self._write(store, name, variables.get(name), days, values.mean(axis=0))
            if name in self.own.system.flux_names:
                sums[name] += values.sum(axis=1, dtype=np.float64)
                for m in range(store.members):
                    self._write(store, member_name(name, m), variables.get(name), days, values[m])
                self._write(store, f"{name}_sd", variables.get(name), days, uncertainty(values, self.own.places(name)))

    def _write(self, store: Store, name: str, variable: variables.Variable, days: slice, values: Array) -> None:
        packed, outside = pack(values, variable)
        store.write(name, days, self.block.start, packed)
        if name in self.outcome.outside:
            self.outcome.outside[name] += outside

    def _judge(self, climate: Mapping[str, Array]) -> None:
        """What the members say together of the cells under the ``climate`` (time, cell) of the year."""
        table = features(climate, self.statics, self.own.system.climate)
        indices = [member.applicability for member in self.own.members]
        self.outcome.verdict = of_ensemble(indices, table, self._beyond())

    def _beyond(self) -> npt.NDArray[np.bool_]:
        """Cells (cell,) where a static lies beyond the samples of any member; counts them by static."""
        tensors = {name: torch.as_tensor(values) for name, values in self.statics.items()}
        far: dict[str, npt.NDArray[np.bool_]] = {}
        for member in self.own.members:
            for name, mask in member.network.beyond(tensors).items():
                far[name] = far.get(name, np.zeros(len(self.index), bool)) | mask.numpy()
        self.outcome.beyond = {name: int(mask.sum()) for name, mask in far.items()}
        return np.any(list(far.values()), axis=0) if far else np.zeros(len(self.index), bool)

    def result(self) -> BlockResult:
        states = [state for state in self.states if state is not None]
        last = {name: np.stack([state[name] for state in states]) for name in states[0]}
        self.own.job.state_out.write(self.block.start, last)
        return self.outcome

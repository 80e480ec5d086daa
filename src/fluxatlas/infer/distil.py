"""Distillation: a student learns to give what all members of an ensemble give, and is tried on places it never saw.

Inputs are the series of the synthetic samples, which are weather and soils of cells of the run. Members and student are
spun up as inference does it, by running through the series again. Whole spatial blocks are held out of the learning;
the student is accepted only where its error there is small beside the interval of the product (:func:`judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from ..constants import NORMAL_90
from ..systems import System
from ..train.data import SequenceSet
from ..train.loop import Mixture, Schedule, Trainer
from ..train.member import Member
from ..train.networks import HierarchicalNetwork
from ..train.networks.several import PART, of_member
from ..train.splits import hold_out
from .engine import Array, Engine, make_engine
from .statistics import places_of, several, uncertainty

HELD_OUT = 0.2
"""Share of the spatial blocks on which the student is tried and never learns."""
PASSES = 2
"""Times that members and student run through a series before what they give counts: the spin-up."""
LIMIT = 0.1
"""Largest error of a student as a share of the width of the 90 % interval."""
SHARE = 0.95
"""Share of the held-out places that must be within :data:`LIMIT`."""
SITE_DAYS = 2_000_000
"""Days of samples at most; more places are drawn from by chance."""
CELLS = 384
BATCH, DAYS, WARMUP, RATE, CLIP = 32, 365, 90, 2e-3, 1.0
"""Series per step, days that count and days before them, highest learning rate, largest norm of the gradient."""

Values = dict[str, Array]
"""By output of the product (member, time, site): each member of a flux, the one mean of others."""


@dataclass(frozen=True)
class Lesson:
    """Samples with what the members make of them: ``values`` and ``sd`` (time, site), the standard uncertainty of a
    flux, the standard deviation over the members of others. ``learns`` (site,) are not held out."""

    samples: SequenceSet
    values: Values
    sd: dict[str, Array]
    learns: npt.NDArray[np.bool_]


def prepare(members: Sequence[Member], samples: SequenceSet, seed: int) -> Lesson:
    """Run the ``members`` over the ``samples``, at most :data:`SITE_DAYS` of them, and hold places out."""
    most = max(SITE_DAYS // len(samples.dates), 1)
    if len(samples.sites) > most:
        samples = samples.drawn(most, np.random.default_rng(seed))
    given = [run_whole(make_engine("auto", member), samples) for member in members]
    system = members[0].system
    values: Values = {}
    sd: dict[str, Array] = {}
    for name in system.outputs:
        every = np.stack([outputs[name] for outputs in given])
        flux = name in system.flux_names
        values[name] = every if flux else every.mean(axis=0, keepdims=True)
        sd[name] = uncertainty(every, places_of(members, name)) if flux else every.std(axis=0, ddof=1)
    return Lesson(samples, values, sd, ~hold_out(samples.block, HELD_OUT, seed))


def run_whole(engine: Engine, samples: SequenceSet) -> dict[str, Array]:
    """All outputs (time, site) of the last of :data:`PASSES` + 1 runs through each series, the state carried."""
    parts = []
    for start in range(0, len(samples.sites), CELLS):
        cut = slice(start, start + CELLS)
        drivers, statics = ({k: np.ascontiguousarray(v[..., cut], np.float32) for k, v in given.items()}
                            for given in (samples.drivers, samples.statics))  # fmt: skip
        state = None
        for _ in range(PASSES + 1):
            outputs, state = engine.run(drivers, statics, state)
        parts.append(outputs)
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}


@dataclass(frozen=True)
class TeacherBatch:
    """Series (time, cell) with ``warmup`` days before those that count, and what the members give on these."""

    drivers: dict[str, Tensor]
    statics: dict[str, Tensor]
    values: dict[str, Tensor]
    size: dict[str, Tensor]


@dataclass(frozen=True)
class Imitation:
    """The loss of a student: squared differences to each member per variance of the ensemble at the place."""

    system: System
    members: int
    stage: str = "distil"

    def weights(self) -> dict[str, float]:
        return dict.fromkeys(self.system.outputs, 1.0)

    def terms(self, network: HierarchicalNetwork, batch: Any, probe: bool = True) -> dict[str, Tensor]:
        outputs, _ = network(batch.drivers, batch.statics)
        found = {}
        for name, target in batch.values.items():
            names = [of_member(name, m) for m in range(self.members)] if len(target) > 1 else [name]
            given = torch.stack([outputs[own][-target.shape[1] :] for own in names])
            found[name] = ((given - target) / batch.size[name]).square().mean()
        return found

    def total(self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        weights = weights or self.weights()
        return torch.stack([weights[name] * value for name, value in terms.items()]).sum()

    def observations(self, batch: Any) -> int:
        return sum(value.numel() for value in batch.values.values())


def batches(lesson: Lesson, objective: Imitation) -> Callable[[np.random.Generator], list[Callable[[], Mixture]]]:
    """The steps of a pass through the places that teach: series begin on any day, and go round."""
    sizes = {name: _rms(sd) for name, sd in lesson.sd.items()}
    sizes = {
        name: np.sqrt(size**2 + 0.01 * np.mean(size**2) + 1e-12).astype(np.float32) for name, size in sizes.items()
    }
    total, (teach,) = len(lesson.samples.dates), np.nonzero(lesson.learns)

    def steps(rng: np.random.Generator) -> list[Callable[[], Mixture]]:
        order = rng.permutation(teach)
        groups = [order[begin : begin + BATCH] for begin in range(0, len(order), BATCH)]
        return [partial(make, group, rng.integers(0, total, len(group))) for group in groups]

    def make(sites: npt.NDArray[np.int64], first: npt.NDArray[np.int64]) -> Mixture:
        length = min(DAYS, total)
        days = (first + np.arange(-WARMUP, length)[:, None]) % total

        def cut(values: Any, days: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values[..., days, sites], np.float32))

        batch = TeacherBatch(
            {name: cut(values, days) for name, values in lesson.samples.drivers.items()},
            {
                name: torch.from_numpy(np.asarray(values[sites], np.float32))
                for name, values in lesson.samples.statics.items()
            },
            {name: cut(values, days[WARMUP:]) for name, values in lesson.values.items()},
            {name: torch.from_numpy(size[sites]) for name, size in sizes.items()},
        )
        return [(1.0, objective, batch)]

    return steps


def untaught(members: Sequence[Member], seed: int) -> HierarchicalNetwork:
    """A student that knows one thing: what the first member does. It says so for every member."""
    first = members[0].network.bind({})
    torch.manual_seed(seed)
    student = HierarchicalNetwork(first.system, replace(first.architecture, members=len(members)))
    found = student.load_state_dict(first.state_dict(), strict=False)
    own: Any = student.parts[PART]
    with torch.no_grad():
        own.readout.weight.zero_()
    assert all(f"parts.{PART}." in name for name in found.missing_keys) and not found.unexpected_keys
    return student.eval()


def teach(
    student: HierarchicalNetwork,
    lesson: Lesson,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    signature: str = "",
) -> pd.DataFrame:
    """Let ``student`` learn for ``steps`` optimiser steps; returns the history, a row per validation."""
    objective = Imitation(student.system, student.architecture.members)
    trainer = Trainer(
        network=student,
        phases=[Schedule("distil", steps, RATE, keep_start=False, steps=steps, stops=False)],
        batches=batches(lesson, objective),
        validate=lambda phase: (),
        seed=seed,
        patience=steps,
        clip=CLIP,
        weight_decay=0.0,
        checkpoint=checkpoint,
        signature=signature,
        label="student:",
    )
    history = trainer.run()
    student.eval()
    return history


def judge(student: Engine, members: Sequence[Member], lesson: Lesson) -> pd.DataFrame:
    """Errors of the student at the places held out, a row per written quantity.

    ``error`` and ``width`` are the root mean square over days and places of the difference to the ensemble and of the
    width of its 90 % interval, in the unit of the variable; ``ratio`` is that of both, ``ratio_95`` the one below
    which 95 % of the places are, ``places`` their number. Of a flux the mean, both ends of the interval, and the mean
    of the series are judged; of other outputs the mean, beside an interval of the members' spread.
    """
    out = np.nonzero(~lesson.learns)[0]
    system, count = members[0].system, len(members)
    held = lesson.samples.of(out.tolist(), ())
    given = several(run_whole(student, held), system, count)
    rows = []
    for name in system.outputs:
        wanted, mine, sd = lesson.values[name][..., out], given[name], lesson.sd[name][:, out]
        rows.append(_row(name, "mean", (mine - wanted).mean(axis=0), sd))
        if name in system.flux_names:
            places = places_of(members, name)
            own = uncertainty(mine, places)
            low, high = (
                mine.mean(axis=0) + side * NORMAL_90 * own - wanted.mean(axis=0) - side * NORMAL_90 * sd
                for side in (-1, 1)
            )
            rows += [_row(name, "low", low, sd), _row(name, "high", high, sd)]
            years, theirs = mine.mean(axis=1, keepdims=True), wanted.mean(axis=1, keepdims=True)
            rows.append(_row(name, "year", (years - theirs).mean(axis=0), uncertainty(theirs, places)))
    return pd.DataFrame(rows)


def is_accepted(table: pd.DataFrame) -> bool:
    """Whether every quantity of :func:`judge` is within :data:`LIMIT` at :data:`SHARE` of the places; NaN is not."""
    return bool((table["ratio_95"] <= LIMIT).all())


def _row(name: str, what: str, error: Array, sd: Array) -> dict[str, Any]:
    width = 2 * NORMAL_90 * sd
    apart, wide = _rms(error), _rms(width)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(apart > 0, apart / wide, 0.0)
    return {
        "variable": name,
        "what": what,
        "places": len(ratio),
        "error": float(np.sqrt(np.mean(apart**2))) if len(ratio) else np.nan,
        "width": float(np.sqrt(np.mean(wide**2))) if len(ratio) else np.nan,
        "ratio": float(np.sqrt(np.mean(apart**2) / np.mean(wide**2))) if len(ratio) else np.nan,
        "ratio_95": float(np.quantile(ratio, SHARE)) if len(ratio) else np.nan,
    }


def _rms(values: Array) -> npt.NDArray[np.float64]:
    """Root mean square over the first axis."""
    found: npt.NDArray[np.float64] = np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=0))
    return found

"""The training loop: phases, early stopping, checkpoints, and the same result after a kill.

Randomness of an epoch comes from (seed, phase, epoch) alone, so that a run resumed from its last checkpoint repeats
what an uninterrupted one does, bit by bit.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .. import files
from ..errors import FluxAtlasError
from ..hashes import check_seal
from ..systems import Ramp
from .losses import Objective
from .networks import HierarchicalNetwork, keep_freed


class Scored(Protocol):
    """Terms of a loss over a batch of its own kind, such as :class:`~fluxatlas.train.losses.Objective`."""

    @property
    def stage(self) -> str: ...

    def weights(self) -> dict[str, float]:
        """Weight of every term by name."""
        ...

    def terms(self, network: HierarchicalNetwork, batch: Any, probe: bool = True) -> dict[str, Tensor]:
        """Raw value of every term; without ``probe`` those that count in a validation score."""
        ...

    def total(self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        """Weighted sum of ``terms``."""
        ...

    def observations(self, batch: Any) -> int:
        """What the loss of ``batch`` weighs among those of other batches of its stage."""
        ...


Mixture = Sequence[tuple[float, Scored, Any]]
"""One step: batches with their share of the loss and their objective."""
Batches = Callable[[np.random.Generator], Sequence[Callable[[], Mixture]]]
"""The steps of an epoch, each made when called."""

EVERY = 50
"""Steps from one measurement of the terms' shares of the gradient to the next; the first step of a phase is one."""
CHECK = 100
"""Steps from one validation to the next in phases of steps, or one pass where that is longer."""
LEAST = 0.01
"""Share of the gradient below which a term has no effect."""
FLOOR = 0.02
"""Last learning rate as a fraction of the highest."""


class TrainingError(FluxAtlasError):
    """Training diverged: the loss is not finite."""


@dataclass(frozen=True)
class Schedule:
    """``epochs`` at a highest learning ``rate``; only the sub-modules ``trainable`` learn (None: all).

    With ``keep_start`` the weights it starts from are kept where no epoch scores better. With ``steps`` it ends after
    so many optimiser steps instead, however many epochs these are; then an epoch is from one validation to the next.
    The rest is that of :class:`~fluxatlas.systems.Phase`; without ``stops`` all steps are made and the last weights
    kept. ``batches`` are its own, where not those of the trainer. ``decay``: the rate falls by that factor after every
    so many epochs; without a factor as a cosine.
    """

    name: str
    epochs: int
    rate: float
    trainable: tuple[str, ...] | None = None
    keep_start: bool = True
    steps: int | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    terms: Mapping[str, Ramp] = field(default_factory=dict)
    anchor: float = 0.0
    stops: bool = True
    pace: tuple[float, float] | None = None
    batches: Batches | None = None
    decay: tuple[float | None, int] = (None, 1)

    def rate_at(self, epoch: int, progress: float) -> float:
        """The learning rate in ``epoch``, counted from 0, when the share ``progress`` of the steps is done."""
        factor, epochs = self.decay
        if factor is not None:
            return self.rate * float(factor ** (epoch // epochs))
        return self.rate * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))

    def progress(self, epoch: int, step: int, of: int, done: int) -> float:
        """Share of the phase that is over in ``step`` (of ``of``) of ``epoch``, after ``done`` steps in all."""
        return (epoch + step / of) / self.epochs if self.steps is None else done / self.steps

    def over(self, epoch: int, done: int) -> bool:
        """Whether it ends before ``epoch``, after ``done`` steps."""
        return epoch >= self.epochs if self.steps is None else done >= self.steps


@dataclass
class Trainer:
    """Trains ``network`` in place and leaves it with the weights of the best validation score.

    ``batches(rng)`` gives the steps of an epoch, each made when called; ``validate(phase)`` gives mixtures of
    validation batches, scored without gradient by the same objectives without probes: the sum over stages of the mean
    over their mixtures. Where it is empty the training loss decides. ``aside`` learns with the network and is not part
    of it. ``signature`` tells whether a checkpoint belongs to this run. ``first`` is the number of the first of
    ``phases`` in a longer list that is run in parts, and ``origin`` the network that the list began with (None:
    ``network``).
    """

    network: HierarchicalNetwork
    phases: Sequence[Schedule]
    batches: Batches
    validate: Callable[[Schedule | None], Iterable[Mixture]]
    seed: int
    patience: int
    clip: float
    weight_decay: float = 1e-4
    checkpoint: Path | None = None
    signature: str = ""
    label: str = ""
    aside: nn.Module | None = None
    first: int = 0
    origin: nn.Module | None = None
    _origin: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def run(self) -> pd.DataFrame:
        """Train, resuming from the checkpoint if there is one of this run; returns the history, a row per epoch.

        Raises :class:`TrainingError` where the loss is not finite.
        """
        keep_freed()
        self._origin = _copy(self.origin or self.network)
        saved = self._restore()
        history: list[dict[str, Any]] = saved["history"] if saved else []
        for number, phase in enumerate(self.phases, self.first):
            if saved and number < saved["phase"]:
                continue
            history = self._phase(number, phase, history, saved if saved and number == saved["phase"] else None)
        return pd.DataFrame(history)

    def _phase(
        self, number: int, phase: Schedule, history: list[dict[str, Any]], saved: dict[str, Any] | None
    ) -> list[dict[str, Any]]:
        optimizer = self._optimizer(phase)
        if saved:
            self.network.load_state_dict(saved["weights"])
            optimizer.load_state_dict(saved["optimizer"])
            best, weights, worse, begin = saved["best"], saved["best_weights"], saved["worse"], saved["epoch"] + 1
            done = saved.get("done", 0)
            if self.aside and saved.get("aside"):
                self.aside.load_state_dict(saved["aside"])
        else:
            best, weights, worse, begin, done = math.nan, _copy(self.network), 0, 0, 0
            if phase.keep_start:
                best = self._score(phase)
        for epoch in itertools.count(begin):
            if phase.over(epoch, done) or (phase.stops and worse >= self.patience):
                break
            started = time.monotonic()
            row, done = self._epoch(number, phase, epoch, optimizer, done)
            score = self._score(phase)
            score = row["total"] if math.isnan(score) else score
            if math.isnan(best) or score < best or not phase.stops:
                best, weights, worse = score, _copy(self.network), 0
            else:
                worse += 1
            row |= {"validation": score, "best": best, "seconds": time.monotonic() - started}
            history.append({"phase": phase.name, "epoch": epoch, **row})
            self._say(phase, epoch, row, done)
            self._store(number, epoch, done, optimizer, best, weights, worse, history)
        self.network.load_state_dict(weights)
        self._say_inert(phase, [row for row in history if row["phase"] == phase.name])
        return history

    def _optimizer(self, phase: Schedule) -> torch.optim.AdamW:
        for name, part in (*self.network.parts.items(), *self.network.told.items(), *self.network.past.items()):
            part.requires_grad_(phase.trainable is None or name in phase.trainable)
        nodes: dict[float, list[Tensor]] = {}
        for name, weight in self.network.named_parameters():
            if weight.requires_grad:
                nodes.setdefault(phase.rates.get(name.split(".")[1], 1.0), []).append(weight)
        groups: list[dict[str, Any]] = [{"params": weights, "share": share} for share, weights in nodes.items()]
        if self.aside:
            groups.append({"params": list(self.aside.parameters()), "share": 1.0})
        decay = 0.0 if phase.anchor else self.weight_decay  # weights are drawn to where they began, not to zero
        return torch.optim.AdamW(groups, lr=phase.rate, weight_decay=decay)

    def _epoch(
        self, number: int, phase: Schedule, epoch: int, optimizer: torch.optim.AdamW, done: int
    ) -> tuple[dict[str, float], int]:
        """Means over the steps of an epoch, and the steps of the phase that are ``done`` after it."""
        rng = np.random.default_rng([self.seed, number, epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        self.network.train()
        sums: dict[str, float] = {}
        norms: dict[str, float] = {}
        steps = self._steps(phase, rng, done)
        for step, make in enumerate(steps):
            progress = phase.progress(epoch, step, len(steps), done + step)
            for group in optimizer.param_groups:
                group["lr"] = phase.rate_at(epoch, progress) * group["share"]
            optimizer.zero_grad(set_to_none=True)
            measured = (epoch * len(steps) + step if phase.steps is None else done + step) % EVERY == 0
            terms = self._step(make(), True, norms if measured else None, phase, progress)
            if not math.isfinite(terms["total"]):
                bad = [name for name, value in terms.items() if not math.isfinite(value)]
                raise TrainingError(
                    f"the loss is not finite in epoch {epoch} of {phase.name} ({', '.join(bad)})",
                    hint="lower the learning rate, or check the data for values outside their range",
                )
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
            optimizer.step()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0.0) + value / len(steps)
        whole = sum(norms.values()) or 1.0
        return sums | {f"share_{name}": norm / whole for name, norm in norms.items()}, done + len(steps)

    def _steps(self, phase: Schedule, rng: np.random.Generator, done: int) -> Sequence[Callable[[], Mixture]]:
        """Those of one pass; of a phase of steps as many passes as make :data:`CHECK`, and no more than are left."""
        batches = phase.batches or self.batches
        steps = batches(rng)
        if phase.steps is None:
            return steps
        wanted, found = min(CHECK, phase.steps - done), list(steps)
        while steps and len(found) < wanted:
            steps = batches(rng)
            found += steps
        return found[: phase.steps - done]

    def _step(
        self,
        mixture: Mixture,
        backward: bool,
        norms: dict[str, float] | None = None,
        phase: Schedule | None = None,
        progress: float = 1.0,
    ) -> dict[str, float]:
        """Loss terms of one step by name: raw, ``weighted_<name>`` and ``total``; shares of the mixture applied.

        The norm of the gradient of each weighted term is added to ``norms``.
        """
        found: dict[str, float] = {}
        total = 0.0
        for share, objective, batch in mixture:
            if backward:
                objective = _paced(objective, phase, progress)
            terms = objective.terms(self.network, batch, probe=backward)
            weights = _weights(objective, phase, progress)
            many = len(mixture) > 1
            keys = {name: f"{objective.stage}_{name}" if many and name != objective.stage else name for name in terms}
            if norms is not None:
                for name, value in terms.items():
                    norms[keys[name]] = norms.get(keys[name], 0.0) + self._norm(share * weights[name], value)
            loss = share * objective.total(terms, weights)
            if backward and loss.requires_grad:
                loss.backward()
            total += float(loss.detach())
            for name, value in terms.items():
                key = keys[name]
                found[key] = float(value.detach())
                found[f"weighted_{key}"] = share * weights[name] * found[key]
        if backward and phase and phase.anchor:
            found |= self._drawn(phase.anchor, norms)
            total += found["weighted_anchor"]
        return found | {"total": total}

    def _drawn(self, weight: float, norms: dict[str, float] | None) -> dict[str, float]:
        """The term ``anchor``: half the squared distance of what learns to where it began (L2-SP)."""
        learning = [(name, value) for name, value in self.network.named_parameters() if value.requires_grad]
        term = torch.stack([0.5 * (value - self._origin[name]).square().sum() for name, value in learning]).sum()
        if norms is not None:
            norms["anchor"] = norms.get("anchor", 0.0) + self._norm(weight, term)
        (weight * term).backward()  # type: ignore[no-untyped-call]
        return {"anchor": float(term.detach()), "weighted_anchor": weight * float(term.detach())}

    def _norm(self, weight: float, term: Tensor) -> float:
        """Norm of the gradient of ``weight * term`` by everything that learns; the graph is kept."""
        if weight == 0 or not term.requires_grad:
            return 0.0
        learning = [value for value in self.network.parameters() if value.requires_grad]
        found = torch.autograd.grad(weight * term, learning, retain_graph=True, allow_unused=True)
        return math.sqrt(sum(float(part.square().sum()) for part in found if part is not None))

    @torch.no_grad()
    def _score(self, phase: Schedule | None = None) -> float:
        """The validation score, every ramp at its end; NaN where there is nothing to validate with.

        The mean of the losses of each stage, each weighed by its observed fluxes, summed over stages.
        """
        self.network.eval()
        total: dict[str, float] = {}
        seen: dict[str, int] = {}
        for mixture in self.validate(phase):
            count = sum(objective.observations(batch) for _, objective, batch in mixture)
            stage = mixture[0][1].stage
            total[stage] = total.get(stage, 0.0) + count * self._step(mixture, False, phase=phase)["total"]
            seen[stage] = seen.get(stage, 0) + count
        scores = [total[stage] / seen[stage] for stage in total if seen[stage]]
        return sum(scores) if scores else math.nan

    def _say(self, phase: Schedule, epoch: int, row: dict[str, float], done: int) -> None:
        where = f"epoch {epoch + 1}/{phase.epochs}" if phase.steps is None else f"step {done}/{phase.steps}"
        print(
            f"{self.label} {phase.name} {where}: loss {row['total']:.4f}, "
            f"validation {row['validation']:.4f} (best {row['best']:.4f}), {row['seconds']:.1f} s",
            file=sys.stderr,
            flush=True,
        )

    def _say_inert(self, phase: Schedule, rows: list[dict[str, Any]]) -> None:
        """Name the terms that were violated and yet made less than 1 % of the gradient."""
        table = pd.DataFrame(rows)
        shares = {str(name).removeprefix("share_"): table[name].mean() for name in table.filter(like="share_")}
        inert = [name for name, share in shares.items() if share < LEAST and table[f"weighted_{name}"].mean() > 0]
        if inert:
            said = ", ".join(f"{name} ({100 * shares[name]:.2g} %)" for name in inert)
            print(
                f"{self.label} {phase.name}: warning: terms below 1 % of the gradient, without effect: {said}",
                file=sys.stderr,
                flush=True,
            )

    def _store(
        self,
        number: int,
        epoch: int,
        done: int,
        optimizer: torch.optim.AdamW,
        best: float,
        weights: dict[str, Tensor],
        worse: int,
        history: list[dict[str, Any]],
    ) -> None:
        if self.checkpoint is None:
            return
        content = {
            "signature": self.signature,
            "phase": number,
            "epoch": epoch,
            "done": done,
            "aside": self.aside.state_dict() if self.aside else None,
            "weights": self.network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "best": best,
            "best_weights": weights,
            "worse": worse,
            "history": history,
        }
        with files.atomic(self.checkpoint) as partial:
            torch.save(content, partial)

    def _restore(self) -> dict[str, Any] | None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return None
        try:
            check_seal(self.checkpoint)
            content = torch.load(self.checkpoint, weights_only=True)
        except Exception:  # whatever is wrong with it, starting again is right
            content = {}
        if content.get("signature") != self.signature:
            print(f"{self.label}: {self.checkpoint} is of another run; starting afresh", file=sys.stderr)
            return None
        print(f"{self.label}: resuming after epoch {content['epoch'] + 1} of phase {content['phase']}", file=sys.stderr)
        return content


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def _paced(objective: Scored, phase: Schedule | None, progress: float) -> Scored:
    """``objective`` with the threshold of self-paced learning when the share ``progress`` of ``phase`` is over."""
    if phase is None or phase.pace is None or not isinstance(objective, Objective):
        return objective
    first, last = phase.pace
    return replace(objective, most=first * (last / first) ** progress)


def _weights(objective: Scored, phase: Schedule | None, progress: float) -> dict[str, float]:
    """Weights of the terms of ``objective`` when the share ``progress`` of ``phase`` is over."""
    weights = objective.weights()
    ramps = phase.terms if phase else {}
    return weights | {name: ramp.at(progress) for name, ramp in ramps.items() if name in weights}

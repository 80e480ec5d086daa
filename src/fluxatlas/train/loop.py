"""The training loop: phases of epochs, early stopping, a checkpoint after every epoch, the same result after a kill.

Randomness of an epoch comes from (seed, phase, epoch) alone, so that a run resumed from its last checkpoint repeats
what an uninterrupted one does, bit by bit.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from .. import files
from ..errors import FluxAtlasError
from .data import Batch
from .losses import Objective
from .networks import HierarchicalNetwork

Mixture = Sequence[tuple[float, Objective, Batch]]
"""One step: batches with their share of the loss and their objective."""

EVERY = 50
"""Steps from one measurement of the terms' shares of the gradient to the next; the first step of a phase is one."""
LEAST = 0.01
"""Share of the gradient below which a term has no effect."""
FLOOR = 0.02
"""Last learning rate as a fraction of the highest."""


class TrainingError(FluxAtlasError):
    """Training diverged: the loss is not finite."""


@dataclass(frozen=True)
class Schedule:
    """``epochs`` at a highest learning ``rate``; only the sub-modules ``trainable`` learn (None: all).

    With ``keep_start`` the weights it starts from are kept where no epoch scores better.
    """

    name: str
    epochs: int
    rate: float
    trainable: tuple[str, ...] | None = None
    keep_start: bool = True


@dataclass
class Trainer:
    """Trains ``network`` in place and leaves it with the weights of the best validation score.

    ``batches(rng)`` gives the steps of an epoch, each made when called; ``validate()`` gives mixtures of validation
    batches, scored without gradient by the same objectives without probes. Where it is empty the training loss decides.
    ``signature`` tells whether a checkpoint belongs to this run.
    """

    network: HierarchicalNetwork
    phases: Sequence[Schedule]
    batches: Callable[[np.random.Generator], Sequence[Callable[[], Mixture]]]
    validate: Callable[[], Iterable[Mixture]]
    seed: int
    patience: int
    clip: float
    weight_decay: float = 1e-4
    checkpoint: Path | None = None
    signature: str = ""
    label: str = ""

    def run(self) -> pd.DataFrame:
        """Train, resuming from the checkpoint if there is one of this run; returns the history, a row per epoch.

        Raises :class:`TrainingError` where the loss is not finite.
        """
        saved = self._restore()
        history: list[dict[str, Any]] = saved["history"] if saved else []
        for number, phase in enumerate(self.phases):
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
        else:
            best, weights, worse, begin = math.nan, _copy(self.network), 0, 0
            if phase.keep_start:
                best = self._score()
        for epoch in range(begin, phase.epochs):
            if worse >= self.patience:
                break
            started = time.monotonic()
            row = self._epoch(number, phase, epoch, optimizer)
            score = self._score()
            score = row["total"] if math.isnan(score) else score
            if math.isnan(best) or score < best:
                best, weights, worse = score, _copy(self.network), 0
            else:
                worse += 1
            row |= {"validation": score, "best": best, "seconds": time.monotonic() - started}
            history.append({"phase": phase.name, "epoch": epoch, **row})
            self._say(phase, epoch, row)
            self._store(number, epoch, optimizer, best, weights, worse, history)
        self.network.load_state_dict(weights)
        self._say_inert(phase, [row for row in history if row["phase"] == phase.name])
        return history

    def _optimizer(self, phase: Schedule) -> torch.optim.AdamW:
        for name, part in (*self.network.parts.items(), *self.network.told.items(), *self.network.past.items()):
            part.requires_grad_(phase.trainable is None or name in phase.trainable)
        chosen = [weight for weight in self.network.parameters() if weight.requires_grad]
        return torch.optim.AdamW(chosen, lr=phase.rate, weight_decay=self.weight_decay)

    def _epoch(self, number: int, phase: Schedule, epoch: int, optimizer: torch.optim.AdamW) -> dict[str, float]:
        rng = np.random.default_rng([self.seed, number, epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        self.network.train()
        sums: dict[str, float] = {}
        norms: dict[str, float] = {}
        steps = self.batches(rng)
        for step, make in enumerate(steps):
            progress = (epoch + step / len(steps)) / phase.epochs
            for group in optimizer.param_groups:
                group["lr"] = phase.rate * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * progress)))
            optimizer.zero_grad(set_to_none=True)
            measured = (epoch * len(steps) + step) % EVERY == 0
            terms = self._step(make(), backward=True, norms=norms if measured else None)
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
        return sums | {f"share_{name}": norm / whole for name, norm in norms.items()}

    def _step(self, mixture: Mixture, backward: bool, norms: dict[str, float] | None = None) -> dict[str, float]:
        """Loss terms of one step by name: raw, ``weighted_<name>`` and ``total``; shares of the mixture applied.

        The norm of the gradient of each weighted term is added to ``norms``.
        """
        found: dict[str, float] = {}
        total = 0.0
        for share, objective, batch in mixture:
            terms = objective.terms(self.network, batch, probe=backward)
            weights = objective.weights()
            keys = {name: name if len(mixture) == 1 else f"{objective.stage}_{name}" for name in terms}
            if norms is not None:
                for name, value in terms.items():
                    norms[keys[name]] = norms.get(keys[name], 0.0) + self._norm(share * weights[name], value)
            loss = share * objective.total(terms)
            if backward:
                loss.backward()
            total += float(loss.detach())
            for name, value in terms.items():
                key = keys[name]
                found[key] = float(value.detach())
                found[f"weighted_{key}"] = share * weights[name] * found[key]
        return found | {"total": total}

    def _norm(self, weight: float, term: Tensor) -> float:
        """Norm of the gradient of ``weight * term`` by everything that learns; the graph is kept."""
        if weight == 0 or not term.requires_grad:
            return 0.0
        learning = [value for value in self.network.parameters() if value.requires_grad]
        found = torch.autograd.grad(weight * term, learning, retain_graph=True, allow_unused=True)
        return math.sqrt(sum(float(part.square().sum()) for part in found if part is not None))

    @torch.no_grad()
    def _score(self) -> float:
        """Mean of the validation losses, each weighed by its observed fluxes; NaN where there are none."""
        self.network.eval()
        total, seen = 0.0, 0
        for mixture in self.validate():
            count = sum(objective.observations(batch) for _, objective, batch in mixture)
            total += count * self._step(mixture, backward=False)["total"]
            seen += count
        return total / seen if seen else math.nan

    def _say(self, phase: Schedule, epoch: int, row: dict[str, float]) -> None:
        print(
            f"{self.label} {phase.name} epoch {epoch + 1}/{phase.epochs}: loss {row['total']:.4f}, "
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
            content = torch.load(self.checkpoint, weights_only=True)
        except Exception:  # whatever is wrong with it, starting again is right
            content = {}
        if content.get("signature") != self.signature:
            print(f"{self.label}: {self.checkpoint} is of another run; starting afresh", file=sys.stderr)
            return None
        print(f"{self.label}: resuming after epoch {content['epoch'] + 1} of phase {content['phase']}", file=sys.stderr)
        return content


def _copy(network: HierarchicalNetwork) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}

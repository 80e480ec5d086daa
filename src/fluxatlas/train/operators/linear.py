"""What an observation operator is: sparse weights over daily outputs, and what is then done to both sides alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...errors import InputError, nearest
from ...systems import Support
from .spans import IntArray, ragged

SOFTNESS = 0.1
"""Width, in standard deviations of a group, over which two values exchange their ranks."""
MOST_PAIRS = 50_000_000
"""Ranks compare all pairs within a group; more than these do not fit in memory."""

Moved = TypeVar("Moved", bound=Any)


def moved(record: Moved, device: str | torch.device) -> Moved:
    """A frozen dataclass with all tensors in it, and in dataclasses and mappings in it, on ``device``."""

    def move(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        if isinstance(value, Mapping):
            return {name: move(part) for name, part in value.items()}
        return moved(value, device) if is_dataclass(value) else value

    changed: dict[str, Any] = {part.name: move(getattr(record, part.name)) for part in fields(record)}
    return replace(record, **changed)


@dataclass(frozen=True, eq=False)
class Entries:
    """Outputs of one variable that observations are made of: entry k adds ``weight[k] * x[time[k], cell[k]]`` to
    observation ``row[k]`` (all (entry,)); without ``row`` and ``weight`` each entry is an observation by itself.
    """

    time: Tensor
    cell: Tensor
    row: Tensor | None = None
    weight: Tensor | None = None
    reach: tuple[int, int] = (0, 0)  # days and cells that the outputs must have
    whole: tuple[int, int] | None = None  # first and last day where they are all cells of these days, in order

    @classmethod
    def of(cls, time: IntArray, cell: IntArray, row: IntArray | None = None, weight: Any = None) -> Entries:
        """Entries from arrays."""
        reach = (int(time.max(initial=-1)) + 1, int(cell.max(initial=-1)) + 1)
        days, cells = (torch.as_tensor(array, dtype=torch.long) for array in (time, cell))
        if row is None:
            return cls(days, cells, reach=reach, whole=_whole(time, cell, reach[1]))
        rows = torch.as_tensor(row, dtype=torch.long)
        return cls(days, cells, rows, torch.as_tensor(np.asarray(weight, float)), reach)

    def sums(self, values: Tensor, size: int) -> Tensor:
        """Weighted sums (size,) of ``values`` (time, cell)."""
        if values.ndim != 2 or any(have < need for have, need in zip(values.shape, self.reach, strict=True)):
            raise InputError(
                f"observations reach to day {self.reach[0]} and cell {self.reach[1]} of outputs "
                f"of shape {tuple(values.shape)}",
                hint="outputs are (time, cell), on the axis that the operator was made for",
            )
        if self.whole and values.shape[1] == self.reach[1]:
            return values[self.whole[0] : self.whole[1] + 1].reshape(-1)
        taken = values[self.time, self.cell]
        if self.row is None or self.weight is None:
            return taken
        return taken.new_zeros(size).index_add(0, self.row, taken * self.weight.to(taken.dtype))


def _whole(time: IntArray, cell: IntArray, cells: int) -> tuple[int, int] | None:
    """First and last day where the entries are all ``cells`` of each day between, in order; None where they are not."""
    if not time.size or time.size % cells or time.size // cells != time[-1] - time[0] + 1:
        return None
    times, numbers = time.reshape(-1, cells), cell.reshape(-1, cells)
    in_order = (times == np.arange(time[0], time[-1] + 1)[:, None]).all() and (numbers == np.arange(cells)).all()
    return (int(time[0]), int(time[-1])) if in_order else None


@dataclass(frozen=True, eq=False)
class Operator:
    """How daily outputs become ``size`` observed numbers.

    ``parts`` holds what is summed, by variable; ``covered`` (size,) is False where the outputs do not hold what an
    observation is about (None: they hold all). ``group`` (size,) with ``relative`` makes both sides relative to the
    other observations of the group: ``departure`` from its mean, or ``rank``. ``chamber`` (size,) numbers effects that
    are added, which have a normal prior of mean 0 and ``prior_sd`` in the unit of the variable.
    """

    kind: Support
    size: int
    parts: Mapping[str, Entries]
    covered: Tensor | None = None
    group: Tensor | None = None
    relative: Literal["departure", "rank"] = "departure"
    chamber: Tensor | None = None
    prior_sd: float = float("inf")

    @property
    def variable(self) -> str:
        """The first variable it reads."""
        return next(iter(self.parts), "")

    def __call__(self, outputs: Mapping[str, Tensor | npt.NDArray[Any]], effects: Tensor | None = None) -> Tensor:
        """Predicted numbers (size,) from ``outputs`` (time, cell) by variable, in their units; NaN where not covered.

        ``effects`` (chamber,) are those of chambers, 0 if not given. A number is NaN where an output it needs is.
        Raises :class:`InputError` for an absent variable, and for outputs that are too small.
        """
        found: Tensor | None = None
        for name, entries in self.parts.items():
            if name not in outputs:
                raise InputError(
                    f"observations need the output '{name}'{nearest(name, outputs)}", hint="let the network give it"
                )
            part = entries.sums(torch.as_tensor(outputs[name]), self.size)
            found = part if found is None else found + part
        if found is None:
            raise InputError("an operator without variables has nothing to compare", hint="name a variable")
        if effects is not None:
            if self.chamber is None:
                raise InputError(f"the operator '{self.kind}' has no chambers", hint="leave 'effects' out")
            found = found + effects.to(found.dtype)[self.chamber]
        return found if self.covered is None else torch.where(self.covered, found, torch.nan)

    def alike(self, values: Tensor, rows: Tensor) -> Tensor:
        """What is done to both sides: ``values`` (size,) relative to those of their group at ``rows`` (kept,)."""
        if self.group is None:
            return values
        kept, group = values[rows], self.group[rows]
        count = torch.bincount(group, minlength=int(self.group.max()) + 1 if self.size else 0)
        mean = torch.zeros_like(count, dtype=values.dtype).index_add(0, group, kept) / count.clamp_min(1)
        if self.relative == "departure":
            return values - mean[self.group]
        return values.new_full((self.size,), torch.nan).index_put((rows,), _ranks(kept, group, count, mean))

    def cut(self, row: IntArray, column: IntArray, shift: IntArray) -> Operator:
        """The observations ``row`` (m,) on other outputs: in cell ``column`` (m,), ``shift`` (m,) days later.

        Every observation must be about one cell.
        """
        parts = {}
        for name, entries in self.parts.items():
            begin = np.arange(self.size + 1)
            order = begin[:-1]
            if entries.row is not None:
                order = np.argsort(entries.row.numpy(), kind="stable")
                begin = np.searchsorted(entries.row.numpy()[order], begin)
            number, place = ragged((begin[1:] - begin[:-1])[row])
            source = order[begin[row][number] + place]
            weight = None if entries.weight is None else entries.weight.numpy()[source]
            time = entries.time.numpy()[source] + shift[number]
            parts[name] = Entries.of(time, column[number], None if entries.row is None else number, weight)
        group = None if self.group is None else np.stack([self.group.numpy()[row], column])
        return replace(
            self,
            size=row.size,
            parts=parts,
            covered=None if self.covered is None else self.covered[row],
            group=None if group is None else torch.as_tensor(np.unique(group, axis=1, return_inverse=True)[1]),
            chamber=None if self.chamber is None else self.chamber[row],
        )


def _ranks(values: Tensor, group: Tensor, count: Tensor, mean: Tensor) -> Tensor:
    """Ranks (n,) between 0 and 1 within groups, smooth: share of the values of the group that lie below.

    Two values change places over :data:`SOFTNESS` standard deviations, so that there is a gradient; a shift or a
    positive factor of a group changes nothing.
    """
    most = int(count.max()) if count.numel() else 0
    if most * values.numel() > MOST_PAIRS:
        raise InputError(
            f"ranks of {values.numel():,} observations in groups of up to {most:,} need too much memory",
            hint="rank within seasons, in fewer cells at a time, or use departures",
        )
    spread = torch.zeros_like(mean).index_add(0, group, (values - mean[group]) ** 2) / count.clamp_min(1)
    least = (1e-6 * mean) ** 2 + torch.finfo(values.dtype).tiny  # of a group that does not vary
    scaled = (values - mean[group]) / (SOFTNESS * (spread + least).sqrt())[group]
    order = torch.argsort(group, stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(order.numel(), device=order.device) - (torch.cumsum(count, 0) - count)[group[order]]
    table = scaled.new_full((count.numel(), most), torch.inf).index_put((group, place), scaled)
    there = torch.isfinite(table)
    below = torch.sigmoid(scaled[:, None] - torch.where(there, table, 0.0)[group]) * there[group]
    return below.sum(dim=1) / count[group]

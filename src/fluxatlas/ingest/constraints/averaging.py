"""Steps put together to days or months as they go by, with only the current one in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...errors import InputError, counted

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Period:
    """A step: its first moment, its length in ``days``, its values, and the file it comes from."""

    start: np.datetime64
    days: float
    values: Array
    where: str


class Averager:
    """Means over days (``D``) or months (``M``), weighted with the length of the steps.

    A day or month that is not complete is left out at either end (``notes`` says so) and an error within, as are
    repeated, disordered and absent ones, unless ``keep_gaps``.
    """

    def __init__(self, unit: Literal["D", "M"], where: str, keep_gaps: bool = False) -> None:
        self.unit, self.where, self.keep_gaps = unit, where, keep_gaps
        self.notes: list[str] = []

    def averaged(self, steps: Iterator[Period]) -> Iterator[Period]:
        """One :class:`Period` for each day or month of ``steps``, which come in order of time."""
        last: np.datetime64 | None = None
        lacking: list[str] = []
        where = self.where
        for whole in self._grouped(steps):
            if abs(whole.days - self._length(whole.start)) > 1e-3:
                lacking.append(f"{whole.start} ({whole.days:g} of {self._length(whole.start):g} days)")
                where = whole.where
                continue
            if last is not None:
                self._follows(last, whole.start, lacking, whole.where)
            elif lacking:
                self.notes.append(f"incomplete and left out at the start: {', '.join(lacking)}")
            last, lacking = whole.start, []
            yield whole
        if not lacking:
            return
        if last is None:
            name, hint = {"M": ("month", "give all files of at least one month")}.get(
                self.unit, ("day", "get it again")
            )
            raise InputError(f"no complete {name}: {lacking[0]}", where=where, hint=hint)
        self.notes.append(f"incomplete and left out at the end: {', '.join(lacking)}")

    def _grouped(self, steps: Iterator[Period]) -> Iterator[Period]:
        """The mean of the steps of each day or month, weighted with their lengths; ``start`` is the day or month."""
        total: Period | None = None
        before: Period | None = None
        for step in steps:
            if before is not None and step.start <= before.start:
                what = "is repeated" if step.start == before.start else f"comes after {str(before.start)[:16]}"
                raise InputError(
                    f"a time is repeated or out of order: {str(step.start)[:16]} {what}",
                    where=step.where if step.where == before.where else f"{before.where} and {step.where}",
                    hint="give each step once",
                )
            before = Period(step.start, step.days, step.values[:0], step.where)
            start = step.start.astype(f"datetime64[{self.unit}]")
            if total is not None and start == total.start:
                days = total.days + step.days
                values = (total.values * total.days + step.values * step.days) / days
                total = Period(start, days, values, step.where)
                continue
            if total is not None:
                yield total
            total = Period(start, step.days, step.values, step.where)
        if total is not None:
            yield total

    def _length(self, start: np.datetime64) -> float:
        return float(((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(int))

    def _follows(self, last: np.datetime64, start: np.datetime64, lacking: list[str], where: str) -> None:
        """Raise :class:`InputError` unless ``start`` is next to ``last``, or note the gap."""
        absent = int((start - last).astype(int)) - 1
        if not absent:
            return
        name = "month" if self.unit == "M" else "day"
        why = f"; incomplete: {lacking[0]}" if lacking else ""
        text = f"{counted(absent, name)} absent before {start}, the first is {last + 1}{why}"
        if not self.keep_gaps:
            raise InputError(
                f"a gap in time: {text}",
                where=where,
                hint="get the missing files, or set gaps: keep (absent steps are then missing values)",
            )
        self.notes.append(text)

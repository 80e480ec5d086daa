"""Raw values step by step, arranged by the day they belong to: UTC days, or days of local solar time.

The local solar day of a cell begins at midnight of mean solar time, longitude / 15 hours from UTC, rounded to a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import daily
from .archive import Archive, Times
from .coordinates import GridWindow
from .declaration import DeclaredMapping

Values = npt.NDArray[np.float32]


def solar_shift(lon: npt.ArrayLike, step_hours: float) -> npt.NDArray[np.int64]:
    """Steps by which mean solar time at ``lon`` [degrees east, any turn] is ahead of UTC; half steps are rounded up."""
    degrees = (np.asarray(lon, float) + 180.0) % 360.0 - 180.0
    return np.floor(degrees / 15.0 / step_hours + 0.5).astype(np.int64)


class StepReader:
    """Reads raw variables of ``mapping`` in whole days; ``local``: days of local solar time instead of the source's.

    An archive that begins in the year ``first_year`` may begin within its first day: the first step stands for those
    before it, which ``repeated`` counts by raw variable.
    """

    def __init__(
        self, archive: Archive, mapping: DeclaredMapping, *, local: bool = False, first_year: int | None = None
    ) -> None:
        self.archive, self.mapping, self.local, self.first_year = archive, mapping, local, first_year
        self.repeated: dict[str, int] = {}
        self.fields = mapping.fields
        self.step = mapping.step
        self.steps = mapping.steps

    def check(self, raw: str, start: np.datetime64, stop: np.datetime64, window: GridWindow) -> None:
        """Raise :class:`InputError` unless all steps of the days are there exactly once; reads no data."""
        begins, offset = self._steps_of(raw, *self._span(start, stop, window))
        self.archive.locate(self.fields[raw], self._codes(raw, begins, offset))

    def read(self, raw: str, start: np.datetime64, stop: np.datetime64, window: GridWindow) -> Values:
        """Values (time, lat, lon) of days ``start`` <= day < ``stop``; of local days, accumulations become amounts."""
        first, last = self._span(start, stop, window)
        begins, offset = self._steps_of(raw, first, last)
        values = self.archive.read(self.fields[raw], self._codes(raw, begins, offset), window)
        if not self.local:
            return values
        if self.mapping.raw[raw].time == "accumulated":
            ends_first = begins.astype("datetime64[D]") == begins
            where = self.archive.where(self.fields[raw], start, stop)
            values = daily.amounts(values, ends_first, where)[-self._number(first, last) :]
        shift = solar_shift(window.lon, self.mapping.step_hours)
        count = self._number(start, stop)
        result = np.empty((count, *window.shape), values.dtype)
        for ahead in np.unique(shift):
            begin = int(shift.max() - ahead)
            result[:, :, shift == ahead] = values[begin : begin + count][:, :, shift == ahead]
        return result

    def _codes(self, raw: str, begins: Times, offset: np.timedelta64) -> Times:
        """Codes of the steps that begin at ``begins``; the archive's first where it begins later on that day."""
        codes = self.archive.codes(begins) + offset
        if self.first_year is None or self.mapping.raw[raw].time == "accumulated" or not codes.size:
            return codes
        times = [file.times.min() for file, _ in self.archive.holders(self.fields[raw]) if file.times.size]
        first = min(times, default=codes[0])
        of_that_year = first.astype("datetime64[Y]").astype(int) + 1970 == self.first_year
        late = codes[0] < first < codes[0] + np.timedelta64(1, "D")
        if not (of_that_year and late):
            return codes
        self.repeated[raw] = int((codes < first).sum())
        return np.maximum(codes, first)

    def _span(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow
    ) -> tuple[np.datetime64, np.datetime64]:
        """Start of the first step and end of the last one."""
        first, last = start.astype("datetime64[s]"), stop.astype("datetime64[s]")
        if not self.local:
            return first, last
        shift = solar_shift(window.lon, self.mapping.step_hours)
        return first - int(shift.max()) * self.step, last - int(shift.min()) * self.step

    def _number(self, first: np.datetime64, last: np.datetime64) -> int:
        return int((last.astype("datetime64[s]") - first.astype("datetime64[s]")) / self.step)

    def _steps_of(self, raw: str, first: np.datetime64, last: np.datetime64) -> tuple[Times, np.timedelta64]:
        """Starts of the steps from ``first`` to ``last`` (an accumulation: from the start of its day), and how long
        after its start a step is stamped."""
        kind: str = self.mapping.raw[raw].time
        stamp = {"instant": "start", "accumulated": "end"}.get(kind, self.mapping.stamp)
        if kind == "accumulated":
            first = first.astype("datetime64[D]").astype("datetime64[s]")
        offset: Any = {"middle": self.step // 2, "end": self.step}.get(stamp, 0 * self.step)
        return first + np.arange(self._number(first, last)) * self.step, offset

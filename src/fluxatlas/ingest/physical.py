"""What daily forcing must be physically, asked day by day and cell by cell, and what is mended and counted on the way.

Mended are noise just beyond a bound (``noise`` and ``bound`` of the table of variables) and, up to a limit, extremes of
temperature that cross each other, as some climate models publish them. Everything else is refused with its file, day
and cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables as table
from ..errors import InputError, UnitError, counted
from .coordinates import GridWindow
from .quantities import linear
from .sites.magnitude import by_magnitude

Values = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

BAND = 1 << 16
"""Values that are checked at once."""
SAMPLE = 100_000
"""Values of which the usual magnitude is the median."""
ROUND_OFF = 1e-3
"""Crossing [K] of extremes that is round-off of the arithmetic, and neither mended nor counted."""
TOO_MANY, MANY = 0.5, 100
"""Share of cells and days with crossed extremes (at least so many) beyond which the mapping must be wrong."""
SUPERSATURATED = 1.5
"""How much of its bound a relative humidity may be and still count as saturation."""
EXTREMES = (("tasmin", "tas"), ("tas", "tasmax"), ("tasmin", "tasmax"))

Where = Callable[[np.datetime64], str]
"""File and variable that hold a day, for a message."""


class Physical:
    """The checks of one source. ``clipped`` counts the values clipped to a bound, by variable; ``crossed`` the cells
    and days whose extremes of temperature were put in order, which is done up to ``crossing`` [K]."""

    def __init__(self, crossing: float = 0.05) -> None:
        self.crossing = crossing
        self.clipped: Counter[str] = Counter()
        self.crossed = 0
        self._mask: dict[str, Mask] = {}
        self._judged: set[str] = set()

    def begin(self) -> None:
        """Before another period: which cells have data is learnt from its first block."""
        self._mask.clear()

    @property
    def learnt(self) -> tuple[dict[str, Any], dict[str, Mask]]:
        """What is known after some blocks, to be kept: counts and names (JSON), and cells without data by variable."""
        about = {"clipped": dict(self.clipped), "crossed": self.crossed, "judged": sorted(self._judged)}
        return about, dict(self._mask)

    @learnt.setter
    def learnt(self, known: tuple[dict[str, Any], dict[str, Mask]]) -> None:
        about, masks = known
        self.clipped, self.crossed = Counter(about["clipped"]), int(about["crossed"])
        self._judged, self._mask = set(about["judged"]), dict(masks)

    @property
    def attrs(self) -> dict[str, np.int32]:
        """What was mended so far, as attributes of a file."""
        clipped = {f"clipped_{name}": np.int32(count) for name, count in self.clipped.items()}
        return {**clipped, "crossed_extremes": np.int32(self.crossed)}

    def missing_everywhere(self, name: str) -> bool:
        """Whether no cell of the blocks so far has ``name``."""
        return bool(self._mask[name].all())

    def daily(self, name: str, values: Values, start: np.datetime64, window: GridWindow, where: Where) -> Values:
        """``values`` (day, lat, lon) of days from ``start`` without noise beyond their bounds.

        Raises :class:`InputError` for values out of range and cells that are missing on some days only.
        """
        low, high = table.get(name).valid
        if table.get(name).noise:
            self.clipped[name] += 0  # said of every such variable
        mask = self._mask.get(name, np.isnan(values[0]))
        if _as_expected(values, low, high, mask):
            self._mask[name] = mask
            return values
        values, count = table.without_noise(values, name)
        self.clipped[name] += count
        with np.errstate(invalid="ignore"):
            bad = (values < low) | (values > high)
        if bad.any():
            table.check_range(values, name, where=_first(bad, start, window, where))
        missing = np.isnan(values)
        mask = self._mask.setdefault(name, np.asarray(missing.all(axis=0)))
        strange = missing != mask
        if strange.any():
            raise InputError(
                f"'{name}' is missing on some days only ({int(strange.any(axis=0).sum())} cells)",
                where=_first(strange, start, window, where),
                hint="the source must cover a cell on all days (values outside a stated valid_range are missing)",
            )
        return values

    def argument(self, name: str, values: Values, dates: pd.DatetimeIndex, window: GridWindow, where: Where) -> Values:
        """As :meth:`daily` for ``values`` (step, lat, lon) at ``dates`` that a rule makes a variable of; only where
        ``name`` has bounds that noise may pass."""
        row = table.get(name)
        if not row.noise:
            return values
        values, count = table.without_noise(values, name)
        if row.bound:  # models publish what is saturated over ice as more than all over water
            above = (values > row.bound[1]) & (values <= SUPERSATURATED * row.bound[1])
            count += int(above.sum())
            values = np.where(above, np.float32(row.bound[1]), values)
        self.clipped[name] += count
        low, high = row.valid
        with np.errstate(invalid="ignore"):
            bad = (values < low) | (values > high)
        if bad.any():
            step, row_, column = np.argwhere(bad)[0]
            start = np.datetime64(dates[int(step)], "D")
            table.check_range(values, name, where=_at((0, row_, column), start, window, where))
        return values

    def magnitude(self, raw: str, name: str, values: Values, units: str, where: str) -> None:
        """Refuse ``values`` [canonical units of ``name``] whose magnitude is that of another unit than ``units``.

        Each raw variable is asked once. Raises :class:`UnitError`.
        """
        if raw in self._judged:
            return
        some = values.reshape(-1)[:: max(1, values.size // SAMPLE)]
        some = some[np.isfinite(some)]
        if not some.size:
            return
        self._judged.add(raw)
        factor, offset = linear(units, name, where)
        found = by_magnitude((some - offset) / factor, name, units=units, factor=factor, offset=offset)
        if found is not None and found.units:
            low, high = table.get(name).valid
            outside = int(((some < low) | (some > high)).sum())
            text = found.text.removeprefix(f"the unit says '{units}' but ")
            more = f"; {outside} of {some.size} values lie outside [{low:g}, {high:g}]" if outside else ""
            raise UnitError(
                f"'{raw}' is in '{units}', but {text}{more}",
                where=where,
                hint=f"state the true unit: forcing.overrides: {{{raw}: {{units: '{found.units}', reason: ...}}}}",
            )

    def extremes(self, block: dict[str, Values], start: np.datetime64, window: GridWindow, where: Where) -> None:
        """Put ``tasmin``, ``tas`` and ``tasmax`` of ``block`` in order, in place, where they cross by little.

        Extremes that cross are exchanged, then widened to the mean where it is not between them. Raises
        :class:`InputError` where they cross by more than the limit.
        """
        present = [(block[low] - block[high], low, high) for low, high in EXTREMES if low in block and high in block]
        if not present:
            return
        with np.errstate(invalid="ignore"):
            excess, low, high = max(present, key=lambda pair: float(np.nanmax(pair[0], initial=-np.inf)))
            wrong = np.logical_or.reduce([cross > ROUND_OFF for cross, _, _ in present])
            beyond = np.logical_or.reduce([cross > self.crossing for cross, _, _ in present])
        swapped = wrong.sum() > max(MANY, TOO_MANY * np.isfinite(excess).sum())
        if beyond.any() or swapped:
            worst = np.unravel_index(int(np.nanargmax(excess)), excess.shape)
            most = float(excess[worst])
            way_on = (
                f"if they are published so, set forcing.crossing to {np.ceil(10 * most) / 10:g}: they are put in order"
            )
            crossed = counted(int(wrong.sum()), "day of a cell has", "days of cells have")
            raise InputError(
                f"'{low}' exceeds '{high}' by {most:.2f} K ({crossed} crossed extremes)",
                where=_at(worst, start, window, where),
                hint="the mapping swaps variables"
                if swapped
                else f"{way_on} and counted; the mapping may swap variables",
            )
        if wrong.any():
            self.crossed += int(wrong.sum())
            _put_in_order(block, wrong)


def _put_in_order(block: dict[str, Values], wrong: Mask) -> None:
    """Exchange extremes that cross in the cells and days ``wrong``, and widen them to the mean."""
    least = [block[name] for name in ("tasmin", "tas", "tasmax") if name in block]
    for name, extreme in (("tasmin", np.minimum), ("tasmax", np.maximum)):
        if name in block:
            block[name] = np.where(wrong, extreme.reduce(least), block[name])


def _first(bad: Mask, start: np.datetime64, window: GridWindow, where: Where) -> str:
    """File, variable, day and cell of the first ``bad`` value."""
    return _at(np.argwhere(bad)[0], start, window, where, first=int(bad.sum()) > 1)


def _at(index: Any, start: np.datetime64, window: GridWindow, where: Where, first: bool = True) -> str:
    day, row, column = (int(i) for i in index)
    date = start.astype("datetime64[D]") + day
    lat, lon = window.lat[row], (window.lon[column] + 180.0) % 360.0 - 180.0
    return f"{where(date)}; {'first ' if first else ''}on {date} in the cell at {lat:g} N {lon:g} E"


def _as_expected(values: Values, low: float, high: float, mask: Mask) -> bool:
    """Whether exactly the cells of ``mask`` are missing on all days (day, lat, lon), and the others in low..high.

    It is asked in bands that stay in the cache of the processor, which is several times faster than array by array.
    """
    rows = max(1, BAND // values.shape[-1])
    for day in values:
        for first in range(0, len(day), rows):
            part = day[first : first + rows]
            fine = missing = np.isnan(part)
            if not np.array_equal(missing, mask[first : first + rows]):
                return False
            with np.errstate(invalid="ignore"):
                fine |= (part >= low) & (part <= high)
            if not fine.all():
                return False
    return True

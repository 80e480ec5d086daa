"""A source described by a declared mapping: reads raw files and yields canonical daily variables, block by block."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import calendars
from .. import variables as table
from ..config.base import UnitOverride
from ..errors import ConfigError, InputError, UnitError, nearest
from ..variables import same_units
from . import daily, rules
from .archive import Archive
from .coordinates import BBox, GridWindow, SourceGrid
from .declaration import RULES, DeclaredMapping
from .elevation import read_orog
from .physical import EXTREMES, Physical, Where
from .quantities import is_amount, scaled
from .steps import StepReader

if TYPE_CHECKING:
    import xarray as xr

Values = npt.NDArray[np.float32]

BLOCK_BYTES = 128 * 2**20
"""Memory of one raw variable of a block of days."""
LONGEST_BLOCK = 73
"""Days of a block when memory does not limit it: a fifth of a year."""
LONGEST_LOCAL_STEP = 6
"""Longest step [h] that is regrouped into days of local solar time."""


class MappedSource:
    """Canonical daily variables of a data set described by a :class:`DeclaredMapping`.

    ``closing`` are files with the steps before or after the year that its days need. With ``day`` 'local' steps in UTC
    are regrouped into days of local solar time. ``elevation`` is read where a rule needs the altitude. ``physical``
    checks and mends values and counts what it mended, up to ``crossing`` [K] for extremes of temperature;
    ``repeated_days`` are the days that the calendar of the source lacks. Raises :class:`InputError` for unreadable or
    inconsistent files.
    """

    _reach = np.timedelta64(2, "D")
    """How long before a block a file is needed: local days begin on the day before."""

    def __init__(
        self,
        mapping: DeclaredMapping,
        files: Sequence[str | Path],
        closing: Sequence[str | Path] = (),
        overrides: Mapping[str, UnitOverride] | None = None,
        *,
        day: Literal["utc", "local"] = "utc",
        elevation: str | Path | None = None,
        elevation_variable: str = "",
        crossing: float = 0.05,
        first_year: int | None = None,
    ) -> None:
        self.mapping = mapping
        self.overrides = dict(overrides or {})
        for name in self.overrides:
            if name not in mapping.raw:
                raise ConfigError(
                    f"an override for the unknown raw variable '{name}'{nearest(name, mapping.raw)}",
                    where="forcing.overrides",
                    hint=f"the mapping reads {', '.join(mapping.raw)}",
                )
        self.local = day == "local" and mapping.day == "utc"
        if self.local and (mapping.monthly or mapping.step_hours > LONGEST_LOCAL_STEP):
            raise ConfigError(
                "the days of this source cannot be regrouped into days of local solar time",
                where="forcing.day",
                hint=f"'local' is for steps up to {LONGEST_LOCAL_STEP} hours; use 'utc'",
            )
        snap = np.timedelta64(1, "M") if mapping.monthly else mapping.step
        self.archive = Archive([*files, *closing], snap if mapping.monthly or mapping.stamp == "inside" else None)
        self.physical = Physical(crossing)
        self.repeated_days = 0
        self._relief = (elevation, elevation_variable)
        self._orog: tuple[GridWindow, Values] | None = None
        self._reader = StepReader(self.archive, mapping, local=self.local, first_year=first_year)
        self._steps = mapping.steps

    @property
    def clipped(self) -> Counter[str]:
        """Values clipped to a bound so far, by variable."""
        return self.physical.clipped

    @property
    def grid(self) -> SourceGrid:
        """The source grid."""
        return self.archive.grid

    @property
    def attrs(self) -> dict[str, str]:
        """What a file made from this source says about it: title, citation, meaning of a day, unit overrides, calendar.

        ``overlapping_steps`` counts the steps that several files hold with equal values, ``repeated_first_steps`` those
        for which the first step of an archive stands that begins within its first day, by raw variable.
        """
        fields = self.mapping.fields
        labels = {r: why for r, f in fields.items() if self.archive.holds(f) and (why := self._unit(r)[1])}
        day = {"utc": "UTC day", "local": "local day of the source"}[self.mapping.day]
        calendar = self.archive.calendar
        twice = {name: count for name, count in sorted(self.archive.overlaps.items()) if count}
        shared, begun = (
            ", ".join(f"{count} of {name}" for name, count in sorted(found.items()))
            for found in (twice, self._reader.repeated)
        )
        return {
            "source": self.mapping.title,
            "references": self.mapping.citation,
            "day_definition": "day of local solar time, longitude / 15 h rounded to a step" if self.local else day,
            "source_calendar": f"{calendar}: {calendars.RULES[calendar]}" if calendar in calendars.RULES else calendar,
            "unit_overrides": json.dumps(labels, sort_keys=True),
            **({"overlapping_steps": shared} if shared else {}),
            **({"repeated_first_steps": begun} if begun else {}),
        }

    @property
    def described(self) -> str:
        """The whole mapping as JSON: what of its file may matter to the values."""
        return self.mapping.model_dump_json()

    def daily(self, year: int, bbox: BBox, variables: Sequence[str] | None = None) -> xr.Dataset:
        """All days of ``year`` over ``bbox`` in memory: (time, lat, lon) float32; errors as :meth:`blocks`."""
        return self.days(np.datetime64(f"{year}-01-01"), np.datetime64(f"{year + 1}-01-01"), bbox, variables)

    def days(
        self, start: np.datetime64, stop: np.datetime64, bbox: BBox, variables: Sequence[str] | None = None
    ) -> xr.Dataset:
        """Days ``start`` <= day < ``stop`` over ``bbox`` in memory: (time, lat, lon) float32; errors as :meth:`blocks`.

        An incomplete day is refused; ask for whole days only.
        """
        import xarray as xr

        blocks = self.blocks(start, stop, self.grid.window(bbox), variables or tuple(self.mapping.variables))
        return xr.concat(list(blocks), "time")

    def block_days(self, window: GridWindow) -> int:
        """Days per block: as many as fit :data:`BLOCK_BYTES` per raw variable, at most :data:`LONGEST_BLOCK`."""
        return int(np.clip(BLOCK_BYTES // (4 * self._steps * window.shape[0] * window.shape[1]), 1, LONGEST_BLOCK))

    def values_a_day(self, window: GridWindow, variables: Sequence[str]) -> int:
        """About how many raw values are read for a day of ``variables``."""
        return max(self._steps, 1) * window.shape[0] * window.shape[1] * len(variables)

    def blocks(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, variables: Sequence[str]
    ) -> Iterator[xr.Dataset]:
        """Days ``start`` <= day < ``stop`` in blocks of whole days: (time, lat, lon) float32, canonical units.

        Cells without data are NaN on all days. Raises :class:`InputError` where a variable is not mapped, a step is
        missing, duplicated or displaced, a unit does not convert, a value is out of range or data are missing on some
        days only.
        """
        self.begin(start, stop, window, variables)
        yield from self.part(start, stop, window, variables)

    def begin(self, start: np.datetime64, stop: np.datetime64, window: GridWindow, variables: Sequence[str]) -> None:
        """Before the days of a period are read part by part: refuses what :meth:`blocks` refuses before it reads."""
        for name in variables:
            if name not in self.mapping.variables:
                raise InputError(
                    f"the source has no '{name}'{nearest(name, self.mapping.variables)}",
                    where=self.mapping.title,
                    hint=f"it has {', '.join(self.mapping.variables)}",
                )
        for raw in sorted({raw for name in variables for raw in self.mapping.raw_of(name)}):
            self._check_times(raw, start, stop, window)  # the whole period, before anything is read
        self.physical.begin()
        self.repeated_days += calendars.repeated_days(start, stop, self.archive.calendar)

    def part(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, variables: Sequence[str]
    ) -> Iterator[xr.Dataset]:
        """As :meth:`blocks` for a part of the period that :meth:`begin` was told; what was learnt before holds."""
        day, end = start.astype("datetime64[D]"), stop.astype("datetime64[D]")
        while day < end:
            following = min(day + np.timedelta64(self.block_days(window), "D"), end, self._limit(day))
            yield self._block(day, following, window, variables)
            self.archive.release(self.archive.codes(np.array([following - self._reach]))[0])
            day = following

    def _check_times(self, raw: str, start: np.datetime64, stop: np.datetime64, window: GridWindow) -> None:
        self._reader.check(raw, start, stop, window)

    def _limit(self, day: np.datetime64) -> np.datetime64:
        """The latest day at which a block that begins with ``day`` may end."""
        return day + np.timedelta64(LONGEST_BLOCK, "D")

    def _block(self, start: np.datetime64, stop: np.datetime64, window: GridWindow, names: Sequence[str]) -> xr.Dataset:
        import xarray as xr

        dates = np.arange(start, stop, dtype="datetime64[D]").astype("datetime64[ns]")
        result: dict[str, Values] = {}
        for name, values in self._values(start, stop, window, names):
            result[name] = self.physical.daily(name, values, start, window, self._on(name))
        self.physical.extremes(result, start, window, self._on(next(n for n in (*EXTREMES[-1], *names) if n in result)))
        empty = [name for name in names if self.physical.missing_everywhere(name)]
        if empty and len(empty) < len(names):
            where = self._where(empty[0], start, stop)
            raise InputError(f"'{empty[0]}' is missing everywhere", where=where, hint="get the file again")
        coords = {"time": dates, "lat": window.lat, "lon": window.lon}
        return xr.Dataset({name: (("time", "lat", "lon"), result[name]) for name in names}, coords)

    def _values(
        self, start: np.datetime64, stop: np.datetime64, window: GridWindow, names: Sequence[str]
    ) -> Iterator[tuple[str, Values]]:
        """Each canonical variable and its daily values, not checked; a raw variable is read once and then dropped."""
        uses = Counter(raw for name in names for raw in self.mapping.raw_of(name))
        raws: dict[str, Values] = {}
        for name in sorted(names, key=self.mapping.raw_of):
            for raw in self.mapping.raw_of(name):
                if raw not in raws:
                    raws[raw] = self._reader.read(raw, start, stop, window)
            yield name, self._daily(name, raws, start, stop, window)
            uses.subtract(self.mapping.raw_of(name))
            raws = {raw: data for raw, data in raws.items() if uses[raw] > 0}

    def _where(self, name: str, start: np.datetime64, stop: np.datetime64) -> str:
        parts = (name,) if name in self.mapping.fields else self.mapping.raw_of(name)
        return self.archive.where(self.mapping.fields[parts[0]], start, stop) if parts else f"{self._relief[0]}"

    def _on(self, name: str) -> Where:
        """What says where the values of a day are, for a message."""
        return lambda day: self._where(name, day, day + 1)

    def _altitude(self, window: GridWindow) -> Values:
        """Altitude [m] (lat, lon) of the source's cells, read once per window."""
        if self._orog is None or self._orog[0] is not window:
            path, variable = self._relief
            if not path:
                raise ConfigError(
                    "the mapping needs the altitude of the surface",
                    where="forcing.elevation",
                    hint="name a file with the elevation on the grid of the forcing",
                )
            self._orog = window, read_orog(path, window, variable)
        return self._orog[1]

    def _unit(self, raw: str) -> tuple[str, str]:
        """Unit of a raw variable and, where it is not the file's label, a sentence that says so.

        Raises :class:`UnitError` where there is neither label nor declaration, or both differ without a reason.
        """
        declared = self.mapping.raw[raw]
        units, reason = declared.units, declared.reason
        if raw in self.overrides:
            units, reason = self.overrides[raw].units, self.overrides[raw].reason
        label = self.archive.units(self.mapping.fields[raw])
        if not units and not label:
            paths = ", ".join(str(f.path) for f, _ in self.archive.holders(self.mapping.fields[raw])[:2])
            hint = "declare it under forcing.overrides with a reason"
            raise UnitError(f"'{raw}' has no unit", where=paths, hint=hint)
        if not units or (label and (units == label or same_units(units, label))):
            return label or units, ""
        if not reason:
            raise UnitError(
                f"the file says '{label}' for '{raw}' but the mapping '{units}'",
                where=self.mapping.title,
                hint="if the file is wrong, give a reason beside the unit in the mapping",
            )
        return units, f"'{units}' instead of the label '{label}': {reason}"

    def _daily(
        self, name: str, raws: Mapping[str, Values], start: np.datetime64, stop: np.datetime64, window: GridWindow
    ) -> Values:
        """Daily values (day, lat, lon) of a canonical variable in canonical units."""
        made, where = self.mapping.variables[name], self._where(name, start, stop)
        kind = {"minimum": "minimum", "maximum": "maximum"}.get(table.get(name).time, "mean")
        if made.rule is not None:
            count = int((stop - start) / np.timedelta64(1, "D")) * self._steps
            dates = pd.date_range(pd.Timestamp(start), periods=count, freq=pd.Timedelta(self.mapping.step))
            steps = self._by_rule(name, raws, dates, window, where)
            return daily.statistic(daily.by_day(steps, self._steps), kind).astype(np.float32)
        (raw,) = made.sources
        units, meaning = self._unit(raw)[0], self.mapping.raw[raw].time
        steps = daily.by_day(raws[raw], self._steps)
        if meaning == "accumulated":
            totals = daily.statistic(steps, "sum") if self.local else daily.totals(steps, where)
            values, units = totals, f"{units} d-1"
        elif meaning == "interval" and is_amount(units, name):
            if name == "rsds" and self.mapping.step_hours <= 3 and daily.looks_accumulated(steps):
                raise InputError(
                    "the radiation never falls within a day: it is accumulated, not per step",
                    where=where,
                    hint="if the file is ERA5-Land, set forcing.source to 'era5_land'",
                )
            values, units = daily.statistic(steps, "sum"), f"{units} d-1"
        else:
            values = daily.statistic(steps, kind)
        made_of = scaled(values, units, name, where).astype(np.float32, copy=False)
        self._judge(raw, name, made_of, units, where)
        return made_of

    def _judge(self, raw: str, name: str, values: Values, units: str, where: str) -> None:
        """Refuse a unit that the magnitude of ``values`` [canonical units] contradicts, unless the user states it."""
        if raw not in self.overrides:
            self.physical.magnitude(raw, name, values, units, where)

    def _by_rule(
        self, name: str, raws: Mapping[str, Values], dates: pd.DatetimeIndex, window: GridWindow, where: str
    ) -> Values:
        """Canonical ``name`` at every step (step, lat, lon) by its rule, from raw values and from what these make."""
        made = self.mapping.variables[name]
        if made.rule is None:
            return scaled(raws[made.sources[0]], self._unit(made.sources[0])[0], name, where)
        arguments = []
        for part, quantity in zip(made.sources, RULES[made.rule], strict=True):
            if part in raws:
                units = self._unit(part)[0]
                values = scaled(raws[part], units, quantity, where)
                if made.rule != "wind_speed":  # components have either sign
                    self._judge(part, quantity, values, units, self._on(part)(np.datetime64(dates[0], "D")))
                    values = self.physical.argument(quantity, values, dates, window, self._on(part))
                arguments.append(values)
            elif part == "orog":
                arguments.append(np.broadcast_to(self._altitude(window), (dates.size, *window.shape)))
            else:
                arguments.append(self._by_rule(part, raws, dates, window, where))
        rule: Callable[..., Values] = getattr(rules, made.rule)
        place = {"lat": window.lat, "dates": dates} if made.rule in rules.WITH_PLACE else {}
        return rule(*arguments, **place)

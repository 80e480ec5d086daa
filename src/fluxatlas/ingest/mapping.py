"""A source described by a declared mapping: reads raw files and yields canonical daily variables, block by block."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .. import variables as table
from ..config.forcing import UnitOverride
from ..errors import ConfigError, InputError, UnitError, nearest
from . import daily, rules
from .archive import Archive, Times
from .coordinates import BBox, SourceGrid, Window
from .declaration import RULES, CanonicalVariable, DeclaredMapping

if TYPE_CHECKING:
    import xarray as xr

Values = npt.NDArray[np.float32]

BLOCK_BYTES = 128 * 2**20
"""Memory of one raw variable of a block of days."""
LONGEST_BLOCK = 73
"""Days of a block when memory does not limit it: a fifth of a year."""
TINY_NEGATIVE = {"pr": 1.2e-6, "rsds": 0.5}
"""Negative daily values down to minus this (0.1 mm d-1; 0.5 W m-2) are packing noise: set to zero and counted."""


class MappedSource:
    """Canonical daily variables of a data set described by a :class:`DeclaredMapping`.

    ``clipped`` counts tiny negative values set to zero so far, by variable. Raises :class:`InputError` for unreadable
    or inconsistent files.
    """

    def __init__(
        self,
        mapping: DeclaredMapping,
        files: Sequence[str | Path],
        closing: Sequence[str | Path] = (),
        overrides: Mapping[str, UnitOverride] | None = None,
    ) -> None:
        self.mapping = mapping
        self.archive = Archive([*files, *closing])
        self.overrides = dict(overrides or {})
        for name in self.overrides:
            if name not in mapping.raw:
                raise ConfigError(
                    f"an override for the unknown raw variable '{name}'{nearest(name, mapping.raw)}",
                    where="forcing.overrides",
                    hint=f"the mapping reads {', '.join(mapping.raw)}",
                )
        self.clipped: Counter[str] = Counter()
        self._step = np.timedelta64(mapping.step_hours * 3600, "s")
        self._steps = 24 // mapping.step_hours
        self._mask: dict[str, npt.NDArray[np.bool_]] = {}

    @property
    def grid(self) -> SourceGrid:
        """The source grid."""
        return self.archive.grid

    @property
    def attrs(self) -> dict[str, str]:
        """What a file made from this source says about it: title, citation, meaning of a day, unit overrides."""
        held = {str(name) for file in self.archive.files for name in file.dataset.data_vars}
        labels = {raw: why for raw in self.mapping.raw if raw in held and (why := self._unit(raw)[1])}
        return {
            "source": self.mapping.title,
            "references": self.mapping.citation,
            "day_definition": {"utc": "UTC day", "local": "local day of the source"}[self.mapping.day],
            "unit_overrides": json.dumps(labels, sort_keys=True),
        }

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

    def block_days(self, window: Window) -> int:
        """Days per block: as many as fit :data:`BLOCK_BYTES` per raw variable, at most :data:`LONGEST_BLOCK`."""
        return int(np.clip(BLOCK_BYTES // (4 * self._steps * window.shape[0] * window.shape[1]), 1, LONGEST_BLOCK))

    def blocks(
        self, start: np.datetime64, stop: np.datetime64, window: Window, variables: Sequence[str]
    ) -> Iterator[xr.Dataset]:
        """Days ``start`` <= day < ``stop`` in blocks of whole days: (time, lat, lon) float32, canonical units.

        Cells without data are NaN on all days. Raises :class:`InputError` where a variable is not mapped, a step is
        missing, duplicated or displaced, a unit does not convert, a value is out of range or data are missing on some
        days only.
        """
        for name in variables:
            if name not in self.mapping.variables:
                raise InputError(
                    f"the source has no '{name}'{nearest(name, self.mapping.variables)}",
                    where=self.mapping.title,
                    hint=f"it has {', '.join(self.mapping.variables)}",
                )
        for raw in sorted({raw for name in variables for raw in self.mapping.variables[name].sources}):
            self.archive.locate(raw, self._stamps(raw, start, stop))  # the whole period, before anything is read
        self._mask.clear()
        length = np.timedelta64(self.block_days(window), "D")
        day = start.astype("datetime64[D]")
        while day < stop:
            following = min(day + length, stop.astype("datetime64[D]"))
            yield self._block(day, following, window, variables)
            day = following

    def _block(self, start: np.datetime64, stop: np.datetime64, window: Window, names: Sequence[str]) -> xr.Dataset:
        import xarray as xr

        uses = Counter(raw for name in names for raw in self.mapping.variables[name].sources)
        raws: dict[str, Values] = {}
        result: dict[str, tuple[tuple[str, ...], Values]] = {}
        for name in sorted(names, key=lambda n: self.mapping.variables[n].sources):
            made = self.mapping.variables[name]
            for raw in made.sources:
                if raw not in raws:
                    raws[raw] = self.archive.read(raw, self._stamps(raw, start, stop), window)
            where = self.archive.where(made.sources[0], start, stop)
            values = self._make(name, made, raws, where)
            result[name] = ("time", "lat", "lon"), self._checked(name, values, start, where)
            uses.subtract(made.sources)
            raws = {raw: data for raw, data in raws.items() if uses[raw] > 0}
        days = np.arange(start, stop, dtype="datetime64[D]").astype("datetime64[ns]")
        block = xr.Dataset({name: result[name] for name in names}, {"time": days, "lat": window.lat, "lon": window.lon})
        _check_extremes(block, self.mapping.title)
        empty = [name for name in names if np.isnan(block[name].values).all()]
        if empty and len(empty) < len(names):
            where = self.archive.where(self.mapping.variables[empty[0]].sources[0], start, stop)
            raise InputError(f"'{empty[0]}' is missing everywhere", where=where, hint="get the file again")
        return block

    def _stamps(self, raw: str, start: np.datetime64, stop: np.datetime64) -> Times:
        """Time stamps that make up the days of a block."""
        kind = self.mapping.raw[raw].time
        stamp = {"instant": "start", "accumulated": "end"}.get(kind, self.mapping.stamp)
        offset = {"start": 0 * self._step, "middle": self._step // 2, "end": self._step}[stamp]
        first, last = start.astype("datetime64[s]"), stop.astype("datetime64[s]")
        return first + offset + np.arange((last - first) // self._step) * self._step

    def _unit(self, raw: str) -> tuple[str, str]:
        """Unit of a raw variable and, where it is not the file's label, a sentence that says so.

        Raises :class:`UnitError` where there is neither label nor declaration, or both differ without a reason.
        """
        declared = self.mapping.raw[raw]
        units, reason = declared.units, declared.reason
        if raw in self.overrides:
            units, reason = self.overrides[raw].units, self.overrides[raw].reason
        label = self.archive.units(raw)
        if not units and not label:
            paths = ", ".join(str(f.path) for f in self.archive.holders(raw)[:2])
            hint = "declare it under forcing.overrides with a reason"
            raise UnitError(f"'{raw}' has no unit", where=paths, hint=hint)
        if not units or units == label:
            return label or units, ""
        if not reason:
            raise UnitError(
                f"the file says '{label}' for '{raw}' but the mapping '{units}'",
                where=self.mapping.title,
                hint="if the file is wrong, give a reason beside the unit in the mapping",
            )
        return units, f"'{units}' instead of the label '{label}': {reason}"

    def _make(self, name: str, made: CanonicalVariable, raws: Mapping[str, Values], where: str) -> Values:
        """Daily values (day, lat, lon) of a canonical variable in canonical units."""
        kind = {"minimum": "minimum", "maximum": "maximum"}.get(table.get(name).time, "mean")
        if made.rule is not None:
            arguments = [
                _scaled(raws[raw], self._unit(raw)[0], quantity, where)
                for raw, quantity in zip(made.sources, RULES[made.rule], strict=True)
            ]
            rule: Callable[..., Values] = getattr(rules, made.rule)
            return daily.statistic(daily.by_day(rule(*arguments), self._steps), kind).astype(np.float32)
        (raw,) = made.sources
        units, meaning = self._unit(raw)[0], self.mapping.raw[raw].time
        steps = daily.by_day(raws[raw], self._steps)
        if meaning == "accumulated":
            values, units = daily.totals(steps, where), f"{units} d-1"
        elif meaning == "interval" and _is_amount(units, name):
            if name == "rsds" and self.mapping.step_hours <= 3 and daily.looks_accumulated(steps):
                raise InputError(
                    "the radiation never falls within a day: it is accumulated, not per step",
                    where=where,
                    hint="if the file is ERA5-Land, set forcing.source to 'era5_land'",
                )
            values, units = daily.statistic(steps, "sum"), f"{units} d-1"
        else:
            values = daily.statistic(steps, kind)
        return _scaled(values, units, name, where).astype(np.float32)

    def _checked(self, name: str, values: Values, start: np.datetime64, where: str) -> Values:
        """``values`` with tiny negatives clipped, after the checks of range and of missing data."""
        tiny = TINY_NEGATIVE.get(name)
        if tiny:
            negative = (values < 0) & (values >= -tiny)
            self.clipped[name] += int(negative.sum())
            values[negative] = 0
        table.check_range(values, name, where=where)
        missing = np.isnan(values)
        mask = self._mask.setdefault(name, np.asarray(missing.all(axis=0)))
        strange = missing != mask
        if strange.any():
            day, row, column = np.argwhere(strange)[0]
            raise InputError(
                f"'{name}' is missing on some days only ({int(strange.any(axis=0).sum())} cells)",
                where=f"{where}; first on {start + int(day)} in cell ({row}, {column}) of the window",
                hint="the source must cover a cell on all days: mend the file or get it again",
            )
        return values


@lru_cache(maxsize=256)
def _linear(units: str, name: str, where: str) -> tuple[float, float]:
    """Scale and offset from ``units`` to the canonical unit of ``name``."""
    zero, one = table.convert(np.array([0.0, 1.0]), units, name, where=where)
    return float(one - zero), float(zero)


def _scaled(values: npt.NDArray, units: str, name: str, where: str) -> npt.NDArray:
    """``values`` in the canonical unit of ``name``; raises :class:`UnitError` where ``units`` does not convert."""
    scale, offset = _linear(units, name, where)
    if (scale, offset) == (1.0, 0.0):
        return values
    return (values * scale + offset).astype(values.dtype)


def _is_amount(units: str, name: str) -> bool:
    """Whether ``units`` of a flux is an amount per step and not a rate."""
    for candidate, amount in ((units, False), (f"{units} d-1", True)):
        try:
            _linear(candidate, name, name)
        except UnitError:
            continue
        return amount
    return False


def _check_extremes(block: xr.Dataset, where: str) -> None:
    """Raise :class:`InputError` unless tasmin <= tas <= tasmax (to 0.05 K) where they are present."""
    for low, high in (("tasmin", "tas"), ("tas", "tasmax"), ("tasmin", "tasmax")):
        if low in block and high in block:
            excess = (block[low] - block[high]).max().item()
            if excess > 0.05:
                raise InputError(
                    f"'{low}' exceeds '{high}' by {excess:.2f} K", where=where, hint="the mapping may swap variables"
                )

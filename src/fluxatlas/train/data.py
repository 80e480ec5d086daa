"""Training data as sequences: what is read from files, and how windows of days are cut from it.

A :class:`SequenceSet` holds series of many sites on one axis of days. Its *segments* are the gap-free spans that can be
run; windows are cut inside a segment. Days wanted before the first day of a segment (to fill the state) are taken from
the same season a year later, or are the first day repeated where the segment is shorter than a year.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from ..errors import InputError
from ..files import open_netcdf
from ..systems import System
from ..systems.slow import ALTERNATING
from .operators import ObservationSet, day

FloatArray = npt.NDArray[np.floating[Any]]
Arrays = Mapping[str, FloatArray]

YEAR = 365


class Segment(NamedTuple):
    """Days ``start`` to ``stop - 1`` of site number ``site``."""

    site: int
    start: int
    stop: int


class DayWindow(NamedTuple):
    """``length`` days of segment number ``segment`` from day ``start`` of the common axis."""

    segment: int
    start: int
    length: int


@dataclass(frozen=True)
class Batch:
    """Tensors of one step: series (time, cell) of which the first ``warmup`` days do not count, statics (cell,).

    ``observations`` are what is compared, their operators on the axis of the series with the warm-up; ``site`` is the
    number of each cell's site in its set and ``weight`` (cell,) the weight of its flux observations; ``theta`` (cell,)
    are the parameters and structure of the process model, where they are known.
    """

    drivers: dict[str, Tensor]
    statics: dict[str, Tensor]
    observations: tuple[ObservationSet, ...]
    overrides: dict[str, Tensor]
    site: Tensor
    weight: Tensor
    warmup: int
    modules: tuple[str, ...] | None = None
    theta: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class SequenceSet:
    """Series of sites on a common axis of ``dates``.

    ``drivers``, ``targets``, ``sd`` and ``overrides`` are (time, site) float32 in canonical units, NaN where unknown
    (drivers only outside the segments); ``statics`` (site,). ``block`` numbers the spatial block of each site.
    ``modules`` names the sub-modules to run, None for all. ``weight`` (site,) weighs flux observations. ``first_day``
    (site,) is where each series begins, if not all on the first of ``dates`` (synthetic ones: years are drawn).
    ``theta`` (site,): parameters and codes of the structure of the process model that made the series; empty for those
    of nature, but for the ``forms`` (codes by structural choice, (site,)) that are known of these, such as the crops
    that grow there. ``targets`` are observed day by day; ``periods`` are sets of other observations of single sites,
    their operators on ``dates`` and sites.
    """

    dates: pd.DatetimeIndex
    sites: tuple[str, ...]
    lat: FloatArray
    lon: FloatArray
    block: npt.NDArray[np.int64]
    drivers: Arrays
    statics: Arrays
    targets: Arrays
    segments: tuple[Segment, ...]
    sd: Arrays = field(default_factory=dict)
    overrides: Arrays = field(default_factory=dict)
    modules: tuple[str, ...] | None = None
    weight: FloatArray | None = None
    first_day: pd.DatetimeIndex | None = None
    theta: Arrays = field(default_factory=dict)
    periods: tuple[ObservationSet, ...] = ()
    forms: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)

    @property
    def span(self) -> list[str]:
        """First and last day of all series."""
        first = self.dates[:1] if self.first_day is None else self.first_day
        last = first.max() + (self.dates[-1] - self.dates[0])
        return [str(first.min().date()), str(last.date())]

    @property
    def stated(self) -> dict[str, FloatArray]:
        """The ``forms`` as a network is told them (site,)."""
        return {name: codes.astype(np.float32) for name, codes in self.forms.items()}

    @property
    def site_days(self) -> int:
        """Days of all segments."""
        return sum(segment.stop - segment.start for segment in self.segments)

    def only(self, sites: npt.NDArray[np.bool_]) -> SequenceSet:
        """The set with the segments of the chosen ``sites`` (a mask over sites) alone."""
        return replace(self, segments=tuple(segment for segment in self.segments if sites[segment.site]))

    def drawn(self, count: int, rng: np.random.Generator) -> SequenceSet:
        """At most ``count`` sites of a set of samples, drawn by chance, in a set of their own."""
        chosen = np.sort(rng.choice(len(self.sites), min(count, len(self.sites)), replace=False)).tolist()
        return self.of(chosen, [Segment(n, 0, len(self.dates)) for n in range(len(chosen))])

    def of(self, columns: Sequence[int], segments: Sequence[Segment]) -> SequenceSet:
        """The sites ``columns`` of a set of samples, in a set of their own with ``segments``."""

        def cut(arrays: Arrays) -> dict[str, FloatArray]:
            return {name: values[..., columns] for name, values in arrays.items()}

        return replace(
            self,
            sites=tuple(self.sites[n] for n in columns),
            lat=self.lat[columns],
            lon=self.lon[columns],
            block=self.block[columns],
            drivers=cut(self.drivers),
            statics=cut(self.statics),
            targets=cut(self.targets),
            segments=tuple(segments),
            first_day=None if self.first_day is None else self.first_day[columns],
            theta=cut(self.theta),
            forms={name: codes[columns] for name, codes in self.forms.items()},
        )

    def values(self) -> dict[str, FloatArray]:
        """Drivers, statics and targets by name, of the sites with segments alone."""
        chosen = sorted({segment.site for segment in self.segments})
        everything = {**self.drivers, **self.statics, **self.targets}
        if len(chosen) == len(self.sites):  # a library of samples: not copied
            return everything
        return {name: values[..., chosen] for name, values in everything.items()}

    def observed(self, keep: Callable[[str, FloatArray], FloatArray]) -> SequenceSet:
        """The set with targets replaced by ``keep(name, values)``, such as with some days set to NaN.

        Of periods those are left that hold no such day.
        """
        targets = {name: keep(name, values) for name, values in self.targets.items()}
        return replace(self, targets=targets, periods=tuple(self._open(one, keep) for one in self.periods))

    def steady(self) -> SequenceSet:
        """The set with the root mean square of the stated errors of a site's observed days as the error of each.

        Errors that grow with the value make a day that was measured too small count more than one measured too large:
        weights by them draw the mean of what is learnt to zero.
        """

        def over_site(name: str, sd: FloatArray) -> FloatArray:
            known = np.isfinite(sd) & np.isfinite(self.targets[name])
            square = np.where(known, sd, 0).astype(float) ** 2
            mean = square.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            return np.where(known, np.sqrt(mean), np.nan).astype(np.float32)

        return replace(self, sd={name: over_site(name, sd) for name, sd in self.sd.items() if name in self.targets})

    def _open(self, one: ObservationSet, keep: Callable[[str, FloatArray], FloatArray]) -> ObservationSet:
        """``one`` without the observations on days that ``keep`` hides."""
        hidden = np.isnan(keep(one.operator.variable, np.zeros((len(self.dates), len(self.sites)), np.float32)))
        before = np.concatenate([np.zeros((1, len(self.sites)), np.int64), np.cumsum(hidden, axis=0)])
        cell, begin, stop = one.extent
        return one.where(before[stop, cell] == before[begin, cell])

    def count(self, variable: str) -> npt.NDArray[np.int64]:
        """Observed days of ``variable`` per site (site,): those with a target, and those of periods in segments."""
        found = np.zeros(len(self.sites), np.int64)
        if variable in self.targets:
            found += np.isfinite(self.targets[variable]).sum(axis=0)
        for one in self.periods:
            if one.operator.variable == variable:
                cell, begin, stop = (part[one.rows] for part in one.extent)
                for site, first, end in self.segments:
                    inside = (cell == site) & (begin >= first) & (stop <= end)
                    found[site] += (stop - begin)[inside].sum()
        return found

    @cached_property
    def _observations(self) -> npt.NDArray[np.int64]:
        """Number of days with a target, or on which a period begins, before each day, (time + 1, site)."""
        seen = np.any([np.isfinite(values) for values in self.targets.values()], axis=0)
        for one in self.periods:
            cell, begin, _ = one.extent
            seen[begin[one.rows], cell[one.rows]] = True
        return np.concatenate([np.zeros((1, seen.shape[1]), np.int64), np.cumsum(seen, axis=0)])

    def windows(self, length: int, rng: np.random.Generator | None = None) -> list[DayWindow]:
        """Windows of at most ``length`` days that cover the segments: random starts in random order, or in sequence.

        Windows without any target are left out.
        """
        found: list[DayWindow] = []
        for number, (site, start, stop) in enumerate(self.segments):
            size = min(length, stop - start)
            for part in range(-(-(stop - start) // length)):
                first = min(start + part * length, stop - size)
                if rng is not None:
                    first = int(rng.integers(start, stop - size + 1))
                if self._observations[first + size, site] > self._observations[first, site]:
                    found.append(DayWindow(number, first, size))
        if rng is not None:
            return [found[index] for index in rng.permutation(len(found))]
        return found

    def batch(self, windows: list[DayWindow], warmup: int, device: str | torch.device = "cpu") -> Batch:
        """Tensors of ``windows``, each preceded by ``warmup`` days; short ones are padded with days not to count."""
        length = max(window.length for window in windows)
        segments = [self.segments[window.segment] for window in windows]
        site = np.array([segment.site for segment in segments])
        begin, stop = (np.array([segment[k] for segment in segments]) for k in (1, 2))
        first = np.array([window.start for window in windows])
        number = first[None, :] + np.arange(-warmup, length)[:, None]
        early = np.maximum(begin - number, 0)
        later = np.where(stop - begin < YEAR, 0, -(-early // YEAR))  # years after it whose season a day is taken from
        index = np.clip(number + YEAR * later, begin, stop - 1)
        size = np.array([window.length for window in windows])
        observed = [
            *self._days(index, site, (number >= first) & (number < first + size)),
            *(one.within(site, first, size, warmup) for one in self.periods),
        ]

        odd = later % 2 > 0  # a year that stands for the one before it

        def take(arrays: Arrays) -> dict[str, Tensor]:
            cut = {name: _at(values, index, site[None, :]) for name, values in arrays.items()}
            cut |= {name: np.where(odd, 1 - cut[name], cut[name]) for name in ALTERNATING if name in cut}
            return {name: torch.as_tensor(values, dtype=torch.float32, device=device) for name, values in cut.items()}

        def fixed(arrays: Arrays) -> dict[str, Tensor]:
            cut = {name: np.ascontiguousarray(values[site]) for name, values in arrays.items()}
            return {name: torch.as_tensor(values, dtype=torch.float32, device=device) for name, values in cut.items()}

        weight = np.ones(len(self.sites), np.float32) if self.weight is None else self.weight
        return Batch(
            drivers=take(self.drivers),
            statics=fixed(self.statics),
            observations=tuple(one.to(device) for one in observed),
            overrides=take(self.overrides),
            site=torch.as_tensor(site, device=device),
            weight=torch.as_tensor(weight[site], dtype=torch.float32, device=device),
            warmup=warmup,
            modules=self.modules,
            theta=fixed({**self.theta, **self.stated}),
        )

    def _days(
        self, index: npt.NDArray[np.int64], site: npt.NDArray[np.int64], counts: npt.NDArray[np.bool_]
    ) -> Iterator[ObservationSet]:
        """The targets of days ``index`` (time, cell) of each cell's ``site``, where they are known and ``counts``."""
        weight = np.ones(len(self.sites), np.float32) if self.weight is None else self.weight
        time, cell = np.nonzero(counts)
        when, where = index[time, cell], site[cell]
        for name, targets in self.targets.items():
            values = _at(targets, when, where)
            seen = slice(None) if np.isfinite(values).all() else np.isfinite(values)  # samples have no gaps: no copies
            sd = self.sd[name][when[seen], where[seen]] if name in self.sd else None
            yield ObservationSet.of(
                day(name, time[seen], cell[seen]), values[seen], sd, cluster=cell[seen], weight=weight[where[seen]]
            )

    def batches(
        self, size: int, length: int, warmup: int, rng: np.random.Generator | None, device: str | torch.device = "cpu"
    ) -> Iterator[Batch]:
        """Batches of ``size`` windows over the whole set; see :meth:`windows` and :meth:`batch`."""
        windows = self.windows(length, rng)
        for begin in range(0, len(windows), size):
            yield self.batch(windows[begin : begin + size], warmup, device)


def _at(values: FloatArray, time: npt.NDArray[np.int64], site: npt.NDArray[np.int64]) -> FloatArray:
    """``values[time, site]``, faster where the array is contiguous."""
    if not values.flags.c_contiguous:
        return values[time, site]
    return np.take(values.reshape(-1), time * values.shape[1] + site)


def read_samples(path: str | Path, system: System) -> SequenceSet:
    """Synthetic samples of ``system`` (see docs/contracts.md).

    Raises :class:`InputError` naming absent variables, or a variable that holds NaN.
    """
    from .. import variables

    drivers = (*system.forcing, *system.slow_drivers)
    targets = system.simulated
    with open_netcdf(path, whole=True) as dataset:
        lacking = [name for name in (*drivers, *system.statics, *targets, *system.told) if name not in dataset]
        if lacking:
            raise InputError(f"the samples lack {', '.join(lacking)}", where=str(path), hint="synthesize them again")

        def series(name: str) -> FloatArray:
            return np.ascontiguousarray(dataset[name].transpose("time", "site").values.astype(np.float32))

        arrays = {name: series(name) for name in (*drivers, *targets)}
        statics = {name: dataset[name].values.astype(np.float32) for name in system.statics}
        for name, values in {**arrays, **statics}.items():
            if not np.isfinite(values).all():
                raise InputError(f"'{name}' holds NaN", where=str(path), hint="synthesize the samples again")
            variables.check_range(values, name, where=str(path))
        days, count = dataset.sizes["time"], dataset.sizes["site"]
        return SequenceSet(
            dates=pd.DatetimeIndex(dataset["time"].values),
            sites=tuple(str(number) for number in range(count)),
            lat=dataset["lat"].values,
            lon=dataset["lon"].values,
            block=np.unique(dataset["block"].values, return_inverse=True)[1].astype(np.int64),
            drivers={name: arrays[name] for name in drivers},
            statics=statics,
            targets={name: arrays[name] for name in targets},
            segments=tuple(Segment(site, 0, days) for site in range(count)),
            first_day=pd.DatetimeIndex(dataset["first_day"].values) if "first_day" in dataset else None,
            theta={name: dataset[name].values.astype(np.float32) for name in system.told},
        )

"""What drives the fluxes: responses to changed weather, and shares of each input, of the members and the process model.

Both are asked the same questions, under the parameters and the structure that a member carries: how its fluxes change
where a driver is changed on all days (a partial dependence: Friedman 2001, doi:10.1214/aos/1013203451), and how much
each input adds on the way from mean conditions to those of a series (integrated gradients: Sundararajan et al. 2017,
arXiv:1703.01365, with central differences in place of gradients, as a process model has none). What a member learnt
beyond the process model, and what it failed to take over, is where the two differ.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from .. import files, variables
from ..errors import InputError
from ..systems import System
from ..train.data import FloatArray, SequenceSet
from ..train.member import Member
from ..train.predict import predict
from ..train.simulation import one_theta, simulate_sites

SHIFTS = (-4.0, -2.0, 2.0, 4.0)
"""Changes [K] of all drivers that are temperatures together: one that leaves the others behind is not weather."""
PARTS = (-1.0, -0.5, 0.5, 1.0)
"""Parts of the largest change of any other driver: two standard deviations of its days, a tenth to a half."""
TEMPERATURES = "temperatures"
NONE = {"K": 0.0, "1": 1.0}
"""What counts as no change, by its unit."""
STEPS = 3
"""Parts of the way from mean conditions."""
TOGETHER = 64
"""Series that a model is asked about in one go."""
QUARTILES = (0.25, 0.75)
RESPONSES = ("model", "member", "flux", "unit", "driver", "change", "by", "mean", "difference", "low", "high", "series")
SHARES = ("model", "member", "flux", "unit", "input", "mean", "size", "series")
GAP = "(not attributed)"

Model = Callable[[SequenceSet], dict[str, FloatArray]]
"""Mean flux (series,) by name under the drivers and statics of a set."""


def write_responses(
    output: Path, shares: Path, members: Sequence[Path], samples: SequenceSet, count: int, seed: int
) -> pd.DataFrame:
    """Write both tables for ``count`` series of the ``samples``; returns that of the shares.

    Raises :class:`InputError` for a member without parameters.
    """
    made: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    chosen = replace(samples.drawn(count, np.random.default_rng([seed, 23])), theta={})
    for number, path in enumerate(members):
        member = Member.load(path)
        if "theta" not in member.meta:
            raise InputError("the member has no parameters", where=str(path), hint="fine-tune it again")
        for name, model in (("network", network(member)), ("process", process(member))):
            print(f"member {number}: responses of the {name}", file=sys.stderr, flush=True)
            made[0].append(responses(model, chosen, member.system).assign(model=name, member=number))
            made[1].append(attribution(model, chosen, _means(samples), member.system).assign(model=name, member=number))
    for path, tables, columns in ((output, made[0], RESPONSES), (shares, made[1], SHARES)):
        whole = pd.concat(tables, ignore_index=True)[list(columns)]
        files.write_text(path, whole.to_csv(index=False, float_format="%.6g"))
    return pd.concat(made[1], ignore_index=True)[list(SHARES)]


def network(member: Member) -> Model:
    """Mean fluxes of a member."""

    def run(data: SequenceSet) -> dict[str, FloatArray]:
        made = predict(member.network, data)
        return {name: made[name].mean(axis=0, dtype=float) for name in member.system.flux_names}

    return run


def process(member: Member) -> Model:
    """Mean fluxes of the process model under the parameters and the structure of ``member``."""
    system, given = member.system, member.meta["theta"]

    def run(data: SequenceSet) -> dict[str, FloatArray]:
        found: dict[str, FloatArray] = {
            name: np.empty(len(data.sites)) for name in system.flux_names if name in system.simulated
        }
        first = pd.DatetimeIndex(data.dates[:1].repeat(len(data.sites)) if data.first_day is None else data.first_day)
        for start in first.unique():
            here = np.flatnonzero(first == start)
            years = replace(data, dates=pd.date_range(start, periods=len(data.dates)))
            theta = one_theta(given, system, len(here))
            made = simulate_sites(years, system, slice(None), here.tolist(), theta)
            for name, values in found.items():
                values[here] = made[name].mean(axis=0, dtype=float)
        return found

    return run


def answers(model: Model, sets: Iterable[SequenceSet]) -> Iterator[dict[str, FloatArray]]:
    """What ``model`` says of each of ``sets``, which differ in drivers and statics alone; few series run together.

    A network takes hardly longer for :data:`TOGETHER` series than for one.
    """
    rest = iter(sets)
    for first in rest:
        count = len(first.sites)
        group = [first, *islice(rest, max(TOGETHER // count, 1) - 1)]
        segments = [one._replace(site=one.site + n * count) for n in range(len(group)) for one in first.segments]
        whole = replace(
            first.of([*range(count)] * len(group), segments),
            drivers={name: np.concatenate([one.drivers[name] for one in group], axis=-1) for name in first.drivers},
            statics={name: np.concatenate([one.statics[name] for one in group], axis=-1) for name in first.statics},
        )
        made = {name: np.split(values, len(group)) for name, values in model(whole).items()}
        yield from ({name: parts[n] for name, parts in made.items()} for n in range(len(group)))


def changeable(system: System) -> tuple[str, ...]:
    """Drivers that can be changed. What follows from date and latitude alone, such as the day of the year, cannot: the
    process model reads it from the calendar, and a network with another one would see days that do not exist."""
    return (*system.forcing, *(one.name for one in system.slow if one.layers or one.series))


def changes(data: SequenceSet, system: System) -> Iterator[tuple[str, str, float, dict[str, FloatArray]]]:
    """Name of the driver, unit of the change (K, or 1 for a factor), change, and the changed drivers within their
    valid range; the first change of each is none."""
    drivers = changeable(system)
    warm = [name for name in drivers if variables.get(name).units == "K"]
    for shift in (0.0, *SHIFTS) if warm else ():
        yield TEMPERATURES, "K", shift, {name: _valid(name, data.drivers[name] + shift) for name in warm}
    for name in drivers:
        if name not in warm:
            given = data.drivers[name]
            size = float(np.abs(given).mean(dtype=float))
            largest = float(np.clip(2 * given.std(dtype=float) / max(size, 1e-30), 0.1, 0.5))
            for factor in (1.0, *(1 + part * largest for part in PARTS)):
                yield name, "1", factor, {name: _valid(name, given * factor)}


def _valid(name: str, values: FloatArray) -> FloatArray:
    return np.clip(values, *variables.get(name).valid).astype(np.float32)


def responses(model: Model, data: SequenceSet, system: System) -> pd.DataFrame:
    """Mean flux over the series of ``data`` where drivers are changed, by flux, driver and change.

    ``change`` is in K or a factor (``by``: K or 1); ``difference`` is the mean over series of the flux less that of
    unchanged drivers, ``low`` and ``high`` the quartiles of it. :data:`TEMPERATURES` are changed together.
    """
    rows, base, asked = [], model(data), list(changes(data, system))
    moved = [
        replace(data, drivers={**data.drivers, **drivers}) for _, by, change, drivers in asked if change != NONE[by]
    ]
    found = answers(model, moved)
    for driver, by, change, _ in asked:
        made = base if change == NONE[by] else next(found)
        for flux, values in made.items():
            difference = values - base[flux]
            low, high = np.quantile(difference, QUARTILES)
            rows.append(
                {
                    "flux": flux,
                    "unit": variables.get(flux).units,
                    "driver": driver,
                    "change": change,
                    "by": by,
                    "mean": values.mean(),
                    "difference": difference.mean(),
                    "low": low,
                    "high": high,
                    "series": len(values),
                }
            )
    table = pd.DataFrame(rows)
    return table.sort_values(["flux", "driver", "change"], kind="stable", ignore_index=True)


def attribution(model: Model, data: SequenceSet, means: dict[str, float], system: System) -> pd.DataFrame:
    """How much each input adds to the mean flux of a series on the straight way from ``means`` to its conditions.

    ``mean``: average over the series, with sign; ``size``: mean magnitude over the series. The shares of a series sum
    to the flux less that of mean conditions, up to ``(not attributed)``, an error of second order in the length of a
    step that is 0 where inputs do not interact beyond products.
    """
    inputs = (*changeable(system), *system.statics)
    total = _difference(model(_on_way(data, means, inputs, 1.0)), model(_on_way(data, means, inputs, 0.0)))
    share: dict[str, dict[str, FloatArray]] = {name: dict.fromkeys(total, np.zeros(len(data.sites))) for name in inputs}
    half = 0.5 / STEPS
    for middle in (np.arange(STEPS) + 0.5) / STEPS:
        at = _on_way(data, means, inputs, middle)
        found = answers(
            model, (_moved(at, data, means, name, middle + step) for name in inputs for step in (half, -half))
        )
        for name in inputs:
            for flux, values in _difference(next(found), next(found)).items():
                share[name][flux] = share[name][flux] + values
    left = {flux: values - np.sum([share[name][flux] for name in inputs], axis=0) for flux, values in total.items()}
    return pd.DataFrame(list(_rows({**share, GAP: left})))


def _difference(one: dict[str, FloatArray], other: dict[str, FloatArray]) -> dict[str, FloatArray]:
    return {name: one[name] - other[name] for name in one}


def _rows(share: dict[str, dict[str, FloatArray]]) -> Iterator[dict[str, object]]:
    for name, by_flux in share.items():
        for flux, values in by_flux.items():
            yield {
                "flux": flux,
                "unit": variables.get(flux).units,
                "input": name,
                "mean": values.mean(),
                "size": np.abs(values).mean(),
                "series": len(values),
            }


def _means(data: SequenceSet) -> dict[str, float]:
    """Mean conditions: of each driver over series and days, of each static over series."""
    return {name: float(values.mean(dtype=float)) for name, values in {**data.drivers, **data.statics}.items()}


def _moved(at: SequenceSet, data: SequenceSet, means: dict[str, float], name: str, share: float) -> SequenceSet:
    """The set ``at`` with the input ``name`` at ``share`` of the way from its mean to that of ``data``."""
    given = data.drivers[name] if name in data.drivers else data.statics[name]
    values = (means[name] + share * (given - means[name])).astype(np.float32)
    if name in data.drivers:
        return replace(at, drivers={**at.drivers, name: values})
    return replace(at, statics={**at.statics, name: values})


def _on_way(data: SequenceSet, means: dict[str, float], inputs: Sequence[str], share: float) -> SequenceSet:
    at = data
    for name in inputs:
        at = _moved(at, data, means, name, share)
    return at

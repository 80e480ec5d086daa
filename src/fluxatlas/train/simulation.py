"""The process model at sites: with their weather, or under the profiles that they measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..loading import load_object
from ..systems import System
from ..theta import Theta
from .data import FloatArray, SequenceSet

SPINUP_YEARS = 2


def one_theta(given: Mapping[str, float], system: System, count: int) -> Theta:
    """Parameters and codes of the structure that a member carries (``given``), the same at ``count`` places."""
    values = {name: np.full(count, value) for name, value in given.items() if name not in system.choices}
    return Theta(values, {name: np.full(count, int(given[name])) for name in system.choices})


def simulate_sites(
    data: SequenceSet, system: System, days: slice, sites: Sequence[int], theta: Theta | None = None, draws: int = 1
) -> dict[str, FloatArray]:
    """Outputs (day, site x draw) of the process model on ``days`` of the numbered ``sites``, draws of a site together.

    ``theta`` holds parameters and structure of every site and draw, otherwise they are the defaults; forms that are
    known of a place (``data.forms``) are those, whatever ``theta`` says. Where the sites
    have no weather (``data.modules``), the model runs under the profiles they measured and gives what follows. Where
    they have, what they hand on (``data.overrides``) is a driver more, NaN on other days, for models that read it.
    """
    model: Any = load_object(system.process)
    chosen = np.repeat(np.asarray(sites, int), draws)
    if data.forms:
        given_theta = theta or Theta({}, {})
        stated = {name: codes[chosen] for name, codes in data.forms.items()}
        theta = Theta(given_theta.values, {**given_theta.forms, **stated})
    given = model.attributes_of(data.statics)
    attributes = {name: np.asarray(given[name])[chosen] for name in system.attributes}
    drivers = {name: values[days][:, chosen] for name, values in data.drivers.items()}
    if data.modules is not None:
        soil = {name: values[days][:, chosen] for name, values in data.overrides.items()}
        return dict(model.from_profiles(soil, drivers, attributes, theta=theta))
    drivers |= {name: values[days][:, chosen] for name, values in data.overrides.items()}
    where = {"lat": data.lat[chosen], "dates": data.dates[days], "spinup_years": SPINUP_YEARS}
    return dict(model.simulate(drivers, attributes, **where, theta=theta))


def simulated(data: SequenceSet, system: System) -> dict[str, FloatArray]:
    """Outputs of the process model (time, site), NaN outside the segments; segments of the same days run together."""
    spans: dict[tuple[int, int], list[int]] = {}
    for site, start, stop in data.segments:
        spans.setdefault((start, stop), []).append(site)
    shape = (len(data.dates), len(data.sites))
    found = {name: np.full(shape, np.nan, np.float32) for name in system.simulated}
    for (start, stop), chosen in spans.items():
        days = slice(start, stop)
        daily = simulate_sites(data, system, days, chosen)
        for name in sorted(found.keys() & daily.keys()):
            found[name][days, chosen] = daily[name]
    return found

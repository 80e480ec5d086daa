"""The process model at sites: with their weather, or under the profiles that they measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..loading import load_object
from ..systems import System
from .data import FloatArray, SequenceSet

SPINUP_YEARS = 2


def simulate_sites(
    data: SequenceSet,
    system: System,
    days: slice,
    sites: Sequence[int],
    draws: int = 1,
    rng: np.random.Generator | None = None,
) -> dict[str, FloatArray]:
    """Outputs (day, site x draw) of the process model on ``days`` of the numbered ``sites``, draws of a site together.

    With ``rng`` parameters and structure are drawn from the prior, otherwise they are the defaults. Where the sites
    have no weather (``data.modules``), the model runs under the profiles they measured and gives what follows.
    """
    model: Any = load_object(system.process)
    chosen = np.repeat(np.asarray(sites, int), draws)
    given = model.attributes_of(data.statics)
    attributes = {name: np.asarray(given[name])[chosen] for name in system.attributes}
    drivers = {name: values[days][:, chosen] for name, values in data.drivers.items()}
    options = {"rng": rng, "sampled": rng is not None}
    if data.modules is not None:
        soil = {name: values[days][:, chosen] for name, values in data.overrides.items()}
        return dict(model.from_profiles(soil, drivers, attributes, **options))
    where = {"lat": data.lat[chosen], "dates": data.dates[days], "spinup_years": SPINUP_YEARS}
    return dict(model.simulate(drivers, attributes, **where, **options))

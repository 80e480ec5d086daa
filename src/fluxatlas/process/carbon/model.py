"""The carbon of vegetation and soil on the heat and water of the soil column, day by day, for many cells at once.

Leaf area is prescribed: carbon does not feed back on leaves or water. Each day: production from light, then respiration
and growth of plants, litter, and decay in a cascade of five pools. Carbon that enters equals what leaves plus what
stays, to round-off.

*Spin-up.* With means over the first year of production, maintenance and the daily loss of each pool, the equilibrium of
a cascade is a product of numbers (the semi-analytical solution of Xia et al. 2012, doi:10.5194/gmd-5-1259-2012 [R+]);
``spinup_years`` runs of that year then settle what has a season. The slow pools start at ``stock`` times it.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...astronomy import daylight_fraction
from ...theta import Prior
from .. import parameters
from .._validate import checked
from ..blocks import SimulationResult, part_of
from ..column import simulate_soil
from ..hydraulics import soil_properties
from ..parameters import ParameterTable
from ..structure import Choice, codes_of
from . import _kernel
from ._kernel import DRIVERS, MEAN, OUTPUTS, POOLS, RECORD, SPIN, run_block, work_rows
from .choices import CHOICES

FloatArray = npt.NDArray[np.floating[Any]]

BLOCK = 256
"""Cells worked on together."""
TABLE = ParameterTable("carbon")
OWN = ("tas", "tasmin", "tasmax", "rsds", "huss", "ps", "lai", "co2")
"""Drivers read beside those of heat and water."""
YEAR = 365.25
Parameters: Any = namedtuple("Parameters", TABLE.names)  # type: ignore[misc]
Fixed: Any = _kernel.Fixed
State: Any = _kernel.State
Codes: Any = namedtuple("Codes", tuple(CHOICES))  # type: ignore[misc]


def physical() -> tuple[str, ...]:
    """Names of the parameters of heat and water, those of the column without methane's."""
    rows = parameters.SOIL.rows()
    return tuple(rows.index[rows["process"] != "methane"])


def priors() -> Mapping[str, Prior]:
    """Priors of the parameters of heat and water and of carbon, by name."""
    soil = parameters.SOIL.priors()
    return {**{name: soil[name] for name in physical()}, **TABLE.priors()}


def simulate(
    forcing: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    given: Mapping[str, npt.ArrayLike] | None = None,
    *,
    lat: npt.ArrayLike,
    dates: pd.DatetimeIndex,
    structure: Mapping[str, Choice] | None = None,
    spinup_years: int = 0,
) -> SimulationResult[dict[str, FloatArray]]:
    """Run the model over the days of ``forcing``.

    Parameters
    ----------
    forcing: daily drivers (T, N) in canonical units: ``tas, tasmin, tasmax, pr, rsds, rlds, huss, ps, lai, co2``.
    attributes: ``sand, clay`` [%], ``soc`` [g kg-1] and ``bdod`` [kg m-3] of shape (N,).
    given: parameters of heat and water (``soil_methane.csv``) and of carbon (``carbon.csv``), numbers or arrays (N,);
        those not given take their defaults.
    lat: latitude (N,) [degrees north]. dates: the T days.
    structure: name, or codes (N,), by choice of :data:`~fluxatlas.process.carbon.choices.CHOICES`; others: the first.
    spinup_years: how often the first 365 days are run before the first day, after the equilibrium.

    Returns ``gpp``, ``ra``, ``rh``, ``reco`` and ``nee`` [g m-2 d-1 of carbon], all but ``gpp`` positive to the
    atmosphere, and what :func:`~fluxatlas.process.simulate_soil` gives. ``nee`` is ``reco - gpp`` and ``reco`` is
    ``ra + rh`` in single precision. ``state`` is the carbon [g m-2] of each pool (N,); budgets of ``residuals``:
    ``carbon`` [g m-2], ``energy`` [J m-2], ``water`` [kg m-2]. Raises :class:`InputError` for an absent,
    misshapen or non-finite input, an unknown parameter or choice, and a parameter beyond its bounds.
    """
    values, soil_values = _split(given or {}, np.size(lat))
    soil = simulate_soil(forcing, attributes, soil_values, lat=lat, dates=dates, spinup_years=spinup_years)
    latitude = np.atleast_1d(np.asarray(lat, float))
    shape = len(dates), latitude.size
    hours = (24.0 * daylight_fraction(dates, latitude)).astype(np.float32)
    series = {**{name: checked(forcing, name, shape, dates) for name in OWN}, **soil.daily, "hours": hours}
    drivers = np.stack([np.asarray(series[name], np.float32) for name in DRIVERS])
    p: Any = Parameters(**values)
    codes = Codes(**codes_of(CHOICES, structure or {}, shape[1]))
    fixed = _fixed(p, attributes)
    daily, residuals = np.empty((len(OUTPUTS), *shape), np.float32), np.empty(shape)
    pools = np.empty((len(POOLS), shape[1]))
    for offset in range(0, shape[1], BLOCK):
        cut = slice(offset, min(offset + BLOCK, shape[1]))
        pools[:, cut] = _run(cut, drivers, p, codes, fixed, spinup_years, daily, residuals)
    made = dict(zip(OUTPUTS, daily, strict=True))
    made["reco"] = made["ra"] + made["rh"]
    made["nee"] = made["reco"] - made["gpp"]
    return SimulationResult(
        {**soil.daily, **made}, dict(zip(POOLS, pools, strict=True)), {**soil.residuals, "carbon": residuals}
    )


def _run(
    cut: slice, drivers: Any, p: Any, codes: Any, fixed: Any, spinup_years: int, daily: Any, residuals: Any
) -> FloatArray:
    """One block of cells; returns its pools."""
    offset, n = cut.start, cut.stop - cut.start
    year = min(drivers.shape[1], 365)
    part, own, rows = part_of(p, cut), part_of(fixed, cut), work_rows(n)
    celsius = drivers[0, : min(year, 30), cut].mean(axis=0, dtype=float) - 273.15
    state = State(celsius, np.ones(n), np.zeros((len(POOLS), n)))
    static = (drivers, part, part_of(codes, cut), own, state, rows, daily, residuals)
    run_block(offset, n, year, *static, MEAN)
    state.pools[:] = equilibrium(part, part_of(codes, cut), own, rows.mean)
    for _ in range(spinup_years):
        run_block(offset, n, year, *static, SPIN)
    state.pools[[POOLS.index(name) for name in ("wood", "litter_slow", "soil_slow", "soil_passive")]] *= part.stock
    run_block(offset, n, drivers.shape[1], *static, RECORD)
    return np.asarray(state.pools)


def equilibrium(p: Any, codes: Any, fixed: Any, mean: FloatArray) -> FloatArray:
    """Pools (pool, N) [g m-2] in balance with the means of a year (``MEANS``, N)."""
    production, keep, loss = mean[0], mean[1], np.maximum(mean[2:], 1e-12)
    shares = np.stack([p.leaf_share, p.root_share, fixed.wood_share])
    losses = np.stack([fixed.leaf_loss, fixed.root_loss, fixed.wood_loss])
    living = np.stack([p.leaf_maintenance, p.root_maintenance, p.wood_maintenance])
    per_growth = keep * (1.0 - p.growth_share) * (living * shares / losses).sum(axis=0)
    by_share = codes.autotrophic == 1
    grown = np.where(by_share, (1.0 - p.plant_share) * production, production / (1.0 + per_growth))
    new = np.where(by_share, grown, (1.0 - p.growth_share) * grown)
    plants = shares * new / losses
    fast = p.litter_fast_share * (p.leaf_share + p.root_share) * new
    slow = new - fast
    kept = p.litter_efficiency * slow
    microbial = p.litter_efficiency * fast + (1.0 - p.lignin_share) * kept
    humus = p.lignin_share * kept + fixed.to_slow * microbial
    entering = np.stack([fast, slow, microbial, humus, p.passive_share * humus])
    return np.concatenate([(grown * (1.0 / fixed.reserve_loss - 1.0))[None], plants, entering / loss])


def _fixed(p: Any, attributes: Mapping[str, npt.ArrayLike]) -> Any:
    """What follows from parameters and soil."""
    clay = np.asarray(attributes["clay"], float) / 100.0
    lost = [1.0 - np.exp(-rate / YEAR) for rate in (p.leaf_turnover, p.root_turnover, p.wood_turnover)]
    rates = ("litter_fast_rate", "litter_slow_rate", "soil_fast_rate", "soil_slow_rate", "soil_passive_rate")
    decay = np.stack([getattr(p, name) for name in rates]) / YEAR
    to_slow = np.clip(p.humification * (1.0 + p.clay_effect * (clay - 0.2)), 0.0, 0.9)
    wood = np.maximum(1.0 - p.leaf_share - p.root_share, 0.0)
    return Fixed(soil_properties(attributes)["phi"], *lost, 1.0 - np.exp(-p.reserve_rate), decay, to_slow, wood)


def _split(given: Mapping[str, npt.ArrayLike], n: int) -> tuple[dict[str, Any], dict[str, npt.ArrayLike]]:
    """Parameters of carbon, complete, and those of heat and water that are given."""
    soil = {name: values for name, values in given.items() if name in physical()}
    return TABLE.complete({name: values for name, values in given.items() if name not in soil}, n), soil

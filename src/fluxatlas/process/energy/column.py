"""The energy and water of many surfaces, day by day."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from .._validate import checked
from ..blocks import SimulationResult, part_of
from ..parameters import ParameterTable
from ._kernel import BUDGETS, DRIVERS, OUTPUTS, EnergyState, run_block, work_rows
from .retention import retained, soil_limits

BLOCK = 512
"""Cells worked on together."""
TABLE = ParameterTable("energy")
Parameters: Any = namedtuple("Parameters", TABLE.names)  # type: ignore[misc]
Soil: Any = namedtuple("Soil", ("swcwp", "swcfc", "swcsat", "k_sat", "exponent"))


def simulate(
    forcing: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    parameters: Mapping[str, npt.ArrayLike] | None = None,
    *,
    dates: pd.DatetimeIndex,
    spinup_years: int = 0,
    state: EnergyState | None = None,
) -> SimulationResult[EnergyState]:
    """Run two layers of soil (0-5 cm and 5-100 cm), snow and a canopy over the days of ``forcing``.

    Parameters
    ----------
    forcing: daily drivers (T, N) in canonical units: ``tas, pr, rsds, rlds, huss, ps, sfcWind, lai, co2``.
    attributes: ``sand, clay`` [%] and ``soc`` [g kg-1] of shape (N,).
    parameters: numbers or arrays (N,) by name; those not given take the default of the table.
    dates: the T days. spinup_years: how often the first 365 days are run before the first day.
    state: start from here instead of field capacity without snow.

    Returns net radiation ``rns``, heat into the ground ``hfdsl``, turbulent fluxes ``hfls`` and ``hfss`` (positive
    upward), which close by construction; ``evapfrac``, the latent heat over ``max(rns - hfdsl, 20 W m-2)`` within
    -1..3; soil water ``swc05`` and ``swc45`` (mean of each layer), ``snw``, ``evspsbl``, ``mrro`` and ``gpp``. Budgets
    of ``residuals``: ``water`` [kg m-2]. Raises :class:`InputError` for an absent,
    misshapen or non-finite input and a parameter beyond its bounds.
    """
    if spinup_years < 0:
        raise InputError(f"spinup_years is {spinup_years}", hint="give zero or more")
    cells = np.size(np.asarray(attributes["sand"])) if "sand" in attributes else 0
    drivers = np.stack([checked(forcing, name, (len(dates), cells), dates) for name in DRIVERS])
    p: Any = Parameters(**TABLE.complete(parameters or {}, cells))
    limits = retained(soil_limits(attributes), p.retention_factor)
    soil: Any = Soil(**{name: np.ascontiguousarray(limits[name]) for name in Soil._fields})
    start = state if state is not None else EnergyState(soil.swcfc, soil.swcfc, np.zeros(cells))
    if any(part.shape != (cells,) for part in start):
        raise InputError(f"the state has shapes {[part.shape for part in start]}", hint=f"give ({cells},) of each")
    current = EnergyState(*(np.array(part, float) for part in start))
    daily = np.empty((len(OUTPUTS), len(dates), cells), np.float32)
    residuals = np.empty((len(BUDGETS), len(dates), cells))
    for offset in range(0, cells, BLOCK):
        cut = slice(offset, min(offset + BLOCK, cells))
        n = cut.stop - offset
        block = part_of(current, cut)
        fixed = (drivers, part_of(soil, cut), part_of(p, cut), block, work_rows(n), np.zeros(n), daily, residuals)
        for _ in range(spinup_years):
            run_block(offset, n, min(len(dates), 365), *fixed, False)
        run_block(offset, n, len(dates), *fixed, True)
        for whole, part in zip(current, block, strict=True):
            whole[cut] = part
    return SimulationResult(dict(zip(OUTPUTS, daily, strict=True)), current, dict(zip(BUDGETS, residuals, strict=True)))

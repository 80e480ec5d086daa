"""Methane of many wetlands, day by day."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...errors import InputError
from .._validate import checked, validated_site
from ..blocks import SimulationResult, part_of
from ..heat import initial_temperature
from ..parameters import ParameterTable
from ..structure import Choice, codes_of
from . import rates
from ._kernel import BUDGETS, DRIVERS, DZ, LAYERS, OUTPUTS, Fixed, WetlandState, run_block, work_rows
from .choices import CHOICES

FloatArray = npt.NDArray[np.floating[Any]]

BLOCK = 256
"""Cells worked on together; about 1 MB of state and work arrays."""
CENTRES = DZ * (np.arange(LAYERS) + 0.5)
TABLE = ParameterTable("wetland")
Parameters: Any = namedtuple("Parameters", TABLE.names)  # type: ignore[misc]


def simulate(
    forcing: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    parameters: Mapping[str, npt.ArrayLike] | None = None,
    *,
    dates: pd.DatetimeIndex,
    forms: Mapping[str, Choice] | None = None,
    spinup_years: int = 0,
    state: WetlandState | None = None,
) -> SimulationResult[WetlandState]:
    """Run 1.5 m of wetland soil over the days of ``forcing``.

    Parameters
    ----------
    forcing: daily drivers (T, N) in canonical units: ``tas, pr, rsds, rlds, ps, lai, ch4``.
    attributes: ``phh2o`` of shape (N,).
    parameters: numbers or arrays (N,) by name; those not given take the default of the table.
    dates: the T days. forms: name, or codes (N,), by structural choice (:data:`~.choices.CHOICES`); others: the first.
    spinup_years: how often the first 365 days are run before the first day. state: start from here instead of a guess.

    Returns, per area of wetland in mg m-2 d-1 of CH4 and positive upward, ``fch4wet``, which is diffusion ``ch4wetdif``
    plus transport by plants ``ch4wetpla`` plus bubbles ``ch4wetebu`` less uptake ``ch4wetupt`` of air, none of them
    negative; production and oxidation of the column; soil temperatures; ``wth``, the height of the water table above
    the surface [m]; ``snw`` and ``evspsbl``. The lumped scheme has no stores of methane: its production is its flux and
    its pathways are fixed shares of it. Budgets of ``residuals``: ``methane`` [mmol m-2], ``water``
    [kg m-2]. Raises :class:`InputError` for an absent, misshapen or non-finite input, an unknown form and a parameter
    beyond its bounds.
    """
    if spinup_years < 0:
        raise InputError(f"spinup_years is {spinup_years}", hint="give zero or more")
    cells = np.size(attributes.get("phh2o", ()))
    ph = validated_site(attributes, cells, ("phh2o",))["phh2o"]
    drivers = np.stack([checked(forcing, name, (len(dates), cells), dates) for name in DRIVERS])
    p: Any = Parameters(**TABLE.complete(parameters or {}, cells))
    codes = {name: code.astype(float) for name, code in codes_of(CHOICES, forms or {}, cells).items()}
    fixed = _fixed(p, ph, codes)
    current = _first_state(drivers[0], cells) if state is None else _copied(state, cells)
    daily = np.empty((len(OUTPUTS), len(dates), cells), np.float32)
    residuals = np.empty((len(BUDGETS), len(dates), cells))
    for offset in range(0, cells, BLOCK):
        cut = slice(offset, min(offset + BLOCK, cells))
        n = cut.stop - offset
        block = part_of(current, cut)
        given = (
            drivers,
            part_of(fixed, cut),
            part_of(p, cut),
            block,
            *work_rows(n),
            np.zeros((2, n)),
            daily,
            residuals,
        )
        for _ in range(spinup_years):
            run_block(offset, n, min(len(dates), 365), *given, False)
        run_block(offset, n, len(dates), *given, True)
        for whole, part in zip(current, block, strict=True):
            whole[..., cut] = part
    return SimulationResult(dict(zip(OUTPUTS, daily, strict=True)), current, dict(zip(BUDGETS, residuals, strict=True)))


def _fixed(p: Any, ph: npt.NDArray[np.float64], codes: Mapping[str, npt.NDArray[np.float64]]) -> Fixed:
    """What no day changes: responses to pH and depth, and the factors of the conduction of heat."""
    depth = CENTRES[:, None]
    g = p.heat_diffusivity / (DZ * DZ)
    upper, pivot = np.zeros((LAYERS, ph.size)), np.zeros((LAYERS, ph.size))
    for layer in range(LAYERS):
        above = 2.0 * g if layer == 0 else g * (1.0 - upper[layer - 1])
        below = g if layer < LAYERS - 1 else 0.0 * g
        pivot[layer] = 1.0 / (1.0 + above + below)
        upper[layer] = below * pivot[layer]
    fixed: Fixed = Fixed(  # type: ignore[call-arg]
        np.asarray(rates.acidity(codes["acidity"], ph), float),
        *(np.log(base) for base in (p.production_q10, p.oxidation_q10, p.lumped_q10)),
        np.asarray(rates.organic(depth, p.root_depth)),
        np.asarray(rates.rooted(depth, p.root_depth)),
        upper,
        pivot,
        codes["scheme"],
    )
    return fixed


def _first_state(tas: FloatArray, cells: int) -> WetlandState:
    """A plausible start: annual wave of temperature, water at the surface, no snow."""
    start = {name: np.zeros(cells) for name in ("water", "snw", "lumped")}
    layers = {"methane": np.full((LAYERS, cells), 50.0), "exposure": np.ones((LAYERS, cells))}
    temperature = np.ascontiguousarray(initial_temperature(tas, CENTRES))
    return WetlandState(temperature=temperature, npp=np.ones(cells), **layers, **start)


def _copied(state: WetlandState, cells: int) -> WetlandState:
    if any(part.shape[-1:] != (cells,) for part in state):
        raise InputError(f"the state has shapes {[part.shape for part in state]}", hint=f"give {cells} cells of each")
    return WetlandState(*(np.array(part, float) for part in state))

"""The coupled soil column: snow, water, heat and methane, day by day, for many cells at once.

Each day: snow, radiation, infiltration, evapotranspiration and drainage (with the ice of the day before),
conduction of heat with the new snow and water, methane with the new temperature. Arrays are (layer, cell) or (time,
cell) with cells innermost; cells are worked through in blocks that stay in the cache while time runs.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from . import methane, parameters
from ._kernel import BUDGETS, FULL, HEAT_AND_WATER, OUTPUTS, SOIL, SPIN, run_block, work_rows
from ._validate import validated_forcing, validated_site
from .blocks import SimulationResult, part_of
from .heat import LAYERS, initial_temperature, settle_depths
from .hydraulics import KPA_PER_M, retained, soil_properties
from .methane_column import NODE_CENTRES, ColumnTerms
from .structure import MethaneStructure
from .water import root_fractions

FloatArray = npt.NDArray[np.floating[Any]]

BLOCK = 256
"""Cells worked on together; about 400 KB of state and work arrays."""

Parameters: Any = namedtuple("Parameters", parameters.SOIL.names)  # type: ignore[misc]
Soil: Any = namedtuple("Soil", ("phi", "b", "psi_sat", "k_sat", "theta_fc", "theta_wp", "theta_dry", "drainage_days",
                           "heat_solid", "lam_dry", "lam_wet", "lam_ice", "kersten"))  # fmt: skip


class ColumnState(NamedTuple):
    """What a day hands to the next: soil temperature [degC] and water [1] of shape (layer, N), snow [kg m-2, kg
    m-3].
    """

    temperature: npt.NDArray[np.float64]
    water: npt.NDArray[np.float64]
    snw: npt.NDArray[np.float64]
    density: npt.NDArray[np.float64]

    def copy(self) -> ColumnState:
        """An independent copy."""
        return ColumnState(*(part.copy() for part in self))


def simulate(
    forcing: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    parameters: Mapping[str, npt.ArrayLike],
    *,
    lat: npt.ArrayLike,
    dates: pd.DatetimeIndex,
    structure: MethaneStructure | None = None,
    spinup_years: int = 0,
    state: ColumnState | None = None,
) -> SimulationResult[ColumnState]:
    """Run the soil column over the days of ``forcing``.

    Parameters
    ----------
    forcing: daily drivers (T, N) in canonical units, read as float32: ``tas, pr, rsds, rlds, huss, ps, lai, ch4``;
    without
        ``rlds`` the net longwave is that of FAO-56 from ``tasmin, tasmax`` and the other drivers. Others are ignored.
    attributes: ``sand, clay, soc, bdod, phh2o, cropFrac, ndep`` of shape (N,).
    parameters: numbers or arrays (N,) by name; those not given take the default of the table.
    lat: latitude (N,) [degrees north]. dates: the T days.
    structure: forms of the methane model, one for all or by cell.
    spinup_years: how often the first 365 days are run before the first day. state: start from here instead of a guess.

    Returns the variables of the soil methane system (its intermediates, ``ch4ox``, ``ch4prod``, ``fch4``) and ``mrro``;
    ``fch4`` is positive upward. Budgets of ``residuals``: ``energy`` [J m-2], ``water`` [kg m-2], ``methane`` [mg m-2].
    Raises :class:`InputError` for an absent or misshapen driver or attribute, a value that
    is not finite (named with its day and cell), an unknown parameter or structure, or a value outside its bounds.
    """
    drivers = validated_forcing(forcing, np.asarray(lat, float), dates, spinup_years)
    site = validated_site(attributes, drivers[0].shape[1])
    return _run(drivers, site, parameters, structure or MethaneStructure(), spinup_years, state, FULL)


def simulate_soil(
    forcing: Mapping[str, npt.ArrayLike],
    attributes: Mapping[str, npt.ArrayLike],
    parameters: Mapping[str, npt.ArrayLike],
    *,
    lat: npt.ArrayLike,
    dates: pd.DatetimeIndex,
    spinup_years: int = 0,
    state: ColumnState | None = None,
) -> SimulationResult[ColumnState]:
    """Heat, water and snow of the column, without methane; the same numbers as :func:`simulate` to the last bit.

    As :func:`simulate`, but neither ``ch4`` nor ``phh2o``, ``cropFrac``, ``ndep`` are read. Returns
    :data:`~fluxatlas.process._kernel.HEAT_AND_WATER` and ``reach`` [1]: the share of the available water (wilting point
    to field capacity) that is there, each layer weighted by its roots.
    """
    shape = np.shape(forcing["tas"]) if "tas" in forcing else ()
    drivers = validated_forcing(
        {**forcing, "ch4": np.broadcast_to(np.float32(0), shape)}, np.asarray(lat, float), dates, spinup_years
    )
    neutral = {"phh2o": 7.0, "cropFrac": 0.0, "ndep": 0.0}
    cells = drivers[0].shape[1]
    site = validated_site({**attributes, **{name: np.full(cells, value) for name, value in neutral.items()}}, cells)
    return _run(drivers, site, parameters, MethaneStructure(), spinup_years, state, SOIL)


def _run(
    drivers: Any,
    site: Mapping[str, Any],
    given: Mapping[str, npt.ArrayLike],
    structure: MethaneStructure,
    spinup_years: int,
    state: ColumnState | None,
    record: int,
) -> SimulationResult[ColumnState]:
    """Run the column, with methane (``record`` FULL) or without (SOIL); see :func:`simulate`."""
    steps, cells = drivers[0].shape
    values = _parameters(given, cells)
    p: Any = Parameters(**values)
    soil = soil_of(site, values)
    column = methane_column(structure, site, values, soil)
    roots = root_fractions(p.root_base)
    current = state.copy() if state is not None else _first_state(drivers.tas, soil)
    if current.temperature.shape != (LAYERS, cells):
        raise _state_error(current.temperature.shape, cells)
    outputs, budgets = (OUTPUTS, BUDGETS) if record == FULL else ((*HEAT_AND_WATER, "reach"), BUDGETS[:2])
    daily = np.empty((len(outputs), steps, cells), np.float32)
    residuals = np.empty((len(budgets), steps, cells))
    for offset in range(0, cells, BLOCK):
        cut = slice(offset, min(offset + BLOCK, cells))
        block = part_of(current, cut)
        n = cut.stop - offset
        rows: Any = work_rows(n)
        static = (part_of(soil, cut), part_of(p, cut), roots[:, cut].copy(), part_of(column, cut), block, rows)
        for _ in range(spinup_years):
            run_block(offset, n, min(steps, 365), drivers, *static, daily, residuals, SPIN)
            if steps >= 365:
                settle_depths(block.temperature, rows.mean)
        run_block(offset, n, steps, drivers, *static, daily, residuals, record)
        for whole, part in zip(current, block, strict=True):
            whole[..., cut] = part
    return SimulationResult(
        daily=dict(zip(outputs, daily, strict=True)),
        state=current,
        residuals=dict(zip(budgets, residuals, strict=True)),
    )


def _parameters(given: Mapping[str, npt.ArrayLike], cells: int) -> dict[str, npt.NDArray[np.float64]]:
    return parameters.SOIL.complete(given, cells)


def _state_error(shape: tuple[int, ...], cells: int) -> Exception:
    from ..errors import InputError

    return InputError(f"the state has shape {shape}", where="state", hint=f"give one of shape ({LAYERS}, {cells})")


def _first_state(tas: FloatArray, soil: Any) -> ColumnState:
    """A plausible start: annual wave of temperature, soil at field capacity, no snow."""
    cells = tas.shape[1]
    return ColumnState(
        np.ascontiguousarray(initial_temperature(tas)),
        np.array(np.broadcast_to(0.9 * soil.theta_fc, (LAYERS, cells)), order="C"),
        np.zeros(cells),
        np.full(cells, 110.0),
    )


def soil_of(site: Mapping[str, Any], values: Mapping[str, Any]) -> Soil:
    """Properties of each soil from its attributes and the parameters ``values``."""
    found = retained(soil_properties(site), values["retention_factor"])
    return Soil(**{name: np.ascontiguousarray(array) for name, array in found.items()})


def methane_column(
    structure: MethaneStructure, site: Mapping[str, Any], p: Mapping[str, Any], soil: Any
) -> ColumnTerms:
    """Static terms of the methane model."""
    codes = structure.codes(soil.phi.size)
    factor, exponent = methane.diffusivity_coefficients(
        codes["diffusivity"], soil.phi, soil.b, site["sand"], site["clay"]
    )
    rate = p["oxidation_rate"] * methane.site_factor(site["ndep"], site["phh2o"], site["cropFrac"], p)
    profile = methane.rate_profile(codes["profile"], NODE_CENTRES, p["oxidation_depth"], p["oxidation_width"])
    production = p["production_rate"] / 3600.0 * np.exp(-NODE_CENTRES[:, None] / p["production_depth"])
    return ColumnTerms(
        factor,
        exponent,
        codes["temperature"],
        codes["moisture"],
        np.ascontiguousarray(rate * profile),
        np.ascontiguousarray(production),
        np.log(p["suction_low"]),
        np.log(p["suction_high"]),
        np.log(soil.psi_sat * KPA_PER_M),
        np.log(p["oxidation_q10"]),
        np.log(p["production_q10"]),
    )

"""The methane column under measured soil temperature and water, at sites without meteorology."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from . import parameters
from ._kernel import methane_day, work_rows
from ._validate import Drivers, validated_site
from .column import ColumnState, Parameters, methane_column, soil_of
from .heat import CENTRES
from .structure import MethaneStructure

FloatArray = npt.NDArray[np.floating[Any]]

DEPTHS = (0.05, 0.15, 0.45)
"""Depths [m] of the profiles ``tsl05, tsl15, tsl45`` and ``swc05, swc15, swc45``."""
OUTPUTS = ("difs", "oxk", "ch4prod", "ch4ox", "fch4")


def methane_under(
    soil: Mapping[str, FloatArray],
    drivers: Mapping[str, FloatArray],
    attributes: Mapping[str, npt.ArrayLike],
    given: Mapping[str, npt.ArrayLike],
    structure: MethaneStructure | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> dict[str, FloatArray]:
    """Uptake, production and net flux of methane of each day by itself: diffusion is in balance within hours.

    ``soil`` holds temperature [K] and water [1] at :data:`DEPTHS` and snow (``snw`` [kg m-2], ``snd`` [m]), ``drivers``
    ``tas`` [K], ``ps`` [Pa], ``huss`` [1] and ``ch4`` [1e-9], all (time, cell); ``attributes`` and the parameters
    ``given`` as for :func:`fluxatlas.process.simulate`. Between the depths temperature and water are interpolated,
    above and below them they are those of the nearest. Gives :data:`OUTPUTS` (time, cell) in canonical units as
    ``dtype``, NaN on days where anything is missing; ``fch4`` is positive upward. Raises :class:`InputError` as
    ``simulate`` does.
    """
    steps, n = np.shape(drivers["tas"])
    site = validated_site(attributes, n)
    values = parameters.SOIL.complete(given, n)
    properties, p = soil_of(site, values), Parameters(**values)
    column = methane_column(structure or MethaneStructure(), site, values, properties)
    weights = np.stack([np.interp(CENTRES, DEPTHS, unit) for unit in np.eye(len(DEPTHS))], axis=1)
    profile = {kind: np.stack([soil[f"{kind}{z * 100:02.0f}"] for z in DEPTHS]) for kind in ("tsl", "swc")}
    if profile["tsl"].shape[1:] != (steps, n):
        raise InputError(
            f"the profiles have shape {profile['tsl'].shape[1:]}", hint=f"give (time, cell) = {(steps, n)}"
        )
    weather = {name: np.asarray(drivers[name], np.float64) for name in ("tas", "ps", "huss", "ch4")}
    snow = {name: np.asarray(soil[name], np.float64) for name in ("snw", "snd")}
    given_all = np.stack([*profile["tsl"], *profile["swc"], *weather.values(), *snow.values()])
    known: npt.NDArray[np.bool_] = np.isfinite(given_all).all(axis=0)
    found = np.full((len(OUTPUTS), steps, n), np.nan, dtype)
    rows: Any = work_rows(n)
    for day in map(int, np.flatnonzero(known.any(axis=1))):
        here = known[day]
        state = _state(weights, profile, snow, day, properties.phi)
        f: Any = Drivers(*(weather[name][day] if name in weather else np.zeros(n) for name in Drivers._fields))  # type: ignore[arg-type]
        methane_day(n, f, state, rows, properties, p, column)
        made = (rows.difs, rows.oxk, rows.ch4prod, rows.ch4ox, rows.ch4prod - rows.ch4ox)
        found[:, day, here] = np.stack(made)[:, here]
    return dict(zip(OUTPUTS, found, strict=True))


def _state(weights: Any, profile: Mapping[str, Any], snow: Mapping[str, Any], day: int, phi: Any) -> ColumnState:
    """The column of one day; what is missing is made up and its result not used."""
    temperature = np.nan_to_num(weights @ (profile["tsl"][:, day].astype(np.float64) - 273.15))
    water = np.clip(np.nan_to_num(weights @ profile["swc"][:, day].astype(np.float64), nan=0.1), 1e-3, 0.98 * phi)
    amount, depth = np.nan_to_num(snow["snw"][day]), np.nan_to_num(snow["snd"][day])
    density = np.where(depth > 0, amount / np.maximum(depth, 1e-6), 110.0)
    return ColumnState(np.ascontiguousarray(temperature), np.ascontiguousarray(water), amount, np.maximum(density, 1.0))

"""Quality control: rules are configuration, and every value they drop is counted with its reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ... import variables
from ...config.sites import QcRules
from .magnitude import too_large
from .records import Ledger

FloatArray = npt.NDArray[np.floating[Any]]


def bounds(variable: str, rules: QcRules) -> tuple[tuple[float, float], tuple[float, float]]:
    """(possible range, range of the system) of daily values of ``variable`` [canonical units]; see ``qc.limits``."""
    row = variables.get(variable)
    low, high = row.possible or row.valid
    limits = rules.limits.get(variable)
    if limits is None:
        return (low, high), row.valid
    return (low, high), (max(low, limits[0]), min(high, limits[1]))


def step_range(variable: str, rules: QcRules) -> tuple[float, float]:
    """Possible range of one value within the day: that of a day, or a wider one where there is one.

    Of a variable whose limits are given it is at least four times those.
    """
    row = variables.get(variable)
    if row.step is None:
        return bounds(variable, rules)[0]
    (low, high), (least, most) = row.step, bounds(variable, rules)[1]
    return (min(low, 4 * least), max(high, 4 * most)) if variable in rules.limits else row.step


ENERGY = ("hfls", "hfss", "hfdsl", "rns")
"""Fluxes of the energy of a surface."""


def error_floor(variable: str, value: pd.Series, rules: QcRules) -> pd.Series:
    """Least random uncertainty (standard deviation, canonical units) of daily ``value``.

    CH4 flux: ``flux_sd + flux_sd_relative * |F|`` (science notes 7.14, derived); soil temperature, moisture and
    fluxes of carbon: constants; energy: as CH4, with numbers of its own; any other variable: 5 % of its standard
    deviation.
    """
    if variable == "fch4":
        return rules.flux_sd + rules.flux_sd_relative * value.abs()
    if variable.startswith("tsl"):
        return pd.Series(rules.temperature_sd, index=value.index)
    if variable.startswith("swc"):
        return pd.Series(rules.moisture_sd, index=value.index)
    if variable in ("nee", "gpp", "reco"):
        return pd.Series(rules.carbon_sd, index=value.index)
    if variable in ENERGY:
        return rules.energy_sd + rules.energy_sd_relative * value.abs()
    spread = float(np.nan_to_num(value.std(ddof=0)))
    return pd.Series(max(0.05 * spread, 1e-12), index=value.index)


def missing(raw: pd.Series, rules: QcRules) -> tuple[pd.Series, dict[str, int]]:
    """``raw`` (source units) without missing values and missing codes, and how many of each there were."""
    values = raw.to_numpy(float, copy=True)
    counts = {"missing": int(np.isnan(values).sum())}
    for code in rules.missing_codes:
        hit = np.isclose(values, code, rtol=0, atol=1e-6)
        counts[f"missing code {code:g}"] = int(hit.sum())
        values[hit] = np.nan
    return pd.Series(values, index=raw.index, name=raw.name), counts


def scaled_codes(values: FloatArray, impossible: npt.NDArray[np.bool_], repeats: int) -> list[float]:
    """Values among the ``impossible`` ones that recur exactly at least ``repeats`` times.

    A missing code that went through a unit conversion (-9999 mg C m-2 h-1 becomes -231458.33 nmol m-2 s-1) is no longer
    equal to the code, but still the same number every time; a broken sensor is not.
    """
    found, count = np.unique(values[impossible & np.isfinite(values)], return_counts=True)
    return [float(value) for value in found[count >= repeats]]


def spikes(values: FloatArray, variable: str, rules: QcRules) -> npt.NDArray[np.bool_]:
    """Single values that stand out from both their neighbours by more than ``spike_z`` robust standard deviations.

    The test of Papale et al. (2006, doi:10.5194/bg-3-571-2006): the second difference against its running median, in
    units of 1.4826 times the running median of its absolute value, taken as at least 1 % of the valid range,
    so that quantised stretches do not turn small steps into spikes. Soil moisture is not tested: it has true pulses.
    """
    result = np.zeros(values.shape, dtype=bool)
    if rules.spike_z == 0 or variable.startswith("swc") or np.isfinite(values).sum() < rules.spike_window:
        return result
    series = pd.Series(values).dropna()
    curvature = 2 * series - series.shift(1) - series.shift(-1)
    window: dict[str, Any] = {"window": rules.spike_window, "center": True, "min_periods": 5}
    away = (curvature - curvature.rolling(**window).median()).abs()
    low, high = variables.get(variable).valid
    scale = (1.4826 * away.rolling(**window).median()).clip(lower=0.01 * (high - low))
    apart = np.minimum((series - series.shift(1)).abs(), (series - series.shift(-1)).abs())
    result[series.index.to_numpy()] = ((away > rules.spike_z * scale) & (apart > 0.25 * away)).to_numpy()
    return result


def within_range(
    values: FloatArray,
    variable: str,
    rules: QcRules,
    ledger: Ledger,
    *,
    site: str,
    of: str = "days",
    label: str | None = None,
    valid: tuple[float, float] | None = None,
) -> FloatArray:
    """``values`` [canonical units] with NaN for those that are impossible or not of this system, each counted.

    ``valid`` replaces the range by a wider one for the steps of a day.
    """
    (low, high), (least, most) = (valid, valid) if valid else bounds(variable, rules)
    with np.errstate(invalid="ignore"):
        impossible = (values < low) | (values > high)
        other = ~impossible & ((values < least) | (values > most))
    ledger.drop(site, label or variable, "out of range", int(impossible.sum()), of=of)
    ledger.drop(site, label or variable, f"outside {least:g} to {most:g} (qc.limits)", int(other.sum()), of=of)
    if valid is None:
        ledger.judged(site, variable, int(np.isfinite(values).sum()), int(other.sum()))
    return np.where(impossible | other, np.nan, values)


def screen(
    raw: pd.Series,
    variable: str,
    *,
    factor: float = 1.0,
    offset: float = 0.0,
    rules: QcRules,
    ledger: Ledger,
    site: str,
    qc: pd.Series | None = None,
    min_qc: float = 0.0,
    of: str = "days",
    label: str | None = None,
    valid: tuple[float, float] | None = None,
) -> pd.Series:
    """Canonical values of ``variable`` from ``raw``, NaN where a rule drops them; every drop goes into ``ledger``.

    ``factor`` and ``offset`` bring the source's unit to the canonical one (``raw * factor + offset``). Rules in order:
    missing values and codes, scaled missing codes, possible range, range of the system (``qc.limits``), spikes,
    fraction of measured data ``qc``. A value is counted under the first rule that drops it. ``of`` says what is
    counted: 'days' or sub-daily 'values'. ``valid`` is the range [canonical units] of one step where it is wider than
    that of a day.
    """
    name = label or variable
    ledger.source(site, variable, str(raw.name), factor, offset)
    clean, counts = missing(raw, rules)
    ledger.read(site, name, len(clean), of=of)
    for reason, n in counts.items():
        ledger.drop(site, name, reason, n, of=of)
    with np.errstate(over="ignore", invalid="ignore"):
        values: FloatArray = clean.to_numpy(float) * factor + offset
    if rules.valid_range:
        low, high = valid or bounds(variable, rules)[0]
        if offset == 0 and (times := too_large(values, low, high)) > 1:
            state = f"state it with sites.entries.units.{raw.name}"
            ledger.doubts[site, name] = (
                f"; they are about {times:,.0f} times too large: if the unit is another one, {state}"
            )
        impossible = (values < low) | (values > high)
        for code in scaled_codes(values, impossible, rules.scaled_code_repeats):
            hit = values == code
            ledger.drop(site, name, f"scaled missing code {(code - offset) / factor:.8g}", int(hit.sum()), of=of)
            values[hit] = np.nan
        values = within_range(values, variable, rules, ledger, site=site, of=of, label=name, valid=valid)
    spike = spikes(values, variable, rules)
    ledger.drop(site, name, "spike", int(spike.sum()), of=of)
    values[spike] = np.nan
    if qc is not None and min_qc > 0:
        poor = np.isfinite(values) & ~(qc.to_numpy(float) >= min_qc)
        ledger.drop(site, name, "gap-filled", int(poor.sum()), of=of)
        values[poor] = np.nan
    return pd.Series(values, index=raw.index, name=variable)

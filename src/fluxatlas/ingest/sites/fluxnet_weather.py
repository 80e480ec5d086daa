"""The daily weather of FLUXNET files: canonical drivers from filled columns, reanalysis where the tower has none."""

from __future__ import annotations

import re

import pandas as pd

from ...config.sites import QcRules
from . import weather
from .closure import MEASURED
from .fluxnet_files import CARBON, METHANE_CARBON, layout
from .qc import screen
from .records import Ledger

FORCING: dict[str, tuple[str, ...]] = {
    "rsds": ("SW_IN_F", "SW_IN_ERA"),
    "rlds": ("LW_IN_F", "LW_IN_JSB_F", "LW_IN_ERA"),
    "vpd": ("VPD_F", "VPD_ERA"),
    "ps": ("PA_F", "PA_ERA"),
    "pr": ("P_F", "P_ERA"),
    "sfcWind": ("WS_F", "WS_ERA"),
}
"""Canonical variable -> columns by preference."""
_FAMILY = {"tasmin": "tas", "tasmax": "tas"}
ORDER = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")


def flag(table: pd.DataFrame, column: str) -> pd.Series | None:
    """The QC column of ``column`` with values outside 0..1 (missing codes) as 0, or None where there is none."""
    whose = re.sub(r"^(GPP|RECO)_NT", "NEE", column) if column in CARBON else column
    whose = METHANE_CARBON[0] if column in METHANE_CARBON else whose
    name = f"{MEASURED.get(whose, whose)}_QC"
    if name not in table:
        return None
    return table[name].where(table[name].between(0, 1), 0.0)


def forcing(site: str, table: pd.DataFrame, lat: float, rules: QcRules, ledger: Ledger) -> pd.DataFrame | None:
    """Canonical daily meteorology, NaN where missing, or None if a variable is absent altogether."""
    frame: dict[str, pd.Series] = {}
    lacking = [" or ".join(columns) for columns in FORCING.values() if not set(columns) & set(table.columns)]
    if lacking:
        warm = [] if {"TA_F", "TA_ERA"} & set(table.columns) else ["TA_F or TA_ERA"]
        weather.absent(site, [*warm, *lacking], ledger, others=len(lacking) < len(FORCING))
        return None
    for name, columns in FORCING.items():
        parts = [_screened(site, table, column, name, rules, ledger) for column in columns if column in table]
        frame[name] = _first(parts)
    temperature = [
        part
        for suffix in ("F", "ERA")
        if f"TA_{suffix}" in table and (part := _temperature(site, table, suffix, lat, rules, ledger)) is not None
    ]
    if not temperature and {"TA_F", "FCH4"} <= set(table.columns):
        temperature = [_without_extremes(site, table, frame["rsds"], lat, rules, ledger)]
    if not temperature:
        kinds = "TA_F_MIN and TA_F_MAX (or TA_F_DAY and TA_F_NIGHT, or those of TA_ERA)"
        weather.absent(site, [kinds], ledger, others=True)
        return None
    joined = temperature[0] if len(temperature) == 1 else temperature[0].combine_first(temperature[1])
    frame |= {str(name): joined[name] for name in joined}
    vpd = frame.pop("vpd")
    weather.judge_deficit(
        next(c for c in FORCING["vpd"] if c in table), vpd, frame["tasmin"], frame["tasmax"], ledger, site
    )
    frame["huss"] = weather.humidity_from_deficit(vpd, frame["ps"], frame["tasmin"], frame["tasmax"])
    return pd.DataFrame(frame)[list(ORDER)].rename_axis("time")


def _screened(
    site: str,
    table: pd.DataFrame,
    column: str,
    variable: str,
    rules: QcRules,
    ledger: Ledger,
) -> pd.Series:
    raw, (factor, offset) = table[column].dropna(), layout().of(_FAMILY.get(variable, variable)).conversion()
    qc = flag(table, column)
    return screen(
        raw,
        variable,
        factor=factor,
        offset=offset,
        rules=rules.model_copy(update={"spike_z": 0.0}),
        ledger=ledger,
        site=site,
        qc=None if qc is None else qc.loc[raw.index],
        min_qc=rules.forcing_min_qc,
        label=column,
    ).reindex(table.index)


def _temperature(
    site: str, table: pd.DataFrame, suffix: str, lat: float, rules: QcRules, ledger: Ledger
) -> pd.DataFrame | None:
    """tas, tasmin and tasmax from the columns TA_F* or TA_ERA*; rows are whole or NaN."""
    mean = f"TA_{suffix}"
    if {f"{mean}_MIN", f"{mean}_MAX"} <= set(table.columns):
        names = {"tas": mean, "tasmin": f"{mean}_MIN", "tasmax": f"{mean}_MAX"}
        frame = pd.DataFrame({k: _screened(site, table, c, k, rules, ledger) for k, c in names.items()})
    elif {f"{mean}_DAY", f"{mean}_NIGHT"} <= set(table.columns):
        tas, day, night = (
            _screened(site, table, column, "tas", rules, ledger) for column in (mean, f"{mean}_DAY", f"{mean}_NIGHT")
        )
        day_sd, night_sd = (
            table[name].where(table[name].between(0, 40)) if name in table else day.mask(day.notna())
            for name in (f"{mean}_DAY_SD", f"{mean}_NIGHT_SD")
        )
        low, high = weather.extremes(tas, day, night, day_sd, night_sd, lat)
        frame = pd.DataFrame({"tas": tas, "tasmin": low, "tasmax": high})
        for column in (f"{mean}_DAY", f"{mean}_NIGHT"):
            pairs = ledger.sources[site]["tas"].pop(column)
            for name in ("tasmin", "tasmax"):
                ledger.source(site, name, column, *pairs[0])
        ledger.note(site, f"tasmin and tasmax are estimated from day and night statistics of {mean} (weather.extremes)")
    else:
        return None
    return frame[frame.notna().all(axis=1)].reindex(table.index)


def _without_extremes(
    site: str, table: pd.DataFrame, rsds: pd.Series, lat: float, rules: QcRules, ledger: Ledger
) -> pd.DataFrame:
    """tas, tasmin and tasmax of FLUXNET-CH4, whose daily files hold the mean of TA alone."""
    tas = _screened(site, table, "TA_F", "tas", rules, ledger)
    low, high = weather.extremes_of_sun(tas, rsds, lat)
    pairs = ledger.sources[site]["tas"]["TA_F"]
    for name in ("tasmin", "tasmax"):
        ledger.source(site, name, "TA_F", *pairs[0])
    ledger.note(site, "tasmin and tasmax are estimated from TA_F and SW_IN_F (weather.extremes_of_sun)")
    return pd.DataFrame({"tas": tas, "tasmin": low, "tasmax": high})


def _first(parts: list[pd.Series]) -> pd.Series:
    """The first series, its gaps filled from the next ones."""
    result = parts[0]
    for part in parts[1:]:
        result = result.fillna(part)
    return result

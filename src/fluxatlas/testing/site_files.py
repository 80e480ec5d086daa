"""Raw files of the sites of the synthetic Earth: FLUXNET2015 FULLSET daily tables, a chamber table, a list of towers.

What is measured is what the system observes. Towers have complete meteorology, and what the system observes with towers
of soil temperature and moisture at 5, 15 and 45 cm (sensors 1, 2, 3) and of the fluxes :data:`FLUX_COLUMNS`; days
without measurement are -9999 in soil and flux, gap-filled (QC 0, with an error) in meteorology. Days are local days.
Chambers, where the system observes with them, have flux, soil temperature and soil moisture; two declared ways of
stating the flux occur (:data:`FLUX_FORMS`), and two units of temperature and moisture. Where the system has fields of
crops there is a table of yields.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.sites import QcRules
from ..config.synthetic_earth import YIELDS
from ..errors import ConfigError
from ..files import write_parquet, write_text
from ..humidity import saturation_vapour_pressure
from ..ingest.sites.fluxnet_files import layout
from ..ingest.sites.qc import error_floor
from ..ingest.yields import GRAINS
from ..systems import System
from .earth import SyntheticEarth
from .sites import Box, SyntheticSites, chamber_visits, deviates, local_days, place_sites, site_truth, tower_gaps
from .waves import rng
from .weather import daily, hourly

Array = npt.NDArray[np.floating[Any]]

MISSING = -9999.0
YIELD_ERROR = 0.05
"""Error of a yield, in its logarithm (ours)."""
FLUX_FORMS = (
    ("ug CH4-C m-2 h-1", "uptake_positive", -1 / 0.032057),
    ("nmol m-2 s-1", "upward_positive", 1 / 1.3861),
)
"""Unit and sign of the flux and the factor from mg CH4 m-2 d-1, positive upward (science notes, section 0 [D])."""
LAYOUT = (
    "TIMESTAMP", "TA_F", "TA_F_QC", "TA_F_NIGHT", "TA_F_NIGHT_SD", "TA_F_NIGHT_QC", "TA_F_DAY", "TA_F_DAY_SD",
    "TA_F_DAY_QC", "SW_IN_F", "SW_IN_F_QC", "LW_IN_F", "LW_IN_F_QC", "VPD_F", "VPD_F_QC", "PA_F", "PA_F_QC", "P_F",
    "P_F_QC", "WS_F", "WS_F_QC", "TS_F_MDS_1", "TS_F_MDS_2", "TS_F_MDS_3", "TS_F_MDS_1_QC", "TS_F_MDS_2_QC",
    "TS_F_MDS_3_QC", "SWC_F_MDS_1", "SWC_F_MDS_2", "SWC_F_MDS_3", "SWC_F_MDS_1_QC", "SWC_F_MDS_2_QC", "SWC_F_MDS_3_QC",
    "G_F_MDS", "G_F_MDS_QC", "LE_F_MDS", "LE_F_MDS_QC", "H_F_MDS", "H_F_MDS_QC", "NETRAD", "NETRAD_QC", "NEE_VUT_REF",
    "NEE_VUT_REF_QC", "RECO_NT_VUT_REF", "GPP_NT_VUT_REF", "FCH4",
)  # fmt: skip
"""Columns of a tower's file: those of FLUXNET2015 FULLSET DD that this world may have, in the product's order."""
FLUX_COLUMNS = {
    "evspsbl": "LE_F_MDS",
    "hfls": "LE_F_MDS",
    "hfss": "H_F_MDS",
    "hfdsl": "G_F_MDS",
    "rns": "NETRAD",
    "nee": "NEE_VUT_REF",
    "reco": "RECO_NT_VUT_REF",
    "gpp": "GPP_NT_VUT_REF",
    "fch4": "FCH4",
}
"""Column of a flux of towers; units are those of the layout."""
CHAMBER_FLUX = "fch4"
"""The flux that chamber tables hold."""
_SENSOR_ERROR = {"tsl": 0.15, "swc": 0.008}
_DEPTHS = ("05", "15", "45")
_GAP_ERRORS = {"TA_F": 0.8, "SW_IN_F": 0.08, "LW_IN_F": 6.0, "VPD_F": 0.12, "PA_F": 0.1, "P_F": 0.3, "WS_F": 0.2}
_RELATIVE = ("SW_IN_F", "VPD_F", "P_F", "WS_F")


def write_sites(
    earth: SyntheticEarth, system: System, box: Box, start: int, end: int, folder: str | Path
) -> list[Path]:
    """Write all site files for the years ``start`` to ``end`` into ``folder``; returns their paths.

    Raises :class:`ConfigError` for a system that observes what these files cannot hold.
    """
    _refuse_others(system)
    dates = pd.date_range(f"{start}-01-01", f"{end}-12-31", freq="D")
    towers, chambers = place_sites(earth, box)
    folder = Path(folder)
    listed = folder / "towers.csv"
    write_text(listed, towers.table().to_csv(index=False))
    written = [listed]
    for name, table in tower_tables(earth, system, towers, dates).items():
        path = folder / f"FLX_{name}_FLUXNET2015_FULLSET_DD_{start}-{end}_1-1.csv"
        write_text(path, table.to_csv(index=False))
        written.append(path)
    if system.grown:
        write_text(folder / YIELDS, yield_table(earth, system, towers, dates).to_csv(index=False))
        written.append(folder / YIELDS)
    if not system.measured_by("chamber"):
        return written
    path = folder / "chambers.csv"
    buffer = io.StringIO()
    buffer.write(
        "# Synthetic Earth of fluxatlas: chamber measurements made up from a hidden model; not observations.\n"
    )
    chamber_table(earth, system, chambers, dates).to_csv(buffer, index=False)
    write_text(path, buffer.getvalue())
    return [*written, path]


def _refuse_others(system: System) -> None:
    at_towers = {*FLUX_COLUMNS, *(f"{kind}{depth}" for kind in _SENSOR_ERROR for depth in _DEPTHS)}
    for instrument, known in (("tower", at_towers), ("chamber", {CHAMBER_FLUX})):
        if others := sorted({system.measured_as(name) for name in system.measured_by(instrument)} - known):
            raise ConfigError(
                f"the {instrument} files of the synthetic Earth cannot hold {', '.join(others)}",
                where=f"observations of the system '{system.key}'",
                hint=f"they hold {', '.join(sorted(known))}; give sites of your own in 'sites.entries'",
            )


def write_site_truth(
    earth: SyntheticEarth, system: System, box: Box, start: int, end: int, output: str | Path, more: Sequence[str] = ()
) -> pd.DataFrame:
    """Write what is true at the sites of :func:`write_sites` on their own days, without errors and gaps, as Parquet.

    Long, ``site, time, variable, value`` in canonical units; returns it. At chamber sites it is the truth of the cell.
    ``more``: outputs beside those that sites measure.
    """
    dates = pd.date_range(f"{start}-01-01", f"{end}-12-31", freq="D")
    towers, chambers = place_sites(earth, box)
    parts = []
    for instrument, sites in (("tower", towers), ("chamber", chambers)):
        if not system.measured_by(instrument):
            continue
        for name, values in site_truth(earth, system, sites, dates, more).items():
            of_day = local_days(values, sites.utc_offset) if instrument == "tower" else values
            wide = pd.DataFrame(of_day, pd.Index(dates, name="time"), pd.Index(sites.names, name="site"))
            parts.append(wide.reset_index().melt("time", value_name="value").assign(variable=name))
    table = pd.concat(parts, ignore_index=True)[["site", "time", "variable", "value"]]
    write_parquet(table, output)
    return table


def tower_tables(
    earth: SyntheticEarth, system: System, towers: SyntheticSites, dates: pd.DatetimeIndex
) -> dict[str, pd.DataFrame]:
    """A table in the layout of FLUXNET2015 FULLSET DD for each tower, local days ``dates``."""
    true = site_truth(earth, system, towers, dates)
    measured = {
        system.measured_as(name): local_days(true[name], towers.utc_offset) for name in system.measured_by("tower")
    }
    padded = pd.date_range(dates[0] - pd.Timedelta(days=1), dates[-1] + pd.Timedelta(days=1), freq="D")
    hours = hourly(earth.seed, towers.place, padded)
    tables = {}
    for number, name in enumerate(towers.names):
        begin = 24 - int(towers.utc_offset[number])  # the first hour of the first local day
        part = slice(begin, begin + 24 * len(dates))
        weather = _local_weather({k: v[part, number].astype(float).reshape(-1, 24) for k, v in hours.items()})
        gaps = tower_gaps(earth, name, len(dates))
        columns = {"TIMESTAMP": dates.strftime("%Y%m%d").to_numpy()} | _with_gap_filling(earth, name, weather, gaps)
        here = {variable: values[:, number] for variable, values in measured.items()}
        columns |= _soil_columns(earth, name, here, gaps) | _flux_columns(earth, name, here, gaps)
        tables[name] = pd.DataFrame(columns)[[column for column in LAYOUT if column in columns]]
    return tables


def _local_weather(hours: dict[str, Array]) -> dict[str, Array]:
    """Daily columns in FLUXNET units from hours (day, 24); day and night are distinguished by the sun."""
    celsius = hours["t2m"] - 273.15
    deficit = 0.01 * (saturation_vapour_pressure(hours["t2m"]) - saturation_vapour_pressure(hours["d2m"]))
    light = hours["ssrd"] > 5.0
    day, night = np.where(light, celsius, np.nan), np.where(light, np.nan, celsius)
    return {
        "TA_F": celsius.mean(axis=1),
        "TA_F_NIGHT": _mean(night),
        "TA_F_NIGHT_SD": _sd(night),
        "TA_F_DAY": _mean(day),
        "TA_F_DAY_SD": _sd(day),
        "SW_IN_F": hours["ssrd"].mean(axis=1),
        "LW_IN_F": hours["strd"].mean(axis=1),
        "VPD_F": deficit.mean(axis=1),
        "PA_F": hours["sp"].mean(axis=1) / 1000,
        "P_F": hours["tp"].sum(axis=1),
        "WS_F": np.hypot(hours["u10"], hours["v10"]).mean(axis=1),
    }


def _mean(values: Array) -> Array:
    """Mean over the hours that count, missing where there are none (polar day or night)."""
    count = np.isfinite(values).sum(axis=1)
    return np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), MISSING)


def _sd(values: Array) -> Array:
    """Standard deviation over the hours that count, missing for fewer than two."""
    count = np.isfinite(values).sum(axis=1)
    spread = values - np.where(count > 0, _mean(values), 0.0)[:, None]
    return np.where(count > 1, np.sqrt(np.nansum(spread**2, axis=1) / np.maximum(count, 1)), MISSING)


def _with_gap_filling(
    earth: SyntheticEarth, name: str, weather: dict[str, Array], gaps: npt.NDArray[np.bool_]
) -> dict[str, Array]:
    """The weather with an error on gap days and the QC columns: 1 measured, 0 filled, between on a few days."""
    draw = rng(earth.seed, f"sites.{name}.weather")
    partly = draw.random(gaps.size) < 0.08
    quality = np.where(gaps, 0.0, np.where(partly, draw.uniform(0.5, 1.0, gaps.size), 1.0)).round(3)
    columns: dict[str, Array] = {}
    shift = np.zeros(gaps.size)
    for column, values in weather.items():
        if column in _GAP_ERRORS:
            shift = gaps * _GAP_ERRORS[column] * draw.standard_normal(gaps.size)
        if column in _RELATIVE:
            values = values * np.maximum(1 + shift, 0.2)
        elif not column.endswith("_SD"):  # day and night means are wrong by as much as the mean
            values = np.where(values == MISSING, values, values + shift)
        columns[column] = values.round(3)
        if not column.endswith("_SD"):
            columns[f"{column}_QC"] = quality
    return columns


def _soil_columns(
    earth: SyntheticEarth, name: str, soil: dict[str, Array], gaps: npt.NDArray[np.bool_]
) -> dict[str, Array]:
    """TS [degC] and SWC [%] with sensor error, -9999 in gaps, and their QC columns."""
    draw, always = rng(earth.seed, f"sites.{name}.soil"), np.ones(gaps.size, bool)
    columns: dict[str, Array] = {}
    for stem, kind, factor, offset in (("TS_F_MDS", "tsl", 1.0, -273.15), ("SWC_F_MDS", "swc", 100.0, 0.0)):
        values = {}
        for number, depth in enumerate(_DEPTHS, start=1):
            true = soil.get(f"{kind}{depth}")
            if true is None:
                continue
            measured = (true + _SENSOR_ERROR[kind] * deviates(earth, draw, always)) * factor + offset
            values[f"{stem}_{number}"] = np.where(gaps, MISSING, measured.round(3))
        columns |= values
        columns |= {f"{column}_QC": np.where(gaps, MISSING, 1.0) for column in values}
    return columns


def _flux_columns(
    earth: SyntheticEarth, name: str, fluxes: dict[str, Array], gaps: npt.NDArray[np.bool_]
) -> dict[str, Array]:
    """Fluxes in the units of the layout with the random error that ingest states for them, -9999 in gaps."""
    draw, always, columns = rng(earth.seed, f"sites.{name}.flux"), np.ones(gaps.size, bool), {}
    for variable, column in FLUX_COLUMNS.items():
        if variable not in fluxes:
            continue
        true = pd.Series(fluxes[variable].astype(float))
        measured = true + error_floor(variable, true, QcRules()) * deviates(earth, draw, always)
        factor, offset = layout().of("nee" if variable in ("gpp", "reco") else variable).conversion()
        columns[column] = np.where(gaps, MISSING, ((measured - offset) / factor).round(5))
        if f"{column}_QC" in LAYOUT:
            columns[f"{column}_QC"] = np.where(gaps, MISSING, 1.0)
    if {"nee", "reco", "gpp"} <= set(fluxes):  # partitioned at night: what is measured is the difference
        made = columns[FLUX_COLUMNS["reco"]] - columns[FLUX_COLUMNS["nee"]]
        columns[FLUX_COLUMNS["gpp"]] = np.where(gaps, MISSING, made.round(5))
    return columns


def yield_table(earth: SyntheticEarth, system: System, towers: SyntheticSites, dates: pd.DatetimeIndex) -> pd.DataFrame:
    """What leaves the fields around the towers in each calendar year of ``dates`` with an error of :data:`YIELD_ERROR`,
    as statistics weigh it: ``site, year, crop, yield`` [t ha-1]. Straw that is taken is weighed as grain."""
    name = system.measured_by("statistics")[0]
    sums = pd.DataFrame(site_truth(earth, system, towers, dates)[name], dates, towers.names).groupby(dates.year).sum()
    rows = []
    for site in towers.names:
        draw = rng(earth.seed, f"sites.{site}.yields")
        for year, total in sums[site].items():
            crop, error = system.grown[int(str(year)) % len(system.grown)], YIELD_ERROR * draw.standard_normal()
            weight = float(total) * np.exp(error) / GRAINS[crop].factor("t ha-1")
            rows.append({"site": site, "year": year, "crop": crop, "yield": round(weight, 3)})
    return pd.DataFrame([row for row in rows if row["yield"] > 0], columns=["site", "year", "crop", "yield"])


def chamber_table(
    earth: SyntheticEarth, system: System, chambers: SyntheticSites, dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """The measurements of all chamber sites, one row each; columns as in ``docs/synthetic_earth.md``."""
    true = site_truth(earth, system, chambers, dates)
    warmth = true["tsl05"] if "tsl05" in true else daily(earth.seed, chambers.place, dates)["tas"]
    facts = chambers.table()
    parts = []
    for number, name in enumerate(chambers.names):
        here = {variable: values[:, number].astype(float) for variable, values in true.items()}
        part = _chamber(earth, name, number, here, warmth[:, number].astype(float), dates)
        part["datetime_utc"] -= pd.Timedelta(hours=int(chambers.utc_offset[number]))
        for column in ("igbp", "elevation", "lon", "lat", "site"):
            part.insert(0, column, facts[column].iloc[number])
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["datetime_utc"] = table["datetime_utc"].dt.strftime("%Y-%m-%dT%H:%M:%S")
    return table


def _chamber(
    earth: SyntheticEarth, name: str, number: int, here: dict[str, Array], warmth: Array, dates: pd.DatetimeIndex
) -> pd.DataFrame:
    """Rows of one site, with local times; the flux, temperature and moisture are those of the day.

    ``warmth`` [K] decides on which days it is visited.
    """
    visits = chamber_visits(earth, name, here[CHAMBER_FLUX], warmth)
    visited = np.isin(np.arange(len(dates)), visits.day)
    once = np.flatnonzero(visited)
    of_day = np.searchsorted(once, visits.day)  # chambers of a day share its soil probe
    here = {variable: values[visits.day] for variable, values in here.items()}
    draw = rng(earth.seed, f"sites.{name}.table")
    count = visits.day.size
    unit, sign, factor = FLUX_FORMS[number % len(FLUX_FORMS)]
    unknown = np.full(count, np.nan)
    warm = here.get("tsl05", unknown) + _SENSOR_ERROR["tsl"] * deviates(earth, draw, visited)[of_day]
    wet = here.get("swc05", unknown) + 1.5 * _SENSOR_ERROR["swc"] * deviates(earth, draw, visited)[of_day]
    wet = np.maximum(wet, 0.001)
    kelvin, percent = number % 4 == 3, number % 3 == 1
    broken = draw.random(count) < 0.05  # the moisture probe was left at home
    minutes = draw.integers(9 * 60, 15 * 60, count)
    table = pd.DataFrame(
        {
            "datetime_utc": dates[visits.day] + pd.to_timedelta(minutes, unit="min"),
            "flux": (visits.flux * factor).round(4),
            "flux_unit": unit,
            "flux_sign": sign,
            "flux_sd": np.abs(visits.sd * factor).round(4),
            "soil_temperature": (warm - (0.0 if kelvin else 273.15)).round(2),
            "soil_temperature_depth_cm": 5,
            "soil_temperature_unit": "K" if kelvin else "degC",
            "soil_moisture": np.where(broken, np.nan, (wet * (100.0 if percent else 1.0)).round(4)),
            "soil_moisture_depth_cm": 5,
            "soil_moisture_unit": "%" if percent else "m3 m-3",
        }
    )
    if visits.chamber is not None:
        table["chamber"] = [f"C{chamber + 1}" for chamber in visits.chamber]
    absent = [stem for stem, name in (("soil_temperature", "tsl05"), ("soil_moisture", "swc05")) if name not in here]
    return table[[column for column in table if not str(column).startswith(tuple(absent))]]

"""Overpasses of a satellite at towers: ECOSTRESS calibration tables (Pierrat et al., doi:10.1029/2024WR039404).

A row is a moment of the day, not a mean over days: it cannot be a day of a tower in ``sites.entries``, and five
evapotranspiration models stand in it with what the tower measured in that half hour. Fluxes are in W m-2; ``LEcorr50``
and ``Hcorr50`` are latent and sensible heat times the median closure ratio of the towers' season [R]; they do not close
row by row. Known defects: two scenes of one overpass repeat a tower's half hour (the first is kept), one row has a
surface of 86 degC and no net radiation, soil water below zero occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...constants import FREEZING
from ...errors import ConfigError, InputError, counted, nearest
from ...paths import RESOURCES
from .closure import balance_factor
from .metadata import attributes_of_cover, read_attributes, read_metadata
from .text import numbers, read_table, times


class Column(NamedTuple):
    """A column of the table: ``value * factor + offset`` lies in ``low`` to ``high``, where it is possible."""

    name: str
    low: float
    high: float
    factor: float = 1.0
    offset: float = 0.0


DRIVERS = {
    "rns": Column("Rn", 1.0, 1200.0),
    "rsds": Column("Rg", 1.0, 1400.0),
    "tas": Column("Ta", 200.0, 335.0, offset=FREEZING),
    "hurs": Column("RH", 0.5, 105.0, factor=100.0),
    "ts": Column("LST", 200.0, 355.0),
    "swc05": Column("SM", 0.0, 1.0),
    "ndvi": Column("NDVI", -1.0, 1.0),
    "albedo": Column("albedo", 0.0, 1.0),
    "emissivity": Column("EmisWB", 0.5, 1.0),
    "solar_hour": Column("solar_hour", 0.0, 24.0),
}
"""What satellite and reanalysis know of the moment: W m-2, K, %, shares; the five models know no more."""
SENSOR = Column("SM_surf", 0.0, 1.0)
"""Water of the top soil that the tower measured, at a depth that the table does not state."""
MODELS = {
    "PT-JPL-SM": "PTJPLSMinst",
    "JET": "JET",
    "STIC": "STICinst",
    "MOD16": "MOD16inst",
    "BESS": "BESSinst",
}
"""The evapotranspiration models of the table and their columns, latent heat [W m-2]."""
CLOSURES = {
    "corrected_50": ("LEcorr50", "Hcorr50"),
    "corrected_25": ("LEcorr25", "Hcorr25"),
    "corrected_75": ("LEcorr75", "Hcorr75"),
    "corrected_annual": ("LEcorr_ann", "Hcorr_ann"),
    "measured": ("LE", "H_filt"),
    "bowen_ratio": ("LE", "H_filt"),
}
"""Latent and sensible heat of the tower by choice of closure. ``bowen_ratio`` shares what net radiation and ground
leave, row by row, as the two were measured, within the bounds of :func:`fluxatlas.ingest.sites.closure.balance_factor`
as for days of towers."""
TOWER = {"rns": Column("NETRAD_filt", -200.0, 1400.0), "hfdsl": Column("G_filt", -500.0, 700.0)}
HEAT = Column("", -500.0, 2500.0)
SOIL = ("sand", "clay", "soc")
OTHER_COVER = {"CVM": "CRO"}
"""Land cover that is taken for another: a mosaic of cropland and natural vegetation for cropland."""
MOST_IMPOSSIBLE = 0.1
"""Share of the rows that may be impossible or missing in one column of the satellite."""


@dataclass(frozen=True)
class Overpasses:
    """Rows of one table, all with the same index.

    ``rows``: ``site, lat, lon, elevation, igbp, time`` (UTC), soil (``sand``, ``clay`` [%], ``soc`` [g kg-1]) and
    :data:`DRIVERS`. ``measured``: what the tower has, by variable. ``others``: what others estimate, by name of the
    model and variable. ``notes``: what was left out, in words.
    """

    rows: pd.DataFrame
    measured: pd.DataFrame
    others: dict[str, pd.DataFrame]
    notes: tuple[str, ...]


def read_overpasses(path: str | Path, places: str | Path, closure: str = "corrected_50") -> Overpasses:
    """Read the table at ``path`` with the list of sites ``places`` (``Site ID, Lat, Long, Elev``, as beside it).

    ``closure`` is one of :data:`CLOSURES`. Soil is that of the land cover (``resources/attributes_by_landcover.csv``).
    Raises :class:`ConfigError` for another closure and :class:`InputError` for a file that cannot be read, a missing
    column, a site without a place or height, land cover without soil, a column of the satellite of which more than a
    tenth is impossible, and where no row is left.
    """
    if closure not in CLOSURES:
        hint = f"choose from {', '.join(CLOSURES)}"
        raise ConfigError(f"'{closure}' is not a closure of energy{nearest(closure, CLOSURES)}", hint=hint)
    where, labels = str(path), CLOSURES[closure]
    wanted = [*(column.name for column in DRIVERS.values()), *(column.name for column in TOWER.values())]
    required = ["ID", "vegetation", "time_utc", *wanted, *labels, SENSOR.name, *MODELS.values()]
    table = read_table(path, required=dict.fromkeys(required), is_name=lambda name: name in ("ID", "vegetation"))
    notes: list[str] = []
    moments = times(table["time_utc"], None, where)
    table = table.assign(time_utc=moments)[~_again(table["ID"], moments, notes)].reset_index(drop=True)
    rows = pd.DataFrame({"site": table["ID"], "time": table["time_utc"], "igbp": table["vegetation"]})
    for variable, column in DRIVERS.items():
        rows[variable] = _possible(table, column, where)
    measured = pd.DataFrame({name: _possible(table, column, where, None) for name, column in TOWER.items()})
    measured["hfls"], measured["hfss"] = (_possible(table, HEAT._replace(name=name), where, None) for name in labels)
    if closure == "bowen_ratio":
        measured[["hfls", "hfss"]] = _shared(measured, notes)
    kept = _complete(rows[list(DRIVERS)], measured, where, notes)
    measured["swc05"] = _possible(table, SENSOR, where, None)
    others = {name: _estimated(table, HEAT._replace(name=column), where, notes) for name, column in MODELS.items()}
    others["satellite"] = rows[["rns", "swc05"]].copy()
    rows = rows.join(_places(rows["site"], read_metadata(places), str(places))).join(_soil(rows["igbp"], where))
    parts = (part[kept].reset_index(drop=True) for part in (rows, measured, *others.values()))
    return Overpasses(next(parts), next(parts), dict(zip(others, parts, strict=True)), tuple(notes))


def _shared(measured: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """``hfls`` and ``hfss`` whose sum is ``rns - hfdsl`` and whose ratio is that of those measured [W m-2]."""
    factor = balance_factor(measured)
    if lost := int((measured.notna().all(axis=1) & factor.isna()).sum()):
        notes.append(f"{counted(lost, 'row')} of which the energy cannot be closed have no fluxes of the tower")
    return measured[["hfls", "hfss"]].mul(factor, axis=0)


def _again(site: pd.Series, time: pd.Series, notes: list[str]) -> pd.Series:
    again = pd.DataFrame({"site": site, "time": time}).duplicated()
    if again.any():
        notes.append(f"{counted(int(again.sum()), 'row')} of a second scene of the same overpass left out")
    return again


def _possible(table: pd.DataFrame, column: Column, where: str, most: float | None = MOST_IMPOSSIBLE) -> pd.Series:
    """A column in its unit, NaN where it is impossible; more than ``most`` of that is refused."""
    values = numbers(table, column.name, where) * column.factor + column.offset
    found = values.where(values.between(column.low, column.high))
    if most is not None and found.isna().mean() > most:
        odd = values[found.isna()]
        first = f"the first is {odd.dropna().iloc[0]:g}" if odd.notna().any() else "they are empty"
        raise InputError(
            f"{int(found.isna().sum())} of {len(found)} values of '{column.name}' are not within"
            f" {column.low:g}..{column.high:g}; {first}",
            where=where,
            hint="give the columns in the units of the table: W m-2, degC (Ta), K (LST), shares (RH, SM, albedo)",
        )
    return found


def _estimated(table: pd.DataFrame, column: Column, where: str, notes: list[str]) -> pd.DataFrame:
    """Latent heat of a published model, NaN where it is impossible: such rows are in no score."""
    found = _possible(table, column, where, None)
    if absent := int(found.isna().sum()):
        notes.append(f"{counted(absent, 'row')} without a possible value of '{column.name}' left out of scores of hfls")
    return pd.DataFrame({"hfls": found})


def _complete(drivers: pd.DataFrame, measured: pd.DataFrame, where: str, notes: list[str]) -> Any:
    """Rows with every driver and every flux of the tower; counts the others."""
    known, seen = drivers.notna().all(axis=1), measured.notna().all(axis=1)
    for kept, what in ((known, "without a possible value of the satellite"), (seen, "without all fluxes of the tower")):
        if (~kept).any():
            notes.append(f"{counted(int((~kept).sum()), 'row')} {what} left out")
    kept = known & seen
    if not kept.any():
        raise InputError("no row has every driver and every flux", where=where, hint="choose another closure of energy")
    return kept.to_numpy(np.bool_)


def _places(site: pd.Series, facts: dict[str, dict[str, Any]], where: str) -> pd.DataFrame:
    for name in site.unique():
        lacking = [fact for fact in ("lat", "lon", "elevation") if pd.isna(facts.get(name, {}).get(fact, np.nan))]
        if lacking:
            hint = "list every tower of the table with Site ID, Lat, Long and Elev"
            raise InputError(f"site '{name}' has no {lacking[0]}", where=where, hint=hint)
    return pd.DataFrame([{k: float(facts[name][k]) for k in ("lat", "lon", "elevation")} for name in site])


def _soil(cover: pd.Series, where: str) -> pd.DataFrame:
    table = read_attributes(RESOURCES / "attributes_by_landcover.csv")
    found = {name: attributes_of_cover(table, OTHER_COVER.get(name, name), 0.0) for name in cover.unique()}
    if unknown := sorted(str(name) for name, soil in found.items() if not soil):
        hint = f"use classes of IGBP: {', '.join(map(str, table.index))}"
        raise InputError(f"'{unknown[0]}' is not a known land cover", where=where, hint=hint)
    return pd.DataFrame([{name: found[one][name] for name in SOIL} for one in cover])

"""From the names, standard names and units of a file to the canonical variables of ``resources/variables.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from .. import variables
from ..errors import FluxAtlasError

SYNONYMS: dict[str, tuple[str, ...]] = {
    "tas": ("t2m", "temp", "tair", "air_temperature", "ta", "tmean", "2t", "t_mean"),
    "tasmin": ("tmin", "tmn", "tmmn", "mn2t", "tminimum"),
    "tasmax": ("tmax", "tmx", "tmmx", "mx2t"),
    "pr": ("prec", "precip", "precipitation", "rainf", "prcp", "ppt"),
    "rsds": ("shortwave", "swdown", "srad", "sis", "ssrd_t_adj", "dswrf"),
    "rlds": ("longwave", "lwdown", "dlwrf"),
    "huss": ("qair", "sph", "spfh"),
    "ps": ("sp", "psurf", "air_pressure", "pres"),
    "sfcWind": ("wind", "ws10", "wind_speed", "si10"),
    "hurs": ("rel_humid", "rh", "relative_humidity"),
    "vpd": ("vpd",),
    "tsl05": ("stl1", "soiltmp0_10cm_inst"),
    "swc05": ("swvl1", "sm", "soil_moisture", "soil_moisture_pm", "soil_moisture_am"),
    "orog": ("elev", "elevation", "orog", "dem", "surface_altitude"),
    "lai": ("lai", "lai_500m"),
    "sand": ("sand",),
    "clay": ("clay",),
    "soc": ("soc",),
    "bdod": ("bdod", "bulk_density"),
    "phh2o": ("phh2o",),
}
"""Names in files (lower case) that mean a canonical variable."""
AMOUNTS = {"tp": "pr", "ssrd": "rsds", "strd": "rlds"}
"""Names that are amounts per step or accumulations in ERA files, but fluxes when their unit says so."""


CARBON = ("nee", "gpp", "reco", "fch4")


@lru_cache
def _by_name() -> dict[str, str]:
    found = {name.lower(): name for name in variables.table()}
    for canonical, names in SYNONYMS.items():
        found |= dict.fromkeys(names, canonical)
    return found


@lru_cache
def _by_standard() -> dict[str, str]:
    rows: dict[str, list[str]] = {}
    for name, row in variables.table().items():
        if row.standard_name:
            rows.setdefault(row.standard_name, []).append(name)
    return {standard: names[0] for standard, names in rows.items() if standard not in ("area_fraction",)}


def canonical_name(name: str, attrs: Mapping[str, Any]) -> str:
    """The canonical variable that a variable of a file means, '' where it is none or not sure.

    The name decides first, then the CF standard name; names that are amounts in ERA files count only with the unit of
    a flux.
    """
    units = str(attrs.get("units", ""))
    lower = name.lower()
    if lower in AMOUNTS:
        flux = AMOUNTS[lower]
        return flux if units and not conversion(units, flux)[2] else ""
    if lower in _by_name():
        found = _by_name()[lower]
        molar = "mol" in units and found in CARBON  # the table counts mass: readers convert, the label is right
        return "" if molar else found
    standard = str(attrs.get("standard_name", ""))
    methods = str(attrs.get("cell_methods", ""))
    found = _by_standard().get(standard, "")
    if found == "tas" and "maximum" in methods:
        return "tasmax"
    if found == "tas" and "minimum" in methods:
        return "tasmin"
    return found if found in ("tas", "pr", "rsds", "rlds", "huss", "ps", "hurs", "sfcWind", "orog", "lai") else ""


def conversion(units: str, canonical: str) -> tuple[float, float, str]:
    """Factor and offset from ``units`` to those of ``canonical``, and what is wrong with the label ('' if nothing)."""
    if not units:
        return 1.0, 0.0, ""
    try:
        zero, one = variables.convert(np.array([0.0, 1.0]), UNIT_SPELLING.get(units, units), canonical)
    except FluxAtlasError:
        expected = variables.get(canonical).units
        return 1.0, 0.0, f"the label '{units}' does not convert to '{expected}' of {canonical}: an override is needed"
    return float(one - zero), float(zero), ""


UNIT_SPELLING = {
    "Kelvins": "K",
    "W/m2": "W m-2",
    "kg/m2/s": "kg m-2 s-1",
    "m/s": "m s-1",
    "kg/kg": "1",
    "m^2/m^2": "1",
    "m2 m-2": "1",
    "cm**3/cm**3": "1",
    "m3/m3": "1",
}
"""Spellings of units that the table's parser does not read."""

"""Layouts in which inversion systems read fluxes, and how sure we are of each.

HEMCO, which reads fluxes for GEOS-Chem and inversions with it (IMI). Read in its documentation and in the
configurations that come with GEOS-Chem: COARDS files with ``time``, ``lat``, ``lon`` in this order, axes increasing,
``units`` of time without zone or decimals and counted from the first value, floating point data, ``kg/m2/s``;
``missing_value`` beside ``_FillValue``; the columns of a line of ``HEMCO_Config.rc``; ``Negative values: 2``, without
which a sink stops the run; the box of a mask. Known from its issues: missing values are taken for 0, or, where a model
reads files itself, for numbers; so no flux is missing here. Not tried: a run of HEMCO itself.

CAMS. Seen in programs of others that read the inversions: ``latitude``, ``longitude``, ``area``, ``flux_apri_bio`` for
what the inversion of CO2 begins with on land. The inversions have one file for each month, in kg of carbon per month;
the emission inventories (CAMS-GLOB) have a time axis and kg m-2 s-1 (recalled), which is what is written here, so that
the unit says all. It is a layout alike, not a copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..axes import WRITTEN
from ..errors import ConfigError, nearest


@dataclass(frozen=True)
class ExportLayout:
    """Names of a layout. ``value`` is the flux, with ``{gas}``; ``units`` spells kg m-2 s-1 as it is looked for."""

    name: str
    lat: str
    lon: str
    area: str
    value: str
    units: str
    conventions: str

    def coordinates(self, first: str, step: str) -> Mapping[str, Mapping[str, str]]:
        """Attributes of the axes of a file whose first time is ``first`` (``2001-01-01``); ``step`` is day or month."""
        return {
            "time": {
                "standard_name": "time",
                "long_name": f"start of the {step}",
                "units": f"days since {first} 00:00:00",
                "calendar": "standard",
                "axis": "T",
            },
            self.lat: {
                **WRITTEN["lat"],
                "long_name": "Latitude",
            },
            self.lon: {
                **WRITTEN["lon"],
                "long_name": "Longitude",
            },
        }


LAYOUTS = {
    "hemco": ExportLayout("hemco", "lat", "lon", "area", "Emis{gas}", "kg/m2/s", "COARDS"),
    "cams": ExportLayout("cams", "latitude", "longitude", "area", "flux_apri_bio", "kg m-2 s-1", "CF-1.8"),
}


def get_layout(name: str) -> ExportLayout:
    """The layout called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    if name not in LAYOUTS:
        hint = f"choose from {', '.join(LAYOUTS)}"
        raise ConfigError(f"no layout '{name}'{nearest(name, LAYOUTS)}", where="--layout", hint=hint)
    return LAYOUTS[name]


def hemco_config(
    title: str, stem: str, gas: str, years: tuple[int, int], box: tuple[float, float, float, float]
) -> str:
    """Lines for ``HEMCO_Config.rc`` that read the files ``<stem>_daily_<year>.nc`` or ``<stem>_monthly_<year>.nc``.

    ``box`` is west, south, east, north [degrees] of the files; what is not the globe needs the mask, since HEMCO would
    take the rest for 0 and have that replace inventories of a lower hierarchy.
    """
    span = f"{years[0]}-{years[1]}" if years[0] != years[1] else f"{years[0]}"
    west, south, east, north = box
    whole = east - west > 359.99 and north - south > 179.99
    name, scale = f"FLUXATLAS_{stem.upper()}", "-" if whole else "1500"
    lines = [
        f"# {title}",
        "# Fluxes to the atmosphere, kg of the gas per m2 of grid cell and second; negative numbers are uptake.",
        "# Section SETTINGS must hold 'Negative values: 2'. HEMCO regrids the files to its own grid, with mass kept.",
        "# Section BASE EMISSIONS, between (((EMISSIONS and )))EMISSIONS: one of the two lines. Choose category (Cat)",
        "# and hierarchy (Hier) so that no inventory counts the same flux again.",
        "# ExtNr Name sourceFile sourceVar sourceTime C/R/E SrcDim SrcUnit Species ScalIDs Cat Hier",
    ]
    for step, days, off in (("daily", "1-31", ""), ("monthly", "1", "#")):
        path, when = f"$ROOT/{stem}_{step}_$YYYY.nc", f"{span}/1-12/{days}/0"
        lines.append(f"{off}0 {name} {path} Emis{gas} {when} RFY xy kg/m2/s {gas} {scale} 1 500")
    if not whole:
        corners = f"{west:g}/{south:g}/{east:g}/{north:g}"
        lines += [
            "# Section MASKS: where the files have a flux.",
            "# ScalID Name sourceFile sourceVar sourceTime C/R/E SrcDim SrcUnit Oper Lon1/Lat1/Lon2/Lat2",
            f"{scale} {name}_MASK $ROOT/{stem}_monthly_{years[0]}.nc modelled {years[0]}/1/1/0 C xy 1 1 {corners}",
        ]
    return "\n".join(lines) + "\n"

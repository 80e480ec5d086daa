"""Attributes of the daily product by CF-1.11 and ACDD-1.3."""

from __future__ import annotations

from typing import Any

import pandas as pd

from .. import __version__, variables
from ..axes import WRITTEN
from ..config.products import ProductsBlock
from ..systems import System
from ..tiles.mosaic import Mosaic
from ..variables import UNCERTAINTY
from .about import SYNTHETIC_NOTE, About

TIME_UNITS = "days since 1970-01-01 00:00:00"
WGS84 = (
    'GEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",6378137,298.257223563,'
    'LENGTHUNIT["metre",1]]],PRIMEM["Greenwich",0,ANGLEUNIT["degree",0.0174532925199433]],'
    'CS[ellipsoidal,2],AXIS["geodetic latitude (Lat)",north,ORDER[1],ANGLEUNIT["degree",0.0174532925199433]],'
    'AXIS["geodetic longitude (Lon)",east,ORDER[2],ANGLEUNIT["degree",0.0174532925199433]],ID["EPSG",4326]]'
)

COORDINATES: dict[str, dict[str, str]] = {
    "time": {
        "standard_name": "time",
        "long_name": "day, at its start",
        "units": TIME_UNITS,
        "calendar": "standard",
        "units_metadata": "leap_seconds: none",
        "axis": "T",
        "bounds": "time_bnds",
    },
    "lat": {
        **WRITTEN["lat"],
        "long_name": "latitude of the cell centre",
        "bounds": "lat_bnds",
    },
    "lon": {
        **WRITTEN["lon"],
        "long_name": "longitude of the cell centre",
        "bounds": "lon_bnds",
    },
}

CRS: dict[str, Any] = {
    "long_name": "coordinate reference system",
    "grid_mapping_name": "latitude_longitude",
    "semi_major_axis": 6378137.0,
    "inverse_flattening": 298.257223563,
    "longitude_of_prime_meridian": 0.0,
    "crs_wkt": WGS84,
}


def field(name: str, source: dict[str, Any], ancillary: list[str]) -> dict[str, Any]:
    """CF attributes of a daily variable ``name`` (or ``<flux>_sd``) whose packing is in ``source``.

    ``ancillary`` are the names of variables that describe its quality.
    """
    base = name.removesuffix("_sd")
    attrs = {**variables.get(base).attrs}
    if variables.get(base).units == "K":
        attrs["units_metadata"] = "temperature: on_scale" if name == base else "temperature: difference"
    if name != base:
        attrs["long_name"] = f"{UNCERTAINTY}: {attrs['long_name']}"
        attrs["comment"] = "90 % interval: value -/+ 1.645 standard uncertainties"
        if "standard_name" in attrs:
            attrs["standard_name"] += " standard_error"
    attrs |= {key: source[key] for key in ("scale_factor", "add_offset") if key in source}
    attrs |= {"grid_mapping": "crs", "cell_measures": "area: areacella"}
    attrs["coverage_content_type"] = "qualityInformation" if name != base else "modelResult"
    if ancillary:
        attrs["ancillary_variables"] = " ".join(ancillary)
    return attrs


def static(name: str, source: dict[str, Any]) -> dict[str, Any]:
    """CF attributes of a layer without time; those of applicability are taken over from the tiles (``source``)."""
    if name in variables.table():
        attrs = dict(variables.get(name).attrs)
        attrs["coverage_content_type"] = "auxiliaryInformation"
    else:
        kept = ("long_name", "units", "references", "flag_values", "flag_meanings")
        attrs = {key: source[key] for key in kept if key in source}
        attrs = {"long_name": name, "units": "1", **attrs}
        attrs["coverage_content_type"] = "qualityInformation"
        if "flag_values" in attrs:
            attrs["standard_name"] = "quality_flag"
            attrs.pop("units", None)
    return {**attrs, "grid_mapping": "crs"}


def dataset(
    variable: str,
    year: int,
    mosaic: Mosaic,
    system: System,
    settings: ProductsBlock,
    about: About,
    provenance: dict[str, str],
) -> dict[str, str | float]:
    """Global attributes of ``<variable>_<year>.nc``.

    As validators expect, the limits of latitude, longitude and time are those of the coordinates; the edges of the
    cells are in ``geospatial_bounds`` and in the bounds of the coordinates.
    """
    row = variables.get(variable)
    lat, lon = mosaic.grid.lat_bounds(mosaic.rows), mosaic.grid.lon_bounds(mosaic.columns)
    south, north, west, east = float(lat[-1]), float(lat[0]), float(lon[0]), float(lon[-1])
    attrs: dict[str, str | float] = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": about.title(f"{settings.title or system.title}: daily {row.long_name}, {about.domain}, {year}"),
        **_words(variable, year, mosaic, system, about),
        "keywords": ", ".join([*_keywords(variable, system), *(["synthetic"] if about.synthetic else [])]),
        "id": f"{about.run}_{system.name}_{variable}_{year}",
        "processing_level": "Model estimate, daily, gridded",
        "standard_name_vocabulary": "CF Standard Name Table v93",
        "creator_name": settings.creator,
        "creator_type": "group",
        "publisher_name": settings.creator,
        "publisher_type": "group",
        "license": about.licence(settings.license),
        "references": settings.references,
        "institution": settings.institution or settings.creator,
        "project": "fluxatlas",
        "product_version": provenance["fluxatlas_version"],
        "fluxatlas_about": about.to_json(),
        "cdm_data_type": "Grid",
        "comment": f"Fluxes are per area of {system.area}: multiply by {_area(system)} to integrate.",
        "date_created": provenance["history"].split(" ", 1)[0],
        "geospatial_bounds": f"POLYGON(({', '.join(f'{y:g} {x:g}' for x, y in _ring(west, south, east, north))}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_lat_min": float(mosaic.lat[-1]),
        "geospatial_lat_max": float(mosaic.lat[0]),
        "geospatial_lat_units": "degrees_north",
        "geospatial_lat_resolution": mosaic.grid.resolution,
        "geospatial_lon_min": float(mosaic.lon[0]),
        "geospatial_lon_max": float(mosaic.lon[-1]),
        "geospatial_lon_units": "degrees_east",
        "geospatial_lon_resolution": mosaic.grid.resolution,
        "time_coverage_start": f"{year}-01-01T00:00:00Z",
        "time_coverage_end": f"{year}-12-31T00:00:00Z",
        "time_coverage_duration": f"P{pd.Timestamp(year, 12, 31).day_of_year}D",
        "time_coverage_resolution": "P1D",
    }
    for key, value in (("creator_email", settings.creator_email), ("creator_url", settings.creator_url)):
        attrs |= {key: value, key.replace("creator", "publisher"): value}
    return {key: value for key, value in {**attrs, **provenance}.items() if value != ""}


def _words(variable: str, year: int, mosaic: Mosaic, system: System, about: About) -> dict[str, str]:
    """Summary and source: what the file holds, and what it was made of."""
    row = variables.get(variable)
    summary = (
        f"Daily {row.long_name} [{row.units}] in {year} on a grid of {_spacing(mosaic.grid.resolution)} degree, "
        "estimated by an ensemble of knowledge-guided neural networks that were pretrained on a process model "
        "and adapted to observations. Values are the mean of the ensemble; their standard uncertainty and the "
        "likeness of each cell to the observed sites are given beside them where they are known. Cells that are "
        "not run (no land, or an attribute unknown) are missing."
    )
    source = [f"fluxatlas {__version__}, system {system.name}", *about.inputs]
    note = f"{SYNTHETIC_NOTE} " if about.synthetic else ""
    summary += f" {about.remarks}" if about.remarks else ""
    return {"summary": note + summary, "source": "\n".join(source)}


def _spacing(resolution: float) -> str:
    return f"1/{round(1 / resolution)}" if resolution < 1 else f"{resolution:g}"


def _ring(west: float, south: float, east: float, north: float) -> list[tuple[float, float]]:
    """Corners of the box as (lon, lat), closed; EPSG:4326 text wants latitude first."""
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def _area(system: System) -> str:
    """The layers whose product is the area of a flux, as a formula."""
    return " * ".join(f"{name} / 100" if variables.get(name).units == "%" else name for name in system.weight)


def _keywords(variable: str, system: System) -> list[str]:
    subject = system.keywords or (variable,) if variable in system.flux_names else (variable, "soil")
    return [*subject, "land surface", "daily", "knowledge-guided machine learning"]

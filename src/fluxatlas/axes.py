"""What latitude, longitude and time are called in files that are read, and what is said of them in those written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import InputError

LAT = ("latitude", "lat", "nav_lat", "y", "Latitude", "LAT", "Lat", "lats", "nlat")
LON = ("longitude", "lon", "nav_lon", "x", "Longitude", "LON", "Lon", "lons", "nlon", "long")
TIME = ("valid_time", "time", "day", "Time", "TIME", "date")
"""The time a forecast is valid at takes precedence over the time it was started."""
DEGREES = {
    "lat": ("degrees_north", "degree_north", "degrees_N", "degree_N", "degreesN", "degreeN", "degrees north"),
    "lon": ("degrees_east", "degree_east", "degrees_E", "degree_E", "degreesE", "degreeE", "degrees east"),
}
"""CF spellings of the units of latitude and longitude."""
WRITTEN = {
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}
"""Attributes of the axes of a file that fluxatlas writes."""


def refuse_radians(attrs: Mapping[str, Any], axis: str, where: str) -> None:
    """Raise :class:`InputError` where the attributes of a latitude or longitude say that it is in radians.

    Such numbers lie within a few degrees of 0 N 0 E and would be taken for a place there.
    """
    units = str(attrs.get("units", "")).strip()
    if re.fullmatch(r"(?i)rad(ian)?s?", units):
        hint = "convert latitude and longitude to degrees first (times 57.29578)"
        raise InputError(f"{axis} is in '{units}', degrees are needed", where=where, hint=hint)

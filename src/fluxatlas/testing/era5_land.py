"""Raw weather files of the synthetic Earth in the layout of hourly ERA5-Land NetCDF.

One file per month, ``<yyyy>_<mm>.nc``, with dimensions (``valid_time``, ``latitude`` north to south, ``longitude``);
``t2m, d2m`` [K], ``sp`` [Pa], ``u10, v10`` [m s-1] at the full hours 00..23 UTC; ``tp`` [m], ``ssrd, strd`` [J m-2]
accumulated since midnight, so that the value at 00 UTC is the total of the day before and the value at 01 UTC the
first hour of the day. Totals of rain carry the tiny negative values of the real product. Cells without land are
missing unless the settings say otherwise. ``geopotential.nc`` holds ``z`` [m2 s-2].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from ..constants import GRAVITY
from ..files import provenance, write_netcdf
from .climate import Climate, climate
from .earth import SyntheticEarth
from .land import is_land
from .terrain import elevation
from .weather import ORIGIN, hourly

Array = npt.NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]

ATTRS = {
    "t2m": ("K", "2 metre temperature"),
    "d2m": ("K", "2 metre dewpoint temperature"),
    "tp": ("m", "Total precipitation"),
    "ssrd": ("J m**-2", "Surface short-wave (solar) radiation downwards"),
    "strd": ("J m**-2", "Surface long-wave (thermal) radiation downwards"),
    "sp": ("Pa", "Surface pressure"),
    "u10": ("m s**-1", "10 metre U wind component"),
    "v10": ("m s**-1", "10 metre V wind component"),
}
"""Units and long names as the provider writes them."""
ACCUMULATED = {"tp": 1e-3, "ssrd": 3600.0, "strd": 3600.0}
"""Accumulated variables and the factor from an hourly amount or mean to the provider's unit."""
_SAMPLES = 10


@dataclass(frozen=True)
class WeatherGrid:
    """Points of the weather files around a domain: multiples of the resolution, north to south, west to east."""

    lat: Array
    lon: Array
    resolution: float

    @classmethod
    def around(cls, box: Box, resolution: float, margin: int) -> WeatherGrid:
        """All points whose cells touch ``box`` = (west, south, east, north), and ``margin`` more on each side."""
        west, south, east, north = box
        per_degree = round(1 / resolution)
        first = np.ceil(south * per_degree) - margin, np.ceil(west * per_degree) - margin
        last = np.floor(north * per_degree) + margin, np.floor(east * per_degree) + margin
        lat = np.arange(first[0], last[0] + 1) / per_degree
        lon = np.arange(first[1], last[1] + 1) / per_degree
        return cls(lat[(lat >= -90) & (lat <= 90)][::-1], lon, 1 / per_degree)

    @property
    def shape(self) -> tuple[int, int]:
        return self.lat.size, self.lon.size

    def points(self) -> tuple[Array, Array]:
        """Latitude and longitude of every cell, row by row; longitudes in -180..180."""
        lat, lon = np.meshgrid(self.lat, (self.lon + 180) % 360 - 180, indexing="ij")
        return lat.ravel(), lon.ravel()

    def samples(self) -> tuple[Array, Array]:
        """10 x 10 points inside every cell, each of shape (cell, 100)."""
        step = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5) * self.resolution
        dlat, dlon = (d.ravel() for d in np.meshgrid(step, step, indexing="ij"))
        lat, lon = self.points()
        return np.clip(lat[:, None] + dlat, -90, 90), (lon[:, None] + dlon + 180) % 360 - 180


@dataclass(frozen=True)
class SyntheticSource:
    """A source grid with the altitude [m] and land share of its cells and the climate there."""

    grid: WeatherGrid
    altitude: Array
    land: Array
    place: Climate

    @classmethod
    def of(cls, earth: SyntheticEarth, box: Box) -> SyntheticSource:
        """The source around ``box``; altitude and land are means over each cell."""
        settings = earth.settings
        grid = WeatherGrid.around(box, settings.resolution, settings.margin)
        lat, lon = grid.samples()
        altitude = elevation(earth.seed, lat.ravel(), lon.ravel()).reshape(lat.shape).mean(axis=1)
        land = is_land(lat, lon).mean(axis=1)
        return cls(grid, altitude, land, climate(earth.seed, *grid.points(), altitude))


def write_orography(earth: SyntheticEarth, box: Box, folder: str | Path) -> Path:
    """Write ``geopotential.nc``: the mean altitude of every source cell times 9.80665 m s-2, shape (lat, lon)."""
    source = SyntheticSource.of(earth, box)
    z = (source.altitude * GRAVITY).astype(np.float32).reshape(source.grid.shape)
    data = xr.Dataset(
        {"z": (("latitude", "longitude"), z, _attrs("m**2 s**-2", "Geopotential", "geopotential"))},
        coords=_horizontal(source.grid),
    )
    path = Path(folder) / "geopotential.nc"
    write_netcdf(data, path, {"z": {"zlib": True}}, attrs=_provenance(earth, box))
    return path


def write_year(earth: SyntheticEarth, box: Box, year: int, folder: str | Path) -> list[Path]:
    """Write the twelve months of ``year``; returns their paths."""
    source = SyntheticSource.of(earth, box)
    return [_write(earth, box, source, month, month.days_in_month * 24, folder) for month in _months(year)]


def write_closing(earth: SyntheticEarth, box: Box, year: int, folder: str | Path) -> Path:
    """Write January of ``year`` with its first hour alone, which holds the totals of 31 December before."""
    return _write(earth, box, SyntheticSource.of(earth, box), pd.Timestamp(year, 1, 1), 1, folder)


def _months(year: int) -> list[pd.Timestamp]:
    return [pd.Timestamp(year, month, 1) for month in range(1, 13)]


def _write(
    earth: SyntheticEarth, box: Box, source: SyntheticSource, month: pd.Timestamp, stamps: int, folder: str | Path
) -> Path:
    path = Path(folder) / f"{month:%Y_%m}.nc"
    data = month_dataset(earth, source, month, stamps)
    encoding: dict[str, dict[str, Any]] = {
        name: {"zlib": True, "complevel": 1, "shuffle": True, "dtype": "float32", "_FillValue": np.float32(np.nan)}
        for name in ATTRS
    }
    encoding["valid_time"] = {"units": "seconds since 1970-01-01", "dtype": "int64", "calendar": "proleptic_gregorian"}
    write_netcdf(data, path, encoding, attrs=_provenance(earth, box))
    return path


def month_dataset(earth: SyntheticEarth, source: SyntheticSource, month: pd.Timestamp, stamps: int) -> xr.Dataset:
    """The first ``stamps`` hours of ``month`` as the provider would distribute them."""
    days = pd.date_range(month - pd.Timedelta(days=1), periods=1 + -(-stamps // 24), freq="D")
    made = hourly(earth.seed, source.place, days)
    time = month + pd.to_timedelta(np.arange(stamps), unit="h")
    shape = (stamps, *source.grid.shape)
    sea = (source.land < 0.005).reshape(source.grid.shape) & earth.settings.sea_missing
    variables = {}
    for name, (units, long_name) in ATTRS.items():
        if name in ACCUMULATED:
            values = _accumulate(made[name], ACCUMULATED[name])[23 : 23 + stamps]
            if name == "tp":
                values = _with_tiny_negatives(values, source.grid, time)
        else:
            values = made[name][24 : 24 + stamps]
        values = np.where(sea, np.float32(np.nan), values.reshape(shape).astype(np.float32))
        variables[name] = (("valid_time", "latitude", "longitude"), values, _attrs(units, long_name))
    return xr.Dataset(variables, coords={"valid_time": ("valid_time", time), **_horizontal(source.grid)})


def _accumulate(values: Array, factor: float) -> Array:
    """Hourly values (24 * day, cell) -> totals since midnight at the end of each hour, in the provider's unit."""
    by_day = values.reshape(-1, 24, values.shape[1]).astype(np.float64)
    return (by_day.cumsum(axis=1) * factor).reshape(values.shape)


def _with_tiny_negatives(values: Array, grid: WeatherGrid, time: pd.DatetimeIndex) -> Array:
    """Replace about a third of the exact zeros by values between -1e-9 and -1e-19 m, as packing errors leave them."""
    lat, lon = grid.points()
    hour = np.asarray((time - ORIGIN) / pd.Timedelta(hours=1))[:, None]
    pseudo = np.sin(hour * 12.9898 + lat * 78.233 + lon * 37.719) * 43758.5453 % 1.0
    return np.where((values == 0) & (pseudo < 0.33), -(10.0 ** (-9 - 30 * pseudo)), values)


def _attrs(units: str, long_name: str, standard_name: str = "") -> dict[str, str]:
    attrs = {"units": units, "long_name": long_name}
    return {**attrs, "standard_name": standard_name} if standard_name else attrs


def _horizontal(grid: WeatherGrid) -> dict[str, tuple[str, Array, dict[str, str]]]:
    return {
        "latitude": ("latitude", grid.lat, _attrs("degrees_north", "latitude", "latitude")),
        "longitude": ("longitude", grid.lon, _attrs("degrees_east", "longitude", "longitude")),
    }


def _provenance(earth: SyntheticEarth, box: Box) -> dict[str, str]:
    settings = {**earth.settings.model_dump(), "bbox": list(box)}
    return {"Conventions": "CF-1.7", "institution": "synthetic Earth", **provenance("ingest synthetic-earth", settings)}

"""A small made-up world for tests of inference and synthesis: attributes, forcing pieces, members of random weights.

All fields are smooth functions of place and day, so that a piece cut for any tile holds the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr

from fluxatlas import variables
from fluxatlas.files import write_netcdf
from fluxatlas.grid import Tile
from fluxatlas.systems import get_system
from fluxatlas.train.applicability import Applicability, feature_names
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork

SYSTEM = get_system("soil_methane_sink")
SOURCE_STEP = 0.5
"""Cell size of the forcing in degrees."""


def weather(name: str, lat: np.ndarray, lon: np.ndarray, dates: pd.DatetimeIndex) -> np.ndarray:
    """Forcing variable ``name`` on (time, lat, lon), smooth and within its physical range."""
    year = 2 * np.pi * dates.dayofyear.to_numpy()[:, None, None] / 365.25 + 0.1 * (dates[0].year % 7)
    day = np.arange(len(dates))[:, None, None]
    y, x = np.deg2rad(lat)[None, :, None], np.deg2rad(lon)[None, None, :]
    season, synoptic = -np.cos(year), np.sin(day / 3.1 + 8 * x + 5 * y)
    mean = 285 + 8 * np.cos(2 * y) + 2 * np.sin(9 * x)
    rain = np.maximum(0, synoptic + 0.4 * np.cos(day / 7 + 20 * y)) * (4e-5 + 2e-5 * np.sin(11 * x))
    return {
        "tas": mean + 9 * season + 3 * synoptic,
        "tasmin": mean + 9 * season + 3 * synoptic - 5 - np.cos(12 * x) + 0 * y,
        "tasmax": mean + 9 * season + 3 * synoptic + 5 + np.cos(12 * x) + 0 * y,
        "pr": rain,
        "rsds": 180 + 80 * season - 40 * synoptic + 10 * np.sin(7 * x) * np.cos(y),
        "rlds": 300 + 40 * season + 20 * synoptic,
        "huss": 0.0045 + 0.002 * season + 0.0005 * synoptic,
        "ps": 95000 + 600 * synoptic + 200 * season,
        "sfcWind": 3 + synoptic + 0 * season,
    }[name]


def attribute(name: str, lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """Static layer ``name`` on (lat, lon)."""
    y, x = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None, :]
    wave = np.sin(40 * x + 25 * y) * np.cos(31 * y - 12 * x)
    return {
        "sand": 45 + 30 * wave,
        "clay": 22 - 12 * wave,
        "soc": 20 + 14 * np.cos(37 * y) * np.cos(20 * x),
        "bdod": 1350 - 120 * np.cos(37 * y) + 0 * x,
        "phh2o": 6 + wave,
        "cropFrac": 30 + 30 * np.sin(33 * x) + 0 * y,
        "ndep": 6 + 4 * np.cos(29 * x + y),
        "orog": 400 + 250 * np.sin(50 * x) * np.cos(45 * y),
    }[name]


def write_attributes(path: Path, tile: Tile, ocean_west_of: float = -1e9) -> Path:
    """Attributes of ``tile``; cells west of a longitude, and a lattice of lakes, are not active and missing."""
    layers = {name: attribute(name, tile.lat, tile.lon) for name in (*SYSTEM.attributes, "orog")}
    rows, columns = np.meshgrid(np.arange(180 * 24)[tile.rows], np.arange(360 * 24)[tile.columns], indexing="ij")
    active = (tile.lon[None, :] >= ocean_west_of) & ((rows + 2 * columns) % 5 != 0)
    data = {"active": (("lat", "lon"), active.astype(np.int8))}
    data |= {name: (("lat", "lon"), np.where(active, v, np.nan).astype(np.float32)) for name, v in layers.items()}
    months = np.arange(12)[:, None, None]
    lai = 2 - 1.5 * np.cos(2 * np.pi * (months + 0.5) / 12) + 0.3 * np.sin(30 * np.deg2rad(tile.lon))
    lai = np.where(active, lai + 0 * tile.lat[None, :, None], np.nan)
    data["lai"] = (("month", "lat", "lon"), lai.astype(np.float32))
    write_netcdf(xr.Dataset(data, coords={"lat": tile.lat, "lon": tile.lon}), path)
    return path


def write_piece(path: Path, tile: Tile, year: int, halo: int = 2) -> Path:
    """The forcing piece of ``tile`` and ``year`` on a half-degree grid with ``halo`` cells, packed as ingested."""
    west, south, east, north = tile.bbox
    edge = halo * SOURCE_STEP
    lat = np.arange(north + edge - SOURCE_STEP / 2, south - edge, -SOURCE_STEP)
    lon = np.arange(west - edge + SOURCE_STEP / 2, east + edge, SOURCE_STEP)
    dates = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    data = {
        name: (("time", "lat", "lon"), weather(name, lat, lon, dates), variables.get(name).attrs)
        for name in SYSTEM.forcing
    }
    data["orog"] = (("lat", "lon"), attribute("orog", lat, lon), {"units": "m"})
    encoding = {name: variables.get(name).encoding() for name in SYSTEM.forcing}
    write_netcdf(xr.Dataset(data, coords={"time": dates, "lat": lat, "lon": lon}), path, encoding)
    return path


def write_member(path: Path, seed: int, hidden: int = 8, grid: str = "4km", **architecture: Any) -> Path:
    """A member with random weights whose scaler knows the made-up weather, and an applicability index fitted to it."""
    torch.manual_seed(seed)
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=hidden, **architecture))
    network.scaler.fit(_scaler_data(np.random.default_rng(0)))
    names = feature_names(dict.fromkeys(SYSTEM.statics), SYSTEM.climate)
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(60, len(names)))
    library = Applicability.of_library(1e4 * rng.normal(size=(400, len(names))), len(SYSTEM.climate) + 1, names)
    index = library.with_sites(points, np.arange(60) % 12, np.ones(len(names)))
    Member(network, grid, index, {"seed": seed}).save(path)
    return path


def _scaler_data(rng: np.random.Generator) -> dict[str, np.ndarray]:
    lat, lon = np.array([34.0, 38.0, 42.0]), np.array([-122.0, -118.0])
    dates = pd.date_range("2001-01-01", "2001-12-31")
    data = {name: weather(name, lat, lon, dates) for name in SYSTEM.forcing}
    data |= {name: attribute(name, lat, lon) for name in SYSTEM.attributes}
    ranges = {
        "phi": (0.35, 0.6), "lai": (0.3, 4), "ch4": (1750, 1900), "tsl05": (270, 300), "tsl15": (272, 298),
        "tsl45": (276, 294), "snw": (0, 40), "snd": (0, 0.2), "swc05": (0.05, 0.4), "swc15": (0.1, 0.4),
        "swc45": (0.1, 0.4), "evspsbl": (0, 5e-5), "difs": (1e-7, 6e-6), "oxk": (1e-5, 2e-4), "ch4prod": (0, 0.1),
        "ch4ox": (0, 3),
    }  # fmt: skip
    return data | {name: rng.uniform(*limits, 200) for name, limits in ranges.items()}


def write_members(folder: Path, count: int = 3, hidden: int = 8) -> list[Path]:
    """``count`` members of different seeds in ``folder``."""
    return [write_member(folder / f"{seed}.pt", seed, hidden) for seed in range(count)]


def open_raw(path: Path) -> xr.Dataset:
    """The file as it is on disk, without unpacking."""
    with xr.open_dataset(path, mask_and_scale=False, decode_times=False) as dataset:
        return dataset.load()


def decode(path: Path) -> xr.Dataset:
    """The file in physical units."""
    with xr.open_dataset(path) as dataset:
        return dataset.load()


def years(first: int, count: int) -> Sequence[int]:
    return range(first, first + count)

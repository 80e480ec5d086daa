"""Pseudo-inversions of the synthetic Earth: what an ensemble of atmospheric inversions would say of its hidden truth.

The truth of all land cells of the run by month, fire that no tower sees, and the errors of members: files in the
layouts of the Global Carbon Budget (the ensemble) and of CarbonTracker (the fire that it holds). The size of fire and
errors is ours: of the order that real products differ by, over an area of a subcontinent.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from ..config.synthetic_earth import FIRE_FILE, INVERSION_FILE
from ..errors import ConfigError
from ..files import write_netcdf
from ..regrid.regions import bounds, cell_area
from ..systems import System
from ..tiles.mosaic import assemble
from .climate import climate
from .earth import SyntheticEarth
from .truth import truth

Array = npt.NDArray[np.floating[Any]]
PathLike = str | Path

STEP = 0.5
"""Cells of the inversions in degrees."""
MEMBERS = ("alpha", "beta", "gamma", "delta")
BIAS, NOISE = 0.03, 0.08
"""Standard deviations of the lasting error of a member, and of that of a month, over the whole area [g m-2 d-1]."""
FIRE = 0.15
"""Mean fire of the month that burns most [g m-2 d-1]."""
PEAK = 7
"""The month, from 0."""


def write_inversions(
    earth: SyntheticEarth, system: System, attributes: Sequence[PathLike], years: Sequence[int], folder: PathLike
) -> list[Path]:
    """Write the ensemble and its fire for ``years``, from the tiles whose ``attributes`` are given.

    The first flux of ``system`` is what they are of; raises :class:`ConfigError` where it is not one of carbon.
    """
    flux = system.fluxes[0]
    if flux.substance != "C":
        hint = "take a system that estimates one, or leave the block 'regional' out"
        raise ConfigError(f"'{flux.variable}' is not a flux of carbon, as inversions are of", hint=hint)
    mosaic = assemble([], attributes)
    west, north = float(mosaic.lon[0]), float(mosaic.lat[0])
    lat = np.arange(np.ceil(north / STEP) * STEP - STEP / 2, float(mosaic.lat[-1]) - STEP / 2, -STEP)
    lon = np.arange(np.floor(west / STEP) * STEP + STEP / 2, float(mosaic.lon[-1]) + STEP / 2, STEP)
    months = pd.date_range(f"{years[0]}-01-01", f"{years[-1]}-12-01", freq="MS")
    mass = np.zeros((len(months), lat.size, lon.size))
    land = np.zeros((lat.size, lon.size))
    for piece in mosaic.pieces:
        layers = piece.layers("active", "orog", *system.attributes, "lai")
        rows, columns = np.nonzero(layers["active"].to_numpy())
        if not rows.size:
            continue
        where = mosaic.grid.lat(piece.rows)[rows], mosaic.grid.lon(piece.columns)[columns]
        area = piece.weight()[rows, columns]
        daily = _daily(earth, system, layers, rows, columns, where, years)
        place = _cell(where[0], lat, -1), _cell(where[1], lon, 1)
        for number, mean in enumerate(daily.resample("MS").mean().to_numpy(float)):
            np.add.at(mass[number], place, mean * area)
        np.add.at(land, place, area)
    cells = cell_area(bounds(lat, "lat"), bounds(lon, "lon"))
    burnt = FIRE * np.exp(-0.5 * ((months.month.to_numpy() - 1 - PEAK) / 1.5) ** 2)[:, None, None] * (land / cells)
    rng = np.random.default_rng([earth.seed, 31])
    errors = rng.normal(0, BIAS, (len(MEMBERS), 1)) + rng.normal(0, NOISE, (len(MEMBERS), len(months)))
    net = (mass / cells + burnt)[None] + errors[:, :, None, None] * (land / cells)
    return [
        write_ensemble(Path(folder, INVERSION_FILE), net, MEMBERS, months, lat, lon),
        write_fire(Path(folder, FIRE_FILE), burnt, months, lat, lon),
    ]


def _daily(
    earth: SyntheticEarth,
    system: System,
    layers: xr.Dataset,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    where: tuple[Array, Array],
    years: Sequence[int],
) -> pd.DataFrame:
    """The true daily first flux (day, cell) of ``years``, after a year of lead, by day."""
    cells = {name: layers[name].to_numpy()[rows, columns] for name in (*system.attributes, "orog")}
    lai = layers["lai"].transpose(..., "lat", "lon").to_numpy()[:, rows, columns]
    dates = pd.date_range(f"{years[0] - 1}-01-01", f"{years[-1]}-12-31")
    place = climate(earth.seed, *where, cells["orog"])
    made = truth(earth, system, place, cells, lai, dates, (system.flux,))[system.flux]
    return pd.DataFrame(made, index=dates)[str(years[0]) :]


def _cell(values: Array, centres: Array, way: int) -> npt.NDArray[np.int64]:
    """The cell (n,) along an axis of ``centres`` that runs one ``way`` that each of ``values`` lies in."""
    return np.floor(way * (values - centres[0]) / STEP + 0.5).astype(np.int64)


def write_ensemble(
    path: PathLike, flux: Array, names: Sequence[str], months: pd.DatetimeIndex, lat: Array, lon: Array
) -> Path:
    """Write ``flux`` (member, month, lat, lon) [g m-2 d-1 of carbon] as a file of the Global Carbon Budget."""
    width = max(map(len, names))
    values = np.asarray(flux) * 365.25 / 1e15
    data = {
        "land_flux_only_fossil_cement_adjusted": (
            ("ensemble_member", "time", "latitude", "longitude"),
            values,
            {"units": "PgC/m2/yr", "long_name": "Land flux, fossil and cement adjusted"},
        ),
        "ensemble_member_name": (
            ("ensemble_member", "string_length"),
            np.array([list(name.ljust(width)) for name in names], "S1"),
        ),
    }
    coords = {"time": months + pd.Timedelta(days=14), "latitude": lat, "longitude": lon}
    write_netcdf(xr.Dataset(data, coords, {"title": "pseudo-inversions of a made-up world"}), path)
    return Path(path)


def write_fire(path: PathLike, flux: Array, months: pd.DatetimeIndex, lat: Array, lon: Array) -> Path:
    """Write a fire source ``flux`` (month, lat, lon) [g m-2 d-1 of carbon] as a file of CarbonTracker."""
    values, unit = np.asarray(flux) / (12.011 * 86400), {"units": "mol m-2 s-1"}
    dims = ("time", "latitude", "longitude")
    data = {"fire_flux_imp": (dims, values, unit), "bio_flux_opt": (dims, values * 0, unit)}
    coords = {"time": months + pd.Timedelta(days=14), "latitude": lat, "longitude": lon}
    write_netcdf(xr.Dataset(data, coords, {"title": "CarbonTracker-like fire of a made-up world"}), path)
    return Path(path)

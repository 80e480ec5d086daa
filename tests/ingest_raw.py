"""Tiny raw files in the layouts of the providers, made from hourly truth that the tests know."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from fluxatlas.config.forcing import ForcingBlock, UnitOverride
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.source import open_source

LAT = np.array([41.0, 40.75, 40.5, 40.25])
LON = np.array([-124.0, -123.75, -123.5, -123.25, -123.0])
Edit = Callable[[xr.Dataset], xr.Dataset]


def open_forcing(
    source: str,
    files: Sequence[str | Path],
    closing: Sequence[str | Path] = (),
    overrides: Mapping[str, UnitOverride] | None = None,
    **keys: Any,
) -> MappedSource:
    """The source that the workflow opens for ``forcing: {source: ...}``."""
    block = ForcingBlock.model_construct(source=source, overrides=dict(overrides or {}), **keys)
    opened = open_source(block, files, closing)
    assert isinstance(opened, MappedSource)
    return opened


def hourly_truth(start: str, stop: str, lat: np.ndarray = LAT, lon: np.ndarray = LON, seed: int = 1) -> xr.Dataset:
    """Instant fields at each hour of [start, stop) and the amounts of the hour that ends there; float64."""
    rng = np.random.default_rng(seed)
    time = np.arange(start, stop, dtype="datetime64[h]").astype("datetime64[ns]")
    shape = (time.size, lat.size, lon.size)
    hour = (time.astype("datetime64[h]").astype(int) % 24)[:, None, None]
    t2m = 283 + 6 * np.sin((hour - 9) * np.pi / 12) + rng.normal(0, 1, shape)
    sun = np.clip(np.sin((hour - 6.5) * np.pi / 12), 0, None) * rng.uniform(1e6, 2.5e6, shape)
    fields = {
        "t2m": (t2m, "K"),
        "d2m": (t2m - rng.uniform(1, 8, shape), "K"),
        "sp": (95_000 + rng.normal(0, 300, shape), "Pa"),
        "u10": (rng.normal(1, 3, shape), "m s**-1"),
        "v10": (rng.normal(0, 3, shape), "m s**-1"),
        "tp": (rng.gamma(0.2, 2e-3, shape), "m"),
        "ssrd": (sun, "J m**-2"),
        "strd": (rng.uniform(0.9e6, 1.3e6, shape), "J m**-2"),
    }
    data = {
        name: (("time", "latitude", "longitude"), values, {"units": unit}) for name, (values, unit) in fields.items()
    }
    return xr.Dataset(data, {"time": time, "latitude": lat, "longitude": lon})


def accumulate(hourly: xr.DataArray) -> xr.DataArray:
    """Amounts of the hour before each stamp, summed since 00 UTC: the stamp 00 UTC ends the day before."""
    day = (hourly.time - np.timedelta64(1, "h")).dt.floor("D").rename("day")
    return hourly.groupby(day).cumsum().assign_attrs(hourly.attrs).transpose(*hourly.dims)


def era5_land(truth: xr.Dataset) -> xr.Dataset:
    """The truth as ERA5-Land gives it: tp, ssrd, strd accumulated since 00 UTC."""
    return truth.assign({name: accumulate(truth[name]) for name in ("tp", "ssrd", "strd")})


def write_months(raw: xr.Dataset, folder: Path, edit: Edit = lambda data: data) -> list[Path]:
    """One file ``<yyyy>_<mm>.nc`` per month in order; ``edit`` changes each data set before it is written."""
    paths = []
    months = raw.time.values.astype("datetime64[M]")
    for month in np.unique(months):
        path = folder / f"{month}.nc".replace("-", "_")
        data = edit(raw.isel(time=np.flatnonzero(months == month)))
        data.astype(np.float32, keep_attrs=True).to_netcdf(path, engine="netcdf4")
        paths.append(path)
    return paths


def write_geopotential(path: Path, lat: np.ndarray = LAT, lon: np.ndarray = LON) -> Path:
    """Geopotential of a plane that rises to the south-east, 100 m per cell."""
    metres = 100.0 * (np.arange(lat.size)[:, None] + np.arange(lon.size)[None, :])
    data = xr.Dataset(
        {"z": (("latitude", "longitude"), metres * 9.80665, {"units": "m**2 s**-2"})},
        {"latitude": lat, "longitude": lon},
    )
    data.to_netcdf(path, engine="netcdf4")
    return path


LONG = {
    "t2m": "2m_temperature",
    "d2m": "2m_dewpoint_temperature",
    "sp": "surface_pressure",
    "u10": "10m_u_component_of_wind",
    "v10": "10m_v_component_of_wind",
    "tp": "total_precipitation",
    "ssrd": "surface_solar_radiation_downwards",
    "strd": "surface_thermal_radiation_downwards",
}
"""Names in the analysis-ready cloud stores."""
PARAMETERS = {"t2m": 167, "d2m": 168, "sp": 134, "u10": 165, "v10": 166, "tp": 228, "ssrd": 169, "strd": 175}
GRIB_WRITER = """
import sys
import eccodes, numpy as np
raw = np.load(sys.argv[1])
names = [n for n in raw.files if n not in ("time", "lat", "lon")]
with open(sys.argv[2], "wb") as out:
    for step, stamp in enumerate(raw["time"]):
        for name in names:
            m = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
            accumulated = name in ("tp", "ssrd", "strd")
            base = (stamp - np.timedelta64(1, "h")).astype("datetime64[D]") if accumulated else stamp
            hours = int((stamp - base) / np.timedelta64(1, "h")) if accumulated else 0
            text = str(base.astype("datetime64[m]"))
            keys = {"table2Version": 128, "indicatorOfParameter": int(PARAMETERS[name]), "centre": 98}
            keys |= {"dataDate": int(text[:10].replace("-", "")), "dataTime": int(text[11:13]) * 100}
            keys |= {"timeRangeIndicator": 4, "stepRange": f"0-{hours}"} if accumulated else {"stepRange": "0"}
            lat, lon = raw["lat"], raw["lon"]
            keys |= {"Ni": lon.size, "Nj": lat.size}
            keys |= {"iDirectionIncrementInDegrees": 0.25, "jDirectionIncrementInDegrees": 0.25}
            keys |= {"latitudeOfFirstGridPointInDegrees": lat[0], "latitudeOfLastGridPointInDegrees": lat[-1]}
            keys |= {"longitudeOfFirstGridPointInDegrees": lon[0], "longitudeOfLastGridPointInDegrees": lon[-1]}
            for key, value in keys.items():
                eccodes.codes_set(m, key, value.item() if hasattr(value, "item") else value)
            eccodes.codes_set(m, "bitsPerValue", 24)
            values = raw[name][step].ravel().astype(float)
            if np.isnan(values).any():
                eccodes.codes_set(m, "bitmapPresent", 1)
                values = np.where(np.isnan(values), eccodes.codes_get_double(m, "missingValue"), values)
            eccodes.codes_set_values(m, values)
            eccodes.codes_write(m, out)
            eccodes.codes_release(m)
"""


def write_grib(data: xr.Dataset, path: Path) -> Path:
    """GRIB 1 as the climate data store gives it: accumulations as steps 0-1 ... 0-24 of a run at 00 UTC."""
    arrays = path.with_suffix(".npz")
    fields = {name: data[name].values for name in data.data_vars}
    time = data.time.values.astype("datetime64[s]")
    np.savez(arrays, time=time, lat=data.latitude.values, lon=data.longitude.values, **fields)
    script = f"PARAMETERS = {PARAMETERS}\n" + GRIB_WRITER
    subprocess.run([sys.executable, "-c", script, str(arrays), str(path)], check=True)
    return path

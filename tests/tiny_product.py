"""Daily files of a run as its product has them, of a few cells and made-up numbers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from fluxatlas import variables

LAT, LON = np.array([50.75, 50.25, 49.75]), np.array([9.25, 9.75, 10.25, 10.75])
WEIGHTS = {"soil_methane_sink": ("uplandFrac",), "net_ecosystem_exchange": ("sftlf",)}


def product(
    folder: Path, system: str, variable: str, year: int, *, sd: bool = True, days: int = 0, synthetic: bool = True
) -> xr.Dataset:
    """Write a daily file as the product has it: north first, one cell not run, chunks smaller than the domain."""
    random = np.random.default_rng(year)
    times = pd.date_range(f"{year}-01-01", f"{year}-12-31")[: days or None]
    names = (variable, *([f"{variable}_sd"] if sd else []))
    low, high = variables.get(variable).valid
    dims, shape = ("time", "lat", "lon"), (times.size, LAT.size, LON.size)
    values = {name: (dims, random.uniform(max(low, -3.0), min(high, 3.0), shape)) for name in names}
    edges = {"lat": np.column_stack([LAT + 0.25, LAT - 0.25]), "lon": np.column_stack([LON - 0.25, LON + 0.25])}
    data = xr.Dataset(values, {"time": times, "lat": LAT, "lon": LON})
    data = data.assign({f"{name}_bnds": ((name, "nv"), edge) for name, edge in edges.items()})
    bands = np.sin(np.radians(edges["lat"]))
    area = 6371007.2**2 * np.radians(0.5) * (bands[:, 0] - bands[:, 1])
    data["areacella"] = ("lat", "lon"), np.repeat(area[:, None], LON.size, 1)
    for name in WEIGHTS[system]:
        data[name] = ("lat", "lon"), random.uniform(10, 90, (LAT.size, LON.size))
    flags = {"flag_values": np.array([0, 1, 2], "i1"), "flag_meanings": "outside far near"}
    data["applicable"] = ("lat", "lon"), random.integers(0, 3, (LAT.size, LON.size)).astype(float), flags
    for name in (*names, "applicable"):
        data[name][..., 0, 1] = np.nan
    lines = ["soils: A map. Smith (2020), doi:10.1/abc", "sites: made up"]
    about = {"run": "tiny", "domain": "a box", "synthetic": synthetic, "inputs": lines}
    data.attrs = {"fluxatlas_settings": json.dumps({"system": system}), "fluxatlas_about": json.dumps(about)}
    data.attrs |= {"title": f"A box: daily {variable}, {year}", "date_created": "2026-01-02T03:04:05Z"}
    for axis, centres in (("lat", LAT), ("lon", LON)):
        ends = {"min": centres.min(), "max": centres.max(), "resolution": 0.5}
        data.attrs |= {f"geospatial_{axis}_{end}": float(value) for end, value in ends.items()}
    path = folder / "products" / "daily" / f"{variable}_{year}.nc"
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding = {name: {"chunksizes": (73, 2, 1)} for name in names} if not days else {}
    data.to_netcdf(path, encoding={**encoding, "applicable": {"dtype": "i1", "_FillValue": -128}})
    return data

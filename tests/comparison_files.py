"""A product on a quarter degree and products of others, made of one known truth, as their stages write them."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from fluxatlas import variables
from fluxatlas.ingest.constraints.cells import CellAxes
from fluxatlas.ingest.constraints.output import ConstraintFile

LAT, LON = np.arange(39.875, 38.0, -0.25), np.arange(-4.875, -3.0, 0.25)
YEARS = (2001, 2002)
DAYS = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")


def truth(seed: int = 1) -> np.ndarray:
    """Water of the soil (time, 4, 4) on half a degree: a season, weather with a memory of days, drier in the south."""
    random = np.random.default_rng(seed)
    weather = np.zeros((DAYS.size, 4, 4))
    for day in range(1, DAYS.size):
        weather[day] = 0.8 * weather[day - 1] + random.normal(0, 0.02, (4, 4))
    season = 0.08 * np.cos(2 * np.pi * np.arange(DAYS.size) / 365.25)[:, None, None]
    return 0.25 + season + weather - 0.02 * np.arange(4)[:, None]


def product(folder: Path, values: np.ndarray, variable: str = "swc05", units: str = "") -> list[Path]:
    """Daily files of ``values`` (time, 4, 4): in each cell of half a degree four cells whose mean by area is the value.

    The northern two are wetter, the southern ones drier by less than that, as they are larger.
    """
    area = np.diff(np.sin(np.deg2rad(40.0 - 0.25 * np.arange(9))))
    offset = np.where(np.arange(8) % 2 == 0, 0.1, -0.1 * np.roll(area, 1) / area)
    fine = np.kron(values, np.ones((2, 2))) + offset[:, None]
    edges = {name: np.stack([a + 0.125 * s, a - 0.125 * s], 1) for name, a, s in (("lat", LAT, 1), ("lon", LON, -1))}
    paths = []
    for year in YEARS:
        inside = DAYS.astype("datetime64[Y]").astype(int) + 1970 == year
        attrs = {"units": units or variables.get(variable).units}
        data = xr.Dataset(
            {variable: (("time", "lat", "lon"), fine[inside].astype("f4"), attrs)},
            {"time": DAYS[inside].astype("datetime64[ns]"), "lat": LAT, "lon": LON},
        ).assign({f"{name}_bnds": ((name, "nv"), edge) for name, edge in edges.items()})
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"{variable}_{year}.nc")
        data.to_netcdf(paths[-1])
    return paths


def other(
    path: Path,
    values: np.ndarray,
    variable: str = "swc05",
    start: str = "2001-01-01",
    north: float = 40.0,
    **attrs: str,
) -> Path:
    """What ``ingest constraint`` makes of ``values`` (time, 4, 4) on half a degree, by day or by month."""
    cells = CellAxes(north - 0.5 * np.arange(5), -5.0 + 0.5 * np.arange(5))
    step = "M" if len(start) == 7 else "D"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = ConstraintFile(path, cells, [variable], step)
    for number, each in enumerate(values):
        file.add(np.datetime64(start) + number, {variable: each})
    file.close({"layer_swc05": "0-7 cm", **attrs})
    return path


def monthly(values: np.ndarray) -> np.ndarray:
    """Means by month (24, ...) of ``values`` (time, ...)."""
    months = pd.DatetimeIndex(DAYS).to_period("M")
    flat = pd.DataFrame(values.reshape(DAYS.size, -1)).groupby(months).mean()
    return flat.to_numpy().reshape(-1, *values.shape[1:])

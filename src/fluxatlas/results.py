"""The results of a run in Python: ``fluxatlas.open_run("results/demo")``.

Everything is lazy: maps and series are Dask-backed xarray objects that read what is asked for; tables are read when
they are first looked at. Nothing is computed that the run has not written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from .constants import NORMAL_90
from .errors import InputError, nearest
from .files import read_table
from .systems import System, get_system

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr


@dataclass(frozen=True)
class RunResults:
    """What the run in ``folder`` has written; made by :func:`open_run`."""

    folder: Path

    def __repr__(self) -> str:
        years = f"{self.years[0]}-{self.years[-1]}" if self.years else "no year"
        return f"<fluxatlas run {str(self.folder)!r}: {', '.join(self.variables)}; {years}>"

    @cached_property
    def _daily(self) -> Mapping[str, Mapping[int, Path]]:
        found: dict[str, dict[int, Path]] = {}
        for path in sorted((self.folder / "products" / "daily").glob("*.nc")):
            if match := re.fullmatch(r"(\w+)_(\d{4})", path.stem):
                found.setdefault(match[1], {})[int(match[2])] = path
        return found

    @property
    def variables(self) -> tuple[str, ...]:
        """Daily variables of the product."""
        return tuple(self._daily)

    @property
    def years(self) -> tuple[int, ...]:
        """Years of which any variable is there."""
        return tuple(sorted({year for files in self._daily.values() for year in files}))

    def files(self, variable: str) -> Mapping[int, Path]:
        """The daily files of ``variable`` by year; raises :class:`InputError` where the run does not have it."""
        if not self._daily:
            raise self.no_product
        if variable not in self._daily:
            raise InputError(
                f"the run has no daily '{variable}'{nearest(variable, self._daily)}",
                where=str(self.folder / "products" / "daily"),
                hint=f"choose from {', '.join(self._daily)}",
            )
        return self._daily[variable]

    @property
    def no_product(self) -> InputError:
        """What is said of a run without daily files."""
        folder = str(self.folder / "products" / "daily")
        hint = "run it with snakemake to the end; a run at sites alone (forcing.source: sites) makes none"
        return InputError("the run has no product yet", where=folder, hint=hint)

    def daily(self, variable: str) -> xr.Dataset:
        """All years of ``variable`` (time, lat, lon) in the unit of its attributes, Dask-backed, chunked as on disk.

        Beside it stand, where the run has them, its standard uncertainty ``<variable>_sd``, and ``applicable`` (2 near
        observations, 1 inside the library of samples, 0 outside, -1 not judged), ``dissimilarity``, ``point_density``
        and ``areacella`` (lat, lon). The CRS and the transform are set (``.rio.crs``, ``.rio.transform()``), the
        latter because ``.rio`` alone writes a single row or column at 0 degrees. Fluxes are positive upward unless the
        long name says otherwise. Raises :class:`InputError` for a variable that the run does not have.
        """
        import rioxarray  # noqa: F401  adds .rio
        import xarray as xr
        from rasterio.transform import from_bounds

        years = [xr.open_dataset(path, chunks={}) for path in self.files(variable).values()]
        fixed = years[-1].drop_dims(("time", "nv"), errors="ignore")
        moving = [year[[name for name in year if {"time", "lat"} <= set(year[name].dims)]] for year in years]
        joined = xr.concat(moving, "time", data_vars="minimal", coords="minimal", compat="override", join="exact")
        whole: xr.Dataset = xr.merge([joined, fixed], compat="override", combine_attrs="override")
        whole = whole.rio.write_crs("EPSG:4326").rio.set_spatial_dims("lon", "lat")
        lat, lon = (years[-1][f"{axis}_bnds"].to_numpy() for axis in ("lat", "lon"))
        west, south, east, north = lon.min(), lat.min(), lon.max(), lat.max()
        return whole.rio.write_transform(from_bounds(west, south, east, north, len(lon), len(lat)))

    def maps(self, variable: str, step: Literal["year", "month"] = "year") -> xr.DataArray:
        """Means of each year or month (time, y, x) from the GeoTIFFs, lazy, with their CRS; time is the first day.

        Raises :class:`InputError` where the run has no such maps.
        """
        import rioxarray
        import xarray as xr

        if step not in ("year", "month"):
            raise InputError(f"maps are of a 'year' or a 'month', not of '{step}'", where="step")
        pattern = rf"{re.escape(variable)}_(\d{{4}})" + (r"-(\d{2})" if step == "month" else "")
        folder = self.folder / "products" / "cog"
        found = [(m, path) for path in sorted(folder.glob("*.tif")) if (m := re.fullmatch(pattern, path.stem))]
        if not found:
            raise InputError(
                f"the run has no maps of '{variable}' by {step}",
                where=str(folder),
                hint=f"variables of the product: {', '.join(self.variables) or 'none'}; see products.monthly",
            )
        times = pd.DatetimeIndex([pd.Timestamp("-".join((*match.groups(), "01", "01")[:3])) for match, _ in found])
        opened: list[Any] = [rioxarray.open_rasterio(path, chunks={}) for _, path in found]
        opened = [one.isel(band=0, drop=True) for one in opened]
        named = opened[0].attrs.get("long_name", variable)
        stacked: xr.DataArray = xr.concat(
            opened,
            pd.Index(times, name="time"),
            coords="minimal",
            compat="override",
            combine_attrs="drop_conflicts",  # what is said of one time alone is not true of all
        )
        about = re.sub(r", mean of [\d-]+$", f", mean of each {step}", named)
        return stacked.assign_attrs(long_name=about).rename(variable)

    def at(self, lat: float, lon: float, variable: str | None = None) -> xr.Dataset:
        """The daily series of the cell that holds a place, loaded: ``variable`` (the first of the run if None).

        With ``low`` and ``high``, the central 90 % of a normal distribution of standard deviation ``<variable>_sd``,
        where there is one; scalars ``applicable`` and so on; the coordinates are the centre of the cell; attributes
        ``nearest_site`` and ``nearest_site_km`` name the nearest site that the run has observations of. Raises
        :class:`InputError` for a place outside the domain; a cell without land has no values.
        """
        from pyproj import Geod

        name = variable or next(iter(self._daily), "")
        data = self.daily(name)
        if not -90 <= lat <= 90 or not np.isfinite(lon):
            raise InputError(f"there is no place at latitude {lat:g}, longitude {lon:g}", where="at")
        row, column = self._cell(data, lat, lon)
        data = data.isel(lat=row, lon=column).load()
        if (sd := f"{name}_sd") in data:
            about = {"units": data[name].attrs.get("units", ""), "long_name": f"90 % interval of {name}"}
            data["low"] = (data[name] - NORMAL_90 * data[sd]).assign_attrs(about)
            data["high"] = (data[name] + NORMAL_90 * data[sd]).assign_attrs(about)
        sites = self.sites
        if len(sites):
            here = np.full(len(sites), lon), np.full(len(sites), lat)
            far = Geod(ellps="WGS84").inv(*here, sites["lon"].to_numpy(float), sites["lat"].to_numpy(float))[2]
            closest = int(np.argmin(far))
            data.attrs |= {"nearest_site": sites["site"].iloc[closest], "nearest_site_km": far[closest] / 1000}
        return data

    def _cell(self, data: xr.Dataset, lat: float, lon: float) -> tuple[int, int]:
        """Row and column of the cell that holds a place, whatever turn of the globe its longitude is given in."""
        lats, lons = data["lat"].to_numpy(), data["lon"].to_numpy()
        apart = np.abs(lats - lat), np.abs((lons - lon + 180.0) % 360.0 - 180.0)
        place = int(apart[0].argmin()), int(apart[1].argmin())
        half = abs(float(np.diff(lats)[0])) / 2 if lats.size > 1 else 0.125
        if any(distance[k] > half * (1 + 1e-9) for distance, k in zip(apart, place, strict=True)):
            raise InputError(
                f"latitude {lat:g}, longitude {lon:g} is outside the domain of the run",
                where=str(self.folder),
                hint=f"it covers {lats.min() - half:g}..{lats.max() + half:g} degrees north, "
                f"{lons.min() - half:g}..{lons.max() + half:g} degrees east",
            )
        return place

    @cached_property
    def sites(self) -> gpd.GeoDataFrame:
        """Sites whose observations the run has read, with their points (EPSG:4326); empty where there are none."""
        import geopandas as gpd

        path = self.folder / "ingest" / "sites" / "sites.csv"
        table = read_table(path) if path.exists() else pd.DataFrame({"site": [], "lat": [], "lon": []})
        return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(table["lon"], table["lat"]), crs="EPSG:4326")

    @cached_property
    def budget(self) -> pd.DataFrame:
        """Budgets by year, region and variable, with their spread (docs/contracts.md)."""
        return self._table("products/budget.csv")

    @cached_property
    def skill(self) -> pd.DataFrame:
        """Scores at unseen sites beside all baselines, by protocol, with 90 % intervals (docs/learning.md)."""
        return self._table("evaluate/protocols.csv")

    @cached_property
    def site_scores(self) -> pd.DataFrame:
        """Scores of every model at each site by itself, at six time scales."""
        return self._table("evaluate/site_scores.csv")

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """What stated 90 % intervals hold at unseen sites, and the width of those that do (docs/learning.md)."""
        return self._table("evaluate/coverage.csv")

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the product says of its making: versions, settings, inputs, licence, whether the world is made up."""
        import xarray as xr

        newest = [max(files.items())[1] for files in self._daily.values()]
        if not newest:
            raise self.no_product
        with xr.open_dataset(newest[0]) as data:
            found = dict(data.attrs)
        return {**found, "fluxatlas_about": json.loads(found.get("fluxatlas_about", "{}"))}

    @cached_property
    def system(self) -> System:
        """What the run estimates, as its product names it; raises :class:`InputError` where it does not."""
        settings = json.loads(self.about.get("fluxatlas_settings", "{}"))
        if "system" not in settings:
            where = str(self.folder / "products" / "daily")
            raise InputError("the product does not say of which system it is", where=where, hint="make it again")
        return get_system(settings["system"])

    def _table(self, name: str) -> pd.DataFrame:
        path = self.folder / name
        if not path.exists():
            raise InputError("the run has no such table yet", where=str(path), hint="run its stage with snakemake")
        return read_table(path)


def open_run(folder: str | Path) -> RunResults:
    """The results in ``folder``, such as ``results/demo``.

    Raises :class:`InputError` where there is no such folder or none of a run.
    """
    path = Path(folder)
    stages = ("products", "infer", "train", "evaluate", "ingest")
    if not any((path / stage).is_dir() for stage in stages):
        what = "not the folder of a run" if path.is_dir() else "a file, not the folder of a run"
        what = what if path.exists() else "there is no such folder"
        hint = "give the folder of a run, <run.results>/<run.name>, such as results/demo"
        raise InputError(what, where=str(folder), hint=hint)
    return RunResults(path)

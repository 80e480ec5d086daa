"""Files of inversions and of gridded soil moisture in their providers' layouts, made from one known field."""

from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr

from fluxatlas.ingest.constraints.ease import GRIDS, HALF_WIDTH
from fluxatlas.ingest.constraints.inversion_file import cell_area

LAT, LON = np.arange(-87.5, 90, 5.0), np.arange(-177.5, 180, 5.0)
MONTHS = pd.date_range("2015-01-01", periods=3, freq="MS")
LENGTHS = np.array([31, 28, 31])[:, None, None]
AREA = cell_area(LAT, LON)
SOUTH_FIRST = ("time", "latitude", "longitude")


def known_flux() -> np.ndarray:
    """gC m-2 d-1 (time, lat, lon), south to north: a sink of about 2 PgC yr-1 with noise."""
    return np.random.default_rng(4).normal(-0.011, 0.05, (3, LAT.size, LON.size))


def fire() -> np.ndarray:
    """A fire source [gC m-2 d-1] of about 1 PgC yr-1."""
    return np.full((3, LAT.size, LON.size), 0.0055)


def _grid(data: dict[str, tuple[np.ndarray, str]], **coords: object) -> xr.Dataset:
    held = {name: (SOUTH_FIRST, values, {"units": unit}) for name, (values, unit) in data.items()}
    return xr.Dataset(held, {"time": MONTHS, "latitude": LAT, "longitude": LON, **coords})


def whole_year(layout: str, folder: Path, flux: np.ndarray, factor: float = 1.0, **attrs: str) -> Path:
    """A file of ``oco2_mip`` or ``cms_flux`` with all months of 2015, ``factor`` times ``flux``, and attributes."""
    write, name = {"oco2_mip": (oco2_mip, "land"), "cms_flux": (cms_flux, "flux")}[layout]
    path = write(folder, flux)[0]
    data = xr.open_dataset(path).load()
    data = xr.concat([data] * 4, "time").isel(time=slice(0, 12))
    if "start_date" in data:
        data["start_date"] = ("time", "part"), np.array([[2015, m, 1, 0, 0, 0] for m in range(1, 13)])
    else:
        data = data.assign_coords(time=pd.date_range("2015-01-01", periods=12, freq="MS"))
    data[name] = (data[name] * factor).assign_attrs({**data[name].attrs, **attrs})
    path = folder / f"year_{path.name}"
    data.to_netcdf(path)
    return path


def gcb(folder: Path, flux: np.ndarray, year: int = 2023) -> list[Path]:
    """Two members, PgC m-2 yr-1, mid-month, names as characters; the second NaN in the first month.

    GCB2022 also has the field without river transport, here 0.1 gC m-2 d-1 lower.
    """
    values = np.stack([flux, flux * 1.1])
    values[1, 0] = np.nan
    names = np.array([list(n.ljust(12)) for n in ("CAMS", "CarboScope")], "S1")
    dims = ("ensemble_member", *SOUTH_FIRST)
    unit = {"units": "PgC/m2/yr", "long_name": "Land flux, fossil and cement adjusted"}
    held: dict[str, object] = {
        "land_flux_only_fossil_cement_adjusted": (dims, values * 365.25 / 1e15, unit),
        "prior_flux_land": (dims, values * 0, unit),
        "ensemble_member_name": (("ensemble_member", "string_length"), names),
    }
    if year == 2022:
        held["land_flux_fossil_cement_and_river_adjusted"] = (dims, (values - 0.001) * 365.25 / 1e15, unit)
    times = MONTHS + pd.Timedelta(days=14)
    data = xr.Dataset(held, {"time": times, "latitude": LAT, "longitude": LON})
    path = folder / f"GCP{year}_inversions_1x1_version1_1_20240124.nc"
    data.to_netcdf(path)
    return [path]


def _carbontracker(values: np.ndarray, unit: str = "mol m-2 s-1") -> xr.Dataset:
    moles = 12.011 * 86400
    data = _grid({"bio_flux_opt": (values / moles, unit), "fire_flux_imp": (fire() / moles, unit)})
    data["ocn_flux_opt"] = data.bio_flux_opt * 0
    data["time_components"] = ("time", "component"), np.tile([2015, 1, 16, 0, 0, 0], (3, 1)).astype(np.int32)
    return data.assign_coords(longitude=np.where(LON < 0, LON + 360, LON)).sortby("longitude")


def carbontracker(folder: Path, flux: np.ndarray) -> list[Path]:
    """A file per month, longitudes from 0 to 360, the stamp in the middle of the month."""
    data = _carbontracker(flux)
    paths = [folder / f"CT2022.flux1x1.{month:%Y%m}.nc" for month in MONTHS]
    for t, path in enumerate(paths):
        one = data.isel(time=[t]).assign_coords(time=[MONTHS[t] + pd.Timedelta(days=15)])
        one.to_netcdf(path, encoding={"time": {"units": "days since 2000-01-01 00:00:00 UTC"}})
    return paths


def carbontracker_3_hourly(folder: Path, flux: np.ndarray) -> list[Path]:
    """A file per day with eight steps around noon of each three hours; the mean of each month is ``flux``."""
    paths = []
    for day in pd.date_range("2015-01-01", "2015-02-28"):
        month = day.month - 1
        swing = np.sin(2 * np.pi * (np.arange(8) + 0.5) / 8)[:, None, None] * 2 + (
            day.day - (MONTHS[month].days_in_month + 1) / 2
        )
        values = (flux[month] + 0.01 * swing) / 12.011 / 86400
        coords = {"time": day + pd.to_timedelta(1.5 + 3 * np.arange(8), "h"), "latitude": LAT, "longitude": LON}
        data = xr.Dataset({"bio_flux_opt": (SOUTH_FIRST, values, {"units": "mol m-2 s-1"})}, coords)
        paths.append(folder / f"CT2022.flux1x1.{day:%Y%m%d}.nc")
        data.to_netcdf(paths[-1], encoding={"time": {"units": "days since 2000-01-01", "dtype": "f8"}})
    return paths


def carbontracker_europe(folder: Path, flux: np.ndarray) -> list[Path]:
    moles = 12.011 * 86400
    data = _grid(
        {
            "biosphere_flux_optimized": (flux / moles, "mol m-2 s-1"),
            "fire_flux_imposed": (fire() / moles, "mol m-2 s-1"),
        }
    )
    data["cell_area"] = ("latitude", "longitude"), AREA, {"units": "m2"}
    data.to_netcdf(folder / "CTE2023_gridded_fluxes.nc")
    return [folder / "CTE2023_gridded_fluxes.nc"]


def carbontracker_europe_regions(folder: Path, flux: np.ndarray, base: int = 1) -> list[Path]:
    """Totals of 23 regions [mol region-1 s-1], which are bands of longitude here; the last holds the far south."""
    mask = np.broadcast_to(np.arange(LON.size) * 22 // LON.size, AREA.shape).copy()
    mask[:4] = 22
    areas = np.bincount(mask.ravel(), AREA.ravel(), 23)
    totals = np.stack([np.bincount(mask.ravel(), (f * AREA).ravel(), 23) for f in flux])
    data = xr.Dataset(
        {
            "biosphere_flux_optimized": (
                ("time", "regions_transcom"),
                totals / 12.011 / 86400,
                {"units": "mol region-1 s-1"},
            ),
            "cell_area": (("latitude", "longitude"), AREA, {"units": "m2"}),
            "region_area": ("regions_transcom", areas, {"units": "m2"}),
            "region_mask": (("latitude", "longitude"), (mask + base).astype(float)),
        },
        {"time": MONTHS, "latitude": LAT, "longitude": LON},
    )
    data.to_netcdf(folder / "CTE2022_regional_fluxes.nc")
    return [folder / "CTE2022_regional_fluxes.nc"]


def cams(folder: Path, flux: np.ndarray) -> list[Path]:
    """A file per month without a time axis; the month is in the name."""
    paths = []
    for t, month in enumerate(MONTHS):
        values = (flux * LENGTHS / 1000)[t]
        data = xr.Dataset(
            {
                "flux_apos_bio": (("latitude", "longitude"), values, {"units": "kgC m-2 month-1"}),
                "flux_apri_bio": (("latitude", "longitude"), values * 0, {"units": "kgC m-2 month-1"}),
                "area": (("latitude", "longitude"), AREA, {"units": "m2"}),
                "lsf": (("latitude", "longitude"), np.ones_like(AREA)),
            },
            {"latitude": LAT, "longitude": LON},
        )
        paths.append(folder / f"z_cams_l_cams55_{month:%Y%m}_FT23r3_ra_sfc_mm_co2_flux.nc")
        data.to_netcdf(paths[-1])
    return paths


def carboscope(folder: Path, flux: np.ndarray) -> list[Path]:
    """PgC yr-1 per cell, daily over ``mtime``; a second time axis and areas by surface beside it."""
    daily = np.repeat(flux, LENGTHS.ravel(), axis=0)
    days = pd.date_range("2015-01-01", periods=len(daily))
    data = xr.Dataset(
        {
            "co2flux_land": (("mtime", "lat", "lon"), daily * AREA * 365.25 / 1e15, {"units": "PgC/yr"}),
            "co2flux_ocean": (("mtime", "lat", "lon"), daily * 0, {"units": "PgC/yr"}),
            "area": (("rt", "lat", "lon"), np.stack([AREA] * 3), {"units": "m2"}),
            "dxyp": (("lat", "lon"), AREA, {"units": "m2"}),
            "dt": ("time", [86400] * 5),
        },
        {"mtime": days + pd.Timedelta(hours=12), "time": days[:5], "lat": LAT, "lon": LON, "rt": [1, 2, 3]},
    )
    data.to_netcdf(folder / "s99oc_v2022_daily.nc", encoding={"mtime": {"units": "seconds since 2000-01-01"}})
    return [folder / "s99oc_v2022_daily.nc"]


def oco2_mip(folder: Path, flux: np.ndarray) -> list[Path]:
    """No time variable; the starts of the months as rows of year, month, day, hour, minute, second."""
    data = _grid(
        {"land": (flux * 365.25, "gC m-2 yr-1"), "net": (flux, "gC m-2 yr-1"), "ocean": (flux * 0, "gC m-2 yr-1")}
    )
    data = data.drop_vars("time")
    data["start_date"] = ("time", "part"), np.array([[m.year, m.month, 1, 0, 0, 0] for m in MONTHS])
    data.to_netcdf(folder / "EnsMean_gridded_fluxes_LNLGIS.nc4")
    return [folder / "EnsMean_gridded_fluxes_LNLGIS.nc4"]


def gcas(folder: Path, flux: np.ndarray) -> list[Path]:
    """posterior.fluxes: classic NetCDF without any time variable."""
    values = (flux * LENGTHS).astype(np.float32)
    dims, unit = ("nmonth", "lat", "lon"), {"units": "gC/m2/month"}
    data = xr.Dataset(
        {
            "bio_monthly_opt": (dims, values, unit),
            "bio_monthly_org": (dims, values * 0, unit),
            "fire_monthly_org": (dims, (fire() * LENGTHS).astype(np.float32), unit),
            "bio_annual_opt": (("nyear", "lat", "lon"), values[:1] * 12, {"units": "gC/m2/year"}),
        },
        {"lat": LAT, "lon": LON},
    )
    data.to_netcdf(folder / "posterior.fluxes.GCASv2.nc", format="NETCDF3_CLASSIC")
    return [folder / "posterior.fluxes.GCASv2.nc"]


def gcas_2021(folder: Path, flux: np.ndarray) -> list[Path]:
    """GCAS2021 on Zenodo: ``bio_opt`` over ``datetime``, here as numbers YYYYMM; longitudes from 0 to 360."""
    data = _grid({"bio_opt": (flux * LENGTHS, "gC m-2 month-1")})
    data = data.rename(latitude="lat", longitude="lon", time="datetime")
    data = data.assign_coords(
        datetime=[int(f"{m:%Y%m}") for m in MONTHS], lon=np.where(LON < 0, LON + 360, LON)
    ).sortby("lon")
    data.to_netcdf(folder / "GCAS2021_monthlyflux_1x1.nc")
    return [folder / "GCAS2021_monthlyflux_1x1.nc"]


def gongga(folder: Path, flux: np.ndarray) -> list[Path]:
    """Components as its description lists them; the names of the variables are ours."""
    data = _grid(
        {
            "nee_posterior": (flux, "gC/m2/day"),
            "nee_prior": (flux * 0, "gC/m2/day"),
            "nee_posterior_uncertainty": (np.abs(flux), "gC/m2/day"),
            "ocean_posterior": (flux * 0, "gC/m2/day"),
            "fire": (fire(), "gC/m2/day"),
        }
    )
    data.to_netcdf(folder / "GONGGA_v2023_1x1.nc")
    return [folder / "GONGGA_v2023_1x1.nc"]


def cms_flux(folder: Path, flux: np.ndarray) -> list[Path]:
    data = _grid({"flux": (flux, "gC/m^2/day")}).rename(latitude="Lat", longitude="Lon")
    data.to_netcdf(folder / "CMS-Flux-NBE-2020.monthly.grid.nc")
    return [folder / "CMS-Flux-NBE-2020.monthly.grid.nc"]


def fluxcom(folder: Path, flux: np.ndarray) -> list[Path]:
    """X-BASE: north to south, NaN over the sea."""
    data = _grid({"NEE": (flux, "gC m-2 d-1")}).rename(latitude="lat", longitude="lon").sortby("lat", ascending=False)
    data.attrs["title"] = "FLUXCOM-X-BASE NEE"
    data.to_netcdf(folder / "NEE_2015_050_monthly.nc")
    return [folder / "NEE_2015_050_monthly.nc"]


LAYOUTS: dict[str, tuple[Callable[[Path, np.ndarray], list[Path]], str, dict[str, str]]] = {
    "gcb": (gcb, "gcb", {}),
    "carbontracker": (carbontracker, "carbontracker", {}),
    "carbontracker_europe": (carbontracker_europe, "carbontracker_europe", {}),
    "cams": (cams, "cams", {}),
    "carboscope": (carboscope, "carboscope", {}),
    "oco2_mip": (oco2_mip, "oco2_mip", {}),
    "gcas": (gcas, "gcas", {"start": "2015-01"}),
    "gcas_2021": (gcas_2021, "gcas", {}),
    "gongga": (gongga, "gongga", {}),
    "cms_flux": (cms_flux, "cms_flux", {}),
    "fluxcom": (fluxcom, "fluxcom", {}),
}
"""How files are written, the kind they are, and what has to be said beside."""


# --- soil moisture --------------------------------------------------------------------------------------------------


def esa_cci(
    folder: Path, days: pd.DatetimeIndex, values: np.ndarray, flag: np.ndarray, sensor: str = "COMBINED"
) -> list[Path]:
    """A file per day (v08.1): 0.25 degree, north to south, -9999 inside; ACTIVE in percent of saturation."""
    rows, columns = values.shape[1:]
    lat, lon = 40.0 - 0.125 - 0.25 * np.arange(rows), 10.0 + 0.125 + 0.25 * np.arange(columns)
    unit = "percentage (%)" if sensor == "ACTIVE" else "m3 m-3"
    paths = []
    for day, sm, bits in zip(days, values, flag, strict=True):
        dims = ("time", "lat", "lon")
        coded = np.where(np.isfinite(sm), sm, -9999.0)[None].astype(np.float32)
        meanings = "no_data_inconsistency_detected snow_coverage_or_temperature_below_zero dense_vegetation"
        meanings += " barren_ground_advisory_flag"
        data = xr.Dataset(
            {
                "sm": (dims, coded, {"units": unit, "_CoordinateAxes": "time lat lon"}),
                "sm_uncertainty": (dims, np.where(coded < 0, -9999, coded * 0.1), {"units": unit}),
                "flag": (
                    dims,
                    bits[None].astype(np.int8),
                    {"flag_values": np.array([0, 1, 2, 64], np.int8), "flag_meanings": meanings},
                ),
            },
            {"time": [day], "lat": lat.astype(np.float32), "lon": lon.astype(np.float32)},
            {"title": f"ESA CCI Surface Soil Moisture {sensor} Product", "product_version": "08.1"},
        )
        paths.append(folder / f"ESACCI-SOILMOISTURE-L3S-SSMV-{sensor}-{day:%Y%m%d}000000-fv08.1.nc")
        data.to_netcdf(paths[-1], encoding={n: {"_FillValue": None} for n in ("sm", "sm_uncertainty", "flag")})
    return paths


def ease_centres(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes of the rows and longitudes of the columns of a global EASE-Grid 2.0, by Snyder's (1987) series.

    Independent of pyproj: the authalic latitude of equal steps of the map, turned to the geodetic one.
    """
    rows, columns = GRIDS[name]
    size = 2 * HALF_WIDTH / columns
    y = (0.5 * rows - np.arange(rows) - 0.5) * size
    a, e2 = 6_378_137.0, 0.081819190843**2
    e = np.sqrt(e2)
    pole = (1 - e2) * (1 / (1 - e2) - np.log((1 - e) / (1 + e)) / (2 * e))
    scale = np.cos(np.deg2rad(30)) / np.sqrt(1 - e2 * np.sin(np.deg2rad(30)) ** 2)
    beta = np.arcsin(2 * y * scale / (a * pole))
    lat = beta + (e2 / 3 + 31 * e2**2 / 180 + 517 * e2**3 / 5040) * np.sin(2 * beta)
    lat += (23 * e2**2 / 360 + 251 * e2**3 / 3780) * np.sin(4 * beta) + 761 * e2**3 / 45360 * np.sin(6 * beta)
    return np.rad2deg(lat), -180 + (np.arange(columns) + 0.5) * 360 / columns


def smap_l3(
    folder: Path,
    day: str,
    am: np.ndarray,
    pm: np.ndarray,
    flag: np.ndarray,
    grid: str = "36 km",
    *,
    block: tuple[int, int] = (0, 0),
) -> Path:
    """SPL3SMP: groups of both overpasses, coordinates only where there is a retrieval; NaN is coded as -9999."""
    lat, lon = ease_centres(grid)
    rows, columns = am.shape
    lat, lon = lat[block[0] : block[0] + rows], lon[block[1] : block[1] + columns]
    product = "SM_P_E" if grid == "9 km" else "SM_P"
    path = folder / f"SMAP_L3_{product}_{day.replace('-', '')}_R18290_001.h5"
    with netCDF4.Dataset(path, "w") as file:
        file.createGroup("Metadata")
        for values, group, suffix in ((am, "AM", ""), (pm, "PM", "_pm")):
            held = file.createGroup(f"Soil_Moisture_Retrieval_Data_{group}")
            held.createDimension("y", rows)
            held.createDimension("x", columns)
            known = np.isfinite(values)
            fields = {
                "soil_moisture": (values, "f4", -9999.0, "cm**3/cm**3"),
                "soil_moisture_error": (values * 0 + 0.04, "f4", -9999.0, "cm**3/cm**3"),
                "latitude": (np.where(known, lat[:, None], np.nan), "f4", -9999.0, "degrees"),
                "longitude": (np.where(known, lon[None], np.nan), "f4", -9999.0, "degrees"),
            }
            for name, (data, kind, fill, unit) in fields.items():
                variable = held.createVariable(f"{name}{suffix}", kind, ("y", "x"), fill_value=fill, zlib=True)
                variable.units = unit
                variable[:] = np.where(np.isfinite(data), data, fill)
            bits = held.createVariable(f"retrieval_qual_flag{suffix}", "u2", ("y", "x"), fill_value=65534, zlib=True)
            bits.set_auto_mask(False)
            bits[:] = np.where(known, flag, 65534)
            three = held.createVariable(f"landcover_class{suffix}", "u1", ("y", "x"))
            three[:] = 7
    return path


def smap_l4(folder: Path, moment: str, values: np.ndarray, block: tuple[int, int]) -> Path:
    """SPL4SMGP: x and y of the projection, cell_lat and cell_lon, the variable in a group; a block of the 9 km grid."""
    lat, lon = ease_centres("9 km")
    rows, columns = values.shape
    size = 2 * HALF_WIDTH / GRIDS["9 km"][1]
    path = folder / f"SMAP_L4_SM_gph_{moment}_Vv7032_001.h5"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("y", rows)
        file.createDimension("x", columns)
        file.createVariable("EASE2_global_projection", "S1").grid_mapping_name = "lambert_cylindrical_equal_area"
        file.createVariable("x", "f8", ("x",))[:] = -HALF_WIDTH + (block[1] + np.arange(columns) + 0.5) * size
        file.createVariable("y", "f8", ("y",))[:] = (GRIDS["9 km"][0] / 2 - block[0] - np.arange(rows) - 0.5) * size
        file.createVariable("cell_lat", "f4", ("y", "x"))[:] = np.repeat(
            lat[block[0] : block[0] + rows, None], columns, 1
        )
        file.createVariable("cell_lon", "f4", ("y", "x"))[:] = np.repeat(
            lon[None, block[1] : block[1] + columns], rows, 0
        )
        held = file.createGroup("Geophysical_Data")
        for name in ("sm_surface", "sm_rootzone"):
            variable = held.createVariable(name, "f4", ("y", "x"), fill_value=-9999.0)
            variable.units = "m3 m-3"
            variable[:] = np.where(np.isfinite(values), values, -9999.0)
    return path


def era5_land(folder: Path, month: str, values: np.ndarray) -> Path:
    """Layers 1 to 4, hourly, new generation of the climate data store (valid_time, number, expver)."""
    times = pd.date_range(month, periods=len(values), freq="h")
    rows, columns = values.shape[1:]
    coords = {"valid_time": times, "latitude": 45 - 0.1 * np.arange(rows), "longitude": 5 + 0.1 * np.arange(columns)}
    dims = ("valid_time", "latitude", "longitude")
    data = xr.Dataset({f"swvl{n}": (dims, values / n, {"units": "m**3 m**-3"}) for n in (1, 2, 3, 4)}, coords)
    data["number"], data["expver"] = 0, ("valid_time", np.array(["0001"] * len(values)))
    path = folder / f"era5_land_soil_{month}.nc"
    data.to_netcdf(path, encoding={"valid_time": {"units": "seconds since 1970-01-01"}})
    return path

"""Tiny raw files in the layouts of further providers. Each writer returns the files; the truth is what it was given."""

from __future__ import annotations

from pathlib import Path

import cftime
import numpy as np
import pandas as pd
import xarray as xr

LAT, LON = np.array([41.0, 40.75, 40.5, 40.25]), np.array([-124.0, -123.75, -123.5, -123.25, -123.0])
BOX = (-124.2, 40.1, -122.9, 41.2)


def weather(steps: int, lat: np.ndarray = LAT, lon: np.ndarray = LON, seed: int = 3) -> dict[str, np.ndarray]:
    """Plausible fields (step, lat, lon) in canonical units; float64."""
    rng = np.random.default_rng(seed)
    shape = (steps, lat.size, lon.size)
    tas = rng.normal(285, 5, shape)
    return {
        "tas": tas,
        "tasmin": tas - rng.uniform(1, 8, shape),
        "tasmax": tas + rng.uniform(1, 8, shape),
        "pr": rng.gamma(0.3, 1e-4, shape),
        "rsds": rng.uniform(20, 300, shape),
        "rlds": rng.uniform(220, 380, shape),
        "huss": rng.uniform(0.003, 0.009, shape),
        "ps": rng.normal(95_000, 400, shape),
        "sfcWind": rng.uniform(0.5, 9, shape),
    }


def gridmet(folder: Path, days: pd.DatetimeIndex, truth: dict[str, np.ndarray]) -> list[Path]:
    """One file per variable: dimension ``day`` since 1900, packed unsigned integers, kelvin."""
    day = (days - pd.Timestamp("1900-01-01")).days.to_numpy(float)
    content = {  # file: name, unit, values, scale, offset
        "tmmx": ("air_temperature", "K", truth["tasmax"], 0.1, 220.0),
        "tmmn": ("air_temperature", "K", truth["tasmin"], 0.1, 210.0),
        "pr": ("precipitation_amount", "mm", truth["pr"] * 86400, 0.1, 0.0),
        "srad": ("surface_downwelling_shortwave_flux_in_air", "W m-2", truth["rsds"], 0.1, 0.0),
        "sph": ("specific_humidity", "kg/kg", truth["huss"], 1e-5, 0.0),
        "vs": ("wind_speed", "m/s", truth["sfcWind"], 0.1, 0.0),
    }
    files = []
    for short, (name, unit, values, scale, offset) in content.items():
        packed = np.rint((values - offset) / scale).astype(np.uint16).view(np.int16)
        attrs = {"units": unit, "scale_factor": scale, "add_offset": offset, "_Unsigned": "true"}
        attrs |= {"_FillValue": np.int16(32767), "coordinates": "lon lat", "grid_mapping": "crs"}
        data = xr.Dataset(
            {name: (("day", "lat", "lon"), packed, attrs), "crs": ((), np.int32(0))},
            {"day": ("day", day, {"units": "days since 1900-01-01 00:00:00"}), "lat": LAT, "lon": LON},
        )
        files.append(folder / f"{short}_{days[0].year}.nc")
        data.to_netcdf(files[-1], engine="netcdf4")
    return files


def nldas2(folder: Path, hours: pd.DatetimeIndex, truth: dict[str, np.ndarray]) -> list[Path]:
    """One file per hour, latitude ascending, -9999 over the sea; Rainf is the amount of the hour before the stamp."""
    content = {
        "Tair": ("K", truth["tas"]),
        "Qair": ("kg kg-1", truth["huss"]),
        "PSurf": ("Pa", truth["ps"]),
        "Wind_E": ("m s-1", 0.6 * truth["sfcWind"]),
        "Wind_N": ("m s-1", -0.8 * truth["sfcWind"]),
        "LWdown": ("W m-2", truth["rlds"]),
        "SWdown": ("W m-2", truth["rsds"]),
        "Rainf": ("kg m-2", truth["pr"] * 3600),
    }
    files = []
    for step, hour in enumerate(hours):
        fields = {
            name: (("time", "lat", "lon"), values[step : step + 1, ::-1].astype(np.float32), {"units": unit})
            for name, (unit, values) in content.items()
        }
        since = (hour - pd.Timestamp("1979-01-01")) / pd.Timedelta("1h")
        time = ("time", [since], {"units": "hours since 1979-01-01 00:00:00", "bounds": "time_bnds"})
        bounds = ("time", "bnds"), [[since - 1, since]]
        data = xr.Dataset({**fields, "time_bnds": bounds}, {"time": time, "lat": LAT[::-1], "lon": LON})
        files.append(folder / f"NLDAS_FORA0125_H.A{hour:%Y%m%d}.{hour:%H}00.020.nc")
        data.to_netcdf(files[-1], engine="netcdf4", encoding={n: {"_FillValue": np.float32(-9999)} for n in content})
    return files


def mswx(folder: Path, days: pd.DatetimeIndex, truth: dict[str, np.ndarray]) -> list[Path]:
    """One file per variable and day below MSWX_V100/Past/<Variable>/Daily; degrees Celsius and mm per day."""
    content = {
        "Temp": ("air_temperature", "degC", truth["tas"] - 273.15),
        "Tmin": ("air_temperature", "degC", truth["tasmin"] - 273.15),
        "Tmax": ("air_temperature", "degC", truth["tasmax"] - 273.15),
        "P": ("precipitation", "mm d-1", truth["pr"] * 86400),
        "SWd": ("downward_shortwave_radiation", "W m-2", truth["rsds"]),
        "LWd": ("downward_longwave_radiation", "W m-2", truth["rlds"]),
        "Pres": ("surface_pressure", "Pa", truth["ps"]),
        "SpecHum": ("specific_humidity", "g g-1", truth["huss"]),
        "Wind": ("wind_speed", "m s-1", truth["sfcWind"]),
    }
    files = []
    for folder_name, (name, unit, values) in content.items():
        place = folder / "MSWX_V100" / "Past" / folder_name / "Daily"
        place.mkdir(parents=True, exist_ok=True)
        for step, day in enumerate(days):
            field = ("time", "lat", "lon"), values[step : step + 1].astype(np.float32), {"units": unit}
            time = ("time", [float((day - pd.Timestamp("1900-01-01")).days)], {"units": "days since 1900-01-01"})
            files.append(place / f"{day:%Y%j}.nc")
            xr.Dataset({name: field}, {"time": time, "lat": LAT, "lon": LON}).to_netcdf(files[-1], engine="netcdf4")
    return files


def terraclimate(folder: Path, months: pd.DatetimeIndex, truth: dict[str, np.ndarray]) -> list[Path]:
    """One file per variable and year: packed monthly integers, a month stamped with its first day."""
    content = {
        "tmax": ("degC", truth["tasmax"] - 273.15, "i2", 0.01, -99.0),
        "tmin": ("degC", truth["tasmin"] - 273.15, "i2", 0.01, -99.0),
        "ppt": ("mm", truth["pr"] * 86400 * months.days_in_month.to_numpy()[:, None, None], "i4", 0.1, 0.0),
        "srad": ("W/m^2", truth["rsds"], "i2", 0.1, 0.0),
        "vap": ("kPa", truth["huss"] * 160, "i2", 0.001, 0.0),
        "ws": ("m/s", truth["sfcWind"], "i2", 0.01, 0.0),
    }
    files = []
    for name, (unit, values, kind, scale, offset) in content.items():
        packed = np.rint((values - offset) / scale).astype(kind)
        attrs = {"units": unit, "scale_factor": scale, "add_offset": offset, "_FillValue": np.array(-32768, kind)}
        for year in sorted(set(months.year)):
            own = months.year == year
            day = (months[own] - pd.Timestamp("1900-01-01")).days.to_numpy(float)
            data = xr.Dataset(
                {name: (("time", "lat", "lon"), packed[own], attrs), "crs": ((), np.int16(0))},
                {"time": ("time", day, {"units": "days since 1900-01-01 00:00:00"}), "lat": LAT, "lon": LON},
            )
            files.append(folder / f"TerraClimate_{name}_{year}.nc")
            data.to_netcdf(files[-1], engine="netcdf4")
    return files


def cf_daily(
    folder: Path,
    dates: list[cftime.datetime],
    truth: dict[str, np.ndarray],
    names: dict[str, tuple[str, np.ndarray]] | None = None,
    noon: bool = True,
) -> list[Path]:
    """One CF file per variable with time bounds, longitudes 0-360 and ascending latitudes.

    ``names`` adds or replaces variables: {name: (unit, values)}; values None leave one out.
    """
    units = {"pr": "kg m-2 s-1", "rsds": "W m-2", "rlds": "W m-2", "huss": "1", "ps": "Pa", "sfcWind": "m s-1"}
    content = {name: (units.get(name, "K"), values) for name, values in truth.items()} | (names or {})
    calendar = dates[0].calendar
    number = cftime.date2num(dates, "days since 1850-01-01", calendar)
    bounds = np.stack([number, number + 1], axis=1)
    time = (
        "time",
        number + 0.5 * noon,
        {"units": "days since 1850-01-01", "calendar": calendar, "bounds": "time_bnds"},
    )
    files = []
    for name, (unit, values) in content.items():
        if values is None:
            continue
        field = (
            ("time", "lat", "lon"),
            values[:, ::-1].astype(np.float32),
            {"units": unit, "_FillValue": np.float32(1e20)},
        )
        data = xr.Dataset(
            {name: field, "time_bnds": (("time", "bnds"), bounds), "height": ((), 2.0)},
            {"time": time, "lat": LAT[::-1], "lon": LON + 360},
        )
        files.append(folder / f"{name}_day_model_historical_r1i1p1f1_gn_{dates[0].year}0101-{dates[-1].year}1231.nc")
        data.to_netcdf(files[-1], engine="netcdf4")
    return files


def all_days(calendar: str, first: int, last: int) -> list[cftime.datetime]:
    """Every day of the years ``first`` to ``last`` of ``calendar``."""
    return list(
        xr.date_range(
            f"{first}-01-01", f"{last}-12-{30 if calendar == '360_day' else 31}", calendar=calendar, use_cftime=True
        )
    )


def mswep(folder: Path, days: pd.DatetimeIndex, truth: dict[str, np.ndarray]) -> list[Path]:
    """MSWX with the precipitation of MSWEP, which lies in a folder of its own."""
    files = []
    for path in mswx(folder, days, truth):
        if "/P/" in path.as_posix():
            target = folder / "MSWEP_V280" / "Past" / "Daily" / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path = path.rename(target)
        files.append(path)
    return files


def nldas2_002(files: list[Path]) -> list[Path]:
    """NLDAS-2 files renamed to the NetCDF subsets of the older version, with the names of GRIB."""
    names = {"Tair": "TMP", "Qair": "SPFH", "PSurf": "PRES", "Wind_E": "UGRD", "Wind_N": "VGRD", "LWdown": "DLWRF"}
    names |= {"SWdown": "DSWRF", "Rainf": "APCP"}
    older = []
    for path in files:
        older.append(path.with_name(path.name.replace(".020.nc", ".002.grb.SUB.nc4")))
        with xr.open_dataset(path) as data:
            data.rename(names).to_netcdf(older[-1], engine="netcdf4")
    return older


def nldas_elevation(path: Path) -> Path:
    """The elevation file of NLDAS: variable NLDAS_elev over a time of one step, latitude ascending."""
    metres = 100.0 * (np.arange(LAT.size)[::-1, None] + np.arange(LON.size)[None, :])[None]
    field = ("time", "lat", "lon"), metres, {"units": "meters"}
    time = ("time", [0.0], {"units": "days since 1979-01-01"})
    xr.Dataset({"NLDAS_elev": field}, {"time": time, "lat": LAT[::-1], "lon": LON}).to_netcdf(path, engine="netcdf4")
    return path


def elevation(path: Path, lat: np.ndarray = LAT, lon: np.ndarray = LON) -> tuple[Path, np.ndarray]:
    """Altitude in metres on the grid, and its values."""
    metres = 100.0 * (np.arange(lat.size)[:, None] + np.arange(lon.size)[None, :])
    xr.Dataset({"elev": (("lat", "lon"), metres, {"units": "m"})}, {"lat": lat, "lon": lon}).to_netcdf(path)
    return path, metres

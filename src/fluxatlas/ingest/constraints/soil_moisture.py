"""Soil moisture of satellites and reanalyses, gridded or as time series of cells, with their quality flags applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ... import variables as table
from ...errors import InputError, UnitError, nearest
from ...files import read_netcdf
from ..archive import LAT, LON

if TYPE_CHECKING:
    import xarray as xr

MISSING = -9999
"""Code of missing values that these files keep inside the data, declared or not."""


@dataclass(frozen=True)
class SoilMoistureKind:
    """One format: raw variable of each canonical one, its flag (0 is good) and uncertainty, and its layer.

    ``thickness`` [m] turns a mass of water per area (kg m-2) into a volume fraction.
    """

    title: str
    citation: str
    variables: Mapping[str, tuple[str, ...]]
    flags: tuple[str, ...] = ()
    uncertainty: tuple[str, ...] = ()
    thickness: Mapping[str, float] = field(default_factory=dict)
    keep_bits: int = 0


KINDS: dict[str, SoilMoistureKind] = {
    "esa_cci": SoilMoistureKind(
        "ESA CCI soil moisture, combined",
        "Dorigo et al. (2017), doi:10.1016/j.rse.2017.07.001",
        {"swc05": ("sm",)},
        flags=("flag",),
        uncertainty=("sm_uncertainty",),
    ),
    "smap": SoilMoistureKind(
        "SMAP L3 radiometer soil moisture",
        "Entekhabi et al. (2010), doi:10.1109/JPROC.2010.2043918",
        {"swc05": ("soil_moisture_pm", "soil_moisture_am", "soil_moisture")},
        flags=("retrieval_qual_flag_pm", "retrieval_qual_flag_am", "retrieval_qual_flag"),
        uncertainty=("soil_moisture_error_pm", "soil_moisture_error"),
        keep_bits=0b1110,  # bit 0: retrieval recommended; the other bits say how it was made
    ),
    "era5_land": SoilMoistureKind(
        "ERA5-Land soil layers (0-7, 7-28, 28-100 cm)",
        "Muñoz-Sabater et al. (2021), doi:10.5194/essd-13-4349-2021",
        {"swc05": ("swvl1",), "swc15": ("swvl2",), "swc45": ("swvl3",)},
    ),
    "gldas": SoilMoistureKind(
        "GLDAS Noah soil layers (0-10, 10-40, 40-100 cm)",
        "Rodell et al. (2004), doi:10.1175/BAMS-85-3-381",
        {"swc05": ("SoilMoi0_10cm_inst",), "swc15": ("SoilMoi10_40cm_inst",), "swc45": ("SoilMoi40_100cm_inst",)},
        thickness={"SoilMoi0_10cm_inst": 0.1, "SoilMoi10_40cm_inst": 0.3, "SoilMoi40_100cm_inst": 0.6},
    ),
}


def load_soil_moisture(path: str | Path, kind: str) -> xr.Dataset:
    """Daily soil moisture [m3 m-3] of one file: canonical variables (swc05 ...), ``<name>_sd`` where it is given.

    Dimensions (time, lat, lon) of a gridded file, or (time, location) with coordinates lat and lon of a file of time
    series. Values with a flag, coded as missing, or outside the valid range of the product are NaN; attributes
    ``kept_<name>``, ``missing_<name>``, ``flagged_<name>`` and ``out_of_range_<name>`` count the steps. A flag
    that is missing everywhere cannot be applied; ``quality_flag_<name>`` says which one was, if any. Sub-daily steps
    become the mean of their day in UTC. Depths are the nearest of the standard ones.

    Raises :class:`InputError` for an unreadable file, no variable of the kind, no usable coordinate or time, or no
    value left; :class:`UnitError` for a unit that is neither a volume fraction nor (with a layer) kg m-2.
    """
    import xarray as xr

    if kind not in KINDS:
        raise InputError(
            f"unknown kind of soil moisture '{kind}'{nearest(kind, KINDS)}", hint=f"one of {', '.join(KINDS)}"
        )
    facts = KINDS[kind]
    data = read_netcdf(path, mask_and_scale=True)
    data, dims = _arranged(data, Path(path))
    made: dict[str, xr.DataArray] = {}
    attrs: dict[str, Any] = {"title": facts.title, "citation": facts.citation}
    for name, spellings in facts.variables.items():
        raw = next((s for s in spellings if s in data.data_vars), None)
        if raw is None:
            continue
        array, counts = _screened(data, raw, facts, Path(path))
        attrs |= {f"{key}_{name}": count for key, count in counts.items()}
        made[name] = array.transpose(*dims)
        sd = next((s for s in facts.uncertainty if s in data.data_vars), None)
        if sd is not None:
            value = data[sd].astype(float).transpose(*dims)
            made[f"{name}_sd"] = value.where(np.isfinite(made[name]) & (value >= 0))
    if not made:
        wanted = ", ".join(s for spellings in facts.variables.values() for s in spellings)
        raise InputError(
            f"none of the variables {wanted}", where=str(path), hint=f"it holds {', '.join(map(str, data.data_vars))}"
        )
    result = xr.Dataset(made).resample(time="1D").mean() if _subdaily(data) else xr.Dataset(made)
    result = result.assign_coords(time=result.time.dt.floor("D"))
    for name in made:
        base = table.get(name.removesuffix("_sd"))
        result[name] = result[name].astype(np.float32).assign_attrs(base.attrs)
    if not any(bool(np.isfinite(result[name]).any()) for name in made):
        raise InputError("no value is left after the flags", where=str(path), hint="check the flags of the file")
    return result.assign_attrs(attrs)


def _arranged(data: xr.Dataset, path: Path) -> tuple[xr.Dataset, tuple[str, ...]]:
    """``data`` with times in order, named lat and lon, and the dimensions of the result."""
    if "time" not in data.dims or "time" not in data.variables or data.time.dtype.kind != "M":
        raise InputError("no time that can be read", where=str(path), hint="give the provider's own file")
    if not data.sizes["time"]:
        raise InputError("the file holds no time steps", where=str(path), hint="get it again")
    days = pd.DatetimeIndex(data.time.values)
    if days.has_duplicates:
        raise InputError(
            f"the time {days[days.duplicated()][0]} is present more than once",
            where=str(path),
            hint="remove the repeated steps",
        )
    data = data.sortby("time")
    lat, lon = (next((n for n in names if n in data.variables), None) for names in (LAT, LON))
    if lat is None or lon is None:
        raise InputError("no latitude and longitude", where=str(path), hint="give the provider's own file")
    data = data.rename({k: v for k, v in ((lat, "lat"), (lon, "lon")) if k != v})
    if data.lat.dims == ("lat",):
        lon180 = (data.lon + 180) % 360 - 180
        data = data.assign_coords(lon=lon180).sortby("lon").sortby("lat", ascending=False)
        return data, ("time", "lat", "lon")
    if data.lat.ndim == 1 and data.lat.dims == data.lon.dims:
        return data.set_coords(["lat", "lon"]).rename({str(data.lat.dims[0]): "location"}), ("time", "location")
    raise InputError(
        "latitude and longitude are two-dimensional",
        where=str(path),
        hint="regrid the file (EASE-Grid 2.0 of SMAP) to latitude and longitude first",
    )


def _screened(data: xr.Dataset, raw: str, facts: SoilMoistureKind, path: Path) -> tuple[xr.DataArray, dict[str, Any]]:
    """Values of ``raw`` as volume fraction with rejected ones NaN, and the counts."""
    array = data[raw].astype(float)
    units = str(data[raw].attrs.get("units", ""))
    missing = array.isnull() | (array == MISSING)
    if units.replace(" ", "").replace("**", "").replace("^", "") in ("kgm-2", "kg/m2", "mm") and raw in facts.thickness:
        array = array / (1000 * facts.thickness[raw])
    elif units.replace(" ", "").replace("**", "").replace("^", "") not in ("", "1", "m3m-3", "m3/m3", "cm3/cm3"):
        raise UnitError(
            f"the unit of '{raw}' is '{units}'", where=str(path), hint="soil moisture must be m3 m-3 (or kg m-2, GLDAS)"
        )
    flag = next((f for f in facts.flags if f in data.data_vars and bool(data[f].notnull().any())), None)
    flagged = _bad_flag(data[flag], facts.keep_bits) & ~missing if flag else missing & False
    low, high = table.get("swc05").valid
    outside = ((array < low) | (array > high)) & ~missing & ~flagged
    good = ~(missing | flagged | outside)
    counts: dict[str, Any] = {
        "quality_flag": flag or "none",
        "kept": int(good.sum()),
        "missing": int(missing.sum()),
        "flagged": int(flagged.sum()),
        "out_of_range": int(outside.sum()),
    }
    return array.where(good), counts


def _bad_flag(flag: xr.DataArray, keep_bits: int) -> xr.DataArray:
    """Where a flag is set in any bit that is not among ``keep_bits``; a missing flag counts as set."""
    values = flag.fillna(1) if flag.dtype.kind == "f" else flag
    return (values.astype(np.int64) & ~keep_bits) != 0


def _subdaily(data: xr.Dataset) -> bool:
    days = data.time.values.astype("datetime64[D]")
    return bool((np.diff(days) == np.timedelta64(0, "D")).any())

"""Daily series derived from FLUXNET for the evaluation of models (``ref_da``): a NetCDF file per tower and quantity.

``<quantity>_<tower>_FLUXNET2015.nc``, with the site in ``station_name``. The unit says kg m-2 month-1 although the
series is daily: values are those of FULLSET [g C m-2 d-1] times 0.0304368, the days of a mean month and 0.001 [V: the
same to 1e-5 at the towers that have both, and missing codes that went through the factor are -9999 times that]. Days
with a QC below 0.75 were left out; that is taken as the QC of those that are there, the least that it may be.
Evapotranspiration follows a closed energy balance, unlike LE of FLUXNET, and is not read.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ...errors import InputError
from ...files import open_netcdf
from .inputs import DERIVED

COLUMNS = {"nee": "NEE_VUT_REF", "gpp": "GPP_NT_VUT_REF", "reco": "RECO_NT_VUT_REF"}
"""Quantity of a file -> the column of FULLSET that it was made of."""
NAME = re.compile(DERIVED)
FACTOR = 0.0304368
QC = 0.75


def is_derived(path: str | Path) -> bool:
    """Whether a file is one of these by its name."""
    return bool(NAME.match(Path(path).name))


def station(path: str | Path) -> str:
    """The site of a file; raises :class:`InputError` where it names none."""
    with open_netcdf(path, decode_times=False) as data:
        if "station_name" not in data:
            raise InputError("'station_name' is missing", where=str(path), hint="this is not a derived FLUXNET series")
        return str(np.asarray(data["station_name"].values).reshape(-1)[0]).strip()


def read(path: str | Path) -> pd.DataFrame:
    """The column of FULLSET [g C m-2 d-1] indexed by day, and its QC (:data:`QC` where it has a value).

    Raises :class:`InputError` for a file without the quantity of its name, or whose times are not those of days.
    """
    found = NAME.match(Path(path).name)
    name = found[1] if found else ""
    with open_netcdf(path) as data:
        if name not in data or data[name].dims != ("time",):
            raise InputError(f"no series '{name}' by time", where=str(path), hint="the name says what a file holds")
        days = pd.DatetimeIndex(data["time"].values)
        values = data[name].values.astype(np.float64) / FACTOR
    if len(days) > 1 and not (np.diff(days.to_numpy()) == np.timedelta64(1, "D")).all():
        raise InputError("the days are not consecutive", where=str(path), hint="a daily series is expected")
    qc = np.where(np.isfinite(values), QC, np.nan)
    return pd.DataFrame({COLUMNS[name]: values, "NEE_VUT_REF_QC": qc}, index=days.normalize().rename("time"))

"""Checks of what goes into :func:`fluxatlas.process.simulate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError
from ..variables import check_range
from . import evapotranspiration as et

FloatArray = npt.NDArray[np.float32]


class Drivers(NamedTuple):
    """Daily drivers (T, N) in canonical units."""

    tas: FloatArray
    pr: FloatArray
    rsds: FloatArray
    rlds: FloatArray
    huss: FloatArray
    ps: FloatArray
    lai: FloatArray
    ch4: FloatArray


SITE = ("sand", "clay", "soc", "bdod", "phh2o", "cropFrac", "ndep")


def validated_forcing(
    forcing: Mapping[str, npt.ArrayLike], lat: npt.NDArray[np.float64], dates: pd.DatetimeIndex, spinup_years: int
) -> Drivers:
    """The drivers the column reads, checked; see :func:`fluxatlas.process.simulate`."""
    if spinup_years < 0:
        raise InputError(f"spinup_years is {spinup_years}", hint="give zero or more")
    names = [name for name in Drivers._fields if name != "rlds" or name in forcing]
    if "rlds" not in forcing:
        names += ["tasmin", "tasmax"]
    missing = [name for name in names if name not in forcing]
    if missing:
        raise InputError(
            f"driver {', '.join(missing)} is missing", where="forcing", hint=f"give {', '.join(Drivers._fields)}"
        )
    shape = (len(dates), lat.size)
    found = {name: checked(forcing, name, shape, dates) for name in names}
    if "rlds" not in forcing:
        net = et.fao56_net_longwave(
            found.pop("tasmin"), found.pop("tasmax"), found["huss"], found["ps"], found["rsds"], lat, dates
        )
        found["rlds"] = et.fao56_longwave_down(net, found["tas"]).astype(np.float32)
    return Drivers(**{name: np.ascontiguousarray(array) for name, array in found.items()})


def checked(
    forcing: Mapping[str, npt.ArrayLike], name: str, shape: tuple[int, int], dates: pd.DatetimeIndex
) -> FloatArray:
    """The driver ``name`` as float32 (days, cells); raises :class:`InputError` where it is absent, of another ``shape``
    or not finite."""
    if name not in forcing:
        raise InputError(f"driver {name} is missing", where="forcing")
    values = np.asarray(forcing[name], np.float32)
    if values.shape != shape:
        raise InputError(
            f"driver '{name}' has shape {values.shape}",
            where="forcing",
            hint=f"give (days, cells) = {shape}, as the dates and latitudes",
        )
    if shape[0] == 0 or shape[1] == 0:
        raise InputError("there is no day or no cell to simulate", where="forcing")
    finite = np.isfinite(values)
    if not finite.all():
        day, cell = np.argwhere(~finite)[0]
        raise InputError(
            f"driver '{name}' is {values[day, cell]} on {dates[day]:%Y-%m-%d} in cell {cell}",
            where="forcing",
            hint="fill gaps or leave out the cell before simulating",
        )
    return values


def validated_site(
    attributes: Mapping[str, npt.ArrayLike], cells: int, names: tuple[str, ...] = SITE
) -> dict[str, Any]:
    """The attributes ``names`` (those the column reads) as float64 arrays of shape (cells,), checked."""
    site = {}
    for name in names:
        if name not in attributes:
            raise InputError(f"attribute '{name}' is missing", where="attributes", hint=f"give {', '.join(names)}")
        values = np.asarray(attributes[name], float)
        if values.shape != (cells,):
            raise InputError(
                f"attribute '{name}' has shape {values.shape}", where="attributes", hint=f"give shape ({cells},)"
            )
        if not np.isfinite(values).all():
            cell = int(np.argmin(np.isfinite(values)))
            raise InputError(f"attribute '{name}' is not finite in cell {cell}", where="attributes")
        site[name] = values
    return site


def soil_attributes(attributes: Mapping[str, npt.ArrayLike], names: tuple[str, ...]) -> list[npt.NDArray[np.float64]]:
    """The soil attributes ``names`` as float64 arrays of one dimension at least.

    Raises :class:`InputError` for one that is absent, not finite or outside the variable table.
    """
    found = []
    for name in names:
        if name not in attributes:
            raise InputError(f"attribute '{name}' is missing", where="soil properties", hint=f"give all of {names}")
        values = np.atleast_1d(np.asarray(attributes[name], float))
        if not np.isfinite(values).all():
            hint = "leave out cells without attributes"
            raise InputError(
                f"attribute '{name}' is not finite in cell {int(np.argmin(np.isfinite(values)))}", hint=hint
            )
        check_range(values, name, where="soil properties")
        found.append(values)
    return found

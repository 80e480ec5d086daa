"""The daily flux per area of the whole cell, made of the daily file of the flux per area of a part of it.

The share of the part is multiplied here, once; who integrates the result multiplies the area of the cell alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt

from .. import files, variables
from ..config.products import ProductsBlock
from ..errors import ConfigError, InputError
from ..systems import System
from ..tiles.mosaic import PathLike
from . import metadata
from .daily import PLAIN, create_variable

AREA = "areacella"


def write_per_cell(
    output: PathLike, daily: PathLike, variable: str, system: System, settings: ProductsBlock | None = None
) -> None:
    """Write ``products/daily/<variable>_<year>.nc`` (time, lat, lon), float32, from the file ``daily`` of its flux.

    The standard uncertainty of the flux is multiplied with the same share where the file has it: what is not known of
    the share is not in it. Raises :class:`ConfigError` for a ``variable`` that no flux of ``system`` has as
    ``per_cell``, and :class:`InputError` where ``daily`` lacks the flux or a layer of its area.
    """
    settings = settings or ProductsBlock()
    flux = next((one.variable for one in system.fluxes if one.per_cell == variable), "")
    if not flux:
        known = ", ".join(one.per_cell for one in system.fluxes if one.per_cell) or "none"
        what = f"'{variable}' is not a flux of {system.name} per area of the cell"
        raise ConfigError(what, hint=f"it has {known}")
    with netCDF4.Dataset(daily) as given, files.atomic(output) as partial:
        lacking = [name for name in (flux, *system.weight) if name not in given.variables]
        if lacking:
            hint = "make it with `fluxatlas products daily`"
            raise InputError(f"no variable '{lacking[0]}'", where=str(daily), hint=hint)
        names = {flux: variable} | ({f"{flux}_sd": f"{variable}_sd"} if f"{flux}_sd" in given.variables else {})
        with netCDF4.Dataset(partial, "w", format="NETCDF4") as target:
            _frame(target, given, flux, variable, system, names)
            _copy(target, given, [name for name in given.variables if name not in (*names, *system.weight[1:])])
            share = share_of(given, system)
            for old, new in names.items():
                quality = str(getattr(given[old], "ancillary_variables", "")).split()
                attrs = metadata.field(new, {}, [names.get(name, name) for name in quality])
                created = create_variable(target, new, PLAIN, attrs, settings)
                _scale(created, given[old], share, settings.chunks)


def share_of(given: netCDF4.Dataset, system: System) -> npt.NDArray[np.float64]:
    """Share [1] of each cell (lat, lon) that a flux is per: the layers of its area but the area of the cell."""
    share = np.ones(given[system.weight[0]].shape)
    for name in system.weight:
        if name != AREA:
            layer = np.ma.filled(given[name][:].astype(float), np.nan)
            share = share * (layer / 100.0 if variables.get(name).units == "%" else layer)
    return share


def _frame(
    target: netCDF4.Dataset,
    given: netCDF4.Dataset,
    flux: str,
    variable: str,
    system: System,
    names: dict[str, str],
) -> None:
    """Dimensions and global attributes."""
    attrs: dict[str, Any] = dict(given.__dict__)
    old, new = variables.get(flux).long_name, variables.get(variable).long_name
    for key in ("title", "summary"):
        attrs[key] = str(attrs.get(key, new)).replace(old, new)
    attrs["id"] = str(attrs.get("id", variable)).replace(flux, variable)
    attrs["comment"] = f"Fluxes are per area of the whole cell: multiply by {AREA} alone to integrate."
    target.setncatts(attrs)
    for name, dimension in given.dimensions.items():
        target.createDimension(name, len(dimension))


def _copy(target: netCDF4.Dataset, given: netCDF4.Dataset, names: Sequence[str]) -> None:
    """Axes, layers of quality and the area of the cell as they are."""
    for name in names:
        source = given[name]
        source.set_auto_maskandscale(False)
        attrs = dict(source.__dict__)
        fill = attrs.pop("_FillValue", None)
        copied = target.createVariable(name, source.dtype, source.dimensions, fill_value=fill, compression="zlib")
        copied.set_auto_maskandscale(False)
        copied.setncatts(attrs)
        copied[...] = source[...]


def _scale(
    target: netCDF4.Variable, source: netCDF4.Variable, share: npt.NDArray[np.float64], chunks: tuple[int, int, int]
) -> None:
    """``source`` times ``share``, the days and rows of a chunk at a time."""
    for top in range(0, share.shape[0], chunks[1]):
        band = slice(top, min(top + chunks[1], share.shape[0]))
        for first in range(0, source.shape[0], chunks[0]):
            days = slice(first, min(first + chunks[0], source.shape[0]))
            values = np.ma.filled(source[days, band, :].astype(np.float64), np.nan)
            target[days, band, :] = (values * share[band]).astype(np.float32)

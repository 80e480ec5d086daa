"""Maps of the part of the land that a flux is per: shares of the cell or of the land, and further maps beside one.

What the grid holds is always a share of the land [%]. WAD2M and GIEMS give shares of the whole cell; near coasts the
two differ, and what a file gives must be known before it is used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.static import OF_LAND, Layer, StaticBlock
from ..errors import InputError
from ..files import open_netcdf
from .frame import Frame
from .layers import read_layer
from .names import variables_in
from .sources import kind_of

Array = npt.NDArray[np.floating[Any]]

OF_CELL = ("fw",)
"""Variables (lower case) known to hold shares of the whole cell: that of WAD2M (Zhang et al. 2021, ESSD 13, 2001)."""


def is_of_cell(name: str, layer: Layer) -> bool:
    """Whether the file of ``layer`` gives shares of the whole cell: as configured, else by the name of its variable."""
    if layer.share_of or not layer.paths or kind_of(layer.paths[0]) != "netcdf":
        return layer.share_of == "cell"
    with open_netcdf(layer.paths[0], decode_times=False, foreign=True) as dataset:
        found = variables_in(name, layer, dataset, layer.paths[0], alone=len(layer.paths) == 1)
    return any(variable.lower() in OF_CELL for variable in found)


def of_land(values: Array, land: Array) -> Array:
    """Shares of the cell [%] as shares of its ``land`` [%]: at most all of it, NaN where there is none."""
    return np.minimum(100.0 * values / np.where(land > 0, land, np.nan), 100.0)


def as_share_of_land(layers: dict[str, Array], block: StaticBlock) -> None:
    """Turn shares of the cell among ``layers`` into shares of the land, ``sftlf`` among them, in place."""
    for name in OF_LAND:
        given = block.all_layers().get(name)
        if name in layers and given is not None and is_of_cell(name, given):
            layers[name] = of_land(layers[name], layers["sftlf"])


def read_area_maps(block: StaticBlock, mask: str | None, frame: Frame, land: Array) -> dict[str, Array]:
    """The further maps of ``mask`` by name, as shares of the ``land`` [%] of each cell: (rows, columns), or twelve
    means of calendar months (month, rows, columns), or a field for each year of the layer (year, rows, columns). Where
    a map says nothing it has none.

    Raises :class:`InputError` where the system has no such layer, and whatever the files raise.
    """
    if block.area_maps and mask not in OF_LAND:
        what = f"the flux of this system is per {mask or 'land'}, of which there are no further maps"
        raise InputError(what, where="static.area_maps", hint="leave it out")
    return {name: _read(str(mask), layer, frame, land) for name, layer in block.area_maps.items()}


def _read(mask: str, layer: Layer, frame: Frame, land: Array) -> Array:
    if layer.over_time == "months":
        whole = layer.model_copy(update={"over_time": "mean"})
        found = np.stack([read_layer(mask, whole.model_copy(update={"month": month}), frame) for month in range(1, 13)])
    elif layer.over_time == "years" and layer.years:
        whole = layer.model_copy(update={"over_time": "mean"})
        each = range(layer.years[0], layer.years[1] + 1)
        found = np.stack([read_layer(mask, whole.model_copy(update={"years": (year, year)}), frame) for year in each])
    else:
        found = read_layer(mask, layer, frame)
    if is_of_cell(mask, layer):
        found = of_land(found, land)
    return np.nan_to_num(found)

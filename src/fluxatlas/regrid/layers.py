"""Continuous static layers on the target grid, in canonical units.

Values are converted first and regridded then. A source finer than the target is averaged by area, a coarser one
interpolated bilinearly, unless the layer names its method.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables
from ..config.static import Layer
from .apply import separable
from .frame import Frame
from .sources import open_source
from .weights import AxisWeights, Method, axis_weights

Array = npt.NDArray[np.floating[Any]]

INCH_PER_HOUR = 0.0070556
"""One inch per hour [mm s-1]."""


def read_layer(name: str, layer: Layer, frame: Frame) -> Array:
    """Layer ``name`` over ``frame`` in canonical units: (rows, columns), or (12, rows, columns) for ``lai``.

    NaN where the source is missing or does not reach. Raises :class:`InputError`, :class:`UnitError` or
    :class:`GridError` for a file that is absent, unreadable, irregular or without the variable, for values out of range
    and for a wrong number of bands.
    """
    bands = 12 if name == "lai" else 1
    where = layer.path or f"static.layers.{name}.constant"
    if layer.constant is not None:
        values = np.full((bands, *frame.shape), canonical(np.array(layer.constant), name, layer, where))
        return values if bands > 1 else values[0]
    out = np.full((bands, *frame.shape), np.nan)
    options: dict[str, Any] = {"variable": layer.variable or name, "select": layer.select, "weights": layer.weights}
    with open_source(layer.path, bands=bands, band=layer.band, nodata=layer.nodata, **options) as source:
        for rows, raw, lat, lon in source.windows(frame):
            axes = (lat, frame.lat[rows], "lat"), (lon, frame.lon, "lon")
            weights = [_weights(*axis, frame.step, layer.method) for axis in axes]  # type: ignore[arg-type]
            out[:, rows] = separable(canonical(raw, name, layer, where), *weights)
    return out if bands > 1 else out[0]


def _weights(source: Array, target: Array, axis: Any, step: float, method: str) -> AxisWeights:
    finer = abs(source[1] - source[0]) < 0.75 * step
    chosen: Method = ("conservative" if finer else "bilinear") if method == "auto" else method  # type: ignore[assignment]
    return axis_weights(source, target, axis, chosen)


def canonical(raw: Array, name: str, layer: Layer, where: str) -> Array:
    """``raw`` values of a file, any shape, in canonical units: scaled, shifted, transformed, converted and checked."""
    values = _TRANSFORMS[layer.transform](raw * layer.scale + layer.offset)
    if layer.units:
        values = np.asarray(variables.convert(values, layer.units, name, where=where), float)
    variables.check_range(values, name, where=where)
    return values


def clay_from_expt(expt: Array) -> Array:
    """Clay [%] from the exponent of conductivity in VIC, ``expt = 3 + 2 b``, any shape; NaN stays.

    Inverts ``b = 2.91 + 0.159 clay`` of Cosby et al. (1984, doi:10.1029/WR020i006p00682) [R+]; kept within 0-100.
    """
    return np.clip(((expt - 3.0) / 2.0 - 2.91) / 0.159, 0.0, 100.0)


def sand_from_ksat(ksat: Array) -> Array:
    """Sand [%] from the saturated conductivity [mm d-1], any shape; NaN where it is missing or not positive.

    Inverts ``log10 Ksat = -0.884 + 0.0153 sand``, Ksat in inch per hour, of Cosby et al. (1984) [R+]; kept in 0-100.
    """
    inches = np.where(ksat > 0, ksat, np.nan) / 86400.0 / INCH_PER_HOUR
    return np.clip((np.log10(inches) + 0.884) / 0.0153, 0.0, 100.0)


_TRANSFORMS: dict[str, Any] = {
    "": lambda values: values,
    "clay_from_expt": clay_from_expt,
    "sand_from_ksat": sand_from_ksat,
}

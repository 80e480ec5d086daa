"""Land cover that comes as shares by class: averaged over the area of the target cells, in percent."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..weights import axis_weights
from .apply import separable
from .cover_layout import CoverLayout
from .frame import Frame
from .sources import open_source

Array = npt.NDArray[np.floating[Any]]
ROUNDING = 5.0
"""Percent by which rounded shares may miss the whole."""


def class_shares(layout: CoverLayout, frame: Frame, classes: npt.NDArray[np.int64]) -> Array:
    """Shares [%] of ``classes``, (class, rows, columns), NaN where the file is missing or does not reach.

    Sums within :data:`ROUNDING` of 100 are made 100; smaller ones stay (a file may leave the sea out). Raises
    :class:`InputError` for shares that add up to more than the whole and where fraction or percent is not sure.
    """
    found = np.full((len(classes), *frame.shape), np.nan)
    for layer in layout.layers:
        place = np.searchsorted(classes, layer.codes)
        options: dict[str, Any] = {"variable": layer.variable, "select": layout.select, "band": layer.band}
        with open_source(layout.path, bands=len(place), nodata=layout.nodata, **options) as source:
            for rows, raw, lat, lon in source.windows(frame):
                weights = (
                    axis_weights(lat, frame.lat[rows], "lat", "conservative"),
                    axis_weights(lon, frame.lon, "lon", "conservative"),
                )
                scale, offset = source.packing
                found[place[:, None], np.arange(len(frame.lat))[rows]] = separable(raw * scale + offset, *weights)
            if np.isnan(found).all() and source.inside(frame):
                raise InputError("the file holds missing values only", where=layout.path, hint="get the file again")
    known = np.isfinite(found).any(axis=0)
    if not known.any():
        return found
    if float(np.nanmin(found)) < -1e-6:
        raise InputError(f"a share is {np.nanmin(found):g}", where=layout.path, hint="declare 'nodata'")
    total = np.nansum(found, axis=0)
    factor = _factor(layout, float(total[known].max()))
    found, total = found * factor, total * factor
    whole = known & (np.abs(total - 100.0) <= ROUNDING)
    found *= np.where(whole, 100.0 / np.where(whole, total, 100.0), 1.0)
    return np.where(known & np.isnan(found), 0.0, found)


def _factor(layout: CoverLayout, most: float) -> float:
    """Factor to percent, from the unit and the largest sum of all classes; they must not contradict each other."""
    stated = layout.units.strip()
    if re.match(r"(?i)(%|per ?cent)", stated):
        factor = 1.0
    elif re.fullmatch(r"(?i)(1|fraction(al)?|0 ?- ?1|m2 m-2|m\^?2/m\^?2)", stated):
        factor = 100.0
    elif most > 1.0 + ROUNDING / 100:
        factor = 1.0
    elif most > 0.9:
        factor = 100.0
    else:
        what = f"the shares add up to {most:g} at most: fraction or percent?"
        raise InputError(what, where=layout.path, hint="declare units: '1' or units: '%' in static.landcover")
    if most * factor > 100.0 + ROUNDING:
        what = f"the shares of all classes add up to {most * factor:g} %"
        hint = "declare 'units' and 'nodata', or leave out layers that are sums of others"
        raise InputError(what, where=layout.path, hint=hint)
    return factor

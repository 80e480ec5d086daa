"""Slow drivers: daily series that come from tables and climatologies instead of the weather.

A system names its slow drivers (:class:`fluxatlas.systems.SlowDriver`); the functions that make them are in
:mod:`fluxatlas.process.slow`. Series of the atmosphere arrive here as :class:`~fluxatlas.gases.AnnualSeries`, already
read and checked (:func:`fluxatlas.ingest.atmosphere.series_of`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import InputError
from .gases import AnnualSeries
from .loading import load_object
from .systems import SlowDriver

FloatArray = npt.NDArray[np.floating[Any]]


def slow_drivers(
    wanted: Sequence[SlowDriver],
    dates: pd.DatetimeIndex,
    lat: npt.ArrayLike,
    layers: Mapping[str, npt.ArrayLike],
    series: Mapping[str, AnnualSeries],
) -> dict[str, FloatArray]:
    """The slow drivers ``wanted`` by name, float32 of shape (time, cell), in canonical units.

    ``lat`` (cell,) [degrees north]; ``layers`` are monthly climatologies (12, cell) by name; ``series`` are those of
    the atmosphere by gas. Raises :class:`InputError` where one needs a layer or a series that is not given.
    """
    found: dict[str, FloatArray] = {}
    for driver in wanted:
        lacking = [name for name in driver.layers if name not in layers]
        lacking += [driver.series] if driver.series and driver.series not in series else []
        if lacking:
            raise InputError(
                f"slow driver '{driver.name}' lacks {', '.join(lacking)}", hint="give it as layer or series"
            )
        function = load_object(driver.function)
        given = series[driver.series] if driver.series else None
        found[driver.name] = np.asarray(function(dates, lat, layers, given), np.float32)
    return found

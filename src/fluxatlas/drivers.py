"""Slow drivers: daily series that come from tables and climatologies instead of the weather.

A system names its slow drivers (:class:`fluxatlas.systems.SlowDriver`); the functions that make them are in
:mod:`fluxatlas.process.slow`. Series of the atmosphere arrive here as :class:`AnnualSeries`, already read and checked
(:func:`fluxatlas.ingest.atmosphere.series_of`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .errors import InputError
from .loading import load_object

if TYPE_CHECKING:
    from .systems import SlowDriver

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class AnnualSeries:
    """Annual global means of the mole fraction of ``gas``, in its unit of the variable table; every year is there.

    ``source`` is the file it was read from, ``carried`` whether that is a table of fluxatlas itself. Hashable, so
    that it can be part of a job.
    """

    gas: str
    years: tuple[int, ...]
    values: tuple[float, ...]
    source: str
    carried: bool = False

    def covers(self, dates: pd.DatetimeIndex) -> bool:
        """Whether all years of ``dates`` are there."""
        return self.years[0] <= dates.year.min() and dates.year.max() <= self.years[-1]

    def at(self, dates: pd.DatetimeIndex) -> FloatArray:
        """Values (time,) at ``dates``: annual means stand at 1 July, between them they are interpolated linearly.

        Raises :class:`InputError` for a date outside the years of the series.
        """
        if not self.covers(dates):
            raise InputError(
                f"no atmospheric {self.gas.upper()} for {dates.min():%Y}-{dates.max():%Y}",
                where=self.source,
                hint=f"choose years within {self.years[0]}-{self.years[-1]} or give a longer series "
                f"(atmosphere.series.{self.gas})",
            )
        length = np.where(dates.is_leap_year, 366.0, 365.0)
        decimal_year = dates.year.to_numpy(float) + (dates.dayofyear.to_numpy(float) - 0.5) / length
        return np.interp(decimal_year, np.asarray(self.years, float) + 0.5, self.values)


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

"""The process model of wetland methane: the column of peat, or the lumped model, by form."""

from __future__ import annotations

import pandas as pd

from ...process.wetland.column import simulate
from ...theta import Theta
from ..protocols import Arrays, FloatArray


class WetlandColumn:
    """:class:`~fluxatlas.systems.protocols.ProcessModel` over :mod:`fluxatlas.process.wetland`."""

    def simulate(
        self,
        drivers: Arrays,
        attributes: Arrays,
        *,
        lat: FloatArray,
        dates: pd.DatetimeIndex,
        spinup_years: int,
        theta: Theta | None = None,
    ) -> dict[str, FloatArray]:
        """See :class:`~fluxatlas.systems.protocols.ProcessModel`; raises as the column's ``simulate``."""
        given = theta or Theta({}, {})
        result = simulate(drivers, attributes, given.values, dates=dates, forms=given.forms, spinup_years=spinup_years)
        return dict(result.daily)

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Nothing: the network reads the attributes."""
        return {}

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """The statics are the attributes."""
        return dict(statics)


MODEL = WetlandColumn()

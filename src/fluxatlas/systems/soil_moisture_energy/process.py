"""The process model of soil moisture and energy: canopy and two-layer bucket."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ...process.energy.column import simulate
from ...process.energy.retention import soil_limits
from ...theta import Theta
from ..protocols import Arrays, FloatArray

LIMITS = ("swcwp", "swcfc", "swcsat")


class EnergyColumn:
    """:class:`~fluxatlas.systems.protocols.ProcessModel` over :mod:`fluxatlas.process.energy`."""

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
        """See :class:`~fluxatlas.systems.protocols.ProcessModel`; raises as :func:`process.energy.column.simulate`."""
        given = theta.values if theta else {}
        return dict(simulate(drivers, attributes, given, dates=dates, spinup_years=spinup_years).daily)

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Water content [1] at wilting point, field capacity and saturation by pedotransfer."""
        found = soil_limits(attributes)
        return {name: found[name] for name in LIMITS}

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """Texture and carbon are statics themselves."""
        return {name: np.asarray(statics[name], float) for name in ("sand", "clay", "soc")}


MODEL = EnergyColumn()

"""The process model of the soil methane sink: the coupled column of heat, water and methane."""

from __future__ import annotations

import pandas as pd

from ...process import MethaneStructure, methane_under, simulate, soil_properties
from ...process.hydraulics import with_density
from ...theta import Theta
from ..protocols import Arrays, FloatArray


class MethaneColumn:
    """:class:`~fluxatlas.systems.protocols.ProfileModel` over :mod:`fluxatlas.process`; the default is Curry (2007)."""

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
        """See :class:`~fluxatlas.systems.protocols.ProcessModel`; raises as :func:`fluxatlas.process.simulate`."""
        given = theta or Theta({}, {})
        structure = MethaneStructure(**given.forms)
        result = simulate(
            drivers, attributes, given.values, lat=lat, dates=dates, structure=structure, spinup_years=spinup_years
        )
        return dict(result.daily)

    def from_profiles(
        self,
        soil: Arrays,
        drivers: Arrays,
        attributes: Arrays,
        *,
        theta: Theta | None = None,
    ) -> dict[str, FloatArray]:
        """See :class:`~fluxatlas.systems.protocols.ProfileModel` and :func:`fluxatlas.process.methane_under`."""
        given = theta or Theta({}, {})
        return dict(methane_under(soil, drivers, attributes, given.values, MethaneStructure(**given.forms)))

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Porosity and the other soil properties by pedotransfer (:func:`fluxatlas.process.soil_properties`)."""
        return dict(soil_properties(attributes))

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """``statics`` with the bulk density ``bdod`` [kg m-3] that has their porosity."""
        return with_density(statics)


MODEL = MethaneColumn()

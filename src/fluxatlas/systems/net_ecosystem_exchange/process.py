"""The process model of net ecosystem exchange: carbon on the heat and water of the soil column."""

from __future__ import annotations

import pandas as pd

from ...process import soil_properties
from ...process.carbon import model
from ...process.hydraulics import with_density
from ...theta import Theta
from ..protocols import Arrays, FloatArray


class CarbonColumn:
    """:class:`~fluxatlas.systems.protocols.ProcessModel` over :mod:`fluxatlas.process.carbon`."""

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
        """See :class:`~fluxatlas.systems.protocols.ProcessModel` and :func:`fluxatlas.process.carbon.model.simulate`,
        whose errors it raises."""
        given = theta or Theta({}, {})
        result = model.simulate(
            drivers,
            attributes,
            given.values,
            lat=lat,
            dates=dates,
            structure=given.forms,
            spinup_years=spinup_years,
        )
        return dict(result.daily)

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Porosity and the other soil properties by pedotransfer (:func:`fluxatlas.process.soil_properties`)."""
        return dict(soil_properties(attributes))

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """``statics`` with the bulk density ``bdod`` [kg m-3] that has their porosity."""
        return with_density(statics)


MODEL = CarbonColumn()

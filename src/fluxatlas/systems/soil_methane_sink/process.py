"""The process model of the soil methane sink: the coupled column of heat, water and methane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ...process import Structure, methane_under, parameters, simulate, soil_properties
from ...process.hydraulics import PARTICLE_DENSITY
from ..protocols import Arrays, FloatArray


def _drawn(
    count: int,
    rng: np.random.Generator | None,
    exclude: Mapping[str, Sequence[str]] | None,
    sampled: bool,
    part: slice = slice(None),
) -> tuple[Structure, dict[str, FloatArray]]:
    """Structure and parameters of a ``part`` of ``count`` cells: drawn where asked for, else the defaults."""
    if rng is None:
        return Structure(), {}
    structure = Structure()
    if sampled:
        codes = Structure.sample(count, rng, exclude=exclude).codes(count)
        structure = Structure(**{choice: values[part] for choice, values in codes.items()})
    return structure, {name: values[part] for name, values in parameters.sample(count, rng).items()}


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
        rng: np.random.Generator | None = None,
        exclude: Mapping[str, Sequence[str]] | None = None,
        sampled: bool = False,
        among: tuple[int, slice] | None = None,
    ) -> dict[str, FloatArray]:
        """See :class:`~fluxatlas.systems.protocols.ProcessModel`; raises as :func:`fluxatlas.process.simulate`."""
        count, part = among or (len(lat), slice(None))
        structure, drawn = _drawn(count, rng, exclude, sampled, part)
        result = simulate(
            drivers, attributes, drawn, lat=lat, dates=dates, structure=structure, spinup_years=spinup_years
        )
        return dict(result.daily)

    def from_profiles(
        self,
        soil: Arrays,
        drivers: Arrays,
        attributes: Arrays,
        *,
        rng: np.random.Generator | None = None,
        exclude: Mapping[str, Sequence[str]] | None = None,
        sampled: bool = False,
    ) -> dict[str, FloatArray]:
        """See :class:`~fluxatlas.systems.protocols.ProfileModel` and :func:`fluxatlas.process.methane_under`."""
        structure, drawn = _drawn(np.shape(drivers["tas"])[1], rng, exclude, sampled)
        return dict(methane_under(soil, drivers, attributes, drawn, structure))

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Porosity and the other soil properties by pedotransfer (:func:`fluxatlas.process.soil_properties`)."""
        return dict(soil_properties(attributes))

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """``statics`` with the bulk density ``bdod`` [kg m-3] that has their porosity."""
        return {**statics, "bdod": PARTICLE_DENSITY * (1 - np.asarray(statics["phi"], float))}


MODEL = MethaneColumn()

"""The process model of crop carbon: fields on the heat and water of the soil column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ...process import soil_properties
from ...process.crop.choices import CHOICES
from ...process.crop.field import TABLE, CropStructure, simulate
from ...process.hydraulics import with_density
from ...theta import Prior, Theta
from ..protocols import Arrays, FloatArray
from . import ROTATIONS


def priors() -> Mapping[str, Prior]:
    """Priors of the parameters of crops and of the soil's carbon, by name."""
    return TABLE.priors()


class Fields:
    """:class:`~fluxatlas.systems.protocols.ProcessModel` over :mod:`fluxatlas.process.crop`."""

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
        """See :class:`~fluxatlas.systems.protocols.ProcessModel` and :func:`fluxatlas.process.crop.field.simulate`,
        whose errors it raises; ``harvest`` and ``residue`` as :func:`harvests` has them. Winter wheat stands until
        its day of harvest."""
        given = theta or Theta({}, {})
        forms: dict[str, Any] = {**given.forms, "winter_harvest": "day"}
        if "rotation" in forms:
            forms["rotation"] = _ROTATION[np.asarray(forms["rotation"], int)]
        found = simulate(
            drivers, attributes, given.values, lat=lat, dates=dates, structure=CropStructure(**forms),
            spinup_years=spinup_years,
        )  # fmt: skip
        return {**found.daily, **harvests(found.daily)}

    def derive(self, attributes: Arrays) -> dict[str, FloatArray]:
        """Porosity and the other soil properties by pedotransfer (:func:`fluxatlas.process.soil_properties`)."""
        return dict(soil_properties(attributes))

    def attributes_of(self, statics: Arrays) -> dict[str, FloatArray]:
        """``statics`` with the bulk density ``bdod`` [kg m-3] that has their porosity."""
        return with_density(statics)


_ROTATION = np.array([CHOICES["rotation"].index(name) for name in ROTATIONS])


def harvests(daily: Arrays) -> dict[str, FloatArray]:
    """``harvest`` and ``residue`` [g m-2 d-1] (time, cell) of ``daily`` outputs of the process model.

    What leaves the field on the day of a harvest, and what plants had fixed since the harvest before and did not
    respire, less that. What stands on the field on the first day counts as fixed; the seed does not. A harvest is known
    by the plants being gone.
    """
    standing = daily["cveg"]
    harvest = daily["grain"] + daily["straw"]
    gone = np.zeros_like(standing, bool)
    gone[1:] = (standing[:-1] > 0) & (standing[1:] == 0)
    fixed = np.cumsum(daily["gpp"] - daily["ra"], axis=0)
    fixed += standing[:1] - fixed[:1]
    day = np.where(gone, np.arange(len(gone))[:, None], -1)
    before = np.concatenate([np.full_like(day[:1], -1), np.maximum.accumulate(day, axis=0)[:-1]])
    until = np.where(before >= 0, np.take_along_axis(fixed, np.maximum(before, 0), axis=0), 0.0)
    return {"harvest": harvest, "residue": np.where(gone, np.maximum(fixed - until - harvest, 0.0), 0.0)}


MODEL = Fields()

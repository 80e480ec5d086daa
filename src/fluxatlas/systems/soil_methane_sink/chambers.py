"""Chamber sites without meteorology: what their measured soil stands in for, and what is assumed."""

from __future__ import annotations

import numpy as np

from ...constants import SCALE_HEIGHT
from ...humidity import huss_from_relative_humidity
from ..protocols import Arrays, FloatArray


def without_weather(
    measured: Arrays, statics: Arrays, elevation: FloatArray
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """Drivers and overrides (time, site) for the last sub-module alone.

    ``measured`` soil temperature [K] and water [1] at 5, 15 and 45 cm (time, site), NaN on other days; ``statics`` and
    ``elevation`` [m] (site,). Water stays below 98 % of the pores. Assumed: no snow, air as warm as the soil, pressure
    of a standard atmosphere, relative humidity 70 %; this changes the concentration of methane in the air by a few per
    cent.
    """
    soil = measured["tsl05"]
    overrides = {
        name: np.minimum(values, 0.98 * statics["phi"]) if name.startswith("swc") else values
        for name, values in measured.items()
    }
    complete = np.isfinite(soil) & np.isfinite(measured["swc05"])
    overrides |= {name: np.where(complete, np.float32(0), np.float32(np.nan)) for name in ("snw", "snd")}
    pressure = 101325.0 * np.exp(-elevation / SCALE_HEIGHT)
    drivers = {
        "tas": soil,
        "ps": np.broadcast_to(pressure.astype(np.float32), soil.shape),
        "huss": huss_from_relative_humidity(70.0, soil, pressure),
    }
    return drivers, overrides

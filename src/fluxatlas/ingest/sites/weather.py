"""Humidity and daily temperature extremes from what tower files state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ...astronomy import daylight_fraction, extraterrestrial_radiation
from ...humidity import huss_from_relative_humidity, huss_from_vapour_pressure, saturation_vapour_pressure
from .records import Ledger

ENOUGH = 60
"""Values (days or steps) from which on a deficit is judged."""
SUNNY = 0.16
"""Ratio of shortwave radiation to that above the air, by the root of the daily range of temperature [K-0.5], inland."""
DARK = 20.0
"""Radiation above the air [W m-2] below which the sun tells nothing of the range."""


def absent(site: str, lacking: Sequence[str], ledger: Ledger, *, others: bool) -> None:
    """Say that ``site`` has no weather of its own, and the columns ``lacking``: on the screen if it has ``others``."""
    tell = ledger.warn if others else ledger.note
    tell(site, f"no meteorology of its own: its files lack {', '.join(lacking)}")


def humidity_from_deficit(deficit: pd.Series, pressure: pd.Series, coldest: pd.Series, warmest: pd.Series) -> pd.Series:
    """Specific humidity [1] from vapour pressure deficit [Pa], pressure [Pa] and temperatures [K].

    For daily means the saturation pressure is the mean of those at the daily minimum and maximum (Allen et al. 1998,
    FAO-56, eq. 12); for instantaneous data give the same temperature twice. Vapour pressure is kept between 1 % and 100
    % of saturation, since deficit and temperature of a tower need not be measured by one sensor.
    """
    cold, warm = (saturation_vapour_pressure(kelvin.to_numpy(float)) for kelvin in (coldest, warmest))
    saturation = 0.5 * (cold + warm)
    vapour = np.clip(saturation - deficit.to_numpy(float), 0.01 * saturation, saturation)
    return pd.Series(huss_from_vapour_pressure(vapour, pressure.to_numpy(float)), index=deficit.index)


def judge_deficit(
    name: str, deficit: pd.Series, coldest: pd.Series, warmest: pd.Series, ledger: Ledger, site: str
) -> None:
    """Warn where a deficit [Pa] stays below a tenth of saturation throughout: kPa that were read as hPa look so.

    Magnitude alone cannot tell, because air in the cold has little room; of :data:`ENOUGH` values hardly any place has
    none below 90 % of relative humidity.
    """
    cold, warm = (saturation_vapour_pressure(kelvin.to_numpy(float)) for kelvin in (coldest, warmest))
    share = deficit.to_numpy(float) / (0.5 * (cold + warm))
    share = share[np.isfinite(share)]
    if share.size >= ENOUGH and 0.005 < float(np.quantile(share, 0.99)) < 0.1:
        ledger.warn(
            site,
            f"{name} stays below a tenth of saturation (relative humidity above 90 %): if it is in kPa, state it with "
            f"sites.entries.units.{name}",
        )


def humidity_from_relative(relative: pd.Series, pressure: pd.Series, tas: pd.Series) -> pd.Series:
    """Specific humidity [1] from relative humidity [%] over water, pressure [Pa] and temperature [K]."""
    huss = huss_from_relative_humidity(
        relative.clip(0, 100).to_numpy(float), tas.to_numpy(float), pressure.to_numpy(float)
    )
    return pd.Series(huss, index=relative.index)


def extremes(
    tas: pd.Series, day: pd.Series, night: pd.Series, day_sd: pd.Series, night_sd: pd.Series, lat: float
) -> tuple[pd.Series, pd.Series]:
    """Daily minimum and maximum temperature [K] from mean and standard deviation of daytime and of night.

    FLUXNET daily files hold no extremes. The variance within the whole day follows from the parts by the law of total
    variance (daytime weighs its astronomical length at latitude ``lat``); a sine wave of that variance has an amplitude
    of sqrt(2) standard deviations. Where standard deviations are missing the amplitude is |day - night| (a sine wave
    that peaks 2.5 h after noon has 1.01 times that), and 2 K where one mean is missing too. Approximation [D]: against
    half-hourly data of US-Wi7 the mean error is 0.4 to 0.5 K and the mean absolute error 1.1 K (2 K without the
    standard deviations); see tests/unit/test_sites_fluxnet.py.
    """
    light = pd.Series(daylight_fraction(pd.DatetimeIndex(tas.index), lat)[:, 0], index=tas.index)
    light = light.mask(day.isna(), 0.0).mask(night.isna(), 1.0)
    within = (light * day_sd**2).where(light > 0, 0.0) + ((1 - light) * night_sd**2).where(light < 1, 0.0)
    between = (light * (1 - light) * (day - night) ** 2).where((light > 0) & (light < 1), 0.0)
    amplitude = np.sqrt(2 * (within + between)).fillna((day - night).abs()).fillna(2.0)
    return (tas - amplitude).where(tas.notna()), (tas + amplitude).where(tas.notna())


def extremes_of_sun(tas: pd.Series, rsds: pd.Series, lat: float) -> tuple[pd.Series, pd.Series]:
    """Daily minimum and maximum temperature [K] where a file holds the mean ``tas`` [K] and ``rsds`` [W m-2] alone.

    The range is that of the formula of Hargreaves and Samani for radiation (Allen et al. 1998, FAO-56, eq. 50, with the
    coefficient of inland places) solved for it, (rsds / (0.16 Ra))^2, 1 to 25 K; 4 K where the sun above the air is
    below :data:`DARK` W m-2 or radiation is missing. The mean lies in its middle.
    """
    above = extraterrestrial_radiation(lat, pd.DatetimeIndex(tas.index))[:, 0]
    clear = pd.Series(rsds.to_numpy(float) / np.maximum(above, DARK) / SUNNY, index=tas.index) ** 2
    half = 0.5 * clear.clip(1.0, 25.0).where(above >= DARK).fillna(4.0)
    return tas - half, tas + half

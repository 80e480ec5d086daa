"""Radiation and evapotranspiration against the worked examples of FAO-56 (Allen et al. 1998)."""

import numpy as np
import pandas as pd
import pytest

from fluxatlas import humidity
from fluxatlas.process import evapotranspiration as et

MJ = 1e6 / 86400  # W m-2


def test_extraterrestrial_radiation_of_example_8() -> None:
    radiation = et.extraterrestrial_radiation([-20.0], pd.DatetimeIndex(["2001-09-03"]))
    assert radiation[0, 0] / MJ == pytest.approx(32.2, abs=0.05)


def test_polar_night_has_no_radiation_and_polar_day_does() -> None:
    radiation = et.extraterrestrial_radiation([80.0], pd.DatetimeIndex(["2001-12-21", "2001-06-21"]))[:, 0] / MJ
    assert radiation[0] == 0 and radiation[1] > 40


def test_net_longwave_of_example_11() -> None:
    """Rio de Janeiro in May: 14.5 MJ m-2 d-1 of sun, 19.1..25.1 degC, 2.1 kPa: 3.5 MJ m-2 d-1 lost."""
    ps = 101325.0
    huss = 0.622 * 2100 / (ps - 0.378 * 2100)
    one = np.ones((1, 1))
    net = et.fao56_net_longwave(
        292.25 * one, 298.25 * one, huss * one, ps * one, 14.5 * MJ * one, [-22.9], pd.DatetimeIndex(["2001-05-15"])
    )
    assert net[0, 0] / MJ == pytest.approx(3.5, abs=0.1)
    down = et.fao56_longwave_down(net, 295.25 * one)
    assert et.net_radiation(0.0, down, 295.25, 0.2)[0, 0] == pytest.approx(-net[0, 0])


def test_vapour_pressure_and_slope() -> None:
    assert et.saturation_pressure(20.0) == pytest.approx(2338, rel=1.5e-3)  # FAO-56 table 2.3: 2.338 kPa
    celsius = np.linspace(-40.0, 50.0, 19)
    saturation = humidity.saturation_vapour_pressure(celsius + 273.15)
    np.testing.assert_allclose(et.saturation_pressure(celsius), saturation, rtol=1e-12)
    huss = humidity.huss_from_vapour_pressure(saturation, 101325.0)
    np.testing.assert_allclose(et.vapour_pressure(huss, 101325.0), saturation, rtol=1e-12)
    np.testing.assert_allclose(humidity.vapour_pressure(huss, 101325.0), saturation, rtol=1e-12)


def test_priestley_taylor() -> None:
    """At 20 degC and 101.3 kPa slope/(slope+gamma) = 0.1447/(0.1447+0.0674) = 0.682."""
    rate = et.potential_evapotranspiration(10.0 * MJ, 20.0, 101325.0, 1.26)
    assert rate == pytest.approx(1.26 * 0.682 * 10.0 / 2.45, rel=2e-3)
    assert et.potential_evapotranspiration(-5.0, 20.0, 101325.0, 1.26) == 0


def test_limitations() -> None:
    x = np.linspace(0, 1.3, 40)
    exact = 0.25 * (1 - np.cos(np.pi * np.minimum(x, 1))) ** 2
    np.testing.assert_allclose(et.soil_limitation(x * 0.3, 0.3), exact, atol=1e-6)
    assert et.transpiration_limitation(0.1, 0.1, 0.3, 0.6) == 0
    assert et.transpiration_limitation(0.16, 0.1, 0.3, 0.6) == pytest.approx(0.5)
    assert et.transpiration_limitation(0.3, 0.1, 0.3, 0.6) == 1
    assert et.vegetation_share(0.0) == 0

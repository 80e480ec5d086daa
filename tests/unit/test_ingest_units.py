"""Unit labels as files spell them: scale to canonical units, amounts told from rates, and what is refused."""

import numpy as np
import pytest

from fluxatlas.errors import UnitError
from fluxatlas.ingest.monthly import PER_MONTH
from fluxatlas.ingest.quantities import is_amount, linear
from fluxatlas.variables import same_units

CELSIUS = ["degrees_C", "degC", "C", "deg_C", "deg C", "degree_Celsius", "degrees Celsius", "Celsius", "°C", "oC"]
KELVIN = ["K", "Kelvin", "kelvin", "degK", "deg_K", "degrees K", "Degrees Kelvin"]
RATES = {
    "pr": {
        1.0: ["kg m-2 s-1", "kg m**-2 s**-1", "kg/m^2/s", "kg/m2/s", "kg.m-2.s-1", "kg m^-2 s^-1", "mm s-1", "mm/s"],
        1 / 86400: ["mm/day", "mm d-1", "mm/d", "mm day-1", "mm day^-1", "kg m-2 day-1"],
        1 / 3600: ["mm/hr", "mm h-1", "mm hour-1"],
        1000.0: ["m/s", "m s-1", "m of water equivalent s-1"],
    },
    "rsds": {
        1.0: ["W m**-2", "W/m2", "W/m^2", "W m-2", "W m^-2", "w/m2", "Wm-2", "watts m-2", "Watts/m^2", "J m**-2 s**-1"],
        1e6 / 86400: ["MJ m-2 day-1", "MJ/m2/day", "MJ m-2 d-1"],
    },
    "huss": {1.0: ["kg kg**-1", "kg/kg", "1", "g g-1", "kgkg-1"], 1e-3: ["g/kg", "g kg-1"]},
    "ps": {1.0: ["Pa", "PA", "Pascals"], 100.0: ["hPa", "mb", "mbar", "millibars"], 1000.0: ["kPa"]},
    "hurs": {1.0: ["%", "percent", "Percent"], 100.0: ["1", "(0 - 1)", "fraction"]},
    "sfcWind": {1.0: ["m/s", "m s**-1", "m s-1", "meters/second", "m.s-1"], 1 / 3.6: ["km/h"]},
}
AMOUNTS = {
    "pr": ["kg m**-2", "kg/m2", "mm", "m", "m of water equivalent", "millimeters"],
    "rsds": ["J m**-2", "J/m^2", "J m-2", "Jm-2", "MJ m-2"],
}


@pytest.mark.parametrize("unit", CELSIUS)
def test_celsius(unit: str) -> None:
    np.testing.assert_allclose(linear(unit, "tas", "here"), (1.0, 273.15))


@pytest.mark.parametrize("unit", KELVIN)
def test_kelvin(unit: str) -> None:
    assert linear(unit, "tas", "here") == (1.0, 0.0)


@pytest.mark.parametrize(
    ("name", "scale", "unit"), [(n, s, u) for n, d in RATES.items() for s, us in d.items() for u in us]
)
def test_rates_and_states(name: str, scale: float, unit: str) -> None:
    np.testing.assert_allclose(linear(unit, name, "here"), (scale, 0.0), rtol=1e-12)
    assert not is_amount(unit, name)


@pytest.mark.parametrize(("name", "unit"), [(n, u) for n, us in AMOUNTS.items() for u in us])
def test_amounts(name: str, unit: str) -> None:
    assert is_amount(unit, name)


@pytest.mark.parametrize(
    ("name", "unit"), [("sfcWind", "ms-1"), ("tas", "c"), ("tas", "F/m"), ("pr", "mm/3hr"), ("pr", "mm timestep-1")]
)
def test_labels_of_another_or_no_meaning_are_refused(name: str, unit: str) -> None:
    with pytest.raises(UnitError):
        linear(unit, name, "here")
    assert not is_amount(unit, name)


@pytest.mark.parametrize("unit", ["mm/month", "mm month-1", "mm mon-1", "mm per month", "mm.month-1", "mm month^-1"])
def test_per_month_is_of_the_month_at_hand(unit: str) -> None:
    assert PER_MONTH.sub("", unit) == "mm"


def test_spellings_of_one_unit() -> None:
    assert same_units("m s**-1", "m/s")
    assert same_units("degC", "Celsius")
    assert not same_units("K", "degC")
    assert not same_units("K", "no unit at all")

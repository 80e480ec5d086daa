"""The variable table and what relies on it."""

import numpy as np
import pytest

from fluxatlas import variables
from fluxatlas.errors import InputError, UnitError


@pytest.mark.parametrize(
    ("value", "unit", "name", "expected"),
    [
        (20.0, "degC", "tas", 293.15),
        (20.0, "C", "tas", 293.15),
        (1.0, "mm d-1", "pr", 1 / 86400),
        (1.0, "mm/day", "pr", 1 / 86400),
        (0.001, "m d-1", "pr", 1 / 86400),
        (101.3, "kPa", "ps", 101300.0),
        (1013.0, "hPa", "ps", 101300.0),
        (1.0, "W m**-2", "rsds", 1.0),
        (0.2, "1", "sand", 20.0),
        (200.0, "g kg-1", "sand", 20.0),
        (1.3, "g cm-3", "bdod", 1300.0),
        (10.0, "hPa", "vpd", 1000.0),
        (1.0, "ug m-2 h-1", "fch4", 0.024),
        (1.0, "mg m-2 h-1", "fch4", 24.0),
        (1900.0, "ppb", "ch4", 1900.0),
        (30.0, "%", "swc05", 0.3),
    ],
)
def test_conversions(value: float, unit: str, name: str, expected: float) -> None:
    assert variables.convert(value, unit, name) == pytest.approx(expected, rel=1e-9)


def test_the_canonical_unit_is_returned_unchanged() -> None:
    data = np.arange(3, dtype="float32")
    assert variables.convert(data, "K", "tas") is data


@pytest.mark.parametrize(("unit", "message"), [("furlong", "degC"), ("kg", "cannot be converted"), ("m/", "read")])
def test_wrong_units_name_the_variable(unit: str, message: str) -> None:
    with pytest.raises(UnitError) as caught:
        variables.convert(1.0, unit, "tas", where="file.nc")
    assert "file.nc" in str(caught.value) and "tas" in str(caught.value)


def test_every_row_can_be_packed_within_its_valid_range() -> None:
    for variable in variables.table().values():
        low, high = variable.valid
        assert low < high, variable.name
        if variable.packing:
            scale, offset = variable.packing
            for edge in (low, high):
                assert -32767 <= round((edge - offset) / scale) <= 32767, f"{variable.name}: {edge} does not fit"
            assert scale <= (high - low) / 5000, f"{variable.name}: step {scale} is coarse"


def test_every_unit_is_readable_and_every_standard_name_is_in_the_cf_table() -> None:
    from compliance_checker.cf.util import StandardNameTable

    known = StandardNameTable()
    for variable in variables.table().values():
        variables._parse(variable.units)
        if variable.standard_name:
            assert variable.standard_name in known, variable.name
            canonical = known[variable.standard_name].canonical_units
            ratio = variables._registry().Quantity(1, variables._parse(variable.units))
            assert ratio.check(variables._parse(canonical).dimensionality), f"{variable.name}: {canonical}"


def test_range_check_names_the_worst_value_and_lets_missing_pass() -> None:
    variables.check_range([280.0, np.nan], "tas", where="x")
    with pytest.raises(InputError, match=r"2 of 3 values of 'tas'.*extreme value: -9999") as caught:
        variables.check_range([280.0, 20.0, -9999.0], "tas", where="station.csv, 2001-01-01")
    assert "station.csv" in str(caught.value)


def test_unknown_variable_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'tasmin'"):
        variables.get("tasmn")

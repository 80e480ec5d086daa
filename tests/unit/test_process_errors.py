"""Every way in which the input of ``simulate`` can be wrong has its message."""

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.process import simulate
from process_weather import one_soil, weather

LAT = np.array([45.0])
FORCING, DATES = weather(4, LAT)


def without(name: str, given: dict) -> dict:
    return {key: values for key, values in given.items() if key != name}


@pytest.mark.parametrize("name", ["tas", "pr", "rsds", "huss", "ps", "lai", "ch4"])
def test_missing_driver(name: str) -> None:
    with pytest.raises(InputError, match=f"driver {name} is missing"):
        simulate(without(name, FORCING), one_soil(), {}, lat=LAT, dates=DATES)


def test_without_longwave_the_extremes_are_needed() -> None:
    with pytest.raises(InputError, match="driver tasmax is missing"):
        simulate(without("tasmax", without("rlds", FORCING)), one_soil(), {}, lat=LAT, dates=DATES)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_value_that_is_not_finite_is_named_with_day_and_cell(bad: float) -> None:
    forcing = {name: np.repeat(values, 3, axis=1) for name, values in FORCING.items()}
    soil = {name: np.repeat(values, 3) for name, values in one_soil().items()}
    forcing["huss"][2, 1] = bad
    with pytest.raises(InputError, match=rf"driver 'huss' is {bad} on 2001-01-03 in cell 1"):
        simulate(forcing, soil, {}, lat=np.repeat(LAT, 3), dates=DATES)


def test_wrong_shapes() -> None:
    with pytest.raises(InputError, match=r"driver 'tas' has shape \(3, 1\)"):
        simulate({**FORCING, "tas": FORCING["tas"][:3]}, one_soil(), {}, lat=LAT, dates=DATES)
    with pytest.raises(InputError, match=r"driver 'tas' has shape \(4, 1\)"):
        simulate(FORCING, one_soil(), {}, lat=np.repeat(LAT, 2), dates=DATES)
    with pytest.raises(InputError, match=r"attribute 'sand' has shape \(2,\)"):
        simulate(FORCING, {**one_soil(), "sand": np.array([1.0, 2.0])}, {}, lat=LAT, dates=DATES)
    empty = {name: values[:0] for name, values in FORCING.items()}
    with pytest.raises(InputError, match="no day or no cell"):
        simulate(empty, one_soil(), {}, lat=LAT, dates=DATES[:0])


def test_attributes() -> None:
    with pytest.raises(InputError, match="attribute 'ndep' is missing"):
        simulate(FORCING, without("ndep", one_soil()), {}, lat=LAT, dates=DATES)
    with pytest.raises(InputError, match="attribute 'phh2o' is not finite in cell 0"):
        simulate(FORCING, one_soil(phh2o=np.nan), {}, lat=LAT, dates=DATES)
    with pytest.raises(InputError, match="'sand' lie outside"):
        simulate(FORCING, one_soil(sand=130.0), {}, lat=LAT, dates=DATES)


def test_options() -> None:
    with pytest.raises(InputError, match="spinup_years is -1"):
        simulate(FORCING, one_soil(), {}, lat=LAT, dates=DATES, spinup_years=-1)
    with pytest.raises(InputError, match="unknown parameter 'albdo'"):
        simulate(FORCING, one_soil(), {"albdo": 0.2}, lat=LAT, dates=DATES)
    two = {name: np.repeat(values, 2, axis=1) for name, values in FORCING.items()}
    soil = {name: np.repeat(values, 2) for name, values in one_soil().items()}
    state = simulate(two, soil, {}, lat=np.repeat(LAT, 2), dates=DATES).state
    with pytest.raises(InputError, match=r"the state has shape \(10, 2\)"):
        simulate(FORCING, one_soil(), {}, lat=LAT, dates=DATES, state=state)

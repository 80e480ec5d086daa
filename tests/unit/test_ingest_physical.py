"""Physical checks of forcing: noise at bounds, crossed extremes, magnitudes; every refusal has file, day and cell."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import ingest_layouts as made
from fluxatlas import variables
from fluxatlas.config.base import UnitOverride
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.errors import InputError, UnitError
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.source import open_source

DAYS = 40
START, STOP = np.datetime64("2001-01-01"), np.datetime64("2001-01-01") + DAYS
DAY, ROW, COLUMN = 31, 1, 3
"""Where things are changed: 1 February, 40.75 N, 123.25 W."""
HERE = r"on 2001-02-01 in the cell at 40\.75 N -123\.25 E"


def weather() -> dict[str, np.ndarray]:
    return made.weather(DAYS)


def opened(
    folder: Path, truth: dict[str, np.ndarray], names: dict | None = None, mapping: str = "isimip", **options: object
) -> MappedSource:
    dates = made.all_days("standard", 2001, 2001)[:DAYS]
    files = made.cf_daily(folder, dates, truth, names)
    block = ForcingBlock.model_construct(source="mapping", mapping=mapping, **options)
    source = open_source(block, files)
    assert isinstance(source, MappedSource)
    return source


def days(source: MappedSource, *names: str) -> xr.Dataset:
    return source.days(START, STOP, made.BOX, names or None)


NOISE = {"pr": -5e-7, "rsds": -0.3, "huss": -5e-6, "sfcWind": -0.004}


@pytest.mark.parametrize("name", NOISE)
def test_noise_below_zero_is_set_to_zero_and_counted(name: str, tmp_path: Path) -> None:
    truth = weather()
    expected = truth[name].astype(np.float32)
    truth[name][DAY, ROW, COLUMN] = NOISE[name]
    source = opened(tmp_path, truth)
    found = days(source, name)[name].values
    assert source.clipped == {name: 1} and found[DAY, ROW, COLUMN] == 0
    expected[DAY, ROW, COLUMN] = 0
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", NOISE)
def test_more_than_noise_is_refused_with_file_day_and_cell(name: str, tmp_path: Path) -> None:
    truth = weather()
    truth[name][DAY, ROW, COLUMN] = -3 * variables.get(name).noise
    with pytest.raises(InputError, match=rf"'{name}' lie outside(.|\n)*{name}_day_model(.|\n)*{HERE}"):
        days(opened(tmp_path, truth), name)


def test_every_bounded_quantity_has_noise() -> None:
    """A quantity of a source that cannot be negative, or be more than all, may miss its bound by rounding."""
    bounded = ("pr", "rsds", "huss", "sfcWind", "hurs", "vpd", "lai", "sand", "clay", "soc", "ndep", "sat05", "swc45")
    for name in (*bounded, "sftlf", "cropFrac", "wetlandFrac", "uplandFrac"):
        row = variables.get(name)
        assert row.noise > 0, name
        values, count = variables.without_noise(np.array([-0.9 * row.noise, np.nan, row.valid[1]]), name)
        assert values[0] == 0 and np.isnan(values[1]) and count >= 1
        assert variables.without_noise(np.array([-1.1 * row.noise]), name) == (pytest.approx(-1.1 * row.noise), 0)


def humid(folder: Path, percent: np.ndarray, units: str = "%", **options: object) -> MappedSource:
    truth = weather()
    return opened(folder, truth, {"huss": ("1", None), "hurs": (units, percent)}, "isimip_hurs", **options)


def test_humidity_beyond_saturation_counts_as_saturation(tmp_path: Path) -> None:
    percent = np.full(weather()["tas"].shape, 80.0)
    percent[DAY, ROW, COLUMN], percent[0, 0, 0] = 134.0, -0.5
    source = humid(tmp_path, percent)
    found = days(source)
    vapour = 611.21 * np.exp(17.502 * (found.tas - 273.16) / (found.tas - 32.19))  # Buck 1981 over water
    saturated = 0.621981 * vapour / (found.ps - (1 - 0.621981) * vapour)
    assert float(found.huss[DAY, ROW, COLUMN]) == pytest.approx(float(saturated[DAY, ROW, COLUMN]), rel=1e-5)
    assert float(found.huss[0, 0, 0]) == 0 and source.clipped["hurs"] == 2


@pytest.mark.parametrize("value", [180.0, -8.0])
def test_impossible_humidity_is_refused_by_its_own_name(value: float, tmp_path: Path) -> None:
    percent = np.full(weather()["tas"].shape, 80.0)
    percent[DAY, ROW, COLUMN] = value
    with pytest.raises(InputError, match=rf"'hurs' lie outside(.|\n)*{HERE}"):
        days(humid(tmp_path, percent))


# --- extremes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [True, False])
def test_crossed_extremes_are_put_in_order_up_to_a_limit(between: bool, tmp_path: Path) -> None:
    """tasmin 0.8 K above tasmax, as some models publish it; the mean lies between them, or far below both."""
    truth = weather()
    low, high = 290.0, 290.8
    mean = 290.4 if between else 286.5
    for name, value in (("tasmin", high), ("tasmax", low), ("tas", mean)):
        truth[name][DAY, ROW, COLUMN] = value
    source = opened(tmp_path, truth)
    pair, excess = (("tasmin", "tasmax"), "0.80") if between else (("tasmin", "tas"), "4.30")
    with pytest.raises(InputError, match=rf"'{pair[0]}' exceeds '{pair[1]}' by {excess} K \(1 (.|\n)*{HERE}") as caught:
        days(source)
    assert "tasmin_day_model" in str(caught.value) and "forcing.crossing" in str(caught.value)
    (tmp_path / "mended").mkdir()
    source = opened(tmp_path / "mended", truth, crossing=5.0)
    found = days(source).isel(time=DAY, lat=ROW, lon=COLUMN)
    expected = (290.0, 290.4, 290.8) if between else (286.5, 286.5, 290.8)
    assert [float(found[name]) for name in ("tasmin", "tas", "tasmax")] == pytest.approx(expected)
    assert source.physical.crossed == 1
    elsewhere = days(source)
    np.testing.assert_array_equal(
        np.delete(elsewhere.tasmin.values, DAY, 0), np.delete(truth["tasmin"], DAY, 0).astype("f4")
    )


def test_a_mapping_that_swaps_extremes_is_refused_whatever_the_limit(tmp_path: Path) -> None:
    truth = weather()
    truth["tasmin"], truth["tasmax"] = truth["tasmax"], truth["tasmin"]
    with pytest.raises(InputError, match=r"exceeds(.|\n)*do: +the mapping swaps variables"):
        days(opened(tmp_path, truth, crossing=50.0))


def test_round_off_of_extremes_is_left_alone(tmp_path: Path) -> None:
    truth = weather()
    truth["tasmin"][DAY, ROW, COLUMN] = truth["tas"][DAY, ROW, COLUMN] + 1e-4
    source = opened(tmp_path, truth)
    np.testing.assert_array_equal(days(source).tasmin.values, truth["tasmin"].astype("f4"))
    assert source.physical.crossed == 0


# --- magnitudes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label", "factor", "offset", "other"),
    [
        ("tas", "K", 1.0, -273.15, "degC"),
        ("ps", "Pa", 0.01, 0.0, "hPa"),
        ("rlds", "W m-2", 0.0864, 0.0, "MJ m-2 d-1"),
        ("sfcWind", "m s-1", 1000.0, 0.0, "mm s-1"),
        ("huss", "1", 1000.0, 0.0, "g kg-1"),
    ],
)
def test_a_unit_that_the_magnitude_contradicts_is_refused(
    name: str, label: str, factor: float, offset: float, other: str, tmp_path: Path
) -> None:
    """Rows of the table outside their range would be refused anyway; the message names the unit that fits."""
    truth = weather()
    wrong = {name: (label, truth[name] * factor + offset)}
    with pytest.raises(UnitError, match=f"'{name}' is in '{label}', but .* is that of {other}") as caught:
        days(opened(tmp_path, truth, wrong), name)
    assert f"{name}_day_model" in str(caught.value)
    (tmp_path / "true").mkdir()
    true = UnitOverride(units=other, reason="the label is wrong")
    source = opened(tmp_path / "true", truth, wrong, overrides={name: true})
    np.testing.assert_allclose(days(source, name)[name], truth[name], rtol=1e-4)


def test_humidity_as_a_fraction_that_calls_itself_percent(tmp_path: Path) -> None:
    """Silent otherwise: a hundredth of the humidity is within every range. The file named is the one of humidity."""
    message = r"(?s)'hurs' is in '%', but a fraction by magnitude \(0-0\.7\), not percent.*where: \S*hurs_day"
    with pytest.raises(UnitError, match=message):
        days(humid(tmp_path, np.full(weather()["tas"].shape, 0.7)))
    (tmp_path / "true").mkdir()
    true = UnitOverride(units="1", reason="the files hold fractions")
    found = days(humid(tmp_path / "true", np.full(weather()["tas"].shape, 0.7), overrides={"hurs": true}), "huss")
    assert 1e-3 < float(found.huss.mean()) < 2e-2


def test_unusual_places_are_not_refused(tmp_path: Path) -> None:
    """The plateau of Antarctica in winter: nothing there is the magnitude of another unit."""
    truth = weather()
    for name, value in (("tas", 205.0), ("tasmin", 202.0), ("tasmax", 209.0), ("ps", 60000.0), ("huss", 5e-6)):
        truth[name] = np.full_like(truth[name], value)
    truth["rlds"], truth["rsds"] = np.full_like(truth["rlds"], 75.0), np.zeros_like(truth["rsds"])
    found = days(opened(tmp_path, truth))
    assert float(found.tas.mean()) == pytest.approx(205.0) and pd.notna(found.rlds.values).all()

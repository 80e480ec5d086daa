"""Declared mappings: the shipped ones, a user's own, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from fluxatlas import humidity
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.errors import ConfigError
from fluxatlas.ingest import rules
from fluxatlas.ingest.declaration import MAPPINGS, RULES, load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.source import open_source
from fluxatlas.systems import get_system
from ingest_raw import LAT, LON

BOX = (-124.2, 40.1, -122.9, 41.2)
MAPPING = {
    "title": "six-hourly test set",
    "citation": "nobody (2001)",
    "step_hours": 6,
    "stamp": "middle",
    "raw": {
        "T": {"time": "interval"},
        "rain": {"time": "interval"},
        "rh": {"time": "interval"},
        "p": {"time": "interval"},
    },
    "variables": {
        "tas": {"of": "T"},
        "pr": {"of": "rain"},
        "ps": {"of": "p"},
        "huss": {"of": ["rh", "T", "p"], "rule": "huss_from_relative_humidity"},
    },
}


@pytest.mark.parametrize("name", sorted(p.stem for p in MAPPINGS.glob("*.yaml")))
def test_shipped_mappings_are_valid(name: str) -> None:
    mapping = load_mapping(name)
    assert mapping.citation
    assert set(get_system("soil_methane_sink").forcing) <= set(mapping.variables)


@pytest.mark.parametrize("rate", [True, False], ids=["rate", "amount"])
def test_a_users_mapping(tmp_path: Path, rate: bool) -> None:
    """Six-hourly means stamped in the middle; rain as a rate or as an amount per step gives the same days."""
    time = np.arange("2001-02-27T03", "2001-03-02T03", 6, dtype="datetime64[h]").astype("datetime64[ns]")
    rng = np.random.default_rng(5)
    shape = (time.size, 4, 5)
    rain, t, rh = rng.gamma(0.3, 2, shape), rng.normal(15, 5, shape), rng.uniform(30, 90, shape)
    given = (rain / 6, "mm hour-1") if rate else (rain, "mm")
    fields = {"T": (t, "degC"), "rain": given, "rh": (rh, "%"), "p": (np.full(shape, 101.3), "kPa")}
    dims = ("time", "lat", "lon")
    data = xr.Dataset(
        {k: (dims, v, {"units": u}) for k, (v, u) in fields.items()}, {"time": time, "lat": LAT, "lon": LON}
    )
    data.to_netcdf(tmp_path / "raw.nc")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(MAPPING))
    block = ForcingBlock(source="mapping", path="raw.nc", elevation="z.nc", mapping=str(tmp_path / "own.yaml"))
    days = open_source(block, [tmp_path / "raw.nc"]).days(np.datetime64("2001-02-27"), np.datetime64("2001-03-02"), BOX)
    by_day = lambda x: x.reshape(3, 4, 4, 5)  # noqa: E731
    np.testing.assert_allclose(days.pr * 86400, by_day(rain).sum(1), rtol=1e-5)
    np.testing.assert_allclose(days.tas, by_day(t).mean(1) + 273.15, rtol=1e-6)
    np.testing.assert_allclose(days.ps, 101300)
    vapour = (
        rh / 100 * 611.2 * np.exp(17.67 * t / (t + 243.5))
    )  # Bolton (1980), doi:10.1175/1520-0493(1980)108<1046:TCOEPT>2.0.CO;2
    np.testing.assert_allclose(days.huss, by_day(0.622 * vapour / (101300 - 0.378 * vapour)).mean(1), rtol=3e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variables": {"tass": {"of": "T"}}}, "unknown variable 'tass'; did you mean 'tas'"),
        ({"variables": {"tas": {"of": "TT"}}}, "'TT', which 'raw' does not list"),
        ({"variables": {"tas": {"of": ["T", "p"]}}}, "several variables without a rule"),
        (
            {"variables": {"huss": {"of": ["T", "p"], "rule": "huss_from_dew_pont"}}},
            "did you mean 'huss_from_dew_point'",
        ),
        ({"variables": {"huss": {"of": ["T"], "rule": "huss_from_dew_point"}}}, "takes 2 variables"),
        ({"step_hours": 5}, "step_hours"),
        ({"stemp": "end"}, "did you mean 'stamp'"),
        (
            {"raw": {**MAPPING["raw"], "T": {"time": "interval", "reason": "because"}}},
            "a reason for a unit but no unit",
        ),
        ({"raw": {}}, "raw"),
        ({"variables": {"tas": {"of": []}}}, "at least 1 item"),
        ({"variables": {"ps": {"of": ["ps"], "rule": "ps_from_altitude"}}}, "'ps' is made of itself"),
    ],
)
def test_a_wrong_mapping(tmp_path: Path, change: dict, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({**MAPPING, **change}))
    with pytest.raises(ConfigError, match=message):
        load_mapping(path)


def test_accumulations_cannot_be_arguments_of_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    raw = {**MAPPING["raw"], "rh": {"time": "accumulated"}}
    path.write_text(yaml.safe_dump({**MAPPING, "raw": raw}))
    with pytest.raises(ConfigError, match="one time meaning"):
        load_mapping(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{a: [", "not YAML"),
        ("title: x", "required"),
        ("title: x\ntitle: y", "the key 'title' comes twice"),
        ("", "the mapping is empty"),
        ("# nothing but a comment", "the mapping is empty"),
        ("- a\n- b", "holds a list, not keys"),
        ("title: 2001-13-45", "not YAML"),
        ("[" * 3000, "not YAML"),
        (b"\xff\xfe\xfa", "not UTF-8: byte 0xff in line 1"),
        ("title: ok\ncitation: Mu\u00f1oz".encode("latin1"), "not UTF-8: byte 0xf1 in line 2"),
    ],
)
def test_unreadable_mappings(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=message):
        load_mapping(path)


@pytest.mark.parametrize("name", ["x" * 5000, "\0", "/", ""])
def test_names_that_can_be_no_file(name: str) -> None:
    with pytest.raises(ConfigError, match="no mapping"):
        load_mapping(name)


def test_an_unknown_mapping_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'livneh'"):
        load_mapping("livnhe")


class TestHumidity:
    def test_every_rule_exists(self) -> None:
        assert all(callable(getattr(rules, rule)) for rule in RULES)

    def test_saturation_pressure_against_the_wmo_reference(self) -> None:
        """Goff and Gratch as tabulated by WMO: 6.1078, 12.272, 23.373, 42.430 hPa at 0, 10, 20, 30 degC."""
        found = humidity.saturation_vapour_pressure(np.array([273.15, 283.15, 293.15, 303.15]))
        np.testing.assert_allclose(found, [610.78, 1227.2, 2337.3, 4243.0], rtol=1.5e-3)

    def test_all_ways_agree(self) -> None:
        t, dew, p = np.array([295.0, 270.0]), np.array([285.0, 265.0]), np.array([1e5, 8e4])
        vapour, saturated = humidity.saturation_vapour_pressure(dew), humidity.saturation_vapour_pressure(t)
        expected = humidity.huss_from_dew_point(dew, p)
        np.testing.assert_allclose(humidity.huss_from_vapour_pressure(vapour, p), expected)
        np.testing.assert_allclose(humidity.huss_from_relative_humidity(100 * vapour / saturated, t, p), expected)
        np.testing.assert_allclose(humidity.huss_from_vpd(saturated - vapour, t, p), expected)
        mixing_ratio = expected / (1 - expected)
        np.testing.assert_allclose(mixing_ratio, humidity.EPSILON * vapour / (p - vapour), rtol=1e-12)


@pytest.mark.parametrize("day", ["utc", "local"])
def test_half_hours(tmp_path: Path, day: str) -> None:
    """Radiation of 30 minutes as geostationary products have it, an amount and an accumulation; days UTC and local."""
    time = pd.date_range("2001-02-26", "2001-03-03 23:30", freq="30min")
    rng = np.random.default_rng(6)
    shape = (time.size, LAT.size, LON.size)
    sis, rain, t = rng.uniform(0, 900, shape), rng.gamma(0.3, 1, shape), rng.normal(280, 5, shape)
    ends = pd.date_range("2001-02-26 00:30", periods=time.size, freq="30min")
    running = rain.reshape(-1, 48, *shape[1:]).cumsum(axis=1).reshape(shape)  # since midnight, stamped at the end
    mapping = {
        "title": "half-hours", "citation": "nobody (2001)", "step_hours": 0.5,
        "raw": {"SIS": {"time": "interval"}, "tp": {"time": "accumulated"}, "T": {"time": "instant"}},
        "variables": {"rsds": {"of": "SIS"}, "pr": {"of": "tp"}, "tas": {"of": "T"}, "tasmax": {"of": "T"}},
    }  # fmt: skip
    dims = ("time", "lat", "lon")
    for name, (values, unit, stamps) in {
        "SIS": (sis, "W m-2", time), "T": (t, "K", time), "tp": (running, "mm", ends),
    }.items():  # fmt: skip
        field = {name: (dims, values.astype(np.float32), {"units": unit})}
        xr.Dataset(field, {"time": stamps, "lat": LAT, "lon": LON}).to_netcdf(tmp_path / f"{name}.nc")
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(mapping))
    source = MappedSource(load_mapping(tmp_path / "own.yaml"), sorted(tmp_path.glob("*.nc")), day=day)
    found = source.days(np.datetime64("2001-02-28"), np.datetime64("2001-03-02"), BOX, ("rsds", "pr", "tas", "tasmax"))
    ahead = np.floor(LON / 7.5 + 0.5).astype(int) if day == "local" else np.zeros(LON.size, int)
    begin = 2 * 48 - ahead

    def by_day(x: np.ndarray) -> np.ndarray:
        columns = [x[begin[i] : begin[i] + 96, :, i].reshape(2, 48, -1) for i in range(LON.size)]
        return np.stack(columns, axis=-1)

    np.testing.assert_allclose(found.rsds, by_day(sis).mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.pr * 86400, by_day(rain).sum(1), rtol=1e-4)
    np.testing.assert_allclose(found.tas, by_day(t).mean(1), rtol=1e-6)
    np.testing.assert_allclose(found.tasmax, by_day(t).max(1), rtol=1e-6)

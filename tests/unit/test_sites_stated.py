"""Units that an entry states, units that values show, and what an entry states for nothing: the same in all readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from fluxatlas.config.sites import SiteEntry, SitesBlock
from fluxatlas.errors import ConfigError, UnitError
from fluxatlas.ingest.sites import table
from fluxatlas.ingest.sites.layouts import ColumnSpec, celsius
from fluxatlas.ingest.sites.magnitude import by_magnitude
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.units import conversion
from site_contract import block, tables
from site_layouts import LOOSE, Layout, layouts, rds

LAYOUTS = layouts()
REASON = "the team of the site says so"
# layout -> (column, its true unit, value in the unit of the layout = value in that unit * factor + offset)
TRUE: dict[str, tuple[str, str, float, float]] = {
    "fluxnet-DD": ("TS_F_MDS_1", "K", 1.0, -273.15),
    "fluxnet-HH": ("TS_F_MDS_1", "degF", 5 / 9, -160 / 9),
    "fluxnet-ERA": ("TA_ERA", "K", 1.0, -273.15),
    "fluxnet-WW": ("TS_F_MDS_1", "K", 1.0, -273.15),
    "fluxnet-MM": ("NEE_VUT_REF", "umol m-2 s-1", 12.011e-6 * 86400, 0.0),
    "fluxnet-YY": ("NEE_VUT_REF", "g C m-2 d-1", 365.25, 0.0),
    "fluxnet-ch4-DD": ("FCH4", "umol m-2 s-1", 1000.0, 0.0),
    "fluxnet-ch4-HH": ("FCH4", "mg CH4-C m-2 h-1", 1e6 / 12.011 / 3600, 0.0),
    "ameriflux": ("FCH4", "umol m-2 s-1", 1000.0, 0.0),
    "ameriflux-l2": ("FC", "g C m-2 d-1", 1e6 / 12.011 / 86400, 0.0),
    "ismn-header": ("sm", "%", 0.01, 0.0),
    "ismn-ceop": ("sm", "%", 0.01, 0.0),
    "chambers": ("flux", "ug CH4-C m-2 h-1", 0.024 * 16.043 / 12.011, 0.0),
    "cosore-data": ("CSR_FLUX_CH4", "umol m-2 s-1", 1000.0, 0.0),
    "voigt-tab": ("CH4_flux", "mg CH4 m-2 h-1", 1000.0, 0.0),
    "stdfmt": ("Tsoil1", "K", 1.0, -273.15),
    "uscrn": ("SOIL_MOISTURE_5_DAILY", "%", 0.01, 0.0),
    "srdb": ("Rs_annual", "umol m-2 s-1", 12.011e-6 * 86400 * 365.25, 0.0),
    "plumber2": ("NEE", "g C m-2 d-1", 1e6 / 12.011 / 86400, 0.0),
}
"""One column of every reader, stated in a unit that is not that of its layout (factors from the definitions)."""


def observed(layout: Layout, folder: Path, **entry: Any) -> tuple[pd.DataFrame, Ledger]:
    folder.mkdir(exist_ok=True)
    layout.write(folder)
    made, ledger = block(layout, folder), Ledger()
    made = SitesBlock.model_validate(made.model_dump() | {"entries": [made.entries[0].model_dump() | entry]})
    _, days, weather, periods = tables(made, ledger)
    if layout.made == "forcing":
        days = weather.rename(columns={"tas": "value"}).assign(variable="forcing")
    return (periods if layout.periods else days), ledger


@pytest.mark.parametrize("name", TRUE)
def test_a_stated_unit_is_used_by_every_reader(tmp_path: Path, name: str) -> None:
    column, unit, factor, offset = TRUE[name]
    wide = {"qc": LOOSE | {"limits": {"fch4": [-200, 5000]}}}
    found: dict[str, pd.Series] = {}
    for label, units in (("plain", {}), ("stated", {column: {"units": unit, "reason": REASON}})):
        layout, folder = LAYOUTS[name], tmp_path / label
        folder.mkdir()
        if units and name != "plumber2":
            layout = _in_unit(layout, column, factor, offset)
        elif units:
            layout = _netcdf_in_unit(folder, layout, factor, unit)
        layout.write(folder)
        made = block(layout, folder)
        made = SitesBlock.model_validate(
            made.model_dump() | {"entries": [made.entries[0].model_dump() | {"units": units}]} | wide
        )
        ledger = Ledger()
        _, days, weather, periods = tables(made, ledger)
        rows = periods if layout.periods else days
        made_of = "nee" if column.startswith("NEE") else layout.made
        found[label] = weather["tas"] if made_of == "forcing" else rows[rows["variable"] == made_of]["value"]
    assert len(found["plain"]) and len(found["plain"]) == len(found["stated"])
    np.testing.assert_allclose(found["stated"], found["plain"], rtol=2e-6)
    assert any(f"{column} is read as {unit} ({REASON})" in notes for notes in ledger.notes.values())


def _in_unit(layout: Layout, column: str, factor: float, offset: float) -> Layout:
    """The layout with the values of ``column`` in the unit that :data:`TRUE` states."""
    if layout.packed:
        measured = np.full(72, -1.5)
        seconds = 978307200.0 + 3600.0 * np.arange(72)
        ports = np.tile([1.0, 2.0], 36)
        data = rds(CSR_PORT=ports, CSR_TIMESTAMP_BEGIN=seconds, CSR_FLUX_CH4=measured / factor, CSR_T5=np.full(72, 8.0))
        return layout.with_text(data)
    at = layout.value
    if layout.source in ("fluxnet", "ameriflux"):
        header = layout.text.splitlines()[layout.rows - 1].split(",")
        at = header.index(column)

    def change(rows: list[list[str]]) -> list[list[str]]:
        return [[repr((float(c) - offset) / factor) if i == at else c for i, c in enumerate(row)] for row in rows]

    return layout.with_cells(change)


def _netcdf_in_unit(folder: Path, layout: Layout, factor: float, unit: str) -> Layout:
    import xarray as xr

    path = layout.write(folder)
    with xr.open_dataset(path, decode_times=False) as data:
        changed = data.load().assign(NEE=data["NEE"] / factor)
    changed["NEE"].attrs["units"] = "umol/m2/s"  # a label that is wrong
    path.unlink()
    changed.to_netcdf(path)
    return layout.with_text(path.read_bytes())


@pytest.mark.parametrize("name", TRUE)
def test_a_name_that_the_files_do_not_know_is_refused_with_those_that_they_know(tmp_path: Path, name: str) -> None:
    column = TRUE[name][0]
    layout = LAYOUTS[name]
    layout.write(tmp_path)
    wrong = column[:-1] + "X"
    made = block(layout, tmp_path)
    entry = made.entries[0].model_dump() | {"units": {wrong: {"units": "K", "reason": REASON}}}
    made = SitesBlock.model_validate(made.model_dump() | {"entries": [entry]})
    with pytest.raises(ConfigError, match=rf"units: '{wrong}' is not a column .*did you mean '{column[:-1]}") as caught:
        table.build(made, tmp_path / "out")
    assert "they have" in caught.value.hint and not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["fluxnet-DD", "ameriflux", "ameriflux-l2"])
def test_sensors_and_sites_that_the_files_do_not_have_are_refused(tmp_path: Path, name: str) -> None:
    LAYOUTS[name].write(tmp_path)
    made = block(LAYOUTS[name], tmp_path)
    for option, text in (
        ({"temperature_depths": {1: 5.0, 8: 30.0}}, "temperature_depths: these files have no sensor 8"),
        ({"sites": [made.entries[0].sites[0], {"site": "XX-Tsd", "lat": 1, "lon": 1}]}, "no site 'XX-Tsd'.*XX-Tst"),
    ):
        entry = made.entries[0].model_dump() | option
        with pytest.raises(ConfigError, match=text):
            table.build(SitesBlock.model_validate(made.model_dump() | {"entries": [entry]}), tmp_path / "out")


@pytest.mark.parametrize("option", ["temperature_depths", "moisture_depths"])
def test_depths_in_metres_are_refused(option: str) -> None:
    with pytest.raises(ValidationError, match=r"depths are in cm, and 0\.05 looks like metres: write 5"):
        SiteEntry.model_validate({"source": "fluxnet", "path": "x", option: {1: 0.05, 2: 0.3}})
    SiteEntry.model_validate({"source": "fluxnet", "path": "x", option: {1: 0, 2: 5}})


@pytest.mark.parametrize(
    ("source", "option"),
    [
        *[
            (name, {"temperature_depths": {1: 5}})
            for name in ("plumber2", "ismn", "chambers", "cosore", "voigt", "stdfmt")
        ],
        ("srdb", {"moisture_depths": {1: 5}}),
        ("plumber2", {"encoding": "latin-1"}),
        *[("srdb", option) for option in ({"use": "evaluate"}, {"metadata": "x.csv"}, {"attributes": "x.csv"})],
        ("srdb", {"sites": [{"site": "A", "lat": 1, "lon": 1}]}),
    ],
)
def test_an_option_that_a_source_cannot_use_is_refused(source: str, option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=f"'{next(iter(option))}' is not used with 'source: {source}'"):
        SiteEntry(source=source, path=["x"], **option)


def base(folder: Path, **columns: Any) -> dict[str, Any]:
    """An AmeriFlux BASE file of June with ``columns`` by half hours, as an entry."""
    times = pd.date_range("2018-06-01", "2018-06-30 23:30", freq="30min")
    made = pd.DataFrame({"TIMESTAMP_START": times.strftime("%Y%m%d%H%M"), **columns})
    path = folder / "AMF_US-Abc_BASE_HH_5-5.csv"
    path.write_text("# Site: US-Abc\n# Version: 5-5\n" + made.to_csv(index=False))
    return {"source": "ameriflux", "path": [str(path)], "sites": [{"site": "US-Abc", "lat": 40, "lon": -100}]}


def means(entry: dict[str, Any], folder: Path) -> pd.Series:
    table.build(SitesBlock.model_validate({"entries": [entry]}), folder / "out")
    return pd.read_parquet(folder / "out/observations.parquet").groupby("variable")["value"].mean()


@pytest.mark.parametrize("key", ["FCH4", "FCH4_1_1_1"])
def test_a_column_is_stated_by_its_name_or_that_without_position(tmp_path: Path, key: str) -> None:
    entry = base(tmp_path, FCH4_1_1_1=0.02, SWC_1_1_1=0.25)
    entry["units"] = {
        key: {"units": "umol m-2 s-1", "reason": REASON},
        "SWC_1_1_1": {"units": "m3 m-3", "reason": REASON},
    }
    found = means(entry, tmp_path)
    assert found["fch4"] == pytest.approx(0.02 * 16.043 * 86.4)
    assert found["swc05"] == pytest.approx(0.25)


def test_a_flux_a_thousand_times_too_small_is_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    means(base(tmp_path, FCH4_1_1_1=0.02), tmp_path)
    said = capsys.readouterr().err
    assert "FCH4_1_1_1: hardly any value is above 0.028 mg m-2 d-1" in said
    assert "state its unit with sites.entries.units.FCH4_1_1_1" in said
    means(base(tmp_path, FCH4_1_1_1=20.0), tmp_path)
    assert "hardly any value" not in capsys.readouterr().err


def test_missing_codes_are_no_values_in_another_unit(tmp_path: Path) -> None:
    values = np.full(1440, 283.15)
    values[:5] = -9999
    entry = base(tmp_path, TS_1=values) | {"units": {"TS": {"units": "K", "reason": REASON}}}
    assert means(entry, tmp_path)["tsl05"] == pytest.approx(283.15)


def test_a_unit_of_something_else_is_refused(tmp_path: Path) -> None:
    entry = base(tmp_path, FCH4_1_1_1=0.02) | {"units": {"FCH4_1_1_1": {"units": "kg m-2", "reason": REASON}}}
    with pytest.raises(UnitError, match="'kg m-2' is not a unit of CH4 flux"):
        means(entry, tmp_path)


@pytest.mark.parametrize(
    ("name", "column", "values", "expected"),
    [
        ("fluxnet-ch4-DD", "SWC_1", "0.30", 0.30),
        ("ameriflux", "SWC_PI_1", "0.20", 0.20),
        ("ameriflux", "TS_1_1_1", "277.15", 277.15),
        ("fluxnet-DD", "TS_F_MDS_1", "278.15", 278.15),
    ],
)
def test_units_told_by_magnitude_are_read_so_and_said(
    tmp_path: Path, name: str, column: str, values: str, expected: float
) -> None:
    """A soil at 0.2-0.3 in percent, or at 277 deg C, does not exist: one judgement, for inspect and ingest."""
    layout = LAYOUTS[name]
    header = layout.text.splitlines()[layout.rows - 1].split(",")
    at = header.index(column)
    layout = layout.with_cells(lambda rows: [[values if i == at else c for i, c in enumerate(row)] for row in rows])
    days, ledger = observed(layout, tmp_path)
    variable = "swc05" if column.startswith("SWC") else "tsl05"
    assert days[days["variable"] == variable]["value"].mean() == pytest.approx(expected, abs=1e-6)
    (line,) = (line for line in ledger.told() if column in line)
    assert "by magnitude" in line or "is that of K" in line
    stated = {column: {"units": "%" if variable == "swc05" else "degC", "reason": REASON}}
    days, ledger = observed(layout, tmp_path, units=stated)
    kept = days[days["variable"] == variable]["value"]
    assert (kept.mean() == pytest.approx(expected / 100)) if variable == "swc05" else kept.empty
    assert not [line for line in ledger.told() if column in line and "depths" not in line]


def test_pressure_and_humidity_of_another_unit_make_the_same_weather(tmp_path: Path) -> None:
    clock = np.arange(1440)
    weather = {"TA": 15 + 5 * np.sin(clock / 48 * 6.28), "RH": 60 + 20 * np.cos(clock / 48 * 6.28), "PA": 95.0}
    weather |= {"P": 0.0, "SW_IN": 100.0, "LW_IN": 300.0, "WS": 2.0}
    found = {}
    for label, change in (
        ("usual", {}),
        ("other", {"PA": 950.0, "RH": weather["RH"] / 100, "TA": weather["TA"] + 273.15}),
    ):
        folder = tmp_path / label
        folder.mkdir()
        entry = base(folder, **{**weather, **change})
        table.build(SitesBlock.model_validate({"entries": [entry], "min_segment_days": 5}), folder / "out")
        found[label] = pd.read_parquet(folder / "out/forcing.parquet")
    assert len(found["usual"]) == 30
    pd.testing.assert_frame_equal(found["usual"], found["other"], rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_a_deficit_in_kilopascals_is_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], scale: float
) -> None:
    """From 60 % of humidity at 15 deg C: 6.8 hPa, or 0.68 kPa."""
    course = np.sin(np.arange(1440) / 48 * 2 * np.pi)
    saturation = 6.112 * np.exp(17.62 * (15 + 5 * course) / (243.12 + 15 + 5 * course))  # hPa, Magnus (WMO 2008)
    drivers = {"TA": 15 + 5 * course, "VPD": scale * saturation * (0.4 + 0.2 * course), "PA": 95.0, "P": 0.0}
    entry = base(tmp_path, **drivers, SW_IN=100.0, LW_IN=300.0, WS=2.0)
    entry["sites"] = [{"site": "US-Abc", "lat": 40, "lon": -100}]
    means_of = SitesBlock.model_validate({"entries": [entry], "min_segment_days": 5})
    table.build(means_of, tmp_path / "out")
    assert ("VPD stays below a tenth of saturation" in capsys.readouterr().err) == (scale < 1)


def test_a_column_in_two_scales_is_left_out_until_its_unit_is_stated(tmp_path: Path) -> None:
    values = np.full(1440, 0.25)
    values[-40:] = 25.0
    entry = base(tmp_path, SWC_1_1_1=values, TS_1_1_1=5.0)
    assert "swc05" not in means(entry, tmp_path)
    entry["units"] = {"SWC": {"units": "1", "reason": REASON}}
    assert means(entry, tmp_path)["swc05"] == pytest.approx(0.25)


def test_magnitudes() -> None:
    swc, dry = ColumnSpec("x", "%", "swc05", 0.01), np.linspace(0.02, 0.4, 100)
    assert by_magnitude(np.array([]), "swc05") is None
    assert by_magnitude(100 * dry, "swc05", factor=swc.factor) is None
    assert by_magnitude(dry, "swc05") is None
    spiky = np.r_[np.tile(dry, 5), 58.0, 77.0]
    assert (found := by_magnitude(spiky, "swc05", factor=0.01)) and found.code == "fraction-not-percent"
    assert (found := by_magnitude(100 * dry, "swc05")) and found.units == "%" and found.certain
    cold = np.full(50, -50.0)  # Vostok: unusual, but not impossible
    assert (found := by_magnitude(cold, "tas", units="degC", offset=273.15)) and not found.certain
    assert (found := by_magnitude(np.full(9, 1013.0), "ps", units="kPa", factor=1000.0))
    assert found.units == "hPa" and found.certain


@pytest.mark.parametrize(
    ("unit", "row", "step", "expected"),
    [
        ("in", ColumnSpec("P", "mm per step", "pr", per_step=True), 1800.0, (25.4, 0.0)),
        ("mm h-1", ColumnSpec("P", "mm per step", "pr", per_step=True), 1800.0, (0.5, 0.0)),
        ("cm d-1", ColumnSpec("P", "mm d-1", "pr", per_step=True), 86400.0, (10.0, 0.0)),
        ("K", celsius("TS", "tsl05"), 86400.0, (1.0, -273.15)),
        ("kPa", ColumnSpec("VPD", "hPa", "vpd", 100.0), 1800.0, (10.0, 0.0)),
        ("1", ColumnSpec("RH", "%", "hurs"), 1800.0, (100.0, 0.0)),
        ("mm d-1", ColumnSpec("LE", "W m-2", "evspsbl", 1 / 2.45e6), 1800.0, (2.45e6 / 86400, 0.0)),
        ("mg CO2 m-2 s-1", ColumnSpec("FC", "umol m-2 s-1", "nee", 1.0), 1800.0, (1e3 / 44.009, 0.0)),
    ],
)
def test_conversions(unit: str, row: ColumnSpec, step: float, expected: tuple[float, float]) -> None:
    assert conversion(unit, row, step, "x") == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("second", "refused"),
    [
        ({"site": "A", "lat": 45, "lon": 10}, "site 'A' stands twice"),
        ({"site": "A", "lat": 50, "lon": 10, "name_in_file": "a"}, None),  # an old and a new name of one place
        ({"site": "A", "lat": 50, "lon": 10, "name_in_file": "a", "igbp": "GRA"}, None),  # facts add up
        ({"site": "A", "lat": 50, "lon": 10}, "site 'A' stands twice"),
        ({"site": "A", "lat": 45, "lon": 10, "name_in_file": "a"}, "site 'A' stands twice"),
        ({"site": "A", "lat": 50, "lon": 10, "name_in_file": "a", "elevation": 8}, "site 'A' stands twice"),
        (
            {"site": "B", "lat": 45, "lon": 10, "name_in_file": "A"},
            "sites 'A' and 'B' have the same name in the files, 'A'",
        ),
        ({"site": "B", "lat": 45, "lon": 10}, None),
    ],
)
def test_a_site_that_stands_twice_in_an_entry(second: dict[str, Any], refused: str | None) -> None:
    first = {"site": "A", "lat": 50, "lon": 10, "elevation": 7}
    given = {"source": "fluxnet", "path": "x", "sites": [first, second]}
    if not refused:
        assert len(SiteEntry.model_validate(given).sites) == 2
        return
    with pytest.raises(ValidationError, match=refused):
        SiteEntry.model_validate(given)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"swc05": [50, 10]}, "swc05: the lower limit comes first, and 50 is not below 10"),
        ({"swc05": [20, 30]}, "swc05: nothing from 20 to 30 is possible; limits are in 1, where it is 0 to 0.98"),
        ({"tsl05": [-10, 40]}, "tsl05: nothing from -10 to 40 is possible; limits are in K"),
    ],
)
def test_limits_that_leave_nothing(limits: dict[str, list[float]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SitesBlock.model_validate({"qc": {"limits": limits}})

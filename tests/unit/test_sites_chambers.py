"""The plain chamber table: units against the science notes, signs, days, uncertainty and every error path."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError, InputError, UnitError
from fluxatlas.ingest.sites import chambers
from fluxatlas.ingest.sites.magnitude import looks_like_percent
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.units import methane_factor, sign_factor

HEADER = (
    "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign,flux_sd,soil_temperature,"
    "soil_temperature_depth_cm,soil_temperature_unit,soil_moisture,soil_moisture_depth_cm,soil_moisture_unit\n"
)
ROW = "A,50,-120,100,ENF,2001-06-01T20:00:00Z,-1.0,mg CH4 m-2 d-1,upward_positive,,12,5,degC,0.2,5,m3 m-3\n"


def read(tmp_path: Path, text: str, rules: QcRules | None = None, **entry: object) -> tuple[list, Ledger]:
    path = tmp_path / "chambers.csv"
    path.write_text(text, encoding="utf-8")
    ledger = Ledger()
    made = SiteEntry(source="chambers", path=[str(path)], **entry)
    return chambers.read([str(path)], made, rules or QcRules(), ledger), ledger


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        ("mg CH4 m-2 d-1", 1.0),
        ("nmol m-2 s-1", 1.3861),
        ("nmol CH4 m-2 s-1", 1.3861),
        ("umol CH4 m-2 h-1", 0.38503),
        ("ug CH4-C m-2 h-1", 0.032057),
        ("mg CH4 m-2 h-1", 24.0),
        ("kg CH4 ha-1 yr-1", 0.27379),
        ("kg CH4-C ha-1 yr-1", 0.36569),
        ("g CH4 m-2 yr-1", 2.7379),
        ("g CH4-C ha-1 d-1", 0.13357),
        ("µg CH4-C m^-2 h^-1", 0.032057),
        ("mgCH4/m2/day", 1.0),
        ("ug CH4/m**2/h", 0.024),
        ("mg C m-2 hr-1", 24 * 1.33569),
    ],
)
def test_factors_of_the_science_notes(unit: str, factor: float) -> None:
    assert methane_factor(unit) == pytest.approx(factor, rel=5e-5)


@pytest.mark.parametrize("unit", ["mg m-2 d-1", "ug/m2/h", "mg CO2 m-2 d-1", "ppm", "", "mg CH4 m-2", "-9999"])
def test_units_that_are_not_clear_are_refused(unit: str) -> None:
    with pytest.raises(UnitError):
        methane_factor(unit)


def test_signs() -> None:
    assert sign_factor("upward_positive") == 1
    assert sign_factor("uptake_positive") == -1
    with pytest.raises(InputError, match="flux sign 'up'"):
        sign_factor("up")


def test_percent_is_told_by_magnitude() -> None:
    assert looks_like_percent(np.array([12.0, 30.0, np.nan]))
    assert not looks_like_percent(np.array([0.12, 0.3, 0.95]))
    assert not looks_like_percent(np.r_[np.full(99, 0.2), 58.0])


def test_one_row(tmp_path: Path) -> None:
    (record,), _ = read(tmp_path, HEADER + ROW)
    table = record.observations.set_index("variable")
    assert record.site["kind"] == "chamber"
    assert table.loc["fch4", "value"] == pytest.approx(-1.0)
    assert table.loc["fch4", "sd"] == pytest.approx(0.35)  # 0.15 + 0.2 x 1
    assert table.loc["tsl05", "value"] == pytest.approx(285.15)
    assert table.loc["swc05", "value"] == pytest.approx(0.2)
    assert (table["time"] == pd.Timestamp("2001-06-01")).all()


def test_units_and_signs_may_change_from_row_to_row(tmp_path: Path) -> None:
    other = "A,50,-120,100,ENF,2001-06-02T20:00:00Z,31.194,ug CH4-C m-2 h-1,uptake_positive,,54.0,5,K,20,5,%\n"
    rows = HEADER + ROW + other.replace("54.0,5,K", "285.15,5,K")
    (record,), _ = read(tmp_path, rows)
    fluxes = record.observations.query("variable == 'fch4'")["value"].tolist()
    assert fluxes == pytest.approx([-1.0, -1.0], rel=1e-4)
    assert record.observations.query("variable == 'tsl05'")["value"].tolist() == pytest.approx([285.15] * 2)
    assert record.observations.query("variable == 'swc05'")["value"].tolist() == pytest.approx([0.2] * 2)


def test_a_day_is_the_sites_own_day(tmp_path: Path) -> None:
    late = ROW.replace("2001-06-01T20:00:00Z", "2001-06-02T07:00:00Z").replace("-1.0,mg", "-3.0,mg")
    (record,), ledger = read(tmp_path, HEADER + ROW + late)  # 07 UTC is 23 h of the day before at 120 W
    flux = record.observations.query("variable == 'fch4'")
    assert flux["value"].tolist() == [-2.0]
    assert flux["n"].tolist() == [2]
    assert any("longitude" in note for note in ledger.notes["A"])
    info = [{"site": "A", "lat": 50, "lon": -120, "utc_offset": 0}]
    (record,), _ = read(tmp_path, HEADER + ROW + late, sites=info)
    assert record.observations.query("variable == 'fch4'")["value"].tolist() == [-1.0, -3.0]


@pytest.mark.parametrize("form", ["2001-06-01", "20010601"])
def test_a_date_alone_is_the_day_of_the_site(tmp_path: Path, form: str) -> None:
    (record,), ledger = read(tmp_path, HEADER + ROW.replace("2001-06-01T20:00:00Z", form))
    assert set(record.observations["time"]) == {pd.Timestamp("2001-06-01")}  # midnight UTC is 31 May at 120 W
    assert "times without an hour are days of the site" in ledger.notes["A"]


def test_one_chamber_may_be_measured_twice_on_a_day_whose_hours_are_not_known(tmp_path: Path) -> None:
    one, header = ROW.replace("2001-06-01T20:00:00Z", "2001-06-01"), HEADER.replace("site,", "site,chamber,", 1)
    rows = one.replace("A,", "A,c1,", 1) + one.replace("A,", "A,c1,", 1).replace("-1.0", "-3.0")
    (record,), _ = read(tmp_path, header + rows)
    flux = record.observations.query("variable == 'fch4'")
    assert flux["value"].tolist() == [-2.0]


def test_uncertainty_given_in_the_file_is_converted_and_propagated(tmp_path: Path) -> None:
    rows = [
        ROW.replace("-1.0,mg CH4 m-2 d-1,upward_positive,", f"{-x},mg CH4 m-2 h-1,upward_positive,0.01")
        for x in (0.1, 0.12)
    ]
    rows[1] = rows[1].replace("T20", "T21")
    (record,), _ = read(tmp_path, HEADER + "".join(rows))
    flux = record.observations.query("variable == 'fch4'").iloc[0]
    assert flux["value"] == pytest.approx(-2.64)
    assert flux["sd"] == pytest.approx(0.24 / np.sqrt(2))


def test_spread_between_chambers_beats_the_floor(tmp_path: Path) -> None:
    values = np.array([-1.0, -4.0, -7.0, -2.0])
    rows = [ROW.replace("-1.0,mg", f"{v},mg").rstrip("\n") + f",{c}\n" for c, v in enumerate(values)]
    (record,), _ = read(tmp_path, HEADER.rstrip("\n") + ",chamber\n" + "".join(rows))
    flux = record.observations.query("variable == 'fch4'").iloc[0]
    assert flux["value"] == pytest.approx(values.mean())
    assert flux["sd"] == pytest.approx(values.std(ddof=1) / 2)
    assert flux["n"] == 4


def test_missing_codes_are_counted(tmp_path: Path) -> None:
    bad = ROW.replace("-1.0,mg", "-9999,mg").replace("T20", "T21")
    (record,), ledger = read(tmp_path, HEADER + ROW + bad)
    assert record.observations.query("variable == 'fch4'")["value"].tolist() == [-1.0]
    assert "missing code -9999" in ledger.sentence("A", "fch4", "values")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER, "no rows"),
        (HEADER.replace("flux_unit", "unit") + ROW, "'flux_unit' is missing"),
        (HEADER + ROW.replace("mg CH4 m-2 d-1", "mg m-2 d-1"), "CH4 or CH4-C"),
        (HEADER + ROW.replace("upward_positive", "positive"), "flux sign"),
        (HEADER + ROW.replace("degC", "F"), "soil_temperature unit 'F'"),
        (HEADER + ROW.replace("2001-06-01T20:00:00Z", "1 June"), "'1 June' in row 1"),
        (HEADER + ROW.replace("2001-06", "0001-06"), "year 1|not a time"),
        (HEADER + ROW.replace(",-1.0,", ",low,"), "'low' in row 1 of column 'flux'"),
        (HEADER + ROW + ROW.replace("50,-120", "51,-120"), "more than one position"),
        (HEADER + ROW.replace("50,-120", ",-120"), "no coordinates"),
        (HEADER + ROW.replace("50,-120", "50,240"), "longitudes of 0 to 360 are not read: write -120"),
        (HEADER + ROW.replace(",12,5,", ",12,0.05,"), "0.05 looks like metres"),
        (HEADER + ROW.replace("0.2,5,", "0.2,0.15,"), "soil_moisture_depth_cm is in cm, and 0.15 looks like metres"),
        ((HEADER + ROW).replace(",", ";").replace("-1.0", "-1,0"), "separated by semicolons"),
        ((HEADER + ROW).replace(",", "\t"), "separated by tabs"),
        (HEADER + ROW.rstrip("\n") + ",1,2,3,4\n", "line 2 has 20 cells, the header has 16"),
        ("\x00\x01", "binary"),
        ("", "empty"),
    ],
)
def test_bad_tables_say_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FluxAtlasError, match=said) as caught:
        read(tmp_path, text)
    assert "chambers.csv" in caught.value.where


def test_the_sensor_nearest_to_a_standard_depth_counts_not_the_shallowest(tmp_path: Path) -> None:
    shallow = ROW.replace(",12,5,degC", ",10,2,degC")
    near = ROW.replace(",12,5,degC", ",20,5,degC").replace("T20:00", "T19:00")
    alone = shallow.replace("06-01T20", "06-02T20").replace(",10,2,", ",11,2,")
    (record,), _ = read(tmp_path, HEADER + shallow + near + alone)
    found = record.observations.query("variable == 'tsl05'").set_index("time")["value"]
    assert found.loc["2001-06-01"] == pytest.approx(293.15)  # 5 cm is there, 2 cm is not used
    assert found.loc["2001-06-02"] == pytest.approx(284.15)  # only 2 cm was measured


@pytest.mark.parametrize(
    ("names", "mean"),
    [
        (["A", "", "A"], (-3.0 + (-1.0 - 2.0) / 2) / 2),  # the unnamed one weighs as one chamber
        (["", "", ""], -2.0),
        (["A", "A", "B"], (-2.0 + (-1.0 - 3.0) / 2) / 2),
    ],
)
def test_values_of_chambers_without_a_name_count(tmp_path: Path, names: list[str], mean: float) -> None:
    rows = [
        ROW.replace("T20:00", f"T{hour}:00").replace(",-1.0,", f",{flux},").rstrip("\n") + f",{name}\n"
        for hour, flux, name in zip((18, 19, 20), (-1.0, -3.0, -2.0), names, strict=True)
    ]
    (record,), ledger = read(tmp_path, HEADER.rstrip("\n") + ",chamber\n" + "".join(rows))
    (row,) = record.observations.query("variable == 'fch4'").itertuples()
    assert row.value == pytest.approx(mean)
    assert row.n == 3
    assert ledger.sentence("A", "fch4", "values") == "kept 3 of 3 values"


@pytest.mark.parametrize("above", ["", "# one comment\n# another\n", "\n\n# after empty lines\n"])
def test_errors_name_the_line_of_the_file(tmp_path: Path, above: str) -> None:
    text = above + HEADER + ROW + "# between\n\n" + ROW.replace(",5,m3 m-3", "")
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    wrong = next(n for n, line in enumerate(text.split("\n"), 1) if line.endswith("degC,0.2"))
    assert caught.value.what == f"line {wrong} has 14 cells, the header has 16"


def test_a_unit_that_the_entry_puts_right_is_not_refused_before(tmp_path: Path) -> None:
    """A table whose own unit is unclear is read with the unit that the entry states."""
    path = tmp_path / "chambers.csv"
    head = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n"
    row = "A,48,11,500,ENF,2001-06-01T{:02d}:00Z,-1.5,mg m-2 d-1,upward_positive\n"
    path.write_text(head + "".join(row.format(h) for h in range(0, 24, 4)), encoding="utf-8")
    units = {"flux": {"units": "mg CH4 m-2 d-1", "reason": "by letter from the authors"}}
    entry = SiteEntry.model_validate({"source": "chambers", "path": str(path), "units": units})
    (record,) = chambers.read([str(path)], entry, QcRules(), Ledger())
    assert record.observations["value"].tolist() == [-1.5]

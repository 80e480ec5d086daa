"""COSORE, Voigt and stdfmt readers on the real files: every defect of the source list, and means computed apart."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rdata

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import cosore, stdfmt, voigt
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.rds import read_rds
from fluxatlas.ingest.sites.records import Ledger, SiteRecord

COSORE = "soil_ch4/bpbond_cosore"
VOIGT = "soil_ch4/Lyreshka_MethaneData"
TOWERS = "flux_towers/UW-Hydro_VIC_sample_data"
WALNUT = [
    {"site": "US-Whs", "name_in_file": "WHS", "lat": 31.7438, "lon": -110.0522, "elevation": 1370, "utc_offset": -7},
    {"site": "US-Wkg", "name_in_file": "WKG", "lat": 31.7365, "lon": -109.9419, "elevation": 1531, "utc_offset": -7},
]
PLAIN = QcRules(spike_z=0)


def run(
    reader: object, source: str, paths: list[Path], rules: QcRules = PLAIN, how: str = "adjusted", **entry: object
) -> tuple[list, Ledger]:
    ledger = Ledger(chambers=how)
    made = SiteEntry(source=source, path=[str(p) for p in paths], **entry)
    return reader.read(entry_files(made), made, rules, ledger), ledger  # type: ignore[attr-defined]


def raw(path: Path) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rdata.read_rds(path).reset_index(drop=True)


def daily(record: SiteRecord, variable: str) -> pd.DataFrame:
    return record.observations.query(f"variable == '{variable}'").set_index("time")


@pytest.mark.parametrize(
    ("dataset", "rows", "median", "percent"),
    [
        ("d20200328_UEYAMA_HOKUROKU", 53933, -1.67, True),
        ("d20200328_UEYAMA_YAMASHIRO", 45273, -0.40, False),
    ],
)
def test_cosore_sites_of_japan(data_dir: Path, dataset: str, rows: int, median: float, percent: bool) -> None:
    folder = data_dir / COSORE / dataset
    (record,), ledger = run(cosore, "cosore", [folder], how="mean")
    table = raw(folder / "data/data.RDS")
    assert len(table) == rows
    assert table["CSR_FLUX_CH4"].median() == pytest.approx(median, abs=0.01)
    local = pd.to_datetime(table["CSR_TIMESTAMP_BEGIN"], unit="s") + pd.Timedelta(hours=9)
    by_port = table.assign(day=local.dt.floor("D")).groupby(["day", "CSR_PORT"])["CSR_FLUX_CH4"].mean()
    expected = by_port.groupby("day").mean() * 86400 * 1e-9 * 16043
    ours = daily(record, "fch4")["value"]
    np.testing.assert_allclose(ours, expected.loc[ours.index].to_numpy(float), rtol=1e-9)
    assert record.site["utc_offset"] == 9
    moisture = daily(record, "swc05")["value"]
    assert 0.1 < moisture.median() < 0.3
    assert any("is read as percent" in note for note in ledger.notes[record.name]) == percent


def test_cosore_howland(data_dir: Path) -> None:
    folder = data_dir / COSORE / "d20190610_SIHI_H2"
    table = raw(folder / "data/data.RDS")
    code = np.isclose(table["CSR_FLUX_CH4"], -231458.333333, atol=1e-3)
    assert (len(table), code.sum()) == (76160, 3279)
    assert table["CSR_FLUX_CH4"].median() == pytest.approx(-1.16, abs=0.01)
    (record,), ledger = run(cosore, "cosore", [folder])
    trenched = table["CSR_PORT"].isin([20, 21, 22])
    counted = ledger.counts[(record.name, "fch4", "values")]
    assert counted["read"] == (~trenched).sum()
    assert counted["scaled missing code -231458.33"] == (code & ~trenched).sum()
    assert (record.site["igbp"], record.site["lat"], record.site["utc_offset"]) == ("ENF", 45.2041, -5)
    flux = daily(record, "fch4")
    assert flux["value"].between(-8, 3).all()
    assert (flux["sd"] >= 0.15 + 0.2 * flux["value"].abs() - 1e-12).all()
    assert (flux["n"] >= 6).all()
    assert len(daily(record, "tsl05")) > 700  # measured at 10 cm, the shallower of two equally near depths


def test_cosore_impossible_temperatures_and_no_methane(data_dir: Path) -> None:
    folder = data_dir / COSORE / "d20200808_MINIAT"
    assert raw(folder / "data/data.RDS")["CSR_T5"].max() == pytest.approx(301.3, abs=0.1)
    (record,), ledger = run(cosore, "cosore", [folder], PLAIN.model_copy(update={"min_values": 1}))
    assert ledger.counts[(record.name, "tsl05", "values")]["out of range"] >= 1
    assert daily(record, "tsl05")["value"].max() < 320
    assert "fch4" not in set(record.observations["variable"])
    assert any("no CH4 flux" in note for note in ledger.notes[record.name])
    assert daily(record, "swc15")["value"].max() < 0.5  # percent in the file


def test_cosore_methane_column_without_values(data_dir: Path) -> None:
    (record,), _ = run(cosore, "cosore", [data_dir / COSORE / "d20190617_SCOTT_WKG"])
    assert "fch4" not in set(record.observations["variable"])
    assert record.site["igbp"] == "GRA"
    assert daily(record, "swc05")["value"].median() == pytest.approx(0.076, abs=0.01)


@pytest.mark.parametrize(("zone", "hours"), [("Etc/GMT+5", -5), ("Etc/GMT-9", 9), ("Europe/Helsinki", 2), ("UTC", 0)])
def test_standard_time(zone: str, hours: float) -> None:
    assert cosore.standard_time(zone, "") == hours


def dataset(tmp_path: Path, description: str, ports: str = "CSR_PORT, CSR_TREATMENT\n0, None\n") -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "DESCRIPTION.txt").write_text(description)
    (tmp_path / "PORTS.txt").write_text(ports)
    (tmp_path / "data/data.RDS").write_bytes(b"not R at all")
    return tmp_path


WHOLE = "CSR_LATITUDE: 1\nCSR_LONGITUDE: 2\nCSR_TIMEZONE: UTC\n"


@pytest.mark.parametrize(
    ("description", "ports", "said"),
    [
        ("CSR_LATITUDE: 1\n", "CSR_PORT, CSR_TREATMENT\n0, None\n", "'CSR_LONGITUDE'"),
        (WHOLE.replace("UTC", "Mars/Base"), "CSR_PORT, CSR_TREATMENT\n0, None\n", "'Mars/Base' is not a time zone"),
        (WHOLE.replace(": 1", ": north"), "CSR_PORT, CSR_TREATMENT\n0, None\n", "'north' is not a number"),
        (WHOLE, "CSR_PORT, CSR_TREATMENT\n0, None\n", "cannot be read as R data"),
    ],
)
def test_bad_cosore_folders(tmp_path: Path, description: str, ports: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(cosore, "cosore", [dataset(tmp_path, description, ports)])


def test_ports_without_treatment_column(tmp_path: Path) -> None:
    path = tmp_path / "PORTS.txt"
    path.write_text("# a comment\nCSR_PORT, CSR_AREA\n0, 3\n")
    with pytest.raises(InputError, match="'CSR_TREATMENT' is missing"):
        cosore.treated_ports(path)


@pytest.fixture(scope="module")
def arctic(data_dir: Path) -> tuple[pd.DataFrame, list[SiteRecord], Ledger]:
    """The data frame of SoilChamber_1.rds as it is, and the sites read from it and the manual text."""
    seen: list[pd.DataFrame] = []

    def spy(*arguments: object, **named: object) -> pd.DataFrame:
        seen.append(read_rds(*arguments, **named))
        return seen[-1].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(voigt, "read_rds", spy)
        folder = data_dir / VOIGT
        records, ledger = run(voigt, "voigt", [folder / "SoilChamber_1.rds", folder / "SoilChamber_2.tab"], how="mean")
    return seen[0], records, ledger


def test_voigt_numbers_of_the_source_list(arctic: tuple[pd.DataFrame, list[SiteRecord], Ledger]) -> None:
    table, records, ledger = arctic
    flux = table["CH4_Flux_ug_m2_h"]
    assert (table.shape, flux.notna().sum()) == ((80551, 69), 45024)
    names = {record.name: record for record in records}
    assert set(names) == {"TrailValleyCreek", "HavikpakCreek", "ScottyCreek", "Kilpisjarvi"}
    valley = names["TrailValleyCreek"]
    machine = table[table["Site"].isna()]
    day = pd.to_datetime(machine["Timestamp_local"]).dt.floor("D")
    ports = machine.assign(day=day).groupby(["day", "Chamber_no"])["CH4_Flux_ug_m2_h"].mean()
    manual = table[table["Site"] == "Trail Valley"].dropna(subset=["Date"])  # collars of the campaigns, once each
    manual = manual.assign(day=pd.to_datetime(manual["Date"])).drop_duplicates(
        ["day", "Location_ID", "CH4_Flux_ug_m2_h"]
    )
    collars = manual.groupby(["day", "Location_ID"])["CH4_Flux_ug_m2_h"].mean()
    expected = pd.concat([ports, collars]).groupby("day").mean()
    ours = daily(valley, "fch4")["value"]
    shared = expected.dropna().index.intersection(ours.index)
    assert len(shared) == len(ours) == 129 + 14 - 11  # of 14 days of collars automatic chambers ran on 11
    np.testing.assert_allclose(ours[shared], expected[shared].to_numpy(float) * 0.024, rtol=1e-9)
    # soil moisture: fraction in automatic rows, percent in manual ones (largest 58.78)
    assert table["Soil_Moisture_VWC"].max() == pytest.approx(58.78)
    for record in records:
        assert daily(record, "swc05")["value"].between(0.0, 0.6).all()
    assert any("CH4-C" in note for note in ledger.notes["Kilpisjarvi"])


def test_voigt_weather_without_spikes(arctic: tuple[pd.DataFrame, list[SiteRecord], Ledger]) -> None:
    _, (valley, *_), ledger = arctic
    assert (
        ledger.counts[("TrailValleyCreek", "Longwave_Radiation_In", "values")]["out of range"] == 2
    )  # 14 940 and -208
    whole = valley.forcing.dropna()
    assert (whole.index.year == 2019).all()
    assert 80 <= len(whole) <= 93
    assert whole["rlds"].between(200, 420).all()
    assert whole["pr"].sum() * 86400 == pytest.approx(50, abs=40)  # summer rain of the western Arctic
    assert (whole["tasmin"] < whole["tas"]).all()


def test_voigt_manual_campaigns(data_dir: Path) -> None:
    text, ledger = run(voigt, "voigt", [data_dir / VOIGT / "SoilChamber_2.tab"])
    binary, _ = run(voigt, "voigt", [data_dir / VOIGT / "SoilChamber_2.rds"])
    assert sum(ledger.counts[(r.name, "fch4 (manual)", "values")]["read"] for r in text) == 199 - 21
    for a, b in zip(text, binary, strict=True):
        pd.testing.assert_frame_equal(a.observations, b.observations)
    measured = raw(data_dir / VOIGT / "SoilChamber_2.rds")["CH4_Flux_ug_m2_h"]
    assert (measured.notna().sum(), round(measured.mean())) == (176, -58)


def test_voigt_rows_of_one_file_are_repeats_and_of_two_contradictions(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = raw(data_dir / VOIGT / "SoilChamber_1.rds")
    row = table[table["Site"].isna() & table["CH4_Flux_ug_m2_h"].notna()].iloc[[0]]
    again = row.assign(CH4_Flux_ug_m2_h=row["CH4_Flux_ug_m2_h"] + 1)
    held = {"one.rds": pd.concat([table, again]), "two.rds": table, "three.rds": again}
    monkeypatch.setattr(voigt, "read_rds", lambda path, *_: held[Path(path).name].copy())
    tab = data_dir / VOIGT / "SoilChamber_2.tab"
    alone, _ = run(voigt, "voigt", [Path("one.rds"), tab])
    twice, _ = run(voigt, "voigt", [Path("one.rds"), Path("two.rds"), tab])
    for one, both in zip(alone, twice, strict=True):
        assert len(one.observations) == len(both.observations)
    with pytest.raises(InputError, match=r"two files contradict each other on Date .*, Chamber_no"):
        run(voigt, "voigt", [Path("two.rds"), Path("three.rds"), tab])


def test_voigt_unit_override(data_dir: Path) -> None:
    path = data_dir / VOIGT / "SoilChamber_2.tab"
    plain, _ = run(voigt, "voigt", [path])
    units = {"CH4_flux": {"units": "ug CH4-C m-2 h-1", "reason": "what if it were"}}
    carbon, ledger = run(voigt, "voigt", [path], units=units)
    ratio = daily(carbon[0], "fch4")["value"] / daily(plain[0], "fch4")["value"]
    assert ratio.to_numpy() == pytest.approx(16.043 / 12.011)
    assert "CH4_flux is read as ug CH4-C m-2 h-1 (what if it were)" in ledger.notes[carbon[0].name]


@pytest.mark.parametrize(
    ("content", "said"),
    [("Site\tx\n", "no PANGAEA header"), ("/* */\nEvent\tSite\nA\tB\n", "'Lat', 'Long'"), ("", "empty")],
)
def test_bad_pangaea_text(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "x.tab"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        voigt.read_tab(path)


def test_r_text_that_is_not_utf8(data_dir: Path) -> None:
    path = data_dir / "wetland_ch4/Lyreshka_MethaneData/Annual_CH4_estimates.rds"
    with pytest.raises(InputError, match=r"not utf-8 \(byte 0x85"):
        read_rds(path, ())
    assert len(read_rds(path, (), encoding="latin-1")) > 100


@pytest.mark.parametrize(
    ("name", "site", "rows", "first"), [("WHS", 0, 2013, "2007-06-29"), ("WKG", 1, 3162, "2004-05-06")]
)
def test_stdfmt_towers(data_dir: Path, name: str, site: int, rows: int, first: str) -> None:
    path = data_dir / TOWERS / name / "stdfmt" / f"{name}.stdfmt.daily.txt"
    (record,), ledger = run(stdfmt, "stdfmt", [path], sites=WALNUT)
    plain = np.where((matrix := np.loadtxt(path)) == -9999, np.nan, matrix)
    assert record.name == WALNUT[site]["site"]
    assert len(record.forcing) == rows == len(plain)
    assert str(record.forcing.index[0].date()) == first
    assert ledger.counts[(record.name, "tsl05", "days")]["read"] == rows
    np.testing.assert_allclose(record.forcing["tas"], plain[:, 6] + 273.15)
    np.testing.assert_allclose(record.forcing["pr"] * 86400, plain[:, 3], atol=1e-9)
    kept = record.forcing.dropna()
    assert ((kept["tasmin"] <= kept["tas"]) & (kept["tas"] <= kept["tasmax"])).all()  # Tmax stands before Tmin
    assert daily(record, "tsl05")["value"].mean() == pytest.approx(np.nanmean(plain[:, 23]) + 273.15)
    assert daily(record, "swc15")["value"].mean() == pytest.approx(np.nanmean(plain[:, 19]))
    if name == "WHS":  # the first years have no long-wave radiation, so no complete weather
        assert str(kept.index[0].date()) == "2009-09-30"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "empty"),
        ("2001 01 01 1 2 3\n", "first line has 6 columns, this layout has 33"),
        (" ".join(["2001", "13", "01"] + ["1"] * 30) + "\n", "is not a time"),
        (" ".join(["2001", "01", "01"] + ["1"] * 29 + ["x"]) + "\n", "'x' in row 1 of column 'FG'"),
        (" ".join(["2001", "01", "01"] + ["1"] * 30) + "\n2001 01 02 1\n", "line 2 has 4 cells"),
    ],
)
def test_bad_stdfmt_files(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "WKG.stdfmt.daily.txt"
    path.write_text(content)
    with pytest.raises(InputError, match=said):
        run(stdfmt, "stdfmt", [path], sites=WALNUT)

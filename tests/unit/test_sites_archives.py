"""True variants of the layouts as the networks hand them out: archives, names, BIF tables, encodings, limits."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.containers import open_container
from fluxatlas.ingest.sites import ameriflux, archives, fluxnet, ismn, metadata, srdb, table, text
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.periods import read_periods
from fluxatlas.ingest.sites.records import Ledger, SiteRecord
from fluxatlas.ingest.sites.workbook import sheets
from fluxatlas.inspect.registry import inspect_path
from site_layouts import BIF, PLACE, SENSORS, bif, workbook, zipped

HALF = pd.date_range("2001-01-01", periods=96, freq="30min")
WEATHER = "SW_IN_F,LW_IN_F,VPD_F,PA_F,P_F,WS_F"


def hours(columns: str, row: str, step: str = "30min") -> str:
    """Two days of sub-daily rows; ``{i}`` in the row counts the steps, ``{v}`` is a daily wave."""
    times = pd.date_range("2001-01-01", "2001-01-02 23:59", freq=step)
    lines = [
        f"{t:%Y%m%d%H%M},{t + pd.Timedelta(step):%Y%m%d%H%M},{row.format(i=i, v=round(10 * np.sin(i / 7.64), 3))}\n"
        for i, t in enumerate(times)
    ]
    return f"TIMESTAMP_START,TIMESTAMP_END,{columns}\n" + "".join(lines)


def days(columns: str, row: str, clock: str = "TIMESTAMP", n: int = 2) -> str:
    times = pd.date_range("2001-01-01", periods=n)
    return f"{clock},{columns}\n" + "".join(f"{t:%Y%m%d},{row}\n" for t in times)


def read(path: Path, ledger: Ledger | None = None, **entry: object) -> list[SiteRecord]:
    made = SiteEntry(source="fluxnet", path=str(path), **{"sites": PLACE, **entry})
    return fluxnet.read(entry_files(made), made, QcRules(min_values=2), ledger or Ledger())


def series(record: SiteRecord, variable: str) -> pd.Series:
    rows = record.observations[record.observations["variable"] == variable]
    return rows.set_index("time")["value"]


def months(names: list[str]) -> str:
    return "TIMESTAMP,TS_F_MDS_1,TS_F_MDS_1_QC,NEE_VUT_REF,NEE_VUT_REF_QC\n" + "".join(f"{n},4,1,-2,1\n" for n in names)


FULLSET = {
    "HH": hours("TA_F,TS_F_MDS_1,TS_F_MDS_1_QC", "{v},5,0"),
    "DD": days("TA_F,TA_F_DAY,TA_F_NIGHT,TS_F_MDS_1,TS_F_MDS_1_QC," + WEATHER, "3,4,2,7,1,60,280,2,98,1.5,2"),
    "WW": days("TIMESTAMP_END,TS_F_MDS_1,TS_F_MDS_1_QC", "20010107,6,1", "TIMESTAMP_START", 1),
    "MM": months(["200101", "200102"]),
    "YY": months(["2001"]),
}


def packed(folder: Path, stem: str, parts: dict[str, str], more: dict[str, str | bytes] | None = None) -> Path:
    path = folder / f"{stem.format('').replace('__', '_')}.zip"
    path.write_bytes(zipped({f"{stem.format(part)}.csv": data for part, data in parts.items()} | (more or {})))
    return path


@pytest.mark.parametrize(
    "stem",
    [
        "FLX_XX-Tst_FLUXNET2015_FULLSET_{}_2001-2001_1-4",
        "FLX_XX-Tst_FLUXNET2015_SUBSET_{}_2001-2001_beta-3",
        "AMF_XX-Tst_FLUXNET_FULLSET_{}_2001-2001_3-5",
        "EUF_XX-Tst_FLUXNET_FLUXMET_{}_2001-2001_v1.3_r1",
        "SAEON_XX-Tst_FLUXNET_FLUXMET_{}_2001-2001_v1.2_r2",
        "ICOSETC_XX-Tst_FLUXNET_{}_L2",
        "ICOSETC_XX-Tst_FLUXNET_{}_INTERIM_L2",
    ],
)
def test_the_days_and_months_of_an_archive_are_read(tmp_path: Path, stem: str) -> None:
    """Zipped, and unpacked in a folder, whatever the network calls its files."""
    path = packed(tmp_path, stem, FULLSET, {"README.txt": "x", stem.format("AUXMETEO") + ".csv": "x"})
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked" / "deeper")
    for place in (path, tmp_path / "unpacked", tmp_path / "unpacked/deeper"):
        (record,) = read(place)
        np.testing.assert_allclose(series(record, "tsl05"), 7 + 273.15)  # the days, not the half hours
        assert record.forcing is not None and len(record.forcing.dropna()) == 2
        entry = SiteEntry(source="fluxnet", path=str(place), sites=PLACE)
        longer = read_periods(SitesBlock(entries=[entry]), Ledger())
        assert sorted(longer["start"].dt.strftime("%m-%d").unique()) == ["01-01", "02-01"]
        assert (longer.loc[longer["variable"] == "nee", "value"] == -2).all()


def test_half_hours_give_the_extremes_that_a_subset_lacks(tmp_path: Path) -> None:
    stem = "FLX_XX-Tst_FLUXNET2015_SUBSET_{}_2001-2001_1-4"
    lean = days(f"TA_F,TS_F_MDS_1,TS_F_MDS_1_QC,{WEATHER}", "0,7,1,60,280,2,98,1.5,2")
    (record,) = read(packed(tmp_path, stem, {"HH": FULLSET["HH"], "DD": lean}))
    assert record.forcing is not None
    wave = np.round(10 * np.sin(np.arange(96) / 7.64), 3).reshape(2, 48)
    np.testing.assert_allclose(record.forcing["tasmax"], wave.max(axis=1) + 273.15)
    np.testing.assert_allclose(record.forcing["tasmin"], wave.min(axis=1) + 273.15)
    np.testing.assert_allclose(series(record, "tsl05"), 280.15)
    ledger = Ledger()
    (record,) = read(packed(tmp_path, stem, {"DD": lean}), ledger)
    assert record.forcing is None and "TA_F_MIN and TA_F_MAX" in " ".join(ledger.notes["XX-Tst"])


def test_hourly_files_are_half_hourly_ones_with_other_steps(tmp_path: Path) -> None:
    name = "AMF_XX-Tst_FLUXNET_FULLSET_HR_2001-2001_3-5.csv"
    (tmp_path / name).write_text(hours("TA_F,TS_F_MDS_1,TS_F_MDS_1_QC", "3,{i},0", "1h"))
    (record,) = read(tmp_path / name)
    np.testing.assert_allclose(series(record, "tsl05"), np.arange(48).reshape(2, 24).mean(axis=1) + 273.15)


def test_facts_and_depths_come_from_the_bif_files(tmp_path: Path) -> None:
    stem = "AMF_XX-Tst_FLUXNET_{}_2001-2001_v1.3_r1"
    more = {stem.format("BIF") + ".csv": bif(BIF), stem.format("BIFVARINFO_HH") + ".csv": bif(SENSORS)}
    ledger = Ledger()
    (record,) = read(packed(tmp_path, stem, {"FLUXMET_DD": FULLSET["DD"]}, more), ledger, sites=[])
    assert (record.site["lat"], record.site["lon"], record.site["igbp"]) == (50.5, 10.5, "ENF")
    assert record.site["utc_offset"] == 1 and list(series(record, "tsl15")) == [280.15, 280.15]  # at 15 cm
    assert not [note for note in ledger.notes.get("XX-Tst", []) if "assumed" in note]
    (told,) = read(tmp_path, temperature_depths={1: 5}, sites=PLACE)
    assert told.site["lat"] == 50.0 and len(series(told, "tsl05")) == 2  # the entry wins


def test_a_sensor_that_was_moved_counts_at_its_mean_depth(tmp_path: Path) -> None:
    moved = [
        *SENSORS,
        ("XX-Tst", "9", "G", "VAR_INFO_VARNAME", "TS_F_MDS_1"),
        ("XX-Tst", "9", "G", "VAR_INFO_HEIGHT", "-0.05"),
    ]
    stem, ledger = "ICOSETC_XX-Tst_{}_L2", Ledger()
    (tmp_path / (stem.format("FLUXNET_DD") + ".csv")).write_text(FULLSET["DD"])
    (tmp_path / (stem.format("VARINFO_FLUXNET_DD") + ".csv")).write_bytes(bif(moved))
    (tmp_path / (stem.format("SITEINFO") + ".csv")).write_bytes(bif(BIF))
    (tmp_path / (stem.format("METEO") + ".csv")).write_text("x")  # other products of the archive are left alone
    (record,) = read(tmp_path, ledger, sites=[])
    assert len(series(record, "tsl05")) == 2
    assert "TS_F_MDS_1 was at 5 to 15 cm: the mean is used" in ledger.notes["XX-Tst"]


def test_methane_of_half_hours_is_a_series_with_gaps(tmp_path: Path) -> None:
    """The mean of the day's quarters; a day with an empty quarter is dropped, as with AmeriFlux BASE."""
    values = np.arange(96.0) / 4
    values[3:9] = values[50:62] = -9999
    rows = "".join(f"{t:%Y%m%d%H%M},0,{v},77,3\n" for t, v in zip(HALF, values, strict=True))
    (tmp_path / "FLX_XX-Tst_FLUXNET-CH4_HH_2001-2001_1-1.csv").write_text(
        "TIMESTAMP_START,TIMESTAMP_END,FCH4,FCH4_F,FCH4_F_ANNOPTLM_UNC\n" + rows
    )
    ledger = Ledger()
    (record,) = read(tmp_path, ledger)
    masked = np.where(values == -9999, np.nan, values).reshape(2, 4, 12)
    expected = np.nanmean(masked, axis=2).mean(axis=1) * 16.043e-3 * 86.4
    np.testing.assert_allclose(series(record, "fch4"), expected, rtol=1e-9)
    assert ledger.sentence("XX-Tst", "fch4", "values") == "kept 78 of 96 values: 18 missing code -9999"


def test_methane_beside_another_product_of_the_tower(data_dir: Path, tmp_path: Path) -> None:
    """Real files of one tower in both sets, which differ in their weather: fluxes of CH4 are all that is taken."""
    towers = data_dir / "flux_towers/jpdarela_FLUXNET_EU/FR-LGt"
    wetlands = data_dir / "wetland_ch4/mwdjones_dichotomous_FLUXNET-CH4"
    files = {"tower": next(towers.glob("*FULLSET_DD*")), "ch4": next(wetlands.glob("FLX_FR-LGt_*"))}
    found = {}
    for name, paths in (("tower", ["tower"]), ("ch4", ["ch4"]), ("both", ["tower", "ch4"])):
        listed = [str(files[p]) for p in paths]
        entry = SiteEntry(source="fluxnet", path=listed, sites=[{"site": "FR-LGt", "lat": 47.32, "lon": 2.28}])
        (found[name],) = fluxnet.read(listed, entry, QcRules(), Ledger())
    pd.testing.assert_series_equal(series(found["both"], "fch4"), series(found["ch4"], "fch4"))
    pd.testing.assert_series_equal(series(found["both"], "tsl05"), series(found["tower"], "tsl05"))
    assert found["both"].forcing is not None and found["tower"].forcing is not None
    pd.testing.assert_frame_equal(found["both"].forcing.dropna(), found["tower"].forcing.dropna(), check_freq=False)


def test_half_hours_of_methane_beside_days_of_another_product(tmp_path: Path) -> None:
    (tmp_path / "FLX_XX-Tst_FLUXNET-CH4_HH_2001-2001_1-1.csv").write_text(hours("FCH4,TS_1,TA_F", "5,20,{v}"))
    (tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_DD_2001-2001_1-4.csv").write_text(FULLSET["DD"])
    (record,) = read(tmp_path)
    np.testing.assert_allclose(series(record, "fch4"), 5 * 1.38612, rtol=1e-4)
    np.testing.assert_allclose(series(record, "tsl05"), 280.15)


def test_weeks_and_years_are_periods_where_there_are_no_months(tmp_path: Path) -> None:
    stem = "FLX_XX-Tst_FLUXNET2015_FULLSET_{}_2001-2001_1-4"
    week = (
        "TIMESTAMP_START,TIMESTAMP_END,NEE_VUT_REF,NEE_VUT_REF_QC\n20010101,20010107,-1.5,1\n20011224,20011231,-2,1\n"
    )
    for parts, ends in (
        ({"WW": week, "YY": FULLSET["YY"]}, ["2001-01-08", "2002-01-01"]),
        ({"YY": FULLSET["YY"]}, ["2002-01-01"]),
    ):
        entry = SiteEntry(source="fluxnet", path=str(packed(tmp_path, stem, parts)), sites=PLACE)
        ledger = Ledger()
        found = read_periods(SitesBlock(entries=[entry]), ledger)
        nee = found[found["variable"] == "nee"]
        assert list(nee["end"].dt.strftime("%Y-%m-%d")) == ends
    np.testing.assert_allclose(nee["value"], -2 / 365)  # g C m-2 of the year
    assert ledger.sentence("XX-Tst (years)", "nee", "years") == "kept 1 of 1 years"


def test_an_archive_beside_its_own_files_counts_once(tmp_path: Path) -> None:
    stem = "FLX_XX-Tst_FLUXNET2015_FULLSET_{}_2001-2001_1-4"
    path = packed(tmp_path, stem, FULLSET)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    block = SitesBlock(entries=[{"source": "fluxnet", "path": str(tmp_path), "sites": PLACE}])
    assert len(read(tmp_path)[0].observations) == 2
    assert len(read_periods(block, Ledger())) == 4
    (tmp_path / (stem.format("MM") + ".csv")).write_text(FULLSET["MM"].replace("-2", "-3"))
    with pytest.raises(InputError, match="two files contradict each other on nee from 2001-01-01"):
        read_periods(block, Ledger())
    (tmp_path / (stem.format("DD") + ".csv")).write_text(FULLSET["DD"].replace(",7,1,", ",8,1,"))
    with pytest.raises(InputError, match="two files of one site contradict each other"):
        read(tmp_path)


def test_a_zip_without_a_file_of_the_layout_or_with_archives_in_it(tmp_path: Path) -> None:
    path = tmp_path / "ICOSETC_all_FLUXNET_L2.zip"
    path.write_bytes(zipped({"ICOSETC_XX-Tst_ARCHIVE_L2.zip": zipped({"a": b"x"})}))
    with pytest.raises(InputError, match="no file of this layout") as caught:
        read(path)
    assert "unpack archives within it" in caught.value.hint


def test_base_without_comments_and_with_means_of_replicates(tmp_path: Path) -> None:
    name = "AMF_XX-Tst_BASE_HR_7-5.csv"
    (tmp_path / name).write_text(hours("FCH4_1_1_1,TS_1_1_A,TS_PI_F_1_1_1,SWC_PI_1", "{i},6,99,20", "1h"))
    entry = SiteEntry(source="ameriflux", path=str(tmp_path), sites=PLACE)
    (record,) = ameriflux.read(entry_files(entry), entry, QcRules(), Ledger())
    np.testing.assert_allclose(series(record, "tsl05"), [279.15, 279.15])  # never the filled column
    np.testing.assert_allclose(
        series(record, "fch4"), np.arange(48).reshape(2, 24).mean(axis=1)[:1] * 1.38612, rtol=1e-4
    )


def test_filled_weather_of_base_fills_gaps_and_can_be_refused(tmp_path: Path) -> None:
    columns = "TA,TA_PI_F,RH,PA,P,SW_IN,LW_IN,WS"
    text = hours(columns, "-9999,{v},50,98,0,60,280,2")
    (tmp_path / "AMF_XX-Tst_BASE_HH_7-5.csv").write_text(text)
    entry, ledger = SiteEntry(source="ameriflux", path=str(tmp_path), sites=PLACE), Ledger()
    (record,) = ameriflux.read(entry_files(entry), entry, QcRules(), ledger)
    assert record.forcing is not None and record.forcing.notna().all(axis=None)
    assert "TA is filled with TA_PI_F (by the site's team)" in ledger.notes["XX-Tst"]
    strict, ledger = QcRules(forcing_min_qc=0.5), Ledger()
    (record,) = ameriflux.read(entry_files(entry), entry, strict, ledger)
    assert record.forcing is not None and record.forcing.isna().all(axis=None)
    assert ledger.sentence("XX-Tst", "weather") == "kept 0 of 2 days: 2 gap-filled"


@pytest.mark.parametrize(("name", "data"), [("sites.csv", bif(BIF)), ("sites.xlsx", workbook(BIF))])
def test_a_bif_table_can_be_the_metadata(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert metadata.read_metadata(tmp_path / name) == {
        "XX-Tst": {"lat": 50.5, "lon": 10.5, "igbp": "ENF", "utc_offset": 1.0}
    }


def test_a_download_of_soil_moisture_reads_the_same_packed(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "soil_moisture/awst-austria_qa4sm/ISMN/ISMN_TESTDATA_HAWAII/SCAN/IslandDairy"
    path = tmp_path / "Data_separate_files_20170101_20181231_1234_abc_20190101.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"SCAN/IslandDairy/{file.name}")
    found = []
    for place in (folder, tmp_path):
        entry = SiteEntry(source="ismn", path=str(place))
        found.append(ismn.read(entry_files(entry), entry, QcRules(), Ledger())[0])
    pd.testing.assert_frame_equal(found[0].observations, found[1].observations)
    assert found[0].site == found[1].site and found[0].site["clay"] > 0


RESPIRATION = "Record_number,Study_midyear,YearsOfData,Latitude,Longitude,Manipulation,Duplicate_record,Quality_flag,"
RESPIRATION += "Annual_coverage,Rs_annual,Rs_annual_err,Site_name\n"
RESPIRATION += "1,2001.5,1,50,10,None,,Q01,1,730,,Köln\n2,2001.5,1,50,10,,,,1,365,9,Åre\n"


@pytest.mark.parametrize(
    ("data", "spelled"),
    [
        (RESPIRATION.encode(), "UTF-8"),
        (b"\xef\xbb\xbf" + RESPIRATION.encode(), "UTF-8"),
        (RESPIRATION.encode("latin-1"), "latin-1 (2 lines with letters beyond ASCII)"),
        (RESPIRATION.encode().replace("Åre".encode(), b"\xc5re"), "mixed: 1 lines latin-1, 1 UTF-8"),
    ],
)
def test_srdb_in_each_encoding(tmp_path: Path, data: bytes, spelled: str, capsys: pytest.CaptureFixture) -> None:
    path, ledger = tmp_path / "srdb-data-V4.csv", Ledger()
    path.write_bytes(data)
    entry = SiteEntry(source="srdb", path=str(path))
    found = srdb.read_periods([str(path)], entry, QcRules(), ledger)
    np.testing.assert_allclose(found["value"], [730 / 365.25, 365 / 365.25])
    assert ledger.notes["SRDB"] == [f"srdb-data-V4.csv: the text is {spelled}"]
    assert ("warning" in capsys.readouterr().err) == (spelled != "UTF-8")


def test_the_real_srdb_is_utf8(data_dir: Path) -> None:
    path = data_dir / "soil_ch4/bpbond_srdb/srdb-data.csv"
    content, spelled = text.decode_mixed(path.read_bytes(), str(path))
    assert spelled == "UTF-8" and content.count("\n") > 12_000


def test_wetland_fluxes_are_kept_where_the_configuration_says_so(data_dir: Path) -> None:
    """Counted in the file of a rewetted fen; the rule for upland soil drops the same days as ever."""
    path = next((data_dir / "wetland_ch4/mwdjones_dichotomous_FLUXNET-CH4").glob("FLX_DE-Zrk_*.csv"))
    raw = pd.read_csv(path, na_values=[-9999])["FCH4"].dropna() * 16.043e-3 * 86.4
    calm = {"spike_z": 0}
    found = {}
    for name, rules in (("upland", QcRules(**calm)), ("wetland", QcRules(**calm, limits={"fch4": (-100, 3000)}))):
        entry = SiteEntry(source="fluxnet", path=str(path), sites=[{"site": "DE-Zrk", "lat": 53.88, "lon": 12.89}])
        ledger = Ledger()
        (record,) = fluxnet.read([str(path)], entry, rules, ledger)
        found[name] = (series(record, "fch4"), ledger.counts[("DE-Zrk", "fch4", "days")])
    assert len(found["upland"][0]) == raw.between(-25, 37).sum()
    assert found["upland"][1]["outside -25 to 37 (qc.limits)"] == (~raw.between(-25, 37)).sum() > 500
    assert found["upland"][1]["out of range"] == 0
    assert len(found["wetland"][0]) == raw.between(-100, 3000).sum() and found["wetland"][0].max() > 1400
    assert found["wetland"][1]["outside -100 to 3000 (qc.limits)"] == (raw < -100).sum()


def test_limits_hold_for_the_table_and_name_known_variables(tmp_path: Path) -> None:
    (tmp_path / "FLX_XX-Tst_FLUXNET-CH4_DD_2001-2001_1-1.csv").write_text(days("FCH4", "200", n=4))
    entry = {"source": "fluxnet", "path": str(tmp_path), "sites": PLACE}
    with pytest.raises(InputError, match=r"fch4: kept 0 of 4 days: 4 outside -25 to 37 \(qc.limits\)"):
        table.build(SitesBlock(entries=[entry]), tmp_path / "out")
    wide = {"limits": {"fch4": [-100, 3000]}}
    table.build(SitesBlock(entries=[entry], qc=wide), tmp_path / "out")
    assert len(pd.read_parquet(tmp_path / "out/observations.parquet")) == 4
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["sites"]["XX-Tst"]["variables"]["fch4"]["days"]["text"] == "kept 4 of 4 days"
    with pytest.raises(FluxAtlasError, match="unknown variable 'ch4flux'"):
        table.build(SitesBlock(entries=[entry], qc={"limits": {"ch4flux": [0, 1]}}), tmp_path / "out")


def test_a_workbook_gives_the_cells_as_text(tmp_path: Path) -> None:
    found = sheets(workbook([("SITE_ID", "DATAVALUE"), ("XX-Tst", "-0.05")]), "book.xlsx")
    assert found == {"BIF": [["SITE_ID", "DATAVALUE"], ["XX-Tst", "-0.05"]]}
    with pytest.raises(InputError, match=r"cannot be read|damaged"):
        sheets(zipped({"xl/workbook.xml": "<workbook/>"}), "book.xlsx")


@pytest.mark.parametrize("packing", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("reader", ["towers", "forcing", "inspect"])
def test_a_damaged_member_is_one_message_however_it_is_packed(tmp_path: Path, packing: int, reader: str) -> None:
    name = "2001.nc" if reader == "forcing" else "FLX_XX-Abc_FLUXNET2015_FULLSET_DD_2001-2001_1-1.csv"
    path = tmp_path / "FLX_XX-Abc_FLUXNET2015_FULLSET_2001-2001_1-1.zip"
    with zipfile.ZipFile(path, "w", packing) as packed:
        packed.writestr(name, np.random.default_rng(1).bytes(4000))
    data = bytearray(path.read_bytes())
    data[2000:2040] = bytes(byte ^ 0xFF for byte in data[2000:2040])
    path.write_bytes(data)
    if reader == "inspect":
        report = inspect_path(path)
        assert report.status == "unusable" and "the zip is damaged" in report.verdict
        assert "please report this" not in " ".join(finding.message for finding in report.findings)
        return
    with pytest.raises(InputError, match=r"the zip is damaged|cannot be read as a zip archive") as refused:
        archives.inner(f"{path}/{name}") if reader == "towers" else open_container(path)
    assert "download it again" in refused.value.hint and str(path) in refused.value.where

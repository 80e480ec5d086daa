"""Observations over longer than a day: the soil respiration database, monthly tower files, the file they end in."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.sites import fluxnet, srdb
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.periods import PERIOD_COLUMNS, read_periods
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.table import build

SRDB = "soil_ch4/bpbond_srdb"
THARANDT = "flux_towers/jpdarela_FLUXNET_EU/DE-Tha/FLX_DE-Tha_FLUXNET2015_FULLSET_MM_1996-2020_beta-3.csv"
HEADER = (
    "Record_number,Author,Study_midyear,YearsOfData,Latitude,Longitude,Manipulation,Duplicate_record,Quality_flag,"
    "Annual_coverage,Rs_annual,Rs_annual_err\n"
)


def records(path: Path, rules: QcRules | None = None) -> tuple[pd.DataFrame, Ledger]:
    ledger = Ledger()
    entry = SiteEntry(source="srdb", path=[str(path)])
    return srdb.read_periods(entry_files(entry), entry, rules or QcRules(), ledger), ledger


def written(folder: Path, rows: str | bytes, header: str = HEADER) -> Path:
    path = folder / "srdb-data.csv"
    path.write_bytes(header.encode() + (rows if isinstance(rows, bytes) else rows.encode()))
    return path


def test_facts_of_the_source_list(data_dir: Path) -> None:
    found, ledger = records(data_dir / SRDB)
    counts = ledger.counts[("SRDB", "rs", "values")]
    assert counts["read"] == 12272 and counts["read"] - counts["without annual flux"] == 6763
    raw = pd.read_csv(data_dir / SRDB / "srdb-data.csv", encoding="latin-1", low_memory=False)
    flux = raw.set_index("SRDB-" + raw["Record_number"].map(lambda x: str(int(x)) if x % 1 == 0 else str(x)))[
        "Rs_annual"
    ]
    np.testing.assert_allclose(found["value"] * 365.25, flux[found["site"]], rtol=1e-12)
    assert len(found) == counts["read"] - sum(n for reason, n in counts.items() if reason != "read") > 3000
    assert found["site"].is_unique  # records 3905.1 and 3905.2 too
    assert found["start"].min().year >= 1960 and (found["end"] > found["start"]).all()
    assert 600 < 365.25 * found["value"].median() < 900  # g C m-2 yr-1
    table = read_periods(SitesBlock(entries=[SiteEntry(source="srdb", path=str(data_dir / SRDB))]), Ledger())
    assert list(table.columns) == list(PERIOD_COLUMNS) and len(table) == len(found)
    assert table.groupby("site")["value"].first().equals(found.groupby("site")["value"].first())


def test_records_of_srdb(tmp_path: Path) -> None:
    rows = (
        b"1,S\xf8e,2001.5,1,50,10,None,,Q01,1,730.5,73.05\n"
        b"2,A,2001,2,50,10,,,,,365.25,\n"
        b"3,A,2001.5,1,50,10,Fertilized,,,1,700,\n"
        b"4,A,2001.5,1,50,10,,,Q01;Q10,1,700,\n"
        b"5,A,2001.5,1,50,10,,77,,1,700,\n"
        b"6,A,2001.5,1,,,,,,1,700,\n"
        b"7,A,,1,50,10,,,,1,700,\n"
        b"8,A,2001.5,1,50,10,,,,0.2,700,\n"
        b"9,A,2001.5,1,50,10,,,,1,-200,\n"
        b"10,A,2001.5,1,50,10,,,,1,,\n"
    )
    found, ledger = records(written(tmp_path, rows))
    assert found["site"].tolist() == ["SRDB-1", "SRDB-2"]
    assert found["value"].tolist() == pytest.approx([2.0, 1.0]) and found["sd"].tolist() == pytest.approx([0.4, 0.2])
    assert found["start"].astype(str).tolist() == ["2001-01-01", "2000-01-01"]
    assert found["end"].astype(str).tolist() == ["2002-01-01", "2002-01-01"]
    assert found["qc"].iloc[0] == 1 and np.isnan(found["qc"].iloc[1])
    dropped = {k: n for k, n in ledger.counts[("SRDB", "rs", "values")].items() if k != "read"}
    assert len(dropped) == 8 and set(dropped.values()) == {1}


def test_no_record_may_be_left(tmp_path: Path) -> None:
    found, _ = records(written(tmp_path, "1,A,2001.5,1,50,10,Warmed,,,1,700,\n"))
    assert found.empty and list(found.columns) == list(PERIOD_COLUMNS)


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ("", "", "empty"),
        ("", HEADER, "no rows"),
        ("1,A,2001.5\n", HEADER, "cells"),
        ("1,A,then,1,50,10,None,,,1,700,\n", HEADER, "not a number"),
        ("1,A,2001.5,1,50,10,None,,,1,700,\n", HEADER.replace("Rs_annual,", "Rs,"), "Rs_annual"),
    ],
)
def test_bad_tables(tmp_path: Path, rows: str, header: str, message: str) -> None:
    path = written(tmp_path, rows, header)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        records(path)
    assert str(path) in caught.value.where
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        records(path)


def test_months_of_a_tower(data_dir: Path) -> None:
    path = str(data_dir / THARANDT)
    entry = SiteEntry(source="fluxnet", path=[path], sites=[{"site": "DE-Tha", "lat": 50.96, "lon": 13.57}])
    ledger = Ledger()
    found = read_periods(SitesBlock(entries=[entry]), ledger)
    assert ledger.sentence("DE-Tha (months)", "nee", "months") == "kept 287 of 300 months: 13 gap-filled"
    assert list(found.columns) == list(PERIOD_COLUMNS)
    raw = pd.read_csv(path, na_values=[-9999])
    raw.index = pd.to_datetime(raw["TIMESTAMP"].astype(str), format="%Y%m")
    good = raw[raw["NEE_VUT_REF_QC"] >= 0.5]
    nee = found[found["variable"] == "nee"].set_index("start")
    np.testing.assert_allclose(nee["value"], good["NEE_VUT_REF"], rtol=1e-12)
    assert len(nee) == len(good) > 280 and (nee["site"] == "DE-Tha").all()
    assert nee.loc["2000-02-01", "end"] == pd.Timestamp("2000-03-01")
    (record,) = fluxnet.read([path], entry, QcRules(), Ledger())
    assert record.observations.empty and record.forcing is None


def test_months_of_a_real_tower_are_the_means_of_its_daily_file(data_dir: Path) -> None:
    """Not so at every tower: the reference of ``NEE_VUT_REF`` is chosen anew for every resolution."""
    folder = data_dir / "flux_towers" / "jpdarela_FLUXNET_EU" / "FR-LGt"
    if not folder.is_dir():
        pytest.skip("no FLUXNET files")
    place = {"site": "FR-LGt", "lat": 47.3, "lon": 2.3, "elevation": 150, "utc_offset": 1}
    entry = SiteEntry(source="fluxnet", path=[str(next(folder.glob("*_FULLSET_MM_*.csv")))], sites=[place])
    found = read_periods(SitesBlock(entries=[entry]), Ledger())
    found = found[(found["variable"] == "nee") & found["start"].dt.year.between(2017, 2020)].set_index("start")
    days = pd.read_csv(next(folder.glob("*_FULLSET_DD_*.csv")), usecols=["TIMESTAMP", "NEE_VUT_REF"])
    series = days.set_index(pd.to_datetime(days["TIMESTAMP"], format="%Y%m%d"))["NEE_VUT_REF"]
    means = series.where(series > -9000).resample("MS").mean().reindex(found.index)
    assert len(found) > 40 and found["value"].std() > 0.5
    np.testing.assert_allclose(found["value"], means, atol=1e-4)


def test_a_daily_file_called_monthly_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_MM_2001.csv"
    path.write_text("TIMESTAMP,TA_F\n20010101,1\n")
    entry = SiteEntry(source="fluxnet", path=[str(path)], sites=[{"site": "XX-Tst", "lat": 50, "lon": 10}])
    with pytest.raises(InputError, match="not monthly"):
        read_periods(SitesBlock(entries=[entry]), Ledger())


def test_the_file_is_always_written(tmp_path: Path) -> None:
    chambers = tmp_path / "chambers.csv"
    chambers.write_text(
        "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n"
        "A,50,10,100,ENF,2001-05-01T00:00Z,-1,mg CH4 m-2 d-1,upward_positive\n"
    )
    path = written(tmp_path, "1,A,2001.5,1,50,10,None,,,1,700,\n")
    entries = [SiteEntry(source="chambers", path=[str(chambers)]), SiteEntry(source="srdb", path=[str(path)])]
    for used, expected in ((entries[:1], 0), (entries, 1)):
        report = build(SitesBlock(entries=used), tmp_path / "out")
        table = pd.read_parquet(tmp_path / "out/periods.parquet")
        assert len(table) == expected == report["totals"]["periods"] and list(table.columns) == list(PERIOD_COLUMNS)
        assert str(table["start"].dtype) == "datetime64[ns]"
    assert len(pd.read_csv(tmp_path / "out/sites.csv")) == 1


@pytest.mark.parametrize("years", ["1e-320", "0", "-1", "51"])
def test_a_mean_over_no_time_or_an_age_is_left_out(tmp_path: Path, years: str) -> None:
    found, ledger = records(written(tmp_path, f"1,A,2001.5,{years},50,10,,,,1,730,\n2,A,2001,1,50,10,,,,1,365.25,\n"))
    assert found["site"].tolist() == ["SRDB-2"]
    assert ledger.counts[("SRDB", "rs", "values")]["without period"] == 1

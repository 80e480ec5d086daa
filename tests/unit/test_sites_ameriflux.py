"""AmeriFlux BASE: numbers of the real file, the balanced daily mean, BADM, and every error path."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.sites import ameriflux, badm, subdaily
from fluxatlas.ingest.sites.records import Ledger

REAL = "flux_towers/chuhousen_amerifluxr/AMF_US-CRT_BASE-BADM_2-5.zip"
PLACE = [{"site": "US-Tst", "lat": 40.0, "lon": -90.0, "utc_offset": -6}]
HEADER = (
    "# Site: US-Tst\n# Version: 1-5\nTIMESTAMP_START,TIMESTAMP_END,FCH4,TS_1_1_1,TS_2_1_1,SWC_PI_1,TA_1_2_1,TA_1_1_1\n"
)


def line(time: pd.Timestamp, values: str) -> str:
    end = time + pd.Timedelta("30min")
    return f"{time:%Y%m%d%H%M},{end:%Y%m%d%H%M},{values}\n"


def whole(days: int = 2, values: str = "1,5,-9999,20,1,2") -> str:
    times = pd.date_range("2011-05-01", periods=48 * days, freq="30min")
    return HEADER + "".join(line(t, values) for t in times)


def read(path: Path, **entry: object) -> tuple[list, Ledger]:
    ledger = Ledger()
    made = SiteEntry(source="ameriflux", path=[str(path)], **{"sites": PLACE, **entry})
    return ameriflux.read([str(path)], made, QcRules(), ledger), ledger


def written(folder: Path, text: str | bytes, name: str = "AMF_US-Tst_BASE_HH_1-5.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture(scope="module")
def real(data_dir: Path) -> tuple[pd.DataFrame, object, Ledger]:
    with zipfile.ZipFile(data_dir / REAL) as archive, archive.open("AMF_US-CRT_BASE_HH_2-5.csv") as file:
        plain = pd.read_csv(file, comment="#", na_values=[-9999])
    plain.index = pd.to_datetime(plain["TIMESTAMP_START"].astype(str), format="%Y%m%d%H%M")
    (record,), ledger = read(data_dir / REAL, sites=[])
    return plain, record, ledger


def test_facts_of_the_source_list(real: tuple) -> None:
    plain, record, ledger = real
    assert record.site["site"] == "US-CRT" and record.site["igbp"] == "CRO"
    assert (round(record.site["lat"], 4), round(record.site["lon"], 4)) == (41.6285, -83.3471)
    assert record.site["elevation"] == 180 and record.site["utc_offset"] == -5
    assert len(plain) == 17520
    for variable, valid in (("fch4", 5073), ("nee", 9144), ("evspsbl", 9221)):
        counts = ledger.counts[("US-CRT", variable, "values")]
        assert counts["read"] == 17520
        assert counts["read"] - counts["missing code -9999"] == valid


@pytest.mark.parametrize(
    ("variable", "column", "factor", "offset"),
    [
        ("tsl05", "TS_1_1_1", 1.0, 273.15),
        ("swc05", "SWC", 0.01, 0.0),
        ("fch4", "FCH4", 16.043e-6 * 86400, 0.0),  # nmol CH4 m-2 s-1 -> mg CH4 m-2 d-1
        ("nee", "FC", 12.011e-6 * 86400, 0.0),
    ],
)
def test_days_against_a_plain_reading(real: tuple, variable: str, column: str, factor: float, offset: float) -> None:
    plain, record, _ = real
    ours = record.observations[record.observations["variable"] == variable].set_index("time")
    day, quarter = plain.index.floor("D"), plain.index.hour // 6
    truth = plain[column].groupby([day, quarter]).mean().unstack().mean(axis=1, skipna=False) * factor + offset
    count = plain[column].groupby(day).count()
    same = ours.index[ours["n"] == count[ours.index]]  # no spike was taken out
    assert len(same) > 0.9 * len(ours) > 80 and (ours["n"] >= 24).all()
    np.testing.assert_allclose(ours.loc[same, "value"], truth[same], rtol=1e-9)
    np.testing.assert_allclose(ours["qc"], ours["n"] / 48)
    complete = same[count[same] == 48]
    plain_mean = plain[column].groupby(day).mean()[complete] * factor + offset
    np.testing.assert_allclose(ours.loc[complete, "value"], plain_mean, rtol=1e-9)


def test_weather_needs_every_driver_at_every_step(real: tuple) -> None:
    plain, record, _ = real
    drivers = ["TA", "RH", "PA", "P", "SW_IN", "LW_IN", "WS"]
    complete = plain[drivers].notna().all(axis=1).groupby(plain.index.floor("D")).all()
    ours = record.forcing.dropna()
    assert list(ours.index) == list(complete.index[complete])
    day = str(ours.index[3].date())
    assert ours.loc[day, "pr"] * 86400 == pytest.approx(plain.loc[day, "P"].sum())
    assert ours.loc[day, "tasmax"] == pytest.approx(plain.loc[day, "TA"].max() + 273.15)
    vapour = (ours["huss"] * ours["ps"] / 0.622 / 611.2).to_numpy()
    assert ((vapour > 0.1) & (vapour < 5)).all()


def test_the_clock_is_local_standard_time(real: tuple) -> None:
    plain, record, _ = real
    sun = plain["SW_IN"].loc["2011-05":"2011-08"]
    hour = sun.index.hour + sun.index.minute / 60 + 0.25
    noon = 12 - (record.site["lon"] / 15 - record.site["utc_offset"])
    assert float((sun * hour).sum() / sun.sum()) == pytest.approx(noon, abs=0.25)


def test_gaps_at_night_do_not_tilt_the_mean() -> None:
    hours = np.arange(48) / 2
    wave = np.where((hours >= 6) & (hours < 18), -10.0, 2.0)
    gappy = wave.copy()
    gappy[2:10], gappy[38:47] = np.nan, np.nan
    mean, error, n, even = subdaily.balanced_means(np.concatenate([wave, gappy]), 48)
    np.testing.assert_allclose(mean, [-4.0, -4.0])
    assert np.nanmean(gappy) < -6
    assert n.tolist() == [48, 31] and even.all()
    np.testing.assert_allclose(error, 0.0, atol=1e-12)


def test_the_error_of_the_mean_is_that_of_repeated_draws() -> None:
    rng = np.random.default_rng(1)
    mean, error, _, _ = subdaily.balanced_means(rng.normal(3.0, 2.0, 48 * 2000), 48)
    assert error.mean() == pytest.approx(mean.std(), rel=0.05)


def test_sparse_and_uneven_days_are_counted(tmp_path: Path) -> None:
    times = pd.date_range("2011-05-01", periods=48 * 3, freq="30min")
    first = [line(t, f"{1 if i < 10 else -9999},5,5,20,1,2") for i, t in enumerate(times[:48])]
    second = [line(t, f"{1 if i < 36 else -9999},5,5,20,1,2") for i, t in enumerate(times[48:96])]
    third = [line(t, "1,5,5,20,1,2") for t in times[96:]]
    (record,), ledger = read(written(tmp_path, HEADER + "".join(first + second + third)))
    counts = ledger.counts[("US-Tst", "fch4", "days")]
    assert counts["read"] == 3 and counts["with fewer than 24 of 48 values"] == 1
    assert counts["with a quarter of the day unobserved"] == 1
    assert len(record.observations.query("variable == 'fch4'")) == 1
    assert any("no meteorology" in note for note in ledger.notes["US-Tst"])


def test_columns_by_position_and_number_of_values(tmp_path: Path) -> None:
    found = ameriflux.read_file(written(tmp_path, whole()))
    table, _ = subdaily.whole_days(found.table, "")
    chosen = ameriflux.choose_columns(table, QcRules())
    assert chosen["TS", 1] == "TS_1_1_1"  # its replicate holds nothing
    assert chosen["SWC", 1] == "SWC_PI_1"
    assert chosen["TA", 1] == "TA_1_1_1"  # the uppermost, although it stands last


def test_quick_and_careful_reading_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ameriflux, "SMALLEST", 0)
    text = whole().replace("201105010300,201105010330,1,", "201105010300,201105010330,-1.25,")
    plain = ameriflux.read_file(written(tmp_path, text)).table
    assert plain["FCH4"].iloc[6] == -1.25
    quoted = text.replace("201105010000,", '"201105010000",', 1)
    careful = ameriflux.read_file(written(tmp_path, quoted)).table
    pd.testing.assert_frame_equal(plain, careful, check_freq=False)


def test_order_gaps_and_repeats(tmp_path: Path) -> None:
    lines = whole().split("\n")
    head, body = lines[:3], lines[3:-1]
    mixed = "\n".join([*head, *body[::-1], body[5], ""])
    (record,), _ = read(written(tmp_path, mixed))
    assert len(record.observations.query("variable == 'fch4'")) == 2
    (record,), _ = read(written(tmp_path, "\n".join([*head, *body[:10], *body[12:], ""])))
    assert sorted(record.observations.query("variable == 'fch4'")["n"]) == [46, 48]


BAD = {
    "empty": ("", "empty"),
    "header only": (HEADER, "no rows"),
    "one row": ("\n".join(whole().split("\n")[:4]) + "\n", "fewer than two rows"),
    "truncated": (whole()[:-20], "cells"),
    "wrong time": (whole().replace("\n201105010300,", "\n201113010300,"), "not a time"),
    "two values at one time": (whole() + line(pd.Timestamp("2011-05-01"), "9,5,5,20,1,2"), "more than once"),
    "off the steps": (whole() + line(pd.Timestamp("2011-05-05 00:10"), "9,5,5,20,1,2"), "not on the 30-minute steps"),
    "a span of centuries": (whole() + line(pd.Timestamp("2190-05-05"), "9,5,5,20,1,2"), "span"),
    "text": (whole().replace(",1,5,", ",one,5,", 1), "not a number"),
    "wrong columns": (whole().replace("TIMESTAMP_START", "TIME"), "TIMESTAMP_START"),
    "no variables": ("# Site: US-Tst\nTIMESTAMP_START,CO2\n201101010000,1\n201101010030,1\n", "none of the variables"),
    "latin-1": (whole().replace(",1,5,", ",1\xb0,5,", 1).encode("latin-1"), "not utf-8"),
    "binary": (b"\x00\x01" * 100, "binary"),
    "seven minutes": (HEADER + "201101010000,x,1,1,1,1,1,1\n201101010007,x,1,1,1,1,1,1\n", "7 minutes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_give_one_clear_error(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in caught.value.where and caught.value.hint


def zipped(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


TABLE = {"AMF_US-Tst_BASE_HH_1-5.csv": whole().encode()}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"readme.txt": b"x"}), "holds 0 BASE tables"),
        (zipped({"AMF_US-Tst_BASE_HH_1-5.csv": b" "}), "empty"),
        (zipped(TABLE)[:-300], "damaged"),
        (zipped(TABLE | {"AMF_US-Tst_BIF_20201005.xlsx": b"no workbook"}), "workbook"),
        (zipped(TABLE | {"AMF_US-Tst_BIF_20201005.xlsx": zipped({"a.xml": b"<a/>"})}), "workbook"),
    ],
)
def test_bad_zips(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(written(tmp_path, content, "AMF_US-Tst_BASE-BADM_1-5.zip"))


def test_a_workbook_with_entities_is_refused() -> None:
    sheet = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><worksheet>&a;</worksheet>'
    with pytest.raises(InputError, match="entities"):
        badm.rows(zipped({"xl/worksheets/sheet1.xml": sheet}), "book.xlsx")


def test_missing_file_no_site_and_no_position(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "AMF_US-Tst_BASE_HH_1-5.csv")
    anonymous = "\n".join(whole().split("\n")[2:])
    with pytest.raises(InputError, match="which site"):
        read(written(tmp_path, anonymous, "table.csv"))
    with pytest.raises(FluxAtlasError, match="coordinates"):
        read(written(tmp_path, whole()), sites=[])


def test_depths_are_those_of_the_badm_in_the_zip(tmp_path: Path) -> None:
    """TS_1_1_1 lies at 45 cm, SWC_PI_1 was moved from 4 to 6 cm; other sites of the table do not count."""
    rows = [
        *(("US-Tst", "1", "TS_1_1_1", "-0.45"), ("US-Tst", "2", "SWC_PI_1", "-0.04")),
        *(("US-Tst", "3", "SWC_PI_1", "-0.06"), ("US-Oth", "4", "TS_1_1_1", "-0.15")),
    ]
    table = ",".join(badm.COLUMNS) + "\n"
    for site, group, name, height in rows:
        table += f"{site},{group},GRP_VAR_INFO,VAR_INFO_VARNAME,{name}\n"
        table += f"{site},{group},GRP_VAR_INFO,VAR_INFO_HEIGHT,{height}\n"
    content = zipped(TABLE | {"AMF_US-Tst_BIF_20201005.csv": table.encode()})
    (record,), ledger = read(written(tmp_path, content, "AMF_US-Tst_BASE-BADM_1-5.zip"))
    assert set(record.observations["variable"]) == {"fch4", "tsl45", "swc05"}
    assert not [note for note in ledger.notes["US-Tst"] if "assumed" in note]
    (record,), _ = read(
        written(tmp_path, content, "AMF_US-Tst_BASE-BADM_1-5.zip"), temperature_depths={1: 15}
    )  # the entry takes precedence
    assert "tsl15" in set(record.observations["variable"])

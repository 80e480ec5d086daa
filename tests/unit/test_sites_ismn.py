"""ISMN series: numbers of the real stations, flags, both layouts, static variables, every error path."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.sites import ismn
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.records import Ledger

FOLDER = "soil_moisture/awst-austria_qa4sm/ISMN"
NAME = "NET_NET_Plain_sm_0.050000_0.050000_Probe-(1)_20170101_20171231.stm"


def read(where: Path, rules: QcRules | None = None, **entry: object) -> tuple[dict, Ledger]:
    ledger = Ledger()
    made = SiteEntry(source="ismn", path=[str(where)], **entry)
    records = ismn.read(entry_files(made), made, rules or QcRules(), ledger)
    return {record.name: record for record in records}, ledger


def text(hours: int = 48, flag: str = "G", value: str = "0.25", depth: float = 0.05) -> str:
    times = pd.date_range("2017-01-01 06:00", periods=hours, freq="h")
    place = f"NET NET Plain 40.0 -90.0 200.0 {depth} {depth}"
    return "".join(f"{t:%Y/%m/%d %H:%M} {t:%Y/%m/%d %H:%M} {place} {value} {flag} M\n" for t in times)


def written(folder: Path, content: str | bytes, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.fixture(scope="module")
def real(data_dir: Path) -> tuple[dict, Ledger]:
    return read(data_dir / FOLDER)


@pytest.mark.parametrize(
    ("station", "variable", "rows", "good"),  # counted with awk on field 14
    [
        ("COSMOS-Silver_Sword", "swc05", 14832, 14734),
        ("SCAN-Island_Dairy", "swc05", 15312, 14671),
        ("SCAN-Island_Dairy", "tsl05", 15315, 15315),
        ("SCAN-Pua_Akala", "swc05", 16359, 11200),
        ("SCAN-Pua_Akala", "tsl05", 16410, 16410),
    ],
)
def test_good_values_of_the_real_stations(real: tuple, station: str, variable: str, rows: int, good: int) -> None:
    records, ledger = real
    counts = ledger.counts[(station, f"{variable} flags", "values")]
    dropped = sum(n for reason, n in counts.items() if reason != "read")
    assert (counts["read"], counts["read"] - dropped) == (rows, good)
    assert records[station].observations["time"].between("2016-12-31", "2018-12-31").all()


def test_days_are_local_means_in_canonical_units(real: tuple, data_dir: Path) -> None:
    records, _ = real
    path = next((data_dir / FOLDER).rglob("*IslandDairy_ts_*.stm"))
    raw = pd.read_csv(path, sep=r"\s+", header=None)
    local = pd.to_datetime(raw[0] + " " + raw[1]) - pd.Timedelta(hours=10)
    truth = raw[12].groupby(local.dt.floor("D")).agg(["mean", "count"])
    whole = truth["mean"][truth["count"] == 24]
    ours = records["SCAN-Island_Dairy"].observations.query("variable == 'tsl05' and n == 24").set_index("time")
    np.testing.assert_allclose(ours["value"], whole + 273.15, rtol=1e-12)


def test_station_facts_and_static_variables(real: tuple) -> None:
    records, ledger = real
    site = records["COSMOS-Silver_Sword"].site
    assert (site["lat"], site["lon"], site["elevation"]) == (19.765, -155.4234, 2868)
    assert site["kind"] == "station" and site["utc_offset"] == -10
    assert (site["sand"], site["clay"], site["soc"]) == (31, 20, 70)  # HWSD, 0 to 30 cm; the 1.81 % has no depth
    assert "swc05 is sm at 8.5 cm (Cosmic-ray-Probe)" in ledger.notes["COSMOS-Silver_Sword"]
    assert "not used: p" in ledger.notes["SCAN-Pua_Akala"]


def test_flags_can_be_accepted(data_dir: Path) -> None:
    folder = data_dir / FOLDER / "ISMN_TESTDATA_HAWAII/SCAN/PuaAkala"
    records, ledger = read(folder, QcRules(ismn_flags=["G", "C02"]))
    counts = ledger.counts[("SCAN-Pua_Akala", "swc05 flags", "values")]
    assert counts["read"] - sum(n for reason, n in counts.items() if reason != "read") == 11200 + 4905
    assert records["SCAN-Pua_Akala"].observations.query("variable == 'swc05'")["value"].max() > 0.6


def test_header_and_values_layout_gives_the_same(tmp_path: Path) -> None:
    first, second = tmp_path / "ceop", tmp_path / "header"
    first.mkdir(), second.mkdir()
    written(first, text())
    rows = [line.split() for line in text().splitlines()]
    body = "".join(f"{r[0]} {r[1]} {r[12]} {r[13]} {r[14]}\n" for r in rows)
    written(second, "NET NET Plain 40.0 -90.0 200.0 0.05 0.05 Probe-(1)\n" + body)
    ceop, _ = read(first)
    header, _ = read(second)
    pd.testing.assert_frame_equal(ceop["NET-Plain"].observations, header["NET-Plain"].observations)
    assert len(ceop["NET-Plain"].observations) == 2  # 06 UTC is midnight at 90 W
    assert ceop["NET-Plain"].site == header["NET-Plain"].site


def test_of_two_sensors_the_nearest_depth_counts(tmp_path: Path) -> None:
    written(tmp_path, text(value="0.10", depth=0.1), NAME.replace("0.050000", "0.100000"))
    written(tmp_path, text(value="0.30", depth=0.05))
    written(tmp_path, text(value="0.40", depth=0.5), NAME.replace("0.050000", "0.500000"))
    records, ledger = read(tmp_path)
    found = records["NET-Plain"].observations.groupby("variable")["value"].mean()
    assert found.to_dict() == pytest.approx({"swc05": 0.30, "swc45": 0.40})
    assert "sm at 10 cm is not used: another sensor stands for that depth" in ledger.notes["NET-Plain"]


def test_two_layers_with_one_centre_are_two_sensors(tmp_path: Path) -> None:
    layer = NAME.replace("0.050000_0.050000", "0.000000_0.100000")
    written(tmp_path, text(value="0.10").replace(" 0.05 0.05 ", " 0.0 0.1 "), layer)
    written(tmp_path, text(value="0.30"))
    records, ledger = read(tmp_path)
    assert set(records["NET-Plain"].observations["value"].round(6)) in ({0.10}, {0.30})
    assert "sm at 5 cm is not used: another sensor stands for that depth" in ledger.notes["NET-Plain"]


def test_two_versions_of_a_sensor_leave_out_its_station_alone(tmp_path: Path) -> None:
    for part, value in (("a", "0.10"), ("b", "0.30")):
        (tmp_path / part).mkdir()
        written(tmp_path / part, text(value=value))
    written(tmp_path, text().replace("Plain", "Other"), NAME.replace("Plain", "Other"))
    records, ledger = read(tmp_path)
    assert list(records) == ["NET-Other"]
    assert "contradict each other on 2017-01-01 06:00" in ledger.left_out["NET-Plain"]


def test_all_flagged_and_half_hour_zones(tmp_path: Path) -> None:
    written(tmp_path, text(flag="D05,C02"))
    records, ledger = read(tmp_path, sites=[{"site": "NET-Plain", "lat": 40, "lon": -90, "utc_offset": -5.5}])
    assert records["NET-Plain"].observations.empty
    assert ledger.counts[("NET-Plain", "swc05 flags", "values")]["flag D (dubious)"] == 48


LINE = text(1).strip()
BAD = {
    "empty": ("", "empty"),
    "one row": (text(1), "fewer than two rows"),
    "truncated": (text()[:-25], "fields"),
    "time": (text().replace("2017/01/01 09:00", "2017/13/01 09:00"), "not a time"),
    "number": (text().replace(" 0.25 G", " wet G", 1), "not a number"),
    "place": (text().replace("40.0", "north"), "not a number"),
    "moved": (text() + LINE.replace("40.0", "41.0") + "\n", "change in line 49"),
    "repeated": (text() + LINE.replace("0.25", "0.31") + "\n", "more than once"),
    "off the hour": (text() + LINE.replace("06:00", "06:17") + "\n", "not on the 60-minute steps"),
    "other text": ("this is no series\n" * 5, "neither CEOP nor a header"),
    "header only": ("NET NET Plain 40.0 -90.0 200.0 0.05 0.05 Probe\n", "no values"),
    "latin-1": (text().replace("Plain", "Pl\xe4in").encode("latin-1"), "not utf-8"),
    "binary": (b"\x00" * 50, "binary"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_series_give_one_clear_error(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = written(tmp_path, content)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        read(path)
    assert str(path) in caught.value.where and caught.value.hint


def test_names_missing_files_and_contradicting_positions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / NAME)
    with pytest.raises(InputError, match="which quantity"):
        read(written(tmp_path, text(), "series.stm"))
    folder = tmp_path / "two"
    folder.mkdir()
    written(folder, text())
    written(folder, text().replace("40.0", "42.0"), NAME.replace("_sm_", "_ts_"))
    with pytest.raises(InputError, match="2 positions"):
        read(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("quantity_name;value\nclay fraction;3\n", "depth_from"),
        (
            "quantity_name;unit;depth_from[m];depth_to[m];value;description;quantity_source_name\n"
            "clay fraction;%;0;0.3;much;;HWSD\n",
            "not a number",
        ),
    ],
)
def test_bad_static_variables(tmp_path: Path, content: str, message: str) -> None:
    path = written(tmp_path, content, "NET_NET_Plain_static_variables.csv")
    with pytest.raises(InputError, match=message):
        ismn.read_static(path)

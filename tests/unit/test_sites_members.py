"""Archives of many members: one that cannot be used is left out and named, and one rule says what is a member."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import SiteEntry, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import table
from fluxatlas.ingest.sites.archives import members
from fluxatlas.ingest.sites.inputs import SUFFIXES, entry_files
from site_layouts import LOOSE, layouts, zipped

LAYOUTS = layouts()
HOURS = pd.date_range("2015-01-01", "2015-01-31 23:00", freq="h")
BY_HAND = pd.DatetimeIndex([f"2015-{month:02d}-{day:02d} 10:00" for month in range(1, 13) for day in (8, 18, 28)])
MOVED = HOURS[:400].append(HOURS[400:] + pd.Timedelta("10min"))
"""Hourly, from the time when the logger was changed on at ten past."""


def series(folder: Path, station: str, times: pd.DatetimeIndex, quantity: str = "sm", depth: float = 0.05) -> None:
    here = folder / "NET" / station
    here.mkdir(parents=True, exist_ok=True)
    stem = f"NET_NET_{station}_{quantity}_{depth:.6f}_{depth:.6f}_n.s._{times[0]:%Y%m%d}_{times[-1]:%Y%m%d}.stm"
    head = f"CSE NET {station} 40.0 -100.0 200.0 {depth:.4f} {depth:.4f} n.s."
    (here / stem).write_text("\n".join([head, *(f"{time:%Y/%m/%d %H:%M} 0.25 G M" for time in times)]) + "\n")


def build(source: str, folder: Path, **entry: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    block = SitesBlock.model_validate({"entries": [{"source": source, "path": [str(folder)], **entry}], "qc": LOOSE})
    table.build(block, folder.parent / "out")
    report = json.loads((folder.parent / "out/report.json").read_text())
    return pd.read_parquet(folder.parent / "out/observations.parquet"), report


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (BY_HAND, "the usual time step is 14400 minutes: too few values in a day"),
        (MOVED, "2015-01-17 09:10 is not on the 60-minute steps"),  # UTC-7
        (HOURS[:1], "fewer than two rows"),
        (HOURS[:0], "the file holds no values"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_station_that_cannot_be_used_is_left_out_of_a_download(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], times: pd.DatetimeIndex, reason: str, packed: bool
) -> None:
    folder = tmp_path / "download"
    series(folder, "STA", HOURS)
    if len(times):
        series(folder, "STB", times)
    else:
        (folder / "NET/STB").mkdir()
        name = "NET_NET_STB_sm_0.050000_0.050000_n.s._20150101_20150102.stm"
        (folder / "NET/STB" / name).write_text("CSE NET STB 40.0 -100.0 200.0 0.0500 0.0500 n.s.\n")
    if packed:
        data = zipped({str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.stm")})
        folder = tmp_path / "zipped"
        folder.mkdir()
        (folder / "Data_separate_files_header_20150101_20151231_1_abc_20160101.zip").write_bytes(data)
    days, report = build("ismn", folder)
    assert set(days["site"]) == {"NET-STA"} and len(days) == 30
    ((name, text),) = report["left_out"].items()
    assert "STB" in name and text.startswith(reason)
    assert f"{name}: left out: {reason}" in capsys.readouterr().err


def test_a_sensor_that_cannot_be_used_does_not_cost_its_station(tmp_path: Path) -> None:
    folder = tmp_path / "download"
    series(folder, "STA", HOURS)
    series(folder, "STA", MOVED, depth=0.2)
    days, report = build("ismn", folder)
    assert set(days["variable"]) == {"swc05"}
    ((name, text),) = report["left_out"].items()
    assert "_0.200000_" in name and "not on the 60-minute steps" in text


def test_where_nothing_else_is_there_it_is_refused(tmp_path: Path) -> None:
    series(tmp_path / "download", "STB", BY_HAND)
    with pytest.raises(InputError, match="the usual time step is 14400 minutes: too few values in a day"):
        build("ismn", tmp_path / "download")


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("ameriflux", "AMF_YY-Oth_BASE_HH_1-5.csv"),
        ("ameriflux-l2", "AMF_YYOth_2001_L2_WG_V001.csv"),
        ("fluxnet-ch4-HH", "FLX_YY-Oth_FLUXNET-CH4_HH_2001-2001_1-1.csv"),
        ("fluxnet-HH", "FLX_YY-Oth_FLUXNET2015_FULLSET_HH_2001-2001_1-4.csv"),
    ],
)
def test_a_tower_off_its_step_is_left_out_of_a_folder(tmp_path: Path, name: str, second: str) -> None:
    layout, folder = LAYOUTS[name], tmp_path / "in"
    folder.mkdir()
    path = layout.write(folder)
    lines = path.read_text().replace("XX-Tst", "YY-Oth").splitlines()
    last = lines[-1].split(",")
    lines[-1] = ",".join([last[0][:-1] + "7", *last[1:]]) if name != "ameriflux-l2" else "2001,3,7,3,-1.5,8,5"
    (folder / second).write_text("\n".join(lines) + "\n")
    sites = [{"site": site, "lat": 50, "lon": 10} for site in ("XX-Tst", "YY-Oth")]
    days, report = build(layout.source, folder, sites=sites)
    assert set(days["site"]) == {"XX-Tst"}
    (text,) = report["left_out"].values()
    assert "not on the 30-minute steps" in text


@pytest.mark.parametrize(
    ("name", "second"),
    [
        ("fluxnet-DD", "FLX_YY-Oth_FLUXNET2015_FULLSET_DD_2001-2001_1-4.csv"),
        ("fluxnet-MM", "FLX_YY-Oth_FLUXNET2015_FULLSET_MM_2001-2001_1-4.csv"),
        ("ameriflux", "AMF_YY-Oth_BASE_HH_1-5.csv"),
        ("ameriflux-l2", "AMF_YYOth_2001_L2_WG_V001.csv"),
        ("chambers", "other.csv"),
        ("rsofun", "YY-Oth_drivers.csv"),
        ("metaflux", "YY-Oth_MM.csv"),
        ("cardamom", "validation_YY-Oth.csv"),
        ("srdb", "srdb-data-V2.csv"),
    ],
)
def test_a_table_without_rows_is_left_out_of_a_folder(tmp_path: Path, name: str, second: str) -> None:
    layout, folder = LAYOUTS[name], tmp_path / "in"
    folder.mkdir()
    path = layout.write(folder)
    entry = layout.settings(folder)
    entry["sites"] = [*entry["sites"], {"site": "YY-Oth", "lat": 50, "lon": 10}] if entry["sites"] else []
    head = path.read_text().replace("XX-Tst", "YY-Oth").splitlines()[: layout.rows]
    (path.parent / second).write_text("\n".join(head) + "\n")
    entry.pop("path"), entry.pop("source")
    _, report = build(layout.source, folder, **entry)
    assert any("the table has a header but no rows" in text for text in report["left_out"].values())
    assert report["totals"]["sites"] == (layout.source != "srdb")


@pytest.mark.parametrize("source", [source for source in SUFFIXES if source != "cosore"])
def test_one_rule_says_what_is_a_file_of_a_folder_and_of_a_zip(tmp_path: Path, source: str) -> None:
    layout = next(layout for layout in LAYOUTS.values() if layout.source == source and not layout.name.endswith("zip"))
    folder = tmp_path / "in"
    folder.mkdir()
    layout.write(folder)
    entry = SiteEntry(source=source, path=[str(folder)])
    own = entry_files(entry)
    assert own
    suffix = SUFFIXES[source][0]
    others = ["README.txt", "LICENSE", f"._x{suffix}", f"~$x{suffix}", f".hidden{suffix}", "sites.csv", "notes.pdf"]
    if source == "rsofun":  # its positions are in a list of that name
        others.remove("sites.csv")
    for name in (*others, f"__MACOSX/x{suffix}"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("site,lat,lon\nA,1,2\n")
    assert entry_files(entry) == own
    if source in ("fluxnet", "ismn"):
        files = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        (tmp_path / "pack.zip").write_bytes(zipped(files))
        assert [Path(p).name for p in members([str(tmp_path / "pack.zip")], source)] == [Path(p).name for p in own]


def test_two_releases_of_a_site_are_named_with_their_files(tmp_path: Path) -> None:
    for name, more in (
        ("ameriflux", "AMF_XX-Tst_BASE_HH_2-5.csv"),
        ("fluxnet-DD", "FLX_XX-Tst_FLUXNET2015_SUBSET_DD_2001-2001_1-5.csv"),
        ("fluxnet-MM", "FLX_XX-Tst_FLUXNET2015_SUBSET_MM_2001-2001_1-5.csv"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        path = LAYOUTS[name].write(folder)
        (folder / more).write_text(path.read_text().replace(",5,", ",6,"))
        with pytest.raises(InputError) as caught:
            build(LAYOUTS[name].source, folder, sites=[{"site": "XX-Tst", "lat": 50, "lon": 10}])
        assert path.name in str(caught.value) and more in str(caught.value), str(caught.value)


def test_numbers_of_what_is_left_are_those_without_it(tmp_path: Path) -> None:
    found = []
    for label, stations in (("alone", ["STA"]), ("both", ["STA", "STB"])):
        folder = tmp_path / label / "download"
        series(folder, "STA", HOURS)
        if "STB" in stations:
            series(folder, "STB", BY_HAND)
        found.append(build("ismn", folder)[0])
    pd.testing.assert_frame_equal(*found)
    assert np.isfinite(found[0]["value"]).all()

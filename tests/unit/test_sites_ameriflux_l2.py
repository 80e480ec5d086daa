"""AmeriFlux Level 2: numbers of the real files against the sites' own daily files and the sun; every error path."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.sites import ameriflux_l2
from fluxatlas.ingest.sites.records import Ledger

FOLDER = "flux_towers/UW-Hydro_VIC_sample_data"
FILES = {"US-Whs": "WHS/flux_obs/AMF_USWhs_2007_L2_WG_V004.csv", "US-Wkg": "WKG/flux_obs/AMF_USWkg_2004_L2_WG_V006.csv"}
NAMES = "YEAR, GAP, DTIME, DOY, HRMIN, TA, FC, TS1, TSdepth1, SWC1, Rgl"
UNITS = "YEAR, GAP, DTIME, DOY, HRMIN, deg C, umol/m2/s, deg C, cm, %, W/m2"
TOP = "Sitename: Test\nLocation: Latitude: 31.5  Longitude: -110.5  Elevation (masl): 1200\nEcosystem type: OSH Open\n"


def read(paths: list[Path], **entry: object) -> tuple[list, Ledger]:
    ledger = Ledger()
    made = SiteEntry(source="ameriflux_l2", path=[str(p) for p in paths], **entry)
    return ameriflux_l2.read([str(p) for p in paths], made, QcRules(), ledger), ledger


def text(rows: int = 96, year: int = 2004, depth: int = 5) -> str:
    body = [
        f"{year},0,{1 + i / 48:.5f},{1 + i // 48},{i % 48 // 2 * 100 + i % 2 * 30},10,-1,{12},{depth},20,-6999"
        for i in range(1, rows + 1)
    ]
    return TOP + NAMES + "\n" + UNITS + "\n" + "100.0," * 10 + "0.0\n" + "\n".join(body) + "\n"


def written(folder: Path, content: str | bytes, name: str = "AMF_USTst_2004_L2_WG_V001.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("site", "rows", "kind"), [("US-Whs", 8902, "NEE"), ("US-Wkg", 11497, "FC")])
def test_facts_of_the_source_list(data_dir: Path, site: str, rows: int, kind: str) -> None:
    (record,), ledger = read([data_dir / FOLDER / FILES[site]])
    assert record.site["site"] == site and record.site["utc_offset"] == -7
    assert record.site["igbp"] == {"US-Whs": "OSH", "US-Wkg": "GRA"}[site]
    assert record.site["elevation"] == {"US-Whs": 1370, "US-Wkg": 1531}[site]
    assert f"nee is {kind}" in ledger.notes[site]  # NEE of US-Wkg is empty
    counts = ledger.counts[(site, "nee", "values")]
    assert counts["read"] - counts["missing"] == rows
    assert {"tsl05", "tsl15", "swc05", "swc15", "nee", "evspsbl", "hfls"} == set(record.observations["variable"])
    assert (record.forcing is None) == (site == "US-Whs")  # longwave is missing at WHS


def test_the_sites_own_daily_file(data_dir: Path) -> None:
    (record,), _ = read([data_dir / FOLDER / FILES["US-Wkg"]])
    daily = pd.read_csv(data_dir / FOLDER / "WKG/stdfmt/WKG.stdfmt.daily.txt", sep=r"\s+", header=None, na_values=-9999)
    daily.index = pd.to_datetime(daily[[0, 1, 2]].set_axis(["year", "month", "day"], axis=1))
    ours = record.forcing.dropna()
    theirs = daily.loc[ours.index]
    for name, column, factor, offset, tolerance in (
        ("tas", 6, 1.0, 273.15, 0.3),  # their day is half an hour off
        ("tasmax", 4, 1.0, 273.15, 0.5),  # theirs is of hourly means
        ("rsds", 7, 1.0, 0.0, 2.0),
        ("rlds", 8, 1.0, 0.0, 3.0),
        ("ps", 10, 1000.0, 0.0, 30.0),
        ("sfcWind", 11, 1.0, 0.0, 0.25),
    ):
        difference = (ours[name] - theirs[column] * factor - offset).abs()
        assert difference.quantile(0.95) < tolerance, name
    assert (ours["pr"] * 86400).sum() == pytest.approx(theirs[3].sum(), rel=0.03)


@pytest.mark.parametrize("site", FILES)
def test_steps_are_centred_on_solar_noon(data_dir: Path, site: str) -> None:
    found, _ = ameriflux_l2.read_file(data_dir / FOLDER / FILES[site])
    light = found.table["SW_IN"] > 15
    hour = light.index[light].to_series()
    middle = hour.groupby(hour.dt.floor("D")).min().dt.hour * 60 + hour.groupby(hour.dt.floor("D")).min().dt.minute
    last = hour.groupby(hour.dt.floor("D")).max()
    middle = (middle + last.dt.hour * 60 + last.dt.minute) / 120 + 0.25
    angle = 2 * np.pi * (middle.index.day_of_year - 81) / 364
    equation = (9.87 * np.sin(2 * angle) - 7.53 * np.cos(angle) - 1.5 * np.sin(angle)) / 60
    noon = 12 - (found.facts["lon"] + 105) / 15 - equation
    assert abs(float((middle - noon).median())) < 0.12


def test_years_are_joined_and_depths_come_from_the_file(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, text(17568, 2004, 10)),
        written(tmp_path, text(96, 2005, 10), "AMF_USTst_2005_L2_WG_V001.csv"),
    ]
    (record,), ledger = read(paths)
    tsl = record.observations.query("variable == 'tsl05'")  # a sensor at 10 cm stands for 5 cm
    assert len(tsl) == 366 + 2 and tsl["n"].eq(48).all()
    assert "no meteorology" in " ".join(ledger.notes["US-Tst"])
    with pytest.raises(InputError, match="differ between the years"):
        read([paths[0], written(tmp_path, text(96, 2005, 30), "AMF_USTst_2005_L2_WG_V001.csv")])


BAD = {
    "empty": ("", "empty"),
    "no header": ("2004,0,1,1,30,1\n", "no line of column names"),
    "no rows": (text(0), "no rows"),
    "one row": (text(1), "fewer than two rows"),
    "truncated": (text()[:-12], "cells"),
    "unit": (text().replace("deg C", "deg F"), "deg F"),
    "time": (text().replace(",1,130,", ",1,190,"), "is not a time"),
    "day": (text().replace(",2,1000,", ",400,1000,"), "is not a time"),
    "text": (text().replace(",-1,12,", ",x,12,", 1), "not a number"),
    "repeated": (text() + "2004,0,2.0,2,0,11,-1,12,5,20,-6999\n", "more than once"),
    "stray line": (text() + "end of file\n", "not a row of data"),
    "no DOY": (text().replace("DOY", "DAY"), "DOY"),
    "no columns": (TOP + "YEAR, DOY, HRMIN\nYEAR, DOY, HRMIN\n1,1,1\n2004,1,30\n2004,1,100\n", "can be used"),
    "latin-1": (text().replace("Test", "T\xe9st").encode("latin-1"), "not utf-8"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_give_one_clear_error(tmp_path: Path, case: str) -> None:
    content, message = BAD[case]
    path = written(tmp_path, content)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        read([path])
    assert str(path) in caught.value.where and caught.value.hint


def test_missing_unnamed_gap_filled_and_placeless(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read([tmp_path / "AMF_USTst_2004_L2_WG_V001.csv"])
    with pytest.raises(InputError, match="which site"):
        read([written(tmp_path, text(), "table.csv")])
    with pytest.raises(InputError, match="gap-filled"):
        read([written(tmp_path, text(), "AMF_USTst_2004_L2_GF_V001.csv")])
    with pytest.raises(InputError, match="no coordinates"):
        read([written(tmp_path, text().replace("Latitude", "Lat"))])

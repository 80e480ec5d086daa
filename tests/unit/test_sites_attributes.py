"""Attributes of sites: fractions and percent, columns that nobody reads or that state one fact twice, texture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.ingest.sites.metadata import read_attributes, read_metadata
from fluxatlas.variables import check_texture


@pytest.mark.parametrize("shares", [(0.0, 1.0), (0.3, 0.02)])
def test_shares_of_crops_in_fractions_beside_percent_are_refused(tmp_path: Path, shares: tuple[float, float]) -> None:
    path = tmp_path / "soils.csv"
    path.write_text(f"site,sand,clay,cropFrac\nA,40,20,{shares[0]}\nB,30,25,{shares[1]}\n")
    with pytest.raises(InputError, match=r"cropFrac is a fraction .* \(never above (1|0.3)\), percent") as refused:
        read_attributes(path)
    assert "multiply it by 100" in refused.value.hint and "soils.csv" in refused.value.where
    for whole in ("0", "100", "2"):
        path.write_text(f"site,sand,clay,cropFrac\nA,40,20,0\nB,30,25,{whole}\n")
        assert read_attributes(path)["cropFrac"].max() == float(whole)


def test_texture_in_fractions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "soils.csv"
    path.write_text("site,sand,clay\nA,0.4,0.2\nB,0.55,0.1\n")
    with pytest.raises(InputError, match="sand and clay are fractions by magnitude"):
        read_attributes(path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("site,sandd,clay\nA,40,20\n", "'sandd' is not one of attributes of sites.*if it is sand"),
        ("site,sand,crop_frac\nA,40,20\n", "'crop_frac' is not .*if it is cropFrac"),
        ("site,LAI,clay\nA,2,20\n", "'LAI' is not .*if it is lai"),
        ("site,name\nA,b\n", "no column of attributes"),
    ],
)
def test_columns_of_attributes_that_nobody_reads(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table)
    with pytest.raises(InputError, match=f"(?s){message}"):
        read_attributes(tmp_path / "a.csv")


def test_other_columns_of_attributes_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("site,sand,clay,source,sand_sd\nA,40,20,x,3\n")
    assert list(read_attributes(tmp_path / "a.csv").columns) == ["sand", "clay"]
    (tmp_path / "a.csv").write_text("site,Latitude,Elevation_m,sand\nA,40,20,30\n")  # serves as metadata as well
    assert list(read_attributes(tmp_path / "a.csv").columns) == ["sand"]
    (tmp_path / "a.csv").write_text("site,igbp\nA,GRA\n")
    assert read_attributes(tmp_path / "a.csv").loc["A", "igbp"] == "GRA"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "site,lat,lon,Latitude\nA,40,5,40.001\nB,41,6,51\n",
            "'lat' and 'Latitude' both state the lat .* first 41 and 51",
        ),
        ("site,LON,lat,longitude\nA,5,40,-5\n", "'LON' and 'longitude' both state the lon .* 5 and -5"),
        ("site,lat,lon,elev,Altitude\nA,40,5,100,900\n", "'elev' and 'Altitude' .* elevation"),
        ("site,lat,lon,igbp,lc\nA,40,5,GRA,ENF\n", "'igbp' and 'lc' .* GRA and ENF"),
    ],
)
def test_two_columns_that_state_one_fact_and_differ(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        read_metadata(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "table",
    [
        "site,lat,Latitude,lon\nA,40.123,40.12,5\n",  # one of them rounded
        "site,lat,Latitude,lon\nA,40.123,,5\n",
        "ID,Site ID,lat,lon\n1,A,40.123,5\n",  # a number beside the id
        "site,lat,lon,igbp,lc\nA,40.123,5,GRA,grassland\n",
    ],
)
def test_two_columns_of_one_fact_that_agree(table: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(table)
    assert read_metadata(tmp_path / "a.csv")["A"]["lat"] == 40.123


def test_an_attribute_in_two_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("site,sand,Sand\nA,40,20\n")
    with pytest.raises(InputError, match="columns 'Sand' and 'sand' are one attribute"):
        read_attributes(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("sand", "clay", "message"),
    [
        ([0.4, 0.6], [20, 35], "sand is a fraction by magnitude .never above 0.6., clay is percent"),
        ([40, 60], [0.2, 0.35], "clay is a fraction by magnitude"),
        ([0.4, 0.9], [0.2, 0.1], "sand and clay are fractions by magnitude"),
        ([0.4], [0.2], "sand and clay are fractions by magnitude"),
        ([40, 60], [20, 41.5], "sand and clay add up to 101.5 %"),
    ],
)
def test_texture_in_two_scales(sand: list[float], clay: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_texture(sand, clay, where="x")


def test_texture_that_is_possible() -> None:
    for sand, clay in (([1.2, 0.4], [60, 70]), ([0, 0], [60, 70]), (0.5, 60), ([40, np.nan], [60.5, np.nan])):
        check_texture(sand, clay, where="x")


@pytest.mark.parametrize(
    ("sand", "clay"), [([97, 98], [0.8, 1.0]), ([99.5, 99.0], [0.4, 0.01]), ([40], [0.8]), ([0, 0], [45, 60])]
)
def test_soils_of_almost_no_clay_or_sand_are_soils(sand: list[float], clay: list[float]) -> None:
    check_texture(sand, clay, where="here")

"""Limits of a system test days, not values, chambers or sites: places of another kind are told and set apart."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fluxatlas.config import load
from fluxatlas.config.sites import QcRules, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import table
from fluxatlas.ingest.sites.daily import daily_mean
from fluxatlas.ingest.sites.land_cover import igbp_class
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.paths import DEFAULT_CONFIG
from fluxatlas.run import Run

RULES = QcRules(limits={"fch4": (-25.0, 37.0)}, other_cover={"fch4": ["WET"]}, min_values=1)
DAYS = pd.date_range("2018-05-01", periods=60)


def wetland(folder: Path, fluxes: np.ndarray, igbp: str | None) -> dict[str, Any]:
    """A FLUXNET-CH4 file of daily ``fluxes`` [mg m-2 d-1], as an entry."""
    path = folder / "FLX_XX-Wet_FLUXNET-CH4_DD_2018-2018_1-1.csv"
    made = pd.DataFrame({"TIMESTAMP": DAYS.strftime("%Y%m%d"), "FCH4": fluxes / (16.043e-6 * 86400), "TS_1": 8.0})
    made.to_csv(path, index=False)
    site = {"site": "XX-Wet", "lat": 61.8, "lon": 24.3} | ({"igbp": igbp} if igbp else {})
    return {"source": "fluxnet", "path": [str(path)], "sites": [site]}


SUMMER = 60 + 60 * np.sin(np.arange(60) / 60 * 2 * np.pi)
"""A bog: between 0 and 120 mg m-2 d-1, a third of it within the limits of upland soil."""


def build(entry: dict[str, Any], folder: Path, **qc: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    rules = RULES.model_dump() | qc
    table.build(SitesBlock.model_validate({"entries": [entry, upland(folder)], "qc": rules}), folder / "out")
    report = json.loads((folder / "out/report.json").read_text())
    return pd.read_csv(folder / "out/sites.csv").set_index("site"), report


def upland(folder: Path) -> dict[str, Any]:
    rows = [
        f"A,50,10,1,ENF,{day:%Y-%m-%d}T1{hour}:00Z,-1.5,mg CH4 m-2 d-1,upward_positive"
        for day in DAYS
        for hour in (0, 1)
    ]
    path = folder / "chambers.csv"
    path.write_text("site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n" + "\n".join(rows) + "\n")
    return {"source": "chambers", "path": [str(path)]}


@pytest.mark.parametrize(
    ("fluxes", "igbp", "reason"),
    [
        (SUMMER, "WET", "its land cover WET is another kind of place for fch4"),
        (0.1 * SUMMER, "WET", "its land cover WET"),  # all days are within the limits
        (0.1 * SUMMER, "wet", "its land cover WET"),
        (0.1 * SUMMER, "Permanent Wetlands", "its land cover WET"),
        (0.1 * SUMMER, "bog", "its land cover WET"),
        (SUMMER, None, "days of fch4 are outside -25 to 37 \\(qc.limits\\)"),
        (SUMMER, "CRO", "days of fch4 are outside"),  # a rice paddy
    ],
)
def test_a_wetland_is_left_out_not_cut_to_upland(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fluxes: np.ndarray, igbp: str | None, reason: str
) -> None:
    sites, report = build(wetland(tmp_path, fluxes, igbp), tmp_path)
    assert list(sites.index) == ["A"]
    assert re.search(reason, report["left_out"]["XX-Wet"])
    assert re.search(f"XX-Wet: left out: .*{reason}", capsys.readouterr().err)


def test_the_rules_name_land_cover_in_words_too(tmp_path: Path) -> None:
    sites, report = build(
        wetland(tmp_path, 0.1 * SUMMER, "WET"), tmp_path, other_cover={"fch4": ["Permanent wetlands"]}
    )
    assert list(sites.index) == ["A"] and "its land cover WET" in report["left_out"]["XX-Wet"]


def test_a_wetland_may_be_kept_for_evaluation_or_altogether(tmp_path: Path) -> None:
    entry = wetland(tmp_path, SUMMER, "WET")
    sites, report = build(entry, tmp_path, other_sites="evaluate")
    assert sites["use"].to_dict() == {"A": "train", "XX-Wet": "evaluate"} and not report["left_out"]
    assert any("kept for evaluation only" in note for note in report["sites"]["XX-Wet"]["notes"])
    sites, _ = build(entry, tmp_path, other_sites="keep")
    assert sites["use"].to_dict() == {"A": "train", "XX-Wet": "train"}
    sites, report = build(entry, tmp_path, limits={"fch4": (-100.0, 3000.0)}, other_cover={})
    kept = report["sites"]["XX-Wet"]["variables"]["fch4"]["days"]
    assert kept["kept"] == kept["read"] == 60 and "XX-Wet" in sites.index


def test_a_few_days_beyond_the_limits_make_no_other_kind_of_place(tmp_path: Path) -> None:
    fluxes = np.where(np.arange(60) == 20, 50.0, -1.0)
    sites, report = build(wetland(tmp_path, fluxes, "ENF"), tmp_path)
    assert "XX-Wet" in sites.index
    assert report["sites"]["XX-Wet"]["variables"]["fch4"]["days"]["dropped"] == {"outside -25 to 37 (qc.limits)": 1}


def test_where_all_sites_are_of_another_kind_the_message_says_so(tmp_path: Path) -> None:
    block = SitesBlock.model_validate({"entries": [wetland(tmp_path, SUMMER, "WET")], "qc": RULES.model_dump()})
    with pytest.raises(InputError, match=r"no site is left.*XX-Wet: left out: its land cover WET"):
        table.build(block, tmp_path / "out")


def test_the_kinds_of_a_run_are_those_its_system_declares(tmp_path: Path) -> None:
    demo = yaml.safe_load(DEFAULT_CONFIG.read_text())
    path = tmp_path / "config.yaml"
    found = []
    for limits in ({}, {"limits": {"fch4": [-100, 3000]}}):
        path.write_text(yaml.safe_dump(demo | {"sites": {"qc": limits}}))
        found.append(Run(load(path)).sites.qc)
    assert found[0].other_cover == {"fch4": ["WET", "WAT"]} and found[0].limits == {"fch4": (-25.0, 37.0)}
    assert found[1].other_cover == {} and found[1].limits == {"fch4": (-100.0, 3000.0)}


def chambers(values: np.ndarray, how: str = "mean") -> tuple[pd.DataFrame, Ledger]:
    """Daily rows of ``values`` (day, chamber, time of the day) [mg m-2 d-1], chambers put together as ``how`` says."""
    days, ports, times = values.shape
    index = pd.MultiIndex.from_product([DAYS[:days], range(ports), range(times)])
    raw = pd.Series(values.ravel(), name="flux")
    ledger = Ledger(chambers=how)
    known: dict[str, Any] = {"rules": RULES, "ledger": ledger, "site": "X"}
    port = pd.Series(index.get_level_values(1))
    return daily_mean(raw, pd.DatetimeIndex(index.get_level_values(0)), "fch4", group=port, **known), ledger


def test_a_chamber_near_the_limit_stays_in_the_mean() -> None:
    """One chamber between 30 and 42 beside two sinks: the plot is a source on every day."""
    values = np.full((40, 3, 4), -1.0)
    values[:, 0] = 34 + np.random.default_rng(1).uniform(-8, 8, (40, 4))
    rows, ledger = chambers(values)
    np.testing.assert_allclose(rows["value"], values.mean(axis=(1, 2)))
    assert (rows["value"] > 0).all() and (rows["qc"] == 1).all() and (rows["n"] == 12).all()
    assert not ledger.told()
    adjusted, _ = chambers(values, "adjusted")
    assert len(adjusted) == 40 and (adjusted["value"] > 0).all()
    assert adjusted["value"].median() == pytest.approx(rows["value"].median(), rel=0.02)


def test_a_chamber_on_other_ground_is_left_out_as_a_whole() -> None:
    values = np.full((40, 3, 4), -1.0)
    values[:, 2] = np.where(np.arange(40) % 3 == 0, 20.0, 300.0)[:, None]
    rows, ledger = chambers(values)
    assert (rows["value"] == -1.0).all() and len(rows) == 40
    assert rows["qc"].to_numpy() == pytest.approx(2 / 3)
    assert ledger.told() == ["X: chambers left out, most of whose days have fch4 outside -25 to 37: 2"]


def test_the_limits_are_those_of_the_day() -> None:
    values = np.full((40, 3, 4), -1.0)
    values[5] = 90.0
    rows, ledger = chambers(values)
    assert len(rows) == 39 and (rows["value"] == -1.0).all()
    assert "1 outside -25 to 37 (qc.limits)" in ledger.sentence("X", "fch4")


def test_qc_is_the_share_of_the_values_that_count() -> None:
    values = np.full((40, 3, 4), -1.0)
    values[3, 1, :2] = 9e5  # impossible
    values[4, 1, :2] = np.nan  # not measured
    rows, _ = chambers(values)
    assert rows["qc"].iloc[3] == pytest.approx(10 / 12) and rows["qc"].iloc[4] == 1.0
    assert (rows["value"] == -1.0).all()


def test_land_cover_of_a_table_of_attributes_is_judged_too(tmp_path: Path) -> None:
    (tmp_path / "soils.csv").write_text("site,igbp,sand,clay\nXX-Wet,Wetland,20,20\n")
    entry = wetland(tmp_path, 0.1 * SUMMER, None) | {"attributes": str(tmp_path / "soils.csv")}
    sites, report = build(entry, tmp_path)
    assert list(sites.index) == ["A"] and "its land cover WET" in report["left_out"]["XX-Wet"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Urban and Built-up Lands", "URB"),
        ("Evergreen needle-leaf forest", "ENF"),
        ("Permanent wetlands (fen)", "WET"),
        ("Peat bog", "WET"),
        ("WET - Permanent Wetlands", "WET"),
        ("Fen (WET)", "WET"),
        ("Grassland (fen)", "Grassland (fen)"),
        ("MFX", "MFX"),
        ("", ""),
    ],
)
def test_names_of_land_cover(text: str, code: str) -> None:
    assert igbp_class(text) == code


def test_attributes_of_a_site_that_is_left_out_are_not_judged(tmp_path: Path) -> None:
    (tmp_path / "soils.csv").write_text("site,igbp,sand,clay\nXX-Wet,Wetland,60,50\n")  # more than there is
    entry = wetland(tmp_path, 0.1 * SUMMER, None) | {"attributes": str(tmp_path / "soils.csv")}
    sites, _ = build(entry, tmp_path)
    assert list(sites.index) == ["A"]
    with pytest.raises(InputError, match="attributes of site 'XX-Wet'"):
        build(entry, tmp_path, other_sites="keep")


def test_land_cover_of_attributes_that_nobody_knows_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "soils.csv").write_text("site,igbp,sand,clay\nXX-Wet,heath,20,20\n")
    build(wetland(tmp_path, 0.1 * SUMMER, None) | {"attributes": str(tmp_path / "soils.csv")}, tmp_path)
    assert "XX-Wet: land cover 'heath' is not a class of IGBP (ENF, " in capsys.readouterr().err


def test_land_cover_that_nobody_knows_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sites, _ = build(wetland(tmp_path, 0.1 * SUMMER, "11"), tmp_path)
    assert list(sites.index) == ["A", "XX-Wet"]
    assert "XX-Wet: land cover '11' is not a class of IGBP (ENF, " in capsys.readouterr().err

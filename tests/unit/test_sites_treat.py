"""Annual CH4 fluxes of Treat et al.: the class that a run is about, whole years, measured shares, the real table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import table, treat
from fluxatlas.ingest.sites.periods import read_periods
from fluxatlas.ingest.sites.rds import read_rds
from fluxatlas.ingest.sites.records import Ledger
from site_layouts import rds
from site_layouts import treat as records

REAL = "wetland_ch4/Lyreshka_MethaneData/Annual_CH4_estimates.rds"
UPLAND = {"other_cover": {"fch4": ["WET", "WAT"]}}
WETLAND: dict[str, Any] = {"limits": {"fch4": [-200, 2500]}}


def read(folder: Path, rules: dict[str, Any] | None = None, **columns: Any) -> tuple[pd.DataFrame, dict[str, int]]:
    """The periods, and what was dropped."""
    path, ledger = folder / "Annual_CH4_estimates.rds", Ledger()
    path.write_bytes(records(**columns))
    entry = SiteEntry(source="treat", path=[str(path)])
    found = treat.read_periods([str(path)], entry, QcRules.model_validate({**WETLAND, **(rules or {})}), ledger)
    return found, dict(ledger.counts[treat.LABEL, "records", "values"])


def test_years_become_periods_in_canonical_units(tmp_path: Path) -> None:
    """3.6525 g m-2 in a year of 365.25 days are 10 mg m-2 d-1; the stated spread of 1.9 g is 5.2."""
    found, _ = read(tmp_path)
    np.testing.assert_allclose(found["value"], [10.0, 20.0, 40.0])
    assert (found["site"] == "Treat-4").all() and (found["variable"] == "fch4").all() and found["qc"].isna().all()
    assert list(found["start"].dt.year) == [1991, 1992, 1993] and (found["end"] - found["start"]).dt.days.max() == 366
    np.testing.assert_allclose(found["sd"][:2], 1900 / 365.25)
    twice, _ = read(tmp_path, Year=["1991", "1991", "1993"])
    np.testing.assert_allclose(twice["value"], [15.0, 40.0])


def test_a_unit_that_the_entry_states(tmp_path: Path) -> None:
    path = tmp_path / "Annual_CH4_estimates.rds"
    path.write_bytes(records())
    units = {"Annual_CH4_Flux_g_m2_y": {"units": "mg CH4 m-2 d-1", "reason": "the team of the site says so"}}
    entry = SiteEntry.model_validate({"source": "treat", "path": str(path), "units": units})
    found = treat.read_periods([str(path)], entry, QcRules.model_validate(WETLAND), Ledger())
    np.testing.assert_allclose(found["value"], [3.6525, 7.305, 14.61])


@pytest.mark.parametrize(
    ("rules", "kept", "reason"),
    [
        ({}, [20.0, 40.0], "of uplands, which this run is not about"),
        (UPLAND, [10.0], "of wetlands, which this run is not about"),
    ],
)
def test_only_the_class_that_the_run_is_about(tmp_path: Path, rules, kept: list[float], reason: str) -> None:
    found, dropped = read(tmp_path, rules, Wetland_Class=["Upland", "Fen", "Saline Marsh"])
    np.testing.assert_allclose(found["value"], kept)
    assert dropped[reason] == 3 - len(kept)


@pytest.mark.parametrize(
    ("columns", "reason", "n"),
    [
        ({"Wetland_Class": ["Lake", "", "Bog"]}, "of lakes or without class", 2),
        ({"Remove_QC": [True, False, False]}, "marked for removal", 1),
        ({"Year": ["1986-1996", "1992, 1993", "2066"]}, "without one calendar year", 3),
        ({"Latitude": [np.nan, 50.0, 95.0]}, "without position", 2),
        ({"Longitude": [-40.0, 10.0, 10.0]}, "at sea", 1),
        ({"Annual_Flux_Type": ["Estimated", "Modeled", "Measured"]}, "measured in too little of the year", 2),
        ({"Annual_CH4_Flux_g_m2_y": [1.0, np.nan, 1.0]}, "without annual flux", 1),
    ],
)
def test_records_that_are_left_out_are_counted(tmp_path: Path, columns: dict[str, Any], reason: str, n: int) -> None:
    found, dropped = read(tmp_path, **columns)
    assert dropped[reason] == n and len(found) == 3 - n


def test_a_season_counts_as_its_share_of_the_year(tmp_path: Path) -> None:
    found, _ = read(tmp_path, {"min_qc": 0.3}, Annual_Flux_Type="Estimated")
    np.testing.assert_allclose(found["qc"], 120 / 365.25)


def test_places_are_sites_that_their_years_keep(tmp_path: Path) -> None:
    """In the table of periods the flux has the name that the system gives it."""
    path = tmp_path / "Annual_CH4_estimates.rds"
    path.write_bytes(records(Measurement_Location=["1", "1", "2"]))
    rules = {**WETLAND, "taken_as": {"fch4": "fch4wet"}}
    block = SitesBlock.model_validate({"entries": [{"source": "treat", "path": str(path)}], "qc": rules})
    table.build(block, tmp_path / "out")
    sites = pd.read_csv(tmp_path / "out" / "sites.csv")
    assert list(sites["site"]) == ["Treat-4", "Treat-6"] and (sites["igbp"] == "WET").all()
    periods = read_periods(block, Ledger())
    assert set(periods["variable"]) == {"fch4wet"} and set(periods["site"]) == {"Treat-4", "Treat-6"}


def test_the_real_table(data_dir: Path) -> None:
    """Counted anew from its columns; its text is not UTF-8 and two of its wetlands lie in Hudson Bay."""
    path, ledger = str(data_dir / REAL), Ledger()
    entry = SiteEntry(source="treat", path=[path])
    found = treat.read_periods([path], entry, QcRules.model_validate(WETLAND), ledger)
    raw = read_rds(path, (), "latin-1")
    wet = raw["Wetland_Class"].isin(["Bog", "Fen", "Marsh", "SalineMarsh", "Saline Marsh", "Swamp", "ShallowWater"])
    measured = raw[wet & (raw["Annual_Flux_Type"] == "Measured") & raw["Annual_CH4_Flux_g_m2_y"].notna()]
    whole = measured[measured["Year"].str.fullmatch(r"\d{4}").fillna(False) & measured["Latitude"].notna()]
    assert 90 < len(found) <= len(whole)
    assert found["value"].max() == pytest.approx(whole["Annual_CH4_Flux_g_m2_y"].max() / 0.36525)
    dropped = ledger.counts[treat.LABEL, "records", "values"]
    assert dropped["of uplands, which this run is not about"] == (raw["Wetland_Class"] == "Upland").sum()


def test_other_data_of_r_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "Annual_CH4_estimates.rds"
    path.write_bytes(rds(Sort=[1.0], Latitude=[50.0]))
    with pytest.raises(InputError, match=r"'Wetland_Class', .* is missing"):
        treat.read_periods([str(path)], SiteEntry(source="treat", path=[str(path)]), QcRules(), Ledger())

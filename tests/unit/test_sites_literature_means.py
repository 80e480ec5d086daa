"""Means of soil CH4 flux from the literature: whole years of upland places, the others counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import literature_means, table
from fluxatlas.ingest.sites.records import Ledger

HEAD = "site,lat,lon,biome,year,n_rows,mean_mg_m2_d,min_mg_m2_d,max_mg_m2_d,period,use\n"
ROWS = (
    "A,50,10,forest,2009.5,3,-1.4,-3,-0.5,annual,yes\n"
    "B,51,10,forest,2011,1,-0.6,,,annual,yes\n"
    "C,52,10,forest,2013.5-2015.5,3,-1.6,-2,-1,annual,yes\n"
    "D,53,10,forest,2015,3,-4,-9,1,annual,doubtful\n"
    "E,50,11,forest,2015,3,-4,-9,1,growingseason,yes\n"
    "F,50,12,forest,,3,-4,-9,1,annual,yes\n"
)
UPLAND: dict[str, Any] = {"limits": {"fch4": [-25, 37]}, "other_cover": {"fch4": ["WET", "WAT"]}}


def read(folder: Path, text: str = HEAD + ROWS, **rules: Any) -> tuple[pd.DataFrame, dict[str, int]]:
    path, ledger = folder / "upland_ch4_places.csv", Ledger()
    path.write_text(text)
    entry = SiteEntry(source="literature_means", path=[str(path)])
    found = literature_means.read_periods([str(path)], entry, QcRules.model_validate(rules or UPLAND), ledger)
    return found, dict(ledger.counts[literature_means.LABEL, "places", "values"])


def test_means_of_whole_years_become_periods(tmp_path: Path) -> None:
    found, dropped = read(tmp_path)
    assert list(found["site"]) == ["A", "B", "C"] and list(found["start"].dt.year) == [2009, 2011, 2013]
    np.testing.assert_allclose(found["value"], [-1.4, -0.6, -1.6])
    np.testing.assert_allclose(found["sd"], [1.25, 0.15 + 0.2 * 0.6, 0.5])  # half the range; the error model
    assert list(found["end"].dt.year) == [2010, 2012, 2016] and found["qc"].isna().all()
    reasons = ("marked doubtful", "not annual means", "without year")
    assert [dropped[reason] for reason in reasons] == [1, 1, 1] and dropped["read"] == 6


def test_a_run_on_wetlands_takes_none(tmp_path: Path) -> None:
    found, dropped = read(tmp_path, limits={"fch4": [-200, 2500]})
    assert found.empty and dropped["of uplands, which this run is not about"] == 6


def test_places_are_sites_in_the_table(tmp_path: Path) -> None:
    read(tmp_path)
    entry = {"source": "literature_means", "path": str(tmp_path)}
    table.build(SitesBlock.model_validate({"entries": [entry], "qc": UPLAND}), tmp_path / "out")
    assert list(pd.read_csv(tmp_path / "out" / "sites.csv")["site"]) == ["A", "B", "C"]


def test_the_real_table(data_dir: Path) -> None:
    path = data_dir / "soil_ch4/corina-vinarov_corina-summer-project/upland_ch4_places.csv"
    raw = pd.read_csv(path)
    whole = raw[(raw["use"] == "yes") & (raw["period"] == "annual")]
    entry = SiteEntry(source="literature_means", path=[str(path)])
    found = literature_means.read_periods([str(path)], entry, QcRules.model_validate(UPLAND), Ledger())
    assert sorted(found["site"]) == sorted(whole["site"]) and len(found) > 2
    means = found.set_index("site")["value"]
    np.testing.assert_allclose(means[whole["site"]], whole["mean_mg_m2_d"])
    long = found[found["site"].str.startswith("Hoeglwald")].iloc[0]
    assert (str(long["start"].date()), str(long["end"].date())) == ("1994-01-01", "1998-01-01")


@pytest.mark.parametrize(
    ("text", "message"),
    [(HEAD.replace("use", "used") + ROWS, "'use' is missing"), (HEAD + ROWS.replace("-1.4", "x"), "'x'")],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)

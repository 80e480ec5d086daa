"""Monthly tower tables of CARDAMOM-FluxVal: means of periods, against numbers by hand and real daily files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import cardamom, stdfmt
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.records import Ledger

TABLE = "ID,Date,GPP,NEE,ET\n7,201011,2.5,-0.5,0.864\n7,201101,3,-1,NA\n7,201102,-9999,0.25,1.728\n"


def folder(where: Path, text: str = TABLE) -> SiteEntry:
    (where / "validation_XX-Tst.csv").write_text(text)
    (where / "location_fluxnet.csv").write_text("Flux_name,LC,Lat,lon,flux_site\nXX-Tst,GRA,47.1,11.3,XX-Tst\n")
    return SiteEntry(source="cardamom", path=[str(where)], metadata=str(where / "location_fluxnet.csv"))


def test_months_become_periods(tmp_path: Path) -> None:
    """ET of 0.864 mm d-1 is 1e-5 kg m-2 s-1; a month without GPP has no respiration; gaps between months stay."""
    entry, ledger = folder(tmp_path), Ledger()
    files = entry_files(entry)
    assert [Path(path).name for path in files] == ["validation_XX-Tst.csv"]  # not the list of positions
    found = cardamom.read_periods(files, entry, QcRules(), ledger).set_index(["variable", "start"])
    november, january, february = pd.to_datetime(["2010-11-01", "2011-01-01", "2011-02-01"])
    assert found.loc[("nee", november), "value"] == -0.5
    assert found.loc[("reco", january), "value"] == 2.0
    np.testing.assert_allclose(found.loc["evspsbl", "value"], [1e-5, 2e-5])
    assert found.loc[("nee", february), "end"] == pd.Timestamp("2011-03-01")
    assert found.groupby("variable").size().to_dict() == {"evspsbl": 2, "gpp": 2, "nee": 3, "reco": 2}
    assert (found["lat"] == 47.1).all() and found["qc"].isna().all() and (found["sd"] > 0).all()
    (record,) = cardamom.read(files, entry, QcRules(), Ledger())
    assert record.site["igbp"] == "GRA" and record.forcing is None and record.observations.empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TABLE.replace("201101", "201013"), "201013"),
        (TABLE + "7,201102,1,2,3\n", "2011-02-01 00:00 occurs more than once"),
        (TABLE.replace("ET", "LE"), "column 'ET' is missing"),
        (TABLE.replace("-0.5", "x"), "x"),
    ],
)
def test_tables_that_are_refused(text: str, message: str, tmp_path: Path) -> None:
    entry = folder(tmp_path, text)
    with pytest.raises(InputError, match=message):
        cardamom.read_periods(entry_files(entry), entry, QcRules(), Ledger())


def test_evapotranspiration_is_that_of_the_daily_files_of_the_tower(data_dir: Path) -> None:
    """The unit is stated nowhere: the months of Walnut Gulch beside the daily series of the same tower [kg m-2 s-1]."""
    towers = data_dir / "flux_towers"
    base = towers / "CARDAMOM-framework_CARDAMOM_v2.2"
    path = str(base / "validation_data" / "validation_US-Wkg.csv")
    entry = SiteEntry(source="cardamom", path=[path], metadata=str(base / "location_fluxnet.csv"))
    months = cardamom.read_periods([path], entry, QcRules(), Ledger()).query("variable == 'evspsbl'")
    (daily,) = towers.glob("**/*WKG*.stdfmt.daily.txt")
    place = {"site": "US-Wkg", "lat": 31.74, "lon": -109.94, "name_in_file": "WKG"}
    told = SiteEntry.model_validate({"source": "stdfmt", "path": str(daily), "sites": [place]})
    (record,) = stdfmt.read([str(daily)], told, QcRules(), Ledger())
    days = record.observations.query("variable == 'evspsbl'").set_index("time")["value"].resample("MS")
    both = pd.DataFrame({"month": months.set_index("start")["value"], "days": days.mean()[days.count() > 25]}).dropna()
    assert len(both) > 20
    np.testing.assert_allclose(both["month"].mean(), both["days"].mean(), rtol=0.03)
    assert both.corr().iloc[0, 1] > 0.99

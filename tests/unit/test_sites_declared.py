"""Chamber tables in layouts of their own: every rule on a small file, and the shipped example on the real studies."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from fluxatlas.config import load
from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.sites import chambers
from fluxatlas.ingest.sites.records import Ledger, SiteRecord
from fluxatlas.paths import REPOSITORY

EXAMPLE = REPOSITORY / "config/examples/chamber_tables.yaml"
FILES = "soil_ch4/*/"
CARBON = 16.043 / 12.011 * 24e-3
"""mg CH4 m-2 d-1 of one ug CH4-C m-2 h-1."""
AMOUNT = 16.043e-6 * 86400
"""mg CH4 m-2 d-1 of one nmol m-2 s-1."""

TEXT = """when,treat,plot,f,t
06/01/2001 23:30,control,1,0.5,12
06/01/2001 23:30,control,2,1.5,14
06/02/2001 00:30,control,1,2.5,13
06/02/2001 00:30,warmed,3,90,30
"""
TABLE: dict[str, Any] = {
    "columns": {"datetime_local": "when", "flux": "f", "chamber": "plot", "soil_temperature": "t"},
    "constants": {
        "site": "X",
        "flux_unit": "mg CH4 m-2 d-1",
        "flux_sign": "uptake_positive",
        "soil_temperature_depth_cm": 5,
        "soil_temperature_unit": "degC",
    },
    "only": {"treat": ["control"]},
    "time_format": "%m/%d/%Y %H:%M",
}
SITE = {"site": "X", "lat": 50, "lon": -100, "utc_offset": -7}


def read(tmp_path: Path, text: str = TEXT, **changed: Any) -> SiteRecord:
    path = tmp_path / "study.csv"
    path.write_text(text)
    made = SiteEntry.model_validate(
        {"source": "chambers", "path": str(path), "table": TABLE | changed, "sites": [SITE]}
    )
    (record,) = chambers.read([str(path)], made, QcRules(), Ledger(chambers="mean"))
    return record


def test_columns_constants_rows_and_local_days(tmp_path: Path) -> None:
    found = read(tmp_path).observations
    flux = found.query("variable == 'fch4'").set_index("time")["value"]
    assert flux.to_dict() == {pd.Timestamp("2001-06-01"): -1.0, pd.Timestamp("2001-06-02"): -2.5}  # the site's own days
    assert found.query("variable == 'tsl05'")["value"].tolist() == pytest.approx([286.15, 286.15])
    late = {"datetime_utc": "when"} | {k: v for k, v in TABLE["columns"].items() if k != "datetime_local"}
    utc = read(tmp_path, columns=late).observations.query("variable == 'fch4'")
    assert utc["time"].tolist() == [pd.Timestamp("2001-06-01")] and utc["value"].tolist() == [-1.5]


@pytest.mark.parametrize("name", ["NA", "007"])
def test_names_of_a_column_that_is_called_otherwise_are_text(tmp_path: Path, name: str) -> None:
    text = TEXT.replace("control", name).replace("warmed", name)
    columns = TABLE["columns"] | {"site": "treat"}
    constants = {k: v for k, v in TABLE["constants"].items() if k != "site"}
    place = [SITE | {"site": name}]
    path = tmp_path / "study.csv"
    path.write_text(text)
    stated = TABLE | {"columns": columns, "constants": constants, "only": {}}
    entry = SiteEntry.model_validate({"source": "chambers", "path": str(path), "table": stated, "sites": place})
    (record,) = chambers.read([str(path)], entry, QcRules(), Ledger(chambers="mean"))
    assert record.site["site"] == name and len(record.observations)


def test_dates_may_repeat_and_times_may_not(tmp_path: Path) -> None:
    twice = "when,treat,plot,f,t\n2001-06-01,control,1,1,12\n2001-06-01,control,1,2,12\n2001-06-01,control,2,6,12\n"
    found = read(tmp_path, twice, time_format=None).observations.query("variable == 'fch4'")
    assert found["value"].tolist() == [-3.75] and found["n"].tolist() == [3]  # the mean of 1.5 and 6
    with pytest.raises(FluxAtlasError, match="different rows for one chamber"):
        read(tmp_path, twice.replace("2001-06-01", "2001-06-01T10:00"), time_format=None)


def without(block: str, name: str) -> dict[str, Any]:
    return {block: {key: value for key, value in TABLE[block].items() if key != name}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"columns": TABLE["columns"] | {"fluxx": "f"}}, "'fluxx' is not a column .* did you mean 'flux'"),
        ({"columns": TABLE["columns"] | {"flux": "ff"}}, "'ff'"),
        (without("constants", "flux_sign"), "'flux_sign' is not given"),
        (without("constants", "soil_temperature_unit"), "'soil_temperature_unit' is missing"),
        (without("columns", "datetime_local"), "one of datetime_utc and datetime_local"),
        ({"only": {"treat": ["Control"]}}, "no row is left"),
        ({"only": {"treatment": ["control"]}}, "'treatment'"),
        ({"time_format": "%Y-%m-%d"}, "is not a time"),
        ({"constants": TABLE["constants"] | {"flux_unit": "mg m-2 d-1"}}, "CH4 or CH4-C"),
        ({"constants": TABLE["constants"] | {"site": "Y"}}, "no coordinates for site 'Y'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(FluxAtlasError, match=said) as caught:
        read(tmp_path, **changed)
    assert "study.csv" in caught.value.where


def test_a_column_and_a_constant_for_one_thing_are_refused() -> None:
    both = TABLE | {"constants": TABLE["constants"] | {"flux": 1.0}}
    with pytest.raises(ValidationError, match="'flux' stands under 'columns' and under 'constants'"):
        SiteEntry.model_validate({"source": "chambers", "path": "x", "table": both})


def test_only_chamber_tables_are_declared() -> None:
    with pytest.raises(ValidationError, match="'table' is not used with 'source: cosore'"):
        SiteEntry.model_validate({"source": "cosore", "path": "x", "table": TABLE})


@pytest.fixture(scope="module")
def studies(data_dir: Path) -> dict[str, tuple[SiteRecord, Ledger]]:
    """The sites of the shipped example, read from the files of that name in the collection, by name."""
    found = {}
    for entry in load(EXAMPLE).sites.entries:
        paths = [str(next(data_dir.glob(FILES + path.rsplit("/", 1)[1]))) for path in entry.path]
        ledger = Ledger()
        (record,) = chambers.read(paths, entry.model_copy(update={"path": paths}), QcRules(), ledger)
        found[record.name] = (record, ledger)
    return found


def raw(data_dir: Path, name: str) -> pd.DataFrame:
    text = next(data_dir.glob(FILES + name)).read_bytes().decode().replace("\r\n", "\n").replace("\r", "\n")
    return pd.read_csv(io.StringIO(text), na_values=[-9999])


@pytest.mark.parametrize(
    ("site", "file", "column", "time", "chamber", "factor", "chamber_days"),
    [
        ("EucFACE", "eucface_soil_ghg.csv", "ch4_ugC_m2_h", "date", "collar", CARBON, 731),
        ("EAB", "EAB_SoilFlux_CO2CH4flux.csv", "CH4_flux_umol_m-2_s-1", "date", "collar_id", 1e3 * AMOUNT, 378),
        ("SERC-2022", "licorRTA.csv", "FCH4", "timestamp", "Collar", AMOUNT, 48),
    ],
)
def test_levels_are_those_of_the_files(
    data_dir: Path,
    studies: Any,
    site: str,
    file: str,
    column: str,
    time: str,
    chamber: str,
    factor: float,
    chamber_days: int,
) -> None:
    """The mean over chambers of their own means, in mg CH4 m-2 d-1, from the file by pandas alone."""
    record, ledger = studies[site]
    table = raw(data_dir, file)
    if site == "EucFACE":
        table = table[table["co2_treatment"] == "Ambient"]
    if site == "SERC-2022":
        table = table[(table["Location"] == "g_up") & (table["Experiment"] == "Control")]
    table = table.dropna(subset=[column])
    assert len(table) == chamber_days
    flux = record.observations.query("variable == 'fch4'").set_index("time")["value"]
    days = pd.to_datetime(table[time], format="mixed").dt.floor("D")
    assert set(flux.index) == set(days)
    expected = table.groupby(chamber)[column].mean().mean() * factor
    assert flux.mean() == pytest.approx(expected, rel=0.12)  # Huber bounds bursts, and gaps are put right
    found = ledger.compositions[site, "fch4"]
    assert found.adjusted and len(found.chambers) == table[chamber].nunique()
    ranks = found.chambers.set_index("chamber")["effect"].corr(
        table.assign(chamber=table[chamber].astype(str)).groupby("chamber")[column].mean(), method="spearman"
    )
    assert ranks > 0.9


def test_signs_and_sizes_of_the_source_list(studies: Any) -> None:
    """Sinks everywhere on high ground; the park has hot spots beside water; units as in docs of the studies."""
    flux = {name: r.observations.query("variable == 'fch4'")["value"] for name, (r, _) in studies.items()}
    assert flux["EAB"].between(-12.1 * AMOUNT, -1.4 * AMOUNT).all()
    assert flux["EucFACE"].mean() == pytest.approx(-20.9 * CARBON, abs=0.1)
    assert -1.7 * AMOUNT < flux["SERC-2019"].mean() < -0.6 * AMOUNT
    assert -1.7 * AMOUNT < flux["SERC-2022"].mean() < 0.0
    park = studies["Aarhus"][1].compositions["Aarhus", "fch4"]
    assert {"32", "26"} <= set(park.chambers.loc[park.chambers["hot_spot"], "chamber"])
    assert len(park.chambers) == 56 and park.days["value"].mean() < 0
    assert any("no day in common" in line for line in studies["SERC-2019"][1].told())
    assert np.isfinite(park.days["sd"]).all()

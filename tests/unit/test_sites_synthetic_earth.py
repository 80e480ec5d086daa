"""The site files of the synthetic Earth through the real readers: nothing lost, nothing scaled."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import sites_for_synthetic_earth
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.ingest.sites import table
from fluxatlas.ingest.sites.inputs import site_inputs
from fluxatlas.systems import get_system
from fluxatlas.testing.earth import SyntheticEarth
from fluxatlas.testing.site_files import write_sites

FACTORS = {("ug CH4-C m-2 h-1", "uptake_positive"): -0.032057, ("nmol m-2 s-1", "upward_positive"): 1.3861}
"""To mg CH4 m-2 d-1, from the table of the science notes."""

SYSTEM = get_system("soil_methane_sink")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("sites")
    write_sites(
        SyntheticEarth(SyntheticEarthBlock(towers=1, chambers=2)),
        get_system("soil_methane_sink"),
        (-112, 33, -108, 37),
        2010,
        2010,
        raw,
    )
    return raw


def test_synthetic_sites_become_the_site_table(folder: Path, tmp_path: Path) -> None:
    block = sites_for_synthetic_earth(str(folder))
    table.build(block, tmp_path, [str(folder)])
    sites = pd.read_csv(tmp_path / "sites.csv").set_index("site")
    assert sites["kind"].tolist() == ["chamber", "chamber", "tower"]
    forcing = pd.read_parquet(tmp_path / "forcing.parquet")
    assert len(forcing) == 365
    raw = pd.read_csv(next(folder.glob("FLX_*.csv")))
    np.testing.assert_allclose(forcing["tas"], raw["TA_F"] + 273.15, rtol=1e-6)
    observed = pd.read_parquet(tmp_path / "observations.parquet").query("origin == 'measured'")
    soil = observed.query("variable == 'swc15'")["value"]
    assert soil.to_numpy() == pytest.approx(raw.loc[raw["SWC_F_MDS_2"] != -9999, "SWC_F_MDS_2"].to_numpy() / 100)
    listed = pd.read_csv(folder / "chambers.csv", comment="#")
    factor = [FACTORS[key] for key in zip(listed["flux_unit"], listed["flux_sign"], strict=True)]
    expected = (listed["flux"] * factor).groupby(listed["site"]).mean()
    got = observed.query("variable == 'fch4'").groupby("site")["value"].mean()
    pd.testing.assert_series_equal(got, expected, check_names=False, rtol=1e-3)  # one measurement a day


def test_inputs_before_and_after_the_files_exist(folder: Path) -> None:
    names = [Path(path).name for path in site_inputs(sites_for_synthetic_earth(str(folder)))]
    assert names == ["FLX_XX-T01_FLUXNET2015_FULLSET_DD_2010-2010_1-1.csv", "towers.csv", "chambers.csv"]
    assert site_inputs(sites_for_synthetic_earth("not/yet")) == [
        "not/yet",
        "not/yet/towers.csv",
        "not/yet/chambers.csv",
    ]

"""The site files of the synthetic Earth through the real readers: nothing lost, nothing scaled."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import sites_for_synthetic_earth
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.errors import ConfigError
from fluxatlas.ingest.sites import table
from fluxatlas.ingest.sites.inputs import site_inputs
from fluxatlas.systems import Flux, ObservationKind, System, get_system
from fluxatlas.systems.slow import LEAF_AREA
from fluxatlas.testing.earth import SyntheticEarth
from fluxatlas.testing.site_files import write_sites
from fluxatlas.testing.sites import local_days, place_sites, site_truth
from fluxatlas.testing.waves import scatter
from toy_system import TOY

FACTORS = {("ug CH4-C m-2 h-1", "uptake_positive"): -0.032057, ("nmol m-2 s-1", "upward_positive"): 1.3861}
"""To mg CH4 m-2 d-1, from the table of the science notes."""

SYSTEM = get_system("soil_methane_sink")
MEASURED = {"towers": SYSTEM.measured_by("tower"), "chambers": True}


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
    block = sites_for_synthetic_earth(str(folder), **MEASURED)
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
    names = [Path(path).name for path in site_inputs(sites_for_synthetic_earth(str(folder), **MEASURED))]
    assert names == ["FLX_XX-T01_FLUXNET2015_FULLSET_DD_2010-2010_1-1.csv", "towers.csv", "chambers.csv"]
    assert site_inputs(sites_for_synthetic_earth("not/yet", **MEASURED)) == [
        "not/yet",
        "not/yet/towers.csv",
        "not/yet/chambers.csv",
    ]


class CarbonTruth:
    """A truth without soil: respiration by warmth and light, evaporation by light alone."""

    def parameters(self, temperature, attributes, monthly, waves):
        return {"base": np.full(len(temperature), 1.5)}

    def simulate(self, drivers, attributes, hidden, *, lat, dates):
        nee = hidden["base"] + 0.12 * (drivers["tas"] - 283.15) - 0.02 * drivers["rsds"]
        return {"nee": nee, "evspsbl": 1e-7 * drivers["rsds"], "fch4": 0.1 * nee, "swc15": 0.2 + 0 * nee}


def _observing(*kinds: ObservationKind) -> System:
    names = tuple(kind.variable for kind in kinds)
    fluxes = tuple(Flux(name, 1.0, name) for name in names)
    return replace(TOY, observations=kinds, fluxes=fluxes, slow=(LEAF_AREA,), truth=f"{__name__}:CARBON_TRUTH")


CARBON_TRUTH = CarbonTruth()


def test_site_files_hold_what_the_system_observes_and_nothing_else(tmp_path: Path) -> None:
    """Carbon and water at towers, one soil sensor, no chambers: read back, they are the truth with the stated error."""
    earth = SyntheticEarth(SyntheticEarthBlock(towers=2, chambers=2))
    system = _observing(*(ObservationKind(name) for name in ("nee", "evspsbl", "swc15")))
    raw, made = tmp_path / "raw", tmp_path / "made"
    written = write_sites(earth, system, (-112, 33, -108, 37), 2010, 2010, raw)
    assert {path.name for path in written} == set(earth.settings.site_files(2010, 2010, chambers=False))
    head = pd.read_csv(next(raw.glob("FLX_*.csv")))
    assert not [name for name in head if name.startswith(("TS_", "FCH4", "SWC_F_MDS_1"))]
    block = sites_for_synthetic_earth(str(raw), towers=system.measured_by("tower"), chambers=False)
    table.build(block, made, [str(raw)])
    found = pd.read_parquet(made / "observations.parquet").query("origin == 'measured'")
    assert (
        set(found["variable"]) == {"nee", "evspsbl", "hfls", "swc15"} and pd.read_csv(made / "sites.csv").shape[0] == 2
    )
    towers, _ = place_sites(earth, (-112, 33, -108, 37))
    dates = pd.date_range("2010-01-01", "2010-12-31")
    true = site_truth(earth, system, towers, dates)
    for name in ("nee", "evspsbl"):
        local = pd.DataFrame(local_days(true[name], towers.utc_offset), dates, towers.names)
        rows = found[found["variable"] == name]
        known = local.to_numpy()[local.index.get_indexer(rows["time"]), [towers.names.index(s) for s in rows["site"]]]
        scaled = (rows["value"] - known) / rows["sd"]
        assert len(rows) > 500 and abs(scaled.mean()) < 0.2 and scaled.std() == pytest.approx(1, abs=0.12), name


def test_methane_at_towers_and_by_chambers_without_soil(tmp_path: Path) -> None:
    earth, box = SyntheticEarth(SyntheticEarthBlock(towers=1, chambers=2)), (-112.0, 33.0, -108.0, 37.0)
    write_sites(earth, _observing(ObservationKind("fch4")), box, 2010, 2010, tmp_path / "towers")
    head = pd.read_csv(next((tmp_path / "towers").glob("FLX_*.csv")))
    assert "FCH4" in head and not (tmp_path / "towers" / "chambers.csv").exists()
    write_sites(earth, _observing(ObservationKind("fch4", instrument="chamber")), box, 2010, 2010, tmp_path / "both")
    head = pd.read_csv(next((tmp_path / "both").glob("FLX_*.csv")))
    listed = pd.read_csv(tmp_path / "both" / "chambers.csv", comment="#")
    assert "FCH4" not in head and listed["flux"].notna().all()
    assert not [name for name in listed if name.startswith("soil_")]


@pytest.mark.parametrize("kind", [ObservationKind("rs"), ObservationKind("nee", instrument="chamber")])
def test_what_no_file_can_hold_is_refused_before_anything_is_written(kind: ObservationKind, tmp_path: Path) -> None:
    earth = SyntheticEarth(SyntheticEarthBlock(towers=1, chambers=2))
    with pytest.raises(ConfigError, match=f"cannot hold {kind.variable}"):
        write_sites(earth, _observing(kind), (-112, 33, -108, 37), 2010, 2010, tmp_path)
    assert not list(tmp_path.iterdir())


class UnevenTruth(CarbonTruth):
    """The same where plants breathe more in some cells than in others, for no reason."""

    def parameters(self, temperature, attributes, monthly, waves, scatter=None):
        base = super().parameters(temperature, attributes, monthly, waves)["base"]
        return {"base": base * np.exp(0.3 * scatter("base")) if scatter else base}


UNEVEN_TRUTH = UnevenTruth()


def test_the_realistic_world_of_another_system_is_the_one_it_declares(tmp_path: Path) -> None:
    box, dates = (-112.0, 33.0, -108.0, 37.0), pd.date_range("2010-01-01", "2010-12-31")
    real = SyntheticEarth(SyntheticEarthBlock(world="realistic", towers=12, chambers=2))
    plain = _observing(ObservationKind("nee"))
    uneven = replace(plain, truth=f"{__name__}:UNEVEN_TRUTH")
    towers, _ = place_sites(real, box)
    kind = site_truth(SyntheticEarth(SyntheticEarthBlock(towers=12, chambers=2)), uneven, towers, dates)["nee"]
    shift = site_truth(real, uneven, towers, dates)["nee"] - kind
    base = 1.5 * np.exp(0.3 * scatter(73, "base", towers.place.lat, towers.place.lon)) - 1.5
    np.testing.assert_allclose(shift, np.broadcast_to(base, shift.shape), atol=1e-5)
    assert write_sites(real, uneven, box, 2010, 2010, tmp_path / "sites")
    with pytest.raises(ConfigError, match="no world 'realistic'"):
        write_sites(real, plain, box, 2010, 2010, tmp_path / "none")

"""The whole chain with another system: proof that stages and rules know no system by name."""

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import forked
from fluxatlas.config import load
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run
from fluxatlas.testing.earth import SyntheticEarth
from fluxatlas.testing.weather import daily as daily_weather
from toy_system import carbon

TESTS = REPOSITORY / "tests"
PLACES = {f"XX-A{n:02d}": (36.9 + 0.17 * n, -7.9 + 0.22 * n) for n in range(1, 6)}
"""Towers on land in the tile, far enough apart to be blocks of their own."""
LIGHT_OF_THE_TOWERS = 1.3
"""What the real plants make of light, against 1 of the process model."""
CONFIG = {
    "run": {"name": "toy"},
    "system": "toy_system:TOY",
    "grid": {"name": "4km", "tile_size": 2},
    "domain": {"west": -8, "south": 36, "east": -6, "north": 38},
    "period": {"start": 2001, "end": 2001, "spinup": "repeat", "spinup_years": 1},
    "forcing": {"source": "synthetic_earth"},
    "atmosphere": {"series": {"co2": {"path": "co2_annmean_gl.csv"}}},
    "sites": {
        "entries": [
            {
                "source": "fluxnet",
                "path": ["towers"],
                "sites": [
                    {"site": site, "lat": lat, "lon": lon, "elevation": 100.0, "utc_offset": 0}
                    for site, (lat, lon) in PLACES.items()
                ],
            }
        ]
    },
    "synthetic_earth": {"resolution": 0.5},
    "synthesize": {"site_days": 20000, "spinup_years": 0, "include_sites": 0.0},
    "train": {
        "members": 2,
        "hidden": 8,
        "batch": 8,
        "sequence_days": 60,
        "warmup_days": 10,
        "pretrain_epochs": 10,
        "finetune_epochs": 15,
        "finetune_steps": 60,
        "block_distance_km": 5,
        "baselines": ["process", "trees"],
    },
    "experiments": {
        "models": ["gru"],
        "transfers": ["finetune", "none"],
        "splits": ["space"],
        "seeds": 1,
        "references": ["process", "mean"],
        "folds": 2,
    },
    "report": {"dpi": 60},
}


def write_inputs(folder: Path) -> None:
    """CO2, and the towers' exchange: that of the process model with better plants on the exact weather, and noise."""
    years = "".join(f"{year},{360 + 2 * (year - 1995)},0.1\n" for year in range(1999, 2004))
    (folder / "co2_annmean_gl.csv").write_text(f"# CO2\nyear,mean,unc\n{years}")
    (folder / "towers").mkdir()
    earth, dates = SyntheticEarth(SyntheticEarthBlock(resolution=0.5)), pd.date_range("2001-01-01", "2001-12-31")
    rng = np.random.default_rng(5)
    for site, (lat, lon) in PLACES.items():
        weather = daily_weather(earth.seed, earth.climate(np.array([lat]), np.array([lon]), np.array([100.0])), dates)
        slope = np.array([LIGHT_OF_THE_TOWERS])
        nee = carbon(weather["rsds"], weather["tas"], np.full((365, 1), 1.5), np.full((365, 1), 372.0), slope)["nee"]
        table = pd.DataFrame(
            {"TIMESTAMP": dates.strftime("%Y%m%d"), "NEE_VUT_REF": nee[:, 0] + rng.normal(0, 0.2, 365)}
        )
        table["NEE_VUT_REF_QC"] = 1.0
        table.to_csv(folder / "towers" / f"FLX_{site}_FLUXNET2015_FULLSET_DD_2001-2001_1-1.csv", index=False)
    (folder / "toy.yaml").write_text(yaml.safe_dump(CONFIG))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("toy")
    write_inputs(folder)
    place = ("--directory", str(folder), "--configfile", str(folder / "toy.yaml"))
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    with forked.fluxatlas_command(folder) as commands:
        found = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
        done = forked.snakemake("all", "benchmark", "--cores", "2", *place, env={"PYTHONPATH": path, "PATH": found})
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder, Run(load(folder / "toy.yaml"))


def test_the_product_holds_the_identity_on_all_land(run: tuple[Path, Run]) -> None:
    folder, toy = run
    days = {}
    for name in ("nee", "gpp", "reco"):
        with xr.open_dataset(folder / toy.paths.daily(name, 2001), engine="netcdf4") as data:
            days[name] = data[name].load()
            assert f"{name}_sd" in data and data.attrs["keywords"].startswith(name)
            assert "areacella * sftlf / 100" in data.attrs["comment"]
    with xr.open_dataset(folder / toy.paths.attributes(toy.tiles[0]), engine="netcdf4") as layers:
        land = ((layers["sftlf"] >= 50) & np.isfinite(layers["clay"])).to_numpy()
        active = layers["active"].to_numpy() == 1
    assert active.sum() > 1000 and (land & ~active).sum() == 0  # every cell of land whose soil is known
    assert (np.isfinite(days["nee"]).all("time").to_numpy() == active).all()
    step = 0.0025 + 2 * 0.001  # of the packed integers
    assert float(np.abs(days["nee"] - (days["reco"] - days["gpp"])).max()) <= step
    assert float(days["gpp"].min()) >= 0 and float(days["reco"].min()) >= 0


def test_budgets_are_sums_over_the_land_in_the_unit_of_each_flux(run: tuple[Path, Run]) -> None:
    folder, toy = run
    table = pd.read_csv(folder / toy.paths("products", "budget.csv"))
    assert set(table["variable"]) == {"nee", "gpp"} and set(table["unit"]) == {"Tg yr-1"}  # reco is never summed
    with xr.open_dataset(folder / toy.paths.attributes(toy.tiles[0]), engine="netcdf4") as layers:
        area = (layers["areacella"] * layers["sftlf"] / 100 * (layers["active"] == 1)).to_numpy().astype(float)
    with xr.open_dataset(folder / toy.paths.daily("gpp", 2001), engine="netcdf4") as data:
        total = float(np.nansum(data["gpp"].to_numpy().astype(float).sum(axis=0) * area)) * 1e-12  # g to Tg
    found = table.query("variable == 'gpp' and region_kind == 'global'")["mean"].item()
    assert found == pytest.approx(total, rel=1e-3)


def test_members_predict_towers_that_they_have_not_seen(run: tuple[Path, Run]) -> None:
    folder, toy = run
    skill = pd.read_csv(folder / toy.paths("evaluate", "skill.csv"))
    rows = skill.query("split == 'test' and target == 'nee' and scale == 'daily' and member == 'all'").set_index(
        "model"
    )
    assert {"network", "process", "trees"} <= set(rows.index)
    assert rows.loc["process", "r2"] > 0.8  # its light is not that of the towers
    assert rows.loc["network", "r2"] > 0.5 and rows.loc["network", "sites"] == len(PLACES)


def test_everything_the_workflow_names_is_there_and_nothing_of_the_flagship(run: tuple[Path, Run]) -> None:
    folder, toy = run
    assert not toy.tower_variables and "truth" not in toy.tables
    figures = {path.stem for path in (folder / toy.paths("report", "figures")).glob("*.png")}
    assert figures == set(toy.figures) and "flux_map" in figures and "truth_map" not in figures
    page = (folder / toy.paths("report", "summary.md")).read_text()
    assert page.startswith("# Synthetic Earth (not real): Net carbon exchange of a toy") and "Tg yr-1 of C" in page
    names = [path.name for path in (folder / "results").rglob("*") if path.is_file()]
    assert not [name for name in names if "ch4" in name or "tsl" in name or "swc" in name]
    with xr.open_dataset(folder / toy.paths("synthesize", "samples.nc"), engine="netcdf4") as samples:
        assert set(samples.data_vars) >= {"nee", "gpp", "reco", "co2", "lai"} and "ch4" not in samples


def test_experiments_of_models_and_transfers_stand_in_one_table(run: tuple[Path, Run]) -> None:
    folder, toy = run
    assert all((folder / toy.paths("experiments", f"{one.name}.csv")).exists() for one in toy.experiments)
    assert len(toy.experiments) == 4 and (folder / toy.paths("experiments", "scores.png")).stat().st_size > 10_000
    table = pd.read_csv(folder / toy.paths("experiments", "scores.csv"))
    rmse = table[table["score"] == "rmse"].set_index(["model", "transfer"])["value"]
    # towers make more of light than the process model: simulation helps, and what towers teach helps besides
    assert rmse["gru", "finetune"] < rmse["gru", "none"] and rmse["gru", "finetune"] < rmse["mean", "none"]
    assert set(table["sites"]) == {len(PLACES)} and set(table["target"]) == {"nee"} and len(rmse) == 4

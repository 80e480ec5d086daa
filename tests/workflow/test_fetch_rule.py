"""The rule that fetches absent forcing: which files it asks for, and a real fetch through Snakemake."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

import forked
from bad_server import bad_server
from fluxatlas.config import load
from fluxatlas.errors import ConfigError
from fluxatlas.run import Run

RECIPE = """
dataset: gridmet
route: http
file: "{variable}_{year}.nc"
url: BASE/{variable}_{year}.nc
per: year
step_hours: 24
variables: {pr: {holds: [precipitation_amount]}, vs: {holds: [wind_speed]}}
"""


def settings(folder: Path, **forcing: object) -> dict:
    block = {
        "source": "mapping",
        "mapping": "gridmet",
        "fetch": True,
        "path": str(folder / "data"),
        "elevation": "none.nc",
    }
    return {
        "run": {"name": "fetched", "results": str(folder / "results")},
        "grid": {"name": "4km", "tile_size": 2},
        "domain": {"west": -110, "south": 32, "east": -108, "north": 34},
        "system": "soil_methane_sink",
        "period": {"start": 2001, "end": 2001, "spinup": "repeat", "spinup_years": 1},
        "forcing": {**block, "recipe": str(folder / "recipe.yaml"), **forcing},
    }


def run_of(folder: Path, **forcing: object) -> Run:
    (folder / "recipe.yaml").write_text(RECIPE.replace("BASE", "http://127.0.0.1:9"))
    (folder / "config.yaml").write_text(yaml.safe_dump(settings(folder, **forcing)))
    return Run(load(folder / "config.yaml"))


def test_only_what_is_absent_is_to_be_fetched(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "vs_2001.nc").write_text("there already")
    run = run_of(tmp_path)
    assert run.forcing_files(2001) == [f"{tmp_path}/data/pr_2001.nc", f"{tmp_path}/data/vs_2001.nc"]
    assert "pr_2001.nc" in run.absent_forcing and "vs_2001.nc" not in run.absent_forcing
    assert run.fetch_options[-2:] == ["--bbox", "-110 32 -108 34"]


def test_the_recipe_is_that_of_the_source_unless_named(tmp_path):
    run = run_of(tmp_path, source="era5_land", mapping="", recipe="")
    assert run.archive.name == "era5_land"
    assert f"{tmp_path}/data/t2m_2001_02.nc" in run.forcing_files(2001)
    assert len(run.forcing_files(2001)) == 8 * 12
    assert len(run.absent_forcing) == 8 * 13  # and the January that closes the last day


def test_hourly_files_are_not_jobs(tmp_path):
    with pytest.raises(ConfigError, match="a file per hour"):
        _ = run_of(tmp_path, mapping="nldas2", recipe="").absent_forcing


@pytest.mark.parametrize(
    ("change", "words"),
    [({"path": "data/{year}.nc"}, "one folder"), ({"source": "synthetic_earth"}, "makes its own weather")],
)
def test_settings_that_contradict(tmp_path, change, words):
    with pytest.raises(ConfigError, match=words):
        run_of(tmp_path, **change)


def test_snakemake_fetches_and_then_leaves_the_files_alone(tmp_path):
    times = np.datetime64("2001-01-01", "ns") + np.arange(365) * np.timedelta64(1, "D")
    data = xr.Dataset({"precipitation_amount": (("time", "lat", "lon"), np.ones((365, 3, 3)))}, {"time": times})
    data.to_netcdf(tmp_path / "made.nc", engine="netcdf4")
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings(tmp_path)))
    target = tmp_path / "data" / "pr_2001.nc"
    command = (str(target), "--cores", "1", "--directory", str(tmp_path), "--configfile", str(config))
    with bad_server() as server:
        (tmp_path / "recipe.yaml").write_text(RECIPE.replace("BASE", server.base))
        server.files["/pr_2001.nc"] = (tmp_path / "made.nc").read_bytes()
        done = forked.snakemake(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        (log,) = (tmp_path / ".snakemake" / "log").glob("*.log")
        assert "downloads=1" in log.read_text() and target.read_bytes() == server.files["/pr_2001.nc"]
        asked = len(server.seen)
        again = forked.snakemake(*command, "--dry-run")
        assert "MissingRuleException" in again.stdout + again.stderr  # a source file now: no rule would replace it
        assert len(server.seen) == asked

"""The whole chain on a tiny synthetic Earth, once, with the wheel installed; then what must not happen again."""

import json
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import geopandas as gpd
import nbformat
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

import constraint_files
import forked
import installed_wheel
from fluxatlas import open_run
from fluxatlas.config import load
from fluxatlas.errors import InputError
from fluxatlas.ingest.atmosphere import read_series
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run

CONFIG = REPOSITORY / "tests" / "end_to_end" / "tiny.yaml"


def fluxatlas(folder: Path, *arguments: str, check: bool = True, path: str = "") -> str:
    """What the installed command says, run in ``folder``; its environment lies beside that and is not activated."""
    command = [str(folder.parent / "environment" / "bin" / "fluxatlas"), *arguments]
    variables = installed_wheel.environment()
    variables["PATH"] = path + variables["PATH"]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=folder, check=False)
    assert done.returncode == 0 or not check, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def snakemake(folder: Path, *options: str) -> str:
    """What ``fluxatlas run`` says; its jobs are those of the command in ``bin``: they start with the modules loaded."""
    found = f"{folder.parent / 'bin'}:{folder.parent / 'environment' / 'bin'}:"
    return fluxatlas(folder, "run", str(CONFIG), "--cores", "2", *options, path=found)


def planned(text: str) -> set[str]:
    """Names of the rules that a dry run would run."""
    table = text[text.index("Job stats:") :] if "Job stats:" in text else ""
    return {m[1] for m in re.finditer(r"^(\w+)\s+\d+$", table, re.M)} - {"total", "all", "count"}


def write_inputs(folder: Path) -> None:
    """What the configuration names beside the synthetic Earth: CH4, CO2, two regions and a constraint."""
    methane = "".join(f"{year},{1700 + year - 1990},0.5\n" for year in range(1995, 2006))
    (folder / "ch4_annmean_gl.csv").write_text(f"# CH4\nyear,mean,unc\n{methane}")
    months = [(year, month) for year in range(1995, 2006) for month in range(1, 13)]
    rows = "".join(f"{y},{m},{y + (m - 0.5) / 12:.3f},{360 + 2 * (y - 1995)},0.1\n" for y, m in months)
    (folder / "co2_mm_gl.csv").write_text(f"# CO2\nyear,month,decimal,average,average_unc\n{rows}")
    halves = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Polygon", "coordinates": [
            [[west, 36], [east, 36], [east, 39], [west, 39], [west, 36]]]}}
        for name, west, east in (("west", -9, -7.25), ("east", -7.25, -6.5))
    ]  # fmt: skip
    (folder / "halves.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": halves}))
    constraint_files.oco2_mip(folder, constraint_files.known_flux())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Iterator[tuple[Path, Run, str]]:
    folder = tmp_path_factory.mktemp("tiny") / "run"
    folder.mkdir()
    python = str(installed_wheel.install(folder.parent) / "python")
    write_inputs(folder)
    with forked.fluxatlas_command(folder.parent, python, installed_wheel.environment()):
        yield folder, Run(load(CONFIG)), snakemake(folder)


def test_it_ends_by_naming_files_that_exist(run) -> None:
    folder, _, said = run
    assert "Worth opening:" in said
    named = re.findall(r"^  (results/\S+)", said, re.M)
    assert named[0] == "results/tiny/report.html"
    assert len(named) == 5 and all((folder / name).stat().st_size > 0 for name in named)


def test_the_wheel_carries_all_that_a_run_needs_and_no_more(run) -> None:
    folder, _, _ = run
    with zipfile.ZipFile(next(folder.parent.glob("*.whl"))) as archive:
        shared = {name for name in archive.namelist() if name.startswith("fluxatlas/share/")}
    wanted = [path for top in ("config", "profiles", "resources", "workflow") for path in (REPOSITORY / top).rglob("*")]
    wanted = [
        path for path in (*wanted, REPOSITORY / "Snakefile") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert shared == {f"fluxatlas/share/{path.relative_to(REPOSITORY)}" for path in wanted}


def test_it_ran_from_the_wheel_outside_the_clone(run) -> None:
    folder, tiny, _ = run
    with xr.open_dataset(folder / tiny.paths.flux(tiny.tiles[0], 2001), engine="netcdf4") as flux:
        assert flux.attrs["fluxatlas_commit"] == "unknown"
    assert "tile-years 2001-2001" in fluxatlas(folder, "status", str(CONFIG))
    assert "core-hours" in fluxatlas(folder, "plan", str(CONFIG)) and "core-hours" in fluxatlas(folder, "plan")
    assert "in a clone of fluxatlas" in fluxatlas(folder, "config", "generate", check=False)


def test_a_second_run_has_nothing_to_do(run) -> None:
    folder, _, _ = run
    assert "Nothing to be done" in snakemake(folder)


def test_one_deleted_tile_year_reruns_only_itself_and_what_is_aggregated_from_it(run) -> None:
    folder, tiny, _ = run
    flux = folder / tiny.paths.flux(tiny.tiles[0], 2001)
    before = flux.read_bytes()
    flux.unlink()
    rules = planned(snakemake(folder, "-n"))
    aggregated = {"daily", "maps", "stac", "budget", "towers", "seams", "truth", "summary", "page"}
    assert rules - {r for r in rules if r.startswith("figure_")} == {"infer", *aggregated}
    other = folder / tiny.paths.flux(tiny.tiles[1], 2001)
    untouched = {path: path.stat().st_mtime_ns for path in (other, folder / tiny.paths.member(0))}
    snakemake(folder)
    assert len(flux.read_bytes()) == pytest.approx(len(before), abs=200)
    assert all(path.stat().st_mtime_ns == when for path, when in untouched.items())
    assert "Nothing to be done" in snakemake(folder)


def test_a_plotting_option_redraws_and_retrains_nothing(run) -> None:
    folder, _, _ = run
    rules = planned(snakemake(folder, "-n", "--config", "report={dpi: 61}"))
    assert rules and all(r.startswith("figure_") or r in ("summary", "page") for r in rules)


def test_a_training_option_does_not_touch_ingest_or_sampling(run) -> None:
    folder, _, _ = run
    rules = planned(snakemake(folder, "-n", "--config", "train={finetune_epochs: 3}"))
    assert {"finetune", "infer", "daily"} <= rules
    assert not {"forcing", "sites", "attributes", "synthesize", "pretrain"} & rules


def test_status_tells_done_stale_and_missing(run, monkeypatch) -> None:
    from fluxatlas.status import parse, table

    folder, tiny, _ = run
    state = folder / tiny.paths("evaluate", "skill.csv")
    kept = state.read_text()
    state.unlink()
    try:
        files = parse(snakemake(folder, "--summary"))
    finally:
        state.write_text(kept)
    text = table(tiny, files)
    missing = [file.path for file in files if file.state == "missing"]
    assert missing == [tiny.paths("evaluate", "skill.csv")]
    assert re.search(rf"^{tiny.tiles[0]} +#$", text, re.M) and "why stale" in text


def test_the_product_is_on_the_grid_and_holds_physical_values(run) -> None:
    folder, tiny, _ = run
    with xr.open_dataset(folder / tiny.paths.daily("fch4", 2001), engine="netcdf4") as daily:
        tiny.grid.snap(daily["lat"].to_numpy(), "lat")
        tiny.grid.snap(daily["lon"].to_numpy(), "lon")
        assert daily.sizes["time"] == 365
        flux = daily["fch4"].to_numpy()
    active = np.isfinite(flux).all(axis=0)
    assert active.any() and (np.isfinite(flux).any(axis=0) == active).all()
    assert -10 < np.nanmean(flux) < 0.5
    with rasterio.open(folder / tiny.paths("products", "cog", "fch4_2001.tif")) as cog:
        mean = cog.read(1, masked=True)
    assert float(mean.mean()) == pytest.approx(float(np.nanmean(flux)), abs=0.01)


def test_the_results_open_in_python_as_documented(run) -> None:
    folder, _, _ = run
    page = (REPOSITORY / "docs" / "quickstart.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    said: dict = {}
    exec(code.replace("results/demo", str(folder / "results" / "tiny")), said)
    opened, flux, here, annual = (said[name] for name in ("run", "flux", "here", "annual"))
    assert opened.variables == ("fch4", "swc05") and opened.years == (2001,)
    assert flux["fch4"].chunks and flux.rio.crs.to_epsg() == annual.rio.crs.to_epsg() == 4326
    with xr.open_dataset(folder / "results" / "tiny" / "products" / "daily" / "fch4_2001.nc") as data:
        cell = data.sel(lat=37.26, lon=-6.9, method="nearest")
        assert np.allclose(here["fch4"], cell["fch4"]) and np.isfinite(cell["fch4"]).all()
        width = (here["high"] - here["low"]) / cell["fch4_sd"]
        assert width.mean() == pytest.approx(2 * 1.645, rel=1e-3)
    assert float(annual.sel(y=37.26, x=-6.9, method="nearest")[0]) == pytest.approx(
        float(here["fch4"].mean()), rel=2e-3
    )
    sites = opened.sites
    assert sites.crs.to_epsg() == 4326 and len(sites) == len(set(sites["site"])) > 5
    away = sites.to_crs(32629).distance(gpd.GeoSeries.from_xy([-6.9], [37.26], crs=4326).to_crs(32629)[0]).min() / 1000
    assert here.attrs["nearest_site_km"] == pytest.approx(away, rel=2e-3)
    assert {"region", "mean"} <= set(opened.budget) and {"protocol", "value"} <= set(opened.skill)
    with pytest.raises(InputError, match="no daily 'fhc4'; did you mean 'fch4'"):
        opened.daily("fhc4")
    with pytest.raises(InputError, match=r"outside the domain of the run(.|\n)*covers 37\.\.37\.5 degrees north"):
        opened.at(40.0, -6.9)
    with pytest.raises(InputError, match=r"no maps of 'fch4' by month"):
        opened.maps("fch4", "month")
    with pytest.raises(InputError, match="not the folder of a run"):
        open_run(folder)
    with pytest.raises(InputError, match="there is no such folder"):
        open_run(folder / "nothing")


def test_the_notebook_runs_on_the_results(run, tmp_path) -> None:
    """As stored it has no outputs; here every cell is executed, in a kernel that is reached without the network."""
    folder, _, _ = run
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "demo").symlink_to(folder / "results" / "tiny")
    notebook = nbformat.read(REPOSITORY / "docs" / "notebooks" / "open_run.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    where = {"metadata": {"path": str(tmp_path)}}
    sockets = str(tmp_path / "k.json")  # beside this file: a path of their own, the same for both sides
    manager = AsyncKernelManager(transport="ipc", kernel_name="python3", connection_file=sockets)
    NotebookClient(notebook, km=manager, timeout=120, resources=where).execute()
    shown = [output for cell in code for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in shown) == 4
    assert any("nearest site" in output.get("text", "") for output in shown)


def test_the_budget_is_the_integral_of_the_daily_product(run) -> None:
    folder, tiny, _ = run
    budget = pd.read_csv(folder / tiny.paths("products", "budget.csv"))
    total = budget.query("region_kind == 'global' and variable == 'fch4'")["mean"].item()
    direct = 0.0
    for name in tiny.tiles:
        with (
            xr.open_dataset(folder / tiny.paths.flux(name, 2001), engine="netcdf4") as flux,
            xr.open_dataset(folder / tiny.paths.attributes(name), engine="netcdf4") as cell,
        ):
            weight = cell["areacella"] * cell["uplandFrac"] / 100
            direct += float((flux["fch4"].sum("time") * weight).sum()) * 1e-15
    assert total == pytest.approx(direct, rel=2e-3)


def test_regions_share_the_budget_out(run) -> None:
    folder, tiny, _ = run
    budget = pd.read_csv(folder / tiny.paths("products", "budget.csv")).query("variable == 'fch4'")
    rows = budget[budget["region_kind"] == "halves"].set_index("region")
    assert set(rows.index) == {"west", "east", "no region"} and (rows["mean"].abs() > 0).all()
    total = budget.query("region_kind == 'global'")["mean"].item()
    assert rows["mean"].sum() == pytest.approx(total, rel=1e-6)
    west = 0.0
    for name in tiny.tiles:
        with (
            xr.open_dataset(folder / tiny.paths.flux(name, 2001), engine="netcdf4") as flux,
            xr.open_dataset(folder / tiny.paths.attributes(name), engine="netcdf4") as cell,
        ):
            weight = (cell["areacella"] * cell["uplandFrac"] / 100).where(cell["lon"] < -7.25)  # an edge of cells
            west += float((flux["fch4"].sum("time") * weight).sum()) * 1e-15
    assert rows.loc["west", "mean"] == pytest.approx(west, rel=2e-3)


def test_the_gases_and_the_constraint_of_the_run_are_those_of_their_files(run) -> None:
    folder, tiny, _ = run
    made = {
        gas: read_series(folder / tiny.paths("ingest", "atmosphere", f"{gas}_global.csv")) for gas in ("ch4", "co2")
    }
    assert made["ch4"].annual()[2001] == 1711 and made["co2"].annual()[2001] == pytest.approx(372)
    with xr.open_dataset(folder / tiny.paths.flux(tiny.tiles[0], 2001), engine="netcdf4") as flux:
        assert "ch4" in json.loads(flux.attrs["fluxatlas_inputs"])
    with xr.open_dataset(folder / tiny.paths.constraint("inversions"), engine="netcdf4") as flux:
        found = flux["fco2"].sortby("lat").transpose("time", "lat", "lon", "member").squeeze("member")
        np.testing.assert_allclose(found, constraint_files.known_flux(), rtol=1e-3, atol=1e-6)


def test_every_result_says_where_it_comes_from(run) -> None:
    folder, tiny, _ = run
    for name in (
        tiny.paths.flux(tiny.tiles[0], 2001),
        tiny.paths.daily("fch4", 2001),
        tiny.paths("synthesize", "samples.nc"),
    ):
        with xr.open_dataset(folder / name, engine="netcdf4") as data:
            assert data.attrs["fluxatlas_version"] and data.attrs["fluxatlas_settings_hash"], name
            assert json.loads(data.attrs["fluxatlas_inputs"]), name


def test_each_job_left_a_log_and_a_benchmark_and_no_half_written_file(run) -> None:
    folder, tiny, _ = run
    root = folder / tiny.paths.root
    logs = {p.relative_to(root / "logs").with_suffix("") for p in (root / "logs").rglob("*.log")}
    benchmarks = {p.relative_to(root / "benchmarks").with_suffix("") for p in (root / "benchmarks").rglob("*.tsv")}
    assert len(logs) > 30 and benchmarks <= logs
    assert not list(root.rglob("*.part*"))

"""The workflow without running it: rules, messages, what is imported, how it scales."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.ingest.sites.inputs import COSORE_FILES
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run, brace_expansion

STAGES = ("ingest", "regrid", "synthesize", "train", "infer", "products", "evaluate", "report")


def snakemake(*options: str, cwd: Path = REPOSITORY, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), *options]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, "PATH": path}, check=False
    )
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("dry")
    config = REPOSITORY / "config" / "config.yaml"
    done = snakemake("-n", "-p", "--cores", "2", "--directory", str(folder), "--configfile", str(config))
    return done.stdout + done.stderr


def test_the_workflow_passes_snakemakes_lint() -> None:
    assert snakemake("--lint").returncode == 0


def test_every_stage_has_a_rules_file_a_package_and_a_command(dry_run: str) -> None:
    for stage in STAGES:
        assert (REPOSITORY / "workflow" / "rules" / f"{stage}.smk").exists()
        assert (REPOSITORY / "src" / "fluxatlas" / stage / "commands.py").exists()
        assert f"fluxatlas {stage} " in dry_run, stage


def test_each_job_is_one_visible_command_with_a_log_and_a_benchmark() -> None:
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        text = path.read_text()
        rules, logs, benchmarks, shells = (text.count(f"{word}") for word in ("rule ", "log:", "benchmark:", "shell:"))
        rules = sum(line.strip().startswith("rule ") or line.strip() == "rule:" for line in text.splitlines())
        assert rules == logs == benchmarks == shells, path.name
        assert "run:" not in text.split() and "partition" not in text and "account" not in text


def test_every_command_of_the_dry_run_is_understood_by_the_command_line(dry_run: str) -> None:
    # the dry run's own commands with --help at the end: an option that does not exist, or lacks its value, is refused
    lines = [line[line.index("fluxatlas ") :].split(" 2> ")[0] for line in dry_run.splitlines() if " 2> " in line]
    commands = {tuple(w for w in line.split()[1:4] if not w.startswith("-")): line for line in lines}
    assert len(commands) >= 20
    script = "\n".join(f"printf '%s\\0' {line}; printf '\\n'" for line in commands.values())
    expanded = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    for words in expanded.splitlines():
        result = CliRunner().invoke(app, [*words.rstrip("\0").split("\0")[1:], "--help"])
        assert result.exit_code == 0, f"{words}\n{result.output[-500:]}"


def test_parsing_the_snakefile_imports_nothing_heavy(tmp_path) -> None:
    code = (
        "import sys; from snakemake.cli import main\n"
        f"sys.argv = ['snakemake', '--snakefile', {str(REPOSITORY / 'Snakefile')!r}, '--list-rules']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('HEAVY', [m for m in ('torch', 'xarray', 'geopandas', 'dask', 'rasterio', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert "HEAVY []" in done.stdout


def test_a_wrong_configuration_stops_before_anything_is_made(tmp_path) -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["grid"]["tile_sise"] = 2
    data["train"]["members"] = 0
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(data))
    done = snakemake(
        "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "wrong.yaml"), check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "grid.tile_sise: unknown key; did you mean 'tile_size'?" in said and "train.members" in said
    assert not (tmp_path / "results").exists()


def test_infer_is_told_how_to_share_the_work(tmp_path, dry_run) -> None:
    assert "--scheduler auto" in dry_run and "--dask-address" not in dry_run
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["infer"] |= {"scheduler": "processes", "dask_address": "tcp://10.0.0.7:8786"}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    for command in ("spinup", "tile"):
        jobs = [line for line in done.stdout.splitlines() if f"fluxatlas infer {command} " in line]
        assert jobs and all("--scheduler processes --dask-address tcp://10.0.0.7:8786 " in job for job in jobs)


def test_regions_have_a_job_per_tile_only_where_a_map_is_given(tmp_path, dry_run) -> None:
    assert "regrid regions" not in dry_run and "--regions" not in dry_run
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["regions"]["maps"] = {"countries": {"path": "countries.shp", "field": "NAME"}}
    for suffix in (".shp", ".dbf"):
        (tmp_path / f"countries{suffix}").touch()
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    said = done.stdout + done.stderr
    assert said.count("fluxatlas regrid regions") == 4 and "--regions=" in said and "countries.dbf" in said


def test_atmospheric_gases_are_made_once_where_a_file_is_given(tmp_path, dry_run) -> None:
    assert "ingest atmosphere" not in dry_run and "--series" not in dry_run
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    station = {"path": "ch4_mlo.txt", "gap": 2, "latitude": 19.5}
    data["atmosphere"]["series"] = {"ch4": station, "co2": {"path": "co2_mm_gl.csv"}}
    for name in ("ch4_mlo.txt", "co2_mm_gl.csv"):
        (tmp_path / name).touch()
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    said = done.stdout + done.stderr
    assert said.count("fluxatlas ingest atmosphere") == 2 and "--gas ch4 --gap 2 --latitude 19.5 --first-year" in said
    assert "--input co2_mm_gl.csv --gas co2 --gap 0 --first-year 2000" in said
    made = "--series ch4=results/demo/ingest/atmosphere/ch4_global.csv"
    users = {line[line.index("fluxatlas ") :].split()[1] for line in said.splitlines() if made in line}
    assert users == {"synthesize", "train", "infer"}


def test_a_missing_archive_is_named(tmp_path) -> None:
    config = {
        "system": "soil_methane_sink",
        "period": {"start": 2001, "end": 2001},
        "domain": {"west": -8, "south": 36, "east": -6, "north": 38},
        "grid": {"tile_size": 2},
        "forcing": {"source": "era5_land", "path": "nowhere/{year}_{month}.nc", "elevation": "nowhere/z.nc"},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(
        "-n", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"), check=False
    )
    assert done.returncode != 0 and "nowhere/" in done.stdout + done.stderr


def test_the_global_example_validates_and_dry_runs_on_stand_ins(tmp_path) -> None:
    path = REPOSITORY / "config" / "examples" / "global_4km_1984_2022.yaml"
    run = Run(load(path))
    assert len(run.tiles) > 150 and len(run.years) == 39
    needed = {*run.static_files, *run.elevation_files}
    for year in run.forcing_years:
        needed |= {*run.forcing_files(year), *run.neighbour_files(year)}
    needed |= {f"data/sites/cosore/d20190101_SOMEONE/{name}" for name in COSORE_FILES}
    needed |= {"data/sites/fluxnet/FLX_US-Xxx_FLUXNET2015_FULLSET_DD_2000-2001_1-4.csv"}
    for name in [*needed, "data/sites/attributes.csv", "data/sites/fluxnet_sites.csv"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    done = snakemake("-n", "-q", "rules", "--cores", "64", "--directory", str(tmp_path), "--configfile", str(path))
    jobs = {
        line.split()[0]: line.split()[1] for line in (done.stdout + done.stderr).splitlines() if len(line.split()) == 2
    }
    assert jobs["infer"] == str(len(run.tiles) * 39)


def test_every_example_validates() -> None:
    for path in sorted((REPOSITORY / "config" / "examples").glob("*.yaml")):
        assert "tiles" in Run(load(path)).describe()


def test_lists_of_files_are_expanded_by_the_shell() -> None:
    text = brace_expansion("--flux", "infer/{tile}/{year}.nc", tile=["A", "B"], year=[1, 2])
    done = subprocess.run(["bash", "-c", f"echo {text}"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"--flux=infer/{t}/{y}.nc" for t in "AB" for y in (1, 2)]
    assert brace_expansion("--flux", "infer/{tile}.nc", tile=["A"]) == "--flux=infer/A.nc"

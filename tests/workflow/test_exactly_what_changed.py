"""One run redoes everything that is stale and nothing else: dry runs on a finished run of stand-in files."""

import os
import shlex
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from standins import StandIns, jobs_by_rule

import forked
from fluxatlas.config import load
from fluxatlas.errors import FluxAtlasError
from fluxatlas.explain import causes, explain
from fluxatlas.explain import parse as parse_jobs
from fluxatlas.freshness import write_digests
from fluxatlas.hashes import file_hash
from fluxatlas.paths import REPOSITORY
from fluxatlas.plan import plan, work
from fluxatlas.report.opening import write_page
from fluxatlas.retries import note
from fluxatlas.run import Run
from fluxatlas.status import parse

TRAINING = {"site_inputs", "synthesize", "pretrain", "finetune", "ensemble"}
EVERY_TILE_YEAR = {"spinup": 2, "infer": 8, "daily": 8}
LARGE = "era/2003_05.nc"


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> StandIns:
    run = StandIns(tmp_path_factory.mktemp("run"))
    (run.folder / LARGE).write_bytes(os.urandom(3 * 2**20))  # Snakemake itself compares contents up to 1 MB only
    run.finish()
    return run


@pytest.fixture
def run(finished, tmp_path) -> StandIns:
    """A copy of the finished run: time stamps and records are kept."""
    shutil.copytree(finished.folder, tmp_path / "run", symlinks=True)
    made = StandIns.__new__(StandIns)
    made.folder = tmp_path / "run"
    made.configure()
    return made


@pytest.fixture
def explained(run, monkeypatch) -> StandIns:
    """The finished run as the working folder of ``fluxatlas explain``."""
    monkeypatch.chdir(run.folder)
    monkeypatch.setattr("fluxatlas.explain.subprocess", forked)
    return run


def among(planned: dict[str, int], *rules: str) -> dict[str, int]:
    return {rule: planned[rule] for rule in rules if rule in planned}


def test_a_finished_run_has_nothing_to_do(run) -> None:
    assert run.planned() == {}


@pytest.mark.parametrize(
    "blocks",
    [
        {"infer": {"regrid": "conservative"}},
        {"period": {"spinup_years": 5}},
        {"train": {"hidden": 16}},
        {"static": {"minimum_mask": 5.0}},
    ],
    ids=["regrid", "spinup years", "retrained members", "attributes"],
)
def test_one_run_redoes_every_tile_year(run, blocks) -> None:
    run.configure(**blocks)
    assert among(run.planned(), *EVERY_TILE_YEAR) == EVERY_TILE_YEAR


def test_one_run_redoes_every_tile_year_for_another_ensemble(run) -> None:
    run.path("train/ensemble.json").write_text("another ensemble, copied in")
    assert among(run.planned(), *EVERY_TILE_YEAR, *TRAINING) == EVERY_TILE_YEAR


def test_one_run_redoes_every_tile_year_for_a_raised_stage_version(run, tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import fluxatlas.stages as s\ns.STAGE_VERSIONS['infer'] += 1\n")
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "src")])
    assert among(run.planned(env={"PYTHONPATH": path}), *EVERY_TILE_YEAR, *TRAINING) == EVERY_TILE_YEAR


SITES = {"towers": 1, "figure_tower_series": 1}
PAGES = {"summary": 1, "page": 1}
TOTALS = {"budget": 1, "figure_budget": 1, "figure_seasonal_cycle": 1, "stac": 1}
RECIPES = {
    "One tile-year": {"infer": 1, "daily": 2, "maps": 2, **TOTALS, **SITES, **PAGES},
    "One tile-year alone": {"infer": 1},
    "One tile": {"spinup": 1, "infer": 4, "daily": 8, "maps": 8, "seams": 1, "figure_flux_map": 1}
    | {**TOTALS, **SITES, **PAGES},
    "One year": {"infer": 2, "daily": 2, "maps": 2, "figure_flux_map": 1, **TOTALS, **SITES, **PAGES},
    "One member": {"finetune": 1},
    "One product": {"daily": 1, "maps": 1, "figure_seasonal_cycle": 1, "stac": 1, **PAGES},
    "All jobs of one kind": {"maps": 8, "stac": 1, "page": 1},
}
"""Part -> the jobs that its first command in docs/recipes.md runs."""


def documented(part: str) -> list[str]:
    """The command lines below the bold words ``part`` of docs/recipes.md, for the run of stand-ins."""
    page = (REPOSITORY / "docs" / "recipes.md").read_text()
    block = page[page.index(f"**{part}**") :].split("```sh\n", 1)[1].split("```", 1)[0]
    for theirs, ours in (
        ("demo", "r"),
        ("N36W008", "N37W008"),
        ("2001", "2003"),
        ("2002-07", "2004"),
        ("2002", "2004"),
    ):
        block = block.replace(theirs, ours)
    return block.splitlines()


def planned_by(run: StandIns, line: str) -> dict[str, int]:
    """The jobs that Snakemake plans for a command ``line``, after what that deletes before."""
    delete, _, make = line.rpartition(" && ")
    if delete:
        subprocess.run(["bash", "-euc", delete], cwd=run.folder, check=True)
    words = shlex.split(make)
    assert words[:3] == ["snakemake", "--cores", "2"]
    return run.planned(*words[3:])


@pytest.mark.parametrize(("part", "expected"), RECIPES.items())
def test_a_part_is_made_again_by_the_documented_command_and_nothing_else(run, part, expected) -> None:
    assert planned_by(run, documented(part)[0]) == expected


def test_one_map_is_made_again_without_its_daily_file(run) -> None:
    _, line = documented("One product")
    assert planned_by(run, line) == {"maps": 1, "stac": 1, "page": 1}


def test_another_member_is_another_ensemble_and_its_tile_years_are_made_again(run) -> None:
    """After the first command of the page: what the job of the member writes is new."""
    for name in ("members/1.pt", "predictions/1.parquet", "intervals/1.csv", "parameters/1.csv"):
        run.path(f"train/{name}").write_bytes(os.urandom(16))
    run.path("train/history/1_finetune.csv").write_bytes(os.urandom(16))
    _, line = documented("One member")
    planned = planned_by(run, line)
    made = {"ensemble": 1, "history_start": 1, "history": 3, **EVERY_TILE_YEAR, "maps": 8, "budget": 1, "stac": 1}
    assert among(planned, *made) == made
    assert not among(planned, "forcing", "attributes", "synthesize", "pretrain", "finetune", "sites", "site_inputs")


def test_a_lost_report_is_made_again_and_nothing_else(run, monkeypatch) -> None:
    run.path("report.html").unlink()
    assert run.planned() == {"page": 1}
    monkeypatch.chdir(run.folder)
    monkeypatch.setattr("fluxatlas.report.opening.subprocess", forked)
    run.path("report/summary.html").write_text("<p>numbers</p>")
    write_page(run.path("report.html"), load("c.yaml"))
    page = run.path("report.html").read_text()
    assert "numbers" in page or "summary.html" in page
    assert page.index("flux_map") < page.index('endsWith("/summary.html")') < page.rindex("</body>")
    run.path("report/summary.html").unlink()
    before = run.path("report.html").read_bytes()
    with pytest.raises(FluxAtlasError, match=r"made no report of the run:(.|\n)*summary\.html"):
        write_page(run.path("report.html"), load("c.yaml"))
    assert run.path("report.html").read_bytes() == before  # nothing half-written


def test_a_further_attempt_asks_for_what_was_lacking(run) -> None:
    run.path("infer/N37W008/2003.nc").unlink()
    note(run.path("logs/infer/N37W008_2003.log"), "SLURM-job '1' failed, SLURM status is: 'TIMEOUT'")
    profile = ("--default-resources", "max_mem_mb=9000", "max_runtime=100", "snakemake_mb=450", "--attempt", "2")
    jobs = run.snakemake("-n", "-p", *profile).split("\n\n")
    (infer,) = (job for job in jobs if "rule infer:" in job)
    assert " mem_mb=4450," in infer and " --memory-mb 4000 " in infer  # Snakemake in the allocation takes the rest
    assert "runtime=100" in infer  # twice the hour, up to what the profile admits
    (summary,) = (job for job in jobs if "rule summary:" in job)
    assert " mem_mb=2450," in summary and "runtime=20" in summary  # twice both: why it failed was not noted


def test_status_says_the_same(run) -> None:
    run.configure(infer={"regrid": "conservative"})
    stale = Counter(file.rule for file in parse(run.snakemake("--summary")) if file.state == "stale")
    assert (stale["spinup"], stale["infer"], stale["daily"]) == (2, 16, 8)  # fluxes and states
    run.configure()
    run.path("infer/N37W008/2003.nc").unlink()
    files = [file for file in parse(run.snakemake("--summary")) if file.rule == "infer" and file.state != "done"]
    assert {Path(file.path).name: file.state for file in files} == {"2003.nc": "missing", "2003_state.nc": "stale"}


def test_what_an_interrupted_run_left_is_redone_by_the_next_one(run) -> None:
    # histories, spin-ups and one year are made anew, then the machine stops: all that is older than its history is left
    run.configure(infer={"regrid": "conservative"})
    histories = [f"results/r/infer/history/{name}.json" for name in ("start", 2002, 2003, 2004)]
    tiles = ("N37W008", "N37W007")
    spinups = [f"results/r/infer/{tile}/spinup_2001.nc" for tile in tiles]
    run.snakemake("--touch", *histories)
    for name in histories:
        (run.folder / name).write_bytes(os.urandom(16))
    run.snakemake("--touch", *histories, *spinups)
    run.path("infer/N37W008/2002.nc").touch()  # newer than its history, but not recorded: Snakemake makes it again
    assert among(run.planned(), "history_start", "history", "spinup", "infer") == {"infer": 8}


def test_changed_forcing_redoes_its_year_and_what_follows(run) -> None:
    shutil.copytree(run.path("train"), run.folder / "published")
    run.configure(train={"members_from": "published"})
    run.snakemake("--touch", "--forceall")
    (run.folder / "era" / "2004_07.nc").write_bytes(os.urandom(100))
    planned = run.planned()
    assert among(planned, "forcing", "spinup", "infer", *TRAINING) == {"forcing": 1, "infer": 4}
    assert planned["daily"] == 4  # 2004 and 2005 of two tiles and two variables


@pytest.mark.parametrize(
    "blocks",
    [
        {
            "infer": {"time_chunk": 31, "block_cells": 100, "workers": 2, "memory_mb": 2000, "scheduler": "serial"},
            "forcing": {"first_year": 1950, "last_year": 2022, "compression": "zlib", "compression_level": 4},
            "synthesize": {"max_tiles": 30},
        },
        {
            "infer": {"dask_address": "tls://10.0.0.7:8786", "chunk_cells": 30, "compression": "zlib"},
            "products": {"dask_address": "tls://10.0.0.7:8786"},
        },
    ],
)
def test_leaves_of_speed_wake_nothing(run, blocks) -> None:
    run.configure(**blocks)
    assert run.planned() == {}


def test_the_same_bytes_with_a_new_time_stamp_wake_nothing(run) -> None:
    raw = {f"era/2003_{month:02d}.nc": run.folder / f"era/2003_{month:02d}.nc" for month in range(1, 13)}
    before = Path.cwd()
    os.chdir(run.folder)  # as the job does it
    try:
        write_digests(run.path("ingest/forcing/digests/2003.json"), {name: file_hash(p) for name, p in raw.items()})
    finally:
        os.chdir(before)
    (run.folder / LARGE).touch()
    (run.folder / "era" / "2003_04.nc").touch()
    assert run.planned() == {}
    (run.folder / LARGE).write_bytes(os.urandom(3 * 2**20))  # as long as before
    assert run.planned()["forcing"] == 1


def test_a_store_that_changed_in_place_is_read_again(tmp_path) -> None:
    """A chunk or the metadata of a Zarr store written anew; the folder itself looks as before."""
    run = StandIns(tmp_path, forcing={"path": "era.zarr"})
    chunks = [tmp_path / "era.zarr/t2m/c/0/0/0", tmp_path / "era.zarr/t2m/c/1/0/0"]
    for path in (*chunks, tmp_path / "era.zarr/zarr.json", tmp_path / "era.zarr/t2m/zarr.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(64))
    run.finish()
    assert run.planned() == {}
    before = (tmp_path / "era.zarr").stat().st_mtime_ns
    for changed in (chunks[0], tmp_path / "era.zarr/t2m/zarr.json"):
        content, when = changed.read_bytes(), changed.stat().st_mtime_ns
        changed.write_bytes(os.urandom(64))
        assert run.planned()["forcing"] >= 4, changed
        changed.write_bytes(content)
        os.utime(changed, ns=(when, when))
    assert run.planned() == {} and (tmp_path / "era.zarr").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"end": 2006}, {"forcing": 1, "infer": 2, "daily": 2, "budget": 1, "stac": 1, "summary": 1}),
        ({"end": 2004}, {"budget": 1, "stac": 1, "summary": 1}),
        ({"start": 2003}, {"spinup": 2, "infer": 6, "daily": 6, "budget": 1, "stac": 1, "summary": 1}),
    ],
    ids=["longer", "shorter", "later"],
)
def test_another_period_trains_nothing(run, period, expected) -> None:
    run.configure(period=period)
    said = run.snakemake("-n")
    assert not any(f"rule {rule}:" in said for rule in TRAINING)
    planned = jobs_by_rule(said)
    assert among(planned, "forcing", "spinup", "infer", "daily", "budget", "stac", "summary") == expected
    assert "2002_state.nc" not in "".join(line for line in said.splitlines() if line.startswith("    output:"))


def test_a_run_says_what_its_members_were_trained_on(run, monkeypatch) -> None:
    monkeypatch.chdir(run.folder)
    assert "2 members, into" in Run(load("c.yaml")).describe()
    run.configure(period={"end": 2007})
    assert "2 members trained on 2002-2005, into" in Run(load("c.yaml")).describe()
    run.configure(train={"members_from": "results/r/train"})
    assert "2 members of results/r/train, into" in Run(load("c.yaml")).describe()
    run.configure(train={"members_from": "era"})
    with pytest.raises(FluxAtlasError, match="there are no members"):
        Run(load("c.yaml")).describe()


def test_years_of_training_can_be_stated(run) -> None:
    run.configure(train={"years": [2002, 2005]})
    assert run.planned() == {}
    run.configure(train={"years": [2002, 2004]})
    again = {"site_inputs": 1, "synthesize": 1, "pretrain": 2, "finetune": 2, "ensemble": 1}
    assert among(run.planned(), *TRAINING) == again


def test_members_can_be_taken_as_they_are(run, monkeypatch) -> None:
    shutil.copytree(run.path("train"), run.folder / "published")
    run.configure(train={"members_from": "published", "hidden": 64}, period={"end": 2006})
    said = run.snakemake("-n", "-p")
    planned = jobs_by_rule(said)
    assert not TRAINING & planned.keys() and planned["infer"] == 10  # the members lie elsewhere: all years are redone
    assert "--member=published/members/{0,1}.pt" in said
    monkeypatch.chdir(run.folder)
    costs = {row.stage: (row.jobs, row.core_hours) for row in plan(Run(load("c.yaml")))}
    assert costs["synthesize"] == costs["train"] == (0, 0) and costs["infer"][0] == 10 + 2 + 5


def test_explain_names_the_leaf_with_its_old_and_new_value(explained) -> None:
    target = "results/r/products/daily/fch4_2005.nc"
    assert explain(target, "c.yaml") == f"{target} is up to date"
    explained.configure(infer={"regrid": "conservative"})
    said = explain(target, "c.yaml")
    assert 'infer.regrid: "bilinear" -> "conservative" (rule history_start)' in said and len(said.splitlines()) == 2
    explained.configure()
    (explained.folder / "era" / "2004_07.nc").write_bytes(os.urandom(100))
    assert "era/2004_07.nc: newer than what rule forcing made of it" in explain(target, "c.yaml")


def test_explain_reads_settings_that_hold_semicolons_and_json_of_a_run() -> None:
    before = """products {"references": "A; B"}, '{"domain": "x", "inputs": ["sand: a; b"]}'"""
    now = before.replace('"x"', '"y"').replace("A; B", "A; C")
    changed = f"Params have changed since last execution: before: {before} now: {now}"
    said = f"\nrule daily:\n    input: a\n    output: out\n    reason: Missing output files: out; {changed}\n"
    assert causes("out", parse_jobs(said)) == [
        "out: does not exist yet (rule daily)",
        'domain: "x" -> "y" (rule daily)',
        'products.references: "A; B" -> "A; C" (rule daily)',
    ]


def test_explain_names_files_that_are_missing_or_read_no_longer(explained) -> None:
    explained.path("infer/N37W008/2003.nc").unlink()
    said = explain("results/r/products/daily/fch4_2003.nc", "c.yaml")
    assert "results/r/infer/N37W008/2003.nc: does not exist yet (rule infer)" in said
    explained.configure(period={"end": 2004})
    said = explain("results/r/products/budget.csv", "c.yaml")
    assert "results/r/infer/N37W007/2005.nc: no longer read by rule budget" in said


def test_explain_refuses_a_file_that_the_workflow_does_not_make(explained) -> None:
    with pytest.raises(FluxAtlasError, match=r"cannot plan 'results/r/nothing\.nc'"):
        explain("results/r/nothing.nc", "c.yaml")


def test_a_student_is_a_job_before_inference_and_wakes_nothing_else(run) -> None:
    members = sum(todo.jobs for todo in work(Run(load(run.folder / "c.yaml"))).values())
    run.configure(infer={"ensemble": "student"})
    planned = run.planned()
    assert (
        among(planned, "student", *TRAINING) == {"student": 1} and among(planned, *EVERY_TILE_YEAR) == EVERY_TILE_YEAR
    )
    assert sum(todo.jobs for todo in work(Run(load(run.folder / "c.yaml"))).values()) == members + 1

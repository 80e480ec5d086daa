"""A plan by a profile of Snakemake, GPU-hours, and a calibration on this machine: against independent counts."""

import heapq
import json

import pytest
import yaml
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.paths import REPOSITORY
from fluxatlas.plan import calibrate, learning, plan, shipped, table
from fluxatlas.plan.costs import REFERENCE, Speed, calibration, keep
from fluxatlas.plan.profile import read, stages_of_rules
from fluxatlas.plan.wall import by_profile, gpu_hours
from fluxatlas.run import Run

DEMO = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
SLURM = {
    "executor": "slurm",
    "jobs": 3,
    "default-resources": {"slurm_account": "flux", "mem_mb": 1000, "snakemake_mb": 450},
    "set-resources": {"pretrain": {"gres": "gpu:a100:2", "mem_mb": 8000}, "maps": {"mem_mb": "8000 * attempt"}},
    "set-threads": {"daily": 2},
    "slurm-init-seconds-before-status-checks": 5,
    "max-jobs-per-timespan": "1000/1s",
}


@pytest.fixture
def demo(tmp_path) -> Run:
    return Run(load(DEMO | {"run": {"name": "demo", "results": str(tmp_path)}}))


def profile(folder, **other):
    (folder / "p").mkdir(exist_ok=True)
    (folder / "p" / "config.yaml").write_text(yaml.safe_dump({**SLURM, **other}))
    return read(str(folder / "p"))


def test_a_profile_says_what_snakemake_reads_in_it(tmp_path) -> None:
    found = profile(tmp_path)
    assert (found.executor, found.remote, found.jobs, found.cores, found.jobs_per_second) == (
        "slurm",
        True,
        3,
        None,
        1000,
    )
    assert found.gpus == {"pretrain": 2} and found.threads == {"daily": 2} and found.snakemake_mb == 450
    assert found.wait_seconds == 5 + 10 / 2 and found.at_once(1450, 1) == 3
    assert profile(tmp_path, resources={"mem_mb": 4000}).at_once(1450, 1) == 2  # 4000 // 1450
    everywhere = {**SLURM["default-resources"], "gpu": 1}
    assert set(profile(tmp_path, **{"default-resources": everywhere}).gpus) == set(stages_of_rules())
    shipped_one = read(str(REPOSITORY / "workflow" / "profiles" / "slurm"))
    assert (shipped_one.jobs, shipped_one.snakemake_mb, shipped_one.gpus) == (200, 450, {})


def test_rules_are_known_by_the_stage_of_their_file() -> None:
    places = stages_of_rules()
    assert (places["pretrain"], places["infer"], places["maps"], places["student"]) == (
        "train",
        "infer",
        "products",
        "infer",
    )


def test_profiles_that_cannot_be_read_are_refused_in_words(tmp_path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="no such profile"):
        read(str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match=r"does not take this profile: .*jobz"):
        profile(tmp_path, jobz=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(DEMO))
    done = CliRunner().invoke(app, ["plan", "c.yaml", "--profile", "absent"])
    assert isinstance(done.exception, ConfigError) and "core-hours" not in done.stdout


def simulated(chains: int, links: int, seconds: float, slots: int) -> float:
    """Hours until ``chains`` of ``links`` equal jobs are done, each begun as soon as one of ``slots`` is free."""
    ready, free = [(0.0, chain, 0) for chain in range(chains)], [0.0] * slots
    heapq.heapify(ready)
    end = 0.0
    while ready:
        at, chain, link = heapq.heappop(ready)
        begin = max(at, heapq.heappop(free))
        heapq.heappush(free, begin + seconds)
        end = max(end, begin + seconds)
        if link + 1 < links:
            heapq.heappush(ready, (begin + seconds, chain, link + 1))
    return end / 3600


@pytest.mark.parametrize("jobs", [2, 3, 7, 400])
def test_wall_time_by_a_profile_is_that_of_a_simulated_queue(tmp_path, jobs) -> None:
    """Inference of the global example: 188 chains of 40 jobs, beside small local ones that are counted too."""
    config = yaml.safe_load((REPOSITORY / "config" / "examples" / "global_4km_1984_2022.yaml").read_text())
    run = Run(load(config | {"run": {"name": "g", "results": str(tmp_path)}}))
    found = next(row for row in by_profile(run, profile(tmp_path, jobs=jobs)) if row.stage == "infer")
    tiles = len(run.tiles)
    cost, hours = shipped()["infer"], next(row.core_hours for row in plan(run) if row.stage == "infer")
    job = 3600 * hours / (tiles * 40) + REFERENCE.snakemake
    waited = job + (10.0 if jobs >= tiles else 0.0)  # while jobs are waiting for a place nobody waits for the driver
    assert found.hours == pytest.approx(simulated(tiles, 40, waited, jobs), rel=0.06)
    assert found.core_hours == pytest.approx(hours + found.jobs * REFERENCE.snakemake / 3600)
    assert found.memory_mb == pytest.approx(next(r.memory_mb for r in plan(run) if r.stage == "infer") + 450)
    assert cost.seconds_per_job < job


def test_gpu_hours_are_those_that_jobs_hold(tmp_path, demo) -> None:
    cost, members = shipped()["train"], 3
    days = members * DEMO["synthesize"]["site_days"] * DEMO["train"]["pretrain_epochs"]
    hours = (members * cost.seconds_per_job + days * cost.seconds_per_unit) / 3600
    (held,) = gpu_hours(demo, profile(tmp_path))
    assert (held.rule, held.used) == ("pretrain", False) and held.hours == pytest.approx(2 * hours)
    assert "GPUs of pretrain stand idle" in table(demo, 2, profile(tmp_path))
    assert gpu_hours(demo) == [] and "GPU" not in table(demo, 2)
    cuda = Run(load(DEMO | {"train": DEMO["train"] | {"device": "cuda"}}))
    tuned = members * learning.cost(cuda, "finetune", cost) / 3600
    assert tuned > members * cost.seconds_per_job / 3600
    assert {row.rule: row.hours for row in gpu_hours(cuda)} == pytest.approx({"pretrain": hours, "finetune": tuned})
    assert "stand idle" not in table(cuda, 2, profile(tmp_path))


def test_a_calibration_is_found_by_the_next_plan_and_only_for_its_networks(demo, tmp_path) -> None:
    before = {row.stage: row.core_hours for row in plan(demo)}
    keep(demo, Speed(2 * REFERENCE.start, 7.5, {"infer": 5e-6}, "2 cores, a processor", "2026-11-29"))
    rows, costs, usual = {row.stage: row for row in plan(demo)}, calibration(demo).costs, shipped()
    assert costs["infer"].seconds_per_unit == 5e-6 and calibration(demo).snakemake == 7.5
    assert costs["train"].seconds_per_unit == 2 * usual["train"].seconds_per_unit
    assert rows["train"].core_hours == pytest.approx(2 * before["train"])
    cell_days, jobs = sum(demo.land.values()) * 365.25 * 3 * 3, rows["infer"].jobs
    assert rows["infer"].core_hours == pytest.approx(
        (jobs * 2 * usual["infer"].seconds_per_job + cell_days * 5e-6) / 3600
    )
    assert "check/calibration.json (2 cores, a processor, 2026-11-29; measured: infer)" in table(demo, 2)
    other = Run(
        load(DEMO | {"run": {"name": "demo", "results": str(tmp_path)}, "train": DEMO["train"] | {"hidden": 64}})
    )
    assert calibration(other).costs == usual and "is of another network" in table(other, 2)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"for": "x"}', '{"for": "x", "start": "a", "snakemake": 1, "stages": {}}']
)
def test_a_damaged_calibration_is_named(demo, tmp_path, text) -> None:
    place = tmp_path / "demo" / "check" / "calibration.json"
    place.parent.mkdir(parents=True)
    place.write_text(text)
    with pytest.raises(InputError, match="not a calibration") as problem:
        plan(demo)
    assert problem.value.where == str(place)


@pytest.mark.slow
def test_the_stages_are_measured_for_any_system_and_nothing_is_left(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(calibrate, "PART", 0.02)
    monkeypatch.setattr(calibrate, "_child", lambda words: 1.5)
    monkeypatch.setattr(calibrate.tempfile, "tempdir", str(tmp_path))
    config = {
        "run": {"name": "c", "results": str(tmp_path / "results")},
        "system": "toy_system:TOY",
        "grid": {"name": "4km", "tile_size": 2},
        "domain": {"west": -7, "east": -6, "south": 39, "north": 40},
        "period": {"start": 2001, "end": 2001},
        "forcing": {"source": "synthetic_earth"},
        "train": {"hidden": 4, "members": 2, "batch": 8},
    }
    said: list[str] = []
    speed = calibrate.calibrate(run := Run(load(config)), said.append)
    assert [line.rsplit(" ", 1)[1] for line in said[1:]] == ["ingest", "synthesize", "train", "infer"]
    assert (speed.start, speed.snakemake) == (1.5, 3.0) and {"ingest", "infer"} <= set(speed.stages)
    assert all(1e-9 < seconds < 0.1 for seconds in speed.stages.values())
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".nc", ".pt", ".tif")]
    assert json.loads(keep(run, speed).read_text())["stages"] == speed.stages
    monkeypatch.setattr(calibrate, "SECONDS", -1.0)
    said.clear()
    assert calibrate.calibrate(run, said.append).stages == {} and "keep the shipped costs" in said[-1]


def test_a_profile_that_sets_what_no_rule_has_is_told(demo, tmp_path) -> None:
    found = profile(tmp_path, **{"set-threads": {"infr": 4, "daily": 2}, "set-resources": {"pretrian": {"mem_mb": 1}}})
    assert found.unused == (
        "set-threads: 'infr' is not a rule of this workflow; did you mean 'infer'?",
        "set-resources: 'pretrian' is not a rule of this workflow; did you mean 'pretrain'?",
    )
    assert f"note: {found.name}: {found.unused[0]}" in table(demo, 2, found)
    computed = profile(tmp_path, **{"set-threads": {"daily": "2 * attempt"}}).unused
    assert computed == (
        "set-resources: mem_mb of 'maps' is computed for each job, and not counted here",
        "set-threads: threads of 'daily' are computed for each job, and not counted here",
    )


def test_memory_that_a_profile_sets_decides_how_many_jobs_run_at_once(demo, tmp_path) -> None:
    limits = {"resources": {"mem_mb": 9000}, "jobs": 100}
    found = profile(tmp_path, **limits, **{"set-resources": {"infer": {"mem_mb": 4000}, "pretrain": {"mem": "3GB"}}})
    rows = {row.stage: row for row in by_profile(demo, found)}
    assert (rows["infer"].memory_mb, rows["infer"].at_once) == (4000, 2)
    assert (rows["train"].memory_mb, rows["train"].at_once) == (3000, 3)
    usual = {
        row.stage: row
        for row in by_profile(demo, profile(tmp_path, **limits, **{"set-resources": {"maps": {"mem_mb": 1}}}))
    }
    predicted = next(row.memory_mb for row in plan(demo) if row.stage == "infer")
    assert usual["infer"].memory_mb == predicted + 450 and usual["infer"].at_once == 9000 // (predicted + 450)

"""Plan and status: numbers against an independent count, text for people."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import forked
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.config.train import Remedy
from fluxatlas.errors import InputError
from fluxatlas.paths import REPOSITORY
from fluxatlas.plan import benchmark, learning, permutations, plan, shipped, table, twins, wall_hours, work
from fluxatlas.plan.costs import Cost
from fluxatlas.plan.wall import gpu_hours
from fluxatlas.run import Run
from fluxatlas.status import FileStatus, parse
from fluxatlas.status import table as status_table
from fluxatlas.train import remedies

DEMO = REPOSITORY / "config" / "config.yaml"
PHASED = REPOSITORY / "config" / "examples" / "crop_synthetic.yaml"
"""Five phases of training, each a job."""


@pytest.mark.parametrize("config", [DEMO, PHASED], ids=["demo", "phases"])
def test_the_number_of_jobs_is_what_snakemake_counts(tmp_path, config) -> None:
    done = forked.snakemake("-n", "-q", "rules", "--directory", str(tmp_path), "--configfile", str(config))
    total = next(line.split()[1] for line in (done.stdout + done.stderr).splitlines() if line.startswith("total"))
    assert sum(todo.jobs for todo in work(Run(load(config))).values()) == int(total) - 1  # without the rule `all`


def test_phases_follow_one_another() -> None:
    run = Run(load(PHASED))
    train = work(run)["train"]
    assert (train.jobs, train.steps) == (2 * (5 + 2) + 5 + 1, 1 + 5 + 1 + 1)  # two members, five baselines, ensemble
    cuda = Run(load(yaml.safe_load(PHASED.read_text()) | {"train": run.config.train.model_dump() | {"device": "cuda"}}))
    hours, start = {row.rule: row.hours for row in gpu_hours(cuda)}, 2 * 4 / 3600
    assert hours["phase"] > 5 * start and hours["finetune"] > start


# A site is a window of one year in these; a step of 8 sequences has 6 of them and 2 of samples
SITED = {
    "system": "soil_methane_sink",
    "synthesize": {"site_days": 36500},
    "train": {"members": 3, "hidden": 32, "batch": 8, "rehearsal": 0.25, "sequence_days": 365, "finetune_epochs": 4,
              "pretrain_epochs": 5, "finetune_steps": 100, "validation_share": 0.3,
              "baselines": ["process", "no_pretraining"]},
    "synthetic_earth": {"towers": 20},
    "period": {"start": 2001, "end": 2003},
}  # fmt: skip
DAYS = 20 * 3 * 365


def _trained(**changed) -> Run:
    data = yaml.safe_load(DEMO.read_text())
    blocks = {key: data.get(key, {}) | value if isinstance(value, dict) else value for key, value in SITED.items()}
    return Run(load(data | blocks | {"train": blocks["train"] | changed}))


def units(rule: str, name: str = "", **changed) -> float:
    price = Cost("day", seconds_per_job=10.0, seconds_per_unit=1.0, memory_mb=1, bytes_per_unit=0)
    return learning.cost(_trained(**changed), rule, price, name) - 10


def test_jobs_of_training_cost_by_their_steps() -> None:
    predicted = DAYS / 3
    assert units("pretrain") == 36500 * 5
    assert units("pretrain", hidden=64) == pytest.approx(36500 * 5 * 2**0.93)
    # a hundred steps of 6 + 2 sequences of a year
    steps = 100 * 8 * 365
    assert units("finetune", ladder="weights", strategy="finetune") == pytest.approx(steps + predicted)
    assert units("finetune", ladder="prior") == pytest.approx(predicted)
    # strategies of two phases are jobs of their own, and what follows only predicts; the first sees samples alone
    two = {"ladder": "weights", "strategy": "reweighted"}
    assert units("phase", **two) == steps and units("finetune", **two) == pytest.approx(predicted)
    # four passes: 60 windows in 10 steps of 8 sequences, each validated on three tenths of the sites
    passes = 4 * (10 * 8 * 365 + 0.3 * predicted)
    calibrated = DAYS * learning.CALIBRATED_DAY
    assert units("finetune", ladder="last") == pytest.approx(passes + calibrated + predicted)
    # of a fold's third of the sites, each by its own days, another calibration and another prediction
    local = {"ladder": "last", "local_days": 20}
    told = (predicted + calibrated / 2) / 3
    assert units("finetune", **local) == pytest.approx(passes + calibrated + predicted + told)
    assert units("finetune", folds=12, **local) - units("finetune", folds=12, ladder="last") == pytest.approx(told)
    assert units("baseline", "no_knowledge", **local) == units("baseline", "no_knowledge", ladder="last")
    assert units("baseline", "process_local", **local) == units("baseline", "process", **local)
    assert units("baseline", "mean_local", **local) == 0
    # without samples 8 windows a step, twice as many passes, in three folds
    assert units("baseline", "no_pretraining") == pytest.approx(3 * (8 * (8 * 8 * 365 + 0.3 * predicted) + predicted))
    assert units("baseline", "process") == pytest.approx(DAYS * 4e-7)


@pytest.mark.parametrize(
    ("changed", "most", "every", "rounds"),
    [
        ({}, 1, 3, 3),
        ({"folds": 12}, 4, 12, 12),
        ({"folds": 4}, 2, 4, 4),
        ({"folds": 12, "every_fold": True}, 12, 36, 12),
    ],
)  # folds of the member with most of them, of all three members, and trainings of a baseline
def test_jobs_of_training_cost_by_their_folds(changed, most, every, rounds) -> None:
    predicted, steps, days = DAYS / 3, 100 * 8 * 365, DAYS * learning.FITTED_DAY
    passes = 4 * (10 * 8 * 365 + 0.3 * predicted)
    calibrated = DAYS * learning.CALIBRATED_DAY / 2  # of a fold, or of all sites
    tuned = units("finetune", ladder="last", **changed)
    assert tuned == pytest.approx(most * (passes + calibrated + predicted) + calibrated)
    of_each = [units("finetune", str(member), ladder="last", **changed) for member in range(3)]
    assert sum(of_each) == pytest.approx(every * (passes + calibrated + predicted) + 3 * calibrated)
    assert max(of_each) == of_each[0] == tuned
    # jobs of their own make the phases without the first fold; the member makes all of them without its other folds
    two = changed | {"ladder": "weights", "strategy": "reweighted"}
    assert units("phase", **two) == steps
    assert units("finetune", **two) == pytest.approx((most - 1) * 2 * steps + most * predicted)
    one = changed | {"ladder": "weights", "strategy": "finetune"}
    assert units("baseline", "no_knowledge", **one) == pytest.approx(36500 * 5 + every * (steps + predicted))
    alone = 8 * (8 * 8 * 365 + 0.3 * predicted) + predicted
    assert units("baseline", "no_pretraining", **changed) == pytest.approx(rounds * alone)
    assert units("baseline", "trees", **changed) == pytest.approx(rounds * 3 * days)  # of fch4, tsl05, swc05
    assert units("baseline", "own_season", **changed) == pytest.approx(3 * days)  # made once, of all that it predicts


@pytest.mark.parametrize("name", ["trees", *get_args(Remedy)])
def test_what_inner_folds_choose_costs_by_the_trees_that_are_fitted(monkeypatch, name) -> None:
    rng, sizes = np.random.default_rng(2), []

    def counted(rows, seed):
        sizes.append(len(rows[1]))
        return lambda given: given[:, 0] + rng.normal(0, 0.1, len(given))

    monkeypatch.setattr(remedies, "boosted_trees", counted)
    x, many = rng.normal(size=(60_000, 2)).astype(np.float32), rng.integers(0, 6, 60_000)
    rows = (x, x[:, 0] + rng.normal(0, 0.1, len(x)), np.ones(len(x)), many)
    remedies.learners(1.0)[name](rows, 1)
    most = DAYS * sum(size == len(x) for size in sizes) if name != "stacked" else 3 * DAYS  # all may have a share
    inner = [size for size in sizes if size < len(x)]
    assert len(inner) == learning.INNER_FITS.get(name, 0) and set(inner) <= {learning.INNER_DAYS}
    expected = (most or DAYS) + len(inner) * min(DAYS * 2 / 3, learning.INNER_DAYS)
    assert units("baseline", name) == pytest.approx(3 * 3 * expected * learning.FITTED_DAY)
    assert units("experiment", name) == pytest.approx(5 * expected * learning.FITTED_DAY)


def test_baselines_cost_by_the_variables_that_sites_observe(tmp_path) -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "examples" / "nee_europe.yaml").read_text())
    run = Run(load(data | {"run": data["run"] | {"results": str(tmp_path)}}))
    price = Cost("day", seconds_per_job=0.0, seconds_per_unit=1.0, memory_mb=1, bytes_per_unit=0)

    def cost(name: str) -> float:
        return learning.cost(run, "baseline", price, name)

    unread = {name: cost(name) for name in ("stacked", "process")}
    table = Path(run.paths("ingest", "sites", "observations.parquet"))
    table.parent.mkdir(parents=True)
    pd.DataFrame({"variable": ["nee", "reco", "swc05", "nee", "ta"]}).to_parquet(table)
    assert cost("stacked") == pytest.approx(unread["stacked"] * 2 / 3)
    assert cost("process") == unread["process"]
    table.write_bytes(b"PAR1 and no more")  # the step that reads it says so
    assert cost("stacked") == unread["stacked"]


@pytest.mark.parametrize("folds", [3, 4])
def test_the_plan_of_training_is_the_sum_of_its_jobs(folds) -> None:
    run, price = _trained(ladder="weights", strategy="finetune", folds=folds), shipped()["train"]
    jobs = [("pretrain", "")] * 3 + [("finetune", str(member)) for member in range(3)]
    jobs += [("baseline", name) for name in run.config.train.baselines]
    row = next(row for row in plan(run) if row.stage == "train")
    expected = price.seconds_per_job + sum(learning.cost(run, *one[:1], price, one[1]) for one in jobs)  # and ensemble
    assert row.core_hours == pytest.approx(expected / 3600)
    chain = 3 * price.seconds_per_job + sum(
        learning.cost(run, rule, price) - price.seconds_per_job for rule in ("pretrain", "finetune")
    )
    assert row.chain_hours == pytest.approx(chain / 3600)


def test_sites_are_guessed_until_they_are_read(tmp_path) -> None:
    data = yaml.safe_load(DEMO.read_text()) | {"run": {"name": "p", "results": str(tmp_path)}}
    data["sites"] = {"entries": [{"source": "fluxnet", "path": "nothing"}]}
    run = Run(load(data))
    assert learning.counted_days(run) == 50 * len(run.years) * 365
    path = Path(run.paths("regrid", "sites_forcing.parquet"))
    path.parent.mkdir(parents=True)
    pd.DataFrame({"site": ["a"] * 730}).to_parquet(path)
    assert learning.counted_days(run) == 730
    path.write_bytes(b"PAR1")
    assert learning.counted_days(run) == 50 * len(run.years) * 365  # the plan itself says what is wrong


def test_twins_are_counted_beside_the_run(tmp_path) -> None:
    done = forked.snakemake("twin", "-n", "-q", "rules", "--directory", str(tmp_path), "--configfile", str(DEMO))
    total = next(line.split()[1] for line in (done.stdout + done.stderr).splitlines() if line.startswith("total"))
    jobs, core_hours = twins(run := Run(load(DEMO)))
    assert jobs == int(total) and core_hours == pytest.approx(2 * sum(row.core_hours for row in plan(run)))
    assert f"`snakemake twin` (not part of the run): {jobs} jobs, at most {core_hours:.2f} core-hours" in table(run, 2)
    real = Run(load(REPOSITORY / "config" / "examples" / "walnut_gulch_2008.yaml"))
    assert twins(real) == (0, 0.0) and "twin" not in table(real, 2)


@pytest.mark.parametrize("command", ["plan", "status"])
def test_plan_and_status_work_in_any_folder(command, tmp_path, monkeypatch) -> None:
    (tmp_path / "c.yaml").write_text(DEMO.read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fluxatlas.status.subprocess", forked)
    for config in (["c.yaml"], []):
        done = CliRunner().invoke(app, [command, *config])
        assert done.exit_code == 0 and "infer" in done.stdout, done.output


def test_cost_grows_with_the_work_and_wall_time_falls_with_cores() -> None:
    small = plan(Run(load(DEMO)))
    large = plan(Run(load(REPOSITORY / "config" / "examples" / "global_4km_1984_2022.yaml")))
    assert {row.stage for row in small} == set(shipped())
    costs = shipped()
    for one, many in zip(small, large, strict=True):
        if one.stage in ("evaluate", "report"):  # a fixed number of jobs, whatever the size
            assert many.core_hours == pytest.approx(many.jobs * costs[one.stage].seconds_per_job / 3600), one.stage
        else:
            assert many.core_hours > one.core_hours, one.stage
    assert wall_hours(large, 64) < wall_hours(large, 2) / 10
    # half again the work of 2 cores is a bound: no plan may promise more than the cores can do
    assert wall_hours(large, 2) >= sum(row.core_hours for row in large) / 2


def test_inference_of_the_global_run_agrees_with_the_count_of_cell_days() -> None:
    run = Run(load(REPOSITORY / "config" / "examples" / "global_4km_1984_2022.yaml"))
    todo = work(run)["infer"]
    assert todo.jobs == len(run.tiles) * 40 + 39  # spin-ups, tile-years; histories
    cell_days = sum(run.land.values()) * 365.25 * 41
    assert todo.units == pytest.approx(cell_days * 5 * 2**0.93, rel=1e-6)


def test_the_text_names_every_stage_and_the_time() -> None:
    text = table(Run(load(DEMO)), 2)
    assert all(stage in text for stage in shipped()) and "minutes on 2 cores" in text


def test_status_groups_snakemakes_summary() -> None:
    run = Run(load(DEMO))
    first, second = run.tiles[:2]
    rows = [
        "output_file\tdate\trule\tlog-file(s)\tstatus\tplan",
        f"{run.paths.flux(first, 2001)}\t-\tinfer\tx\tok\tno update",
        f"{run.paths.flux(first, 2002)}\t-\tinfer\tx\tupdated input files\tupdate pending",
        f"{run.paths.flux(second, 2001)}\t-\tinfer\tx\tmissing\tupdate pending",
    ]
    files = parse("noise\n" + "\n".join(rows) + "\n")
    assert files[1] == FileStatus(run.paths.flux(first, 2002), "infer", "stale", "updated input files")
    text = status_table(run, files)
    assert f"{first:<12}#s" in text and f"{second:<12}.." in text and "updated input files" in text


def test_the_benchmark_is_counted_as_snakemake_counts_it_and_costs_what_its_steps_cost(tmp_path) -> None:
    grid = {"models": ["gru", "lstm"], "transfers": ["finetune", "none"], "shares": [1.0, 0.5], "references": ["trees"]}
    grid |= {"hidden": ["swc05"]}
    data = yaml.safe_load(DEMO.read_text()) | {"experiments": grid}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    options = ("-n", "-q", "rules", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    done = forked.snakemake("benchmark", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = dict(line.split() for line in (done.stdout + done.stderr).splitlines() if len(line.split()) == 2)
    jobs, hours = benchmark(Run(load(data)))
    assert jobs == sum(int(counts[name]) for name in ("experiment", "experiment_start", "benchmark", "site_truth"))
    assert int(counts["experiment"]) == 2 * 2 * 2 * 2 * 2 + 2 * 2 * 2 and int(counts["experiment_start"]) == 2 * 2
    longer = benchmark(Run(load(data | {"train": data["train"] | {"finetune_steps": 2000}})))[1]
    # 16 networks with a GRU and 16 with an LSTM (0.3 of its cost) in 5 folds of space and one of later years
    steps = 1000 * 32 * (365 + 60) * 8 * (1 + 0.3) * (5 + 1)
    assert longer - hours == pytest.approx(steps * shipped()["train"].seconds_per_unit / 3600, rel=1e-6)


def test_permuted_drivers_cost_by_draws_and_days_and_are_not_guessed(tmp_path) -> None:
    data = yaml.safe_load(DEMO.read_text()) | {"experiments": {"references": ["mean"], "importance_draws": 2}}
    data["run"] = {"name": "p", "results": str(tmp_path)}
    run = Run(load(data))
    hours, groups = permutations(run), len(run.system.permutable)
    networks = len([one for one in run.experiments if one.model != "mean"])
    seen = 2 * groups * 2 * run.config.synthetic_earth.towers * len(run.years) * 365 / 3
    cell = (run.config.train.hidden / 32) ** 0.93 * (1 + 0.6) / 2  # half of them have a GRU, half a TCN
    assert hours == pytest.approx(seen * networks * cell * shipped()["train"].seconds_per_unit / 3600)
    assert f"; {hours:.2f} more for permuted drivers" in table(run, 1)
    data["experiments"] |= {"importance_draws": 0}
    assert permutations(Run(load(data))) == 0 and "permuted drivers" not in table(Run(load(data)), 1)
    data["experiments"] |= {"importance_draws": 1}
    data["sites"] = {"entries": [{"source": "fluxnet", "path": "nothing"}]}
    run = Run(load(data))
    assert permutations(run) is None and "known once the sites are read" in table(run, 1)
    path = Path(run.paths("regrid", "sites_forcing.parquet"))
    path.parent.mkdir(parents=True)
    pd.DataFrame({"site": ["a"] * 730}).to_parquet(path)
    assert permutations(run) > 0
    path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        permutations(run)

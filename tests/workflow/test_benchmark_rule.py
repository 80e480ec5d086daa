"""`snakemake benchmark` without running it: a job per experiment, a start per cell and seed, nothing when done."""

import re

import pytest
from standins import StandIns

GRID = {"models": ["gru", "tcn"], "transfers": ["finetune", "none"], "splits": ["space"], "seeds": 1, "folds": 4}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> StandIns:
    """A run whose benchmark is done, too."""
    run = StandIns(tmp_path_factory.mktemp("benchmark"), experiments={**GRID, "references": ["trees"]})
    said = run.snakemake("-n", "-p", "benchmark")
    (run.folder / "said").write_text(said)
    for name in ", ".join(re.findall(r"^    (?:output|benchmark): (.*)$", said, re.M)).split(", "):
        (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / name).write_text("x")
    run.snakemake("--touch", "--forceall", "--", "benchmark")
    return run


def test_each_experiment_is_a_job_and_the_most_telling_ones_come_first(finished: StandIns) -> None:
    said = (finished.folder / "said").read_text()
    blocks = re.findall(r"^rule experiment:\n(.*?)\n\n", said, re.M | re.S)
    order = {re.search(r"output: (\S+)", one)[1]: int(re.search(r"priority: (\d+)", one)[1]) for one in blocks}
    root = "results/r/experiments/space/1"
    assert order == {
        f"{root}/gru/finetune/0.csv": 10,
        f"{root}/trees/none/0.csv": 10,
        f"{root}/tcn/finetune/0.csv": 9,
        f"{root}/gru/none/0.csv": 9,
        f"{root}/tcn/none/0.csv": 8,
    }
    commands = [line for line in said.splitlines() if "fluxatlas experiments run" in line]
    assert sum("--start results/r/experiments/start/" in line for line in commands) == 2
    assert all("--folds 4" in line for line in commands)
    cells = re.findall(r"train pretrain --settings '.*?\"cell\": \"(\w+)\", .*?\"code\": 0", said)
    assert sorted(cells) == ["gru", "tcn"]


def test_what_a_change_wakes(finished: StandIns) -> None:
    """Nothing when it is done; one more value on an axis runs what is new; leaves of members alone wake nothing."""
    assert finished.planned("benchmark") == {}
    more = {**GRID, "references": ["trees"], "transfers": ["finetune", "none", "l2sp"]}
    finished.configure(train={"cell": "lstm", "ladder": "climb", "code": 3}, experiments=more)
    assert finished.planned("benchmark") == {"experiment": 2, "benchmark": 1}
    finished.configure(train={"hidden": 7}, experiments={**GRID, "references": ["trees"]})
    assert finished.planned("benchmark") == {"experiment": 5, "experiment_start": 2, "benchmark": 1}

"""Every leaf of the configuration says what it changes and who reads it; jobs are handed what they read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fluxatlas
from fluxatlas.config import leaves
from fluxatlas.config.base import Block
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.config.infer import InferBlock
from fluxatlas.config.model import Config, block_of
from fluxatlas.config.settings import read_settings
from fluxatlas.paths import REPOSITORY

PACKAGE = Path(fluxatlas.__file__).parent
RULES = "\n".join(path.read_text() for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")))
READ_BY = {
    "infer": ("infer/*[!t].py", "infer/output.py", "tiles/*.py"),  # all but the next
    "student": ("infer/student.py",),
    "spinup": ("infer/tile.py", "infer/kernel.py", "infer/blocks.py"),
    "pretrain": ("train/pretrain.py", "train/loop.py"),
    "finetune": ("train/adapt.py", "train/finetune.py", "train/splits.py", "train/loop.py"),
    "baseline": ("train/*.py",),
    "synthesize": ("synthesize/*.py",),
    "daily": ("products/daily.py", "products/metadata.py"),
    "maps": ("products/cog.py",),
    "budget": ("products/budget.py",),
    "stac": ("products/stac.py",),
    "skill": ("evaluate/skill.py",),
    "towers": ("evaluate/towers.py",),
    "figure": ("report/*.py",),
    "hidden_truth": ("testing/*.py",),
    "sites": ("ingest/sites/table.py",),
    "regions": ("regrid/regions.py",),
    "forcing": ("ingest/*.py",),
    "unseen": ("evaluate/unseen.py", "evaluate/clusters.py"),
    "trends": ("evaluate/trends.py", "evaluate/trends_figure.py"),
    "site_truth": ("testing/*.py",),
}
"""The modules that read the settings of a job."""
ELSEWHERE = {"finetune", "baseline", "figure"}
"""Jobs whose settings other modules read too."""


def blocks() -> Iterator[tuple[str, type[Block]]]:
    for name, field in Config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block):
            yield name, field.annotation


def test_every_leaf_names_jobs_that_are_rules_or_says_why_there_are_none() -> None:
    rules = set(re.findall(r"rule (\w+):", RULES)) | {"figure"}  # the rules of figures are made in a loop
    every = [*((f"{name}.{leaf}", block, leaf) for name, block in blocks() for leaf in block.model_fields)]
    every.append(("system", Config, "system"))
    assert len(every) > 100
    for name, block, leaf in every:
        jobs = leaves.jobs(block, leaf)
        assert bool(jobs) != bool(leaves.why(block, leaf)), name
        assert set(jobs) <= rules, (name, set(jobs) - rules)


def test_every_rule_that_is_handed_settings_asks_for_its_own() -> None:
    for rule, body in re.findall(r"rule (\w+):(.*?)(?=\n *rule\b|\Z)", RULES, re.S):
        asked = set(re.findall(r'settings\("(\w+)"\)', body))
        assert asked <= {rule, *(["infer"] if rule == "history_start" else [])}, rule
        assert all(leaves.names(dict(blocks())[block_of(job)], job) for job in asked)
    assert "without=" not in RULES and "exclude=" not in RULES


@pytest.mark.parametrize("job", READ_BY)
def test_what_the_stage_of_a_job_reads_is_handed_to_it(job) -> None:
    block = dict(blocks())[block_of(job)]
    text = "\n".join(path.read_text() for pattern in READ_BY[job] for path in PACKAGE.glob(pattern))
    read = set(re.findall(r"\b(?:settings|block)\.([a-z_]+)", text)) & set(block.model_fields)
    assert read - {"baselines"} <= leaves.names(block, job)  # each baseline is a job of its own, named by an option
    assert read
    asked = leaves.names(block, job, changing="result")
    assert job in ELSEWHERE or asked <= set(re.findall(r"\.([a-z_]+)", text))  # what it does not read wakes it not


def test_only_what_changes_the_result_is_compared() -> None:
    block = InferBlock(workers=7, regrid="conservative")
    handed, recorded = leaves.handed(block, "infer"), leaves.recorded(block, "infer")
    own = {"student_steps", "student_seed"}  # of another job
    assert handed == block.model_dump(mode="json", exclude=own)
    assert recorded == {"forms": {}, "regrid": "conservative", "daily_members": False}
    settings = leaves.Settings("infer", handed, recorded)
    assert json.loads(settings) == handed and f"{settings}" == str(settings) and "workers" not in repr(settings)
    assert repr(settings) == 'infer {"daily_members": false, "forms": {}, "regrid": "conservative"}'
    assert read_settings(InferBlock, settings) == block


def test_leaves_of_nested_blocks_count_too() -> None:
    pattern = {
        "mapping": "m",
        "path": "p/{year}.nc",
        "last_year": 2001,
        "overrides": {"pr": {"units": "mm", "reason": "x" * 10}},
    }
    block = ForcingBlock.model_validate({"source": "era5", "path": "{year}", "elevation": "z", "rain_pattern": pattern})
    recorded = leaves.recorded(block, "forcing")
    assert recorded["rain_pattern"] == {"source": "mapping", "mapping": "m", "overrides": pattern["overrides"]}
    assert not {"path", "elevation", "first_year", "compression", "fetch"} & recorded.keys()
    assert leaves.handed(block, "forcing")["rain_pattern"]["path"] == "p/{year}.nc"

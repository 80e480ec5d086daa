"""Sums of regions in the workflow: what the configuration refuses, the jobs there are, and which of them go stale."""

import os
from pathlib import Path
from typing import Any

import pytest
import standins
from standins import StandIns, jobs_by_rule

import forked
from fluxatlas.config import load
from fluxatlas.errors import ConfigError
from fluxatlas.run import Run

REGIONAL = {
    "constraint": "gcb", "regions": "transcom", "preset": "ecosystem",
    "corrections": {"fire": "ct", "evasion": "rivers.csv"}, "without": ["lateral"],
}  # fmt: skip
BLOCKS: dict[str, dict[str, Any]] = {
    "constraints": {"sets": {"gcb": {"path": "gcb.nc"}, "ct": {"path": "ct.nc", "variable": "fire_flux_imp"}}},
    "regions": {"maps": {"transcom": {"path": "regions.nc"}}},
    "train": {"members": 2, "baselines": ["trees", "no_knowledge"], "ladder": "network", "strategy": "constrained"},
    "products": {"variables": ["nee"]},
    "regional": REGIONAL,
}
HELD = {"finetune": 2, "ensemble": 1, "infer": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(standins.SETTINGS, "system", "net_ecosystem_exchange")
        folder = tmp_path_factory.mktemp("run")
        for name in ("gcb.nc", "ct.nc", "rivers.csv", "regions.nc"):
            (folder / name).write_bytes(os.urandom(64))
        made = StandIns(folder, **BLOCKS)
        made.finish()
    return made


def planned(run: StandIns, **changes: dict[str, Any]) -> dict[str, int]:
    """Jobs of training and their followers of a dry run with ``changes`` of the blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(standins.SETTINGS, "system", "net_ecosystem_exchange")
        run.configure(**{name: {**block, **changes.get(name, {})} for name, block in BLOCKS.items()})
    jobs = jobs_by_rule(run.snakemake("-n"))
    watched = ("constraint", "regional_target", "regional_points", "synthesize", "pretrain", "baseline", *HELD)
    return {rule: jobs[rule] for rule in watched if rule in jobs}


@pytest.mark.parametrize(
    ("changes", "jobs"),
    [
        ({}, {}),
        ({"regional": {"preset": "land_sink", "corrections": {}, "without": ["fire"]}}, {"regional_target": 1}),
        ({"regional": {"floor": 0.1, "held_out_share": 0.3, "members": ["CAMS"]}}, {"regional_target": 1}),
        ({"regional": {"points": 20, "areas": "refitted"}}, {"regional_points": 1}),
        ({"regional": {"seed": 2}}, {"regional_target": 1, "regional_points": 1}),
        ({"constraints": {"sets": {**BLOCKS["constraints"]["sets"], "gcb": {"path": "gcb.nc", "last_year": 2004}}}},
         {"constraint": 1, "regional_target": 1}),
    ],
)  # fmt: skip
def test_a_leaf_reruns_its_job_and_what_follows(run: StandIns, changes: Any, jobs: dict[str, int]) -> None:
    follows = {**HELD, "baseline": 1} if jobs else {}  # of the baselines only the network without knowledge terms
    assert planned(run, **changes) == {**jobs, **follows}


def test_how_the_sums_are_weighed_reruns_the_training_alone(run: StandIns) -> None:
    assert planned(run, train={"regional_draw": 10, "regional_weight": 2.0}) == {**HELD, "baseline": 2}


def test_the_jobs_are_handed_what_they_need(run: StandIns) -> None:
    planned(run)
    place = ("--directory", str(run.folder), "--configfile", str(run.folder / "c.yaml"))
    done = forked.snakemake("-n", "-p", "--cores", "1", "--forceall", *place)
    lines = [line[line.index("fluxatlas ") :].replace("'", "") for line in done.stdout.splitlines() if " 2> " in line]
    said = {line.split()[2]: line for line in lines}
    target, points = said["regional-target"], said["regional-points"]
    assert "--correction evasion=rivers.csv --correction fire=results/r/ingest/constraints/ct.nc" in target
    assert "--years 2002 2005" in target and '"preset": "ecosystem"' in target and '"path": "regions.nc"' in target
    assert "--forcing=results/r/ingest/forcing/{N37W008,N37W007}/{2002,2003,2004,2005}.nc" in points
    options = (
        "--regional-target results/r/train/regional/target.nc --regional-points results/r/train/regional/points.nc"
    )
    assert options in said["finetune"]
    baselines = sorted((line for line in lines if "train baselines" in line), key=lambda one: "only trees" in one)
    assert [options in line for line in baselines] == [True, False]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"regional": {"constraint": ""}}, "regional.regions: does nothing without regional.constraint"),
        (
            {"regional": {"constraint": ""}},
            "train.strategy: the strategy compares regions, and no inversions are given",
        ),
        (
            {"regional": {"constraint": "gcp"}},
            "regional.constraint: 'gcp' is not in constraints.sets; did you mean 'gcb'",
        ),
        ({"regional": {"regions": ""}}, "regional.regions: name an entry of regions.maps"),
        ({"regional": {"preset": ""}}, "regional.preset: say what the sums are converted to"),
        ({"regional": {"corrections": {"trade": "ct"}}}, "'trade' is not one of preset 'ecosystem'"),
        ({"regional": {"corrections": {"fire": "cct"}}}, "fire: 'cct' is neither in constraints.sets nor a CSV file"),
        ({"regional": {"corrections": {"fire": "gcb"}}}, "fire: 'gcb' are the inversions themselves"),
        ({"regional": {"flux": "gpp"}}, "'gpp' is not positive to the atmosphere"),
        ({"regional": {"flux": "ne"}}, "regional.flux: 'ne' is not summed by the system .*did you mean 'nee'"),
        ({"regional": {"years": [2004, 2003]}}, "regional.years: the years 2004 to 2003 run backwards"),
        (
            {"regional": {"years": [2004, 2013]}, "forcing": {"last_year": 2007}},
            "regional.years: needs forcing of 2008",
        ),
        ({"regional": {"used": ["west", "east", "west"]}}, "regional.used: 'west' stands there twice"),
        ({"regional": {"members": ["a", "a"]}}, "regional.members: 'a' stands there twice"),
        ({"regional": {"used": ["west"], "held_out": {"wst": [2003]}}}, "'wst' is not in regional.used.*'west'"),
        ({"regional": {"held_out": {"west": []}}}, "regional.held_out.west: name a year"),
        (
            {"regional": {"years": [2002, 2005], "held_out": {"west": [2003, 1999]}}},
            "west: 1999 outside of the years compared, 2002 to 2005",
        ),
        ({"train": {"ladder": "calibrated"}}, "regional.constraint: no phase of training uses it"),
        ({"train": {"ladder": "climb"}}, "train.ladder: climb compares rungs that see no region"),
        ({"train": {"strategy": "finetune"}}, "regional.constraint: no phase of training uses it"),
        ({"train": {"regional_draw": 5, "regional_decompose": True}}, "need the same points in all years"),
        ({"train": {"regional_draw": 50}}, r"fewer points than regional.points \(50\)"),
        ({"system": "soil_methane_sink", "products": {"variables": ["fch4"]}}, "'fch4' is in mg m-2 d-1 of CH4"),
    ],
)
def test_contradictions_are_refused_before_anything_is_run(changes: Any, said: str) -> None:
    settings: dict[str, Any] = {**standins.SETTINGS, "system": "net_ecosystem_exchange", **BLOCKS}
    for name, block in changes.items():
        settings[name] = {**settings.get(name, {}), **block} if isinstance(block, dict) else block
    with pytest.raises(ConfigError, match=said):
        load(settings)


def test_members_from_elsewhere_are_only_compared(tmp_path: Path) -> None:
    settings = {**standins.SETTINGS, "system": "net_ecosystem_exchange", **BLOCKS}
    made = load({**settings, "train": {"members_from": "published", "ladder": "climb"}})
    assert Run(made).regional == "gcb"

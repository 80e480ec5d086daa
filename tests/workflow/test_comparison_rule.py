"""`snakemake comparison`: what the configuration refuses, the jobs there are, and which leaf makes them stale."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import standins
from standins import StandIns, jobs_by_rule

import forked
from fluxatlas.config import load
from fluxatlas.errors import ConfigError
from fluxatlas.plan import comparison_jobs, table
from fluxatlas.run import Run

SYSTEM = "soil_moisture_energy"
SETS: dict[str, Any] = {
    "cci": {"path": "cci.nc", "kind": "esa_cci"},
    "era": {"path": "era5.nc", "kind": "era5_land"},
    "smap": {"path": "smap.h5", "kind": "smap"},
}
AGAINST = {"swc05": ["cci", "era", "smap"], "swc45": "era"}
BLOCKS: dict[str, dict[str, Any]] = {
    "constraints": {"sets": SETS},
    "products": {"variables": ["swc05", "swc45"]},
    "comparison": {"against": AGAINST},
}
COUNTS = {"compare": 4, "collocate": 3, "comparison": 1}


def _handed(said: str) -> None:
    """The commands of a dry run hold what their jobs need."""
    pair = "--against smap=results/r/ingest/constraints/smap.nc --maps results/r/evaluate/comparison/swc05/smap.nc"
    assert pair in said and "--daily=results/r/products/daily/swc05_{2002,2003,2004,2005}.nc" in said
    assert "--against cci=results/r/ingest/constraints/cci.nc --against era=" in said
    pair, triple = (f"results/r/evaluate/comparison/{name}.csv" for name in ("swc45/era", "swc05/cci+era"))
    assert f"--pair {pair} --triple {triple}" in said


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(standins.SETTINGS, "system", SYSTEM)
        folder = tmp_path_factory.mktemp("run")
        for one in SETS.values():
            (folder / one["path"]).write_bytes(os.urandom(64))
        made = StandIns(folder, **BLOCKS)
        said = made.snakemake("-n", "-p", "comparison")
        jobs = jobs_by_rule(said)
        assert {rule: jobs[rule] for rule in COUNTS} == COUNTS
        _handed(said.replace("'", ""))
        plan = Run(load(made.folder / "c.yaml"))
        assert comparison_jobs(plan) == sum(COUNTS.values())
        assert "`snakemake comparison` (not part of the run): 8 jobs more" in table(plan, 2)
        outputs = ", ".join(re.findall(r"^    output: (.*)$", said, re.M)).split(", ")
        for name in (*outputs, "results/r/benchmarks/report/comparison.tsv"):  # of the target this counts too
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(os.urandom(16))
        made.snakemake("--touch", "--forceall", "comparison")
    return made


def planned(run: StandIns, **leaves: Any) -> dict[str, int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(standins.SETTINGS, "system", SYSTEM)
        run.configure(**BLOCKS | {"comparison": {**BLOCKS["comparison"], **leaves}})
    return run.planned("comparison")


@pytest.mark.parametrize(
    ("leaves", "jobs"),
    [
        ({}, {}),
        ({"minimum_days": 50}, {"compare": 4, "comparison": 1}),
        ({"triplet_days": 200}, {"collocate": 3, "comparison": 1}),
        ({"against": {"swc05": ["cci", "era"]}}, {"comparison": 1}),
    ],
)
def test_a_leaf_reruns_the_jobs_that_read_it(run: StandIns, leaves: Any, jobs: dict[str, int]) -> None:
    assert planned(run, **leaves) == jobs


def test_nothing_to_compare_with_is_said(run: StandIns) -> None:
    run.configure()
    place = ("--directory", str(run.folder), "--configfile", str(run.folder / "c.yaml"))
    done = forked.snakemake("-n", "--cores", "1", "comparison", *place)
    assert done.returncode and "no gridded products are named to compare with" in done.stdout + done.stderr
    assert comparison_jobs(Run(load(standins.SETTINGS))) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"against": {"swc5": ["cci"]}}, "the product has no variable 'swc5'; did you mean 'swc"),
        ({"against": {"swc05": ["cc"]}}, "swc05: 'cc' is not in constraints.sets; did you mean 'cci'"),
        ({"against": {"swc05": []}}, "swc05: name an entry of constraints.sets, or leave the variable out"),
        ({"against": {"swc05": ["cci", "cci"]}}, "swc05: 'cci' stands there twice"),
        ({"against": {"swc05": ["old"]}}, r"'old' keeps \.\.\.-1999, the period is 2002-2005"),
        (
            {"against": {"swc05": ["cci"]}, "collocation": "always"},
            "triple collocation needs two gridded products beside ours, and there is 1",
        ),
        ({"against": {}, "seed": 2}, "comparison.seed: does nothing without comparison.against"),
        ({"season_window": 30}, "30 days have no day in their middle: give an odd number"),
    ],
)
def test_contradictions_are_refused_before_anything_is_run(changes: Any, said: str) -> None:
    sets = {**SETS, "old": {"path": "o.nc", "kind": "smap", "last_year": 1999}}
    settings = {**standins.SETTINGS, "system": SYSTEM, **BLOCKS, "constraints": {"sets": sets}}
    with pytest.raises(ConfigError, match=said):
        load(settings | {"comparison": {"against": AGAINST, **changes}})


def test_a_system_with_a_flux_of_carbon_is_compared_with_inversions(tmp_path: Path) -> None:
    sets = {"gcb": {"path": "g.nc", "kind": "gcb"}}
    settings = {**standins.SETTINGS, "system": "net_ecosystem_exchange", "products": {"variables": ["nee"]}}
    made = Run(load({**settings, "constraints": {"sets": sets}, "comparison": {"against": {"nee": "gcb"}}}))
    assert made.compared("pairs") == ["results/r/evaluate/comparison/nee/gcb.csv"] and comparison_jobs(made) == 2

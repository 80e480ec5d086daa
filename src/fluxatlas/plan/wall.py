"""How long a run takes: on so many cores, or by the limits of a profile; and for how long it holds GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..run import Run
from .costs import calibration
from .learning import cost
from .profile import Profile, stages_of_rules
from .work import StagePlan, plan

LEARNING = ("pretrain", "phase", "finetune", "baseline")
"""Rules that use a GPU where ``train.device`` says so; nothing else of a run does."""

WORKERS = {
    "ingest": ("forcing",),
    "regrid": ("attributes",),
    "train": ("pretrain", "phase", "finetune"),
    "infer": ("spinup", "infer"),
    "products": ("daily", "maps"),
}
"""Rules whose jobs do the work of a stage; of other stages those that are called as they are."""


@dataclass(frozen=True)
class StageWall:
    """A stage under a profile: jobs at once (None: any number), cores and memory [MB] of a job, core-hours with what
    Snakemake takes in each allocation, and hours until the last job is done."""

    stage: str
    jobs: int
    at_once: int | None
    cores: int
    memory_mb: float
    core_hours: float
    hours: float


@dataclass(frozen=True)
class GpuHours:
    """GPU-hours that the jobs of a rule hold, and whether they use them."""

    rule: str
    hours: float
    used: bool


def wall_hours(rows: Sequence[StagePlan], cores: int) -> float:
    """Expected wall time on ``cores`` cores: stages one after the other, each no shorter than its longest chain."""
    return sum(max(row.core_hours / min(cores, row.jobs), row.chain_hours) for row in rows if row.jobs)


def by_profile(run: Run, profile: Profile) -> list[StageWall]:
    """Each stage under ``profile``: as many jobs at once as it lets run, each with the start of Snakemake in its
    allocation, and each link of a chain with the wait until the driver sees that the one before is done."""
    beside = calibration(run).snakemake / 3600 if profile.remote else 0.0
    wait = profile.wait_seconds / 3600 if profile.remote else 0.0
    places = stages_of_rules()
    found = []
    for row in plan(run):
        threads = max(
            run.config.infer.workers if row.stage == "infer" else 1,
            *(count for rule, count in profile.threads.items() if places.get(rule) == row.stage),
            1,
        )
        workers = WORKERS.get(row.stage, (row.stage,))
        memory = row.memory_mb + profile.snakemake_mb
        memory = max((profile.job_mb[rule] for rule in workers if rule in profile.job_mb), default=memory)
        at_once = profile.at_once(memory, threads)
        core_hours = row.core_hours + row.jobs * beside
        alone = (row.core_hours / threads + row.jobs * beside) / min(at_once or row.jobs or 1, row.jobs or 1)
        chain = row.chain_hours / threads + row.steps * (beside + wait)
        submitted = row.jobs / profile.jobs_per_second / 3600
        hours = max(alone, chain, submitted) if row.jobs else 0.0
        found.append(StageWall(row.stage, row.jobs, at_once, threads, memory, core_hours, hours))
    return found


def gpu_hours(run: Run, profile: Profile | None = None) -> list[GpuHours]:
    """GPU-hours by rule: where ``profile`` gives its jobs GPUs, or ``train.device`` asks for one; at the speed of the
    calibration, which is that of a GPU where it was made with ``train.device: cuda``."""
    device = run.config.train.device
    gpus = dict(profile.gpus) if profile else {}
    if not gpus and device == "cuda":
        gpus = dict.fromkeys(LEARNING[:3], 1)
    places, rows = stages_of_rules(), {row.stage: row for row in plan(run)}
    found = []
    for rule, count in gpus.items():
        row = rows.get(places.get(rule, ""))
        hours = (_learning(run).get(rule, 0.0) if rule in LEARNING else row.core_hours) if row else 0.0
        if hours:
            found.append(GpuHours(rule, count * hours, rule in LEARNING and device != "cpu"))
    return found


def _learning(run: Run) -> dict[str, float]:
    """Hours of all jobs of each rule of learning."""
    price, train = calibration(run).costs["train"], run.config.train
    if train.members_from:
        return {}
    jobs = {"pretrain": 1, "phase": len(run.phases)}
    hours = {rule: len(run.members) * count * cost(run, rule, price) / 3600 for rule, count in jobs.items() if count}
    named = {"finetune": [str(member) for member in range(train.members)], "baseline": train.baselines}
    return hours | {rule: sum(cost(run, rule, price, name) for name in names) / 3600 for rule, names in named.items()}

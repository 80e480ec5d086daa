"""What is asked of SLURM before the first job is submitted: no job of a lost driver is left, and jobs can run at all.

A driver that was lost leaves its jobs in the queue, and the next one would submit them again: two writers of one file.
So each start notes the name that the executor gives its jobs. Standard library only, since the Snakefile asks.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import FluxAtlasError, InputError, counted

MOST_LISTED = 20
"""Jobs that a message names at most."""
SECONDS = 120
"""How long SLURM may take for an answer."""
UP = ("idle", "mixed", "allocated", "completing", "planned")
"""Beginnings of the states of nodes that take jobs."""
PLACEHOLDER = "CHANGE_ME"


def _ask(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """The answer to a ``command`` of SLURM; raises :class:`InputError` where there is none."""
    if shutil.which(command[0]) is None:
        hint = "start the run on a login node, or without the profile slurm"
        raise InputError(f"{command[0]} is not on this machine", where="executor slurm", hint=hint)
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        hint = "try again when SLURM answers (scontrol ping)"
        raise InputError(f"{command[0]} did not answer in {SECONDS} s", where="executor slurm", hint=hint) from None


def jobs_of(names: Iterable[str]) -> list[tuple[str, str, str, str]]:
    """Job id, name, state and comment of the user's jobs with these ``names`` that SLURM has not ended yet."""
    names = list(names)
    if not names:
        return []
    done = _ask(["squeue", "--me", "--noheader", "--name", ",".join(names), "--format", "%i|%j|%T|%k"])
    if done.returncode:
        hint = "jobs of an earlier start may be in the queue: try again when SLURM answers (scontrol ping)"
        raise InputError(f"squeue failed: {done.stderr.strip()}", where="executor slurm", hint=hint)
    rows = [line.split("|", 3) for line in done.stdout.splitlines() if line.count("|") >= 3]
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def claim(record: Path, name: str) -> None:
    """Note in ``record`` that jobs called ``name`` write the results beside it; see :func:`refuse_left`."""
    refuse_left(record, name)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(f"{name}\n", encoding="utf-8")


def refuse_left(record: Path, name: str = "") -> None:
    """Raises :class:`InputError` while jobs of the starts in ``record``, but for ``name``, are still in the queue."""
    try:
        earlier = [word for word in record.read_text(encoding="utf-8").split() if word != name]
    except FileNotFoundError:
        earlier = []
    left = jobs_of(earlier)
    if left:
        shown = "; ".join(f"{job} {state} {comment}" for job, _, state, comment in left[:MOST_LISTED])
        more = f"; and {len(left) - MOST_LISTED:,} more" if len(left) > MOST_LISTED else ""
        one, they = len(left) == 1, "it" if len(left) == 1 else "them"
        raise InputError(
            f"{counted(len(left), 'job')} of an earlier start of this run {'is' if one else 'are'} still in the queue"
            f" and would be submitted again: {shown}{more}",
            where=str(record),
            hint=f"wait for {they} (squeue --me), or end {they}: "
            f"scancel --me --name {','.join(sorted({row[1] for row in left}))}; then start again",
        )


def request(resources: Mapping[str, Any], threads: int) -> tuple[str, ...]:
    """The options of sbatch for a job with these ``resources``, as far as they decide whether it can run at all."""
    options = {"slurm_account": "--account", "slurm_partition": "--partition", "mem_mb": "--mem", "runtime": "--time"}
    options |= {"qos": "--qos", "constraint": "--constraint", "gres": "--gres", "mem_mb_per_cpu": "--mem-per-cpu"}
    values = {name: resources.get(name) for name in options}
    if values["slurm_account"]:  # of several the executor takes the first
        values["slurm_account"] = re.split(r"[,\s]+", str(values["slurm_account"]))[0]
    words = [f"{options[name]}={value}" for name, value in values.items() if value]
    return (*words, f"--cpus-per-task={threads}")


def refuse_unfit(asked: Mapping[str, tuple[str, ...]]) -> None:
    """Ask SLURM whether it would take jobs like these, rule -> :func:`request`, without submitting any.

    Raises :class:`FluxAtlasError` with its answer for the first that it refuses.
    """
    known: set[tuple[str, ...]] = set()
    for rule, options in asked.items():
        if options in known:
            continue
        known.add(options)
        unset = next((word for word in options if word.endswith(f"={PLACEHOLDER}")), None)
        if unset is not None:
            hint = "set slurm_account and slurm_partition in a copy of workflow/profiles/slurm/config.v9+.yaml"
            raise FluxAtlasError(f"the profile still says {unset.lstrip('-')}", where="executor slurm", hint=hint)
        done = _ask(["sbatch", "--test-only", "--ntasks=1", *options, "--wrap", "true"])
        if done.returncode and not ("configuration is not available" in done.stderr and _may_wait(options)):
            lines = [line.removeprefix("sbatch: error: ") for line in done.stderr.splitlines()]
            said = next((line for line in reversed(lines) if line.strip()), "no reason given")
            hint = "what nodes have: sinfo -o '%P %c %m %l %G'; set resources in the profile (set-resources)"
            where = f"rule {rule}: sbatch {' '.join(options)}"
            raise FluxAtlasError(f"SLURM would refuse a job: {said}", where=where, hint=hint)


def _may_wait(options: Sequence[str]) -> bool:
    """Whether a node that is down or drained now has the memory that is asked for: SLURM lets jobs wait for it."""
    asked = dict(word.split("=", 1) for word in options)
    partition = [f"--partition={asked['--partition']}"] if "--partition" in asked else []
    done = _ask(["sinfo", "--noheader", "--Node", *partition, "--format", "%T|%m"])
    nodes = [line.split("|") for line in done.stdout.split()]
    return any(not state.startswith(UP) and int(size) >= int(asked.get("--mem", 0)) for state, size in nodes)


def check_first(workflow: Any, record: Path) -> None:
    """Before the first job of a Snakemake ``workflow``: refuse jobs in the queue, and on SLURM jobs that cannot run.

    Without SLURM, too, jobs that a lost driver left there would write the same files; where this machine has no
    ``squeue`` (another cluster, a laptop) nobody is asked.
    """
    executor = getattr(workflow.scheduler, "_executor", None)
    name = getattr(executor, "run_uuid", None)
    if name is None:  # another executor
        if record.exists() and shutil.which("squeue"):
            refuse_left(record)
        return
    asked: dict[str, tuple[str, ...]] = {}
    for job in workflow.dag.needrun_jobs():
        for part in [job] if not job.is_group() else list(job.jobs):
            if not part.is_local and part.rule.name not in asked:
                asked[part.rule.name] = request(part.resources, part.threads)
    refuse_unfit(asked)
    claim(record, name)

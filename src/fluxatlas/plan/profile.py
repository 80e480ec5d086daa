"""A profile of Snakemake, read by Snakemake itself: how many jobs run at once, and what each takes beside its work."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..paths import SNAKEFILE
from ..stages import STAGES

STATUS_SECONDS = 10
"""Between two looks at the jobs of a cluster, unless a profile says otherwise."""


@dataclass(frozen=True)
class Profile:
    """What a profile says of the length of a run; None where it sets no limit.

    ``memory_mb`` is what all running jobs may take together, with ``snakemake_mb`` beside each; ``gpus`` are those that
    a job of a rule asks for and ``threads`` its cores, by rule; ``wait_seconds`` pass until the end of a job is seen.
    """

    name: str
    executor: str
    jobs: int | None
    cores: int | None
    jobs_per_second: float
    wait_seconds: float
    snakemake_mb: float
    memory_mb: float | None = None
    gpus: Mapping[str, int] = field(default_factory=dict)
    threads: Mapping[str, int] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether jobs run in allocations of their own, with Snakemake in each."""
        return self.executor not in ("", "local", "dryrun", "touch")

    def at_once(self, memory_mb: float, threads: int) -> int | None:
        """How many jobs of ``memory_mb`` and ``threads`` run at once; None: any number."""
        limits: list[int | None] = [self.jobs, self.cores and self.cores // threads]
        if self.memory_mb is not None:
            limits.append(int(self.memory_mb // (memory_mb + self.snakemake_mb)))
        known = [max(limit, 1) for limit in limits if limit is not None]
        return min(known) if known else None


def read(name: str) -> Profile:
    """The profile ``name`` (a folder, a file or a name that Snakemake knows) with that of the workflow beside it.

    Raises :class:`ConfigError` where there is none, or Snakemake refuses it.
    """
    from snakemake.cli import get_profile_dir, parse_args

    found = get_profile_dir(name.rstrip("/"))
    if found is None:
        hint = "give its folder, such as workflow/profiles/slurm, which holds config.yaml or config.v9+.yaml"
        raise ConfigError("there is no such profile of Snakemake", where=name, hint=hint)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            options = vars(parse_args(["--profile", name, "--snakefile", str(SNAKEFILE)])[1])
    except (SystemExit, Exception) as problem:  # argparse ends the process, readers of YAML raise what they like
        lines = said.getvalue().split() or ["no", "reason", "given"]
        told = str(problem) if not isinstance(problem, SystemExit) else " ".join(lines).rpartition(" error: ")[2]
        hint = "its options must be those of snakemake and of the executor, which must be installed (fluxatlas[slurm])"
        raise ConfigError(f"Snakemake does not take this profile: {told}", where=str(found[1]), hint=hint) from None
    return _described(name, options)


def _described(name: str, options: Mapping[str, Any]) -> Profile:
    default, limits = options["default_resources"] or {}, options["resources"] or {}
    rules = options["set_resources"] or {}
    timespan = options["max_jobs_per_timespan"]
    per_second = timespan.max_jobs / timespan.timespan if timespan else float("inf")
    waiting = _number(options.get("slurm_init_seconds_before_status_checks")) or 0.0
    waiting += (_number(options.get("seconds_between_status_checks")) or STATUS_SECONDS) / 2
    threads = options["set_threads"] or {}
    allowed = _number(limits.get("mem_mb"))
    return Profile(
        name=name,
        executor=options["executor"] or "",
        jobs=_whole(options["jobs"]),
        cores=_whole(options["cores"]),
        jobs_per_second=per_second,
        wait_seconds=waiting,
        snakemake_mb=_number(default.get("snakemake_mb")) or 0.0,
        memory_mb=allowed,
        gpus={rule: count for rule in stages_of_rules() if (count := _gpus({**default, **rules.get(rule, {})}))},
        threads={rule: int(cores) for rule, given in threads.items() if (cores := _number(given))},
    )


def _number(value: Any) -> float | None:
    """A number that an option or resource is; None for what is computed for each job."""
    value = getattr(value, "raw", value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any) -> int | None:
    """A whole number, or one in letters; None for ``all`` and the like."""
    number = int(value) if isinstance(value, str) and value.isdigit() else _number(value)
    return None if number is None else int(number)


def _gpus(resources: Mapping[str, Any]) -> int:
    """GPUs that a job with these ``resources`` asks for."""
    for name in ("gpu", "gpus"):
        value = getattr(resources.get(name), "raw", None)
        if value is not None:
            return int(re.sub(r".*:", "", str(value)) or 1)
    for name in ("gres", "slurm_extra"):
        text = str(getattr(resources.get(name), "raw", None) or "")
        found = re.search(r"\bgpu(?::[A-Za-z][\w.-]*)?(?::(\d+))?", text)
        if found:
            return int(found[1] or 1)
    return 0


def stages_of_rules() -> dict[str, str]:
    """Rule -> its stage, from the rules files."""
    folder = Path(SNAKEFILE).parent / "workflow" / "rules"
    texts = {stage: (folder / f"{stage}.smk").read_text(encoding="utf-8") for stage in STAGES}
    return {rule: stage for stage, text in texts.items() for rule in re.findall(r"^ *rule (\w+):", text, re.M)}

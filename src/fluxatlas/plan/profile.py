"""A profile of Snakemake, read by Snakemake itself: how many jobs run at once, and what each takes beside its work."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ConfigError, nearest
from ..paths import SNAKEFILE
from ..stages import STAGES

STATUS_SECONDS = 10
"""Between two looks at the jobs of a cluster, unless a profile says otherwise."""


@dataclass(frozen=True)
class Profile:
    """What a profile says of the length of a run; None where it sets no limit.

    ``memory_mb`` is what all running jobs may take together, with ``snakemake_mb`` beside each; ``gpus`` are those that
    a job of a rule asks for, ``threads`` its cores and ``job_mb`` its memory, by rule, where the profile sets them;
    ``wait_seconds`` pass until the end of a job is seen. ``unused``: what it says that no job of this workflow heeds,
    or the plan does not count, in sentences.
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
    job_mb: Mapping[str, float] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def remote(self) -> bool:
        """Whether jobs run in allocations of their own, with Snakemake in each."""
        return self.executor not in ("", "local", "dryrun", "touch")

    def at_once(self, memory_mb: float, threads: int) -> int | None:
        """How many jobs of ``memory_mb``, that of Snakemake in it, and ``threads`` run at once; None: any number."""
        limits: list[int | None] = [self.jobs, self.cores and self.cores // threads]
        if self.memory_mb is not None:
            limits.append(int(self.memory_mb // memory_mb))
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
        job_mb={rule: mb for rule, given in rules.items() if (mb := _number(given.get("mem_mb")))},
        unused=tuple(_unused(threads, rules)),
    )


def _unused(threads: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Names that are not rules, and what is computed when a job starts."""
    known = rules_of_workflow()
    for option, named in (("set-threads", threads), ("set-resources", resources)):
        for rule in named:
            if rule not in known:
                yield f"{option}: '{rule}' is not a rule of this workflow{nearest(rule, known)}"
    for rule, given in resources.items():
        if rule in known and "mem_mb" in given and _number(given["mem_mb"]) is None:
            yield f"set-resources: mem_mb of '{rule}' is computed for each job, and not counted here"
    for rule, cores in threads.items():
        if rule in known and _number(cores) is None:
            yield f"set-threads: threads of '{rule}' are computed for each job, and not counted here"


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
    return {rule: stage for rule, stage in rules_of_workflow().items() if stage in STAGES}


def rules_of_workflow() -> dict[str, str]:
    """Rule -> the rules file that it stands in, which for most rules is called as their stage."""
    files = (Path(SNAKEFILE).parent / "workflow" / "rules").glob("*.smk")
    texts = {file.stem: file.read_text(encoding="utf-8") for file in [*sorted(files), Path(SNAKEFILE)]}
    return {rule: stem for stem, text in texts.items() for rule in re.findall(r"^ *(?:local)?rule (\w+):", text, re.M)}

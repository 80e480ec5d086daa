"""``fluxatlas explain``: the leaf of the configuration or the file that makes a result stale; by Snakemake's notes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import FluxAtlasError
from .paths import SNAKEFILE

_BY_ANOTHER = "Input files updated by another job: "
_REASON = re.compile(r"; (?=(?:Missing|Incomplete|Updated|Input files|Set of|Code has|Params have|Software) )")
"""Between two reasons of Snakemake; a semicolon in a setting is not one."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that Snakemake would run: its rule, its files and each of its reasons."""

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Inputs that another job of the plan makes again."""
        listed = [reason.removeprefix(_BY_ANOTHER) for reason in self.reasons if reason.startswith(_BY_ANOTHER)]
        return tuple(name for names in listed for name in names.split(", "))


def explain(target: str, config: str | Path, snakefile: Path = SNAKEFILE) -> str:
    """Why ``target``, a file of the run, is stale or missing: one line for each cause, none twice.

    Raises :class:`FluxAtlasError` with Snakemake's own message where the workflow does not make ``target``.
    """
    whole, alone = ((config, snakefile), (config, snakefile, "--", target))
    found = causes(target, parse(_dry_run(*whole))) or causes(target, parse(_dry_run(*alone)))
    if not found:
        return f"{target} is up to date"
    return "\n".join([f"{target} is to be made because of", *(f"  {line}" for line in found)])


def _dry_run(config: str | Path, snakefile: Path, *target: str) -> str:
    """What Snakemake says that it would do, for the whole run or for ``target`` alone."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "-n", "--cores", "1"]
    command += ["--workflow-profile", "none", "--rerun-incomplete"]  # its logger shortens long lists of files
    command += ["--no-hooks"]  # the files are not looked at
    command += ["--configfile", str(config), *target]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        said = (answer.stdout + answer.stderr).strip()[-2000:]
        what = f"snakemake cannot plan '{target[-1] if target else 'all'}'"
        raise FluxAtlasError(what, where=said, hint="name a file of the run, as `fluxatlas status` counts them")
    return answer.stdout + answer.stderr


def parse(dry_run: str) -> list[PlannedJob]:
    """The jobs of the text of a dry run."""
    found = []
    for block in re.split(r"\n(?=(?:local)?rule \w+:\n)", dry_run)[1:]:
        name = re.match(r"(?:local)?rule (\w+):", block)
        fields = dict(re.findall(r"^    (input|output|reason): (.*)$", block, re.M))
        inputs, outputs = (tuple(filter(None, fields.get(key, "").split(", "))) for key in ("input", "output"))
        if name:
            found.append(PlannedJob(name[1], inputs, outputs, tuple(_REASON.split(fields.get("reason", "")))))
    return found


def causes(target: str, jobs: list[PlannedJob]) -> list[str]:
    """What makes ``target`` stale, followed through the jobs that make its inputs again."""
    makes = {output: job for job in jobs for output in job.outputs}
    waiting, seen, lines = [target], set[str](), dict[str, None]()
    while waiting:
        job = makes.get(waiting.pop(0))
        if job is None or job.outputs[0] in seen:
            continue
        seen.add(job.outputs[0])
        waiting += job.waits_for
        lines |= dict.fromkeys(line for reason in job.reasons for line in _words(reason, job))
    return list(lines)


def _words(reason: str, job: PlannedJob) -> Iterator[str]:
    """A reason of Snakemake in plain words, with the leaves and files that it is about."""
    kind, _, rest = reason.partition(": ")
    if kind == "Missing output files":
        yield from (f"{name}: does not exist yet (rule {job.rule})" for name in rest.split(", "))
    elif kind == "Updated input files":
        yield from (f"{name}: newer than what rule {job.rule} made of it" for name in rest.split(", "))
    elif kind == "Params have changed since last execution":
        before, _, now = rest.partition("before: ")[2].partition(" now: ")
        yield from _changed_params(before, now.strip(), job.rule)
    elif kind == "Set of input files has changed since last execution":
        old = _recorded_inputs(job.outputs[0])
        yield from (f"{name}: now read by rule {job.rule}" for name in job.inputs if name not in old)
        yield from (f"{name}: no longer read by rule {job.rule}" for name in old if name not in job.inputs)
    elif kind == "Code has changed since last execution":
        yield f"another command of rule {job.rule} (another version of fluxatlas)"
    elif reason and not reason.startswith(_BY_ANOTHER):
        yield f"{reason} (rule {job.rule})"


def _changed_params(before: str, now: str, rule: str) -> Iterator[str]:
    """``leaf: old -> new`` for settings; other parameters as they are."""
    (old, old_rest), (new, new_rest) = _settings(before), _settings(now)
    for leaf in sorted(old.keys() | new.keys()):
        if old.get(leaf) != new.get(leaf):
            yield f"{leaf}: {json.dumps(old.get(leaf))} -> {json.dumps(new.get(leaf))} (rule {rule})"
    if old_rest != new_rest:
        yield f"options of rule {rule}: {old_rest or 'none'} -> {new_rest or 'none'}"


def _settings(text: str) -> tuple[dict[str, Any], str]:
    """The leaves in ``text`` (``block {json}``, see :class:`fluxatlas.config.leaves.Settings`, or JSON in quotes), and
    what is left."""
    leaves: dict[str, Any] = {}
    while start := re.search(r"\b([a-z_]+) (?=\{)|'(?=\{)", text):
        try:
            held, end = json.JSONDecoder().raw_decode(text, start.end())
        except ValueError:
            break
        leaves |= _flat(start[1] or "", held)
        text = text[: start.start()] + text[end:]
    return leaves, text.strip(", ").replace("<nothing exclusive>", "")


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Nested leaves by dotted name."""
    if not isinstance(value, dict) or not value:
        return {name: value}
    return {
        leaf: held for key, part in value.items() for leaf, held in _flat(f"{name}.{key}".lstrip("."), part).items()
    }


def _recorded_inputs(output: str) -> list[str]:
    """The inputs that ``output`` was made of, as Snakemake recorded them."""
    from snakemake.persistence.file import FilePersistence

    record = FilePersistence(nolock=True, path=Path(".snakemake").absolute())._read_record(output)
    return list((record.input if record else None) or [])

"""``fluxatlas status``: what of a run is done, stale or missing, and why, as Snakemake sees it."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .errors import FluxAtlasError
from .paths import SNAKEFILE
from .run import Run


@dataclass(frozen=True)
class FileStatus:
    """One output file: ``state`` is done, stale or missing; ``reason`` says why it is not done."""

    path: str
    rule: str
    state: str
    reason: str


def read(config: Path, snakefile: Path = SNAKEFILE) -> list[FileStatus]:
    """The status of every output of the run in the working folder, from ``snakemake --summary``.

    Raises :class:`FluxAtlasError` with Snakemake's own message if the workflow cannot be read.
    """
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile)]
    command += ["--summary", "--configfile", str(config)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise FluxAtlasError("snakemake cannot read the workflow", where=answer.stderr.strip()[-2000:])
    return parse(answer.stdout)


def parse(summary: str) -> list[FileStatus]:
    """Turn Snakemake's summary table into states."""
    start = summary.find("output_file")
    rows = csv.DictReader(io.StringIO(summary[start:]), delimiter="\t") if start >= 0 else []
    complete = (row for row in rows if row["plan"])  # messages may stand between the rows
    return [FileStatus(row["output_file"], row["rule"], *_state(row["status"], row["plan"])) for row in complete]


def _state(status: str, plan: str) -> tuple[str, str]:
    if status == "missing":
        return "missing", "not made yet"
    if status == "removed temp file":
        return "done", ""
    if plan.strip() == "no update":
        return "done", ""
    return "stale", status if status != "ok" else "something it is made from is stale or missing"


def stage_of(root: str, path: str) -> str:
    """The folder of a run at ``root`` that an output lies in, which is called as its stage; ``elsewhere`` outside."""
    parts = Path(path).relative_to(root).parts if Path(path).is_relative_to(root) else ()
    return parts[0] if parts else "elsewhere"


def table(run: Run, files: list[FileStatus]) -> str:
    """A screen of text: counts per stage, then one line per tile with one letter per year."""
    root = str(run.paths.root)
    stages: dict[str, Counter[str]] = {}
    for file in files:
        stages.setdefault(stage_of(root, file.path), Counter())[file.state] += 1
    lines = [f"{'stage':<12}{'done':>8}{'stale':>8}{'missing':>8}"]
    lines += [f"{s:<12}{c['done']:>8}{c['stale']:>8}{c['missing']:>8}" for s, c in stages.items()]
    letters = {"done": "#", "stale": "s", "missing": "."}
    state = {file.path: file.state for file in files}
    if run.years:
        lines += ["", f"tile-years {run.years[0]}-{run.years[-1]}  (# done, s stale, . missing)"]
    for tile in run.tiles:
        row = "".join(letters[state.get(run.paths.flux(tile, year), "missing")] for year in run.years)
        lines.append(f"{tile:<12}{row}")
    reasons = Counter(f"{file.rule}: {file.reason}" for file in files if file.state == "stale")
    if reasons:
        lines += ["", "why stale"] + [f"{count:>6}  {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)

"""Why a job failed on a cluster: its next attempt gets more of what it lacked and of nothing else.

Snakemake tells a rule only how many attempts there were. So the driver notes the cause of each failure beside the log
of the job, by the state that SLURM reports and the logs of SLURM and of the job. Standard library only, since the
Snakefile asks.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CAUSES = {
    "node": r"NODE_FAIL|BOOT_FAIL|DUE TO NODE FAILURE",
    "time": r"'TIMEOUT'|'DEADLINE'|DUE TO TIME LIMIT",
    "memory": r"OUT_OF_MEMORY|[Oo]ut [Oo]f [Mm]emory|oom[-_ ]kill|[Ee]xceeded .*memory"
    r"|memory ran out|a worker was killed|\bKilled\b|signal 9\b",
    "cancelled": r"'CANCELLED",
}
"""Cause -> what tells it, looked for in this order; anything else is ``other``."""
SENTENCES = {
    "node": "its node failed: the next attempt asks for the same",
    "time": "over its time limit: the next attempt asks for twice the time",
    "memory": "over its memory: the next attempt asks for twice the memory",
    "cancelled": "cancelled: the next attempt asks for the same",
    "other": "neither time nor memory is known to be the cause: the next attempt asks for the same",
}


def _notes(log: str | Path) -> Path:
    return Path(f"{log}.causes.json")


def noted(log: str | Path) -> list[str]:
    """The causes of the failures of the job with this ``log``, oldest first."""
    try:
        found = json.loads(_notes(log).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(cause) for cause in found] if isinstance(found, list) else []


def cause_of(message: str, logs: Iterable[str | Path]) -> str:
    """The cause of a failure by the ``message`` of the scheduler and, where it does not tell, the ends of ``logs``."""
    texts = [message]
    for path in logs:
        try:
            texts.append(Path(path).read_text(encoding="utf-8", errors="replace")[-20_000:])
        except OSError:
            continue
    for text in texts:
        for cause, pattern in CAUSES.items():
            if re.search(pattern, text):
                return cause
    return "other"


def note(log: str | Path, message: str, others: Iterable[str | Path] = ()) -> str:
    """Note why the job with this ``log`` failed, there and beside it, and keep its log; a sentence for the screen.

    ``others`` are logs of the scheduler. The log of the n-th failure is kept as ``<log>.failed-<n>``.
    """
    cause, causes, path = cause_of(message, [*others, log]), noted(log), Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    _notes(log).write_text(json.dumps([*causes, cause]) + "\n", encoding="utf-8")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"{message}\n{SENTENCES[cause]}\n")
    shutil.copyfile(path, f"{log}.failed-{len(causes) + 1}")
    return SENTENCES[cause]


def grown(first: int, ceiling: int | None, cause: str, attempt: int, log: str | Path) -> int:
    """``first``, twice as much for each of the ``attempt - 1`` failures that had this ``cause``, or one not noted.

    At most ``ceiling``, but never less than ``first``.
    """
    failures = attempt - 1
    known = noted(log)[-failures:] if failures else []
    doublings = known.count(cause) + failures - len(known)
    asked = first * 2**doublings
    return asked if ceiling is None else max(first, min(asked, ceiling))


def ceilings(resources: Mapping[str, Any]) -> dict[str, int]:
    """``max_mem_mb``, ``max_runtime`` (minutes) and ``snakemake_mb`` among the default ``resources`` of a profile."""
    names = ("max_mem_mb", "max_runtime", "snakemake_mb")
    found = {name: resources[name] for name in names if name in resources}
    return {name: int(getattr(value, "raw", value)) for name, value in found.items()}

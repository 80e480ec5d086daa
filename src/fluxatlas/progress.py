"""What a run shows while it runs: one line per stage with jobs done and time left, and every error.

A log handler of Snakemake (``logger: fluxatlas`` in workflow/profiles/default). The text of every job is in its
own log below ``.snakemake/log``; a dry run and the options --verbose, --printshellcmds, --debug-dag show it as usual.
"""

from __future__ import annotations

import copy
import itertools
import logging
import re
import shutil
import sys
import time
from collections import Counter, deque
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from .retries import note

QUIET_SECONDS = 30.0
"""In a plain log a stage that is not finished gets a line at most this often."""
LAST_LINES = 20
"""Lines of a failed job's log that are shown."""
MOST_LISTED = 12
"""Files of a kind that are listed of a job."""
MOST_LETTERS = 1000
"""Characters of the reason of a job that are shown."""
CHATTER = (
    "Building DAG",
    "Using workflow specific profile",
    "Using shell",
    "host:",
    "Assuming unrestricted",
    "Conda environments: ignored",
    "Group jobs: inactive",
)
"""How messages before the first job begin that tell a user nothing."""


def rules_by_stage(folder: Path) -> dict[str, str]:
    """Rule -> stage, the name of the file ``<stage>.smk`` in ``folder`` that holds the rule."""
    found = {}
    for path in sorted(folder.glob("*.smk")):
        for name in re.findall(r"^\s*rule (\w+):", path.read_text(encoding="utf-8"), re.MULTILINE):
            found[name] = path.stem
    return found


class StageJobs:
    """The jobs of one stage: how many there are, which run since when [s], and how long the finished ones took [s]."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total: Counter[str] = Counter()
        self.running: dict[int, tuple[str, float]] = {}
        self.took: dict[str, list[float]] = {}
        self.failed = 0
        self.shown = 0.0

    @property
    def done(self) -> int:
        """Number of finished jobs."""
        return sum(map(len, self.took.values()))

    def seconds_left(self) -> float | None:
        """Expected seconds to its end, with as many jobs at a time as now; None before a job has finished."""
        known = [seconds for took in self.took.values() for seconds in took]
        if not known:
            return None
        mean = sum(known) / len(known)
        left = 0.0
        for rule, count in self.total.items():
            took = self.took.get(rule, [])
            left += (count - len(took)) * (sum(took) / len(took) if took else mean)
        return left / max(1, len(self.running))

    def line(self) -> str:
        """The stage in one line."""
        text = f"{self.name.replace('_', ' '):<16}{self.done:>6} of {self.total.total()} jobs"
        if self.failed:
            text += f", {self.failed} failed"
        seconds = self.seconds_left()
        if self.done == self.total.total():
            return f"{text}, done"
        if self.running:
            text += f", {len(self.running)} running"
        return text + (f", about {duration(seconds)} left" if seconds is not None else "")


def duration(seconds: float) -> str:
    """``seconds`` as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class LogHandler(LogHandlerBase):
    """Shows the lines of all stages: rewritten in place on a terminal, one after the other in a plain log."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def __post_init__(self) -> None:
        settings = self.common_settings
        self.stream = sys.stdout if settings.stdout else sys.stderr
        self.as_usual = settings.dryrun or settings.verbose or settings.printshellcmds or settings.debug_dag
        self.usual = ColorizingTextHandler(nocolor=settings.nocolor, stream=self.stream)
        self.in_place = self.usual.can_color_tty()
        self.stage_of: dict[str, str] = {}
        self.stages: dict[str, StageJobs] = {}
        self.jobs: dict[int, StageJobs] = {}
        self.drawn = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Show what ``record`` says, if it is a step of a stage, an error, or worth knowing."""
        event = getattr(record, "event", None)
        if self.as_usual:
            self._say(record)
        elif event == LogEvent.WORKFLOW_STARTED:
            snakefile = Path(str(getattr(record, "snakefile_main", "") or getattr(record, "snakefile", "") or "."))
            self.stage_of = rules_by_stage(snakefile.parent / "workflow" / "rules")
        elif event == LogEvent.RUN_INFO:
            self._plan(record.__dict__["stats"])
        elif event == LogEvent.JOB_INFO:
            self._begin(record)
        elif event == LogEvent.JOB_FINISHED:
            self._finish(record)
        elif event == LogEvent.JOB_ERROR:
            self._fail(record)
        elif self._worth_knowing(record, event):
            self._say(record)

    def _worth_knowing(self, record: logging.LogRecord, event: Any) -> bool:
        """Whether a message other than those of jobs is shown: warnings, errors, and the few that say what is done."""
        if record.levelno >= logging.WARNING:
            return "CalledProcessError" not in record.getMessage()  # the error of the job itself says more
        text = record.getMessage()
        if event is not None or not text or text == "None":
            return False
        return (
            text.startswith("Complete log") or hasattr(record, "show") or not (self.stages or text.startswith(CHATTER))
        )

    def _plan(self, counts: dict[str, int]) -> None:
        """Learn how many jobs each stage has, in the order in which they will run."""
        for rule, count in counts.items():
            if rule in self.stage_of:
                name = self.stage_of[rule]
                self.stages.setdefault(name, StageJobs(name)).total[rule] += count
        parts = ", ".join(f"{stage.name.replace('_', ' ')} {stage.total.total()}" for stage in self.stages.values())
        if parts:
            self._write(f"jobs to run: {parts}\n")
            self._draw()

    def _begin(self, record: logging.LogRecord) -> None:
        rule, job = record.__dict__["rule_name"], record.__dict__["jobid"]
        stage = self.stages.get(self.stage_of.get(rule, ""))
        if stage:
            stage.running[job] = rule, record.created
            self.jobs[job] = stage
            self._draw()

    def _finish(self, record: logging.LogRecord) -> None:
        stage = self.jobs.get(record.__dict__["job_id"])
        started = stage.running.pop(record.__dict__["job_id"], None) if stage else None
        if stage and started:
            stage.took.setdefault(started[0], []).append(record.created - started[1])
            self._show(stage)

    def _fail(self, record: logging.LogRecord) -> None:
        """Show which job failed and the end of its log."""
        facts = record.__dict__
        stage = self.jobs.get(facts["jobid"])
        if stage and stage.running.pop(facts["jobid"], None):
            stage.failed += 1
        lines = [f"Error in rule {facts['rule_name']}", *(f"    {facts['rule_msg']}" for _ in [0] if facts["rule_msg"])]
        if "SLURM" in str(facts["rule_msg"]) and facts["log"]:  # the driver's view of a job that ran elsewhere
            lines.append(f"    cause:  {note(facts['log'][0], str(facts['rule_msg']), facts['log'][1:])}")
        lines += [f"    output: {', '.join(facts['output'][:3])}{' ...' if len(facts['output']) > 3 else ''}"]
        for path in facts["log"]:
            lines.append(f"    log: {path}")
            lines += [f"        {line}" for line in last_lines(Path(path))]
        self._erase()
        self.stream.write(self.usual.decorate(record, "\n".join(lines)) + "\n")
        self._draw()

    def _show(self, stage: StageJobs) -> None:
        """In a plain log: a line of ``stage``, if it is finished or none was shown for a while."""
        self._draw()
        if not self.in_place and (stage.done == stage.total.total() or time.monotonic() - stage.shown > QUIET_SECONDS):
            stage.shown = time.monotonic()
            self._write(f"{time.strftime('%H:%M:%S')}  {stage.line()}\n")

    def _say(self, record: logging.LogRecord) -> None:
        """A message as Snakemake itself would show it."""
        self._erase()
        self.usual.setFormatter(self.formatter)
        self.usual.emit(explained(record, sys.argv[1:]) or shortened(record))
        self._draw()

    def _draw(self) -> None:
        """On a terminal: the lines of all stages in place of the last ones."""
        if not self.in_place:
            return
        self._erase()
        width = shutil.get_terminal_size().columns - 1
        lines = [stage.line()[:width] for stage in self.stages.values()]
        self._write("".join(f"{line}\n" for line in lines))
        self.drawn = len(lines)

    def _erase(self) -> None:
        if self.drawn:
            self.stream.write(f"\033[{self.drawn}A\033[J")
            self.drawn = 0

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def shortened(record: logging.LogRecord) -> logging.LogRecord:
    """``record`` of a job without long lists of files: an archive of sites may have 20,000 of them."""
    short, facts = copy.copy(record), record.__dict__
    for key in ("input", "output", "log"):
        files = facts.get(key) or []
        if len(files) > MOST_LISTED:
            short.__dict__[key] = [*files[:MOST_LISTED], f"... and {len(files) - MOST_LISTED:,} more"]
    reason = str(facts.get("reason") or "")
    if len(reason) > MOST_LETTERS:
        short.__dict__["reason"] = f"{reason[:MOST_LETTERS]} ... and {len(reason) - MOST_LETTERS:,} more characters"
    return short


def explained(record: logging.LogRecord, words: list[str]) -> logging.LogRecord | None:
    """In place of an error of Snakemake that the ``words`` behind ``--configfile`` explain: a message that does so."""
    given = [word for word in words if word in ("--configfile", "--configfiles")]
    if getattr(record, "event", None) != LogEvent.ERROR or not given:
        return None
    held = list(itertools.takewhile(lambda word: not word.startswith("-"), words[words.index(given[0]) + 1 :]))
    targets = [word for word in held[1:] if not word.endswith((".yaml", ".yml", ".json"))]
    absent = [word for word in held if not Path(word).is_file()]
    if targets:
        what = f"'{targets[0]}' was taken for a second configuration: {given[0]} takes all words up to the next option"
        hint = f"write what is to be made first (snakemake {targets[0]} ...), or {given[0]}={held[0]} {targets[0]}"
    elif absent:
        what, hint = f"configuration file not found: {absent[0]}", "check the path"
    else:
        return None
    answer = copy.copy(record)
    answer.msg, answer.args = f"{what}\n  do:    {hint}", ()
    return answer


def last_lines(path: Path) -> list[str]:
    """The last :data:`LAST_LINES` lines of a log; a line that says so where there is nothing."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            found = [line.rstrip() for line in deque(stream, maxlen=LAST_LINES)]
    except OSError:
        return ["(there is no such file)"]
    return found or ["(empty)"]

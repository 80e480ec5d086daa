"""What a run shows: a line per stage, errors with the end of their log, and no text of jobs."""

import io
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.registry import LoggerPluginRegistry

from fluxatlas.paths import REPOSITORY
from fluxatlas.progress import LogHandler, StageJobs, duration, rules_by_stage
from fluxatlas.retries import noted

RULES = REPOSITORY / "workflow" / "rules"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _handler(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, **changes: bool) -> LogHandler:
    names = ("printshellcmds", "nocolor", "debug_dag", "verbose", "show_failed_logs", "stdout", "dryrun")
    settings = SimpleNamespace(quiet=None, **{**dict.fromkeys(names, False), **changes})
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    handler = LogHandler(settings, None)
    handler.setFormatter(DefaultFormatter(set(), False))
    return handler


def _send(handler: LogHandler, text: str | None, at: float = 0.0, level: int = logging.INFO, **facts: object) -> None:
    record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
    record.created = at
    record.__dict__.update(facts)
    handler.emit(record)


def _begin(handler: LogHandler) -> None:
    _send(handler, "Building DAG of jobs...")
    _send(handler, None, event=LogEvent.WORKFLOW_STARTED, snakefile=str(REPOSITORY / "Snakefile"))
    _send(handler, "stats", event=LogEvent.RUN_INFO, stats={"forcing": 2, "infer": 10, "all": 1, "total": 13})
    _send(handler, "Select jobs to execute...")


def _job(handler: LogHandler, number: int, rule: str, start: float, stop: float | None) -> None:
    facts = {"rule_name": rule, "jobid": number, "output": ["out.nc"], "log": []}
    _send(handler, "rule text", start, event=LogEvent.JOB_INFO, **facts)
    if stop is not None:
        _send(handler, "finished", stop, event=LogEvent.JOB_FINISHED, job_id=number)


def test_snakemake_finds_the_display_by_its_name() -> None:
    assert LoggerPluginRegistry().get_plugin("fluxatlas").log_handler is LogHandler
    assert "logger: fluxatlas" in next((REPOSITORY / "workflow/profiles/default").iterdir()).read_text()


def test_long_lists_of_files_are_cut_where_jobs_are_shown_as_usual(monkeypatch) -> None:
    stream = io.StringIO()
    handler = _handler(monkeypatch, stream, dryrun=True)
    files = [f"archive/{'x' * 200}_{number}.stm" for number in range(18_000)]
    facts = {"rule_name": "sites", "jobid": 1, "input": files, "output": ["sites.csv"], "log": ["sites.log"]}
    facts |= {
        "reason": "Updated input files: " + ", ".join(files),
        "rule_msg": "",
        "local": False,
        "is_checkpoint": False,
    }
    facts |= {"benchmark": None, "wildcards": {}, "priority": 0, "threads": 1, "resources": {}}
    _send(handler, "rule text", event=LogEvent.JOB_INFO, **facts)
    said = stream.getvalue()
    assert len(said) < 6000 and "... and 17,988 more\n" in said and "more characters" in said
    assert f"input: {files[0]}, {files[1]}" in said and "output: sites.csv\n" in said
    assert len(facts["input"]) == 18_000  # what other handlers are given is whole


def test_every_rule_but_all_belongs_to_a_stage() -> None:
    stage = rules_by_stage(RULES)
    assert stage["infer"] == stage["spinup"] == "infer" and stage["budget"] == "products" and "all" not in stage


def test_a_plain_log_has_a_line_for_a_finished_stage_and_no_text_of_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    handler = _handler(monkeypatch, stream)
    _begin(handler)
    for number in (1, 2):
        _job(handler, number, "forcing", 0.0, 5.0)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "jobs to run: ingest 2, infer 10"
    assert lines[-1].endswith("2 of 2 jobs, done") and " ingest " in lines[-1] and len(lines) <= 3
    assert "rule text" not in stream.getvalue() and "Select jobs" not in stream.getvalue()


def test_a_terminal_is_rewritten_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    handler = _handler(monkeypatch, stream)
    _begin(handler)
    _job(handler, 1, "infer", 0.0, 60.0)
    _job(handler, 2, "infer", 60.0, None)
    last = stream.getvalue().rsplit("\033[2A\033[J", 1)[1].splitlines()
    assert last == [
        "ingest               0 of 2 jobs",
        "infer                1 of 10 jobs, 1 running, about 9 min left",
    ]


def test_the_time_left_is_that_of_jobs_like_those_that_are_done() -> None:
    stage = StageJobs("train")
    stage.total.update({"pretrain": 2, "finetune": 4})
    assert stage.seconds_left() is None
    stage.took = {"pretrain": [100.0, 120.0], "finetune": [10.0]}
    assert stage.seconds_left() == pytest.approx(30.0)
    stage.running = {7: ("finetune", 0.0), 8: ("finetune", 0.0)}
    assert stage.seconds_left() == pytest.approx(15.0)
    assert [duration(s) for s in (0.2, 89, 600, 9000)] == ["1 s", "89 s", "10 min", "2.5 h"]


def test_a_failed_job_is_shown_with_the_end_of_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stream, log = io.StringIO(), tmp_path / "job.log"
    log.write_text("".join(f"line {k}\n" for k in range(100)) + "error: no file\n")
    handler = _handler(monkeypatch, stream)
    _begin(handler)
    _job(handler, 1, "infer", 0.0, None)
    facts = {"rule_name": "infer", "rule_msg": None, "jobid": 1, "output": ["a", "b", "c", "d"], "log": [str(log)]}
    _send(handler, "x", level=logging.ERROR, event=LogEvent.JOB_ERROR, **facts)
    _send(handler, "RuleException:\nCalledProcessError in file", level=logging.ERROR, event=LogEvent.ERROR)
    _send(handler, "WorkflowError:\nAt least one job did not complete", level=logging.ERROR, event=LogEvent.ERROR)
    text = stream.getvalue()
    assert "Error in rule infer\n    output: a, b, c ...\n    log: " in text and "        error: no file\n" in text
    assert "line 99" in text and "line 80" not in text and "CalledProcessError" not in text
    assert "At least one job" in text and handler.stages["infer"].failed == 1


def test_a_dry_run_shows_what_snakemake_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    handler = _handler(monkeypatch, stream, dryrun=True)
    _send(handler, "Building DAG of jobs...")
    _send(handler, "Job stats: all of it", event=LogEvent.RUN_INFO, stats={})
    assert stream.getvalue() == "Building DAG of jobs...\nJob stats: all of it\n"


def test_messages_that_say_what_is_done_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    handler = _handler(monkeypatch, stream)
    _send(handler, "Nothing to be done (all requested files are present and up to date).")
    _begin(handler)
    _send(handler, "Removing temporary output x.")
    _send(handler, "Done: all of it", show=True)
    text = stream.getvalue()
    assert "Nothing to be done" in text and "Done: all of it" in text and "Removing" not in text


def test_the_screen_and_the_log_say_why_a_job_of_slurm_failed(monkeypatch, tmp_path) -> None:
    stream, log = io.StringIO(), tmp_path / "a.log"
    handler = _handler(monkeypatch, stream)
    facts = {"event": LogEvent.JOB_ERROR, "rule_name": "infer", "jobid": 1, "output": ["a.nc"], "log": [str(log)]}
    for message in ("SLURM-job '12' failed, SLURM status is: 'TIMEOUT'.", None):  # None: a job of this machine
        _send(handler, None, level=logging.ERROR, rule_msg=message, **facts)
    assert stream.getvalue().count("cause:  over its time limit: the next attempt asks for twice the time") == 1
    assert noted(log) == ["time"] and "over its time limit" in log.read_text()

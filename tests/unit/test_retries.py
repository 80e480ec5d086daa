"""What a further attempt of a job asks for, by the cause of the failures before it."""

from pathlib import Path

import pytest
from snakemake.resources import Resources

from fluxatlas.retries import ceilings, grown, note, noted

STATUS = "SLURM-job '12' failed, SLURM status is: '{}'. Detailed failure reason unavailable."
FAILURES = {
    "TIMEOUT": "time",
    "OUT_OF_MEMORY": "memory",
    "NODE_FAIL": "node",
    "CANCELLED": "cancelled",
    "FAILED": "other",
}


@pytest.mark.parametrize(("status", "cause"), FAILURES.items())
def test_the_next_attempt_gets_more_of_what_was_lacking_alone(tmp_path: Path, status: str, cause: str) -> None:
    log = tmp_path / "logs" / "job.log"
    note(log, STATUS.format(status))
    assert noted(log) == [cause]
    assert grown(1000, None, "memory", 2, log) == (2000 if cause == "memory" else 1000)
    assert grown(60, None, "time", 2, log) == (120 if cause == "time" else 60)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=12.0.", "memory"),
        ("slurmstepd: error: Step 12.0 exceeded memory limit (900 > 600), being killed", "memory"),
        ("error: memory ran out (no more is given)", "memory"),
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-11-28T10:00:00 DUE TO TIME LIMIT ***", "time"),
        ("error: no such column", "other"),
    ],
)
def test_what_the_state_does_not_tell_is_read_from_the_logs(tmp_path: Path, said: str, cause: str) -> None:
    log, slurm = tmp_path / "job.log", tmp_path / "12.log"
    slurm.write_text(f"host: n1\n{said}\n")
    note(log, STATUS.format("FAILED"), [slurm, tmp_path / "absent.log"])
    assert noted(log) == [cause]


def test_causes_are_counted_over_the_attempts_of_this_start_and_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    for n, status in enumerate(["OUT_OF_MEMORY", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL"]):
        log.write_text(f"attempt {n}\n")
        said = note(log, STATUS.format(status))
        assert said in log.read_text() and status in log.read_text()
    assert [(tmp_path / f"job.log.failed-{n + 1}").read_text()[:9] for n in range(4)] == [
        f"attempt {n}" for n in range(4)
    ]
    assert grown(1000, None, "memory", 4, log) == 2000  # the first failure is that of an earlier start
    assert grown(1000, None, "memory", 1, log) == 1000
    assert grown(1000, 3000, "memory", 5, log) == 3000 and grown(5000, 3000, "memory", 5, log) == 5000
    assert grown(60, 100, "time", 3, tmp_path / "never noted.log") == 100  # where nothing is known, as much as it may


def test_the_ceilings_are_those_of_the_profile() -> None:
    words = ["slurm_account=a", "mem_mb=1000", "max_mem_mb=180000", "max_runtime=2880", "snakemake_mb=450"]
    given = Resources.parse(words, allow_expressions=True)
    assert ceilings(given) == {"max_mem_mb": 180000, "max_runtime": 2880, "snakemake_mb": 450} and ceilings({}) == {}

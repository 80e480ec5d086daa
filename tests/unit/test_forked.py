"""What the tests call Snakemake with is whole after a call that was broken off."""

import subprocess
import sys
from functools import cache

import pytest

import forked

ECHO = "import sys\nfor line in sys.stdin: print(7, flush=True)"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """Processes that answer each call with 7, in the place of those that become Snakemake."""
    made: list[subprocess.Popen[str]] = []

    @cache
    def server() -> subprocess.Popen[str]:
        pipe, command = subprocess.PIPE, [sys.executable, "-ISc", ECHO]
        made.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True))
        return made[-1]

    monkeypatch.setattr(forked, "_server", server)
    return made


def test_an_interrupted_call_leaves_no_answer_to_the_next_one(
    started: list[subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> str:
        raise KeyboardInterrupt

    assert forked._ask({}) == 7
    monkeypatch.setattr(started[0].stdout, "readline", interrupt)
    with pytest.raises(KeyboardInterrupt):
        forked._ask({})
    assert started[0].returncode is not None and forked._ask({}) == 7 and len(started) == 2
    forked._end(started[1])
    with pytest.raises((AssertionError, BrokenPipeError)):
        forked._ask({})
    assert forked._ask({}) == 7 and len(started) == 3
    forked._end(started[2])


def test_a_call_that_does_not_look_at_its_answer_is_refused() -> None:
    with pytest.raises(AssertionError):
        forked.run([sys.executable, "-m", "snakemake"], capture_output=True, text=True, check=True)

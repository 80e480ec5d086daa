"""``fluxatlas run``: everything after the configuration reaches snakemake as it was written."""

import os
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from fluxatlas import cli
from fluxatlas.braces import listed
from fluxatlas.paths import SNAKEFILE


@pytest.mark.parametrize(
    "options",
    [["--cores", "2"], ["-n", "--config=train={hidden: 8, layers: 1}"], ["-c1", "--", "results/x/{a,b}.nc", "--help"]],
)
def test_options_are_handed_over_unchanged(options, tmp_path: Path, monkeypatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: seen.append(command))
    (tmp_path / "c.yaml").write_text("")
    monkeypatch.setattr(sys, "argv", ["fluxatlas", "run", str(tmp_path / "c.yaml"), *options])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    start = [sys.executable, "-m", "snakemake", "--configfile", str(tmp_path / "c.yaml"), "--snakefile", str(SNAKEFILE)]
    assert seen == [[*start, *options]]


@pytest.mark.parametrize("words", [["absent.yaml"], ["--cores", "2", "c.yaml"]])
def test_a_configuration_that_is_not_there_is_one_message(words, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["fluxatlas", "run", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert f"where: {words[0]}" in capsys.readouterr().err


def test_the_version_is_that_of_the_package(capsys, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["fluxatlas", "--version"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0 and capsys.readouterr().out == f"fluxatlas {version('fluxatlas')}\n"


def test_words_of_a_file_are_a_command_line(tmp_path: Path) -> None:
    words = ["ingest", "", "--settings", '{"a": "b c\n"}', "--x=ä"]
    (tmp_path / "words").write_text("".join(f"{word}\0" for word in words), encoding="utf-8")
    assert listed([f"@{tmp_path}/words"]) == words
    assert listed(["@a", "b"]) == ["@a", "b"] and listed([]) == []

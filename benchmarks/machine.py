"""The lines that say where and when a benchmark ran."""

from __future__ import annotations

import argparse
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numba
import torch

ROOT = Path(__file__).resolve().parents[1]


PROCESSOR_TIME = "processor time, both in turn in one process, best of the rounds."


def describe(script: str, measured: str = PROCESSOR_TIME) -> list[str]:
    """Version of the tree, processor, libraries, what was ``measured`` and how the file is made."""
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7"], capture_output=True, text=True, check=True
    ).stdout.strip()
    found = Path("/proc/cpuinfo")
    rows = found.read_text(encoding="utf-8").splitlines() if found.exists() else []
    model = next((row.split(":")[1].strip() for row in rows if row.startswith("model name")), platform.processor())
    flags = next((row.split(":")[1].split() for row in rows if row.startswith("flags")), [])
    known = [flag for flag in ("avx2", "fma", "avx512f", "amx_bf16") if flag in flags]
    return [
        f"This tree ({commit}) on one core of {model} ({', '.join(known) or 'flags unknown'}), which others shared;",
        measured,
        f"torch {torch.__version__.partition('+')[0]}, numba {numba.__version__}, Python {platform.python_version()}. "
        f"Made by `python {script} {_asked()}`.",
    ]


def _asked() -> str:
    """The words of the command line, files and folders by their names alone."""
    return shlex.join([Path(word).name if "/" in word else word for word in sys.argv[1:]]) or "--write"


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 3) -> tuple[float, float]:
    """The least processor time [s] of each of two functions, called in turn, after one run of each that compiles."""
    ours()
    theirs()
    spent = []
    for _ in range(rounds):
        begin = time.process_time()
        ours()
        middle = time.process_time()
        theirs()
        spent.append((middle - begin, time.process_time() - middle))
    one, other = (min(pair[k] for pair in spent) for k in (0, 1))
    return one, other


def options(text: str | None, **sizes: int) -> argparse.Namespace:
    """The words of the command line: ``--write`` and the sizes of a run."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, usual in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--write", action="store_true", help="write the result file")
    return parser.parse_args()


def report(stem: str, title: str, lines: Sequence[str], write: bool, measured: str = PROCESSOR_TIME) -> None:
    """Print a result and, where asked to, write it to ``results/<stem>.md``."""
    text = "\n".join([f"# {title}", "", *describe(f"benchmarks/{stem}.py", measured), *lines])
    print(text)
    if write:
        (ROOT / "benchmarks" / "results" / f"{stem}.md").write_text(text + "\n", encoding="utf-8")

"""How long a command and a look at a system take to start: this tree beside an older commit, in one run.

    python benchmarks/startup.py [--commit 7aefd0e] [--repeats 15] [--write]

The older commit is checked out into a temporary git worktree. Both trees run in turn with the same interpreter and
packages, from their own ``PYTHONPATH``, once before anything is measured. Times are those of whole processes, wall
clock and processor time (user and system), as medians. ``python -c pass`` is what the interpreter alone takes: its
ratio is noise and is not judged. Fails if this tree needs more than 5 % more processor time (what repeats of the same
tree differ by).
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "startup.md"
MOST = 1.05
CONTROL = "`python -c pass`"
CALLS = {
    "`fluxatlas --help`": "import sys; sys.argv = ['fluxatlas', '--help']; from fluxatlas.cli import main; main()",
    "`get_system`": "from fluxatlas.systems import get_system; get_system('soil_methane_sink')",
    CONTROL: "pass",
}


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The tree of ``commit`` in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tree"
        git("worktree", "add", "--detach", str(path), commit)
        try:
            yield path
        finally:
            git("worktree", "remove", "--force", str(path))


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def seconds(tree: Path, code: str, cache: str) -> tuple[float, float]:
    """Wall clock and processor time of a process that runs ``code`` of ``tree``, compiled in ``cache``."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", default="7aefd0e")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    times: dict[str, dict[str, list[tuple[float, float]]]] = {call: {"old": [], "new": []} for call in CALLS}
    with checkout(options.commit) as tree, tempfile.TemporaryDirectory() as cache:
        trees = {"old": tree, "new": ROOT}
        for number in range(options.repeats + 1):
            for call, code in CALLS.items():
                for name in ("old", "new") if number % 2 else ("new", "old"):
                    found = seconds(trees[name], code, cache)
                    if number:  # the first of each compiles the modules
                        times[call][name].append(found)
    rows, ratios = [], {}
    for call, both in times.items():
        wall, used = ({name: median(t[k] for t in values) for name, values in both.items()} for k in (0, 1))
        ratios[call] = used["new"] / used["old"]
        rows.append(
            f"| {call} | {wall['old']:.3f} | {wall['new']:.3f} | {wall['new'] / wall['old']:.2f} |"
            f" {used['old']:.3f} | {used['new']:.3f} | {ratios[call]:.2f} |"
        )
    worst = max(ratio for call, ratio in ratios.items() if call != CONTROL)
    verdict = "met" if worst <= MOST else "NOT met"
    lines = [
        "# Start of a command and of a system",
        "",
        f"This tree ({git('describe', '--always', '--abbrev=7')}) beside {options.commit}; seconds of a whole process,",
        f"medians of {options.repeats} in turn. Python {platform.python_version()}; the machine was shared.",
        f"Made by `python benchmarks/startup.py --commit {options.commit} --repeats {options.repeats} --write`.",
        "",
        f"| call | wall, {options.commit} | wall, now | ratio | processor, {options.commit} | processor, now | ratio |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Target: no slower than {options.commit}, to {100 * (MOST - 1):.0f} % of processor time: {verdict}.",
    ]
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert worst <= MOST, "slower than the older commit"


if __name__ == "__main__":
    main()

"""How many jobs of a wide graph each profile submits a second.

    python benchmarks/submission.py [--jobs 3000] [--seconds 60] [--write]

Thousands of jobs that are ready at once. For the profile ``slurm`` the executor's own calls are answered by commands of
a few lines that stand in for SLURM and note when each job was submitted; for ``default`` jobs of a line run on this
machine, as many at once as there are cores. The competitor is Snakemake's own choice of scheduler (``ilp``), of which
the profiles turn away. Wall time: the scheduler, the executor and a process for each job share the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import ROOT, options, report

SNAKEFILE = """
rule all:
    input: expand("out/{i}", i=range(config["number"]))

rule one:
    output: "out/{i}"
    shell: "date +%s%N > {output}"
"""
ANSWERS = {
    "sbatch": 'date +%s%N | tee -a "$STANDIN/submitted"',
    "sacctmgr": "echo x",
    "sshare": "echo x",
    "sinfo": "echo x",
    "scontrol": ":",
    "squeue": ":",
    "sacct": ":",
    "scancel": ":",
}
"""Commands of SLURM -> what stands in for them; jobs stay in the queue."""
MEASURED = "wall time from the first submission to the last, stand-ins in the place of SLURM's commands (slurm)."
FLOOR = 40.0
"""Jobs a second below which the benchmark fails; the machine may be shared."""


def prepare(folder: Path) -> None:
    """The graph, the stand-ins and the profile ``slurm`` with an account and with more jobs at once than there are."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    (folder / "bin").mkdir()
    for name, answer in ANSWERS.items():
        command = folder / "bin" / name
        command.write_text(f"#!/bin/sh\n{answer}\n")
        command.chmod(0o755)
    text = (ROOT / "workflow/profiles/slurm/config.v9+.yaml").read_text(encoding="utf-8")
    (folder / "slurm").mkdir()
    text = text.replace("CHANGE_ME", "x").replace("\njobs: 200\n", "\njobs: 1000000\n")
    (folder / "slurm" / "config.yaml").write_text(text)


def rate(profile: str, jobs: int, seconds: int, *more: str) -> tuple[int, float]:
    """Jobs that were submitted within ``seconds``, and how many a second from the first to the last."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        chosen = ["--profile", str(folder / "slurm")] if profile == "slurm" else ["--cores", "all"]
        own = ["--workflow-profile", str(ROOT / "workflow/profiles/default"), "--config", f"number={jobs}"]
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "snakemake", *chosen, *more, *own]
        running = subprocess.Popen(
            command, cwd=folder, env={**os.environ, "PATH": path, "STANDIN": name}, stderr=subprocess.DEVNULL
        )
        try:
            running.wait(seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        if profile == "slurm":
            times = [int(word) / 1e9 for word in (folder / "submitted").read_text().split()]
        else:
            times = [int(text) / 1e9 for path in (folder / "out").iterdir() if (text := path.read_text().strip())]
    return len(times), (len(times) - 1) / (max(times) - min(times))


def main() -> None:
    words = options(__doc__, jobs=3000, seconds=60)
    lines = ["", "| profile | scheduler | jobs ready | submitted | a second |", "|---|---|---|---|---|"]
    found = {}
    for profile in ("slurm", "default"):
        for scheduler, more in (("of the profile", ()), ("ilp", ("--scheduler", "ilp"))):
            count, found[profile, scheduler] = rate(profile, words.jobs, words.seconds, *more)
            lines.append(f"| {profile} | {scheduler} | {words.jobs:,} | {count:,} | {found[profile, scheduler]:.0f} |")
    report("submission", "Jobs of a wide graph submitted a second", lines, words.write, MEASURED)
    assert found["slurm", "of the profile"] >= FLOOR, found


if __name__ == "__main__":
    main()

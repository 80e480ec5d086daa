"""``make slurm-test``: the profile on a real SLURM (one_host.py), by the whole tiny chain and by faults.

Jobs that cannot run, a lost driver, the chain of tests/end_to_end/tiny.yaml beside a local run of it, then each fault.
``--folder`` keeps the runs, and goes on with those that lie there; ``--faults-alone`` leaves out what comes before.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from pathlib import Path

import one_host
from drivers import different, profile, said, snakemake
from faults import FAULTS, table, trial
from lost_driver import lost_driver, unfit
from workers import workers

TESTS = Path(__file__).resolve().parents[1]


def same(work: Path, local: Path) -> None:
    """Compare every data file of the run on SLURM with that of the local run."""
    count, others = different(work, local)
    if others:
        raise SystemExit(f"of {count} data files {len(others)} differ from those of a local run: {', '.join(others)}")
    print(f"{count} data files, bit by bit the same on SLURM and in a local run", flush=True)


def everything(top: Path, faults_alone: bool) -> None:
    """All trials, in folders of ``top``."""
    sys.path[:0] = [str(TESTS), str(TESTS / "end_to_end")]
    from test_tiny_run import write_inputs

    work, local = top / "slurm", top / "local"
    for folder in (work, local):
        if not folder.exists():
            folder.mkdir(parents=True)
            write_inputs(folder)
    with tempfile.TemporaryDirectory() as short:
        slurm = ["--profile", str(profile(Path(short, "profile"), jobs="4", max_mem_mb="5500"))]
        if not faults_alone:
            unfit(work, slurm)
            lost_driver(work, slurm)
            said(snakemake(work, "all", *slurm), 0)
            said(snakemake(local, "all", "--cores", "2"), 0)
            same(work, local)
            workers(work, local)
        rows = []
        for fault in FAULTS:
            rows.append(trial(work, slurm, local, fault))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
        said(snakemake(work, "all", *slurm), 0)  # what is made from the tile-year
        same(work, local)
        print(table(rows))


def main() -> None:
    """Start SLURM, try everything, and take it down again."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--folder", type=Path)
    words.add_argument("--faults-alone", action="store_true")
    words = words.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # drivers must feel it, also below nohup, which they inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)  # and what is ended by Ctrl-C below a shell's `&`
    one_host.up()
    try:
        with tempfile.TemporaryDirectory() as top:
            everything(words.folder or Path(top), words.faults_alone)
    finally:
        one_host.down()


if __name__ == "__main__":
    main()

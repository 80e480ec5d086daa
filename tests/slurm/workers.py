"""A Dask cluster of SLURM jobs (``fluxatlas infer cluster``) computes a tile-year, bit by bit that of a local run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import one_host
from distributed.security import Security
from drivers import queued, said, snakemake, values
from faults import MADE, TARGET

SETTING = "DASK_DISTRIBUTED__COMM__"
JOBS = 2


def certificates(folder: Path) -> dict[str, str]:
    """Variables that name certificates made in ``folder``, as docs/cluster.md tells."""
    made = Security.temporary()
    texts = {"CA_FILE": made.tls_ca_file}
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        texts |= {f"{who}__{kind}": getattr(made, f"tls_{who}_{kind}".lower()) for kind in ("CERT", "KEY")}
    named = {f"{SETTING}REQUIRE_ENCRYPTION": "True"}
    for name, text in texts.items():
        path = folder / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_text(text)
        named[f"{SETTING}TLS__{name}"] = str(path)
    return named


def workers(work: Path, truth: Path) -> None:
    """Make the tile-year of ``work`` with workers that are jobs of SLURM, and compare it with that of ``truth``."""
    before = {name: values(truth / name) for name in MADE}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(certificates(Path(folder)))
        start = [
            str(Path(sys.executable).parent / "fluxatlas"),
            "infer",
            "cluster",
            "--jobs",
            str(JOBS),
            "--memory",
            "2GB",
        ]
        start += ["--walltime", "00:30:00", "--queue", one_host.PARTITION, "--account", one_host.ACCOUNT]
        cluster = subprocess.Popen(start, stdout=subprocess.PIPE, text=True, cwd=folder)
        try:
            assert cluster.stdout is not None
            address = cluster.stdout.readline().strip()
            if not address.startswith("tls://"):
                raise SystemExit(f"the cluster said '{address}' in place of its address")
            running = lambda: sum(row.endswith("RUNNING") and "dask" in row for row in queued())  # noqa: E731
            one_host.until(f"{JOBS} jobs of workers", 240, lambda: running() == JOBS)
            for name in MADE:
                (work / name).unlink()
            said(snakemake(work, TARGET, "--cores", "1", "--config", f"infer={{dask_address: '{address}'}}"), 0)
        finally:
            cluster.send_signal(signal.SIGINT)
            cluster.wait()
    one_host.until("an empty queue", 120, lambda: not queued())
    others = [name for name in MADE if values(work / name) != before[name]]
    if others:
        raise SystemExit(f"with workers in jobs of SLURM {', '.join(others)} differ from those of a local run")
    print(
        f"a tile-year by {JOBS} workers in jobs of SLURM: {len(MADE)} files, bit by bit those of a local run",
        flush=True,
    )

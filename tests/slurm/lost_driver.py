"""Jobs that cannot run, and a driver that is lost while its job waits; one job is enough for it."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import one_host
from drivers import nodes, queued, said, snakemake

TARGET = "results/tiny/ingest/raw/era5_land/geopotential.nc"


def unfit(work: Path, slurm: list[str]) -> None:
    """More memory than any node has is refused before anything is submitted."""
    said_ = said(snakemake(work, TARGET, *slurm, "--set-resources", "synthetic_orography:mem_mb=9000"), 1)
    assert "SLURM would refuse a job" in said_ and "--mem=9000" in said_, said_
    assert not queued()
    print("refused, as it should be:\n" + said_[said_.index("SLURM would") :].split("  File")[0])


def lost_driver(work: Path, slurm: list[str]) -> None:
    """The driver dies while its job waits for nodes; the next start names the job until it is gone."""
    nodes("drain")
    with (work / "first.log").open("w") as log:
        driver = subprocess.Popen(snakemake(work, TARGET, *slurm), stdout=log, stderr=log, start_new_session=True)
    one_host.until("the job in the queue", 180, lambda: bool(queued()))
    time.sleep(2)
    driver.send_signal(signal.SIGHUP)
    driver.wait()
    left = queued()
    assert len(left) == 1, left
    assert "--unlock" in said(snakemake(work, TARGET, *slurm), 1)
    said(snakemake(work, TARGET, *slurm, "--unlock"), 0)
    for options in (slurm, ["--cores", "1"]):  # a local run would write the same file
        refusal = said(snakemake(work, TARGET, *options), 1)
        assert "1 job of an earlier start of this run is still in the queue" in refusal, refusal
        assert left[0].split()[0] in refusal and queued() == left, refusal
    print(refusal[refusal.index("1 job of") :].split("  File")[0])
    scancel = re.search(r"scancel --me --name \S+(?=;)", refusal)
    assert scancel, refusal
    one_host.run(*scancel[0].split())
    one_host.until("an empty queue", 60, lambda: not queued())
    nodes("resume")

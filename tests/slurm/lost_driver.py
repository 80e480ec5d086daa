"""``make slurm-test``: the profile on a real SLURM (one_host.py): jobs that cannot run, a lost driver, what was made.

One job of the tiny configuration is enough for it: the orography of its synthetic Earth.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import one_host
import xarray as xr

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "tests" / "end_to_end" / "tiny.yaml"
TARGET = "results/tiny/ingest/raw/era5_land/geopotential.nc"


def snakemake(folder: Path, *options: str) -> list[str]:
    """The command that makes the target in ``folder``."""
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--configfile"]
    return [*start, str(CONFIG), "--directory", str(folder), TARGET, *options]


def said(command: list[str], expected: int) -> str:
    """What ``command`` says; it must end with the status ``expected``."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if (done.returncode != 0) != (expected != 0):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def profile(folder: Path) -> Path:
    """The profile of the repository with account and partition set, as a user does it."""
    text = next((REPOSITORY / "workflow" / "profiles" / "slurm").glob("config*.yaml")).read_text()
    text = text.replace("slurm_account: CHANGE_ME", f"slurm_account: {one_host.ACCOUNT}")
    text = text.replace("slurm_partition: CHANGE_ME", f"slurm_partition: {one_host.PARTITION}")
    folder.mkdir()
    (folder / "config.v9+.yaml").write_text(text)
    return folder


def values(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Type, shape and stored bytes of each variable in the file; the file itself also holds when it was written."""
    with xr.open_dataset(path, decode_cf=False, mask_and_scale=False) as data:
        return {str(name): (str(v.dtype), v.shape, v.values.tobytes()) for name, v in data.variables.items()}


def queued() -> list[str]:
    return one_host.run("squeue", "--me", "--noheader", "--format", "%i %j %T").splitlines()


def nodes(state: str) -> None:
    one_host.run("scontrol", "update", f"nodename={','.join(one_host.NODES)}", f"state={state}", "reason=test")


def unfit(work: Path, slurm: list[str]) -> None:
    """More memory than any node has is refused before anything is submitted."""
    said_ = said(snakemake(work, *slurm, "--set-resources", "synthetic_orography:mem_mb=9000"), 1)
    assert "SLURM would refuse a job" in said_ and "--mem=9000" in said_, said_
    assert not queued()
    print("refused, as it should be:\n" + said_[said_.index("SLURM would") :].split("  File")[0])


def lost_driver(work: Path, slurm: list[str]) -> None:
    """The driver dies while its job waits for nodes; the next start names the job until it is gone."""
    nodes("drain")
    with (work / "first.log").open("w") as log:
        driver = subprocess.Popen(snakemake(work, *slurm), stdout=log, stderr=log, start_new_session=True)
    one_host.until("the job in the queue", 180, lambda: bool(queued()))
    time.sleep(2)
    driver.send_signal(signal.SIGHUP)
    driver.wait()
    left = queued()
    assert len(left) == 1, left
    assert "--unlock" in said(snakemake(work, *slurm), 1)
    said(snakemake(work, *slurm, "--unlock"), 0)
    refusal = said(snakemake(work, *slurm), 1)
    assert "1 job of an earlier start of this run is still in the queue" in refusal, refusal
    assert left[0].split()[0] in refusal and queued() == left, refusal
    print(refusal[refusal.index("1 job of") :].split("  File")[0])
    scancel = re.search(r"scancel --me --name \S+(?=;)", refusal)
    assert scancel, refusal
    one_host.run(*scancel[0].split())
    one_host.until("an empty queue", 60, lambda: not queued())
    nodes("resume")


def main() -> None:
    """Run all of it, and take the SLURM down again."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    one_host.up()
    try:
        with tempfile.TemporaryDirectory() as top:
            work, local = Path(top, "cluster"), Path(top, "local")
            work.mkdir()
            local.mkdir()
            slurm = ["--profile", str(profile(Path(top, "profile")))]
            unfit(work, slurm)
            lost_driver(work, slurm)
            said(snakemake(work, *slurm), 0)
            said(snakemake(local, "--cores", "1"), 0)
            made, truth = (values(folder / TARGET) for folder in (work, local))
            assert made == truth and made, f"{TARGET} of SLURM differs from that of a local run"
            print(f"{TARGET}: {len(made)} variables, bit by bit the same on SLURM and in a local run")
    finally:
        one_host.down()


if __name__ == "__main__":
    main()

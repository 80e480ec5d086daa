"""Fixtures shared by all tests."""

import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rdata
import torch

REPOSITORY = Path(__file__).resolve().parents[1]
LARGE = 1_000_000  # bytes of a file of R data; SoilChamber_1.rds takes rdata 25 s


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    folder = Path(os.environ.get("FLUXATLAS_DATA", REPOSITORY.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} does not exist (set FLUXATLAS_DATA)")
    return folder


@pytest.fixture(scope="session", autouse=True)
def large_r_data_are_parsed_once(tmp_path_factory, worker_id) -> None:
    """What ``rdata.read_rds`` makes of a large file is kept for all workers of this run of the tests."""
    base = tmp_path_factory.getbasetemp()
    folder = base if worker_id == "master" else base.parent
    parse = rdata.read_rds

    def read_rds(path: Any, **options: Any) -> Any:
        if not isinstance(path, str | Path) or options or Path(path).stat().st_size < LARGE:
            return parse(path, **options)
        kept = folder / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.pickle"
        with kept.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not kept.exists():
                pd.to_pickle(parse(path), kept)
        return pd.read_pickle(kept)

    rdata.read_rds = read_rds


@pytest.fixture(autouse=True)
def denormal_numbers_are_kept() -> Any:
    """Fails the test that leaves the thread flushing denormal numbers, which hypothesis refuses much later."""
    yield
    if np.array([5e-324])[0] + np.array([0.0])[0] == 0:
        torch.set_flush_denormal(False)
        pytest.fail("denormal numbers are left flushed: undo torch.set_flush_denormal")

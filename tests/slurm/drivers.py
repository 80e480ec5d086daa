"""What the trials on a real SLURM share: the command of a driver, its profile and queue, and the values of files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import one_host
import pandas as pd
import rasterio
import torch
import xarray as xr

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "tests" / "end_to_end" / "tiny.yaml"


def snakemake(folder: Path, *words: str) -> list[str]:
    """The command that makes the targets among ``words`` in ``folder``, with the options among them."""
    start = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    return [*start, *words, "--configfile", str(CONFIG), "--directory", str(folder)]


def said(command: list[str], expected: int) -> str:
    """What ``command`` says; it must end with the status ``expected``."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if (done.returncode != 0) != (expected != 0):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def profile(folder: Path, **changed: str) -> Path:
    """The profile of the repository with account and partition set, as a user does it; ``changed`` lines besides."""
    text = next((REPOSITORY / "workflow" / "profiles" / "slurm").glob("config*.yaml")).read_text()
    given = {"slurm_account": one_host.ACCOUNT, "slurm_partition": one_host.PARTITION, **changed}
    lines = []
    for line in text.splitlines():
        key = line.split(":")[0].strip()
        lines.append(f"{line.split(':')[0]}: {given[key]}" if key in given else line)
    folder.mkdir(parents=True)
    (folder / "config.v9+.yaml").write_text("\n".join(lines) + "\n")
    return folder


def queued() -> list[str]:
    """Id, name and state of each job in the queue."""
    return one_host.run("squeue", "--me", "--noheader", "--format", "%i %j %T").splitlines()


def nodes(state: str) -> None:
    """Set all nodes to ``state``."""
    one_host.run("scontrol", "update", f"nodename={','.join(one_host.NODES)}", f"state={state}", "reason=test")


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return str(value.dtype), value.numpy().tobytes()
    if isinstance(value, dict):
        return {str(key): _tensors(one) for key, one in value.items()}
    return [_tensors(one) for one in value] if isinstance(value, list | tuple) else repr(value)


def values(path: Path) -> Any:
    """What a data file holds, bit by bit, without when, how fast and by what it was written."""
    if path.suffix == ".nc":
        with xr.open_dataset(path, decode_cf=False, mask_and_scale=False) as data:
            return {str(name): (str(v.dtype), v.shape, v.values.tobytes()) for name, v in data.variables.items()}
    if path.suffix == ".tif":
        with rasterio.open(path) as data:
            return data.profile["transform"], data.read().tobytes()
    if path.suffix == ".parquet":
        return {str(name): _column(column) for name, column in pd.read_parquet(path).reset_index().items()}
    if path.suffix == ".pt":
        held = torch.load(path, weights_only=False, map_location="cpu")
        return _tensors({name: value for name, value in held.items() if name != "meta"})
    lines = [line for line in path.read_bytes().splitlines() if not line.startswith(b"#")]
    if lines and lines[0].endswith(b",seconds"):  # how long an epoch took
        lines = [line.rpartition(b",")[0] for line in lines]
    return lines


def _column(column: pd.Series[Any]) -> Any:
    plain = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
    return str(column.dtype), np.asarray(column).tobytes() if plain else list(column.astype(str))


def data_files(folder: Path) -> list[str]:
    """The data files of the run in ``folder``: fields, tables, maps and members."""
    kinds = {".nc", ".tif", ".parquet", ".csv", ".pt"}
    aside = {"logs", "benchmarks", "check", "checkpoints"}
    top = folder / "results" / "tiny"
    found = (path.relative_to(folder) for path in top.rglob("*") if path.suffix in kinds)
    return sorted(str(path) for path in found if not aside & set(path.parts))


def different(one: Path, other: Path) -> tuple[int, list[str]]:
    """How many data files the runs in two folders have, and which of them are not bit by bit the same."""
    names = sorted({*data_files(one), *data_files(other)})
    same = [
        name
        for name in names
        if (one / name).exists() and (other / name).exists() and values(one / name) == values(other / name)
    ]
    return len(names), [name for name in names if name not in same]

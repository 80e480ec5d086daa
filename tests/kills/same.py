"""Whether two files of runs say the same, whenever and by whatever they were made."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "slurm"))

from drivers import values

NUMBERS = re.compile(r"[0-9a-f]{16,}|[\d.,]+")
"""What pages say of times, of the jobs so far and of hashes changes from run to run."""
OF_THE_RUN = ("made_ns", "history", "fluxatlas_commit", "fluxatlas_version")
"""Keys of JSON that say when and by what it was made: all that differs where jobs of both runs are done again."""


def stated(value: object) -> object:
    """What JSON says, without :data:`OF_THE_RUN`."""
    if isinstance(value, dict):
        return {key: stated(one) for key, one in value.items() if key not in OF_THE_RUN}
    return [stated(one) for one in value] if isinstance(value, list) else value


def contents(path: Path) -> object:
    """What a file says, without when and by what it was made."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return picture.size, picture.tobytes()
    if path.name == "report.html":  # Snakemake's, of all jobs so far
        return path.read_text(encoding="utf-8").rstrip()[-7:]
    if path.suffix == ".json":
        return stated(json.loads(path.read_text(encoding="utf-8"), parse_constant=str))  # NaN is like NaN
    if path.suffix in (".html", ".md"):
        return NUMBERS.sub("", path.read_text(encoding="utf-8"))
    if path.suffix == ".csv":  # how long something took is not compared
        table = pd.read_csv(path, comment="#", dtype=str)
        timed = table["score"] == "seconds" if "score" in table else np.zeros(len(table), bool)
        return table[~timed].drop(columns="seconds", errors="ignore").to_csv()
    return values(path)


def alike(path: Path, truth: Path) -> bool:
    """Whether two files say the same; one that cannot be read does not."""
    try:
        return bool(contents(path) == contents(truth))
    except Exception:  # of many kinds, whatever reads it
        return False

"""What on disk is still good, where Snakemake's own comparison of time stamps says too much or too little.

Standard library only, because the Snakefile asks. See ``docs/decisions/0007-exactly-what-changed.md``.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .files import write_text
from .hashes import file_hash

PLAIN = (".nc", ".nc4", ".h5", ".grib", ".grib2", ".grb", ".zip", ".tif", ".csv", ".txt")
"""Ends of names that are not asked whether they are folders."""


def _time(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns  # noqa: PTH116 (asked 10^5 times at the start of a global run)
    except OSError:
        return None


_time_of_shared = cache(_time)


@cache
def _newest_in(folder: str) -> str:
    """The file below ``folder`` that changed last; '' where there is none, or no folder."""
    found = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    newest = max(((_time(path) or 0, path) for path in found), default=(0, ""))
    return newest[1]


def with_contents(paths: Iterable[str]) -> list[str]:
    """``paths``, and for each that is a folder (a Zarr store) the file in it that changed last.

    The time stamp of a folder does not tell that a file in it was written anew. All files of a store are asked once.
    """
    every = list(paths)
    folders = [path for path in every if not path.endswith(PLAIN) and Path(path).is_dir()]
    return [*every, *(newest for folder in folders if (newest := _newest_in(folder)))]


def is_current(made: Iterable[str], inputs: Iterable[str]) -> bool:
    """Whether every file of ``made`` exists and none of ``inputs`` is newer; absent inputs do not count."""
    times = [_time(path) for path in made]
    if None in times:
        return False
    oldest = min(time for time in times if time is not None)
    return all((_time_of_shared(path) or 0) <= oldest for path in inputs)


def write_history(output: str | Path, inputs: Iterable[str | Path]) -> None:
    """Write what a state owes to the time before it: sizes and time stamps of ``inputs`` (JSON).

    No two of these files are alike, also where nothing changed but the settings: whatever is older than its history is
    stale. Raises :class:`ConfigError` for an absent file.
    """
    seen: dict[str, dict[str, int]] = {}
    for path in map(str, inputs):
        if not Path(path).exists():
            raise ConfigError("file not found", where=path, hint="run the stage that makes it first")
        status = Path(path).stat()
        seen[path] = {"bytes": status.st_size, "modified_ns": status.st_mtime_ns}
    write_text(output, json.dumps({"made_ns": time.time_ns(), "inputs": seen}, indent=1) + "\n")


def write_digests(output: str | Path, hashes: Mapping[str, str]) -> None:
    """Write size and hash (:func:`fluxatlas.files.file_hash`) of the raw files that pieces were made of (JSON)."""
    seen = {path: {"bytes": Path(path).stat().st_size, "hash": value} for path, value in hashes.items()}
    write_text(output, json.dumps(seen, indent=1, sort_keys=True) + "\n")


@cache
def _read(path: str) -> Any:
    """A JSON file; an empty mapping where it is absent or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def holds_the_same(path: str, digests: str) -> bool:
    """Whether ``path`` is newer than the file ``digests`` but still has the size and hash that are noted there.

    A folder (Zarr) never is: its hash is that of its metadata alone.
    """
    noted, stamp = _time_of_shared(digests), _time(path)
    if noted is None or stamp is None or stamp <= noted or Path(path).is_dir():
        return False
    known = _read(digests).get(path)
    if not isinstance(known, dict) or known.get("bytes") != Path(path).stat().st_size:
        return False
    return bool(file_hash(path) == known.get("hash"))


def years_record(years: Sequence[int]) -> str:
    """Name of the file that says which years of forcing the tables of sites hold; the name alone tells it."""
    return f"sites_{years[0]}-{years[-1]}.json"


def write_years(folder: Path, years: Sequence[int]) -> None:
    """Write the record of ``years`` to ``folder`` instead of any other."""
    for path in folder.glob("sites_????-????.json"):
        path.unlink()
    write_text(folder / years_record(years), json.dumps({"first": years[0], "last": years[-1]}) + "\n")


def recorded_years(folder: str | Path) -> list[int]:
    """The years of the newest record in ``folder``; none where there is no record."""
    records = sorted(Path(folder).glob("sites_????-????.json"), key=lambda path: path.stat().st_mtime_ns)
    if not records:
        return []
    first, last = map(int, records[-1].stem.removeprefix("sites_").split("-"))
    return list(range(first, last + 1))

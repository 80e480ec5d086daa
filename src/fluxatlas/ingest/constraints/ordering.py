"""Files in order of time: by the date in their names where all have one, else by their first time."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])(?:[-_.]?(0[1-9]|[12]\d|3[01])(?:T?(\d{6}))?)?(?!\d)")


def in_order(paths: Sequence[Path], first_time: Callable[[Path], np.datetime64]) -> list[Path]:
    """``paths`` by time. ``first_time`` opens a file, which is only done where names do not tell."""
    if len(paths) == 1:
        return list(paths)
    stamps = [_stamps(path.name) for path in paths]
    one_each = all(len(found) == 1 for found in stamps)
    if one_each and len({found[0] for found in stamps}) == len(paths):
        return [path for _, path in sorted(zip((found[0] for found in stamps), paths, strict=True))]
    return [path for _, path in sorted(((first_time(path), path) for path in paths), key=lambda pair: pair[0])]


def _stamps(name: str) -> list[str]:
    return ["".join(part or "" for part in found) for found in _DATE.findall(name)]

"""Providers' soil maps: what their layers are called, in which unit they are stored, and which files hold which depth.

The facts are rows of ``resources/static_providers.csv``; nothing here opens a map.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..paths import RESOURCES, matches

SOIL = ("sand", "clay", "soc", "bdod", "phh2o")
"""Layers that a soil map holds."""
DEPTHS = ("0-5cm", "5-15cm", "15-30cm", "30-60cm", "60-100cm", "100-200cm")
"""Depth intervals of SoilGrids."""
SUFFIXES = (".tif", ".tiff", ".vrt", ".nc", ".nc4")
"""Kinds of files that are looked for in a folder; of equal names the earlier kind is read."""


@dataclass(frozen=True)
class Preset:
    """How a provider stores a layer: its ``names`` (in order of preference), unit and factor."""

    names: tuple[str, ...]
    units: str
    scale: float


@lru_cache
def presets() -> dict[tuple[str, str], Preset]:
    """The presets of ``resources/static_providers.csv`` by (provider, layer)."""
    lines = (RESOURCES / "static_providers.csv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {
        (row["provider"], row["layer"]): Preset(tuple(row["names"].split()), row["units"], float(row["scale"]))
        for row in rows
    }


def interval(text: str) -> tuple[float, float] | None:
    """Top and bottom [cm] of a depth interval in a name (``5-15cm``, ``5_15``, ``b10..30cm``), None if none."""
    found = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)(?:cm)?\s?(?:-|_|\.\.)\s?(\d+(?:\.\d+)?)\s?(?:cm)?(?![\d.]*\d)", text)
    if not found or float(found[1]) >= float(found[2]):
        return None
    return float(found[1]), float(found[2])


def depth_shares(intervals: list[tuple[float, float]], depth: tuple[float, float]) -> list[float]:
    """Share of each of ``intervals`` [cm] in ``depth`` (top, bottom); sums to one where they cover it wholly."""
    top, bottom = depth
    return [max(0.0, min(low, bottom) - max(high, top)) / (bottom - top) for high, low in intervals]


def depth_files(
    path: str, name: str, depth: tuple[float, float], depths: tuple[str, ...] = DEPTHS
) -> list[tuple[str, float]]:
    """Files of layer ``name`` that hold a part of ``depth``, one for each of the intervals ``depths``, with its share.

    ``path`` is a folder (searched two levels deep), or a path or pattern with ``{depth}`` and perhaps ``{layer}``. For
    an interval without a file, the path that should exist is listed, so that its absence is seen.
    """
    found: list[tuple[str, float]] = []
    for text in depths:
        bounds = interval(text)
        share = depth_shares([bounds], depth)[0] if bounds else 0.0
        if share > 0:
            found.append((_file(path, name, text), share))
    return found


def _file(path: str, name: str, depth: str) -> str:
    """The file of one depth interval; one of the files that fit, by :data:`SUFFIXES`."""
    if "{depth}" in path or "{layer}" in path:
        text = path.replace("{depth}", depth).replace("{layer}", name)
        candidates = matches(text)
        return candidates[0] if len(candidates) == 1 else _preferred(candidates) or text
    folder = Path(path)
    fits = re.compile(rf"{name}_{re.escape(depth)}_mean(_\d+m?)?", re.IGNORECASE)
    members = [str(p) for level in ("*", "*/*") for p in folder.glob(level) if fits.fullmatch(p.stem)]
    return _preferred(members) or str(folder / f"{name}_{depth}_mean.tif")


def _preferred(paths: list[str]) -> str:
    """The path of the earliest kind in :data:`SUFFIXES`, of the finest resolution where names differ in it."""
    known = [path for path in paths if Path(path).suffix.lower() in SUFFIXES]

    def order(path: str) -> tuple[int, int, str]:
        cells = re.search(r"_mean_(\d+)m?$", Path(path).stem)
        return int(cells[1]) if cells else 250, SUFFIXES.index(Path(path).suffix.lower()), path

    return min(known, key=order, default="")

"""Legends of land-cover maps: what each class means for the soil, from ``resources/landcover_*.csv`` or a file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..paths import RESOURCES

LEGEND_COLUMNS = ("class", "name", "upland", "crop", "wetland", "cover")
COVERS = {"water", "ice", "urban", "rock", "wetland"}
"""Covers that have no biome."""


@dataclass(frozen=True)
class CoverClass:
    """A land-cover class: shares [0-1] of it that are upland soil, crops and wetland, and its ``cover``.

    ``cover`` is a group of ``resources/biomes.csv`` or one of water, ice, urban, rock, wetland; ``variable`` is what
    files of shares call it, '' where they do not.
    """

    name: str
    upland: float
    crop: float
    wetland: float
    cover: str
    variable: str = ""


def read_legend(name: str) -> dict[int, CoverClass]:
    """A legend by name (``esa_cci``, ``modis_igbp``) or path, classes by code.

    Raises :class:`InputError` where the file is absent, lacks a column, lists a class twice or holds a bad number.
    """
    path = Path(name) if name.endswith(".csv") else RESOURCES / f"landcover_{name}.csv"
    if not path.exists():
        known = sorted(p.stem.removeprefix("landcover_") for p in RESOURCES.glob("landcover_*.csv"))
        raise InputError(f"no legend '{name}'", where=str(path), hint=f"choose from {known} or give a CSV file")
    legend: dict[int, CoverClass] = {}
    for row in rows_of(path):
        absent = [column for column in LEGEND_COLUMNS if row.get(column) is None]
        if absent:
            hint = f"needed: {', '.join(LEGEND_COLUMNS)}"
            raise InputError(f"the legend lacks {', '.join(absent)}", where=str(path), hint=hint)
        try:
            code = int(row["class"])
            upland, crop, wetland = (float(row[key]) for key in ("upland", "crop", "wetland"))
        except ValueError as problem:
            raise InputError(f"no number in the legend ({problem})", where=str(path), hint="correct it") from None
        if row["cover"] not in COVERS | biome_covers():
            hint = f"choose from {', '.join(sorted(COVERS | biome_covers()))}"
            raise InputError(f"'{row['cover']}' of class {code} is not a cover", where=str(path), hint=hint)
        if code in legend or not all(0 <= part <= 1 for part in (upland, crop, wetland)):
            hint = "list each class once, with shares of 0 to 1"
            raise InputError(f"class {code} is listed twice or has a share outside 0-1", where=str(path), hint=hint)
        legend[code] = CoverClass(row["name"], upland, crop, wetland, row["cover"], row.get("variable") or "")
    if not legend:
        raise InputError("the legend is empty", where=str(path), hint="list the classes of the map")
    return legend


def biome_covers() -> set[str]:
    """The groups of cover in ``resources/biomes.csv``."""
    return {row["cover"] for row in rows_of(RESOURCES / "biomes.csv")}


def rows_of(path: Path) -> list[dict[str, str]]:
    """Rows of a small table with comment lines; raises :class:`InputError` where it is not UTF-8 text."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))
    except (UnicodeDecodeError, csv.Error) as problem:
        raise InputError(f"the table cannot be read ({problem})", where=str(path), hint="save it as UTF-8") from None

"""The table ``resources/datasets.csv``: version, citation, licence and access of every data set that we name."""

from __future__ import annotations

import csv
from functools import lru_cache

from ..paths import RESOURCES

TABLE = RESOURCES / "datasets.csv"
COLUMNS = ("name", "title", "version", "citation", "doi", "licence", "access", "recipe", "mapping", "tag", "reader")


@lru_cache
def datasets() -> dict[str, dict[str, str]]:
    """Rows by name."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {row["name"]: row for row in rows}


def describe(name: str) -> dict[str, str]:
    """What the provenance of a file says about its data set; only the name for one that is not in the table."""
    row = datasets().get(name, {})
    return {"dataset": name} | {key: row[key] for key in ("title", "version", "citation", "doi", "licence") if row}

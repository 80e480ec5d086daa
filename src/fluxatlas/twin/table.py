"""What the chain found in each world, in one table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..evaluate.truth_sites import TRUTH
from ..files import read_made, write_text

PathLike = str | Path

COLUMNS = [
    *("world", "seed", "variable", "level", "model", "n", "r2", "r2_observed", "rmse", "bias", "unit"),
    *("true_total", "total", "total_unit", "error_percent", "within_2sd", "within_90"),
]
LEVELS = ("sites", "site_means", "map", "total")
"""Days at unseen sites, means of unseen sites, annual means of cells (all years), annual totals of the domain."""
_NAME = re.compile(r"(?P<world>[a-z]+)-(?P<seed>[0-9]+)")


def twin_table(folders: Sequence[PathLike]) -> pd.DataFrame:
    """One row for each world, variable, level (:data:`LEVELS`) and model; folders are called ``<world>-<seed>``.

    ``r2`` is against the truth, ``r2_observed`` against the measurements: for the model ``truth`` it is the noise
    ceiling. ``within_2sd`` and ``within_90`` are the shares inside two standard deviations and the 90 % interval of the
    ensemble, for totals of the years. The rows of the seed ``all`` are means over the worlds of a kind, where there are
    several. Raises :class:`InputError` for a folder without results or with another name.
    """
    parts = []
    for folder in map(Path, folders):
        found = _NAME.fullmatch(folder.name)
        if not found:
            raise InputError("not a folder <world>-<seed>", where=str(folder), hint="give folders of `snakemake twin`")
        rows = pd.concat([_sites(folder), _map(folder), _total(folder)], ignore_index=True)
        parts.append(rows.assign(world=found["world"], seed=found["seed"]))
    if not parts:
        raise InputError("there are no worlds", hint="give at least one folder with --world")
    table = pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)
    keys = ["world", "variable", "level", "model", "unit", "total_unit"]
    numbers = [name for name in COLUMNS if name not in (*keys, "seed")]
    several = table[table.groupby(keys, dropna=False)["seed"].transform("nunique") > 1]
    if len(several):
        means = several.groupby(keys, dropna=False)[numbers].mean().reset_index().assign(seed="all")
        table = pd.concat([table, means], ignore_index=True)[COLUMNS]
    order = table["level"].map({level: number for number, level in enumerate(LEVELS)})
    return table.assign(order=order).sort_values(["world", "seed", "variable", "order", "model"]).drop(columns="order")


def _read(folder: Path, name: str) -> pd.DataFrame:
    return read_made(folder / "evaluate" / name, by="`snakemake twin`")


def _sites(folder: Path) -> pd.DataFrame:
    table = _read(folder, "truth_sites.csv")
    level = table["scale"].map({"daily": "sites", "site_mean": "site_means"})
    return table.assign(level=level).rename(columns={"target": "variable"})


def _map(folder: Path) -> pd.DataFrame:
    """Means over the years."""
    table = _read(folder, "truth.csv")
    columns = ["r2", "rmse", "bias", "within_2sd", "within_90"]
    means = table.groupby(["variable", "unit"])[columns].mean().join(table.groupby(["variable", "unit"])["cells"].max())
    return means.reset_index().rename(columns={"cells": "n"}).assign(level="map", model="network")


def _total(folder: Path) -> pd.DataFrame:
    """Mean of the years' totals; shares of the years whose true total lies inside."""
    table = _read(folder, "truth.csv")
    table = table.rename(columns={"total_within_2sd": "in_2sd", "total_within_90": "in_90"})
    columns = ["true_total", "total", "in_2sd", "in_90"]
    means = table.groupby(["variable", "total_unit"])[columns].mean()
    means["n"] = table.groupby(["variable", "total_unit"])["year"].nunique()
    means["error_percent"] = 100 * (means["total"] / means["true_total"] - 1)
    named = {"in_2sd": "within_2sd", "in_90": "within_90"}
    return means.reset_index().rename(columns=named).assign(level="total", model="network")


def write_twin_table(output: PathLike, folders: Sequence[PathLike]) -> pd.DataFrame:
    """Write :func:`twin_table` as CSV; return it."""
    table = twin_table(folders)
    write_text(output, table.to_csv(index=False, float_format="%.5g"))
    return table


def in_words(table: pd.DataFrame) -> list[str]:
    """The main numbers, a line for each world and each flux of the map."""
    lines = []
    rows = table.set_index(["world", "seed", "variable", "level", "model"])
    for key in rows.xs(("map", "network"), level=("level", "model")).index:
        world, seed, variable = key
        on_map, total = rows.loc[(*key, "map", "network")], rows.loc[(*key, "total", "network")]
        said = f"{world} {seed}, {variable}: map R2 {on_map['r2']:.2f}, total {total['error_percent']:+.0f} %"
        if (*key, "sites", "network") in rows.index:
            sites, itself = rows.loc[(*key, "sites", "network")], rows.loc[(*key, "sites", TRUTH)]
            said += f", sites R2 {sites['r2']:.2f} (against data {sites['r2_observed']:.2f}"
            said += f", ceiling {itself['r2_observed']:.2f})"
        lines.append(said)
    return lines

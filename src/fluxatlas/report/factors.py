"""The page of factors: shares of the variance in space, correlations, the mean change of a store, response curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from .. import files
from ..evaluate.factors import STORAGE, called
from ..style import fixed, number
from ..systems import System
from .sections import Section
from .summary import embedded_figure, page_html

SHARES = ("all", "soil alone", "climate alone", "shared", "unexplained")


def write_factors_page(output: Path, table: Path, system: System, figures: Sequence[Path]) -> None:
    """Write the page (HTML) of the ``table`` of ``fluxatlas evaluate factors`` with ``figures`` (PNG) inside."""
    found = files.read_table(table)
    first = found.iloc[0]
    opening = [
        f"{system.title}: means over {first['years']} of {first['cells']:,} cells. The change of {system.stored} is a "
        "small difference of large fluxes, and that of a single year holds what has not settled yet: only the mean "
        "over years is shown, with the spread of the members, which does not hold what they all get wrong.",
    ]
    sections = [_means(found, system), _shares(found, system), _correlations(found, system)]
    images = [(path.stem, embedded_figure(path)) for path in figures]
    files.write_text(output, page_html(f"Factors: {system.title}", [("", opening)], sections, images))


def _between(row: pd.Series, digits: int = 2) -> str:
    text = fixed(row["value"], digits)
    return text if pd.isna(row["low"]) else f"{text} ({fixed(row['low'], digits)} to {fixed(row['high'], digits)})"


def _means(table: pd.DataFrame, system: System) -> Section:
    rows = []
    for variable in dict.fromkeys(table["variable"]):
        own = table[table["variable"] == variable].set_index(["kind", "name"])
        row = {"": called(str(variable), system), "mean": number(own.loc[("mean", "area mean"), "value"])}
        spread = ("members", "sd of the area mean")
        row["sd of members"] = number(own.loc[spread, "value"]) if spread in own.index else ""
        if ("truth", "r2") in own.index:
            row |= {"truth": number(own.loc[("truth", "area mean"), "value"])}
            row |= {"R2 of cells": fixed(own.loc[("truth", "r2"), "value"])}
            row |= {"RMSE of cells": number(own.loc[("truth", "rmse"), "value"])}
        rows.append(row | {"unit": own.loc[("mean", "area mean"), "unit"]})
    note = "Means over area and years; on the synthetic Earth beside its hidden truth."
    return Section("Means over years", note, pd.DataFrame(rows).fillna(""))


def _shares(table: pd.DataFrame, system: System) -> Section:
    own = table[table["kind"] == "share"].set_index(["variable", "name"])
    rows = [
        {"": called(str(variable), system)} | {name: _between(own.loc[(variable, name)]) for name in SHARES}
        for variable in dict.fromkeys(own.index.get_level_values(0))
    ]
    note = (
        "R2 of a linear regression of cells, weighted by area, on soil and mean weather; alone: what the other group "
        "does not explain; shared: what either explains. 90 % intervals from blocks of neighbouring cells. What goes "
        "together in space is not thereby a cause."
    )
    return Section("Shares of the variance in space", note, pd.DataFrame(rows))


def _correlations(table: pd.DataFrame, system: System) -> Section:
    own = table[table["kind"] == "correlation"]
    names = list(dict.fromkeys(own["name"]))
    rows = []
    for variable in [STORAGE, *[name for name in dict.fromkeys(own["variable"]) if name != STORAGE]]:
        part = own[own["variable"] == variable].set_index("name")
        rows.append({"": called(str(variable), system)} | {name: _between(part.loc[name]) for name in names})
    return Section("Correlation with each input", "Pearson, weighted by area; 90 % as above.", pd.DataFrame(rows))

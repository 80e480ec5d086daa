"""Sums of regions by month beside those of inversions: the figure, and the section of the page."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config.report import ReportBlock
from ..files import read_table
from ..style import COLORS, FAINT, WIDTH, number, unit
from ..systems import System
from .catalogue import Inputs
from .sections import Section

MOST = 12
"""Regions that are drawn."""


def region_months(inputs: Inputs, settings: ReportBlock) -> Figure:
    """A panel for each region: product (line), inversions (mean, band from smallest to largest), held-out years."""
    table = read_table(inputs.one("region_months"))
    sizes = table.groupby("region")["inversions"].apply(lambda one: one.abs().sum()).sort_values(ascending=False)
    names = sorted(sizes.index[:MOST])
    columns = 2 if len(names) > 1 else 1
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.0 + 1.7 * rows), squeeze=False, sharex=True)
    for axis, name in zip(axes.ravel(), names, strict=False):
        _panel(axis, table[table["region"] == name].sort_values(["year", "month"]), str(name))
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel(unit("Tg C month-1"))
    handles, labels = axes[0, 0].get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))
    for axis in axes.ravel()[1 : len(names)]:
        found |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=4, frameon=False)
    return figure


def _panel(axis: Any, rows: pd.DataFrame, name: str) -> None:
    time = rows["year"].to_numpy() + (rows["month"].to_numpy() - 0.5) / 12
    axis.fill_between(
        time, rows["low"], rows["high"], color=COLORS[1], alpha=0.25, linewidth=0, label="inversions, range"
    )
    axis.plot(time, rows["inversions"], color=COLORS[1], linewidth=1, label="their mean")
    axis.plot(time, rows["product"], color=COLORS[0], linewidth=1.4, label="product")
    for year in sorted(set(rows.loc[rows["held_out"] == 1, "year"])):
        axis.axvspan(year, year + 1, color=FAINT, alpha=0.25, linewidth=0, label="held out from training", zorder=0)
    axis.axhline(0, color=FAINT, linewidth=0.7)
    axis.set(title=name, xlim=(rows["year"].min(), rows["year"].max() + 1))
    years = np.arange(rows["year"].min(), rows["year"].max() + 2)
    axis.set_xticks(years[:: max(1, len(years) // 6)])


def regions_section(table: pd.DataFrame, system: System) -> Section:
    """Mean of the year of each region beside the inversions, for the years of training and those held out."""
    rows = []
    for (region, held), part in table.groupby(["region", "held_out"], sort=True):
        years = part.groupby("year")[["product", "inversions", "low", "high"]].sum().mean()
        far = ((part["product"] - part["inversions"]) / part["sd"]).pow(2).mean()
        rows.append(
            {
                "region": str(region),
                "years": ("held out: " if held else "in training: ") + _years(part["year"]),
                "product": number(years["product"]),
                "inversions": number(years["inversions"]),
                "range": f"{number(years['low'])} to {number(years['high'])}",
                "unit": "Tg C yr-1",
                "squared difference of a month per variance": number(far),
            }
        )
    note = (
        "Positive to the atmosphere; inversions are corrected as the preset of the run says. Months in training were "
        "fitted and test nothing; a squared difference of 1 per variance is as good as the errors say."
    )
    return Section("Regions beside inversions", note, pd.DataFrame(rows))


def _years(years: pd.Series[Any]) -> str:
    found = sorted(set(years))
    whole = len(found) > 1 and found[-1] - found[0] == len(found) - 1
    return f"{found[0]}-{found[-1]}" if whole else ", ".join(map(str, found))

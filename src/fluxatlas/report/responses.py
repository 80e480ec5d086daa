"""Figures of what drives the flux: responses to each driver, and what each input adds."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..config.report import ReportBlock
from ..errors import InputError
from ..files import read_table
from ..style import FAINT, WIDTH, model_color, panel_letters, unit
from ..systems import System, get_system
from .catalogue import Inputs
from .verdicts import called

COLUMNS = 4
MOST = 14
"""Inputs shown, those that matter most."""
NAMES = {"network": "members of the ensemble", "process": "process model with their parameters"}


def responses(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Change of the shown flux with each driver: a line for each member and its process model, quartiles shaded."""
    system, table = _read(inputs, "responses")
    drivers = list(dict.fromkeys(table["driver"]))
    rows = -(-len(drivers) // COLUMNS)
    figure, axes = plt.subplots(
        rows, COLUMNS, figsize=(WIDTH, 0.6 + 1.75 * rows), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, driver in zip(axes.flat, drivers, strict=False):
        here = table[table["driver"] == driver]
        for model in NAMES:
            own = here[here["model"] == model]
            for _, line in own.groupby("member"):
                axis.plot(line["change"], line["difference"], color=model_color(model), linewidth=1.2, alpha=0.9)
            edges = own.groupby("change")[["low", "high"]].mean()
            axis.fill_between(edges.index, edges["low"], edges["high"], color=model_color(model), alpha=0.15, lw=0)
        axis.axhline(0, color=FAINT, linewidth=0.7)
        shifted = here["by"].iloc[0] == "K"
        axis.set(title=_words(driver, system, 16), xlabel="shift (K)" if shifted else "factor")
    for axis in axes.flat[len(drivers) :]:
        axis.set_visible(False)
    label = f"change of {system.shown_flux.label}\n({unit(str(table['unit'].iloc[0]))})"
    figure.supylabel(label, fontsize=settings.font_size)
    _legend(figure)
    return figure


def attribution(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Mean magnitude of what each input adds to the shown flux of a series, and its mean with sign."""
    system, table = _read(inputs, "attribution")
    mean = table.groupby(["input", "model"])[["size", "mean"]].agg(["mean", "min", "max"])
    order = mean["size"]["mean"].unstack().max(axis=1).sort_values(ascending=False).index[:MOST]
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 1.2 + 0.26 * len(order)), sharey=True, layout="constrained")
    for axis, column, title in (
        (axes[0], "size", "Size of what an input adds"),
        (axes[1], "mean", "Its mean over series"),
    ):
        _bars(axis, mean.xs(column, axis=1, level=0), list(order))
        axis.set(title=title, xlabel=f"{system.shown_flux.label}\n({unit(str(table['unit'].iloc[0]))})")
    axes[1].axvline(0, color=FAINT, linewidth=0.7)
    axes[0].set_yticks(range(len(order)), [_words(str(name), system, 34) for name in order])
    axes[0].invert_yaxis()
    panel_letters(axes)
    _legend(figure)
    return figure


def _bars(axis: Any, table: Any, order: list[str]) -> None:
    """Mean over members with the smallest and the largest of them."""
    for number, model in enumerate(NAMES):
        rows = table.xs(model, level="model").reindex(order) if model in table.index.get_level_values("model") else None
        if rows is None:
            continue
        place = np.arange(len(order)) + 0.38 * (number - 0.5)
        axis.barh(place, rows["mean"], height=0.34, color=model_color(model), alpha=0.85)
        error = [rows["mean"] - rows["min"], rows["max"] - rows["mean"]]
        axis.errorbar(rows["mean"], place, xerr=error, fmt="none", ecolor=FAINT, elinewidth=0.9, capsize=1.5)
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.grid(visible=False, axis="y")


def _words(name: str, system: System, width: int) -> str:
    """What an input is called, on lines of at most ``width`` letters."""
    return textwrap.fill(called(name, system), width, break_on_hyphens=False)


def _read(inputs: Inputs, kind: str) -> tuple[System, pd.DataFrame]:
    """The system, and the rows of the flux that it shows."""
    path, system = inputs.one(kind), get_system(inputs.system)
    table = read_table(path)
    table = table[table["flux"] == system.shown_flux.variable]
    if table.empty:
        raise InputError(f"no rows of '{system.shown_flux.variable}'", where=str(path), hint="evaluate responses again")
    return system, table


def _legend(figure: Figure) -> None:
    handles = [plt.Line2D([], [], color=model_color(model), linewidth=3, label=name) for model, name in NAMES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)

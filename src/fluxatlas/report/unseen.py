"""Figure of the scores at unseen sites with their intervals: level and course, time scales, differences of models."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config.report import ReportBlock
from ..errors import InputError
from ..evaluate.gains_figure import draw_gains
from ..evaluate.scales import SCALES
from ..files import read_table
from ..style import (
    FAINT,
    PROTOCOL_NAMES,
    WIDTH,
    model_color,
    model_marker,
    model_name,
    model_order,
    panel_letters,
    unit,
)
from ..systems import get_system
from .catalogue import Inputs

NO_DAYS = "no site that was left out has days: months are in evaluate/periods.csv (snakemake periods)"
LOWEST = -1.5
"""R2 below which a model is drawn at the edge: how bad it is no longer matters."""


def unseen(inputs: Inputs, settings: ReportBlock) -> Figure:
    """R2 by protocol, RMSE by time scale (median and 90th percentile over sites) and differences between models."""
    table = read_table(inputs.one("protocols"))
    if table.empty:
        return nothing()
    targets = [f.variable for f in get_system(inputs.system).fluxes if (table["target"] == f.variable).any()]
    if not targets:
        raise InputError("no scores of a flux at unseen sites", where=str(inputs.one("protocols")))
    table = table[(table["target"] == targets[0]) & (table["subset"] == "all")]
    own, pairs = table[table["against"].isna()], table[table["against"].notna()]
    models = model_order(own["model"])
    figure, axes = plt.subplot_mosaic(
        [["shares", "scales"], ["gains", "gains"]],
        figsize=(WIDTH, 3.1 + 0.24 * len(models) + (0.5 + 0.2 * len(models))),
        height_ratios=[2.6, 1],
    )
    _draw_shares(axes["shares"], own, models)
    _draw_scales(axes["scales"], own, models, unit(str(own["unit"].iloc[0])))
    _draw_gains(axes["gains"], pairs, unit(str(own["unit"].iloc[0])))
    marks = [(model_marker(m), model_color(m), model_name(m)) for m in models]
    handles = [plt.Line2D([], [], marker=o, linestyle="", color=color, label=name) for o, color, name in marks]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    panel_letters([axes[name] for name in ("shares", "scales", "gains")])
    return figure


def nothing(why: str = NO_DAYS) -> Figure:
    """A strip that says why there is no figure."""
    figure, axis = plt.subplots(figsize=(WIDTH, 1.0))
    axis.text(0.5, 0.5, why, ha="center", va="center", transform=axis.transAxes)
    axis.set_axis_off()
    return figure


def _draw_shares(axis: Any, own: pd.DataFrame, models: list[str]) -> None:
    rows = own[own["score"] == "r2"].set_index(["protocol", "model"])
    step = 0.8 / len(models)
    for place, protocol in enumerate(PROTOCOL_NAMES):
        for number, model in enumerate(models):
            if (protocol, model) in rows.index:
                row: Any = rows.loc[(protocol, model)]
                at = place + step * (number - (len(models) - 1) / 2)
                _interval(axis, at, row, model, LOWEST)
    if "ceiling" in rows.index.get_level_values("protocol"):
        best = float(rows.xs("ceiling")["value"].max())
        axis.plot([-0.45, 0.45], [best, best], color=FAINT, linewidth=1)
        axis.annotate(
            "noise ceiling", (-0.45, best), (0, 2), textcoords="offset points", fontsize="x-small", color=FAINT
        )
    axis.axhline(0, color=FAINT, linewidth=0.8)
    axis.set_xticks(range(len(PROTOCOL_NAMES)), [name.replace(" ", "\n", 1) for name in PROTOCOL_NAMES.values()])
    axis.set(ylim=(LOWEST - 0.1, 1.08), ylabel="R$^2$", title="Skill at unseen sites")


def _interval(axis: Any, at: float, row: Any, model: str, lowest: float) -> None:
    """The mark of a model with its interval; a triangle at the lower edge where the value lies below."""
    color = model_color(model)
    low, high = np.clip([row["low"], row["high"]], lowest, None)
    if np.isfinite([low, high]).all():
        axis.plot([at, at], [low, high], color=color, linewidth=1.4, alpha=0.6)
    below = row["value"] < lowest
    axis.plot(at, max(row["value"], lowest), marker="v" if below else model_marker(model), markersize=4.5, color=color)


def _draw_scales(axis: Any, own: pd.DataFrame, models: list[str], units: str) -> None:
    rows = own[own["protocol"] == "scales"].set_index(["scale", "score", "model"])["value"]
    step = 0.7 / len(models)
    for place, scale in enumerate(SCALES):
        for number, model in enumerate(models):
            at = place + step * (number - (len(models) - 1) / 2)
            median, high = (rows.get((scale, score, model), np.nan) for score in ("rmse_q50", "rmse_q90"))
            axis.plot([at, at], [median, high], color=model_color(model), linewidth=1)
            axis.plot(at, median, model_marker(model), markersize=4, color=model_color(model))
            axis.plot(at, high, "_", markersize=6, color=model_color(model))
    labels = [name.replace("_", "\n") for name in SCALES]
    axis.set_xticks(range(len(SCALES)), labels, rotation=35, ha="right", rotation_mode="anchor")
    axis.set(ylabel=f"RMSE ({units})", title="RMSE at six time scales")
    axis.set_ylim(bottom=0)


def _draw_gains(axis: Any, pairs: pd.DataFrame, units: str) -> None:
    rows = pairs[(pairs["protocol"] == "balanced") & (pairs["score"] == "rmse")].set_index("against")
    label = f"RMSE less that of the other model ({units})"
    draw_gains(axis, rows, label, "Gain of the {model}: left of zero it is better")

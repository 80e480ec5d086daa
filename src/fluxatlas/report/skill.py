"""Figures of skill: a table of scores as a picture, and observed against predicted flux of each model."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from .. import variables
from ..config.report import ReportBlock
from ..errors import InputError, counted
from ..evaluate.metrics import scores
from ..evaluate.skill import days_or_periods
from ..files import read_table
from ..style import COLORS, INK, MINUS, WIDTH, fixed, model_name, model_order, number, unit
from ..systems import get_system
from .catalogue import Inputs
from .unseen import nothing


def skill(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Coefficient of determination (colour, first number) and RMSE by model and target at sites left out."""
    table = read_table(inputs.one("skill"))
    if table.empty:
        return nothing()
    table = table[(table["split"] == "test") & (table["member"].astype(str) == "all")]
    if table.empty:
        raise InputError("no scores at sites left out", where=str(inputs.one("skill")))
    models = model_order(table["model"])
    system = get_system(inputs.system)
    names = {kind.variable: variables.get(kind.variable).label for kind in system.observations}
    names |= {flux.variable: flux.label for flux in system.fluxes}
    targets = [t for t in names if (table["target"] == t).any()]
    targets += sorted(set(table["target"]) - set(targets))
    scales = [s for s in ("daily", "site_mean") if (table["scale"] == s).any()]
    figure, axes = plt.subplots(
        len(scales), 1, figsize=(WIDTH, len(scales) * (0.44 * len(models) + 0.9) + 0.4), squeeze=False
    )
    for axis, scale in zip(axes.ravel(), scales, strict=True):
        part = table[table["scale"] == scale].set_index(["model", "target"])
        mesh = _draw_scores(axis, part, models, targets, names)
        what = "Daily values at sites left out" if scale == "daily" else "Means of the sites left out"
        axis.set_title(f"{what}: R$^2$ [RMSE]")
    bar = figure.colorbar(mesh, ax=axes, shrink=0.7, aspect=25, extend="min", pad=0.015)
    bar.set_label("R$^2$")
    bar.outline.set_visible(False)
    if any("*" in text.get_text() for axis in axes.ravel() for text in axis.texts):
        figure.supxlabel("* not scored on the same values as the other models", fontsize="small", x=0.99, ha="right")
    return figure


def _draw_scores(axis: Any, part: pd.DataFrame, models: list[str], targets: list[str], names: Mapping[str, str]) -> Any:
    gap = "\n" if len(targets) > 4 else "   "
    values = np.full((len(models), len(targets)), np.nan)
    for m, model in enumerate(models):
        for t, target in enumerate(targets):
            if (model, target) not in part.index:
                continue
            row: Any = part.loc[(model, target)]
            values[m, t] = row["r2"]
            dark = np.isfinite(row["r2"]) and row["r2"] < 0.45
            upper = fixed(row["r2"])
            other = row["n"] != part.xs(target, level="target")["n"].mode().iloc[0]
            text = f"{upper}{gap}[{_digits(row['rmse'])}]{'*' if other else ''}"
            axis.text(t, m, text, ha="center", va="center", color="white" if dark else INK, fontsize="small")
    mesh = axis.imshow(values, cmap="cividis", vmin=-0.25, vmax=1, aspect="auto")
    labels = []
    for target in targets:
        rows = part[part.index.get_level_values("target") == target]
        sites = counted(int(rows["sites"].max()), "site") if len(rows) else ""
        units = unit(str(rows["unit"].iloc[0])) if len(rows) else ""
        name = names.get(target, target)
        name = textwrap.fill(name, 12, break_long_words=False) if len(targets) > 4 else name
        labels.append(f"{name}\n{sites}{gap}{units}")
    axis.set_xticks(range(len(targets)), labels, fontsize="x-small" if len(targets) > 5 else None)
    axis.set_yticks(range(len(models)), [textwrap.fill(model_name(m), 17) for m in models])
    axis.tick_params(length=0)
    axis.set_facecolor("#F3F3F3")
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)
    return mesh


def _digits(value: float) -> str:
    return fixed(value, 2 if value >= 0.1 else 3)


def site_scatter(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Observed against predicted flux at sites left out: days as density, means of sites as dots, for each model."""
    table, shown = days_or_periods(inputs.predictions), get_system(inputs.system).fluxes[0]
    flux = table[(table["variable"] == shown.variable) & (table["split"] == "test")]
    units = unit(variables.get(shown.variable).units)
    if flux.empty:
        raise InputError("no predictions of the flux at sites left out", hint="train with more than one fold of sites")
    models = model_order(flux["model"])
    days = flux.groupby(["model", "site", "time"], as_index=False)[["observed", "predicted"]].mean()
    both = days[["observed", "predicted"]].to_numpy()
    low, high = np.nanpercentile(both, [0.5, 99.5])
    low, high = low - 0.05 * (high - low), max(high + 0.05 * (high - low), 0.2)
    columns = 2 if len(models) == 4 else min(3, len(models))
    rows = -(-len(models) // columns)
    width = WIDTH if columns == 3 else 2.9 * columns + 0.5
    height = rows * (width - 0.5) / columns + 0.5
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, sharex=True, sharey=True)
    for axis in axes.ravel()[len(models) :]:
        axis.remove()
    for axis, model in zip(axes.ravel(), models, strict=False):
        _draw_scatter(axis, days[days["model"] == model], (low, high))
        axis.set_title(model_name(model), fontsize="medium", wrap=True)
        axis.tick_params(labelbottom=True)
    figure.supxlabel(f"predicted: {shown.label} ({units})", fontsize=settings.font_size)
    figure.supylabel(f"observed ({units})", fontsize=settings.font_size)
    return figure


def _draw_scatter(axis: Any, days: pd.DataFrame, span: tuple[float, float]) -> None:
    axis.hexbin(
        days["predicted"], days["observed"], gridsize=36, extent=(*span, *span), cmap="Greys", norm=LogNorm(), mincnt=1
    )
    means = days.groupby("site")[["observed", "predicted"]].mean()
    axis.plot(means["predicted"], means["observed"], "o", color=COLORS[1], markersize=4, markeredgecolor="white")
    axis.plot(span, span, color=COLORS[0], linewidth=0.9)
    daily, site = scores(days["observed"], days["predicted"]), scores(means["observed"], means["predicted"])
    text = f"days: R$^2$ {fixed(daily['r2'])}, RMSE {number(daily['rmse'])}\n"
    text += f"sites: R$^2$ {fixed(site['r2'])}, n = {site['n']}"
    text = text.replace("-", MINUS)
    axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top", fontsize="small")
    axis.set(xlim=span, ylim=span, aspect="equal")

"""Budget: the domain's uptake by year and biome, and published totals of the globe, shown and never tuned to."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..config.report import ReportBlock
from ..files import read_table
from ..style import COLORS, FAINT, INK, WIDTH, panel_letters, unit
from ..systems import Flux, System, get_system
from .catalogue import Inputs

LAND_AREA = 1.489e14
"""Land of the Earth [m2], to say which part of it a domain is."""
COMPARABLE = 0.5
"""Share of the land from which a domain's total is compared with published totals of the globe."""


def budget(inputs: Inputs, settings: ReportBlock) -> Figure:
    """The flux by year and by biome (bars: mean, lines: interval of the members); published global totals."""
    table = read_table(inputs.one("budget"))
    system = get_system(inputs.system)
    flux = system.budgeted_flux
    rows = table[table["variable"] == flux.variable]
    whole = rows[rows["region_kind"] == "global"].sort_values("year")
    kind = "biome" if (rows["region_kind"] == "biome").any() else "zone"
    parts = rows[rows["region_kind"] == kind].groupby("region")[["mean", "low", "high"]].mean()
    parts = parts.sort_values("mean", ascending=False)
    panels: Any = [["years", "parts"], *([["published", "published"]] if system.published else [])]
    heights = [1.25, max(1.0, 0.2 * len(system.published))][: len(panels)]
    figure, axes = plt.subplot_mosaic(panels, figsize=(WIDTH, 2.2 * sum(heights)), height_ratios=heights)
    scale, text = _scale(float(whole[["low", "high"]].abs().to_numpy().max()), flux)
    label = f"{flux.label} ({text})"
    _draw_years(axes["years"], whole, scale)
    name = textwrap.shorten(str(whole["region"].iloc[0]), 30, placeholder=" ...")
    axes["years"].set(title=f"{name[:1].upper()}{name[1:]} by year", ylabel=label)
    _draw_parts(axes["parts"], parts, scale)
    axes["parts"].set(title=f"By {kind}", xlabel=label)
    if system.published:
        _published(axes["published"], whole, system)
    panel_letters(list(axes.values()))
    return figure


def _unit(text: str, substance: str) -> str:
    """A budget unit with what its mass is of, such as Tg C yr-1."""
    mass, _, rest = text.partition(" ")
    return unit(f"{mass} {substance} {rest}")


def _scale(largest: float, flux: Flux) -> tuple[float, str]:
    """Factor and unit that make the numbers easy to read."""
    smaller = {"Pg": "Tg", "Tg": "Gg"}
    mass, _, rest = str(flux.budget_unit).partition(" ")
    if largest >= 1 or mass not in smaller:
        return 1.0, _unit(str(flux.budget_unit), flux.substance)
    return 1000.0, _unit(f"{smaller[mass]} {rest}", flux.substance)


def _interval(rows: pd.DataFrame, scale: float) -> tuple[Any, list[Any]]:
    """Means and the lengths of the error bars below and above."""
    mean, low, high = (rows[name].to_numpy() * scale for name in ("mean", "low", "high"))
    return mean, [np.maximum(mean - low, 0), np.maximum(high - mean, 0)]


def _draw_years(axis: Any, whole: pd.DataFrame, scale: float) -> None:
    mean, error = _interval(whole, scale)
    years = whole["year"].to_numpy()
    if len(years) > 8:
        axis.fill_between(years, mean - error[0], mean + error[1], color=COLORS[0], alpha=0.2, linewidth=0)
        axis.plot(years, mean, ".-", color=COLORS[0])
        axis.axhline(0, color=FAINT, linewidth=0.7)
        return
    axis.bar(years, mean, width=0.6, color=COLORS[0], alpha=0.85)
    axis.errorbar(years, mean, error, fmt="none", ecolor=INK, capsize=3, elinewidth=1)
    axis.set(xticks=years, xlim=(years.min() - 0.9, years.max() + 0.9))
    axis.margins(y=0.12)
    axis.grid(visible=False, axis="x")


def _draw_parts(axis: Any, parts: pd.DataFrame, scale: float) -> None:
    mean, error = _interval(parts, scale)
    place = np.arange(len(parts))
    axis.barh(place, mean, height=0.6, color=COLORS[2], alpha=0.85)
    axis.errorbar(mean, place, xerr=error, fmt="none", ecolor=INK, capsize=2.5, elinewidth=1)
    axis.set_yticks(place, [str(name).replace("_", " ") for name in parts.index])
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")


def _published(axis: Any, whole: pd.DataFrame, system: System) -> None:
    """Ranges of the globe from the literature; the domain's own total only where it is most of the land."""
    flux, published = system.budgeted_flux, [one for one in system.published if one.north - one.south == 180]
    share = float(whole["area_m2"].iloc[0]) / LAND_AREA
    names = [textwrap.fill(total.source, 34) for total in published]
    least, largest = min(0.0, *(total.low for total in published)), max(0.0, *(total.high for total in published))
    for place, total in enumerate(published):
        low, high = total.low, total.high
        axis.barh(place, high - low, left=low, height=0.5, color=FAINT, alpha=0.55)
        axis.annotate(f"{low:g} to {high:g}", (high, place), (4, 0), textcoords="offset points", va="center")
    if share >= COMPARABLE:
        names.append("this run")
        mean, low, high = (float(whole[name].mean()) for name in ("mean", "low", "high"))
        least, largest = min(least, low), max(largest, high)
        axis.errorbar(mean, len(published), xerr=[[mean - low], [high - mean]], fmt="o", color=COLORS[0], capsize=3)
    note = "shown, not tuned to" if share >= COMPARABLE else f"the domain is {100 * share:.2g} % of the land"
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    label = f"{flux.label} ({_unit(str(flux.budget_unit), flux.substance)}); {note}"
    beside = 0.22 * (largest - least)
    axis.set(title="Published totals of the globe", xlabel=label, xlim=(1.05 * least, largest + beside))
    axis.axvline(0, color=FAINT, linewidth=0.7)
    axis.grid(visible=False, axis="y")

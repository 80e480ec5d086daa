"""Figure of the factors page: maps of the mean change of a store and its spread, shares of variance, correlations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import COLORS, FAINT, WIDTH, MapFrame, colorbar, house_style, limits, save, unit
from ..systems import System
from .factors import STORAGE, UNIT, Means, called

PARTS = ("soil alone", "shared", "climate alone")


def write_factors_figure(
    output: str | Path, means: Means, table: pd.DataFrame, system: System, settings: ReportBlock | None = None
) -> None:
    """Draw maps of ``means`` and the numbers of :func:`fluxatlas.evaluate.factors.factor_table` as PNG."""
    settings = settings or ReportBlock()
    mosaic = means.mosaic
    frame = MapFrame(
        mosaic.grid.lat_bounds(mosaic.rows),
        mosaic.grid.lon_bounds(mosaic.columns),
        np.nan_to_num(mosaic.static("sftlf")) >= 50,
    )
    with house_style(settings):
        figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 6.2), layout="constrained")
        _maps(figure, axes[0], means, frame, system)
        _shares(axes[1, 0], table, system)
        _correlations(axes[1, 1], table, system)
        save(figure, output, settings)


def _maps(figure: Any, axes: Any, means: Means, frame: MapFrame, system: System) -> None:
    members = means.members[STORAGE]
    many = len(members) > 1
    spread = members.std(axis=0, ddof=1) if many else np.full(members.shape[1], np.nan)
    for axis, values, title in (
        (axes[0], members.mean(axis=0), "Mean"),
        (axes[1], spread, "Standard deviation of members" if many else "One member: no spread"),
    ):
        whole = np.full(means.where.shape, np.nan)
        whole[means.where] = values
        signed = title == "Mean"
        most = max(abs(bound) for bound in limits(whole)) if signed or many else 1.0
        options = {"cmap": "BrBG" if signed else "cividis", "vmin": -most if signed else 0.0, "vmax": most}
        mesh = frame.draw(axis, whole, **options)
        span = f"{means.years[0]} to {means.years[-1]} ({unit(UNIT)})"
        colorbar(figure, mesh, axis, f"change of {system.stored}\n{span}")
        axis.set_title(title)


def _shares(axis: Any, table: pd.DataFrame, system: System) -> None:
    rows = table[table["kind"] == "share"].pivot_table(index="variable", columns="name", values="value", sort=False)
    left = np.zeros(len(rows))
    for part, color in zip(PARTS, COLORS, strict=False):
        width = rows[part].clip(lower=0).to_numpy()
        axis.barh(range(len(rows)), width, left=left, color=color, label=part, height=0.7)
        left += width
    axis.set_yticks(range(len(rows)), [called(str(name), system) for name in rows.index], fontsize=6)
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    below = bool((rows[list(PARTS)] < 0).any(axis=None))
    note = "\n(parts below 0 are drawn as 0: the rest then passes what all explain)" if below else ""
    axis.set(xlim=(0, max(1.0, left.max())), xlabel=f"share of the variance in space{note}")
    axis.xaxis.label.set_fontsize(6 if below else None)
    axis.legend(fontsize=6, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)


def _correlations(axis: Any, table: pd.DataFrame, system: System) -> None:
    rows = table[(table["kind"] == "correlation") & (table["variable"] == STORAGE)]
    place = np.arange(len(rows))
    axis.hlines(place, rows["low"], rows["high"], color=FAINT, linewidth=1.2)
    axis.plot(rows["value"], place, "o", color=COLORS[0], markersize=4)
    axis.axvline(0, color=FAINT, linewidth=0.7)
    axis.set_yticks(place, list(rows["name"]))
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set(xlim=(-1, 1), xlabel=f"correlation with the change of {system.stored}")
    axis.xaxis.label.set_fontsize(6)

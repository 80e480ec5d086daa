"""Figure of yields: how much of them each model explains, at later years and in states left out, a panel per crop."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import FAINT, WIDTH, house_style, model_color, save

PROTOCOLS = {"later years": ("network", "o"), "new states": ("trees", "s")}
"""Colour and mark of each protocol."""
LOWEST = -0.6
"""R2 at which the axis ends; what is worse stands at its edge."""


def write_yields_figure(output: str | Path, tables: Mapping[str, Path], settings: ReportBlock | None = None) -> None:
    """Draw ``tables`` of :func:`fluxatlas.evaluate.area_years.write_yields`, by crop, as PNG: R2 with 90 % intervals
    over states, and NRMSE in words."""
    settings = settings or ReportBlock()
    found = {crop: pd.read_csv(path) for crop, path in tables.items()}
    height = [0.9 + 0.42 * table["model"].nunique() for table in found.values()]
    with house_style(settings):
        figure, axes = plt.subplots(
            len(found),
            1,
            figsize=(WIDTH, sum(height)),
            squeeze=False,
            gridspec_kw={"height_ratios": height, "hspace": 0.35},
        )
        for axis, (crop, table) in zip(axes[:, 0], found.items(), strict=True):
            models = list(dict.fromkeys(table["model"]))
            for number, (protocol, (color, mark)) in enumerate(PROTOCOLS.items()):
                rows = table[table["protocol"] == protocol].set_index(["score", "model"])
                r2, nrmse = rows.loc["r2"].reindex(models), rows.loc["nrmse"].reindex(models)
                place = np.arange(len(models)) + 0.4 * (number - 0.5)
                shown, low = r2["value"].clip(lower=LOWEST), r2["low"].clip(lower=LOWEST)
                axis.hlines(place, low, r2["high"].clip(lower=LOWEST), color=model_color(color), linewidth=1.4)
                axis.plot(shown, place, mark, color=model_color(color), markersize=4, label=protocol)
                for where, value in zip(place, nrmse["value"], strict=True):
                    axis.text(1.02, where, f"{100 * value:.1f} %", va="center", fontsize=6, color=model_color(color))
            axis.set_yticks(range(len(models)), models)
            axis.axvline(0, color=FAINT, linewidth=0.7)
            axis.grid(visible=False, axis="y")
            first = table.iloc[0]
            counts = f"{first['rows']} rows, {first['places']} places, {first['states']} states, {first['years']} years"
            axis.set(title=f"{crop}: {counts}", xlim=(LOWEST, 1.0), ylim=(len(models) - 0.4, -0.75))
            axis.text(1.02, -0.55, "NRMSE", fontsize=6, color=FAINT)
        axes[-1, 0].set_xlabel("R2 of yields, 90 % over states")
        axes[-1, 0].legend(loc="upper right", bbox_to_anchor=(1.06, -0.16), fontsize=6)
        save(figure, output, settings)

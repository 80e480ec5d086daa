"""Figure of permutation importance: a column for each split, a row for each model, drivers from most to least."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import COLORS, FAINT, house_style, model_name, save, unit
from .figure import SPLIT_NAMES, TRANSFER_NAMES
from .references import REFERENCES

WAYS = {"time": ("over time within a site", COLORS[0], "o"), "sites": ("over sites", COLORS[1], "D")}
MOST = 20
"""Groups of drivers that are drawn, the most important of them."""


def write_importance_figure(output: str | Path, table: pd.DataFrame, settings: ReportBlock | None = None) -> None:
    """Draw the table of :func:`fluxatlas.experiments.importance.importance_table` as PNG.

    Increase of the RMSE and its 90 % interval over clusters of sites, at the largest share of towers.
    """
    settings = settings or ReportBlock()
    share = max(table["share"], key=float)
    rows = table[(table["score"] == "rmse_increase") & (table["share"] == share)]
    splits = list(dict.fromkeys(rows["split"]))
    models = list(rows[["model", "transfer"]].drop_duplicates().itertuples(index=False, name=None))
    order = list(rows.groupby("permuted")["value"].max().sort_values(ascending=False).index[:MOST])
    with house_style(settings):
        size = (1.8 + 3.0 * len(splits), 0.9 + (0.7 + 0.2 * len(order)) * len(models))
        figure, axes = plt.subplots(len(models), len(splits), figsize=size, squeeze=False, sharex="col", sharey=True)
        for line, (model, transfer) in enumerate(models):
            for column, split in enumerate(splits):
                axis = axes[line, column]
                own = rows[(rows["model"] == model) & (rows["transfer"] == transfer) & (rows["split"] == split)]
                for shift, (over, (label, color, marker)) in zip((-0.15, 0.15), WAYS.items(), strict=True):
                    part = own[own["over"] == over].set_index("permuted").reindex(order)
                    place = np.arange(len(order)) + shift
                    axis.hlines(place, part["low"], part["high"], color=color, linewidth=1.3, alpha=0.6)
                    axis.plot(part["value"], place, marker, color=color, markersize=3.5, label=label)
                axis.axvline(0, color=FAINT, linewidth=0.8)
                axis.set_yticks(range(len(order)), order)
                axis.set_ylim(len(order) - 0.4, -0.6)
                name = model_name(model) if model in REFERENCES else model.replace("_", "-")
                name += "" if model in REFERENCES else f", {TRANSFER_NAMES.get(transfer, transfer)}"
                axis.set_title(f"{name}\n{SPLIT_NAMES.get(split, split)}" if line == 0 else name, fontsize="small")
        for axis in axes[-1]:
            axis.set_xlabel(f"increase of RMSE ({unit(str(rows['unit'].iloc[0]))})")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        save(figure, output, settings)

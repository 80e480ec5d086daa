"""Figure of a grid of experiments: error of each model and transfer, a column for each split and judged output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ..config.report import ReportBlock
from ..style import COLORS, FAINT, house_style, model_name, save, unit
from .references import REFERENCES

SPLIT_NAMES = {
    "space": "unseen clusters of sites",
    "time": "later years",
    "random": "random days (optimistic, no claim)",
}
TRANSFER_NAMES = {
    "none": "observations alone",
    "finetune": "fine-tuned",
    "l2sp": "fine-tuned, anchored",
    "residual": "residual",
    "stacking": "stacking",
    "reweighted": "re-weighted samples",
    "adversarial": "gradient reversal",
    "declared": "phases of the system",
}
COLOR = dict(zip(TRANSFER_NAMES, (COLORS[7], *COLORS[:7]), strict=True))


def write_figure(output: str | Path, scores: pd.DataFrame, settings: ReportBlock | None = None) -> None:
    """Draw the table of :func:`fluxatlas.experiments.scores.score_table` as PNG.

    Above: RMSE over all test days at the largest share of towers, a row for each model; points are means over seeds,
    lines their 90 % interval, vertical lines the references. Below, where there are several shares: RMSE by number of
    towers, the mean over models.
    """
    settings = settings or ReportBlock()
    shares, rmse = sorted(set(scores["share"]), key=float), scores[scores["score"] == "rmse"]
    columns = list(dict.fromkeys(zip(rmse["split"], rmse["target"], strict=True)))
    several = len({target for _, target in columns}) > 1
    rows = 2 if len(shares) > 1 else 1
    models = [name for name in dict.fromkeys(scores["model"]) if name not in REFERENCES]
    height = 1.4 + 0.45 * max(len(models), 3) + (2.4 if rows == 2 else 0)
    with house_style(settings):
        figure, axes = plt.subplots(
            rows, len(columns), figsize=(1.5 + 3.2 * len(columns), height), squeeze=False,
            height_ratios=[1.0, 0.9][:rows],
        )  # fmt: skip
        for column, (split, target) in enumerate(columns):
            part = rmse[(rmse["split"] == split) & (rmse["target"] == target)]
            _draw_models(axes[0, column], part[part["share"] == shares[-1]], models)
            name = f"{target}\n" if several else ""
            axes[0, column].set_title(name + SPLIT_NAMES.get(split, split))
            if rows == 2:
                _draw_shares(axes[1, column], part)
        names = [name for name in TRANSFER_NAMES if name in set(scores["transfer"])]
        handles: list[Any] = [plt.Line2D([], [], marker="o", linestyle="", color=COLOR[name]) for name in names]
        labels = [TRANSFER_NAMES[name] for name in names]
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(names)))
        save(figure, output, settings)


def _draw_models(axis: Any, part: pd.DataFrame, models: list[str]) -> None:
    transfers = [name for name in TRANSFER_NAMES if name in set(part["transfer"])]
    shift = np.linspace(-0.3, 0.3, len(transfers)) if len(transfers) > 1 else [0.0]
    row: Any
    for row in part.itertuples():
        if row.model in REFERENCES:
            axis.axvline(row.value, color=FAINT, linewidth=0.9, linestyle="--")
            axis.text(row.value, len(models) - 0.45, f" {model_name(row.model)}", rotation=90, va="bottom", ha="right",
                      color=FAINT, fontsize="x-small")  # fmt: skip
            continue
        place = models.index(row.model) + shift[transfers.index(row.transfer)]
        axis.plot([row.low, row.high], [place, place], color=COLOR[row.transfer], linewidth=1.4, alpha=0.6)
        axis.plot(row.value, place, "o", color=COLOR[row.transfer], markersize=4)
    axis.set_yticks(range(len(models)), [name.replace("_", "-") for name in models])
    axis.set(ylim=(len(models) - 0.4, -0.6), xlabel=_label(part))


def _draw_shares(axis: Any, part: pd.DataFrame) -> None:
    """RMSE by number of towers: networks by transfer, references in grey."""
    networks = part[~part["model"].isin(REFERENCES)]
    for transfer, group in networks.groupby("transfer"):
        means = group.groupby("share")[["towers", "value"]].mean().sort_values("towers")
        axis.plot(means["towers"], means["value"], "o-", color=COLOR[str(transfer)], markersize=4)
    for model, group in part[part["model"].isin(REFERENCES)].groupby("model"):
        means = group.groupby("share")[["towers", "value"]].mean().sort_values("towers")
        if len(means) > 1:
            axis.plot(means["towers"], means["value"], "--", color=FAINT, linewidth=0.9)
        else:
            axis.axhline(means["value"].iloc[0], color=FAINT, linewidth=0.9, linestyle=":")
        axis.text(means["towers"].iloc[-1], means["value"].iloc[-1], f" {model_name(str(model))}", color=FAINT,
                  fontsize="x-small", va="bottom", ha="right")  # fmt: skip
    axis.set(xlabel="towers learnt from", ylabel=_label(part), ylim=(0, None))


def _label(part: pd.DataFrame) -> str:
    return f"RMSE ({unit(str(part['unit'].iloc[0]))})" if len(part) else "RMSE"

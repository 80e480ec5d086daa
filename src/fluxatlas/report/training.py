"""Loss curves: every term of the loss by epoch, in pretraining and fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from ..config.report import ReportBlock
from ..errors import InputError
from ..style import COLORS, INK, WIDTH, panel_letters
from .catalogue import Inputs

STAGES = {"pretrain": "Pretraining", "finetune": "Fine-tuning"}
SMALLEST = 1e-6
"""Terms below this are not drawn on the logarithmic axis."""


def loss_curves(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Total and validation loss of each member, and the weighted terms as mean of the members."""
    histories = _read(inputs.history)
    stages = [stage for stage in STAGES if stage in histories]
    figure, axes = plt.subplots(2, len(stages), figsize=(WIDTH, 5.0), squeeze=False, sharex="col")
    terms = _terms(histories)
    for column, stage in enumerate(stages):
        _draw_total(axes[0, column], histories[stage])
        _draw_terms(axes[1, column], histories[stage], terms)
        axes[0, column].set_title(STAGES[stage])
        axes[1, column].set_title("Weighted terms" + (" (- - samples)" if stage == "finetune" else ""))
        axes[1, column].set_xlabel("epoch")
    axes[0, 0].set_ylabel("loss")
    axes[1, 0].set_ylabel("part of the loss")
    axes[0, 0].legend(loc="upper right")
    handles = [plt.Line2D([], [], color=color, label=name.replace("_", " ")) for name, color in terms.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    panel_letters(axes)
    return figure


def _read(paths: list[Path]) -> dict[str, dict[str, pd.DataFrame]]:
    """Histories by stage and member, with the epochs of all phases numbered on."""
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for path in map(Path, paths):
        member, _, stage = path.stem.partition("_")
        if stage not in STAGES:
            raise InputError("not a history of training", where=str(path), hint="they are called <m>_pretrain.csv")
        table = pd.read_csv(path)
        if len(table):
            found.setdefault(stage, {})[member] = table.assign(step=range(1, len(table) + 1))
    if not found:
        raise InputError("no epoch was trained", hint="raise the number of epochs")
    return found


def _terms(histories: dict[str, dict[str, pd.DataFrame]]) -> dict[str, Any]:
    """Colour of the quantity of each weighted term that is drawn anywhere."""
    names: list[str] = []
    for members in histories.values():
        for table in members.values():
            for column in table.filter(like="weighted_"):
                if (name := _quantity(str(column))) not in names and (table[column] > SMALLEST).any():
                    names.append(name)
    palette: list[Any] = [*COLORS, *(plt.get_cmap("tab20")(n) for n in range(20))]
    return {name: palette[n % len(palette)] for n, name in enumerate(names)}


def _quantity(column: str) -> str:
    """What a weighted term is about: fine-tuning has each on observations and on samples of the process model."""
    return column.removeprefix("weighted_").removeprefix("finetune_").removeprefix("pretrain_")


def _draw_total(axis: Any, members: dict[str, pd.DataFrame]) -> None:
    for number, table in enumerate(members.values()):
        label = ("training", "validation") if number == 0 else (None, None)
        axis.plot(table["step"], table["total"], color=COLORS[0], linewidth=1, alpha=0.8, label=label[0])
        if "validation" in table:
            axis.plot(table["step"], table["validation"], color=COLORS[1], linewidth=1, alpha=0.8, label=label[1])
        if "phase" in table:
            for start in table["step"][table["phase"] != table["phase"].shift()].iloc[1:]:
                axis.axvline(start - 0.5, color=INK, linewidth=0.6, linestyle=":")
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    labels = [digit * decade for digit in (1, 2, 5) for decade in decades]
    if sum(low <= label <= high for label in labels) > 1:
        for which in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
            which(FuncFormatter(_leading_digit))
    else:  # less than a decade
        axis.yaxis.set_major_locator(MaxNLocator(4))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def _leading_digit(value: float, _: int) -> str:
    """Labels at 1, 2 and 5 of each decade only."""
    digit = value / 10 ** np.floor(np.log10(value) + 1e-9)
    return f"{value:g}" if round(float(digit)) in (1, 2, 5) else ""


def _draw_terms(axis: Any, members: dict[str, pd.DataFrame], terms: dict[str, Any]) -> None:
    joined = pd.concat(members.values()).groupby("step").mean(numeric_only=True)
    for column in joined.filter(like="weighted_"):
        values = joined[column]
        if (values > SMALLEST).any():
            style = "--" if str(column).startswith("weighted_pretrain_") else "-"
            color = terms[_quantity(str(column))]
            axis.plot(joined.index, values.where(values > SMALLEST), color=color, linestyle=style, linewidth=1.2)
    axis.set_yscale("log")

"""The page of the product beside gridded products of others: figures of profiles, maps and series, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from .. import files, variables
from ..config.report import ReportBlock
from ..evaluate.comparison import ANOMALY, KINDS, RAW
from ..style import (
    COLORS,
    FAINT,
    WIDTH,
    MapFrame,
    colorbar,
    fixed,
    house_style,
    number,
    panel_letters,
    plain_unit,
    save,
    unit,
)
from .sections import Section
from .summary import embedded_figure, page_html

KIND_NAMES = {RAW: "as they are", ANOMALY: "anomalies"}
FIGURES = ("profile", "map", "series")
INDEPENDENCE = (
    "Errors are taken to be independent of each other. Products that share an instrument, a model or a driver look "
    "better than they are, and the third one worse: a product that is driven by a reanalysis shares its weather."
)


@dataclass(frozen=True, eq=False)
class Pair:
    """The product beside one other: scores by band, means of the domain by time, and the file of maps."""

    table: pd.DataFrame
    series: pd.DataFrame
    maps: Path

    @property
    def name(self) -> str:
        return str(self.table["against"].iloc[0])

    @property
    def variable(self) -> str:
        return str(self.table["variable"].iloc[0])

    def rows(self, kind: str, extent: str) -> pd.DataFrame:
        return self.table[(self.table["kind"] == kind) & (self.table["extent"] == extent)]


def read_pair(table: Path) -> Pair:
    """The pair whose scores are in ``<folder>/<name>.csv``, beside ``<name>.nc`` and ``<name>.series.csv``."""
    paths = (table, table.with_name(f"{table.stem}.series.csv"))
    scores, series = (files.read_made(path, by="`evaluate comparison`") for path in paths)
    return Pair(scores, series.assign(time=pd.to_datetime(series["time"])), table.with_suffix(".nc"))


def write_page(
    output: Path,
    title: str,
    pairs: Sequence[Path],
    triples: Sequence[Path],
    splits: Path | None = None,
    importance: Path | None = None,
) -> None:
    """Write the page to ``output`` (HTML), and its figures as ``<variable>_<figure>.png`` into a folder of its name.

    ``pairs`` and ``triples`` are the tables of ``fluxatlas evaluate comparison`` and ``collocation``; ``splits`` is
    the table of ``snakemake benchmark``, ``importance`` that of ``snakemake importance``, where they exist. Raises
    :class:`InputError` for a missing file.
    """
    read = [read_pair(Path(path)) for path in pairs]
    found = [files.read_table(path) for path in triples]
    figures, sections = [], []
    for name in dict.fromkeys(pair.variable for pair in read):
        own = [pair for pair in read if pair.variable == name]
        for kind, draw in zip(FIGURES, (profile, r_maps, series), strict=True):
            path = output.with_suffix("") / f"{name}_{kind}.png"
            settings = ReportBlock()
            with house_style(settings):
                save(draw(own), path, settings)
            figures.append((f"comparison_{kind}", embedded_figure(path)))
        sections.append(scores_section(name, own))
        three = [table for table in found if table["variable"].iloc[0] == name]
        sections += [collocation_section(name, pd.concat(three))] if three else []
    if splits is not None and splits.is_file():
        sections.append(splits_section(files.read_table(splits)))
    if importance is not None and importance.is_file():
        sections.append(importance_section(files.read_table(importance)))
    opening = [("", _opening(read))]
    files.write_text(output, page_html(title, opening, sections, figures))


def _opening(pairs: Sequence[Pair]) -> list[str]:
    """What is compared, in words: unit, layers, times."""
    lines = []
    for pair in pairs:
        row, times = pair.table.iloc[0], pair.series["time"]
        layers = f"{row['layer']} beside {row['layer_against']}"
        lines.append(
            f"{pair.variable} [{_unit(pair.variable)}] beside {pair.name}: {layers};"
            f" {row['times']} common {row['step']}s from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}."
        )
    return lines


def _unit(name: str) -> str:
    return plain_unit(variables.get(name).units)


def scores_section(name: str, pairs: Sequence[Pair]) -> Section:
    """Scores of the whole domain, raw and of anomalies; those of the bands are in the tables beside the page."""
    rows = []
    for pair in pairs:
        for kind in KINDS:
            for row in pair.rows(kind, "all").itertuples():
                rows.append({
                    "beside": pair.name, "values": KIND_NAMES[kind], "cells": f"{row.cells:,}",
                    f"{row.step}s": str(row.times), "bias": _between(row, "bias"), "RMSE": number(row.rmse),
                    "ubRMSE": _between(row, "ubrmse"), "r": _between(row, "r"), "r of cells: quartiles": " / ".join(
                        fixed(value) for value in (row.r_cells_25, row.r_cells_50, row.r_cells_75)
                    ),
                })  # fmt: skip
    note = (
        f"Difference: product less the other, {_unit(name)}; all cells and times together, weighted by area. 90 % "
        "intervals are from blocks of time. Anomalies are departures of each product from its own mean season."
    )
    return Section(f"{name}: agreement", note, pd.DataFrame(rows).fillna(""))


def _between(row: Any, name: str) -> str:
    value, low, high = (getattr(row, key) for key in (name, f"{name}_low", f"{name}_high"))
    return number(value) + (f" ({number(low)} to {number(high)})" if np.isfinite(low) else "")


def collocation_section(name: str, table: pd.DataFrame) -> Section:
    """Medians over cells of the whole domain of triple collocation, and the cells that were refused."""
    rows = []
    for row in table[table["extent"] == "all"].itertuples():
        rows.append({
            "with": row.against, "values": KIND_NAMES[str(row.kind)], "product": row.product,
            "error sd": _between(row, "error_sd"), "in the scale of ours": _between(row, "scaled_sd"),
            "r with the truth": _between(row, "r_truth"), "cells": f"{row.estimated:,}",
            "few times": f"{row.few_common_times:,}", "covariance": f"{row.covariance_not_positive:,}",
            "negative variance": f"{row.negative_error_variance:,}",
        })  # fmt: skip
    note = (
        f"Extended triple collocation (McColl et al. 2014), medians over cells, {_unit(name)}, 90 % intervals from "
        "blocks of time. The last three columns count cells that are refused: too few common times, a covariance that "
        f"is not positive, a negative variance of an error (which counts in medians as the smallest). {INDEPENDENCE}"
    )
    return Section(f"{name}: triple collocation", note, pd.DataFrame(rows))


SPLITS = {"random": "random days", "time": "later years", "space": "unseen clusters"}
"""Splits of `snakemake benchmark`, the easiest first."""


def splits_section(table: pd.DataFrame) -> Section:
    """RMSE of every model of `snakemake benchmark` from most sites, with the splits side by side."""
    own = table[table["score"] == "rmse"]
    own = own[own["share"] == own["share"].max()]
    found = list(dict.fromkeys(own["split"]))
    order = [name for name in SPLITS if name in found] + [name for name in found if name not in SPLITS]
    rows = []
    for (target, model, transfer), part in own.groupby(["target", "model", "transfer"], sort=False):
        values = dict(zip(part["split"], zip(part["value"], part["days"], strict=True), strict=True))
        cells = {SPLITS.get(name, name): _split_cell(values.get(name)) for name in order}
        rows.append({"target": target, "model": model, "transfer": transfer, **cells})
    note = (
        "RMSE (days) of `snakemake benchmark` of this run: the same models and sites, split in different ways. Only "
        "that of unseen clusters of sites says what a map is worth where there is no site."
    )
    return Section("Splits side by side", note, pd.DataFrame(rows))


def importance_section(table: pd.DataFrame) -> Section:
    """Loss of R2 of every model where a group of drivers is permuted, at unseen clusters if they were tested."""
    split = next(name for name in reversed([*table["split"].unique(), *SPLITS]) if name in set(table["split"]))
    own = table[(table["score"] == "r2_loss") & (table["split"] == split) & (table["share"] == table["share"].max())]
    rows = []
    for (target, group, over), part in own.groupby(["target", "permuted", "over"], sort=False):
        cells = {f"{row.model}, {row.transfer}": _loss(row) for row in part.itertuples()}
        rows.append({"target": target, "drivers": group, "permuted over": over, **cells})
    note = (
        f"Increase of the squared error over the variance of the test days ({SPLITS.get(split, split)}) where a group "
        "of drivers is that of other days (time) or of a site of another cluster (sites); 90 % intervals from clusters "
        "of sites. It says what a model reads, not what nature does."
    )
    return Section("Importance of drivers", note, pd.DataFrame(rows).fillna("–"))


def _loss(row: Any) -> str:
    return fixed(row.value) + (f" ({fixed(row.low)} to {fixed(row.high)})" if np.isfinite(row.low) else "")


def _split_cell(found: tuple[float, float] | None) -> str:
    return f"{number(found[0])} ({found[1]:,.0f})" if found else "–"


def profile(pairs: Sequence[Pair]) -> Figure:
    """Zonal means with a standard deviation of product and others, and r of both kinds, by latitude."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 4.0), sharey=True)
    for count, pair in enumerate(pairs):
        color = COLORS[1 + count % (len(COLORS) - 1)]
        rows = pair.rows(RAW, "band")
        middle = 0.5 * (rows["south"] + rows["north"])
        if not count:
            _zonal(axes[0], middle, rows, "product", COLORS[0], "product")
        _zonal(axes[0], middle, rows, "reference", color, pair.name)
        axes[1].plot(rows["bias"], middle, "o-", ms=3, color=color, label=pair.name)
        axes[1].fill_betweenx(middle, rows["bias_low"], rows["bias_high"], color=color, alpha=0.2, lw=0)
        for kind, style in ((RAW, "-"), (ANOMALY, "--")):
            part = pair.rows(kind, "band")
            label = f"{pair.name}, {KIND_NAMES[kind]}"
            axes[2].plot(
                part["r_cells_50"], 0.5 * (part["south"] + part["north"]), f"o{style}", ms=3, color=color, label=label
            )
    units = unit(variables.get(pairs[0].variable).units)
    axes[0].set(title="Mean and sd", xlabel=units, ylabel="latitude [degrees north]")
    axes[1].set(title="Bias", xlabel=units)
    axes[2].set(title="Median r of cells", xlabel="r", xlim=(-1, 1))
    axes[1].axvline(0, color=FAINT, lw=0.7)
    axes[2].axvline(0, color=FAINT, lw=0.7)
    axes[1].xaxis.set_major_locator(plt.MaxNLocator(3))
    for axis in (axes[0], axes[2]):
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=7)
    panel_letters(axes)
    return figure


def _zonal(axis: Any, middle: pd.Series, rows: pd.DataFrame, which: str, color: str, label: str) -> None:
    mean, sd = rows[f"mean_{which}"], rows[f"sd_{which}"]
    axis.plot(mean, middle, "o-", ms=3, color=color, label=label)
    axis.fill_betweenx(middle, mean - sd, mean + sd, color=color, alpha=0.12, lw=0)


def r_maps(pairs: Sequence[Pair]) -> Figure:
    """r of anomalies in each cell, a panel for each product; of values as they are where there are no anomalies."""
    drawn = [_r_map(pair) for pair in pairs]
    columns = min(len(pairs), 2)
    rows = -(-len(pairs) // columns)
    height = max(frame.ratio for frame, _, _ in drawn) * WIDTH / columns
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 0.8 + rows * min(0.85 * height + 0.4, 5)), squeeze=False)
    mesh: Any = None
    for axis, pair, (frame, values, kind) in zip(axes.ravel(), pairs, drawn, strict=False):
        mesh = frame.draw(axis, values, cmap="RdBu", vmin=-1, vmax=1)
        axis.set_title(f"{pair.name}, {KIND_NAMES[kind]}")
    for axis in axes.ravel()[len(pairs) :]:
        axis.set_visible(False)
    colorbar(figure, mesh, axes, f"temporal r, {pairs[0].variable}")
    panel_letters(axes.ravel()[: len(pairs)])
    return figure


def _r_map(pair: Pair) -> tuple[MapFrame, npt.NDArray[np.float64], str]:
    with files.open_netcdf(pair.maps) as data:
        kind = ANOMALY if np.isfinite(data[f"r_{ANOMALY}"].to_numpy()).any() else RAW
        values = data[f"r_{kind}"].to_numpy().astype(np.float64)
        held = data[f"n_{RAW}"].to_numpy() > 0
        edges = [np.append(data[f"{name}_bnds"][:, 0], data[f"{name}_bnds"][-1, 1]) for name in ("lat", "lon")]
    return MapFrame(edges[0], edges[1], held), values, kind


def series(pairs: Sequence[Pair]) -> Figure:
    """Means of the domain by time, of product and other over the same cells: values as they are, then anomalies."""
    figure, axes = plt.subplots(2 * len(pairs), 1, figsize=(WIDTH, 0.4 + 3.0 * len(pairs)), sharex=True, squeeze=False)
    for count, pair in enumerate(pairs):
        for row, kind in enumerate(KINDS):
            axis, own = axes[2 * count + row, 0], pair.series
            color = COLORS[1 + count % (len(COLORS) - 1)]
            axis.plot(own["time"], own[f"other_{kind}"], color=color, lw=1, label=pair.name)
            axis.plot(own["time"], own[f"product_{kind}"], color=COLORS[0], lw=1, label="product")
            axis.set(ylabel=unit(variables.get(pair.variable).units), title=f"{pair.name}, {KIND_NAMES[kind]}")
            axis.legend(loc="lower right", bbox_to_anchor=(1, 0.97), ncols=2)
    panel_letters(axes)
    return figure

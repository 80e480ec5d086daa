"""The page of a grid of experiments: one table for each split and share, and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files
from ..report.sections import Section
from ..report.summary import embedded_figure, page_html
from ..style import fixed, number, percent

NOTE = (
    "R2 and its median over sites with 5 to 95 % of what sets of as many clusters of sites give (none below five"
    " clusters); RMSE with the 90 % interval of its mean over seeds. Pooled days are decided by long records and large"
    " fluxes. Half width: that of 90 % intervals of means of sites, by conformal prediction over clusters; inside: the"
    " share that intervals made of the other clusters hold. References have seen the same towers as the networks."
)
GLANCE = (
    "All days that are tested; interval over clusters of sites, from the most towers down. A difference within the"
    " intervals is not one."
)


def write_page(output: Path, title: str, scores: pd.DataFrame, figure: Path) -> None:
    """Write the table ``scores`` (:mod:`fluxatlas.experiments.scores`) and the ``figure`` to ``output``, a page (HTML)
    that can be sent alone. Raises :class:`InputError` where the figure is absent."""
    sections = [glance(part, name) for name, part in scores.groupby(["target", "split"], sort=False)]
    for name, part in scores.groupby(["target", "split", "share"], sort=False):
        sections.append(section(part, name))
    seeds = int(scores["seeds"].max())
    count = len(scores[["model", "transfer", "split", "share"]].drop_duplicates())
    words = f"{count} experiments of up to {seeds} seeds, made by `snakemake benchmark` of this run."
    opening = [("", [words])]
    files.write_text(output, page_html(title, opening, sections, [("experiments", embedded_figure(figure))]))


def glance(scores: pd.DataFrame, name: tuple[Any, ...]) -> Section:
    """R2 of every model and transfer by share of the towers."""
    target, split = name
    rows = []
    for (model, transfer), part in scores.groupby(["model", "transfer"], sort=False):
        cells = {"model": model, "transfer": transfer}
        for share in sorted(part["share"].unique(), key=float, reverse=True):
            own = part[part["share"] == share]
            cells[f"share {float(share):g}"] = between(own, "r2", "r2_sites")
        rows.append(cells)
    return Section(f"{target}, {split}: R2 by share of the towers", GLANCE, pd.DataFrame(rows).fillna("–"))


def section(scores: pd.DataFrame, name: tuple[Any, ...]) -> Section:
    """All scores of one split and share, a row for each model and transfer."""
    target, split, share = name
    rows = []
    for (model, transfer), part in scores.groupby(["model", "transfer"], sort=False):
        value = part.set_index("score")["value"]
        quartiles = " to ".join(fixed(value.get(f"site_r2_q{q}", np.nan)) for q in (25, 75))
        rows.append(
            {
                "model": model,
                "transfer": transfer,
                "seeds": int(part["seeds"].max()),
                "RMSE": between(part, "rmse", ""),
                "nRMSE": fixed(value.get("nrmse", np.nan)),
                "R2": between(part, "r2", "r2_sites"),
                "median of sites": between(part, "site_r2_q50", "site_r2_q50"),
                "quartiles": quartiles,
                "bias": number(value.get("bias", np.nan)),
                "half width": number(value.get("half_width", np.nan)),
                "inside": percent(value.get("inside_half_width", np.nan)),
                "seasonal R2": fixed(value.get("seasonal_r2", np.nan)),
            }
        )
    return Section(f"{target}, {split}, share {float(share):g} of the towers", NOTE, pd.DataFrame(rows))


def between(scores: pd.DataFrame, score: str, interval: str) -> str:
    """A score with the interval of the rows ``<interval>_low`` and ``_high``, or with its own where ``interval`` is
    empty."""
    rows: dict[str, Any] = {str(row.score): row for row in scores.itertuples()}
    if score not in rows:
        return "–"
    write, own = fixed if interval else number, rows[score]
    ends = [rows[f"{interval}_{end}"].value if f"{interval}_{end}" in rows else np.nan for end in ("low", "high")]
    low, high = ends if interval else (own.low, own.high)
    known = np.isfinite(low) and np.isfinite(high)
    return write(own.value) + (f" ({write(low)} to {write(high)})" if known else "")

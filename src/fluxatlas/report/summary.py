"""One page with the numbers of a run: budget, skill, truth, towers, seams, and what the run cost; Markdown and HTML."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .. import files
from ..errors import InputError
from ..paths import REPOSITORY
from ..stages import STAGES
from ..style import model_name, model_order
from ..systems import System
from .catalogue import FIGURES

PathLike = str | Path

CSS = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 0.6rem 0 1.4rem; font-size: 0.92rem; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid #e3e3e3; }
th { border-bottom: 2px solid #8a8a8a; } td:first-child, th:first-child { text-align: left; }
figure { margin: 1.5rem 0; } img { max-width: 100%; } figcaption, .note { color: #555; font-size: 0.92rem; }
"""


@dataclass(frozen=True)
class Section:
    """A heading, a sentence that says what the numbers are, and a table of text."""

    title: str
    note: str
    table: pd.DataFrame


def write_summary(
    output: PathLike,
    *,
    system: System,
    title: str = "",
    budget: PathLike | None = None,
    skill: PathLike | None = None,
    truth: PathLike | None = None,
    towers: PathLike | None = None,
    seams: PathLike | None = None,
    figures: Sequence[PathLike] = (),
    benchmarks: PathLike | None = None,
) -> None:
    """Write the page to ``output`` (HTML) and beside it as Markdown, with a section for each table that is given.

    ``figures`` are part of the HTML page, which can therefore be sent alone; the Markdown links to them. A run with
    ``truth`` is one of the synthetic Earth, and the page says what that means. ``benchmarks`` is the folder of
    Snakemake's benchmark files, left out where it does not exist. Raises :class:`InputError` for a missing file.
    """
    makers = (
        (budget, lambda table: _budget(table, system)),
        (skill, lambda table: _skill(table, system, synthetic=truth is not None)),
        (truth, _truth),
        (towers, _towers),
        (seams, _seams),
    )
    sections = [make(_read(path)) for path, make in makers if path]
    if benchmarks and Path(benchmarks).is_dir():
        sections.append(_cost(Path(benchmarks)))
    page, folder = Path(output), Path(output).parent
    links = [(Path(path).stem, Path(os.path.relpath(path, folder)).as_posix()) for path in figures]
    embedded = [(Path(path).stem, _embedded(path)) for path in figures]
    title = title or system.title
    files.write_text(page, _html(title, sections, embedded))
    files.write_text(page.with_suffix(".md"), _markdown(title, sections, links))


def _embedded(path: PathLike) -> str:
    """The PNG as a data address."""
    if not Path(path).is_file():
        raise InputError("file not found", where=str(path), hint="draw it with `fluxatlas report figure`")
    return f"data:image/png;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"


def _read(path: PathLike) -> pd.DataFrame:
    if not Path(path).is_file():
        raise InputError("file not found", where=str(path), hint="run `products` and `evaluate` first")
    return pd.read_csv(path)


def _number(value: Any) -> float:
    return float(value)


def _budget(table: pd.DataFrame, system: System) -> Section:
    whole = table[table["region_kind"] == "global"]
    rows = [
        {
            "year": str(row.year),
            "variable": row.variable,
            "mean": f"{row.mean:.4g}",
            "interval": f"{row.low:.4g} to {row.high:.4g}",
            "unit": f"{row.unit} of {system.get_flux(str(row.variable)).substance}",
            f"{system.area} [km2]": f"{_number(row.area_m2) / 1e6:,.0f}",
        }
        for row in whole.itertuples()
    ]
    interval = whole["interval"].iloc[0] if "interval" in whole and len(whole) else "interval of the members"
    return Section("Budget of the domain", f"Mean of the ensemble; interval: {interval}.", pd.DataFrame(rows))


SPLIT_NOTE = "Each site is predicted by models that have not seen it. R2 is negative where the mean would do better."
SYNTHETIC_NOTE = (
    " Read this with care: in the hidden truth of the synthetic Earth the oxidation rate is more than twice the median"
    " of the process model's prior (docs/synthetic_earth.md). The prior is therefore biased from the start, which"
    " flatters fine-tuning. Heat and water of this world follow the same equations as the process model, which"
    " flatters that model in soil temperature and soil water."
)
"""What the makers of the synthetic Earth know and the reader of a skill table must."""


def _skill(table: pd.DataFrame, system: System, synthetic: bool = False) -> Section:
    test = table[(table["split"] == "test") & (table["member"].astype(str) == "all")]
    rows = []
    for target in dict.fromkeys([system.flux, *test["target"]]):
        here = test[test["target"] == target]
        for model in model_order(here["model"]):
            for row in here[here["model"] == model].itertuples():
                rows.append(
                    {
                        "model": model_name(str(model)),
                        "target": target,
                        "values": str(row.scale).replace("_", " "),
                        "sites": str(row.sites),
                        "n": str(row.n),
                        "R2": f"{row.r2:.2f}",
                        "r": f"{row.r:.2f}",
                        "RMSE": f"{row.rmse:.3f}",
                        "bias": f"{row.bias:+.3f}",
                        "unit": "m3 m-3" if row.unit == "1" else row.unit,
                    }
                )
    note = SPLIT_NOTE + (SYNTHETIC_NOTE if synthetic else "")
    return Section("Skill at sites left out", note, pd.DataFrame(rows))


def _truth(table: pd.DataFrame) -> Section:
    rows = [
        {
            "year": str(row.year),
            "variable": row.variable,
            "cells": f"{row.cells:,}",
            "r": f"{row.r:.2f}",
            "R2": f"{row.r2:.2f}",
            "RMSE": f"{row.rmse:.3f}",
            "bias": f"{row.bias:+.3f}",
            "within members": f"{row.within_members:.0%} (expected {row.expected_within:.0%})",
            "total (true)": f"{row.total:.4g} ({row.true_total:.4g})",
        }
        for row in table.itertuples()
    ]
    note = "Annual means of the product against the synthetic Earth's hidden truth, in the units of the product."
    return Section("Against the truth", note, pd.DataFrame(rows))


def _towers(table: pd.DataFrame) -> Section:
    rows = [
        {
            "site": str(row.site),
            "variable": row.variable,
            "days": str(row.n),
            "r": f"{row.r:.2f}",
            "RMSE": f"{row.rmse:.3f}",
            "bias": f"{row.bias:+.3f}",
            "r of anomalies": f"{row.r_anomaly:.2f}",
        }
        for row in table.sort_values(["variable", "site"]).itertuples()
    ]
    return Section("Product against towers", "The product's cell that holds the tower, day by day.", pd.DataFrame(rows))


def _seams(table: pd.DataFrame) -> Section:
    whole = table[table["edge"] == "all"]
    rows = [
        {"year": str(r.year), "variable": r.variable, "pairs": str(r.pairs), "across / inside": f"{r.ratio:.2f}"}
        for r in whole.itertuples()
    ]
    return Section("Seams", "Mean step across the edges of tiles over the mean step beside them.", pd.DataFrame(rows))


def _cost(folder: Path) -> Section:
    """Wall time, processor time and memory by stage from Snakemake's benchmark files."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values="-")
        stage = path.relative_to(folder).parts[0].removesuffix(".tsv")
        rows.append({"stage": stage, "s": table["s"].mean(), "rss": table["max_rss"].max()})
    found = pd.DataFrame(rows, columns=["stage", "s", "rss"])
    order = list(dict.fromkeys(_stage_order(found["stage"])))
    lines = [
        {
            "stage": stage,
            "jobs": str(len(part)),
            "wall time of all jobs [s]": f"{part['s'].sum():.1f}",
            "longest job [s]": f"{part['s'].max():.1f}",
            "largest memory [MB]": f"{part['rss'].max():.0f}",
        }
        for stage in order
        for part in [found[found["stage"] == stage]]
    ]
    note = f"Sum over all stages: {found['s'].sum():.0f} s of wall time, as measured by Snakemake for each job."
    return Section("What the run cost", note, pd.DataFrame(lines))


def _stage_order(stages: pd.Series) -> list[str]:
    present = list(stages)
    return [*(s for s in STAGES if s in present), *sorted(set(present) - set(STAGES))]


def _html(title: str, sections: Sequence[Section], figures: Sequence[tuple[str, str]]) -> str:
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f"<style>{CSS}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
    ]
    for section in sections:
        parts += [f"<h2>{html.escape(section.title)}</h2>", f'<p class="note">{html.escape(section.note)}</p>']
        parts.append(section.table.to_html(index=False, border=0, justify="right"))
    for name, link in figures:
        image = f'<img src="{html.escape(link)}" alt="{html.escape(_title(name))}">'
        caption = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(_caption(name)))
        parts.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return "\n".join([*parts, "</body></html>", ""])


def _markdown(title: str, sections: Sequence[Section], figures: Sequence[tuple[str, str]]) -> str:
    parts = [f"# {title}", ""]
    for section in sections:
        parts += [f"## {section.title}", "", section.note, "", *_rows(section.table), ""]
    for name, link in figures:
        parts += [f"![{_title(name)}]({link})", "", _caption(name), ""]
    return "\n".join(parts)


def _rows(table: pd.DataFrame) -> list[str]:
    head = [f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"] if len(table.columns) else ["(none)"]
    return head + [f"| {' | '.join(map(str, row))} |" for row in table.itertuples(index=False)]


def _title(name: str) -> str:
    return FIGURES[name].title if name in FIGURES else name.replace("_", " ")


def _caption(name: str) -> str:
    """The caption of the report, one line with its first words between ``**``; the title where there is none."""
    path = REPOSITORY / "workflow" / "report" / f"{name}.rst"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else f"**{_title(name)}**"

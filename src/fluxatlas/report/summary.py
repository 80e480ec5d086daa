"""One page with the numbers of a run: budget, skill, truth, towers, seams, and what the run cost; Markdown and HTML."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from .. import files
from ..errors import InputError, counted
from ..paths import REPOSITORY
from ..products.about import SYNTHETIC_NOTE, About
from ..systems import System
from .catalogue import FIGURES
from .learning import coverage_section, emulation_section, intervals_section
from .regions import regions_section
from .sections import (
    Section,
    budget_section,
    cost_section,
    prior_section,
    protocols_section,
    seams_section,
    skill_section,
    towers_section,
    truth_section,
)
from .verdicts import judgement, total

PathLike = str | Path
Opening = list[tuple[str, list[str]]]

CSS = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 0.6rem 0 1.4rem; font-size: 0.92rem; }
th, td { padding: 0.25rem 0.8rem; text-align: right; border-bottom: 1px solid #e3e3e3; }
th { border-bottom: 2px solid #8a8a8a; } .text, td:first-child, th:first-child { text-align: left; }
.unit { white-space: nowrap; }
figure { margin: 1.5rem 0; } img { max-width: 100%; } figcaption, .note { color: #555; font-size: 0.92rem; }
"""


def write_summary(
    output: PathLike,
    *,
    system: System,
    title: str = "",
    about: About | None = None,
    budget: PathLike | None = None,
    skill: PathLike | None = None,
    protocols: PathLike | None = None,
    coverage: PathLike | None = None,
    prior: PathLike | None = None,
    truth: PathLike | None = None,
    towers: PathLike | None = None,
    seams: PathLike | None = None,
    region_months: PathLike | None = None,
    emulation: Sequence[PathLike] = (),
    intervals: Sequence[PathLike] = (),
    figures: Sequence[PathLike] = (),
    benchmarks: PathLike | None = None,
) -> None:
    """Write the page to ``output`` (HTML) and beside it as Markdown, with a section for each table that is given.

    ``emulation`` and ``intervals`` are a file of each member. ``figures`` are part of the HTML page, which can
    therefore be sent alone; the Markdown links to them. A run with ``truth`` is one of the synthetic Earth, and the
    page says what that means. ``benchmarks`` is the folder of Snakemake's benchmark files, left out where it does not
    exist. Raises :class:`InputError` for a missing file.
    """
    makers = (
        (budget, budget_section),
        (region_months, regions_section),
        (protocols, protocols_section),
        (coverage, coverage_section),
        (skill, partial(skill_section, synthetic=truth is not None)),
        (prior, prior_section),
        (truth, truth_section),
        (towers, towers_section),
        (seams, seams_section),
    )
    sections = [make(_read(path), system) for path, make in makers if path]
    learning = ((intervals, intervals_section), (emulation, emulation_section))
    sections += [make(pd.concat(map(_read, paths)), system) for paths, make in learning if paths]
    if benchmarks and Path(benchmarks).is_dir():
        sections.append(cost_section(Path(benchmarks)))
    about = about or About()
    opening = _opening(about, system, _read(budget) if budget else None, _read(protocols) if protocols else None)
    page, folder = Path(output), Path(output).parent
    links = [(Path(path).stem, Path(os.path.relpath(path, folder)).as_posix()) for path in figures]
    embedded = [(Path(path).stem, embedded_figure(path)) for path in figures]
    title = about.title(title or system.title)
    files.write_text(page, page_html(title, opening, sections, embedded))
    files.write_text(page.with_suffix(".md"), _markdown(title, opening, sections, links))


def _opening(about: About, system: System, budget: pd.DataFrame | None, protocols: pd.DataFrame | None) -> Opening:
    """What the page begins with: headings and the lines below each, the findings in one sentence first."""
    found = [total(budget, system)] if budget is not None else []
    found += [judgement(protocols, system)] if protocols is not None else []
    years = sorted(set(budget["year"])) if budget is not None else []
    period = f"{years[0]}–{years[-1]}" if len(years) > 1 else "".join(map(str, years))
    facts = [f"run {about.run}", about.domain, period, f"fluxatlas {files.__version__} ({files.commit()})"]
    note = [SYNTHETIC_NOTE] if about.synthetic else []
    sentence = "; ".join(filter(None, found))
    parts = [("", [*note, *([f"{sentence}."] if sentence else []), " · ".join(filter(None, facts))])]
    return [*parts, ("Made of", list(about.inputs))] if about.inputs else parts


def embedded_figure(path: PathLike) -> str:
    """The PNG as a data address."""
    if not Path(path).is_file():
        raise InputError("file not found", where=str(path), hint="draw it with `fluxatlas report figure`")
    return f"data:image/png;base64,{base64.b64encode(Path(path).read_bytes()).decode()}"


def _read(path: PathLike) -> pd.DataFrame:
    return files.read_made(path, by="`products` and `evaluate`")


def page_html(title: str, opening: Opening, sections: Sequence[Section], figures: Sequence[tuple[str, str]]) -> str:
    """A page that can be sent alone: opening lines, a table for each section, figures as data addresses."""
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f"<style>{CSS}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
    ]
    for heading, lines in opening:
        if heading:
            listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
            named = f"{html.escape(heading)} ({counted(len(lines), 'input')})"
            parts.append(f"<details><summary>{named}</summary><ul>{listed}</ul></details>")
        else:
            parts += [f"<p>{html.escape(line)}</p>" for line in lines]
    for section in sections:
        parts += [f"<h2>{html.escape(section.title)}</h2>", f'<p class="note">{html.escape(section.note)}</p>']
        parts.append(_table_html(section.table))
    for name, link in figures:
        image = f'<img src="{html.escape(link)}" alt="{html.escape(_title(name))}">'
        caption = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(_caption(name)))
        parts.append(f"<figure>{image}<figcaption>{caption}</figcaption></figure>")
    return "\n".join([*parts, "</body></html>", ""])


def _table_html(table: pd.DataFrame) -> str:
    """A table of text, numbers to the right and words to the left."""
    texts = {
        name: any(re.search("[A-Za-z]{2}|[A-Z]", re.sub(r"(?i)\bnan\b", "", str(cell))) for cell in table[name])
        for name in table
    }
    marks = {name: ' class="text"' if text else "" for name, text in texts.items()}
    marks |= {name: ' class="text unit"' for name in table if name == "unit"}
    head = "".join(f"<th{marks[name]}>{html.escape(str(name))}</th>" for name in table)
    rows = [
        "".join(f"<td{marks[name]}>{html.escape(str(cell))}</td>" for name, cell in zip(table, row, strict=True))
        for row in table.itertuples(index=False)
    ]
    return "\n".join(["<table>", f"<tr>{head}</tr>", *(f"<tr>{row}</tr>" for row in rows), "</table>"])


def _markdown(title: str, opening: Opening, sections: Sequence[Section], figures: Sequence[tuple[str, str]]) -> str:
    parts = [f"# {title}", ""]
    for heading, lines in opening:
        parts += [f"{heading}:", "", *(f"- {line}" for line in lines), ""] if heading else [f"{x}\n" for x in lines]
    for section in sections:
        parts += [f"## {section.title}", "", section.note, "", *table_lines(section.table), ""]
    for name, link in figures:
        parts += [f"![{_title(name)}]({link})", "", _caption(name), ""]
    return "\n".join(parts)


def table_lines(table: pd.DataFrame) -> list[str]:
    head = [f"| {' | '.join(table.columns)} |", f"|{'---|' * len(table.columns)}"] if len(table.columns) else ["(none)"]
    return head + [f"| {' | '.join(map(str, row))} |" for row in table.itertuples(index=False)]


def _title(name: str) -> str:
    return FIGURES[name].title if name in FIGURES else name.replace("_", " ")


def _caption(name: str) -> str:
    """The caption of the report, one line with its first words between ``**``; the title where there is none."""
    path = REPOSITORY / "workflow" / "report" / f"{name}.rst"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.is_file() else f"**{_title(name)}**"

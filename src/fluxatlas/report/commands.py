"""``fluxatlas report``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Draw figures and write the page with the numbers of the run.")

Settings = Annotated[str, typer.Option(help="The block 'report' of the configuration as JSON.")]
Files = Annotated[list[Path] | None, typer.Option(help="Files the figure needs; repeat for more.")]
Table = Annotated[Path | None, typer.Option(help="Table to show; left out: no section.")]


@app.command()
def figure(
    name: Annotated[str, typer.Argument(help="Name of the figure; `fluxatlas report list` lists all.")],
    output: Annotated[Path, typer.Option(help="PNG file to write.")],
    system: Annotated[str, typer.Option(help="System that was run.")],
    flux: Files = None,
    attributes: Files = None,
    forcing: Files = None,
    truth: Files = None,
    daily: Files = None,
    predictions: Files = None,
    skill: Files = None,
    protocols: Files = None,
    responses: Files = None,
    attribution: Files = None,
    history: Files = None,
    budget: Files = None,
    region_months: Files = None,
    towers: Files = None,
    sites: Files = None,
    settings: Settings = "{}",
) -> None:
    """Draw one figure."""
    from ..config.report import ReportBlock
    from ..config.settings import read_settings
    from .catalogue import Inputs
    from .figures import write_figure

    inputs = Inputs(
        flux=flux or [],
        attributes=attributes or [],
        forcing=forcing or [],
        truth=truth or [],
        daily=daily or [],
        predictions=predictions or [],
        skill=skill or [],
        protocols=protocols or [],
        responses=responses or [],
        attribution=attribution or [],
        history=history or [],
        budget=budget or [],
        region_months=region_months or [],
        towers=towers or [],
        sites=sites or [],
        system=system,
    )
    write_figure(name, inputs, output, read_settings(ReportBlock, settings))
    typer.echo(str(output), err=True)


@app.command("list")
def list_figures() -> None:
    """List the figures and the files each needs."""
    from .catalogue import FIGURES, PICTURES

    for name, row in (FIGURES | PICTURES).items():
        options = " ".join(f"--{kind.replace('_', '-')}" for kind in row.reads)
        typer.echo(f"{name:16s} {row.title:32s} {options}")


@app.command()
def summary(
    output: Annotated[Path, typer.Option(help="HTML page to write; the same as Markdown goes beside it.")],
    system: Annotated[str, typer.Option(help="System that was run.")],
    title: Annotated[str, typer.Option(help="Heading of the page; empty: that of the system.")] = "",
    budget: Table = None,
    skill: Table = None,
    protocols: Table = None,
    coverage: Table = None,
    prior: Table = None,
    truth: Table = None,
    towers: Table = None,
    seams: Table = None,
    region_months: Table = None,
    emulation: Files = None,
    intervals: Files = None,
    figure: Annotated[list[Path] | None, typer.Option(help="Figure to show; repeat for more.")] = None,
    about: Annotated[str, typer.Option(help="Name of the run and of its domain, its inputs, as JSON.")] = "{}",
    benchmarks: Annotated[Path | None, typer.Option(help="Folder of the benchmark files.")] = None,
) -> None:
    """Write one page with the key numbers of the run."""
    from ..products.about import About
    from ..systems import get_system
    from .summary import write_summary

    write_summary(
        output,
        system=get_system(system),
        title=title,
        about=About.from_json(about),
        budget=budget,
        skill=skill,
        protocols=protocols,
        coverage=coverage,
        prior=prior,
        truth=truth,
        towers=towers,
        seams=seams,
        region_months=region_months,
        emulation=emulation or [],
        intervals=intervals or [],
        figures=figure or [],
        benchmarks=benchmarks,
    )
    typer.echo(str(output), err=True)


@app.command()
def comparison(
    output: Annotated[Path, typer.Option(help="HTML page to write; its figures go into a folder of its name.")],
    pair: Annotated[list[Path], typer.Option(help="Scores <name>.csv of evaluate comparison; repeat.")],
    triple: Annotated[list[Path] | None, typer.Option(help="Table of evaluate collocation; repeat.")] = None,
    splits: Annotated[Path | None, typer.Option(help="Table of snakemake benchmark; none where it is absent.")] = None,
    importance: Annotated[Path | None, typer.Option(help="Table of snakemake importance; the same.")] = None,
    title: Annotated[str, typer.Option(help="Heading of the page.")] = "Beside gridded products",
) -> None:
    """The page of the product beside gridded products: figures, scores, triple collocation, splits, importance."""
    from .comparison import write_page

    write_page(output, title, pair, triple or [], splits, importance)
    typer.echo(str(output), err=True)


@app.command()
def factors(
    table: Annotated[Path, typer.Option(help="Table of evaluate factors.")],
    figure: Annotated[list[Path], typer.Option(help="Figure of the page (PNG); repeat.")],
    output: Annotated[Path, typer.Option(help="HTML page to write.")],
    system: Annotated[str, typer.Option(help="Name of the system.")],
) -> None:
    """The page of factors: shares of the variance in space, the mean change of a store, response curves."""
    from ..systems import get_system
    from .factors import write_factors_page

    write_factors_page(output, table, get_system(system), figure)
    typer.echo(str(output), err=True)


@app.command()
def page(
    output: Annotated[Path, typer.Option(help="HTML page to write.")],
    settings: Annotated[str, typer.Option(help="The whole configuration of the run as JSON.")],
) -> None:
    """Put the figures and numbers of a run, with its rules and times, into one page (Snakemake's own report)."""
    from ..config.model import Config
    from ..config.settings import read_settings
    from .opening import write_page

    write_page(output, read_settings(Config, settings))
    typer.echo(str(output), err=True)

"""``fluxatlas experiments``: the commands of `snakemake benchmark`; each imports what it needs when it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, counted
from ..train.commands import (
    Attributes,
    Forcing,
    Gap,
    GridName,
    Observations,
    Periods,
    Samples,
    SeriesFiles,
    SystemName,
    Threads,
    tidy,
)

app = typer.Typer(no_args_is_help=True, help="Experiments on models and transfers, and one table of them.")
app.callback()(tidy)

Results = Annotated[list[Path], typer.Option(help="Result of an experiment (CSV); repeat for more.")]


@app.command()
def run(
    split: Annotated[str, typer.Option(help="What is tested: space, time or random.")],
    model: Annotated[
        str,
        typer.Option(help="A network, such as gru or flat_gru_given, or a reference, such as process, trees, mean."),
    ],
    samples: Samples,
    sites_attributes: Attributes,
    sites_forcing: Forcing,
    observations: Observations,
    output: Annotated[Path, typer.Option(help="Result to write (CSV).")],
    system: SystemName,
    share: Annotated[str, typer.Option(help="Share of the towers to learn from.")] = "1",
    transfer: Annotated[str, typer.Option(help="The way from simulation to observation.")] = "none",
    number: Annotated[int, typer.Option(help="Number of the seed, from 0.", min=0)] = 0,
    start: Annotated[Path | None, typer.Option(help="Pretrained network to begin with.")] = None,
    folds: Annotated[int, typer.Option(help="Parts the sites are split into.", min=2)] = 5,
    settings: Annotated[str, typer.Option(help="The block 'train' of the configuration as JSON.")] = "{}",
    target: Annotated[str, typer.Option(help="Output that is judged; empty: the first flux.")] = "",
    truth: Annotated[Path | None, typer.Option(help="Truth at the sites (Parquet), for --hidden.")] = None,
    hidden: Annotated[list[str] | None, typer.Option(help="Output judged against the truth; repeat for more.")] = None,
    given: Annotated[list[str] | None, typer.Option(help="Output that sites hand on; repeat for more.")] = None,
    permutation: Annotated[str, typer.Option(help="Drivers to permute: draws, days and groups, as JSON.")] = "",
    grid: GridName = "4km",
    periods: Periods = None,
    series: SeriesFiles = None,
    gap: Gap = 7,
    threads: Threads = 1,
) -> None:
    """Run one experiment: all folds of one model, transfer, split, share of towers and seed. Of ``periods`` networks
    learn where the system observes sums of years, such as yields."""
    from ..files import read_parquet, write_text
    from ..ingest.atmosphere import series_of
    from ..systems import get_system
    from ..train.commands import begin
    from ..train.data import read_samples
    from ..train.member import Member
    from ..train.site_periods import YEARLY
    from ..train.sites import handed, read_sites
    from .grid import Experiment, read_permutation, system_of
    from .run import run_experiment

    block, begun = begin(settings, threads), time.monotonic()
    declared = system_of(model, get_system(system), given or ())
    plan = read_permutation(permutation, declared) if permutation else None
    known = series_of(declared.slow, series or ())
    yearly = any(kind.support == YEARLY for kind in declared.observations)
    where = (sites_attributes, sites_forcing, observations, declared, block.block_distance_km, known, gap)
    sites = read_sites(*where, periods=periods if yearly else None)
    sites = handed(sites, given or (), declared)
    one = Experiment(split, share, model, transfer, number)
    first = Member.load(start) if start else None
    true = read_parquet(truth) if truth and hidden else None
    materials = one, sites, read_samples(samples, declared), declared, block, folds, grid, first, target
    table = run_experiment(*materials, true, tuple(hidden or ()), plan)
    write_text(output, table.to_csv(index=False, float_format="%.8g"))
    typer.echo(f"wrote {output} after {time.monotonic() - begun:.1f} s", err=True)


@app.command()
def table(
    result: Results,
    output: Annotated[Path, typer.Option(help="Table of scores to write (CSV).")],
    figure: Annotated[Path | None, typer.Option(help="Figure to write (PNG).")] = None,
    page: Annotated[Path | None, typer.Option(help="Page to write (HTML); needs --figure.")] = None,
    title: Annotated[str, typer.Option(help="Title of the page.")] = "Experiments",
    minimum_days: Annotated[int, typer.Option(min=2, help="Fewest days of a site with scores of its own.")] = 30,
) -> None:
    """Bring experiments into one table, one figure and one page, those that are there."""
    from .scores import write_scores

    if page and not figure:
        raise ConfigError("a page needs its figure", where="--page", hint="give --figure as well")
    scores = write_scores(output, result, minimum_days)
    if figure:
        from .figure import write_figure

        write_figure(figure, scores)
    if page and figure:
        from .page import write_page

        write_page(page, title, scores, figure)
    typer.echo(f"{output}: {counted(len(result), 'experiment')}, {counted(len(scores), 'row')}", err=True)


@app.command()
def importance(
    result: Results,
    output: Annotated[Path, typer.Option(help="Table of importance to write (CSV).")],
    figure: Annotated[Path | None, typer.Option(help="Figure to write (PNG).")] = None,
) -> None:
    """Permutation importance of drivers, from experiments that permuted them (experiments.importance_draws)."""
    from .importance import write_importance

    table = write_importance(output, result)
    if figure:
        from .importance_figure import write_importance_figure

        write_importance_figure(figure, table)
    typer.echo(f"{output}: {table['permuted'].nunique()} groups of drivers, {len(table)} rows", err=True)

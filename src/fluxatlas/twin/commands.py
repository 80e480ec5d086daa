"""``fluxatlas twin``: the chain on a world with a hidden truth, and the table over worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Run twin worlds with a hidden truth; compare them in one table.")


@app.command()
def world(
    settings: Annotated[str, typer.Option(help="The whole configuration of the world's run as JSON.")],
    cores: Annotated[int, typer.Option(min=1, help="Cores to use.")] = 1,
) -> None:
    """Run the workflow on one world, up to the comparison with its truth."""
    from ..config.model import Config
    from ..config.settings import read_settings
    from .worlds import run_world

    run_world(read_settings(Config, settings), cores)


@app.command()
def table(
    world: Annotated[list[Path], typer.Option(help="Folder of the results of a world; repeat for more.")],
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
) -> None:
    """Bring the scores of all worlds into one table."""
    from .table import in_words, write_twin_table

    for line in in_words(write_twin_table(output, world)):
        typer.echo(line, err=True)


@app.command()
def constraint(
    output: Annotated[Path, typer.Option(help="Folder to write runs.csv, tests.csv and twin.png to.")],
    pixels: Annotated[int, typer.Option(min=60, help="Pixels of the world.")] = 480,
    regions: Annotated[int, typer.Option(min=2, help="Regions of the world.")] = 6,
    years: Annotated[int, typer.Option(min=3, help="Years of the world.")] = 5,
    points: Annotated[int, typer.Option(min=1, help="Points of each region.")] = 20,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of every run.")] = 500,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the world and of training.")] = 1,
) -> None:
    """Train on towers and regions in a small world whose exchange is known: ten tests in a table, and a figure."""
    from ..files import write_text
    from .constraint import Size, run_twin
    from .constraint_figure import draw

    size = Size(pixels=pixels, regions=regions, years=years, points=points, tower_steps=steps, steps=steps, seed=seed)
    runs, tests = run_twin(size, ("pair", "decomposed"))
    for table, name in ((runs, "runs.csv"), (tests, "tests.csv")):
        write_text(output / name, table.to_csv(index=False, float_format="%.4g"))
        typer.echo(table.to_string(index=False, float_format="{:.3g}".format), err=True)
    draw(runs, output / "twin.png")

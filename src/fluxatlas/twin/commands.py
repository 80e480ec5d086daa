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

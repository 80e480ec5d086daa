"""The command line: ``fluxatlas <stage> ...``, with one module of commands per stage.

Nothing heavy is imported here; each command imports what it needs when it runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import FluxAtlasError

STAGES = ("ingest", "regrid", "synthesize", "train", "infer", "products", "evaluate", "report")

app = typer.Typer(
    name="fluxatlas",
    help="From raw climate forcing to daily land-flux products. The workflow itself is run with snakemake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name in (*STAGES, "config"):
    app.add_typer(importlib.import_module(f".{name}.commands", __package__).app, name=name)

ConfigFile = Annotated[Path, typer.Argument(help="The configuration of the run.")]
DEFAULT = Path("config/config.yaml")


@app.command()
def plan(
    config: ConfigFile = DEFAULT,
    cores: Annotated[int, typer.Option(min=1, help="Cores to expect the wall time for.")] = os.cpu_count() or 1,
) -> None:
    """Say what a run will cost (jobs, time, memory, disk) without running anything."""
    from .config import load
    from .plan import table
    from .run import Run

    print(table(Run(load(config)), cores))


@app.command()
def status(config: ConfigFile = DEFAULT) -> None:
    """Say what of a run is done, stale or missing, and why."""
    from .config import load
    from .run import Run
    from .status import read, table

    print(table(Run(load(config)), read(str(config))))


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders of any format.", metavar="PATH...")],
    plot: Annotated[Path | None, typer.Option(help="Draw it to this PNG (one path only).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines (docs/inspect.md).")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all variables and findings.")] = False,
) -> None:
    """Say what a file is, what is in it, what is suspicious and how it would be used; exit code 1 if it cannot be."""
    from .inspect.commands import run

    raise typer.Exit(run(paths, plot=plot, as_json=as_json, everything=everything))


def main() -> None:
    """Run the command line; a user's error is one message and exit status 1."""
    try:
        app()
    except FluxAtlasError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)

"""``fluxatlas export``: a finished run in the layouts of those who go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Write a finished run in the layouts of those who go on with it.")


@app.callback()
def _several() -> None:
    """Keeps the name of a command although there may be only one."""


@app.command()
def members(
    run: Annotated[Path, typer.Argument(help="Folder of a run with trained members, or its folder 'train'.")],
    output: Annotated[Path, typer.Option(help="Folder for the files; those of the same name are replaced.")],
) -> None:
    """Trained members as ONNX files, one day with its state as input and output, each compared with torch."""
    from .members import export_members

    for one in export_members(run, output):
        typer.echo(f"{one.member}.onnx: within {one.departure:.1e} of a standard deviation of torch")
    typer.echo(f"wrote {output}", err=True)

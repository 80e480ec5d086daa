"""``fluxatlas ingest constraint``: the commands; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Inversion fluxes and soil moisture: provider files to one checked file.")


@app.callback()
def _constraint() -> None:
    """Inversion fluxes and soil moisture: provider files to one checked file."""


@app.command()
def build(
    settings: Annotated[str, typer.Option(help="One entry of 'constraints.sets' of the configuration as JSON.")],
    output: Annotated[Path, typer.Option(help="The NetCDF file to write.")],
    bbox: Annotated[
        tuple[float, float, float, float] | None,
        typer.Option(help="West, south, east, north: soil moisture is cut to this; fluxes stay whole."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the result to this PNG too.")] = None,
) -> None:
    """Read the files of one constraint, check them and write one file."""
    from ...config.constraints import Constraint
    from ...config.settings import read_settings
    from .build import build as build_file
    from .soil_moisture import GLOBE

    block = read_settings(Constraint, settings)
    build_file(block, output, bbox or GLOBE, lambda text: typer.echo(f"constraint: {text}", err=True))
    if plot:
        draw(output, plot)


@app.command("plot")
def draw(
    file: Annotated[Path, typer.Argument(help="A file of ingest/constraints.")],
    output: Annotated[Path, typer.Argument(help="The PNG to write.")],
) -> None:
    """Draw the mean as a map and the months by latitude zone (or place) as series."""
    from .plot import draw as draw_file

    draw_file(file, output)


@app.command()
def kinds() -> None:
    """List the formats that can be read, and what each contains."""
    from .kinds import KINDS
    from .soil_kinds import SOIL_KINDS

    for name, kind in KINDS.items():
        fire = "with fire" if kind.fire_included else "without fire"
        typer.echo(f"{name:22} {kind.title}: {', '.join(kind.variables)} ({fire})")
    for name, soil in SOIL_KINDS.items():
        typer.echo(f"{name:22} {soil.title}: {', '.join(v[0] for v in soil.variables.values())}")

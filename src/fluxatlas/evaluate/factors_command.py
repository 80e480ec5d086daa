"""``fluxatlas evaluate factors``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def factors(
    flux: Annotated[list[Path], typer.Option(help="Flux file of a tile and year; repeat for more.")],
    attributes: Annotated[list[Path], typer.Option(help="Attributes of a tile; repeat for all tiles.")],
    forcing: Annotated[list[Path], typer.Option(help="Forcing piece, <tile>/<year>.nc; repeat.")],
    year: Annotated[list[int], typer.Option(help="First and last year.")],
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
    figure: Annotated[Path, typer.Option(help="Figure to write (PNG).")],
    system: Annotated[str, typer.Option(help="System that was run.")],
    truth: Annotated[Path | None, typer.Option(help="True annual means (year, lat, lon).")] = None,
    grid: Annotated[str, typer.Option(help="Target grid, such as 4km.")] = "4km",
    tile_size: Annotated[int, typer.Option(help="Edge of the tiles in degrees.")] = 10,
    regrid: Annotated[
        Literal["conservative", "bilinear"], typer.Option(help="How inference regrids the forcing (infer.regrid).")
    ] = "bilinear",
    settings: Annotated[str, typer.Option(help="The block 'evaluate' of the configuration as JSON.")] = "{}",
) -> None:
    """What goes with mean fluxes and the mean change of a store: soil, climate, or both."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..grid import get_grid
    from ..systems import get_system
    from .factors import read_means, write_factors
    from .factors_figure import write_factors_figure

    block, declared = read_settings(EvaluateBlock, settings), get_system(system)
    years = range(min(year), max(year) + 1)
    means = read_means(declared, get_grid(grid), tile_size, flux, attributes, forcing, years, regrid)
    table = write_factors(output, means, declared, truth, block.seed)
    write_factors_figure(figure, means, table, declared)
    typer.echo(f"{output}: {table['variable'].nunique()} variables, {table['cells'].iloc[0]} cells", err=True)

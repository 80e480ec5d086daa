"""``fluxatlas products``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make files for users: daily NetCDF, maps, catalogue, budgets.")

Settings = Annotated[str, typer.Option(help="The block 'products' of the configuration as JSON.")]
Flux = Annotated[list[Path], typer.Option(help="Flux file of a tile and year; repeat for more.")]
Attributes = Annotated[list[Path], typer.Option(help="Attributes of a tile; repeat for all tiles.")]
System = Annotated[str, typer.Option(help="System that was run.")]
Bbox = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(help="West, south, east, north of the product; left out: the smallest box that holds all tiles."),
]


@app.command()
def daily(
    variable: Annotated[str, typer.Option(help="Daily variable to publish.")],
    year: Annotated[int, typer.Option(help="Year to publish.")],
    flux: Flux,
    attributes: Attributes,
    output: Annotated[Path, typer.Option(help="NetCDF file to write.")],
    settings: Settings = "{}",
    system: System = "soil_methane_sink",
    bbox: Bbox = None,
) -> None:
    """Put the tiles of one year together to one CF file."""
    from ..config.base import from_json
    from ..config.products import ProductsBlock
    from .daily import write_daily

    began = time.monotonic()
    block = from_json(ProductsBlock, settings)
    write_daily(output, variable, year, flux, attributes, block, system=system, bbox=bbox)
    size = output.stat().st_size / 1e6
    typer.echo(f"{output}: {len(flux)} tiles, {size:.1f} MB, {time.monotonic() - began:.1f} s", err=True)


@app.command()
def budget(
    flux: Flux,
    attributes: Attributes,
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
    parquet: Annotated[Path | None, typer.Option(help="Parquet file; left out: beside the CSV file.")] = None,
    variable: Annotated[list[str] | None, typer.Option(help="Flux; repeat for more. Left out: fch4, ch4ox.")] = None,
    settings: Settings = "{}",
) -> None:
    """Budgets of the domain, latitude zones and biomes with the spread of the ensemble."""
    from ..config.base import from_json
    from ..config.products import ProductsBlock
    from .budget import write_budget

    block = from_json(ProductsBlock, settings)
    table = write_budget(output, flux, attributes, block, parquet, variable or ("fch4", "ch4ox"))
    whole = table[table["region_kind"] == "global"]
    for row in whole.itertuples():
        typer.echo(f"{row.year} {row.variable}: {row.mean:.4g} Tg CH4 ({row.low:.4g} to {row.high:.4g})", err=True)

"""``fluxatlas products``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ..errors import counted

app = typer.Typer(no_args_is_help=True, help="Make files for users: daily NetCDF, maps, catalogue, budgets.")

Settings = Annotated[str, typer.Option(help="The block 'products' of the configuration as JSON.")]
Flux = Annotated[list[Path], typer.Option(help="Flux file of a tile and year; repeat for more.")]
Attributes = Annotated[list[Path], typer.Option(help="Attributes of a tile; repeat for all tiles.")]
System = Annotated[str, typer.Option(help="System that was run.")]
AboutRun = Annotated[
    str, typer.Option(help="Name of the run and of its domain, whether it is made up, its inputs, as JSON.")
]
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
    system: System,
    settings: Settings = "{}",
    bbox: Bbox = None,
    about: AboutRun = "{}",
) -> None:
    """Put the tiles of one year together to one CF file."""
    from ..config.products import ProductsBlock
    from ..config.settings import read_settings
    from .about import About
    from .daily import write_daily

    began = time.monotonic()
    block = read_settings(ProductsBlock, settings)
    run = About.from_json(about)
    write_daily(output, variable, year, flux, attributes, block, system=system, bbox=bbox, about=run)
    size = output.stat().st_size / 1e6
    typer.echo(f"{output}: {counted(len(flux), 'tile')}, {size:.1f} MB, {time.monotonic() - began:.1f} s", err=True)


@app.command()
def budget(
    flux: Flux,
    attributes: Attributes,
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
    system: System,
    parquet: Annotated[Path | None, typer.Option(help="Parquet file; left out: beside the CSV file.")] = None,
    variable: Annotated[
        list[str] | None, typer.Option(help="Flux; repeat for more. Left out: all with a budget.")
    ] = None,
    regions: Annotated[list[Path] | None, typer.Option(help="Regions of a tile, <tile>.nc; repeat for all.")] = None,
    settings: Settings = "{}",
    domain: Annotated[str, typer.Option(help="Name of all that was run together.")] = "domain",
) -> None:
    """Budgets of the domain, latitude zones, biomes and own regions with the spread of the ensemble."""
    from ..config.products import ProductsBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from .budget import write_budget

    block = read_settings(ProductsBlock, settings)
    table = write_budget(
        output,
        flux,
        attributes,
        block,
        parquet,
        system=get_system(system),
        variables=variable or (),
        regions=regions or (),
        domain=domain,
    )
    whole = table[table["region_kind"] == "global"]
    for row in whole.itertuples():
        typer.echo(f"{row.year} {row.variable}: {row.mean:.4g} {row.unit} ({row.low:.4g} to {row.high:.4g})", err=True)


@app.command()
def cog(
    daily: Annotated[Path, typer.Option(help="Daily file of the variable and year.")],
    variable: Annotated[str, typer.Option(help="Variable of the daily file.")],
    year: Annotated[int, typer.Option(help="Year of the daily file.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the maps: <variable>_<year>[-<month>].tif.")],
    settings: Settings = "{}",
) -> None:
    """Monthly and annual means as cloud-optimised GeoTIFFs."""
    from ..config.products import ProductsBlock
    from ..config.settings import read_settings
    from .cog import write_maps

    paths = write_maps(daily, variable, year, output_dir, read_settings(ProductsBlock, settings))
    size = sum(path.stat().st_size for path in paths) / 1e6
    typer.echo(f"{output_dir}: {counted(len(paths), 'map')} of {variable} {year}, {size:.1f} MB", err=True)


@app.command()
def ease(
    daily: Annotated[Path, typer.Option(help="Daily file of the variable and year.")],
    variable: Annotated[str, typer.Option(help="Variable of the daily file.")],
    year: Annotated[int, typer.Option(help="Year of the daily file.")],
    output: Annotated[Path, typer.Option(help="NetCDF file to write.")],
    system: System,
    settings: Settings = "{}",
) -> None:
    """The daily product on a global EASE-Grid 2.0, by area."""
    from ..config.products import ProductsBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from .ease import write_ease

    block = read_settings(ProductsBlock, settings)
    rows, columns = write_ease(output, daily, variable, year, get_system(system), block)
    typer.echo(f"{output}: {rows} x {columns} cells of EASE-Grid 2.0, {block.ease_grid}", err=True)


@app.command()
def per_cell(
    daily: Annotated[Path, typer.Option(help="Daily file of the flux per area of a part of the cell.")],
    variable: Annotated[str, typer.Option(help="Name of the flux per area of the whole cell.")],
    output: Annotated[Path, typer.Option(help="NetCDF file to write.")],
    system: System,
    settings: Settings = "{}",
) -> None:
    """The daily flux per area of the whole cell."""
    from ..config.products import ProductsBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from .per_cell import write_per_cell

    write_per_cell(output, daily, variable, get_system(system), read_settings(ProductsBlock, settings))
    typer.echo(f"{output}: {variable} of {daily.name}", err=True)


@app.command()
def stac(
    daily: Annotated[list[Path], typer.Option(help="Daily file; repeat for more.")],
    output: Annotated[Path, typer.Option(help="Catalogue to write; the rest goes beside it.")],
    system: System,
    map: Annotated[list[Path] | None, typer.Option(help="Map (COG); repeat for more.")] = None,
    ease: Annotated[list[Path] | None, typer.Option(help="Daily file on EASE-Grid 2.0; repeat for more.")] = None,
    run: Annotated[str, typer.Option(help="Name of the run.")] = "fluxatlas",
    settings: Settings = "{}",
) -> None:
    """A static STAC catalogue of daily files and maps."""
    from ..config.products import ProductsBlock
    from ..config.settings import read_settings
    from .stac import write_catalog

    block = read_settings(ProductsBlock, settings)
    write_catalog(output, daily, map or [], block, system=system, run=run, ease=ease or [])
    typer.echo(f"{output}: {counted(len(daily), 'daily file')}, {counted(len(map or []), 'map')}", err=True)

"""``fluxatlas regrid``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Bring static layers to the target grid; attributes and forcing of sites.")

GridName = Annotated[str, typer.Option("--grid", help="Name of the target grid.")]
TileSize = Annotated[int, typer.Option(help="Edge of a tile in degrees.")]
Box = Annotated[
    tuple[float, float, float, float],
    typer.Option("--bbox", help="West, south, east, north: cells outside are not run."),
]


@app.command()
def attributes(
    settings: Annotated[str, typer.Option(help="The block 'static' as JSON.")],
    grid: GridName,
    tile_size: TileSize,
    tile: Annotated[str, typer.Option(help="Name of the tile.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    system: Annotated[str, typer.Option(help="System whose attributes are needed.")],
    bbox: Box = (-180, -90, 180, 90),
) -> None:
    """Static layers of one tile on the target grid."""
    from ..config.settings import read_settings
    from ..config.static import StaticBlock
    from ..grid import get_grid
    from ..systems import get_system
    from .attributes import write

    block = read_settings(StaticBlock, settings)
    write(block, get_grid(grid).tile(tile, tile_size), get_system(system), bbox, output)


@app.command()
def regions(
    settings: Annotated[str, typer.Option(help="The block 'regions' as JSON.")],
    grid: GridName,
    tile_size: TileSize,
    tile: Annotated[str, typer.Option(help="Name of the tile.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    plot: Annotated[Path | None, typer.Option(help="PNG to draw the regions to.")] = None,
) -> None:
    """Share of each cell of one tile in the regions of the budget: countries, TransCom regions, ecoregions."""
    from ..config.regions import RegionsBlock
    from ..config.settings import read_settings
    from ..grid import get_grid
    from .regions import write

    write(read_settings(RegionsBlock, settings), get_grid(grid).tile(tile, tile_size), output)
    if plot:
        from .region_plot import draw

        draw([output], plot)


@app.command()
def sites(
    grid: GridName,
    tile_size: TileSize,
    attributes_dir: Annotated[Path, typer.Option(help="Folder of <tile>.nc.")],
    forcing_dir: Annotated[Path, typer.Option(help="Folder of <tile>/<year>.nc.")],
    sites_dir: Annotated[Path, typer.Option(help="Folder of sites.csv and forcing.parquet.")],
    output_dir: Annotated[
        Path, typer.Option(help="Folder to write sites_attributes.csv and sites_forcing.parquet to.")
    ],
    system: Annotated[str, typer.Option(help="System whose drivers are needed.")],
    tile: Annotated[list[str] | None, typer.Option(help="Name of a tile; repeat for more; none: sites alone.")] = None,
    year: Annotated[list[int] | None, typer.Option(help="A year of forcing; repeat for more.")] = None,
    settings: Annotated[
        str, typer.Option(help="The block 'static' as JSON, whose maps tell what sites outside the tiles lack.")
    ] = "",
    weather: Annotated[Path | None, typer.Option(help="Table with daily weather of sites that bring none.")] = None,
) -> None:
    """Attributes and forcing of every site: its own where known, else those of the tile or of the maps that hold it."""
    from ..config.settings import read_settings
    from ..config.static import StaticBlock
    from ..grid import get_grid
    from ..systems import get_system
    from .sites import write

    where = get_grid(grid)
    tiles = [where.tile(name, tile_size) for name in tile or ()]
    maps = (read_settings(StaticBlock, settings), where) if settings else None
    years = sorted(year or ())
    write(tiles, years, get_system(system), attributes_dir, forcing_dir, sites_dir, output_dir, maps, weather)


@app.command()
def forcing(
    grid: GridName,
    tile_size: TileSize,
    tile: Annotated[str, typer.Option(help="Name of the tile.")],
    piece: Annotated[Path, typer.Option("--forcing", help="Forcing piece of one tile and year.")],
    attributes: Annotated[Path, typer.Option(help="Attributes of the tile.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    method: Annotated[str, typer.Option(help="'bilinear' or 'conservative'.")] = "bilinear",
) -> None:
    """Write the regridded forcing of one tile-year, to look at; inference makes it on the fly and never stores it."""
    from ..grid import get_grid
    from .materialise import write

    write(get_grid(grid).tile(tile, tile_size), piece, attributes, output, method)


@app.command()
def lai(
    settings: Annotated[str, typer.Option(help="The block 'static.lai_series' as JSON.")],
    grid: GridName,
    tile_size: TileSize,
    tile: Annotated[str, typer.Option(help="Name of the tile.")],
    output: Annotated[Path, typer.Option(help="NetCDF file to write; can be given as static.layers.lai.")],
    plot: Annotated[Path | None, typer.Option(help="PNG to draw the twelve months to.")] = None,
) -> None:
    """Monthly leaf area of one tile from satellite composites, to look at or to keep."""
    from ..config.lai import LaiSeries
    from ..config.settings import read_settings
    from ..grid import get_grid
    from .lai_output import write

    found = write(read_settings(LaiSeries, settings), get_grid(grid).tile(tile, tile_size), output, plot)
    typer.echo(found.summary)

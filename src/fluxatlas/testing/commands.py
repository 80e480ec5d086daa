"""``fluxatlas ingest synthetic-earth``: write the raw files of the synthetic Earth as providers would."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import counted

if TYPE_CHECKING:
    from .earth import SyntheticEarth

app = typer.Typer(no_args_is_help=True, help="Write the raw files of the synthetic Earth as providers would.")

Settings = Annotated[str, typer.Option(help="Block `synthetic_earth` of the configuration as JSON.")]
Box = Annotated[
    tuple[float, float, float, float],
    typer.Option("--bbox", help="Domain: west south east north in degrees; a margin is added."),
]
SystemName = Annotated[str, typer.Option("--system", help="System whose truth this world has.")]
Folder = Annotated[Path, typer.Option("--output-dir", help="Folder to write to.")]


def _earth(settings: str) -> SyntheticEarth:
    from ..config.settings import read_settings
    from ..config.synthetic_earth import SyntheticEarthBlock
    from .earth import SyntheticEarth

    return SyntheticEarth(read_settings(SyntheticEarthBlock, settings))


def _say(text: str) -> None:
    print(f"synthetic-earth: {text}", file=sys.stderr, flush=True)


@app.command()
def weather(
    bbox: Box,
    year: Annotated[int, typer.Option(help="Year to write.")],
    output_dir: Folder,
    settings: Settings = "{}",
    closing: Annotated[
        bool, typer.Option("--closing", help="Write only the first hour of the year (totals of 31 December before).")
    ] = False,
) -> None:
    """Write hourly weather of one year, a file per month, in the layout of ERA5-Land."""
    from .era5_land import write_closing, write_year

    earth = _earth(settings)
    paths = [write_closing(earth, bbox, year, output_dir)] if closing else write_year(earth, bbox, year, output_dir)
    _say(f"wrote {counted(len(paths), 'file')} of weather for {year} to {output_dir}")


@app.command()
def orography(bbox: Box, output_dir: Folder, settings: Settings = "{}") -> None:
    """Write the geopotential of the weather's grid, `geopotential.nc`."""
    from .era5_land import write_orography

    _say(f"wrote {write_orography(_earth(settings), bbox, output_dir)}")


@app.command()
def static(bbox: Box, output_dir: Folder, settings: Settings = "{}") -> None:
    """Write elevation, soils, land cover, leaf area and nitrogen deposition as GeoTIFF."""
    from .rasters import write_static

    paths = write_static(_earth(settings), bbox, output_dir)
    _say(f"wrote {len(paths)} static layers to {output_dir}")


@app.command()
def sites(
    bbox: Box,
    start: Annotated[int, typer.Option(help="First year.")],
    end: Annotated[int, typer.Option(help="Last year.")],
    output_dir: Folder,
    system: SystemName,
    settings: Settings = "{}",
) -> None:
    """Write towers as FLUXNET2015 daily tables, a chamber table and the list of towers."""
    from ..systems import get_system
    from .site_files import write_sites

    paths = write_sites(_earth(settings), get_system(system), bbox, start, end, output_dir)
    _say(f"wrote {len(paths)} site files to {output_dir}")


@app.command()
def inversions(
    attributes: Annotated[list[Path], typer.Option(help="Attributes of a tile (repeat for more tiles).")],
    start: Annotated[int, typer.Option(help="First year.")],
    end: Annotated[int, typer.Option(help="Last year.")],
    output_dir: Folder,
    system: SystemName,
    settings: Settings = "{}",
) -> None:
    """Write what an ensemble of inversions would say of the truth, and the fire that it holds."""
    from ..systems import get_system
    from .inversions import write_inversions

    years = list(range(start, end + 1))
    paths = write_inversions(_earth(settings), get_system(system), attributes, years, output_dir)
    _say(f"wrote {counted(len(paths), 'file')} of inversions to {output_dir}")


@app.command()
def site_truth(
    bbox: Box,
    start: Annotated[int, typer.Option(help="First year.")],
    end: Annotated[int, typer.Option(help="Last year.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    system: SystemName,
    settings: Settings = "{}",
    variable: Annotated[list[str] | None, typer.Option(help="Output that no site measures; repeat for more.")] = None,
) -> None:
    """Write what is true at the sites day by day, without errors and gaps."""
    from ..systems import get_system
    from .site_files import write_site_truth

    table = write_site_truth(_earth(settings), get_system(system), bbox, start, end, output, tuple(variable or ()))
    _say(f"wrote the truth of {counted(table['site'].nunique(), 'site')} to {output}")


@app.command()
def truth(
    attributes: Annotated[list[Path], typer.Option(help="Attributes of a tile (repeat for more tiles).")],
    start: Annotated[int, typer.Option(help="First year.")],
    end: Annotated[int, typer.Option(help="Last year.")],
    output: Annotated[Path, typer.Option(help="File to write.")],
    system: SystemName,
    settings: Settings = "{}",
) -> None:
    """Write annual means of the true fluxes on the target grid."""
    from ..systems import get_system
    from .truth_maps import write_truth

    write_truth(_earth(settings), get_system(system), attributes, list(range(start, end + 1)), output)
    _say(f"wrote the truth of {counted(len(attributes), 'tile')} to {output}")

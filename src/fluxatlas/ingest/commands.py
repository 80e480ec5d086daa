"""``fluxatlas ingest``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError, counted
from ..testing.commands import app as synthetic_earth
from .constraints.commands import app as constraint
from .sites.commands import app as sites

if TYPE_CHECKING:
    from ..config.forcing import ForcingBlock

app = typer.Typer(no_args_is_help=True, help="Bring raw forcing and sites into canonical form.")
app.add_typer(sites, name="sites")
app.add_typer(constraint, name="constraint")
app.add_typer(synthetic_earth, name="synthetic-earth")


@app.callback()
def stage() -> None:
    """Bring raw forcing and sites into canonical form."""


@app.command()
def forcing(
    settings: Annotated[str, typer.Option(help="The block 'forcing' of the configuration as JSON.")],
    year: Annotated[int, typer.Option(help="Year to cut.")],
    grid: Annotated[str, typer.Option(help="Name of the target grid, such as 4km.")],
    tile_size: Annotated[int, typer.Option(help="Edge of a tile in degrees.")],
    tile: Annotated[list[str], typer.Option(help="Name of a tile; repeat for more.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the pieces: <output-dir>/<tile>/<year>.nc.")],
    system: Annotated[str, typer.Option(help="System whose forcing is cut.")],
    input: Annotated[
        list[Path] | None, typer.Option(help="Raw file of the year; repeat. Left out: all files, as the settings say.")
    ] = None,
    next_input: Annotated[list[Path] | None, typer.Option(help="Raw file with steps next to the year.")] = None,
    pattern_input: Annotated[
        list[Path] | None, typer.Option(help="File of the source of 'rain_pattern' in that year; repeat for more.")
    ] = None,
    elevation: Annotated[Path | None, typer.Option(help="Elevation file, instead of that of the settings.")] = None,
    bbox: Annotated[
        tuple[float, float, float, float] | None, typer.Option(help="West, south, east, north: keep no more than this.")
    ] = None,
    digests: Annotated[Path | None, typer.Option(help="JSON file for size and hash of every raw file.")] = None,
) -> None:
    """Cut the raw files of one year into canonical daily pieces, one per tile."""
    from ..config.forcing import ForcingBlock
    from ..config.settings import read_settings
    from ..files import provenance
    from ..freshness import write_digests
    from ..grid import get_grid
    from ..systems import get_system
    from .parts import identity
    from .pieces import PieceOptions, write_pieces
    from .source import open_source

    began = time.monotonic()
    block = read_settings(ForcingBlock, settings)
    tiles = [get_grid(grid).tile(name, tile_size) for name in tile]
    relief = elevation or Path(block.elevation)
    own, beside, pattern = (input, next_input or [], pattern_input or []) if input else _raw_files(block, year)
    source = open_source(block, own, beside, relief, pattern)
    _say(f"{source.attrs['source']}, {counted(len(own), 'file')}")
    origin = provenance("ingest", block.model_dump(mode="json"), {str(p): p for p in (*own, *beside, *pattern, relief)})
    hashes = json.loads(origin["fluxatlas_inputs"])
    paths = write_pieces(
        source,
        year,
        tiles,
        get_system(system).forcing,
        output_dir,
        elevation=relief,
        elevation_variable=block.elevation_variable,
        bbox=bbox,
        options=PieceOptions(block.halo, block.fill_cells, block.compression, block.compression_level),
        attrs=origin,
        kept_for=identity(block.model_dump(mode="json"), hashes),
        say=_say,
    )
    if digests:
        write_digests(digests, hashes)
    _say(f"{counted(len(paths), 'piece')} of {year} in {time.monotonic() - began:.1f} s{_first_day(source.attrs)}")


def _say(text: str) -> None:
    typer.echo(f"forcing: {text}", err=True)


def _first_day(attrs: Mapping[str, str]) -> str:
    steps = attrs.get("repeated_first_steps")
    return f"; the archive begins within its first day, its first step stands for {steps}" if steps else ""


def _raw_files(block: ForcingBlock, year: int) -> tuple[list[Path], list[Path], list[Path]]:
    """The raw files of ``year`` that ``block`` names: its own, those just before and after it, those of the pattern."""
    from .inputs import forcing_inputs, neighbour_inputs, pattern_inputs

    names = forcing_inputs(block, year), neighbour_inputs(block, year), pattern_inputs(block.rain_pattern, year)
    own, beside, pattern = ([Path(name) for name in part] for part in names)
    return own, beside, pattern


@app.command()
def atmosphere(
    input: Annotated[Path, typer.Option(help="NOAA GML file of the gas, a global mean or a station.")],
    output: Annotated[Path, typer.Option(help="File to write (CSV).")],
    gas: Annotated[str, typer.Option(help="The gas that is needed: one of resources/gases.yaml.")],
    first_year: Annotated[
        int | None, typer.Option(help="First year that is needed; left out: what sites need.")
    ] = None,
    last_year: Annotated[int | None, typer.Option(help="Last year that is needed.")] = None,
    gap: Annotated[int, typer.Option(min=0, help="Longest run of missing months or years that is interpolated.")] = 0,
    latitude: Annotated[float | None, typer.Option(help="Latitude of a station that does not tell it.")] = None,
) -> None:
    """Make the series of a gas of the atmosphere from a file of NOAA GML: checked and without gaps."""
    from ..gases import get
    from .atmosphere import write_series

    if (first_year is None) != (last_year is None):
        given, absent = ("--first-year", "--last-year")[:: 1 if last_year is None else -1]
        raise ConfigError(f"{given} is given without {absent}", hint="give both, or neither for what sites need")
    years = range(0) if first_year is None or last_year is None else range(first_year, last_year + 1)
    series = write_series(input, output, gas, years, gap, latitude)
    taken = "adjusted to the global mean" if get(gas).offset else "as measured"
    place = f"station {series.site}, {taken}" if series.site else "global mean"
    held = counted(len(series.values), "period")
    typer.echo(f"atmosphere: {gas.upper()}, {place}, {held}, {series.filled} interpolated", err=True)


@app.command("simulated-year")
def simulated_year(
    input: Annotated[Path, typer.Option(help="A year of the simulation of the wetland benchmark, as published.")],
    output: Annotated[Path, typer.Option(help="NetCDF to write, on latitude, longitude and 365 days.")],
    downward: Annotated[bool, typer.Option(help="Fluxes of the file are positive into the soil.")] = False,
) -> None:
    """Bring a year of the wetland benchmark's simulation (months of 31 days, no coordinates) onto days and cells."""
    from .simulated_year import convert

    data = convert(input, output, downward=downward)
    known = float(data.notnull().any("time").mean())
    typer.echo(f"{output}: {data.name}, {data.sizes['time']} days, {100 * known:.0f} % of the cells", err=True)

"""``fluxatlas synthesize``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

app = typer.Typer(no_args_is_help=True, help="Make synthetic samples with the process model.")


@app.callback()
def _group() -> None:
    """Keep ``samples`` a subcommand although it is the only one."""


@app.command()
def samples(
    output: Annotated[Path, typer.Option(help="File for the samples.")],
    system: Annotated[str, typer.Option(help="Name of the system.")],
    settings: Annotated[str, typer.Option(help="The block 'synthesize' as JSON.")] = "{}",
    grid: Annotated[str, typer.Option(help="Target grid, such as 4km.")] = "4km",
    attributes: Annotated[Optional[list[Path]], typer.Option(help="Attributes of a tile, <tile>.nc; repeat.")] = None,  # noqa: UP045
    forcing: Annotated[Optional[list[Path]], typer.Option(help="Forcing piece, <tile>/<year>.nc; repeat.")] = None,  # noqa: UP045
    tile_size: Annotated[int, typer.Option(help="Edge of the tiles in degrees.")] = 10,
    sites_attributes: Annotated[Optional[Path], typer.Option(help="Attributes of the sites (CSV).")] = None,  # noqa: UP045
    sites_forcing: Annotated[Optional[Path], typer.Option(help="Meteorology of the sites (Parquet).")] = None,  # noqa: UP045
    series: Annotated[Optional[list[str]], typer.Option(help="Series of the atmosphere, gas=FILE; repeat.")] = None,  # noqa: UP045
) -> None:
    """Sample places, soils, parameters and structures, and run the process model over them.

    Without tiles all weather is that of the sites.
    """
    from ..config.settings import read_settings
    from ..config.synthesize import SynthesizeBlock
    from ..grid import get_grid
    from ..systems import get_system
    from .generate import synthesize

    report = synthesize(
        output,
        grid=get_grid(grid),
        tile_size=tile_size,
        system=get_system(system),
        attributes=attributes or (),
        forcing=forcing or (),
        sites_attributes=sites_attributes,
        sites_forcing=sites_forcing,
        settings=read_settings(SynthesizeBlock, settings),
        series=series or (),
    )
    print(
        f"{report.series} series, {report.site_days:,} site-days ({report.dropped} dropped) in {report.seconds:.1f} s",
        file=sys.stderr,
    )

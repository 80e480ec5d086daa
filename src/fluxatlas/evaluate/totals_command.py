"""``fluxatlas evaluate totals``; imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def totals(
    flux: Annotated[list[Path], typer.Option(help="Flux file of a tile and year; repeat for more.")],
    attributes: Annotated[list[Path], typer.Option(help="Attributes of a tile; repeat for all tiles.")],
    output: Annotated[Path, typer.Option(help="CSV file to write.")],
    system: Annotated[str, typer.Option(help="System that was run.")],
    coverage: Annotated[Path | None, typer.Option(help="Coverage of intervals at unseen sites (CSV).")] = None,
    settings: Annotated[str, typer.Option(help="The block 'evaluate' of the configuration as JSON.")] = "{}",
    domain: Annotated[str, typer.Option(help="Name of all that was run together.")] = "domain",
) -> None:
    """Totals with every map of the area and the uncertainty of whole maps, beside published ones."""
    from ..config.evaluate import EvaluateBlock
    from ..config.settings import read_settings
    from ..systems import get_system
    from .totals import write_totals

    block = read_settings(EvaluateBlock, settings)
    table = write_totals(output, flux, attributes, get_system(system), block, coverage, domain)
    typer.echo(f"{output}: {table['map'].nunique()} maps, {len(table)} rows", err=True)

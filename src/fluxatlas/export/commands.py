"""``fluxatlas export``: a finished run in the layouts of those who go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..paths import DEFAULT_CONFIG

app = typer.Typer(no_args_is_help=True, help="Write a finished run in the layouts of those who go on with it.")

Run = Annotated[Path, typer.Argument(help="Folder of a run with its product, such as results/demo.")]


Trained = Annotated[Path, typer.Argument(help="Folder of a run with trained members, or its folder 'train'.")]
Output = Annotated[Path, typer.Option(help="Folder for the files; those of the same name are replaced.")]


@app.command()
def card(run: Trained, output: Output) -> None:
    """The model card of an ensemble: what it was trained on, how good it is, what it must not be used for."""
    from .members import export_card

    export_card(run, output)
    typer.echo(f"wrote {output}", err=True)


@app.command()
def members(run: Trained, output: Output) -> None:
    """Trained members as ONNX files with their model card, one day with its state each, compared with torch."""
    from .members import export_members

    for one in export_members(run, output):
        typer.echo(f"{one.member}.onnx: within {one.departure:.1e} of a standard deviation of torch")
    typer.echo(f"wrote {output}", err=True)


@app.command()
def prior(
    run: Run,
    layout: Annotated[str, typer.Option(help="'hemco' (GEOS-Chem, IMI) or 'cams'.")],
    output: Annotated[Path, typer.Option(help="Folder to write; an older export is replaced.")],
    flux: Annotated[str, typer.Option(help="Flux of the product.", show_default="the first of the system")] = "",
    years: Annotated[str, typer.Option(help="Years, such as 2001 or 2001-2003.", show_default="all")] = "",
    error: Annotated[bool, typer.Option("--error/--no-error", help="Relative error of each cell.")] = True,
) -> None:
    """Daily and monthly fluxes to the atmosphere, kg m-2 s-1 of the gas, for atmospheric inversions."""
    from ..results import open_run
    from .prior import export_prior

    about = export_prior(open_run(run), output, layout, flux, years, error=error)
    for year, total in about["total_kg"].items():
        typer.echo(f"{year}: {total / 1e9:.6g} Tg {about['gas']} to the atmosphere")
    typer.echo(f"wrote {output}", err=True)


@app.command()
def crate(
    run: Run,
    config: Annotated[
        Path, typer.Option(help="The configuration of the run.", show_default="config/config.yaml")
    ] = DEFAULT_CONFIG,
    doi: Annotated[str, typer.Option(help="DOI that is registered for the product.")] = "",
    creator: Annotated[list[str] | None, typer.Option(help="'Family, Given' or an institution; repeat.")] = None,
    publisher: Annotated[str, typer.Option(help="Who publishes it, such as Zenodo.")] = "",
) -> None:
    """Describe a run in its folder: Workflow Run RO-Crate with checksums, and a DataCite record for its DOI."""
    from ..results import open_run
    from .crate import export_crate
    from .datacite import Publication

    count, lacking = export_crate(open_run(run), config, Publication(doi, tuple(creator or ()), publisher))
    typer.echo(f"{run}: ro-crate-metadata.json, {count} files with SHA-256")
    if lacking:
        typer.echo(f"no datacite.json: a record for a DOI needs {', '.join(lacking)}", err=True)
    else:
        typer.echo(f"{run}: datacite.json for {doi}")

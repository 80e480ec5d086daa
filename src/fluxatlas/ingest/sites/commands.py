"""``fluxatlas ingest sites``: the commands; each imports what it needs when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from ...errors import counted

app = typer.Typer(no_args_is_help=True, help="Towers and chambers: raw files to one checked site table.")


@app.callback()
def _sites() -> None:
    """Towers and chambers: raw files to one checked site table."""


@app.command()
def build(
    settings: Annotated[str, typer.Option(help="The block 'sites' of the configuration as JSON.")],
    output_dir: Annotated[
        str, typer.Option(help="Folder for sites.csv, observations.parquet, chambers.parquet, report.json and others.")
    ],
    input: Annotated[
        list[str] | None, typer.Option(help="A file that may be read; all must be named (repeat).")
    ] = None,
) -> None:
    """Read every configured source of sites, screen it and write the site table."""
    from ...config.settings import read_settings
    from ...config.sites import SitesBlock
    from .table import build as build_table

    block = read_settings(SitesBlock, settings)
    report = build_table(block, output_dir, input)
    for site, lines in report["sites"].items():
        for name, counts in lines["variables"].items():
            weather = name.startswith(("TA_", "SW_", "LW_", "VPD_", "PA_", "P_", "WS_"))
            if not weather or any(level["dropped"] for level in counts.values()):
                typer.echo(f"{site} {name}: " + "; ".join(level["text"] for level in counts.values()), err=True)
        for name, found in lines.get("chambers", {}).items():
            typer.echo(f"{site} {name}: {found['text']}", err=True)
    totals = report["totals"]
    weather = counted(totals["forcing_days"], "day")
    typer.echo(f"{counted(totals['sites'], 'site')}, {weather} of own meteorology", err=True)

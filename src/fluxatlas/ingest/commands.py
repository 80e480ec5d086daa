"""``fluxatlas ingest``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import typer

from ..testing.commands import app as synthetic_earth
from .sites.commands import app as sites

app = typer.Typer(no_args_is_help=True, help="Bring raw forcing and sites into canonical form.")
app.add_typer(sites, name="sites")
app.add_typer(synthetic_earth, name="synthetic-earth")

"""``fluxatlas ingest synthetic-earth``: the commands; each imports what it needs when it runs."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="TODO")

"""The command line: ``fluxatlas <stage> ...``, with one module of commands per stage.

Nothing heavy is imported here; each command imports what it needs when it runs.
"""

from __future__ import annotations

import importlib
import sys

import typer

from .errors import FluxAtlasError

STAGES = ("ingest", "regrid", "synthesize", "train", "infer", "products", "evaluate", "report")

app = typer.Typer(name="fluxatlas", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for name in (*STAGES, "config"):
    app.add_typer(importlib.import_module(f".{name}.commands", __package__).app, name=name)


def main() -> None:
    """Run the command line; a user's error is one message and exit status 1."""
    try:
        app()
    except FluxAtlasError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)

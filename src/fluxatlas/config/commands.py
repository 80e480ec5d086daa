"""``fluxatlas config``: check a configuration, and make what is made from the models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Check a configuration; write the generated files.")


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The YAML file to check.")]) -> None:
    """Check a configuration and say what it would run; nothing is written."""
    from ..run import Run
    from . import load

    run = Run(load(file))
    print(f"{file}: fine. {run.describe()}")


@app.command()
def generate() -> None:
    """Write config/config.yaml, config/schema.json and docs/configuration.md from the models."""
    from ..files import write_text
    from ..paths import IS_CLONE
    from .generate import files

    if not IS_CLONE:
        raise ConfigError("these files belong to the repository", hint="run it in a clone of fluxatlas")

    for path, text in files().items():
        write_text(path, text)
        print(path)

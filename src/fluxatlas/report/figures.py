"""Draw one figure of the catalogue to a file."""

from __future__ import annotations

from pathlib import Path

from ..config.report import ReportBlock
from ..errors import InputError
from ..style import house_style, save
from .catalogue import Inputs, figure_row


def write_figure(name: str, inputs: Inputs, output: str | Path, settings: ReportBlock | None = None) -> None:
    """Draw the figure ``name`` of :data:`~fluxatlas.report.catalogue.FIGURES` and write it as PNG to ``output``.

    Raises :class:`InputError` for an unknown figure or a kind of file it needs and does not get.
    """
    settings = settings or ReportBlock()
    row = figure_row(name)
    absent = [kind for kind in row.needs if not getattr(inputs, kind)]
    if absent:
        options = ", ".join(f"--{kind}" for kind in absent)
        raise InputError(f"the figure '{name}' needs more files", hint=f"give {options}")
    for kind in row.reads:
        for path in getattr(inputs, kind):
            if not Path(path).is_file():
                raise InputError("file not found", where=str(path), hint=f"make it before the figure '{name}'")
    with house_style(settings):
        save(row.function()(inputs, settings), output, settings)

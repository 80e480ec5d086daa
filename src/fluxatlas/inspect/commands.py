"""What ``fluxatlas inspect`` prints and writes; registered as a top-level command in :mod:`fluxatlas.cli`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, counted

if TYPE_CHECKING:
    from .report import Report


def run(
    paths: list[Path],
    *,
    plot: Path | None,
    as_json: bool,
    everything: bool,
    lacking: Callable[[Sequence[Report]], Sequence[str]] | None = None,
) -> int:
    """Inspect all paths; returns the exit code: 0 if every one of them can be used as input, else 1.

    ``lacking`` says of several files what a run needs beside them.
    Raises :class:`ConfigError` where ``plot`` is asked for more than one report.
    """
    from .draw import draw
    from .registry import expand, inspect_path
    from .screen import render
    from .together import judge

    reports = [inspect_path(path) for path in expand(paths)]
    joined = judge(reports)
    if plot is not None and len(reports) != 1:
        raise ConfigError(f"--plot draws one file, not {len(reports)}", where="--plot", hint="give one path")
    if as_json:
        print(json.dumps([report.as_dict() for report in reports], indent=1, ensure_ascii=False, allow_nan=False))
    else:
        color = sys.stdout.isatty()
        print("\n\n".join(render(report, color=color, everything=everything) for report in reports))
        if len(reports) > 1:
            usable = sum(report.usable for report in reports)
            print(f"\n{counted(len(reports), 'file')}: {usable} can be used as input, {len(reports) - usable} cannot")
            for title, lines in (("together", joined), ("still lacking", lacking(reports) if lacking else ())):
                if lines:
                    print("\n".join([title, *(f"  {line}" for line in lines)]))
    if plot is not None:
        draw(reports[0], plot)
    return 0 if all(report.usable for report in reports) else 1

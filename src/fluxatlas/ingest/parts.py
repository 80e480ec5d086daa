"""Parts of a long period that are on disk for good, so that ingest which was stopped goes on with the next one.

A part is some days of all pieces, in files of their own with checksums, in a hidden folder beside the pieces that is
named by all that the values depend on: after any change nothing of it is used, and it is removed. What the days before
have taught (which cells have data, what was mended) lies beside the files and is written after them, last of all. The
pieces are put together from the parts, so that they do not depend on how often ingest was stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..errors import InputError
from ..files import atomic, commit
from ..freshness import with_contents
from ..hashes import check_seal, settings_hash
from ..stages import STAGE_VERSIONS
from .coordinates import BBox, GridWindow
from .piece_files import PieceLayout
from .source import Source

PART_VALUES = 2e10
"""Raw values read for a part, about twelve minutes of a core; periods of less than two parts are not divided."""

Mask = npt.NDArray[np.bool_]
Known = tuple[dict[str, Any], dict[str, Mask]]
"""What was learnt so far: something that JSON holds, and cells by name."""


def identity(settings: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
    """What the values of pieces depend on beside their place and days: the ``settings`` of the block ``forcing``,
    ``hashes`` of all files by path, of folders (Zarr) the newest change as well, and the program."""
    changed = [(path, Path(path).stat().st_mtime_ns) for path in with_contents(hashes) if path not in hashes]
    return settings_hash([settings, dict(hashes), changed, STAGE_VERSIONS["ingest"], __version__, commit()])


class Parts:
    """The parts of a period in ``folder``/.<period>.<hash of the tiles>.parts; one alone where the period is short or
    nothing is kept. A job of other tiles may write at the same time.

    ``kept_for`` is what :func:`identity` says, empty to keep nothing.
    """

    def __init__(
        self,
        folder: Path,
        period: str,
        source: Source,
        layout: PieceLayout,
        window: GridWindow,
        tiles: Mapping[str, BBox],
        kept_for: str,
    ) -> None:
        days, step = layout.days.size, layout.chunk_days
        length = PART_VALUES / source.values_a_day(window, layout.variables)
        length = days if not kept_for or days < 2 * length else max(round(length / step), 1) * step
        self.spans = [slice(first, min(first + length, days)) for first in range(0, days, length)]
        self.top = folder / f".{period}.{settings_hash(sorted(tiles))}.parts"
        about = [kept_for, source.described, tiles, asdict(layout.options), layout.variables, step, length]
        self._folder = self.top / settings_hash([*about, *map(str, layout.days[[0, -1]])])
        self._tiles = list(tiles)
        if len(self.spans) == 1:
            self.remove()
        for other in self.top.glob("*"):
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def files(self, number: int) -> list[Path]:
        """The files of a part, one per tile."""
        return [self._folder / f"{number:03}" / f"{tile}.nc" for tile in self._tiles]

    def keep(self, number: int, known: Known) -> None:
        """State that the files of part ``number`` are complete, and what is ``known`` after it."""
        about, masks = known
        cells: dict[str, Any] = {f"cells_{name}": mask for name, mask in masks.items()}
        with atomic(self._known(number)) as partial, partial.open("wb") as handle:
            np.savez_compressed(handle, about=np.array(json.dumps(about)), **cells)

    def kept(self, number: int) -> Known | None:
        """What is known after part ``number``; None unless all of it is there and its checksums hold."""
        try:
            with np.load(self._known(number)) as held:
                masks = {name.removeprefix("cells_"): held[name] for name in held.files if name != "about"}
                about = json.loads(str(held["about"]))
            return (about, masks) if all(check_seal(path) for path in self.files(number)) else None
        except (OSError, ValueError, KeyError, BadZipFile, InputError):
            return None

    def remove(self) -> None:
        """Remove all parts: the pieces are complete."""
        shutil.rmtree(self.top, ignore_errors=True)

    def _known(self, number: int) -> Path:
        return self._folder / f"{number:03}.npz"

"""A temporary store on disk through which workers hand packed daily values to the one writer.

One raw int16 file per variable, in sections of consecutive days; inside a section cells run slowest, so that a block of
cells is one contiguous write and a section one contiguous read. Nothing is kept in memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

ITEM = 2
"""Bytes of one value."""


@dataclass(frozen=True)
class Store:
    """Daily int16 values of ``cells`` cells over ``days`` days in ``folder``, in sections of ``chunk`` days.

    ``members``: how many members' own fluxes it holds (:func:`member_name`) beside the statistics of the ensemble.
    """

    folder: str
    cells: int
    days: int
    chunk: int
    members: int = 0

    @property
    def sections(self) -> list[slice]:
        """Days of each section, in order."""
        return sections(self.days, self.chunk)

    def _file(self, name: str) -> Path:
        return Path(self.folder) / f"{name}.int16"

    def create(self, names: Sequence[str]) -> None:
        """Make the files of the variables ``names`` in their full length (sparse)."""
        for name in names:
            with self._file(name).open("wb") as handle:
                handle.truncate(self.cells * self.days * ITEM)

    def write(self, name: str, days: slice, start: int, values: npt.NDArray[np.int16]) -> None:
        """Put ``values`` (time, cell) of the section ``days`` for the cells from ``start`` on."""
        length = days.stop - days.start
        offset = (days.start * self.cells + start * length) * ITEM
        block = np.ascontiguousarray(values.T, dtype=np.int16)
        handle = os.open(self._file(name), os.O_WRONLY)
        try:
            if os.pwrite(handle, block.tobytes(), offset) != block.nbytes:
                raise OSError(f"short write to {self._file(name)}: the disk is full")
        finally:
            os.close(handle)

    def read(self, name: str, days: slice) -> npt.NDArray[np.int16]:
        """The section ``days`` of all cells as (time, cell)."""
        length = days.stop - days.start
        offset = days.start * self.cells * ITEM
        values = np.fromfile(self._file(name), np.int16, count=self.cells * length, offset=offset)
        return values.reshape(self.cells, length).T


def member_name(flux: str, member: int) -> str:
    """The name of the daily values of one member in a :class:`Store`."""
    return f"{flux}-{member}"


def sections(days: int, chunk: int) -> list[slice]:
    """Consecutive slices of at most ``chunk`` days that cover ``days``."""
    return [slice(start, min(start + chunk, days)) for start in range(0, days, chunk)]

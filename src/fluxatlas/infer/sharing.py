"""How the cells of a tile are cut into blocks, and what these share the cores by.

Threads are the rule: torch and the regridding kernels release the interpreter lock, and on 2 cores two threads were
measured to take the same processor time as one (20.5 and 20.0 s), whereas each further process costs 3-4 s of start and
400 MB. Processes are for many cores, where the rest of Python would queue for the lock; see :func:`choose_scheduler`.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_THREADS = 8
"""Workers above which processes are used (our choice; not measured on so many cores)."""

STRIPE = 512
"""Cells of the state that are held at once on the way from and to its file."""

SMALLEST = 64
"""Cells of a block below which the network's matrices are too small to be worth splitting."""


@dataclass(frozen=True)
class CellBlock:
    """Cells ``start`` to ``stop`` (exclusive) of the list of active cells."""

    start: int
    stop: int


def make_blocks(cells: int, size: int, workers: int = 1) -> list[CellBlock]:
    """Blocks of at most ``size`` consecutive cells that cover ``cells``.

    For several ``workers`` there are at least four each, as far as a block then still has :data:`SMALLEST` cells.
    """
    if workers > 1:
        size = min(size, max(SMALLEST, -(-cells // (4 * workers))))
    return [CellBlock(start, min(start + size, cells)) for start in range(0, cells, size)]


def choose_scheduler(scheduler: str, workers: int, blocks: int) -> str:
    """``serial``, ``threads`` or ``processes`` for ``blocks`` blocks; ``scheduler`` unless that is ``auto``."""
    if workers == 1 or blocks == 1:
        return "serial"
    if scheduler != "auto":
        return scheduler
    return "processes" if workers > MOST_THREADS else "threads"

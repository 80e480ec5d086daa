"""Memory of a job, predicted from shapes before it starts. Imports nothing heavy: ``plan`` uses it too."""

from __future__ import annotations

from ..errors import MemoryLimitError

PROCESS = 420e6
"""Bytes of a process that has imported torch, xarray and the rest and done nothing (measured: 390-420 MB)."""

FLOAT = 4


def predict(
    *,
    tile_cells: int,
    land_cells: int,
    days: int = 365,
    members: int = 3,
    hidden: int = 32,
    block: int = 384,
    time_chunk: int = 73,
    piece_cells: int = 400,
    forcing: int = 9,
    outputs: int = 6,
    submodules: int = 3,
    layers: int = 1,
    workers: int = 1,
    processes: bool = False,
) -> int:
    """Peak bytes of a tile-year over the whole job.

    ``tile_cells`` and ``land_cells`` of the target grid, ``piece_cells`` of the source grid in the piece; ``outputs``
    counts daily variables on disk; ``hidden`` is the width of the state of each of ``submodules``. Blocks are held by
    ``workers`` at once; with ``processes`` each also holds its own libraries and forcing piece, beside those of the
    main process.
    """
    copies = workers + 1 if processes else 1
    piece = piece_cells * days * FLOAT * (forcing + 2)  # two more while one variable is decoded
    attributes = tile_cells * FLOAT * 40 + land_cells * FLOAT * 25
    state = 3 * land_cells * members * submodules * layers * hidden * FLOAT  # read, returned, joined
    concurrent = min(block, land_cells) * workers
    working = concurrent * min(time_chunk, days) * FLOAT * (6 * hidden + 4 * forcing + (members + 4) * outputs)
    working += concurrent * days * FLOAT * 12  # climate for the applicability index
    writing = tile_cells * min(time_chunk, days) * 2 * 3 + land_cells * FLOAT * (members + 1) * outputs
    return int(copies * (PROCESS + piece + attributes) + state + working + writing)


def refuse_above(predicted: int, allowed_mb: int, *, where: str) -> None:
    """Raise :class:`MemoryLimitError` where ``predicted`` bytes exceed ``allowed_mb`` (of 1e6 bytes)."""
    if predicted > allowed_mb * 1e6:
        raise MemoryLimitError(
            f"the job is predicted to need {predicted / 1e6:,.0f} MB, {allowed_mb:,} MB are allowed",
            where=where,
            hint="allow more (infer.memory_mb or --memory-mb), use fewer workers, or make tiles smaller",
        )

"""Memory of a job, predicted from shapes before it starts. Imports nothing heavy: ``plan`` uses it too."""

from __future__ import annotations

from ..config.infer import InferBlock
from ..errors import MemoryLimitError
from ..systems import System
from ..train.states import NetworkShape
from .sharing import STRIPE, choose_scheduler, make_blocks

PROCESS = 420e6
"""Bytes of a process that has imported torch, xarray and the rest and done nothing (measured: 390-420 MB)."""

FLOAT = 4


def of_tile(
    settings: InferBlock,
    system: System,
    *,
    tile_cells: int,
    land_cells: int,
    piece_cells: int,
    days: int,
    members: int,
    shape: NetworkShape,
    student: bool = False,
) -> int:
    """Peak bytes of a tile-year; what ``plan`` says and what inference checks before it starts.

    ``tile_cells`` and ``land_cells`` of the target grid, ``piece_cells`` of the source grid in the forcing piece;
    ``shape`` of the networks, or of the one ``student`` of the members. Work on a Dask cluster of its own is not
    counted.
    """
    blocks = len(make_blocks(land_cells, settings.block_cells, settings.workers))
    scheduler = choose_scheduler(settings.scheduler, settings.workers, blocks)
    return predict(
        tile_cells=tile_cells,
        land_cells=land_cells,
        days=days,
        members=members,
        state=shape.state // members if student else shape.state,  # one network has one
        working=shape.working(min(settings.time_chunk, days)),
        block=settings.block_cells,
        time_chunk=settings.time_chunk,
        piece_cells=piece_cells,
        forcing=len(system.forcing),
        outputs=len(system.outputs) + sum(name not in system.intermediates for name in system.outputs),
        workers=1 if scheduler == "serial" else settings.workers,
        processes=scheduler == "processes",
    )


def predict(
    *,
    tile_cells: int,
    land_cells: int,
    days: int,
    members: int,
    state: int,
    working: float,
    block: int,
    time_chunk: int,
    piece_cells: int,
    forcing: int,
    outputs: int,
    workers: int,
    processes: bool,
) -> int:
    """Peak bytes of a tile-year over the whole job.

    ``tile_cells`` and ``land_cells`` of the target grid, ``piece_cells`` of the source grid in the piece; ``outputs``
    counts daily variables on disk; ``state`` are the numbers of a network's state and ``working`` those that it holds
    while it runs, per cell. Blocks are held by ``workers`` at once; with ``processes`` each also holds its own
    libraries and forcing piece, beside those of the main process.
    """
    copies = workers + 1 if processes else 1
    piece = piece_cells * days * FLOAT * (forcing + 2)  # two more while one variable is decoded
    attributes = tile_cells * FLOAT * 40 + land_cells * FLOAT * 25
    concurrent = min(block, land_cells) * workers
    states = (3 * concurrent + 2 * min(STRIPE, land_cells)) * members * state * FLOAT  # blocks; its files by stripes
    daily = 4 * forcing + (members + 4) * outputs
    running = concurrent * FLOAT * (working + min(time_chunk, days) * daily)
    running += concurrent * days * FLOAT * 12  # climate for the applicability index
    writing = tile_cells * min(time_chunk, days) * 2 + land_cells * FLOAT * (members + 1) * outputs
    return int(copies * (PROCESS + piece + attributes) + states + running + writing)


def refuse_above(predicted: int, allowed_mb: int, *, where: str) -> None:
    """Raise :class:`MemoryLimitError` where ``predicted`` bytes exceed ``allowed_mb`` (of 1e6 bytes)."""
    if predicted > allowed_mb * 1e6:
        raise MemoryLimitError(
            f"the job is predicted to need {predicted / 1e6:,.0f} MB, {allowed_mb:,} MB are allowed",
            where=where,
            hint="allow more (infer.memory_mb or --memory-mb), use fewer workers, or make tiles smaller",
        )

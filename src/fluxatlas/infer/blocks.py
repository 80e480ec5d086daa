"""Spreading blocks of cells over the cores of a job, or over a running Dask cluster.

Threads are the rule: torch and the regridding kernels release the interpreter lock, and on 2 cores two threads were
measured to take the same processor time as one (20.5 and 20.0 s), whereas each further process costs 3-4 s of start and
400 MB. Processes are for many cores, where the rest of Python would queue for the lock; see :func:`choose_scheduler`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ..errors import FluxAtlasError, InputError
from .kernel import Block, BlockResult, Job, run_block
from .state import EnsembleState

MOST_THREADS = 8
"""Workers above which processes are used (our choice; not measured on so many cores)."""


def make_blocks(cells: int, size: int, workers: int = 1) -> list[Block]:
    """Blocks of at most ``size`` consecutive cells that cover ``cells``.

    For several ``workers`` there are at least four each, as far as a block then still has :data:`SMALLEST` cells.
    """
    if workers > 1:
        size = min(size, max(SMALLEST, -(-cells // (4 * workers))))
    return [Block(start, min(start + size, cells)) for start in range(0, cells, size)]


def choose_scheduler(scheduler: str, workers: int, blocks: int) -> str:
    """``serial``, ``threads`` or ``processes`` for ``blocks`` blocks; ``scheduler`` unless that is ``auto``."""
    if workers == 1 or blocks == 1:
        return "serial"
    if scheduler != "auto":
        return scheduler
    return "processes" if workers > MOST_THREADS else "threads"


CONNECT_SECONDS = 20.0

SMALLEST = 64
"""Cells of a block below which the network's matrices are too small to be worth splitting."""


class Progress:
    """One line to stderr per tenth of the work, at most."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done, self.told = title, total, 0, 0
        self.begin = time.perf_counter()

    def step(self, *_: Any) -> None:
        self.done += 1
        tenth = 10 * self.done // self.total
        if tenth > self.told:
            self.told = tenth
            elapsed = time.perf_counter() - self.begin
            print(f"{self.title}: {self.done} of {self.total} blocks, {elapsed:.1f} s", file=sys.stderr, flush=True)


def run_blocks(
    job: Job, blocks: Sequence[Block], state: EnsembleState | None, *, workers: int, scheduler: str, title: str
) -> Iterator[BlockResult]:
    """Results of all blocks in any order; with ``settings.dask_address`` they run on that cluster.

    ``scheduler`` is ``serial``, ``threads`` or ``processes``. Raises what a block raises.
    """
    progress = Progress(title, len(blocks))
    tasks = [(block, None if state is None else _part(state, block)) for block in blocks]
    if job.settings.dask_address:
        yield from _on_cluster(job, tasks, progress)
    elif scheduler == "serial":
        _one_thread()
        for block, begin in tasks:
            yield run_block(job, block, begin)
            progress.step()
    else:
        yield from _on_cores(job, tasks, workers, scheduler, progress)


def _part(state: EnsembleState, block: Block) -> EnsembleState:
    return {name: values[:, :, block.start : block.stop] for name, values in state.items()}


def _on_cores(job: Job, tasks: list[Any], workers: int, scheduler: str, progress: Progress) -> list[BlockResult]:
    import dask
    from dask.callbacks import Callback

    options: dict[str, Any] = {"scheduler": scheduler, "num_workers": min(workers, len(tasks))}
    if scheduler == "threads":
        _one_thread()
    else:
        options |= {"initializer": _one_thread, "chunksize": 1}
    work = [dask.delayed(partial(run_block, job), pure=False, traverse=False)(*task) for task in tasks]
    with Callback(posttask=progress.step):
        try:
            return list(dask.compute(*work, **options, traverse=False))
        except FluxAtlasError as problem:  # Dask wraps an error of another process
            raise getattr(problem, "exception", problem) from None


def _on_cluster(job: Job, tasks: list[Any], progress: Progress) -> Iterator[BlockResult]:
    from distributed import Client, as_completed

    address = job.settings.dask_address
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as problem:
        hint = "start one with `dask scheduler` and `dask worker`, or leave infer.dask_address empty"
        raise InputError(f"no Dask scheduler answers ({problem})", where=address, hint=hint) from problem
    with client:
        client.run(_one_thread)
        futures = [client.submit(run_block, job, *task, pure=False) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
            progress.step()


def _one_thread() -> None:
    """Let torch use one thread in this process: blocks are spread over the cores instead."""
    import torch

    torch.set_num_threads(1)

"""Running blocks of cells on the cores of a job, or on a running Dask cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..dask_cluster import on_cluster
from ..errors import FluxAtlasError, counted
from .kernel import BlockResult, Job, run_block
from .sharing import CellBlock


class CellProgress:
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
    job: Job, blocks: Sequence[CellBlock], *, workers: int, scheduler: str, title: str
) -> Iterator[BlockResult]:
    """Results of all blocks in any order; with ``settings.dask_address`` they run on that cluster.

    ``scheduler`` is ``serial``, ``threads`` or ``processes``. Raises what a block raises.
    """
    progress = CellProgress(title, len(blocks))
    if job.settings.dask_address:
        yield from _on_cluster(job, blocks, progress)
    elif scheduler == "serial":
        _one_thread()
        for block in blocks:
            yield run_block(job, block)
            progress.step()
    else:
        yield from _on_cores(job, blocks, workers, scheduler, progress)


def _on_cores(
    job: Job, blocks: Sequence[CellBlock], workers: int, scheduler: str, progress: CellProgress
) -> list[BlockResult]:
    import dask
    from dask.callbacks import Callback

    options: dict[str, Any] = {"scheduler": scheduler, "num_workers": min(workers, len(blocks))}
    if scheduler == "threads":
        _one_thread()
    else:
        options |= {"initializer": _one_thread, "chunksize": 1}
    work = [dask.delayed(partial(run_block, job), pure=False, traverse=False)(block) for block in blocks]
    with Callback(posttask=progress.step):
        try:
            return list(dask.compute(*work, **options, traverse=False))
        except FluxAtlasError as problem:  # Dask wraps an error of another process
            raise getattr(problem, "exception", problem) from None


def _on_cluster(job: Job, blocks: Sequence[CellBlock], progress: CellProgress) -> Iterator[BlockResult]:
    job = _absolute(job)
    for result in on_cluster(
        job.settings.dask_address,
        "infer.dask_address",
        _run_alone,
        ((job, block) for block in blocks),
        what=f"{counted(len(blocks), 'block')} of cells",
        lighter="lower infer.time_chunk and infer.block_cells",
    ):
        yield result
        progress.step()


def _run_alone(job: Job, block: CellBlock) -> BlockResult:
    """:func:`run_block` on a worker that may have come after the others."""
    _one_thread()
    return run_block(job, block)


def _absolute(job: Job) -> Job:
    """``job`` for workers that were started in another folder."""
    stores: dict[str, Any] = {
        name: one and replace(one, folder=str(Path(one.folder).absolute()))
        for name, one in (("store", job.store), ("state_out", job.state_out), ("state_in", job.state_in))
    }
    forcing, members = (tuple(str(Path(path).absolute()) for path in paths) for paths in (job.forcing, job.members))
    attributes, student = (str(Path(path).absolute()) if path else "" for path in (job.attributes, job.student))
    return replace(job, forcing=forcing, members=members, attributes=attributes, student=student, **stores)


def _one_thread() -> None:
    """Let torch use one thread in this process: blocks are spread over the cores instead."""
    import torch

    torch.set_num_threads(1)

"""Running blocks of cells on the cores of a job, or on a running Dask cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import FluxAtlasError, InputError, MemoryLimitError, counted
from .kernel import BlockResult, Job, run_block
from .sharing import CellBlock

CONNECT_SECONDS = 20.0
WORKER_SECONDS = 300.0
"""After this time without the end of a block workers are counted; where there is none, the job gives up."""


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
    from distributed import Client, KilledWorker, wait

    address = job.settings.dask_address
    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as problem:
        hint = "start one with `dask scheduler` and `dask worker`, or leave infer.dask_address empty"
        raise InputError(f"no Dask scheduler answers ({problem})", where=address, hint=hint) from problem
    with client:
        job = _absolute(job)
        waiting = {client.submit(_run_alone, job, block, pure=False) for block in blocks}
        while waiting:
            try:
                done, waiting = wait(waiting, timeout=WORKER_SECONDS, return_when="FIRST_COMPLETED")
            except TimeoutError:
                if client.nthreads():
                    continue
                hint = f"start some with `dask worker {address}`, and make the files again; or empty infer.dask_address"
                what = f"no Dask worker is there for {counted(len(waiting), 'block')} of cells"
                raise InputError(what, where=address, hint=hint) from None
            for future in done:
                try:
                    yield future.result()
                except KilledWorker as problem:
                    hint = "give workers more memory (--memory-limit), or lower infer.time_chunk and infer.block_cells"
                    raise MemoryLimitError(
                        f"Dask workers died of a block ({problem})", where=address, hint=hint
                    ) from None
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

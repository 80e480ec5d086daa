"""Work on a running Dask cluster that is given by its address: results in order, and words where it fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import InputError, MemoryLimitError

CONNECT_SECONDS = 20.0
WORKER_SECONDS = 300.0
"""After this time without the next result workers are counted; where there is none, the job gives up."""


def on_cluster(
    address: str, leaf: str, function: Callable[..., Any], items: Iterable[tuple[Any, ...]], *, what: str, lighter: str
) -> Iterator[Any]:
    """``function(*item)`` for each of ``items`` on the workers of the cluster at ``address``, in their order.

    A few more than the workers have threads are on their way at a time, so that results do not pile up. ``leaf`` of the
    configuration named the address, ``what`` is worked on, ``lighter`` is what to do where workers die of it.

    Raises :class:`InputError` where no scheduler answers or no worker is left, :class:`MemoryLimitError` where workers
    die, and what ``function`` raises.
    """
    from distributed import Client, KilledWorker, wait

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as problem:
        hint = f"start one with `dask scheduler` and `dask worker`, or leave {leaf} empty"
        raise InputError(f"no Dask scheduler answers ({problem})", where=address, hint=hint) from problem
    with client:
        left, waiting = iter(items), deque[Any]()
        while True:
            threads = sum(client.nthreads().values())
            while len(waiting) < max(2 * threads, 2):
                item = next(left, None)
                if item is None:
                    break
                waiting.append(client.submit(function, *item, pure=False))
            if not waiting:
                return
            try:
                wait(waiting[0], timeout=WORKER_SECONDS)
            except TimeoutError:
                if client.nthreads():
                    continue
                hint = f"start some with `dask worker {address}`, and make the files again; or empty {leaf}"
                raise InputError(f"no Dask worker is there for {what}", where=address, hint=hint) from None
            try:
                yield waiting.popleft().result()
            except KilledWorker as problem:
                hint = f"give workers more memory (--memory-limit), or {lighter}"
                raise MemoryLimitError(f"Dask workers died of {what} ({problem})", where=address, hint=hint) from None

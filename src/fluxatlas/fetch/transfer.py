"""What is the same for every route: one writer per file, checksum, check, provenance, and only then the final name."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError, FetchError, FluxAtlasError
from ..files import commit, write_text
from ..loading import load_object
from . import checksum as sums
from .check import check
from .datasets import describe
from .http import Patience, get_text, state_file
from .items import Item
from .progress import TransferProgress
from .secrets import guard_logs, scrub


@dataclass(frozen=True)
class Delivery:
    """What a route says about the partial file that it filled."""

    source: str
    """Address or request that it came from, without credentials."""
    checksum: str = ""
    """'<algorithm>:<digits>' that the provider states; empty: none."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is worth a line in the provenance."""


@dataclass(frozen=True)
class TransferContext:
    """What a route needs besides the item."""

    patience: Patience
    progress: TransferProgress


Route = Callable[[Item, Path, TransferContext], Delivery]
"""Fills the partial file (continuing what is there) or raises :class:`FetchError`."""


def obtain(item: Item, context: TransferContext) -> bool:
    """Get the file of ``item``; ``False`` if it is there already.

    Raises :class:`FetchError`, with nothing under the final name, where it cannot be got or is not what was asked for.
    A damaged file is thrown away; one that broke off stays as a hidden partial file and is continued next time.
    """
    if item.target.exists():
        _same_request(item)
        return False
    try:
        with _claimed(item.target) as partial:
            if item.target.exists():  # another process was faster
                return False
            delivery = _route(item.recipe.route)(item, partial, context)
            expected = _stated(item, delivery, context.patience)
            try:
                if expected:
                    sums.verify(partial, expected, where=item.target.name)
                content = check(partial, item)
            except FluxAtlasError:
                _discard(partial)
                raise
            _finish(item, partial, delivery, {"checksum": str(expected or "none offered"), "content": content})
            return True
    finally:
        context.progress.done(item.target.name)


def obtain_all(items: Sequence[Item], *, jobs: int, patience: Patience) -> tuple[int, list[FluxAtlasError]]:
    """Get all ``items``, ``jobs`` at a time; returns how many were fetched, and the errors of those that failed."""
    guard_logs()
    errors: list[FluxAtlasError] = []
    with TransferProgress(len(items)) as progress, ThreadPoolExecutor(max_workers=jobs) as pool:
        context = TransferContext(patience, progress)

        def work(item: Item) -> bool:
            progress.start(item.target.name)
            try:
                return obtain(item, context)
            except FluxAtlasError as problem:
                clean = type(problem)(scrub(problem.what), where=scrub(problem.where), hint=problem.hint)
                progress.say(f"  {item.target.name}: failed: {clean.what}")
                errors.append(clean)
                return False

        futures = [pool.submit(work, item) for item in items]
        try:
            fetched = sum(future.result() for future in futures)
        except BaseException:  # Ctrl-C, or an error of ours: do not start what waits
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return fetched, errors


def provenance_file(target: Path) -> Path:
    """Where the provenance of ``target`` lies."""
    return target.with_name(target.name + ".json")


def _route(name: str) -> Route:
    """The function of a route; imported now, since the providers' clients are heavy and optional."""
    try:
        deliver: Route = load_object(f"{__package__}.routes.{name}:deliver")
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"the package '{problem.name}' is not installed",
            where="fluxatlas fetch",
            hint="pip install 'fluxatlas[fetch]'",
        ) from None
    return deliver


def _same_request(item: Item) -> None:
    """A file that was fetched with another request (another box, say) must not pass for this one."""
    try:
        known = json.loads(provenance_file(item.target).read_text(encoding="utf-8")).get("request")
    except (OSError, ValueError):
        return  # not fetched by us: a local archive
    differing = [key for key, value in item.request.items() if known and known.get(key) != value]
    if differing:
        key = differing[0]
        raise FetchError(
            f"the file is there but was fetched with another {key}: {known.get(key)} instead of {item.request[key]}",
            where=str(item.target),
            hint="delete it to fetch it again, or choose another folder",
        )


@contextlib.contextmanager
def _claimed(target: Path) -> Iterator[Path]:
    """The partial file beside ``target``, for this process alone."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock").open("w")
    except OSError as problem:
        raise FetchError(
            f"cannot be written ({problem.strerror})", where=str(target.parent), hint="choose another folder"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock.fileno()).st_nlink == 0:  # the one who had it has just finished
                raise OSError
        except OSError:
            raise FetchError(
                "another process is fetching this file", where=str(target), hint="wait for it, or stop it"
            ) from None
        try:
            yield target.with_name(f".{target.name}.part")
        finally:
            Path(lock.name).unlink(missing_ok=True)


def _discard(partial: Path) -> None:
    """Remove a partial file and what the routes keep beside it."""
    for path in (partial, state_file(partial), job_file(partial)):
        path.unlink(missing_ok=True)


def job_file(partial: Path) -> Path:
    """Where a route keeps the number of its request at the provider."""
    return partial.with_name(partial.name + ".job")


def _stated(item: Item, delivery: Delivery, patience: Patience) -> sums.Checksum | None:
    """The checksum that the recipe or the provider states; ``None`` if neither does."""
    stated = item.fill(item.recipe.checksum)
    if not stated.startswith(("http://", "https://")):
        return sums.parse(stated) or sums.parse(delivery.checksum)
    name = delivery.source.rpartition("/")[2] or item.target.name
    expected = sums.parse(get_text(stated, patience=patience), name)
    if expected is None:
        raise FetchError(f"no checksum of {name} in the list", where=stated, hint="correct 'checksum' of the recipe")
    return expected


def _finish(item: Item, partial: Path, delivery: Delivery, facts: dict[str, Any]) -> None:
    """Write the provenance, then give the file its name: what has its name has its provenance."""
    record = {
        "file": item.target.name,
        "bytes": partial.stat().st_size,
        "sha256": sums.digest(partial, "sha256"),
        "fetched": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "source": delivery.source,
        "request": item.request,
        **delivery.facts,
        **facts,
        **describe(item.recipe.dataset),
        "fluxatlas_version": __version__,
        "fluxatlas_commit": commit(),
    }
    write_text(provenance_file(item.target), scrub(json.dumps(record, indent=1, ensure_ascii=False)) + "\n")
    with partial.open("rb") as handle:
        os.fsync(handle.fileno())
    partial.replace(item.target)
    _discard(partial)

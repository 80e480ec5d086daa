"""What a fetch says while it runs: bars on a terminal, else a line per file and twice a minute."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

from .secrets import scrub

EVERY = 30.0
"""Seconds between two lines about the same file where there is no terminal."""


class TransferProgress:
    """Progress of several files at once; may be called from several threads."""

    def __init__(self, total: int) -> None:
        self.total, self.started = total, 0
        self._lock = threading.Lock()
        self._said: dict[str, float] = {}
        self._tasks: dict[str, Any] = {}
        self._bars = _bars() if sys.stderr.isatty() else None

    def __enter__(self) -> TransferProgress:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def start(self, name: str) -> None:
        """Work on the file ``name`` begins."""
        with self._lock:
            self.started += 1
            self._said[name] = time.monotonic()
        self.say(f"[{self.started}/{self.total}] {name}")

    def say(self, text: str) -> None:
        """Print a line; credentials are taken out."""
        line = scrub(text)
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def bytes(self, name: str, received: int, size: int | None) -> None:
        """``received`` of ``size`` bytes of the file ``name`` are there."""
        if self._bars:
            with self._lock:
                if name not in self._tasks:
                    self._tasks[name] = self._bars.add_task(name, total=size)
            self._bars.update(self._tasks[name], completed=received, total=size)
            return
        now = time.monotonic()
        with self._lock:
            due = now - self._said.get(name, now) >= EVERY
            if due:
                self._said[name] = now
        if due:
            share = f" of {size / 1e6:,.1f} MB ({100 * received / size:.0f} %)" if size else " MB"
            self.say(f"  {name}: {received / 1e6:,.1f}{share}")

    def done(self, name: str) -> None:
        """The file ``name`` is finished, or given up."""
        task = self._tasks.pop(name, None)
        if self._bars and task is not None:
            self._bars.remove_task(task)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)

"""``fluxatlas status --watch``: how far each stage is, again and again until everything is made.

Snakemake is asked once. Then a look lists each folder that still lacks files, and opens none: the cost grows with the
number of those folders (a tile has one), not with what is in the files, and no lock is taken.
"""

from __future__ import annotations

import os
import sys
import time
from base64 import urlsafe_b64decode
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import counted
from .progress import duration
from .status import FileStatus, stage_of

if TYPE_CHECKING:
    from rich.table import Table

WINDOW = 900.0
"""Seconds over which the rate of a stage is taken."""


@dataclass
class StageFiles:
    """Output files of one stage: all, made, being made now; ``seen``: (seconds, made) of the looks in the window."""

    name: str
    total: int = 0
    made: int = 0
    working: int = 0
    seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, now: float) -> None:
        """Keep how many are made at ``now`` [s] and forget what lies before the window."""
        self.seen.append((now, self.made))
        while len(self.seen) > 2 and now - self.seen[1][0] >= WINDOW:
            self.seen.popleft()

    def seconds_left(self) -> float | None:
        """Seconds to its end at the rate of the window; None where nothing was made in it."""
        (first, before), (last, made) = self.seen[0], self.seen[-1]
        return (self.total - made) * (last - first) / (made - before) if made > before else None

    @property
    def left(self) -> str:
        """How it stands, in a word or two."""
        if self.made == self.total:
            return "done"
        seconds = self.seconds_left()
        return f"about {duration(seconds)}" if seconds is not None else "under way" if self.working else ""


class Watch:
    """The stages of a run whose outputs are ``files``, in ``folder``, where Snakemake works.

    A file that is missing counts as made once it is there, a stale one once it is another than at the start.
    """

    def __init__(self, root: str, files: Sequence[FileStatus], folder: Path = Path()) -> None:
        self.stages: dict[str, StageFiles] = {}
        self.lacking: dict[Path, dict[str, tuple[StageFiles, int]]] = {}
        self.folder = folder
        self.seconds = 0.0
        for file in files:
            name = stage_of(root, file.path)
            stage = self.stages.setdefault(name, StageFiles(name))
            stage.total += 1
            stage.made += file.state == "done"
            if file.state != "done":
                path = Path(file.path)
                stamp = _stamp(folder / path) if file.state == "stale" else 0
                self.lacking.setdefault(path.parent, {})[path.name] = stage, stamp

    @property
    def done(self) -> bool:
        """Whether everything is made."""
        return not self.lacking

    @property
    def at_work(self) -> bool:
        """Whether a workflow holds the lock of the folder, which is looked at and left alone."""
        return bool(_names(self.folder / ".snakemake" / "locks"))

    def look(self, now: float | None = None) -> None:
        """List the folders that lack files, and the marks of jobs that run; ``now`` in seconds of any clock."""
        began = time.perf_counter()
        for parent in list(self.lacking):
            names = self.lacking[parent]
            for entry in _names(self.folder / parent).intersection(names):
                stage, before = names[entry]
                if not before or _stamp(self.folder / parent / entry) != before:
                    stage.made += 1
                    del names[entry]
            if not names:
                del self.lacking[parent]
        self._running()
        for stage in self.stages.values():
            stage.note(time.monotonic() if now is None else now)
        self.seconds = time.perf_counter() - began

    def _running(self) -> None:
        """Count the files that Snakemake has marked as begun (``.snakemake/incomplete``) and that are not made."""
        for stage in self.stages.values():
            stage.working = 0
        for mark in _names(self.folder / ".snakemake" / "incomplete"):
            try:
                path = Path(urlsafe_b64decode(mark).decode())
            except ValueError:  # the begin of a name that is longer than a file system takes
                continue
            if path.name in (names := self.lacking.get(path.parent, {})):
                names[path.name][0].working += 1

    def line(self) -> str:
        """All stages that are not done in one line."""
        parts = [
            f"{sum(s.made for s in self.stages.values()):,} of {sum(s.total for s in self.stages.values()):,} files"
        ]
        for stage in self.stages.values():
            if stage.made < stage.total and (stage.working or stage.seconds_left() is not None or not self.at_work):
                word = f" ({stage.left})" if stage.left else ""
                parts.append(f"{stage.name} {stage.made:,} of {stage.total:,}{word}")
        return ", ".join(parts) + ("" if self.at_work or self.done else "; no workflow is at work here")

    def table(self) -> Table:
        """All stages as a table for a terminal."""
        from rich.table import Table

        looked = f"{counted(len(self.lacking), 'folder')} lacking files, looked at in {1000 * self.seconds:.0f} ms"
        note = "" if self.at_work or self.done else "; no workflow is at work here"
        found = Table(caption=f"{time.strftime('%H:%M:%S')}: {looked}{note}", caption_justify="left")
        for head in ("stage", "files made", "of", "being made", "time left"):
            found.add_column(head, justify="left" if head in ("stage", "time left") else "right")
        for stage in self.stages.values():
            working = f"{stage.working:,}" if stage.working else ""
            found.add_row(stage.name, f"{stage.made:,}", f"{stage.total:,}", working, stage.left)
        return found


def _names(folder: Path) -> set[str]:
    """Names in a folder; none where it does not exist."""
    try:
        return {entry.name for entry in os.scandir(folder)}
    except OSError:
        return set()


def _stamp(path: Path) -> int:
    """Time of the last change of a file [ns], 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def watch(state: Watch, every: float, wait: Callable[[float], None] = time.sleep) -> None:
    """Show ``state`` every so many seconds until everything is made, or Ctrl-C: a table on a terminal, else lines."""
    try:
        if sys.stdout.isatty():
            _in_place(state, every, wait)
        else:
            _in_lines(state, every, wait)
    except KeyboardInterrupt:
        print("no longer watched; the run itself goes on", file=sys.stderr)


def _in_place(state: Watch, every: float, wait: Callable[[float], None]) -> None:
    from rich.live import Live

    with Live(auto_refresh=False) as live:
        while True:
            state.look()
            live.update(state.table(), refresh=True)
            if state.done:
                return
            wait(every)


def _in_lines(state: Watch, every: float, wait: Callable[[float], None]) -> None:
    while True:
        state.look()
        print(f"{time.strftime('%H:%M:%S')}  {state.line()}", flush=True)
        if state.done:
            return
        wait(every)

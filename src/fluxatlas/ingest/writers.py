"""Writing the files of many pieces by several processes, each of which holds its share of them open.

The NetCDF library uses one core of a process, and a process may open a limited number of files; with several writers
neither limits the whole. They are forked, so they start at once. Days reach them through a few buffers in memory that
all share: some are written to the files while the next ones are filled.
"""

from __future__ import annotations

import gc
import mmap
import os
import resource
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import FluxAtlasError
from ..files import NETCDF
from .piece_files import PieceFiles, PieceLayout, PieceWriter, Values

Field = npt.NDArray[np.float32]
Shape = tuple[int, int]

FEWEST_PIECES = 8
"""Pieces per writer below which a further one is not worth starting."""
SPARE_FILES = 32
"""Files that a process may want to open beside those of the pieces."""
BUFFERS = 4
"""Days that may wait for the writers."""


class Writer(Protocol):
    """Ask for a buffer, fill it, and pass it on; for the rest see :class:`PieceFiles`."""

    def buffer(self) -> Field:
        """Memory (lat, lon) for the values of the next :meth:`write`, which are not kept beyond that."""

    def relief(self, orog: Values, attrs: Sequence[Mapping[str, Any]]) -> None: ...
    def write(self, name: str, day: int, values: Values) -> None: ...
    def copy(self, number: int, first: int) -> None: ...
    def finish(self, attrs: Mapping[str, Any]) -> None: ...


@contextmanager
def open_writer(layout: PieceLayout, pieces: Sequence[PieceWriter], shape: Shape) -> Iterator[Writer]:
    """Create the files of ``pieces`` and yield what writes them; ``shape`` (lat, lon) is that of their window.

    Files that are not finished when the context is left are closed, incomplete. Raises :class:`FluxAtlasError` where
    too few files may be open for that, or a writer was killed; what a writer raises is raised here.
    """
    count = writers_for(len(pieces), layout.options.processes)
    writer = _Processes(layout, pieces, shape, count) if count else _Here(layout, pieces, shape)
    try:
        yield writer
    finally:
        writer.stop()


def writers_for(pieces: int, wanted: int = 0) -> int:
    """Number of processes to write ``pieces``, 0 for this one alone: as many as ``wanted``, or as there are cores.

    There are more if a single process may not open so many files.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = _open_files() + SPARE_FILES
    count = min(wanted or min(_cores(), pieces // FEWEST_PIECES), pieces)
    if count <= 1 and (soft == resource.RLIM_INFINITY or pieces + used <= soft):
        return 0
    room = pieces if hard == resource.RLIM_INFINITY else hard - used
    if room <= 0:
        raise FluxAtlasError(
            f"a process may open {hard} files, and needs {used} beside those of the pieces",
            where="the limit of open files",
            hint="raise it (ulimit -Hn)",
        )
    return max(count, -(-pieces // room))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


class _Here(PieceFiles):
    """All files are written by this process."""

    def __init__(self, layout: PieceLayout, pieces: Sequence[PieceWriter], shape: Shape) -> None:
        super().__init__(layout, pieces)
        self._buffer = np.empty(shape, np.float32)

    def buffer(self) -> Field:
        return self._buffer

    def stop(self) -> None:
        self.abandon()


class _Processes:
    """The files are shared out among ``count`` forked processes; each answers every command, in order."""

    def __init__(self, layout: PieceLayout, pieces: Sequence[PieceWriter], shape: Shape, count: int) -> None:
        memory = [mmap.mmap(-1, 4 * int(np.prod(shape))) for _ in range(BUFFERS)]
        self._buffers = [np.frombuffer(part, np.float32).reshape(shape) for part in memory]
        self._turn = 0
        self._used_by = [0] * BUFFERS  # number of the command that reads a buffer
        self._sent = 0
        self._answered = [0] * count
        self._shares = [slice(number, None, count) for number in range(count)]
        self._lines: list[Connection] = []
        self._children: list[BaseProcess] = []
        try:
            for share in self._shares:
                self._start(layout, pieces[share])
        except BaseException:
            self.stop()
            raise

    def _start(self, layout: PieceLayout, pieces: Sequence[PieceWriter]) -> None:
        context = get_context("fork")
        ours, theirs = context.Pipe()
        self._lines.append(ours)
        arguments = theirs, tuple(self._lines), layout, pieces, self._buffers
        with NETCDF:  # no thread may be inside the library while the process is copied
            child = context.Process(target=_serve, args=arguments, daemon=True)
            child.start()
        theirs.close()
        self._children.append(child)

    def buffer(self) -> Field:
        self._turn = (self._turn + 1) % BUFFERS
        self._wait(self._used_by[self._turn])
        return self._buffers[self._turn]

    def relief(self, orog: Values, attrs: Sequence[Mapping[str, Any]]) -> None:
        self.buffer()[:] = orog
        self._send("relief", [(self._turn, attrs[share]) for share in self._shares])

    def write(self, name: str, day: int, values: Values) -> None:
        self._send("write", [(self._turn, name, day)] * len(self._lines))

    def copy(self, number: int, first: int) -> None:
        self._send("copy", [(number, first)] * len(self._lines))

    def finish(self, attrs: Mapping[str, Any]) -> None:
        self._send("finish", [(attrs,)] * len(self._lines))
        self._wait(self._sent)

    def _send(self, command: str, arguments: Sequence[tuple[Any, ...]]) -> None:
        self._sent += 1
        self._used_by[self._turn] = self._sent
        for line, each in zip(self._lines, arguments, strict=True):
            with suppress(BrokenPipeError):  # the reason is in the answers
                line.send((command, *each))

    def _wait(self, number: int) -> None:
        """Wait until all writers have done command ``number``; raise what one of them raised."""
        for writer, line in enumerate(self._lines):
            while self._answered[writer] < number:
                try:
                    problem = line.recv()
                except (EOFError, ConnectionResetError):
                    problem = FluxAtlasError(
                        "a process that writes the forcing pieces was killed",
                        hint="there was probably too little memory: give the job more, or cut fewer tiles at once",
                    )
                if problem is not None:
                    raise problem
                self._answered[writer] += 1

    def stop(self) -> None:
        """End the writers, which leave what is not finished."""
        for line in self._lines:
            line.close()
        for child in self._children:
            child.join()


def _serve(
    line: Connection,
    others: Sequence[Connection],
    layout: PieceLayout,
    pieces: Sequence[PieceWriter],
    buffers: Sequence[Field],
) -> None:
    """Do what arrives on ``line`` until it is closed; answer each command with ``None`` or an exception."""
    gc.freeze()  # a search of what was inherited would copy it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and closes the line
    for other in others:
        other.close()
    files: PieceFiles | None = None
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            _allow_files(len(pieces))
            files = PieceFiles(layout, pieces)
            while True:
                command, *arguments = line.recv()
                if command == "finish":
                    files.finish(*arguments)
                elif command == "copy":
                    files.copy(*arguments)
                elif command == "relief":
                    turn, attrs = arguments
                    files.relief(buffers[turn], attrs)
                else:
                    turn, name, day = arguments
                    files.write(name, day, buffers[turn])
                line.send(None)
        except EOFError:
            pass
        except Exception as problem:
            line.send(problem)
    if files is not None:
        files.abandon()


def _allow_files(more: int) -> None:
    """Raise the soft limit of open files where ``more`` do not fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = more + _open_files() + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed if hard == resource.RLIM_INFINITY else hard, hard))

"""Command lines of Snakemake and of fluxatlas in processes of their own that begin with the modules loaded.

An interpreter that starts and imports Snakemake takes longer than most dry runs, and most jobs of a tiny run do little
else than import. One process imports it all once and copies itself (``fork``) for each call: the working directory,
environment, arguments and state of a call are its own, as in a new interpreter, and what it leaves in memory ends with
it. How an installed fluxatlas starts by itself is tested by ``tests/end_to_end/test_tiny_run.py``: its commands but
for the jobs of a run do.
"""

import atexit
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import fluxatlas
from fluxatlas.paths import REPOSITORY


def snakemake(
    *options: str, cwd: Path = REPOSITORY, env: Mapping[str, str] | None = None, look: bool = False
) -> subprocess.CompletedProcess[str]:
    """What ``python -m snakemake --snakefile SNAKEFILE options`` does in ``cwd``.

    The commands beside this interpreter are on its path. ``env`` is added to the environment; with a ``PYTHONPATH`` of
    its own a call starts a new interpreter. A dry run looks at the inputs, which most tests do not have, on demand.
    """
    blind = ["--no-hooks"] * ("-n" in options and not look)
    return _call(["--snakefile", str(REPOSITORY / "Snakefile"), *blind, *options], cwd, env or {})


def run(command: list[str], *, capture_output: bool, text: bool, check: bool) -> subprocess.CompletedProcess[str]:
    """``subprocess.run`` for ``python -m snakemake ...`` of the code, which looks at output and status."""
    assert command[:3] == [sys.executable, "-m", "snakemake"]
    assert capture_output and text and not check
    return _call(command[3:], Path.cwd(), {})


def _call(words: list[str], cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    start = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "PWD": str(cwd)}
    environment = {**os.environ, **start, **env}
    if "PYTHONPATH" in env:
        command = [sys.executable, "-m", "snakemake", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)
    with tempfile.TemporaryDirectory() as folder:
        streams = [f"{folder}/out", f"{folder}/err"]
        call = {"words": ["snakemake", *words], "cwd": str(cwd), "env": environment, "streams": streams}
        code = _ask(call)
        said = [Path(name).read_text() for name in streams]
    return subprocess.CompletedProcess(["snakemake", *words], code, *said)


def _ask(call: dict[str, Any]) -> int:
    """The exit status of a call; after an interruption the next call has a new process, which owes no answer."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    try:
        server.stdin.write(json.dumps(call) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
        assert answer, "the process that becomes Snakemake has ended; what it said stands above"
        return int(answer)
    except BaseException:
        _end(server)
        _server.cache_clear()
        raise


@cache
def _server() -> subprocess.Popen[str]:
    server = _start()
    atexit.register(_end, server)
    return server


def _start(*words: str, python: str = sys.executable, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """This file as a process and group of its own, in a folder that no test removes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [python, __file__, *words], stdin=pipe, stdout=pipe, text=True, cwd="/", start_new_session=True, env=env
    )


def _end(server: subprocess.Popen[Any]) -> None:
    """Kill a process and the copies that it has made of itself."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def _serve() -> None:
    """Answer each call (a line of JSON) with the exit status of a copy of this process, which becomes Snakemake."""
    import smart_open  # noqa: F401  what Snakemake imports late
    import snakemake.assets
    import snakemake.cli
    import snakemake.executors.touch
    import snakemake.profiles
    import snakemake.report
    import yte  # noqa: F401

    import fluxatlas.citations
    import fluxatlas.farewell
    import fluxatlas.progress
    import fluxatlas.report.opening
    import fluxatlas.run  # noqa: F401  what the Snakefile imports

    snakemake.executors.touch.Executor.SLEEPING_TIME = 0.01  # seconds between two files
    for line in sys.stdin:
        call = json.loads(line)
        streams = [os.open(os.devnull, os.O_RDONLY), *(os.open(s, os.O_WRONLY | os.O_CREAT) for s in call["streams"])]
        print(_run(snakemake.cli.main, call, streams), flush=True)


def _run(main: Callable[[], None], call: dict[str, Any], streams: list[int]) -> int:
    """The exit status of a copy of this process that does ``main`` in the folder, environment and words of ``call``."""
    if child := os.fork():
        for stream in streams:
            os.close(stream)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.argv = call["words"]
    found = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [
        *found,
        *(path for path in sys.path[1:] if path not in found),
    ]  # without tests/
    code: Any = None
    try:
        main()
    except SystemExit as end:
        code = end.code
    if isinstance(code, str):
        print(code, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if isinstance(code, str) else code or 0)  # to take all the modules down takes as long as a dry run


CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect({address!r})
    socket.send_fds(line, [b"."], [0, 1, 2])
    line.sendall(json.dumps({{"words": sys.argv, "cwd": os.getcwd(), "env": dict(os.environ)}}).encode())
    line.shutdown(socket.SHUT_WR)
    sys.exit(int(line.recv(16)))
"""
"""The command ``fluxatlas``, which hands itself over to the process that listens at an address."""


@contextmanager
def fluxatlas_command(
    folder: Path, python: str = sys.executable, env: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """A new folder in ``folder`` with a command ``fluxatlas`` whose jobs begin with all modules of fluxatlas loaded.

    They are those of the interpreter ``python``, which is started with the variables ``env`` (default: all of these).
    """
    made = folder / "bin"
    made.mkdir()
    with tempfile.TemporaryDirectory() as short:  # the path of a socket is at most 107 bytes long
        address = f"{short}/line"
        (made / "fluxatlas").write_text(CLIENT.format(python=sys.executable, address=address))
        (made / "fluxatlas").chmod(0o755)
        server = _start(address, python=python, env=env)
        try:
            assert server.stdout is not None and server.stdout.readline() == "ready\n"
            yield made
        finally:
            _end(server)


def _listen(address: str) -> None:
    """Do each job that comes in at ``address`` in a copy of this process, several at a time."""
    for module in pkgutil.walk_packages(fluxatlas.__path__, "fluxatlas."):
        importlib.import_module(module.name)
    from fluxatlas.cli import main

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(16)
        print("ready", flush=True)
        while True:
            line = door.accept()[0]
            if os.fork():
                line.close()
                continue
            streams = socket.recv_fds(line, 1, 3)[1]
            with line.makefile("rb") as words:
                call = json.loads(words.read())
            line.sendall(str(_run(main, call, streams)).encode())
            os._exit(0)


if __name__ == "__main__":
    _listen(sys.argv[1]) if sys.argv[1:] else _serve()

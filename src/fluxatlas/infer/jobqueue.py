"""A Dask cluster whose workers are jobs of a batch system, started through dask-jobqueue."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ..errors import ConfigError, nearest

SYSTEMS = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}
"""Batch systems and the class of dask-jobqueue that knows each."""
TLS = "DASK_DISTRIBUTED__COMM__"
"""Beginning of the variables by which `distributed` is told its certificates."""


def make_cluster(system: str, *, cores: int, memory: str, walltime: str, options: dict[str, Any]) -> Any:
    """A cluster without workers, whose jobs have ``cores`` workers of one thread each and share ``memory``.

    It speaks TLS with the certificates of the environment, which its workers are given, too; ``options`` are those of
    the class of dask-jobqueue. Raises :class:`ConfigError` for a batch system that it does not know, where it is not
    installed, where there are no certificates and for options that it refuses.
    """
    if system not in SYSTEMS:
        raise ConfigError(f"no batch system '{system}'{nearest(system, SYSTEMS)}", hint=f"choose {', '.join(SYSTEMS)}")
    interrupted = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue  # 0.9.0 takes Ctrl-C for itself (findings/dask_jobqueue_import_takes_ctrl_c.sh)
    except ImportError:
        raise ConfigError("dask-jobqueue is not installed", hint="pip install 'fluxatlas[jobqueue]'") from None
    signal.signal(signal.SIGINT, interrupted)
    given = {name: value for name, value in os.environ.items() if name.startswith(TLS)}
    if not given.get(f"{TLS}TLS__CA_FILE"):
        hint = f"export {TLS}TLS__CA_FILE and the rest of docs/cluster.md before"
        raise ConfigError("there are no certificates, and who reaches a scheduler can run code as you", hint=hint)
    told = [f"export {name}={shlex.quote(value)}" for name, value in sorted(given.items())]
    try:
        return getattr(dask_jobqueue, SYSTEMS[system])(
            cores=cores,
            processes=cores,
            memory=memory,
            walltime=walltime,
            protocol="tls://",
            job_script_prologue=told,
            **options,
        )
    except (ValueError, TypeError, OSError, RuntimeError) as problem:
        hint = "correct memory, walltime or interface, or the certificates (docs/cluster.md)"
        raise ConfigError(
            f"dask-jobqueue refuses this cluster: {problem}", where=SYSTEMS[system], hint=hint
        ) from problem


def serve(cluster: Any, jobs: int, say: Callable[[str], None], rest: Callable[[], None]) -> None:
    """Submit ``jobs`` jobs of workers, ``say`` the address, and stay as long as ``rest`` does; then all jobs end.

    Raises :class:`ConfigError` where this machine has no command to submit jobs with, or the batch system refuses them.
    """
    _submit(cluster, jobs)
    with cluster:
        say(f"{cluster.scheduler_address}")
        rest()


def _submit(cluster: Any, jobs: int) -> None:
    command = (cluster.job_cls.submit_command or "").split(" ")[0]
    if command and not shutil.which(command):
        cluster.close()
        hint = "run this on a node that submits jobs; --script shows the script of a job without"
        raise ConfigError(f"there is no command '{command}' on this machine", hint=hint)

    async def submitted() -> None:
        cluster.scale(jobs=jobs)
        await cluster

    log = logging.getLogger("tornado.application")  # tells of the same failure, as a traceback
    before, log.disabled = log.disabled, True
    try:
        cluster.sync(submitted)
    except (OSError, RuntimeError) as problem:
        with suppress(AssertionError, OSError, RuntimeError):  # of jobs that never were
            cluster.close()
        hint = "correct queue, account, memory or walltime; --script shows the script of a job"
        raise ConfigError(
            f"the batch system refuses the jobs: {' '.join(str(problem).split())}", hint=hint
        ) from problem
    finally:
        log.disabled = before


def until_interrupted() -> None:
    """Return when the user presses Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return

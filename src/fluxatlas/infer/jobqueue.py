"""A Dask cluster whose workers are jobs of a batch system, started through dask-jobqueue."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
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
    try:
        import dask_jobqueue
    except ImportError:
        raise ConfigError("dask-jobqueue is not installed", hint="pip install 'fluxatlas[jobqueue]'") from None
    given = {name: value for name, value in os.environ.items() if name.startswith(TLS)}
    if f"{TLS}TLS__CA_FILE" not in given:
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
        hint = "correct memory, walltime or interface"
        raise ConfigError(
            f"dask-jobqueue refuses this cluster: {problem}", where=SYSTEMS[system], hint=hint
        ) from problem


def serve(cluster: Any, jobs: int, say: Callable[[str], None], rest: Callable[[], None]) -> None:
    """Submit ``jobs`` jobs of workers, ``say`` the address, and stay as long as ``rest`` does; then all jobs end."""
    with cluster:
        cluster.scale(jobs=jobs)
        say(f"{cluster.scheduler_address}")
        rest()


def until_interrupted() -> None:
    """Return when the user presses Ctrl-C."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return

"""Measuring how fast this machine runs the networks, for the estimates of ``plan``."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import numpy as np
import torch

from .. import variables
from ..systems import System, get_system
from ..train.applicability import features
from ..train.member import Member
from ..train.networks import Architecture, HierarchicalNetwork
from .engine import Array, make_engine
from .estimate import Calibration
from .packing import pack

CELLS, DAYS = 384, 73


def calibrate(member: Member | None = None, *, system: str = "", hidden: int = 32, seconds: float = 3.0) -> Calibration:
    """Cell-days per second of one core of this machine.

    The network is that of ``member``, or one of random weights of width ``hidden``; it runs blocks like those of a tile
    for about ``seconds``. Packing and applicability are measured too; regridding and writing are taken from the default
    calibration, since they depend on the files. A busy machine gives a lower rate.
    """
    torch.set_num_threads(1)
    if member is None:
        member = Member(HierarchicalNetwork(get_system(system), Architecture(hidden=hidden)), "4km")
    engine = make_engine("torch", member)
    drivers, statics = _inputs(member.system)
    outputs, state = engine.run(drivers, statics, None)
    network = _rate(lambda: engine.run(drivers, statics, state), seconds)

    def rest() -> None:
        for name in member.system.outputs:
            pack(outputs[name], variables.get(name))
        features(drivers, statics)

    known = Calibration()
    share = 1 / (1 / known.rest + 1 / _rate(rest, seconds / 3))
    width = member.network.architecture.hidden
    return Calibration(network, share, width, known.start, f"{platform.node()} {platform.machine()}")


def _inputs(system: System) -> tuple[dict[str, Array], dict[str, Array]]:
    """Random inputs within the valid ranges."""
    rng = np.random.default_rng(0)

    def values(name: str, shape: tuple[int, ...]) -> Array:
        low, high = variables.get(name).valid
        return rng.uniform(low + 0.4 * (high - low), low + 0.6 * (high - low), shape).astype(np.float32)

    drivers = {name: values(name, (DAYS, CELLS)) for name in (*system.forcing, *system.slow_drivers)}
    return drivers, {name: values(name, (CELLS,)) for name in system.statics}


def _rate(work: Callable[[], object], seconds: float) -> float:
    """Cell-days per second of ``work`` on a block, after one run that does not count."""
    work()
    begin, times = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        work()
        times += 1
    return times * CELLS * DAYS / (time.perf_counter() - begin)

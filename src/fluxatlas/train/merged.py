"""Labels of towers merged with the process model by optimal interpolation, then moved onto the balance of the system.

In scalar form ``x = b + K (y - b)`` with ``K = B^2 / (B^2 + R^2)`` and variance ``(1 - K) B^2``: ``b`` is the process
model with default parameters, ``y`` what the tower measured and ``R`` its error; without ``y`` the model stays. ``B``
is the spread of model less tower that ``R`` does not explain, of each variable and month of the year over the sites
that are learned from. Merged one by one, fluxes do not close (those of FluxHourly do not: Han et al. 2025, ESSD 17,
7101); each day is then moved onto the balance by these variances. What is held out, and what decides on the best
weights, stays as measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from ..process.projection_torch import project
from ..systems import System
from .data import FloatArray, SequenceSet
from .simulation import simulated

FEWEST = 30
"""Days of a month of the year below which its spread is that of all months."""
LEAST_SHARE = 0.1
"""Least part of the squared differences from the tower that is the model's."""
Arrays = Mapping[str, FloatArray]


def merged(parts: Sequence[SequenceSet], system: System) -> tuple[SequenceSet, ...]:
    """``parts`` with labels of the fluxes of ``system.balance`` merged and closed, on the days of their segments.

    Sites that measured none of these fluxes keep what they have.
    """
    backgrounds = [simulated(part, system) for part in parts]
    used = [_learned(part, system) for part in parts]
    spread = {
        name: _spread(parts, [given[name] for given in backgrounds], used, name)
        for name in system.balance
        if any(name in part.targets for part in parts)
    }
    return tuple(
        _merged(part, given, mask, spread, system) for part, given, mask in zip(parts, backgrounds, used, strict=True)
    )


def interpolated(
    background: FloatArray, observed: FloatArray, b: FloatArray, r: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Merged values and their sd, of any one shape; ``background`` where ``observed`` is NaN, with the sd ``b``."""
    gain = np.where(np.isfinite(observed), b**2 / np.maximum(b**2 + np.nan_to_num(r) ** 2, 1e-12), 0.0)
    return background + gain * np.nan_to_num(observed - background), b * np.sqrt(1.0 - gain)


def _learned(part: SequenceSet, system: System) -> npt.NDArray[np.bool_]:
    """Days (time, site) of segments of sites that measured any flux of the balance."""
    mask = np.zeros((len(part.dates), len(part.sites)), bool)
    for site, start, stop in part.segments:
        seen = [part.targets[name][start:stop, site] for name in system.balance if name in part.targets]
        mask[start:stop, site] = any(np.isfinite(values).any() for values in seen)
    return mask


def _spread(
    parts: Sequence[SequenceSet], backgrounds: Sequence[FloatArray], used: Sequence[npt.NDArray[np.bool_]], name: str
) -> FloatArray:
    """Error of the background by month of the year, January first (13,); the last is that of all months."""
    square, noise, month = [], [], []
    for part, given, mask in zip(parts, backgrounds, used, strict=True):
        if name not in part.targets:
            continue
        there = mask & np.isfinite(part.targets[name]) & np.isfinite(given)
        square.append((given - part.targets[name])[there].astype(float) ** 2)
        noise.append(np.nan_to_num(_error(part, name)[there].astype(float)) ** 2)
        month.append(np.broadcast_to(part.dates.month.to_numpy()[:, None], there.shape)[there] - 1)
    squares, noises, months = (np.concatenate(values) for values in (square, noise, month))
    chosen = [months == number for number in range(12)]
    found = [which if which.sum() >= FEWEST else np.ones(len(months), bool) for which in (*chosen, months >= 0)]
    return np.array([_left(squares[which], noises[which]) for which in found])


def _left(square: FloatArray, noise: FloatArray) -> float:
    if not len(square):
        return 0.0
    return float(np.sqrt(max(square.mean() - noise.mean(), LEAST_SHARE * square.mean())))


def _error(part: SequenceSet, name: str) -> FloatArray:
    return part.sd[name] if name in part.sd else np.zeros_like(part.targets[name])


def _merged(
    part: SequenceSet, given: Arrays, mask: npt.NDArray[np.bool_], spread: Mapping[str, FloatArray], system: System
) -> SequenceSet:
    month = part.dates.month.to_numpy() - 1
    shape, nothing = mask.shape, np.full(mask.shape, np.nan, np.float32)
    values, errors = {}, {}
    for name in system.balance:
        b = np.broadcast_to(spread.get(name, np.zeros(13))[month][:, None], shape)
        observed = np.where(mask, part.targets.get(name, nothing), np.nan)
        values[name], errors[name] = interpolated(given[name], observed, b, part.sd.get(name, np.zeros(shape)))
    order = tuple(system.balance)
    stacked, variance = (np.stack([table[name] for name in order], axis=-1) for table in (values, errors))
    known = mask & np.isfinite(stacked).all(axis=-1)
    coefficients = (tuple(float(system.balance[name]) for name in order),)
    closed = project(
        torch.as_tensor(stacked[known].astype(float)), torch.as_tensor(variance[known] ** 2 + 1e-6), coefficients
    ).numpy()
    targets, sd = dict(part.targets), dict(part.sd)
    for number, name in enumerate(order):
        if name not in part.targets:
            continue
        targets[name], sd[name] = part.targets[name].copy(), np.array(_error(part, name), np.float32)
        targets[name][known], sd[name][known] = closed[:, number], errors[name][known]
    return replace(part, targets=targets, sd=sd)

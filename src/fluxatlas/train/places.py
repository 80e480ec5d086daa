"""From parameters that vary between places to those of a map: the mean over places, and how much places differ.

Places that are alike in all that is known differ in their parameters. The mean flux over places is not the flux of the
mean parameters; a map is made with *effective* parameters that give the mean, and carries the spread of places beside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .calibrated import Structured
from .data import FloatArray, SequenceSet
from .networks import HierarchicalNetwork
from .predict import predict

SERIES = 24
"""Series of the samples that places are looked at in."""
DRAWS = 12
"""Places drawn for each of them."""
FURTHEST = 3.0
"""Largest shift, in standard deviations of the places' parameters."""


@dataclass(frozen=True)
class Effective:
    """Parameters ``u`` (k,) of a map; ``ratio``: mean flux over places relative to that of the mean parameters;
    ``spread`` by flux: (a, b) of the standard deviation between places ``a + b |flux|``."""

    u: FloatArray
    ratio: float
    spread: dict[str, tuple[float, float]]


def effective(
    network: HierarchicalNetwork, samples: SequenceSet, model: Structured, u: FloatArray, seed: int
) -> Effective:
    """Effective parameters of places around ``u`` (k,), found with ``network`` under series of the ``samples``.

    Places depart from ``u`` by the part of the prior that is between places. The shift goes along the line in which
    their parameters change the flux that the system shows, as far as gives the mean over places.
    """
    rng = np.random.default_rng([seed, 17])
    few = samples.drawn(SERIES, rng)
    local = np.sqrt(model.between)
    places = local * rng.standard_normal((DRAWS, len(few.sites), len(u)))
    fluxes = model.system.flux_names
    middle = _means(network, few, model, np.broadcast_to(u, places.shape[1:]))
    drawn = [_means(network, few, model, u + row) for row in places]
    shown = model.system.shown_flux.variable
    found = np.stack([row[shown] for row in drawn])
    direction = _direction(places.reshape(-1, len(u)), (found - found.mean(axis=0)).ravel()) * (local > 0)
    wanted, start = float(found.mean()), float(middle[shown].mean())

    def at(shift: float) -> float:
        moved = np.broadcast_to(u + shift * direction, places.shape[1:])
        return float(_means(network, few, model, moved)[shown].mean())

    shift = _root(at, wanted, start)
    spread = {name: _line(middle[name], np.stack([row[name] for row in drawn])) for name in fluxes}
    return Effective(u + shift * direction, wanted / start if start else float("nan"), spread)


def _means(network: HierarchicalNetwork, data: SequenceSet, model: Structured, u: FloatArray) -> dict[str, FloatArray]:
    """Mean (series,) of every flux under parameters ``u`` (series, k)."""
    theta = {name: np.asarray(values, np.float32) for name, values in model.theta(u).all().items()}
    outputs = predict(network, replace(data, theta=theta), warmup=60)
    return {name: outputs[name].mean(axis=0, dtype=float) for name in model.system.flux_names}


def _direction(places: FloatArray, change: FloatArray) -> FloatArray:
    """Unit vector (k,) along which the flux rises most: ridge regression of ``change`` (n,) on ``places`` (n, k)."""
    penalty = 0.1 * len(places) * np.eye(places.shape[1])
    found = np.linalg.solve(places.T @ places + penalty, places.T @ change)
    length = float(np.linalg.norm(found))
    return found / length if length > 0 else found


def _root(at: Callable[[float], float], wanted: float, start: float, steps: int = 8) -> float:
    """The shift at which ``at``, which is ``start`` at 0, is ``wanted``: by bisection, or the end nearest to it."""
    low, high = (0.0, FURTHEST) if wanted >= start else (-FURTHEST, 0.0)
    furthest = high or low
    reached = at(furthest)
    if not min(start, reached) <= wanted <= max(start, reached):
        return 0.0 if abs(start - wanted) <= abs(reached - wanted) else furthest
    for _ in range(steps):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle) < wanted else (low, middle)
    return (low + high) / 2


def _line(flux: FloatArray, drawn: FloatArray) -> tuple[float, float]:
    """(a, b), neither negative, of the standard deviation (series,) of ``drawn`` (draw, series) over ``|flux|``."""
    from scipy.optimize import nnls

    table = np.stack([np.ones(len(flux)), np.abs(flux)], axis=1)
    (a, b), _ = nnls(table, drawn.std(axis=0, ddof=1))
    return float(a), float(b)

"""Which places are sampled: evenly over strata of climate and soil instead of evenly over the map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..systems import Perturbation

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]


def strata(features: FloatArray, classes: int) -> IntArray:
    """Stratum of each place, shape (n,): the mix of its quantile classes in each column of ``features`` (n, f).

    A column is cut at its quantiles into ``classes`` classes; equal values are never parted. Strata are numbered from 0
    without holes. Raises :class:`InputError` for no place or a feature that is not finite.
    """
    table = np.asarray(features, float)
    if len(table) == 0:
        raise InputError("there is no place to sample", hint="the domain holds no active cell: widen it")
    if not np.isfinite(table).all():
        raise InputError("a feature of the sampled places is not finite", hint="check attributes and forcing")
    mixed = np.zeros(len(table), np.int64)
    for column in table.T:
        edges = np.quantile(column, np.arange(1, classes) / classes)
        mixed = mixed * classes + np.searchsorted(edges, column, side="right")
    return np.unique(mixed, return_inverse=True)[1].astype(np.int64)


def draw_places(stratum: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """``count`` positions into ``stratum``, spread evenly: every stratum is drawn from before any is again.

    Places of a stratum come in random order; with more draws than places the whole turn begins anew.
    """
    order = rng.permutation(len(stratum))
    grouped = order[np.argsort(stratum[order], kind="stable")]
    size = np.bincount(stratum)
    turn_within = np.arange(len(grouped)) - np.repeat(np.cumsum(size) - size, size)
    shuffled = rng.permutation(len(size))[stratum[grouped]]
    return np.resize(grouped[np.lexsort((shuffled, turn_within))], count).astype(np.int64)


def spatial_block(lat: FloatArray, lon: FloatArray, degrees: float) -> IntArray:
    """Number of the block of ``degrees`` x ``degrees`` that holds each place, shape (n,)."""
    row = np.floor((90.0 - np.asarray(lat, float)) / degrees)
    column = np.floor((np.asarray(lon, float) + 180.0) / degrees)
    return (row * np.ceil(360.0 / degrees) + column).astype(np.int64)


def mixtures(
    own: Mapping[str, FloatArray], pool: Mapping[str, FloatArray], donor: IntArray, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Soils between each of ``own`` (n,) and that number ``donor`` (n,) of ``pool`` (m,), at a random share for all
    attributes of a soil.

    They reach over the joint range of the pool, and shares of a whole stay shares; what is unknown is the donor's.
    """
    share = rng.random(len(donor))
    mixed = {name: share * values + (1 - share) * pool[name][donor] for name, values in own.items()}
    return {name: np.where(np.isfinite(values), values, pool[name][donor]) for name, values in mixed.items()}


def jitter(
    attributes: Mapping[str, FloatArray],
    spread: float,
    limits: Mapping[str, tuple[float, float]],
    rng: np.random.Generator,
    perturb: Mapping[str, Perturbation],
) -> dict[str, FloatArray]:
    """Soils like those given, each (n,), changed at random by a standard deviation of ``spread`` of the value.

    ``perturb`` says how by attribute; others are multiplied by a lognormal factor. Values are kept within ``limits``,
    and sand and clay together below 98 %.
    """
    changed: dict[str, FloatArray] = {}
    for name, values in attributes.items():
        noise: FloatArray = rng.standard_normal(len(values))
        law = perturb.get(name, Perturbation())
        change = spread * law.factor * noise
        moved: FloatArray = values + change if law.kind == "shift" else values * np.exp(change)
        changed[name] = np.clip(moved, *limits[name])
    if {"sand", "clay"} <= set(changed):
        total = changed["sand"] + changed["clay"]
        excess = np.where(total > 98.0, 98.0 / np.maximum(total, 1e-9), 1.0)
        changed["sand"], changed["clay"] = changed["sand"] * excess, changed["clay"] * excess
    return changed

"""Random fields on the sphere that can be evaluated at any point and time, in any order.

A field is a sum of plane waves with random wave vectors, phases and (for a field that moves) frequencies: random
Fourier features (Rahimi & Recht, 2007, NeurIPS 20). Its value depends on the seed, the name of the field, the point
and the time alone, so that a subset of points or days equals the same part of a larger request. With normal wave
vectors the covariance over a distance d is exp(-d^2 / 2 L^2); with Cauchy frequencies it decays in time as
exp(-|dt| / tau), which, sampled daily, is a first-order autoregressive process with coefficient exp(-1 / tau).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

Array = npt.NDArray[np.floating[Any]]

RADIUS_KM = 6371.0
_CHUNK = 20_000


def rng(seed: int, name: str) -> np.random.Generator:
    """A random generator that depends on the seed of the world and the name of its use alone."""
    return np.random.default_rng([seed, crc32(name.encode())])


CELL = 24
"""Cells per degree of :func:`scatter`: those of the grid '4km'."""
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def scatter(seed: int, name: str, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Array:
    """Normal deviates (cell,) without any memory in space: one for each cell of 1/24 degree, whatever is asked for.

    The number of the cell goes through the finalizer of SplitMix64 (Steele et al. 2014, doi:10.1145/2660193.2660195),
    which makes of neighbouring numbers unrelated ones, and through the inverse of the normal distribution.
    """
    row = np.floor((np.asarray(lat, float) + 90) * CELL).astype(np.uint64)
    column = np.floor(np.mod(np.asarray(lon, float) + 180, 360) * CELL).astype(np.uint64)
    key = rng(seed, name).integers(0, 2**64, dtype=np.uint64)
    with np.errstate(over="ignore"):
        mixed = key + (row * np.uint64(360 * CELL) + column) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in _MIX:
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray(ndtri(((mixed >> np.uint64(11)).astype(float) + 0.5) / 2**53))


def unit_vectors(lat: npt.ArrayLike, lon: npt.ArrayLike) -> tuple[Array, Array, Array]:
    """Cartesian coordinates (x, y, z) on the unit sphere of points in degrees; each of shape (cell,)."""
    phi, lam = np.deg2rad(np.asarray(lat, float)), np.deg2rad(np.asarray(lon, float))
    return np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)


def _cosine(phase: Array) -> Array:
    """cos of a float64 phase, reduced to one turn and evaluated in float32 (about ten times as fast)."""
    turn = 2 * np.pi
    return np.cos((phase - turn * np.rint(phase / turn)).astype(np.float32))


class Waves:
    """A Gaussian random field with mean 0 and variance 1.

    Parameters
    ----------
    seed, name: identify the field.
    scales: pairs (correlation length L [km], share of the variance); shares are normalised.
    count: number of waves per scale; more waves bring the field closer to normal.
    taus: correlation times [days], one per scale; ``None`` for a field fixed in time.
    """

    def __init__(
        self,
        seed: int,
        name: str,
        scales: Sequence[tuple[float, float]],
        count: int = 120,
        taus: Sequence[float] | None = None,
    ) -> None:
        draw = rng(seed, name)
        share = np.array([weight for _, weight in scales], float)
        length = np.repeat([km for km, _ in scales], count)
        self._k = draw.normal(size=(length.size, 3)) * (RADIUS_KM / length)[:, None]
        self._phase = draw.uniform(0, 2 * np.pi, length.size)
        self._amplitude = np.repeat(np.sqrt(2 * share / share.sum() / count), count).astype(np.float32)
        self._omega = None
        if taus is not None:
            # quantiles instead of draws of the Cauchy distribution: the correlation in time is exact to 1 / count
            level = (np.arange(count) + 0.5) / count
            frequency = np.tan(np.pi * (level - 0.5))
            self._omega = np.concatenate([draw.permutation(frequency) / tau for tau in taus])

    def _spatial_phase(self, lat: Array, lon: Array) -> Array:
        x, y, z = (axis[:, None] for axis in unit_vectors(lat, lon))
        return x * self._k[:, 0] + y * self._k[:, 1] + z * self._k[:, 2] + self._phase

    def at(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> Array:
        """Values, shape (cell,), at points in degrees (of a moving field: at time 0)."""
        lat, lon = np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float))
        out = np.empty(lat.size)
        for start in range(0, lat.size, _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = (_cosine(self._spatial_phase(lat[part], lon[part])) * self._amplitude).sum(axis=1)
        return out

    def series(self, lat: npt.ArrayLike, lon: npt.ArrayLike, days: npt.ArrayLike) -> Array:
        """Values, shape (time, cell), float32, at points in degrees and times in days since an origin."""
        if self._omega is None:
            raise ValueError("this field does not move; use `at`")
        space = self._spatial_phase(np.atleast_1d(np.asarray(lat, float)), np.atleast_1d(np.asarray(lon, float)))
        time = np.atleast_1d(np.asarray(days, float))[:, None] * self._omega
        quarter = np.pi / 2
        amplitude = self._amplitude
        return (_cosine(time) * amplitude) @ _cosine(space).T - (_cosine(time - quarter) * amplitude) @ _cosine(
            space - quarter
        ).T

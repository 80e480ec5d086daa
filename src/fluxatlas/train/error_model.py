"""Errors of a model at a site: what observations state, what the model adds, and its memory from day to day.

The residual of a day is Gaussian with the variance ``stated sd^2 + sigma^2``. A ``share`` of that variance is AR(1), so
that the correlation ``d`` days apart is ``share * rho**d``; the rest is independent. Both come from the residuals: what
observations state as random may be half a bias of the day. The likelihood of ``n`` days counts as that of the
``effective`` number of independent ones that know the mean as well (n (1 - rho) / (1 + rho) for a long series without
gaps and a share of 1). Days farther off than ``clip`` standard deviations have the weight of Huber (1964,
doi:10.1214/aoms/1177703732).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ..errors import InputError

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]

LAGS = np.array([*range(1, 15), 20, 21, 28, 30])
"""Days apart of the pairs of residuals that ``rho`` is estimated from."""
RHO = np.linspace(0.0, 0.98, 99)
DECAY = RHO[:, None] ** LAGS
POOL_PAIRS = 30.0
"""Pairs of days per lag that the correlation over all sites counts as at each of them."""


@dataclass(frozen=True)
class Observed:
    """Observations of one variable at one place: ``value`` and its random standard deviation ``sd`` on each ``day``.

    All (day,); ``day`` are whole numbers in ascending order, NaN in ``value`` is missing, NaN in ``sd`` is unknown.
    Raises :class:`InputError` for arrays of different lengths, days that do not ascend, and an ``sd`` that is not
    positive.
    """

    value: FloatArray
    sd: FloatArray
    day: IntArray

    def __post_init__(self) -> None:
        value, sd = np.asarray(self.value, float), np.asarray(self.sd, float)
        day = np.asarray(self.day)
        if not value.shape == sd.shape == day.shape == (value.size,):
            raise InputError(f"value, sd and day have the shapes {value.shape}, {sd.shape} and {day.shape}")
        if np.any(day != np.floor(day)) or np.any(np.diff(day) <= 0):
            raise InputError("days of observations are not whole numbers in ascending order")
        if np.any(sd[np.isfinite(value)] <= 0):
            raise InputError("a standard deviation of an observation is not positive", hint="leave it NaN if unknown")
        for name, array in (("value", value), ("sd", sd), ("day", day.astype(np.int64))):
            object.__setattr__(self, name, array)

    @property
    def used(self) -> IntArray:
        """Positions of the days with a value."""
        return np.flatnonzero(np.isfinite(self.value))


@dataclass(frozen=True)
class ErrorModel:
    """Errors of one variable at one site: ``sigma`` (its unit), ``rho`` (a day apart), days, effective days.

    ``share`` of the variance is AR(1). ``floor`` is the least ``sigma``.
    """

    sigma: float
    rho: float
    days: int
    effective: float
    floor: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class ErrorSeries:
    """The days with a value of one variable at one site, and the weights of its days.

    ``value``, ``stated`` (variance, of the median stated sd where none is given), ``day`` from 0 on and ``weight`` are
    (day,); ``position`` says which of the observed days these are.
    """

    value: FloatArray
    stated: FloatArray
    day: IntArray
    position: IntArray
    weight: FloatArray
    error: ErrorModel
    offset: float = 0.0
    """Standard deviation of an error common to all days, as what is measured is not quite the place."""

    @classmethod
    def of(cls, observed: Observed, error: ErrorModel, offset: float = 0.0) -> ErrorSeries:
        used = observed.used
        known = observed.sd[used][np.isfinite(observed.sd[used])]
        typical = float(np.median(known)) if known.size else 0.0
        stated = np.where(np.isfinite(observed.sd[used]), observed.sd[used], typical) ** 2
        day = observed.day[used]
        series = cls(observed.value[used], stated, day - day[:1], used, np.ones(used.size), error, offset)
        return series.under(error)

    def under(self, error: ErrorModel, robust: FloatArray | None = None) -> ErrorSeries:
        """The series with another error model, and with the weights ``robust`` (day,) of its days."""
        effective = effective_days(self.day, error.rho, error.share)
        return replace(
            self,
            error=replace(error, days=self.value.size, effective=effective),
            weight=self.weight if robust is None else robust,
        )

    @property
    def variance(self) -> FloatArray:
        """Variance of the residual of each day (day,)."""
        return self.stated + self.error.sigma**2

    @property
    def precision(self) -> FloatArray:
        """What each day adds to the information on the mean of the series (day,), without the common error."""
        if not self.value.size:
            return np.zeros(0)
        return self.weight * (self.error.effective / self.error.days) / self.variance

    def whiten(self, values: FloatArray) -> FloatArray:
        """``values`` (..., day) such that their squares sum to the misfit: ``w w^T`` is the inverse covariance."""
        root = np.sqrt(self.precision)
        scaled = values * root
        total = float(root @ root)
        if not self.offset or not total:
            return scaled
        shrink = (1 - 1 / np.sqrt(1 + self.offset**2 * total)) / total
        return scaled - shrink * (scaled @ root)[..., None] * root

    def log_likelihood(self, residual: FloatArray, clip: float) -> float:
        """Logarithm of the likelihood of the ``residual`` (day,), as many independent days as are effective."""
        if not self.value.size:
            return 0.0
        share = self.error.effective / self.error.days
        misfit = float(np.sum(self.whiten(residual) ** 2))
        rest = share * float(np.sum(np.log(2 * np.pi * self.variance)))
        if np.isfinite(clip):
            rest += share * float(np.sum(clip**2 * (1 / self.weight - 1)))  # Huber's loss beyond its quadratic part
        return -0.5 * (misfit + rest + float(np.log1p(self.offset**2 * self.precision.sum())))

    def centred(self, residual: FloatArray) -> FloatArray:
        """The ``residual`` (day,) without the best estimate of the error common to all days."""
        if not self.offset:
            return residual
        return residual - float(self.precision @ residual) / (1 / self.offset**2 + float(self.precision.sum()))


def effective_days(day: IntArray, rho: float, share: float = 1.0) -> float:
    """Number of independent days whose mean is as well known as that of the days ``day`` from 0 on; 1 to n.

    The correlation ``d`` days apart is ``share * rho**d``.
    """
    if not day.size:
        return 0.0
    from scipy.signal import lfilter

    present = np.zeros(int(day[-1]) + 1)
    present[day] = 1.0
    before = lfilter([0.0, rho], [1.0, -rho], present)  # sum of rho**(days apart) over the days before
    return max(1.0, day.size / (1 + 2 * share * float(before @ present) / day.size))


def huber(residual: FloatArray, variance: FloatArray, clip: float) -> FloatArray:
    """Weights (day,) of the days: 1 up to ``clip`` standard deviations, ``clip`` / deviation beyond."""
    return (
        clip / np.maximum(np.abs(residual) / np.sqrt(variance), clip) if np.isfinite(clip) else np.ones_like(residual)
    )


def update(
    series: Sequence[ErrorSeries],
    residuals: Sequence[FloatArray],
    spreads: Sequence[FloatArray],
    *,
    clip: float,
    pool_days: float,
    pool: ErrorModel | None = None,
) -> tuple[list[ErrorSeries], ErrorModel | None]:
    """Error models of one variable at all sites from the residuals, and the one of all sites together.

    ``residuals`` (day,) are those at the posterior mean and ``spreads`` (day, k) a root of the posterior covariance of
    the prediction, ``spread @ spread.T``: without it a model that is fitted closely would seem better than it is. A
    site is drawn to all sites together, or to the ``pool`` that is given, as if these were ``pool_days`` effective days
    of it.
    """
    found = [_Moments.of(one, r, spread, clip) for one, r, spread in zip(series, residuals, spreads, strict=True)]
    some = [number for number, one in enumerate(series) if one.value.size]
    if not some:
        return list(series), pool
    if pool is None:
        pool = _pooled([series[n].error for n in some], [found[n] for n in some])
    updated = []
    for one, residual, moments in zip(series, residuals, found, strict=True):
        if not one.value.size:
            updated.append(one)
            continue
        days = one.error.effective
        total = (pool_days * pool.sigma**2 + days * max(moments.sigma2, 0.0)) / (pool_days + days)
        sigma = max(float(np.sqrt(total)), pool.floor)
        rho, share = _memory(moments.pairs + POOL_PAIRS, moments.products + POOL_PAIRS * pool.share * pool.rho**LAGS)
        error = ErrorModel(sigma, rho, 0, 0.0, pool.floor, share)
        weight = huber(one.centred(residual), one.stated + sigma**2, clip)
        updated.append(one.under(error, weight))
    return updated, pool


@dataclass(frozen=True)
class _Moments:
    """Of a series: ``sigma2``, number of pairs of days by lag, and sum of the products of their scaled residuals."""

    sigma2: float
    pairs: FloatArray
    products: FloatArray

    @classmethod
    def of(cls, series: ErrorSeries, residual: FloatArray, spread: FloatArray, clip: float) -> _Moments:
        pairs, products = np.zeros(LAGS.size), np.zeros(LAGS.size)
        if not series.value.size:
            return cls(0.0, pairs, products)
        variance = series.variance
        bound = clip * np.sqrt(variance)
        near = np.clip(series.centred(residual), -bound, bound)
        kept = 1.0
        if np.isfinite(clip):  # what clipping leaves of the variance of a normal variable
            density = np.exp(-0.5 * clip**2) / np.sqrt(2 * np.pi)
            kept = float(1 - 2 * clip * density + 2 * (clip**2 - 1) * ndtr(-clip))
        square = near**2 / kept + np.sum(spread**2, axis=1)
        certain = variance**-2 / np.sum(variance**-2)
        columns = np.column_stack([near / np.sqrt(kept), spread]) / np.sqrt(variance)[:, None]
        columns = np.column_stack([columns / np.sqrt(np.mean(square / variance)), np.ones(near.size)])
        grid = np.zeros((int(series.day[-1]) + 1, columns.shape[1]))
        grid[series.day] = columns
        for number, lag in enumerate(LAGS[len(grid) > LAGS]):
            both = grid[lag:] * grid[:-lag]
            pairs[number], products[number] = both[:, -1].sum(), both[:, :-1].sum()
        return cls(float(certain @ (square - series.stated)), pairs, products)


def _pooled(errors: Sequence[ErrorModel], found: Sequence[_Moments]) -> ErrorModel:
    """The errors of all sites together: mean variance by effective days, correlation by pairs."""
    days = np.array([error.effective for error in errors])
    squares = np.array([max(one.sigma2, 0.0) for one in found])
    sigma = max(float(np.sqrt(days @ squares / days.sum())), errors[0].floor)
    rho, share = _memory(*(np.sum([getattr(one, name) for one in found], axis=0) for name in ("pairs", "products")))
    return ErrorModel(sigma, rho, sum(error.days for error in errors), float(days.sum()), errors[0].floor, share)


def _memory(pairs: FloatArray, products: FloatArray) -> tuple[float, float]:
    """``rho`` and ``share`` that fit the correlations at all lags best, each weighted by its pairs."""
    if not pairs.sum():
        return 0.0, 1.0
    correlation = np.clip(products / np.maximum(pairs, 1e-9), -1, 1)
    share = np.clip(DECAY @ (pairs * correlation) / np.maximum(DECAY**2 @ pairs, 1e-9), 0.0, 1.0)
    misfit = (share[:, None] * DECAY - correlation) ** 2 @ pairs
    best = int(np.clip(np.argmin(misfit), 1, RHO.size - 2))
    left, middle, right = misfit[best - 1 : best + 2]
    bend = left - 2 * middle + right  # the minimum of the parabola through three points
    shift = float(np.clip(0.5 * (left - right) / bend, -1, 1)) if bend > 0 else 0.0
    rho = RHO[best] + shift * (RHO[1] - RHO[0])
    return float(rho), float(np.interp(rho, RHO, share))


def first_errors(
    sites: Mapping[str, Mapping[str, Observed]], floor: float, given: Mapping[str, ErrorModel]
) -> dict[str, ErrorModel]:
    """An error model by variable to begin with: that of all its values, or the one ``given``."""
    found = dict(given)
    for name in sorted({name for observed in sites.values() for name in observed} - set(found)):
        values = [observed[name].value[observed[name].used] for observed in sites.values() if name in observed]
        together = np.concatenate(values)
        spread = float(together.std()) if together.size > 1 else 0.0
        typical = spread or float(np.abs(together).max(initial=0.0)) or 1.0
        found[name] = ErrorModel(typical, 0.0, 0, 0.0, floor * typical)
    return found

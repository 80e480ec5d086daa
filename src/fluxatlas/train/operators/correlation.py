"""Correlation of the errors of observations: what whitening makes of scaled residuals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...errors import InputError
from .spans import FloatArray, IntArray


class Whitening(Protocol):
    """Makes residuals (..., n), each divided by its standard deviation, independent with variance 1."""

    def __call__(self, scaled: Tensor) -> Tensor: ...


class Errors(Protocol):
    """How the errors of n observations are correlated."""

    def check(self, size: int) -> None:
        """Raise :class:`InputError` where it is not of ``size`` observations."""
        ...

    def over(self, rows: IntArray, cluster: IntArray) -> Whitening:
        """Whitening of the observations at ``rows`` (kept,), those that count; ``cluster`` (n,) is that of all."""
        ...

    def cut(self, row: IntArray, column: IntArray) -> Errors:
        """Those of the observations ``row`` (m,), which may repeat: copies in different columns are independent."""
        ...


@dataclass(frozen=True)
class Independent:
    """Errors are not correlated."""

    def __call__(self, scaled: Tensor) -> Tensor:
        return scaled

    def check(self, size: int) -> None:
        return

    def over(self, rows: IntArray, cluster: IntArray) -> Independent:
        return self

    def cut(self, row: IntArray, column: IntArray) -> Independent:
        return self


@dataclass(frozen=True, eq=False)
class Autoregressive:
    """Errors of one series forget: ``correlation`` (0 to 1) after one day, its power d after d days, gaps or not.

    ``time`` (n,) in days may have any origin and fractions. ``series`` (n,) says which observations belong together;
    without it these are those of one cluster. Raises :class:`InputError` for a correlation outside of 0 to below 1,
    and later for two observations of one series at one time.
    """

    correlation: float
    time: npt.ArrayLike
    series: npt.ArrayLike | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.correlation < 1:
            raise InputError(
                f"a correlation from day to day of {self.correlation:g} cannot be",
                hint="give 0 or more and less than 1",
            )

    def check(self, size: int) -> None:
        for what, given in (("times", self.time), ("series", self.series)):
            if given is not None and np.shape(given) != (size,):
                raise InputError(f"errors with {np.size(given)} {what} for {size} observations", hint="give one each")

    def over(self, rows: IntArray, cluster: IntArray) -> Whitening:
        time = np.asarray(self.time, float)[rows]
        series = (cluster if self.series is None else np.asarray(self.series, np.int64))[rows]
        order = np.lexsort((time, series))
        apart, same = np.diff(time[order]), np.diff(series[order]) == 0
        if not (apart[same] > 0).all():
            raise InputError(
                "two observations of one series have the same time, or none",
                hint="give each chamber or sensor a series of its own",
            )
        previous, carry = np.zeros(rows.size, np.int64), np.zeros(rows.size)
        previous[order[1:]] = order[:-1]
        carry[order[1:]] = np.where(same, self.correlation ** np.abs(apart), 0.0)
        return Chained(torch.as_tensor(previous), torch.as_tensor(carry))

    def cut(self, row: IntArray, column: IntArray) -> Autoregressive:
        series = np.zeros(row.size, np.int64) if self.series is None else np.asarray(self.series, np.int64)[row]
        together = np.unique(np.stack([series, column]), axis=1, return_inverse=True)[1]
        return Autoregressive(self.correlation, np.asarray(self.time, float)[row], together)


@dataclass(frozen=True, eq=False)
class Chained:
    """Whitening of autoregressive errors: each less the share ``carry`` of the one before it in its series."""

    previous: Tensor
    carry: Tensor

    def __call__(self, scaled: Tensor) -> Tensor:
        carry = self.carry.to(scaled.dtype)
        return (scaled - carry * scaled[..., self.previous]) / (1 - carry**2).sqrt()


@dataclass(frozen=True, eq=False)
class Covariance:
    """The full covariance ``matrix`` (n, n) of the errors; rows of observations that do not count are left out.

    Raises :class:`InputError` where it is not square, symmetric and positive definite.
    """

    matrix: FloatArray

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, float)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
            raise InputError(f"a covariance of shape {matrix.shape}, or with gaps", hint="give a full square matrix")
        if not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-9 * np.abs(matrix).max(initial=0)):
            raise InputError("the covariance is not symmetric", hint="check the order of rows and columns")
        object.__setattr__(self, "matrix", matrix)

    @property
    def sd(self) -> FloatArray:
        """Standard deviations (n,)."""
        return np.asarray(np.sqrt(np.clip(np.diag(self.matrix), 0, None)))

    def check(self, size: int) -> None:
        if len(self.matrix) != size:
            raise InputError(f"a covariance of {len(self.matrix)} for {size} observations", hint="give one row each")

    def over(self, rows: IntArray, cluster: IntArray) -> Whitening:
        part = self.matrix[np.ix_(rows, rows)]
        try:
            scale = np.sqrt(np.diag(part))
            root = np.linalg.cholesky(part / np.outer(scale, scale))
        except np.linalg.LinAlgError as problem:
            raise InputError(
                "the covariance is not positive definite", hint="add the variance of independent errors to its diagonal"
            ) from problem
        return Rooted(torch.as_tensor(root))

    def cut(self, row: IntArray, column: IntArray) -> Covariance:
        return Covariance(self.matrix[np.ix_(row, row)] * (column[:, None] == column[None, :]))


@dataclass(frozen=True, eq=False)
class Rooted:
    """Whitening by the Cholesky ``root`` (n, n) of the correlation matrix."""

    root: Tensor

    def __call__(self, scaled: Tensor) -> Tensor:
        columns = scaled.reshape(-1, scaled.shape[-1]).T
        return torch.linalg.solve_triangular(self.root.to(scaled.dtype), columns, upper=False).T.reshape(scaled.shape)

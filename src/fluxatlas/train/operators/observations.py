"""Observed numbers with their errors, and the operator that makes the same numbers of daily outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...errors import InputError, counted
from .correlation import Covariance, Errors, Independent, Whitening
from .linear import Operator, moved
from .spans import IntArray

Outputs = Mapping[str, Tensor | npt.NDArray[Any]]

LEAST_IN_GROUP = 2
"""Observations that a group needs before they can be compared with each other."""


@dataclass(frozen=True, eq=False)
class ObservationSet:
    """Observations of one kind (n,): numbers, their errors, and the operator that predicts them.

    ``value`` is what the operator gives (of an anomaly the departure or the rank, made of ``raw``). ``sd`` is the
    stated random error, NaN where it is not stated; ``cluster`` numbers what is drawn and held out together; ``rows``
    (kept,) are the places of those that count; ``weight`` is a relative weight in losses other than :meth:`misfit`.
    ``errors`` says how errors are correlated and ``whiten`` undoes that for the rows that count.

    With ``second``, the operator of a second, independent draw of points, :meth:`misfit` takes the product of the
    residuals of the two draws. Its mean over draws is the square of the residual of the true sum, E[(a - y)(b - y)];
    the mean of a square holds the variance of the draw too, and who minimises that flattens the field.
    """

    operator: Operator
    value: Tensor
    sd: Tensor
    cluster: Tensor
    rows: Tensor
    raw: Tensor
    errors: Errors
    whiten: Whitening
    stated: bool
    weight: Tensor | None = None
    second: Operator | None = None

    @classmethod
    def of(
        cls,
        operator: Operator,
        value: npt.ArrayLike,
        sd: npt.ArrayLike | None = None,
        *,
        cluster: npt.ArrayLike | None = None,
        mask: npt.ArrayLike | None = None,
        errors: Errors | None = None,
        weight: npt.ArrayLike | None = None,
        second: Operator | None = None,
    ) -> ObservationSet:
        """The set of ``value`` (n,), in the unit of the operator; NaN, rows that are not covered and those that
        ``mask`` holds to be False do not count.

        A :class:`Covariance` gives ``sd`` too. Without ``cluster`` every observation is one. Raises :class:`InputError`
        for arrays of another length than the operator, a negative ``sd``, an infinite value, and draws of other sums.
        """
        values = np.asarray(value, float if np.asarray(value).dtype != np.float32 else np.float32)
        spread = errors.sd if sd is None and isinstance(errors, Covariance) else sd
        spread = np.full(values.shape, np.nan, values.dtype) if spread is None else np.asarray(spread, values.dtype)
        clusters = np.arange(values.size) if cluster is None else np.asarray(cluster, np.int64)
        weights = None if weight is None else np.asarray(weight, values.dtype)
        model = errors or Independent()
        model.check(operator.size)
        counts = np.ones(values.shape, bool) if mask is None else np.asarray(mask, bool)
        given = {"values": values, "sd": spread, "clusters": clusters, "weights": weights, "mask": counts}
        for name, array in given.items():
            if array is not None and array.shape != (operator.size,):
                raise InputError(
                    f"{name} of shape {array.shape} for {counted(operator.size, 'observation')}", hint="give one each"
                )
        if np.isinf(values).any() or (spread < 0).any():
            raise InputError("an observation is infinite, or its sd negative", hint="remove it, or correct it")
        if second is not None and (second.size != operator.size or second.kind != operator.kind):
            raise InputError("two draws are of different observations", hint="draw points, and nothing else, twice")
        keep = np.isfinite(values) & counts
        for one in (operator, *([second] if second else [])):
            keep &= True if one.covered is None else one.covered.numpy()
        rows = _comparable(np.flatnonzero(keep), operator)
        raw, places = _tensor(values), torch.as_tensor(rows)
        return cls(
            operator=operator,
            value=operator.alike(raw, places) if operator.group is not None else raw,
            sd=_tensor(spread),
            cluster=_tensor(clusters),
            rows=places,
            raw=raw,
            errors=model,
            whiten=model.over(rows, clusters),
            stated=bool((spread[rows] > 0).all()),
            weight=None if weights is None else _tensor(weights),
            second=second,
        )

    @property
    def size(self) -> int:
        """Number of observations that count."""
        return self.rows.numel()

    def draws(self, outputs: Outputs, effects: Tensor | None = None) -> Tensor:
        """Predictions (draw, n) of ``outputs`` (time, cell): of both draws of points, or of the one there is.

        Raises what :class:`~fluxatlas.train.operators.Operator` does.
        """
        operators = [self.operator, *([self.second] if self.second else [])]
        return torch.stack([self._of(one, outputs, effects) for one in operators])

    def apply(self, outputs: Outputs, effects: Tensor | None = None) -> Tensor:
        """Predictions (n,) of ``outputs`` (time, cell), the mean of two draws; raises as :meth:`draws`."""
        if self.second is None:
            return self._of(self.operator, outputs, effects)
        return self.draws(outputs, effects).mean(dim=0)

    def _of(self, operator: Operator, outputs: Outputs, effects: Tensor | None) -> Tensor:
        return operator.alike(operator(outputs, effects), self.rows)

    def residuals(self, predicted: Tensor) -> Tensor:
        """``predicted`` (..., n) less the observations, in their unit; NaN where they do not count."""
        found = torch.full_like(predicted, torch.nan)
        found[..., self.rows] = (predicted - self.value)[..., self.rows]
        return found

    def whitened(self, predicted: Tensor) -> Tensor:
        """Residuals (..., kept) of ``predicted`` (..., n), independent with variance 1 if the stated errors are right.

        Raises :class:`InputError` where an ``sd`` is not stated (0 or NaN).
        """
        if not self.stated:
            raise InputError(
                f"the random error of an observation of '{self.operator.kind}' is not stated",
                hint="give every observation an sd above 0, such as a floor that stands for what is not known",
            )
        kept = (predicted[..., self.rows] - self.value.to(predicted.dtype)[self.rows]) / self.sd.to(predicted.dtype)[
            self.rows
        ]
        return self.whiten(kept)

    def misfit(self, predicted: Tensor) -> Tensor:
        """Half the sum of squares of the whitened residuals of ``predicted`` (n,), or, of two draws (2, n), half the
        sum of their products: the negative Gaussian log-likelihood but for what does not depend on the prediction.

        Raises :class:`InputError` for one prediction where there are two draws: its square would be biased.
        """
        draws = 1 if self.second is None else 2
        rows = predicted if predicted.ndim == 2 else predicted[None]
        if len(rows) != draws:
            raise InputError(
                f"{counted(len(rows), 'prediction')} of observations with {counted(draws, 'draw')} of points",
                hint="give what 'draws' returns",
            )
        found = self.whitened(rows)
        return 0.5 * (found[0] * found[-1]).sum()

    def prior(self, effects: Tensor) -> Tensor:
        """Negative logarithm of the prior of the ``effects`` (chamber,), without its constant."""
        return 0.5 * (effects / self.operator.prior_sd).square().sum()

    def to(self, device: str | torch.device) -> ObservationSet:
        """The set on ``device``; itself where it is there."""
        return self if self.value.device == torch.device(device) else moved(self, device)

    def where(self, mask: npt.ArrayLike) -> ObservationSet:
        """The set of which only those count that ``mask`` (n,) holds to be True, and that counted before."""
        return ObservationSet.of(
            self.operator,
            self.raw.numpy(),
            self.sd.numpy(),
            cluster=self.cluster.numpy(),
            mask=np.isin(np.arange(self.operator.size), self.rows.numpy()) & np.asarray(mask, bool),
            errors=self.errors,
            weight=None if self.weight is None else self.weight.numpy(),
            second=self.second,
        )

    def within(self, site: IntArray, first: IntArray, length: IntArray, warmup: int) -> ObservationSet:
        """The observations that lie wholly in windows of days: window w (window,) holds ``length`` days from day
        ``first`` of cell ``site``, and is column w of outputs that begin ``warmup`` days earlier.

        Clusters are then the windows. Raises :class:`InputError` for observations about several cells.
        """
        cell, begin, stop = self.extent
        rows = self.rows.numpy()
        inside = (
            (cell[rows][:, None] == site[None, :])
            & (begin[rows][:, None] >= first[None, :])
            & (stop[rows][:, None] <= (first + length)[None, :])
        )
        place, column = np.nonzero(inside)
        row = rows[place]
        return ObservationSet.of(
            self.operator.cut(row, column, (warmup - first)[column]),
            self.raw.numpy()[row],
            self.sd.numpy()[row],
            cluster=column,
            errors=self.errors.cut(row, column),
            weight=None if self.weight is None else self.weight.numpy()[row],
        )

    @cached_property
    def extent(self) -> tuple[IntArray, IntArray, IntArray]:
        """Cell, first day and day after the last of each observation (n,); of those without entries -1, 0 and 0.

        Raises :class:`InputError` for observations about several cells.
        """
        operator = self.operator
        cell, highest = np.full(operator.size, np.iinfo(np.int64).max), np.full(operator.size, -1)
        begin, stop = np.full(operator.size, np.iinfo(np.int64).max), np.zeros(operator.size, np.int64)
        for entries in operator.parts.values():
            row = np.arange(operator.size) if entries.row is None else entries.row.numpy()
            np.minimum.at(cell, row, entries.cell.numpy())
            np.maximum.at(highest, row, entries.cell.numpy())
            np.minimum.at(begin, row, entries.time.numpy())
            np.maximum.at(stop, row, entries.time.numpy() + 1)
        if ((highest >= 0) & (cell != highest)).any():
            raise InputError(
                f"observations of '{operator.kind}' are about several cells and cannot be cut into windows of one",
                hint="run their points together",
            )
        return np.where(highest >= 0, cell, -1), np.where(highest >= 0, begin, 0), stop


def _tensor(values: npt.NDArray[Any]) -> Tensor:
    """``values`` as a tensor; columns of tables, which must not be written to, are copied."""
    return torch.as_tensor(values if values.flags.writeable else values.copy())


def _comparable(rows: IntArray, operator: Operator) -> IntArray:
    """Those of ``rows`` that are not alone in their group."""
    if operator.group is None or not rows.size:
        return rows
    group = operator.group.numpy()[rows]
    return rows[np.bincount(group)[group] >= LEAST_IN_GROUP]

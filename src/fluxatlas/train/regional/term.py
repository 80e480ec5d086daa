"""The term ``regional``: sums of the network's flux over regions and months beside those of inversions.

A step runs all points of the regions through one calendar year, every day of it: the flux is not linear in the weather,
and months are sums of days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...config.regional import TERM as REGIONAL
from ...errors import ConfigError, InputError, counted
from ..data import Batch, DayWindow, SequenceSet
from ..networks import HierarchicalNetwork
from ..operators import Operator, Points, region_month
from .points import FloatArray, spread_of_sums
from .target import DECOMPOSED, YEARS_FOR_PARTS, Months, Part, RegionalTarget

Mask = npt.NDArray[np.bool_]
TG = 1e-12
"""From grams to the unit of the target, Tg."""


@dataclass(frozen=True)
class RegionalBatch:
    """One calendar year of points: their series, the operators of one or two draws on them, and the numbers ``month``
    (m,) of the months of the target, whose sums (m * region,) the operators give."""

    batch: Batch
    operators: tuple[Operator, ...]
    month: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """What is compared, linear in a series of months: ``operator`` (row, month) on ``region`` (row,), with the
    ``variance`` (row,) of its errors and the ``weight`` (row,) of its square."""

    operator: Tensor
    region: Tensor
    variance: Tensor
    weight: Tensor

    def loss(self, one: Tensor, other: Tensor, month: Tensor) -> Tensor:
        """Mean of residuals ``one`` times ``other`` (month, region) per variance, over rows that ``month`` enter."""
        touched = (self.operator[:, month] != 0).any(dim=1)
        first, second = ((self.operator * part.T[self.region]).sum(dim=1) for part in (one, other))
        weight = self.weight * touched
        return (weight * first * second / self.variance).sum() / weight.sum().clamp_min(1e-30)


@dataclass(frozen=True, eq=False)
class RegionalData:
    """Region-months and the points that predict them.

    ``series`` holds the drivers of the points (no targets), ``points`` their regions (those of ``target``, in order)
    and areas [m2], with ``cell`` the number of the series; ``variable`` is the output that is summed, in g m-2 d-1.
    With ``decompose`` mean, season and anomaly are compared instead of months, each with its own variance. Otherwise
    errors of a region are correlated by ``correlation`` from month to month: months count as their effective share.
    With ``draw`` every step takes two independent draws of so many points of each region (the unbiased product),
    otherwise all. ``held_out`` (month, region) is kept for validation; ``quadrature`` (month, region) is the standard
    deviation of the sums that comes of few points, and ``unexplained`` (region,) the share of the variance of a region
    that lies within their clusters.

    Raises :class:`InputError` for a region without points, and where a series does not hold every month;
    :class:`ConfigError` for draws with ``decompose``.
    """

    series: SequenceSet
    points: Points
    target: RegionalTarget
    variable: str
    decompose: bool = False
    correlation: float = 0.6
    draw: int = 0
    held_out: Mask | None = None
    quadrature: FloatArray | None = None
    unexplained: FloatArray | None = None

    def __post_init__(self) -> None:
        count = np.bincount(self.points.region, minlength=len(self.target.regions))
        bare = [name for name, size in zip(self.target.regions, count, strict=True) if not size]
        if bare:
            raise InputError(f"no point lies in {', '.join(bare)}", hint="leave the region out, or widen the domain")
        first, stop = self._days(self.target.month)
        segments = {segment.site: segment for segment in self.series.segments}
        for cell in self.points.cell:
            held = segments.get(int(cell))
            if held is None or held.start > first or held.stop < stop:
                raise InputError(
                    f"point '{self.series.sites[cell]}' lacks weather in the months of the inversions",
                    hint="cut the years of the constraint to those of the forcing",
                )
        if self.draw and self.decompose:
            raise ConfigError(
                "mean, season and anomaly need the same points in all years",
                where="RegionalData",
                hint="leave 'draw' at 0 with 'decompose'",
            )
        years = np.unique(self.target.month.astype("datetime64[Y]")).size
        if self.decompose and years < YEARS_FOR_PARTS:
            raise ConfigError(
                f"{counted(years, 'year')} cannot be parted into mean, season and anomaly",
                where="RegionalData",
                hint=f"give {YEARS_FOR_PARTS} years or more",
            )

    @property
    def years(self) -> list[int]:
        """Calendar years of the target."""
        return [int(year) + 1970 for year in np.unique(self.target.month.astype("datetime64[Y]").astype(int))]

    @property
    def effective(self) -> float:
        """Share of months that counts as independent."""
        return 1.0 if self.decompose else (1 - self.correlation) / (1 + self.correlation)

    @cached_property
    def training(self) -> Rows:
        """What is learnt from."""
        parts: Sequence[Part] = DECOMPOSED if self.decompose else ("month",)
        held = self.held_out if self.held_out is not None else np.zeros(self.target.value.shape, bool)
        return self._rows(parts, ~held)

    @cached_property
    def validation(self) -> Rows | None:
        """Held-out region-months; None where there are none."""
        return None if self.held_out is None or not self.held_out.any() else self._rows(("month",), self.held_out)

    def _rows(self, parts: Sequence[Part], counts: Mask) -> Rows:
        operators, regions, variances, weights = [], [], [], []
        for part in parts:
            made = [self.target.operator(part, counts[:, one]) for one in range(len(self.target.regions))]
            size = sum(len(one) for one in made)
            for region, operator in enumerate(made):
                quadrature = None if self.quadrature is None else self.quadrature[:, region]
                operators.append(operator)
                regions.append(np.full(len(operator), region))
                variances.append(self.target.variance(region, operator, quadrature))
                weights.append(np.full(len(operator), 1.0 / max(size, 1)))
        joined = [np.concatenate(arrays) for arrays in (operators, variances, weights)]
        matrix, errors, shares = (torch.as_tensor(array, dtype=torch.float32) for array in joined)
        return Rows(matrix, torch.as_tensor(np.concatenate(regions)), errors, shares)

    def _days(self, month: Months) -> tuple[int, int]:
        """First day and day after the last of ``month`` on the axis of the series."""
        origin = np.datetime64(self.series.dates[0], "D")
        edges = (month[0].astype("datetime64[D]"), (month[-1] + 1).astype("datetime64[D]"))
        return tuple(int((edge - origin).astype(int)) for edge in edges)  # type: ignore[return-value]

    def batch(
        self, year: int, warmup: int, rng: np.random.Generator | None = None, device: str | torch.device = "cpu"
    ) -> RegionalBatch:
        """The points in ``year``; with ``draw`` those of two draws."""
        drawn = [self.points]
        if self.draw and rng is not None:
            drawn = [self.points.draw(self.draw, rng) for _ in range(2)]
        number = np.flatnonzero(self.target.month.astype("datetime64[Y]").astype(int) + 1970 == year)
        months = self.target.month[number]
        first, stop = self._days(months)
        cells = np.unique(np.concatenate([points.cell for points in drawn]))
        segment = {one.site: place for place, one in enumerate(self.series.segments)}
        windows = [DayWindow(segment[int(cell)], first, stop - first) for cell in cells]
        dates = self.series.dates[first:stop]
        count = len(self.target.regions)
        when, where = np.repeat(months, count), np.tile(np.arange(count), months.size)
        operators = []
        for points in drawn:
            own = replace(points, cell=np.searchsorted(cells, points.cell))
            operators.append(region_month(self.variable, dates, when, where, own, factor=TG))
        return RegionalBatch(self.series.batch(windows, warmup, device), tuple(operators), number)

    def measured(self, network: HierarchicalNetwork, warmup: int) -> RegionalData:
        """With the ``quadrature`` error of its points, by the variance of the flux of ``network`` over each region;
        unchanged where ``unexplained`` is not known."""
        if self.unexplained is None:
            return self
        single = np.arange(self.points.cell.size)
        alone = Points.of(single, self.points.cell, np.ones(single.size))
        field = RegionalObjective(self, warmup).sums(network, alone) * TG
        return replace(self, quadrature=spread_of_sums(self.points, self.unexplained, field))


def hold_out_years(target: RegionalTarget, share: float, seed: int) -> Mask:
    """Region-years (month, region) to validate with: a ``share`` of the years of every region, drawn at random.

    None where there are fewer than three years.
    """
    year = target.month.astype("datetime64[Y]").astype(int)
    years = np.unique(year)
    held = np.zeros((year.size, len(target.regions)), bool)
    if years.size >= YEARS_FOR_PARTS:
        rng = np.random.default_rng(seed)
        for region in range(held.shape[1]):
            held[:, region] = np.isin(year, rng.choice(years, max(1, round(share * years.size)), replace=False))
    return held


@dataclass
class RegionalObjective:
    """Terms over a :class:`RegionalBatch`: the one called ``regional``, mean over what is compared of the squared
    residual per variance, times the effective share of the months.

    The term counts in phases that give it a weight. ``latest`` holds the sums (month, region) of all years,
    for what compares years with each other.
    """

    data: RegionalData
    warmup: int
    weight: float = 0.0
    stage: str = REGIONAL
    latest: Tensor | None = field(default=None, repr=False)
    _made_by: tuple[int, ...] = field(default=(), repr=False)

    def weights(self) -> dict[str, float]:
        """Weight of the term."""
        return {REGIONAL: self.weight}

    def total(self, terms: Mapping[str, Tensor], weights: Mapping[str, float] | None = None) -> Tensor:
        """Weighted term."""
        return (weights or self.weights())[REGIONAL] * terms[REGIONAL]

    def observations(self, batch: RegionalBatch) -> int:
        """Held-out region-months in ``batch``."""
        held = self.data.held_out
        return 0 if held is None else int(held[batch.month].sum())

    def terms(self, network: HierarchicalNetwork, batch: RegionalBatch, probe: bool = True) -> dict[str, Tensor]:
        """The term; without ``probe`` that of the held-out region-months."""
        sums = self._sums(network, batch)
        value = torch.as_tensor(self.data.target.value, dtype=sums[0].dtype, device=sums[0].device)
        month = torch.as_tensor(batch.month, device=value.device)
        rows = self.data.training if probe else self.data.validation
        if rows is None:
            return {REGIONAL: sums[0].sum() * 0.0}
        known = value if self.latest is None else self.latest.to(value)
        times = len(self.data.years) if self.data.decompose else 1  # this year's part of the gradient stands for all
        found = []
        for one in sums:
            full = known.clone()
            full[month] = one.detach() + times * (one - one.detach())
            found.append(full - value)
        loss = rows.loss(found[0], found[-1], month)
        return {REGIONAL: self.data.effective * loss if probe else loss}

    def _sums(self, network: HierarchicalNetwork, batch: RegionalBatch) -> list[Tensor]:
        """Sums (month, region) of the batch by each of its operators."""
        one = batch.batch
        outputs, _ = network(one.drivers, one.statics, overrides=one.overrides, modules=one.modules, theta=one.theta)
        days = {self.data.variable: outputs[self.data.variable][one.warmup :]}
        return [operator(days).reshape(len(batch.month), -1) for operator in batch.operators]

    @torch.no_grad()
    def sums(self, network: HierarchicalNetwork, points: Points | None = None) -> FloatArray:
        """Sums (month, region) of all years with all points; or of other ``points`` of the same series."""
        data = replace(self.data, draw=0)
        found = []
        for year in data.years:
            batch = data.batch(year, self.warmup, device=next(network.parameters()).device)
            if points is not None:
                cells, months = np.unique(data.points.cell), data.target.month[batch.month]
                own = replace(points, cell=np.searchsorted(cells, points.cell))
                when = np.repeat(months, points.total.size)
                where = np.tile(np.arange(points.total.size), months.size)
                first, stop = data._days(months)
                dates = data.series.dates[first:stop]
                batch = replace(batch, operators=(region_month(data.variable, dates, when, where, own),))
            found.append(self._sums(network, batch)[0].cpu().numpy())
        return np.concatenate(found)

    def refresh(self, network: HierarchicalNetwork) -> None:
        """Bring ``latest`` up to date; nothing where years are not compared with each other, or no weight has moved."""
        moved = tuple(weight._version for weight in network.parameters())
        if self.data.decompose and (self.latest is None or moved != self._made_by):
            self.latest, self._made_by = torch.as_tensor(self.sums(network)), moved

    def chi2(self, network: HierarchicalNetwork) -> float:
        """Mean squared residual of all region-months per variance: 1 where the sums fit as well as their errors say."""
        whole = replace(self.data, decompose=False, held_out=None)
        residual = torch.as_tensor(self.sums(network) - self.data.target.value, dtype=torch.float32)
        return float(whole.training.loss(residual, residual, torch.arange(len(residual))))

    def years(self, rng: np.random.Generator, count: int) -> list[tuple[int, int]]:
        """``count`` years in random order, all of them before any comes again, each with a seed for its draws."""
        turns = [rng.permutation(self.data.years) for _ in range(-(-count // len(self.data.years)))]
        return [(int(year), int(rng.integers(2**31))) for year in np.concatenate([*turns, np.zeros(0)])[:count]]

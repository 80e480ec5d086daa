"""Applicability in two layers: is a place inside the library of samples, and is it near a site that was observed?

*Inside the library*: its climate lies within the range of the synthetic samples (here) and no static lies beyond them
(:meth:`~fluxatlas.train.networks.HierarchicalNetwork.beyond`). *Near observations*: the dissimilarity index of Meyer &
Pebesma (2021, doi:10.1111/2041-210X.13650), recalled [R+], measured to sites where the first flux was observed and to
nothing else: the distance to the nearest of them in weighted predictors, divided by the mean distance between them. A
place is near where the index does not exceed the upper whisker (third quartile + 1.5 interquartile ranges) of the
sites' own index, each measured to sites of other spatial blocks. The local point density is the number of sites within
that threshold (as in the package CAST).

Predictors are standardised by the samples and weighted by what they do to the flux: the root mean square change of the
network's mean flux when a predictor of a sample is exchanged for that of another one (:func:`importance`).

The climate of a site is that of its own weather, or of the grid's at its place. Where it has neither, its soil alone is
known. An unknown predictor is as far from a place as that of a sample drawn at random is on average: an unknown climate
never makes a place near. The threshold is made of what is known, so that ignorance does not widen it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.distance import cdist

from ..errors import InputError
from ..systems import System
from .data import YEAR, Segment, SequenceSet
from .flags import INSIDE, NEAR, OUTSIDE, UNJUDGED
from .networks import HierarchicalNetwork
from .predict import predict

FloatArray = npt.NDArray[np.floating[Any]]

FEWEST_SITES = 9
"""Independent sites (spatial blocks) below which nothing is said on nearness: a tenth place of the same kind lies
within the largest of nine distances with a probability of 90 %."""
WHOLE_YEAR = 330
"""Days of weather without a gap that make a climate."""
MARGIN = 0.5
"""Standard deviations of the samples by which a climate may leave their range."""
FLOOR = 0.1
"""Share of the weight that all predictors have alike, so that none counts for nothing."""
EXCHANGED = 64
"""Samples over which predictors are exchanged."""


def feature_names(statics: Mapping[str, object], climate: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of :func:`features`."""
    return (*statics, *(f"{name}_mean" for name in climate), f"{climate[0]}_sd")


def features(
    drivers: Mapping[str, npt.ArrayLike], statics: Mapping[str, npt.ArrayLike], climate: Sequence[str]
) -> FloatArray:
    """Predictors of a place, (cell, feature): ``statics`` (cell,) and the mean of ``drivers`` (time, cell).

    ``climate`` names the drivers (``System.climate``); of the first also the standard deviation over time counts. Whole
    years are best. Precipitation enters as the square root of its mean. Units: those of the variable table. Raises
    :class:`InputError` where a driver of ``climate`` is absent.
    """
    lacking = [name for name in climate if name not in drivers]
    if lacking:
        raise InputError(f"no {', '.join(lacking)} to judge applicability by", hint="give all drivers")
    columns = [np.asarray(values, float) for values in statics.values()]
    for name in climate:
        mean = np.mean(np.asarray(drivers[name], float), axis=0)
        columns.append(np.sqrt(np.maximum(mean, 0)) if name == "pr" else mean)
    columns.append(np.std(np.asarray(drivers[climate[0]], float), axis=0))
    return np.stack(columns, axis=-1)


class Verdict(NamedTuple):
    """What is said of places (n,): the dissimilarity (NaN: no sites), the number of sites within the threshold (NaN:
    cannot be judged) and a flag of :mod:`~fluxatlas.train.flags`; named as in the product."""

    dissimilarity: FloatArray
    point_density: FloatArray
    applicable: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Applicability:
    """What a member knows of its samples and of the sites it has learned from.

    ``low`` and ``high`` (f,) bound what is inside the library (infinite for statics). ``mean`` and ``scale`` (f,) make
    weighted z-scores; ``points`` (n, f) are those of the sites, 0 where unknown, and ``unknown`` (n,) the squared
    distance that stands for what is not known of each. ``threshold`` is NaN where there are too few sites to judge.
    """

    names: tuple[str, ...]
    low: FloatArray
    high: FloatArray
    mean: FloatArray
    scale: FloatArray
    points: FloatArray
    unknown: FloatArray
    mean_distance: float
    threshold: float

    @classmethod
    def of_library(cls, library: npt.ArrayLike, climate: int, names: tuple[str, ...]) -> Applicability:
        """Without sites; ``library`` (m, f) are the samples, of which the last ``climate`` columns are bounded."""
        table = np.asarray(library, float)
        if not np.isfinite(table).all():
            raise InputError("the samples hold NaN", hint="synthesize them again")
        mean, spread = table.mean(axis=0), table.std(axis=0)
        bounded = np.arange(table.shape[1]) >= table.shape[1] - climate
        low = np.where(bounded, table.min(axis=0) - MARGIN * spread, -np.inf)
        high = np.where(bounded, table.max(axis=0) + MARGIN * spread, np.inf)
        spread = np.where(spread > 1e-12 * (1 + np.abs(mean)), spread, 1.0)
        none = np.empty((0, table.shape[1]))
        return cls(names, low, high, mean, spread, none, np.empty(0), np.nan, np.nan)

    def with_sites(self, sites: npt.ArrayLike, groups: npt.ArrayLike, weight: npt.ArrayLike) -> Applicability:
        """With the predictors of ``sites`` (n, f), NaN where unknown, of the spatial blocks ``groups`` (n,).

        ``weight`` (f,) multiplies z-scores. Without two groups there is no distance between sites to measure by.
        """
        table, keys = np.asarray(sites, float), np.asarray(groups)
        factor = np.asarray(weight, float)
        scale = self.scale / factor
        known = np.isfinite(table)
        points = np.where(known, (table - self.mean) / scale, 0.0)
        between = _between(points, known)
        blocks = len(np.unique(keys))
        if blocks < 2:
            return replace(self, scale=scale)
        mean_distance = float(between[np.triu_indices(len(points), 1)].mean()) or 1.0
        threshold = np.nan
        if blocks >= FEWEST_SITES:
            apart = np.where(keys[:, None] != keys[None, :], between, np.inf).min(axis=1) / mean_distance
            lower, upper = np.quantile(apart, [0.25, 0.75])
            threshold = float(apart[apart <= upper + 1.5 * (upper - lower)].max())
        unknown = (~known * factor**2).sum(axis=1)
        return replace(
            self, scale=scale, points=points, unknown=unknown, mean_distance=mean_distance, threshold=threshold
        )

    @property
    def can_judge(self) -> bool:
        """Whether there are sites enough to say what is near."""
        return bool(np.isfinite(self.threshold))

    def judge(self, places: npt.ArrayLike) -> Verdict:
        """The verdict on ``places`` (n, f); what is NaN is outside.

        Raises :class:`InputError` for another number of features than fitted.
        """
        table = np.asarray(places, float)
        if table.ndim != 2 or table.shape[1] != len(self.mean):
            raise InputError(f"the applicability index knows {len(self.mean)} features, not shape {table.shape}")
        inside = ((table >= self.low) & (table <= self.high)).all(axis=1)
        nearest, density = np.full((2, len(table)), np.nan)
        if len(self.points):
            squared = cdist((table - self.mean) / self.scale, self.points, "sqeuclidean") + self.unknown
            index = np.sqrt(squared) / self.mean_distance
            nearest = index.min(axis=1)
            if self.can_judge:
                density = np.where(np.isfinite(nearest), (index <= self.threshold).sum(axis=1), np.nan)
        flag = np.where(np.isnan(density), UNJUDGED, np.where(density > 0, NEAR, INSIDE))
        return Verdict(nearest, density, np.where(inside, flag, OUTSIDE).astype(np.int8))

    def packed(self) -> dict[str, Any]:
        """Plain values and tensors, for the member file; :meth:`unpacked` is the inverse."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: torch.as_tensor(value) if isinstance(value, np.ndarray) else value for name, value in values.items()
        } | {"names": list(self.names)}

    @classmethod
    def unpacked(cls, content: Mapping[str, Any]) -> Applicability:
        values = {name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in content.items()}
        return cls(**values | {"names": tuple(content["names"])})


def _between(points: FloatArray, known: npt.NDArray[np.bool_]) -> FloatArray:
    """Distances (n, n) in the predictors that both points know."""
    both = known[:, None, :] & known[None, :, :]
    return np.sqrt((np.where(both, points[:, None, :] - points[None, :, :], 0.0) ** 2).sum(axis=-1))


def of_ensemble(indices: Sequence[Applicability | None], places: FloatArray, beyond: npt.NDArray[np.bool_]) -> Verdict:
    """One verdict of all members: means, and the flag of most of those that can judge.

    A place is outside where any member says so, or where it is ``beyond`` (n,) the statics of the samples.
    """
    known = [index for index in indices if index is not None]
    found = [index.judge(places) for index in known]
    unknown = np.full(len(places), np.nan)
    distances = [verdict.dissimilarity for index, verdict in zip(known, found, strict=True) if len(index.points)]
    densities = [verdict.point_density for index, verdict in zip(known, found, strict=True) if index.can_judge]
    near = 2 * np.sum([density > 0 for density in densities], axis=0) > len(densities)
    flag = np.where(near, NEAR, INSIDE) if densities else np.full(len(places), UNJUDGED)
    outside = beyond | np.any([verdict.applicable == OUTSIDE for verdict in found], axis=0) if found else beyond
    return Verdict(
        np.mean(distances, axis=0) if distances else unknown,
        np.mean(densities, axis=0) if densities else unknown,
        np.where(outside, OUTSIDE, flag).astype(np.int8),
    )


def fit(
    network: HierarchicalNetwork, samples: SequenceSet, system: System, sites: Sequence[SequenceSet] = ()
) -> Applicability | None:
    """What the member with ``network`` knows of ``samples`` and of the ``sites`` with observations of the first flux.

    None where no sample is as long as a year. Says where there are too few independent sites to judge by.
    """
    library = _sample_features(samples, system)
    if not len(library):
        return None
    names = feature_names(samples.statics, system.climate)
    index = Applicability.of_library(library, len(system.climate) + 1, names)
    rows, blocks = [], []
    for data in sites:
        observed = _observed(data, system.flux)
        rows.append(site_features(data, system)[observed])
        blocks.append(data.block[observed])
    groups = np.concatenate([*blocks, np.empty(0)])
    count = len(np.unique(groups))
    if sites and count < FEWEST_SITES:
        said = f"{count} independent sites have '{system.flux}', {FEWEST_SITES} are needed to judge"
        print(f"train: {said} what is near them: applicability knows the samples alone", file=sys.stderr, flush=True)
    if not count:
        return index
    return index.with_sites(np.concatenate(rows), groups, importance(network, samples, system))


def _observed(data: SequenceSet, flux: str) -> npt.NDArray[np.bool_]:
    """Sites (site,) with a value of ``flux`` in one of the segments."""
    inside = np.zeros(len(data.sites), bool)
    inside[[segment.site for segment in data.segments]] = True
    return inside & (data.count(flux) > 0)


def site_features(data: SequenceSet, system: System) -> FloatArray:
    """Predictors (site, feature) of sites, NaN where unknown.

    The climate is the mean of the stretches of weather of :data:`WHOLE_YEAR` days or more. Slow drivers are known where
    the weather is not.
    """
    table = []
    for site in range(len(data.sites)):
        mine = [] if data.modules is not None else [part for part in data.segments if part.site == site]
        spans = [slice(start, stop) for _, start, stop in mine if stop - start >= WHOLE_YEAR]
        hidden = () if spans else system.forcing
        if not spans:
            days = len(data.dates) // YEAR * YEAR
            spans, hidden = ([slice(0, days)], system.forcing) if days else ([slice(0, 1)], system.climate)
        statics = {name: values[[site]] for name, values in data.statics.items()}
        found = []
        for span in spans:
            blank = np.full((span.stop - span.start, 1), np.nan)
            drivers = {name: blank if name in hidden else data.drivers[name][span, [site]] for name in system.climate}
            found.append(features(drivers, statics, system.climate)[0])
        table.append(np.average(found, axis=0, weights=[span.stop - span.start for span in spans]))
    return np.array(table).reshape(len(data.sites), -1)


def _sample_features(samples: SequenceSet, system: System) -> FloatArray:
    """Predictors (year of a sample, feature): each year by itself, as a product has them."""
    found = []
    for site, start, stop in samples.segments:
        statics = {name: values[[site]] for name, values in samples.statics.items()}
        for begin in range(start, stop - WHOLE_YEAR + 1, YEAR):
            span = slice(begin, min(begin + YEAR, stop))
            drivers = {name: samples.drivers[name][span, [site]] for name in system.climate}
            found.append(features(drivers, statics, system.climate)[0])
    return np.array(found)


def importance(network: HierarchicalNetwork, samples: SequenceSet, system: System) -> FloatArray:
    """Weights (feature,) of the predictors, of mean square 1.

    Root mean square change of the network's mean flux over the last year when a predictor is exchanged between samples.
    The weather is exchanged as a whole, since its variables belong together, and its predictors share the weight
    equally; each static and each slow driver is exchanged alone. A share :data:`FLOOR` is the same for all.
    """
    data = _last_years(samples)
    order = np.random.default_rng(0).permutation(len(data.sites))
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)

    def change(names: Sequence[str]) -> float:
        drivers = {k: v[:, other] if k in names else v for k, v in data.drivers.items()}
        statics = {k: v[other] if k in names else v for k, v in data.statics.items()}
        return float(np.mean((flux(replace(data, drivers=drivers, statics=statics)) - before) ** 2))

    def flux(data: SequenceSet) -> FloatArray:
        return np.asarray(np.nanmean(predict(network, data, warmup=YEAR // 2)[system.flux].astype(float), axis=0))

    before = flux(data)
    names = feature_names(samples.statics, system.climate)
    of_name = {name: name.removesuffix("_mean").removesuffix("_sd") for name in names}
    weather = [name for name in names if of_name[name] in system.forcing]
    shared = change(system.forcing) / max(1, len(weather))
    effect = np.array([shared if name in weather else change([of_name[name]]) for name in names])
    share = effect / effect.sum() if effect.sum() > 0 else np.full(len(names), 1 / len(names))
    return np.asarray(np.sqrt(len(names) * (1 - FLOOR) * share + FLOOR))


def _last_years(samples: SequenceSet) -> SequenceSet:
    """The last year of at most :data:`EXCHANGED` samples that are as long, spread over all; their parameters are those
    of the network."""
    long = [segment for segment in samples.segments if segment.stop - segment.start >= WHOLE_YEAR]
    chosen = [long[index] for index in np.unique(np.linspace(0, len(long) - 1, EXCHANGED).round().astype(int))]
    years = [Segment(n, max(0, part.stop - YEAR), part.stop) for n, part in enumerate(chosen)]
    few = samples.of([segment.site for segment in chosen], years)
    return replace(few, sd={}, weight=None, first_day=None, theta={})

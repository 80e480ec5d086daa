"""A process model calibrated at sites, and networks under its posterior: predictions of places seen and unseen.

The parameters of the process model are found with the process model itself (:mod:`fluxatlas.train.calibration`); the
network, which was told them in pretraining, carries what was found to the globe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables
from ..loading import load_object
from ..systems import System
from ..theta import Prior, Theta
from .calibration import Place, Posterior, calibrate
from .data import FloatArray, SequenceSet
from .error_model import ErrorModel, Observed
from .gauss_newton import Options
from .networks import HierarchicalNetwork
from .predict import predict_draws
from .simulation import simulate_sites

DRAWS = 99
"""Draws of the parameters that a prediction of a place averages over. The fifth from either end are the ends of
:data:`INTERVAL`, between which another draw lies with a probability of exactly 90 %. Uptake of an unseen place is so
wide that means over 16 draws differed by a third."""
NOISES = 4
"""Draws of the errors for each of these, for intervals of days."""
INTERVAL = (0.05, 0.95)
DIFFERENCE = 0.2
"""Change of a parameter for its Jacobian, in standard deviations of its prior: thresholds, as of snow and drought, and
output in single precision make smaller ones rough."""


@dataclass(frozen=True)
class Structured:
    """The process model of ``system`` with the structure ``forms`` (codes by choice): its parameters in u-space."""

    system: System
    forms: Mapping[str, int]

    @cached_property
    def priors(self) -> Mapping[str, Prior]:
        """Prior of each parameter by name, in the order of the last axis of ``u``."""
        found: Mapping[str, Prior] = load_object(self.system.priors)()
        return found

    @property
    def between(self) -> FloatArray:
        """Share (k,) of the prior variance that is between places."""
        return np.array([prior.between for prior in self.priors.values()])

    def theta(self, u: npt.ArrayLike) -> Theta:
        """Parameters and structure of ``u`` (n, k)."""
        rows = np.asarray(u, float)
        values = {name: prior.value(rows[:, k]) for k, (name, prior) in enumerate(self.priors.items())}
        return Theta(values, {name: np.full(len(rows), code) for name, code in self.forms.items()})


def structure_of(samples: SequenceSet, system: System, number: int, seed: int) -> dict[str, int]:
    """The structure of member ``number``: the default of each choice for the first one, drawn for the others; always a
    form that occurs in the ``samples``, as a network knows no other."""
    rng = np.random.default_rng([seed, number, 7])
    found = {}
    for choice in system.choices:
        present = np.unique(samples.theta[choice]).astype(int) if choice in samples.theta else np.array([0])
        found[choice] = int(present[0] if number == 0 else rng.choice(present))
    return found


class SitesModel:
    """The process model at the observed days of sites: what :func:`~fluxatlas.train.calibration.calibrate` asks for."""

    def __init__(self, parts: Sequence[SequenceSet], model: Structured) -> None:
        self.model = model
        self.places = {site: (data, n) for data in parts for n, site in enumerate(data.sites)}
        self.observations = {site: self._observed(*place) for site, place in self.places.items()}
        self.observations = {site: observed for site, observed in self.observations.items() if observed}

    def _days(self, data: SequenceSet, site: int, name: str) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
        """Spans of the site, and the days of the common axis in each on which ``name`` is observed."""
        for segment in data.segments:
            if segment.site == site:
                seen = np.flatnonzero(np.isfinite(data.targets[name][segment.start : segment.stop, site]))
                yield slice(segment.start, segment.stop), segment.start + seen

    def _observed(self, data: SequenceSet, site: int) -> dict[str, Observed]:
        found = {}
        seen = data.targets.keys() - data.overrides.keys()
        for name in (name for name in self.model.system.simulated if name in seen):  # sums are taken in this order
            spans = [days for _, days in self._days(data, site, name)]
            days = np.concatenate(spans) if spans else np.array([], int)
            if days.size:
                sd = np.asarray(data.sd[name][days, site], float) if name in data.sd else np.full(days.size, np.nan)
                value = np.asarray(data.targets[name][days, site], float)
                found[name] = Observed(value, np.where(sd > 0, sd, np.nan), days)
        return found

    def __call__(self, site: str, u: FloatArray) -> dict[str, FloatArray]:
        """Predictions (n, observed days) of ``u`` (n, k) by variable."""
        data, number = self.places[site]
        wanted, theta = self.observations[site], self.model.theta(u)
        found: dict[str, list[FloatArray]] = {name: [] for name in wanted}
        for span in dict.fromkeys((s.start, s.stop) for s in data.segments if s.site == number):
            days = np.arange(*span)
            inside = {name: np.isin(days, observed.day) for name, observed in wanted.items()}
            if any(mask.any() for mask in inside.values()):
                made = simulate_sites(data, self.model.system, slice(*span), [number], theta, len(u))
                for name, mask in inside.items():
                    found[name].append(made[name][mask].T)
        return {name: np.concatenate(parts, axis=1) for name, parts in found.items()}


def calibrate_sites(
    parts: Sequence[SequenceSet], model: Structured, weights: Mapping[str, float] | None = None
) -> Posterior:
    """The posterior of the parameters of ``model`` at the observed sites of ``parts`` (``weights`` by site), whose days
    have the stated error of their site (:meth:`SequenceSet.steady`)."""
    forward = SitesModel([part.steady() for part in parts], model)
    counted = {site: weight for site, weight in (weights or {}).items() if site in forward.observations}
    options = Options(difference=DIFFERENCE)
    names = tuple(model.priors)
    return calibrate(forward, forward.observations, names, model.between, weights=counted or None, options=options)


def bootstrap(parts: Sequence[SequenceSet], number: int, seed: int) -> dict[str, float] | None:
    """How often each site counts for member ``number``: blocks of sites drawn with replacement; the first takes all."""
    if number == 0:
        return None
    block = {site: int(b) for data in parts for site, b in zip(data.sites, data.block, strict=True)}
    names = np.unique(list(block.values()))
    drawn = np.random.default_rng([seed, number, 11]).choice(names, len(names))
    return {site: float((drawn == b).sum()) for site, b in block.items()}


@dataclass(frozen=True)
class Predicted:
    """Predictions of one set of sites: ``mean``, ``low`` and ``high`` (time, site) by variable, and the ``rows`` of the
    table of intervals of the means of sites."""

    mean: dict[str, FloatArray]
    low: dict[str, FloatArray]
    high: dict[str, FloatArray]
    rows: list[dict[str, Any]]


def predict_places(
    network: HierarchicalNetwork,
    data: SequenceSet,
    posterior: Posterior,
    model: Structured,
    seed: int,
    hidden: npt.NDArray[np.bool_],
    own: Mapping[str, Place] | None = None,
) -> Predicted:
    """Predictions of ``network`` at the sites of ``data``, averaged over :data:`DRAWS` of their parameters.

    Sites of the calibration, and those of ``own``, have their own parameters, others those of an unseen place. The
    interval of a day holds the parameters, what the process model misses (as at the sites of the calibration) and the
    random error that is stated. Days that were ``hidden`` (time, site) from the calibration have a row of intervals of
    their own.
    """
    rng = np.random.default_rng([seed, 13])
    mean, low, high = (_unknown(data, model) for _ in range(3))
    rows: list[dict[str, Any]] = []
    places = {site: posterior.place(site) for site in posterior.sites} | dict(own or {})
    for site, draws in _predictions(network, data, posterior, model, rng, places):
        place = places.get(data.sites[site])
        errors = posterior.pool if place is None else place.errors
        for name, values in draws.items():
            mean[name][:, site] = values.mean(axis=0)
            there = np.isfinite(data.targets[name][:, site]) & np.isfinite(values[0])
            for seen, days in ((int(place is not None), there & ~hidden[:, site]), (0, there & hidden[:, site])):
                if days.any():
                    row, interval = _interval(data, name, site, days, values[:, days], errors, rng)
                    low[name][days, site], high[name][days, site] = interval
                    rows.append({**row, "seen": seen})
    return Predicted(mean, low, high, rows)


def predict_means(
    network: HierarchicalNetwork, data: SequenceSet, posterior: Posterior, model: Structured, seed: int
) -> dict[str, FloatArray]:
    """The ``mean`` of :func:`predict_places` alone: (time, site) by variable."""
    found, rng = _unknown(data, model), np.random.default_rng([seed, 13])
    places = {site: posterior.place(site) for site in posterior.sites}
    for site, draws in _predictions(network, data, posterior, model, rng, places):
        for name, values in draws.items():
            found[name][:, site] = values.mean(axis=0)
    return found


def _predictions(
    network: HierarchicalNetwork,
    data: SequenceSet,
    posterior: Posterior,
    model: Structured,
    rng: np.random.Generator,
    places: Mapping[str, Place],
) -> Iterator[tuple[int, dict[str, FloatArray]]]:
    """Each site with segments and its predictions (draw, time) by variable, for :data:`DRAWS` of its parameters: those
    of ``places``, elsewhere of a place that the posterior has not seen."""
    u = [places.get(site, posterior).draw(DRAWS, rng) for site in data.sites]
    names = _unknown(data, model)
    for site in sorted({segment.site for segment in data.segments}):
        outputs = predict_draws(network, data, site, _small(model.theta(u[site])))
        yield site, {name: outputs[name] for name in names}


def _unknown(data: SequenceSet, model: Structured) -> dict[str, FloatArray]:
    """NaN (time, site) for each variable that is predicted: those observed that the process model has."""
    shape = len(data.dates), len(data.sites)
    names = [name for name in data.targets if name in model.system.simulated and name not in data.overrides]
    return {name: np.full(shape, np.nan, np.float32) for name in names}


def _small(theta: Theta) -> dict[str, FloatArray]:
    return {name: np.asarray(values, np.float32) for name, values in theta.all().items()}


def ends(draws: FloatArray) -> FloatArray:
    """Low and high (2, ...) of ``draws`` (draw, ...) between which another draw lies with the probability of
    :data:`INTERVAL`, however few they are: quantiles interpolated over the sample alone hold 81 % with 16 draws."""
    found: FloatArray = np.quantile(draws, INTERVAL, axis=0, method="weibull")
    return found


def _interval(
    data: SequenceSet,
    name: str,
    site: int,
    when: npt.NDArray[np.bool_],
    values: FloatArray,
    errors: Mapping[str, ErrorModel],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], FloatArray]:
    """The row of a site, and low and high (2, day) of its observed days ``when``; ``values`` (draw, day)."""
    observed = data.targets[name][when, site].astype(float)
    stated = np.nan_to_num(data.sd[name][when, site]) if name in data.sd else 0.0
    sigma = errors[name].sigma if name in errors else 0.0
    noise = np.sqrt(sigma**2 + stated**2) * rng.standard_normal((NOISES, *values.shape))
    days = ends((values + noise).reshape(-1, values.shape[1]))
    means = ends(values.mean(axis=1))
    row = {
        "site": data.sites[site],
        "target": name,
        "unit": variables.get(name).units,
        "n": int(when.sum()),
        "observed_mean": float(observed.mean()),
        "predicted_mean": float(values.mean()),
        "low": float(means[0]),
        "high": float(means[1]),
        "mean_inside": float(means[0] <= observed.mean() <= means[1]),
        "days_inside": float(((observed >= days[0]) & (observed <= days[1])).mean()),
    }
    return row, days.astype(np.float32)


def parameter_table(posterior: Posterior, model: Structured) -> pd.DataFrame:
    """Every parameter before and after calibration at an unseen place, in its own unit."""
    return posterior.table({name: prior.value for name, prior in model.priors.items()})

"""The most probable parameters of a model that can be run but not differentiated, at many sites at once.

At site ``s`` the model has the parameters ``u_s = centre + shared @ m + local @ e_s``; ``m`` and every ``e_s`` are
standard normal a priori. The Hessian is an arrow: ``e`` of two sites meet in ``m`` only, so that 200 sites cost 200
small systems (Schur complement). Jacobians are forward differences in one call of the model per site.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from ..errors import InputError
from .error_model import ErrorModel, ErrorSeries, Observed, first_errors, update

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.int64]
Forward = Callable[[str, FloatArray], Mapping[str, FloatArray]]
"""``(site, u (n, parameter)) -> {variable: (n, observed days)}``: predictions for n vectors of parameters at once."""

LENGTHS = ((1.0, 0.3), (0.1, 0.03, 0.01), (1e-3, 1e-4))
"""Shares of a step that are tried, those of a group in one call."""
LONGEST = 3.0
"""Largest change of a parameter in one step, in standard deviations of its prior."""
WIDER, RETRIES = -2.0, 3
"""Where no step improves the fit, the Jacobian is taken again to the other side, over a wider difference."""
ERRORS_SETTLED = 0.005
"""Relative change of ``sigma`` and of effective days below which the error models stand still."""


@dataclass(frozen=True)
class Options:
    """How the most probable parameters are sought.

    ``steps`` at most, until the next one would gain less than ``tolerance`` (natural logarithm of the probability);
    ``difference`` of the Jacobian in standard deviations of the prior; ``clip`` (standard deviations) of days far off,
    infinite for none; ``floor`` of sigma as a share of the spread of all values of a variable; ``pool_days`` that the
    errors of all sites count as at each of them; ``representativeness`` by variable: standard deviation of an error
    that all days of a site have in common; ``estimate``: whether sigma and rho are estimated, or errors are those
    stated and independent.
    """

    steps: int = 60
    tolerance: float = 1e-4
    difference: float = 0.01
    clip: float = 2.5
    floor: float = 0.05
    pool_days: float = 5.0
    representativeness: Mapping[str, float] = field(default_factory=dict)
    estimate: bool = True


@dataclass(frozen=True)
class GaussianPrior:
    """``centre`` (k,), ``shared`` (k, p) and ``local`` (k, q) of the parameters at a site."""

    centre: FloatArray
    shared: FloatArray
    local: FloatArray


@dataclass(frozen=True)
class Solution:
    """The most probable ``m`` (p,) with its covariance, ``e`` (q,) by site, and what the observations of a site say.

    ``information`` (k, k) by site is the curvature of its misfit in ``u``. ``evidence`` is the logarithm of the
    probability of the observations (Laplace); ``message`` says how the search ended.
    """

    m: FloatArray
    covariance: FloatArray
    e: dict[str, FloatArray]
    information: dict[str, FloatArray]
    errors: dict[str, dict[str, ErrorModel]]
    pool: dict[str, ErrorModel]
    evidence: float
    converged: bool
    message: str
    steps: int


@dataclass
class _Site:
    """A site in the search: series and last residuals by variable, and the parameters that act on them."""

    name: str
    weight: float
    observed: Mapping[str, Observed]
    series: dict[str, ErrorSeries]
    acting: IntArray
    e: FloatArray
    residual: dict[str, FloatArray] = field(default_factory=dict)
    jacobian: dict[str, FloatArray] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is no value of any variable."""
        return not any(one.value.size for one in self.series.values())

    def normal(self, size: int) -> tuple[FloatArray, FloatArray]:
        """Information (k, k) and score (k,) of the observations in ``u``, at the last Jacobian."""
        information, score = np.zeros((size, size)), np.zeros(size)
        for name, series in self.series.items():
            root = series.whiten(self.jacobian[name].T)
            information[np.ix_(self.acting, self.acting)] += root @ root.T
            score[self.acting] += root @ series.whiten(self.residual[name])
        return information, score

    def misfit(self, predicted: Mapping[str, FloatArray]) -> FloatArray:
        """Half the squared misfit of each prediction (n, day) by variable; infinite where one is not finite."""
        parts = [0.5 * np.sum(s.whiten(s.value - predicted[name]) ** 2, axis=-1) for name, s in self.series.items()]
        total = np.sum(parts, axis=0)
        return np.where(np.isfinite(total), total, np.inf)


def solve(
    forward: Forward,
    sites: Mapping[str, Mapping[str, Observed]],
    prior: GaussianPrior,
    names: Sequence[str],
    options: Options,
    *,
    weights: Mapping[str, float] | None = None,
    pool: Mapping[str, ErrorModel] | None = None,
) -> Solution:
    """Most probable parameters of ``forward`` at ``sites`` (observations by variable); ``names`` (k,) for messages.

    A site of weight 2 in ``weights`` counts as two sites with the same observations, one of weight 0 is left out.
    ``pool`` gives the errors by variable that a site is drawn to, instead of those of all ``sites``.
    Raises :class:`InputError` where a prediction lacks a variable, has another shape or is not finite, and where errors
    are not to be estimated but none is stated.
    """
    search = _Search(forward, prior, list(names), options, dict(pool or {}))
    return search.run({name: sites[name] for name in sites if weights is None or weights.get(name, 1.0) > 0}, weights)


class _Search:
    """State of the search for the most probable parameters."""

    def __init__(
        self, forward: Forward, prior: GaussianPrior, names: list[str], options: Options, pool: dict[str, ErrorModel]
    ) -> None:
        self.forward, self.prior, self.names, self.options, self.given = forward, prior, names, options, pool
        self.m, self.difference, self.retries = np.zeros(prior.shared.shape[1]), options.difference, 0

    def run(self, sites: Mapping[str, Mapping[str, Observed]], weights: Mapping[str, float] | None) -> Solution:
        self.pool = first_errors(sites, self.options.floor, self.given)
        self.sites = [self._site(name, sites[name], (weights or {}).get(name, 1.0)) for name in sites]
        step, converged, message = 0, False, ""
        for step in range(self.options.steps + 1):
            for site in self.sites:
                self._linearise(site)
            change = self._update_errors()
            arrow = _Arrow(self.prior, self.m, self.sites)
            promise = arrow.promise
            if promise < self.options.tolerance and change < ERRORS_SETTLED:
                converged, message = True, f"converged after {step} steps, {promise:.1g} below the best"
                break
            if step == self.options.steps:
                message = f"not converged after {step} steps: another one promises a gain of {promise:.2g}"
            elif promise >= self.options.tolerance and not self._move(arrow):
                message = f"not converged: after {step} steps none improves the fit, although {promise:.2g} is promised"
                self.difference *= WIDER
                self.retries += 1
                if self.retries > RETRIES:
                    break
        return self._solution(arrow, converged, message, step)

    def _site(self, name: str, observed: Mapping[str, Observed], weight: float) -> _Site:
        """A site with the parameters that act there: those that change a prediction when they move by 1."""
        series = {}
        for variable, one in observed.items():
            error = self.pool[variable]
            if not self.options.estimate:
                if not np.isfinite(one.sd[one.used]).all():
                    raise InputError(
                        f"observations of {variable} state no standard deviation",
                        where=f"site {name}",
                        hint="let the errors be estimated",
                    )
                error = ErrorModel(0.0, 0.0, 0, 0.0)
            series[variable] = ErrorSeries.of(one, error, self.options.representativeness.get(variable, 0.0))
        size = len(self.names)
        none, e = np.zeros(0, np.int64), np.zeros(self.prior.local.shape[1])
        site = _Site(name, weight, observed, series, none, e)
        if site.empty:
            return site
        unit = np.eye(size)
        predicted = self._predict(site, self._at(site) + np.concatenate([np.zeros((1, size)), unit, -unit]))
        acts = np.zeros(size, bool)
        for values in predicted.values():
            moved = np.abs(values[1:] - values[0]).max(axis=1, initial=0.0).reshape(2, size).max(axis=0)
            acts |= moved > 1e-7 * np.abs(values).max(initial=0.0)
        return replace(site, acting=np.flatnonzero(acts))

    def _at(self, site: _Site) -> FloatArray:
        """Parameters (k,) at ``site``."""
        return self.prior.centre + self.prior.shared @ self.m + self.prior.local @ site.e

    def _predict(self, site: _Site, u: FloatArray, check: bool = True) -> dict[str, FloatArray]:
        """Predictions (n, day) on the days with a value; ``check``: those that are not finite are an error."""
        found = self.forward(site.name, u)
        predicted = {}
        for name, series in site.series.items():
            where, shape = f"site {site.name}", (len(u), site.observed[name].value.size)
            if name not in found:
                raise InputError(f"the process model does not predict {name}", where=where, hint="leave it out")
            values = np.asarray(found[name], float)
            if values.shape != shape:
                raise InputError(f"predictions of {name} have the shape {values.shape} and not {shape}", where=where)
            predicted[name] = values[:, series.position]
            bad = ~np.isfinite(predicted[name]).all(axis=1)
            if check and bad.any():
                raise InputError(self._not_finite(name, u, int(np.argmax(bad))), where=where, hint=(
                    "give the parameter narrower bounds, or leave out the site"))  # fmt: skip
        return predicted

    def _not_finite(self, variable: str, u: FloatArray, row: int) -> str:
        """What is to be said of row ``row``: the parameter that differs from the first, or that is farthest out."""
        moved = np.abs(u[row] - u[0])
        which = int(np.argmax(moved if moved.any() else np.abs(u[row])))
        return (
            f"the process model gives {variable} that is not finite for {self.names[which]} at {u[row, which]:+.3g} "
            f"standard deviations of its prior"
        )

    def _linearise(self, site: _Site) -> None:
        """Residuals and Jacobian of ``site`` where it is."""
        u, step = self._at(site), self.difference
        if site.empty:
            site.residual = {name: np.zeros(0) for name in site.series}
            site.jacobian = {name: np.zeros((0, 0)) for name in site.series}
            return
        rows = np.concatenate([u[None], u + step * np.eye(len(u))[site.acting]])
        predicted = self._predict(site, rows)
        site.residual = {name: one.value - predicted[name][0] for name, one in site.series.items()}
        site.jacobian = {name: (values[1:] - values[0]).T / step for name, values in predicted.items()}

    def _update_errors(self) -> float:
        """Error models for the residuals as they are; returns their largest relative change."""
        if not self.options.estimate:
            return 0.0
        before = [(one.error.sigma, one.error.effective) for site in self.sites for one in site.series.values()]
        for _ in range(2):
            arrow = _Arrow(self.prior, self.m, self.sites)
            roots = [_root(arrow.at(n)[np.ix_(site.acting, site.acting)]) for n, site in enumerate(self.sites)]
            for name in self.pool:
                having = [(site, root) for site, root in zip(self.sites, roots, strict=True) if name in site.series]
                series, pool = update(
                    [site.series[name] for site, _ in having],
                    [site.residual[name] for site, _ in having],
                    [site.jacobian[name] @ root for site, root in having],
                    clip=self.options.clip,
                    pool_days=self.options.pool_days,
                    pool=self.given.get(name),
                )
                self.pool[name] = pool or self.pool[name]
                for (site, _), one in zip(having, series, strict=True):
                    site.series[name] = one
        after = [(one.error.sigma, one.error.effective) for site in self.sites for one in site.series.values()]
        changes = np.abs(np.array(after) - before) / np.maximum(np.abs(before), 1e-300)
        return float(changes.max(initial=0.0))

    def _move(self, arrow: _Arrow) -> bool:
        """Go the share of the step with the best fit; whether there is one that improves it."""
        start = self._objective(arrow, np.zeros(1))[0]
        scale = min(1.0, LONGEST / max(arrow.longest(), 1e-12))
        for group in LENGTHS:
            lengths = scale * np.array(group)
            values = self._objective(arrow, lengths)
            best = int(np.argmin(values))
            if values[best] < start:
                self.m = self.m + lengths[best] * arrow.step_m
                for site, step in zip(self.sites, arrow.step_e, strict=True):
                    site.e = site.e + lengths[best] * step
                return True
        return False

    def _objective(self, arrow: _Arrow, lengths: FloatArray) -> FloatArray:
        """What is minimised, for each share (n,) of the step."""
        m = self.m + lengths[:, None] * arrow.step_m
        total = 0.5 * np.sum(m**2, axis=1)
        for site, step in zip(self.sites, arrow.step_e, strict=True):
            e = site.e + lengths[:, None] * step
            total = total + 0.5 * site.weight * np.sum(e**2, axis=1)
            if site.acting.size:
                u = self.prior.centre + m @ self.prior.shared.T + e @ self.prior.local.T
                total = total + site.weight * site.misfit(self._predict(site, u, check=False))
        return total

    def _solution(self, arrow: _Arrow, converged: bool, message: str, steps: int) -> Solution:
        evidence = -0.5 * float(self.m @ self.m) - 0.5 * arrow.log_determinant
        for site in self.sites:
            evidence -= 0.5 * site.weight * float(site.e @ site.e)
            for name, one in site.series.items():
                evidence += site.weight * one.log_likelihood(site.residual[name], self.options.clip)
        return Solution(
            m=self.m,
            covariance=arrow.covariance,
            e={site.name: site.e for site in self.sites},
            information={site.name: info for site, info in zip(self.sites, arrow.information, strict=True)},
            errors={site.name: {n: one.error for n, one in site.series.items()} for site in self.sites},
            pool=self.pool,
            evidence=evidence,
            converged=converged,
            message=message,
            steps=steps,
        )


class _Arrow:
    """Newton's step and covariance for linearised sites, by the Schur complement of ``m``."""

    def __init__(self, prior: GaussianPrior, m: FloatArray, sites: Sequence[_Site]) -> None:
        self.prior, self.sites = prior, sites
        normal = [site.normal(len(prior.centre)) for site in sites]
        self.information = [information for information, _ in normal]
        self.parts = [conditional(prior, information) for information in self.information]
        size = prior.shared.shape[1]
        schur, pull, log_determinant = np.eye(size), -m, 0.0
        pulls = []
        for site, (information, score), (inner, response) in zip(sites, normal, self.parts, strict=True):
            gap = prior.shared - prior.local @ response
            pulls.append(prior.local.T @ score - site.e)
            schur = schur + site.weight * prior.shared.T @ information @ gap
            pull = pull + site.weight * (prior.shared.T @ score - response.T @ pulls[-1])
            log_determinant += site.weight * 2 * float(np.sum(np.log(np.diag(inner[0]))))
        factor = cho_factor(0.5 * (schur + schur.T))
        self.log_determinant = log_determinant + 2 * float(np.sum(np.log(np.diag(factor[0]))))
        self.covariance = cho_solve(factor, np.eye(size))
        self.step_m = cho_solve(factor, pull)
        self.step_e, self.promise = [], 0.5 * float(pull @ self.step_m)
        for site, own, (inner, response) in zip(sites, pulls, self.parts, strict=True):
            alone = cho_solve(inner, own)
            self.step_e.append(alone - response @ self.step_m)
            self.promise += 0.5 * site.weight * float(own @ alone)

    def at(self, number: int) -> FloatArray:
        """Covariance (k, k) of the parameters at site ``number``."""
        return covariance_at(self.prior, self.covariance, self.parts[number])

    def longest(self) -> float:
        """Largest change of a parameter at any site."""
        moves = [self.prior.shared @ self.step_m + self.prior.local @ step for step in self.step_e]
        return float(np.abs(moves).max(initial=0.0))


Conditional = tuple[tuple[FloatArray, bool], FloatArray]


def conditional(prior: GaussianPrior, information: FloatArray) -> Conditional:
    """``e`` of a site given ``m``: the Cholesky factor of its inverse covariance, and ``-d e / d m`` (q, p)."""
    toward = prior.local.T @ information
    inner = cho_factor(np.eye(prior.local.shape[1]) + toward @ prior.local)
    return inner, cho_solve(inner, toward @ prior.shared)


def covariance_at(prior: GaussianPrior, covariance: FloatArray, part: Conditional) -> FloatArray:
    """Covariance (k, k) of ``u`` at a site whose ``e`` is ``part`` given ``m``, and ``m`` has ``covariance``."""
    inner, response = part
    gap = prior.shared - prior.local @ response
    return gap @ covariance @ gap.T + prior.local @ cho_solve(inner, prior.local.T)


def covariance_of_effect(covariance: FloatArray, part: Conditional) -> FloatArray:
    """Covariance (q, q) of ``e`` at a site, as in :func:`covariance_at`."""
    inner, response = part
    return cho_solve(inner, np.eye(len(response))) + response @ covariance @ response.T


def _root(covariance: FloatArray) -> FloatArray:
    """A root (k, k) of a covariance, ``root @ root.T``; also of a singular one."""
    if not covariance.size:
        return covariance
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))

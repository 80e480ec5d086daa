"""Parameters of a process model at sites: what is the same everywhere, what belongs to a place, and how sure that is.

Every parameter is standard normal a priori in ``u`` (its own bounds and units are the matter of its prior). A share
``between`` of its variance is a property of places, the rest is the same everywhere: at site ``s``

    u_s = sqrt(1 - between) m + sqrt(between) e_s,        m, e_s ~ N(0, 1).

:func:`calibrate` finds the most probable ``m`` and ``e_s`` and their covariance by Laplace's approximation (a Gaussian
with the curvature at the maximum; errors of the observations, :mod:`fluxatlas.train.error_model`, are taken as known
once they are estimated). A place without observations keeps the whole variance of ``e``; :meth:`Posterior.few_shot`
narrows it with a few days of that place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from ..errors import InputError
from .error_model import ErrorModel, Observed
from .gauss_newton import Forward, GaussianPrior, Options, conditional, covariance_at, covariance_of_effect, solve

FloatArray = npt.NDArray[np.floating[Any]]
Sites = Mapping[str, Mapping[str, Observed]]

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class Place:
    """Parameters at one place: ``mean`` (k,) and ``covariance`` (k, k) of ``u``, and of its ``effect`` ``e``.

    ``errors`` by variable are those of its observations; ``message`` says how the search for it ended.
    """

    name: str
    mean: FloatArray
    covariance: FloatArray
    effect: FloatArray
    effect_covariance: FloatArray
    errors: Mapping[str, ErrorModel]
    converged: bool
    message: str

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """``n`` draws (n, k) of ``u`` at this place."""
        return _normal(self.mean, self.covariance, n, rng)


@dataclass(frozen=True)
class Posterior:
    """Parameters ``names`` (k,) of a process model after calibration.

    ``mean`` (k,) and ``covariance`` (k, k) are of ``m``; ``effects`` (k,) of ``e`` by site; ``information`` (k, k) by
    site is what its observations say about ``u`` there. ``errors`` are those of each site and variable, ``pool`` those
    of all sites together. ``evidence`` is the logarithm of the probability of the observations, to compare structures
    of a model on the same observations.
    """

    names: tuple[str, ...]
    between: FloatArray
    mean: FloatArray
    covariance: FloatArray
    effects: Mapping[str, FloatArray]
    information: Mapping[str, FloatArray]
    errors: Mapping[str, Mapping[str, ErrorModel]]
    pool: Mapping[str, ErrorModel]
    evidence: float
    converged: bool
    message: str
    steps: int

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites that it was calibrated at."""
        return tuple(self.effects)

    @property
    def _shared(self) -> FloatArray:
        return np.sqrt(1 - self.between)

    @property
    def _local(self) -> FloatArray:
        return np.sqrt(self.between)

    def place(self, site: str) -> Place:
        """Parameters at one of the ``sites``; raises :class:`InputError` for another."""
        if site not in self.effects:
            raise InputError(
                f"{site} is not among the sites of the calibration", hint=f"one of {', '.join(self.sites)}"
            )
        prior = _prior(self.between)
        part = conditional(prior, self.information[site])
        return Place(
            site,
            self._shared * self.mean + self._local * self.effects[site],
            covariance_at(prior, self.covariance, part),
            self.effects[site],
            covariance_of_effect(self.covariance, part),
            self.errors[site],
            self.converged,
            self.message,
        )

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """``n`` draws (n, k) of ``u`` at a place without observations: ``m`` from here, ``e`` from its prior."""
        return self.draw_shared(n, rng) + self._local * rng.standard_normal((n, len(self.names)))

    def draw_shared(self, n: int, rng: np.random.Generator) -> FloatArray:
        """``n`` draws (n, k) of ``u`` at a place that is like the average of all (``e = 0``)."""
        return self._shared * _normal(self.mean, self.covariance, n, rng)

    def unseen(self) -> tuple[FloatArray, FloatArray]:
        """Mean (k,) and covariance (k, k) of ``u`` at a place without observations."""
        return self._shared * self.mean, self._shared[:, None] * self.covariance * self._shared + np.diag(self.between)

    def few_shot(
        self, forward: Forward, observations: Mapping[str, Observed], name: str = "new", options: Options | None = None
    ) -> Place:
        """Parameters at a place that is not among the ``sites``, from the ``observations`` by variable of some days.

        ``forward`` is called with ``name``. Errors are drawn to those of all sites, as if these were
        ``Options.pool_days`` days of the place. Raises what :func:`calibrate` does.
        """
        mean, covariance = self.unseen()
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        prior = GaussianPrior(mean, np.zeros((len(mean), 0)), root)
        unknown = [variable for variable in observations if variable not in self.pool]
        if unknown:
            raise InputError(f"{unknown[0]} was not among the observations of the calibration", where=f"site {name}")
        found = solve(forward, {name: observations}, prior, self.names, options or Options(), pool=self.pool)
        spread = covariance_at(prior, found.covariance, conditional(prior, found.information[name]))
        back = self._local[:, None] * np.linalg.pinv(covariance, hermitian=True)  # regression of e on u
        effect = np.eye(len(mean)) - back * self._local + back @ spread @ back.T
        u = mean + root @ found.e[name]
        return Place(name, u, spread, back @ (u - mean), effect, found.errors[name], found.converged, found.message)

    def table(self, value: Mapping[str, Callable[[FloatArray], FloatArray]] | None = None) -> pd.DataFrame:
        """A row per parameter: 5, 50 and 95 % before and after, at a place without observations, and what was learnt.

        ``value`` gives by parameter the (rising or falling) function from ``u`` to its own unit; without it rows are in
        ``u``. ``shift`` is the mean of ``m`` in standard deviations of its prior, ``shrinkage`` the share of the
        variance of ``m`` that the observations took away (0: nothing was learnt, 1: known exactly).
        """
        mean, covariance = self.unseen()
        spread = np.sqrt(np.diag(covariance))
        rows = []
        for number, name in enumerate(self.names):
            change = (value or {}).get(name, lambda u: u)
            row: dict[str, Any] = {"parameter": name, "between": float(self.between[number])}
            u = ndtri(np.array(QUANTILES))
            for when, at in (("prior", u), ("posterior", mean[number] + spread[number] * u)):
                row |= {f"{when}_{100 * q:02.0f}": float(v) for q, v in zip(QUANTILES, change(at), strict=True)}
            row |= {"shift": float(self.mean[number]), "shrinkage": float(1 - self.covariance[number, number])}
            rows.append(row)
        return pd.DataFrame(rows)


def calibrate(
    forward: Forward,
    sites: Sites,
    names: Sequence[str],
    between: npt.ArrayLike,
    *,
    weights: Mapping[str, float] | None = None,
    options: Options | None = None,
) -> Posterior:
    """The most probable parameters ``names`` (k,) of ``forward`` at ``sites``, with their covariance.

    ``forward(site, u (n, k))`` gives predictions (n, day) on the observed days of a site by variable; ``sites`` holds
    the observations by site and variable (none at all is allowed, and leaves the prior); ``between`` (k,) is the share
    of the prior variance of a parameter that is between places, 0 to 1. ``weights`` by site say how often each counts
    (a bootstrap over sites): a site of weight 2 counts as two sites, one of weight 0 is left out.

    Raises :class:`InputError` for a share outside 0 to 1, for predictions that are absent, of another shape or not
    finite (naming site and parameter), and for a negative weight or one of an unknown site.
    """
    share = np.asarray(between, float)
    if share.shape != (len(names),):
        raise InputError(f"{share.size} shares between places for {len(names)} parameters")
    if len(set(names)) < len(names):
        raise InputError("two parameters have the same name")
    wrong = [name for name, b in zip(names, share, strict=True) if not 0 <= b <= 1]
    if wrong:
        raise InputError(
            f"the share of {wrong[0]} between places is not from 0 to 1", hint="correct the parameter table"
        )
    for site, weight in (weights or {}).items():
        if site not in sites or not weight >= 0:
            raise InputError(f"site {site} has the weight {weight:g}" if site in sites else f"{site} is not a site")
    found = solve(forward, sites, _prior(share), names, options or Options(), weights=weights)
    return Posterior(
        names=tuple(names),
        between=share,
        mean=found.m,
        covariance=found.covariance,
        effects=found.e,
        information=found.information,
        errors=found.errors,
        pool=found.pool,
        evidence=found.evidence,
        converged=found.converged,
        message=found.message,
        steps=found.steps,
    )


def _prior(between: FloatArray) -> GaussianPrior:
    return GaussianPrior(np.zeros(between.size), np.diag(np.sqrt(1 - between)), np.diag(np.sqrt(between)))


def _normal(mean: FloatArray, covariance: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    return rng.multivariate_normal(mean, covariance, size=n, method="eigh")

"""Priors of parameters: u-space, bounds, moments, draws."""

import numpy as np
import pytest
from scipy import stats

from fluxatlas.process import parameters
from fluxatlas.theta import Prior, Theta, draw

PRIORS = {
    "uniform": Prior(0.2, 0.1, 0.5),
    "loguniform": Prior(200.0, 50.0, 500.0, "loguniform"),
    "lognormal": Prior(4e-5, 1e-9, 1.0, "lognormal", 2.0),
}
TRUTH = {
    "uniform": stats.uniform(0.1, 0.4),
    "loguniform": stats.loguniform(50, 500),
    "lognormal": stats.lognorm(np.log(2), scale=4e-5),
}


@pytest.mark.parametrize("kind", PRIORS)
def test_standard_normal_numbers_become_the_prior(kind) -> None:
    """Against the quantiles of scipy's distributions, and back."""
    u = np.linspace(-4, 4, 33)
    values = PRIORS[kind].value(u)
    np.testing.assert_allclose(values, TRUTH[kind].ppf(stats.norm.cdf(u)), rtol=1e-9)
    np.testing.assert_allclose(PRIORS[kind].normal(values), u, atol=1e-6)


@pytest.mark.parametrize("kind", PRIORS)
def test_moments_are_those_of_the_values_or_of_their_logarithm(kind) -> None:
    values = TRUTH[kind].rvs(200_000, random_state=1)
    values = np.log(values) if PRIORS[kind].logarithmic else values
    assert PRIORS[kind].moments == pytest.approx((values.mean(), values.std()), rel=0.01)


def test_values_stay_within_the_bounds_however_far_out() -> None:
    for prior in parameters.SOIL.priors().values():
        values = prior.value([-50.0, 50.0])
        assert prior.lower <= values[0] < values[1] <= prior.upper
        assert 0 <= prior.between <= 1


def test_draws_follow_their_seed_and_leave_forms_out() -> None:
    choices = {"shape": ("a", "b", "c")}
    one, two = (draw(PRIORS, choices, 500, np.random.default_rng(3), {"shape": ("b",)}) for _ in range(2))
    assert set(one.forms["shape"]) == {0, 2}
    assert all(np.array_equal(one.all()[name], two.all()[name]) for name in one.all())
    assert stats.kstest(np.log(one.values["lognormal"] / 4e-5) / np.log(2), "norm").pvalue > 0.01
    plain = draw(PRIORS, choices, 5, np.random.default_rng(3), structures=False)
    assert plain.forms["shape"].tolist() == [0] * 5


def test_runs_are_taken_by_position() -> None:
    theta = Theta({"a": np.arange(4.0)}, {"shape": np.arange(4)})
    part = theta.take(slice(1, 3))
    assert part.values["a"].tolist() == [1, 2] and part.forms["shape"].tolist() == [1, 2]

"""Calibration of a process model at sites against closed forms, weighted draws and simulated worlds."""

import time

import numpy as np
import pytest
from scipy.linalg import block_diag
from scipy.stats import multivariate_normal, multivariate_t, norm

from fluxatlas.errors import InputError
from fluxatlas.train.calibration import calibrate
from fluxatlas.train.error_model import Observed, effective_days
from fluxatlas.train.gauss_newton import Options

NAMES = ("level", "slope", "idle")
BETWEEN = np.array([0.7, 0.0, 0.3])
STATED = Options(estimate=False, clip=np.inf)


def observed(value, sd=np.nan, day=None) -> Observed:
    value = np.asarray(value, float)
    return Observed(value, np.broadcast_to(sd, value.shape), np.arange(value.size) if day is None else day)


def linear(designs):
    """A forward model ``level + slope * x`` of the designs ``x`` (day,) by site, in which ``idle`` does nothing."""
    return lambda site, u: {"flux": 2 * u[:, :1] + u[:, 1:2] * designs[site]}


@pytest.fixture
def gaussian():
    """Three sites of a linear model with their posterior and evidence in closed form, over (m, e1, e2, e3)."""
    rng = np.random.default_rng(1)
    designs = {f"s{n}": rng.normal(size=days) for n, days in enumerate((4, 7, 5))}
    sd = {site: 0.3 + rng.random(x.size) for site, x in designs.items()}
    shared, local = np.diag(np.sqrt(1 - BETWEEN)), np.diag(np.sqrt(BETWEEN))
    rows, values = [], []
    for number, x in enumerate(designs.values()):
        effect = np.column_stack([np.full(x.size, 2.0), x, np.zeros(x.size)])
        rows.append(np.hstack([effect @ shared, *(effect @ local * (n == number) for n in range(3))]))
        values.append(rng.normal(2.0, 1.0, x.size))
    design, y, variance = np.vstack(rows), np.concatenate(values), np.concatenate(list(sd.values())) ** 2
    covariance = np.linalg.inv(design.T / variance @ design + np.eye(12))
    mean = covariance @ (design.T @ (y / variance))
    evidence = multivariate_normal(np.zeros(y.size), design @ design.T + np.diag(variance)).logpdf(y)
    sites = {site: {"flux": observed(v, sd[site])} for site, v in zip(designs, values, strict=True)}
    return linear(designs), sites, mean, covariance, evidence


def test_linear_gaussian_is_exact(gaussian) -> None:
    forward, sites, mean, covariance, evidence = gaussian
    found = calibrate(forward, sites, NAMES, BETWEEN, options=STATED)
    assert found.converged, found.message
    assert found.mean == pytest.approx(mean[:3], abs=1e-6)
    assert found.covariance == pytest.approx(covariance[:3, :3], abs=1e-6)
    assert found.evidence == pytest.approx(evidence, abs=1e-6)
    root, local = np.diag(np.sqrt(1 - BETWEEN)), np.diag(np.sqrt(BETWEEN))
    for number, site in enumerate(sites):
        part = slice(3 + 3 * number, 6 + 3 * number)
        place = found.place(site)
        assert found.effects[site] == pytest.approx(mean[part], abs=1e-6)
        assert place.effect_covariance == pytest.approx(covariance[part, part], abs=1e-6)
        to_u = np.zeros((3, 12))
        to_u[:, :3], to_u[:, part] = root, local
        assert place.mean == pytest.approx(to_u @ mean, abs=1e-6)
        assert place.covariance == pytest.approx(to_u @ covariance @ to_u.T, abs=1e-6)


def test_what_does_not_act_stays_at_its_prior(gaussian) -> None:
    forward, sites, *_ = gaussian
    for options in (STATED, Options()):
        found = calibrate(forward, sites, NAMES, BETWEEN, options=options)
        assert found.mean[2] == 0.0
        assert found.covariance[2] == pytest.approx([0, 0, 1])
        for site in sites:
            assert found.place(site).covariance[2] == pytest.approx([0, 0, 1])
    row = found.table().set_index("parameter").loc["idle"]
    assert row["shrinkage"] == pytest.approx(0.0)
    assert row[["posterior_05", "posterior_95"]].tolist() == pytest.approx(norm.ppf([0.05, 0.95]))


def test_the_model_is_called_for_what_acts_alone(gaussian) -> None:
    forward, sites, *_ = gaussian
    rows = []
    calibrate(lambda s, u: rows.append(len(u)) or forward(s, u), sites, NAMES, BETWEEN, options=STATED)
    assert rows[:6] == [7, 7, 7, 3, 3, 3]  # once up and down for each of three parameters, then two that act


def test_weights_count_sites(gaussian) -> None:
    forward, sites, *_ = gaussian
    twice = {**sites, "again": sites["s1"]}
    repeated = calibrate(
        lambda s, u: forward("s1" if s == "again" else s, u),
        {name: twice[name] for name in ("s0", "s1", "again")},
        NAMES,
        BETWEEN,
        options=STATED,
    )
    weighted = calibrate(forward, sites, NAMES, BETWEEN, options=STATED, weights={"s1": 2, "s2": 0})
    assert weighted.sites == ("s0", "s1")
    for name in ("mean", "covariance", "evidence"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), abs=1e-9)
    assert weighted.effects["s1"] == pytest.approx(repeated.effects["again"], abs=1e-9)
    assert weighted.place("s1").covariance == pytest.approx(repeated.place("s1").covariance, abs=1e-9)


def test_an_error_that_all_days_share_is_that_of_their_covariance(gaussian) -> None:
    forward, sites, *_ = gaussian
    offset, variance = 0.8, sites["s1"]["flux"].sd ** 2
    design = np.column_stack([np.full(7, 2.0), forward("s1", np.array([[0, 1.0, 0]]))["flux"][0], np.zeros(7)])
    noise = np.diag(variance) + offset**2
    y = sites["s1"]["flux"].value
    covariance = np.linalg.inv(design.T @ np.linalg.solve(noise, design) + np.eye(3))
    options = Options(estimate=False, clip=np.inf, representativeness={"flux": offset})
    found = calibrate(forward, {"s1": sites["s1"]}, NAMES, BETWEEN, options=options)
    place = found.place("s1")
    assert place.covariance == pytest.approx(covariance, abs=1e-6)
    assert place.mean == pytest.approx(covariance @ design.T @ np.linalg.solve(noise, y), abs=1e-6)
    evidence = multivariate_normal(np.zeros(7), design @ design.T + noise).logpdf(y)
    assert found.evidence == pytest.approx(evidence, abs=1e-6)


def test_few_shot_is_conditioning_on_the_new_place(gaussian) -> None:
    forward, sites, *_ = gaussian
    options = Options(estimate=False, clip=np.inf)
    before = {site: sites[site] for site in ("s0", "s1")}
    together = calibrate(forward, sites, NAMES, BETWEEN, options=STATED).place("s2")
    place = calibrate(forward, before, NAMES, BETWEEN, options=STATED).few_shot(forward, sites["s2"], "s2", options)
    for name in ("mean", "covariance", "effect", "effect_covariance"):
        assert getattr(place, name) == pytest.approx(getattr(together, name), abs=1e-6), name


def test_few_days_narrow_the_level_as_theory_says() -> None:
    """The level of a place is N(0, 1) between places and its days have independent errors of sd 1."""
    rng = np.random.default_rng(2)

    def forward(site, u):
        return {"flux": np.repeat(u, 200 if site.startswith("s") else 10, axis=1)}

    levels = rng.normal(size=40)
    sites = {f"s{n}": {"flux": observed(level + rng.normal(size=200))} for n, level in enumerate(levels)}
    found = calibrate(forward, sites, ("level",), [1.0])
    errors, stated = [], []
    for level in rng.normal(size=200):
        place = found.few_shot(forward, {"flux": observed(level + rng.normal(size=10))})
        errors.append(place.mean[0] - level)
        stated.append(place.covariance[0, 0])
    expected = 1 / (1 + 10)
    assert np.mean(np.square(errors)) == pytest.approx(expected, rel=0.25)
    assert np.mean(stated) == pytest.approx(expected, rel=0.15)


def test_effective_days_are_those_of_the_mean() -> None:
    rng = np.random.default_rng(3)
    days = np.sort(rng.choice(300, 120, replace=False))
    covariance = 0.7 * 0.8 ** np.abs(days[:, None] - days) + 0.3 * np.eye(120)
    assert effective_days(days - days[0], 0.8, 0.7) == pytest.approx(1 / covariance.mean())
    assert effective_days(np.arange(20000), 0.8) == pytest.approx(20000 * 0.2 / 1.8, rel=1e-3)
    assert effective_days(np.arange(9), 0.0) == pytest.approx(9)


def ar1(rng, days: int, rho: float, sd: float = 1.0):
    noise = rng.normal(size=days) * sd * np.sqrt(1 - rho**2)
    noise[0] = rng.normal() * sd
    for day in range(1, days):
        noise[day] += rho * noise[day - 1]
    return noise


def levels_with_errors(rng, outliers: bool):
    """Calibrated levels (truth 0) of twelve sites with gaps, stated errors of 0.4 and AR(1) ones of sd 0.5."""
    sites = {}
    for number in range(12):
        day = np.sort(rng.choice(900, 400, replace=False))
        value = ar1(rng, 900, 0.8, 0.5)[day] + rng.normal(size=400) * 0.4
        value[::40] += 8.0 * outliers
        sites[f"s{number}"] = {"flux": observed(value, 0.4, day)}
    return calibrate(lambda s, u: {"flux": np.repeat(u, 400, axis=1)}, sites, ("level",), [1.0])


def test_errors_are_found_with_gaps() -> None:
    found = levels_with_errors(np.random.default_rng(4), outliers=False)
    sigma, rho, share = (
        np.mean([getattr(e["flux"], name) for e in found.errors.values()]) for name in ("sigma", "rho", "share")
    )
    assert sigma == pytest.approx(0.5, rel=0.07)
    assert rho == pytest.approx(0.8, abs=0.05)
    assert share == pytest.approx(0.25 / (0.25 + 0.16), abs=0.07)


def test_errors_that_last_count_although_they_are_stated_as_random() -> None:
    """The whole error is stated, and it is AR(1): the days are worth no more for that."""
    rng = np.random.default_rng(10)
    sites = {f"s{n}": {"flux": observed(ar1(rng, 400, 0.8, 0.5), 0.5)} for n in range(8)}
    found = calibrate(lambda s, u: {"flux": np.repeat(u, 400, axis=1)}, sites, ("level",), [1.0])
    effective = np.mean([errors["flux"].effective for errors in found.errors.values()])
    assert effective == pytest.approx(400 * 0.2 / 1.8, rel=0.3)


def test_days_far_off_move_little() -> None:
    found = levels_with_errors(np.random.default_rng(4), outliers=True)
    without = levels_with_errors(np.random.default_rng(4), outliers=False)
    moved = [found.place(site).mean[0] - without.place(site).mean[0] for site in found.sites]
    assert np.mean(moved) < 0.05  # the means of the days move by 0.2
    assert found.pool["flux"].sigma < 0.65  # and their sd from 0.64 to 1.4


def simulate_hierarchy(rng, between, sites: int = 8, days: int = 200):
    """Truth (m, e by site) and observations of ``exp`` of a level plus a season plus weather, with AR(1) errors."""
    m = rng.normal(size=3)
    seasons = {f"s{n}": np.sin(2 * np.pi * (np.arange(days) + rng.integers(365)) / 365) for n in range(sites)}
    weather = {site: ar1(rng, days, 0.7) for site in seasons}

    def forward(site, u):
        u = np.atleast_2d(u)
        return {"flux": np.exp(u[:, :1] / 2) * (2 + u[:, 1:2] / 2 * seasons[site] + 0.3 * u[:, 2:3] * weather[site])}

    truth, observations = {}, {}
    for site in seasons:
        u = np.sqrt(1 - between) * m + np.sqrt(between) * rng.normal(size=3)
        value = forward(site, u)["flux"][0] + ar1(rng, days, 0.8, 0.6)
        value[rng.random(days) < 0.2] = np.nan
        truth[site], observations[site] = u, {"flux": observed(value)}
    return m, truth, forward, observations


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(5)
    between = np.array([0.6, 0.3, 0.0])
    shared, local, unseen, width = [], [], [], norm.ppf(0.95)
    for _ in range(100):
        m, truth, forward, observations = simulate_hierarchy(rng, between)
        observations.pop("s7")
        found = calibrate(forward, observations, ("level", "season", "weather"), between)
        assert found.converged, found.message
        shared.append(np.abs(found.mean - m) <= width * np.sqrt(np.diag(found.covariance)))
        for site in observations:
            place = found.place(site)
            local.append(np.abs(place.mean - truth[site]) <= width * np.sqrt(np.diag(place.covariance)))
        mean, covariance = found.unseen()
        unseen.append(np.abs(truth["s7"] - mean) <= width * np.sqrt(np.diag(covariance)))
    print(np.mean(shared, axis=0), np.mean(local, axis=0), np.mean(unseen, axis=0))
    for covered in (shared, local, unseen):
        assert 0.85 <= np.mean(covered) <= 0.95
        assert np.min(np.mean(covered, axis=0)) >= 0.83  # weather is known better than said


def test_curved_model_against_the_exact_posterior() -> None:
    """Means within 0.1 sd and sds within 5 % for a saturating response with a level that differs by site.

    The truth is the posterior itself: draws from a wide t distribution, each weighted by posterior over proposal.
    """
    rng = np.random.default_rng(6)
    between = np.array([0.7, 0.2])
    shared, local = np.sqrt(1 - between), np.sqrt(between)
    x = {f"s{n}": rng.uniform(0.1, 3, 12) for n in range(3)}

    def forward(site, u):
        return {"flux": np.exp(0.6 * u[..., :1]) * x[site] / (x[site] + np.exp(0.5 * u[..., 1:2]))}

    truth = {site: shared * np.array([0.8, -0.7]) + local * rng.normal(size=2) for site in x}
    sd = 0.15
    values = {site: forward(site, truth[site])["flux"].ravel() + sd * rng.normal(size=12) for site in x}
    sites = {site: {"flux": observed(value, sd)} for site, value in values.items()}
    found = calibrate(forward, sites, ("level", "half"), between, options=STATED)
    mean = np.concatenate([found.mean, *found.effects.values()])
    effects = [found.place(site).effect_covariance for site in x]
    covariance = block_diag(found.covariance, *effects)
    exact, wide = mean, covariance
    for seed in range(4):  # each from what the one before has found
        proposal = multivariate_t(exact, wide, df=5, seed=seed)
        z = proposal.rvs(50_000)
        weight = -0.5 * (z**2).sum(axis=1) - proposal.logpdf(z)
        for number, (site, value) in enumerate(values.items()):
            u = shared * z[:, :2] + local * z[:, 2 + 2 * number : 4 + 2 * number]
            weight -= 0.5 * ((value - forward(site, u)["flux"]) ** 2).sum(axis=1) / sd**2
        weight = np.exp(weight - weight.max())
        weight /= weight.sum()
        exact = weight @ z
        wide = (z - exact).T * weight @ (z - exact)
    assert 1 / (weight**2).sum() > 10_000  # independent draws that it is worth
    spread = np.sqrt(np.diag(wide))
    assert np.abs(mean - exact).max() < 0.1 * spread.min()
    assert np.sqrt(np.diag(covariance)) / spread == pytest.approx(np.ones(8), abs=0.05)


def test_nothing_observed_is_the_prior() -> None:
    nothing = {"flux": observed([np.nan] * 5), "other": observed([])}

    def forward(site, u):
        raise AssertionError("there is nothing to predict")

    found = calibrate(forward, {"empty": nothing}, NAMES, BETWEEN)
    assert found.converged
    assert found.evidence == 0.0
    assert found.covariance == pytest.approx(np.eye(3))
    assert found.place("empty").covariance == pytest.approx(np.eye(3))
    assert calibrate(forward, {}, NAMES, BETWEEN).covariance == pytest.approx(np.eye(3))


def test_missing_days_and_empty_sites_add_nothing(gaussian) -> None:
    forward, sites, *_ = gaussian
    one = sites["s1"]["flux"]
    gap = Observed(np.insert(one.value, 3, np.nan), np.insert(one.sd, 3, 1.0), np.arange(8))
    closed = Observed(one.value, one.sd, np.delete(gap.day, 3))

    def padded(site, u):
        values = forward("s1", u)["flux"]
        return {"flux": np.insert(values, 3, np.nan, axis=1) if site == "gap" else values}

    with_gap = calibrate(padded, {"gap": {"flux": gap}, "empty": {"flux": observed([np.nan] * 9)}}, NAMES, BETWEEN)
    without = calibrate(padded, {"s1": {"flux": closed}}, NAMES, BETWEEN)
    assert with_gap.mean == pytest.approx(without.mean, abs=1e-9)
    assert with_gap.evidence == pytest.approx(without.evidence, abs=1e-9)


def test_draws_have_the_moments_that_are_said(gaussian) -> None:
    forward, sites, *_ = gaussian
    found = calibrate(forward, sites, NAMES, BETWEEN, options=STATED)
    rng = np.random.default_rng(8)
    mean, covariance = found.unseen()
    place = found.place("s1")
    shared = np.sqrt(1 - BETWEEN)
    for drawn, expected, spread in (
        (found.draw(40000, rng), mean, covariance),
        (found.draw_shared(40000, rng), mean, shared[:, None] * found.covariance * shared),
        (place.draw(40000, rng), place.mean, place.covariance),
    ):
        assert drawn.shape == (40000, 3)
        assert drawn.mean(axis=0) == pytest.approx(expected, abs=0.02)
        assert np.cov(drawn.T) == pytest.approx(spread, abs=0.03)
    assert covariance[0, 0] == pytest.approx(0.3 * found.covariance[0, 0] + 0.7)


def test_table_is_in_the_units_of_the_parameters(gaussian) -> None:
    forward, sites, *_ = gaussian
    found = calibrate(forward, sites, NAMES, BETWEEN, options=STATED)
    table = found.table({"slope": lambda u: 10 * np.exp(u)}).set_index("parameter")
    assert table.loc["slope", "prior_95"] == pytest.approx(10 * np.exp(1.6449), rel=1e-4)
    mean, spread = found.mean[1], np.sqrt(found.covariance[1, 1])
    assert table.loc["slope", "posterior_05"] == pytest.approx(10 * np.exp(mean - 1.6449 * spread), rel=1e-4)
    assert table.loc["slope", "shrinkage"] == pytest.approx(1 - spread**2)
    assert table.loc["level", "prior_50"] == pytest.approx(0.0)


def test_a_model_that_is_not_finite_is_named_with_site_and_parameter(gaussian) -> None:
    forward, sites, *_ = gaussian

    def breaks(site, u):
        flux = forward(site, u)["flux"]
        return {"flux": np.where((site == "s1") & (u[:, 1:2] > 0.5), np.nan, flux)}

    with pytest.raises(InputError, match=r"(?s)flux that is not finite for slope at \+1 standard.*site s1"):
        calibrate(breaks, sites, NAMES, BETWEEN)
    with pytest.raises(InputError, match="does not predict flux"):
        calibrate(lambda s, u: {}, sites, NAMES, BETWEEN)
    with pytest.raises(InputError, match="shape"):
        calibrate(lambda s, u: {"flux": np.zeros((len(u), 3))}, sites, NAMES, BETWEEN)


def test_bad_input_is_refused(gaussian) -> None:
    forward, sites, *_ = gaussian
    unstated = {"s1": {"flux": observed(sites["s1"]["flux"].value)}}
    for message, action in {
        "level between places is not from 0 to 1": lambda: calibrate(forward, sites, NAMES, [1.2, 0, 0]),
        "2 shares": lambda: calibrate(forward, sites, NAMES, [1.0, 0.0]),
        "same name": lambda: calibrate(forward, sites, ("a", "a", "b"), BETWEEN),
        "weight -1": lambda: calibrate(forward, sites, NAMES, BETWEEN, weights={"s1": -1}),
        "elsewhere is not a site": lambda: calibrate(forward, sites, NAMES, BETWEEN, weights={"elsewhere": 1}),
        "state no standard deviation": lambda: calibrate(forward, unstated, NAMES, BETWEEN, options=STATED),
        "ascending": lambda: Observed(np.zeros(2), np.ones(2), np.array([1, 1])),
        "not positive": lambda: Observed(np.zeros(2), np.zeros(2), np.arange(2)),
        "shapes": lambda: Observed(np.zeros(2), np.zeros(3), np.arange(2)),
        "not among the sites": lambda: calibrate(forward, sites, NAMES, BETWEEN).place("elsewhere"),
        "was not among the observations": lambda: calibrate(forward, sites, NAMES, BETWEEN).few_shot(
            forward, {"other": observed([1.0])}
        ),
    }.items():
        with pytest.raises(InputError, match=message):
            action()


def test_what_did_not_converge_says_so() -> None:
    sites = {"s": {"flux": observed([3.0, 3.1], 0.01)}}

    def steep(site, u):
        return {"flux": np.exp(u).repeat(2, axis=1)}

    found = calibrate(steep, sites, ("a",), [0.0], options=Options(steps=1))
    assert not found.converged
    assert "not converged after 1 step" in found.message

    def rough(site, u):  # rises where the slope is taken, and falls wherever a step ends
        return {"flux": np.select([u == 0, np.abs(u - 0.01) < 1e-9], [0.0, 1.0], -1.0).repeat(2, axis=1)}

    found = calibrate(rough, sites, ("a",), [0.0], options=STATED)
    assert not found.converged
    assert "none improves the fit" in found.message


def test_two_hundred_sites_cost_two_hundred_small_systems() -> None:
    rng = np.random.default_rng(9)
    names = tuple(f"p{n}" for n in range(40))
    designs = {f"s{n}": rng.normal(size=(40, 30)) / 6 for n in range(200)}
    sites = {site: {"flux": observed(rng.normal(size=30), 1.0)} for site in designs}
    begin = time.perf_counter()
    found = calibrate(lambda s, u: {"flux": u @ designs[s]}, sites, names, np.full(40, 0.5), options=STATED)
    assert time.perf_counter() - begin < 60  # 8040 unknowns; a dense system of them takes minutes and 0.5 GB
    assert found.converged
    joint = np.eye(40)
    for design in designs.values():
        joint += 0.5 * design @ np.linalg.inv(np.eye(30) + 0.5 * design.T @ design) @ design.T
    assert found.covariance == pytest.approx(np.linalg.inv(joint), abs=1e-6)

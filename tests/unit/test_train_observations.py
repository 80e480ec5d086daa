"""Sets of observations: misfits by the full covariance, two draws of points, effects of chambers, windows of days."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fluxatlas.errors import InputError
from fluxatlas.train import operators
from fluxatlas.train.operators import Autoregressive, Covariance, Independent, ObservationSet, Points, Spans

DAYS, CELLS = 400, 5
RNG = np.random.default_rng(7)
OUTPUTS = {"fch4": RNG.normal(size=(DAYS, CELLS))}


def _series(n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Days, cells, values (some missing) and sd of irregular observations in no order; cell 4 has none."""
    flat = RNG.choice(DAYS * (CELLS - 1), n, replace=False)
    value = RNG.normal(size=n)
    value[RNG.random(n) < 0.15] = np.nan
    return flat // (CELLS - 1), flat % (CELLS - 1), value, RNG.uniform(0.2, 2.0, n)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.97])
def test_the_misfit_of_autoregressive_errors_is_that_of_the_full_covariance(correlation) -> None:
    time, cell, value, sd = _series()
    mask = time % 7 != 3
    observed = ObservationSet.of(
        operators.day("fch4", time, cell), value, sd, cluster=cell, mask=mask, errors=Autoregressive(correlation, time)
    )
    kept = np.isfinite(value) & mask
    assert 0 < kept.sum() < kept.size and observed.size == kept.sum()
    apart = np.abs(time[kept][:, None] - time[kept][None, :]).astype(float)
    same = cell[kept][:, None] == cell[kept][None, :]
    full = np.where(same, correlation**apart, 0.0) * np.outer(sd[kept], sd[kept])
    residual = (OUTPUTS["fch4"][time, cell] - value)[kept]
    truth = 0.5 * residual @ np.linalg.solve(full, residual)
    assert float(observed.misfit(observed.apply(OUTPUTS))) == pytest.approx(truth, rel=1e-9)
    dense = ObservationSet.of(
        operators.day("fch4", time, cell),
        value,
        mask=mask,
        errors=Covariance(
            np.where(cell[:, None] == cell, correlation ** np.abs(time[:, None] - time), 0.0) * np.outer(sd, sd)
        ),
    )
    np.testing.assert_allclose(dense.sd, sd)
    assert float(dense.misfit(dense.apply(OUTPUTS))) == pytest.approx(truth, rel=1e-9)


def test_residuals_are_missing_where_nothing_counts() -> None:
    observed = ObservationSet.of(operators.day("fch4", [0, 1, -1], [0, 1, 2]), [0.5, np.nan, 1.0], [0.1, 0.1, 0.1])
    predicted = observed.apply(OUTPUTS)
    assert np.isnan(predicted[2]) and np.isfinite(predicted[:2]).all()
    found = observed.residuals(predicted)
    assert found[0] == OUTPUTS["fch4"][0, 0] - 0.5 and torch.isnan(found[1:]).all()


def test_what_does_not_count_has_no_gradient_and_nothing_at_all_is_zero() -> None:
    field = torch.randn(3, 3, requires_grad=True)
    observed = ObservationSet.of(
        operators.day("fch4", [0, 1, -1], [0, 1, 2]), np.float32([0.5, np.nan, 1]), np.float32([0.1, 0.1, 0.1])
    )
    observed.misfit(observed.apply({"fch4": field})).backward()
    assert torch.count_nonzero(field.grad) == 1 and torch.isfinite(field.grad).all()
    field.grad = None
    nothing = ObservationSet.of(operators.day("fch4", [0], [0]), np.float32([np.nan]))
    loss = nothing.misfit(nothing.apply({"fch4": field}))
    loss.backward()
    assert float(loss.detach()) == 0 and torch.count_nonzero(field.grad) == 0


def _regions() -> tuple[Points, dict[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    points = Points.of(np.repeat([0, 1], [40, 25]), np.arange(65), rng.uniform(0.5, 3, 65))
    return points, {"nee": rng.normal(-1, 3, (31, 65))}


def _month(points: Points) -> operators.Operator:
    import pandas as pd

    dates = pd.date_range("2001-01-01", periods=31)
    return operators.region_month("nee", dates, [dates[3]] * 2, [0, 1], points, reduce="mean")


def test_two_draws_are_unbiased_where_one_squared_is_not() -> None:
    points, field = _regions()
    truth, y, sd = _month(points)(field).numpy(), np.array([-0.8, -1.3]), np.array([0.5, 0.4])
    wanted = 0.5 * float(np.sum(((truth - y) / sd) ** 2))
    rng = np.random.default_rng(0)
    two, naive, totals = [], [], []
    for _ in range(3000):
        first, second = (_month(points.draw(6, rng)) for _ in range(2))
        pair = ObservationSet.of(first, y, sd, second=second)
        two.append(float(pair.misfit(pair.draws(field))))
        single = ObservationSet.of(first, y, sd)
        naive.append(float(single.misfit(single.apply(field))))
        totals.append(first(field).numpy())
    error = float(np.std(two) / np.sqrt(len(two)))
    np.testing.assert_allclose(np.mean(totals, axis=0), truth, atol=4 * np.std(totals) / np.sqrt(len(totals)))
    assert abs(np.mean(two) - wanted) < 4 * error
    assert np.mean(naive) - wanted > 20 * error  # the variance of the draw
    assert np.mean(naive) - wanted == pytest.approx(0.5 * float((np.var(totals, axis=0) / sd**2).sum()), rel=0.1)


def test_the_gradient_of_two_draws_is_that_of_the_whole_sum() -> None:
    points, field = _regions()
    y, sd = np.array([-0.8, -1.3]), np.array([0.5, 0.4])
    rng = np.random.default_rng(1)

    def gradient(loss: Callable[[torch.Tensor], torch.Tensor]) -> float:
        factor = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
        loss(factor).backward()
        assert factor.grad is not None
        return float(factor.grad)

    whole = ObservationSet.of(_month(points), y, sd)
    wanted = gradient(lambda k: whole.misfit(whole.apply({"nee": k * torch.as_tensor(field["nee"])})))
    found = []
    for _ in range(1500):
        pair = ObservationSet.of(_month(points.draw(8, rng)), y, sd, second=_month(points.draw(8, rng)))
        found.append(gradient(lambda k, pair=pair: pair.misfit(pair.draws({"nee": k * torch.as_tensor(field["nee"])}))))
    assert abs(np.mean(found) - wanted) < 4 * np.std(found) / np.sqrt(len(found))


def test_a_draw_of_all_points_is_the_sum_itself_and_totals_stay() -> None:
    points, field = _regions()
    every = points.draw(100, np.random.default_rng(0))
    np.testing.assert_allclose(_month(every)(field), _month(points)(field), rtol=1e-12)
    few = points.draw(6, np.random.default_rng(0))
    assert np.bincount(few.region).tolist() == [6, 6] and np.array_equal(few.total, points.total)


def test_one_prediction_of_two_draws_is_refused() -> None:
    points, field = _regions()
    rng = np.random.default_rng(0)
    pair = ObservationSet.of(_month(points.draw(3, rng)), [0, 0], [1, 1], second=_month(points.draw(3, rng)))
    np.testing.assert_allclose(pair.apply(field), pair.draws(field).mean(dim=0))
    with pytest.raises(InputError, match="1 prediction of observations with 2 draws"):
        pair.misfit(pair.apply(field))


def test_effects_of_chambers_free_a_site_of_which_of_them_ran() -> None:
    """Chamber 2 is weak and runs in winter alone: the mean of the day holds a season that the site does not have."""
    rng = np.random.default_rng(2)
    true = np.array([0.4, -0.1, -0.3])
    time = np.concatenate([np.arange(0, 360), np.arange(0, 360), np.arange(180, 360)])
    chambers = np.repeat([0, 1, 2], [360, 360, 180])
    value = 1.0 + true[chambers] + rng.normal(0, 0.1, time.size)
    operator = operators.chamber("fch4", time, np.zeros_like(time), chambers, prior_sd=0.5)
    observed = ObservationSet.of(operator, value, np.full(time.size, 0.1), cluster=np.zeros_like(time))
    level = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    effects = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([level, effects], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        predicted = observed.apply({"fch4": level.expand(360, 1)}, effects)
        total = observed.misfit(predicted) + observed.prior(effects)
        total.backward()
        return total

    optimizer.step(loss)
    found = effects.detach().numpy()
    np.testing.assert_allclose(found - found.mean(), true - true.mean(), atol=0.02)
    assert float(level.detach()) == pytest.approx(1.0, abs=0.05)  # the effects sum to 0 by their prior
    assert (
        abs(value[time >= 180].mean() - value[time < 180].mean()) > 0.1
    )  # what the mean of the day says of the season


def test_windows_hold_the_observations_that_lie_in_them() -> None:
    start, stop, cell = np.array([3, 10, 30, 8]), np.array([8, 40, 36, 9]), np.array([1, 1, 1, 2])
    whole = ObservationSet.of(
        operators.interval("fch4", Spans(start, stop), cell), [1.0, 2.0, np.nan, 4.0], [1, 2, 3, 4]
    )
    site, first, length, warmup = np.array([1, 2, 1, 0]), np.array([2, 0, 9, 0]), np.array([38, 9, 20, 400]), 4
    cut = whole.within(site, first, length, warmup)
    outputs = np.stack([OUTPUTS["fch4"][first[w] : first[w] + 60, site[w]] for w in range(4)], axis=1)
    outputs = np.concatenate([np.full((warmup, 4), 99.0), outputs])
    assert cut.cluster.tolist() == [0, 0, 1] and cut.value.tolist() == [1.0, 2.0, 4.0]
    np.testing.assert_allclose(cut.apply({"fch4": outputs}), whole.apply(OUTPUTS)[[0, 1, 3]], rtol=1e-12)


@pytest.mark.parametrize("errors", [Independent(), Autoregressive(0.8, np.arange(60)), None])
def test_a_window_over_everything_has_the_misfit_of_the_whole(errors) -> None:
    time, cell = np.arange(60), np.zeros(60, int)
    errors = errors or Covariance(0.5 ** np.abs(np.subtract.outer(time, time)) + 0.1 * np.eye(60))
    value = np.where(time % 9 == 4, np.nan, np.sin(time))
    for operator in (operators.anomaly("fch4", time, cell, rank=True), operators.day("fch4", time, cell)):
        sd = None if isinstance(errors, Covariance) else np.full(60, 0.3)
        whole = ObservationSet.of(operator, value, sd, cluster=cell, errors=errors)
        twice = whole.within(np.array([0, 3, 0]), np.array([0, 0, 0]), np.array([60, 60, 60]), 0)
        outputs = {"fch4": OUTPUTS["fch4"][:, [0, 3, 0]]}
        one, both = float(whole.misfit(whole.apply(OUTPUTS))), float(twice.misfit(twice.apply(outputs)))
        assert twice.size == 2 * whole.size and both == pytest.approx(2 * one, rel=1e-9)


def test_chambers_and_their_groups_stay_together_in_windows() -> None:
    operator = operators.chamber("fch4", [0, 1, 2, 3], [0, 0, 0, 0], [0, 1, 0, 1], 1.0)
    whole = ObservationSet.of(operator, np.zeros(4), np.ones(4))
    cut = whole.within(np.array([0]), np.array([1]), np.array([3]), 0)
    field, effects = {"fch4": np.zeros((3, 1))}, torch.tensor([10.0, 20.0])
    assert cut.apply(field, effects).tolist() == [20, 10, 20]


def test_a_set_moves_as_a_whole() -> None:
    time, cell, value, sd = _series()
    observed = ObservationSet.of(operators.day("fch4", time, cell), value, sd, errors=Autoregressive(0.5, time, cell))
    moved = observed.to("meta")
    assert {moved.value.device.type, moved.whiten.carry.device.type, moved.operator.parts["fch4"].time.device.type} == {
        "meta"
    }


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda one: ObservationSet.of(one, [1.0]), "values of shape"),
        (lambda one: ObservationSet.of(one, [1.0, 2.0], [1.0]), "sd of shape"),
        (lambda one: ObservationSet.of(one, [1.0, 2.0], [1.0, -1.0]), "sd negative"),
        (lambda one: ObservationSet.of(one, [1.0, np.inf], [1.0, 1.0]), "is infinite"),
        (lambda one: ObservationSet.of(one, [1, 2], [1, 1], mask=[True]), "mask of shape"),
        (lambda one: ObservationSet.of(one, [1, 2], errors=Covariance(np.eye(3))), "covariance of 3"),
        (lambda one: ObservationSet.of(one, [1, 2], [1, 1], errors=Autoregressive(0.5, [1, 1, 2])), "3 times"),
        (lambda one: ObservationSet.of(one, [1, 2], second=operators.day("x", [0], [0])), "two draws"),
        (lambda one: Autoregressive(1.0, [0, 1]), "correlation from day to day of 1"),
        (
            lambda one: ObservationSet.of(one, [1, 2], [1, 1], errors=Autoregressive(0.5, [3, 3], [0, 0])),
            "series have the same time",
        ),
        (lambda one: Covariance(np.ones((2, 3))), r"shape \(2, 3\)"),
        (lambda one: Covariance(np.array([[1, 0.5], [0.2, 1]])), "not symmetric"),
        (lambda one: ObservationSet.of(one, [1, 2], errors=Covariance(np.ones((2, 2)))), "not positive definite"),
        (lambda one: (s := ObservationSet.of(one, [1, 2], [1, 0])).misfit(s.apply(OUTPUTS)), "is not stated"),
    ],
)
def test_what_cannot_be_is_said(call: Callable[[operators.Operator], object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        call(operators.day("fch4", [0, 1], [0, 1]))


def test_observations_of_several_cells_cannot_be_cut() -> None:
    points, _ = _regions()
    observed = ObservationSet.of(_month(points), [0, 0], [1, 1])
    with pytest.raises(InputError, match="about several cells"):
        observed.within(np.array([0]), np.array([0]), np.array([31]), 0)

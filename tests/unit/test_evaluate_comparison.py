"""Agreement of gridded series and triple collocation against series whose truth and errors are known exactly."""

import numpy as np
import pytest

from fluxatlas.evaluate.agreement import Blocks, anomalies, cell_scores, pair_sums, pooled, slots
from fluxatlas.evaluate.collocation import FLAGS, collocate
from fluxatlas.evaluate.metrics import scores as plain_scores

DAYS = np.arange("2001-01-01", "2005-01-01", dtype="datetime64[D]")
SD = np.array([0.02, 0.03, 0.05])
SCALE, SHIFT = np.array([1.0, 0.7, 1.6]), np.array([0.1, 0.25, -0.3])
TRUE_SD = 0.06


def orthogonal(count: int = 400) -> np.ndarray:
    """A truth and three errors (4, time) of mean 0 and variance 1 that are uncorrelated in the sample itself."""
    random = np.random.default_rng(3).normal(size=(count, 4))
    return np.linalg.qr(random - random.mean(axis=0))[0].T * np.sqrt(count)


def triplet(parts: np.ndarray) -> np.ndarray:
    """Three series (3, ...) with ``SHIFT``, ``SCALE`` and errors of ``SD`` of one truth."""
    wide = (slice(None), *[None] * (parts.ndim - 1))
    return SHIFT[wide] + SCALE[wide] * TRUE_SD * parts[:1] + SD[wide] * parts[1:]


def blocks(count: int, draws: int = 0, length: int = 20) -> Blocks:
    made = Blocks.along(np.datetime64("2001-01-01") + np.arange(count), length, max(draws, 1), seed=1)
    return made if draws else Blocks(made.of_time, made.weights[:1])


def test_triple_collocation_finds_the_errors_and_the_truth_exactly() -> None:
    found = collocate(triplet(orthogonal())[:, :, None], blocks(400), fewest=100)
    assert found.flag.tolist() == [0] and found.n.tolist() == [400]
    np.testing.assert_allclose(found.values["error_sd"][:, 0], SD, rtol=1e-10)
    np.testing.assert_allclose(found.values["scaled_sd"][:, 0], SD / SCALE, rtol=1e-10)
    signal = SCALE * TRUE_SD  # McColl et al. (2014): rho^2 = b^2 var(T) / (b^2 var(T) + var(e))
    np.testing.assert_allclose(found.values["r_truth"][:, 0], signal / np.hypot(signal, SD), rtol=1e-10)
    assert np.isnan(found.low["r_truth"]).all(), "nothing was drawn"


def test_linear_rescaling_of_a_product_changes_nothing_but_its_own_scale() -> None:
    series = triplet(orthogonal())
    scaled = series * np.array([1.0, 400.0, 1e-4])[:, None] + np.array([0.0, -7.0, 3.0])[:, None]
    one, other = (collocate(each[:, :, None], blocks(400, 200), 100) for each in (series, scaled))
    for kind in ("values", "low", "high"):
        before, after = getattr(one, kind), getattr(other, kind)
        np.testing.assert_allclose(after["r_truth"], before["r_truth"], rtol=1e-8)
        np.testing.assert_allclose(after["scaled_sd"], before["scaled_sd"], rtol=1e-7)
        np.testing.assert_allclose(after["error_sd"][:, 0], before["error_sd"][:, 0] * [1, 400, 1e-4], rtol=1e-7)
    assert (one.low["error_sd"] < one.values["error_sd"]).all() and (
        one.high["error_sd"] > one.values["error_sd"]
    ).all()


def test_intervals_hold_the_truth_in_nine_of_ten_places() -> None:
    cells = 300
    parts = np.random.default_rng(5).normal(size=(4, 1000, cells))
    found = collocate(triplet(parts), blocks(1000, 200, 25), 100)
    signal = SCALE * TRUE_SD
    for name, true in (("error_sd", SD), ("scaled_sd", SD / SCALE), ("r_truth", signal / np.hypot(signal, SD))):
        inside = (found.low[name] <= true[:, None]) & (true[:, None] <= found.high[name])
        assert (abs(inside.mean(axis=1) - 0.9) < 0.07).all(), (name, inside.mean(axis=1))
        assert abs(np.median(found.values[name], axis=1) / true - 1).max() < 0.02


def test_a_small_error_is_found_although_many_cells_are_refused() -> None:
    parts = np.random.default_rng(8).normal(size=(4, 365, 600))
    parts[1] *= 0.15  # 0.003 beside 0.03 and 0.05
    found = collocate(triplet(parts), blocks(365), 100)
    assert 0.1 < (found.flag == FLAGS["negative_error_variance"]).mean() < 0.6
    true = 0.15 * SD[0]
    assert np.median(found.signed["error_sd"][0]) == pytest.approx(true, rel=0.25)
    assert np.nanmedian(found.values["error_sd"][0]) > 1.5 * true, "of those left alone it is too large"


def test_memory_in_the_errors_widens_the_intervals_only_of_long_blocks() -> None:
    random = np.random.default_rng(6)
    parts = np.repeat(random.normal(size=(4, 150, 40)), 20, axis=1)  # each value stands for 20 days
    short, long = (collocate(triplet(parts), blocks(3000, 100, days), 100) for days in (1, 40))
    width = [np.nanmean(one.high["error_sd"] - one.low["error_sd"]) for one in (short, long)]
    assert width[1] / width[0] > 3  # sqrt(20) where blocks are long enough


def test_cells_whose_assumptions_fail_are_refused_and_counted() -> None:
    parts = orthogonal()
    good = triplet(parts)
    few = good.copy()
    few[1, 60:] = np.nan
    opposed = good * np.array([1, -1, 1])[:, None]
    shared = good.copy()  # the errors of two products are the same: the third and they do not fit one truth
    shared[1] = SHIFT[1] + SCALE[1] * (TRUE_SD * parts[0] + 0.2 * parts[2])
    shared[0] = SHIFT[0] + TRUE_SD * parts[0] + 0.05 * parts[2]
    found = collocate(np.stack([good, few, opposed, shared], axis=-1), blocks(400, 100), fewest=100)
    names = {number: name for name, number in FLAGS.items()}
    assert [names[flag] for flag in found.flag.tolist()] == list(FLAGS)
    assert found.n.tolist() == [400, 60, 400, 400]
    for each in (found.values, found.low, found.high):
        assert all(np.isnan(measure[:, 1:]).all() and np.isfinite(measure[:, 0]).all() for measure in each.values())


def test_scores_of_cells_are_those_of_single_series() -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(280, 5, (2, 90, 4))
    x[:, 0], y[::3, 1], x[40:, 2] = 281.0, np.nan, np.nan
    found = cell_scores(x, y, fewest=50)
    for cell in (0, 1, 3):
        truth = plain_scores(y[:, cell], x[:, cell])
        for name in ("n", "bias", "rmse", "r"):
            assert found[name][cell] == pytest.approx(truth[name], rel=1e-9, nan_ok=True), (cell, name)
        error = (x - y)[:, cell]
        assert found["ubrmse"][cell] == pytest.approx(np.nanstd(error), rel=1e-9)
    assert found["n"][2] == 40 and np.isnan(found["r"][2]) and np.isnan(found["bias"][2])


def test_pooled_scores_weigh_cells_by_area_and_say_how_sure_they_are() -> None:
    random = np.random.default_rng(2)
    area = np.array([1.0, 3.0])
    y = random.normal(size=(600, 2))
    x = y + np.array([1.0, -1.0]) + 0.5 * random.normal(size=(600, 2))
    part = Blocks.along(DAYS[:600], 10, 500, seed=1)
    sums = part.sums(np.moveaxis((pair_sums(x, y)[0] * area).sum(axis=-1), 0, -1))
    found = pooled(sums, part)
    truth = plain_scores(y, x, np.broadcast_to(area, x.shape))
    for name in ("bias", "rmse", "r"):
        assert found[name] == pytest.approx(truth[name], rel=1e-9)
    error = 1.645 * 0.5 * np.sqrt((0.25**2 + 0.75**2) / 600)  # of the mean error, of independent days
    assert (found["bias_high"] - found["bias_low"]) / 2 == pytest.approx(error, rel=0.15)
    assert found["bias_low"] < -0.5 < found["bias_high"]


def test_anomalies_are_departures_from_the_mean_season_of_all_years() -> None:
    place = slots(DAYS)
    assert place[59] == 60 and place[[0, 31, 58]].tolist() == [0, 31, 58], "1 March of a common year"
    assert place[-1] == 365 and (DAYS[place == 59] == np.datetime64("2004-02-29")).all()
    season = np.cos(2 * np.pi * place / 366)[:, None]
    event = np.zeros((DAYS.size, 1))
    event[200] = 1.0
    found = anomalies(0.3 + 0.1 * season + event, DAYS, window=1)
    assert found[200, 0] == pytest.approx(0.75) and found[200 + 365, 0] == pytest.approx(-0.25)
    others = np.delete(found[:, 0], [200 + 365 * k for k in range(3)] + [200 + 365 * 3 + 1])
    kept = others[np.isfinite(others)]
    assert abs(kept).max() < 1e-12 and np.isnan(found[place == 59]).all(), "one 29 February is no mean"


def test_the_window_of_the_mean_season_goes_round_the_end_of_the_year() -> None:
    values = np.zeros((DAYS.size, 1))
    first = slots(DAYS) == 0
    values[first] = 1.0
    found = anomalies(values, DAYS, window=31)
    share = 4 / (31 * 4)  # 1 January in a window of days that are there in all years
    assert found[first][0, 0] == pytest.approx(1 - share) and found[-1, 0] == pytest.approx(-share)
    assert found[15, 0] == pytest.approx(-share) and found[16, 0] == 0


def test_monthly_anomalies_need_two_years() -> None:
    months = np.arange("2001-01", "2003-01", dtype="datetime64[M]")
    values = np.arange(24.0)[:, None]
    assert np.unique(anomalies(values, months, 31)).tolist() == [-6.0, 6.0]
    assert np.isnan(anomalies(values[:12], months[:12], 31)).all()

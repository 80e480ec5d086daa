"""Observation operators beside plain sums and means of pandas; linear ones beside their transpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas.errors import ConfigError, InputError
from fluxatlas.systems import ObservationKind, Support
from fluxatlas.train import operators
from fluxatlas.train.operators import ObservationSet, Operator, Points, Spans

DATES = pd.date_range("2003-06-01", "2005-08-31")
"""Two years and a quarter, with a leap day."""
CELLS = 7
RNG = np.random.default_rng(3)
OUTPUTS = {name: RNG.normal(size=(len(DATES), CELLS)) for name in ("nee", "ra", "rh")}
FRAME = pd.DataFrame(OUTPUTS["nee"], index=DATES)
POINTS = Points.of([0, 0, 0, 2, 2, -1, 2], np.arange(7), [1.0, 2.0, 4.0, 3.0, 1.0, 9.0, 0.0])
"""Regions 0 and 2 of three and two points; region 1 has none, cell 5 no region, cell 6 no area."""
TIME = RNG.integers(0, len(DATES), 60)
CELL = RNG.integers(0, CELLS, 60)
MONTHS = pd.to_datetime(["2004-02-10", "2003-06-01", "2005-08-31", "2004-02-01", "2005-09-01", "2004-01-05"])
REGIONS = np.array([0, 2, 2, 1, 0, 5])
START = pd.to_datetime(["2004-01-01", "2003-05-31", "2004-02-01", "2003-06-01", "2005-08-31"])
END = pd.to_datetime(["2005-01-01", "2003-06-20", "2004-03-01", "2005-09-01", "2005-09-02"])
INTERVAL_CELLS = np.array([0, 1, 6, 3, 2])


def linear() -> dict[str, Operator]:
    """One operator of each kind that is linear in the outputs."""
    spans = Spans.between(DATES, START, END)
    return {
        "day": operators.day("nee", TIME, CELL),
        "interval": operators.interval("nee", spans, INTERVAL_CELLS),
        "year_sum": operators.year_sum("nee", DATES, [2004, 2003, 2005, 2004], [0, 1, 2, -1]),
        "area_mean": operators.area_mean("nee", spans, [0, 2, 1, 2, 0], POINTS, reduce="sum"),
        "region_month": operators.region_month("nee", DATES, MONTHS, REGIONS, POINTS, factor=0.5),
        "anomaly": operators.anomaly("nee", TIME, CELL),
        "chamber": operators.chamber("nee", TIME, CELL, CELL, prior_sd=1.0),
    }


def test_every_name_that_a_system_may_declare_has_its_function() -> None:
    assert set(linear()) == set(get_args(Support))
    assert all(operator.kind == name for name, operator in linear().items())
    assert all(callable(getattr(operators, name)) for name in get_args(Support))


def test_a_support_that_does_not_exist_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'interval'"):
        ObservationKind("nee", support="intervall")  # type: ignore[arg-type]


def test_days_are_picked_and_days_off_the_axis_are_missing() -> None:
    when, cell = pd.DatetimeIndex(["2004-02-29", "2003-05-31", "2003-06-01", "2005-08-31"]), [2, 0, 6, 1]
    found = operators.day("nee", DATES.get_indexer(when), cell)(OUTPUTS).numpy()
    expected = [FRAME.loc[day, place] if day in FRAME.index else np.nan for day, place in zip(when, cell, strict=True)]
    np.testing.assert_array_equal(found, expected)


def test_intervals_are_means_of_their_days_and_those_that_stick_out_are_missing() -> None:
    found = linear()["interval"](OUTPUTS).numpy()
    inside = (DATES[0] <= START) & (DATES[-1] + pd.Timedelta(days=1) >= END)
    assert inside.tolist() == [True, False, True, True, False]
    expected = [
        FRAME.loc[start : end - pd.Timedelta(days=1), cell].mean()
        for start, end, cell in zip(START, END, INTERVAL_CELLS, strict=True)
    ]
    np.testing.assert_allclose(found, np.where(inside, expected, np.nan), rtol=1e-12)


def test_year_sums_have_366_days_in_leap_years() -> None:
    found = linear()["year_sum"](OUTPUTS).numpy()
    np.testing.assert_allclose(found, [FRAME.loc["2004", 0].sum(), np.nan, np.nan, np.nan], rtol=1e-12)
    ones = {"nee": np.ones((len(DATES), CELLS))}
    assert linear()["year_sum"](ones)[0] == 366


def test_areas_are_means_weighted_by_their_points() -> None:
    found = linear()["area_mean"](OUTPUTS).numpy()
    first = np.average(FRAME.loc["2004", [0, 1, 2]].sum(), weights=[1, 2, 4])
    last = np.average(FRAME.loc["2003-06-01":"2005-08-31", [3, 4]].sum(), weights=[3, 1])
    np.testing.assert_allclose(found, [first, np.nan, np.nan, last, np.nan], rtol=1e-12)


@pytest.mark.parametrize("reduce", ["sum", "mean"])
def test_region_months_beside_pandas(reduce) -> None:
    factor = 0.5 if reduce == "sum" else 1.0
    found = operators.region_month("nee", DATES, MONTHS, REGIONS, POINTS, reduce=reduce, factor=factor)(OUTPUTS).numpy()
    months = getattr(FRAME.resample("MS"), reduce)()
    area = {0: ([0, 1, 2], [1.0, 2.0, 4.0]), 2: ([3, 4], [3.0, 1.0])}

    def truth(month: pd.Timestamp, region: int) -> float:
        start = month.replace(day=1)
        if region not in area or start not in months.index:
            return np.nan
        cells, weights = area[region]
        total = float((months.loc[start, cells] * weights).sum()) * factor
        return total if reduce == "sum" else total / sum(weights)

    expected = [truth(month, region) for month, region in zip(MONTHS, REGIONS, strict=True)]
    assert np.isfinite(expected).tolist() == [True, True, True, False, False, False]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def _observed(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Days, cells and values of irregular observations; cell 5 has one, cell 6 none, some values are missing."""
    rng = np.random.default_rng(seed)
    time, cell = (part.ravel() for part in np.meshgrid(np.arange(len(DATES)), np.arange(5), indexing="ij"))
    chosen = rng.random(time.size) < 0.3
    time, cell = np.append(time[chosen], 9), np.append(cell[chosen], 5)
    return time, cell, np.where(rng.random(time.size) < 0.1, np.nan, rng.normal(size=time.size))


@pytest.mark.parametrize("season", [False, True])
def test_anomalies_depart_from_the_mean_of_the_observed_days_on_both_sides(season) -> None:
    time, cell, value = _observed()
    found = ObservationSet.of(operators.anomaly("nee", time, cell, DATES if season else None), value)
    table = pd.DataFrame({"cell": cell, "month": DATES[time].month, "value": value, "made": OUTPUTS["nee"][time, cell]})
    seen = table[np.isfinite(value)]
    groups = seen.groupby(["cell", "month"] if season else "cell")
    counts = groups["value"].transform("size") > 1
    assert found.rows.tolist() == seen.index[counts].tolist() and 5 not in cell[found.rows.numpy()]
    for column, given in (("value", found.value), ("made", found.apply(OUTPUTS))):
        expected = (seen[column] - groups[column].transform("mean"))[counts]
        np.testing.assert_allclose(given[found.rows], expected, atol=1e-12)


@pytest.mark.parametrize("rank", [False, True])
def test_anomalies_do_not_see_the_level_of_a_site(rank) -> None:
    time, cell, value = _observed()
    found = ObservationSet.of(operators.anomaly("nee", time, cell, rank=rank), value)
    level = np.linspace(-40, 60, CELLS)
    moved = ObservationSet.of(operators.anomaly("nee", time, cell, rank=rank), value + level[cell])
    shifted = {"nee": OUTPUTS["nee"] - 3 * level}
    kept = found.rows
    np.testing.assert_allclose(moved.value[kept], found.value[kept], atol=1e-10)
    np.testing.assert_allclose(found.apply(shifted)[kept], found.apply(OUTPUTS)[kept], atol=1e-10)


def test_ranks_are_those_of_pandas_within_their_softness_and_do_not_see_the_range() -> None:
    time, cell, value = _observed()
    found = ObservationSet.of(operators.anomaly("swc05", time, cell, rank=True), value)
    kept = found.rows.numpy()
    ranks = pd.Series(value[kept]).groupby(cell[kept]).rank(pct=True) - 0.5 / pd.Series(cell[kept]).groupby(
        cell[kept]
    ).transform("size")
    np.testing.assert_allclose(found.value[found.rows], ranks, atol=0.05)
    stretched = {"swc05": 0.2 + 0.01 * OUTPUTS["nee"] * np.arange(1, CELLS + 1)}
    np.testing.assert_allclose(
        found.apply(stretched)[found.rows], found.apply({"swc05": OUTPUTS["nee"]})[found.rows], atol=1e-9
    )


def test_ranks_of_too_many_days_are_refused() -> None:
    many = np.arange(8000)
    with pytest.raises(InputError, match="too much memory"):
        ObservationSet.of(
            operators.anomaly("nee", many, np.zeros(8000), rank=True), np.random.default_rng(0).random(8000)
        )


@pytest.mark.parametrize("kind", sorted(get_args(Support)))
def test_linear_operators_are_adjoint_to_their_transpose(kind) -> None:
    """<H x, y> = <x, H' y>, H' being made of H applied to unit fields one by one, and autograd gives H'."""
    operator = linear()[kind]
    names = list(operator.parts)
    made = ObservationSet.of(operator, np.ones(operator.size))
    some = np.random.default_rng(1).choice(len(DATES) * CELLS, 40, replace=False)
    y = torch.as_tensor(np.random.default_rng(2).normal(size=operator.size))
    outputs = {name: torch.as_tensor(OUTPUTS[name]).requires_grad_() for name in names}
    torch.nansum(made.apply(outputs) * y).backward()
    forward = float(torch.nansum(made.apply(OUTPUTS) * y))
    back = sum(float((torch.as_tensor(OUTPUTS[name]) * outputs[name].grad).sum()) for name in names)
    assert forward == pytest.approx(back, rel=1e-10) and all(outputs[name].grad is not None for name in names)
    for name in names:
        for flat in some:
            unit = {other: torch.zeros(len(DATES), CELLS, dtype=torch.float64) for other in names}
            unit[name].view(-1)[flat] = 1.0
            column = float(torch.nansum(made.apply(unit) * y))
            assert column == pytest.approx(float(outputs[name].grad.view(-1)[flat]), abs=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: operators.day("x", [0, 3, 3, 5], [0, 1, 1, 2]),
        lambda: operators.day("x", [0, -1, 3, 5], [0, 1, 1, 2]),
        lambda: operators.interval("x", Spans(np.array([0, 2, 1, 0]), np.array([6, 4, 5, 0])), [0, 1, 2, 0]),
        lambda: operators.anomaly("x", [0, 1, 2, 5], [0, 0, 0, 0]),
        lambda: operators.anomaly("x", [0, 1, 2, 5], [0, 0, 0, 0], rank=True),
        lambda: operators.chamber("x", [0, 1, 2, 5], [0, 0, 1, 1], [0, 1, 2, 2], 0.5),
    ],
)
def test_gradients_are_those_of_finite_differences(make: Callable[[], Operator]) -> None:
    observed = ObservationSet.of(make(), [0.1, 0.4, -0.3, 0.8], [0.5, 0.2, 0.4, 1.0])
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda field: observed.misfit(observed.apply({"x": field})), (x,))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: operators.day("ne", [0], [0])(OUTPUTS), "need the output 'ne'; did you mean 'nee'"),
        (lambda: operators.day("nee", [len(DATES)], [0])(OUTPUTS), "reach to day 824 and cell 1 of outputs"),
        (lambda: operators.day("nee", [0], [CELLS])(OUTPUTS), "cell 8"),
        (lambda: operators.day("nee", [0, 1], [0]), "arrays of one length"),
        (lambda: operators.day("nee", [0], [0])(OUTPUTS, torch.ones(1)), "has no chambers"),
        (lambda: Spans.between(DATES[[0, 2]], START, END), "have gaps"),
        (lambda: Spans.between(DATES, END, START), "ends before"),
        (lambda: Spans.between(DATES, START, END[:2]), "5 starts and 2 ends"),
        (lambda: Points.of([0], [0], [-1.0]), "negative or not a number"),
        (lambda: POINTS.draw(0, np.random.default_rng(0)), "0 points cannot be drawn"),
        (lambda: operators.chamber("nee", [0], [0], [0], prior_sd=0.0), "deviation between chambers is 0"),
        (lambda: operators.chamber("nee", [0], [0], [-1], prior_sd=1.0), "no chamber -1"),
        (lambda: replace(operators.day("nee", [0], [0]), parts={})(OUTPUTS), "without variables"),
    ],
)
def test_what_cannot_be_is_said(call: Callable[[], object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        call()

"""Region-months in training: points, targets and the term, beside plain sums, pandas and the analytic gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas.errors import ConfigError, InputError
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.operators import Points
from fluxatlas.train.operators.readers import SPREAD
from fluxatlas.train.regional import (
    Correction,
    RegionalData,
    RegionalObjective,
    choose_points,
    compose,
    refit,
    spread_of_sums,
)

RNG = np.random.default_rng(4)
DATES = pd.date_range("2001-01-01", "2004-12-31")
MONTHS = np.arange("2001-01", "2005-01", dtype="datetime64[M]")
REGION = np.repeat([0, 1], 6)
AREA = RNG.uniform(1e12, 2e12, 12)
NAMES = ("north", "south")
CONTENT = {"sign": "positive_to_atmosphere", "fire_included": True, "lateral": "not removed"}


class Linear(torch.nn.Module):
    """``nee`` is ``slope`` times the temperature of the day: sums have a closed form."""

    def __init__(self, slope: float = 0.3) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(slope, dtype=torch.float64))

    def forward(self, drivers, statics, **_):
        return {"nee": self.slope * drivers["tas"].double()}, {}


def world() -> SequenceSet:
    tas = RNG.normal(size=(len(DATES), 12)).astype(np.float32) + np.linspace(-1, 2, 12, dtype=np.float32)
    return SequenceSet(
        DATES,
        tuple("abcdefghijkl"),
        np.zeros(12),
        np.zeros(12),
        np.arange(12),
        {"tas": tas},
        {},
        {},
        tuple(Segment(site, 0, len(DATES)) for site in range(12)),
    )


def target(members: np.ndarray | None = None, **changes):
    values = RNG.normal(size=(48, 2, 5)) * 300 if members is None else members
    given = {"floor": 40.0, "content": CONTENT, "corrections": [Correction("fire", np.full((48, 2), 20.0), "known")]}
    return compose("ecosystem", MONTHS, NAMES, values, **(given | {"without": ["lateral"]} | changes))


def sums(series: SequenceSet, slope: float = 0.3) -> np.ndarray:
    """Tg per month, by pandas."""
    frame = pd.DataFrame(series.drivers["tas"].astype(float) * slope * AREA, index=DATES).resample("MS").sum()
    return np.stack([frame.iloc[:, one == REGION].sum(axis=1) for one in (0, 1)], axis=1) * 1e-12


def data(series: SequenceSet | None = None, **changes) -> RegionalData:
    made = series or world()
    return RegionalData(made, Points.of(REGION, np.arange(12), AREA), changes.pop("target", target()), "nee", **changes)


def loss(objective: RegionalObjective, network: Linear, year: int = 2002, probe: bool = True, seed: int = 0):
    batch = objective.data.batch(year, 5, np.random.default_rng(seed))
    return objective.terms(network, batch, probe)["regional"]  # type: ignore[arg-type]


def test_points_are_cells_of_their_region_and_worth_its_area() -> None:
    features = RNG.normal(size=(300, 4))
    region, area = RNG.integers(-1, 3, 300), RNG.uniform(0, 2, 300)
    chosen = choose_points(features, area, region, 7, seed=1)
    assert (region[chosen.points.cell] == chosen.points.region).all()
    assert np.bincount(chosen.points.region).tolist() == [7, 7, 7]
    for one in range(3):
        whole = area[region == one].sum()
        assert chosen.points.area[chosen.points.region == one].sum() == pytest.approx(whole)
    assert (chosen.cluster[region == -1] == -1).all() and (chosen.unexplained < 0.75).all()


def test_as_many_points_as_kinds_of_cells_give_the_exact_sum() -> None:
    kinds = RNG.normal(size=(4, 3))
    kind, area = RNG.integers(0, 4, 80), RNG.uniform(1, 2, 80)
    field = np.exp(kinds[:, 0])[kind]
    chosen = choose_points(kinds[kind], area, np.zeros(80, int), 9, seed=2)
    assert chosen.points.cell.size == 4 and chosen.unexplained[0] == pytest.approx(0, abs=1e-12)
    assert (field[chosen.points.cell] * chosen.points.area).sum() == pytest.approx((field * area).sum())
    assert spread_of_sums(chosen.points, chosen.unexplained, field[None, chosen.points.cell]).max() < 1e-6


def test_refitted_areas_are_not_negative_keep_the_whole_and_sum_the_proxies_better() -> None:
    features, area, region = RNG.normal(size=(200, 3)), RNG.uniform(0.5, 2, 200), np.repeat([0, 1], 100)
    chosen = choose_points(features, area, region, 8, seed=3)
    fields = np.concatenate([features.T, features.T**2])
    better = refit(chosen.points, fields, area, region)
    assert (better.area >= 0).all()

    def error(points: Points) -> float:
        found = [
            (fields[:, points.cell] * points.area)[:, points.region == one].sum(axis=1)
            - (fields * area)[:, region == one].sum(axis=1)
            for one in (0, 1)
        ]
        return float(np.square(found).sum())

    assert error(better) < 0.3 * error(chosen.points)
    for one in (0, 1):
        assert better.area[better.region == one].sum() == pytest.approx(area[region == one].sum())


def test_the_spread_of_a_sum_is_that_of_random_cells_of_the_clusters() -> None:
    """Features that are the field: the variance within clusters, by drawing a cell of each at random."""
    field, area = RNG.normal(size=400), np.ones(400)
    chosen = choose_points(field[:, None], area, np.zeros(400, int), 5, seed=1)
    cells = [np.flatnonzero(chosen.cluster == number) for number in range(5)]
    drawn = [sum(len(one) * field[RNG.choice(one)] for one in cells) for _ in range(4000)]
    said = spread_of_sums(chosen.points, chosen.unexplained, field[None, chosen.points.cell])[0, 0]
    assert 0.7 * np.std(drawn) < said < 1.8 * np.std(drawn)


def test_points_that_cannot_be_chosen() -> None:
    with pytest.raises(InputError, match="no points can be chosen"):
        choose_points(np.ones((3, 1)), np.ones(3), np.full(3, -1), 5, 0)


def test_both_presets_are_what_their_corrections_make_of_the_inversions() -> None:
    members, one = RNG.normal(size=(48, 2, 3)) * 100, np.full((48, 2), 7.0)
    tower = compose(
        "ecosystem", MONTHS, NAMES, members, 5, CONTENT, [Correction("fire", one), Correction("evasion", 2 * one)]
    )
    np.testing.assert_allclose(tower.value, members.mean(axis=-1) - 21)
    land = compose("land_sink", MONTHS, NAMES, members, 5, CONTENT, [Correction("river_export", one)])
    np.testing.assert_allclose(land.value, members.mean(axis=-1) + 7)
    assert tower.about["flux_name"] == "NEE" and "fire not included" in tower.about["flux_meaning"]
    assert land.about["flux_name"] == "-NBP" and land.about["flux_sign"] == "positive to the atmosphere"
    bare = compose("land_sink", MONTHS, NAMES, members, 5, CONTENT, [], without=["lateral"])
    assert bare.about["flux_name"] == "NBE" and "not corrected for lateral" in bare.about["flux_meaning"]


def test_the_variance_is_spread_floor_and_corrections() -> None:
    made = target()
    month = made.operator("month", np.ones(48, bool))
    members = made.members[:, 1]
    wanted = SPREAD**2 * (1 + 1 / 5) * members.var(axis=1, ddof=1) + 40**2 + (0.25 * 20) ** 2
    np.testing.assert_allclose(made.variance(1, month), wanted)
    np.testing.assert_allclose(made.variance(1, month, np.full(48, 3.0)), wanted + 9)


def test_parts_of_a_series_are_those_of_pandas() -> None:
    made, series = target(), pd.Series(RNG.normal(size=48), index=pd.DatetimeIndex(MONTHS))
    counts = np.ones(48, bool)
    climate = series.groupby(series.index.month).mean()
    np.testing.assert_allclose(made.operator("mean", counts) @ series, [climate.mean()])
    np.testing.assert_allclose(made.operator("season", counts) @ series, climate - climate.mean())
    departure = series - climate.loc[series.index.month].to_numpy()
    np.testing.assert_allclose(made.operator("anomaly", counts) @ series, departure, atol=1e-12)


ONE = np.ones((48, 2))
BOTH = [Correction("fire", ONE), Correction("fossil", ONE)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"content": {**CONTENT, "sign": "positive_to_land"}}, "the sign of the fluxes is 'positive_to_land'"),
        ({"content": {**CONTENT, "fire_included": False}}, "taken out twice"),
        ({"corrections": []}, "hold fire, which no tower sees"),
        ({"without": []}, "no lateral flux is given for target 'ecosystem'"),
        ({"corrections": [Correction("river_export", ONE)]}, "(?s)not one of target 'ecosystem'.*never mixed"),
        ({"corrections": [Correction("fire", -ONE, "gfed.nc")]}, "the sum of 'fire' is negative"),
        ({"corrections": [Correction("fire", 1e6 * ONE)]}, "check unit and species"),
        ({"corrections": [Correction("fire", ONE[:12])]}, "no value in some region or month"),
        ({"content": {**CONTENT, "fossil_adjusted": True}, "corrections": BOTH}, "adjusted to common fossil"),
        ({"floor": 0.0}, "the error that all inversions share is not positive"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_is_refused(changes, said) -> None:
    with pytest.raises(InputError, match=said):
        target(**changes)


def test_the_land_sink_needs_fire_and_takes_rivers_once() -> None:
    members = np.ones((48, 2, 2))
    with pytest.raises(InputError, match="without fire, which the land sink includes"):
        compose("land_sink", MONTHS, NAMES, members, 5, {**CONTENT, "fire_included": False}, [], ["lateral"])
    content = {**CONTENT, "lateral": "removed (rivers)"}
    with pytest.raises(InputError, match="rivers are removed from these fluxes already"):
        compose("land_sink", MONTHS, NAMES, members, 5, content, [Correction("river_export", ONE)])
    with pytest.raises(InputError, match="did you mean 'land_sink'"):
        compose("land_sinks", MONTHS, NAMES, members, 5, CONTENT, [])


def test_absent_months_and_members_are_refused() -> None:
    with pytest.raises(InputError, match="1 month between others is missing: 2001-03"):
        compose("ecosystem", np.delete(MONTHS, 2), NAMES, np.ones((47, 2, 1)), 5, CONTENT, [], ["fire", "lateral"])
    members = np.ones((48, 2, 3))
    members[4, 1, 2] = np.nan
    with pytest.raises(InputError, match="1 of 3 members lack values, first in 2001-05 in region 'south'"):
        target(members)


def test_the_term_is_the_mean_squared_residual_per_variance_of_the_year() -> None:
    series = world()
    made, network = data(series), Linear()
    goal = made.target
    variance = np.stack([goal.variance(r, np.eye(48)) for r in (0, 1)], axis=1)
    squares = ((sums(series) - goal.value) ** 2 / variance)[12:24]
    found = loss(RegionalObjective(made, 5), network)
    assert float(found.detach()) == pytest.approx((1 - 0.6) / (1 + 0.6) * squares.mean(), rel=1e-5)
    (gradient,) = torch.autograd.grad(found, network.slope)
    residual = ((sums(series) - goal.value) * 2 * sums(series, 1.0) / variance)[12:24]
    assert float(gradient) == pytest.approx(0.25 * residual.mean(), rel=1e-5)
    np.testing.assert_allclose(RegionalObjective(made, 5).sums(network), sums(series), rtol=1e-6)  # type: ignore[arg-type]
    assert RegionalObjective(made, 5).chi2(network) == pytest.approx(  # type: ignore[arg-type]
        ((sums(series) - goal.value) ** 2 / variance).mean(), rel=1e-5
    )


def test_two_draws_have_the_mean_and_the_gradient_of_all_points_and_one_draw_has_not() -> None:
    series, network = world(), Linear(3.0)
    goal = target(
        sums(series, 3.0)[..., None] + 20.0 + RNG.normal(size=(48, 2, 5)) * 3
    )  # all but the truth: fire is 20
    pair = RegionalObjective(data(series, target=goal, draw=2), 5)
    exact = loss(RegionalObjective(data(series, target=goal), 5), network)
    (wanted,) = torch.autograd.grad(exact, network.slope)
    values, gradients, naive = [], [], []
    for seed in range(100):
        found = loss(pair, network, seed=seed)
        values.append(float(found.detach()))
        gradients.append(float(torch.autograd.grad(found, network.slope)[0]))
        batch = pair.data.batch(2002, 5, np.random.default_rng(seed))
        one = replace(batch, operators=batch.operators[:1])
        naive.append(float(pair.terms(network, one)["regional"].detach()))  # type: ignore[arg-type]
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - float(exact.detach())) < 4 * error
    assert abs(np.mean(gradients) - float(wanted)) < 4 * np.std(gradients) / np.sqrt(len(values))
    error = np.std(naive) / np.sqrt(len(naive))
    assert np.mean(naive) - float(exact.detach()) > 4 * error  # the variance of the draw, which training would flatten


def test_years_of_a_decomposition_add_up_to_its_whole_gradient() -> None:
    series, network, goal = world(), Linear(), target()
    objective = RegionalObjective(data(series, target=goal, decompose=True), 5)
    objective.refresh(network)  # type: ignore[arg-type]
    found = [torch.autograd.grad(loss(objective, network, year), network.slope)[0] for year in objective.data.years]
    rows = objective.data.training
    residual = torch.as_tensor(sums(series, 1.0)) * network.slope - torch.as_tensor(goal.value)
    whole = rows.loss(residual.float(), residual.float(), torch.arange(48))
    (wanted,) = torch.autograd.grad(whole, network.slope)
    assert float(torch.stack(found).mean()) == pytest.approx(float(wanted), rel=1e-4)
    assert float(loss(objective, network).detach()) == pytest.approx(float(whole.detach()), rel=1e-4)
    assert rows.operator.shape == (2 * (1 + 12 + 48), 48)


def test_held_out_region_years_are_validated_with_and_not_learnt_from() -> None:
    held = np.zeros((48, 2), bool)
    held[12:24, 1] = True
    series, goal, network = world(), target(), Linear()
    moved = goal.members.copy()
    moved[12:24, 1] += 500
    one, other = (
        RegionalObjective(data(series, target=replace(goal, members=members), held_out=held), 5)
        for members in (goal.members, moved)
    )
    assert float(loss(one, network).detach()) == float(loss(other, network).detach())
    assert float(loss(one, network, probe=False)) != float(loss(other, network, probe=False))
    assert one.observations(one.data.batch(2002, 5)) == 12 and one.observations(one.data.batch(2003, 5)) == 0


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: replace(data(), points=Points.of(0 * REGION, REGION, AREA)), InputError, "no point lies in south"),
        (lambda: data(replace(world(), segments=(Segment(0, 9, 1461),))), InputError, "point 'a' lacks weather"),
        (lambda: data(decompose=True, draw=3), ConfigError, "need the same points"),
        (lambda: data(target=target().cut(MONTHS[:24]), decompose=True), ConfigError, "2 years cannot be parted"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_said_before(call, kind, said) -> None:
    with pytest.raises(kind, match=said):
        call()

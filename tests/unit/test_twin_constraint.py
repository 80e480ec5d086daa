"""The regional constraint in a tiny world; the ten tests of the full one are in docs/net_ecosystem_exchange.md."""

from __future__ import annotations

import pytest

from fluxatlas.testing.carbon_world import GLOBAL, make_world
from fluxatlas.twin.constraint import Size, run_twin
from fluxatlas.twin.constraint_figure import draw

SIZE = Size(pixels=90, regions=3, years=3, towers=24, points=12, hidden=8, tower_steps=100, steps=60, rate=1e-2)


def test_the_world_has_the_sum_that_is_stated_and_towers_that_see_no_disturbance() -> None:
    world = make_world(90, 3, 3, 24, 4, seed=2)
    assert world.sums(world.flux["nee"]).sum() / 3000 == pytest.approx(GLOBAL, rel=1e-3)
    apart = world.inversions.mean(axis=-1) - world.fire - world.sums(world.flux["nee"])
    assert abs(apart.sum() / 3000) < 0.6 and world.fire.sum() / 3000 == pytest.approx(2)
    mean = world.flux["nee"].mean(axis=0)
    assert mean[world.towers].max() < 0.5 * mean.max()


def test_what_holds_in_a_tiny_world_too(tmp_path) -> None:
    """A small network, 36 points and 60 steps cut the bias; regions, contrast and towers need the full twin."""
    runs, tests = run_twin(SIZE)
    draw(runs, tmp_path / "twin.png")
    assert (tmp_path / "twin.png").stat().st_size > 5000
    assert list(runs["run"])[:3] == ["towers alone", "all pixels", "stratified points"]
    assert list(tests["test"].str.split().str[0]) == ["1", "2", "3", "3", "4", "5", "6", "7", "8", "9", "10"]
    bounds = {
        "1 share of the global bias that is cut": (0.8, 1.0),
        "3 its correlation": (0.8, 1.0),
        "6 null: change of the sum per bias of towers alone": (0.0, 0.2),
        "7 fire left in: shift of the sum [PgC yr-1]": (1.4, 2.6),
        "8 chi2 of shuffled regions beside the right ones": (1.5, 1e9),
        "9 error of a withheld region beside towers alone": (0.0, 1.0),
        "10 gradient of the sums: largest relative error": (0.0, 1e-3),
    }
    value = dict(zip(tests["test"], tests["value"], strict=True))
    for name, (low, high) in bounds.items():
        assert low <= value[name] <= high, (name, value[name])

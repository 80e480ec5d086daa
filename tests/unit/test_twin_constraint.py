"""The ten tests of the regional constraint in a tiny world; the numbers of the full one are in docs."""

from __future__ import annotations

import pytest

from fluxatlas.testing.carbon_world import GLOBAL, make_world
from fluxatlas.twin.constraint import Size, run_twin

SIZE = Size(pixels=90, regions=3, years=3, towers=24, points=12, hidden=8, tower_steps=120, steps=100, rate=1e-2)


def test_the_world_has_the_sum_that_is_stated_and_towers_that_see_no_disturbance() -> None:
    world = make_world(90, 3, 3, 24, 4, seed=2)
    assert world.sums(world.flux["nee"]).sum() / 3000 == pytest.approx(GLOBAL, rel=1e-3)
    apart = world.inversions.mean(axis=-1) - world.fire - world.sums(world.flux["nee"])
    assert abs(apart.sum() / 3000) < 0.6 and world.fire.sum() / 3000 == pytest.approx(2)
    mean = world.flux["nee"].mean(axis=0)
    assert mean[world.towers].max() < 0.5 * mean.max()


def test_the_ten_tests_in_a_tiny_world() -> None:
    """Bounds are wider than those of the full twin, for what 36 points and 100 steps cannot do."""
    runs, tests = run_twin(SIZE)
    assert list(runs["run"])[:3] == ["towers alone", "all pixels", "stratified points"]
    bounds = {
        "1 share of the global bias that is cut": (0.8, 1.0),
        "2 error of regions beside that of all pixels": (0.0, 4.0),
        "3 its correlation": (0.5, 1.0),
        "6 null: change of the sum per bias of towers alone": (0.0, 0.2),
        "7 fire left in: shift of the sum [PgC yr-1]": (1.0, 3.0),
        "8 chi2 of shuffled regions beside the right ones": (1.1, 1e9),
        "9 error of a withheld region beside towers alone": (0.0, 1.0),
        "10 gradient of the sums: largest relative error": (0.0, 1e-3),
    }
    value = dict(zip(tests["test"], tests["value"], strict=True))
    for name, (low, high) in bounds.items():
        assert low <= value[name] <= high, (name, value[name])

"""Filling off the coast: means of valid neighbours, local, and the same for every variable."""

import numpy as np

from fluxatlas.ingest.fill import CoastFill


def test_one_ring_is_the_mean_of_valid_neighbours() -> None:
    valid = np.zeros((4, 5), bool)
    valid[0, 0] = valid[1, 1] = True
    values = np.full((2, 4, 5), np.nan)
    values[:, 0, 0], values[:, 1, 1] = 2.0, 4.0
    fill = CoastFill(valid, 1)
    filled = fill(values)
    assert fill.count == 7
    np.testing.assert_array_equal(filled[0, :3, :3], [[2, 3, 4], [3, 4, 4], [4, 4, 4]])
    assert np.isnan(filled[:, 3]).all()
    assert np.isnan(filled[:, :, 3:]).all()


def test_a_cell_depends_only_on_cells_within_the_rings() -> None:
    rng = np.random.default_rng(3)
    valid = rng.random((30, 40)) < 0.1
    values = np.where(valid, rng.normal(size=(30, 40)), np.nan)
    whole = CoastFill(valid, 3)(values)
    cut = CoastFill(valid[5:25, 8:33], 3)(values[5:25, 8:33])
    np.testing.assert_array_equal(cut[3:-3, 3:-3], whole[8:22, 11:30])


def test_linear_fields_and_order_of_variables_survive() -> None:
    """The same weights for all variables: sums and inequalities between variables hold in filled cells."""
    rng = np.random.default_rng(4)
    valid = rng.random((12, 12)) < 0.4
    low = rng.normal(size=(12, 12))
    high = low + rng.random((12, 12))
    fill = CoastFill(valid, 2)
    np.testing.assert_allclose(fill(low) + fill(high), fill(low + high), rtol=1e-12)
    assert (fill(high) >= fill(low))[valid | fill.filled].all()


def test_all_or_nothing_valid() -> None:
    values = np.ones((3, 3))
    assert CoastFill(np.ones((3, 3), bool), 3).count == 0
    empty = CoastFill(np.zeros((3, 3), bool), 3)
    assert empty.count == 0
    assert np.isnan(empty(values)).all()


def test_rings_by_hand() -> None:
    """The same as a plain loop over cells and neighbours, to the last bit, edges of the window included."""
    rng = np.random.default_rng(6)
    values = np.where(rng.random((2, 15, 18)) < 0.2, rng.lognormal(0, 5, (2, 15, 18)), np.nan).astype(np.float32)
    values[1] = np.where(np.isnan(values[0]), np.nan, rng.lognormal(0, 5, (15, 18)))
    expected = values.copy()
    known = np.isfinite(values[0])
    for _ in range(3):
        before, was = expected.copy(), known.copy()
        for row, column in np.argwhere(~was):
            beside = [
                (i, j)
                for i in range(row - 1, row + 2)
                for j in range(column - 1, column + 2)
                if 0 <= i < 15 and 0 <= j < 18 and was[i, j]
            ]
            for day in range(2 if beside else 0):
                expected[day, row, column] = sum(float(before[day][cell]) for cell in beside) / len(beside)
            known[row, column] = bool(beside)
        known |= was
    fill = CoastFill(np.isfinite(values[0]), 3)
    np.testing.assert_array_equal(fill(values), expected)
    np.testing.assert_array_equal(fill.filled, known & ~fill.valid)
    buffer = np.full((2, 15, 18), 7.0, np.float32)
    assert fill.into(buffer, values) is buffer
    np.testing.assert_array_equal(buffer, expected)

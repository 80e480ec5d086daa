"""Layers of many tiles on blocks of cells: the same as putting the tiles together first."""

from pathlib import Path

import numpy as np
import pytest

from fluxatlas.grid import get_grid
from fluxatlas.style import coarsen, map_step
from fluxatlas.tiles import coarse
from fluxatlas.tiles.mosaic import Mosaic, TileResult

GRID = get_grid("0.5deg")


def mosaic_of(tiles: list[tuple[int, int]], edge: int, box: tuple[slice, slice]) -> Mosaic:
    pieces = tuple(
        TileResult(f"{row}_{column}", slice(row, row + edge), slice(column, column + edge), Path(), {})
        for row, column in tiles
    )
    return Mosaic(GRID, pieces, *box)


@pytest.mark.parametrize("step", [1, 2, 3, 7])
@pytest.mark.parametrize("box", [(slice(40, 80), slice(100, 160)), (slice(43, 78), slice(101, 155))])
def test_blocks_are_those_of_the_whole(step, box) -> None:
    rng = np.random.default_rng(4)
    tiles = [(40, 100), (40, 120), (60, 100), (60, 140)]  # two of six lack
    mosaic = mosaic_of(tiles, 20, box)
    values = {}
    for piece in mosaic.pieces:
        layer = rng.normal(5, 2, (20, 20))
        layer[rng.random(layer.shape) < 0.4] = np.nan
        values[piece.name] = layer
    whole = mosaic.place((piece, values[piece.name]) for piece in mosaic.pieces)
    found = coarse.means(mosaic, step, lambda piece: values[piece.name])
    np.testing.assert_allclose(found, coarsen(whole, step), rtol=1e-12)
    assert np.isnan(found).any() and np.isfinite(found).any()
    first = coarse.firsts(mosaic, step, lambda piece: values[piece.name])
    rows, columns = found.shape
    np.testing.assert_array_equal(first, whole[::step, ::step][:rows, :columns])


def test_a_map_has_as_many_blocks_as_can_be_drawn() -> None:
    assert map_step((4320, 8640)) == 5 and map_step((21600, 43200)) == 24 and map_step((1800, 300)) == 1


def test_the_box_around_active_cells_is_that_of_the_whole(monkeypatch) -> None:
    mosaic = mosaic_of([(40, 100), (40, 120), (60, 100)], 20, (slice(40, 80), slice(100, 140)))
    active = {piece.name: np.zeros((20, 20), bool) for piece in mosaic.pieces}
    active["40_120"][15:18, 3:5] = True
    active["60_100"][2, 17] = True

    def layers(piece, *names):
        import xarray as xr

        return xr.Dataset({"active": (("lat", "lon"), active[piece.name])})

    monkeypatch.setattr(TileResult, "layers", layers)
    cut = mosaic.around_active()
    # rows 55 to 62 and columns 117 to 124, a tenth (at least one cell) more on each side
    assert (cut.rows, cut.columns) == (slice(54, 64), slice(116, 126))
    for layer in active.values():
        layer[:] = False
    assert mosaic.around_active() is mosaic

"""Exact shares of polygons: for any polygon and grid they add up, split and turn as areas do."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.regrid.coverage import coverage

CASES = settings(max_examples=80, deadline=None)


@st.composite
def stars(draw: st.DrawFn) -> shapely.Polygon:
    """A star-shaped polygon of 3 to 14 corners somewhere on the globe."""
    count = draw(st.integers(3, 14))
    turns = draw(st.lists(st.floats(0.1, 1.0), min_size=count, max_size=count))
    angle = 2 * np.pi * np.cumsum(turns) / np.sum(turns)
    radius = np.array(draw(st.lists(st.floats(0.3, 20.0), min_size=count, max_size=count)))
    lon, lat = draw(st.floats(-150, 150)), draw(st.floats(-65, 65))
    shape = shapely.Polygon(np.column_stack([lon + radius * np.cos(angle), lat + radius * np.sin(angle)]))
    return shape if shape.is_valid else shapely.convex_hull(shape)


@st.composite
def grids(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Edges of an uneven grid of the globe; latitudes either way, some edges on whole degrees."""
    rows = np.unique(
        np.r_[-90.0, 90.0, draw(st.lists(st.one_of(st.integers(-89, 89), st.floats(-89, 89)), max_size=9))]
    )
    columns = np.unique(
        np.r_[-180.0, 180.0, draw(st.lists(st.one_of(st.integers(-179, 179), st.floats(-179, 179)), max_size=9))]
    )
    rows, columns = (edges[np.r_[True, np.diff(edges) > 1e-3]] for edges in (rows, columns))
    rows[-1], columns[-1] = 90.0, 180.0
    return (rows[::-1] if draw(st.booleans()) else rows), columns


def area(share: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    return float((share * np.abs(np.diff(np.sin(np.deg2rad(rows))))[:, None] * np.deg2rad(np.diff(columns))).sum())


def exact(shape: shapely.Polygon) -> float:
    """Area on the unit sphere: each edge, straight in degrees, integrated in closed form."""
    lon, lat = np.deg2rad(shapely.get_coordinates(shapely.normalize(shape).exterior)).T
    flat = np.abs(np.diff(lat)) < 1e-12
    mean = np.where(flat, np.sin(lat[1:]), -np.diff(np.cos(lat)) / np.where(flat, 1.0, np.diff(lat)))
    return abs(float((mean * np.diff(lon)).sum()))


@CASES
@given(stars(), grids())
def test_the_area_is_exact_on_any_grid(shape, grid) -> None:
    share = coverage(shape, *grid)
    assert share.min() >= 0 and share.max() <= 1
    assert area(share, *grid) == pytest.approx(exact(shape), rel=1e-9, abs=1e-11)


@CASES
@given(stars(), stars(), grids())
def test_parts_add_up_to_the_whole(shape, other, grid) -> None:
    parts = [shapely.intersection(shape, other), shapely.difference(shape, other)]
    areas = [[p for p in shapely.get_parts(part) if p.geom_type == "Polygon"] for part in parts]
    total = sum((coverage(p, *grid) for part in areas for p in part), np.zeros((len(grid[0]) - 1, len(grid[1]) - 1)))
    np.testing.assert_allclose(total, coverage(shape, *grid), atol=1e-7)


@CASES
@given(stars(), grids(), st.floats(-20, 20))
def test_turning_shape_and_grid_changes_nothing(shape, grid, turn) -> None:
    moved = shapely.transform(shape, lambda xy: xy + np.array([turn, 0.0]))
    np.testing.assert_allclose(coverage(moved, grid[0], grid[1] + turn), coverage(shape, *grid), atol=1e-9)
    mirrored = shapely.transform(shape, lambda xy: xy * np.array([1.0, -1.0]))
    np.testing.assert_allclose(coverage(mirrored, -grid[0], grid[1]), coverage(shape, *grid), atol=1e-9)


@CASES
@given(stars(), grids(), st.booleans())
def test_holes_and_the_direction_of_rings(shape, grid, reverse) -> None:
    hole = shapely.affinity.scale(shape, 0.3, 0.3, origin=shapely.point_on_surface(shape))
    if not shapely.contains_properly(shape, hole):
        return
    outer, inner = (shapely.get_coordinates(s)[:: -1 if reverse else 1] for s in (shape, hole))
    holed = coverage(shapely.Polygon(outer, [inner]), *grid)
    np.testing.assert_allclose(holed, coverage(shape, *grid) - coverage(hole, *grid), atol=1e-9)

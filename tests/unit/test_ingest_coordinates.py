"""Windows of a source grid: order, margins, both longitude conventions, and the date line."""

import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.ingest.coordinates import SourceGrid, regular_axis

LAT = np.arange(90, -91, -10.0)
GLOBAL_360 = SourceGrid(LAT, np.arange(0, 360, 10.0))
GLOBAL_180 = SourceGrid(LAT[::-1], np.arange(-180, 180, 10.0))


def field(grid: SourceGrid) -> np.ndarray:
    """A value that tells where it is: latitude * 1000 + longitude in 0..360."""
    return grid.lat[:, None] * 1000 + np.mod(grid.lon, 360)[None, :]


@pytest.mark.parametrize("grid", [GLOBAL_360, GLOBAL_180], ids=["0..360", "-180..180 ascending"])
@pytest.mark.parametrize(
    ("bbox", "margin", "lat", "lon"),
    [
        ((-20, 0, 20, 20), 0, [20, 10, 0], [-20, -10, 0, 10, 20]),
        ((-20, 0, 20, 20), 1, [30, 20, 10, 0, -10], [-30, -20, -10, 0, 10, 20, 30]),
        ((-4, 1, 4, 4), 0, [0], [0]),
        ((160, -20, 180, -10), 1, [0, -10, -20, -30], [150, 160, 170, 180, 190]),
        ((-180, 80, -160, 90), 2, [90, 80, 70, 60], [-200, -190, -180, -170, -160, -150, -140]),
    ],
)
def test_window(grid: SourceGrid, bbox, margin: int, lat: list[float], lon: list[float]) -> None:
    window = grid.window(bbox, margin)
    np.testing.assert_array_equal(window.lat, lat)
    np.testing.assert_array_equal(window.lon, lon)
    values = window.read(lambda rows, columns: field(grid)[None, rows, columns])
    np.testing.assert_array_equal(values[0], np.array(lat)[:, None] * 1000 + np.mod(lon, 360))


def test_the_whole_globe_keeps_a_halo_across_the_date_line() -> None:
    window = GLOBAL_180.window((-180, -90, 180, 90), 1)
    assert window.shape == (19, 39)
    assert (window.lon[0], window.lon[-1]) == (-190, 190)


def test_cells_that_only_touch_the_box_are_outside() -> None:
    centres = SourceGrid(np.arange(0.5, 10), np.arange(0.5, 10))
    window = centres.window((3, 3, 5, 5))
    np.testing.assert_array_equal(window.lon, [3.5, 4.5])


def test_part_of_a_window_is_the_window_of_the_part() -> None:
    whole = GLOBAL_360.window((-40, -40, 40, 40), 3)
    part, direct = whole.part((0, 0, 20, 20), 2), GLOBAL_360.window((0, 0, 20, 20), 2)
    for name in ("rows", "columns", "lat", "lon"):
        np.testing.assert_array_equal(getattr(part, name), getattr(direct, name))


def test_outside_is_refused() -> None:
    regional = SourceGrid(np.arange(40, 50.0), np.arange(0, 10.0))
    with pytest.raises(InputError, match=r"covers 40..49 N, 0..9 E and not the box 20..30 E"):
        regional.window((20, 40, 30, 50), 3)
    with pytest.raises(InputError, match="covers"):
        regional.window((10, 40, 12, 50), 3)  # only the margin would reach the source


def test_axis_is_cleaned_of_round_off_and_of_the_jump_at_greenwich() -> None:
    tenths = np.arange(0, 3, 0.1, dtype=np.float32)
    np.testing.assert_array_equal(regular_axis(tenths, "lat", "f"), np.round(np.arange(30) * 0.1, 6))
    np.testing.assert_array_equal(regular_axis([350, 355, 0, 5], "lon", "f"), [350, 355, 360, 365])


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0], "at least two"), ([1, np.nan, 3], "at least two"), ([1, 2, 4], "not evenly"), ([1, 1, 1], "not evenly")],
)
def test_bad_axis(values: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        regular_axis(values, "lat", "file.nc")

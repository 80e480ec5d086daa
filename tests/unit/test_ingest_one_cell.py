"""A grid of one cell, or of one row or column, is a regular grid whose cell has a size."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

import ingest_layouts as made
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.elevation import read_orog
from fluxatlas.ingest.pieces import write_pieces
from fluxatlas.ingest.source import Source, open_source
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.regrid.tile import at_points

ROW, COLUMN, SIZE = 1, 2, 0.25  # the cell at 40.75 N 123.5 W
TILE = get_grid("4km").tile("N40W124", 1)
VARIABLES = ("tas", "pr")


def cut(path: Path, bounds: bool, **where: slice) -> None:
    """Keep some cells of a file, with the bounds of the axes that have one left if wanted."""
    data = xr.load_dataset(path, decode_times=False, mask_and_scale=False).isel(where)
    for axis in where if bounds else ():
        edges = data[axis].values[:, None] + 0.5 * SIZE * np.array([-1, 1])
        data[f"{axis}_bnds"] = (axis, "bnds"), edges
        data[axis].attrs["bounds"] = f"{axis}_bnds"
    data.to_netcdf(path)


def source(folder: Path, bounds: bool, **where: slice) -> tuple[Source, dict[str, np.ndarray]]:
    dates = made.all_days("standard", 2001, 2001)
    truth = {name: values for name, values in made.weather(365).items() if name in VARIABLES}
    files = made.cf_daily(folder, dates, truth)  # from south to north
    for path in files:
        cut(path, bounds, **where)
    return open_source(ForcingBlock.model_construct(source="mapping", mapping="isimip"), files), truth


HERE = {"lat": slice(made.LAT.size - 1 - ROW, made.LAT.size - ROW), "lon": slice(COLUMN, COLUMN + 1)}


@pytest.mark.parametrize("whole", [True, False])
def test_one_cell_is_constant_all_over_itself(whole: bool, tmp_path: Path) -> None:
    """The altitude is that of the cell, from a file of it alone or of all its neighbours."""
    opened, truth = source(tmp_path, True, **HERE)
    relief, metres = made.elevation(tmp_path / "relief.nc")
    if not whole:
        data = xr.load_dataset(relief).isel(
            {
                str(d): slice(ROW, ROW + 1) if "lat" in str(d) else slice(COLUMN, COLUMN + 1)
                for d in xr.load_dataset(relief).dims
            }
        )
        for axis in list(data.dims):
            data[f"{axis}_bnds"] = (axis, "b"), data[axis].values[:, None] + 0.5 * SIZE * np.array([-1, 1])
        data.to_netcdf(tmp_path / "one.nc")
        relief = tmp_path / "one.nc"
    box = (-123.6, 40.66, -123.4, 40.86)
    (piece,) = write_pieces(opened, 2001, [TILE], VARIABLES, tmp_path / "out", elevation=relief, bbox=box)
    with xr.open_dataset(piece) as data:
        assert data.sizes == {"time": 365, "lat": 2, "lon": 2}
        forcing = {name: data[name].values for name in VARIABLES}
        place = tuple(data[name].values.astype(float) for name in ("lat", "lon", "orog"))
    np.testing.assert_allclose(place[2], metres[ROW, COLUMN], rtol=1e-6)
    lat, lon = np.array([40.63, 40.75, 40.87]), np.array([-123.62, -123.5, -123.38])
    found = at_points(forcing, place, lat, lon, np.full(3, metres[ROW, COLUMN]))
    for name, tolerance in (("tas", 0.006), ("pr", 2e-7)):
        expected = np.repeat(truth[name][:, ROW, COLUMN, None], 3, axis=1)
        np.testing.assert_allclose(found[name], expected, atol=tolerance)


@pytest.mark.parametrize("axis", ["lat", "lon"])
def test_one_row_or_column_has_the_step_of_the_other_axis(axis: str, tmp_path: Path) -> None:
    opened, truth = source(tmp_path, False, **{axis: HERE[axis]})
    found = opened.daily(2001, (-123.6, 40.7, -123.3, 40.8) if axis == "lat" else made.BOX, ["tas"])
    values = truth["tas"][:, ROW] if axis == "lat" else truth["tas"][:, :, COLUMN]
    row = found.tas.isel({axis: 0}).sel({"lon" if axis == "lat" else "lat": -123.5 if axis == "lat" else 40.75})
    np.testing.assert_allclose(row, values[:, COLUMN if axis == "lat" else ROW], rtol=1e-6)
    np.testing.assert_array_equal(found.tas.isel({axis: 0}), found.tas.isel({axis: 1}))
    assert abs(float(found[axis][0] - found[axis][1])) == pytest.approx(SIZE / 2)


def test_one_cell_of_unknown_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one cell along lat, and does not say how large(.|\n)*lat_bnds"):
        source(tmp_path, False, **HERE)


def test_altitude_of_other_cells_is_refused(tmp_path: Path) -> None:
    opened, _ = source(tmp_path, True, **HERE)
    relief, _ = made.elevation(tmp_path / "relief.nc", made.LAT + 0.1, made.LON)
    with pytest.raises(InputError, match="does not hold all cells"):
        read_orog(relief, opened.grid.window((-123.6, 40.66, -123.4, 40.86)))


@pytest.mark.parametrize("bounds", [True, False])
def test_inspect_says_of_one_cell_what_ingest_does(bounds: bool, tmp_path: Path) -> None:
    dates = made.all_days("standard", 2001, 2001)
    path = next(iter(made.cf_daily(tmp_path, dates, {"tas": made.weather(365)["tas"]})))
    cut(path, bounds, **HERE)
    report = inspect_path(path)
    assert report.usable is bounds
    assert ("does not say how large" in report.verdict) is not bounds


@pytest.mark.parametrize(
    ("shift", "bounds", "stamp"), [(0, False, None), (3, False, "end"), (1.5, False, "middle"), (3, True, "end")]
)
def test_the_stamp_of_a_proposed_mapping_is_that_of_the_file(
    shift: float, bounds: bool, stamp: str, tmp_path: Path
) -> None:
    start = np.arange(0, 24 * 9, 3.0) + (3 if bounds else 0)  # with bounds the last time is not midnight
    data = xr.Dataset(
        {"tas": (("time", "lat", "lon"), np.full((start.size, 2, 2), 280.0), {"units": "K"})},
        {
            "time": ("time", start + shift, {"units": "hours since 2001-01-01"}),
            "lat": ("lat", [40.0, 41.0], {"units": "degrees_north"}),
            "lon": ("lon", [10.0, 11.0], {"units": "degrees_east"}),
        },
    )
    if bounds:
        data["time"].attrs["bounds"] = "edges"
        data["edges"] = ("time", "nv"), np.stack([start, start + 3], axis=1)
    data.to_netcdf(tmp_path / "tas.nc")
    proposed = yaml.safe_load(inspect_path(tmp_path / "tas.nc").details["proposed_mapping"])
    assert proposed["step_hours"] == 3 and proposed.get("stamp") == stamp


@pytest.mark.parametrize(
    ("hours", "way_on"), [(6, "a mapping with step_hours: 6"), (5, "no mapping has the step of these")]
)
def test_finer_steps_than_a_mapping_of_days_has_are_named(hours: int, way_on: str, tmp_path: Path) -> None:
    (path,) = made.cf_daily(tmp_path, made.all_days("standard", 2001, 2001), {"tas": made.weather(365)["tas"]})
    data = xr.load_dataset(path, decode_times=False)
    first = float(data["time"][0])
    data = data.drop_vars("time_bnds", errors="ignore").assign_coords(time=first + np.arange(365) * hours / 24.0)
    data["time"].attrs = {**xr.load_dataset(path, decode_times=False)["time"].attrs}
    data["time"].attrs.pop("bounds", None)
    data.to_netcdf(path)
    opened = open_source(ForcingBlock.model_construct(source="mapping", mapping="isimip"), [path])
    window = opened.grid.window(made.BOX)
    with pytest.raises(InputError, match=f"'tas' has a step every {hours} h, one every 1 d is expected(.|\n)*{way_on}"):
        next(opened.blocks(np.datetime64("2001-01-02"), np.datetime64("2001-01-03"), window, ["tas"]))

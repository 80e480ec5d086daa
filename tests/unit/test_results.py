"""What ``open_run`` says where a run does not have what is asked for; what it gives: end_to_end/test_tiny_run.py."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from rasterio.transform import from_origin

from fluxatlas import open_run
from fluxatlas.errors import InputError
from fluxatlas.results import RunResults


@pytest.fixture
def run(tmp_path: Path) -> RunResults:
    """A run with two days of ``fch4`` in four cells of half a degree around 50 N, 10 E."""
    (tmp_path / "products" / "daily").mkdir(parents=True)
    days = pd.date_range("2001-01-01", periods=2)
    place = {"time": days, "lat": ("lat", [50.25, 49.75], {"axis": "Y"}), "lon": ("lon", [9.75, 10.25], {"axis": "X"})}
    flux = xr.Dataset({"fch4": (("time", "lat", "lon"), np.ones((2, 2, 2)))}, place)
    flux["lat_bnds"] = ("lat", "nv"), np.array([[50.5, 50], [50, 49.5]])
    flux["lon_bnds"] = ("lon", "nv"), np.array([[9.5, 10], [10, 10.5]])
    flux.to_netcdf(tmp_path / "products" / "daily" / "fch4_2001.nc")
    return open_run(tmp_path)


ASKED: dict[str, tuple[Callable[[RunResults], object], str]] = {
    "variable": (lambda run: run.daily("fch5"), r"no daily 'fch5'; did you mean 'fch4'"),
    "step": (lambda run: run.maps("fch4", "week"), "maps are of a 'year' or a 'month', not of 'week'"),  # type: ignore[arg-type]
    "maps": (lambda run: run.maps("fch4"), r"no maps of 'fch4' by year"),
    "north of the pole": (lambda run: run.at(91.0, 10.0), "no place at latitude 91, longitude 10"),
    "no longitude": (lambda run: run.at(50.0, float("nan")), "no place at latitude 50, longitude nan"),
    "outside": (lambda run: run.at(51.0, 10.0), r"covers 49\.5\.\.50\.5 degrees north, 9\.5\.\.10\.5 degrees east"),
    "table": (lambda run: run.budget, r"no such table yet\n.*budget\.csv"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_a_run_does_not_have_is_said(run: RunResults, name: str) -> None:
    ask, message = ASKED[name]
    with pytest.raises(InputError, match=message):
        ask(run)
    assert float(run.at(50.3, 369.7)["fch4"].sum()) == 2.0  # another turn of the globe


@pytest.mark.parametrize("ask", [lambda run: run.at(50.0, 10.0), lambda run: run.daily("fch4"), lambda run: run.about])
def test_a_run_without_a_product_says_so(tmp_path: Path, ask: Callable[[RunResults], object]) -> None:
    (tmp_path / "train").mkdir()
    empty = open_run(tmp_path)
    assert repr(empty).endswith("no year>") and not len(empty.sites)
    with pytest.raises(InputError, match="the run has no product yet"):
        ask(empty)


def test_what_is_no_run_is_named_with_what_to_give(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    said = {"": "not the folder of a run", "notes.txt": "a file, not the folder", "nowhere": "there is no such folder"}
    for name, message in said.items():
        with pytest.raises(InputError, match=rf"{message}(.|\n)*{tmp_path / name}\n.*such as results/demo"):
            open_run(tmp_path / name)


def test_maps_of_several_years_say_what_holds_for_all(run: RunResults) -> None:
    folder = run.folder / "products" / "cog"
    folder.mkdir(parents=True)
    for year in (2001, 2002):
        shape = {"driver": "GTiff", "height": 2, "width": 2, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
        with rasterio.open(folder / f"fch4_{year}.tif", "w", transform=from_origin(9, 51, 1, 1), **shape) as tif:
            tif.write(np.full((2, 2), year, dtype="float32"), 1)
            tif.update_tags(period=year, run="toy")
            tif.update_tags(1, long_name=f"net flux, mean of {year}", units="mg m-2 d-1")
    maps = run.maps("fch4")
    assert maps.attrs["long_name"] == "net flux, mean of each year" and maps.attrs["units"] == "mg m-2 d-1"
    assert "period" not in maps.attrs and maps.attrs["run"] == "toy"
    assert maps.isel(x=0, y=0).to_numpy().tolist() == [2001, 2002]


@pytest.mark.parametrize(
    ("part", "bounds"),
    [
        ({"lat": [1]}, (9.5, 49.5, 10.5, 50)),
        ({"lat": [0], "lon": [1]}, (10, 50, 10.5, 50.5)),
        ({}, (9.5, 49.5, 10.5, 50.5)),
    ],
)
def test_a_row_or_a_cell_of_a_run_is_written_where_it_lies(
    run: RunResults, tmp_path: Path, part: dict[str, list[int]], bounds: tuple[float, ...]
) -> None:
    run.daily("fch4")["fch4"].isel(time=0, **part).rio.to_raster(tmp_path / "part.tif")
    with rasterio.open(tmp_path / "part.tif") as written:
        assert tuple(written.bounds) == bounds and written.crs.to_epsg() == 4326

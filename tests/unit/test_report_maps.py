"""Figures of small domains and means over areas: maps that fill their frame, labels on the page, days of leap years."""

from pathlib import Path

import matplotlib.pyplot as plt
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.grid import get_grid
from fluxatlas.report import series
from fluxatlas.report.catalogue import Inputs
from fluxatlas.report.regions import regions_section
from fluxatlas.style import MapFrame, coarsen, colorbar, house_style, limits, number
from fluxatlas.systems import get_system
from fluxatlas.tiles.mosaic import Mosaic, TileResult
from fluxatlas.train.flags import UNJUDGED
from report_cases import SMALL, SYSTEM, drawn, labels_inside
from stage_files import (
    make_world,
    write_forcing,
    write_region_months,
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A domain of 5 x 8 cells in two tiles of one degree, without dissimilarity; a layer that is all but constant."""
    root = tmp_path_factory.mktemp("small")
    box, rng = (-110.1875, 31.625, -109.875, 31.8125), np.random.default_rng(1)
    world = make_world(root, grid="4km", tile_size=1, bbox=(-111, 31, -109, 32), years=(2001,))
    for path, tile in zip(world.attributes, world.tiles, strict=True):
        lat, lon = np.meshgrid(tile.lat, tile.lon, indexing="ij")
        inside = (lon > box[0]) & (lon < box[2]) & (lat > box[1]) & (lat < box[3])
        with netCDF4.Dataset(path, "a") as file:
            file["active"][:] = inside
            file["uplandFrac"][:] = 36.9 + 1e-5 * rng.random(inside.shape)
        with netCDF4.Dataset(root / "infer" / tile.name / "2001.nc", "a") as file:
            for name in ("ch4ox_member", "fch4_member"):
                file[name][:] = np.where(inside, file[name][:], np.nan)
            file["dissimilarity"][:], file["applicable"][:] = np.nan, UNJUDGED
    sites = root / "sites.csv"
    rows = [("tower", "train", 31.7, -110.0), ("chamber", "evaluate", 31.75, -109.9), ("chamber", "train", 50.0, 8.0)]
    pd.DataFrame(rows, columns=["kind", "use", "lat", "lon"]).assign(site=["A", "B", "C"]).to_csv(sites, index=False)
    forcing = write_forcing(world, root / "forcing", resolution=0.0625)
    return Inputs(
        system="soil_methane_sink", flux=world.flux, attributes=world.attributes, forcing=forcing, sites=[sites]
    )


def test_a_small_domain_fills_the_map_with_its_sites_and_no_empty_panel(small) -> None:
    figure = drawn("flux_map", small)
    maps_ = [axis for axis in figure.axes if axis.get_title(loc="left")]
    assert [axis.get_title(loc="left") for axis in maps_] == ["(a) Mean", "(b) Uncertainty"]
    assert "not known" in figure.get_supxlabel()
    values = np.ma.filled(maps_[0].collections[1].get_array(), np.nan)
    assert np.isfinite(values).mean() > 0.5  # of the two tiles it is 2.4 %
    shown = [tuple(map(float, place)) for part in maps_[0].collections[3:] for place in part.get_offsets()]
    assert sorted(shown) == [(-110.0, 31.7), (-109.9, 31.75)]  # the site in Germany is not on the map
    box, edge = figure.get_tightbbox(), figure.bbox_inches
    assert box.y1 < edge.y1 + 0.02 and box.y0 > -0.02


def test_no_colour_bar_hides_its_numbers_behind_an_offset(small) -> None:
    figure = drawn("inputs_map", small)
    for axis in figure.axes:
        assert axis.xaxis.get_offset_text().get_text() == axis.yaxis.get_offset_text().get_text() == ""
    low, high = limits(0.369 + 1e-5 * np.random.default_rng(1).random(100))
    assert high - low == pytest.approx(0.02 * 0.369, rel=1e-3) and low < 0.369 < high
    assert limits(np.full(3, np.nan)) == (0.0, 1.0) and limits(np.zeros(3)) == (-0.5, 0.5)
    assert limits(np.arange(101.0)) == (2.0, 98.0)
    with house_style(SMALL):
        figure, axis = plt.subplots()
        bar = colorbar(figure, axis.imshow([[0.369005, 0.369015]]), axis, "x")
        figure.canvas.draw()
        labels = [text.get_text() for text in bar.ax.get_xticklabels()]
    plt.close(figure)
    assert labels and all("0.369" in label for label in labels if label), labels


def write_product(path, values):
    """A product of `values` (time, 4, 3) over 30-70 N, with areas that differ from cell to cell."""
    lat, area = np.array([65.0, 55.0, 45.0, 35.0]), np.arange(1.0, 13.0).reshape(4, 3)
    area[0, 2] = np.nan  # sea
    data = {
        "ch4ox": (("time", "lat", "lon"), values),
        "areacella": (("lat", "lon"), area),
        "uplandFrac": (("lat", "lon"), np.full((4, 3), 50.0)),
        "lat_bnds": (("lat", "nv"), np.stack([lat + 5, lat - 5], axis=1)),
    }
    xr.Dataset(data, coords={"lat": lat}).to_netcdf(path)
    return path, area


def test_a_band_is_averaged_over_the_cells_that_have_a_value_on_the_day(tmp_path) -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(1, 0.3, (365, 4, 3))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[0, 0, 0], values[1:, 0, 0] = np.nan, 5.0  # missing on the first day only
    values[7] = np.nan
    path, area = write_product(tmp_path / "ch4ox_2001.nc", values)
    found, _ = series._band_means(path, [70.0, 50.0, 30.0], SYSTEM.weight)
    for day in (0, 1, 7, 364):
        for band, rows in enumerate((slice(0, 2), slice(2, 4))):
            cells = [(v, a) for v, a in zip(values[day, rows].ravel(), area[rows].ravel(), strict=True)]
            cells = [(v, a) for v, a in cells if np.isfinite(v) and np.isfinite(a)]
            expected = sum(v * a for v, a in cells) / sum(a for _, a in cells) if cells else np.nan
            assert found[day, band] == pytest.approx(expected, nan_ok=True), (day, band)


def test_the_days_of_a_leap_year_fall_on_their_dates() -> None:
    """The course of the year by month and day is the same in both years, but for 29 February."""
    course = {}
    for year in (2003, 2004):
        days = pd.date_range(f"{year}-01-01", f"{year}-12-31")
        course[year] = (100.0 * days.month + days.day).to_numpy()[:, None]
    np.testing.assert_allclose(series._climatology((course[2003], course[2004])), series._climatology((course[2003],)))


def test_large_maps_are_averaged_before_they_are_drawn(monkeypatch) -> None:
    values = np.arange(24.0).reshape(4, 6)
    values[0, 0] = np.nan
    small = coarsen(values, 2)
    np.testing.assert_allclose(small, [[np.mean([1, 6, 7]), 5.5, 7.5], [15.5, 17.5, 19.5]])
    monkeypatch.setattr("fluxatlas.style.MOST_CELLS", 3)
    land = np.zeros((4, 6), bool)
    land[:, :2] = True
    frame = MapFrame(np.linspace(50, 48, 5), np.linspace(0, 3, 7), land)
    assert frame.ground.tolist() == [[True, False, False]] * 2
    assert frame.outline == [[(1.0, 50.0), (1.0, 49.0)], [(1.0, 49.0), (1.0, 48.0)]]


def test_regions_stand_beside_inversions_and_held_out_years_are_marked(tmp_path) -> None:
    table = write_region_months(tmp_path / "region_months.csv")
    figure = drawn("region_months", Inputs(system="net_ecosystem_exchange", region_months=[table]))
    shaded = [len(axis.patches) for axis in figure.axes]
    plt.close(figure)
    assert shaded == [1, 0, 0, 0]
    section = regions_section(pd.read_csv(table), get_system("net_ecosystem_exchange"))
    assert list(section.table["years"]) == ["in training: 2001", "held out: 2002", *["in training: 2001-2002"] * 2]
    assert section.table["inversions"][3] == number(-120.0)  # twelve months of -10, the season sums to nothing


@pytest.mark.parametrize(
    ("north_rows", "shape"),
    [(24, (24, 48)), (12, (13, 48)), (20, (24, 48)), (6, (7, 48))],  # a tenth more, at least a row, within the tiles
)
def test_a_domain_of_a_part_of_its_tiles_fills_the_map(monkeypatch, north_rows: int, shape: tuple[int, int]) -> None:
    """Two tiles of one degree side by side, of which the northern rows are run."""
    active = np.zeros((24, 48), bool)
    active[:north_rows] = True
    monkeypatch.setattr(TileResult, "layers", lambda self, name: xr.Dataset({name: (("lat", "lon"), active)}))
    place = slice(1248, 1272), slice(4128, 4176)
    whole = Mosaic(get_grid("4km"), (TileResult("both", *place, Path(), {}),), *place)
    assert whole.around_active().shape == shape


@pytest.mark.parametrize("name", ["inputs_map", "flux_map"])
def test_no_label_of_a_small_map_runs_off_the_page(small, name: str) -> None:
    labels_inside(name, small)

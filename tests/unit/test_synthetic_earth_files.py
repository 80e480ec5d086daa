"""Raw files of the synthetic Earth: layout of ERA5-Land and of the static layers, and agreement with the weather."""

from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from typer.testing import CliRunner

from fluxatlas.config.static import static_for_synthetic_earth, static_inputs
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.errors import ConfigError
from fluxatlas.testing import SyntheticEarth, land, surface
from fluxatlas.testing.commands import app
from fluxatlas.testing.era5_land import SyntheticSource, WeatherGrid, month_dataset, write_closing, write_orography
from fluxatlas.testing.rasters import write_static
from fluxatlas.testing.weather import hourly as hourly_weather

BOX = (-123.0, 37.0, -122.0, 38.0)  # coast: land and sea
UNITS = {"t2m": "K", "d2m": "K", "tp": "m", "ssrd": "J m**-2", "strd": "J m**-2", "sp": "Pa", "u10": "m s**-1"}


@pytest.fixture(scope="module")
def earth() -> SyntheticEarth:
    return SyntheticEarth(SyntheticEarthBlock(resolution=0.25, margin=2))


@pytest.fixture(scope="module")
def source(earth: SyntheticEarth) -> SyntheticSource:
    return SyntheticSource.of(earth, BOX)


@pytest.fixture(scope="module")
def month(earth: SyntheticEarth, source: SyntheticSource) -> xr.Dataset:
    return month_dataset(earth, source, pd.Timestamp("2000-02-01"), 29 * 24)


@pytest.fixture(scope="module")
def layers(earth: SyntheticEarth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("static")
    assert {path.name for path in write_static(earth, BOX, folder)} == {
        Path(name).name for name in static_inputs(static_for_synthetic_earth(str(folder)))
    }
    return folder


def test_months_have_the_providers_layout(month: xr.Dataset) -> None:
    assert month["t2m"].dims == ("valid_time", "latitude", "longitude")
    assert (np.diff(month["latitude"]) < 0).all() and (np.diff(month["longitude"]) > 0).all()
    assert {name: month[name].attrs["units"] for name in UNITS} == UNITS
    times = pd.DatetimeIndex(month["valid_time"].to_numpy())
    assert times[0] == pd.Timestamp("2000-02-01 00:00") and times[-1] == pd.Timestamp("2000-02-29 23:00")
    # two cells of 0.25 degrees beyond every edge of the domain
    assert month["latitude"].to_numpy()[[0, -1]].tolist() == [38.5, 36.5]
    assert month["longitude"].to_numpy()[[0, -1]].tolist() == [-123.5, -121.5]


def test_accumulations_redifferenced_are_the_hourly_amounts(
    earth: SyntheticEarth, source: SyntheticSource, month: xr.Dataset
) -> None:
    """Value at 01 UTC is the first hour; at 00 UTC the total of the day before, also across the month's edge."""
    days = pd.date_range("2000-01-31", "2000-02-29")
    hours = hourly_weather(earth.seed, earth.climate(*source.grid.points(), source.altitude), days)
    on_land = (source.land > 0.005).reshape(source.grid.shape)
    for name, factor, tolerance in (("tp", 1e-3, 3e-9), ("ssrd", 3600.0, 3.0), ("strd", 3600.0, 4.0)):
        totals = month[name].to_numpy().astype(float)[:, on_land]
        hourly = hours[name].reshape(-1, *source.grid.shape)[:, on_land].astype(float) * factor
        np.testing.assert_allclose(totals[0], hourly[:24].sum(axis=0), rtol=1e-6, atol=2e-9)
        of_day = np.diff(np.concatenate([np.zeros_like(totals[:1]), totals[1:24]]), axis=0)  # 01..23 UTC of 1 February
        np.testing.assert_allclose(of_day, hourly[24:47], atol=tolerance)
        np.testing.assert_allclose(totals[24], hourly[24:48].sum(axis=0), rtol=1e-6, atol=2e-9)


def test_rain_totals_carry_tiny_negatives_and_nothing_worse(month: xr.Dataset) -> None:
    rain = month["tp"].to_numpy()
    negative = rain[rain < 0]
    assert negative.size > 100 and negative.min() >= -1.001e-9
    assert np.nanmax(rain) > 0.001


def test_weather_is_missing_exactly_where_a_cell_holds_no_land(source: SyntheticSource, month: xr.Dataset) -> None:
    lat, lon = source.grid.points()
    far = np.array([land.inland([a], [o], 0.75)[0] for a, o in zip(lat, lon, strict=True)]).reshape(source.grid.shape)
    missing = np.isnan(month["t2m"].to_numpy()).all(axis=0)
    assert missing.any() and not missing[far > 0.3].any()
    np.testing.assert_array_equal(np.isnan(month["t2m"].to_numpy()).any(axis=0), missing)
    filled = SyntheticEarth(SyntheticEarthBlock(sea_missing=False))
    assert month_dataset(filled, source, pd.Timestamp("2000-02-01"), 2)["t2m"].notnull().all()


def test_closing_month_and_orography(earth: SyntheticEarth, source: SyntheticSource, tmp_path: Path) -> None:
    with netCDF4.Dataset(write_closing(earth, BOX, 2001, tmp_path)) as raw:
        assert raw["tp"].dtype == np.float32 and raw["valid_time"].units == "seconds since 1970-01-01"
        assert len(raw.dimensions["valid_time"]) == 1
        assert int(raw["valid_time"][0]) == pd.Timestamp("2001-01-01").timestamp()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2001_01.nc"]
    with netCDF4.Dataset(write_orography(earth, BOX, tmp_path)) as raw:
        assert raw["z"].units == "m**2 s**-2"
        np.testing.assert_allclose(np.asarray(raw["z"][:]).ravel() / 9.80665, source.altitude, atol=0.01)


def test_a_smaller_domain_has_the_same_weather(
    earth: SyntheticEarth, source: SyntheticSource, month: xr.Dataset
) -> None:
    small = SyntheticSource.of(earth, (-122.25, 37.5, -122.0, 37.75))
    part = month_dataset(earth, small, pd.Timestamp("2000-02-01"), 24)
    whole = month.isel(valid_time=slice(24)).sel(latitude=part.latitude, longitude=part.longitude)
    for name in ("t2m", "ssrd", "tp"):
        np.testing.assert_allclose(part[name], whole[name], rtol=1e-4, atol=1e-4 * float(whole[name].max()))


def test_source_grid_lies_on_multiples_of_its_resolution() -> None:
    grid = WeatherGrid.around((-10.03, 5.0, -9.5, 5.2), 0.1, 1)
    np.testing.assert_allclose(grid.lat, [5.3, 5.2, 5.1, 5.0, 4.9])
    np.testing.assert_allclose(grid.lon[[0, -1]], [-10.1, -9.4])
    assert WeatherGrid.around((0, 88.0, 1, 90), 0.5, 3).lat.max() == 90


def test_soils_are_scaled_as_soilgrids(earth: SyntheticEarth, layers: Path) -> None:
    with rasterio.open(layers / "sand.tif") as sand, rasterio.open(layers / "clay.tif") as clay:
        assert sand.crs.to_epsg() == 4326 and sand.nodata == -32768 and sand.dtypes[0] == "int16"
        assert sand.res[0] <= 1 / 24 and sand.bounds.left <= -123.5 and sand.bounds.top >= 38.5
        together = sand.read(1, masked=True) + clay.read(1, masked=True)
        assert together.max() <= 1000 and together.mask.any()
        point = next(sand.sample([(-122.013, 37.513)]))[0]
        lon, lat = sand.xy(*sand.index(-122.013, 37.513))
    assert point == pytest.approx(10 * earth.soils([lat], [lon])["sand"][0], abs=25)  # altitude is the cell's mean
    for name, low, high in (("phh2o", 38, 92), ("bdod", 30, 190), ("soc", 10, 4000)):
        with rasterio.open(layers / f"{name}.tif") as raster:
            values = raster.read(1, masked=True)
            assert low <= values.min() <= values.max() <= high, name


def test_cover_and_terrain_agree_with_the_points(earth: SyntheticEarth, layers: Path) -> None:
    with rasterio.open(layers / "landcover.tif") as cover, rasterio.open(layers / "elevation.tif") as terrain:
        assert cover.shape == terrain.shape and cover.dtypes[0] == "uint8" and terrain.dtypes[0] == "int16"
        classes, height = cover.read(1), terrain.read(1)
        rows, columns = np.meshgrid(np.arange(5, 200, 13), np.arange(5, 200, 13), indexing="ij")
        lon, lat = (np.array(v) for v in cover.xy(rows.ravel(), columns.ravel()))
    assert set(np.unique(classes)) <= set(surface.LEGEND)
    on_land = land.is_land(lat, lon)
    assert (classes[rows.ravel(), columns.ravel()][~on_land] == 210).all()
    np.testing.assert_allclose(height[rows.ravel(), columns.ravel()], earth.elevation(lat, lon), atol=0.51)


def test_leaf_area_has_a_band_per_month(layers: Path) -> None:
    with rasterio.open(layers / "lai.tif") as lai:
        assert lai.count == 12 and lai.descriptions[0] == "January" and lai.descriptions[-1] == "December"
        values = lai.read(masked=True)
    assert values.min() >= 0 and values.max() < 800 and (values[6].mean() > values[0].mean())


def test_commands_write_the_files(tmp_path: Path) -> None:
    box = ["--bbox", "-122.5", "37.5", "-122.25", "37.75", "--settings", '{"resolution": 0.5, "margin": 1}']
    runner = CliRunner()
    made = runner.invoke(app, ["weather", *box, "--year", "2001", "--output-dir", str(tmp_path)])
    assert made.exit_code == 0, made.output
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"2001_{m:02d}.nc" for m in range(1, 13)]
    with pytest.raises(ConfigError, match="did you mean 'seed'"):
        runner.invoke(
            app,
            ["orography", *box[:5], "--settings", '{"sed": 1}', "--output-dir", str(tmp_path)],
            catch_exceptions=False,
        )

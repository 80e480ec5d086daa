"""The catalogue as odc-stac and stackstac load it: they find the maps alone, with the values and places of the maps."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pystac
import pytest
import rasterio

from fluxatlas.config.products import ProductsBlock
from fluxatlas.products.cog import write_maps
from fluxatlas.products.daily import write_daily
from fluxatlas.products.stac import write_catalog
from stage_files import make_world

YEARS = (2001, 2002)


@pytest.fixture(scope="module", params=["float32", "int16"])
def made(tmp_path_factory, request):
    """The world, the catalogue of two years, and the values of its maps in physical units by name."""
    world = make_world(tmp_path_factory.mktemp("stac"), years=YEARS)
    block = ProductsBlock(monthly=False, map_type=request.param)
    daily, maps = [], []
    for variable in ("fch4", "tsl05"):
        for year in YEARS:
            path = world.root / "daily" / f"{variable}_{year}.nc"
            write_daily(path, variable, year, world.flux_of(year), world.attributes, block, system="soil_methane_sink")
            maps += write_maps(path, variable, year, world.root / "cog", block)
            daily.append(path)
    output = world.root / "stac" / "catalog.json"
    write_catalog(output, daily, maps, block, system="soil_methane_sink", run="readers")
    values = {}
    for path in maps:
        with rasterio.open(path) as data:
            values[path.stem] = data.read(1, masked=True) * data.scales[0] + data.offsets[0]
    return world, output, values


def _items(output):
    items = list(pystac.Catalog.from_file(str(output)).get_items(recursive=True))
    return sorted(items, key=lambda item: item.id)


def _physical(item, name, raw):
    """Stored numbers by the scale and offset that the catalogue states for them."""
    band = item.assets[name].to_dict()["raster:bands"][0]
    return raw * band.get("scale", 1.0) + band.get("offset", 0.0)


TO_DATETIME = pd.to_datetime


def _without_an_option_that_pandas_has_lost(values, infer_datetime_format=None, **options):
    """What stackstac 0.5.0, the newest release, needs on pandas 3."""
    return TO_DATETIME(values, **options)


def _same(found, expected) -> None:
    np.testing.assert_allclose(np.asarray(found, float), expected.filled(np.nan), rtol=1e-6, atol=1e-6)


def test_odc_stac_loads_every_map_where_it_lies(made) -> None:
    odc_stac = pytest.importorskip("odc.stac", reason="odc-stac is not installed (extra 'dev')")
    world, output, values = made
    for item, year in zip(_items(output), YEARS, strict=True):
        data = odc_stac.load([item])
        assert set(data.data_vars) == {f"fch4_{year}", f"tsl05_{year}"} and data.odc.crs.epsg == 4326
        np.testing.assert_allclose(data.latitude, world.lat, atol=1e-9)
        np.testing.assert_allclose(data.longitude, world.lon, atol=1e-9)
        assert [str(day)[:4] for day in data.time.to_numpy()] == [str(year)]
        for name in data.data_vars:
            raw = data[name].isel(time=0).astype(float)
            _same(_physical(item, name, raw.where(raw != data[name].attrs["nodata"])), values[name])


@pytest.mark.parametrize("as_read", ["objects", "documents"])
def test_stackstac_stacks_the_years(made, as_read, monkeypatch) -> None:
    stackstac = pytest.importorskip("stackstac", reason="stackstac is not installed (extra 'dev')")
    monkeypatch.setattr(pd, "to_datetime", _without_an_option_that_pandas_has_lost)
    world, output, values = made
    items = [item.make_asset_hrefs_absolute() for item in _items(output)]
    # stackstac 0.5.0 fails on numpy 2 with its own default of both, whatever the catalogue
    options = {"rescale": False, "fill_value": np.float64("nan")}
    if as_read == "objects":  # reading by pystac turns proj:epsg into proj:code, which stackstac does not know
        stack = stackstac.stack(items, epsg=4326, **options)
    else:
        found = []
        for item in items:
            document = json.loads(Path(item.get_self_href()).read_text())
            for name, asset in document["assets"].items():
                asset["href"] = item.assets[name].href
            found.append(document)
        stack = stackstac.stack(found, **options)
    assert set(stack.band.to_numpy()) == set(values) and stack.sizes["time"] == len(YEARS)
    np.testing.assert_allclose(stack.y - 0.25, world.lat, atol=1e-9)  # stackstac states the corner of each cell
    np.testing.assert_allclose(stack.x + 0.25, world.lon, atol=1e-9)
    for number, year in enumerate(YEARS):
        for variable in ("fch4", "tsl05"):
            name = f"{variable}_{year}"
            raw = stack.sel(band=name).isel(time=number).to_numpy()
            _same(_physical(items[number], name, raw), values[name])

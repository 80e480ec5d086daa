"""``fluxatlas explore``: the store against the product, the server, and the page in a headless browser."""

import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from pyproj import Geod

import chromium
import infer_world
from fluxatlas import open_run
from fluxatlas.drivers import slow_drivers
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.explore import pyramid, site, store
from fluxatlas.explore.drivers import find_drivers
from fluxatlas.explore.run import explore
from fluxatlas.explore.serve import server
from fluxatlas.explore.source import Lattice, StoreLayer, land
from fluxatlas.files import read_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.hashes import seal
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.products.budget import write_budget
from fluxatlas.products.cog import write_maps
from fluxatlas.products.daily import write_daily
from fluxatlas.systems import get_system
from fluxatlas.tiles.piece import make_regridder, read_piece
from stage_files import make_world

YEAR = 2001
SYSTEM = "soil_methane_sink"


def keep_members(path):
    """Days of three members of ``fch4`` in a file of a tile, one below the mean, one at it and one above."""
    with netCDF4.Dataset(path, "a") as data:
        data.set_auto_maskandscale(False)
        mean, sd = data["fch4"], data["fch4_sd"]
        dims = ("member", *mean.dimensions)
        kept = data.createVariable("fch4_member_day", "i2", dims, fill_value=mean._FillValue, compression="zlib")
        kept.set_auto_maskandscale(False)
        kept.setncatts({key: getattr(mean, key) for key in ("scale_factor", "add_offset")})
        step = np.rint((sd[:] * float(sd.scale_factor) + sd.add_offset) / mean.scale_factor).astype(int)
        for member, way in enumerate((-1, 0, 1)):
            kept[member] = np.where(mean[:] == mean._FillValue, mean._FillValue, mean[:] + way * step)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 40 x 40 cells with its product, budget and two sites, one of which was not trained on."""
    folder = tmp_path_factory.mktemp("explore") / "toy"
    world = make_world(folder, years=(YEAR,))
    for name in ("fch4", "tsl05"):
        path = folder / "products" / "daily" / f"{name}_{YEAR}.nc"
        write_daily(path, name, YEAR, world.flux, world.attributes, system=SYSTEM)
        write_maps(path, name, YEAR, folder / "products" / "cog")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infer_world, "SOURCE_STEP", 2.0)  # weather is coarser than the cells, as in a real run
        for tile in world.tiles:
            path = folder / "ingest" / "forcing" / tile.name / f"{YEAR}.nc"
            path.parent.mkdir(parents=True)
            infer_world.write_piece(path, tile, YEAR)
    for path in world.flux:
        keep_members(path)
    write_budget(folder / "products" / "budget.csv", world.flux, world.attributes, system=get_system(SYSTEM))
    (folder / "ingest" / "sites").mkdir(parents=True)
    rows = ["site,lat,lon,kind,use", "A-near,40.1,-120.2,tower,train", "B-far,45,-115,chamber,train"]
    (folder / "ingest" / "sites" / "sites.csv").write_text("\n".join([*rows, "C-not,40.1,-120.1,,evaluate", ""]))
    return folder


@pytest.fixture(scope="module")
def page(run):
    """The folder of the page, with files of 32 cells, so that there are several and two levels, and coarse coasts."""
    coasts = store.coasts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "coasts", lambda lattice: [(name, box, 2) for name, box, _ in coasts(lattice)])
        patch.setattr(pyramid, "SIDE", 32)
        patch.setattr(store, "CHUNKS", {step: (chunk[0], 16, 16) for step, chunk in store.CHUNKS.items()})
        folder, made = site.make(run)
    assert made
    return folder


@pytest.fixture(scope="module")
def address(page):
    served = server(page, 0)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served.address
    served.shutdown()
    served.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory, address):
    if not chromium.executable():
        pytest.skip("no Chromium on this machine: run tests/install_tools.sh as root")
    with ExitStack() as stack:
        opened = chromium.Browser(tmp_path_factory.mktemp("browser"))
        stack.callback(opened.close)
        opened.open(address)
        yield opened


def raw(run, variable, name):
    with netCDF4.Dataset(run / "products" / "daily" / f"{variable}_{YEAR}.nc") as data:
        data.set_auto_maskandscale(False)
        return np.asarray(data[name][:])


# --- the store -------------------------------------------------------------------------------------------------------


def test_the_finest_level_is_the_product_to_the_last_bit_and_opens_in_xarray(run, page) -> None:
    opened = xr.open_zarr(page / "store.zarr", group="day/0", consolidated=False)
    truth = open_run(run).daily("fch4")
    for name in ("fch4", "fch4_sd"):
        np.testing.assert_array_equal(opened[name], truth[name])
        assert opened[name].attrs["units"] == truth[name].attrs["units"]
    for axis in ("time", "lat", "lon"):
        np.testing.assert_allclose(opened[axis].astype(float), truth[axis].astype(float), rtol=1e-12)
    packed = xr.open_zarr(page / "store.zarr", group="day/0", consolidated=False, mask_and_scale=False)
    np.testing.assert_array_equal(packed["fch4"], raw(run, "fch4", "fch4"))
    year = xr.open_zarr(page / "store.zarr", group="year/0", consolidated=False)
    np.testing.assert_array_equal(year["fch4"][0], open_run(run).maps("fch4")[0])
    month = xr.open_zarr(page / "store.zarr", group="month/0", consolidated=False)
    np.testing.assert_array_equal(month["tsl05"], open_run(run).maps("tsl05", "month"))
    fixed = xr.open_zarr(page / "store.zarr", group="fixed/0", consolidated=False, mask_and_scale=False)
    np.testing.assert_array_equal(fixed["applicable"], raw(run, "fch4", "applicable"))


def coarse(values, lat, factor):
    """Means by area of blocks of cells, without missing ones, by a plain loop."""
    rows, columns = (-(-n // factor) for n in values.shape[1:])
    found = np.full((len(values), rows, columns), np.nan)
    for r, c in product(range(rows), range(columns)):
        part = values[:, r * factor : (r + 1) * factor, c * factor : (c + 1) * factor]
        area = np.cos(np.deg2rad(lat[r * factor : (r + 1) * factor]))[None, :, None] * np.isfinite(part)
        total = area.sum(axis=(1, 2))
        sums = np.nansum(part * area, axis=(1, 2))
        found[:, r, c] = np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan)
    return found


def test_coarser_levels_are_means_by_area_of_the_finest_cells(monkeypatch) -> None:
    monkeypatch.setattr(pyramid, "SIDE", 8)
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 29, 19)).astype(np.float32)
    values[:, :9, :9] = np.nan
    values[rng.random(values.shape) < 0.3] = np.nan
    lattice = Lattice(80.0, 0.0, 2.0, (29, 19))
    layer = StoreLayer("x", "float32", float("nan"), {}, lambda t, r, c: values[t, r, c])
    sizes = pyramid.shapes(lattice.shape)
    assert sizes == [(29, 19), (15, 10), (8, 5)]
    arrays = [np.full((3, *size), np.nan, np.float32) for size in sizes]
    for start in range(3):
        pyramid.write(layer, lattice, arrays, slice(start, start + 1))
    for level, array in enumerate(arrays):
        np.testing.assert_allclose(array, coarse(values, lattice.centres()[0], 2**level), rtol=2e-5, atol=1e-6)


def test_a_large_cell_has_the_class_that_most_of_it_has(monkeypatch) -> None:
    monkeypatch.setattr(pyramid, "SIDE", 2)
    codes = np.array([[0, 0, -1, -128], [0, 1, 2, -128], [-128, -128, 1, 1], [-128, -128, 1, 2]], np.int8)
    layer = StoreLayer("x", "int8", -128, {}, lambda _, r, c: codes[None, r, c], classes=(-1, 0, 1, 2))
    arrays = [np.full((4, 4), -128, np.int8), np.full((2, 2), -128, np.int8)]
    pyramid.write(layer, Lattice(1.0, 0.0, 0.5, (4, 4)), arrays, slice(0, 1))
    assert arrays[1].tolist() == [[0, 2], [-128, 1]]  # the more southern of two cells is the larger one


def test_levels_say_where_they_are_by_the_conventions(page) -> None:
    about = json.loads((page / "store.zarr" / "day" / "zarr.json").read_text())["attributes"]
    assert [one["name"] for one in about["zarr_conventions"]] == ["multiscales", "proj:", "spatial:"]
    assert about["proj:code"] == "EPSG:4326" and about["spatial:bbox"] == [-130, 30, -110, 50]
    layout = about["multiscales"]["layout"]
    assert [one["spatial:shape"] for one in layout] == [[40, 40], [20, 20]]
    assert layout[1]["derived_from"] == "0" and layout[1]["transform"]["scale"] == [2, 2]
    for one in layout:
        level = xr.open_zarr(page / "store.zarr", group=f"day/{one['asset']}", consolidated=False)
        size, _, west, _, down, north = one["spatial:transform"]
        np.testing.assert_allclose(level["lon"], west + size * (np.arange(level.sizes["lon"]) + 0.5))
        np.testing.assert_allclose(level["lat"], north + down * (np.arange(level.sizes["lat"]) + 0.5))


def test_the_land_mask_is_that_of_the_package() -> None:
    from fluxatlas.land_mask import is_land

    lattice, layer = land((-10, 35, 0, 45), 24)
    share = layer.read(slice(0, 1), slice(0, 240), slice(0, 240))[0]
    lat, lon = lattice.centres()
    inner = is_land(lat[:, None], lon)
    assert (share[inner] >= 4).all() and share[~inner].max() <= 96
    assert abs(share.mean() / 100 - inner.mean()) < 0.005


def driven(run, lat, lon):
    """The drivers of the cell that holds a place, as the stage ``infer`` makes them for its networks."""
    described = get_system(SYSTEM)
    tile = next(tile for tile in get_grid("0.5deg").tiles(10, (lon, lat, lon + 0.01, lat + 0.01)))
    piece = read_piece(run / "ingest" / "forcing" / tile.name / f"{YEAR}.nc", described.forcing)
    layers = read_netcdf(run / "regrid" / "attributes" / f"{tile.name}.nc")
    row, column = np.abs(tile.lat - lat).argmin(), np.abs(tile.lon - lon).argmin()
    regridder = make_regridder(piece, tile, layers["orog"].to_numpy().astype(float), "bilinear")
    index = np.array([row * tile.shape[1] + column])
    monthly = {"lai": layers["lai"].to_numpy()[:, row, column][:, None]}
    slow = slow_drivers(described.slow, piece.dates, tile.lat[[row]], monthly, series_of(described.slow))
    return {name: values[:, 0] for name, values in {**regridder.downscale(piece.data, index), **slow}.items()}


def test_the_weather_of_the_store_is_the_forcing_put_together(run, page) -> None:
    opened = xr.open_zarr(page / "store.zarr", group="driver/0", consolidated=False)
    pieces = sorted((run / "ingest" / "forcing").glob("*/*.nc"))
    assert opened["tas"].dims == ("time", "lat", "lon") and len(pieces) == 4
    for path in pieces:
        with xr.open_dataset(path) as piece:
            for name in ("tas", "pr"):
                there = opened[name].sel(lat=piece["lat"], lon=piece["lon"])
                np.testing.assert_array_equal(there, piece[name])
                assert opened[name].attrs["units"] == piece[name].attrs["units"]
    lift = xr.open_zarr(page / "store.zarr", group="driver/cells", consolidated=False)["lift"]
    assert np.nanmax(np.abs(lift)) > 300  # the page has to bring the weather to the altitude of cells


def of_tiles(run, name):
    """A variable of the files of all tiles, put together by its coordinates, north first."""
    opened = [xr.open_dataset(path) for path in sorted((run / "infer").glob(f"*/{YEAR}.nc"))]
    return xr.combine_by_coords([one[[name]] for one in opened], combine_attrs="drop_conflicts")[name].sortby(
        "lat", ascending=False
    )


def test_the_store_holds_each_member_of_the_tiles(run, page) -> None:
    days, years = of_tiles(run, "fch4_member_day"), of_tiles(run, "fch4_member")
    opened = {
        step: xr.open_zarr(page / "store.zarr", group=f"{step}/0", consolidated=False)
        for step in ("day", "month", "year")
    }
    for member in range(3):
        name = f"fch4_m{member}"
        np.testing.assert_allclose(opened["day"][name], days[member], rtol=1e-6)
        month = days[member].resample(time="MS").mean()
        np.testing.assert_allclose(opened["month"][name], month, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(opened["year"][name][0], years[member])
    assert "tsl05_m0" not in opened["year"] and opened["year"]["fch4_m1"].attrs["units"] == "mg m-2 d-1"


def test_drivers_that_a_run_no_longer_has_are_left_out_with_the_reason(run, page, tmp_path) -> None:
    (tmp_path / "run").mkdir()
    for part in ("products", "infer", "regrid"):
        (tmp_path / "run" / part).symlink_to(run / part)
    lattice = Lattice(50.0, -130.0, 0.5, (40, 40))
    found, why = find_drivers(open_run(tmp_path / "run"), lattice)
    assert found is None and why == "the run no longer has ingest/forcing/N30W120/2001.nc"
    (tmp_path / "run" / "infer").unlink()
    assert find_drivers(open_run(tmp_path / "run"), lattice)[1] == "the run no longer has the files of its tiles"
    with pytest.MonkeyPatch.context() as patch:  # a page without them is another store
        patch.setattr(site, "fingerprint", lambda _, members, drivers: pytest.fail("asked") if drivers else "none")
        patch.setattr(site, "build", lambda *given: (_ for _ in ()).throw(OSError(str(given[3]))))
        note = (page / site.MADE_OF).read_text()
        with pytest.raises(OSError, match="None"):
            site.make(run, drivers=False)
        (page / site.MADE_OF).write_text(note)


# --- the page --------------------------------------------------------------------------------------------------------


def test_a_click_gives_the_series_of_the_product_with_its_band_and_the_nearest_sites(browser, address, run) -> None:
    browser.open(address + "#v=fch4&p=day&t=2001-07-10&m=40.35,-120.4,5")
    assert browser.evaluate("document.getElementById('problem').textContent") == ""
    box = browser.evaluate(
        "(r => [r.x, r.y, r.width, r.height])(document.getElementById('map').getBoundingClientRect())"
    )
    browser.click(box[0] + box[2] / 2, box[1] + box[3] / 2)
    browser.wait("window.fluxatlas.panel.series")
    lines = [line for line in browser.evaluate("window.fluxatlas.panel.csv()").splitlines() if line[0] != "#"]
    table = np.array([[float(x) for x in line.split(",")[1:]] for line in lines[1:]])
    truth = open_run(run).at(40.35, -120.4, "fch4")
    names = lines[0].split(",")
    assert names[:5] == ["time", "fch4", "sd", "low", "high"]
    assert lines[1].startswith("2001-01-01,") and len(table) == 365
    assert names[5:8] == ["fch4_m0", "fch4_m1", "fch4_m2"]
    here = {"lat": 40.25, "lon": -120.25}
    np.testing.assert_allclose(table[:, 4:7].T, of_tiles(run, "fch4_member_day").sel(here), rtol=1e-6)
    of_year = of_tiles(run, "fch4_member").sel(here).to_numpy()
    said = browser.evaluate("document.getElementById('members').textContent").replace("\N{MINUS SIGN}", "-")
    assert said.startswith("Members, mean of 2001: 0: ") and said.endswith(" mg m⁻² d⁻¹")
    np.testing.assert_allclose([float(x) for x in re.findall(r"\d: ([-.\d]+)", said[23:])], of_year, rtol=0.02)
    known = driven(run, 40.25, -120.25)
    assert set(names[8:]) == set(known) and {"tas", "pr", "huss", "ps", "rlds", "lai", "ch4"} <= set(known)
    for name in known:
        np.testing.assert_allclose(table[:, names.index(name) - 1], known[name], rtol=2e-5, atol=1e-8, err_msg=name)
    browser.evaluate("window.fluxatlas.panel.loaded")
    shown = browser.evaluate("document.getElementById('driver-reading').textContent")
    assert shown == f"2001-07-10: {known['tas'][190]:.1f} K"
    for column, name in enumerate(("fch4", "fch4_sd", "low", "high")):
        np.testing.assert_allclose(table[:, column], truth[name], rtol=1e-7, atol=1e-7)
    around = browser.evaluate("document.getElementById('around').textContent")
    here = browser.evaluate("[window.fluxatlas.state.at.lat, window.fluxatlas.state.at.lon]")
    known = [("A-near", 40.1, -120.2), ("B-far", 45.0, -115.0)]
    far = {name: Geod(ellps="WGS84").inv(*here[::-1], lon, lat)[2] / 1000 for name, lat, lon in known}
    told = dict(re.findall(r"(\S+) ([\d.]+) km", around))
    assert list(told) == list(far) and all(float(told[name]) == pytest.approx(far[name], rel=0.02) for name in far)
    reading = browser.evaluate("document.getElementById('reading').textContent").replace("\N{MINUS SIGN}", "-")
    assert float(reading.split()[1]) == pytest.approx(float(truth["fch4"].sel(time="2001-07-10")), abs=0.02)
    assert not [one for one in browser.messages if "favicon" not in one]


def test_a_typed_place_outside_is_said_to_be_outside_and_nonsense_is_refused(browser, address) -> None:
    browser.go("#v=fch4&p=year")
    place = (
        "(text => { const b = document.getElementById('place'); b.value = text; b.dispatchEvent(new Event('change')) })"
    )
    browser.evaluate(f"{place}('10 N, 20 E')")
    assert "outside the domain" in browser.evaluate("document.getElementById('reading').textContent")
    without = "Object.assign(fluxatlas.manifest, {drivers: [], no_drivers: 'gone'}), fluxatlas.set({driver: null})"
    browser.evaluate(f"fluxatlas.kept = [...fluxatlas.manifest.drivers], {without}")
    browser.evaluate("fluxatlas.panel.open({lat: 40.1, lon: -120.2}), fluxatlas.panel.loaded")
    assert browser.evaluate("document.getElementById('driver-reading').textContent") == "No drivers here: gone."
    browser.evaluate("fluxatlas.manifest.drivers = fluxatlas.kept, fluxatlas.set({driver: fluxatlas.kept[3]})")
    assert "&w=pr" in browser.evaluate("location.hash")
    browser.evaluate(f"{place}('here')")
    assert "'here' is not a place" in browser.evaluate("document.getElementById('problem').textContent")


FIRST = """(async () => {
  const { drawFirst } = await import('./first.js');
  const { map: { map: shown, place }, painter, state, manifest } = window.fluxatlas;
  const canvas = document.createElement('canvas');
  const { clientWidth, clientHeight } = shown.getCanvas();
  canvas.style.cssText = `position: fixed; left: -9999px; width: ${clientWidth}px; height: ${clientHeight}px`;
  document.body.append(canvas);
  const drawn = await drawFirst(canvas, painter, place, state.opacity, manifest.sites);
  const other = new OffscreenCanvas(canvas.width, canvas.height);
  other.getContext('2d').drawImage(shown.getCanvas(), 0, 0);
  const read = (one) => one.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const [a, b] = [read(canvas), read(other)];
  let same = 0;
  for (let i = 0; i < a.length; i += 4) same += [0, 1, 2].every((n) => Math.abs(a[i + n] - b[i + n]) <= 3);
  canvas.remove();
  painter.kept.clear();
  return [drawn, same / (a.length / 4), new Set(new Uint32Array(a.buffer)).size];
})()"""


def test_the_first_picture_is_that_of_the_map_which_takes_its_place(browser, address) -> None:
    browser.open(address + "#v=fch4&p=month&t=2001-03&m=40.1,-120.3,5.4&o=0.7")
    assert browser.evaluate("window.fluxatlas.pictured < window.fluxatlas.started")
    assert browser.evaluate("[document.getElementById('first'), document.getElementById('controls').inert]") == [
        None,
        False,
    ]
    drawn, same, colours = browser.evaluate(FIRST)
    assert drawn and same > 0.97 and colours > 20  # what differs are edges of cells and of circles, by a pixel


VIEW = (
    "#v=tsl05&s=mean&p=month&t=2001-03&d=2001-08&lo=-20&hi=5&c=BrBG&o=0.5"
    "&m=41.5000,-119.5000,5.50&at=41.1000,-118.3000&k=biome"
)
PICTURES = (
    "[fluxatlas.map.map.getCanvas(), ...document.querySelectorAll('#chart, #legend')].map(c => c.toDataURL()).join()"
)


def test_the_address_holds_the_view_and_a_link_shows_the_same(browser, address) -> None:
    browser.go(VIEW)
    browser.evaluate("window.fluxatlas.panel.loaded")
    assert browser.evaluate("location.hash").startswith(VIEW)
    first = browser.evaluate(PICTURES)
    browser.open(address + browser.evaluate("location.hash"))
    assert browser.evaluate("window.fluxatlas.drawn") is None
    browser.wait("window.fluxatlas.panel.series")
    browser.evaluate("window.fluxatlas.panel.loaded")
    assert browser.evaluate(PICTURES) == first
    browser.evaluate("document.getElementById('show-sites').click()")
    assert "k=sites,biome" in browser.evaluate("location.hash")


def test_the_map_shows_the_product_in_the_colours_of_its_legend(browser, address, run) -> None:
    """The colour below a cell is that of its value; of a difference, that of the difference."""
    truth = open_run(run).maps("tsl05", "month")
    for minus, (low, high), ramp in (("", (250, 310), "viridis"), ("2001-08", (-30, 30), "RdBu_r")):
        shown = f"#v=tsl05&p=month&t=2001-03&d={minus}&lo={low}&hi={high}&c={ramp}&o=1"
        browser.go(f"{shown}&m=40.25,-120.25,8&k=none")
        value = float(truth[2].sel(y=40.25, x=-120.25)) - (float(truth[7].sel(y=40.25, x=-120.25)) if minus else 0)
        colors = browser.evaluate(f"window.fluxatlas.manifest.ramps['{ramp}']")
        wanted = colors[int((value - low) / (high - low) * len(colors))]
        pixel = browser.evaluate(PIXEL)
        assert "#" + "".join(f"{part:02x}" for part in pixel[:3]) == wanted


def test_a_member_is_shown_on_the_map_and_beside_the_series(browser, run) -> None:
    browser.go("#v=fch4&s=m2&p=year&t=2001&lo=-4&hi=0&c=viridis&o=1&m=40.25,-120.25,8&k=none&at=40.25,-120.25")
    value = float(of_tiles(run, "fch4_member").sel(lat=40.25, lon=-120.25)[2])
    colors = browser.evaluate("window.fluxatlas.manifest.ramps.viridis")
    browser.evaluate("window.fluxatlas.panel.close(), window.fluxatlas.drawn")
    browser.wait(
        f"'#' + {PIXEL}.slice(0, 3).map((n) => n.toString(16).padStart(2, '0')).join('') === "
        f"'{colors[int((value + 4) / 4 * len(colors))]}'"
    )
    assert browser.evaluate("document.getElementById('legend-title').textContent").find("member 2, 2001") > 0
    browser.go("#v=fch4&s=m2&p=day&t=2001-07-10&m=40.25,-120.25,8&at=40.25,-120.25")
    browser.evaluate("window.fluxatlas.panel.loaded")
    day = of_tiles(run, "fch4_member_day").sel(lat=40.25, lon=-120.25)[2, 190]
    reading = browser.evaluate("document.getElementById('reading').textContent").replace("\N{MINUS SIGN}", "-")
    assert float(reading.split("member 2: ")[1]) == pytest.approx(float(day), abs=0.02)
    browser.evaluate("window.fluxatlas.set({step: 'day', statistic: 'm7'})")
    assert browser.evaluate("window.fluxatlas.state.statistic") == "mean"


INKED = """(cells) => {
  const { map } = fluxatlas.map;
  const canvas = new OffscreenCanvas(map.getCanvas().width, map.getCanvas().height);
  const context = canvas.getContext('2d');
  context.drawImage(map.getCanvas(), 0, 0);
  return cells.map((place) => {
    const { x, y } = map.project(place);
    const { data } = context.getImageData(x - 17, y - 17, 34, 34);
    return data.some((red, n) => n % 4 === 0 && red === 0x22 && data[n + 1] === 0x22 && data[n + 2] === 0x22);
  });
}"""


def inked(browser, cells):
    """Whether there is ink of an overlay on the map around the middle of each cell (lon, lat)."""
    return browser.evaluate(f"({INKED})({json.dumps(cells)})")


def test_overlays_mark_the_cells_that_the_product_is_not_sure_of(browser, run) -> None:
    data = open_run(run).daily("fch4").load()
    flag, day = data["applicable"], data.sel(time="2001-07-10")
    row, column = np.argwhere(flag.to_numpy() == 1)[0]
    lat, lon = float(flag["lat"][row]), float(flag["lon"][column])
    around = flag.sel(lat=slice(lat + 0.6, lat - 0.6), lon=slice(lon - 2.1, lon + 2.1)).stack(cell=("lat", "lon"))
    around = around[np.isfinite(around)]
    cells = [[float(x), float(y)] for y, x in around["cell"].to_numpy()]
    view = f"#v=fch4&p=day&t=2001-07-10&o=1&k=none&m={lat},{lon},6"
    browser.go(view)
    assert not any(inked(browser, cells))
    browser.go(view + "&ov=applicable")
    assert inked(browser, cells) == (around == 1).to_numpy().tolist() and 0 < (around == 1).sum() < len(around)
    assert "far from observations" in browser.evaluate("document.getElementById('legend-title').textContent")
    ratio = [float(abs(day["fch4"] / day["fch4_sd"]).sel(lat=y, lon=x)) for x, y in cells]
    band = browser.evaluate(f"[fluxatlas.manifest.band, fluxatlas.manifest.band = {np.mean(ratio)}]")[0]
    browser.go(view + "&ov=sd")
    browser.evaluate(f"fluxatlas.manifest.band = {band}")
    assert inked(browser, cells) == [one < np.mean(ratio) for one in ratio]
    assert "&ov=sd" in browser.evaluate("location.hash")
    browser.evaluate("fluxatlas.set({step: 'year'})")
    assert "ov=" not in browser.evaluate("location.hash")  # years have no spread


PIXEL = """(() => {
  const map = window.fluxatlas.map.map.getCanvas();
  const canvas = new OffscreenCanvas(map.width, map.height);
  const context = canvas.getContext('2d');
  context.drawImage(map, 0, 0);
  return [...context.getImageData(map.width / 2 + 3, map.height / 2 + 3, 1, 1).data];
})()"""


def test_the_keyboard_is_enough_and_a_phone_shows_it_all(browser, address) -> None:
    browser.go("#v=fch4&p=month&t=2001-03")
    browser.evaluate("document.getElementById('time').focus()")
    browser.press("ArrowRight", 39)
    assert "t=2001-04" in browser.evaluate("location.hash")
    browser.evaluate("window.fluxatlas.map.map.getCanvas().focus()")
    browser.press("Enter", 13)
    browser.wait("!document.getElementById('panel').hidden && window.fluxatlas.panel.series")
    browser.size(390, 844, mobile=True)
    try:
        browser.wait("document.documentElement.scrollWidth <= 390")
        boxes = "[...document.querySelectorAll('select, input, button, canvas')].map(e => e.getBoundingClientRect())"
        browser.wait(f"{boxes}.every(r => r.right <= 391)", 10)
    finally:
        browser.size(700, 500)


DOWNLOADS = """(async () => {
  const found = [];
  URL.createObjectURL = (blob) => { found.push(blob); return 'blob:'; };
  for (const id of ['png', 'csv', 'chart-png']) document.getElementById(id).click();
  while (found.length < 3) await new Promise((done) => setTimeout(done, 20));
  return Promise.all(found.map(async (blob) => [blob.type, (await blob.arrayBuffer()).byteLength]));
})()"""


def test_a_link_that_is_followed_while_the_map_moves_is_not_lost(browser) -> None:
    browser.go("#v=fch4&p=month&t=2001-03")
    before = browser.evaluate("window.fluxatlas.updates")
    browser.evaluate("location.hash = '#v=fch4&p=month&t=2001-05'; window.fluxatlas.map.map.fire('moveend'); 0")
    browser.wait(f"window.fluxatlas.updates > {before}", 10)
    assert "t=2001-05" in browser.evaluate("location.hash")
    assert browser.evaluate("document.getElementById('when').textContent") == "2001-05"


def test_it_plays_shows_budgets_and_hands_out_pictures_and_numbers(browser, run) -> None:
    browser.go("#v=fch4&p=month&t=2001-11&at=40.1,-120.2&k=zone&r=30N-60N&m=40,-120,4")
    table = open_run(run).budget.query("variable == 'fch4' and region == '30N-60N'")
    told = browser.evaluate("document.getElementById('budget').textContent")
    assert told.startswith("2001: ") and float(told.split()[1]) == pytest.approx(table["mean"].item(), rel=5e-3)
    assert browser.evaluate("fluxatlas.manifest.regions.zone[0].geometry.coordinates[0][0][2]") == [180, 60]
    browser.evaluate("fluxatlas.panel.loaded")
    kinds = browser.evaluate(DOWNLOADS)
    assert sorted(kind for kind, _ in kinds) == ["image/png", "image/png", "text/csv"]
    assert min(size for _, size in kinds) > 2000
    mean = float(open_run(run).at(40.1, -120.2, "fch4")["fch4"].sel(time="2001-11").mean())
    reading = browser.evaluate("document.getElementById('reading').textContent").replace("\N{MINUS SIGN}", "-")
    assert reading.startswith("Mean of 2001-11: ") and float(reading.split()[3]) == pytest.approx(mean, rel=0.01)
    browser.evaluate("document.getElementById('play').click()")
    browser.wait("location.hash.includes('t=2001-12')")
    browser.evaluate("document.getElementById('play').click()")
    browser.evaluate("(b => { b.value = '9e9'; b.dispatchEvent(new Event('change')) })(document.getElementById('low'))")
    browser.wait("document.getElementById('problem').textContent.includes('are not limits of colours')")


def test_nothing_comes_from_elsewhere_and_what_is_not_there_is_not_asked_for(browser, address) -> None:
    browser.go("#v=fch4&p=day&t=2001-01-01&m=40,-120,4&g=1")
    assert browser.requests
    assert {url.split(":", 1)[0] for url in browser.requests if not url.startswith(address)} <= {
        "blob",
        "data",
        "about",
    }


# --- serving and writing ---------------------------------------------------------------------------------------------


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read(), {key.lower(): value for key, value in answer.headers.items()}
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read(), dict(problem.headers)


def test_the_server_gives_parts_of_files(address, page) -> None:
    whole = (page / "maplibre-gl.js").read_bytes()
    status, body, headers = get(address + "maplibre-gl.js", Range="bytes=10-19")
    assert (status, body, headers["content-range"]) == (206, whole[10:20], f"bytes 10-19/{len(whole)}")
    assert get(address + "maplibre-gl.js", Range="bytes=-5")[1] == whole[-5:]
    assert get(address + "maplibre-gl.js", Range=f"bytes={len(whole)}-")[0] == 416
    assert get(address + "app.js")[2]["content-type"].startswith("text/javascript")
    assert get(address + "../../products/budget.csv")[0] == 404


def test_an_export_is_whole_and_replaces_only_its_own_kind(run, page, tmp_path, browser) -> None:
    output = tmp_path / "public"
    for _ in range(2):
        assert site.export(page, output) > 0
    assert not list(tmp_path.glob(".*"))
    assert "BSD" in (output / "LICENSE-maplibre-gl.txt").read_text()
    command = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "-d", str(output)]
    plain = subprocess.Popen([command[0], "-u", *command[1:]], stdout=subprocess.PIPE, text=True)  # knows no ranges
    try:
        port = plain.stdout.readline().split("port ")[1].split()[0]
        browser.open(f"http://127.0.0.1:{port}/#v=fch4&p=day&t=2001-07-10&at=40.1,-120.2")
        browser.wait("window.fluxatlas.panel.series")
        value = browser.evaluate("window.fluxatlas.panel.series.values[190]")
        assert value == pytest.approx(float(open_run(run).at(40.1, -120.2, "fch4")["fch4"][190]), abs=1e-6)
    finally:
        plain.kill()
        plain.wait()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError, match="the folder holds other files"):
        site.export(page, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_the_store_is_made_again_only_if_the_product_changed(run, page) -> None:
    assert site.make(run) == (page, False)
    note = page / site.MADE_OF
    note.write_text(note.read_text() + " ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "build", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            site.make(run)
    assert not note.exists() and (page / "store.zarr" / "zarr.json").exists()


def test_what_cannot_be_explored_is_told_in_one_message(tmp_path) -> None:
    with pytest.raises(InputError, match="there is no such folder"):
        explore(tmp_path / "nothing", None, 0)
    (tmp_path / "run" / "infer").mkdir(parents=True)
    with pytest.raises(InputError, match="the run has no product yet"):
        explore(tmp_path / "run", tmp_path / "out", 0)
    assert not (tmp_path / "out").exists() and not (tmp_path / "run" / "explore").exists()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match=r"is in use by another program(.|\n)*--port"):
            explore(tmp_path / "run", None, taken.getsockname()[1])


def test_years_packed_differently_and_other_cells_are_refused(run, tmp_path) -> None:
    daily = tmp_path / "run" / "products" / "daily"
    daily.mkdir(parents=True)
    for year in (YEAR, YEAR + 1):
        shutil.copy(run / "products" / "daily" / f"tsl05_{YEAR}.nc", daily / f"tsl05_{year}.nc")
    with netCDF4.Dataset(daily / f"tsl05_{YEAR + 1}.nc", "a") as data:
        data["tsl05"].scale_factor = 0.5
    seal(daily / f"tsl05_{YEAR + 1}.nc")
    with pytest.raises(InputError, match="is packed differently than in other years"):
        site.make(tmp_path / "run")
    with netCDF4.Dataset(daily / f"tsl05_{YEAR + 1}.nc", "a") as data:
        data["lat_bnds"][:] = data["lat_bnds"][:] + 1
    seal(daily / f"tsl05_{YEAR + 1}.nc")
    with pytest.raises(InputError, match="on different cells"):
        site.make(tmp_path / "run")
    assert not (tmp_path / "run" / "explore" / "store.zarr").exists()


def test_a_damaged_product_is_not_shown(run, tmp_path) -> None:
    daily = tmp_path / "run" / "products" / "daily"
    daily.mkdir(parents=True)
    content = bytearray((run / "products" / "daily" / f"tsl05_{YEAR}.nc").read_bytes())
    content[len(content) // 2] ^= 1
    (daily / f"tsl05_{YEAR}.nc").write_bytes(content)
    with pytest.raises(InputError, match="its checksum does not hold"):
        site.make(tmp_path / "run")
    assert not (tmp_path / "run" / "explore" / "store.zarr").exists()


def test_the_map_library_must_be_there(monkeypatch) -> None:
    monkeypatch.setattr(site, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="package maplibre"):
        site.library()


def test_the_chunks_fit_the_files() -> None:
    for step, chunk in store.CHUNKS.items():
        assert store.SHARDS[step] % chunk[0] == 0 and pyramid.SIDE % chunk[1] == pyramid.SIDE % chunk[2] == 0
    assert all(Path(site.PAGE / name).stat().st_size for name in ("index.html", "main.js", "page.css"))

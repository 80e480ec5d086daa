"""``fluxatlas explore`` in a headless browser: what a click, a link, the keyboard and a download give."""

import json
import re

import numpy as np
import pytest
from pyproj import Geod

from explore_run import SYSTEM, YEAR, of_tiles
from fluxatlas import open_run
from fluxatlas.drivers import slow_drivers
from fluxatlas.files import read_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.systems import get_system
from fluxatlas.tiles.piece import make_regridder, read_piece


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

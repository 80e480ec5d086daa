"""``fluxatlas explore``: the store against the product, the server, exports, and what cannot be explored."""

import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from itertools import product
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr

from explore_run import YEAR, of_tiles
from fluxatlas import open_run
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.explore import pyramid, site, store
from fluxatlas.explore.drivers import find_drivers
from fluxatlas.explore.run import explore
from fluxatlas.explore.source import Lattice, StoreLayer, land
from fluxatlas.hashes import seal


def raw(run, variable, name):
    with netCDF4.Dataset(run / "products" / "daily" / f"{variable}_{YEAR}.nc") as data:
        data.set_auto_maskandscale(False)
        return np.asarray(data[name][:])


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

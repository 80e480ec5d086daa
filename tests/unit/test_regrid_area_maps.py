"""Shares of the cell and of the land, further maps of wetland by month, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from fluxatlas.check.findings import Findings
from fluxatlas.check.layers import look
from fluxatlas.config.static import Layer, StaticBlock, layer_inputs
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.attributes import at_place, build
from fluxatlas.regrid.frame import Frame
from fluxatlas.systems import get_system
from static_layouts import around, netcdf

SYSTEM = get_system("wetland_methane")
TILE = get_grid("4km").tile("N37W009", 1)
EVERYWHERE = (-180.0, -90.0, 180.0, 90.0)
LAT, LON = around(4, west=-10.0, north=39.0, size=3)
CELLS = len(LAT), len(LON)
DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
MIDDLE = np.cumsum(np.tile(DAYS, 2)) - 15  # of the months of 2001 and 2002
GIVEN = {"orog": 100, "sand": 40, "clay": 20, "soc": 50, "bdod": 900, "phh2o": 6, "lai": 2}
MONTHS = np.tile(np.array([0, 0, 0, 0.1, 0.3, 0.5, 0.6, 0.4, 0.2, 0.1, 0, 0]), 2)


def wetlands(path: Path, name: str, share: np.ndarray, units: str = "1") -> str:
    """A map of shares, single or by month of two years, as NetCDF."""
    data = np.broadcast_to(np.reshape(share, (-1, 1, 1)), (np.size(share), *CELLS)).copy()
    if np.size(share) == 1:
        return netcdf(path, {name: (("lat", "lon"), data[0], {"units": units})}, LAT, LON)
    held = {name: (("time", "lat", "lon"), data, {"units": units})}
    return netcdf(path, held, LAT, LON, MIDDLE, "days since 2001-01-01")


def constants(**given: float) -> dict[str, dict]:
    return {name: {"constant": value, "reason": "a test of shares"} for name, value in given.items()}


def attributes(land: float = 60.0, maps: dict[str, dict] | None = None, **wetland: object):  # type: ignore[no-untyped-def]
    layers = constants(**GIVEN, sftlf=land)
    block = StaticBlock.model_validate({"layers": {**layers, "wetlandFrac": wetland}, "area_maps": maps or {}})
    return build(block, TILE, SYSTEM, EVERYWHERE)


def test_a_share_of_the_cell_becomes_one_of_the_land_and_is_known_by_its_name(tmp_path: Path) -> None:
    other = wetlands(tmp_path / "GIEMS.nc", "inundation", np.array(0.3))
    wad2m = wetlands(tmp_path / "WAD2M.nc", "Fw", np.array(0.3))
    for path, options, expected in (
        (other, {"share_of": "cell"}, 50.0),
        (other, {}, 30.0),
        (wad2m, {}, 50.0),  # Fw of WAD2M is a share of the cell
        (wad2m, {"share_of": "land"}, 30.0),
    ):
        found = attributes(path=path, **options)
        np.testing.assert_allclose(found["wetlandFrac"], expected, rtol=1e-5)
        area = found["areacella"] * found["sftlf"] / 100 * found["wetlandFrac"] / 100
        share = (area / found["areacella"]).to_numpy()
        np.testing.assert_allclose(share, 0.3 if expected == 50 else 0.18, rtol=1e-5)
    np.testing.assert_allclose(attributes(land=20.0 + 35, path=wad2m)["wetlandFrac"].max(), 30 / 0.55, rtol=1e-5)


def test_a_map_of_each_year(tmp_path: Path) -> None:
    """The months of 2001 and of 2002, of which the second year has twice the share."""
    path = wetlands(tmp_path / "years.nc", "wetland", np.concatenate([0.5 * MONTHS[:12], MONTHS[12:]]))
    maps = {"cdl": {"path": path, "share_of": "land", "over_time": "years", "years": [2001, 2002]}}
    found = attributes(maps=maps, constant=10.0, reason="a test of years")
    assert found["wetlandFrac_cdl_year"].to_numpy().tolist() == [2001, 2002]
    assert found["wetlandFrac_cdl"].dims == ("wetlandFrac_cdl_year", "lat", "lon")
    mean = 100 * np.average(MONTHS[:12], weights=DAYS)
    both = found["wetlandFrac_cdl"].isel(lat=5, lon=5).to_numpy()
    assert both == pytest.approx([0.5 * mean, mean], rel=0.02)
    with pytest.raises(ValidationError, match="'cdl' follows the years: say which"):
        attributes(maps={"cdl": {"path": path, "over_time": "years"}}, constant=10.0, reason="a test of years")


def test_a_place_outside_the_tiles_has_shares_of_the_land_that_is_given(tmp_path: Path) -> None:
    """30 % of the cell are half of the land, which is that of the file: 60 %."""
    layers = constants(**GIVEN, ndep=1)
    layers["sftlf"] = {"path": wetlands(tmp_path / "land.nc", "sftlf", np.array(0.6))}
    layers["cropFrac"] = {"path": wetlands(tmp_path / "crop.nc", "cropFrac", np.array(0.3)), "share_of": "cell"}
    block, sink = StaticBlock.model_validate({"layers": layers}), get_system("soil_methane_sink")
    cell = build(block, TILE, sink, EVERYWHERE).isel(lat=5, lon=5)
    found = at_place(block, TILE.grid, float(cell["lat"]), float(cell["lon"]), sink)
    for one in (cell, found):
        assert float(one["cropFrac"]) == pytest.approx(50.0, rel=1e-5)


def test_several_kinds_of_maps_stand_beside_the_first(tmp_path: Path) -> None:
    wad2m = wetlands(tmp_path / "WAD2M.nc", "Fw", MONTHS)
    giems = wetlands(tmp_path / "GIEMS.nc", "inundation", MONTHS * 50, "%")
    maps = {
        "wad2m": {"path": wad2m, "over_time": "months"},
        "giems2": {"path": giems, "over_time": "mean", "share_of": "cell"},
        "july": {"path": giems, "month": 7, "share_of": "cell"},
    }
    found = attributes(maps=maps, constant=0, reason="the first map has no wetland here")
    assert found.attrs["area_maps"] == "wad2m giems2 july"
    assert found["wetlandFrac_wad2m"].dims == ("month", "lat", "lon")
    np.testing.assert_allclose(found["wetlandFrac_wad2m"][:, 3, 3], 100 * MONTHS[:12] / 0.6, rtol=1e-5)
    mean = 50 * (MONTHS[:12] * DAYS).sum() / 365
    np.testing.assert_allclose(found["wetlandFrac_giems2"], mean / 0.6, rtol=1e-5)
    np.testing.assert_allclose(found["wetlandFrac_july"], 30 / 0.6, rtol=1e-5)
    assert found["active"].to_numpy().all()  # one map with wetland is enough
    assert "by the map 'wad2m'" in found["wetlandFrac_wad2m"].attrs["long_name"]
    block = StaticBlock(area_maps={"wad2m": Layer(path=wad2m)})
    assert layer_inputs(block) == [wad2m]
    coded = Layer(path="codes.tif", table="shares.csv", variable="wet")
    assert layer_inputs(StaticBlock(area_maps={"coded": coded})) == ["codes.tif", "shares.csv"]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    single = wetlands(tmp_path / "GLWD.nc", "wetland", np.array(0.3))
    with pytest.raises(InputError, match="'wetland' has no months"):
        attributes(maps={"glwd": {"path": single, "over_time": "months"}}, constant=5, reason="a test of refusals")
    with pytest.raises(ValidationError, match="'share_of' is for cropFrac and wetlandFrac, not for 'sand'"):
        StaticBlock.model_validate({"layers": {"sand": {"path": "sand.tif", "share_of": "cell"}}})
    with pytest.raises(ValidationError, match="'over_time: months' is for 'area_maps'"):
        StaticBlock.model_validate({"layers": {"wetlandFrac": {"path": "w.nc", "over_time": "months"}}})
    with pytest.raises(ValidationError, match="'wad-2m' is not a name of letters and digits"):
        StaticBlock.model_validate({"area_maps": {"wad-2m": {"path": "w.nc"}}})
    layers = {"wetlandFrac": {"constant": 5, "reason": "a test of refusals"}}
    block = StaticBlock.model_validate({"layers": layers, "area_maps": {"glwd": {"path": single}}})
    with pytest.raises(InputError, match="there are no further maps"):
        build(block, TILE, get_system("net_ecosystem_exchange"), EVERYWHERE)


def test_check_reads_further_maps_before_the_first_job(tmp_path: Path) -> None:
    single = wetlands(tmp_path / "GLWD.nc", "wetland", np.array(0.3))
    frames = [Frame.of_cell(TILE.grid, 37.5, -8.5, 0)]
    maps = {"glwd": {"path": single}, "none": {"path": str(tmp_path / "none.nc")}}
    maps["months"] = {"path": single, "over_time": "months"}
    config = SimpleNamespace(regions=SimpleNamespace(maps={}))
    block = StaticBlock.model_validate({"area_maps": maps})
    found = Findings()
    look(SimpleNamespace(is_synthetic=False, static=block, system=SYSTEM, config=config), frames, found)  # type: ignore[arg-type]
    told = [str(problem) for problem in found.problems if "area_maps" in str(problem)]
    assert len(told) == 2 and "static.area_maps.none" in told[0] and "has no months" in told[1]
    assert "3 maps of the area" in found.seen

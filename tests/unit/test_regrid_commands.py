"""The commands ``regrid attributes`` and ``regrid sites`` as a user meets them, at the edges of the map too."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.static import StaticBlock
from fluxatlas.errors import ConfigError, GridError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.attributes import build
from fluxatlas.systems import get_system

SYSTEM = get_system("soil_methane_sink")
GLOBE = (-180.0, -90.0, 180.0, 90.0)
VALUES = {
    "clay": 20.0,
    "sand": 40.0,
    "soc": 15.0,
    "bdod": 1300.0,
    "phh2o": 6.5,
    "ndep": 4.0,
    "cropFrac": 0.0,
    "lai": 1.0,
}


def _constants(**more):
    layers = {name: {"constant": value, "reason": "made up for a test"} for name, value in VALUES.items()}
    return {"layers": {"orog": {"constant": 100, "reason": "made up for a test"}, **layers, **more}}


def _attributes(settings, tile, output, *more):
    command = [
        "regrid",
        "attributes",
        "--system",
        "soil_methane_sink",
        "--settings",
        settings,
        "--grid",
        "4km",
        "--tile-size",
        "1",
    ]
    return CliRunner().invoke(app, [*command, "--tile", tile, "--output", str(output), *more])


def test_attributes_of_constants_are_run_on_land_in_the_box(tmp_path) -> None:
    done = _attributes(json.dumps(_constants()), "N40E000", tmp_path / "a.nc", "--bbox", "0", "40", "0.5", "41")
    assert done.exit_code == 0, done.output
    found = xr.load_dataset(tmp_path / "a.nc")
    assert (found["active"].to_numpy()[:, 12:] == 0).all() and 0 < found["active"].sum() <= 24 * 12
    assert (found["clay"] == 20).all() and found["lai"].shape == (12, 24, 24)


@pytest.mark.parametrize(
    ("settings", "tile", "kind", "text"),
    [
        ("{not json", "N40E000", ConfigError, "JSON"),
        (json.dumps(_constants(snad={"constant": 1, "reason": "made up for a test"})), "N40E000", ConfigError, "sand"),
        (json.dumps({"layers": {"clay": {"constant": 1}}}), "N40E000", ConfigError, "reason"),
        (json.dumps(_constants(clay={"path": "absent.tif"})), "N40E000", InputError, "absent.tif"),
        (json.dumps({}), "N40E000", InputError, "no layer for orog, lai, sand"),
        (json.dumps(_constants()), "N40E00", GridError, "not a tile name"),
    ],
)
def test_bad_settings_are_named_and_leave_no_file(tmp_path, settings, tile, kind, text) -> None:
    failed = _attributes(settings, tile, tmp_path / "a.nc")
    assert isinstance(failed.exception, kind) and text in str(failed.exception)
    assert not list(tmp_path.iterdir())


def test_the_process_ends_with_one_message_and_status_1(tmp_path) -> None:
    command = [
        sys.executable,
        "-c",
        "from fluxatlas.cli import main; main()",
        "regrid",
        "attributes",
        "--system",
        "soil_methane_sink",
        "--settings",
        "{}",
    ]
    command += ["--grid", "5km", "--tile-size", "1", "--tile", "N40E000", "--output", str(tmp_path / "a.nc")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: unknown grid '5km'" in done.stderr and "Traceback" not in done.stderr


def test_tiles_on_both_sides_of_the_date_line_join_without_a_seam(tmp_path) -> None:
    """A coarse global layer in 0..360, a function of longitude that is smooth across 180 degrees (Chukotka)."""
    lat, lon = 89.0 - 2 * np.arange(90), 2 * np.arange(180.0)
    field = 50 + 30 * np.cos(np.deg2rad(lon - 170)) * np.ones((90, 1))
    xr.Dataset({"sand": (("lat", "lon"), field)}, {"lat": lat, "lon": lon}).to_netcdf(tmp_path / "sand.nc")
    block = StaticBlock.model_validate(_constants(sand={"path": str(tmp_path / "sand.nc")}))
    west, east = (build(block, get_grid("4km").tile(name, 1), SYSTEM, GLOBE) for name in ("N66E179", "N66W180"))
    assert west["active"].sum() > 300 and east["active"].sum() > 300
    joined = np.concatenate([west["sand"].to_numpy(), east["sand"].to_numpy()], axis=1).astype(float)
    expected = np.interp(179 + (np.arange(48) + 0.5) / 24, lon, field[0])
    np.testing.assert_allclose(joined, np.tile(expected, (24, 1)), rtol=1e-6)


@pytest.mark.parametrize(("name", "land"), [("S90E000", True), ("N89E000", False)])
def test_the_poles_have_attributes(name, land) -> None:
    """Antarctica is land in the mask and would be run where someone gives it soil; the Arctic Ocean never is."""
    tile = get_grid("4km").tile(name, 1)
    found = build(StaticBlock.model_validate(_constants()), tile, SYSTEM, GLOBE)
    assert (found["active"] == land).all()
    ring = 2 * np.pi * 6_371_007.2**2 * (1 - np.sin(np.deg2rad(89))) / 360  # the tile's share of the polar cap
    assert float(found["areacella"].sum()) == pytest.approx(ring, rel=1e-6)


def _site_folders(root):
    for name in ("attributes", "forcing", "sites"):
        (root / name).mkdir()
    build(StaticBlock.model_validate(_constants()), get_grid("4km").tile("N40E000", 1), SYSTEM, GLOBE).to_netcdf(
        root / "attributes" / "N40E000.nc"
    )
    site = {"site": "A", "lat": 40.8, "lon": 0.2, "elevation": 300.0, "kind": "tower", "igbp": "GRA", "clay": 33.0}
    pd.DataFrame([site]).to_csv(root / "sites" / "sites.csv", index=False)
    days = pd.date_range("2001-01-01", periods=3)
    own = pd.DataFrame({"site": "A", "time": days, **dict.fromkeys(SYSTEM.forcing, 1.0)})
    own.to_parquet(root / "sites" / "forcing.parquet")
    command = [
        "regrid",
        "sites",
        "--system",
        "soil_methane_sink",
        "--grid",
        "4km",
        "--tile-size",
        "1",
        "--tile",
        "N40E000",
        "--year",
        "2001",
    ]
    for name in ("attributes", "forcing", "sites", "output"):
        command += [f"--{name}-dir", str(root / name)]
    return command


def test_sites_get_a_row_and_keep_their_own_weather(tmp_path) -> None:
    command = _site_folders(tmp_path)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    (row,) = pd.read_csv(tmp_path / "output" / "sites_attributes.csv").to_dict("records")
    assert (row["clay"], row["sand"], row["elevation"]) == (33.0, 40.0, 300.0)
    assert "sand" in row["attribute_source"] and "clay:grid" not in row["attribute_source"]
    forcing = pd.read_parquet(tmp_path / "output" / "sites_forcing.parquet")
    assert len(forcing) == 3 and set(forcing["forcing_source"]) == {"site"}


def test_sites_without_their_files_are_refused(tmp_path) -> None:
    command = _site_folders(tmp_path)
    (tmp_path / "sites" / "forcing.parquet").unlink()
    failed = CliRunner().invoke(app, command)
    assert isinstance(failed.exception, InputError) and "forcing.parquet" in str(failed.exception)
    failed = CliRunner().invoke(app, [*command, "--tile-size", "7"])
    assert isinstance(failed.exception, GridError) and "does not divide" in str(failed.exception)

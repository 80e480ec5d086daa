"""The land mask: bit for bit the package's file, read no farther than needed, the same places as on the globe."""

import zipfile
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fluxatlas import land_mask
from fluxatlas.errors import InputError
from fluxatlas.grid import get_grid
from fluxatlas.land_mask import COLUMNS, LandMask, is_land
from fluxatlas.paths import RESOURCES


def test_it_is_the_mask_of_the_package_and_stops_where_it_may() -> None:
    """Rows of the package's file, read byte by byte past its header of 128 bytes."""
    mask = LandMask()
    bits = mask.sea(6200)
    assert mask._known == 6240  # of 21600
    archive = Path(find_spec("global_land_mask").origin).parent / "globe_combined_mask_compressed.npz"
    with zipfile.ZipFile(archive) as packed, packed.open("mask.npy") as stream:
        for row in (0, 1234, 6199):
            stream.seek(128 + row * COLUMNS)
            plain = np.frombuffer(stream.read(COLUMNS), np.uint8)
            np.testing.assert_array_equal(np.unpackbits(bits[row]), plain)


def test_land_cells_are_those_counted_with_the_package() -> None:
    """resources/land_cells_4km.csv was counted with ``global_land_mask.globe`` itself."""
    lines = [line for line in (RESOURCES / "land_cells_4km.csv").read_text().splitlines() if not line.startswith("#")]
    table = np.array([line.split(",") for line in lines], int)
    grid, rng = get_grid("4km"), np.random.default_rng(2)
    coast = np.argwhere((table > 0) & (table < 576))
    for row, column in rng.permutation(coast)[:60]:
        lat, lon = grid.lat(slice(24 * row, 24 * row + 24)), grid.lon(slice(24 * column, 24 * column + 24))
        assert is_land(lat[:, None], lon[None, :]).sum() == table[row, column]


def test_known_places() -> None:
    """Sacramento, the Pacific, London, Alice Springs, the Atlantic, Greenland, both poles (ice on land, ice on sea)."""
    lat, lon = [38.58, 37.0, 51.5, -23.5, 0.0, 71.0, -90.0, 90.0], [-121.49, -125.0, -0.13, 134.0, -30.0, -42.0, 0, 0]
    np.testing.assert_array_equal(is_land(lat, lon), [True, False, True, True, False, True, True, False])


def test_longitudes_count_on_beyond_the_date_line() -> None:
    lon = np.arange(-180, 180, 0.37) + 0.001
    here = is_land(66.5, lon)
    np.testing.assert_array_equal(is_land(66.5, lon + 360), here)
    np.testing.assert_array_equal(is_land(66.5, lon - 360), here)
    assert 0.2 < here.mean() < 0.95
    assert is_land(np.empty(0), np.empty(0)).shape == (0,)


def test_an_absent_or_strange_mask_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(land_mask, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="not installed"):
        LandMask()
    (tmp_path / "__init__.py").touch()
    np.savez_compressed(tmp_path / "globe_combined_mask_compressed.npz", mask=np.zeros((4, 8), bool))
    monkeypatch.setattr(land_mask, "find_spec", lambda name: SimpleNamespace(origin=str(tmp_path / "__init__.py")))
    with pytest.raises(InputError, match="shape"):
        LandMask()

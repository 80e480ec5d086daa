"""Blocks of days: memory is used again only when nobody holds it, and the quick check finds what the slow one finds."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fluxatlas.ingest import physical
from fluxatlas.ingest.declaration import load_mapping
from fluxatlas.ingest.mapping import MappedSource
from fluxatlas.ingest.physical import _as_expected

DAYS = np.arange("2001-01-01", "2001-01-07", dtype="datetime64[D]").astype("datetime64[ns]")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MappedSource:
    """Six days of rain with tiny negative values, one day per block."""
    monkeypatch.setattr("fluxatlas.ingest.mapping.BLOCK_BYTES", 1)
    rain = 1e-6 * np.random.default_rng(3).integers(-1, 9, (6, 4, 5))
    dims = "time", "latitude", "longitude"
    coords = {"time": DAYS, "latitude": [3.0, 2.0, 1.0, 0.0], "longitude": np.arange(5.0)}
    data = xr.Dataset({"tp": (dims, rain.astype(np.float32), {"units": "kg m-2 s-1"})}, coords)
    data.to_netcdf(tmp_path / "raw.nc", engine="netcdf4")
    (tmp_path / "m.yaml").write_text(
        "title: t\ncitation: none\nraw: {tp: {time: interval}}\nvariables: {pr: {of: tp}}\n"
    )
    return MappedSource(load_mapping(tmp_path / "m.yaml"), [tmp_path / "raw.nc"])


def test_blocks_that_are_kept_stay_as_they_are(source: MappedSource) -> None:
    window = source.grid.window((-0.5, -0.5, 4.5, 3.5))
    span = DAYS[0].astype("datetime64[D]"), DAYS[-1].astype("datetime64[D]") + 1
    kept = list(source.blocks(*span, window, ["pr"]))
    copies = [block.pr.values.copy() for block in source.blocks(*span, window, ["pr"])]
    assert len(kept) == 6
    for block, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(block.pr.values, copy)
    assert not np.array_equal(copies[0], copies[1])


def test_memory_is_used_again(source: MappedSource) -> None:
    first = source.archive._memory((2, 3))
    place = first.ctypes.data
    part = first[1:]
    del first
    assert source.archive._memory((2, 3)).ctypes.data != place  # a part of it is still held
    del part
    place = source.archive._memory((2, 3)).ctypes.data
    assert source.archive._memory((2, 3)).ctypes.data == place
    assert source.archive._memory((2, 4)).shape == (2, 4)


@given(
    st.lists(st.sampled_from([1.0, 5.0, 9.0, 0.99, 9.01, np.nan, np.inf, -np.inf]), min_size=12, max_size=12),
    st.lists(st.booleans(), min_size=6, max_size=6),
    st.sampled_from([1, 3, 100]),
)
def test_quick_check(values: list[float], mask: list[bool], band: int) -> None:
    days, cells = np.array(values, np.float32).reshape(2, 2, 3), np.array(mask).reshape(2, 3)
    fine = (np.isnan(days) == cells).all() and ((days >= 1) & (days <= 9) | np.isnan(days)).all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(physical, "BAND", band)
        assert _as_expected(days, 1.0, 9.0, cells) == fine

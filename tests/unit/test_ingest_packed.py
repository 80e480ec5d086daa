"""Packed integers are decoded as xarray decodes them."""

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from fluxatlas.ingest import packed
from fluxatlas.ingest.containers import open_container


def _write(path: Path, kind: type, attrs: dict[str, Any]) -> None:
    info = np.iinfo(kind)
    stored = np.random.default_rng(5).integers(info.min, info.max, (4, 6, 12), dtype=kind, endpoint=True)
    stored[0, 0, :3] = info.min, info.max, 7
    with netCDF4.Dataset(path, "w") as file:
        for name, size in zip("tyx", stored.shape, strict=True):
            file.createDimension(name, size)
        made = file.createVariable("v", kind, ("t", "y", "x"), fill_value=attrs.pop("_FillValue", None))
        made.setncatts(attrs)
        made.set_auto_maskandscale(False)
        made[:] = stored


@pytest.mark.parametrize(
    ("kind", "attrs", "lazy"),
    [
        (np.int16, {"scale_factor": 0.002, "add_offset": 273.15, "_FillValue": np.int16(-32767)}, True),
        (np.int16, {"scale_factor": np.float32(0.1)}, True),
        (np.uint16, {"scale_factor": 0.01, "add_offset": 1.0, "_FillValue": np.uint16(65535)}, True),
        (
            np.int16,
            {"scale_factor": 3.0, "add_offset": 0.0, "_FillValue": np.int16(7), "missing_value": np.int16(32767)},
            True,
        ),
        (np.int16, {"add_offset": 10.0, "_FillValue": np.int16(7)}, False),
        (np.int16, {"scale_factor": 0.5, "missing_value": 7.0}, True),
        (np.int16, {"_FillValue": np.int16(7)}, False),
        (np.int16, {"scale_factor": 0.5, "_Unsigned": "true", "_FillValue": np.int16(-1)}, True),
        (np.int32, {"scale_factor": 0.5, "add_offset": 3.0, "_FillValue": np.int32(7)}, False),
        (np.int16, {"scale_factor": 1.0, "add_offset": 0.0, "units": "days since 2000-01-01"}, False),
    ],
)
def test_decoding_is_that_of_xarray(
    kind: type, attrs: dict[str, Any], lazy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path / "v.nc", kind, dict(attrs))
    monkeypatch.setattr(packed, "BAND", 50)  # several bands, the last one shorter
    calls = []
    unpack = packed.Packing.unpack
    monkeypatch.setattr(packed.Packing, "unpack", lambda *a: calls.append(1) or unpack(*a))
    ((_, ours),) = open_container(tmp_path / "v.nc")
    keys: list[Any] = [..., np.s_[1], np.s_[:, ::-1, 2:5], np.s_[1:3, [4, 0], :]]
    made = [ours.v[key].values for key in keys]
    assert bool(calls) is lazy
    monkeypatch.setattr("fluxatlas.ingest.packed.packing_of", lambda stored: None)
    ((_, theirs),) = open_container(tmp_path / "v.nc")
    for values, key in zip(made, keys, strict=True):
        expected = theirs.v[key].values
        assert values.dtype == expected.dtype
        np.testing.assert_array_equal(values, expected)
    assert ours.v.attrs == theirs.v.attrs
    assert (ours.v.encoding.pop(packed.KEY, None) is not None) is lazy
    assert str(ours.v.encoding) == str(theirs.v.encoding)

"""Classic NetCDF files that were cut off are refused; the header's arithmetic agrees with files of the C library."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest

from fluxatlas.errors import InputError
from fluxatlas.files import open_netcdf
from fluxatlas.netcdf_classic import missing_bytes


def written(path: Path, form: str, unlimited: bool, two: bool = True) -> Path:
    with netCDF4.Dataset(path, "w", format=form) as data:
        data.setncattr("title", "odd")  # three letters: padded
        data.createDimension("time", None if unlimited else 7)
        data.createDimension("x", 3)
        for name, kind in (("a", "f8"), ("b", "i2"))[: 2 if two else 1]:
            made = data.createVariable(name, kind, ("time", "x"))
            made.units = "1"
            made[:] = np.arange(21).reshape(7, 3) + 1
        data.createVariable("c", "f4", ())[:] = 4
    return path


@pytest.mark.parametrize("two", [True, False])
@pytest.mark.parametrize("unlimited", [True, False])
@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
def test_complete_and_cut(tmp_path: Path, form: str, unlimited: bool, two: bool) -> None:
    path = written(tmp_path / "file.nc", form, unlimited, two)
    assert missing_bytes(path) == 0
    whole = path.read_bytes()
    for share in (0.55, 0.75, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            assert missing_bytes(path) > 0
        except ValueError as problem:
            assert "cut off" in str(problem)
        with pytest.raises(InputError, match="cannot be read as NetCDF"):
            open_netcdf(path)


def test_other_formats_are_left_to_their_library(tmp_path: Path) -> None:
    assert missing_bytes(written(tmp_path / "four.nc", "NETCDF4", unlimited=True)) == 0


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"CDF\x01", "cut off"),
        (b"CDF\x01" + b"\xff" * 200, "items"),
        (
            b"CDF\x01"
            + bytes(16)
            + b"\x00\x00\x00\x0c"
            + b"\x00\x00\x00\x01"
            + bytes(4)
            + b"\x00\x00\x00\x63"
            + bytes(4),
            "type",
        ),
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "file.nc"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=said):
        missing_bytes(path)

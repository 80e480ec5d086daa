"""What is no input at all: pages, pointers, packed files, other formats; odd files stay cheap; unseen site files."""

import gzip
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import rasterio
from rasterio.transform import from_origin

from fluxatlas.inspect.registry import expand, inspect_path
from site_layouts import layouts

PAGE = "<!DOCTYPE html>\n<html><head><title>Earthdata Login</title></head><body>please log in</body></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 5242880\n"


@pytest.mark.parametrize(
    ("name", "content", "form", "said"),
    [
        ("tas_2001.nc", PAGE.encode(), "web-page", "web page ('Earthdata Login')"),
        ("sites.csv", b"\xef\xbb\xbf" + PAGE.encode(), "web-page", "needs a login"),
        ("tas_2001.nc", POINTER.encode(), "lfs-pointer", "5.0 MiB"),
        ("tas_2001.nc.gz", gzip.compress(b"CDF\x01"), "gzip", "gunzip"),
        ("MCD15A2H.A2001.hdf", b"\x0e\x03\x13\x01" + bytes(100), "hdf4", "GeoTIFF or NetCDF"),
        ("table.parquet", b"PAR1" + bytes(50), "parquet", "as CSV"),
        ("sites.csv", "site,lat,lon\nA,1,2\n".encode("utf-16"), "utf-16", "UTF-8"),
    ],
)
def test_what_cannot_be_input_says_what_to_do(tmp_path: Path, name: str, content: bytes, form: str, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    report = inspect_path(tmp_path / name)
    assert (report.format, report.status) == (form, "unusable") and said in report.verdict


def test_pages_that_are_meant_to_be_pages_stay_documentation(tmp_path: Path) -> None:
    (tmp_path / "metadata.xml").write_text('<?xml version="1.0"?><metadata><title>x</title></metadata>')
    assert inspect_path(tmp_path / "metadata.xml").status == "not_input"


def test_a_zip_in_a_zip_is_only_listed(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as packed:
        packed.writestr("a.csv", "x,y\n1,2\n")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as packed:
        packed.write(tmp_path / "inner.zip", "inner.zip")
    report = inspect_path(tmp_path / "outer.zip")
    assert report.status == "no_reader" and report.details["members"] == ["inner.zip"]


def test_a_huge_raster_is_judged_in_little_memory(tmp_path: Path) -> None:
    grid = {"width": 216_000, "height": 108_000, "count": 1, "dtype": "int16", "crs": "EPSG:4326"}
    cells = from_origin(-180, 90, 1 / 600, 1 / 600)
    with rasterio.open(
        tmp_path / "sand.tif", "w", driver="GTiff", transform=cells, tiled=True, sparse_ok=True, BIGTIFF="YES", **grid
    ):
        pass  # 47 GB of int16, all sparse
    code = "import resource, sys; from fluxatlas.inspect.registry import inspect_path; inspect_path(sys.argv[1]);"
    code += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "sand.tif")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) * (1 if sys.platform == "darwin" else 1024) < 700e6


@pytest.mark.parametrize("layout", layouts().values(), ids=lambda layout: layout.name)
def test_every_layout_of_sites_that_ingest_reads_is_usable(tmp_path: Path, layout) -> None:
    for name, content in layout.files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    reports = list(map(inspect_path, expand([tmp_path])))
    assert all(report.usable for report in reports), [(r.path, r.format, r.verdict) for r in reports]

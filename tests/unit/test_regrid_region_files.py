"""Files of regions that are damaged, incomplete or in another encoding, and grids that are not grids."""

import shutil
import tracemalloc
from pathlib import Path

import geopandas
import numpy as np
import pyproj
import pytest
from shapely.geometry import Point, box

from fluxatlas.config.regions import RegionMap
from fluxatlas.errors import FluxAtlasError, GridError, InputError
from fluxatlas.regrid.regions import region_shares
from region_cases import LAT, LON, make


@pytest.mark.parametrize(("encoding", "stated", "declared"), [
    ("cp1252", "cp1252", ""), ("cp1252", "ISO-8859-1", ""), ("utf-8", "UTF-8", ""), ("utf-8", None, ""),
    ("cp1250", None, "cp1250"), ("cp1252", "UTF-8", "cp1252"), ("cp866", "cp866", ""),
])  # fmt: skip
def test_names_are_read_in_the_encoding_of_the_table(tmp_path, encoding, stated, declared) -> None:
    name = {"cp1250": "Łódź", "cp866": "Россия"}.get(encoding, "Côte d'Ivoire")
    shapefile(tmp_path, {name: box(0, 0, 1, 1)}, encoding, stated)
    source = RegionMap(path=str(tmp_path / "map.shp"), field="name", encoding=declared)
    assert region_shares(source, LAT, LON).names == (name,)


def shapefile(folder: Path, shapes: dict[str, object], encoding: str, stated: str | None) -> None:
    """A shapefile whose table is in ``encoding`` and whose .cpg file says ``stated`` (None: there is none)."""
    frame = geopandas.GeoDataFrame({"name": list(shapes)}, geometry=list(shapes.values()), crs="EPSG:4326")
    frame.to_file(folder / "map.shp", encoding=encoding)
    (folder / "map.cpg").unlink(missing_ok=True)
    if stated:
        (folder / "map.cpg").write_text(stated)
    table = bytearray((folder / "map.dbf").read_bytes())
    table[29] = 0  # no language driver either
    (folder / "map.dbf").write_bytes(table)


def test_the_memory_does_not_grow_with_the_file(tmp_path) -> None:
    def peak(count: int) -> int:
        x = np.linspace(-179, 179, count // 100)
        cells = [
            (f"{i}-{j}", box(a, b, a + 0.5, b + 0.5)) for i, a in enumerate(x) for j, b in enumerate(range(-50, 50))
        ]
        source = make(tmp_path, cells, f"{count}.gpkg")
        region_shares(source, np.arange(0.5, 3), np.arange(-179, -177, 0.5))
        tracemalloc.start()
        region_shares(source, np.arange(0.5, 3), np.arange(-179, -177, 0.5))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(20_000) < 1.5 * peak(1_000) + 100_000  # bytes; the whole file would take megabytes


def refused(source: RegionMap, text: str, hint: str = "") -> None:
    with pytest.raises(InputError, match=text) as caught:
        region_shares(source, LAT, LON)
    assert caught.value.where == source.path and hint in caught.value.hint and caught.value.hint


def test_files_that_cannot_be_used_are_refused(tmp_path) -> None:
    good = make(tmp_path, {"alpha": box(0, 0, 1, 1), "beta": box(3, 0, 4, 1)}, "good.gpkg")
    refused(RegionMap(path=str(tmp_path / "none.shp")), "file not found")
    refused(RegionMap(path=good.path, field="nme"), "no attribute 'nme'; did you mean 'name'", "['name']")
    refused(RegionMap(path=good.path), "2 shapes and no 'field' is given", "['name']")
    refused(RegionMap(path=good.path, field="name", layer="other"), "no layer 'other'")
    refused(RegionMap(path=good.path, field="name", crs="EPSG:32632"), "the file states WGS 84, the configuration")
    geopandas.GeoDataFrame({"name": []}, geometry=[], crs=4326).to_file(tmp_path / "empty.gpkg")
    refused(RegionMap(path=str(tmp_path / "empty.gpkg"), field="name"), "holds no shapes")
    refused(make(tmp_path, {"p": Point(0, 0)}, "points.gpkg"), "of type Point, not polygons")
    geopandas.read_file(good.path).to_file(tmp_path / "good.gpkg", layer="second")
    refused(good, "has 2 layers", "second")
    (tmp_path / "text.gpkg").write_text("no map")
    refused(RegionMap(path=str(tmp_path / "text.gpkg")), "cannot be read as vector data")
    (tmp_path / "zero.geojson").write_text("")
    refused(RegionMap(path=str(tmp_path / "zero.geojson")), "cannot be read as vector data")


def test_a_missing_projection_is_refused_unless_it_is_declared(tmp_path) -> None:
    source = make(tmp_path, {"a": box(0, 0, 1, 1)}, "map.shp")
    (tmp_path / "map.prj").unlink()
    refused(source, "does not state its projection", "EPSG:4326")
    declared = region_shares(source.model_copy(update={"crs": "EPSG:4326"}), LAT, LON)
    assert declared.names == ("a",)
    refused(source.model_copy(update={"crs": "EPSG:nonsense"}), "projection cannot be read")
    text = pyproj.CRS.from_epsg(4326).to_wkt("WKT1_ESRI")
    (tmp_path / "map.prj").write_text(text.replace("6378137.0", "3396190.0"))  # Mars
    refused(source, "projection cannot be turned to degrees")
    wrong = make(tmp_path, {"a": box(4e5, 5e6, 4.1e5, 5.1e6)}, "utm.shp", crs="EPSG:32632")
    (tmp_path / "utm.prj").unlink()
    refused(wrong.model_copy(update={"crs": "EPSG:4326"}), "do not lie in degrees")


@pytest.mark.parametrize("name", ["map.gpkg", "map.shp", "map.geojson", "map.fgb"])
def test_a_file_that_is_cut_off_anywhere_is_refused_or_read(tmp_path, name) -> None:
    rng = np.random.default_rng(3)
    circles = {f"circle {k}": Point(4 * k, 0).buffer(1.5) for k in range(12)}
    source = make(tmp_path, circles, name)
    whole = Path(source.path).read_bytes()
    for size in [0, 1, 50, 99, *rng.integers(100, len(whole) - 1, 12)]:
        Path(source.path).write_bytes(whole[:size])
        try:
            found = region_shares(source, LAT, LON)
        except FluxAtlasError as problem:
            assert problem.where == source.path and problem.hint
        else:
            assert set(found.names) <= set(circles)


def test_parts_of_a_shapefile_that_lack_are_named(tmp_path) -> None:
    source = make(tmp_path, {"a": box(0, 0, 1, 1)}, "map.shp")
    shutil.copy(tmp_path / "map.dbf", tmp_path / "kept.dbf")
    (tmp_path / "map.dbf").unlink()
    refused(source, "no attribute 'name'", ".dbf")
    shutil.copy(tmp_path / "kept.dbf", tmp_path / "map.dbf")
    (tmp_path / "map.shx").unlink()
    refused(source, "cannot be read", ".shx")


def test_text_in_another_encoding_than_stated_is_refused_or_shown(tmp_path) -> None:
    shapefile(tmp_path, {"Côte d'Ivoire": box(0, 0, 1, 1)}, "cp1252", "UTF-8")
    refused(RegionMap(path=str(tmp_path / "map.shp"), field="name"), "not text in the encoding stated", "cp1252")


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        ([1.0], [1.0, 2.0]),
        ([1.0, 2.0], [2.0, 1.0]),
        ([1.0, 3.0, 2.0], [1.0, 2.0]),
        ([1, 2], np.arange(0, 363)),
        ([1, np.nan], [1, 2]),
    ],
)
def test_grids_that_are_none_are_refused(tmp_path, lat, lon) -> None:
    with pytest.raises(GridError):
        region_shares(make(tmp_path, {"a": box(0, 0, 1, 1)}), lat, lon)

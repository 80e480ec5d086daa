"""Soil maps of mapping units: HWSD 1.2 and 2.0 and tables of one's own, weighted means by hand, and bad tables."""

import numpy as np
import pytest

from fluxatlas.config.static import Layer, SoilMap, StaticBlock, static_inputs
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from fluxatlas.regrid.tables import units_of
from static_layouts import HWSD2_COLUMNS, hwsd1_table, netcdf, write_tif

TILE = get_grid("4km").tile("N38W008", 1)
FRAME = Frame.around(TILE)
UNIT_A = {"MU_GLOBAL": 11, "ISSOIL": 1}
ROWS = [
    UNIT_A | {"SHARE": 60, "SEQ": 1, "T_SAND": 50, "T_CLAY": 20, "T_OC": 1.2, "T_REF_BULK_DENSITY": 1.4,
              "T_BULK_DENSITY": 1.3, "T_PH_H2O": 6.0, "S_SAND": 40, "S_CLAY": 30, "S_OC": 0.5},
    UNIT_A | {"SHARE": 30, "SEQ": 2, "T_SAND": 80, "T_CLAY": 5, "T_OC": 0.6, "T_REF_BULK_DENSITY": 1.6,
              "T_BULK_DENSITY": 1.5, "T_PH_H2O": 7.0, "S_SAND": 80, "S_CLAY": 6, "S_OC": 0.2},
    UNIT_A | {"SHARE": 10, "SEQ": 3, "ISSOIL": 0},  # rock: no soil, no values
    {"MU_GLOBAL": 7001, "ISSOIL": 1, "SHARE": 100, "SEQ": 1, "T_SAND": 10, "T_CLAY": 60, "T_OC": 3, "S_SAND": -9,
     "T_REF_BULK_DENSITY": 1.2, "T_PH_H2O": 5.5},
    {"MU_GLOBAL": 7002, "ISSOIL": 0, "SHARE": 100, "SEQ": 1},  # a lake
]  # fmt: skip


@pytest.fixture
def codes(tmp_path):
    """Mapping units of 30 arc-seconds: 11 in the west of the tile, 7001 in its east, a lake in a corner, 0 at sea."""
    data = np.full((360, 360), 11, np.uint16)
    data[:, 180:] = 7001
    data[120:130, 120:130] = 7002
    data[:, 235:] = 0
    return write_tif(tmp_path / "hwsd.tif", data, -9, 40, 120)


@pytest.fixture
def table(tmp_path):
    return hwsd1_table(tmp_path / "HWSD_DATA.csv", ROWS)


def test_share_weighted_means_by_hand_in_canonical_units(codes, table) -> None:
    """Unit 11: soils of 60 and 30 %, so weights 2/3 and 1/3; rock does not count; organic carbon % -> g/kg."""
    layers = StaticBlock(soil=SoilMap(provider="hwsd", path=codes, table=table)).all_layers()
    expected = {
        "sand": ((60 * 50 + 30 * 80) / 90, 10),
        "clay": ((60 * 20 + 30 * 5) / 90, 60),
        "soc": ((60 * 12 + 30 * 6) / 90, 30),
        "phh2o": ((60 * 6 + 30 * 7) / 90, 5.5),
        "bdod": ((60 * 1300 + 30 * 1500) / 90, np.nan),  # T_BULK_DENSITY takes precedence over T_REF_BULK_DENSITY
    }
    for name, (west, east) in expected.items():
        found = read_layer(name, layers[name], FRAME)
        np.testing.assert_allclose(found[10, 2:11], west, rtol=1e-6, err_msg=name)
        np.testing.assert_allclose(found[10, 13:22], east, rtol=1e-6, err_msg=name)
        assert np.isnan(found[0, 0]) and np.isnan(found[:, 23]).all(), name  # the lake and the sea
    reference = Layer(path=codes, table=table, variable="T_REF_BULK_DENSITY", provider="hwsd")
    found = read_layer("bdod", reference, FRAME)
    np.testing.assert_allclose(found[10, [5, 15]], [(60 * 1400 + 30 * 1600) / 90, 1200], rtol=1e-6)


def test_codes_are_never_averaged(codes, table) -> None:
    """In a cell with both units the value is the mean of their values by area: 11 has 2 of 5 pixels of column 12."""
    data = np.full((360, 360), 11, np.uint16)
    data[:, 182:] = 7001  # 2 of 5 pixels of column 12 are west
    from rasterio import open as open_raster

    with open_raster(codes, "r+") as raster:
        raster.write(data, 1)
    found = read_layer("sand", Layer(path=codes, table=table), FRAME)
    np.testing.assert_allclose(found[:, 12], (2 * 60 + 3 * 10) / 5, rtol=1e-6)


def test_top_and_subsoil_weigh_by_their_part_of_the_depth(codes, table) -> None:
    """0-60 cm: 30 cm of topsoil and 30 of subsoil; a unit without subsoil keeps its topsoil."""
    layer = Layer(path=codes, table=table, provider="hwsd", depth=(0, 60))
    found = read_layer("sand", layer, FRAME)
    west = (60 * (50 + 40) / 2 + 30 * (80 + 80) / 2) / 90
    np.testing.assert_allclose(found[10, [5, 15]], [west, 10], rtol=1e-6)
    only_sub = read_layer("sand", layer.model_copy(update={"depth": (30.0, 100.0)}), FRAME)
    np.testing.assert_allclose(only_sub[10, 5], (60 * 40 + 30 * 80) / 90, rtol=1e-6)
    assert np.isnan(only_sub[10, 15])


def _hwsd2(path, rows, columns=HWSD2_COLUMNS):
    return hwsd1_table(path, rows, columns=columns)


def test_hwsd_2_layers(codes, tmp_path) -> None:
    """D1 0-20 and D2 20-40 cm: the upper 30 cm are two thirds D1; -9 is missing; layers below do not count."""
    unit = {"HWSD2_SMU_ID": 11, "SEQUENCE": 1, "SHARE": 70}
    other = {"HWSD2_SMU_ID": 11, "SEQUENCE": 2, "SHARE": 30}
    rows = [
        unit | {"LAYER": "D1", "TOPDEP": 0, "BOTDEP": 20, "SAND": 30, "ORG_CARBON": 2.0, "BULK": 1.2, "PH_WATER": 6},
        unit | {"LAYER": "D2", "TOPDEP": 20, "BOTDEP": 40, "SAND": 60, "ORG_CARBON": 0.5, "BULK": 1.5, "PH_WATER": 7},
        unit | {"LAYER": "D3", "TOPDEP": 40, "BOTDEP": 60, "SAND": 99, "ORG_CARBON": 0.1, "BULK": 1.6, "PH_WATER": 8},
        other | {"LAYER": "D1", "TOPDEP": 0, "BOTDEP": 20, "SAND": 45, "ORG_CARBON": 1, "BULK": -9, "PH_WATER": -9},
        other | {"LAYER": "D2", "TOPDEP": 20, "BOTDEP": 40, "SAND": -9, "ORG_CARBON": -9, "BULK": -9, "PH_WATER": -1},
        {"HWSD2_SMU_ID": 7001, "SEQUENCE": 1, "SHARE": 100, "LAYER": "D1", "TOPDEP": 0, "BOTDEP": 20, "SAND": -9},
        {"HWSD2_SMU_ID": 7002, "SEQUENCE": 1, "SHARE": 100, "LAYER": "D1", "TOPDEP": 0, "BOTDEP": 20, "SAND": -4},
    ]
    path = _hwsd2(tmp_path / "HWSD2_LAYERS.csv", rows)
    weights = np.array([70 * 20, 70 * 10, 30 * 20])
    sand = (weights * [30, 60, 45]).sum() / weights.sum()
    soc = (weights * [20, 5, 10]).sum() / weights.sum()
    bdod, ph = (20 * 1200 + 10 * 1500) / 30, (20 * 6 + 10 * 7) / 30
    for name, value in (("sand", sand), ("soc", soc), ("bdod", bdod), ("phh2o", ph)):
        found = read_layer(name, Layer(path=codes, table=path, provider="hwsd"), FRAME)
        np.testing.assert_allclose(found[10, 5], value, rtol=1e-6, err_msg=name)
        assert np.isnan(found[10, 15])
    bare = _hwsd2(tmp_path / "named.csv", rows, HWSD2_COLUMNS.replace("TOPDEP,BOTDEP,", ""))
    found = read_layer("sand", Layer(path=codes, table=bare, provider="hwsd"), FRAME)
    np.testing.assert_allclose(found[10, 5], sand, rtol=1e-6)  # by the names D1, D2


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_spellings_of_csv_make_no_difference(codes, tmp_path, mark) -> None:
    """Separators, quotes, letter case, line ends, a byte-order mark, decimal commas."""
    plain = units_of("soc", Layer(path=codes, table=hwsd1_table(tmp_path / "plain.csv", ROWS)))
    path = tmp_path / "other.csv"
    hwsd1_table(path, ROWS, mark=mark, newline="\r\n")
    text = path.read_text(encoding="utf-8").replace("MU_GLOBAL", '"mu_global"').replace("T_OC", "t_oc")
    text = text.replace(".", ",") if mark == ";" else text
    path.write_text(text, encoding="utf-8-sig")
    found = units_of("soc", Layer(path=codes, table=str(path)))
    np.testing.assert_array_equal(found.codes, plain.codes)
    np.testing.assert_allclose(found.values, plain.values, rtol=1e-12)


def test_a_table_with_columns_of_its_own(codes, tmp_path) -> None:
    path = tmp_path / "soils.csv"
    path.write_text("unit,part,top,low,sand_pct\n11,1,0,20,40\n11,1,20,50,70\n7001,1,0,50,15\n7002,1,0,50,\n")
    columns = {"code": "unit", "share": "part", "top": "top", "bottom": "low"}
    layer = Layer(path=codes, table=str(path), variable="sand_pct", columns=columns, units="%")
    found = read_layer("sand", layer, FRAME)
    np.testing.assert_allclose(found[10, [5, 15]], [(20 * 40 + 10 * 70) / 30, 15], rtol=1e-6)


def test_a_map_of_codes_in_netcdf(table, tmp_path) -> None:
    """The HWSD of ORNL DAAC: a variable of mapping units on 0.05 degree, -1 or missing at sea."""
    lat, lon = 40 - (np.arange(60) + 0.5) / 20, -9 + (np.arange(60) + 0.5) / 20
    data = np.full((60, 60), 11.0)
    data[:, 40:] = np.nan
    path = netcdf(tmp_path / "HWSD_MU.nc4", {"MU_GLOBAL": (("lat", "lon"), data)}, lat, lon)
    found = read_layer("sand", Layer(path=path, table=table, method="conservative"), FRAME)
    np.testing.assert_allclose(found[10, 5], 60, rtol=1e-6)


def test_map_and_table_are_inputs(codes, table) -> None:
    block = StaticBlock(soil=SoilMap(provider="hwsd", path=codes, table=table))
    assert static_inputs(block) == [codes, table]


def _latin1(path):
    path.write_bytes(b"MU_GLOBAL,SHARE,SU_SYM90,T_SAND\n11,100,F\xe9rralsol,30\n")


BAD = {
    "absent": (lambda p: None, "file not found"),
    "empty": (lambda p: p.write_bytes(b"  \n"), "the table is empty"),
    "header only": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n"), "the table has no rows"),
    "not utf-8": (_latin1, "line 2 is not UTF-8 text"),
    "access": (lambda p: p.write_bytes(b"\x00\x01\x00\x00Standard Jet DB\x00\xff"), "Access database"),
    "binary": (lambda p: p.write_bytes(b"MU_GLOBAL\x00SHARE"), "is not text"),
    "other table": (lambda p: p.write_text("CODE,VALUE\n1,Sand\n"), "no column of mapping units"),
    "no share": (lambda p: p.write_text("MU_GLOBAL,T_SAND\n11,3\n"), "no column SHARE"),
    "no value": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_CLAY\n11,100,3\n"), "no column 'T_SAND'"),
    "text": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,much\n"), r"'much' in column 'T_SAND'(.|\n)*2"),
    "all missing": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,-9\n"), "no mapping unit has a value"),
    "doubled": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,3\n11,100,3\n"), "add up to 200"),
    "negative": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,-5,3\n"), "share is negative"),
    "no code": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,3\n,100,3\n"), "without a mapping unit"),
    "range": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,300\n7001,100,3\n7002,100,3\n"), "lie outside"),
    "ragged": (lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,30,1,2\n11,1\n"), "."),
    "smu only": (lambda p: p.write_text("HWSD2_SMU_ID,SHARE,SAND\n11,100,3\n"), "no column LAYER"),
    "unknown units": (
        lambda p: p.write_text("MU_GLOBAL,SHARE,T_SAND\n11,100,3\n"),
        r"2 mapping units(.|\n)*7001, 7002",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables_are_refused_with_one_message(codes, tmp_path, case) -> None:
    write, message = BAD[case]
    path = tmp_path / "table.csv"
    write(path)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        read_layer("sand", Layer(path=codes, table=str(path), provider="hwsd"), FRAME)
    assert str(path) in caught.value.where


def test_a_table_needs_one_map(codes, table) -> None:
    with pytest.raises(InputError, match="needs one map"):
        read_layer("sand", Layer(path=[codes, codes], table=table), FRAME)

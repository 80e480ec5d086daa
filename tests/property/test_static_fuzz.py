"""Damaged tables and settings beside the data of sites: each is read, or refused with one FluxAtlasError."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import DAMAGES, cases, damaged
from fluxatlas.config import load
from fluxatlas.config.static import Layer
from fluxatlas.errors import FluxAtlasError
from fluxatlas.fetch.recipe import RECIPES, load_recipe
from fluxatlas.paths import REPOSITORY
from fluxatlas.regrid.region_codes import names_of_table
from fluxatlas.regrid.tables import units_of

CASES = cases(30)
HWSD1 = """\
ID,MU_GLOBAL,ISSOIL,SHARE,SEQ,T_SAND,T_CLAY,T_OC,T_REF_BULK_DENSITY,T_BULK_DENSITY,T_PH_H2O,S_SAND,S_CLAY,S_OC
1,11,1,60,1,50,20,1.2,1.4,1.3,6.0,40,30,0.5
2,11,1,30,2,80,5,0.6,1.6,1.5,7.0,80,6,0.2
3,11,0,10,3,,,,,,,,,
4,7001,1,100,1,10,60,3,1.2,,5.5,-9,,
5,7002,0,100,1,,,,,,,,,
"""
HWSD2 = """\
ID;HWSD2_SMU_ID;SEQUENCE;SHARE;LAYER;TOPDEP;BOTDEP;SAND;CLAY;ORG_CARBON;BULK;PH_WATER
1;3;1;70;D1;0;20;50;20;1.2;1.4;6.0
2;3;1;70;D2;20;40;40;30;0.5;1.5;6.2
3;3;2;30;D1;0;20;80;5;0.6;1.6;7.0
4;9;1;100;D1;0;20;-9;60;3;1.2;5.5
"""
NAMES = '# TransCom regions\ncode,name\n1,North American Boreal\n2,"Europe, west"\n-3,Océan\n'


@pytest.mark.parametrize("text", [HWSD1, HWSD2], ids=["hwsd", "hwsd2"])
def test_soil_tables(text: str) -> None:
    @CASES
    @given(DAMAGES, st.sampled_from(["sand", "bdod", "phh2o"]))
    def any_damage(damages: list[tuple[str, int, int]], name: str) -> None:
        data = damaged(text.encode(), damages, ";" if text == HWSD2 else ",")
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / "table.csv"
            table.write_bytes(data)
            try:
                found = units_of(name, Layer(path="codes.tif", table=str(table)))
            except FluxAtlasError as problem:
                assert str(table) in problem.where and problem.hint
            else:
                assert (np.diff(found.codes) > 0).all() and np.isfinite(found.values).any()
                assert (found.values[np.isfinite(found.values)] >= 0).all()

    any_damage()


@CASES
@given(DAMAGES)
def test_names_of_regions(damages: list[tuple[str, int, int]]) -> None:
    data = damaged(NAMES.encode(), damages, ",")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "names.csv"
        table.write_bytes(data)
        try:
            found = names_of_table(str(table))
        except FluxAtlasError as problem:
            assert str(table) in problem.where and problem.hint
        else:
            assert found and all(name.strip() == name and name for name in found.values())


FILES = {
    "configuration": (
        load,
        [REPOSITORY / "config" / "config.yaml", *(REPOSITORY / "config" / "examples").glob("*.yaml")],
    ),
    "recipe": (load_recipe, RECIPES.glob("*.yaml")),
}


@pytest.mark.parametrize("what", FILES)
def test_settings(what: str) -> None:
    read, paths = FILES[what]

    @CASES
    @given(st.sampled_from(sorted(paths)), DAMAGES)
    def any_damage(path: Path, damages: list[tuple[str, int, int]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            changed = Path(folder) / "settings.yaml"
            changed.write_bytes(damaged(path.read_bytes(), damages, ":"))
            try:
                read(changed)
            except FluxAtlasError as problem:
                assert str(changed) in problem.where and problem.hint

    any_damage()

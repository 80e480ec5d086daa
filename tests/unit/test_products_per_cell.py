"""The flux per area of the whole cell: its share multiplied once, named so, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from typer.testing import CliRunner

from fluxatlas.errors import ConfigError, InputError
from fluxatlas.products.commands import app
from fluxatlas.products.per_cell import write_per_cell
from fluxatlas.systems import get_system
from tiny_product import WEIGHTS, product

SYSTEM = get_system("wetland_methane")


@pytest.fixture
def daily(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(WEIGHTS, "wetland_methane", ("sftlf", "wetlandFrac"))
    product(tmp_path, "wetland_methane", "fch4wet", 2001, days=40)
    return tmp_path / "products" / "daily" / "fch4wet_2001.nc"


def test_both_fluxes_integrate_to_the_same_mass_and_say_what_they_are_per(daily: Path, tmp_path: Path) -> None:
    output = tmp_path / "fch4wetcell_2001.nc"
    arguments = ["--daily", str(daily), "--variable", "fch4wetcell", "--output", str(output)]
    done = CliRunner().invoke(app, ["per-cell", *arguments, "--system", "wetland_methane"])
    assert done.exit_code == 0, done.output
    with netCDF4.Dataset(daily) as part, netCDF4.Dataset(output) as whole:
        area = part["areacella"][:]
        wetland = area * part["sftlf"][:] / 100 * part["wetlandFrac"][:] / 100
        for name in ("", "_sd"):
            own, other = part[f"fch4wet{name}"][:], whole[f"fch4wetcell{name}"][:]
            np.testing.assert_allclose((other * area).sum(), (own * wetland).sum(), rtol=1e-5)
            assert (np.ma.getmaskarray(other) == np.isnan(np.ma.filled(own, np.nan))).all() or np.isnan(other).any()
        cell = whole["fch4wetcell"]
        assert cell.cell_methods == "time: mean area: mean where wetland over all_area_types"
        assert cell.units == "mg m-2 d-1" and cell.standard_name.endswith("wetland_biological_processes")
        assert "wetlandFrac" not in whole.variables and "areacella" in whole.variables
        assert "per area of the whole cell" in whole.comment and json.loads(whole.fluxatlas_settings)["system"]
        np.testing.assert_array_equal(whole["time"][:], part["time"][:])


def test_what_is_not_there_is_refused(daily: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.nc"
    with pytest.raises(ConfigError, match="'fch4wet' is not a flux of wetland_methane per area of the cell"):
        write_per_cell(output, daily, "fch4wet", SYSTEM)
    with netCDF4.Dataset(daily, "a") as file:
        file.renameVariable("wetlandFrac", "other")
    with pytest.raises(InputError, match="no variable 'wetlandFrac'"):
        write_per_cell(output, daily, "fch4wetcell", SYSTEM)
    assert not output.exists()

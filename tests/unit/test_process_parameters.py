"""The table of parameters, the structures and the soil properties: contents, draws and error paths."""

import numpy as np
import pandas as pd
import pytest

from fluxatlas.errors import InputError
from fluxatlas.paths import RESOURCES
from fluxatlas.process import MethaneStructure, parameters, soil_properties
from fluxatlas.process.hydraulics import cosby_b, cosby_k_sat, cosby_psi_sat
from fluxatlas.process.structure import code
from fluxatlas.systems import get_system
from fluxatlas.theta import draw
from fluxatlas.variables import _parse

TABLE = parameters.SOIL.rows()
ALL = {
    f"{file.stem}-{name}": row
    for file in sorted((RESOURCES / "parameters").glob("*.csv"))
    for name, row in parameters.ParameterTable(file.stem).rows().iterrows()
}


@pytest.mark.parametrize("row", ALL.values(), ids=ALL)
def test_every_parameter_is_complete(row: pd.Series) -> None:
    assert row["lower"] <= row["default"] <= row["upper"]
    assert row["lower"] < row["upper"]
    assert row["prior"] in ("uniform", "loguniform", "lognormal")
    assert (row["prior"] == "lognormal") == np.isfinite(row["spread"])
    assert row["prior"] == "uniform" or row["lower"] > 0
    assert row["tag"] in ("V", "R+", "R", "R-", "D")
    assert len(row["source"]) > 10 and len(row["meaning"]) > 10
    _parse(row["unit"])


def test_samples_follow_their_priors() -> None:
    drawn = draw(parameters.SOIL.priors(), {}, 20000, np.random.default_rng(0)).values
    assert tuple(drawn) == parameters.SOIL.names
    for name, values in drawn.items():
        assert values.shape == (20000,)
        assert values.min() >= TABLE.at[name, "lower"] and values.max() <= TABLE.at[name, "upper"]
    rate = drawn["oxidation_rate"]
    assert np.median(rate) == pytest.approx(4e-5, rel=0.03)
    assert np.std(np.log(rate)) == pytest.approx(np.log(2), rel=0.03)
    assert np.mean(drawn["oxidation_q10"]) == pytest.approx(1.95, rel=0.01)
    assert np.median(drawn["suction_high"]) == pytest.approx(np.sqrt(2e4 * 2e5), rel=0.05)


def test_parameters_are_completed_and_checked() -> None:
    full = parameters.SOIL.complete({"albedo": 0.3, "melt_factor": np.array([2.0, 3.0])}, 2)
    assert full["albedo"].tolist() == [0.3, 0.3] and full["melt_factor"].tolist() == [2.0, 3.0]
    assert full["oxidation_rate"].tolist() == [4e-5, 4e-5]
    assert parameters.SOIL.defaults()["albedo"] == 0.2
    with pytest.raises(InputError, match=r"unknown parameter 'albdo'; did you mean 'albedo'"):
        parameters.SOIL.complete({"albdo": 0.2}, 2)
    with pytest.raises(InputError, match=r"'albedo' has shape \(3,\)"):
        parameters.SOIL.complete({"albedo": np.full(3, 0.2)}, 2)
    with pytest.raises(InputError, match=r"'albedo' is 0\.9, outside 0\.08"):
        parameters.SOIL.complete({"albedo": np.array([0.2, 0.9])}, 2)
    with pytest.raises(InputError, match="'albedo' is nan"):
        parameters.SOIL.complete({"albedo": float("nan")}, 2)


def test_structures_by_name_code_and_draw() -> None:
    codes = MethaneStructure(diffusivity="penman", moisture=np.array([0, 2])).codes(2)
    assert codes["diffusivity"].tolist() == [5, 5] and codes["moisture"].tolist() == [0, 2]


def test_bad_structures_are_refused() -> None:
    with pytest.raises(InputError, match=r"unknown temperature model 'mem'; did you mean 'memo'"):
        MethaneStructure(temperature="mem").codes(1)
    with pytest.raises(InputError, match=r"codes 0\.\.9"):
        MethaneStructure(moisture=np.array([0, 9])).codes(2)
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        MethaneStructure(moisture=np.zeros(3, int)).codes(2)
    with pytest.raises(InputError, match="type float64"):
        MethaneStructure(moisture=np.zeros(2)).codes(2)
    with pytest.raises(InputError, match="unknown profile model 'x'"):
        code("profile", "x")


def test_soil_properties_follow_the_published_regressions() -> None:
    mineral = {"sand": [40.0], "clay": [20.0], "soc": [0.0], "bdod": [1325.0]}
    soil = soil_properties(mineral)
    assert soil["phi"][0] == pytest.approx(0.5)
    # the CLM technical note prints these for 40 % sand and 20 % clay
    assert soil["b"][0] == pytest.approx(6.09) == cosby_b(20.0)
    assert soil["psi_sat"][0] == pytest.approx(0.2270, abs=1e-4) == cosby_psi_sat(40.0)
    assert soil["k_sat"][0] == pytest.approx(3.77e-6, rel=2e-3) == cosby_k_sat(40.0)
    kpa = soil["psi_sat"] * 9.81 * (soil["theta_wp"] / soil["phi"]) ** -soil["b"]
    assert kpa[0] == pytest.approx(1500.0)


def test_soil_properties_are_ordered_over_all_soils() -> None:
    rng = np.random.default_rng(0)
    sand = rng.uniform(0, 100, 2000)
    given = {"sand": sand, "clay": rng.uniform(0, 1, 2000) * (100 - sand)}
    given |= {"soc": rng.uniform(0, 500, 2000), "bdod": rng.uniform(60, 2200, 2000)}
    soil = soil_properties(given)
    assert all(np.isfinite(values).all() for values in soil.values())
    assert (soil["theta_dry"] > 0).all() and (soil["theta_dry"] < soil["theta_wp"]).all()
    assert (soil["theta_wp"] < soil["theta_fc"]).all() and (soil["theta_fc"] <= soil["phi"]).all()
    assert (soil["lam_dry"] <= soil["lam_wet"]).all() and (soil["lam_wet"] <= soil["lam_ice"]).all()
    assert soil["phi"].min() >= 0.2 and soil["phi"].max() <= 0.95


def test_bad_soils_are_refused() -> None:
    good = {"sand": [40.0], "clay": [20.0], "soc": [10.0], "bdod": [1300.0]}
    with pytest.raises(InputError, match="'soc' is missing"):
        soil_properties({name: good[name] for name in ("sand", "clay", "bdod")})
    with pytest.raises(InputError, match="'clay' is not finite in cell 1"):
        soil_properties({**good, "clay": [20.0, np.nan]})
    with pytest.raises(InputError, match="'sand' lie outside"):
        soil_properties({**good, "sand": [140.0]})


def test_statics_of_the_system_are_provided() -> None:
    statics = set(get_system("soil_methane_sink").statics)
    given = {"sand": [40.0], "clay": [20.0], "soc": [10.0], "bdod": [1300.0]}
    assert statics <= set(get_system("soil_methane_sink").attributes) | set(soil_properties(given))

"""The methane column in torch against the compiled one: all structures, both precisions, gradients, limits."""

import numpy as np
import pytest
import torch

from fluxatlas.process import CHOICES, MethaneStructure, methane_under, parameters, soil_properties
from fluxatlas.process import methane_column_torch as column
from fluxatlas.process.hydraulics import retained
from fluxatlas.theta import draw
from process_weather import soils

DAYS = 6
FORMS = [(choice, name) for choice, names in CHOICES.items() for name in names]


def world(cells: int, seed: int = 0) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Random soil and weather (time, cell), attributes and parameters (cell,) of every kind of day, and codes (cell,):
    frozen and hot, dry and full, with snow, with a dust of snow without thickness and without snow."""
    rng = np.random.default_rng(seed)
    attributes = soils(cells)
    phi, shape = soil_properties(attributes)["phi"], (DAYS, cells)
    series = {f"tsl{z}": 273.15 + rng.uniform(-20, 45, shape) for z in ("05", "15", "45")}
    series |= {f"swc{z}": phi * rng.uniform(0.0, 1.05, shape) for z in ("05", "15", "45")}
    snd = np.where(rng.random(shape) < 0.5, 0.0, rng.uniform(0, 2, shape))
    series |= {"snd": snd, "snw": np.where(rng.random(shape) < 0.1, 1.0, snd * rng.uniform(80, 450, shape))}
    weather = {"tas": rng.uniform(240, 310, shape), "ps": rng.uniform(6e4, 1.03e5, shape)}
    weather |= {"huss": rng.uniform(1e-4, 0.02, shape), "ch4": rng.uniform(1700, 2000, shape)}
    codes = {name: rng.integers(0, len(forms), cells) for name, forms in CHOICES.items()}
    return {
        "soil": series,
        "weather": weather,
        "site": attributes,
        "p": draw(parameters.SOIL.priors(), {}, cells, rng).values,
    }, codes


def known_of(given, codes, dtype=torch.float64) -> dict[str, torch.Tensor]:
    site = {**given["site"], "phi": soil_properties(given["site"])["phi"]}
    values = {**given["soil"], **given["weather"], **{name: site[name] for name in column.STATICS}, **given["p"]}
    return {name: torch.as_tensor(v, dtype=dtype) for name, v in {**values, **codes}.items()}


def both(known: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    made = column.column(known)
    return made | column.fluxes({**known, **made})


@pytest.mark.parametrize(("dtype", "rtol", "atol"), [(np.float64, 1e-9, 1e-9), (np.float32, 1e-4, 1e-6)])
def test_equals_the_compiled_column_for_all_parameters_and_structures(dtype, rtol, atol) -> None:
    given, codes = world(600)
    given = {part: {k: np.asarray(v, dtype).astype(float) for k, v in values.items()} for part, values in given.items()}
    rows = parameters.SOIL.rows()
    given["p"] = {name: np.clip(v, rows.at[name, "lower"], rows.at[name, "upper"]) for name, v in given["p"].items()}
    truth = methane_under(
        given["soil"], given["weather"], given["site"], given["p"], MethaneStructure(**codes), dtype=np.float64
    )
    made = both(known_of(given, codes, torch.float64 if dtype is np.float64 else torch.float32))
    for name, expected in truth.items():
        assert np.isfinite(expected).all()
        size = np.abs(expected) if name != "fch4" else truth["ch4ox"] + truth["ch4prod"]  # a difference of the two
        assert (np.abs(made[name].numpy() - expected) <= rtol * size + atol * np.abs(expected).mean()).all(), name


@pytest.mark.parametrize(("choice", "name"), FORMS)
def test_one_form_for_all_cells_equals_it_among_others(choice, name) -> None:
    given, codes = world(40)
    alike = {**codes, choice: np.full(40, CHOICES[choice].index(name))}
    expected = methane_under(
        given["soil"], given["weather"], given["site"], given["p"], MethaneStructure(**alike), dtype=np.float64
    )
    made = both(known_of(given, alike))
    np.testing.assert_allclose(made["ch4ox"].numpy(), expected["ch4ox"], rtol=1e-9)
    np.testing.assert_allclose(made["ch4prod"].numpy(), expected["ch4prod"], rtol=1e-9)


def test_retention_is_that_of_the_process_model() -> None:
    given, codes = world(200)
    soil = column.retention(known_of(given, codes))
    truth = retained(soil_properties(given["site"]), given["p"]["retention_factor"])
    for name, values in soil._asdict().items():
        np.testing.assert_allclose(values.numpy(), truth[name], rtol=1e-12, err_msg=name)


def test_missing_days_are_missing() -> None:
    given, codes = world(5)
    for day, name in enumerate(("tsl05", "swc45", "snw", "snd", "tas")):
        (given["soil"] if name in given["soil"] else given["weather"])[name][day, 2] = np.nan
    flux = both(known_of(given, codes))["fch4"]
    assert torch.isnan(flux[:5, 2]).all() and int(torch.isnan(flux).sum()) == 5


def test_gradients_are_slopes() -> None:
    """To every series, static and parameter, at days between the kinks of the formulas."""
    given, codes = world(24, seed=3)
    rng = np.random.default_rng(1)
    phi, shape = soil_properties(given["site"])["phi"], (DAYS, 24)
    given["soil"] |= {f"tsl{z}": rng.uniform(275, 290, shape) for z in ("05", "15", "45")}
    given["soil"] |= {f"swc{z}": phi * rng.uniform(0.62, 0.9, shape) for z in ("05", "15", "45")}
    given["soil"] |= {"snd": rng.uniform(0.1, 1.0, shape), "snw": rng.uniform(200, 300, shape)}
    given["p"]["retention_factor"] = np.full(24, 1.1)
    known = known_of(given, codes)
    names = [name for name in known if name not in CHOICES and name not in ("crop", "bdod")]
    inputs = [known[name].clone().requires_grad_() for name in names]

    def loss(*values: torch.Tensor) -> torch.Tensor:
        made = both({**known, **dict(zip(names, values, strict=True))})
        return torch.stack([made[name].log().mean() for name in ("difs", "oxk", "ch4prod", "ch4ox")])

    grads = torch.autograd.grad(loss(*inputs).sum(), inputs, allow_unused=True, materialize_grads=True)
    for number, (name, value, grad) in enumerate(zip(names, inputs, grads, strict=True)):
        step = 1e-6 * value.detach().abs().clamp_min(1e-9)
        ends = [loss(*inputs[:number], value.detach() + s * step, *inputs[number + 1 :]).sum().item() for s in (-1, 1)]
        slope = (ends[1] - ends[0]) / 2
        assert float((grad * step).sum()) == pytest.approx(slope, rel=2e-4, abs=1e-12), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("limit", ["frozen", "saturated", "dry", "inactive", "barren", "hot"])
def test_gradients_are_finite_at_the_limits(limit, dtype) -> None:
    given, codes = world(60)
    soil, p = given["soil"], given["p"]
    for name in soil:
        if limit in ("frozen", "hot") and name.startswith("tsl"):
            soil[name][:] = 273.15 - 40 if limit == "frozen" else 273.15 + 70
        if limit in ("saturated", "dry") and name.startswith("swc"):
            soil[name][:] = 1.0 if limit == "saturated" else 0.0
    if limit == "inactive":
        p["oxidation_rate"] = np.zeros(60)
    if limit == "barren":
        p["production_rate"], p["litter_depth"], p["production_dry"] = np.zeros(60), np.zeros(60), np.zeros(60)
    known = {k: v if k in CHOICES else v.requires_grad_() for k, v in known_of(given, codes, dtype).items()}
    made = both(known)
    assert all(torch.isfinite(values).all() for values in made.values())
    if limit == "inactive":
        assert (made["ch4ox"] == 0).all()
    for name, values in made.items():
        known_grads = torch.autograd.grad(
            values.sum(), [known[k] for k in known if k not in CHOICES], retain_graph=True, allow_unused=True
        )
        assert all(torch.isfinite(grad).all() for grad in known_grads if grad is not None), name

"""The system of soil moisture and energy: closure of its heads, bounds, memory of rain, knowledge, sites."""

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from energy_cases import CASES, DATES, run
from fluxatlas.errors import ConfigError
from fluxatlas.loading import load_object
from fluxatlas.process.energy import canopy, canopy_torch
from fluxatlas.process.energy.column import TABLE
from fluxatlas.process.energy.retention import retained, soil_limits
from fluxatlas.process.evapotranspiration import net_radiation
from fluxatlas.process.projection_torch import project
from fluxatlas.process.snow import snow_cover
from fluxatlas.systems import Flux, Memory, get_system
from fluxatlas.systems.protocols import KnowledgeProbe
from fluxatlas.systems.soil_moisture_energy import knowledge, network
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.networks.antecedent import Antecedent

SYSTEM = get_system("soil_moisture_energy")
DAYS, CELLS = 40, 5


def inputs() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Drivers (time, cell) and statics (cell,) over a wide range of weather and soils."""
    rng = np.random.default_rng(0)
    tas = rng.uniform(240, 315, (DAYS, CELLS))
    found = {
        "tas": tas, "pr": rng.gamma(0.2, 20, tas.shape) / 86400, "rsds": rng.uniform(0, 380, tas.shape),
        "rlds": 0.75 * 5.67e-8 * tas**4, "huss": rng.uniform(0.0005, 0.015, tas.shape),
        "ps": rng.uniform(6e4, 1.03e5, tas.shape), "sfcWind": rng.uniform(0.2, 12, tas.shape),
        "lai": rng.uniform(0, 6, tas.shape), "co2": np.full(tas.shape, 390.0),
    }  # fmt: skip
    soil = {"sand": np.array([5, 92, 40, 20, 60.0]), "clay": np.array([60, 3, 20, 30, 10.0])}
    soil["soc"] = np.array([10, 2, 20, 350, 40.0])
    statics = soil | load_object(SYSTEM.process).derive(soil)

    def tensors(given: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        return {name: torch.tensor(values, dtype=torch.float32) for name, values in given.items()}

    return tensors(found), tensors(statics)


def make(head: str = "", code: int = 4) -> HierarchicalNetwork:
    """An untrained network whose weights are large, so that its outputs wander far."""
    torch.manual_seed(3)
    made = HierarchicalNetwork(SYSTEM, Architecture(hidden=8, head=head, code=code))
    drivers, statics = inputs()
    data = {
        **drivers,
        **statics,
        "rns": 80 * torch.randn(99),
        "hfls": 60 * torch.randn(99),
        "hfss": torch.randn(99) * 50,
    }
    data |= {"snw": torch.rand(99) * 50, "hfdsl": torch.randn(99) * 5, "swc05": torch.rand(99), "swc45": torch.rand(99)}
    made.scaler.fit(data | {"evapfrac": torch.rand(99)})
    for part in made.parts.values():
        torch.nn.init.normal_(part.readout.weight, std=2.0)
    return made.eval()


@pytest.mark.parametrize("head", ["fraction", "projection"])
def test_energy_closes_to_round_off_whatever_the_weights(head: str) -> None:
    drivers, statics = inputs()
    made, _ = make(head)(drivers, statics)
    left = made["rns"] - made["hfdsl"] - made["hfls"] - made["hfss"]
    assert made["rns"].abs().max() > 50 and made["hfls"].std() > 5
    assert left.abs().max() < 1e-3 + 1e-6 * made["rns"].abs().max()
    water = made["evspsbl"] * canopy_torch.latent_heat(drivers["tas"])
    torch.testing.assert_close(water, made["hfls"], rtol=1e-5, atol=1e-4)


def test_without_closure_it_does_not_close_and_the_term_says_so() -> None:
    drivers, statics = inputs()
    made, _ = make("open")(drivers, statics)
    left = made["rns"] - made["hfdsl"] - made["hfls"] - made["hfss"]
    assert left.abs().max() > 10
    found = knowledge.closure(*(made[name] for name in ("rns", "hfls", "hfss", "hfdsl")))
    torch.testing.assert_close(found, (left / 20).square().mean())
    assert "closure" not in {term.name for term in SYSTEM.terms("fraction")}
    assert "closure" in {term.name for term in SYSTEM.terms("open")}


def test_the_projection_is_the_constrained_least_squares_estimate() -> None:
    rng = np.random.default_rng(1)
    values, variances = rng.normal(0, 50, (7, 4)), rng.uniform(1, 400, (7, 4))
    for rows in ([[1.0, -1, -1, -1]], [[1.0, -1, -1, -1], [0, 1, 0.5, 0]]):
        a = np.array(rows)
        wanted = []
        for value, variance in zip(values, variances, strict=True):  # the Lagrange system, solved as it stands
            system = np.block([[np.diag(1 / variance), a.T], [a, np.zeros((len(a), len(a)))]])
            wanted.append(np.linalg.solve(system, np.concatenate([value / variance, np.ones(len(a))]))[:4])
        ones = torch.ones(7, len(a), dtype=torch.float64)
        found = project(torch.tensor(values), torch.tensor(variances), rows, ones)
        np.testing.assert_allclose(found.numpy(), np.array(wanted), atol=1e-9)
    given = torch.tensor(values, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: project(x, torch.tensor(variances), [[1.0, -1, -1, -1]]), given)


def test_soil_water_stays_between_air_dry_and_saturation() -> None:
    drivers, statics = inputs()
    theta = {"retention_factor": torch.tensor([0.7, 1.0, 1.4, 1.4, 0.8])}
    made, _ = make()(drivers, statics, theta=theta)
    soil = {name: statics[name].numpy().astype(float) for name in ("sand", "clay", "soc")}
    bounds = retained(soil_limits(soil), theta["retention_factor"].numpy().astype(float))
    for name, least in (("swc05", 0.5), ("swc45", 1.0)):
        values = made[name].detach().numpy()
        assert (values >= least * bounds["swcwp"] - 1e-6).all() and (values <= bounds["swcsat"] + 1e-6).all()
        assert values.std() > 0.02
    zero = torch.zeros(1, CELLS)
    given = statics | theta
    np.testing.assert_allclose(network.water(0.5)(zero, given, None, {})[0], bounds["swcfc"], atol=0.02)


def test_the_mean_of_past_rain_is_the_sum_over_all_days() -> None:
    memories = (Memory("pr", ("clay",), 10.6), Memory("tas", (), 3.0))
    past = Antecedent(memories)
    with torch.no_grad():
        past.slopes[0].fill_(0.7)
    series, clay = torch.rand(60, CELLS, 2, dtype=torch.float64), torch.linspace(-2, 2, CELLS, dtype=torch.float64)
    kept = past.kept({"clay": clay}, CELLS)
    assert kept.shape == (CELLS, 2) and (torch.diff(kept[:, 0]) > 0).all() and torch.diff(kept[:, 1]).abs().max() == 0
    assert float(kept[0, 1].detach()) == pytest.approx(np.exp(-1 / 3.0), rel=1e-6)
    means, last = past(series, kept)
    for day in (0, 7, 59):
        lag = torch.arange(day, -1, -1, dtype=torch.float64)[:, None, None]
        direct = ((1 - kept) * kept**lag * series[: day + 1]).sum(dim=0)
        torch.testing.assert_close(means[day], direct, rtol=1e-9, atol=1e-12)
    first, state = past(series[:23], kept)
    second, end = past(series[23:], kept, state)
    torch.testing.assert_close(torch.cat([first, second]), means, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(end, last, rtol=1e-12, atol=1e-15)
    means[-1, :, 0].sum().backward()
    assert past.base.grad is not None and past.slopes[0].grad is not None and past.slopes[0].grad.abs().sum() > 0


def test_the_network_remembers_rain_across_calls_and_when_it_is_bound() -> None:
    drivers, statics = inputs()
    whole = make()
    made, last = whole(drivers, statics)
    shapes = {name: (shape[0], CELLS, shape[1]) for name, shape in whole.state_shapes.items()}
    assert {name: tuple(value.shape) for name, value in last.items()} == shapes and "hydrology_past" in shapes
    assert whole.shape.state == sum(first * end for first, end in whole.state_shapes.values())
    half, state = whole({k: v[:17] for k, v in drivers.items()}, statics)
    rest, _ = whole({k: v[17:] for k, v in drivers.items()}, statics, state)
    torch.testing.assert_close(torch.cat([half["swc05"], rest["swc05"]]), made["swc05"], rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        whole.past["hydrology"].slopes[0].fill_(0.4)
    told, _ = whole(drivers, statics)
    assert not torch.allclose(told["swc05"], made["swc05"])
    bound, _ = whole.bind({})(drivers, statics)
    torch.testing.assert_close(bound["swc05"], told["swc05"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_the_process_model_obeys_all_knowledge(factor: float) -> None:
    for name, case in CASES.items():
        made = {key: torch.tensor(values) for key, values in run(case, retention_factor=factor).daily.items()}
        known = {key: torch.tensor(values, dtype=torch.float32) for key, values in case.weather().items()}
        soil = soil_limits(dict(zip(("sand", "clay", "soc"), case.soil, strict=True)))
        known |= {key: torch.tensor(soil[key], dtype=torch.float32).reshape(1) for key in ("swcwp", "swcfc", "swcsat")}
        told = {"retention_factor": torch.tensor([factor])}
        network = SimpleNamespace(theta={"retention_factor": 1.0})
        probe = KnowledgeProbe(network, made, known, 1, told)
        terms = (knowledge.equilibrium_term, knowledge.wetting_term, knowledge.dry_down_term, knowledge.closure_term)
        assert all(term(probe) < 1e-3 for term in terms), name
        rain = run(case, wetter=knowledge.WETTER, retention_factor=factor)
        for key in ("swc05", "swc45"):
            assert knowledge.antecedent(made[key], torch.tensor(rain[key])) < 1e-5, name


def test_what_breaks_a_rule_is_penalised_and_pulled_back() -> None:
    dry, none, sun = torch.zeros(3, 1), torch.zeros(3, 1), torch.full((3, 1), 50.0)
    swc = torch.tensor([[0.2], [0.3], [0.3]], requires_grad=True)
    value = knowledge.wetting(swc, dry, none)
    assert float(value) == pytest.approx((50 * 0.1 - 2.0) / 2)
    (gradient,) = torch.autograd.grad(value, swc)
    assert gradient[1] > 0 and gradient[0] < 0
    falling = torch.tensor([[0.3], [0.2], [0.2]], requires_grad=True)
    value = knowledge.dry_down(falling, dry, none, sun, torch.tensor([0.4]))
    energy = 86400 * 50 / 2.45e6
    assert float(value) == pytest.approx((50 * 0.1 - energy - 1) / 2, rel=1e-5)
    (gradient,) = torch.autograd.grad(value, falling)
    assert gradient[1] < 0
    wetter = torch.tensor([0.20, 0.31], requires_grad=True)
    value = knowledge.antecedent(torch.tensor([0.25, 0.3]), wetter)
    assert float(value) == pytest.approx(0.5)
    assert torch.autograd.grad(value, wetter)[0].tolist() == pytest.approx([-10.0, 0.0])
    latent = torch.tensor([200.0, -40.0], requires_grad=True)
    value = knowledge.equilibrium(latent, torch.tensor([50.0, 0.0]), torch.tensor([1.0, 1.0]), torch.zeros(2))
    assert float(value) == pytest.approx(((200 - 0.8 * 50 - 60) + 15) / 40)
    assert torch.autograd.grad(value, latent)[0].tolist() == pytest.approx([0.025, -0.025])


def test_terms_of_the_system_have_gradients_to_the_network() -> None:
    drivers, statics = inputs()
    made = make()
    outputs, _ = made(drivers, statics)
    found = Knowledge.of(SYSTEM, "pretrain").evaluate(made, outputs, drivers | statics)
    assert set(found) == {"equilibrium", "wetting", "dry_down", "antecedent"}
    for name, value in found.items():
        made.zero_grad()
        value.backward(retain_graph=True)
        if float(value.detach()) > 0:
            gradients = [weight.grad.abs().sum() for weight in made.parameters() if weight.grad is not None]
            assert float(sum(gradients)) > 0, name
    assert sum(float(value.detach()) > 0 for value in found.values()) >= 3


def test_torch_pieces_equal_those_of_the_kernel() -> None:
    rng = np.random.default_rng(2)
    tas, ps, lai, snw = (rng.uniform(*span, 50) for span in ((240, 315), (6e4, 1.03e5), (0, 6), (0, 60)))
    rsds, rlds = rng.uniform(0, 400, 50), rng.uniform(150, 420, 50)
    cover = snow_cover(snw)
    albedo = canopy.surface_albedo(0.2, 0.7, cover, lai)
    tensors = [torch.tensor(values) for values in (rsds, rlds, tas, snw, lai)]
    expected = net_radiation(rsds, rlds, tas, albedo)
    np.testing.assert_allclose(canopy_torch.net_radiation(*tensors, 0.2, 0.7), expected, rtol=1e-12)
    np.testing.assert_allclose(
        canopy_torch.slope_ratio(tensors[2], torch.tensor(ps)), canopy.slope_ratio(tas - 273.15, ps / 1000), rtol=1e-9
    )
    np.testing.assert_allclose(canopy_torch.latent_heat(tensors[2]), canopy.latent_heat(tas - 273.15), rtol=1e-12)
    ground = canopy_torch.ground_heat(torch.tensor(expected), tensors[4], 0.1)
    np.testing.assert_allclose(ground, canopy.ground_heat(expected, lai, 0.1), rtol=1e-12)


def test_evaporation_has_a_budget_per_second() -> None:
    from fluxatlas.products.budget import mass_factor

    assert mass_factor(SYSTEM.get_flux("evspsbl")) == pytest.approx(86400 * 1e-12)
    with pytest.raises(ConfigError, match="cannot be summed"):
        mass_factor(Flux("hfls", 1.0, "x", "Pg yr-1"))


def test_the_hidden_truth_lies_within_the_table_and_closes() -> None:
    rng = np.random.default_rng(4)
    soil = {"sand": rng.uniform(5, 90, 30), "soc": rng.uniform(2, 300, 30)}
    soil["clay"] = rng.uniform(0.1, 0.9, 30) * (95 - soil["sand"])
    truth = load_object(SYSTEM.truth)
    leaf = {"lai": rng.uniform(0, 6, (12, 30))}
    given = (rng.uniform(-10, 28, 30), soil, leaf, lambda name: rng.normal(0, 1, 30))
    rows = TABLE.rows()
    for found in (truth.parameters(*given), truth.parameters(*given, lambda name: rng.normal(0, 1, 30))):
        for name, values in found.items():
            assert (values >= rows.at[name, "lower"]).all() and (values <= rows.at[name, "upper"]).all(), name
    weather = {name: np.repeat(v[:400], 30, axis=1) for name, v in CASES["prairie GRA"].weather().items()}
    made = truth.simulate(weather, soil, found, lat=np.full(30, 40.0), dates=DATES[:400])
    assert set(SYSTEM.simulated) <= set(made)
    left = made["rns"].astype(float) - made["hfdsl"] - made["hfls"] - made["hfss"]
    assert np.abs(left).max() < 1e-3

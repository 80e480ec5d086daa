"""Each knowledge term is zero for a response that obeys and positive for one that does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import train_toy as toy
from fluxatlas.errors import ConfigError
from fluxatlas.process import CHOICES, parameters, soil_properties
from fluxatlas.process import methane_column_torch as column
from fluxatlas.process import methane_torch as physics
from fluxatlas.systems import KnowledgeTerm, System
from fluxatlas.systems.protocols import KnowledgeProbe
from fluxatlas.systems.soil_methane_sink import knowledge
from fluxatlas.theta import draw
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from process_weather import soils

CELSIUS = torch.tensor(knowledge.TEMPERATURES)
WET = torch.tensor(knowledge.SATURATIONS)
CH4 = torch.tensor(knowledge.METHANE)


def curry_temperature(celsius: torch.Tensor) -> torch.Tensor:
    """Response of Curry (2007) [V]; the flux goes with its square root."""
    cold = torch.where(celsius < -10, 0.0, (0.1 * celsius + 1) ** 2)
    warm = torch.exp(0.0693 * celsius - 8.56e-7 * celsius**4)
    return torch.where(celsius < 0, cold, torch.where(celsius < 43.3, warm, 0.0)).sqrt()[:, None]


def test_source_allowance() -> None:
    saturation, tsl = torch.tensor([[0.3, 0.3, 0.8, 0.3]]), torch.tensor([[290.0, 290.0, 290.0, 260.0]])
    assert knowledge.source_allowance(torch.tensor([[-1.0, 0.5, 5.0, 5.0]]), saturation, tsl) == 0
    value = knowledge.source_allowance(torch.tensor([[-1.0, 0.9, 5.0, 5.0]]), saturation, tsl)
    assert float(value) == pytest.approx(0.4 / 2)
    assert knowledge.source_allowance(torch.ones(1, 4), saturation * 0 + 1, tsl) == 0  # no dry day at all


@pytest.mark.parametrize(("power", "expected"), [(1.0, 0.0), (0.97, 0.0), (0.5, 0.4), (1.5, 0.48), (0.0, 0.9)])
def test_substrate_elasticity(power, expected) -> None:
    uptake = (CH4[:, None] / 1900) ** power * torch.tensor([[0.3, 2.0]])
    assert float(knowledge.substrate(uptake, CH4)) == pytest.approx(expected, abs=1e-4)


def test_temperature_response() -> None:
    obeys = curry_temperature(CELSIUS)
    # Q10 of the flux is 2**0.5 = 1.41 at low temperature and falls below 1.05 near the optimum of 27 degC
    assert float(knowledge.temperature(obeys, CELSIUS)) < 0.01
    assert knowledge.temperature(torch.full_like(obeys, 1.0), CELSIUS) > 0.5  # flat, and alive at -16 degC
    assert knowledge.temperature(3.0 ** ((CELSIUS[:, None] - 15) / 10), CELSIUS) > 0.5  # Q10 of 3 and no decline
    assert knowledge.temperature(obeys.flip(0), CELSIUS) > 0.5


def test_moisture_response() -> None:
    parabola = torch.clamp(1 - ((WET - 0.3) / 0.5) ** 2, min=0)[:, None]
    assert float(knowledge.moisture(parabola, WET)) < 1e-3
    two_peaks = torch.maximum(parabola, 0.8 * torch.exp(-(((WET - 0.85) / 0.05) ** 2))[:, None])
    assert float(knowledge.moisture(two_peaks, WET)) > 0.5
    assert float(knowledge.moisture(WET[:, None], WET)) > 0.05  # best when saturated
    assert float(knowledge.moisture(1 - WET[:, None], WET)) > 0.01  # best when dust-dry


def test_diffusion_limit() -> None:
    c0, difs = torch.tensor([[1.25]]), torch.tensor([[5e-6]])
    # 86400 * 1.25 * sqrt(5e-6 * 1e-3) = 7.64 binds before 86400 * 1.25 * 5e-6 / 0.02 = 27 mg m-2 d-1
    assert knowledge.diffusion_limit(torch.tensor([[7.6]]), c0, difs) == 0
    assert float(knowledge.diffusion_limit(torch.tensor([[15.27]]), c0, difs)) == pytest.approx(1.0, rel=2e-3)
    assert knowledge.diffusion_limit(torch.tensor([[-3.0]]), c0, difs) == 0


@pytest.fixture(scope="module")
def batch():
    data = toy.samples(n=3, days=40)
    return data, data.batch(data.windows(40), 0)


@pytest.mark.parametrize("head", ["column", "diffusion_oxidation", "free"])
def test_all_terms_have_gradients_and_the_physical_head_is_first_order(batch, head) -> None:
    data, tensors = batch
    torch.manual_seed(0)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4, head=head))
    network.scaler.fit(data.values())
    outputs, _ = network(tensors.drivers, tensors.statics)
    known = {**tensors.drivers, **tensors.statics}
    terms = Knowledge.of(toy.SYSTEM, "pretrain", head=head).evaluate(network, outputs, known)
    assert set(terms) == {term.name for term in toy.SYSTEM.terms(head)}
    sum(terms.values()).backward()
    last = toy.SYSTEM.submodules[-1].name
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        if name.startswith(f"parts.{last}."):
            # the terms are about the response of this part; the column as it comes obeys them all
            assert (parameter.grad.abs().max() > 0) == (head != "column"), name
    if head == "free":  # an untrained network knows nothing of the substrate
        assert float(terms["substrate"].detach()) > 0.1
    else:  # by construction: the flux is proportional to the concentration
        assert not {"substrate", "diffusion_limit"} & set(terms)
    if head == "column":  # as it comes it is the process model, which obeys
        assert float(terms["temperature"].detach()) < 0.01
    else:  # an untrained network knows no temperature response
        assert float(terms["temperature"].detach()) > 0.05


class Process:
    """The methane column in place of a trained last sub-module."""

    system, submodules = toy.SYSTEM, toy.SYSTEM.submodules

    def __call__(self, drivers, statics, overrides, modules, theta):
        known = {**drivers, **statics, **overrides, **theta}
        known |= column.column(known)
        return known | column.fluxes(known), None


def test_the_generator_obeys_the_terms() -> None:
    """In 19 of 20 draws from the prior; what the physical heads guarantee holds in all that take up anything."""
    cells = 400
    soil = soils(cells)
    soil = {**soil, **soil_properties(soil)}
    drawn = draw(parameters.SOIL.priors(), CHOICES, cells, np.random.default_rng(0)).all()
    theta = {name: torch.as_tensor(values) for name, values in drawn.items()}
    known = {name: torch.as_tensor(np.asarray(soil[name], float)) for name in toy.SYSTEM.statics}
    known["lai"] = torch.full((1, cells), 2.0, dtype=torch.float64)
    probe = KnowledgeProbe(Process(), {}, known, cells, theta)
    double = {name: torch.as_tensor(np.asarray(getattr(knowledge, name))) for name in ("TEMPERATURES", "SATURATIONS")}
    warm = knowledge.respond(probe, celsius=knowledge.TEMPERATURES)
    wet = knowledge.respond(probe, saturation=knowledge.SATURATIONS)
    richer = knowledge.respond(probe, ch4=knowledge.METHANE)

    def broken(term, response, grid, least):
        return np.mean([float(term(response[:, [cell]], grid)) > least for cell in range(cells)])

    assert broken(knowledge.temperature, warm, double["TEMPERATURES"], 0.051) <= 0.05
    assert broken(knowledge.moisture, wet, double["SATURATIONS"], 0.01) <= 0.05
    alive = richer[0] > 1e-3
    assert float(alive.double().mean()) > 0.9
    assert float(knowledge.substrate(richer[:, alive], torch.tensor(knowledge.METHANE))) < 1e-6
    for celsius in (5.0, 15.0, 25.0):
        for saturation in (0.1, 0.25, 0.45):
            fields = {name: torch.full((1, cells), celsius + 273.15) for name in column.TEMPERATURE}
            fields |= dict.fromkeys(column.WATER, saturation * known["phi"][None])
            air = {"tas": celsius + 273.15, "ps": 101325.0, "huss": 0.0, "ch4": 1900.0, "snw": 0.0, "snd": 0.0}
            fields |= {name: torch.full((1, cells), value) for name, value in air.items()}
            made, _ = Process()(fields, known, {}, (), theta)
            flux = made["fch4"][0]
            allowed = [knowledge.source_allowance(f[None], f[None] * 0, f[None] * 0 + 280) == 0 for f in flux]
            assert np.mean(allowed) >= 0.95, (celsius, saturation)
            c0 = physics.air_concentration(fields["ch4"], fields["ps"], fields["tas"], fields["huss"])
            assert float(knowledge.diffusion_limit(made["ch4ox"], c0, made["difs"])) < 0.05


def test_training_on_a_term_alone_makes_the_response_obey(batch) -> None:
    data, tensors = batch
    torch.manual_seed(0)
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=8, head="diffusion_oxidation"))
    network.scaler.fit(data.values())
    known = {**tensors.drivers, **tensors.statics}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    values = []
    for _ in range(60):
        optimizer.zero_grad()
        probe = KnowledgeProbe(network, {}, known, 3)
        value = knowledge.temperature(knowledge.respond(probe, celsius=knowledge.TEMPERATURES), CELSIUS)
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.1 * values[0]


def test_weights_come_from_the_system_unless_replaced(batch) -> None:
    of_system = Knowledge.of(toy.SYSTEM, "finetune", head="free").weights
    assert of_system == {term.name: term.finetune for term in toy.SYSTEM.knowledge}
    assert set(Knowledge.of(toy.SYSTEM, "finetune").weights) == set(of_system) - {"substrate", "diffusion_limit"}
    assert Knowledge.of(toy.SYSTEM, "finetune", {"moisture": 0.0}).weights["moisture"] == 0.0
    with pytest.raises(ConfigError, match="unknown knowledge term 'moistur'; did you mean 'moisture'"):
        Knowledge.of(toy.SYSTEM, "finetune", {"moistur": 1.0})


def test_a_term_whose_variable_is_absent_is_an_error(batch) -> None:
    data, tensors = batch
    network = HierarchicalNetwork(toy.SYSTEM, Architecture(hidden=4))
    network.scaler.fit(data.values())
    outputs, _ = network(tensors.drivers, tensors.statics)
    known = {name: values for name, values in {**tensors.drivers, **tensors.statics}.items() if name != "lai"}
    with pytest.raises(ConfigError, match="'temperature' lacks lai"):
        Knowledge.of(toy.SYSTEM, "pretrain").evaluate(network, outputs, known)
    wrong = [KnowledgeTerm("moisture", ("ch4ox", "swc99"), 1, 1, ""), KnowledgeTerm("humour", ("ch4ox",), 1, 1, "")]
    for term, message in zip(wrong, ["reads swc99, which", "no function for knowledge term 'humour'"], strict=True):
        fields = {name: getattr(toy.SYSTEM, name) for name in toy.SYSTEM.__dataclass_fields__}
        with pytest.raises(ConfigError, match=message):
            Knowledge.of(System(**{**fields, "knowledge": (term,)}), "pretrain")

"""The differentiable pieces of the methane model equal the NumPy ones and have finite gradients."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fluxatlas.errors import InputError
from fluxatlas.process import CHOICES, methane, methane_torch

RNG = np.random.default_rng(0)
N = 200
TAS = RNG.uniform(230, 315, N)
PS = RNG.uniform(50000, 105000, N)
HUSS = RNG.uniform(0, 0.03, N)
PHI = RNG.uniform(0.25, 0.9, N)
SWC = PHI * RNG.uniform(0, 1.05, N)
B = RNG.uniform(2.9, 12, N)


def tensors(*arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def same(result: torch.Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(result.detach().numpy(), expected, rtol=1e-12)


def _gradients_are_slopes(function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> bool:
    """Whether the gradient to every input is the slope over 1e-5 of its size, and no input without slope has one."""
    result = function(*inputs)
    grads = torch.autograd.grad(result.sum(), inputs, materialize_grads=True, allow_unused=True)
    for number, (given, grad) in enumerate(zip(inputs, grads, strict=True)):
        step = 1e-5 * given.detach().abs().clamp_min(1e-12)
        ends = [function(*inputs[:number], given.detach() + s * step, *inputs[number + 1 :]).detach() for s in (-1, 1)]
        slope = (ends[1] - ends[0]) / (2 * step)
        torch.testing.assert_close(grad, slope, rtol=1e-4, atol=1e-9 * float(slope.abs().max()) + 1e-30)
    return True


def test_air() -> None:
    ch4 = RNG.uniform(1600, 2000, N)
    same(methane_torch.air_concentration(*tensors(ch4, PS, TAS, HUSS)), methane.air_concentration(ch4, PS, TAS, HUSS))
    same(methane_torch.free_air_diffusivity(*tensors(TAS, PS)), methane.free_air_diffusivity(TAS, PS))


def test_air_filled_porosity() -> None:
    liquid = np.clip(TAS - 273.15 + 1.0, 0, 1)
    same(methane_torch.air_filled_porosity(*tensors(PHI, SWC, TAS)), methane.air_filled_porosity(PHI, SWC, liquid))


@pytest.mark.parametrize("model", [name for name in CHOICES["diffusivity"] if name != "tem"])
def test_soil_diffusivity(model: str) -> None:
    eps = np.maximum(PHI - SWC, 0.0)
    eps[:5] = 0.0
    code = np.full(N, CHOICES["diffusivity"].index(model))
    factor, exponent = methane.diffusivity_coefficients(code, PHI, B, PHI, PHI)
    inputs = tensors(PHI, eps, B, np.full(N, 2e-5))
    result = methane_torch.soil_diffusivity(*inputs, model=model)
    same(result, methane.soil_diffusivity(factor, exponent, eps, 2e-5))
    grads = torch.autograd.grad(result.sum(), inputs, materialize_grads=True, allow_unused=True)
    assert all(torch.isfinite(grad).all() for grad in grads)  # also without any air
    porous = [x.detach()[5:][eps[5:] > 0.01].requires_grad_() for x in inputs]
    assert len(porous[0]) > 100 and _gradients_are_slopes(
        lambda *x: methane_torch.soil_diffusivity(*x, model=model), *porous
    )


def test_unknown_or_textural_diffusivity_is_refused() -> None:
    inputs = tensors(PHI, PHI, B, PHI)
    with pytest.raises(InputError, match=r"did you mean 'penman'"):
        methane_torch.soil_diffusivity(*inputs, model="penmann")
    with pytest.raises(InputError, match="texture"):
        methane_torch.soil_diffusivity(*inputs, model="tem")


def test_snow_resistance_and_uptake() -> None:
    snd = RNG.uniform(0, 2, N)
    snd[:20] = 0.0
    snw = snd * RNG.uniform(80, 450, N)
    inputs = tensors(snw, snd, TAS, PS)
    resistance = methane_torch.snow_resistance(*inputs)
    same(resistance, methane.snow_resistance(snw, snd, TAS, PS))
    assert (resistance[:20] == 0).all()
    difs, oxk, c0 = tensors(RNG.uniform(1e-9, 1e-5, N), RNG.uniform(0, 1e-3, N), np.full(N, 1.3))
    with torch.no_grad():
        oxk[:3] = 0.0
    flux = methane_torch.uptake(difs, oxk, c0, resistance)
    with np.errstate(divide="ignore"):
        expected = 86400 * 1.3 / (1 / np.sqrt((difs * oxk).detach().numpy()) + resistance.detach().numpy())
    same(flux, expected)
    flux.sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (*inputs, difs, oxk, c0))
    deep = [x.detach()[20:].requires_grad_() for x in inputs]  # under snow, where each is a smooth function
    assert _gradients_are_slopes(methane_torch.snow_resistance, *deep)
    rest = [x.detach()[20:].requires_grad_() for x in (difs, oxk, c0, resistance)]
    assert _gradients_are_slopes(methane_torch.uptake, *rest)

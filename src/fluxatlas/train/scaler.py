"""Scaling between physical units and what the network sees: a fixed transform per variable, then z-scores.

Skewed variables are bent first, by the column ``transform`` of the variable table. Mean and standard deviation are
fitted once on the pretraining set and kept as buffers, so they travel with the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from .. import variables
from ..errors import InputError

FAR = 4.0
"""Standard deviations of the samples beyond which a static is held: nothing was learned there to go on from."""


def bend(name: str, values: Tensor) -> Tensor:
    """The transformed variable, any shape; physical units in."""
    kind, constant = variables.get(name).transform or ("", 1.0)
    if kind == "asinh":
        return torch.asinh(values / constant)
    if kind == "log":
        return torch.log(values.clamp_min(constant))
    return values


def unbend(name: str, bent: Tensor) -> Tensor:
    """Inverse of :func:`bend`; physical units out."""
    kind, constant = variables.get(name).transform or ("", 1.0)
    if kind == "asinh":
        return constant * torch.sinh(bent)
    if kind == "log":
        return torch.exp(bent)
    return bent


class Scaler(nn.Module):
    """Transform and z-score of each of ``names``; identity (mean 0, spread 1 of the bent variable) until fitted."""

    mean: Tensor
    spread: Tensor

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.names = tuple(dict.fromkeys(names))
        self.position = {name: index for index, name in enumerate(self.names)}
        self.register_buffer("mean", torch.zeros(len(self.names)))
        self.register_buffer("spread", torch.ones(len(self.names)))

    def fit(self, data: Mapping[str, npt.NDArray[Any] | Tensor]) -> None:
        """Set mean and spread from ``data`` in physical units; NaN is ignored, a constant keeps a spread of 1.

        Raises :class:`InputError` naming the variables that ``data`` lacks or that hold no finite value.
        """
        lacking = [name for name in self.names if name not in data]
        if lacking:
            raise InputError(f"the scaler finds no data for {', '.join(lacking)}", hint="add them to the samples")
        for name, index in self.position.items():
            values = torch.as_tensor(np.asarray(data[name]), dtype=torch.float64)
            values = bend(name, values[torch.isfinite(values)])
            if values.numel() == 0:
                raise InputError(f"'{name}' holds no finite value to fit the scaler to", hint="check the samples")
            spread = float(values.std(correction=0))
            self.mean[index] = float(values.mean())
            self.spread[index] = spread if spread > 1e-6 * (1 + abs(float(values.mean()))) else 1.0

    def scale(self, name: str, values: Tensor) -> Tensor:
        """Z-score of ``values`` in physical units; same shape."""
        index = self.position[name]
        return (bend(name, values) - self.mean[index]) / self.spread[index]

    def scale_static(self, name: str, values: Tensor) -> Tensor:
        """Z-score of a static, held at :data:`FAR` standard deviations; same shape."""
        return self.scale(name, values).clamp(-FAR, FAR)

    def beyond(self, name: str, values: Tensor) -> Tensor:
        """Where (cell,) a static is held by :meth:`scale_static`."""
        return self.scale(name, values).abs() > FAR

    def bent(self, name: str, scaled: Tensor) -> Tensor:
        """The bent variable of a z-score; same shape."""
        index = self.position[name]
        return self.mean[index] + self.spread[index] * scaled

    def unscale(self, name: str, scaled: Tensor) -> Tensor:
        """Inverse of :meth:`scale`; physical units out."""
        return unbend(name, self.bent(name, scaled))

"""What a sub-module is told of the process model: its parameters and structure, condensed into a few numbers.

A network that is pretrained on many parameters and told none can only learn their average; told them, it learns the
model, and what the parameters of a place are becomes a question to its observations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...systems import Submodule
from ...theta import Prior

WIDTH = 48
"""Hidden units of the encoder."""


class Told(nn.Module):
    """Parameters and codes of the structure (cell,) by name to a code (cell, ``code``).

    Parameters enter as departures from their prior's mean in its standard deviations (of the logarithm, where they vary
    by factors), forms one-hot. Those that are not given are the defaults.
    """

    mean: Tensor
    spread: Tensor
    default: Tensor
    logarithmic: Tensor

    def __init__(
        self, part: Submodule, priors: Mapping[str, Prior], choices: Mapping[str, Sequence[str]], code: int
    ) -> None:
        super().__init__()
        self.names, self.choices = part.parameters, tuple((name, len(choices[name])) for name in part.choices)
        logarithmic = torch.tensor([priors[name].logarithmic for name in self.names], dtype=torch.bool)
        self.register_buffer("logarithmic", logarithmic, persistent=False)
        for name, values in (
            ("mean", [priors[name].moments[0] for name in self.names]),
            ("spread", [priors[name].moments[1] for name in self.names]),
            ("default", [priors[name].default for name in self.names]),
        ):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))
        inputs = len(self.names) + sum(count for _, count in self.choices)
        self.encoder = nn.Sequential(nn.Linear(inputs, WIDTH), nn.Tanh(), nn.Linear(WIDTH, code))

    def forward(self, theta: Mapping[str, Tensor], cells: int) -> Tensor:
        columns = []
        if self.names:
            given = [
                theta[name] if name in theta else self.default[k].expand(cells) for k, name in enumerate(self.names)
            ]
            values = torch.stack(given, dim=-1)
            bent = torch.log(torch.where(self.logarithmic, values, 1.0))  # no gradient of what is not taken
            columns.append((torch.where(self.logarithmic, bent, values) - self.mean) / self.spread)
        for name, count in self.choices:
            codes = theta[name] if name in theta else self.mean.new_zeros(cells)
            forms = torch.arange(count, dtype=codes.dtype, device=codes.device)
            columns.append((codes[:, None] == forms).to(self.mean.dtype))
        return self.encoder(torch.cat(columns, dim=-1))

"""Cells whose day costs the same however much they remember: GRU, LSTM, EA-LSTM, causal convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from .gru import available, run_layers
from .sequence import SequenceCell, Sizes, fixed_map, pack, unpack


class Gru(SequenceCell, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078): torch's own.

    Where it learns, in float32 on the CPU, the same equations run in :mod:`fluxatlas.train.networks.gru`.
    """

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.features, sizes.hidden, sizes.layers, dropout=sizes.between)
        self._declare("gru", sizes, {"weight_ih_l0": "bias_ih_l0"})

    def forward(  # type: ignore[override]
        self, x: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if not self.learns(x):
            return nn.GRU.forward(self, x, state)
        hidden, last = self.learn(x.permute(2, 0, 1), None, state)
        return hidden.permute(1, 2, 0), last

    def learns(self, x: Tensor) -> bool:
        """Whether it learns from such inputs as ``x`` by compiled code."""
        return torch.is_grad_enabled() and x.dtype == torch.float32 and x.device.type == "cpu" and available()

    def learn(self, x: Tensor, constant: Tensor | None, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """:meth:`forward` with days of cells in rows: ``x`` and the hidden values (feature, time, cell), and the
        features that are constant in time, which stand last, apart (cell, feature): they cost nothing each day."""
        return run_layers(x, state, self.all_weights, self.dropout if self.training else 0.0, constant)


class Lstm(SequenceCell, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735): torch's own.

    The state holds hidden and memory values side by side.
    """

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.features, sizes.hidden, sizes.layers, dropout=sizes.between)
        self._declare("lstm", sizes, {"weight_ih_l0": "bias_ih_l0"})

    def forward(  # type: ignore[override]
        self, x: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        begin = None
        if state is not None:
            begin = (state[..., : self.width].contiguous(), state[..., self.width :].contiguous())
        hidden, (last, memory) = nn.LSTM.forward(self, x, begin)
        return hidden, torch.cat([last, memory], dim=-1)


class EaLstm(SequenceCell):
    """Entity-aware LSTM (Kratzert et al. 2019, doi:10.5194/hess-23-5089-2019): the statics alone drive the input gate.

    For the statics a and the other features x of a day: ``i = sigmoid(gate(a))``; f, g, o from x and the hidden values
    h of the day before; ``c = f c + i g``, ``h = o tanh(c)``. Further layers read h in the place of x. The state holds
    h and c side by side.
    """

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        inputs = [sizes.variates, *[sizes.hidden] * (sizes.layers - 1)]
        self.layers = nn.ModuleList(EaLayer(count, sizes.fixed, sizes.hidden) for count in inputs)
        self.dropout = nn.Dropout(sizes.between)
        self.variates = sizes.variates
        folds = {f"layers.{layer}.gate.weight": f"layers.{layer}.gate.bias" for layer in range(sizes.layers)}
        self._declare("ea_lstm", sizes, folds)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, statics = x[..., : self.variates], x[..., self.variates :]
        if state is None:
            state = x.new_zeros(self.state_shape[0], x.shape[1], self.state_shape[1])
        kept: list[Tensor] = []
        for layer, before in zip(self.layers, state, strict=True):
            hidden, last = layer(self.dropout(hidden) if kept else hidden, statics, before)
            kept.append(last)
        return hidden, torch.stack(kept)


class EaLayer(nn.Module):
    """One layer of :class:`EaLstm`: torch's LSTM with weights of zero where a gate does not read."""

    def __init__(self, inputs: int, statics: int, hidden: int) -> None:
        super().__init__()
        self.gate = fixed_map(statics, hidden)
        self.inner = nn.Linear(inputs, 3 * hidden)
        self.recurrent = nn.Linear(hidden, 3 * hidden, bias=False)

    def forward(self, x: Tensor, statics: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden values (time, cell, hidden) and the state (cell, 2 hidden) after the last day."""
        gate, inner, recurrent = self.gate.weight, self.inner.weight, self.recurrent.weight
        (hidden, fixed), days = gate.shape, x.shape[-1]
        own = torch.cat([gate.new_zeros(hidden, days), gate], dim=1)
        inwards = torch.cat([own, torch.cat([inner, inner.new_zeros(3 * hidden, fixed)], dim=1)])  # i, then f, g, o
        back = torch.cat([recurrent.new_zeros(hidden, hidden), recurrent])
        bias = torch.cat([self.gate.bias, self.inner.bias])
        begin = [half[None].contiguous() for half in state.chunk(2, dim=-1)]
        weights = [inwards, back, bias, torch.zeros_like(bias)]
        both = torch.cat([x, statics], dim=-1)
        found, last, memory = torch.lstm(both, begin, weights, True, 1, 0.0, self.training, False, False)
        return found, torch.cat([last[0], memory[0]], dim=-1)


class Tcn(SequenceCell):
    """Causal temporal convolutions (van den Oord et al. 2016, arXiv:1609.03499; Bai et al. 2018, arXiv:1803.01271).

    Residual levels of two taps, today and ``dilation`` days ago: ``h + relu(W [h(t - dilation), h(t)] + b)``.
    Dilations double from 1; the last of each layer is what is left, so that the levels see ``window`` days without a
    hole. The state is the ring buffer of each level: the last ``dilation`` days of its input. Days before the first are
    zero.
    """

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.dilations = [dilation for span in sizes.spans for dilation in doubling(span)]
        self.entry = nn.Linear(sizes.features, sizes.hidden)
        self.levels = nn.ModuleList(nn.Linear(2 * sizes.hidden, sizes.hidden) for _ in self.dilations)
        self.dropout = nn.Dropout(sizes.between)
        self._declare("tcn", sizes, {"entry.weight": "entry.bias"}, sum(self.dilations))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, kept = self.entry(x), list[Tensor]()
        for level, dilation, before in zip(
            self.levels, self.dilations, unpack(state, self.dilations, hidden), strict=True
        ):
            longer = torch.cat([before, hidden])
            both = torch.cat([longer[:-dilation], hidden], dim=-1)
            hidden = hidden + self.dropout(relu(level(both)))
            kept.append(longer[-dilation:])
        return hidden, pack(kept)


def doubling(span: int) -> list[int]:
    """Dilations 1, 2, 4, ... and what is left of ``span``, their sum; every lag up to it is a sum of some of them."""
    found: list[int] = []
    while left := span - sum(found):
        found.append(min(2 ** len(found), left))
    return found

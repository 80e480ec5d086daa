"""Sequence cells behind one interface: how a sub-module of the network remembers the days before.

A cell maps the features of days, (time, cell, feature), to hidden values (time, cell, width), in order of time: the
value of a day never depends on a later one. What it has to keep of the past is its *state*, one tensor (1 or layer,
cell, number) per sub-module, which an earlier call returned; None and zeros both mean that nothing was seen. However a
series is cut into calls that hand the state on, the values are the same to round-off.

Cells are *stepwise* where a day costs the same however much they remember, and cells of *windows* where it costs more
with each day that they look back. The last ``statics`` features are constant in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad, relu, scaled_dot_product_attention

from ...errors import ConfigError, nearest

HEADS = 4
"""Heads of attention, or the most of 2 and 1 that divide the width."""
WIDENING = 2
"""Units inside the dense layers of attention cells, per hidden unit."""
QUERIES = 128
"""Days whose attention is computed at once; bounds memory."""


@dataclass(frozen=True)
class Sizes:
    """What a cell is made of.

    ``features`` per day, the last ``statics`` of them constant in time; ``hidden`` units; ``layers``; ``dropout``
    between layers; ``window``: days that cells with bounded memory see, the day itself included (at least 2).
    """

    features: int
    statics: int
    hidden: int
    layers: int = 1
    dropout: float = 0.0
    window: int = 365

    @property
    def between(self) -> float:
        """Dropout between layers, none where there is one layer."""
        return self.dropout if self.layers > 1 else 0.0

    @property
    def spans(self) -> list[int]:
        """Days that each layer looks back; together ``window - 1``."""
        days, more = divmod(self.window - 1, self.layers)
        return [days + (layer < more) for layer in range(self.layers)]


class SequenceCell(nn.Module):
    """A cell: ``forward(x, state=None) -> (hidden, state)`` over days and :meth:`step` for one day.

    ``x`` (time, cell, feature), ``hidden`` (time, cell, ``width``), ``state`` (layer, cell, number) with the first and
    last length of ``state_shape``. ``memory``: a day has an effect on this many days after it, and on none later; None
    if unbounded.
    """

    stepwise: ClassVar[bool]
    memory: int | None
    width: int
    state_shape: tuple[int, int]
    forward: Callable[..., tuple[Tensor, Tensor]]

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One day: features (cell, feature) to hidden values (cell, width) and the new state."""
        hidden, state = self(x[None], state)
        return hidden[0], state

    def _declare(self, sizes: Sizes, state_shape: tuple[int, int], memory: int | None = None) -> None:
        self.width, self.state_shape, self.memory = sizes.hidden, state_shape, memory


class Gru(SequenceCell, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078): torch's own."""

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.features, sizes.hidden, sizes.layers, dropout=sizes.between)
        self._declare(sizes, (sizes.layers, sizes.hidden))

    def forward(  # type: ignore[override]
        self, x: Tensor, state: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        return nn.GRU.forward(self, x, state)


class Lstm(SequenceCell, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735): torch's own.

    The state holds hidden and memory values side by side.
    """

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.features, sizes.hidden, sizes.layers, dropout=sizes.between)
        self._declare(sizes, (sizes.layers, 2 * sizes.hidden))

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
    h and c side by side. Raises :class:`ConfigError` where there is no static.
    """

    stepwise = True

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        if sizes.statics == 0:
            raise ConfigError("the cell 'ea_lstm' reads statics, a sub-module has none", hint="choose another cell")
        inputs = [sizes.features - sizes.statics, *[sizes.hidden] * (sizes.layers - 1)]
        self.layers = nn.ModuleList(EaLayer(count, sizes.statics, sizes.hidden) for count in inputs)
        self.dropout = nn.Dropout(sizes.between)
        self.statics = sizes.statics
        self._declare(sizes, (sizes.layers, 2 * sizes.hidden))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, statics = x[..., : -self.statics], x[..., -self.statics :]
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
        self.gate = nn.Linear(statics, hidden)
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
        self._declare(sizes, (1, sum(self.dilations) * sizes.hidden), sum(self.dilations))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, kept = self.entry(x), list[Tensor]()
        for level, dilation, before in zip(
            self.levels, self.dilations, _unpack(state, self.dilations, hidden), strict=True
        ):
            longer = torch.cat([before, hidden])
            both = torch.cat([longer[:-dilation], hidden], dim=-1)
            hidden = hidden + self.dropout(relu(level(both)))
            kept.append(longer[-dilation:])
        return hidden, _pack(kept)


class Transformer(SequenceCell):
    """Causal attention over time (Vaswani et al. 2017, arXiv:1706.03762) inside a sliding window (Beltagy et al. 2020,
    arXiv:2004.05150).

    Each layer, normalised first, looks back its part of ``window - 1`` days; a bias per head and lag, which starts as
    the linear one of Press et al. 2022 (arXiv:2108.12409), says how long ago a day is. Days before the first are
    masked. The state holds the last days of each layer's input and, last, the number of days seen.
    """

    stepwise = False

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.entry = nn.Linear(sizes.features, sizes.hidden)
        self.blocks = nn.ModuleList(AttentionBlock(sizes.hidden, span) for span in sizes.spans)
        self.norm = nn.LayerNorm(sizes.hidden)
        self.dropout = nn.Dropout(sizes.between)
        self.spans = sizes.spans
        self._declare(sizes, (1, (sizes.window - 1) * sizes.hidden + 1), sizes.window - 1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, kept = self.entry(x), list[Tensor]()
        buffers: Sequence[Tensor | None]
        if state is None:
            buffers, seen, partly = [None] * len(self.spans), x.new_zeros(x.shape[1]), None
        else:
            buffers, seen = _unpack(state[..., :-1], self.spans, hidden), state[0, :, -1]
            partly = None if bool((seen >= max(self.spans)).all()) else seen
        for block, buffer in zip(self.blocks, buffers, strict=True):
            hidden, last = block(self.dropout(hidden) if kept else hidden, buffer, partly)
            kept.append(last)
        days = (seen + len(x)).clamp_max(sum(self.spans))
        return self.norm(hidden), torch.cat([_pack(kept), days[None, :, None]], dim=-1)


class AttentionBlock(nn.Module):
    """One layer of :class:`Transformer`: attention to the ``span`` days before, then a dense layer, both residual."""

    def __init__(self, width: int, span: int) -> None:
        super().__init__()
        self.heads = heads_of(width)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.keys = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out, self.dense = nn.Linear(width, width), dense(width)
        slopes = torch.exp2(-8.0 * torch.arange(1, self.heads + 1) / self.heads)
        self.lags = nn.Parameter(-slopes[:, None] * torch.arange(span + 1))

    def forward(self, hidden: Tensor, buffer: Tensor | None, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden values (time, cell, width) and the last ``span`` days of the normalised input, zeros where there were
        none. ``buffer`` holds those before; ``seen`` as in :func:`sliding_attention`."""
        inputs = self.before(hidden)
        query = self._split(self.query(inputs))
        if buffer is not None:
            inputs = torch.cat([buffer, inputs])
        key, value = (self._split(part) for part in self.keys(inputs).chunk(2, dim=-1))
        found = sliding_attention(query, key, value, self.lags, seen)
        hidden = hidden + self.out(found.permute(2, 0, 1, 3).flatten(2))
        span = self.lags.shape[1] - 1
        last = pad(inputs[max(0, len(inputs) - span) :], (0, 0, 0, 0, max(0, span - len(inputs)), 0))
        return hidden + self.dense(self.after(hidden)), last

    def _split(self, values: Tensor) -> Tensor:
        """(time, cell, width) to (cell, head, time, width of a head)."""
        return values.unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3)


class ITransformer(SequenceCell):
    """Variates as tokens (Liu et al. 2024, iTransformer, arXiv:2310.06625).

    The window of each variate that ends on a day becomes one token by a linear map that the variates share; attention
    runs between variates, not between days. A token learns besides which variate it is, statics are tokens of their
    value alone, and the tokens of a day side by side make its hidden values. Days before the first are zero. The state
    is the window of the variates.
    """

    stepwise = False

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, self.statics = sizes.hidden, sizes.statics
        self.variates = sizes.features - sizes.statics
        self.window = nn.Linear(sizes.window, width, bias=False)
        self.fixed = nn.Parameter(torch.randn(width))
        self.names = nn.Parameter(torch.randn(sizes.features, width))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads_of(width), WIDENING * width, sizes.between, batch_first=True, norm_first=True
            )
            for _ in range(sizes.layers)
        )
        self.out = nn.Linear(sizes.features * width, width)
        self._declare(sizes, (1, (sizes.window - 1) * self.variates), sizes.window - 1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        moving, statics = x[..., : self.variates], x[..., self.variates :]
        (before,) = _unpack(state, [len(self.window.weight[0]) - 1], moving)
        longer = torch.cat([before, moving])
        tokens = torch.cat([self._embed(longer), statics[..., None] * self.fixed], dim=2) + self.names
        tokens = tokens.flatten(0, 1)  # attention between the variates of a day
        for layer in self.layers:
            tokens = layer(tokens)
        hidden = self.out(tokens.flatten(1)).unflatten(0, x.shape[:2])
        return hidden, _pack([longer[len(x) :]])

    def _embed(self, longer: Tensor) -> Tensor:
        """Tokens (time, cell, variate, width) of the windows that end on each of the last days of ``longer``."""
        cells, variates = longer.shape[1:]
        series = longer.permute(1, 2, 0).reshape(cells * variates, 1, -1)
        return conv1d(series, self.window.weight[:, None]).unflatten(0, (cells, variates)).permute(3, 0, 1, 2)


CELLS: dict[str, type[SequenceCell]] = {
    "gru": Gru,
    "lstm": Lstm,
    "ea_lstm": EaLstm,
    "tcn": Tcn,
    "transformer": Transformer,
    "itransformer": ITransformer,
}


def make_cell(name: str, sizes: Sizes) -> SequenceCell:
    """The cell called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    if name not in CELLS:
        raise ConfigError(f"unknown cell '{name}'{nearest(name, CELLS)}", hint=f"choose from {sorted(CELLS)}")
    return CELLS[name](sizes)  # type: ignore[arg-type]


def sliding_attention(query: Tensor, key: Tensor, value: Tensor, lags: Tensor, seen: Tensor | None = None) -> Tensor:
    """Attention of each day to itself and to the days before it, (cell, head, time, number).

    ``key`` and ``value`` may begin with days before those of ``query``: their context. ``lags`` (head, lag) is added to
    the scores of a day so long ago; days further back are not seen. ``seen`` (cell,): how many of the last days of the
    context there were (None: all).
    """
    time, context, span = query.shape[2], key.shape[2] - query.shape[2], lags.shape[1] - 1
    found = []
    for start in range(0, time, QUERIES):
        stop = min(start + QUERIES, time)
        first = max(0, start + context - span)
        days = torch.arange(first, stop + context, device=query.device) - context
        lag = torch.arange(start, stop, device=query.device)[:, None] - days
        mask = lags.index_select(1, lag.clamp(0, span).flatten()).unflatten(1, lag.shape)
        mask = mask.masked_fill((lag < 0) | (lag > span), -torch.inf)[None]
        if seen is not None:
            mask = mask.masked_fill((-days > seen[:, None])[:, None, None], -torch.inf)
        keys = slice(first, stop + context)
        found.append(
            scaled_dot_product_attention(query[:, :, start:stop], key[:, :, keys], value[:, :, keys], attn_mask=mask)
        )
    return torch.cat(found, dim=2)


def doubling(span: int) -> list[int]:
    """Dilations 1, 2, 4, ... and what is left of ``span``, their sum; every lag up to it is a sum of some of them."""
    found: list[int] = []
    while left := span - sum(found):
        found.append(min(2 ** len(found), left))
    return found


def heads_of(width: int) -> int:
    """Heads of attention of this width."""
    return next(count for count in (HEADS, 2, 1) if width % count == 0)


def dense(width: int) -> nn.Sequential:
    """The dense layer of an attention block."""
    return nn.Sequential(nn.Linear(width, WIDENING * width), nn.ReLU(), nn.Linear(WIDENING * width, width))


def _unpack(state: Tensor | None, days: list[int], like: Tensor) -> list[Tensor]:
    """The buffers (days, cell, number) in a state (1, cell, all numbers); zeros for None. ``like`` (time, cell,
    number)."""
    if state is None:
        return [like.new_zeros(count, *like.shape[1:]) for count in days]
    return list(state[0].unflatten(-1, (sum(days), -1)).transpose(0, 1).split(days))


def _pack(buffers: list[Tensor]) -> Tensor:
    """The state (1, cell, all numbers) that holds ``buffers`` (days, cell, number)."""
    return torch.cat(buffers).transpose(0, 1).flatten(1)[None]

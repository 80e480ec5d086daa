"""Cells of attention, whose day costs more with each day that they look back: Transformer and iTransformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import conv1d, scaled_dot_product_attention

from ..states import DAYS
from .sequence import SequenceCell, Sizes, fixed_map, pack, unpack

HEADS = 4
"""Heads of attention, or the most of 2 and 1 that divide the width."""
WIDENING = 2
"""Units inside the dense layers of attention cells, per hidden unit."""
QUERIES = 128
"""Days whose attention over time is computed at once; bounds memory."""


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
        self._declare("transformer", sizes, {"entry.weight": "entry.bias"}, sum(sizes.spans))

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, kept = self.entry(x), list[Tensor]()
        if state is None:
            state = x.new_zeros(1, x.shape[1], self.state_shape[1])
        seen = state[0, :, -1]
        most = int(seen.max())
        partly = seen if int(seen.min()) < most else None
        for block, buffer in zip(self.blocks, unpack(state[..., :-1], self.spans, hidden), strict=True):
            there = buffer[max(0, len(buffer) - most) :]  # without the days that no cell has seen
            hidden, last = block(self.dropout(hidden) if kept else hidden, there, partly)
            kept.append(last)
        days = (seen + len(x)).clamp_max(sum(self.spans))
        return self.norm(hidden), torch.cat([pack(kept), days[None, :, None]], dim=-1)


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

    def forward(self, hidden: Tensor, buffer: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden values (time, cell, width) and the last ``span`` days of the normalised input, zeros where there were
        none. ``buffer`` holds those before; ``seen`` as in :func:`sliding_attention`."""
        inputs = self.before(hidden)
        query = self._split(self.query(inputs))
        inputs = torch.cat([buffer, inputs])
        key, value = (self._split(part) for part in self.keys(inputs).chunk(2, dim=-1))
        found = sliding_attention(query, key, value, self.lags, seen)
        hidden = hidden + self.out(found.permute(2, 0, 1, 3).flatten(2))
        span = self.lags.shape[1] - 1
        last = functional.pad(inputs[max(0, len(inputs) - span) :], (0, 0, 0, 0, max(0, span - len(inputs)), 0))
        return hidden + self.dense(self.after(hidden)), last

    def _split(self, values: Tensor) -> Tensor:
        """(time, cell, width) to (cell, head, time, width of a head)."""
        return values.unflatten(-1, (self.heads, -1)).permute(1, 2, 0, 3)


class ITransformer(SequenceCell):
    """Variates as tokens (Liu et al. 2024, iTransformer, arXiv:2310.06625).

    The window of each variate that ends on a day becomes one token by a linear map that the variates share; attention
    runs between variates, not between days. A token learns besides which variate it is, one more token stands for all
    statics, and the tokens of a day side by side make its hidden values. Days before the first are zero. The state is
    the window of the variates.
    """

    stepwise = False

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, self.variates = sizes.hidden, sizes.variates
        self.window = nn.Linear(sizes.window, width, bias=False)
        self.names = nn.Parameter(torch.randn(sizes.variates, width))
        self.place = fixed_map(sizes.fixed, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads_of(width), WIDENING * width, sizes.between, batch_first=True, norm_first=True
            )
            for _ in range(sizes.layers)
        )
        self.out = nn.Linear((sizes.variates + 1) * width, width)
        self._declare("itransformer", sizes, {"place.weight": "place.bias"}, sizes.window - 1)

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        moving, fixed = x[..., : self.variates], x[..., self.variates :]
        back = self.window.in_features - 1
        (before,) = unpack(state, [back], moving)
        longer = torch.cat([before, moving])
        found = [
            self._days(longer[start : start + DAYS + back], fixed[start : start + DAYS])
            for start in range(0, len(x), DAYS)
        ]
        return torch.cat(found), pack([longer[len(x) :]])

    def _days(self, longer: Tensor, fixed: Tensor) -> Tensor:
        """Hidden values (time, cell, width) of the last days of ``longer``, as many as of ``fixed``."""
        cells, variates = longer.shape[1:]
        series = longer.permute(1, 2, 0).reshape(cells * variates, 1, -1)
        tokens = conv1d(series, self.window.weight[:, None]).unflatten(0, (cells, variates)).permute(3, 0, 1, 2)
        tokens = torch.cat([tokens + self.names, self.place(fixed)[:, :, None]], dim=2)
        tokens = tokens.flatten(0, 1)  # attention between the tokens of a day
        for layer in self.layers:
            tokens = layer(tokens)
        hidden: Tensor = self.out(tokens.flatten(1))
        return hidden.unflatten(0, (-1, cells))


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


def heads_of(width: int) -> int:
    """Heads of attention of this width."""
    return next(count for count in (HEADS, 2, 1) if width % count == 0)


def dense(width: int) -> nn.Sequential:
    """The dense layer of an attention block."""
    return nn.Sequential(nn.Linear(width, WIDENING * width), nn.ReLU(), nn.Linear(WIDENING * width, width))

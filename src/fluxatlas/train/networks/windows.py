"""Cells that encode a whole window of days for each day: Informer and Pyraformer.

Inside a window attention looks both ways; a window ends on the day that it is asked about, so that the value of a day
never depends on a later one. Both are encoders alone, with layers that are normalised first and positions that are
learnt; days before the first are zero. The state is the window of the variates.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, max_pool1d, scaled_dot_product_attention

from ...config.train import Cell
from ..states import CHILDREN, DAYS, NEAR, pyramid
from .attention import dense, heads_of
from .sequence import SequenceCell, Sizes, fixed_map, pack, unpack

FACTOR = 5
"""Queries that ProbSparse attention keeps, per unit of the logarithm of the window (Zhou et al. 2021: 5)."""


class WindowCell(SequenceCell):
    """A cell that :meth:`encode` makes of windows of tokens, one token per day."""

    stepwise = False

    def __init__(self, name: Cell, sizes: Sizes) -> None:
        super().__init__()
        width, self.variates, self.window = sizes.hidden, sizes.variates, sizes.window
        self.entry = nn.Linear(sizes.variates, width, bias=False)
        self.place = fixed_map(sizes.fixed, width)
        self.position_bias = nn.Parameter(0.1 * torch.randn(sizes.window, width))
        self.dropout = nn.Dropout(sizes.between)
        self.norm = nn.LayerNorm(width)
        self._declare(name, sizes, {"place.weight": "place.bias"}, sizes.window - 1)

    @abstractmethod
    def encode(self, tokens: Tensor) -> Tensor:
        """Hidden values (window, width) of the last days of windows of tokens (window, day, width)."""

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        moving, fixed = x[..., : self.variates], x[..., self.variates :]
        back = self.window - 1
        (before,) = unpack(state, [back], moving)
        longer = torch.cat([before, moving])
        entered, place = self.entry(longer), self.place(fixed)
        found = []
        for start in range(0, len(x), DAYS):
            windows = entered[start : start + DAYS + back].unfold(0, self.window, 1).transpose(2, 3)
            tokens = windows + place[start : start + DAYS, :, None] + self.position_bias
            found.append(self.encode(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2]))
        return torch.cat(found), pack([longer[len(x) :]])


class Informer(WindowCell):
    """The encoder of Informer (Zhou et al. 2021, arXiv:2012.07436): ProbSparse attention, distilling between layers.

    Sparsity of queries is measured with all keys, not with a random part, so that a network gives one answer;
    distilling has no batch normalisation, which would let cells see each other.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__("informer", sizes)
        self.blocks = nn.ModuleList(AttentionLayer(sizes.hidden) for _ in range(sizes.layers))
        self.distil = nn.ModuleList(
            nn.Conv1d(sizes.hidden, sizes.hidden, 3, padding=1) for _ in range(sizes.layers - 1)
        )

    def encode(self, tokens: Tensor) -> Tensor:
        for number, block in enumerate(self.blocks):
            if number:
                tokens = elu(self.distil[number - 1](self.dropout(tokens).transpose(1, 2)))
                tokens = max_pool1d(tokens, 3, stride=2, padding=1).transpose(1, 2)
            kept = kept_queries(tokens.shape[1])
            tokens = block(tokens, partial(prob_sparse, kept=kept))
        hidden: Tensor = self.norm(tokens[:, -1])
        return hidden


class Pyraformer(WindowCell):
    """The encoder of Pyraformer (Liu et al. 2022, ICLR, openreview 0EXmFzUn5I): days and coarser nodes above them.

    A node of a coarser scale begins as a convolution of its children; each node attends to its neighbours on its own
    scale, its children and its parent (:func:`pyramid_mask`). The last node of every scale makes the hidden values.
    """

    mask: Tensor

    def __init__(self, sizes: Sizes) -> None:
        super().__init__("pyraformer", sizes)
        self.scales, width = pyramid(sizes.window), sizes.hidden
        self.coarser = nn.ModuleList(nn.Conv1d(width, width, CHILDREN, stride=CHILDREN) for _ in self.scales[1:])
        self.blocks = nn.ModuleList(AttentionLayer(width) for _ in range(sizes.layers))
        self.out = nn.Linear(len(self.scales) * width, width)
        self.register_buffer("mask", pyramid_mask(self.scales), persistent=False)

    def encode(self, tokens: Tensor) -> Tensor:
        scales = [tokens]
        for convolution in self.coarser:
            scales.append(elu(convolution(scales[-1].transpose(1, 2))).transpose(1, 2))
        nodes = torch.cat(scales, dim=1)
        for number, block in enumerate(self.blocks):
            nodes = self.dropout(nodes) if number else nodes
            nodes = block(nodes, partial(scaled_dot_product_attention, attn_mask=self.mask))
        last = [stop - 1 for stop in accumulate(self.scales)]
        hidden: Tensor = self.out(self.norm(nodes[:, last]).flatten(1))
        return hidden


class AttentionLayer(nn.Module):
    """What layers of attention have in common: maps before and after it, and a dense layer, both residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = heads_of(width)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.maps, self.out, self.dense = nn.Linear(width, 3 * width), nn.Linear(width, width), dense(width)

    def forward(self, tokens: Tensor, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """Tokens (window, node, width) after ``attend`` of query, key and value, each (window, head, node, number)."""
        maps = self.maps(self.before(tokens)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = attend(maps[0], maps[1], maps[2])
        tokens = tokens + self.out(found.transpose(1, 2).flatten(2))
        hidden: Tensor = tokens + self.dense(self.after(tokens))
        return hidden


def kept_queries(time: int) -> int:
    """Queries of ProbSparse attention over ``time`` days."""
    return min(time, FACTOR * math.ceil(math.log(time))) if time > 1 else 1


def prob_sparse(query: Tensor, key: Tensor, value: Tensor, kept: int) -> Tensor:
    """Attention of the ``kept`` queries whose scores are farthest from even (largest less mean); the others get the
    mean of ``value``. All are (..., time, number)."""
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    chosen = (scores.amax(dim=-1) - scores.mean(dim=-1)).topk(kept, dim=-1).indices[..., None]
    rows = scores.gather(-2, chosen.expand(*chosen.shape[:-1], scores.shape[-1]))
    active = rows.softmax(dim=-1) @ value
    even = value.mean(dim=-2, keepdim=True).expand(*query.shape[:-1], value.shape[-1])
    return even.scatter(-2, chosen.expand(*chosen.shape[:-1], value.shape[-1]), active)


def pyramid_mask(scales: tuple[int, ...]) -> Tensor:
    """Which node (row) attends to which (column), all nodes of ``scales``, finest first, in order.

    Neighbours are those within :data:`NEAR` // 2 on the same scale, parent and children; the last parent takes children
    that are left over.
    """
    scale = torch.cat([torch.full((count,), number) for number, count in enumerate(scales)])
    place = torch.cat([torch.arange(count) for count in scales])
    above = torch.tensor([*scales[1:], 1])[scale]
    parent = torch.minimum(place // CHILDREN, above - 1)
    same = (scale[:, None] == scale) & ((place[:, None] - place).abs() <= NEAR // 2)
    child = (scale[:, None] == scale + 1) & (place[:, None] == parent)
    return same | child | child.T

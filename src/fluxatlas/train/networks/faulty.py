"""Two cells with the layouts that were published by mistake, to measure what the mistakes cost; never for a product.

The code that comes with a benchmark of sequence models (Sun et al. 2025, arXiv:2505.18355; as read in a repository that
carries it) runs its temporal convolutions along an axis of length one, with days as channels, and the attention of its
Transformer over the sites of a batch. Only ``experiments.models`` takes them; ``train.cell`` and inference refuse them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from .attention import heads_of
from .sequence import SequenceCell, Sizes

LEVELS = 3
INNER = 32
"""Units inside the dense layers of the attention."""


class FaultyTcn(SequenceCell):
    """Days are channels: for each feature, residual dense layers over all days of a piece of ``window`` days.

    Of the kernels of 5 only the tap on the axis of length one sees data; the others see padding and are left out here,
    as is weight normalisation. A day sees later ones, and the same weather a day later gives other values. Pieces count
    from the first day of a call, the last one is filled with zeros, and nothing is carried to the next call.
    """

    stepwise = False

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.window = sizes.window
        shape = (LEVELS, 2, sizes.features, sizes.window, sizes.window)
        self.weight = nn.Parameter(0.01 * torch.randn(shape))
        self.day_bias = nn.Parameter(torch.zeros(LEVELS, 2, sizes.features, sizes.window))
        self.mix = nn.Linear(sizes.features, sizes.hidden)
        self.dropout = nn.Dropout(sizes.dropout)
        self._declare("faulty_tcn", sizes, {})

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        whole = pad(x, (0, 0, 0, 0, 0, -len(x) % self.window))
        days = whole.unflatten(0, (-1, self.window)).permute(3, 0, 2, 1).flatten(1, 2)  # feature, piece and cell, day
        for (first, second), (one, two) in zip(self.weight, self.day_bias, strict=True):
            inner = self.dropout(relu(torch.baddbmm(one[:, None], days, first)))
            days = relu(days + self.dropout(relu(torch.baddbmm(two[:, None], inner, second))))
        series = days.unflatten(1, (-1, x.shape[1])).permute(1, 3, 2, 0).flatten(0, 1)[: len(x)]
        return relu(self.mix(series)), x.new_zeros(1, x.shape[1], 1)


class FaultyTransformer(SequenceCell):
    """Attention over the cells of a batch, each day by itself and without positions: a day knows no other day, and what
    a place gets depends on which places are computed with it."""

    stepwise = False

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.hidden
        self.entry = nn.Linear(sizes.features, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads_of(width), INNER, sizes.between, batch_first=True)
            for _ in range(sizes.layers)
        )
        self._declare("faulty_transformer", sizes, {})

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden = self.entry(x)
        for block in self.blocks:
            hidden = block(hidden)
        return hidden, x.new_zeros(1, x.shape[1], 1)

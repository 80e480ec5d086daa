"""How large the state of a network is and what its cells need while they run. Imports nothing heavy: ``plan`` asks.

The cells themselves are in :mod:`fluxatlas.train.networks.cells`; a test holds them to these numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

DAYS = 16
"""Days whose attention between variates is computed at once; bounds memory."""
CHILDREN, NEAR = 4, 5
"""Of the Pyraformer: nodes below each node of a coarser scale, and nodes of its own scale that a node sees."""


@dataclass(frozen=True)
class NetworkShape:
    """What decides the size of a network: ``cell``, ``hidden`` units, ``layers``, ``window`` days, and for each
    sub-module the number of its ``variates``, the inputs that change from day to day; ``past``: means of past
    drivers."""

    cell: str
    hidden: int
    layers: int
    window: int
    variates: tuple[int, ...]
    past: int = 0

    @property
    def state(self) -> int:
        """Numbers of the states of all sub-modules per grid cell."""
        shapes = [state_shape(self.cell, count, self.hidden, self.layers, self.window) for count in self.variates]
        return sum(first * last for first, last in shapes) + self.past

    def working(self, days: int) -> float:
        """Numbers per grid cell that the largest sub-module holds at most while it runs ``days`` without gradients.

        Measured (torch 2.13, one thread, 384 cells) as growth of the resident set, rounded up.
        """
        back, most = self.window - 1, max(self.variates)
        if self.cell in ("tcn", "transformer"):
            return self.hidden * (17 * days + 6 * back)
        if self.cell == "itransformer":
            return 7 * min(days, DAYS) * (most + 1) * self.hidden + 9 * (days + back) * most
        if self.cell in ("informer", "pyraformer"):
            nodes = self.window if self.cell == "informer" else sum(pyramid(self.window))
            inside = 8 * nodes**2 + 16 * nodes * self.hidden
            return min(days, DAYS) * inside + (days + back) * (2 * most + 2 * self.hidden)
        return 6 * days * self.hidden * (1 if self.cell == "gru" else 2)


def state_shape(cell: str, variates: int, hidden: int, layers: int, window: int) -> tuple[int, int]:
    """First and last length of the state of one sub-module, (layer, grid cell, number)."""
    back = window - 1
    return {
        "gru": (layers, hidden),
        "lstm": (layers, 2 * hidden),
        "ea_lstm": (layers, 2 * hidden),
        "tcn": (1, back * hidden),
        "transformer": (1, back * hidden + 1),
        "itransformer": (1, back * variates),
        "informer": (1, back * variates),
        "pyraformer": (1, back * variates),
        "faulty_tcn": (1, 1),
        "faulty_transformer": (1, 1),
    }[cell]


def pyramid(window: int) -> tuple[int, ...]:
    """Nodes of each scale of the Pyraformer, days first, up to the scale whose last node sees all of it."""
    scales = [window]
    while scales[-1] > NEAR // 2 + 1:
        scales.append(scales[-1] // CHILDREN)
    return tuple(scales)

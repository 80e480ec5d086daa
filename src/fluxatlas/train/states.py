"""How large the state of a sequence cell is, and what a cell needs while it runs. Imports nothing heavy: ``plan`` asks.

The cells themselves are in :mod:`fluxatlas.train.networks.cells`; a test holds them to these numbers.
"""

from __future__ import annotations

from ..config.train import Cell

DAYS = 16
"""Days whose attention between variates is computed at once; bounds memory."""


def state_shape(cell: Cell, *, variates: int, hidden: int, layers: int, window: int) -> tuple[int, int]:
    """First and last length of a state (layer, grid cell, number).

    ``variates`` are the features that change from day to day.
    """
    back = window - 1
    shapes: dict[Cell, tuple[int, int]] = {
        "gru": (layers, hidden),
        "lstm": (layers, 2 * hidden),
        "ea_lstm": (layers, 2 * hidden),
        "tcn": (1, back * hidden),
        "transformer": (1, back * hidden + 1),
        "itransformer": (1, back * variates),
    }
    return shapes[cell]


def working_numbers(cell: Cell, *, variates: int, hidden: int, window: int, days: int) -> float:
    """Numbers per grid cell that a cell of a sub-module holds at most while it runs ``days`` without gradients.

    Measured (torch 2.13, one thread, 384 cells) as growth of the resident set, rounded up.
    """
    back = window - 1
    if cell in ("tcn", "transformer"):
        return hidden * (14 * days + 5 * back)
    if cell == "itransformer":
        return 7 * min(days, DAYS) * (variates + 1) * hidden + 9 * (days + back) * variates
    return 6 * days * hidden * (1 if cell == "gru" else 2)

"""The sequence cells by name; see :mod:`fluxatlas.train.networks.sequence` for what they have in common."""

from __future__ import annotations

from ...config.train import Cell, FaultyCell
from ...errors import ConfigError, nearest
from .attention import ITransformer, Transformer
from .faulty import FaultyTcn, FaultyTransformer
from .sequence import SequenceCell, Sizes
from .stepwise import EaLstm, Gru, Lstm, Tcn
from .windows import Informer, Pyraformer

CELLS: dict[Cell, type[SequenceCell]] = {
    "gru": Gru,
    "lstm": Lstm,
    "ea_lstm": EaLstm,
    "tcn": Tcn,
    "transformer": Transformer,
    "itransformer": ITransformer,
    "informer": Informer,
    "pyraformer": Pyraformer,
}

FAULTY: dict[FaultyCell, type[SequenceCell]] = {"faulty_tcn": FaultyTcn, "faulty_transformer": FaultyTransformer}
"""For experiments alone."""


def make_cell(name: str, sizes: Sizes) -> SequenceCell:
    """The cell called ``name``; raises :class:`ConfigError` with the nearest name for an unknown one."""
    if name in FAULTY:
        return FAULTY[name](sizes)  # type: ignore[index]
    if name not in CELLS:
        raise ConfigError(f"unknown cell '{name}'{nearest(name, CELLS)}", hint=f"choose from {sorted(CELLS)}")
    return CELLS[name](sizes)  # type: ignore[arg-type]

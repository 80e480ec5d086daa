"""What the process models share: cells are worked on in blocks, and a run gives days, a state and what budgets miss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
S = TypeVar("S")


@dataclass(frozen=True)
class SimulationResult(Generic[S]):
    """What the function ``simulate`` of a process model gives; it says which variables, budgets and state.

    daily: float32 arrays (T, N) by variable name in canonical units. state: at the end of the last day. residuals:
    daily closure of the budgets, arrays (T, N) by name; round-off if all is well.
    """

    daily: dict[str, FloatArray]
    state: S
    residuals: dict[str, FloatArray]

    def __getitem__(self, name: str) -> FloatArray:
        return self.daily[name]


def part_of(arrays: Any, cells: slice) -> Any:
    """A copy of a named tuple of arrays (..., N) for some cells."""
    return type(arrays)(*(np.array(array[..., cells], order="C") for array in arrays))

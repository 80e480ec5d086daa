"""Packing of the product to int16 by the table of variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..variables import FILL, Variable

LARGEST = 32767


def pack(values: npt.NDArray[np.floating[Any]], variable: Variable) -> tuple[npt.NDArray[np.int16], int]:
    """``values`` in canonical units as int16 of the same shape, and how many are outside the valid range.

    Nothing is clipped: a value outside the valid range is kept where int16 can hold it and is otherwise missing. NaN is
    missing and not counted. The error of a kept value is at most half the scale. The table must pack the variable.
    """
    if variable.packing is None:
        raise ValueError(f"the table of variables does not pack '{variable.name}'")
    scale, offset = variable.packing
    low, high = variable.valid
    outside = int(np.count_nonzero((values < low) | (values > high)))
    steps = np.rint((values.astype(np.float64) - offset) / scale)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(steps) <= LARGEST, steps, FILL).astype(np.int16), outside

"""Static inputs of the network, from the attributes of cells or sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..loading import load_object
from ..systems import System


def derive_statics(
    attributes: Mapping[str, npt.NDArray[np.floating[Any]]], system: System
) -> dict[str, npt.NDArray[np.float32]]:
    """``System.statics``, each (n,) float32, from attributes (n,) by the pedotransfer of the process model.

    Raises :class:`~fluxatlas.errors.InputError` for an attribute that is absent, missing in a cell or out of range.
    """
    known = {**load_object(system.process).derive(attributes), **attributes}
    return {name: np.asarray(known[name], np.float32) for name in system.statics}

"""The structural choices of the methane model: which published form each part takes.

Each choice is one name for all cells or an integer code per cell, so that one run can mix structures.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ..errors import InputError, nearest
from .choices import CHOICES

Choice = str | npt.NDArray[np.integer]


@dataclass(frozen=True)
class Structure:
    """Structure of the methane model; every field is a name of :data:`CHOICES` or codes of shape (N,).

    The default is Curry (2007) with an oxidation rate that peaks below the surface.
    """

    diffusivity: Choice = "curry"
    temperature: Choice = "curry"
    moisture: Choice = "curry"
    profile: Choice = "gaussian"

    def codes(self, n: int) -> dict[str, npt.NDArray[np.int64]]:
        """The code of every choice as arrays of shape (n,); raises :class:`InputError` for a bad name, code or
        shape.
        """
        result = {}
        for field in fields(self):
            given = getattr(self, field.name)
            array = np.asarray(code(field.name, given) if isinstance(given, str) else given)
            if array.shape not in ((), (n,)) or not np.issubdtype(array.dtype, np.integer):
                raise InputError(
                    f"structure '{field.name}' has shape {array.shape} and type {array.dtype}",
                    hint=f"give one of {CHOICES[field.name]} or integer codes of shape ({n},)",
                )
            if array.size and (array.min() < 0 or array.max() >= len(CHOICES[field.name])):
                raise InputError(
                    f"structure '{field.name}' has codes {array.min()}..{array.max()}",
                    hint=f"codes run from 0 to {len(CHOICES[field.name]) - 1}: {CHOICES[field.name]}",
                )
            result[field.name] = np.array(np.broadcast_to(array, (n,)), np.int64)
        return result


def code(choice: str, name: str) -> int:
    """The code of an alternative; raises :class:`InputError` with the nearest name for an unknown one."""
    if name not in CHOICES[choice]:
        raise InputError(
            f"unknown {choice} model '{name}'{nearest(name, CHOICES[choice])}", hint=f"choose from {CHOICES[choice]}"
        )
    return CHOICES[choice].index(name)

"""The structural choices of the methane model: which published form each part takes.

Each choice is one name for all cells or an integer code per cell, so that one run can mix structures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ..errors import InputError, nearest
from .choices import CHOICES

Choice = str | npt.NDArray[np.integer]


@dataclass(frozen=True)
class MethaneStructure:
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
        return codes_of(CHOICES, {field.name: getattr(self, field.name) for field in fields(self)}, n)


def codes_of(
    choices: Mapping[str, tuple[str, ...]], chosen: Mapping[str, Choice], n: int
) -> dict[str, npt.NDArray[np.int64]]:
    """The code of each of the ``choices`` as arrays of shape (n,): ``chosen``, a name or codes; otherwise the first.

    Raises :class:`InputError` for an unknown choice, a bad name, code or shape.
    """
    for choice in chosen:
        if choice not in choices:
            hint = f"choose from {', '.join(choices)}"
            raise InputError(f"unknown structural choice '{choice}'{nearest(choice, choices)}", hint=hint)
    result = {}
    for choice in choices:
        given = chosen.get(choice, 0)
        array = np.asarray(code(choice, given, choices) if isinstance(given, str) else given)
        if array.shape not in ((), (n,)) or not np.issubdtype(array.dtype, np.integer):
            raise InputError(
                f"structure '{choice}' has shape {array.shape} and type {array.dtype}",
                hint=f"give one of {choices[choice]} or integer codes of shape ({n},)",
            )
        if array.size and (array.min() < 0 or array.max() >= len(choices[choice])):
            raise InputError(
                f"structure '{choice}' has codes {array.min()}..{array.max()}",
                hint=f"codes run from 0 to {len(choices[choice]) - 1}: {choices[choice]}",
            )
        result[choice] = np.array(np.broadcast_to(array, (n,)), np.int64)
    return result


def code(choice: str, name: str, choices: Mapping[str, tuple[str, ...]] = CHOICES) -> int:
    """The code of an alternative; raises :class:`InputError` with the nearest name for an unknown one."""
    if name not in choices[choice]:
        raise InputError(
            f"unknown {choice} model '{name}'{nearest(name, choices[choice])}", hint=f"choose from {choices[choice]}"
        )
    return choices[choice].index(name)

"""Parameters of a process model as objects: what is believed of each beforehand, and a set of values with forms.

In *u-space* every prior is standard normal, whatever its shape: ``value(u)`` maps into the bounds. There the parameters
of all systems are alike, so that drawing, calibration and its intervals need no case by case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.integer[Any]]

FURTHEST = 6.0
"""Largest |u|: further out uniform priors are at their bounds to round-off."""


@dataclass(frozen=True)
class Prior:
    """What is believed of one parameter: ``uniform`` or ``loguniform`` between ``lower`` and ``upper``, or
    ``lognormal`` with median ``default`` and geometric standard deviation ``spread``, held at the bounds.

    ``between`` in [0, 1] is the share of its variance that lies between places: 0 for a constant of nature, 1 for a
    property that each place has of its own.
    """

    default: float
    lower: float
    upper: float
    kind: Literal["uniform", "loguniform", "lognormal"] = "uniform"
    spread: float = 1.0
    between: float = 0.0

    def value(self, u: npt.ArrayLike) -> FloatArray:
        """Values of standard normal ``u``, same shape, within the bounds."""
        normal = np.clip(np.asarray(u, float), -FURTHEST, FURTHEST)
        if self.kind == "lognormal":
            return np.clip(self.default * self.spread**normal, self.lower, self.upper)
        low, high = (np.log(self.lower), np.log(self.upper)) if self.logarithmic else (self.lower, self.upper)
        found = low + (high - low) * ndtr(normal)
        return np.clip(np.exp(found) if self.logarithmic else found, self.lower, self.upper)

    def normal(self, value: npt.ArrayLike) -> FloatArray:
        """The inverse of :meth:`value`, within :data:`FURTHEST`."""
        given = np.clip(np.asarray(value, float), self.lower, self.upper)
        if self.kind == "lognormal":
            return np.clip(np.log(given / self.default) / np.log(self.spread), -FURTHEST, FURTHEST)
        low, high = (np.log(self.lower), np.log(self.upper)) if self.logarithmic else (self.lower, self.upper)
        share = ((np.log(given) if self.logarithmic else given) - low) / (high - low)
        return np.clip(ndtri(share), -FURTHEST, FURTHEST)

    @property
    def logarithmic(self) -> bool:
        """Whether the parameter varies by factors."""
        return self.kind != "uniform"

    @property
    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of the parameter, or of its logarithm where it is :attr:`logarithmic`."""
        if self.kind == "lognormal":
            return float(np.log(self.default)), float(np.log(self.spread))
        low, high = (np.log(self.lower), np.log(self.upper)) if self.logarithmic else (self.lower, self.upper)
        return float(low + high) / 2, float(high - low) / 12**0.5


@dataclass(frozen=True)
class Theta:
    """Parameters ``values`` (n,) by name and ``forms``, codes (n,) by structural choice, of n runs of a model.

    A parameter or choice that is not named takes its default.
    """

    values: Mapping[str, FloatArray]
    forms: Mapping[str, IntArray]

    def take(self, part: slice | IntArray) -> Theta:
        """The runs at positions ``part``."""
        return Theta({k: v[part] for k, v in self.values.items()}, {k: v[part] for k, v in self.forms.items()})

    def all(self) -> dict[str, npt.NDArray[Any]]:
        """Values and codes (n,) by name."""
        return {**self.values, **self.forms}


def draw(
    priors: Mapping[str, Prior],
    choices: Mapping[str, Sequence[str]],
    n: int,
    rng: np.random.Generator,
    exclude: Mapping[str, Sequence[str]] | None = None,
    structures: bool = True,
) -> Theta:
    """``n`` independent draws from ``priors``; the forms too, each alike, less those in ``exclude``, or without
    ``structures`` the first of each, which is the default."""
    forms = {}
    for choice, names in choices.items():
        left = [code for code, name in enumerate(names) if name not in (exclude or {}).get(choice, ())]
        forms[choice] = rng.choice(left if structures else [0], n)
    return Theta({name: prior.value(rng.standard_normal(n)) for name, prior in priors.items()}, forms)

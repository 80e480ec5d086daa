"""The table of parameters: defaults, bounds, priors, units and sources (``resources/parameters.csv``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError, nearest
from ..paths import RESOURCES
from ..theta import Prior, draw

FloatArray = npt.NDArray[np.float64]
KINDS = ("uniform", "loguniform", "lognormal")


@lru_cache
def _table() -> pd.DataFrame:
    return pd.read_csv(RESOURCES / "parameters.csv", comment="#", index_col="name")


def table() -> pd.DataFrame:
    """One row per parameter (index ``name``): default, lower, upper, prior, spread, between, unit, process, meaning,
    source, tag.
    """
    return _table().copy()


def names() -> tuple[str, ...]:
    """Names of all parameters in the order of the table."""
    return tuple(_table().index)


def defaults(n: int | None = None) -> dict[str, Any]:
    """Default of every parameter as a float, or as arrays of length ``n``."""
    values = _table()["default"].astype(float)
    return {name: float(value) if n is None else np.full(n, value) for name, value in values.items()}  # type: ignore[misc]


@lru_cache
def priors() -> Mapping[str, Prior]:
    """The prior of every parameter in the order of the table.

    Raises :class:`InputError` for a kind of prior that does not exist.
    """
    found = {}
    for name, row in _table().iterrows():
        if row["prior"] not in KINDS:
            raise InputError(f"unknown prior '{row['prior']}' of '{name}'", where="resources/parameters.csv")
        spread = 1.0 if pd.isna(row["spread"]) else float(row["spread"])
        bounds = float(row["default"]), float(row["lower"]), float(row["upper"])
        found[str(name)] = Prior(*bounds, kind=row["prior"], spread=spread, between=float(row["between"]))
    return found


def sample(n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """``n`` independent draws of every parameter from its prior, arrays of shape (n,)."""
    return dict(draw(priors(), {}, n, rng).values)


def complete(given: Mapping[str, npt.ArrayLike], n: int) -> dict[str, FloatArray]:
    """All parameters as arrays of shape (n,): those given (scalar or (n,)), the defaults of the others.

    Raises :class:`InputError` for an unknown name, a wrong shape, or a value that is not within its bounds.
    """
    rows = _table()
    result: dict[str, FloatArray] = defaults(n)
    for name, values in given.items():
        if name not in rows.index:
            raise InputError(
                f"unknown parameter '{name}'{nearest(name, rows.index)}", hint="see resources/parameters.csv"
            )
        array = np.asarray(values, float)
        if array.shape not in ((), (n,)):
            raise InputError(
                f"parameter '{name}' has shape {array.shape}",
                where=name,
                hint=f"give a number or an array of shape ({n},)",
            )
        low, high = float(rows.at[name, "lower"]), float(rows.at[name, "upper"])  # type: ignore[arg-type]
        outside = ~((array >= low) & (array <= high))
        if outside.any():
            worst = float(np.atleast_1d(array)[np.atleast_1d(outside)][0])
            raise InputError(
                f"parameter '{name}' is {worst:g}, outside {low:g}..{high:g} {rows.at[name, 'unit']!s}",
                where="resources/parameters.csv",
                hint="choose a value within the bounds of the table",
            )
        result[name] = np.array(np.broadcast_to(array, (n,)))
    return result

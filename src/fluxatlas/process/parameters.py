"""Tables of parameters: defaults, bounds, priors, units and sources (``resources/parameters/*.csv``).

Every process model has a table of its own; :data:`SOIL` is that of the column of heat, water and methane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError, nearest
from ..paths import RESOURCES
from ..theta import Prior

FloatArray = npt.NDArray[np.float64]
KINDS = ("uniform", "loguniform", "lognormal")


@dataclass(frozen=True)
class ParameterTable:
    """The table in ``resources/parameters/<name>.csv``, read when it is first asked for.

    One row per parameter: name, default, lower, upper, prior, spread, between, unit, process, meaning, source, tag.
    """

    name: str

    @property
    def where(self) -> str:
        """The file, for messages."""
        return f"resources/parameters/{self.name}.csv"

    @cached_property
    def _rows(self) -> pd.DataFrame:
        return pd.read_csv(RESOURCES / "parameters" / f"{self.name}.csv", comment="#", index_col="name")

    @cached_property
    def _bounds(self) -> dict[str, tuple[float, float, str]]:
        table = self._rows[["lower", "upper", "unit"]].itertuples()
        return {str(name): (float(low), float(high), str(unit)) for name, low, high, unit in table}

    def rows(self) -> pd.DataFrame:
        """One row per parameter (index ``name``)."""
        return self._rows.copy()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters in the order of the table."""
        return tuple(self._rows.index)

    def defaults(self, n: int | None = None) -> dict[str, Any]:
        """Default of every parameter as a float, or as arrays of length ``n``."""
        values = self._rows["default"].astype(float)
        return {name: float(value) if n is None else np.full(n, value) for name, value in values.items()}  # type: ignore[misc]

    @cached_property
    def _priors(self) -> Mapping[str, Prior]:
        found = {}
        for name, row in self._rows.iterrows():
            if row["prior"] not in KINDS:
                raise InputError(f"unknown prior '{row['prior']}' of '{name}'", where=self.where)
            spread = 1.0 if pd.isna(row["spread"]) else float(row["spread"])
            bounds = float(row["default"]), float(row["lower"]), float(row["upper"])
            found[str(name)] = Prior(*bounds, kind=row["prior"], spread=spread, between=float(row["between"]))
        return found

    def priors(self) -> Mapping[str, Prior]:
        """The prior of every parameter in the order of the table.

        Raises :class:`InputError` for a kind of prior that does not exist.
        """
        return self._priors

    def complete(self, given: Mapping[str, npt.ArrayLike], n: int) -> dict[str, FloatArray]:
        """All parameters as arrays of shape (n,): those given (scalar or (n,)), the defaults of the others.

        Raises :class:`InputError` for an unknown name, a wrong shape, or a value that is not within its bounds.
        """
        result: dict[str, FloatArray] = self.defaults(n)
        for name, values in given.items():
            if name not in result:
                raise InputError(f"unknown parameter '{name}'{nearest(name, result)}", hint=f"see {self.where}")
            result[name] = self._checked(name, np.asarray(values, float), n)
        return result

    def _checked(self, name: str, array: FloatArray, n: int) -> FloatArray:
        if array.shape not in ((), (n,)):
            raise InputError(
                f"parameter '{name}' has shape {array.shape}",
                where=name,
                hint=f"give a number or an array of shape ({n},)",
            )
        low, high, unit = self._bounds[name]
        outside = ~((array >= low) & (array <= high))
        if outside.any():
            worst = float(np.atleast_1d(array)[np.atleast_1d(outside)][0])
            raise InputError(
                f"parameter '{name}' is {worst:g}, outside {low:g}..{high:g} {unit}",
                where=self.where,
                hint="choose a value within the bounds of the table",
            )
        return np.array(np.broadcast_to(array, (n,)))


SOIL = ParameterTable("soil_methane")

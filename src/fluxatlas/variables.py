"""The table of variables: names, units, ranges, time meaning and packing, and every check that relies on them.

The table itself is ``resources/variables.yaml``. Units are converted with pint; range checks use the ``valid`` column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError, UnitError, nearest
from .paths import RESOURCES
from .yaml_text import read_keys

UNCERTAINTY = "standard uncertainty at a place (members of the ensemble, and places that are alike)"
"""What ``<flux>_sd`` is."""

FILL = -32768
"""Missing value of packed int16 data."""
TENFOLD = {"soc": (6.0, "g kg-1", "%"), "ndep": (2.5, "kg ha-1 yr-1", "g m-2 yr-1")}
"""Layers that providers give in two units whose factor is 10: up to which median [canonical] both are likely, and the
two. Of maps of the globe half of the soils have more than 6 g kg-1 and less than 6 % of carbon in the topsoil; half of
the land gets more than 2.5 kg ha-1 yr-1 of nitrogen and less than 2.5 g m-2 yr-1 (bounds are ours)."""
ROUNDED = 1.0
"""Percent by which sand and clay, each rounded to whole percent, may exceed all of the soil."""
FULL = 90.0
"""Percent of the fine earth that sand and clay make together above which neither is taken for a share."""


Array = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Variable:
    """One row of the table; see the head of ``resources/variables.yaml`` for the meaning of each field."""

    name: str
    standard_name: str | None
    long_name: str
    units: str
    valid: tuple[float, float]
    time: str
    packing: tuple[float, float] | None
    step: tuple[float, float] | None = None
    possible: tuple[float, float] | None = None
    noise: float = 0.0
    bound: tuple[float, float] | None = None
    transform: tuple[str, float] | None = None
    label: str = ""
    area: str = ""

    @property
    def attrs(self) -> dict[str, Any]:
        """CF attributes of a variable in a file (without packing, which is encoding)."""
        attrs: dict[str, Any] = {"long_name": self.long_name, "units": self.units}
        if self.standard_name:
            attrs["standard_name"] = self.standard_name
        if self.time not in ("fixed", "point"):
            attrs["cell_methods"] = f"time: {self.time}" + (f" area: {self.area}" if self.area else "")
        return attrs

    def encoding(self, **more: Any) -> dict[str, Any]:
        """xarray encoding: int16 with scale and offset where the table packs the variable, else float32."""
        if self.packing is None:
            return {"dtype": "float32", "_FillValue": np.float32(np.nan), **more}
        scale, offset = self.packing
        return {
            "dtype": "int16",
            "scale_factor": scale,
            "add_offset": offset,
            "_FillValue": np.int16(FILL),
            **more,
        }


@lru_cache
def table() -> Mapping[str, Variable]:
    """All variables by name."""
    rows = read_keys(RESOURCES / "variables.yaml")
    return {
        name: Variable(
            name=name,
            standard_name=row["standard_name"],
            long_name=row["long_name"],
            units=row["units"],
            valid=_pair(row["valid"]),
            time=row["time"],
            packing=_pair(row["packing"]) if row["packing"] else None,
            step=_pair(row["step"]) if "step" in row else None,
            possible=_pair(row["possible"]) if "possible" in row else None,
            noise=float(row.get("noise", 0.0)),
            bound=_pair(row["bound"]) if "bound" in row else None,
            transform=(row["transform"][0], float(row["transform"][1])) if "transform" in row else None,
            label=row.get("label", row["long_name"]),
            area=row.get("area", ""),
        )
        for name, row in rows.items()
    }


def _pair(values: Sequence[Any]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def get(name: str) -> Variable:
    """The variable called ``name``; raises :class:`InputError` with the nearest name for an unknown one."""
    if name not in table():
        raise InputError(f"unknown variable '{name}'{nearest(name, table())}", hint="see resources/variables.yaml")
    return table()[name]


@lru_cache
def _registry() -> Any:
    import pint

    units: Any = pint.UnitRegistry(cache_folder=None)
    units.define("ppb = 1e-9 = parts_per_billion")
    units.define("parts_per_million = 1e-6")
    return units


_CELSIUS = re.compile(r"(deg(ree)?s?[\s_.]*c(elsius)?|c(elsius)?|[°ºo]\s?c)", re.IGNORECASE)
_KELVIN = re.compile(r"(deg(ree)?s?[\s_.]*k(elvin)?|kelvins?)", re.IGNORECASE)
_WORDS = {
    r"\s*\b(of )?(liquid )?water( equivalent)?(?=\s|$)|\s*\bw\.\s?e\.?(?=\s|$)": "",
    r"\b[Ww](atts?)?(?=\b|m\W?-)": "W",
    r"(?<=[WJ])(?=m\W*-)": " ",
    r"\bPA\b|\b[Pp]ascals?\b": "Pa",
    r"\bmb\b": "mbar",
    r"\bmon\b": "month",
    r"^[Pp]ercent$|^%$": "percent",
    r"^kgkg\W?-1$": "kg/kg",
}
"""Spellings outside UDUNITS that files have and that have one meaning only."""


@lru_cache(maxsize=256)
def _parse(text: str) -> Any:
    """A pint unit from UDUNITS spelling (``kg m-2 s-1``, ``W m**-2``, ``mm/day``, ``degC``, ``1``, ``%``)."""
    spelled = text.strip()
    if spelled in ("", "1", "-", "unitless", "fraction", "(0 - 1)", "0-1"):
        return _registry().Unit("dimensionless")
    if spelled in ("1e-9", "1e-6"):
        return _registry().Unit({"1e-9": "ppb", "1e-6": "parts_per_million"}[spelled])
    if _CELSIUS.fullmatch(spelled) and spelled != "c":
        return _registry().Unit("degC")
    if _KELVIN.fullmatch(spelled):
        return _registry().Unit("K")
    for pattern, word in _WORDS.items():
        spelled = re.sub(pattern, word, spelled)
    spelled = re.sub(r"(?<=[A-Za-z])\^?\s?([-+]?\d+)", r"**\1", spelled.replace("**", ""))
    spelled = re.sub(r"(?<=[\w)])\s+(?=[A-Za-z])", " * ", spelled)
    return _registry().Unit(spelled)


def same_units(one: str, other: str) -> bool:
    """Whether two unit labels are spellings of the same unit; ``False`` where one cannot be read."""
    try:
        return bool(_parse(one) == _parse(other))
    except Exception:  # pint raises many kinds for a unit it cannot read
        return False


def factor(units: str, target: str) -> float:
    """What a number in ``units`` is multiplied by to be in ``target``; raises :class:`UnitError` where that is none."""
    try:
        ratio = _registry().Quantity(1.0, _parse(units)).to(_parse(target)).magnitude
    except Exception as problem:  # pint raises many kinds
        raise UnitError(f"'{units}' is not convertible to '{target}'", hint="correct the unit") from problem
    return float(f"{ratio:.12g}")  # a ratio of powers of ten, freed from its rounding


def linear(units: str, target: str) -> tuple[float, float]:
    """(factor, offset) from numbers in ``units`` to ``target``; raises :class:`UnitError` where there is none."""
    try:
        pair = _registry().Quantity(np.array([0.0, 1.0]), _parse(units)).to(_parse(target)).magnitude
    except Exception as problem:  # pint raises many kinds
        raise UnitError(f"'{units}' is not convertible to '{target}'", hint="correct the unit") from problem
    zero, one = (float(value) for value in pair)
    return float(f"{one - zero:.12g}"), float(f"{zero:.12g}")


def convert(values: npt.ArrayLike, units: str, name: str, *, where: str = "") -> npt.NDArray[np.floating[Any]]:
    """Convert ``values`` given in ``units`` to the canonical units of variable ``name``.

    A depth of water (``mm d-1``, ``m s-1`` of liquid) converts to ``kg m-2 s-1`` with a density of 1000 kg m-3.
    Raises :class:`UnitError` if the unit is unknown or of another dimension.
    """
    variable = get(name)
    data = np.asarray(values)
    if units == variable.units:
        return data
    registry = _registry()
    try:
        source, target = _parse(units), _parse(variable.units)
    except Exception as problem:  # pint raises many kinds for a unit it cannot read
        raise UnitError(
            f"'{units}' is not a unit that can be read ({problem})",
            where=where or name,
            hint=f"give '{name}' a UDUNITS unit that converts to '{variable.units}'",
        ) from problem
    factor = registry.Quantity(1.0)
    if target.dimensionality == (registry.kg / registry.m**2 / registry.s).dimensionality and (
        source.dimensionality == (registry.m / registry.s).dimensionality
    ):
        factor = registry.Quantity(1000.0, "kg / m**3")
    try:
        quantity = registry.Quantity(data.astype(np.float64), source)
        return np.asarray(
            (quantity * factor if factor.units != registry.dimensionless else quantity).to(target).magnitude
        )
    except Exception as problem:
        raise UnitError(
            f"'{units}' cannot be converted to '{variable.units}'",
            where=where or name,
            hint=f"'{name}' is {variable.long_name}: correct the unit in the file or declare an override",
        ) from problem


def check_range(values: npt.ArrayLike, name: str, *, where: str) -> None:
    """Raise :class:`InputError` if any finite value lies outside the valid range of ``name``; NaN passes."""
    variable = get(name)
    data = np.asarray(values)
    low, high = variable.valid
    with np.errstate(invalid="ignore"):
        bad = (data < low) | (data > high)
    if bad.any():
        worst = data[bad][np.argmax(np.abs(data[bad] - 0.5 * (low + high)))]
        raise InputError(
            f"{int(bad.sum())} of {data.size} values of '{name}' lie outside [{low:g}, {high:g}] {variable.units}; "
            f"most extreme value: {worst:g}",
            where=where,
            hint="check the unit and the missing-value code of the source",
        )


def without_noise(values: Array, name: str) -> tuple[Array, int]:
    """``values`` with noise just beyond the bounds of ``name`` clipped to them, and how many there were; NaN stays."""
    variable = get(name)
    low, high = variable.bound or variable.valid
    with np.errstate(invalid="ignore"):
        near = (values < low) & (values >= variable.valid[0] - variable.noise)
        near |= (values > high) & (values <= variable.valid[1] + variable.noise)
    count = int(near.sum())
    return (np.where(near, np.clip(values, low, high), values) if count else values), count


def check_texture(sand: npt.ArrayLike, clay: npt.ArrayLike, *, where: str, place: Callable[..., str] = str) -> None:
    """Raise :class:`InputError` where ``sand`` and ``clay`` [%] of the fine earth, of one shape, exceed all of it.

    :data:`ROUNDED` is let pass, NaN too. ``place`` turns the index of a value into words for the message. Raises as
    :func:`check_fractions` too.
    """
    total = np.asarray(sand, float) + np.asarray(clay, float)
    with np.errstate(invalid="ignore"):
        bad = total > 100 + ROUNDED
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"sand and clay add up to {np.nanmax(total):.4g} % of the fine earth"
            + (f" ({int(bad.sum())} of {total.size} values, the first {place(*first)})" if first else ""),
            where=where,
            hint="give both of one source, as mass fractions of the fine earth; one may have another unit",
        )
    check_fractions(sand, clay, where=where)


def check_fractions(sand: npt.ArrayLike, clay: npt.ArrayLike, *, where: str) -> None:
    """Raise :class:`InputError` where ``sand`` or ``clay`` [%] are fractions by magnitude.

    Both: where neither is ever above 1. One of them: where it is never above 1 in several soils, could be a share of
    each beside the other (a sand of 97 % leaves no room for one), and the two leave much of the soil to silt.
    """
    soils = np.column_stack([np.ravel(np.asarray(part, float)) for part in (sand, clay)])
    soils = soils[np.isfinite(soils).all(axis=1)]
    if not len(soils):
        return
    most = dict(zip(("sand", "clay"), soils.max(axis=0).tolist(), strict=True))
    small = [name for name, value in most.items() if 0 < value <= 1]
    if len(small) == 2:
        what = "sand and clay are fractions by magnitude (neither is ever above 1)"
    elif small and len(soils) > 1:
        number = list(most).index(small[0])
        part, other = soils[:, number], soils[:, 1 - number]
        if (100 * part + other > 100 + ROUNDED).any() or np.median(part + other) > FULL:
            return
        named = ("sand", "clay")[1 - number]
        what = f"{small[0]} is a fraction by magnitude (never above {most[small[0]]:.3g}), {named} is percent"
    else:
        return
    hint = "give both in percent of the fine earth; the unit of a static layer can be stated (units: '1')"
    raise InputError(what, where=where, hint=hint)

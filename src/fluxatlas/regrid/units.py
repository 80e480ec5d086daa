"""From stored values of a static layer to canonical units: which unit holds, and what is refused as not sure.

A unit is the one of the configuration, else that of the provider, else the one the file states, else the canonical one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables
from ..config.providers import presets
from ..config.static import Layer
from ..constants import GRAVITY
from ..errors import InputError, UnitError
from .source import LayerSource

Array = npt.NDArray[np.floating[Any]]

INCH_PER_HOUR = 0.0070556
"""One inch per hour [mm s-1]."""
SAYS_NOTHING = ("", "none", "unknown", "n/a", "na", "-", "unitless", "no units", "nounits", "undefined", "null")
"""Labels that are not units."""
SHARES = ("sftlf", "cropFrac", "wetlandFrac", "uplandFrac", "sand", "clay")
"""Layers that providers give as fractions or percent."""
COMPOUND = re.compile(r"(?i)(?<![a-z])(NH[34x]|NO[23xy]|HNO3|N2O)(?![a-z])")


@dataclass(frozen=True)
class UnitEncoding:
    """How raw values become canonical: times ``scale``, plus ``offset``, in ``units`` ('' for canonical ones).

    ``stated`` tells whether somebody said so; where nobody did, what could be fraction or percent is refused.
    """

    scale: float
    offset: float
    units: str
    stated: bool


def encoding(name: str, layer: Layer, units: str, packing: tuple[float, float], where: str) -> UnitEncoding:
    """The encoding of layer ``name`` in a file that states ``units`` and ``packing``.

    Raises :class:`InputError` where a provider's preset and the file's packing contradict each other, and
    :class:`UnitError` for a unit that cannot be used.
    """
    packed = packing != (1.0, 0.0)
    preset = presets().get((layer.provider, name))
    if preset:
        if packed:
            what = f"the file states a scale of {packing[0]:g}, which {layer.provider} files do not"
            raise InputError(what, where=where, hint="leave 'provider' out and state the 'units' after scaling")
        return UnitEncoding(preset.scale, 0.0, preset.units, True)
    changed = layer.scale != 1.0 or layer.offset != 0.0
    scale, offset = (layer.scale, layer.offset) if changed or not packed else packing
    if layer.units or changed or layer.transform:
        return UnitEncoding(scale, offset, plain(name, layer.units, where), True)
    if units.lower() in SAYS_NOTHING:
        return UnitEncoding(scale, offset, "", False)
    tenths = name == "phh2o" and re.fullmatch(r"(?i)pH\s?[*x]\s?10", units)
    return UnitEncoding(0.1 * scale if tenths else scale, offset, "1" if tenths else plain(name, units, where), True)


def plain(name: str, units: str, where: str) -> str:
    """``units`` without words: ``g N m-2 yr-1`` is a mass of nitrogen, ``% weight`` is percent, pH has none.

    Raises :class:`UnitError` for deposition counted as the mass of a compound.
    """
    text = units.strip()
    if name == "ndep":
        if COMPOUND.search(text):
            hint = "give 'scale' (14.007 / mass of the compound) and 'units' as nitrogen"
            raise UnitError(f"'{text}' is the mass of a compound, not of nitrogen", where=where, hint=hint)
        text = re.sub(r"(?<![A-Za-z])([kmuµMGT]?g)[\s._-]*[\[(]?N[\])]?(?![A-Za-z])", r"\1 ", text)
        text = re.sub(r"\b(of|as)\s+N(itrogen)?\b", "", text).strip()
        text = re.sub(r"\s{2,}", " ", re.sub(r"\s+([/*])", r"\1", text))
        text = re.sub(r"\ba-1\b|(?<=/)a\b", lambda found: found[0].replace("a", "yr"), text)
    if name == "phh2o" and re.fullmatch(r"(?i)pH( units?)?|-?\s?log\s?\(?\s?\[?h\+\]?\)?", text):
        return "1"
    if name == "orog":
        text = re.sub(
            r"(?i)^(gpm|geopotential met(er|re)s?|met(er|re)s?|m(et(er|re)s?)? ?(a\.?s\.?l\.?|above .*))$", "m", text
        )
    if re.match(r"(?i)^(%|percent\b|per ?cent\b)", text):
        return "%"
    superscripts = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return text.translate(superscripts)


def canonical(raw: Array, name: str, layer: Layer, code: UnitEncoding, where: str, *, certain: bool = False) -> Array:
    """``raw`` values of a file, any shape, in canonical units: scaled, shifted, transformed, converted and checked.

    A geopotential [m2 s-2] becomes an altitude. ``certain``: the file as a whole told its unit (:func:`told`), so that
    these values are not asked. Raises :class:`UnitError` and :class:`InputError`.
    """
    values = _TRANSFORMS[layer.transform](raw * code.scale + code.offset)
    if code.units:
        if name == "orog" and variables.same_units(code.units, "m2 s-2"):
            values = values / GRAVITY
        else:
            values = np.asarray(variables.convert(values, code.units, name, where=where), float)
    elif not (code.stated or certain):
        _ask_for_unit(values, name, where)
    values, _ = variables.without_noise(values, name)
    variables.check_range(values, name, where=where)
    return values


def told(source: LayerSource, name: str, code: UnitEncoding, where: str) -> bool:
    """Whether a sample of the whole file tells its unit where nothing states it: a tile of it need not.

    Raises :class:`UnitError` where the sample could be in either of two units.
    """
    if code.stated or not (name in SHARES or name in variables.TENFOLD):
        return True
    return _ask_for_unit(source.sample() * code.scale + code.offset, name, where)


def _ask_for_unit(values: Array, name: str, where: str) -> bool:
    """Refuse values without a unit that could be in either of two: shares never above one, ``variables.TENFOLD``.
    False where no value is positive, so that nothing can be told."""
    positive = values[np.nan_to_num(values) > 0]
    if not positive.size:
        return False
    if name in SHARES and positive.max() <= 1:
        what, units = f"'{name}' has no unit and no value above 1: fraction or percent?", ("1", "%")
    elif name in variables.TENFOLD and np.median(positive) <= variables.TENFOLD[name][0]:
        units = variables.TENFOLD[name][1:]
        what = f"'{name}' has no unit and a median of {np.median(positive):.3g}: {' or '.join(units)}?"
    else:
        return True
    raise UnitError(what, where=where, hint=f"declare units: '{units[0]}' or units: '{units[1]}'")


def clay_from_expt(expt: Array) -> Array:
    """Clay [%] from the exponent of conductivity in VIC, ``expt = 3 + 2 b``, any shape; NaN stays.

    Inverts ``b = 2.91 + 0.159 clay`` of Cosby et al. (1984, doi:10.1029/WR020i006p00682) [R+]; kept within 0-100.
    """
    return np.clip(((expt - 3.0) / 2.0 - 2.91) / 0.159, 0.0, 100.0)


def sand_from_ksat(ksat: Array) -> Array:
    """Sand [%] from the saturated conductivity [mm d-1], any shape; NaN where it is missing or not positive.

    Inverts ``log10 Ksat = -0.884 + 0.0153 sand``, Ksat in inch per hour, of Cosby et al. (1984) [R+]; kept in 0-100.
    """
    inches = np.where(ksat > 0, ksat, np.nan) / 86400.0 / INCH_PER_HOUR
    return np.clip((np.log10(inches) + 0.884) / 0.0153, 0.0, 100.0)


_TRANSFORMS: dict[str, Any] = {
    "": lambda values: values,
    "clay_from_expt": clay_from_expt,
    "sand_from_ksat": sand_from_ksat,
}

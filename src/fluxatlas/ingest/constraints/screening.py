"""Raw soil moisture to a volume fraction: units, flags and ranges applied, and every effect counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import variables as table
from ...errors import InputError, UnitError
from ..sites.magnitude import by_magnitude
from .soil_kinds import MISSING, SoilMoistureKind

Array = npt.NDArray[np.floating[Any]]

VOLUME = ("", "1", "m3m-3", "m3/m3", "cm3/cm3", "cm3cm-3", "m3perm3", "volumefraction", "(0-1)", "fraction")
PERCENT = ("%", "percent", "percentage(%)", "percentofsaturation", "percentsaturation", "degreeofsaturation(%)")
MASS = ("kgm-2", "kg/m2", "mm")
MOST_OUTSIDE, ENOUGH = 0.5, 100
"""A file of which more than this share of the values (at least so many) is out of range has another unit."""
FLAG_FILL = 65534
"""Fill value of SMAP's bit flags; its bit 0 is not set [V]."""

REASONS = ("kept", "missing", "flagged", "out_of_range")


class Screen:
    """Turns raw values of one raw variable into canonical ones; ``counts`` says what became of them.

    ``clipped`` are values clipped to a bound, ``largest`` is the largest raw value. ``name`` is the canonical variable:
    soil moisture as it is called by the kind (``swc05``), or ``sat05`` where the file holds a degree of saturation in
    percent, which is not a volume fraction without the porosity.
    """

    def __init__(self, facts: SoilMoistureKind, canonical: str, raw: str, units: str, where: str) -> None:
        """Raises :class:`UnitError` for a unit that is none of soil moisture."""
        plain = units.lower().replace(" ", "").replace("**", "").replace("^", "")
        self.scale, self.name, self.counts = 1.0, canonical, Counter[str]()
        base = raw.rsplit("/", 1)[-1]
        if plain in PERCENT and canonical == "swc05":
            self.scale, self.name = 0.01, "sat05"
        elif plain in MASS and base in facts.thickness:
            self.scale = 1 / (1000 * facts.thickness[base])
        elif plain not in VOLUME:
            raise UnitError(
                f"the unit of '{base}' is '{units}'",
                where=where,
                hint="soil moisture must be m3 m-3, % of saturation, or kg m-2 of a known layer (GLDAS)",
            )
        self.low, self.high = table.get(self.name).valid
        self.units, self.largest, self.clipped = units, 0.0, 0

    def __call__(self, raw: Array, bad: npt.NDArray[np.bool_] | None, where: str) -> npt.NDArray[np.float64]:
        """Canonical values with rejected ones NaN; ``bad`` is where a flag rejects.

        Raises :class:`InputError` where most values are out of range, which another unit than the label's explains.
        """
        values = np.asarray(raw, np.float64)
        missing = ~np.isfinite(values) | (values == MISSING)
        self.largest = max(self.largest, float(np.max(values, initial=0.0, where=~missing)))
        clean, noise = table.without_noise(values * self.scale, self.name)
        values = np.asarray(clean, np.float64)
        self.clipped += noise
        flagged = np.zeros_like(missing) if bad is None else bad & ~missing
        with np.errstate(invalid="ignore"):
            outside = ((values < self.low) | (values > self.high)) & ~missing & ~flagged
        kept = ~(missing | flagged | outside)
        found = dict(zip(REASONS, (int(x.sum()) for x in (kept, missing, flagged, outside)), strict=True))
        if found["out_of_range"] > max(ENOUGH, MOST_OUTSIDE * (found["kept"] + found["out_of_range"])):
            usual = float(np.median(values[outside]))
            raise InputError(
                f"{found['out_of_range']:,} of {found['kept'] + found['out_of_range']:,} values of '{self.name}' are "
                f"out of range ({usual:g} is usual)",
                where=where,
                hint="the values are in percent, or carry a scale factor that the file does not declare",
            )
        self.counts.update(found)
        return np.where(kept, values, np.nan)

    def check_magnitude(self, where: str) -> None:
        """Raise :class:`UnitError` where all values so far are fractions by magnitude and their unit says otherwise."""
        found = by_magnitude(np.array([self.largest]), "swc05", units=self.units, factor=self.scale)
        if self.scale < 0.1 and found is not None and found.units:
            raise UnitError(
                f"'{self.name}' is in '{self.units}' but {found.text}",
                where=where,
                hint="correct the unit in the files (m3 m-3)",
            )

    def uncertainty(self, raw: Array, values: Array) -> npt.NDArray[np.float64]:
        """Standard deviation in the unit of the values; NaN where there is no value, or none is stated."""
        sd = np.asarray(raw, np.float64)
        with np.errstate(invalid="ignore"):
            good = np.isfinite(values) & np.isfinite(sd) & (sd >= 0)
        return np.where(good, sd * self.scale, np.nan)


def rejects(flag: npt.NDArray[Any], keep_bits: int) -> npt.NDArray[np.bool_]:
    """Where ``flag`` is set in any bit that is not among ``keep_bits``; a missing flag rejects too."""
    values = np.asarray(flag)
    absent = ~np.isfinite(values) if values.dtype.kind == "f" else np.zeros(values.shape, bool)
    bits = np.where(absent, 0, values).astype(np.int64)
    return absent | (bits == FLAG_FILL) | ((bits & ~keep_bits) != 0)


def flag_is_absent(flag: npt.NDArray[Any]) -> bool:
    """Whether ``flag`` is missing everywhere, so that it cannot be applied."""
    values = np.asarray(flag)
    return bool((~np.isfinite(values)).all() if values.dtype.kind == "f" else (values == FLAG_FILL).all())


def kept_bits(attrs: Mapping[str, Any], always: int) -> int:
    """Bits of a flag that do not reject: ``always``, and those that its own meanings call advisory."""
    meanings = str(attrs.get("flag_meanings", "")).split()
    values = attrs.get("flag_masks", attrs.get("flag_values", ()))
    codes = [c.strip().rstrip("sub") for c in values.split(",")] if isinstance(values, str) else list(np.ravel(values))
    bits = always
    for code, meaning in zip(codes, meanings, strict=False):
        text = str(code)
        if "advisory" in meaning.lower() and text.lstrip("-").isdigit() and int(text) > 0:
            bits |= int(text) if int(text) & (int(text) - 1) == 0 else 0
    return bits

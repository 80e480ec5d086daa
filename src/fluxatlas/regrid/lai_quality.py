"""Satellite products of leaf area: windows, stored values and the bits of their quality bytes.

Facts [V] from the LP DAAC pages and file specifications of MCD15A2H/MCD15A3H (doi:10.5067/MODIS/MCD15A3H.061), whose
legend the files carry themselves, and of VNP15A2H (doi:10.5067/VIIRS/VNP15A2H.002), whose byte is laid out
**differently**: the algorithm path is in the lowest bits and there is no cloud state. GIMMS LAI4g (Cao et al. 2023,
doi:10.5194/essd-15-4877-2023) [R]: thousandths, second band with a flag of 0-3.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config.lai import LaiQuality, LaiSeries
from ..errors import InputError, UnitError
from ..variables import check_range, same_units, without_noise

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

LAYOUTS: dict[str, dict[str, tuple[int, int]]] = {
    "modis": {"scf": (5, 3), "cloud": (3, 2), "dead_detector": (2, 1), "modland": (0, 1), "sensor": (1, 1)},
    "viirs": {"scf": (0, 3), "dead_detector": (3, 1)},
    "gimms": {"flag": (0, 8)},
}
"""Fields of the quality byte: name -> lowest bit, number of bits; in the order in which they are applied."""
NO_QUALITY = 255
"""Quality byte where there is none."""


@dataclass(frozen=True)
class Product:
    """What files of a product hold: ``window`` of a composite, ``layout`` of the quality byte ('' without), stored
    values ``scale``, ``valid`` range and ``fills``, names of the variable, bands of leaf area and quality."""

    name: str
    window: str
    layout: str
    scale: float = 1.0
    valid: tuple[float, float] | None = None
    fills: tuple[float, ...] = ()
    variables: tuple[str, ...] = ("Lai_500m", "Lai", "LAI", "lai", "leaf_area_index", "Lai_1km")
    bands: tuple[int, int] | None = None


_CODES = tuple(float(code) for code in range(249, 256))
PRODUCTS = {
    product.name: product
    for product in (
        *(Product(n, "8_days", "modis", 0.1, (0, 100), _CODES) for n in ("MCD15A2H", "MOD15A2H", "MYD15A2H")),
        Product("MCD15A3H", "4_days", "modis", 0.1, (0, 100), _CODES),
        *(Product(n, "8_days", "viirs", 0.1, (0, 100), _CODES) for n in ("VNP15A2H", "VJ115A2H", "VJ215A2H")),
        Product("GIMMS_LAI4g", "half_month", "gimms", 0.001, (0, 12000), (65535.0,), bands=(1, 2)),
        Product("other", "", ""),
    )
}


def product_of(texts: list[str], series: LaiSeries, where: str) -> Product:
    """The declared product, or the one that ``texts`` (names and titles of files) speak of.

    Raises :class:`InputError` where they speak of none or of several.
    """
    if series.product != "auto":
        return PRODUCTS[series.product]
    pattern = "|".join(name for name in PRODUCTS if name != "other")
    found = {match.upper() for text in texts for match in re.findall(pattern, text, re.IGNORECASE)}
    known = {name.upper(): product for name, product in PRODUCTS.items()}
    if len(found) == 1:
        return known[found.pop()]
    what = f"the files are of several products: {', '.join(sorted(found))}" if found else "no name tells the product"
    hint = f"set 'product' to one of {', '.join(PRODUCTS)}" + (" and give one product at a time" if found else "")
    raise InputError(what, where=where, hint=hint)


@dataclass(frozen=True)
class ValuePacking:
    """How values are stored: ``value = raw * scale + offset``; raw values outside ``valid`` that are not codes of
    ``fills`` (nor NaN) are refused."""

    scale: float
    offset: float
    valid: tuple[float, float] | None
    fills: tuple[float, ...]

    @classmethod
    def of(
        cls,
        product: Product,
        series: LaiSeries,
        *,
        integer: bool,
        scale: float | None,
        offset: float,
        nodata: tuple[float, ...],
        valid: tuple[float, float] | None = None,
    ) -> ValuePacking:
        """From what product, settings and file say; the keywords are those of the file.

        Integers without a factor of their own have that of the product; floating numbers are taken as leaf area.
        """
        declared = series.scale if series.scale is not None else (None if scale == 1.0 else scale)
        codes = tuple(code for code in (*nodata, *series.nodata) if np.isfinite(code))
        if declared is None and not integer:
            valid = (product.valid[0] * product.scale, product.valid[1] * product.scale) if product.valid else valid
            return cls(1.0, offset, valid, (*codes, *(code * product.scale for code in product.fills)))
        factor = product.scale if declared is None else declared
        return cls(factor, offset, product.valid or valid, (*codes, *product.fills))

    def is_code(self, raw: Array, codes: tuple[float, ...]) -> Mask:
        """Where ``raw`` is one of ``codes`` (to rounding), any shape."""
        found = np.zeros(raw.shape, bool)
        for code in codes:
            found |= np.abs(raw - code) <= 1e-6 * max(abs(code), 1.0)
        return found

    def decode(self, raw: Array, where: str) -> tuple[Array, Mask]:
        """Leaf area [m2 m-2] and where it is missing, both of the shape of ``raw``; refuses what is out of range."""
        missing = ~np.isfinite(raw) | self.is_code(raw, self.fills)
        if self.valid is not None:
            low, high = self.valid
            wrong = ~missing & ((raw < low - 1e-6) | (raw > high + 1e-6))
            if wrong.any():
                raise InputError(
                    f"{int(wrong.sum())} of {raw.size} stored values lie outside {low:g} to {high:g} and are not fill "
                    f"codes; the first is {raw[wrong][0]:g}",
                    where=where,
                    hint="check product, 'scale' and 'nodata' of static.lai_series, or get the file again",
                )
        value, _ = without_noise(np.where(missing, np.nan, raw * self.scale + self.offset), "lai")
        check_range(value, "lai", where=where)
        return value, missing


def check_units(units: str, where: str) -> None:
    """Raise :class:`UnitError` unless ``units`` is empty or a spelling of m2 m-2."""
    spelled = re.sub(r"(?i)^(none|n/a|unitless|area fraction|lai)$", "", units.strip())
    if not same_units(spelled, "1"):
        hint = "choose the variable of leaf area, or state its unit with static.lai_series.units"
        raise UnitError(f"'{units}' is not a unit of leaf area (m2 m-2)", where=where, hint=hint)


def quality_bytes(raw: Array, signed: bool, where: str) -> npt.NDArray[np.uint8]:
    """Quality bytes of stored numbers: ``signed`` bytes are read unsigned, missing (NaN, 65535) is 255.

    Raises :class:`InputError` for what is not a whole number from 0 to 255.
    """
    values = np.where(np.isnan(raw) | (raw == 65535), NO_QUALITY, raw)
    values = np.where(values < 0, values + 256, values) if signed else values
    wrong = (values < 0) | (values > 255) | (values != np.floor(values))
    if wrong.any():
        bad = values[wrong][0]
        hint = "give the quality byte as it is stored (FparLai_QC, 0 to 255), not scaled or averaged"
        raise InputError(f"{bad:g} is not a quality byte", where=where, hint=hint)
    return values.astype(np.uint8)


def field(quality: npt.NDArray[np.uint8], layout: str, name: str) -> npt.NDArray[np.uint8]:
    """State of the field ``name`` in each quality byte."""
    lowest, bits = LAYOUTS[layout][name]
    return np.asarray((quality >> lowest) & (2**bits - 1), np.uint8)


def accept(
    missing: Mask, quality: npt.NDArray[np.uint8] | None, layout: str, rules: LaiQuality, inside: Mask
) -> tuple[Mask, Counter[str]]:
    """Which pixels are used, and how many of those ``inside`` are not, each under the first reason that applies."""
    why: Counter[str] = Counter()
    good = ~missing

    def drop(reason: str, bad: Mask) -> None:
        nonlocal good
        why[reason] += int((good & bad & inside).sum())
        good = good & ~bad

    why["fill value"] = int((missing & inside).sum())
    if quality is not None:
        drop("no quality byte", quality == NO_QUALITY)
        for name in LAYOUTS[layout]:
            drop(name, ~np.isin(field(quality, layout, name), getattr(rules, name)))
    return good, why

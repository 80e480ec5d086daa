"""What a file itself says is missing: one rule for all readers of files that others made.

Missing are values equal to ``_FillValue`` or to one of ``missing_value``, values outside ``valid_range`` or
``valid_min`` and ``valid_max`` (CF-1.11, section 2.5.1), and values that were never written: the fill value of the
NetCDF library where the file declares none (``NC_FILL_*`` of its ``netcdf.h``; bytes have none), or that of a Zarr
array unless it is zero.

Codes and limits are of the type of the stored values, unsigned where ``_Unsigned`` says so. Limits of a floating type
of packed integers are in the units of the unpacked values (NetCDF Users' Guide, attribute conventions).

Of text tables: :data:`CELLS`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = npt.NDArray[Any]

NEVER_WRITTEN: Mapping[str, float] = {
    "i2": -32767,
    "u2": 65535,
    "i4": -2147483647,
    "u4": 4294967295,
    "i8": -9223372036854775806,
    "u8": 18446744073709551614,
    "f4": 9.969209968386869e36,
    "f8": 9.969209968386869e36,
}
"""What the NetCDF library fills variables with, by kind and size of their type."""
CODES = ("_FillValue", "missing_value")
CELLS = frozenset((
    "", "na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "+nan", "-nan", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind",
    "null", "(null)", "none", "missing", ".", "-", "--",
))  # fmt: skip
"""Cells of text tables that programs and people write for no value, in lower case: R, pandas, spreadsheets, databases,
C of Windows, SAS. Of columns of values only: NA and None are names elsewhere."""


@dataclass(frozen=True)
class Said:
    """What attributes say of stored values: their type, the missing codes, and the limits of valid ones (or ``None``).

    ``codes`` and limits are of the type ``dtype``; ``declared`` tells whether the file names a code.
    """

    dtype: np.dtype[Any]
    codes: tuple[Any, ...]
    low: Any = None
    high: Any = None
    declared: bool = False

    @classmethod
    def of(cls, attrs: Mapping[str, Any], dtype: npt.DTypeLike, *, default: bool = True) -> Said:
        """From the attributes of a variable of the stored type ``dtype``; what is not a number says nothing.

        ``default``: a variable without ``_FillValue`` was filled by the NetCDF library.
        """
        stored = np.dtype(dtype)
        meant = _meant(attrs, stored)
        named = [c for key in CODES for number in _numbers(attrs.get(key)) if (c := _as(number, meant)) is not None]
        codes = list(named)
        if default and "_FillValue" not in attrs and stored.kind + str(stored.itemsize) in NEVER_WRITTEN:
            codes += [np.array(NEVER_WRITTEN[stored.kind + str(stored.itemsize)], stored).view(meant)[()]]
        unique = {c.item(): c for c in codes if c == c}
        return cls(meant, tuple(unique.values()), *_limits(attrs, meant), bool(named))

    def outside(self, stored: Array) -> Array:
        """Where values of the type ``dtype`` lie outside the limits."""
        found = np.zeros(stored.shape, bool)
        with np.errstate(invalid="ignore"):
            if self.low is not None:
                found |= stored < self.low
            if self.high is not None:
                found |= stored > self.high
        return found

    def masked(self, raw: Array) -> Array:
        """``raw`` stored values as floating numbers, NaN where they are missing; not unpacked."""
        stored = self.signed(raw)
        bad = self.outside(stored) | np.isin(stored, self.codes)
        return np.where(bad, np.nan, stored)

    def signed(self, raw: Array) -> Array:
        """``raw`` stored values in the type that they are meant in."""
        return np.asarray(raw).view(self.dtype)

    def plain(self, raw: Array) -> Array:
        """As :meth:`signed`, with one missing code, :attr:`spare`, for all outside the limits."""
        stored = self.signed(raw)
        outside = self.outside(stored)
        return np.where(outside, self.spare, stored) if outside.any() else stored

    @property
    def limited(self) -> bool:
        """Whether the file states a limit of valid values."""
        return self.low is not None or self.high is not None

    @property
    def spare(self) -> Any:
        """A code for values outside the limits: NaN, or one of the codes, or a number that is not valid."""
        if self.dtype.kind == "f":
            return self.dtype.type(np.nan)
        if self.codes:
            return self.codes[0]
        return self.dtype.type(int(self.low) - 1 if self.low is not None else int(self.high) + 1)


def without_value(cells: pd.Series) -> pd.Series:
    """Which cells of a column of values, numbers or text, hold none (bool); see :data:`CELLS`."""
    return cells.isna() | cells.astype(str).str.strip().str.lower().isin(CELLS)


def declare(dataset: xr.Dataset, *, limits: bool = True) -> xr.Dataset:
    """``dataset``, opened without decoding, with everything that :class:`Said` knows put into ``_FillValue``.

    Values are read as lazily as before; those outside their limits come as a missing code, ``_Unsigned`` ones unsigned.
    Without ``limits`` they come as they are, and ``valid_range`` tells the two limits of stored values. Coordinates of
    dimensions, times and bounds stay as they are. The encoding of a variable tells as ``declared`` whether the file
    itself names a code.
    """
    aside = {str(v.attrs.get(key)) for v in dataset.variables.values() for key in ("bounds", "climatology")}
    changed = {}
    for name, variable in dataset.variables.items():
        time = " since " in str(variable.attrs.get("units", ""))
        if variable.dtype.kind in "iuf" and not (time or name in aside or name in dataset.indexes):
            changed[name] = _declared(variable, limits)
    made = dataset.assign(changed)
    made.set_close(dataset.close)
    return made


def _declared(variable: xr.Variable, limits: bool) -> xr.Variable:
    from xarray.coding.common import lazy_elemwise_func

    attrs, encoding = dict(variable.attrs), dict(variable.encoding)
    counts = variable.dtype.kind in "iu" and variable.ndim < 2 and not {"scale_factor", "add_offset"} & set(attrs)
    said = Said.of(attrs, variable.dtype, default=not counts)
    codes = said.codes or ((said.spare,) if limits and said.limited and said.dtype.kind != "f" else ())
    encoding["declared"] = said.declared
    attrs = {key: value for key, value in attrs.items() if key not in (*CODES, "_Unsigned")}
    if codes:
        attrs["_FillValue"] = codes[0]
    if len(codes) > 1:
        attrs["missing_value"] = np.array(codes[1:])
    data: Any = variable._data
    if not limits and said.limited:
        attrs["valid_range"] = [
            -np.inf if said.low is None else float(said.low),
            np.inf if said.high is None else float(said.high),
        ]
    if said.dtype != variable.dtype or (limits and said.limited):
        data = lazy_elemwise_func(data, said.plain if limits else said.signed, said.dtype)
    return type(variable)(variable.dims, data, attrs, encoding, fastpath=True)


def decode(dataset: xr.Dataset, where: str, *, decode_times: bool = False) -> xr.Dataset:
    """``dataset`` of :func:`declare` with missing values as NaN and packed ones unpacked, as xarray does it.

    Raises :class:`InputError` where attributes cannot be used.
    """
    import xarray as xr

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of two missing values that differ, both are missing
            decoded = xr.decode_cf(dataset, decode_times=decode_times, decode_timedelta=False)
    except (ValueError, OverflowError, TypeError) as problem:
        raise InputError(
            f"cannot be read as NetCDF ({problem})", where=where, hint="mend the attributes of the file"
        ) from problem
    decoded.set_close(dataset.close)
    return decoded


def _meant(attrs: Mapping[str, Any], stored: np.dtype[Any]) -> np.dtype[Any]:
    """The type of stored values, with the sign that ``_Unsigned`` says."""
    unsigned = str(attrs.get("_Unsigned", "")).strip().lower()
    kind = {("i", "true"): "u", ("u", "false"): "i"}.get((stored.kind, unsigned), stored.kind)
    return stored if kind == stored.kind else np.dtype(f"{stored.byteorder}{kind}{stored.itemsize}")


_SUFFIX = re.compile(r"(?<=[\d.])(?i:f|d|u?(?:b|s|ll?)|u)$")
"""What the text form of NetCDF puts behind a number for its type, as in -9999.f and 255ub."""


def _numbers(value: Any) -> list[Any]:
    """The numbers that an attribute holds, which may be text; none where it holds something else."""
    try:
        if isinstance(value, str | bytes):
            text = value.decode("ascii") if isinstance(value, bytes) else value
            parts = re.split(r"[,;\s]+(?:(?:to|-)\s+)?", text.strip().strip("()[]").strip())
            parts = [_SUFFIX.sub("", part) for part in parts]
            return [int(part) if part.lstrip("+-").isdigit() else float(part) for part in parts]
    except ValueError:
        return []
    found = np.ravel([] if value is None else value)
    return list(found) if found.dtype.kind in "iuf" else []


def _as(number: Any, meant: np.dtype[Any]) -> Any:
    """``number`` as a stored value of type ``meant``; ``None`` where no stored value can equal it."""
    if meant.kind == "f":
        with np.errstate(over="ignore"):
            return None if np.isnan(number) else meant.type(number)
    if not np.isfinite(number) or number != np.floor(number):
        return None
    whole, info = _turned(int(number), meant), np.iinfo(meant)
    return meant.type(whole) if info.min <= whole <= info.max else None


def _turned(whole: int, meant: np.dtype[Any]) -> int:
    """``whole`` with the sign of ``meant`` where it is given with the other one: -1 is 255 of an unsigned byte."""
    turn, info = 1 << (8 * meant.itemsize), np.iinfo(meant)
    other = whole + turn if info.min == 0 and -turn // 2 <= whole < 0 else whole
    return other - turn if info.min < 0 and info.max < other < turn else other


def _limits(attrs: Mapping[str, Any], meant: np.dtype[Any]) -> tuple[Any, Any]:
    """Lowest and highest valid stored value, ``None`` where there is no limit."""
    ends = _numbers(attrs.get("valid_range"))
    if len(ends) != 2:
        ends = [(_numbers(attrs.get(name)) or [np.nan])[0] for name in ("valid_min", "valid_max")]
    if meant.kind == "f":
        with np.errstate(over="ignore"):
            low, high = (None if np.isnan(end) else meant.type(end) for end in ends)
        return (None, None) if low is not None and high is not None and low > high else (low, high)
    if any(np.asarray(end).dtype.kind == "f" and np.isfinite(end) for end in ends):
        ends = _packed(ends, attrs)
    info = np.iinfo(meant)
    turned = info.min == 0 and "_Unsigned" in attrs
    low, high = (None if not np.isfinite(end) else _turned(int(end), meant) if turned else int(end) for end in ends)
    if (info.min if low is None else low) > min(info.max, info.max if high is None else high) or (high or 0) < info.min:
        return None, None  # of another scale, or no range: nothing would be left
    return (
        meant.type(low) if low is not None and low > info.min else None,
        meant.type(high) if high is not None and high < info.max else None,
    )


def _packed(ends: list[Any], attrs: Mapping[str, Any]) -> list[float]:
    """Limits of a floating type as integers, packed by factor and offset if there are any; half a step is rounding."""
    scale, offset = (_numbers(attrs.get(name)) for name in ("scale_factor", "add_offset"))
    if not scale and not offset:
        return [np.ceil(float(ends[0])), np.floor(float(ends[1]))]
    codes = [(float(end) - (offset or [0.0])[0]) / (scale or [1.0])[0] for end in ends]
    low, high = codes[::-1] if scale and scale[0] < 0 else codes
    return [np.ceil(low - 0.5), np.floor(high + 0.5)]

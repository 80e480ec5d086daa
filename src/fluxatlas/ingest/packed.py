"""Lazy decoding of packed 16-bit integers to float32: as xarray decodes them, bit by bit, in a third of the time.

xarray makes a new array of the whole block in each step of the decoding. Here the steps are done band by band, in
values that stay in the cache of the processor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    import xarray as xr

BAND = 1 << 16
"""Values that are decoded at once."""
KEY = "fluxatlas_packing"
"""Where the encoding of a variable keeps its :class:`Packing`."""


@dataclass(frozen=True, eq=False)
class Packing:
    """Integers times ``scale`` plus ``offset`` (either may be ``None``); those in ``missing`` are NaN.

    ``stored`` is the lazy variable that holds them.
    """

    stored: xr.Variable
    missing: npt.NDArray[Any]
    scale: np.float32 | None
    offset: np.float32 | None

    def unpack(self, codes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The values of ``codes``."""
        values = np.empty(codes.shape, np.float32)
        self.into(values, codes)
        return values

    def into(self, values: npt.NDArray[np.float32], codes: npt.NDArray[Any]) -> None:
        """Write the values of ``codes`` to ``values``, which has the same shape; neither need be contiguous."""
        values, codes = np.atleast_2d(values), np.atleast_2d(codes)
        rows = max(1, BAND // max(1, codes.shape[-1]))
        for field in np.ndindex(codes.shape[:-2]):
            for first in range(0, codes.shape[-2], rows):
                whole, real = codes[field][first : first + rows], values[field][first : first + rows]
                np.copyto(real, whole)
                if self.scale is not None:
                    real *= self.scale
                if self.offset is not None:
                    real += self.offset
                for code in self.missing:
                    real[whole == code] = np.nan


class Unpacked(BackendArray):
    """The values of a :class:`Packing`, read when they are asked for."""

    def __init__(self, packing: Packing) -> None:
        self.packing = packing
        self.shape, self.dtype = packing.stored.shape, np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> npt.NDArray[np.float32]:
        return self.packing.unpack(np.asarray(self.packing.stored[key].values))


def packing_of(stored: xr.Variable) -> Packing | None:
    """How ``stored`` is packed; ``None`` if it is anything else than plainly packed 16-bit integers."""
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
    return Packing(stored, missing, scale, offset)

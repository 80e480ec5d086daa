"""Arrays of the store: little-endian numbers in chunks of gzip, several to a file (sharding), the index first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr
from zarr.codecs import GzipCodec

LEVEL = 3


def sharded(
    group: zarr.Group,
    name: str,
    dims: Sequence[str],
    shape: Sequence[int],
    chunk: Sequence[int],
    shard: Sequence[int],
    dtype: npt.DTypeLike,
    fill: float,
    attrs: Mapping[str, Any],
) -> Any:
    """An empty array that the page can read; files that hold nothing but ``fill`` are not written."""
    kind: Any = np.dtype(dtype)
    shards_of: Any = {"shape": tuple(shard), "index_location": "start"}
    return group.create_array(
        name,
        shape=tuple(shape),
        chunks=tuple(chunk),
        shards=shards_of,
        dtype=kind,
        fill_value=kind.type(fill),
        filters=None,
        compressors=GzipCodec(level=LEVEL),
        dimension_names=list(dims),
        attributes=dict(attrs),
    )


def plain(group: zarr.Group, name: str, values: npt.NDArray[Any], attrs: Mapping[str, Any]) -> None:
    """A coordinate along its own axis, as one piece."""
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=values.shape,
        dtype=values.dtype,
        dimension_names=[name],
        attributes=dict(attrs),
    )
    array[:] = values

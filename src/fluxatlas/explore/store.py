"""The multiscale store of a run: Zarr v3 with the conventions ``multiscales``, ``proj:`` and ``spatial``.

Groups ``day``, ``month``, ``year`` (time, lat, lon), ``fixed`` (lat, lon) and ``land``, ``coast`` (the land mask); in
each one group by level (``0`` is the finest) with arrays that xarray opens: ``xr.open_zarr(store, group="day/0")``.
Level 0 holds the numbers of the product as they are. A file holds several chunks (sharding), each compressed by gzip,
which browsers can read; missing chunks are not stored.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from zarr.errors import ZarrUserWarning

from .. import files
from ..products.metadata import COORDINATES, CRS
from . import pyramid
from .arrays import plain, sharded
from .drivers import DriverSource, write_drivers
from .members import MemberSource
from .source import STEPS, Lattice, ProductSource, StoreLayer, land

VERSION = 2
"""Raised when the layout of the store changes."""

CHUNKS = {"day": (16, 32, 32), "month": (12, 32, 32), "year": (1, 64, 64)}
"""Chunks in time steps, rows and columns: what a map of one day and a series of one cell both read little of."""
SHARDS = {"day": 64, "month": 12, "year": 1}
"""Time steps of a file."""

_TAG = "https://raw.githubusercontent.com/{}/refs/tags/v1/schema.json"
CONVENTIONS = [
    {
        "uuid": uuid,
        "name": name,
        "schema_url": _TAG.format(where),
        "spec_url": f"https://github.com/{where}/blob/v1/README.md",
    }
    for uuid, name, where in (
        ("d35379db-88df-4056-af3a-620245f8e347", "multiscales", "zarr-conventions/multiscales"),
        ("f17cb550-5864-4468-aeb7-f3180cfb622f", "proj:", "zarr-experimental/geo-proj"),
        ("689b58e2-cf7b-45e0-9fff-9cfc0883d6b4", "spatial:", "zarr-conventions/spatial"),
    )
]


def write_store(
    source: ProductSource,
    folder: Path,
    about: dict[str, Any],
    drivers: DriverSource | None = None,
    members: MemberSource | None = None,
) -> None:
    """Write the store of ``source``, with its ``drivers`` and ``members`` if given, to ``folder``; ``about`` goes to
    its attributes.

    At most a block of ``pyramid.SIDE`` cells squared by the days of a file is in memory at each level.
    """
    lattice = source.lattice
    root = zarr.open_group(str(folder), mode="w", zarr_format=3, attributes=about)
    for step in STEPS:
        layers = [*source.layers(step), *(members.layers(step) if members else ())]
        if layers:
            _write_group(root, step, lattice, layers, source.times(step))
    _write_group(root, "fixed", lattice, source.fixed())
    for name, box, per_degree in coasts(lattice):
        cells, layer = land(box, per_degree)
        _write_group(root, name, cells, [layer])
    if drivers:
        write_drivers(root, drivers)
    with warnings.catch_warnings():  # it is what zarr and xarray write, but not yet in the specification
        warnings.simplefilter("ignore", ZarrUserWarning)
        zarr.consolidate_metadata(root.store)


def coasts(lattice: Lattice) -> list[tuple[str, tuple[float, float, float, float], int]]:
    """Name, box and cells per degree of the land masks: the globe, and finer what surrounds the domain."""
    west, south, east, north = lattice.bbox
    wide = max(east - west, north - south)
    around = (
        max(west - wide / 2, -180),
        max(south - wide / 2, -90),
        min(east + wide / 2, 180),
        min(north + wide / 2, 90),
    )
    return [("land", (-180, -90, 180, 90), 8), ("coast", around, 120 if wide <= 8 else 24)]


def _write_group(
    root: zarr.Group, name: str, lattice: Lattice, layers: Sequence[StoreLayer], times: pd.DatetimeIndex | None = None
) -> None:
    sizes = pyramid.shapes(lattice.shape)
    group = root.create_group(name, attributes=_conventions(lattice, sizes))
    levels = [group.create_group(str(level)) for level in range(len(sizes))]
    for level, here in enumerate(levels):
        _write_axes(here, lattice, level, times)
    for layer in layers:
        arrays = [_create(here, layer, size, name, times) for here, size in zip(levels, sizes, strict=True)]
        step = SHARDS[name] if times is not None else 1
        for start in range(0, len(times) if times is not None else 1, step):
            stop = min(start + step, len(times) if times is not None else 1)
            pyramid.write(layer, lattice, arrays, slice(start, stop))


def _conventions(lattice: Lattice, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
    layout: list[dict[str, Any]] = []
    for level, size in enumerate(sizes):
        step = lattice.size * 2**level
        layout.append(
            {
                "asset": str(level),
                **({"derived_from": str(level - 1), "resampling_method": "average"} if level else {}),
                "transform": {"scale": [2.0, 2.0] if level else [1.0, 1.0], "translation": [0.0, 0.0]},
                "spatial:shape": list(size),
                "spatial:transform": [step, 0.0, lattice.west, 0.0, -step, lattice.north],
            }
        )
    return {
        "zarr_conventions": CONVENTIONS,
        "multiscales": {"layout": layout, "resampling_method": "average"},
        "proj:code": "EPSG:4326",
        "spatial:dimensions": ["lat", "lon"],
        "spatial:bbox": list(lattice.bbox),
        "spatial:registration": "pixel",
    }


def _write_axes(group: zarr.Group, lattice: Lattice, level: int, times: pd.DatetimeIndex | None) -> None:
    lat, lon = lattice.centres(level)
    axes = {"lat": lat, "lon": lon}
    if times is not None:
        axes["time"] = (times - pd.Timestamp("1970-01-01")).days.to_numpy().astype(np.int32)
    for name, values in axes.items():
        attrs: dict[str, Any] = {key: value for key, value in COORDINATES[name].items() if key != "bounds"}
        plain(group, name, values, attrs)
    group.create_array("crs", shape=(), dtype="int32", attributes=CRS)


def _create(
    group: zarr.Group, layer: StoreLayer, size: tuple[int, int], name: str, times: pd.DatetimeIndex | None
) -> Any:
    """The array of ``layer`` at one level: chunks in shards, with the index first, where readers find it."""
    dtype = np.dtype(layer.dtype)
    flat = times is None
    chunk: tuple[int, ...] = CHUNKS["year"][1:] if flat else CHUNKS[name]
    shard = (pyramid.SIDE, pyramid.SIDE) if flat else (SHARDS[name], pyramid.SIDE, pyramid.SIDE)
    shape = size if times is None else (len(times), *size)
    missing = {} if layer.always or dtype.kind == "f" else {"_FillValue": int(layer.fill)}
    attrs = {**layer.attrs, **missing, "grid_mapping": "crs"}
    return sharded(
        group, layer.name, ("time", "lat", "lon")[-len(shape) :], shape, chunk, shard, dtype, layer.fill, attrs
    )


def shards(folder: Path, about: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Row and column of the files of the array in ``folder``: those of all times, and those of some times only.

    ``about`` is what its ``zarr.json`` says.
    """
    root, shape, long = folder / "c", about["shape"], about["chunk_grid"]["configuration"]["chunk_shape"][0]
    counts: dict[str, int] = {}
    for file in root.rglob("*") if root.is_dir() else ():
        if file.is_file():
            row, column = file.parts[-2:]
            counts[f"{row}.{column}"] = counts.get(f"{row}.{column}", 0) + 1
    every = -(-shape[0] // long) if len(shape) == 3 else 1
    return [key for key, n in counts.items() if n == every], [key for key, n in counts.items() if n < every]


def build(
    source: ProductSource,
    target: Path,
    about: dict[str, Any],
    drivers: DriverSource | None = None,
    members: MemberSource | None = None,
) -> None:
    """:func:`write_store` to ``target``, completely or not at all; an older store there is replaced."""
    with files.atomic_folder(target) as folder:
        write_store(source, folder, about, drivers, members)

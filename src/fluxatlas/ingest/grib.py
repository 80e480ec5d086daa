"""GRIB fields as arrays on disk: ``python -m fluxatlas.ingest.grib FILE FOLDER`` decodes every field once.

It runs as a process of its own, since ecCodes and the HDF5 of netCDF4 bring libraries of the same names that must not
meet in one process (they corrupt memory at exit). Written are ``<variable>.npy`` (time, lat, lon) float32 and
``index.json``; :func:`open_decoded` maps them back as a data set without loading them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr


def decode(path: Path, folder: Path) -> None:
    """Write the fields of the GRIB file ``path`` to ``folder``; raises ``ValueError`` where it holds no usable grid."""
    fields = _index(path)
    if not fields:
        raise ValueError("no fields")
    index: dict[str, Any] = {}
    for name in sorted({field["name"] for field in fields}):
        own = sorted((field for field in fields if field["name"] == name), key=lambda field: field["time"])
        first = own[0]
        if any(field["grid"] != first["grid"] for field in own):
            raise ValueError(f"the fields of '{name}' are on several grids")
        shape = (len(own), len(first["grid"][0]), len(first["grid"][1]))
        array = np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.float32, shape=shape)
        with path.open("rb") as handle:
            for place, field in enumerate(own):
                array[place] = _values(handle, field["offset"], shape[1:])
        array.flush()
        index[name] = {"times": [f["time"] for f in own], "units": first["units"], "grid": first["grid"]}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def open_decoded(folder: Path) -> list[xr.Dataset]:
    """The data sets in ``folder`` as :func:`decode` left them, one per variable, memory-mapped."""
    import xarray as xr

    found = []
    for name, facts in json.loads((folder / "index.json").read_text(encoding="utf-8")).items():
        lat, lon = facts["grid"]
        data = np.load(folder / f"{name}.npy", mmap_mode="r")
        times = np.array(facts["times"], dtype="datetime64[ns]")
        array = (("time", "latitude", "longitude"), data, {"units": facts["units"]})
        found.append(xr.Dataset({name: array}, {"time": times, "latitude": lat, "longitude": lon}))
    return found


def _index(path: Path) -> list[dict[str, Any]]:
    """Name, unit, valid time, grid and offset of every message."""
    import eccodes

    fields = []
    grids: dict[tuple[Any, ...], tuple[list[float], list[float]]] = {}
    with path.open("rb") as handle:
        while (message := eccodes.codes_grib_new_from_file(handle)) is not None:
            try:
                get = lambda key, kind=None: eccodes.codes_get(message, key, kind)  # noqa: E731
                if get("gridType") != "regular_ll":
                    raise ValueError(f"the grid is '{get('gridType')}', not a regular latitude-longitude grid")
                corners = ("latitudeOfFirstGridPointInDegrees", "latitudeOfLastGridPointInDegrees")
                edges = ("longitudeOfFirstGridPointInDegrees", "longitudeOfLastGridPointInDegrees")
                key = (*(get(k) for k in (*corners, *edges)), get("Ni"), get("Nj"))
                if key not in grids:
                    north, south, west, east, columns, rows = key
                    east = east + 360 if east < west else east
                    lon = np.round(np.linspace(west, east, columns), 6)
                    grids[key] = np.round(np.linspace(north, south, rows), 6).tolist(), lon.tolist()
                date, clock = f"{get('validityDate', int):08d}", f"{get('validityTime', int):04d}"
                fields.append(
                    {
                        "name": _name(get),
                        "units": get("units"),
                        "time": f"{date[:4]}-{date[4:6]}-{date[6:]}T{clock[:2]}:{clock[2:]}",
                        "grid": grids[key],
                        "offset": get("offset", int),
                    }
                )
            finally:
                eccodes.codes_release(message)
    return fields


def _name(get: Any) -> str:
    """The NetCDF name that ECMWF gives the parameter, or else its short name."""
    name = get("cfVarName")
    return str(get("shortName") if name in ("", "unknown") else name)


def _values(handle: Any, offset: int, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    import eccodes

    handle.seek(offset)
    message = eccodes.codes_grib_new_from_file(handle)
    try:
        missing = eccodes.codes_get(message, "missingValue", float)
        values = eccodes.codes_get_values(message).reshape(shape)
        if eccodes.codes_get(message, "bitmapPresent", int):
            values = np.where(values == missing, np.nan, values)
        return values.astype(np.float32)
    finally:
        eccodes.codes_release(message)


if __name__ == "__main__":
    try:
        decode(Path(sys.argv[1]), Path(sys.argv[2]))
    except Exception as problem:  # whatever ecCodes raises becomes the message of the parent process
        print(f"{type(problem).__name__}: {problem}", file=sys.stderr)
        sys.exit(1)

"""Maps of region codes (TransCom and the like) as GeoTIFF or NetCDF: the share of each cell in each region."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..axes import LAT, LON
from ..config.regions import RegionMap
from ..errors import InputError
from ..files import open_netcdf
from ..weights import edges, shares
from .cover import add_up
from .frame import Frame
from .sources import LayerSource, open_source

Array = npt.NDArray[np.floating[Any]]
SUFFIXES = (".tif", ".tiff", ".vrt", ".nc", ".nc4")
NETCDF_SUFFIXES = (".nc", ".nc4")
MOST_CODES = 4000
"""More codes than this in one window are values, not regions."""
TOP = 1 << 31


def is_code_map(source: RegionMap) -> bool:
    """Whether the file is a map of codes, by its suffix."""
    return Path(source.path).suffix.lower() in SUFFIXES


def read_codes(source: RegionMap, lat_edges: Array, lon_edges: Array) -> tuple[dict[str, Array], list[str]]:
    """Share [0-1] of each cell in each region that occurs, (rows, columns) by name, and messages.

    Cells of the map count by area; its edge and cells without code belong to no region. Codes of one name make one
    region. Raises :class:`InputError` for a file that is missing or damaged, without a map of whole numbers, or with
    names that are twice or unreadable; :class:`GridError` for an irregular grid.
    """
    if not Path(source.path).exists():
        raise InputError("file not found", where=source.path, hint="check the path in the block 'regions'")
    known, variable = _names(source), _variable(source)
    frame = Frame(
        0.5 * (lat_edges[1:] + lat_edges[:-1]),
        0.5 * (lon_edges[1:] + lon_edges[:-1]),
        float(max(np.abs(np.diff(lat_edges)).max(), np.diff(lon_edges).max())),
        (slice(None), slice(None)),
    )
    found: dict[int, Array] = {}
    options: dict[str, Any] = {"band": source.band, "variable": variable, "select": source.select}
    with open_source(source.path, classes=True, nodata=source.nodata, **options) as file:
        missing = _missing(file, source, known)
        for rows, raw, lat, lon in file.windows(frame):
            y = shares(edges(lat, "lat"), lat_edges[rows.start : rows.stop + 1], "lat")
            x = shares(edges(lon, "lon"), lon_edges, "lon")
            codes, position = _positions(raw[0], missing, source.path)
            part = np.zeros((len(codes), len(y.index), len(x.index)))
            add_up(position, y.index, y.weight, x.index, x.weight, part)
            for code, share in zip(codes.tolist(), part, strict=True):
                if share.any():
                    found.setdefault(code, np.zeros(frame.shape))[rows] = share
    return _named(found, known)


def _named(found: dict[int, Array], known: dict[int, str]) -> tuple[dict[str, Array], list[str]]:
    out: dict[str, Array] = {}
    for code, share in sorted(found.items()):
        name = known.get(code, f"region {code}")
        out[name] = out[name] + share if name in out else share
    unnamed = [code for code in sorted(found) if code not in known]
    return out, [f"codes without a name: {unnamed[:20]}"] if known and unnamed else []


def _missing(file: LayerSource, source: RegionMap, known: dict[int, str]) -> set[float]:
    """Codes that mean no region: the one declared or stated by the file, and 0 where it has no name."""
    missing = {float(file.nodata)} if file.nodata is not None else set()
    if source.nodata is None and 0 not in known:
        missing.add(0.0)
    return missing


def _positions(raw: Array, missing: set[float], path: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int16]]:
    """The codes that occur and the position of each cell's among them, -1 for none."""
    region = np.isfinite(raw)
    for code in missing:
        region &= raw != code
    values = raw[region]
    if values.size and (np.abs(values).max() >= TOP or (values != np.rint(values)).any()):
        strange = values[(np.abs(values) >= TOP) | (values != np.rint(values))][0]
        hint = "give a map of region numbers, and declare its missing value with 'nodata'"
        raise InputError(f"the map holds {strange:g}, which is not a region code", where=path, hint=hint)
    codes, inverse = np.unique(values.astype(np.int64), return_inverse=True)
    if len(codes) > MOST_CODES:
        hint = "give a map of region numbers, not of values"
        raise InputError(f"the map holds {len(codes):,} different codes", where=path, hint=hint)
    position = np.full(raw.shape, -1, np.int16)
    position[region] = inverse
    return codes, position


def _variable(source: RegionMap) -> str:
    """The NetCDF variable of codes: as declared, or the only one on latitude and longitude."""
    if Path(source.path).suffix.lower() not in NETCDF_SUFFIXES or source.variable:
        return source.variable
    with open_netcdf(source.path, decode_times=False, foreign=True) as dataset:
        gridded = [
            str(name) for name, field in dataset.data_vars.items() if len({*LAT, *LON} & set(map(str, field.dims))) > 1
        ]
        held = sorted(map(str, dataset.data_vars))
    if len(gridded) != 1:
        what = f"{len(gridded)} variables lie on latitude and longitude, one is needed"
        raise InputError(what, where=source.path, hint=f"choose with 'variable' from {(gridded or held)[:20]}")
    return gridded[0]


def _names(source: RegionMap) -> dict[int, str]:
    """Names by code from the CSV file of the block, else from the flags of the NetCDF variable; empty without."""
    if source.names:
        return names_of_table(source.names)
    if Path(source.path).suffix.lower() not in NETCDF_SUFFIXES:
        return {}
    variable = _variable(source)
    with open_netcdf(source.path, decode_times=False, foreign=True) as dataset:
        attrs = dataset[variable].attrs if variable in dataset else {}
    if not {"flag_values", "flag_meanings"} <= set(attrs):
        return {}
    values, meanings = np.atleast_1d(attrs["flag_values"]), str(attrs["flag_meanings"]).split()
    if len(values) != len(meanings):
        what = f"'{variable}' has {len(values)} flag_values but {len(meanings)} flag_meanings"
        raise InputError(what, where=source.path, hint="name the codes with a CSV file ('names')")
    return {int(value): meaning for value, meaning in zip(values, meanings, strict=True)}


def names_of_table(path: str) -> dict[int, str]:
    """Names by code from a CSV file with the columns ``code`` and ``name``; raises :class:`InputError`."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError:
        raise InputError("file not found", where=path, hint="check 'names' in the block 'regions'") from None
    except UnicodeDecodeError as problem:
        raise InputError(f"is not text in UTF-8 ({problem})", where=path, hint="save it as UTF-8") from None
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    found: dict[int, str] = {}
    for row in rows:
        code, name = (str(row.get(key) or "").strip() for key in ("code", "name"))
        if not code.lstrip("-").isdecimal() or not name or int(code) in found:
            hint = "give the columns 'code' (a whole number, each once) and 'name'"
            raise InputError(f"code '{code}' with name '{name}' is not usable", where=path, hint=hint)
        found[int(code)] = name
    if not found:
        raise InputError("the table of names is empty", where=path, hint="give the columns 'code' and 'name'")
    return found

"""Fluxes of atmospheric inversions from the files of each provider, as one array with one unit and one sign.

The result says what the flux contains (fire, lateral transport, fossil adjustment), and the global land sum of a
default variable must be plausible: a wrong unit or sign shows there at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, UnitError, nearest
from ...files import read_netcdf
from ...grid import EARTH_RADIUS
from ..archive import LAT, LON
from ..coordinates import regular_axis
from .kinds import DAYS_PER_YEAR, KINDS, TO_DAYS, TO_GRAMS, InversionKind, parse_unit

if TYPE_CHECKING:
    import xarray as xr

PLAUSIBLE = (-6.0, 2.0)
"""Bounds of the mean global land sum [PgC yr-1] of a default variable."""
LARGEST = 100.0
"""Largest believable flux of a cell [gC m-2 d-1]."""
TIME_NAMES = ("time", "mtime", "start_date", "date")
AREA_NAMES = ("cell_area", "area", "dxyp")
MEMBER_NAMES = ("ensemble_member", "member", "model", "experiment")


def load_inversion(
    path: str | Path | Sequence[str | Path], kind: str, *, variable: str = "", units: str = ""
) -> xr.DataArray:
    """Net flux (time, lat, lon, member) [gC m-2 d-1], positive to the atmosphere, float32.

    ``path``: one file or the files of several months; ``kind``: a key of :data:`KINDS`; ``variable`` instead of its
    default; ``units`` instead of a wrong label in the file. Latitude runs north to south, longitude -180..180, time is
    the first of the month (the day, where ``kind`` is daily). NaN outside a member's period. Attributes:
    ``fire_included``, ``lateral``, ``fossil_adjusted``, ``sign``, ``citation``, ``global_sum`` [PgC yr-1].

    Raises :class:`InputError` for an unreadable file, a missing variable or coordinate, repeated or unordered times,
    no data, impossible values, or a global land sum of the default variable outside :data:`PLAUSIBLE`;
    :class:`UnitError` for a unit that is not that of the kind.
    """
    import xarray as xr

    if kind not in KINDS:
        raise InputError(f"unknown kind of inversion '{kind}'{nearest(kind, KINDS)}", hint=f"one of {', '.join(KINDS)}")
    facts = KINDS[kind]
    paths = [path] if isinstance(path, str | Path) else list(path)
    if not paths:
        raise InputError("no inversion file is given", hint="name one file or those of several months")
    parts = [_read(Path(p), facts, variable or facts.variable, units) for p in paths]
    whole = parts[0] if len(parts) == 1 else xr.concat(parts, "time", join="exact").sortby("time")
    where = ", ".join(str(p) for p in paths[:3])
    _check(whole, where)
    total = global_sum(whole)
    if not variable and total is not None and not PLAUSIBLE[0] <= total <= PLAUSIBLE[1]:
        raise InputError(
            f"the global land flux is {total:.3g} PgC yr-1, outside {PLAUSIBLE[0]:g}..{PLAUSIBLE[1]:g}",
            where=where,
            hint="unit, sign or variable are not those of this kind of file",
        )
    name = variable or facts.variable
    whole.attrs = {
        "title": facts.title,
        "source_variable": name,
        "units": "gC m-2 d-1",
        "sign": "positive_to_atmosphere",
        "fire_included": facts.fire_included,
        "lateral": "removed" if "lateral" in name else facts.lateral,
        "fossil_adjusted": facts.fossil_adjusted,
        "citation": facts.citation,
        **({} if total is None else {"global_sum": total}),
    }
    return whole.rename("net_flux")


def global_sum(flux: xr.DataArray) -> float | None:
    """Mean over time and members of the global sum [PgC yr-1]; ``None`` where the grid is not global."""
    height, width = abs(float(flux.lat[1] - flux.lat[0])), abs(float(flux.lon[1] - flux.lon[0]))
    if height * flux.lat.size < 170 or width * flux.lon.size < 355:
        return None
    areas = cell_area(flux.lat.values, flux.lon.values)[None, :, :, None]
    values = flux.values.astype(np.float64)
    present = np.isfinite(values).any(axis=(1, 2))
    sums = np.nansum(values * areas, axis=(1, 2))[present]
    return float(sums.mean() * DAYS_PER_YEAR / 1e15)


def cell_area(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Area [m2] (lat, lon) of the cells of a regular grid on the sphere; a cell on the pole is cut there."""
    half = abs(float(lat[1] - lat[0])) / 2
    edges = np.deg2rad(np.clip(np.stack([lat - half, lat + half]), -90, 90))
    width = np.deg2rad(abs(float(lon[1] - lon[0])))
    return np.repeat((EARTH_RADIUS**2 * width * np.diff(np.sin(edges), axis=0).ravel())[:, None], lon.size, axis=1)


def _read(path: Path, facts: InversionKind, name: str, units: str) -> xr.DataArray:
    """The flux of one file in the unit and order of the result."""
    import xarray as xr

    data = read_netcdf(path)
    if name not in data.data_vars:
        held = [str(n) for n in data.data_vars]
        raise InputError(
            f"no variable '{name}'{nearest(name, held)}", where=str(path), hint=f"it holds {', '.join(held)}"
        )
    array = data[name]
    lat, lon = (_coordinate(data, names, path) for names in (LAT, LON))
    member = next((n for n in MEMBER_NAMES if n in array.dims), None)
    time = _times(data, array, facts, path)
    extra = set(array.dims) - {lat, lon, member, time[0]}
    if extra:
        raise InputError(f"'{name}' has the extra dimension {min(map(str, extra))}", where=str(path), hint="select one")
    if time[0] not in array.dims:
        array = array.expand_dims(time[0])
    array = array.expand_dims("member") if member is None else array.rename({member: "member"})
    values = array.transpose(time[0], lat, lon, "member").values.astype(np.float64)
    rows = regular_axis(data[lat].values, "lat", str(path))
    columns = (regular_axis(data[lon].values, "lon", str(path)) + 180) % 360 - 180
    values = values * _factor(data, name, facts, units, time[1], path)[:, None, None, None]
    if facts.per_cell:
        values /= _areas(data, lat, lon, rows, columns)[None, :, :, None]
    coords = {"time": time[1], "lat": rows, "lon": np.round(columns, 6), "member": _members(data, member, facts)}
    made = xr.DataArray(values.astype(np.float32), coords, ("time", "lat", "lon", "member"))
    return made.sortby("lat", ascending=False).sortby("lon")


def _coordinate(data: xr.Dataset, names: tuple[str, ...], path: Path) -> str:
    found = next((n for n in names if n in data.dims and n in data.variables), None)
    if found is None:
        raise InputError(
            f"no coordinate called {' or '.join(names[:2])}", where=str(path), hint="give the provider's gridded file"
        )
    return found


def _times(
    data: xr.Dataset, array: xr.DataArray, facts: InversionKind, path: Path
) -> tuple[str, npt.NDArray[np.datetime64]]:
    """Name of the time dimension and its values; without one, the month in the name of the file."""
    name = next((str(d) for d in array.dims if str(d) in (*TIME_NAMES, "months", "month")), None)
    if name is None:
        stamp = re.search(r"(?<!\d)((?:19|20)\d\d)(0[1-9]|1[0-2])(?!\d)", path.name)
        if stamp is None:
            raise InputError(
                "neither a time in the file nor a month (YYYYMM) in its name", where=str(path), hint="keep its name"
            )
        return "time", np.array([f"{stamp[1]}-{stamp[2]}"], "datetime64[ns]")
    source = next((n for n in (name, *TIME_NAMES) if n in data.variables), None)
    values = _dates(data[source].values) if source else None
    if values is None or values.shape != (array.sizes[name],):
        raise InputError(
            f"the times of dimension '{name}' cannot be read", where=str(path), hint="give the provider's own file"
        )
    return name, values.astype("datetime64[M]" if facts.step == "month" else "datetime64[D]").astype("datetime64[ns]")


def _dates(values: npt.NDArray[Any]) -> npt.NDArray[np.datetime64] | None:
    """``values`` as dates: datetimes, or rows of year, month, day ... as OCO-2 MIP and CarbonTracker have them."""
    if values.dtype.kind == "M":
        return values
    if values.ndim == 2 and values.shape[1] >= 3 and values.dtype.kind in "iuf":
        rows = [f"{int(y):04d}-{int(m):02d}-{int(d):02d}" for y, m, d in values[:, :3]]
        return np.array(rows, "datetime64[ns]")
    return None


def _factor(
    data: xr.Dataset, name: str, facts: InversionKind, units: str, time: npt.NDArray[np.datetime64], path: Path
) -> npt.NDArray[np.float64]:
    """What the values of each time are multiplied with to be gC (m-2) d-1."""
    label = units or str(data[name].attrs.get("units", "")) or facts.unit
    found, expected = parse_unit(label), parse_unit(facts.unit)
    if found != expected:
        raise UnitError(
            f"the unit of '{name}' is '{label}', that of {facts.title} '{facts.unit}'",
            where=str(path),
            hint=f"if only the label is wrong, give units='{facts.unit}'",
        )
    scale = np.ones(time.size)
    month = time.astype("datetime64[M]")
    lengths = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(float)
    for symbol, power in found:
        if symbol in TO_GRAMS:
            scale *= TO_GRAMS[symbol]
        elif power == -1 and (symbol in TO_DAYS or symbol == "month"):
            scale /= TO_DAYS.get(symbol, lengths)
    return scale


def _areas(
    data: xr.Dataset, lat: str, lon: str, rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Area of the cells from the file, where it has one, or from the sphere."""
    name = next((n for n in AREA_NAMES if n in data.data_vars and set(data[n].dims) == {lat, lon}), None)
    return (
        data[name].transpose(lat, lon).values.astype(float) if name else cell_area(rows, np.unwrap(columns, period=360))
    )


def _members(data: xr.Dataset, member: str | None, facts: InversionKind) -> list[str]:
    """Names of the members; character arrays are joined and stripped."""
    if member is None:
        return [facts.title]
    source = next((n for n in (f"{member}_name", member) if n in data.variables), None)
    if source is None:
        return [str(i) for i in range(data.sizes[member])]
    values = data[source].values
    if values.ndim == 2:
        values = np.array([b"".join(np.asarray(row, "S1").tolist()) for row in values])
    return [(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v)).strip(" \x00") for v in values]


def _check(flux: xr.DataArray, where: str) -> None:
    """Raise :class:`InputError` for unordered times, no data, or impossible values."""
    steps = np.diff(flux.time.values)
    if (steps <= np.timedelta64(0, "ns")).any():
        first = str(flux.time.values[1:][steps <= np.timedelta64(0, "ns")][0])[:10]
        raise InputError(f"a time is repeated or out of order: {first}", where=where, hint="give each month once")
    finite = np.isfinite(flux.values)
    if not finite.any():
        raise InputError("the flux is missing everywhere", where=where, hint="get the file again")
    worst = float(np.abs(flux.values[finite]).max())
    if worst > LARGEST:
        raise InputError(
            f"a flux of {worst:.3g} gC m-2 d-1 is impossible",
            where=where,
            hint="check the unit and the missing-value code of the file",
        )

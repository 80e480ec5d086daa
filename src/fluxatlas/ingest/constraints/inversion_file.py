"""One file of an inversion, open: its grid, times and members, and the flux of any of its steps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...axes import LAT, LON, refuse_radians
from ...errors import InputError, UnitError, nearest
from ...files import NETCDF
from ...grid import EARTH_RADIUS
from ..containers import open_container
from ..coordinates import SourceGrid, regular_axis
from .inversion_times import Times, file_times
from .kinds import InversionKind, pick
from .regions import RegionNumbers, numbers
from .units import FluxUnit, parse_flux_unit

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.float64]

AREA_NAMES = ("cell_area", "area", "dxyp", "grid_area", "areacella")
MEMBER_NAMES = ("ensemble_member", "member", "model", "experiment", "ensemble")
REGIONS = "regions_transcom"
BLOCK = 64 << 20
"""Bytes of flux read at a time."""
OTHER_NAMES = re.compile(
    r"(?i)(ch4|methane|n2o|nitrous_?oxide|carbon_?monoxide)(?!\d)|(?<![a-z0-9])f?(co)(?!_?2)(?=emis|flux|[^a-z0-9]|$)"
)
"""Another gas in the name of a variable, such as ``fch4``, ``wetlandCH4``, ``CH4emis`` and ``CO_flux``."""
OTHER_WORDS = re.compile(
    r"(?<![A-Za-z0-9])((?i:ch4|methane|n2o|nitrous[ _]oxide|carbon[ _]monoxide)|CO(?![ _]?2))(?![A-Za-z0-9])"
)
"""Another gas in a long or standard name."""
THIS_GAS = re.compile(r"(?i)co2(?!\W?eq)|carbon[ _]dioxide")
SUBJECT = re.compile(r"(?i)carbon(?![ _]monoxide)|(ecosystem|biosphere|biome)[ _]exchange|\b(nee|nbe)\b")
"""What a long name is about where this comes before another gas, for which the flux is corrected."""
AREA_TOLERANCE = 0.03
"""Largest deviation of a cell area of the file from that of its coordinates, as a fraction of it."""


@dataclass(frozen=True)
class InversionRequest:
    """What is wanted of the files of an inversion, where that differs from what they say.

    ``variable`` instead of the default, ``units`` instead of the label, ``sign`` (``to_atmosphere``, ``to_land``)
    instead of what the file says, ``start``: the first month (YYYY-MM) of a file without times, ``add_fire``: with the
    fire flux.
    """

    variable: str = ""
    units: str = ""
    sign: str = ""
    start: str = ""
    add_fire: bool = False


class InversionFile:
    """``grid`` is north to south and west to east, ``times`` the first day of each step, ``step`` its length."""

    def __init__(self, path: Path, facts: InversionKind, wish: InversionRequest) -> None:
        """Open the file; raises :class:`InputError` or :class:`UnitError` for what cannot be used."""
        opened = open_container(path, decode_times=False)
        if len(opened) != 1:
            raise InputError("holds several data sets", where=str(path), hint="give a file with one")
        self.path, self.facts, self.wish = path, facts, wish
        self.notes: list[str] = []
        self.dataset: xr.Dataset = opened[0][1]
        try:
            self._describe()
        except InputError:
            self.close()
            raise

    def _describe(self) -> None:
        """Variable, grid, times, members, unit and sign."""
        path, facts, wish = self.path, self.facts, self.wish
        self.name = self._variable(facts.variables, wish.variable)
        self.fire = self._variable(facts.fire, "") if wish.add_fire and not facts.fire_included else ""
        array = self.dataset[self.name]
        self.lat, self.lon = (self._coordinate(names) for names in (LAT, LON))
        for axis, name in (("lat", self.lat), ("lon", self.lon)):
            refuse_radians(self.dataset[name].attrs, axis, str(path))
        self._rows = regular_axis(self.dataset[self.lat].values, "lat", str(path))
        self._columns = regular_axis(self.dataset[self.lon].values, "lon", str(path))
        if np.ptp(self._columns) > 360 * (1 - 0.5 / self._columns.size):
            raise InputError(
                "the longitudes go round more than once", where=str(path), hint="remove the repeated column"
            )
        around = np.round((self._columns + 180) % 360 - 180, 6)
        self._order = np.argsort(-self._rows), np.argsort(around)
        self.grid = SourceGrid(self._rows[self._order[0]], around[self._order[1]])
        self.regions = RegionNumbers.of(self.dataset, self.lat, self.lon, path) if REGIONS in array.dims else None
        self.member = next((str(n) for n in MEMBER_NAMES if n in array.dims), "")
        placed = {REGIONS} if self.regions else {self.lat, self.lon}
        extra = [str(d) for d in array.dims if d not in {*placed, self.member}]
        self.time = next((d for d in extra if d in ("time", "mtime")), extra[0] if extra else "")
        if set(extra) - {self.time} or not placed <= set(map(str, array.dims)):
            odd = next(iter(sorted(set(extra) - {self.time})), "")
            what = f"has the extra dimension {odd}" if odd else f"has the dimensions {', '.join(map(str, array.dims))}"
            raise InputError(f"'{self.name}' {what}", where=str(path), hint="select one, or give another variable")
        self.times, self.step = file_times(self.dataset, self.time, array, path, facts.step, wish.start)
        self.members = self._names()
        self._refuse_other_gas()
        self.unit = self._unit(self.name)
        self.fire_unit = self._unit(self.fire) if self.fire else self.unit
        self.flip = self._sign()
        self._area = self._cell_area() if self.unit.per_cell and not self.regions else None

    def close(self) -> None:
        self.dataset.close()

    def blocks(self) -> Iterator[tuple[Times, Array]]:
        """Times and flux (time, lat, lon, member) [gC m-2 d-1], positive to the atmosphere, in order of the file."""
        array = self.dataset[self.name]
        cells = self.grid.lat.size * self.grid.lon.size * len(self.members)
        length = max(1, BLOCK // (8 * cells))
        for start in range(0, self.times.size, length):
            part = slice(start, start + length)
            values = self._flux(array, part, self.unit)
            if self.fire:
                values += self._flux(self.dataset[self.fire], part, self.fire_unit)
            yield self.times[part], -values if self.flip else values

    def _flux(self, array: xr.DataArray, part: slice, unit: FluxUnit) -> Array:
        """Steps ``part`` of ``array`` in the unit and order of the result."""
        if self.time and self.time in array.dims:
            array = array.isel({self.time: part})
        else:
            array = array.expand_dims(self.time or "time")
        if self.member not in array.dims:
            array = array.expand_dims(self.member or "member", axis=-1)
        place = (REGIONS,) if self.regions else (self.lat, self.lon)
        try:
            with NETCDF:
                raw = array.transpose(self.time or "time", *place, self.member or "member").values
        except (OSError, RuntimeError, ValueError, IndexError) as problem:
            raise InputError(
                f"'{array.name}' cannot be read ({problem})",
                where=f"{self.path}, {str(self.times[part][0])[:10]}",
                hint="the file is probably truncated: delete it and make or download it again",
            ) from problem
        if raw.dtype.kind not in "fiu":
            raise InputError(f"'{array.name}' holds no numbers", where=str(self.path), hint="give another variable")
        values = raw.astype(np.float64) * unit.per_day(self.times[part]).reshape(-1, *[1] * (raw.ndim - 1))
        if self.regions:
            values = self.regions.spread(values)
        elif unit.per_cell and self._area is not None:
            values /= self._area[None, :, :, None]
        return np.asarray(values[:, self._order[0]][:, :, self._order[1]])

    def _variable(self, variables: tuple[str, ...], wanted: str) -> str:
        """The name of the variable; raises :class:`InputError` where it is not there or several fit."""
        held = [str(n) for n in self.dataset.data_vars]
        found = ([wanted] if wanted in held else []) if wanted else pick(variables, held)
        if len(found) == 1:
            return found[0]
        if found:
            raise InputError(
                f"several variables may be meant: {', '.join(found)}", where=str(self.path), hint="name it: 'variable'"
            )
        name = wanted or " or ".join(v for v in variables if "*" not in v) or "that looks like the posterior flux"
        quoted = f"'{name}'" if "looks" not in name else name
        raise InputError(
            f"no variable {quoted}{nearest(name, held)}",
            where=str(self.path),
            hint=f"it holds {', '.join(held)}; name the right one with 'variable'",
        )

    def _coordinate(self, names: tuple[str, ...]) -> str:
        found = next((n for n in names if n in self.dataset.dims and n in self.dataset.variables), None)
        if found is None:
            raise InputError(
                f"no coordinate called {' or '.join(names[:2])}",
                where=str(self.path),
                hint="give the provider's gridded file",
            )
        return found

    def _refuse_other_gas(self) -> None:
        """Raise :class:`InputError` where the variable says that it is of another gas: moles do not tell.

        Who gives both variable and units knows better, which is noted.
        """
        attrs = self.dataset[self.name].attrs
        words = " ".join(str(attrs[key]) for key in ("long_name", "standard_name") if attrs.get(key))
        found = OTHER_NAMES.search(self.name)
        if not found and (found := OTHER_WORDS.search(words)) and SUBJECT.search(words[: found.start()]):
            return
        if not found or THIS_GAS.search(f"{self.name} {words}"):
            return
        said = f"'{self.name}' is a flux of {found[found.lastindex or 0].replace('_', ' ')}, not of CO2"
        said += f" ({self.name} {words})" if words else ""
        if self.wish.variable and self.wish.units:
            self.notes.append(f"by its names {said}; taken as 'variable' and 'units' say")
            return
        hint = "give the fluxes of CO2; if these are, give both 'variable' and 'units'"
        raise InputError(said, where=str(self.path), hint=hint)

    def _unit(self, name: str) -> FluxUnit:
        """The unit of variable ``name``; raises :class:`UnitError` where it is none of carbon or fits no place."""
        label = self.wish.units or str(self.dataset[name].attrs.get("units", "")).strip()
        text = label or self.facts.unit
        found = parse_flux_unit(text)
        if found is None and self.facts.mass_is_carbon:
            found = parse_flux_unit(text.replace("g m", "gC m", 1).replace("g/m", "gC/m", 1))
        if found is None:
            what = f"the unit of '{name}' is '{label}'" if label else f"'{name}' has no unit"
            hint = f"give its true unit with 'units', such as '{self.facts.unit or 'gC m-2 month-1'}'"
            raise UnitError(
                f"{what}, which is not a flux of carbon or CO2 per time",
                where=str(self.path),
                hint=hint + "; a mass must say whether it is of C or of CO2 (a factor of 12/44)",
            )
        if self.regions and not found.per_cell:
            raise UnitError(
                f"the unit '{text}' of a flux by region is per area",
                where=str(self.path),
                hint="give 'mol region-1 s-1'",
            )
        return found

    def _sign(self) -> bool:
        """Whether values have to change their sign; the setting overrides the file's attribute."""
        if self.wish.sign:
            return self.wish.sign == "to_land"
        attrs = self.dataset[self.name].attrs
        said = f"{attrs.get('long_name', '')} {attrs.get('standard_name', '')} {attrs.get('comment', '')}".lower()
        words = ("positive into land", "positive downward", "positive into the land", "downward_mass")
        return str(attrs.get("positive", "")).lower() == "down" or any(word in said for word in words)

    def _cell_area(self) -> Array:
        """Area of the cells in the order of the file: its own, which must fit its coordinates, or the sphere's."""
        sphere = cell_area(self._rows, self._columns)
        name = next(
            (
                n
                for n in AREA_NAMES
                if n in self.dataset.variables and set(self.dataset[n].dims) == {self.lat, self.lon}
            ),
            None,
        )
        if name is None:
            return sphere
        given = numbers(self.dataset[name].transpose(self.lat, self.lon), self.path)
        if str(self.dataset[name].attrs.get("units", "m2")).replace("^", "") in ("km2", "km**2"):
            given = given * 1e6
        inner = np.abs(self._rows) < 85
        off = np.abs(given / sphere - 1)[inner]
        if not np.isfinite(off).all() or off.max() > AREA_TOLERANCE:
            row, column = np.unravel_index(int(np.argmax(np.where(np.isfinite(off), off, np.inf))), off.shape)
            lat, lon = self._rows[inner][row], self._columns[column]
            raise InputError(
                f"the cell area '{name}' does not fit the coordinates: {given[inner][row, column]:.4g} m2 at {lat:g} N "
                f"{lon:g} E, where a cell has {sphere[inner][row, column]:.4g} m2",
                where=str(self.path),
                hint="area and coordinates are not of one grid (or another order of latitude): get the file again",
            )
        return given

    def _names(self) -> list[str]:
        """Names of the members; character arrays are joined and stripped."""
        if not self.member:
            return [self.facts.title]
        source = next((n for n in (f"{self.member}_name", self.member) if n in self.dataset.variables), None)
        if source is None:
            return [str(i) for i in range(self.dataset.sizes[self.member])]
        values: Any = self.dataset[source].values
        if values.ndim == 2:
            if self.dataset[source].dims[0] != self.member:
                values = values.T
            values = [
                "".join(v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in r) for r in values
            ]
        names = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
        return [name.replace("\x00", "").strip() or str(i) for i, name in enumerate(names)]


def cell_area(lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]) -> Array:
    """Area [m2] (lat, lon) of the cells of a regular grid on the sphere; a cell on the pole is cut there."""
    half = abs(float(lat[1] - lat[0])) / 2
    edges = np.deg2rad(np.clip(np.stack([lat - half, lat + half]), -90, 90))
    width = np.deg2rad(abs(float(lon[1] - lon[0])))
    return np.repeat((EARTH_RADIUS**2 * width * np.diff(np.sin(edges), axis=0).ravel())[:, None], lon.size, axis=1)

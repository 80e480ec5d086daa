"""``ingest/constraints/<name>.nc``: written step by step, CF, complete or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np
import numpy.typing as npt

from ... import variables as table
from ...axes import WRITTEN
from ...files import NETCDF
from .cells import CellAxes

Array = npt.NDArray[np.floating[Any]]

BLOCK = 32 << 20
"""Bytes of one variable that are kept before they are written."""
TIME = {
    "standard_name": "time",
    "units": "days since 1970-01-01",
    "calendar": "standard",
    "units_metadata": "leap_seconds: none",
    "axis": "T",
}


class ConstraintFile:
    """A file that grows along time. Absent steps between two that are given become missing values.

    ``step``: ``D`` or ``M``; ``members``: names, for fluxes, whose arrays are (lat, lon, member).
    """

    def __init__(
        self,
        path: Path,
        cells: CellAxes,
        names: Sequence[str],
        step: Literal["D", "M"],
        *,
        members: Sequence[str] | None = None,
    ) -> None:
        self.names, self._step, self._members = list(names), step, members
        shape = (cells.lat.size, cells.lon.size, *([len(members)] if members else []))
        self._length = int(np.clip(BLOCK // (4 * np.prod(shape)), 1, 64))
        self._buffer: list[dict[str, Array]] = []
        self._times: list[np.datetime64] = []
        self._written = 0
        with NETCDF:
            self._file = netCDF4.Dataset(path, "w", format="NETCDF4")
            self._axes(cells, members)
            for name in self.names:
                self._variable(name, shape)

    def add(self, start: np.datetime64, values: Mapping[str, Array]) -> None:
        """The step that starts at ``start``: an array (lat, lon) or (lat, lon, member) of each variable."""
        when = start.astype(f"datetime64[{self._step}]")
        while self._times and self._times[-1] + 1 < when:
            blank = {name: np.full_like(array, np.nan) for name, array in values.items()}
            self._append(self._times[-1] + 1, blank)
        self._append(when, dict(values))

    def close(self, attrs: Mapping[str, Any]) -> None:
        """Write what is left and the global attributes."""
        self._flush()
        with NETCDF:
            self._file.setncatts({key: _plain(value) for key, value in attrs.items()})
            self._file.close()

    def abandon(self) -> None:
        """Close the file after a failure."""
        with NETCDF:
            if self._file.isopen():
                self._file.close()

    def _append(self, when: np.datetime64, values: dict[str, Array]) -> None:
        self._times.append(when)
        self._buffer.append(values)
        if len(self._buffer) >= self._length:
            self._flush()

    def _flush(self) -> None:
        if not self._buffer:
            return
        times = np.array(self._times[-len(self._buffer) :])
        first = times.astype("datetime64[D]").astype(np.int64)
        last = (times + 1).astype("datetime64[D]").astype(np.int64)
        part = slice(self._written, self._written + len(self._buffer))
        with NETCDF:
            self._file["time"][part] = first
            self._file["time_bnds"][part] = np.stack([first, last], axis=1)
            for name in self.names:
                values = np.stack([one[name] for one in self._buffer])
                if self._members:
                    values = np.moveaxis(values, -1, 1)
                self._file[name][part] = _packed(values, name)
        self._written += len(self._buffer)
        self._buffer = []

    def _axes(self, cells: CellAxes, members: Sequence[str] | None) -> None:
        file = self._file
        for name, size in (("time", None), ("lat", cells.lat.size), ("lon", cells.lon.size), ("nv", 2)):
            file.createDimension(name, size)
        _axis(file, "time", "i4", TIME)
        file["time"].long_name = "start of the day" if self._step == "D" else "start of the month"
        for name, edges, centres in (
            ("lat", cells.lat_edges, cells.lat),
            ("lon", cells.lon_edges, cells.lon),
        ):
            _axis(file, name, "f8", WRITTEN[name] | {"long_name": WRITTEN[name]["standard_name"]})
            file[name][:] = centres
            file[f"{name}_bnds"][:] = np.stack([edges[:-1], edges[1:]], axis=1)
        if members:
            file.createDimension("member", len(members))
            label = file.createVariable("member_name", str, ("member",))
            label.long_name = "member of the ensemble"
            label[:] = np.array(list(members), object)

    def _variable(self, name: str, shape: tuple[int, ...]) -> None:
        row = table.get(name.removesuffix("_sd"))
        encoding = row.encoding()
        dims = ("time", *(["member"] if self._members else []), "lat", "lon")
        chunks = (self._length, *([1] if self._members else []), min(shape[0], 180), min(shape[1], 180))
        variable = self._file.createVariable(
            name, encoding["dtype"], dims, zlib=True, complevel=2, shuffle=True, chunksizes=chunks,
            fill_value=encoding["_FillValue"],
        )  # fmt: skip
        variable.set_auto_maskandscale(False)
        variable.setncatts({k: encoding[k] for k in ("scale_factor", "add_offset") if k in encoding})
        variable.setncatts(described(name, self.names) | ({"coordinates": "member_name"} if self._members else {}))


def write_points(path: Path, points: Any, attrs: Mapping[str, Any]) -> None:
    """Time series of places (time, location), one cell file after the other; ``attrs`` are global attributes."""
    with NETCDF:
        file = netCDF4.Dataset(path, "w", format="NETCDF4")
    try:
        with NETCDF:
            for name, size in (("time", points.days.size), ("location", points.lat.size), ("nv", 2)):
                file.createDimension(name, size)
            _axis(file, "time", "i4", TIME)
            days = points.days.astype("datetime64[D]").astype(np.int64)
            file["time"].long_name = "start of the day"
            file["time"][:], file["time_bnds"][:] = days, np.stack([days, days + 1], axis=1)
            for name, standard, units, values in (
                ("lat", "latitude", "degrees_north", points.lat),
                ("lon", "longitude", "degrees_east", points.lon),
            ):
                place = file.createVariable(name, "f8", ("location",))
                place.setncatts({"standard_name": standard, "long_name": standard, "units": units})
                place[:] = values
            label = file.createVariable("location_id", "i8", ("location",))
            label.setncatts({"long_name": "number of the grid point in the product's grid", "cf_role": "timeseries_id"})
            label[:] = points.ids
            for name in points.names:
                _point_variable(file, name, points)
        for part, values in points.columns():
            with NETCDF:
                for name in points.names:
                    file[name][:, part] = _packed(values[name], name)
        with NETCDF:
            file.setncatts({key: _plain(value) for key, value in {**attrs, **points.attrs()}.items()})
            file.featureType = "timeSeries"
    finally:
        with NETCDF:
            file.close()


def _point_variable(file: netCDF4.Dataset, name: str, points: Any) -> None:
    encoding = table.get(name.removesuffix("_sd")).encoding()
    chunks = (min(points.days.size, 4096), min(points.lat.size, 16))
    variable = file.createVariable(
        name, encoding["dtype"], ("time", "location"), zlib=True, complevel=2, shuffle=True, chunksizes=chunks,
        fill_value=encoding["_FillValue"],
    )  # fmt: skip
    variable.set_auto_maskandscale(False)
    variable.setncatts({k: encoding[k] for k in ("scale_factor", "add_offset") if k in encoding})
    variable.setncatts(described(name, points.names) | {"coordinates": "lat lon location_id"})


def described(name: str, names: Sequence[str]) -> dict[str, Any]:
    """CF attributes of a variable or of its standard deviation."""
    attrs = dict(table.get(name.removesuffix("_sd")).attrs)
    if name.endswith("_sd"):
        attrs["long_name"] = f"uncertainty (standard deviation) stated by the provider: {attrs['long_name']}"
        if "standard_name" in attrs:
            attrs["standard_name"] += " standard_error"
    elif f"{name}_sd" in names:
        attrs["ancillary_variables"] = f"{name}_sd"
    return attrs


def _axis(file: netCDF4.Dataset, name: str, kind: str, attrs: Mapping[str, Any]) -> None:
    variable = file.createVariable(name, kind, (name,), fill_value=False)
    variable.setncatts({**attrs, "bounds": f"{name}_bnds"})
    file.createVariable(f"{name}_bnds", kind, (name, "nv"), fill_value=False)


def _packed(values: Array, name: str) -> npt.NDArray[Any]:
    """Values as they are stored: int16 where the table packs the variable, else float32."""
    row = table.get(name.removesuffix("_sd"))
    if row.packing is None:
        return values.astype(np.float32)
    scale, offset = row.packing
    limits = np.iinfo(np.int16)
    steps = np.clip(np.rint((values - offset) / scale), limits.min + 1, limits.max)
    return np.where(np.isfinite(values), steps, table.FILL).astype(np.int16)


def _plain(value: Any) -> Any:
    """A value that an attribute can hold."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return value if isinstance(value, str | int | float) else json.dumps(value, default=str)

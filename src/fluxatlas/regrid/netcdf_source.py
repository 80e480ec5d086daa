"""A NetCDF variable on latitude and longitude as a source of windows; series in time are reduced while being read."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ..axes import LAT, LON, refuse_radians
from ..errors import GridError, InputError, nearest
from .series import Reduction, StepSeries
from .source import VALUES_AT_ONCE, LayerSource, axis

Array = npt.NDArray[Any]
MODIS_AXES = re.compile(r"(?i)^([YX])Dim")
"""Axes of files made from HDF-EOS, which lost their coordinates."""


class NetcdfSource(LayerSource):
    """A NetCDF variable on latitude and longitude; packing and missing values are those the file declares.

    ``units`` is the unit that the file states. Raises :class:`InputError` for a variable, a position or an axis that is
    not there and for dimensions left over, and :class:`GridError` for axes that are irregular or not degrees.
    """

    def __init__(
        self,
        path: str,
        dataset: xr.Dataset,
        variable: str,
        select: dict[str, int],
        weights: str,
        bands: int,
        nodata: float | None,
        series: StepSeries | None = None,
    ) -> None:
        self.path, self.bands, self.nodata, self.series = path, bands, nodata, series
        self.field = horizontal(dataset, variable, path)
        self.shares = horizontal(dataset, weights, path) if weights else None
        self.units = str(self.field.attrs.get("units", "")).strip()
        for dimension, position in select.items():
            size = self.field.sizes.get(dimension, 0)
            if not -size <= position < size:
                hint = f"'{variable}' has {dict(self.field.sizes)}"
                raise InputError(f"no position {position} along '{dimension}'", where=path, hint=hint)
            self.field = self.field.isel({dimension: position})
            if self.shares is not None and dimension in self.shares.dims:
                self.shares = self.shares.isel({dimension: position})
        self._check_dimensions(variable)
        self.lat = axis(self.field["lat"].to_numpy(), "lat", path)
        lon = axis(self.field["lon"].to_numpy(), "lon", path)
        if np.abs(self.lat).max() > 90.0 + 1e-6 or np.abs(lon).max() > 540.0:
            hint = "give a file on a regular latitude-longitude grid (EPSG:4326), or a GeoTIFF in its projection"
            raise GridError(
                f"the coordinates (up to {np.abs(self.lat).max():g}) are not degrees", where=path, hint=hint
            )
        self.width, self.flipped = len(lon), bool(lon[0] > lon[-1])
        self.lon = self._without_repeat(lon[::-1] if self.flipped else lon)

    def _check_dimensions(self, variable: str) -> None:
        reduced = (*self._over(), self.series.dimension if self.series else "")
        beyond = {str(d): n for d, n in self.field.sizes.items() if d not in ("lat", "lon", *reduced)}
        if [n for n in beyond.values() if n > 1] != ([self.bands] if self.bands > 1 else []):
            raise InputError(
                f"'{variable}' has the dimensions {beyond} beyond lat and lon; {self.bands} fields are needed",
                where=self.path,
                hint="choose positions with 'select', 'years' or 'over_time' of a series, or shares with 'weights'",
            )

    def _over(self) -> tuple[str, ...]:
        """Dimensions over which the shares average."""
        return tuple(str(d) for d in self.shares.dims if d not in ("lat", "lon")) if self.shares is not None else ()

    def read(self, rows: slice, columns: npt.NDArray[np.int64]) -> Array:
        place: dict[str, Any] = {"lat": rows, "lon": self.width - 1 - columns if self.flipped else columns}
        if self.series is None:
            return self._read(place)
        reduction = Reduction(self.series.how)
        at_once = max(1, VALUES_AT_ONCE // max(1, (rows.stop - rows.start) * len(columns)))
        for first in range(0, len(self.series.positions), at_once):
            some = slice(first, first + at_once)
            steps = self._read(place | {self.series.dimension: _as_slice(self.series.positions[some])}, steps=True)
            reduction.add(steps, self.series.weights[some])
        return reduction.result()[None]

    def _read(self, place: dict[str, Any], *, steps: bool = False) -> Array:
        """Values (bands or steps, ny, nx) at ``place``, NaN where missing."""
        try:
            field = self.field.isel(place).load()
        except (OSError, RuntimeError) as problem:
            hint = "the file is probably truncated: make or download it again"
            raise InputError(f"'{self.field.name}' cannot be read ({problem})", where=self.path, hint=hint) from problem
        if field.dtype.kind not in "iufb":
            what = f"'{self.field.name}' holds {field.dtype}, no numbers"
            raise InputError(what, where=self.path, hint="choose another variable")
        if self.nodata is not None:
            field = field.where(field != self.nodata)
        if self.shares is not None:
            shares, over = self.shares.isel({k: v for k, v in place.items() if k in self.shares.dims}), self._over()
            shares = shares.load()
            field = (field * shares).sum(over) / shares.where(field.notnull()).sum(over)
        lead = (self.series.dimension,) if steps and self.series else ()
        field = field.transpose(*lead, ..., "lat", "lon")
        shape = (-1 if steps else self.bands, field.sizes["lat"], field.sizes["lon"])
        return field.to_numpy().reshape(shape).astype(np.float64)


def _as_slice(positions: npt.NDArray[np.int64]) -> Any:
    """``positions`` as a slice where they follow each other: one read instead of many."""
    whole = bool((np.diff(positions) == 1).all())
    return slice(int(positions[0]), int(positions[-1]) + 1) if whole else positions


def horizontal(dataset: xr.Dataset, variable: str, path: str) -> xr.DataArray:
    """A variable with its horizontal dimensions called ``lat`` and ``lon``, with coordinates of these names.

    Axes are told by attributes or names; the variable may have them in any order. Raises :class:`InputError`.
    """
    if variable not in dataset.variables:
        held = sorted(map(str, dataset.data_vars))
        raise InputError(f"no variable '{variable}'{nearest(variable, held)}", where=path, hint=f"choose from {held}")
    field = dataset[variable]
    found = {name: _axis_of(dataset, field, name) for name in ("lat", "lon")}
    if None in found.values():
        found = _modis_axes(field) or found
    hint = "give a file on a regular latitude-longitude grid"
    if None in found.values():
        curved = [str(n) for n in field.coords if field[n].ndim == 2]
        what = f"'{variable}' has no axes lat and lon but {field.dims}"
        raise InputError(what + (f" (curvilinear {curved})" if curved else ""), where=path, hint=hint)
    axes = {name: each for name, each in found.items() if each}
    bare = field.drop_vars([name for name in field.coords if name in ("lat", "lon") or name in field.dims])
    bare = bare.rename({dimension: name for name, (dimension, _) in axes.items() if dimension != name})
    return bare.assign_coords({name: (name, values) for name, (_, values) in axes.items()})


def _axis_of(dataset: xr.Dataset, field: xr.DataArray, name: str) -> tuple[str, Array] | None:
    """The dimension of ``field`` that is latitude or longitude (``name``) and its coordinates."""
    words, letter = (LAT, "n") if name == "lat" else (LON, "e")
    named: tuple[str, Array] | None = None
    for dimension in map(str, field.dims):
        for candidate, variable in dataset.variables.items():
            if variable.dims != (dimension,) or variable.dtype.kind not in "iuf":
                continue
            units, standard = str(variable.attrs.get("units", "")), variable.attrs.get("standard_name", "")
            said = re.fullmatch(rf"(?i)deg(ree)?s?[ _]?{letter}(orth|ast)?", units)
            if standard == {"n": "latitude", "e": "longitude"}[letter] or str(candidate).lower() in map(
                str.lower, words
            ):
                refuse_radians(variable.attrs, name, str(dataset.encoding.get("source", "")))
            if said or standard == {"n": "latitude", "e": "longitude"}[letter]:
                return dimension, variable.values
            metres = re.fullmatch(r"(?i)k?m(et(er|re)s?)?", units) or "projection" in str(standard)
            if str(candidate).lower() in map(str.lower, words) and not metres:
                named = named or (dimension, variable.values)
    return named


def _modis_axes(field: xr.DataArray) -> dict[str, tuple[str, Array] | None] | None:
    """Axes of a global grid of HDF-EOS without coordinates (MCD12C1: 3600 x 7200 from 90 N, 180 W), None for others."""
    axes = {str(d)[0].lower(): str(d) for d in field.dims if MODIS_AXES.match(str(d))}
    if set(axes) != {"y", "x"}:
        return None
    rows, columns = field.sizes[axes["y"]], field.sizes[axes["x"]]
    if columns != 2 * rows or rows % 180:
        return None
    step = 180.0 / rows
    lat, lon = 90 - step * (np.arange(rows) + 0.5), -180 + step * (np.arange(columns) + 0.5)
    return {"lat": (axes["y"], lat), "lon": (axes["x"], lon)}


def data_variables(dataset: xr.Dataset) -> list[str]:
    """Names of the numeric variables with latitude and longitude, without bounds, areas and descriptions of grids."""
    found = []
    for name, variable in dataset.data_vars.items():
        aside = re.search(r"(?i)(_bnds|_bounds|bounds|^crs|^area|cell_area)$", str(name))
        if aside or variable.ndim < 2 or variable.dtype.kind not in "iufb":
            continue
        if all(_axis_of(dataset, variable, each) for each in ("lat", "lon")) or _modis_axes(variable):
            found.append(str(name))
    return found

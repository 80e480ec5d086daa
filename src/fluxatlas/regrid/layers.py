"""Continuous static layers on the target grid, in canonical units.

Values are converted first and regridded then. A source finer than the target is averaged by area, a coarser one
interpolated bilinearly, unless the layer names its method. Files by depth are averaged over the declared depth, several
variables are summed, and several files of one variable are parts of its series in time.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables
from ..config.static import Layer, layer_files
from ..errors import InputError
from ..files import open_netcdf
from ..land_mask import is_land
from ..weights import AxisWeights, Method, axis_weights
from .apply import separable
from .frame import Frame
from .names import variables_in
from .netcdf_source import NetcdfSource
from .series import Reduction
from .sources import LayerSource, kind_of, open_source
from .tables import Units, units_of
from .units import UnitEncoding, canonical, encoding, told

Array = npt.NDArray[np.floating[Any]]


def read_layer(name: str, layer: Layer, frame: Frame) -> Array:
    """Layer ``name`` over ``frame`` in canonical units: (rows, columns), or (12, rows, columns) for ``lai``.

    NaN where the source is missing or does not reach. Raises :class:`InputError`, :class:`UnitError` or
    :class:`GridError` for a file that is absent, unreadable, irregular or without the variable, for values out of range
    and for a wrong number of bands.
    """
    bands = 12 if name == "lai" else 1
    if layer.constant is not None:
        where, code = f"static.layers.{name}.constant", UnitEncoding(layer.scale, layer.offset, layer.units, True)
        values = np.full((bands, *frame.shape), canonical(np.array(layer.constant), name, layer, code, where))
        return values if bands > 1 else values[0]
    files = layer_files(name, layer)
    if layer.table:
        return _from_table(name, layer, frame)
    if layer.by_depth:
        return _over_depth(name, layer, files, frame)
    found = _by_variable(name, layer, [path for path, _ in files])
    total = np.sum([_one_variable(name, layer, part, paths, frame, bands) for part, paths in found], axis=0)
    if len(found) > 1:
        variables.check_range(total, name, where=", ".join(path for path, _ in files))
    return total if bands > 1 else total[0]


def _by_variable(name: str, layer: Layer, paths: list[str]) -> list[tuple[str, list[str]]]:
    """The variables that make up the layer ('' for a raster), each with the files that hold it."""
    kinds = {kind_of(path) for path in paths}
    if "netcdf" not in kinds:
        if len(paths) > 1:
            hint = "join tiles to one raster (gdalbuildvrt), or add the parts up first"
            raise InputError("several rasters for one layer", where=", ".join(paths), hint=hint)
        if layer.variable and not (layer.table or layer.provider):
            raise InputError("'variable' is for NetCDF; this is a raster", where=paths[0], hint="choose a 'band'")
        return [("", paths)]
    if len(kinds) > 1:
        raise InputError("NetCDF and other files for one layer", where=", ".join(paths), hint="give one kind")
    held: dict[str, list[str]] = {}
    for path in paths:
        with open_netcdf(path, decode_times=False, foreign=True) as dataset:
            for variable in variables_in(name, layer, dataset, path, alone=len(paths) == 1):
                held.setdefault(variable, []).append(path)
    absent = [variable for variable in layer.variables if variable not in held]
    if absent:
        raise InputError(f"no file holds '{absent[0]}'", where=", ".join(paths), hint="check 'path' and 'variable'")
    if name == "ndep" and not layer.variable:
        _check_whole_nitrogen(set(held), ", ".join(paths))
    return list(held.items())


def _check_whole_nitrogen(held: set[str], where: str) -> None:
    """Refuse reduced nitrogen without oxidised, or dry without wet, unless it is asked for by name."""
    parts = {name.lower() for name in held}
    whole = [{"nhx", "noy"}, {"drynhx", "wetnhx", "drynoy", "wetnoy"}]
    for wanted in whole:
        if parts & wanted and not wanted <= parts:
            lacking = ", ".join(sorted(wanted - parts))
            hint = f"add the file of {lacking} to 'path', or name the 'variable' to take it alone"
            raise InputError(f"nitrogen deposition lacks {lacking}", where=where, hint=hint)


def _one_variable(name: str, layer: Layer, variable: str, paths: list[str], frame: Frame, bands: int) -> Array:
    """One variable (bands, rows, columns); the steps of several files weigh as if they were in one."""
    reduction = Reduction(how if (how := layer.over_time) in ("maximum", "minimum") else "mean")
    times: set[Any] = set()
    for path in paths:
        options: dict[str, Any] = {"variable": variable, "select": layer.select, "weights": layer.weights}
        options |= {"years": layer.years, "over_time": layer.over_time, "month": layer.month}
        with open_source(path, bands=bands, band=layer.band, nodata=layer.nodata, **options) as source:
            weight = _check_series(source, times, path) if len(paths) > 1 else 1.0
            code = encoding(name, layer, source.units, source.packing, f"{path}, {variable}" if variable else path)
            if not code.stated and name == "ndep" and isinstance(source, NetcdfSource):
                hint = "declare 'units', such as g m-2 yr-1 or kg ha-1 yr-1"
                raise InputError(f"'{variable}' states no unit", where=path, hint=hint)
            reduction.add(_on_grid(name, layer, source, frame, code)[None], np.array([weight]))
    return reduction.result()


def _check_series(source: LayerSource, times: set[Any], path: str) -> float:
    """The number of steps in a file of several; refuses files without times and steps that two files hold."""
    series = source.series if isinstance(source, NetcdfSource) else None
    if series is None or series.months is None:
        hint = "give one file, or 'years' for files that follow each other in time"
        raise InputError("several files of one variable without a series in time", where=path, hint=hint)
    again = times & set(series.months.tolist())
    if again:
        raise InputError(f"{min(again)} is in two files", where=path, hint="give each time once, or choose 'years'")
    times |= set(series.months.tolist())
    return float(series.weights.sum())


def _on_grid(
    name: str, layer: Layer, source: LayerSource, frame: Frame, code: UnitEncoding, units: Units | None = None
) -> Array:
    """The source (bands, rows, columns) on the target grid; ``units`` turn codes of mapping units into values.

    A file that lies in the frame wholly and holds nothing is refused, one that lies elsewhere is told.
    """
    out = np.full((source.bands, *frame.shape), np.nan)
    where = f"{source.path} with {layer.table}" if units else source.path
    reached = certain = False
    for rows, raw, lat, lon in source.windows(frame):
        if not (reached or units):
            certain = told(source, name, code, where)
        reached = True
        if units:
            known = np.isfinite(raw) & (raw != 0) & (raw != source.nodata if source.nodata is not None else True)
            raw = units.at(raw, known, source.path, layer.table)
        if layer.land_only:
            raw = np.where(is_land(lat[:, None], (lon[None, :] + 180.0) % 360.0 - 180.0), raw, np.nan)
        axes = (lat, frame.lat[rows], "lat"), (lon, frame.lon, "lon")
        weights = [_weights(*axis, frame.step, layer.method) for axis in axes]  # type: ignore[arg-type]
        out[:, rows] = separable(canonical(raw, name, layer, code, where, certain=certain), *weights)
    if np.isnan(out).all():
        if source.inside(frame):
            raise InputError(f"'{name}' holds missing values only", where=source.path, hint="get the file again")
        if not reached:
            print(f"regrid: {name}: {source.path} ({source.extent}) does not reach these cells", file=sys.stderr)
    return out


def _weights(source: Array, target: Array, axis: Any, step: float, method: str) -> AxisWeights:
    finer = abs(source[1] - source[0]) < 0.75 * step
    chosen: Method = ("conservative" if finer else "bilinear") if method == "auto" else method  # type: ignore[assignment]
    return axis_weights(source, target, axis, chosen)


def _over_depth(name: str, layer: Layer, files: list[tuple[str, float]], frame: Frame) -> Array:
    """Mean over depth of one file per interval; NaN where a cell is missing in any of them."""
    total = np.zeros(frame.shape)
    for path, share in files:
        options: dict[str, Any] = {"variable": (layer.variables or [name])[0], "select": layer.select}
        if kind_of(path) == "netcdf":
            with open_netcdf(path, decode_times=False, foreign=True) as dataset:
                options["variable"] = variables_in(name, layer, dataset, path, alone=True)[0]
        with open_source(path, band=layer.band, nodata=layer.nodata, **options) as source:
            code = encoding(name, layer, source.units, source.packing, path)
            total += share * _on_grid(name, layer, source, frame, code)[0]
    return total


def _from_table(name: str, layer: Layer, frame: Frame) -> Array:
    """A map of mapping units with their table; values are averaged over the area, never the codes."""
    units = units_of(name, layer)
    if len(layer.paths) != 1:
        raise InputError("a table needs one map of codes", where=", ".join(layer.paths), hint="give one 'path'")
    path, own = layer.paths[0], layer
    if units.provider and not (layer.units or layer.scale != 1 or layer.offset):
        own = layer.model_copy(update={"provider": units.provider})
    options: dict[str, Any] = {"select": layer.select}
    if kind_of(path) == "netcdf":
        with open_netcdf(path, decode_times=False, foreign=True) as dataset:
            options["variable"] = variables_in("", Layer(path=path), dataset, path, alone=True)[0]
    with open_source(path, band=layer.band, nodata=layer.nodata, classes=True, **options) as source:
        code = replace(encoding(name, own, "", (1.0, 0.0), layer.table), stated=True)
        return _on_grid(name, layer, source, frame, code, units)[0]

"""Files of leaf-area composites: which dates they hold, where the quality bytes are, how values are stored.

A *stack* is one file with one or more dates on one grid: a GeoTIFF of one date, a GeoTIFF of bands named by date, or
a NetCDF file. Only names, headers and coordinates are read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr

from ..axes import LAT, LON
from ..calendars import label
from ..config.lai import LaiSeries, expand, lai_inputs
from ..errors import GridError, InputError, nearest
from ..files import open_netcdf
from ..missing import declare
from ..times import decode, time_name
from .lai_dates import date_in, half_months, window_of
from .lai_quality import Product, ValuePacking, check_units, product_of
from .sources import LayerSource, NetcdfSource, open_source

NETCDF = (".nc", ".nc4")
OTHER = re.compile(r"(?i)fpar|std_?dev|extra|_qc|qc_|quality")
"""Names of layers that lie beside leaf area."""
STEPS_AT_ONCE = 16
"""Dates of a NetCDF file read at a time."""


Extent = tuple[str, float, float, float, float, float]


@dataclass(frozen=True)
class Layers:
    """Layers of one file: NetCDF ``variable`` ('' for a raster) at ``positions`` along ``time``, or raster bands;
    ``signed`` where the NetCDF variable has signed bytes."""

    path: str
    variable: str
    time: str
    positions: tuple[int, ...]
    signed: bool = False


@dataclass(frozen=True)
class Stack:
    """Leaf area of ``dates`` (starts of windows) and its quality; ``extent`` as (crs, west, south, east, north, cell)
    in the file's own coordinates."""

    dates: tuple[date, ...]
    lai: Layers
    quality: Layers | None
    encoding: ValuePacking
    extent: Extent

    def only(self, keep: list[int]) -> Stack:
        """The stack of some of its dates."""
        lai, quality = (
            part and replace(part, positions=tuple(part.positions[i] for i in keep))
            for part in (self.lai, self.quality)
        )
        dates = tuple(self.dates[i] for i in keep)
        return Stack(dates, lai or self.lai, quality, self.encoding, self.extent)


def index(series: LaiSeries) -> tuple[Product, str, list[Stack]]:
    """Product, window and all stacks of ``series`` in its years, in the order of their first dates.

    Raises :class:`InputError` for files that are absent or unreadable, names and headers without dates, a quality that
    is missing, two composites of the same date and place, and :class:`UnitError` for another unit.
    """
    files = [path for path in map(Path, lai_inputs(series)) if path not in expand(series.quality_path)]
    where = ", ".join(series.path)
    absent = [path for path in files if not path.exists()]
    if not files or absent:
        what = f"file not found: {absent[0]}" if absent else "no file fits the pattern"
        raise InputError(what, where=where, hint="check static.lai_series.path")
    closed = [path for path in files if path.suffix.lower() in (".hdf", ".h5", ".he5")]
    if closed:
        hint = "export GeoTIFF or NetCDF (AppEEARS does), or convert with gdal_translate"
        raise InputError("HDF files cannot be read", where=str(closed[0]), hint=hint)
    product = product_of([path.name for path in files] + _titles(files), series, where)
    window = product.window if series.window == "auto" else series.window
    rasters = [path for path in files if path.suffix.lower() not in NETCDF]
    stacks = [_netcdf(path, product, window, series) for path in files if path.suffix.lower() in NETCDF]
    stacks += _rasters(rasters, product, window, series)
    stacks = [_starts(stack, product, window, series) for stack in stacks]
    stacks = sorted((stack for stack in stacks if stack.dates), key=lambda stack: (stack.dates[0], stack.lai.path))
    if not stacks:
        raise InputError(f"no composite of the years {series.years}", where=where, hint="check 'years' and the files")
    _check_overlap(stacks)
    return product, window, stacks


def _titles(files: list[Path]) -> list[str]:
    first = next((path for path in files if path.suffix.lower() in NETCDF), None)
    if first is None:
        return []
    with open_netcdf(first, decode_times=False, mask_and_scale=False) as dataset:
        return [str(dataset.attrs.get("title", "")), *(str(v.attrs.get("long_name", "")) for v in dataset.values())]


def _starts(stack: Stack, product: Product, window: str, series: LaiSeries) -> Stack:
    """The stack in the years of ``series``, its dates moved to the starts of their windows."""
    halves = half_months(stack.dates) if product.name == "GIMMS_LAI4g" else {}
    starts = [window_of(halves.get(day, day), window, stack.lai.path)[0] for day in stack.dates]
    twice = next((day for day in starts if starts.count(day) > 1), None) if len(set(starts)) < len(starts) else None
    if twice:
        hint = "keep one of them; check 'window'"
        raise InputError(f"two composites of {twice} in one file", where=stack.lai.path, hint=hint)
    low, high = series.years or (0, 9999)
    keep = [i for i, day in enumerate(starts) if low <= day.year <= high]
    return replace(stack, dates=tuple(starts)).only(keep)


def _check_overlap(stacks: list[Stack]) -> None:
    """Refuse two stacks that hold the same date of the same cells (a date may come in several tiles)."""
    by_date: dict[date, list[Stack]] = {}
    for stack in stacks:
        for day in stack.dates:
            for other in by_date.get(day, []):
                if _same_cells(stack.extent, other.extent):
                    hint = f"keep one of it and {stack.lai.path}"
                    raise InputError(f"two composites of {day} cover the same cells", where=other.lai.path, hint=hint)
            by_date.setdefault(day, []).append(stack)


@lru_cache(maxsize=100_000)
def _same_cells(one: Extent, other: Extent) -> bool:
    """Whether two extents in the same coordinates share more than the rounding of an edge."""
    (crs, west, south, east, north, cell), (other_crs, *box, _) = one, other
    wide, high = min(east, box[2]) - max(west, box[0]), min(north, box[3]) - max(south, box[1])
    return crs == other_crs and min(wide, high) > 1.5 * cell


def _netcdf(path: Path, product: Product, window: str, series: LaiSeries) -> Stack:
    with _stored(path) as dataset:
        name = _variable(dataset, product, series, path)
        field = dataset[name]
        time = time_name(dataset) or ""
        beyond = [str(d) for d in field.dims if field.sizes[d] > 1 and str(d) not in (time, *LAT, *LON)]
        if beyond:
            hint = "give one field per date"
            raise InputError(f"'{name}' has further dimensions {beyond}", where=str(path), hint=hint)
        if time and time in field.dims:
            codes, calendar = decode(dataset, time, path, None)
            dates = tuple(_labelled(label(code, calendar), path) for code in codes)
        else:
            dates, time = (_named(path.name, series, window, path),), ""
        check_units(series.units or str(field.attrs.get("units", "")), f"{path}, {name}")
        positions = tuple(range(len(dates)))
        quality = None
        if product.layout and series.use_quality:
            if series.quality_variable not in dataset:
                raise _no_quality(f"no variable '{series.quality_variable}'", str(path))
            signed = bool(dataset[series.quality_variable].dtype == np.int8)
            quality = Layers(str(path), series.quality_variable, time, positions, signed)
        source = NetcdfSource(str(path), dataset, name, {time: 0} if time else {}, "", 1, None)
        lai = Layers(str(path), name, time, positions, bool(field.dtype == np.int8))
        return Stack(dates, lai, quality, _packing(field, product, series, path), _degrees(source))


def _stored(path: str | Path) -> xr.Dataset:
    """A NetCDF file with its values as they are stored; attributes say which of them are missing."""
    return declare(open_netcdf(path, decode_times=False, mask_and_scale=False), limits=False)


def _labelled(text: str, path: Path) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        hint = "give the file in the standard calendar"
        raise InputError(f"{text[:10]} is not a date of the standard calendar", where=str(path), hint=hint) from None


def _variable(dataset: xr.Dataset, product: Product, series: LaiSeries, path: Path) -> str:
    wanted = (series.variable,) if series.variable else product.variables
    found = [name for name in wanted if name in dataset]
    if not found:
        held = sorted(map(str, dataset.data_vars))
        hint = f"choose static.lai_series.variable from {held}"
        raise InputError(f"no variable '{wanted[0]}'{nearest(wanted[0], held)}", where=str(path), hint=hint)
    return found[0]


def _packing(field: xr.DataArray, product: Product, series: LaiSeries, path: Path) -> ValuePacking:
    def numbers(*names: str) -> list[float]:
        """Values of the first attribute of ``names`` that there is."""
        for name in names:
            if name in field.attrs:
                try:
                    return [float(value) for value in np.ravel(field.attrs[name])]
                except ValueError:
                    what, where = f"{name} = {field.attrs[name]!r} is not a number", f"{path}, {field.name}"
                    raise InputError(what, where=where, hint="mend the attribute, or get the file again") from None
        return []

    ends = numbers("valid_range")
    return ValuePacking.of(
        product,
        series,
        integer=field.dtype.kind in "iu",
        scale=next(iter(numbers("scale_factor")), None),
        offset=next(iter(numbers("add_offset")), 0.0),
        nodata=(*numbers("_FillValue"), *numbers("missing_value")),
        valid=(ends[0], ends[1]) if len(ends) == 2 else None,
    )


def _degrees(source: LayerSource) -> Extent:
    cell = abs(float(source.lat[1] - source.lat[0]))
    if np.abs(source.lat).max() > 90 + cell:
        hint = "export it in degrees (EPSG:4326); sinusoidal grids are read from GeoTIFF"
        raise GridError(
            f"the coordinates (up to {np.abs(source.lat).max():g}) are not degrees", where=source.path, hint=hint
        )
    return ("degrees", float(source.lon[0]) - cell / 2, float(source.lat.min()) - cell / 2,
            float(source.lon[-1]) + cell / 2, float(source.lat.max()) + cell / 2, cell)  # fmt: skip


def _named(name: str, series: LaiSeries, window: str, path: Path) -> date:
    day = date_in(name, series.date_format, window)
    if day is None:
        hint = "say where the date stands with static.lai_series.date_format, such as 'LAI_%Y%j'"
        raise InputError(f"no date in '{name}'", where=str(path), hint=hint)
    return day


def _no_quality(what: str, where: str) -> InputError:
    hint = "get the layer FparLai_QC too, name it with 'quality_path' or 'quality_variable', or set use_quality: false"
    return InputError(what, where=where, hint=hint)


def _rasters(paths: list[Path], product: Product, window: str, series: LaiSeries) -> list[Stack]:
    def is_quality(path: Path) -> bool:
        return series.quality_variable.lower() in path.name.lower()

    lai = [path for path in paths if not OTHER.search(path.name)] or [path for path in paths if not is_quality(path)]
    if paths and not lai:
        raise InputError("none of the files is leaf area", where=str(paths[0]), hint="check static.lai_series.path")
    beside = [path for path in expand(sorted({str(path.parent) for path in lai})) if is_quality(path)]
    given = expand(series.quality_path) or sorted({*beside, *(path for path in paths if is_quality(path))})
    qualities: dict[tuple[str, str], list[Path]] = {}
    for path in given:
        folder = "" if series.quality_path else str(path.parent)
        qualities.setdefault((folder, _key(path, series)), []).append(path)
    return [_raster(path, product, window, series, qualities) for path in lai]


def _key(path: Path, series: LaiSeries) -> str:
    """What the names of leaf area and its quality have in common."""
    name = re.sub(re.escape(series.quality_variable), "", path.stem, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?i)lai_500m|lai_1km|(?<![a-z])lai(?![a-z0-9])", "", name).lower())


def _raster(
    path: Path, product: Product, window: str, series: LaiSeries, qualities: dict[tuple[str, str], list[Path]]
) -> Stack:
    try:
        with rasterio.open(path) as raster:
            names = [str(text or "") for text in raster.descriptions]
            encoding = ValuePacking.of(
                product,
                series,
                integer=np.dtype(raster.dtypes[0]).kind in "iu",
                scale=raster.scales[0],
                offset=raster.offsets[0],
                nodata=() if raster.nodata is None else (raster.nodata,),
            )
            degrees = raster.crs is None or raster.crs.is_geographic
            extent = ("degrees" if degrees else str(raster.crs), *raster.bounds, abs(raster.transform.e))
    except rasterio.errors.RasterioIOError as problem:
        raise InputError(f"cannot be read as a raster ({problem})", where=str(path), hint="get it again") from None
    bands, dates, own = _bands(names, path, product, window, series)
    quality = None
    if product.layout and series.use_quality:
        beside = qualities.get(("" if series.quality_path else str(path.parent), _key(path, series)), [])
        if own:
            quality = Layers(str(path), "", "", own)
        elif len(beside) == 1:
            quality = Layers(str(beside[0]), "", "", bands)
        else:
            what = "no quality file for it" if not beside else f"several quality files: {beside[0].name}, {beside[1]}"
            raise _no_quality(what, str(path))
    return Stack(dates, Layers(str(path), "", "", bands), quality, encoding, extent)


def _bands(
    names: list[str], path: Path, product: Product, window: str, series: LaiSeries
) -> tuple[tuple[int, ...], tuple[date, ...], tuple[int, ...]]:
    """Bands of leaf area, their dates and the bands of quality of a GeoTIFF whose bands are described by ``names``."""
    if series.band or product.bands or len(names) == 1:
        band, quality = product.bands or (1, 0)
        band, quality = series.band or band, series.quality_band or quality
        if max(band, quality) > len(names):
            what = f"the file has {len(names)} bands, band {max(band, quality)} is needed"
            raise InputError(what, where=str(path), hint="check 'band' and 'quality_band'")
        return (band,), (_named(path.name, series, window, path),), (quality,) if quality else ()
    quality_bands = [i for i, text in enumerate(names, 1) if series.quality_variable.lower() in text.lower()]
    lai = [i for i, text in enumerate(names, 1) if text and not OTHER.search(text)]
    if len(lai) == 1 and date_in(names[lai[0] - 1], series.date_format, window) is None:
        dates: list[date | None] = [date_in(path.name, series.date_format, window)]
    else:
        dates = [date_in(names[i - 1], series.date_format, window) for i in lai]
    if not lai or None in dates:
        hint = "name the bands by their dates, or choose one with static.lai_series.band (and quality_band)"
        what = f"{len(names)} bands whose descriptions tell no dates of leaf area"
        raise InputError(what, where=str(path), hint=hint)
    if quality_bands and len(quality_bands) != len(lai):
        raise _no_quality(f"{len(quality_bands)} bands of quality for {len(lai)} of leaf area", str(path))
    return tuple(lai), tuple(day for day in dates if day), tuple(quality_bands)


@contextmanager
def open_layers(layers: Layers, nodata: float | None) -> Iterator[LayerSource]:
    """The layers as a source of raw stored values (missing ones too); a projected raster by the nearest cell."""
    if not layers.variable:
        count = len(layers.positions)
        with open_source(layers.path, band=layers.positions[0], bands=count, classes=True, nodata=nodata) as source:
            yield source
        return
    with _stored(layers.path) as dataset:
        if layers.time:
            dataset = dataset.isel({layers.time: list(layers.positions)})
        count = len(layers.positions)
        yield NetcdfSource(layers.path, dataset, layers.variable, {}, "", count, None)


def blocks(stack: Stack) -> Iterator[Stack]:
    """The stack in pieces of as many dates as are read at a time."""
    most = STEPS_AT_ONCE if stack.lai.variable else 1
    for first in range(0, len(stack.dates), most):
        yield stack.only(list(range(first, min(first + most, len(stack.dates)))))

"""What a file of land cover holds and where: class codes, or shares by class in layers, bands or variables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr

from ..config.static import LandCover
from ..errors import InputError
from ..files import open_netcdf
from .legend import CoverClass
from .netcdf_source import data_variables, horizontal
from .series import choose, time_dimension
from .sources import kind_of

SHARE_NAMES = ("Majority_Land_Cover_Type_1_Percent", "Land_Cover_Type_1_Percent", "landCoverFrac")
CLASS_NAMES = ("lccs_class", "LC_Type1", "Majority_Land_Cover_Type_1", "Land_Cover_Type_1", "land_cover", "landcover")
"""Variables of shares and of class codes as providers call them (ESA CCI, MCD12Q1, MCD12C1, CMIP) [V]."""
MCD12C1 = re.compile(r"(?i)Land_Cover_Type_1_Percent")
"""Its 17 layers are the IGBP classes 0 (water) to 16, whatever numbers a conversion gave them; 255 is missing [V]."""
SAYS_SHARES = re.compile(r"(?i)percent|frac|share|cover_?pct")


@dataclass(frozen=True)
class CoverLayer:
    """One read of a file of shares: layers in order, with the ``codes`` of their classes."""

    variable: str
    codes: tuple[int, ...]
    band: int = 1


@dataclass(frozen=True)
class CoverLayout:
    """Where a map lies in its file; ``layers`` is empty for a map of class codes."""

    path: str
    variable: str = ""
    select: dict[str, int] = field(default_factory=dict)
    band: int = 1
    layers: tuple[CoverLayer, ...] = ()
    units: str = ""
    nodata: float | None = None


def layout_of(cover: LandCover, legend: Mapping[int, CoverClass]) -> CoverLayout:
    """The layout of the file of ``cover``.

    Raises :class:`InputError` where the file is absent or unreadable, lacks the variable, band or year, or does not say
    which class a layer is.
    """
    path = cover.file
    if kind_of(path) == "netcdf":
        with open_netcdf(path, decode_times=False, foreign=True) as dataset:
            return _netcdf(cover, legend, dataset, path)
    try:
        with rasterio.open(path) as raster:
            names = [str(text or "") for text in raster.descriptions]
    except rasterio.errors.RasterioIOError as problem:
        raise InputError(f"cannot be read as a raster ({problem})", where=path, hint="make it again") from None
    return _raster(cover, legend, names, path)


def _raster(cover: LandCover, legend: Mapping[int, CoverClass], names: list[str], path: str) -> CoverLayout:
    """The layout of a raster whose bands are described by ``names``."""
    several = len(names) > 1 and not cover.band
    by_name = SAYS_SHARES.search(Path(path).stem) or any(SAYS_SHARES.search(name) for name in names)
    if cover.content == "shares" or (cover.content == "auto" and several and (cover.classes or by_name)):
        modis = bool(MCD12C1.search(path)) or any(MCD12C1.search(name) for name in names)
        codes = _codes(cover, legend, len(names), names if any(names) else None, modis, path)
        return CoverLayout(path, layers=(CoverLayer("", codes),), units=cover.units, nodata=_nodata(cover, modis))
    band = cover.band or 1
    if several and cover.year is not None and "{year}" not in cover.path:
        found = [i for i, name in enumerate(names, 1) if re.search(rf"(?<!\d){cover.year}(?!\d)", name)]
        if len(found) != 1:
            hint = f"choose a 'band'; they are called {names[:6]}"
            raise InputError(f"{len(found)} bands are named by the year {cover.year}", where=path, hint=hint)
        band = found[0]
    elif several:
        hint = "choose a 'band' or 'year', or declare content: shares with 'classes'"
        raise InputError(f"the map has {len(names)} bands", where=path, hint=hint)
    return CoverLayout(path, band=band)


def _netcdf(cover: LandCover, legend: Mapping[int, CoverClass], dataset: xr.Dataset, path: str) -> CoverLayout:
    """The layout of a NetCDF file."""
    held = data_variables(dataset)
    called = {meaning.variable.lower(): code for code, meaning in legend.items() if meaning.variable}
    parts = [(name, called[name.lower()]) for name in held if name.lower() in called]
    if len(parts) > 1 and cover.content != "classes" and not cover.variable:
        select = _select(cover, dataset, parts[0][0], path)
        units = cover.units or str(dataset[parts[0][0]].attrs.get("units", ""))
        layers = tuple(CoverLayer(name, (code,)) for name, code in parts)
        return CoverLayout(path, parts[0][0], select, layers=layers, units=units, nodata=cover.nodata)
    variable = cover.variable or _variable(cover, held, dataset, path)
    values = horizontal(dataset, variable, path)
    select = _select(cover, dataset, variable, path)
    beyond = [str(d) for d, n in values.sizes.items() if n > 1 and d not in ("lat", "lon", *select)]
    beyond = [d for d in beyond if d != time_dimension(dataset, variable, select)]
    if cover.content == "classes" or not beyond:
        if cover.content == "shares":
            hint = "name a variable with one layer per class, or a legend with the column 'variable'"
            raise InputError(f"'{variable}' has one layer only: no shares by class", where=path, hint=hint)
        return CoverLayout(path, variable, select)
    if len(beyond) > 1:
        what = f"'{variable}' has the dimensions {beyond} beyond lat and lon"
        raise InputError(what, where=path, hint="choose positions with 'select' until that of the classes is left")
    labels = dataset[beyond[0]].values if beyond[0] in dataset.variables else None
    modis = bool(MCD12C1.search(variable))
    codes = _codes(cover, legend, values.sizes[beyond[0]], None if labels is None else labels.tolist(), modis, path)
    units = cover.units or str(values.attrs.get("units", ""))
    return CoverLayout(
        path, variable, select, layers=(CoverLayer(variable, codes),), units=units, nodata=_nodata(cover, modis)
    )


def _nodata(cover: LandCover, modis: bool) -> float | None:
    return 255.0 if modis and cover.nodata is None else cover.nodata


def _variable(cover: LandCover, held: list[str], dataset: xr.Dataset, path: str) -> str:
    """The variable of land cover: of the known ones the first, else the only one."""
    known = {"shares": SHARE_NAMES, "classes": CLASS_NAMES}.get(cover.content, SHARE_NAMES + CLASS_NAMES)
    found = next((name for name in known if name in held), "")
    if found or len(held) == 1:
        return found or held[0]
    if not held:
        hint = "give a file on a regular latitude-longitude grid"
        listed = sorted(map(str, dataset.data_vars))
        raise InputError(f"no variable has axes lat and lon (held: {listed})", where=path, hint=hint)
    raise InputError(f"land cover could be any of {held}", where=path, hint="name static.landcover.variable")


def _select(cover: LandCover, dataset: xr.Dataset, variable: str, path: str) -> dict[str, int]:
    """Positions along further dimensions: those given, and that of the year."""
    select = {name: position for name, position in cover.select.items() if name in dataset[variable].dims}
    absent = sorted(set(cover.select) - set(select))
    if absent:
        hint = f"'{variable}' has {dict(dataset[variable].sizes)}"
        raise InputError(f"no dimension '{absent[0]}' to select from", where=path, hint=hint)
    if cover.year is None:
        return select
    if time_dimension(dataset, variable, select) is None and "{year}" in cover.path:
        return select
    series = choose(dataset, variable, select, (cover.year, cover.year), "maximum", path)
    if series is None:
        return select
    if len(series.positions) != 1:
        what = f"{len(series.positions)} maps of {cover.year}"
        raise InputError(what, where=path, hint=f"choose one with select: {{{series.dimension}: ...}}")
    return select | {series.dimension: int(series.positions[0])}


def _codes(
    cover: LandCover,
    legend: Mapping[int, CoverClass],
    size: int,
    labels: Sequence[object] | None,
    modis: bool,
    path: str,
) -> tuple[int, ...]:
    """The class of each of ``size`` layers: as configured, as the provider has them, or as their labels say."""
    if cover.classes:
        codes = list(cover.classes)
    elif modis and size == 17:
        codes = list(range(17))
    else:
        codes = _from_labels(legend, size, labels, path)
    unknown = [code for code in codes if code not in legend]
    if unknown:
        hint = "choose the legend of this file, or name its 'classes'"
        raise InputError(f"classes {unknown[:10]} are not in the legend '{cover.legend}'", where=path, hint=hint)
    if len(codes) != size or len(set(codes)) < size:
        what = f"{len(codes)} classes ({len(set(codes))} different) for {size} layers"
        raise InputError(what, where=path, hint="list one code per layer in 'classes'")
    return tuple(codes)


def _from_labels(legend: Mapping[int, CoverClass], size: int, labels: Sequence[object] | None, path: str) -> list[int]:
    hint = "list the code of each layer in static.landcover.classes"
    if labels is None or len(labels) != size:
        raise InputError(f"the file does not say which classes its {size} layers are", where=path, hint=hint)
    numbers = np.array([label if isinstance(label, (int, float)) else np.nan for label in labels], float)
    if np.isfinite(numbers).all():
        if numbers[0] == 1 and 0 in legend and (np.diff(numbers) == 1).all():
            what = f"layers numbered 1 to {size} although the legend starts with 0: classes or positions?"
            raise InputError(what, where=path, hint=hint)
        return [int(number) for number in numbers]
    names = {
        text.lower(): code for code, meaning in legend.items() for text in (meaning.name, meaning.variable) if text
    }
    words = [str(label).strip().lower() for label in labels]
    ends = [re.search(r"(?<!\d)(\d{1,3})$", word) for word in words]
    found = [names.get(word, int(end[1]) if end else None) for word, end in zip(words, ends, strict=True)]
    unknown = [str(label) for label, code in zip(labels, found, strict=True) if code is None]
    if unknown:
        raise InputError(f"no class is called {unknown[:5]}", where=path, hint=hint)
    return [code for code in found if code is not None]

"""Static layers in NetCDF on a regular grid: elevation, soil, leaf area, land share, land cover."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...config.lai import LaiSeries
from ...config.regions import RegionMap
from ...config.static import LAYERS
from ...errors import FluxAtlasError
from ...ingest.elevation import NAMES as ELEVATION
from ...regrid.cover import read_legend
from ...regrid.cover_layout import SHARE_NAMES
from ...regrid.lai_files import index
from ...regrid.names import NAMES, NITROGEN
from ...regrid.series import time_dimension
from ..datasets import Axes, sample
from ..names import canonical_name
from ..probe import Probe
from ..report import MappingRow, Report
from ..static_trial import LEGENDS, REGIONS, try_cover, try_layer, try_regions

COVER = {"lccs_class": "esa_cci", "LC_Type1": "modis_igbp", "land_cover": "esa_cci"}
"""Variable of land-cover classes -> legend."""
TRANSFORMS = {"expt": ("clay", "clay_from_expt", "1"), "Ksat": ("sand", "sand_from_ksat", "mm d-1")}
"""VIC parameters -> layer, transform and unit before it."""


def decide(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> Report | None:
    """The verdict for layers on a regular grid, or None where it is something else."""
    if roles.layout != "grid":
        return None
    if any(f.code in ("unreadable", "coordinates") for f in report.findings if f.level == "error"):
        return report.decide("unusable", next(f.message for f in report.findings if f.level == "error"))
    report.format = "zarr-grid" if report.format == "zarr" else "netcdf-layers"
    report.product = report.product or _product(report, dataset)
    relief = next((str(n) for n in dataset.data_vars if _is_geopotential(str(n), dataset[n])), None)
    if relief:
        units = str(dataset[relief].attrs.get("units", ""))
        report.mapping.append(MappingRow("orog", [relief], units, "/ 9.80665"))
        report.use("forcing.elevation", elevation_variable=relief)
        return report.decide("usable", "geopotential of the surface: the altitude of a forcing", "forcing.elevation")
    layers, refused = [], []
    for name in map(str, dataset.data_vars):
        for layer, options in _candidates(report, name, dataset[name], dataset):
            try:
                if layer == "lai_series":
                    _composites(report, probe)
                else:
                    options = _read(report, probe, name, layer, options)
            except FluxAtlasError as problem:
                refused.append(f"{name} as {layer}: {problem.what}")
                continue
            layers.append(layer)
            where, chosen = _place(layer, name, options)
            report.use(where, **chosen)
            if name.lower() in NITROGEN and len(set(NITROGEN) & {str(n).lower() for n in dataset.data_vars}) == 1:
                report.note("part-of-nitrogen", "reduced or oxidised nitrogen only: give the files of both", name)
            shown = ", ".join(f"{key}: {value}" for key, value in options.items() if value)
            report.mapping.append(MappingRow(layer, [name], str(dataset[name].attrs.get("units", "")), shown))
    if report.format == "zarr-grid":
        return report.decide("no_reader", "static layers in Zarr: no reader yet")
    if layers:
        keys = ", ".join(dict.fromkeys(layers))
        places = {"landcover": "static.landcover", "lai_series": "static.lai_series", "regions": "regions.maps"}
        wanted = " / ".join(dict.fromkeys(places.get(layer, "static.layers") for layer in layers))
        return report.decide("usable", f"can be read as static layers: {keys}", wanted)
    for text in refused:
        report.error("refused", text)
    if refused:
        return report.decide("no_reader", f"no static layer can be read as it is: {refused[0]}")
    return report.decide("no_reader", "a regular grid without a variable that fluxatlas uses")


def _place(layer: str, variable: str, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Where the configuration takes a variable that was read as ``layer``, and the keys it needs there."""
    if layer == "regions":
        return "regions.maps", {"variable": variable}
    if layer == "lai_series":
        return "static.lai_series", {}
    if layer == "landcover":
        return "static.landcover", {key: options.get(key) for key in ("variable", "legend", "year")}
    return f"static.layers.{layer}", {"variable": variable, **options}


def _is_geopotential(name: str, variable: xr.DataArray) -> bool:
    """Whether a variable is the geopotential of the surface."""
    units = str(variable.attrs.get("units", "")).replace("**", "").replace("^", "")
    standard = variable.attrs.get("standard_name") in ("geopotential", "surface_geopotential")
    return (standard or name == "z") and units in ("m2 s-2", "m2/s2")


def _product(report: Report, dataset: xr.Dataset) -> str:
    attrs = report.details.get("attributes", {})
    names = {str(name) for name in dataset.data_vars}
    if {"infilt", "Ds", "Dsmax"} <= names:
        return "VIC soil and vegetation parameters"
    if {"frac", "mask", "area", "elev"} <= names:
        return "VIC domain"
    return str(attrs.get("title") or attrs.get("description") or "")


def _candidates(
    report: Report, name: str, variable: xr.DataArray, dataset: xr.Dataset
) -> list[tuple[str, dict[str, Any]]]:
    """Static layers that a variable may be, with the options of ``static.layers`` it needs."""
    select = {str(d): 0 for d in ("nlayer", "layer") if d in variable.dims}
    if name in COVER and variable.ndim >= 2:
        _classes(report, name, variable)
        return [("landcover", {"legend": COVER[name], "year": _first_year(dataset, variable)})]
    if name in SHARE_NAMES or _is_first_of_types(name, dataset):
        return [("landcover", {"year": _first_year(dataset, variable)})]
    if REGIONS.search(name) and variable.ndim >= 2 and not any("flux" in str(n).lower() for n in dataset.data_vars):
        _categories(report, name, sample(variable, "")[0])
        return [("regions", {})]
    if name in TRANSFORMS:
        layer, transform, _ = TRANSFORMS[name]
        return [(layer, {"select": select, "transform": transform})]
    layer = "orog" if name in ELEVATION else canonical_name(name, variable.attrs)
    if layer == "lai" and roles_of_time(variable):
        return [("lai_series", {})]
    if layer == "lai":
        weights = "Cv" if "veg_class" in variable.dims and "Cv" in dataset else ""
        return [("lai", {"weights": weights})]
    layer = layer if layer in LAYERS else _slow_layer(name, dataset)
    if layer and variable.ndim >= 2:
        series = {"over_time": "mean"} if variable.sizes.get("time", 1) > 1 else {}
        return [(layer, {"select": select, **series})]
    text = f"{name} {variable.attrs.get('long_name', '')} {dataset.attrs.get('history', '')}".lower()
    if "land" in text and ("fraction" in text or "frac" in text) and variable.ndim >= 2:
        return [("sftlf", {"select": select, "scale": 100 if _is_fraction(report, name) else ""})]
    return []


def _slow_layer(name: str, dataset: xr.Dataset) -> str:
    """The layer of nitrogen deposition or wetlands that a variable is, by its name; '' where it is none."""
    if name.lower() in NITROGEN:
        return "ndep"
    text = f"{dataset.attrs.get('title', '')} {dataset.encoding.get('source', '')}".lower()
    wet = name.lower() != "frac" or "wetland" in text or "inundat" in text
    return next((key for key in ("ndep", "wetlandFrac") if name.lower() in NAMES[key] and (wet or key == "ndep")), "")


def _is_first_of_types(name: str, dataset: xr.Dataset) -> bool:
    """Whether a variable is the first of several that hold the shares of one plant type each."""
    types = {meaning.variable.lower() for meaning in read_legend("esa_cci_pft").values() if meaning.variable}
    held = [str(n) for n in dataset.data_vars if str(n).lower() in types]
    return len(held) > 1 and name == held[0]


def _first_year(dataset: xr.Dataset, variable: xr.DataArray) -> int | None:
    """The first year of a series of maps, None where there is one map only."""
    axis = time_dimension(dataset, str(variable.name), {})
    if axis is None:
        return None
    try:
        return int(xr.decode_cf(dataset[[axis]])[axis].dt.year[0])
    except (ValueError, OverflowError, TypeError, AttributeError):
        return None


def roles_of_time(variable: xr.DataArray) -> bool:
    """Whether a variable is a series of composites: more steps in time than, or other than, the months of a year."""
    return "time" in variable.dims and variable.sizes["time"] != 12


def _composites(report: Report, probe: Probe) -> None:
    """Open leaf-area composites the way the static stage does; raises what it raises."""
    product, window, stacks = index(LaiSeries(path=[str(probe.path)]))
    dates = sorted(day for stack in stacks for day in stack.dates)
    report.product = product.name
    report.details["composites"] = f"{len(dates)} of {window.replace('_', ' ')}, {dates[0]} to {dates[-1]}"


def _is_fraction(report: Report, name: str) -> bool:
    summary = next((v for v in report.variables if v.name == name), None)
    return summary is not None and summary.maximum is not None and summary.maximum <= 1.01


def _classes(report: Report, name: str, variable: xr.DataArray) -> None:
    """Classes that occur, and those that the legend does not know."""
    values, _ = sample(variable, "")
    _categories(report, name, values)
    found = np.unique(values[np.isfinite(values)]).astype(int) if values.dtype.kind == "f" else np.unique(values)
    legend = read_legend(COVER[name])
    known = set(legend)
    report.details["class_names"] = {str(code): legend[int(code)].name for code in found if int(code) in known}
    report.details["classes"] = [int(code) for code in found]
    unknown = [int(code) for code in found if int(code) not in known]
    if unknown:
        report.warn("unknown-classes", f"classes that the legend {COVER[name]} does not have: {unknown}", name)


def _categories(report: Report, name: str, values: np.ndarray) -> None:
    """Draw the first step of ``values`` as classes: a mean of codes says nothing."""
    if report.space and values.shape[-2:] == tuple(report.space.shape):
        report.series["map"] = (name, values.reshape(-1, *values.shape[-2:])[0].astype(np.float64))
        report.details["land_cover"] = True


def _read(report: Report, probe: Probe, name: str, layer: str, options: dict[str, Any]) -> dict[str, Any]:
    """Read the layer in a small place the way the static stage does; the options it took. Raises what it raises."""
    box = report.space.bbox if report.space else [-180.0, -90.0, 180.0, 90.0]
    if layer == "regions":
        names = try_regions(RegionMap(path=str(probe.path), variable=name), box)
        return {"regions": f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}"}
    if layer == "landcover":
        legends = [options["legend"]] if options.get("legend") else LEGENDS
        chosen = {"variable": name if options.get("legend") else "", "year": options.get("year")}
        cover = try_cover(str(probe.path), box, legends, **chosen)
        return {"variable": cover.variable, "legend": cover.legend, "year": cover.year}
    given = {key: value for key, value in options.items() if value}
    return try_layer(layer, str(probe.path), box, [{"variable": name, **given}])

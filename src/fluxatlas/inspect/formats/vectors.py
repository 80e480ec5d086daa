"""Vector files (GeoJSON, shapefiles and their companions): regions and outlines."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from ...config.regions import RegionMap
from ...errors import FluxAtlasError, InputError, counted
from ..probe import Probe
from ..report import MappingRow, Report, SpaceSummary, refused
from ..static_trial import try_regions

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

LIKELY = ("name", "region", "admin", "eco_name", "biome_name", "country", "basin")
"""Columns that hold names in files that are often used."""
GLOBE = (-180.0, -90.0, 180.0, 90.0)
OTHERS = {".gpkg": "geopackage", ".fgb": "flatgeobuf", ".kml": "kml", ".gml": "gml"}
"""Further vector files by their suffix."""
COMPANIONS = {
    ".dbf": "attribute table",
    ".shx": "index",
    ".prj": "projection",
    ".cpg": "encoding",
    ".qpj": "projection",
}


def recognise(probe: Probe) -> Report | None:
    """A GeoJSON file, a shapefile, or one of a shapefile's companions."""
    if probe.suffix in COMPANIONS and probe.path.with_suffix(".shp").exists():
        report = Report(str(probe.path), "shapefile-part", f"{COMPANIONS[probe.suffix]} of a shapefile")
        return report.decide("not_input", f"belongs to {probe.path.with_suffix('.shp').name}: give that file")
    geojson = probe.kind == "text" and probe.text[:2000].lstrip()[:1] == "{" and '"Feature' in probe.text[:100_000]
    if probe.kind == "shapefile" or geojson:
        return shapes(Report(str(probe.path), "geojson" if geojson else "shapefile"))
    return shapes(Report(str(probe.path), OTHERS[probe.suffix])) if probe.suffix in OTHERS else None


def shapes(report: Report) -> Report:
    """The verdict on the vector file of ``report``, also a zip with a shapefile; of several layers the first."""
    import geopandas
    import pyogrio

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = [str(name) for name, kind in pyogrio.list_layers(report.path) if kind is not None]
            layer = layers[0] if len(layers) > 1 else ""
            frame = geopandas.read_file(report.path, layer=layer or None)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError, RuntimeError) as bad:
        return refused(report, InputError(f"cannot be read as vector data ({bad})", hint="get all its parts again"))
    except Exception as bad:  # shapely and pyogrio raise whatever GEOS and GDAL report for damaged shapes
        return refused(report, InputError(f"holds damaged shapes ({type(bad).__name__}: {bad})", hint="get it again"))
    if layer:
        report.details["layers"] = layers
        report.note("several-layers", f"layers {', '.join(layers[:8])}: this is the first, choose with 'layer'")
    return _describe(report, frame, layer)


def _describe(report: Report, frame: GeoDataFrame, layer: str) -> Report:
    import geopandas

    if not isinstance(frame, geopandas.GeoDataFrame) or frame.empty:
        return report.decide("unusable", "it holds no shapes")
    kinds = sorted(set(frame.geometry.geom_type.dropna()))
    report.details |= {"features": len(frame), "geometry": kinds, "columns": [str(c) for c in frame.columns][:40]}
    invalid = int((~frame.geometry.is_valid).sum())
    if invalid:
        report.warn("invalid-shapes", f"{invalid:,} of {len(frame):,} shapes are invalid (self-intersections)")
    missing = int((frame.geometry.isna() | frame.geometry.is_empty).sum())
    if missing:
        report.warn("missing-shapes", f"{missing:,} of {len(frame):,} features have no shape")
    crs = frame.crs
    if crs is None:
        report.warn("no-projection", "the file states no coordinate system")
    try:
        box = (frame if crs is None else frame.to_crs("EPSG:4326")).total_bounds
        report.space = SpaceSummary("shapes", [round(float(x), 6) for x in box], [len(frame)])
        report.space.crs = "unknown" if crs is None else crs.to_string()
    except Exception as bad:  # pyproj raises its own kinds for coordinates that do not fit the projection
        report.warn("projection", f"the shapes cannot be turned to degrees ({type(bad).__name__})")
    if crs is not None and not crs.is_geographic:
        report.note("projected", f"coordinates are projected ({crs.to_string()[:40]}), not degrees")
    report.product = "country borders" if "ISO_A3" in frame.columns else f"{'/'.join(kinds)} features"
    report.series["shapes"] = frame.geometry
    if crs is None:
        return report.decide("unusable", "the file states no projection: add it (a .prj file beside a shapefile)")
    if not any("Polygon" in kind for kind in kinds):
        return report.decide("no_reader", f"{'/'.join(kinds)} features: regions of a budget are areas")
    field = _names(frame)
    if not field and len(frame) > 1:
        return report.decide("no_reader", "nothing names the shapes: add a column of names")
    try:
        try_regions(RegionMap(path=report.path, field=field, layer=layer), report.space.bbox if report.space else GLOBE)
    except FluxAtlasError as problem:
        return refused(report, problem)
    about = f"regions of a budget, named by '{field}'" if field else "one region of a budget"
    report.mapping.append(MappingRow("regions", [field] if field else [], "", counted(len(frame), "feature")))
    report.use("regions.maps", field=field, layer=layer)
    keys = ", ".join(f"{key}: {value}" for key, value in (("layer", layer), ("field", field)) if value)
    return report.decide("usable", about, f"regions.maps: {{{keys}}}" if keys else "regions.maps")


def _names(frame: GeoDataFrame) -> str:
    """The column that most likely names the features: text, never missing, and best if it says so."""
    texts = [
        str(column)
        for column in frame.columns
        if column != frame.geometry.name and frame[column].map(lambda value: isinstance(value, str)).all()
    ]
    telling = [column for column in texts if column.lower() in LIKELY] + [
        column for column in texts if "name" in column.lower()
    ]
    unique = [column for column in texts if frame[column].is_unique]
    return next(iter([*(c for c in telling if c in unique), *telling, *unique, *texts]), "")

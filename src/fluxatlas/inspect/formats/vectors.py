"""Vector files (GeoJSON, shapefiles and their companions): regions and outlines."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pandas.api.types import is_numeric_dtype

from ...errors import InputError
from ..probe import Probe
from ..registry import refused
from ..report import MappingRow, Report, SpaceSummary

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

LIKELY = ("name", "region", "admin", "eco_name", "biome_name", "country", "basin")
"""Columns that hold names in files that are often used."""
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
    if probe.kind != "shapefile" and not geojson:
        return None
    import geopandas
    import pyogrio

    report = Report(str(probe.path), "geojson" if geojson else "shapefile")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            frame = geopandas.read_file(probe.path)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, OSError, ValueError, RuntimeError) as bad:
        return refused(report, InputError(f"cannot be read as vector data ({bad})", hint="get all its parts again"))
    except Exception as bad:  # shapely and pyogrio raise whatever GEOS and GDAL report for damaged shapes
        return refused(report, InputError(f"holds damaged shapes ({type(bad).__name__}: {bad})", hint="get it again"))
    return _describe(report, frame, probe)


def _describe(report: Report, frame: GeoDataFrame, probe: Probe) -> Report:
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
    about = f"regions of a budget, named by '{field}'" if field else "one region of a budget"
    report.mapping.append(MappingRow("regions", [field] if field else [], "", f"{len(frame):,} features"))
    return report.decide("usable", about, f"regions.maps: {{field: {field}}}" if field else "regions.maps")


def _names(frame: GeoDataFrame) -> str:
    """The column that most likely names the features: text, never missing, and best if it says so."""
    texts = [
        str(column)
        for column in frame.columns
        if column != frame.geometry.name and frame[column].notna().all() and not is_numeric_dtype(frame[column])
    ]
    telling = [column for column in texts if column.lower() in LIKELY] + [
        column for column in texts if "name" in column.lower()
    ]
    unique = [column for column in texts if frame[column].is_unique]
    return next(iter([*(c for c in telling if c in unique), *telling, *unique, *texts]), "")

"""GeoTIFF and other rasters: continuous layers or land cover, judged by pixels as they are stored.

Overviews are never looked at: whoever made them may have interpolated, and that makes classes and values that no pixel
has. Of a large raster small windows all over it are read.
"""

from __future__ import annotations

import re
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ... import variables
from ...config.lai import LaiSeries
from ...config.providers import SOIL
from ...config.regions import RegionMap
from ...config.static import LAYERS
from ...errors import FluxAtlasError, InputError
from ...regrid.cover import read_legend
from ...regrid.cover_layout import SAYS_SHARES
from ...regrid.lai_files import index
from ...regrid.units import SAYS_NOTHING
from .. import checks
from ..checks import CheckedVariable
from ..probe import Probe
from ..report import MappingRow, Report, SpaceSummary, refused
from ..static_trial import REGIONS, try_cover, try_layer, try_regions

OTHERS = (".vrt", ".bil", ".asc", ".img", ".flt", ".jp2")
"""Further rasters, by their suffix: virtual mosaics, ESRI's binary and text grids, ERDAS Imagine, JPEG 2000."""
COMPANIONS = (".hdr", ".prj", ".blw", ".stx", ".clr", ".ovr")
"""What lies beside them."""
ARC = re.compile(r"\s*ncols\s+\d", re.IGNORECASE)
"""How a text grid begins."""
MOST_PIXELS = 2_000_000
"""Pixels that are judged of one band."""
WINDOWS = 16
"""Windows along each side of a larger raster."""
CACHE_MB = 64
"""Blocks that GDAL keeps in memory; by default it takes a part of all there is."""
LEGENDS = ("esa_cci", "modis_igbp")
"""Legends of maps of classes (that of plant types is for shares)."""
WORDS = {
    "orog": r"elev|dem(?![a-z])|orog|altitude|etopo|gebco|srtm",
    "sand": r"(?<![a-z])sand",
    "clay": r"(?<![a-z])clay",
    "soc": r"(?<![a-z])soc(?![a-z])|organic.?carbon",
    "bdod": r"bdod|bulk.?dens",
    "phh2o": r"phh2o|(?<![a-z])ph(?![a-z])",
    "ndep": r"ndep|n.?deposition",
    "lai": r"(?<![a-z])lai(?![a-z])|leaf.?area",
    "cropFrac": r"crop.?frac",
    "wetlandFrac": r"wetland.?frac",
    "sftlf": r"land.?frac|sftlf",
}
"""Words in the file name or description that point to a static layer."""
SOILGRIDS = re.compile(r"(sand|clay|soc|bdod|phh2o)_\d+-\d+cm_mean(_\d+m?)?")
"""Names of the maps of SoilGrids 2.0."""
COMPOSITE = re.compile(r"(M[COY]D15A[23]H|V(NP|J1|J2)15A2H).*(Lai|QC)|_Lai_500m_|FparLai_QC", re.IGNORECASE)
"""Names of leaf-area composites and of their quality bytes."""
OTHER = {
    r"field.?capacity": ("soil field capacity", "mm m-1"),
    r"^dtb|depth.?to.?bedrock": ("depth to bedrock", "cm"),
    r"corine|clc": ("CORINE land cover", ""),
    r"nlcd": ("NLCD land cover", ""),
}
"""Layers that fluxatlas does not use: pattern of the file name -> what it is, and its unit by general knowledge."""


def recognise(probe: Probe) -> Report | None:
    """A TIFF file or another raster of GDAL's, or what belongs to one."""
    if probe.suffix in COMPANIONS and (whole := _beside(probe)):
        return Report(str(probe.path), "raster-part").decide("not_input", f"belongs to {whole.name}: give that file")
    if probe.kind != "tiff" and not (probe.suffix in OTHERS and (probe.suffix != ".asc" or ARC.match(probe.text[:99]))):
        return None
    import rasterio

    report = Report(str(probe.path), "geotiff" if probe.kind == "tiff" else "raster")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(probe.path) as source:
                _describe(report, source, _read(source))
    except FluxAtlasError as problem:
        return refused(report, problem)
    except (rasterio.errors.RasterioError, OSError, ValueError, IndexError, TypeError, RuntimeError) as problem:
        return refused(report, InputError(f"cannot be read as a raster ({problem})", hint="download it again"))
    return _decide(report, probe)


def _beside(probe: Probe) -> Path | None:
    """The raster that a header, a projection or a palette of the same name belongs to."""
    return next((path for path in map(probe.path.with_suffix, OTHERS) if path.exists()), None)


def _read(source: Any) -> np.ndarray:
    """Pixels of the first band (row, column), NaN where missing; of a large raster the windows of a lattice.

    Where all of these are missing, every so manieth pixel of the whole.
    """
    from rasterio.windows import Window

    if source.width * source.height <= MOST_PIXELS:
        return _pixels(source)
    side = int(np.sqrt(MOST_PIXELS)) // WINDOWS
    high, wide = min(side, max(source.height // WINDOWS, 1)), min(side, max(source.width // WINDOWS, 1))
    rows, columns = (
        np.unique(np.linspace(0, whole - part, WINDOWS).astype(int))
        for whole, part in ((source.height, high), (source.width, wide))
    )
    windows = [[Window(int(x), int(y), wide, high) for x in columns] for y in rows]
    values = np.block([[_pixels(source, window=window) for window in row] for row in windows])
    return values if np.isfinite(values).any() else thinned(source.name)


def _pixels(source: Any, **where: Any) -> np.ndarray:
    """Values of the first band as float64, NaN where the file says that they are missing."""
    values = np.asarray(source.read(1, **where), np.float64)
    return np.where(source.read_masks(1, **where) == 0, np.nan, values)


def thinned(path: str) -> np.ndarray:
    """Every so manieth pixel (row, column) of the first band, at most :data:`MOST_PIXELS`; overviews are not used."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(path, OVERVIEW_LEVEL="NONE") as source:
        thin = max(1, int(np.ceil(np.sqrt(source.width * source.height / MOST_PIXELS))))
        return _pixels(source, out_shape=(max(1, source.height // thin), max(1, source.width // thin)))


def _describe(report: Report, source: Any, values: np.ndarray) -> None:
    from rasterio.warp import transform_bounds

    if source.dtypes[0].startswith("complex"):
        raise InputError(f"holds complex numbers ({source.dtypes[0]})", hint="give amplitude or real part as a layer")
    crs = source.crs
    height, width = abs(source.transform.e), abs(source.transform.a)
    report.space = SpaceSummary("grid", [], [source.height, source.width], [float(height), float(width)])
    bounds = source.bounds
    if crs is None:
        report.warn("no-projection", "the file states no coordinate system")
        report.space.crs = "unknown"
        report.space.bbox = [bounds.left, bounds.bottom, bounds.right, bounds.top]
    else:
        report.space.crs = crs.to_string() if crs.to_epsg() else str(crs.to_dict().get("proj", "projected"))
        try:
            box = transform_bounds(crs, "EPSG:4326", *bounds)
        except Exception:  # a class that rasterio keeps private: findings/rasterio_bounds_private_error.sh
            hint = "state where on the Earth it lies (gdal_edit.py -a_srs), or give it in EPSG:4326 (gdalwarp)"
            raise InputError("no way is known from its coordinate system to degrees", hint=hint) from None
        report.space.bbox = [round(float(x), 6) for x in box]
    tags = source.tags()
    report.details["units"] = str(source.units[0] or "")
    report.details |= {"bands": source.count, "dtype": source.dtypes[0], "nodata": source.nodata}
    report.product = tags.get("NC_GLOBAL#title", "")
    report.version = tags.get("NC_GLOBAL#product_version", "")
    if source.nodata is None:
        report.note("no-nodata", "no missing value is declared")
    _values(report, source, values)


def _values(report: Report, source: Any, values: np.ndarray) -> None:
    name = (source.descriptions[0] or "band 1") if source.descriptions else "band 1"
    classes = _are_classes(source, values)
    scale, offset = source.scales[0], source.offsets[0]
    if (scale, offset) != (1.0, 0.0):
        report.note("scaled", f"stored values are to be scaled by {scale:g} and shifted by {offset:g}")
    sampled = values.size < source.width * source.height
    column = CheckedVariable(name, values, kind="flag" if classes else "data", ordered=False, sampled=sampled)
    column.shape = (source.count, source.height, source.width)
    checks.judge(report, column)
    finite = values[np.isfinite(values)]
    report.details |= {"missing_pixels": values.size - finite.size, "pixels": finite.size}
    report.details["land_cover"] = classes
    if classes:
        report.details["classes"] = [int(code) for code in np.unique(finite)]
    elif finite.size:
        zeros = float(np.mean(finite == 0))
        if zeros > 0.02 and finite.min() == 0:
            text = f"{100 * zeros:.1f} % of the pixels are 0 although {source.nodata} means missing: sea stored as 0?"
            report.warn("zero-as-missing", text, name)
    report.series["map"] = (name, partial(thinned, source.name) if sampled else values)


def _are_classes(source: Any, values: np.ndarray) -> bool:
    """Small whole numbers of an 8-bit raster, a palette or a class name in the tags."""
    from rasterio.enums import ColorInterp

    if any("flag_meanings" in key for key in source.tags()):
        return True
    finite = values[np.isfinite(values)]
    whole = source.dtypes[0] in ("uint8", "int8")
    few = finite.size > 0 and len(np.unique(finite)) <= 64
    return bool(few and (source.colorinterp[0] == ColorInterp.palette or whole))


def _decide(report: Report, probe: Probe) -> Report:
    path = str(probe.path)
    if COMPOSITE.search(probe.name):
        return _composites(report, probe)
    stem = Path(path).stem.lower()
    other = next((found for pattern, found in OTHER.items() if re.search(pattern, stem)), None)
    if other:
        report.product = report.product or other[0]
        report.variables[0].units, report.variables[0].units_from = other[1], "format" if other[1] else ""
    text = f"{stem} {report.variables[0].name}".lower()
    layer = next((name for name, words in WORDS.items() if name in LAYERS and re.search(words, text)), None)
    if SAYS_SHARES.search(stem) and report.details["bands"] > 1 and layer is None:
        return _shares(report, path)
    if layer is None and not other and REGIONS.search(stem) and report.details["dtype"].startswith(("int", "uint")):
        return _regions(report, path)
    if report.details["land_cover"] and not (layer and (layer != "lai" or report.details["bands"] == 12)):
        return _cover(report, path)
    if "hwsd" in stem and layer is None:
        report.product = "HWSD, map of mapping units"
        report.use("static.soil", provider="hwsd")
        return report.decide("part", "codes of mapping units: give their table beside them", "static.soil")
    if layer is None or other:
        what = f" ({other[0]})" if other else ""
        return report.decide("no_reader", f"a raster{what} that is none of the static layers: {', '.join(LAYERS)}")
    return _layer(report, layer, path)


def _layer(report: Report, layer: str, path: str) -> Report:
    """The verdict of the reader of a static layer, as it is or as one of the maps of SoilGrids."""
    if not report.details["pixels"]:
        return report.decide("unusable", "no pixel that was looked at has a value")
    whole = report.details["dtype"].startswith(("int", "uint"))  # as the maps of SoilGrids are
    choices: list[dict[str, Any]] = [{}, {"provider": "soilgrids"}] if layer in SOIL and whole else [{}]
    if SOILGRIDS.fullmatch(Path(path).stem.lower()):
        report.product = report.product or "SoilGrids 2.0"
        choices.reverse()
    try:
        options = try_layer(layer, path, _box(report), choices)
    except FluxAtlasError as problem:
        return refused(report, problem)
    shown = ", ".join(f"{key}: {value}" for key, value in options.items())
    stated = report.details["units"].strip().lower() not in SAYS_NOTHING
    unit = "in the unit the file states" if stated else f"taken as {variables.get(layer).units}"
    report.mapping.append(MappingRow(layer, [report.variables[0].name], "", shown or unit))
    report.use(f"static.layers.{layer}", **options)
    return report.decide("usable", f"can be read as the static layer {layer}", f"static.layers.{layer}")


def _box(report: Report) -> list[float]:
    """West, south, east, north; the globe where the file states no projection (its reader says so)."""
    known = report.space is not None and report.space.crs != "unknown"
    return report.space.bbox if known and report.space else [-180.0, -90.0, 180.0, 90.0]


def _regions(report: Report, path: str) -> Report:
    """The verdict of the reader of maps of region codes."""
    try:
        names = try_regions(RegionMap(path=path), _box(report))
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.mapping.append(MappingRow("regions", ["band 1"], "", ", ".join(names[:6])))
    report.use("regions.maps")
    return report.decide("usable", f"codes of regions ({len(names)} in a few places)", "regions.maps")


def _shares(report: Report, path: str) -> Report:
    """The verdict on bands that are shares of land-cover classes."""
    report.format = "geotiff-land-cover"
    try:
        cover = try_cover(path, _box(report), content="shares")
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.mapping.append(MappingRow("uplandFrac, cropFrac, wetlandFrac, biome", ["bands"], "", "shares of classes"))
    report.use("static.landcover", content="shares", legend=cover.legend)
    return report.decide("usable", f"shares of land-cover classes, legend {cover.legend}", "static.landcover")


def _composites(report: Report, probe: Probe) -> Report:
    """The verdict of the reader of leaf-area composites; a quality byte belongs to the composite beside it."""
    report.format = "geotiff-leaf-area"
    if "QC" in probe.name:
        report.use("static.lai_series")
        return report.decide("part", "quality bits of a leaf-area composite: give the leaf area beside it")
    try:
        product, _, stacks = index(LaiSeries(path=[str(probe.path)]))
    except FluxAtlasError as problem:
        return refused(report, problem)
    report.product = product.name
    days = sorted(day for stack in stacks for day in stack.dates)
    report.mapping.append(MappingRow("lai", [report.variables[0].name], "", "monthly means of accepted pixels"))
    text = f"leaf-area composite of {days[0]}" + (f" to {days[-1]}" if len(days) > 1 else "")
    report.use("static.lai_series")
    return report.decide("part", f"{text}: a climatology needs those of whole years", "static.lai_series")


def _cover(report: Report, path: str) -> Report:
    """The legend that knows all classes of the map."""
    report.format = "geotiff-land-cover"
    codes = set(report.details["classes"])
    misfit = {name: sorted(codes - set(read_legend(name))) for name in LEGENDS}
    fitting = [name for name, unknown in misfit.items() if not unknown]
    tagged = "LCCS" in report.product or "C3S" in report.product or "Land Cover Map" in report.product
    if not fitting or (report.product and not tagged and "CCI" not in report.product):
        fewest = min(misfit, key=lambda name: len(misfit[name]))
        text = f"no shipped legend knows all its classes ({fewest} lacks {misfit[fewest]})"
        if fitting:
            text = f"no shipped legend is that of {report.product}"
        report.note("no-legend", text + "; give a legend CSV with the columns of resources/landcover_esa_cci.csv")
        return report.decide("no_reader", f"land cover without a shipped legend: {text}")
    legend = fitting[0]
    try:
        try_cover(path, _box(report), [legend])
    except FluxAtlasError as problem:
        return refused(report, problem)
    names = read_legend(legend)
    report.product = report.product or {"esa_cci": "ESA CCI land cover", "modis_igbp": "MODIS IGBP land cover"}[legend]
    report.details["class_names"] = {str(code): names[code].name for code in sorted(codes)}
    report.mapping.append(MappingRow("uplandFrac, cropFrac, wetlandFrac, biome", ["band 1"], "", f"legend {legend}"))
    report.use("static.landcover", legend=legend)
    return report.decide("usable", f"land cover with the legend {legend}", "static.landcover")

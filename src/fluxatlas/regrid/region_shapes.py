"""Polygons of a vector file around a window, by name of their region, in degrees and ready to be measured.

Features are streamed and only those around the window are kept, so that memory does not grow with the file. Every
change that a shape needs (date line, pole, invalid rings, overlaps) is made here and told in a message.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from ..config.regions import RegionMap
from ..errors import InputError, counted, nearest
from .rings import AmbiguousEdgeError, unwrap

Box = tuple[float, float, float, float]

BATCH = 256
"""Features read at a time."""
SEGMENT = 5000.0
"""Longest edge [m] of a projected shape that is taken as straight in degrees (it is off by less than a metre)."""
SLIVER = 1e-3
"""Overlaps below this share of the smaller shape are slivers of digitising, resolved without being refused."""
WHOLE_TURN = (-360.0, 0.0, 360.0)


@dataclass
class RegionShape:
    """A polygon or multipolygon of region ``name`` in the longitudes of the window; ``order`` in the file, ``size``
    [square degrees] before it was cut to the window."""

    name: str
    geometry: Any
    order: int
    size: float


class VectorFile:
    """An open vector file: where it is, its projection and the attribute that names the regions.

    Raises :class:`InputError` where it is missing, unreadable, empty, without polygons, without projection, or does not
    have the layer or attribute asked for.
    """

    def __init__(self, source: RegionMap) -> None:
        self.source, self.path = source, source.path
        self.notes: list[str] = []
        if not Path(self.path).exists():
            raise self._error("file not found", "check the path in the block 'regions'")
        self.layer = self._layer()
        info = self._info()
        self.field = self._field(info)
        self.crs = self._crs(info["crs"])
        self.to_degrees = self._transformer()
        self.bounds: Box | None = info["total_bounds"]
        self._check_degrees()

    def _error(self, what: str, hint: str) -> InputError:
        return InputError(what, where=self.path, hint=hint)

    def _layer(self) -> str | None:
        import pyogrio

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                layers = [str(name) for name in pyogrio.list_layers(self.path)[:, 0]]
        except (pyogrio.errors.DataSourceError, OSError, ValueError) as problem:
            hint = "give a shapefile (with its .shx, .dbf and .prj), GeoPackage or GeoJSON; get all parts again"
            raise self._error(f"cannot be read as vector data ({problem})", hint) from None
        wanted = self.source.layer
        if wanted and wanted not in layers:
            raise self._error(f"no layer '{wanted}'{nearest(wanted, layers)}", f"choose from {layers}")
        if not wanted and len(layers) > 1:
            raise self._error(f"the file has {len(layers)} layers", f"choose one with 'layer': {layers[:12]}")
        return wanted or (layers[0] if layers else None)

    def _info(self) -> dict[str, Any]:
        import pyogrio

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                info: dict[str, Any] = pyogrio.read_info(
                    self.path, layer=self.layer, force_feature_count=True, force_total_bounds=True, **self._encoding
                )
        except Exception as problem:  # pyogrio passes on whatever GDAL reports for damaged files
            raise self._error(f"cannot be read ({problem})", "the file is damaged: get all its parts again") from None
        if not info["features"]:
            raise self._error("the file holds no shapes", "get it again, or choose another layer")
        kind = str(info["geometry_type"])
        if "Polygon" not in kind and kind not in ("Unknown", "GeometryCollection", "None"):
            raise self._error(f"the shapes are of type {kind}, not polygons", "give outlines of areas")
        return info

    @property
    def _encoding(self) -> dict[str, str]:
        return {"encoding": self.source.encoding} if self.source.encoding else {}

    def _field(self, info: dict[str, Any]) -> str | None:
        fields, wanted = [str(name) for name in info["fields"]], self.source.field
        if wanted in fields:
            return wanted
        if not wanted:
            if info["features"] > 1:
                hint = f"say with 'field' which attribute names the regions: {fields[:30]}"
                raise self._error(f"the file has {info['features']:,} shapes and no 'field' is given", hint)
            return None
        same = [name for name in fields if name.lower() == wanted.lower()]
        if len(same) == 1:
            return same[0]
        hint = f"choose from {fields[:30]}" if fields else "the attribute table (.dbf of a shapefile) is missing"
        raise self._error(f"no attribute '{wanted}'{nearest(wanted, fields)}", hint)

    def _crs(self, stated: Any) -> Any:
        import pyproj

        if stated is None and not self.source.crs:
            hint = "say it with 'crs' (EPSG:4326 for degrees), or add the .prj file of a shapefile"
            raise self._error("the file does not state its projection", hint)
        try:
            crs = pyproj.CRS.from_user_input(stated or self.source.crs)
        except pyproj.exceptions.CRSError as problem:
            raise self._error(f"the projection cannot be read ({str(problem)[:100]})", "correct 'crs'") from None
        if stated and self.source.crs:
            declared = pyproj.CRS.from_user_input(self.source.crs)
            if not crs.equals(declared, ignore_axis_order=True):
                hint = "leave out 'crs', or correct the file"
                raise self._error(f"the file states {crs.name}, the configuration {declared.name}", hint)
        return crs

    def _transformer(self) -> Any:
        import pyproj

        degrees = pyproj.CRS.from_epsg(4326)
        if self.crs.equals(degrees, ignore_axis_order=True):
            return None
        try:
            return pyproj.Transformer.from_crs(self.crs, degrees, always_xy=True)
        except pyproj.exceptions.ProjError as problem:  # of another planet, for one
            what = f"the projection cannot be turned to degrees ({str(problem)[:160]})"
            raise self._error(what, "correct the .prj file, or convert the shapes to EPSG:4326") from None

    def _check_degrees(self) -> None:
        """Refuse coordinates that cannot be degrees although the projection says so."""
        if self.crs.is_projected or self.bounds is None or not np.isfinite(self.bounds).all():
            return
        west, south, east, north = (float(edge) for edge in self.bounds)
        if max(-south, north) > 90.0 + 1e-6 or max(-west, east) > 540.0:
            what = f"the shapes do not lie in degrees: {west:g} to {east:g} E, {south:g} to {north:g} N"
            raise self._error(what, "correct the projection ('crs', or the .prj file)")

    def boxes(self, window: Box) -> list[Box | None]:
        """Where in the file's own coordinates to look for ``window``; None for everywhere."""
        west, south, east, north = window
        if self.to_degrees is None:
            low, high = (self.bounds[0], self.bounds[2]) if self.bounds else (-360.0, 360.0)
            turned = [(west + turn, south, east + turn, north) for turn in WHOLE_TURN]
            return [box for box in turned if box[2] >= low and box[0] <= high]
        if east - west > 180:
            return [None]
        try:
            found = self.to_degrees.transform_bounds(*window, direction="INVERSE", densify_pts=41)
        except Exception:  # a projection that cannot show the window: pyproj raises its own kinds
            return [None]
        return [found if np.isfinite(found).all() and found[0] <= found[2] else None]

    def features(self, window: Box) -> Iterator[tuple[int, str | None, Any]]:
        """Number, name (None where it has none) and geometry, in the file's coordinates, around ``window``."""
        seen: set[int] = set()
        for box in self.boxes(window):
            for numbers, names, shapes in self._batches(box):
                for number, name, shape in zip(numbers, names, shapes, strict=True):
                    if number not in seen:
                        seen.add(number)
                        yield number, name, shape

    def _batches(self, box: Box | None) -> Iterator[tuple[list[int], list[str | None], Any]]:
        import pyogrio

        columns = [self.field] if self.field else []
        options: dict[str, Any] = {"columns": columns, "bbox": box, "layer": self.layer, **self._encoding}
        try:
            with (
                warnings.catch_warnings(),
                pyogrio.open_arrow(self.path, return_fids=True, batch_size=BATCH, use_pyarrow=True, **options) as (
                    meta,
                    reader,
                ),
            ):
                warnings.simplefilter("ignore")
                shape_column = meta["geometry_name"] or "wkb_geometry"
                for batch in reader:
                    numbers = batch.column(meta["fid_column"] or "OGC_FID").to_pylist()
                    values = (
                        batch.column(self.field).to_pylist() if self.field else [Path(self.path).stem] * len(numbers)
                    )
                    shapes = shapely.from_wkb(batch.column(shape_column).to_numpy(zero_copy_only=False))
                    yield numbers, _names(values), shapes
        except UnicodeDecodeError as problem:
            hint = "set 'encoding' (such as cp1252 or latin-1), or correct the .cpg file"
            raise self._error(f"the attributes are not text in the encoding stated ({problem})", hint) from None
        except InputError:
            raise
        except Exception as problem:  # GDAL, GEOS and Arrow have their own kinds for damaged features
            hint = "the file is damaged or cut off: get all its parts again"
            raise self._error(f"features cannot be read ({type(problem).__name__}: {problem})", hint) from None


def _names(values: list[Any]) -> list[str | None]:
    """Names as text without outer blanks; None for missing, empty and NaN; whole numbers without decimals."""
    found: list[str | None] = []
    for value in values:
        if isinstance(value, float):
            value = None if np.isnan(value) else int(value) if value == int(value) else value
        text = "" if value is None else str(value).strip().strip("\x00")
        found.append(text or None)
    return _from_utf8(found)


def _from_utf8(names: list[str | None]) -> list[str | None]:
    """Names of a file whose UTF-8 text was taken for Latin-1, because nothing states its encoding, made right."""
    strange = [name for name in names if name and not name.isascii()]
    try:
        mended = {name: name.encode("latin-1").decode("utf-8") for name in strange}
    except (UnicodeEncodeError, UnicodeDecodeError):
        return names
    return [mended.get(name, name) if name else name for name in names]


def read_shapes(source: RegionMap, window: Box) -> tuple[list[RegionShape], list[str]]:
    """Shapes around ``window`` (west, south, east, north), cut to it and free of overlaps, and messages.

    Raises :class:`InputError` as :class:`VectorFile`, for an edge that may run either way around the globe, for a
    projection that fails, and for regions that overlap where the block says 'refuse'.
    """
    file = VectorFile(source)
    frame = shapely.box(*window)
    shapes: list[RegionShape] = []
    counts = {"nameless": 0, "invalid": 0, "dateline": 0, "pole": 0, "lines": 0}
    for number, name, raw in file.features(window):
        if raw is None or raw.is_empty:
            continue
        if name is None:
            counts["nameless"] += 1
            continue
        geometry = _in_degrees(file, raw, name, counts)
        shapes += [
            RegionShape(name, piece, number, geometry.area) for piece in _cut(geometry, frame, window) if piece.area > 0
        ]
    notes = _told(counts, file)
    return _without_overlaps(shapes, source, notes), notes


def _in_degrees(file: VectorFile, raw: Any, name: str, counts: dict[str, int]) -> Any:
    """A valid (multi)polygon in degrees whose rings do not jump at the date line and are closed at the poles."""
    polygons = [part for part in shapely.get_parts(raw, return_index=False) if part.geom_type in _AREAS]
    if not polygons:
        counts["lines"] += 1
        return shapely.Polygon()
    geometry = shapely.force_2d(shapely.multipolygons(shapely.get_parts(polygons)))
    if file.to_degrees is not None:
        geometry = _projected(file, geometry, name)
    if not np.isfinite(shapely.get_coordinates(geometry)).all() or np.abs(geometry.bounds[1::2]).max() > 90.0 + 1e-6:
        box = tuple(round(x, 3) for x in geometry.bounds)
        raise file._error(f"the shape of '{name}' does not lie in degrees: {box}", "correct the projection ('crs')")
    try:
        geometry, turned, capped = unwrap(geometry, projected=file.crs.is_projected)
    except AmbiguousEdgeError as problem:
        hint = "split the shape at the date line, or add vertices along the edge"
        raise file._error(f"the shape of '{name}' {problem}", hint) from None
    counts["dateline"] += turned
    counts["pole"] += capped
    if not geometry.is_valid:
        counts["invalid"] += 1
        geometry = _areas(shapely.make_valid(geometry))
    return geometry


_AREAS = ("Polygon", "MultiPolygon")


def _projected(file: VectorFile, geometry: Any, name: str) -> Any:
    if file.crs.is_projected:
        metre = file.crs.axis_info[0].unit_conversion_factor or 1.0
        geometry = shapely.segmentize(geometry, SEGMENT / metre)
    try:
        return shapely.transform(geometry, lambda xy: np.column_stack(file.to_degrees.transform(xy[:, 0], xy[:, 1])))
    except Exception as problem:  # pyproj raises its own kinds
        raise file._error(f"'{name}' cannot be converted to degrees ({problem})", "correct the projection") from None


def _areas(geometry: Any) -> Any:
    """The polygons of any geometry as one."""
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type in _AREAS]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def _cut(geometry: Any, frame: Any, window: Box) -> Iterator[Any]:
    """What of ``geometry`` lies in the window, moved by whole turns into its longitudes."""
    if geometry.is_empty:
        return
    west, _, east, _ = geometry.bounds
    for turn in (-720.0, *WHOLE_TURN, 720.0):
        if west + turn < window[2] and east + turn > window[0]:
            moved = geometry if turn == 0 else shapely.transform(geometry, lambda xy, t=turn: xy + np.array([t, 0.0]))
            yield _areas(shapely.intersection(moved, frame))


def _told(counts: dict[str, int], file: VectorFile) -> list[str]:
    text = {
        "nameless": f"{{}} shapes without '{file.field}' belong to no region",
        "invalid": "{} invalid shapes were repaired",
        "dateline": "{} rings that jump at the date line were joined across it",
        "pole": "{} rings around a pole were closed there",
        "lines": "{} features are not areas and were left out",
    }
    return [text[key].format(count) for key, count in counts.items() if count]


def _without_overlaps(shapes: list[RegionShape], source: RegionMap, notes: list[str]) -> list[RegionShape]:
    """``shapes`` with what two of them claim given to one; two of one region always count once."""
    if len(shapes) < 2:
        return shapes
    keys = {"last": lambda s: -s.order, "smallest": lambda s: (s.size, s.order)}
    ranked = sorted(shapes, key=keys.get(source.overlaps, lambda s: s.order))
    pairs = _overlapping(ranked)
    between = [(i, j, area) for i, j, area in pairs if ranked[i].name != ranked[j].name]
    gross = [p for p in between if p[2] > SLIVER * min(ranked[p[0]].size, ranked[p[1]].size)]
    if gross and source.overlaps == "refuse":
        i, j, area = max(gross, key=lambda pair: pair[2])
        at = shapely.point_on_surface(shapely.intersection(ranked[i].geometry, ranked[j].geometry))
        raise InputError(
            f"'{ranked[i].name}' and '{ranked[j].name}' overlap by {area:.3g} square degrees near {at.y:.3f} N, "
            f"{at.x:.3f} E ({len(gross)} such pairs)",
            where=source.path,
            hint="choose with 'overlaps' which of two keeps the area: first, last or smallest",
        )
    if between:
        how = source.overlaps if gross else "slivers to the first in the file"
        notes.append(
            f"{counted(len(between), 'overlap')}, {sum(p[2] for p in between):.3g} square degrees, resolved ({how})"
        )
    if len(pairs) > len(between):
        notes.append(f"{len(pairs) - len(between)} overlaps within a region are counted once")
    above: dict[int, list[int]] = {}
    for i, j, _ in pairs:
        above.setdefault(j, []).append(i)
    originals = [shape.geometry for shape in ranked]
    for j, over in above.items():
        cover = shapely.union_all([originals[i] for i in over])
        ranked[j].geometry = _areas(shapely.difference(originals[j], cover))
    return [shape for shape in ranked if not shape.geometry.is_empty]


def _overlapping(ranked: list[RegionShape]) -> list[tuple[int, int, float]]:
    """Pairs (i < j) of shapes that share an area, with it [square degrees]."""
    shapes = np.array([shape.geometry for shape in ranked], dtype=object)
    shapely.prepare(shapes)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    keep: npt.NDArray[np.bool_] = first < second
    first, second = first[keep], second[keep]
    area = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    found = [(int(i), int(j), float(a)) for i, j, a in zip(first, second, area, strict=True) if a > 1e-12]
    return sorted(found)

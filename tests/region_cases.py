"""Maps of regions for the tests."""

from pathlib import Path

import geopandas
import numpy as np

from fluxatlas.config.regions import RegionMap

LAT, LON = np.arange(-89.5, 90), np.arange(-179.5, 180)


def make(folder: Path, shapes: dict[str, object] | list, name="map.gpkg", crs="EPSG:4326", **columns) -> RegionMap:
    """A file of shapes by name (or of (name, shape) pairs)."""
    pairs = list(shapes.items()) if isinstance(shapes, dict) else shapes
    table = {"name": [n for n, _ in pairs], **columns}
    geopandas.GeoDataFrame(table, geometry=[s for _, s in pairs], crs=crs).to_file(folder / name)
    return RegionMap(path=str(folder / name), field="name")

"""A static STAC catalogue of the products: one collection per run, one item per year, files as assets.

The catalogue is self-contained: every link and asset is relative, so that the folder ``products`` can be moved or
served as it is. Fields of the projection and raster extensions describe grid and bands of each map: on the item they
would hold for the daily files too, which tools for rasters cannot read. Projection 1.1 (``proj:epsg``) is what both
old and new tools understand.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pystac
import rasterio

from .. import files, variables
from ..config.products import ProductsBlock
from ..errors import InputError
from ..systems import System, get_system
from ..tiles.mosaic import PathLike
from .about import SYNTHETIC_NOTE, About

NETCDF = "application/netcdf"
SCHEMAS = (
    "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)

LICENCE = "LICENCE.txt"
"""The terms of a product of the synthetic Earth, for which no SPDX identifier stands."""


@dataclass
class Year:
    """What belongs to one item: the daily files, on both grids, and the maps of one year, by variable and period."""

    daily: dict[str, Path] = field(default_factory=dict)
    maps: dict[str, Path] = field(default_factory=dict)
    ease: dict[str, Path] = field(default_factory=dict)


def write_catalog(
    output: PathLike,
    daily: Sequence[PathLike],
    maps: Sequence[PathLike] = (),
    settings: ProductsBlock | None = None,
    *,
    system: str,
    run: str = "fluxatlas",
    ease: Sequence[PathLike] = (),
) -> pystac.Catalog:
    """Write ``output`` (``.../stac/catalog.json``) and, below its folder, the collection and its items; return it.

    ``daily`` are files ``<variable>_<year>.nc``, ``maps`` are ``<variable>_<year>[-<month>].tif`` of one run, ``ease``
    its daily files on EASE-Grid 2.0. A catalogue that is there already is replaced. Raises :class:`InputError` for a
    name that is not of this form, for no daily file, or for a map or a file on EASE-Grid of a year without one.
    """
    settings = settings or ProductsBlock()
    described, folder = get_system(system), Path(output).parent
    years = _sort(daily, maps, ease)
    about = _about(next(iter(next(iter(years.values())).daily.values())), run)
    name = f"{described.name}-{run}"
    catalog = pystac.Catalog(
        id=run,
        title=about.title(f"fluxatlas run {run}"),
        description=f"{described.title}, {about.domain}: daily product with monthly and annual maps.",
        catalog_type=pystac.CatalogType.SELF_CONTAINED,
    )
    title = about.title(f"{settings.title or described.title}, {about.domain}")
    items = [_item(year, found, name, title, folder) for year, found in sorted(years.items())]
    collection = _collection(name, title, described, settings, about, items)
    catalog.add_child(collection)
    collection.add_items(items)
    catalog.normalize_hrefs(str(folder))
    _write(catalog, Path(output), folder / name)
    if about.synthetic:
        files.write_text(folder / name / LICENCE, f"{about.licence(settings.license)}\n")
    return catalog


def _about(path: Path, run: str) -> About:
    """What a daily file says of the run that made it; only the name ``run`` for one that says nothing."""
    with files.open_netcdf(path) as data:
        return replace(About.from_json(data.attrs.get("fluxatlas_about", "{}")), run=run)


def _sort(daily: Iterable[PathLike], maps: Iterable[PathLike], ease: Iterable[PathLike]) -> dict[int, Year]:
    years: dict[int, Year] = defaultdict(Year)
    for path in map(Path, daily):
        variable, period = _parts(path)
        years[int(period)].daily[variable] = path
    if not years:
        raise InputError("no daily file was given", hint="make the daily product first")
    for path in map(Path, maps):
        year = int(_parts(path)[1][:4])
        if year not in years:
            raise InputError(f"a map of {year}, but no daily file of that year", where=str(path))
        years[year].maps[path.stem] = path
    for path in map(Path, ease):
        variable, period = _parts(path)
        if int(period[:4]) not in years:
            raise InputError(f"a file on EASE-Grid of {period}, but no daily file of that year", where=str(path))
        years[int(period[:4])].ease[variable] = path
    return dict(years)


def _parts(path: Path) -> tuple[str, str]:
    variable, _, period = path.stem.rpartition("_")
    if not (variable in variables.table() and period[:4].isdigit() and len(period) in (4, 7)):
        raise InputError(
            "the name of the file is not that of a product",
            where=str(path),
            hint="products are called <variable>_<year>.nc and <variable>_<year>[-<month>].tif",
        )
    if not path.is_file():
        raise InputError("file not found", where=str(path), hint="make it first")
    return variable, period


def _item(year: int, found: Year, collection: str, title: str, folder: Path) -> pystac.Item:
    with files.open_netcdf(next(iter(found.daily.values()))) as data:
        lat, lon = data["lat_bnds"].to_numpy(), data["lon_bnds"].to_numpy()
    west, south, east, north = float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())
    start = datetime(year, 1, 1, tzinfo=UTC)
    item = pystac.Item(
        id=f"{collection}-{year}",
        geometry={
            "type": "Polygon",
            "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
        },
        bbox=[west, south, east, north],
        datetime=start,  # not null: some tools sort by it
        start_datetime=start,
        end_datetime=datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC),
        properties={"title": f"{title}, {year}"},
        stac_extensions=list(SCHEMAS),
    )
    home = folder / collection / item.id
    for variable, path in sorted(found.daily.items()):
        item.add_asset(f"{variable}_daily", _daily_asset(variable, path, home))
    for variable, path in sorted(found.ease.items()):
        item.add_asset(f"{variable}_daily_ease", _ease_asset(variable, path, home))
    for stem, path in sorted(found.maps.items()):
        item.add_asset(stem, _map_asset(path, home))
    return item


def _relative(path: Path, home: Path) -> str:
    return Path(os.path.relpath(path.resolve(), home.resolve())).as_posix()


def _daily_asset(variable: str, path: Path, home: Path) -> pystac.Asset:
    row = variables.get(variable)
    band: dict[str, Any] = {"unit": row.units}
    if row.packing:
        band |= {"data_type": "int16", "scale": row.packing[0], "offset": row.packing[1], "nodata": variables.FILL}
    return pystac.Asset(
        href=_relative(path, home),
        title=f"{row.long_name}, daily",
        media_type=NETCDF,
        roles=["data"],
        extra_fields={"raster:bands": [band], "file:size": path.stat().st_size},
    )


def _ease_asset(variable: str, path: Path, home: Path) -> pystac.Asset:
    row = variables.get(variable)
    with files.open_netcdf(path) as data:
        grid = str(data["crs"].attrs["long_name"])
    return pystac.Asset(
        href=_relative(path, home),
        title=f"{row.long_name}, daily, on {grid} (EPSG:6933)",
        media_type=NETCDF,
        roles=["data"],
        extra_fields={"raster:bands": [{"unit": row.units}], "file:size": path.stat().st_size},
    )


def _map_asset(path: Path, home: Path) -> pystac.Asset:
    with rasterio.open(path) as data:
        nodata = data.nodata
        band: dict[str, Any] = {"unit": data.units[0], "data_type": data.dtypes[0], "sampling": "area"}
        band["nodata"] = "nan" if nodata is not None and nodata != nodata else nodata
        if data.scales[0] != 1.0 or data.offsets[0] != 0.0:
            band |= {"scale": data.scales[0], "offset": data.offsets[0]}
        title = data.descriptions[0]
        grid = {
            "proj:epsg": data.crs.to_epsg(),
            "proj:shape": list(data.shape),
            "proj:transform": list(data.transform),
            "proj:bbox": list(data.bounds),
        }
    return pystac.Asset(
        href=_relative(path, home),
        title=title,
        media_type=pystac.MediaType.COG,
        roles=["data"],
        extra_fields={**grid, "raster:bands": [band], "file:size": path.stat().st_size},
    )


def _collection(
    name: str, title: str, system: System, settings: ProductsBlock, about: About, items: Sequence[pystac.Item]
) -> pystac.Collection:
    boxes = [item.bbox for item in items if item.bbox]
    west, south = (min(box[k] for box in boxes) for k in (0, 1))
    east, north = (max(box[k] for box in boxes) for k in (2, 3))
    start = min(item.common_metadata.start_datetime for item in items if item.common_metadata.start_datetime)
    end = max(item.common_metadata.end_datetime for item in items if item.common_metadata.end_datetime)
    text = [SYNTHETIC_NOTE] * about.synthetic + [f"{title}. Ensemble mean and spread, daily; means as maps."]
    text += [about.remarks] * bool(about.remarks)
    text += [f"Made of: {'; '.join(about.inputs)}."] * bool(about.inputs)
    collection = pystac.Collection(
        id=name,
        title=title,
        description=" ".join(text),
        license="other" if about.synthetic else settings.license,
        keywords=[
            *(word for word in system.keywords if word != "flux"),
            *("land surface", "daily"),
            *(["synthetic"] if about.synthetic else []),
        ],
        providers=[
            pystac.Provider(settings.creator, roles=[pystac.ProviderRole.PRODUCER], url=settings.creator_url or None)
        ],
        extent=pystac.Extent(pystac.SpatialExtent([[west, south, east, north]]), pystac.TemporalExtent([[start, end]])),
        summaries=pystac.Summaries({"proj:epsg": [4326]}),
        extra_fields={
            "fluxatlas:synthetic": about.synthetic,
            "fluxatlas:inputs": list(about.inputs),
            **({"fluxatlas:constraint": dict(about.constraint)} if about.constraint else {}),
        },
    )
    if about.synthetic:
        collection.add_link(pystac.Link("license", f"./{LICENCE}", "text/plain", about.licence(settings.license)))
    return collection


def _write(catalog: pystac.Catalog, output: Path, collection_folder: Path) -> None:
    """Write the parts, the catalogue itself last, after what an earlier run left in the collection is gone."""
    shutil.rmtree(collection_folder, ignore_errors=True)
    for part in (*catalog.get_items(recursive=True), *catalog.get_children()):
        text = json.dumps(part.to_dict(include_self_link=False), indent=2)
        files.write_text(part.get_self_href() or "", text + "\n")
    files.write_text(output, json.dumps(catalog.to_dict(include_self_link=False), indent=2) + "\n")

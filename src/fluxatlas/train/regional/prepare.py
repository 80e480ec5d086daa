"""The points of a run: cells that stand for regions, with the drivers that the network needs there."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from ... import files
from ...config.regional import RegionalBlock, summed_flux
from ...config.train import TrainBlock
from ...drivers import slow_drivers
from ...errors import InputError, counted
from ...grid import Grid
from ...ingest.atmosphere import series_of
from ...synthesize.weather import refuse_holes
from ...systems import System
from ...tiles.cells import ActiveCells, read_cells
from ...tiles.mosaic import PathLike, assemble
from ...tiles.piece import make_regridder, read_piece
from ...tiles.regions import own_kinds, own_shares
from ...weights import Method
from ..data import Segment, SequenceSet
from ..operators import Points
from .build import read_target
from .points import Chosen, FloatArray, IntArray, choose_points, refit
from .term import RegionalData

EVERY = 10
"""Days from one to the next on which drivers are looked at to tell places apart."""


@dataclass(frozen=True, eq=False)
class TilePart:
    """Active cells of a tile and their forcing; entries (n,) are ``place``, a position among the cells, and ``name`` of
    a region that has ``area`` [m2] of it; ``whole`` is the area of all cells."""

    cells: ActiveCells
    forcing: Mapping[int, Path]
    place: IntArray
    name: npt.NDArray[np.object_]
    area: FloatArray
    whole: float


def prepare_points(
    output: PathLike,
    settings: RegionalBlock,
    *,
    system: System,
    grid: Grid,
    tile_size: int,
    attributes: Sequence[PathLike],
    forcing: Sequence[PathLike],
    regions: Sequence[PathLike],
    series: Sequence[str] = (),
    method: Method = "bilinear",
) -> Chosen:
    """Write the points of the regions and their drivers (``train/regional/points.nc``, docs/contracts.md).

    ``attributes`` are files ``<tile>.nc``, ``forcing`` pieces ``<tile>/<year>.nc`` of consecutive years, ``regions``
    files ``<tile>.nc``; ``series`` are files of the atmosphere, ``gas=path``. Raises :class:`InputError` where the
    regions cover less than ``settings.cover`` of the land, for absent files, and for drivers with gaps.
    """
    parts = list(_parts(settings, system, grid, tile_size, attributes, forcing, regions))
    _check_cover(parts, settings)
    names = tuple(sorted({str(name) for part in parts for name in part.name}))
    area = np.concatenate([part.area for part in parts])
    number = np.searchsorted(np.array(names), np.concatenate([part.name for part in parts]).astype(str))
    features = np.concatenate([features_of(part, system, method)[part.place] for part in parts])
    chosen = choose_points(features, area, number, settings.points, settings.seed)
    points = chosen.points
    if settings.areas == "refitted":
        scaled = (features - features.mean(axis=0)) / np.where(features.std(axis=0) > 0, features.std(axis=0), 1.0)
        fitted = refit(points, np.concatenate([scaled.T, scaled.T**2]), area, number)
        points = Points.of(fitted.region, fitted.cell, fitted.area)
    known = series_of(system.slow, series)
    data, position = placed(parts, points.cell, system, method, known)
    about = {
        "region_name": ("region", np.array(names, object)),
        "unexplained": ("region", chosen.unexplained, {"units": "1", "long_name": "variance within clusters"}),
        "point_region": ("point", points.region),
        "point_place": ("point", position),
        "point_area": ("point", points.area, {"units": "m2", "long_name": "area that a point stands for"}),
    }
    inputs: dict[str, PathLike] = {f"attributes {n}": path for n, path in enumerate(attributes)}
    inputs |= {f"forcing {n}": path for n, path in enumerate(forcing)} | {
        f"regions {n}": p for n, p in enumerate(regions)
    }
    inputs |= {gas: given.source for gas, given in known.items() if not given.carried}
    attrs = files.provenance("train regional-points", settings.model_dump(mode="json"), inputs)
    own = {"title": "Points that stand for regions", "system": system.key, "flux": summed_flux(settings, system)}
    files.write_netcdf(data.assign(about).assign_attrs(own), output, attrs=attrs)
    print(f"{counted(len(points.cell), 'point')} for {counted(len(names), 'region')}", file=sys.stderr, flush=True)
    return replace(chosen, points=points)


def placed(
    parts: Sequence[TilePart], entry: IntArray, system: System, method: Method, known: Mapping[str, Any]
) -> tuple[xr.Dataset, IntArray]:
    """Series of the places that the numbers ``entry`` (point,) of all entries stand for, and the place of each."""
    begin = np.cumsum([0, *(part.place.size for part in parts)])
    tile = np.searchsorted(begin, entry, side="right") - 1
    pieces, position, placed = [], np.empty(entry.size, np.int64), 0
    for index in np.unique(tile):
        mine = tile == index
        places, back = np.unique(parts[index].place[entry[mine] - begin[index]], return_inverse=True)
        position[mine] = placed + back
        placed += places.size
        pieces.append(_series(parts[index], places, system, method, known))
    return xr.concat(pieces, "place"), position


def _parts(
    settings: RegionalBlock,
    system: System,
    grid: Grid,
    tile_size: int,
    attributes: Sequence[PathLike],
    forcing: Sequence[PathLike],
    regions: Sequence[PathLike],
) -> list[TilePart]:
    """Every tile with active cells."""
    by_tile = {Path(path).stem: path for path in regions}
    kinds = own_kinds(regions)
    if settings.regions not in kinds:
        raise InputError(
            f"there is no map '{settings.regions}' among {', '.join(kinds) or 'none'}",
            where="regional.regions",
            hint="make the regions again: `regrid regions`",
        )
    found = []
    for piece in assemble([], attributes).pieces:
        tile = grid.tile(piece.name, tile_size)
        cells = read_cells(piece.attributes, tile, system)
        if not len(cells):
            continue
        names, share = own_shares(piece, by_tile, settings.regions)
        weight = piece.weight().ravel()[cells.index]
        own = np.stack([one.ravel()[cells.index] for one in share[:-1]]) if names[:-1] else np.zeros((0, len(cells)))
        used = np.array([not settings.used or name in settings.used for name in names[:-1]], bool)
        region, place = np.nonzero((own > 0) & used[:, None] & (weight > 0))
        years = {int(Path(path).stem): Path(path) for path in forcing if Path(path).parent.name == piece.name}
        if not years:
            raise InputError(f"no forcing of tile {piece.name}", hint="give its pieces, <tile>/<year>.nc")
        labels = np.array(names[:-1], object)[region] if region.size else np.empty(0, object)
        area = own[region, place] * weight[place]
        found.append(TilePart(cells, dict(sorted(years.items())), place, labels, area, float(weight.sum())))
    return found


def _check_cover(parts: Sequence[TilePart], settings: RegionalBlock) -> None:
    whole, covered = sum(part.whole for part in parts), sum(float(part.area.sum()) for part in parts)
    share = covered / whole if whole else 0.0
    if not covered or share < settings.cover:
        raise InputError(
            f"the regions cover {100 * share:.3g} % of the land that is run",
            where=f"regional.regions: {settings.regions}",
            hint="give a map that covers it, or lower regional.cover: the rest is held to no sum",
        )


def features_of(part: TilePart, system: System, method: Method) -> FloatArray:
    """What cells are distinguished by (cell, feature): means and spread of the drivers in a year, seasons, statics."""
    years = list(part.forcing)
    piece = read_piece(part.forcing[years[len(years) // 2]], system.forcing)
    some = {name: values[::EVERY] for name, values in piece.data.items()}
    cells = part.cells
    weather = make_regridder(piece, cells.tile, cells.orog, method).downscale(some, cells.index)
    daily = [*(weather[name] for name in system.forcing), *cells.monthly.values()]
    both = [one for values in daily for one in (values.mean(axis=0), values.std(axis=0))]
    return np.stack([*both, *cells.statics.values()], axis=1).astype(float)


def _series(part: TilePart, places: IntArray, system: System, method: Method, known: Mapping[str, Any]) -> xr.Dataset:
    """Drivers (time, place) and statics (place) of cells of one tile."""
    cells, chosen = part.cells, part.cells.index[places]
    dates, weather = [], []
    for path in part.forcing.values():
        piece = read_piece(path, system.forcing)
        found = make_regridder(piece, cells.tile, cells.orog, method).downscale(piece.data, chosen)
        weather.append({name: found[name] for name in system.forcing})
        refuse_holes(weather[-1], str(path))
        dates.append(piece.dates)
    days = pd.DatetimeIndex(np.concatenate(dates))
    if (np.diff(days.year) > 1).any():
        hint = "give the pieces of consecutive years"
        raise InputError(f"years of forcing are absent between {days[0].year} and {days[-1].year}", hint=hint)
    drivers = {name: np.concatenate([one[name] for one in weather]) for name in system.forcing}
    monthly = {name: values[:, places] for name, values in cells.monthly.items()}
    drivers |= slow_drivers(system.slow, days, cells.lat[places], monthly, known)
    fixed = {name: ("place", cells.statics[name][places].astype(np.float32)) for name in system.statics}
    series = {name: (("time", "place"), np.asarray(values, np.float32)) for name, values in drivers.items()}
    where = {"lat": ("place", cells.lat[places]), "lon": ("place", cells.lon[places])}
    return xr.Dataset({**series, **fixed}, {"time": days, **where})


def sequences(data: xr.Dataset, system: System) -> SequenceSet:
    """The series of places (:func:`placed`) as a set without targets."""
    count, dates = data.sizes["place"], pd.DatetimeIndex(data["time"].to_numpy())
    drivers = (*system.forcing, *system.slow_drivers)
    return SequenceSet(
        dates=dates,
        sites=tuple(f"point {place}" for place in range(count)),
        lat=data["lat"].to_numpy(),
        lon=data["lon"].to_numpy(),
        block=np.arange(count),
        drivers={name: np.ascontiguousarray(data[name].transpose("time", "place").to_numpy()) for name in drivers},
        statics={name: data[name].to_numpy() for name in system.statics},
        targets={},
        segments=tuple(Segment(place, 0, len(dates)) for place in range(count)),
    )


def read_regional(target: PathLike, points: PathLike, system: System, settings: TrainBlock) -> RegionalData:
    """What training is held to: months and regions of the ``target`` with the ``points`` that predict them.

    Months without weather at the points are left out. Raises :class:`InputError` where points are of another system or
    no month is left, and as :class:`~.term.RegionalData`.
    """
    held, data = read_target(target), files.read_netcdf(points)
    drivers = (*system.forcing, *system.slow_drivers)
    lacking = [name for name in (*drivers, *system.statics, "point_area") if name not in data]
    if lacking or data.attrs.get("system") != system.key:
        raise InputError(
            f"the points are of the system '{data.attrs.get('system')}', or lack {', '.join(lacking) or 'nothing'}",
            where=str(points),
            hint="make them again: `train regional-points`",
        )
    dates = pd.DatetimeIndex(data["time"].to_numpy())
    month = held.target.month
    inside = (month >= dates[0].to_datetime64().astype("datetime64[M]")) & (
        month <= dates[-1].to_datetime64().astype("datetime64[M]")
    )
    if not inside.any():
        raise InputError(
            f"the points have weather of {dates[0].date()} to {dates[-1].date()}, "
            f"the inversions months of {month[0]} to {month[-1]}",
            where=str(points),
            hint="give years that both have (regional.years, train.years)",
        )
    cut = held.target.cut(month[inside])
    number = {name: place for place, name in enumerate(cut.regions)}
    names = list(map(str, data["region_name"].to_numpy()))
    region = np.array([number.get(name, -1) for name in names])[data["point_region"].to_numpy()]
    own = Points.of(region, data["point_place"].to_numpy(), data["point_area"].to_numpy())
    series = sequences(data, system)
    spread = dict(zip(names, data["unexplained"].to_numpy(), strict=True))
    return RegionalData(
        series,
        own,
        cut,
        data.attrs["flux"],
        settings.regional_decompose,
        settings.regional_correlation,
        settings.regional_draw,
        held.held_out[inside],
        unexplained=np.array([spread.get(name, 0.0) for name in cut.regions]),
    )

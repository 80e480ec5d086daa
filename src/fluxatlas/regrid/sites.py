"""Attributes and forcing of sites: their own where known, else those of the tile that holds them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import files
from ..config.static import StaticBlock
from ..errors import GridError, InputError, counted
from ..freshness import write_years
from ..grid import Grid, Tile
from ..ingest.sites.records import FORM_COLUMNS
from ..systems import System
from .attributes import TEXTURE, at_place
from .site_weather import read_weather
from .tile import at_points

REACH = 3
"""How far [cells] the nearest active cell may be from a site."""


def write(
    tiles: Sequence[Tile],
    years: Sequence[int],
    system: System,
    attributes_dir: Path,
    forcing_dir: Path,
    sites_dir: Path,
    output_dir: Path,
    maps: tuple[StaticBlock, Grid] | None = None,
    weather: Path | None = None,
) -> None:
    """Write ``sites_{attributes.csv,forcing.parquet,<years>.json}`` to ``output_dir`` (docs/contracts.md).

    A site in one of ``tiles`` gets the attributes of the nearest active cell for what it does not know itself, and,
    unless it has its own meteorology, the forcing interpolated to its position and adjusted to its altitude. Other
    sites get what they lack from the static layers of ``maps``, where these reach them (:func:`attributes.at_place`);
    without ``years`` there is no forcing of the grid. Sites without meteorology of their own get that of the table
    ``weather`` (:func:`.site_weather.read_weather`), where it has them. Raises :class:`InputError` for an absent file,
    column or variable, and whatever the layers raise.
    """
    sites = _read(sites_dir / "sites.csv", ("site", "lat", "lon", "elevation", "kind"))
    own = _read(sites_dir / "forcing.parquet", ("site", "time"))
    if weather:
        lats = dict(zip(sites["site"].astype(str), sites["lat"].astype(float), strict=True))
        given = read_weather(weather, lats, system.forcing)
        own = pd.concat([own, given[~given["site"].isin(set(own["site"]))]], ignore_index=True)
    points = zip(sites["site"], sites["lat"].astype(float), sites["lon"].astype(float), strict=True)
    home = {site: _home(lat, lon, tiles) for site, lat, lon in points}
    rows: list[dict[str, Any]] = []
    for tile, group in _by_tile(sites, home):
        cells = files.read_netcdf(attributes_dir / f"{tile}.nc") if tile else None
        for _, site in group.iterrows():
            if tile:
                rows.append(
                    _attributes(site, _nearest_cell(tile, cells, float(site["lat"]), float(site["lon"])), system)
                )
            else:
                rows.append(_attributes(site, _of_layers(site, maps, system), system, "layers"))
    table = pd.DataFrame(rows).set_index("site").loc[sites["site"]].reset_index()
    gridded = _gridded(table[~table["site"].isin(set(own["site"]))], home, years, system, forcing_dir)
    series = pd.concat([own.assign(forcing_source="site"), *gridded], ignore_index=True)
    series["time"] = pd.to_datetime(series["time"]).astype("datetime64[ns]")
    with files.atomic(output_dir / "sites_attributes.csv") as partial:
        table.to_csv(partial, index=False)
    files.write_parquet(series, output_dir / "sites_forcing.parquet")
    if years:
        write_years(output_dir, years)
    own_weather = own["site"].nunique()
    _say(f"{counted(len(table), 'site')}, {own_weather} with their own meteorology, {len(gridded)} from the grid")
    if not tiles:
        _say_of_sites_without_weather(sorted(set(sites["site"]) - set(own["site"])))


def _say_of_sites_without_weather(names: Sequence[str]) -> None:
    if names:
        listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        _say(f"{counted(len(names), 'site')} without weather of their own, which nothing is made for: {listed}")


def _say(text: str) -> None:
    print(f"regrid: {text}", file=sys.stderr, flush=True)


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = files.read_made(path, columns, by="`ingest sites`")
    return table.assign(site=table["site"].astype(str))


def _home(lat: float, lon: float, tiles: Iterable[Tile]) -> Tile | None:
    """The tile that holds a point, or None."""
    for tile in tiles:
        west, south, east, north = tile.bbox
        if south <= lat < north and west <= lon < east:
            return tile
    return None


def _by_tile(sites: pd.DataFrame, home: dict[str, Tile | None]) -> list[tuple[Tile | None, pd.DataFrame]]:
    """Sites grouped by the tile that holds them."""
    tiles = dict.fromkeys(home[site] for site in sites["site"])
    return [(tile, sites[[home[site] == tile for site in sites["site"]]]) for tile in tiles]


def _of_layers(site: pd.Series, maps: tuple[StaticBlock, Grid] | None, system: System) -> xr.Dataset | None:
    """What the static layers say of a site outside the tiles; None where it lacks nothing."""
    lacks = any(pd.isna(site.get(name, np.nan)) for name in ("elevation", *system.attributes))
    if maps is None or not (lacks or any(np.isnan(monthly_of(site, layer)).any() for layer in system.monthly)):
        return None
    block, grid = maps
    return at_place(block, grid, float(site["lat"]), float(site["lon"]), system)


def _attributes(site: pd.Series, cell: xr.Dataset | None, system: System, word: str = "grid") -> dict[str, Any]:
    """One row: position, attributes and where each came from (``word``: of ``cell``); NaN for what nobody knows."""
    row: dict[str, Any] = {key: site.get(key, "") for key in ("site", "lat", "lon", "kind", "igbp", "use")}
    origin = []
    for name, layer in (("elevation", "orog"), *((name, name) for name in system.attributes)):
        row[name] = float(site.get(name, np.nan))
        if np.isnan(row[name]) and cell is not None:
            row[name] = float(cell[layer])
            origin += [f"{name}:{word}"] * bool(np.isfinite(row[name]))
    mixed = len({f"{name}:{word}" for name in TEXTURE} & set(origin)) == 1 and set(TEXTURE) <= set(row)
    if mixed:  # one of both is the site's own: not beyond all
        gridded = next(name for name in TEXTURE if f"{name}:{word}" in origin)
        row[gridded] = min(row[gridded], 100.0 - sum(row[name] for name in TEXTURE if name != gridded))
    for layer in system.monthly:
        monthly = monthly_of(site, layer)
        if np.isnan(monthly).any() and cell is not None:
            monthly = cell[layer].to_numpy().astype(float)
            origin += [f"{layer}:{word}"] * bool(np.isfinite(monthly).all())
        row[layer] = float(monthly.mean())
        row |= {f"{layer}_{month:02d}": float(value) for month, value in enumerate(monthly, 1)}
    forms = {name: site[name] for name in FORM_COLUMNS if name in site.index}
    return {**row, **forms, "attribute_source": " ".join(origin) or "site"}


def monthly_of(site: Mapping[Any, Any] | pd.Series, layer: str) -> npt.NDArray[np.float64]:
    """What a site itself says of the twelve months of ``layer``: each, else one number for all, else NaN."""
    own = float(site.get(layer, np.nan))
    monthly = np.array([float(site.get(f"{layer}_{month:02d}", own)) for month in range(1, 13)])
    return np.where(np.isnan(monthly), own, monthly)


def _nearest_cell(tile: Tile, cells: Any, lat: float, lon: float) -> xr.Dataset | None:
    """Attributes of the active cell nearest to a point, or None if there is none within :data:`REACH` cells."""
    active = np.argwhere(cells["active"].to_numpy() == 1)
    if len(active) == 0:
        return None
    row, column = tile.grid.index(lat, lon)
    away = np.hypot(active[:, 0] - (row - tile.rows.start), active[:, 1] - (column - tile.columns.start))
    nearest = int(np.argmin(away))
    return cells.isel(lat=active[nearest, 0], lon=active[nearest, 1]) if away[nearest] <= REACH else None


def _gridded(
    table: pd.DataFrame, home: dict[str, Tile | None], years: Sequence[int], system: System, folder: Path
) -> list[pd.DataFrame]:
    """Forcing from the grid, one table per site of ``table`` that lies in a tile."""
    found: list[pd.DataFrame] = []
    for tile, group in _by_tile(table, home):
        if tile is None or not years:
            continue
        parts = [_year(folder / tile.name / f"{year}.nc", group, system) for year in years]
        for site in group["site"]:
            series = pd.concat([part[part["site"] == site] for part in parts], ignore_index=True)
            if series[list(system.forcing)].isna().any(axis=None):
                _say(f"site {site} gets no forcing: the grid has none there")
            else:
                found.append(series.assign(forcing_source="grid"))
    return found


def _around(axis: npt.NDArray[Any], points: npt.NDArray[np.float64]) -> slice:
    """Places on ``axis`` from one before the least to one behind the largest of ``points``, both neighbours kept."""
    step = float(np.abs(np.diff(axis)).max()) if axis.size > 1 else np.inf
    near = np.flatnonzero((axis >= points.min() - 2 * step) & (axis <= points.max() + 2 * step))
    return slice(int(near[0]), int(near[-1]) + 1) if near.size else slice(None)


def _year(path: Path, sites: pd.DataFrame, system: System) -> pd.DataFrame:
    """Forcing of one piece at all ``sites``, in long form; of the piece the part around them is read."""
    names = (*system.forcing, "orog")
    with files.open_netcdf(path) as whole:
        absent = [name for name in names if name not in whole]
        if absent:
            raise InputError(f"no variable {', '.join(absent)}", where=str(path), hint="make the forcing piece again")
        around = {axis: _around(whole[axis].to_numpy(), sites[axis].to_numpy(float)) for axis in ("lat", "lon")}
    piece = files.read_netcdf(path, only=names, part=around)
    place = tuple(piece[name].to_numpy().astype(float) for name in ("lat", "lon", "orog"))
    points = (sites[name].to_numpy(float) for name in ("lat", "lon", "elevation"))
    forcing = {name: piece[name].to_numpy() for name in system.forcing}
    try:
        series = at_points(forcing, place, *points)  # type: ignore[arg-type]
    except GridError as problem:
        raise GridError(problem.what, where=str(path), hint=problem.hint) from None
    days = pd.DatetimeIndex(piece["time"].to_numpy())
    long = {name: values.T.ravel() for name, values in series.items()}
    return pd.DataFrame(
        {"site": np.repeat(sites["site"].to_numpy(), len(days)), "time": np.tile(days, len(sites)), **long}
    )

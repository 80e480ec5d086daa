"""Attributes and forcing of sites: their own where known, else those of the tile that holds them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import files
from ..errors import GridError, InputError
from ..grid import Tile
from ..systems import System
from .tile import TileRegridder

Array = npt.NDArray[np.floating[Any]]
MONTHS = [f"lai_{month:02d}" for month in range(1, 13)]
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
) -> None:
    """Write ``sites_attributes.csv`` and ``sites_forcing.parquet`` to ``output_dir`` (docs/contracts.md).

    A site within a tile gets the attributes of the nearest active cell for what it does not know itself, and, unless it
    has its own meteorology, the forcing of the tile, interpolated to its position and brought to its altitude.
    """
    sites: list[dict[str, Any]] = pd.read_csv(sites_dir / "sites.csv").to_dict("records")  # type: ignore[assignment]
    own = pd.read_parquet(sites_dir / "forcing.parquet")
    driven = set(own["site"])
    rows, gridded = [], []
    for site in sites:
        tile = next((t for t in tiles if _holds(t, site["lat"], site["lon"])), None)
        cell = _nearest_cell(tile, attributes_dir / f"{tile}.nc", site["lat"], site["lon"]) if tile else None
        rows.append(_attributes(site, cell, system))
        if tile and cell is not None and site["site"] not in driven:
            gridded.append(_forcing(site, tile, cell, years, system, forcing_dir))
    table = pd.DataFrame(rows)
    series = pd.concat([own.assign(forcing_source="site"), *gridded], ignore_index=True)
    with files.atomic(output_dir / "sites_attributes.csv") as partial:
        table.to_csv(partial, index=False)
    with files.atomic(output_dir / "sites_forcing.parquet") as partial:
        series.to_parquet(partial, index=False)
    print(
        f"regrid: {len(table)} sites, {own['site'].nunique()} with their own meteorology, {len(gridded)} from the grid",
        file=sys.stderr,
    )


def _holds(tile: Tile, lat: float, lon: float) -> bool:
    west, south, east, north = tile.bbox
    return south <= lat < north and west <= lon < east


def _nearest_cell(tile: Tile, path: Path, lat: float, lon: float) -> xr.Dataset | None:
    """Attributes of the active cell nearest to a point, or None if there is none within :data:`REACH` cells."""
    dataset = files.read_netcdf(path)
    active = np.argwhere(dataset["active"].to_numpy() == 1)
    if len(active) == 0:
        return None
    row, column = tile.grid.index(lat, lon)
    away = np.hypot(active[:, 0] - (row - tile.rows.start), active[:, 1] - (column - tile.columns.start))
    nearest = int(np.argmin(away))
    return dataset.isel(lat=active[nearest, 0], lon=active[nearest, 1]) if away[nearest] <= REACH else None


def _attributes(site: dict[str, Any], cell: xr.Dataset | None, system: System) -> dict[str, Any]:
    """One row: position, attributes and where each came from; NaN for what nobody knows."""
    row: dict[str, Any] = {key: site[key] for key in ("site", "lat", "lon", "kind", "igbp")}
    origin = []
    row["elevation"] = site["elevation"]
    if pd.isna(row["elevation"]) and cell is not None:
        row["elevation"] = float(cell["orog"])
        origin.append("elevation:grid")
    for name in system.attributes:
        value = site.get(name, np.nan)
        if pd.isna(value) and cell is not None:
            value = float(cell[name])
            origin.append(f"{name}:grid")
        row[name] = value
    own = site.get("lai", np.nan)
    monthly = np.full(12, own) if not pd.isna(own) or cell is None else cell["lai"].to_numpy()
    row["lai"] = float(np.mean(monthly))
    row |= dict(zip(MONTHS, monthly.tolist(), strict=True))
    return {**row, "attribute_source": " ".join(origin) or "site"}


def _forcing(
    site: dict[str, Any], tile: Tile, cell: xr.Dataset, years: Sequence[int], system: System, folder: Path
) -> pd.DataFrame:
    """Forcing of the tile at the position and altitude of a site."""
    index = np.array([_flat(tile, float(cell["lat"]), float(cell["lon"]))])
    altitude = float(site["elevation"]) if not pd.isna(site["elevation"]) else float(cell["orog"])
    parts = []
    for year in years:
        path = folder / tile.name / f"{year}.nc"
        piece = files.read_netcdf(path)
        absent = [name for name in system.forcing if name not in piece]
        if absent:
            raise InputError(f"no variable {', '.join(absent)}", where=str(path), hint="make the forcing piece again")
        target = np.full(tile.shape, altitude)
        try:
            regridder = TileRegridder(
                piece["lat"].to_numpy(),
                piece["lon"].to_numpy(),
                tile,
                source_orog=piece["orog"].to_numpy().astype(float),
                target_orog=target,
            )
            series = regridder.downscale({name: piece[name].to_numpy() for name in system.forcing}, index)
        except GridError as problem:
            raise GridError(problem.what, where=f"{path}, site {site['site']}", hint=problem.hint) from None
        frame = pd.DataFrame({name: values[:, 0] for name, values in series.items()})
        frame.insert(0, "time", piece["time"].to_numpy())
        parts.append(frame)
    out = pd.concat(parts, ignore_index=True)
    out.insert(0, "site", site["site"])
    return out.assign(forcing_source="grid")


def _flat(tile: Tile, lat: float, lon: float) -> int:
    row, column = tile.grid.index(lat, lon)
    return (row - tile.rows.start) * tile.shape[1] + column - tile.columns.start

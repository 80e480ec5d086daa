"""Maps of the hidden truth on the target grid: annual means, for comparison with the product."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from .. import variables
from ..errors import InputError
from ..files import provenance, read_netcdf, write_netcdf
from ..systems import System
from .climate import climate
from .earth import SyntheticEarth
from .truth import truth


def tile_truth(
    earth: SyntheticEarth, system: System, attributes: xr.Dataset, years: Sequence[int], lead: int = 1
) -> xr.Dataset:
    """Annual means (year, lat, lon) of the fluxes of ``system`` for the active cells of one tile.

    ``attributes`` is the tile's file of the stage ``regrid``; the weather is that of the cells themselves at their
    altitude. ``lead`` years are run before the first one, after the spin-up.
    """
    rows, columns = np.nonzero(attributes["active"].to_numpy() == 1)
    dates = pd.date_range(f"{years[0] - lead}-01-01", f"{years[-1]}-12-31", freq="D")
    maps = {name: np.full((len(years), *attributes["active"].shape), np.nan, np.float32) for name in system.flux_names}
    if rows.size:
        cells = {
            name: attributes[name].to_numpy()[rows, columns].astype(float) for name in (*system.attributes, "orog")
        }
        lai = attributes["lai"].to_numpy()[:, rows, columns].astype(float)
        lat, lon = attributes["lat"].to_numpy()[rows], attributes["lon"].to_numpy()[columns]
        place = climate(earth.seed, lat, lon, cells["orog"])
        daily = truth(earth, system, place, cells, lai, dates, system.flux_names)
        for name in system.flux_names:
            for number, year in enumerate(years):
                maps[name][number, rows, columns] = daily[name][dates.year == year].mean(axis=0, dtype=np.float64)
    coords = {"year": list(years), "lat": attributes["lat"].to_numpy(), "lon": attributes["lon"].to_numpy()}
    return xr.Dataset({name: (("year", "lat", "lon"), values) for name, values in maps.items()}, coords=coords)


def write_truth(
    earth: SyntheticEarth, system: System, attributes: Sequence[str | Path], years: Sequence[int], output: str | Path
) -> None:
    """Write the truth of all tiles (one attributes file each) as one map; cells of no tile and inactive cells are NaN.

    Raises :class:`InputError` for no tiles or an attributes file without what the truth needs.
    """
    if not attributes or not len(years):
        raise InputError("the truth needs at least one tile and one year", hint="give --attributes, --start, --end")
    tiles = []
    for path in attributes:
        data = read_netcdf(path)
        missing = [name for name in (*system.attributes, "orog", "lai", "active") if name not in data]
        if missing:
            raise InputError(f"variables {missing} are missing", where=str(path), hint="make the attributes again")
        tiles.append(tile_truth(earth, system, data, years))
    joined = xr.combine_by_coords(tiles, combine_attrs="drop").sortby("lat", ascending=False)
    assert isinstance(joined, xr.Dataset)
    for name in system.flux_names:
        joined[name].attrs = {**variables.get(name).attrs, "cell_methods": "time: mean (over each year)"}
    inputs = {Path(path).stem: path for path in attributes}
    settings = {**earth.settings.model_dump(), "years": list(years)}
    write_netcdf(
        joined,
        output,
        {name: {"dtype": "float32", "zlib": True} for name in system.flux_names},
        attrs=provenance("ingest synthetic-earth truth", settings, inputs),
    )

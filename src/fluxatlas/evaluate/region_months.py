"""Sums of the product over regions and months beside those of inversions that training was held to.

The inversions are those of ``train/regional/target.nc``, corrected as its preset says; region-years that training has
not seen are marked. The others do not test the product: it was made to agree with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files
from ..errors import InputError
from ..files import NETCDF, open_netcdf
from ..tiles.mosaic import PathLike, assemble
from ..tiles.regions import own_kinds, own_shares
from ..train.regional.build import TG, read_target

Array = npt.NDArray[np.float64]
COLUMNS = ("region", "year", "month", "product", "inversions", "low", "high", "sd", "held_out", "unit")


def region_months(
    target: PathLike,
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    regions: Sequence[PathLike],
    *,
    variable: str,
    kind: str,
) -> pd.DataFrame:
    """A row for each region and month that both have, in Tg of carbon in the month, positive to the atmosphere.

    ``product``: mean of the ensemble over the area that fluxes are per; ``inversions``: their mean, ``low`` and
    ``high`` the smallest and largest, ``sd`` the error that training counted with (without that of few points);
    ``held_out``: 1 where training has not seen it. ``flux`` are tile-years, ``regions`` files ``<tile>.nc`` with the
    map ``kind``. Raises :class:`InputError` where there is no common month, or the files do not fit together.
    """
    held = read_target(target)
    wanted, mosaic = held.target, assemble(flux, attributes)
    by_tile = {Path(path).stem: path for path in regions}
    if kind not in own_kinds(regions):
        raise InputError(f"there is no map '{kind}'", where="--regions", hint="make the regions again")
    year = wanted.month.astype("datetime64[Y]").astype(int) + 1970
    common = [one for one in mosaic.years if one in year]
    if not common:
        raise InputError(
            f"the product has {mosaic.years[0]} to {mosaic.years[-1]}, the inversions {year.min()} to {year.max()}",
            where=str(target),
            hint="give years that both have (regional.years, period)",
        )
    sums = {one: np.zeros((12, len(wanted.regions))) for one in common}
    for piece in mosaic.pieces:
        names, share = own_shares(piece, by_tile, kind)
        part = np.stack([
            share[names.index(name)] if name in names else np.zeros(piece.shape) for name in wanted.regions
        ]) * piece.weight()  # fmt: skip
        for one in common:
            sums[one] += _months(piece.year(one), variable, part.reshape(len(part), -1))
    operator = np.eye(wanted.month.size)
    sd = np.stack([np.sqrt(wanted.variance(number, operator)) for number in range(len(wanted.regions))], axis=1)
    rows = []
    for number, region in enumerate(wanted.regions):
        for place in np.flatnonzero(np.isin(year, common)):
            month = int(wanted.month[place].astype(int)) % 12
            members = wanted.members[place, number]
            values = sums[int(year[place])][month, number], members.mean(), members.min(), members.max()
            marked = int(held.held_out[place, number])
            rows.append((region, int(year[place]), month + 1, *values, sd[place, number], marked, "Tg"))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _months(path: PathLike, variable: str, part: Array) -> Array:
    """Sums (month, region) [Tg] of a daily flux over ``part`` (region, cell) [m2]."""
    with NETCDF, open_netcdf(path) as data:
        if variable not in data:
            raise InputError(f"no variable '{variable}'", where=str(path), hint="run `infer` for this tile-year again")
        month = data["time"].dt.month.to_numpy()
        found = np.zeros((12, len(part)))
        for number in range(12):
            days = data[variable].isel(time=np.flatnonzero(month == number + 1)).to_numpy()
            found[number] = part @ np.nansum(days, axis=0, dtype=np.float64).ravel() * TG
    return found


def write_region_months(
    output: PathLike, *args: Sequence[PathLike] | PathLike, variable: str, kind: str
) -> pd.DataFrame:
    """Write :func:`region_months` as CSV; return it."""
    table = region_months(*args, variable=variable, kind=kind)  # type: ignore[arg-type]
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table

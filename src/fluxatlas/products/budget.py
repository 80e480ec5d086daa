"""Budgets: how much a region takes up or gives off in a year, with the spread of the ensemble.

The budget of a region is the sum over its cells of flux x area (the layers of ``System.weight``) x days of the year,
computed for each member from that member's annual mean. The standard deviation and the interval are those of the
members' budgets, so that errors common to many cells do not average out as independent errors would.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files
from .. import variables as variables_table
from ..config.products import ProductsBlock
from ..dask_cluster import on_cluster
from ..errors import ConfigError, InputError
from ..files import NETCDF
from ..systems import Flux, System
from ..tiles.mosaic import PathLike, TileResult, assemble, read_layer
from ..tiles.regions import own_kinds, own_shares
from .about import About
from .regions import label

FEWEST_FOR_PERCENTILES = 20
"""Members from which the 5th and 95th percentile are given; with fewer, the smallest and the largest member."""

COLUMNS = [
    "year",
    "region_kind",
    "region",
    "variable",
    "mean",
    "sd",
    "low",
    "high",
    "area_m2",
    "unit",
    "members",
    "interval",
]

Key = tuple[int, str, str, str]


def mass_factor(flux: Flux) -> float:
    """What turns flux [unit of the variable] x area [m2] x days of a year into the budget unit, such as 1e-15 from mg
    to Tg; raises :class:`ConfigError` for a flux without budget or whose unit is not a mass per area and day or second.
    """
    daily, yearly = variables_table.get(flux.variable).units.split(), (flux.budget_unit or "").split()
    if daily[1:] not in (["m-2", "d-1"], ["m-2", "s-1"]) or yearly[1:] != ["yr-1"]:
        what = f"'{flux.variable}' [{' '.join(daily)}] cannot be summed to '{flux.budget_unit}'"
        raise ConfigError(what, hint="correct the declaration of the system")
    seconds = 86400.0 if daily[2] == "s-1" else 1.0
    return seconds * variables_table.factor(daily[0], yearly[0])


def budget_table(
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    settings: ProductsBlock | None = None,
    *,
    system: System,
    variables: Sequence[str] = (),
    regions: Sequence[PathLike] = (),
    domain: str = About.domain,
) -> pd.DataFrame:
    """Budgets of all years, regions (``global``, ``zone``, ``biome``) and ``variables``, in the unit of each flux.

    ``variables`` are fluxes of ``system``; by default all that have a budget unit.

    ``regions`` are files ``regrid/regions/<tile>.nc``: each kind in them is summed as well, with the remainder as
    ``no region``, so that the regions of a kind always sum to the globe.

    ``global`` is everything that was run, be it a part of the globe; its region is called ``domain``. ``sd`` (missing
    for one member) has n - 1 in its denominator; ``interval`` says what ``low`` and ``high`` are; ``area_m2`` is the
    area that the fluxes are per. Sign as the variable's. Raises :class:`InputError` for tiles that do not fit together
    (see ``assemble``) or hold no members, or where an active cell has no value.
    """
    settings = settings or ProductsBlock()
    fluxes = [system.get_flux(name) for name in variables or system.summed]
    mosaic = assemble(flux, attributes)
    totals: dict[Key, npt.NDArray[np.float64]] = defaultdict(lambda: np.zeros(1))
    areas: dict[Key, float] = defaultdict(float)
    shares: dict[str, PathLike] = {Path(path).stem: Path(path).absolute() for path in regions}
    own, address = own_kinds(regions), settings.dask_address
    tasks = (
        (_whole(piece), mosaic.grid.lat(piece.rows), settings.zones, domain, fluxes, own, _own(shares, piece))
        for piece in mosaic.pieces
    )
    found: Iterator[Any] = starmap(_sums, tasks)
    if address:
        lighter = "make tiles smaller (grid.tile_size)"
        found = on_cluster(address, "products.dask_address", _sums, tasks, what="budgets of tiles", lighter=lighter)
    for sums in found:
        for key, total, size in sums:
            totals[key] = totals[key] + total
            areas[key] += size
    units = {flux.variable: flux.budget_unit for flux in fluxes}
    rows = [_row(key, total, areas[key], units[key[3]]) for key, total in totals.items() if areas[key] > 0]
    if not rows:
        raise InputError("no active cell in any tile", hint="check the domain and the attributes")
    table = pd.DataFrame(rows, columns=COLUMNS)
    kinds = pd.Categorical(table["region_kind"], ["global", "zone", "biome", *own], ordered=True)
    order = table.assign(kind=kinds).sort_values(["variable", "year", "kind"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def _whole(piece: TileResult) -> TileResult:
    """``piece`` for workers that were started in another folder."""
    flux = {year: path.absolute() for year, path in piece.flux.items()}
    return replace(piece, attributes=Path(piece.attributes).absolute(), flux=flux)


def _own(shares: Mapping[str, PathLike], piece: TileResult) -> dict[str, PathLike]:
    """Of the files of regions that of ``piece``, if there is one."""
    return {name: path for name, path in shares.items() if name == piece.name}


def _sums(
    piece: TileResult,
    lat: npt.NDArray[np.float64],
    zones: Sequence[float],
    domain: str,
    fluxes: Sequence[Flux],
    own: Sequence[str],
    shares: Mapping[str, PathLike],
) -> list[tuple[Key, npt.NDArray[np.float64], float]]:
    """What one tile gives to each region: its key, a number per member, and the area that the fluxes are per."""
    with NETCDF:  # workers may have several threads
        area, labels = piece.weight(), label(piece, lat, zones, domain)
        parts = [(kind, *own_shares(piece, shares, kind)) for kind in own]
        sums: list[tuple[Key, npt.NDArray[np.float64], float]] = []
        for year, variable, mass in _masses(piece, area, fluxes):
            for kind, (names, index) in labels.items():
                sizes: Any = np.bincount(index.ravel(), area.ravel(), len(names))
                totals: Any = np.stack([np.bincount(index.ravel(), m.ravel(), len(names)) for m in mass], axis=1)
                rows = zip(names, totals, sizes, strict=True)
                sums += [((year, kind, name, variable), total, float(size)) for name, total, size in rows]
            for kind, names, share in parts:  # regions that share cells
                sizes, totals = np.tensordot(share, area, axes=2), np.tensordot(share, mass, axes=((1, 2), (1, 2)))
                rows = zip(names, totals, sizes, strict=True)
                sums += [((year, kind, name, variable), total, float(size)) for name, total, size in rows]
    return sums


def _masses(
    piece: TileResult, area: npt.NDArray[np.float64], fluxes: Sequence[Flux]
) -> Iterator[tuple[int, str, npt.NDArray[np.float64]]]:
    """Year, variable and mass of each cell by member in its budget unit, (member, lat, lon), for all of a tile."""
    for year, path in sorted(piece.flux.items()):
        days = 366 if calendar.isleap(year) else 365
        for flux in fluxes:
            variable = flux.variable
            annual = read_layer(path, f"{variable}_member")
            if not np.isfinite(annual[:, area > 0]).all():
                raise InputError(
                    f"active cells without '{variable}_member'", where=str(path), hint="run `infer` for it again"
                )
            yield year, variable, np.where(area > 0, annual, 0.0) * area * (days * mass_factor(flux))


def _row(key: Key, total: npt.NDArray[np.float64], area: float, unit: str | None) -> tuple[object, ...]:
    members = len(total)
    many = members >= FEWEST_FOR_PERCENTILES
    low, high = np.percentile(total, [5, 95]) if many else (total.min(), total.max())
    sd = float(total.std(ddof=1)) if members > 1 else float("nan")
    interval = "5-95 % of members" if many else "smallest to largest member"
    return (*key, float(total.mean()), sd, float(low), float(high), area, unit, members, interval)


def write_budget(
    output: PathLike,
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    settings: ProductsBlock | None = None,
    parquet: PathLike | None = None,
    *,
    system: System,
    variables: Sequence[str] = (),
    regions: Sequence[PathLike] = (),
    domain: str = About.domain,
) -> pd.DataFrame:
    """Write :func:`budget_table` as CSV to ``output`` and as Parquet beside it (or to ``parquet``); return it."""
    table = budget_table(flux, attributes, settings, system=system, variables=variables, regions=regions, domain=domain)
    files.write_text(output, table.to_csv(index=False, float_format="%.8g"))
    files.write_parquet(table, parquet or Path(output).with_suffix(".parquet"))
    return table

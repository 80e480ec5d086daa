"""What goes with the spatial pattern of mean fluxes and of the change of a store: soil, climate, or both.

A multiple regression of the mean over all years on attributes and mean weather, as Liu et al. (2024,
doi:10.1038/s41467-023-43860-5) took for the soil carbon of the Midwest: what soil alone explains is R2 of all less R2
of the climate, and so on (commonality analysis); the rest of what both explain is shared. The change of a store is a
small difference of large fluxes and holds in a single year what has not settled yet, such as residues on the field:
only its mean over years is given, with the spread of the members.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..errors import ConfigError, InputError
from ..grid import Grid
from ..systems import System
from ..tiles.cells import ActiveCells, read_cells
from ..tiles.mosaic import Mosaic, PathLike, assemble
from ..tiles.piece import make_regridder, read_piece
from ..weights import Method
from .clusters import interval, resamples
from .metrics import scores
from .truth import read_truth

Array = npt.NDArray[np.float64]
STORAGE = "storage"
"""Name of the change of the store that a system declares."""
FEWEST_YEARS = 2
BLOCK = 0.25
"""Edge of the squares [degrees] that are drawn together for intervals: neighbours share soil and weather."""
RESAMPLES = 200
UNIT = "g m-2 yr-1"
COLUMNS = ("variable", "kind", "name", "value", "low", "high", "unit", "cells", "years")


@dataclass(frozen=True)
class Means:
    """Means over ``years`` of active cells (cell,): ``members`` (member, cell) of each variable [g m-2 yr-1], ``soil``
    and ``climate`` by name, ``area`` [m2], ``block`` of neighbours; ``where`` (lat, lon) is the mask of these cells."""

    mosaic: Mosaic
    years: tuple[int, ...]
    members: dict[str, Array]
    soil: dict[str, Array]
    climate: dict[str, Array]
    area: Array
    block: npt.NDArray[np.int64]
    where: npt.NDArray[np.bool_]


def read_means(
    system: System,
    grid: Grid,
    tile_size: int,
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    forcing: Sequence[PathLike],
    years: Sequence[int],
    method: Method = "bilinear",
) -> Means:
    """Means of the fluxes of ``system`` and of its :attr:`~System.storage` over ``years``.

    ``flux`` are files of inference, ``<tile>/<year>.nc`` as ``forcing``, which ``method`` brings to the cells
    (``infer.regrid``); ``attributes`` ``<tile>.nc``. Raises :class:`ConfigError` for a system without a store and for
    fewer than :data:`FEWEST_YEARS` years, and :class:`InputError` for absent files.
    """
    if not system.storage:
        raise ConfigError(f"{system.name} declares no store", hint="`snakemake factors` is for systems that have one")
    if len(years) < FEWEST_YEARS:
        hint = f"take a period of {FEWEST_YEARS} years or more, best of whole rotations (docs/crop_carbon.md)"
        raise ConfigError("the change of a store is not given of a single year", where="period", hint=hint)
    mosaic = assemble(flux, attributes)
    area = mosaic.weight()
    where = area > 0
    annual = {name: _mean(mosaic, name, years)[:, where] for name in dict.fromkeys((*system.storage, *system.summed))}
    store = np.sum([sign * annual[name] for name, sign in system.storage.items()], axis=0)
    climate = _climate(system, grid, tile_size, mosaic, forcing, method)
    lat, lon = np.meshgrid(mosaic.lat, mosaic.lon, indexing="ij")
    block = 10_000 * np.floor(lat / BLOCK).astype(np.int64) + np.floor(lon / BLOCK).astype(np.int64)
    return Means(
        mosaic,
        tuple(years),
        {STORAGE: store, **annual},
        {name: mosaic.static(name)[where] for name in system.attributes},
        {name: values[where] for name, values in climate.items()},
        area[where],
        block[where],
        where,
    )


def _mean(mosaic: Mosaic, name: str, years: Sequence[int]) -> Array:
    """Mean over ``years`` of the annual sums of each member, (member, lat, lon)."""
    annual = (mosaic.layer(f"{name}_member", year) * (366 if calendar.isleap(year) else 365) for year in years)
    return np.asarray(sum(annual) / len(years))


def _climate(
    system: System, grid: Grid, tile_size: int, mosaic: Mosaic, forcing: Sequence[PathLike], method: Method
) -> dict[str, Array]:
    """Mean of all days of ``system.climate`` (lat, lon), downscaled as for inference; NaN where no cell is active."""
    found = {name: np.full(mosaic.shape, np.nan) for name in system.climate}
    for piece in mosaic.pieces:
        cells = read_cells(piece.attributes, grid.tile(piece.name, tile_size), system)
        paths = [path for path in map(Path, forcing) if path.parent.name == piece.name]
        shared = mosaic.overlap(piece)
        if not len(cells) or not shared:
            continue
        if not paths:
            raise InputError(f"no forcing of tile {piece.name}", hint="give its pieces, <tile>/<year>.nc")
        here, there = shared
        for name, values in _mean_weather(system, cells, paths, method).items():
            whole = np.full(piece.shape, np.nan)
            whole.ravel()[cells.index] = values
            found[name][here] = whole[there]
    return found


def _mean_weather(system: System, cells: ActiveCells, paths: Sequence[Path], method: Method) -> dict[str, Array]:
    """Mean of all days of ``system.climate`` (cell,) in the pieces ``paths`` of a tile, read one at a time."""
    sums, days = {name: np.zeros(len(cells)) for name in system.climate}, 0
    for path in paths:
        one = read_piece(path, system.forcing)
        data = {key: values.mean(axis=0, keepdims=True) for key, values in one.data.items()}
        weather = make_regridder(one, cells.tile, cells.orog, method).downscale(data, cells.index)
        sums = {name: total + len(one.dates) * weather[name][0] for name, total in sums.items()}
        days += len(one.dates)
    return {name: total / days for name, total in sums.items()}


def explained(target: Array, predictors: Sequence[Array], weight: Array) -> float:
    """R2 of the weighted linear regression of ``target`` (cell,) on ``predictors`` (cell,); NaN for a constant.

    Raises :class:`InputError` for a value that is not a number.
    """
    if not all(np.isfinite(values).all() for values in (target, *predictors)):
        raise InputError("a value of the regression is not a number", hint="leave out the cells that lack it")
    root = np.sqrt(weight / weight.sum())
    centred = [values - np.average(values, weights=weight) for values in (target, *predictors)]
    y, x = root * centred[0], root[:, None] * np.stack(centred[1:], axis=1)
    spread = np.linalg.norm(x, axis=0)
    x = x[:, spread > 0] / spread[spread > 0]
    total = float(y @ y)
    if total <= 1e-12 * float(np.average(target**2, weights=weight)):
        return float("nan")
    left = y - x @ np.linalg.lstsq(x, y, rcond=1e-6)[0]
    return 1.0 - float(left @ left) / total


def partition(target: Array, groups: Mapping[str, Sequence[Array]], weight: Array) -> dict[str, float]:
    """Shares of the variance of ``target`` (cell,) that two ``groups`` of predictors explain: ``all``, each ``alone``
    (what the other does not explain) and what is ``shared``; ``unexplained`` is the rest."""
    (one, first), (two, second) = groups.items()
    whole, only_first, only_second = (explained(target, p, weight) for p in ((*first, *second), first, second))
    alone = {f"{one} alone": whole - only_second, f"{two} alone": whole - only_first}
    return {"all": whole, **alone, "shared": only_first + only_second - whole, "unexplained": 1.0 - whole}


def correlation(a: Array, b: Array, weight: Array) -> float:
    """Weighted Pearson correlation; NaN where either is constant."""
    x, y = (values - np.average(values, weights=weight) for values in (a, b))
    both = float(weight @ x**2) * float(weight @ y**2)
    return float(weight @ (x * y)) / both**0.5 if both > 0 else float("nan")


def factor_table(means: Means, seed: int = 0) -> pd.DataFrame:
    """Columns :data:`COLUMNS`: of each variable its area mean, the sd between members, the shares of
    :func:`partition`, and the correlation with every soil property and mean of the weather; 90 % intervals over blocks
    of neighbours.

    Raises :class:`InputError` where a cell lacks a soil property, a mean of the weather or a flux.
    """
    known = {**means.soil, **means.climate}
    _refuse_gaps({**known, **{name: members.sum(axis=0) for name, members in means.members.items()}})
    groups = {"soil": list(means.soil.values()), "climate": list(means.climate.values())}
    rows: list[tuple[object, ...]] = []
    for variable, members in means.members.items():
        target = members.mean(axis=0)
        level, parts, r = [], [], []
        for weight in _resampled(means, seed):
            level.append(np.average(target, weights=weight))
            parts.append(partition(target, groups, weight))
            r.append({name: correlation(target, values, weight) for name, values in known.items()})
        rows.append((variable, "mean", "area mean", *interval(np.array(level)), UNIT))
        if len(members) > 1:
            between = np.average(members, axis=1, weights=means.area).std(ddof=1)
            rows.append((variable, "members", "sd of the area mean", between, np.nan, np.nan, UNIT))
        for kind, found in (("share", pd.DataFrame(parts)), ("correlation", pd.DataFrame(r))):
            rows += [(variable, kind, name, *interval(found[name].to_numpy()), "1") for name in found]
    table = pd.DataFrame(rows, columns=list(COLUMNS[:7]))
    return table.assign(cells=int(means.where.sum()), years=f"{means.years[0]}-{means.years[-1]}")


def _resampled(means: Means, seed: int) -> Iterator[Array]:
    """Weights (cell,): the area of each cell, then that of each resample of blocks, one at a time."""
    blocks, inverse = np.unique(means.block, return_inverse=True)
    for often in resamples(blocks, RESAMPLES, seed):
        yield often[inverse] * means.area


def _refuse_gaps(values: Mapping[str, Array]) -> None:
    for name, field in values.items():
        gaps = int((~np.isfinite(field)).sum())
        if gaps:
            raise InputError(
                f"'{name}' is missing in {gaps} of {field.size} active cells",
                where="factors",
                hint="make the attributes (`regrid`), the forcing or the fluxes of their tiles again",
            )


def truth_rows(means: Means, system: System, truth: PathLike, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the kind ``truth``: R2, RMSE and bias of the mean over years against the hidden truth, of variables that
    the truth has in all years."""
    true = read_truth(truth, means.mosaic)
    annual = {}
    for name in dict.fromkeys(name for name, _ in true):
        if all((name, year) in true for year in means.years):
            days = [366 if calendar.isleap(year) else 365 for year in means.years]
            parts = [true[name, year] * count for year, count in zip(means.years, days, strict=True)]
            annual[name] = np.mean(parts, axis=0)[means.where]
    if set(system.storage) <= set(annual):
        annual[STORAGE] = np.sum([sign * annual[name] for name, sign in system.storage.items()], axis=0)
    rows = []
    for name in [name for name in means.members if name in annual]:
        both = np.isfinite(annual[name])
        found = scores(annual[name][both], means.members[name].mean(axis=0)[both], means.area[both])
        true_mean = float(np.average(annual[name][both], weights=means.area[both]))
        for score, unit in (("r2", "1"), ("rmse", UNIT), ("bias", UNIT)):
            rows.append((name, "truth", score, found[score], np.nan, np.nan, unit))
        rows.append((name, "truth", "area mean", true_mean, np.nan, np.nan, UNIT))
    made = pd.DataFrame(rows, columns=list(COLUMNS[:7])).assign(cells=table["cells"][0], years=table["years"][0])
    return pd.concat([table, made], ignore_index=True)


def write_factors(
    output: PathLike, means: Means, system: System, truth: PathLike | None = None, seed: int = 0
) -> pd.DataFrame:
    """Write the table (CSV) and return it; with ``truth`` the scores against it too."""
    table = factor_table(means, seed)
    if truth:
        table = truth_rows(means, system, truth, table)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table


def called(variable: str, system: System) -> str:
    """``variable`` in words."""
    if variable == STORAGE:
        return f"change of {system.stored}"
    return system.get_flux(variable).label if variable in system.flux_names else variables.get(variable).long_name

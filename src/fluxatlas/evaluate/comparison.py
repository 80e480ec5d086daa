"""The product beside gridded products of others: scores by band of latitude, maps of cells, series, triple collocation.

Products are brought to the coarsest of their grids by means over area and compared where and when all have a value.
Everything is done twice: with values as they are (``raw``) and with departures from each product's own mean season on
the common times (``anomaly``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import files, variables
from ..axes import WRITTEN
from ..config.comparison import ComparisonBlock
from ..errors import InputError, counted
from . import agreement
from .agreement import Blocks, anomalies, cell_scores, pair_sums
from .clusters import interval
from .collocation import FLAGS, MEASURES, Collocation, clipped, collocate
from .gridded import Match, daily_product, match, other_product

Array = npt.NDArray[np.floating]
Sums = npt.NDArray[np.float64]

RAW, ANOMALY = "raw", "anomaly"
KINDS = (RAW, ANOMALY)
ALL = "all"
MAPS = ("n", "bias", "rmse", "ubrmse", "r")
AT_ONCE = 500
"""Cells of triple collocation in memory at a time, with all draws."""
MOST_DRAWN = 4000
"""Cells, evenly spread, whose draws are kept for the intervals of medians over cells."""
MEANINGS = {
    "n": "times at which both have a value",
    "bias": "mean of the product less that of the other",
    "rmse": "root mean square difference",
    "ubrmse": "root mean square difference without the mean difference",
    "r": "temporal correlation of the product and the other",
    "error_sd": "standard deviation of the error, in the scale of each product",
    "scaled_sd": "standard deviation of the error, rescaled to the product of this run",
    "r_truth": "correlation with the unknown truth",
}


def named(given: Sequence[str]) -> dict[str, Path]:
    """Name -> file of products given as ``name=FILE``; raises :class:`InputError` for another form."""
    for one in given:
        if not all(one.partition("=")[::2]):
            raise InputError(f"'{one}' does not name a product and its file", hint="write --against name=FILE")
    return {one.partition("=")[0]: Path(one.partition("=")[2]) for one in given}


def matched(daily: Sequence[Path], variable: str, against: Mapping[str, Path], settings: ComparisonBlock) -> Match:
    """The product and what it is compared with, side by side; raises :class:`InputError` where they do not fit."""
    others = [other_product(name, path, variable) for name, path in against.items()]
    return match([daily_product(daily, variable), *others], settings.minimum_share)


def blocks_of(both: Match, settings: ComparisonBlock) -> Blocks:
    """Blocks of the common times; of monthly products a season."""
    return Blocks.along(both.times, 3 if both.monthly else settings.block_days, settings.resamples, settings.seed)


def of_kind(values: Array, both: Match, kind: str, settings: ComparisonBlock) -> Array:
    """``values`` (product, time, cell) where all have one, as they are or as anomalies."""
    common = np.where(np.isfinite(values).all(axis=0), values, np.nan)
    if kind == RAW:
        return common
    return np.stack([anomalies(each, both.times, settings.season_window) for each in common])


def compare(both: Match, settings: ComparisonBlock) -> tuple[xr.Dataset, pd.DataFrame, pd.DataFrame]:
    """Maps (lat, lon), scores by band of latitude, and means of the domain by time, of the product and one other.

    Only cells with enough common times (``minimum_days``, ``minimum_months``) count. Raises :class:`InputError` where
    there is none.
    """
    fewest = settings.minimum_months if both.monthly else settings.minimum_days
    part = blocks_of(both, settings)
    shape = both.cells.lat.size, both.cells.lon.size
    maps = {f"{name}_{kind}": np.full(shape, np.nan) for kind in KINDS for name in MAPS}
    sums = {kind: np.zeros((part.weights.shape[1], shape[0], 6)) for kind in KINDS}
    means = {kind: np.zeros((6, both.times.size)) for kind in KINDS}
    for band, found in both.blocks():
        values = found.reshape(2, both.times.size, -1)
        for kind in KINDS:
            x, y = of_kind(values, both, kind, settings)
            scored = cell_scores(x, y, fewest)
            enough = scored["n"] >= fewest
            for name in MAPS:
                maps[f"{name}_{kind}"][band] = scored[name].reshape(-1, shape[1])
            pair = pair_sums(*(np.where(enough, each, np.nan) for each in (x, y)))[0]
            rows = pair.reshape(6, both.times.size, -1, shape[1]).sum(axis=-1) * both.area[band]
            sums[kind][:, band] = part.sums(np.moveaxis(rows, 0, -1))
            means[kind] += rows.sum(axis=-1)
    if not (maps[f"n_{RAW}"] >= fewest).any():
        most = int(np.nanmax(maps[f"n_{RAW}"]))
        noun = "month" if both.monthly else "day"
        raise InputError(
            f"no cell has {counted(fewest, noun)} in common, the best has {most}",
            where=f"{both.products[0].variable}: {', '.join(one.name for one in both.products)}",
            hint=f"give a longer period, or set comparison.minimum_{noun}s",
        )
    table = band_table(both, maps, sums, part, fewest, settings.band_degrees)
    return _dataset(both, maps), table, _series(both, means)


def bands(lat: Sums, degrees: float) -> list[tuple[float, float, npt.NDArray[np.bool_]]]:
    """South and north edge of every band that has rows, from the north, and which rows (lat,) lie in it."""
    number = np.floor(lat / degrees + 1e-9).astype(int)
    return [(n * degrees, (n + 1) * degrees, number == n) for n in np.unique(number)[::-1]]


def _extents(both: Match, degrees: float) -> list[tuple[str, float, float, npt.NDArray[np.bool_]]]:
    """All rows together, then the bands."""
    low, high = both.cells.lat_edges.min(), both.cells.lat_edges.max()
    whole = (ALL, float(low), float(high), np.ones(both.cells.lat.size, bool))
    return [whole, *(("band", *each) for each in bands(both.cells.lat, degrees))]


def band_table(
    both: Match, maps: Mapping[str, Sums], sums: Mapping[str, Sums], part: Blocks, fewest: int, degrees: float
) -> pd.DataFrame:
    """A row for all rows together and each band, raw and as anomalies: pooled scores, quartiles of r over cells.

    ``sums`` (block, row, 6) are weighted by area. ``few`` are cells with common times, but not enough.
    """
    ours, other = both.products
    rows = []
    for kind in KINDS:
        for extent, south, north, inside in _extents(both, degrees):
            n = maps[f"n_{kind}"][inside]
            if not (n > 0).any():
                continue
            r = maps[f"r_{kind}"][inside]
            known = r[np.isfinite(r)]
            quartiles = np.quantile(known, (0.25, 0.5, 0.75)) if known.size else np.full(3, np.nan)
            total = sums[kind][:, inside].sum(axis=1)
            rows.append(
                {
                    "variable": ours.variable,
                    "against": other.name,
                    "kind": kind,
                    "extent": extent,
                    "south": south,
                    "north": north,
                    "cells": int((n >= fewest).sum()),
                    "few": int(((n > 0) & (n < fewest)).sum()),
                    "times": both.times.size,
                    "pairs": int(n[n >= fewest].sum()),
                    "step": "month" if both.monthly else "day",
                    **agreement.pooled(total, part),
                    **dict(zip(("r_cells_25", "r_cells_50", "r_cells_75"), quartiles, strict=True)),
                    "unit": variables.get(ours.variable).units,
                    "layer": ours.layer,
                    "layer_against": other.layer,
                }
            )
    return pd.DataFrame(rows)


def _series(both: Match, means: Mapping[str, Sums]) -> pd.DataFrame:
    """Means over the area in which both have a value, by time; ``area`` is its share of the most there is."""
    table = pd.DataFrame({"time": both.times.astype("datetime64[D]")})
    for kind in KINDS:
        n, x, y = means[kind][:3]
        with np.errstate(invalid="ignore", divide="ignore"):
            table[f"product_{kind}"], table[f"other_{kind}"] = x / n, y / n
    weight = means[RAW][0]
    table["area"] = weight / max(float(weight.max()), 1e-30)
    return table


def triple(three: Match, settings: ComparisonBlock) -> tuple[xr.Dataset, pd.DataFrame]:
    """Maps and a table of extended triple collocation of the product and two others, raw and of anomalies.

    The table has a row for each product in each extent: medians over cells, with 90 % intervals over blocks of time
    drawn for all cells alike, and how many cells were refused why.
    """
    fewest = settings.minimum_months if three.monthly else settings.triplet_days
    part = blocks_of(three, settings)
    shape = three.cells.lat.size, three.cells.lon.size
    step = -(-shape[0] * shape[1] // MOST_DRAWN)
    maps: dict[str, Sums] = {}
    signed: dict[str, Sums] = {}
    drawn: dict[str, list[tuple[Sums, Mapping[str, Sums]]]] = {kind: [] for kind in KINDS}
    for band, found in three.blocks():
        values = found.reshape(3, three.times.size, -1)
        first = band.start * shape[1]
        cells = np.flatnonzero(np.isfinite(values).all(axis=0).any(axis=0))
        for kind in KINDS:
            for start in range(0, cells.size, AT_ONCE):
                own = cells[start : start + AT_ONCE]
                result = collocate(of_kind(values[..., own], three, kind, settings), part, fewest)
                _fill(maps, kind, result, first + own, shape)
                for name, each in result.signed.items():
                    target = signed.setdefault(f"{name}_{kind}", np.full((3, *shape), np.nan))
                    target.reshape(3, -1)[:, first + own] = each
                kept = np.flatnonzero((first + own) % step == 0)
                rows = three.cells.lat[(first + own[kept]) // shape[1]]
                drawn[kind].append((rows, {name: each[..., kept] for name, each in result.drawn.items()}))
    if not maps:
        names = ", ".join(one.name for one in three.products)
        hint = "compare them two by two, or choose products that overlap"
        raise InputError(f"{names} have no cell and time in common", hint=hint)
    return _dataset(three, maps, [one.name for one in three.products]), _triple_table(
        three, maps, signed, drawn, settings
    )


def _fill(maps: dict[str, Sums], kind: str, result: Collocation, at: Any, shape: tuple[int, int]) -> None:
    """Put the results of some cells ``at`` flat places into the maps."""
    for name, own in (("n", result.n), ("flag", result.flag)):
        blank = 0.0 if name == "n" else np.nan
        maps.setdefault(f"{name}_{kind}", np.full(shape, blank)).flat[at] = own
    for name in MEASURES:
        for end, values in (("", result.values), ("_low", result.low), ("_high", result.high)):
            target = maps.setdefault(f"{name}{end}_{kind}", np.full((3, *shape), np.nan))
            target.reshape(3, -1)[:, at] = values[name]


def _triple_table(
    three: Match, maps: Mapping[str, Sums], signed: Mapping[str, Sums], drawn: Any, settings: ComparisonBlock
) -> pd.DataFrame:
    rows = []
    for kind in KINDS:
        for extent, south, north, inside in _extents(three, settings.band_degrees):
            flag = maps[f"flag_{kind}"][inside]
            if not np.isfinite(flag).any():
                continue
            counts = {name: int((flag == number).sum()) for name, number in FLAGS.items()}
            for number, one in enumerate(three.products):
                scores: dict[str, float] = {}
                for name in MEASURES:
                    values = signed[f"{name}_{kind}"][number][inside].ravel()
                    again = [each[name][:, number][:, (lat > south) & (lat < north)] for lat, each in drawn[kind]]
                    scores |= _middle(name, values, np.concatenate(again, axis=1))
                rows.append({
                    "variable": three.products[0].variable, "against": "+".join(p.name for p in three.products[1:]),
                    "product": one.name, "kind": kind, "extent": extent, "south": south, "north": north, **counts,
                    "times": three.times.size, "step": "month" if three.monthly else "day", **scores,
                    "unit": variables.get(three.products[0].variable).units, "layer": one.layer,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _middle(name: str, values: Sums, drawn: Sums) -> dict[str, float]:
    """The median of ``values`` (cell,) with its interval from ``drawn`` (draw, cell); NaN if it cannot be.

    The interval is the basic one (Davison and Hinkley 1997, doi:10.1017/CBO9780511802843): what shifts the median of
    noisy cells shifts that of each draw once more.
    """
    value, lower, upper = interval(np.concatenate([_median(values), _median(drawn)]))
    low, high = 2 * value - upper, 2 * value - lower
    if not (value <= 1.0 if name == "r_truth" else value >= 0.0):
        value = low = high = np.nan
    found = {"": value, "_low": low, "_high": high}
    return {f"{name}{end}": float(clipped(name, np.array(each))) for end, each in found.items()}


def _median(values: Sums) -> Sums:
    """Medians (draw,) of what is known of ``values`` (draw, cell) or (cell,)."""
    rows = np.atleast_2d(values)
    known = np.isfinite(rows).any(axis=1)
    found = np.full(len(rows), np.nan)
    found[known] = np.nanmedian(rows[known], axis=1)
    return found


def _dataset(both: Match, maps: Mapping[str, Sums], names: Sequence[str] = ()) -> xr.Dataset:
    """``maps`` with CF metadata."""
    units = variables.get(both.products[0].variable).units
    data = xr.Dataset(coords=_coordinates(both))
    if names:
        data["product"] = ("product", list(names), {"long_name": "gridded product"})
    for key, values in maps.items():
        stem, _, kind = key.rpartition("_")
        name = stem.removesuffix("_low").removesuffix("_high")
        what = "anomalies from the mean season" if kind == ANOMALY else "values as they are"
        dims = ("product", "lat", "lon") if values.ndim == 3 else ("lat", "lon")
        if name == "flag":
            numbers = {"flag_values": np.array(list(FLAGS.values()), "i1"), "flag_meanings": " ".join(FLAGS)}
            attrs = {"long_name": f"triple collocation, {what}: estimated or refused", **numbers}
            data[key] = dims, np.where(np.isfinite(values), values, -1).astype("i1"), attrs
            continue
        end = {"_low": ", 5 %", "_high": ", 95 %"}.get(stem.removeprefix(name), "")
        meaning = MEANINGS[name] if not names or name != "n" else "times at which all three have a value"
        attrs = {"long_name": f"{meaning} ({what}){end}", "units": "1" if name in ("n", "r", "r_truth") else units}
        data[key] = dims, values.astype(np.float32), attrs
    return data


def _coordinates(both: Match) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, attrs in WRITTEN.items():
        edge = getattr(both.cells, f"{name}_edges")
        found[name] = name, getattr(both.cells, name), {**attrs, "bounds": f"{name}_bnds"}
        found[f"{name}_bnds"] = (name, "nv"), np.stack([edge[:-1], edge[1:]], axis=1)
    return found


def write_maps(output: Path, data: xr.Dataset, both: Match, settings: ComparisonBlock, inputs: Sequence[Path]) -> None:
    """Write maps as CF NetCDF with what was compared, when, and how."""
    told = {one.name: one.layer for one in both.products}
    names = ", ".join(one.name for one in both.products[1:])
    attrs = {
        "Conventions": "CF-1.11",
        "title": f"{both.products[0].variable} of the product beside {names}",
        "comment": "; ".join(f"{name}: {layer}" for name, layer in told.items()),
        "time_coverage_start": str(both.times[0]),
        "time_coverage_end": str(both.times[-1]),
        "season": f"mean of all years within {settings.season_window} days"
        if not both.monthly
        else "mean of the month over all years",
        **files.provenance("evaluate comparison", settings.model_dump(mode="json"), {p.name: p for p in inputs}),
    }
    encoding: dict[str, dict[str, Any]] = {
        str(name): {
            "zlib": True,
            "complevel": 2,
            "_FillValue": -1 if data[name].dtype.kind == "i" else np.float32(np.nan),
        }
        for name in data.data_vars
    }
    encoding |= {name: {"_FillValue": None} for name in ("lat", "lon", "lat_bnds", "lon_bnds")}
    files.write_netcdf(data, output, encoding, attrs=attrs, crs=True)


def write_table(output: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with six digits."""
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))

"""The target of a run from its files: inversions, corrections and a map of regions, and where it is kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from ... import files
from ...config.regional import RegionalBlock
from ...config.regions import RegionMap
from ...errors import InputError, counted, nearest
from ...ingest.constraints.inversion_file import cell_area
from ...land_mask import is_land
from ...regrid.regions import bounds, region_shares
from ...tiles.regions import of_land
from ..operators.readers import InversionTotals, inversion_axes, inversion_totals
from .target import Correction, Months, RegionalTarget, compose
from .term import Mask, hold_out_years

FloatArray = npt.NDArray[np.float64]
Bbox = tuple[float, float, float, float]
PathLike = str | Path
GLOBE: Bbox = (-180.0, -90.0, 180.0, 90.0)
MEAN_MONTH = 365.25 / 12
"""Days."""
TG = 1e-12
"""From grams to Tg, the unit of targets."""
WITHIN = 8
"""Points in each direction at which land is looked for in a cell of an inversion."""


@dataclass(frozen=True, eq=False)
class Held:
    """A ``target`` and the region-months (month, region) of it that are kept from training, ``held_out``."""

    target: RegionalTarget
    held_out: Mask


def build_target(
    output: PathLike,
    settings: RegionalBlock,
    source: RegionMap,
    constraint: PathLike,
    corrections: Mapping[str, PathLike] | None = None,
    *,
    years: tuple[int, int] | None = None,
    bbox: Bbox = GLOBE,
) -> Held:
    """Write what the sums of regions are held to (``train/regional/target.nc``, docs/contracts.md).

    ``constraint`` is a file ``ingest/constraints/<name>.nc``, ``source`` the map of regions, ``corrections`` are files
    of the same kind or tables (CSV) by name; ``years`` limit the months, ``bbox`` is the domain of the run.

    Raises :class:`InputError`, before anything is written, for what :func:`~.target.compose` refuses (sign, fire and
    lateral convention, preset, missing months, sizes of another unit or species), for regions and members that do not
    exist, and for regions that reach out of the domain.
    """
    names = _regions(constraint, source, settings, bbox)
    found = _cut(inversion_totals(constraint, shares(source, constraint, names), TG), settings, years, str(constraint))
    given = [
        Correction(name, _correction(path, source, names, found.month, name), Path(path).name)
        for name, path in (corrections or {}).items()
    ]
    target = compose(
        settings.preset or "(none)",
        found.month,
        names,
        found.totals,
        settings.floor * found.area * MEAN_MONTH * TG,
        found.content,
        given,
        settings.without,
        str(constraint),
    )
    held = _held_out(target, settings)
    about = {
        **target.about,
        "inversions": list(found.members),
        "regions": list(names),
        "map": Path(source.path).name,
        "years": f"{found.month[0]} to {found.month[-1]}",
        "held_out": held_years(target, held),
        "files": {**_raw(constraint), **{k: v for path in (corrections or {}).values() for k, v in _raw(path).items()}},
    }
    made = Held(RegionalTarget(**{**vars(target), "about": about}), held)
    inputs = {"constraint": constraint, "regions": source.path, **(corrections or {})}
    write_target(output, made, files.provenance("train regional-target", settings.model_dump(mode="json"), inputs))
    return made


def shares(source: RegionMap, constraint: PathLike, names: Sequence[str] = ()) -> FloatArray:
    """Shares (region, lat, lon) of the land of the cells of a constraint file in the regions ``names``; all if none.

    A cell of the coast belongs to its regions wholly: the sea of it has no land flux.
    """
    lat, lon = inversion_axes(constraint)
    found = region_shares(source, lat, lon)
    land = of_land(np.asarray(found.share, float), _land(lat, lon, found.share.sum(axis=0)))
    if not names:
        return land
    number = {name: place for place, name in enumerate(found.names)}
    empty = np.zeros((lat.size, lon.size))
    return np.stack([land[number[name]] if name in number else empty for name in names])


def _land(lat: FloatArray, lon: FloatArray, covered: FloatArray) -> FloatArray:
    """Share of land (lat, lon) of cells; looked up where regions cover a part of a cell, 1 elsewhere."""
    found = np.ones((lat.size, lon.size))
    row, column = np.nonzero((covered > 0) & (covered < 1))
    rows, columns = bounds(lat, "lat"), bounds(lon, "lon")
    inside = (np.arange(WITHIN) + 0.5) / WITHIN
    north = rows[row, None] + inside * (rows[row + 1] - rows[row])[:, None]
    east = columns[column, None] + inside * (columns[column + 1] - columns[column])[:, None]
    shape = (row.size, WITHIN, WITHIN)
    points = np.broadcast_to(north[:, :, None], shape), np.broadcast_to(east[:, None, :], shape)
    found[row, column] = is_land(*points).mean(axis=(1, 2))
    return found


def _regions(constraint: PathLike, source: RegionMap, settings: RegionalBlock, bbox: Bbox) -> tuple[str, ...]:
    """The regions to compare: those asked for, or all that lie in the domain."""
    lat, lon = inversion_axes(constraint)
    found = region_shares(source, lat, lon)
    area = np.asarray(found.share, float) * cell_area(lat, lon)
    part = (area * _inside(lat, lon, bbox)).sum(axis=(1, 2)) / area.sum(axis=(1, 2))
    inside = dict(zip(found.names, part, strict=True))
    if absent := [name for name in settings.used if name not in inside]:
        raise InputError(
            f"there is no region '{absent[0]}'{nearest(absent[0], found.names)}",
            where=source.path,
            hint=f"choose from {', '.join(found.names)} (regional.used)",
        )
    least = settings.cover
    wanted = settings.used or tuple(name for name in found.names if inside[name] >= max(least, 1e-6))
    beyond = [name for name in wanted if inside[name] < least]
    if beyond or not wanted:
        name = beyond[0] if beyond else max(inside, key=lambda one: inside[one], default="")
        what = f"{100 * inside[name]:.0f} % of the region '{name}' lie in the domain" if name else "there is no region"
        raise InputError(
            f"{what}, and inversions are summed over all of it",
            where=source.path,
            hint="widen the domain, give regions that lie in it, or lower regional.cover",
        )
    others = [name for name in found.names if name not in wanted and inside[name] > 0]
    if others and not settings.used:
        print(f"regions left out, which reach out of the domain: {', '.join(others)}", file=sys.stderr, flush=True)
    return tuple(wanted)


def _inside(lat: FloatArray, lon: FloatArray, bbox: Bbox) -> FloatArray:
    """Share (lat, lon) of the area of each cell that lies in the box."""
    west, south, east, north = bbox
    rows, columns = np.sin(np.deg2rad(bounds(lat, "lat"))), bounds(lon, "lon")
    low, high = np.sin(np.deg2rad([south, north]))
    tall = np.clip(np.maximum(rows[1:], rows[:-1]), low, high) - np.clip(np.minimum(rows[1:], rows[:-1]), low, high)
    turns = [np.clip(columns + turn, west, east) for turn in (-360.0, 0.0, 360.0)]
    wide = sum(np.diff(one) for one in turns)
    return (tall / np.abs(np.diff(rows)))[:, None] * np.minimum(wide / np.diff(columns), 1.0)[None, :]


def _cut(found: InversionTotals, settings: RegionalBlock, years: tuple[int, int] | None, where: str) -> InversionTotals:
    """``found`` in the years and of the members that are wanted."""
    year = found.month.astype("datetime64[Y]").astype(int) + 1970
    first, last = years or (int(year.min()), int(year.max()))
    keep = (year >= first) & (year <= last)
    if not keep.any():
        raise InputError(
            f"no month lies within {first} to {last}; the inversions have {year.min()} to {year.max()}",
            where=where,
            hint="give years that both have (regional.years, train.years)",
        )
    members = settings.members or found.members
    if absent := [name for name in members if name not in found.members]:
        raise InputError(
            f"there is no inversion '{absent[0]}'{nearest(absent[0], found.members)}",
            where=where,
            hint=f"choose from {', '.join(found.members)} (regional.members)",
        )
    number = [found.members.index(name) for name in members]
    return InversionTotals(
        found.month[keep], tuple(members), found.totals[keep][..., number], found.area, found.content
    )


def _correction(path: PathLike, source: RegionMap, names: Sequence[str], month: Months, name: str) -> FloatArray:
    """Totals (month, region) [Tg] of a correction, NaN where there are none."""
    if str(path).endswith(".csv"):
        return _from_table(path, names, month, name)
    found = inversion_totals(path, shares(source, path, names), TG)
    if found.content.get("sign") != "positive_to_atmosphere":
        raise InputError(
            f"the sign of the correction '{name}' is '{found.content.get('sign', 'not stated')}'",
            where=str(path),
            hint="make the file by `ingest constraint`",
        )
    place = {when: number for number, when in enumerate(found.month)}
    totals = np.full((month.size, len(names)), np.nan)
    for row, when in enumerate(month):
        if when in place:
            totals[row] = found.totals[place[when]].mean(axis=-1)
    return totals


def _from_table(path: PathLike, names: Sequence[str], month: Months, name: str) -> FloatArray:
    if not Path(path).is_file():
        raise InputError("file not found", where=str(path), hint=f"correct regional.corrections.{name}")
    table = pd.read_csv(path)
    lacking = [column for column in ("region", "month", "value") if column not in table]
    if lacking:
        hint = "columns are region, month, value [Tg of carbon in the month] and, where it differs, year"
        raise InputError(f"no column {', '.join(lacking)}", where=str(path), hint=hint)
    keys = ["region", "month", *(["year"] if "year" in table else [])]
    if table.duplicated(keys).any():
        twice = ", ".join(map(str, table.loc[table.duplicated(keys), keys].iloc[0]))
        raise InputError(f"a value is given twice: {twice}", where=str(path), hint="give each region and month once")
    known = table.set_index(keys)["value"].astype(float).to_dict()
    year, calendar = month.astype("datetime64[Y]").astype(int) + 1970, month.astype(int) % 12 + 1
    rows = [
        [known.get((region, int(m), int(y)) if len(keys) == 3 else (region, int(m)), np.nan) for region in names]
        for y, m in zip(year, calendar, strict=True)
    ]
    return np.array(rows)


def _held_out(target: RegionalTarget, settings: RegionalBlock) -> Mask:
    """Region-months (month, region) that are kept from training."""
    if not settings.held_out:
        none = np.zeros(target.value.shape, bool)
        return hold_out_years(target, settings.held_out_share, settings.seed) if settings.held_out_share else none
    year = target.month.astype("datetime64[Y]").astype(int) + 1970
    held = np.zeros(target.value.shape, bool)
    for name, years in settings.held_out.items():
        if name not in target.regions or not set(years) <= set(year.tolist()):
            raise InputError(
                f"region '{name}' has no comparison in {', '.join(map(str, years))}{nearest(name, target.regions)}",
                where="regional.held_out",
                hint=f"regions: {', '.join(target.regions)}; years: {year.min()} to {year.max()}",
            )
        held[:, target.regions.index(name)] = np.isin(year, years)
    if held.all():
        raise InputError("all region-years are held out", where="regional.held_out", hint="leave some to learn from")
    return held


def held_years(target: RegionalTarget, held: Mask) -> dict[str, list[int]]:
    """Years that are kept from training, by region."""
    year = target.month.astype("datetime64[Y]").astype(int) + 1970
    return {
        name: sorted({int(one) for one in year[held[:, number]]})
        for number, name in enumerate(target.regions)
        if held[:, number].any()
    }


def _raw(path: PathLike) -> dict[str, str]:
    """The provider's files that a constraint was made of, with their hashes; of a table itself."""
    if str(path).endswith(".csv"):
        return {str(path): files.file_hash(path)}
    with files.NETCDF, files.open_netcdf(path) as data:
        found: dict[str, str] = json.loads(data.attrs.get("fluxatlas_inputs", "{}"))
    return found


def write_target(output: PathLike, made: Held, attrs: Mapping[str, str]) -> None:
    """Write ``made`` as NetCDF, completely or not at all."""
    target = made.target
    empty = np.zeros((0, *target.value.shape))
    unit = {"units": "Tg", "long_name": "net flux of a month as carbon, positive to the atmosphere"}
    data: dict[str, Any] = {
        "members": (("month", "region", "member"), target.members, unit),
        "floor": (("region",), target.floor, {"units": "Tg", "long_name": "error that all inversions share"}),
        "held_out": (("month", "region"), made.held_out.astype(np.int8), {"long_name": "1: kept from training"}),
        "correction": (
            ("correction_name", "month", "region"),
            np.stack([one.totals for one in target.corrections]) if target.corrections else empty,
            {"units": "Tg", "long_name": "what was taken out of the flux, or (exports) added"},
        ),
    }
    coords: dict[str, Any] = {
        "month": ("month", target.month.astype("datetime64[ns]"), {"long_name": "first day of the month"}),
        "region": ("region", np.array(target.regions, object)),
        "correction_name": ("correction_name", np.array([one.name for one in target.corrections], object)),
    }
    sources = [one.source for one in target.corrections]
    own = {"kind": target.kind, "about": json.dumps(dict(target.about), sort_keys=True), "sources": json.dumps(sources)}
    files.write_netcdf(xr.Dataset(data, coords, {"title": "Sums of regions by inversions", **own}), output, attrs=attrs)
    size = counted(len(target.regions), "region"), counted(target.month.size, "month")
    print(
        f"{target.about['flux_name']} of {size[0]} in {size[1]} from {counted(target.members.shape[-1], 'inversion')}; "
        f"{counted(int(made.held_out.sum()), 'region-month')} held out",
        file=sys.stderr,
        flush=True,
    )


def read_target(path: PathLike) -> Held:
    """What :func:`write_target` wrote."""
    data = files.read_netcdf(path)
    if "kind" not in data.attrs or "members" not in data:
        raise InputError("is not a target of regions", where=str(path), hint="make it by `train regional-target`")
    names, sources = data["correction_name"].to_numpy(), json.loads(data.attrs["sources"])
    corrections = tuple(
        Correction(str(name), data["correction"].to_numpy()[number], str(sources[number]))
        for number, name in enumerate(names)
    )
    target = RegionalTarget(
        data.attrs["kind"],
        data["month"].to_numpy().astype("datetime64[M]"),
        tuple(map(str, data["region"].to_numpy())),
        data["members"].to_numpy(),
        data["floor"].to_numpy(),
        corrections,
        json.loads(data.attrs["about"]),
    )
    return Held(target, data["held_out"].to_numpy().astype(bool))

"""Totals by region and map of the area, with the uncertainty of whole maps.

A draw is a whole map: one member at every place, plus an error of the map whose correlation falls with distance. Errors
of neighbours do not average out as independent ones would, and the total of a large region is as uncertain as its map.
The standard deviation of the error is that of means of unseen sites: the width of their conformal interval by clusters
(:mod:`fluxatlas.evaluate.coverage`) over that of a normal distribution of the same level. Where maps of the area
differ, each has rows of its own, and ``all`` draws a map as well.
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import InputError
from ..files import open_netcdf
from ..grid import EARTH_RADIUS
from ..products.budget import mass_factor
from ..products.regions import zone_name
from ..systems import Published, System
from ..tiles.mosaic import PathLike, TileResult, assemble, read_layer

Array = npt.NDArray[np.float64]
FEATURES = 64
"""Waves that a field of errors is made of."""
CELLS = 65_536
"""Cells at which fields of errors are in memory at a time."""
ZONES = (-90.0, -60.0, -30.0, 0.0, 30.0, 60.0, 90.0)
ALL = "all"
MEMBERS = "network"
"""What the table of coverage calls the ensemble."""
COLUMNS = [
    *(
        "year",
        "variable",
        "map",
        "region_kind",
        "region",
        "mean",
        "sd",
        "sd_members",
        "sd_error",
        "low",
        "high",
        "unit",
    ),
    *("area_m2", "draws", "error", "note", "published", "published_low", "published_high"),
]


@dataclass(frozen=True)
class ErrorFields:
    """Draws of a Gaussian field with standard deviation one and correlation ``exp(-d / length)``, where ``d`` is the
    straight distance; ``waves`` (draw, wave, 3) [km-1] and ``phases`` (draw, wave), the same for all places.

    The mean over draws of the product at two places is that correlation (random Fourier features: Rahimi & Recht 2007;
    the spectrum of an exponential in three dimensions is that of Cauchy's distribution).
    """

    waves: Array
    phases: Array

    @classmethod
    def drawn(cls, draws: int, length_km: float, seed: int) -> ErrorFields:
        """``draws`` fields of ``seed``."""
        rng = np.random.default_rng([seed, 47])
        normal = rng.standard_normal((draws, FEATURES, 3))
        chi = np.abs(rng.standard_normal((draws, FEATURES, 1)))
        return cls(normal / (chi * length_km), rng.uniform(0, 2 * np.pi, (draws, FEATURES)))

    def at(self, places: Array) -> Iterator[Array]:
        """Values (n,) of each draw at ``places`` (n, 3) [km]."""
        for waves, phases in zip(self.waves, self.phases, strict=True):
            yield np.sqrt(2.0 / FEATURES) * np.cos(places @ waves.T + phases).sum(axis=1)


def on_sphere(lat: Array, lon: Array) -> Array:
    """Places (n, 3) [km] from the centre of the Earth, from degrees (n,)."""
    y, x = np.deg2rad(lat), np.deg2rad(lon)
    return EARTH_RADIUS / 1000.0 * np.stack([np.cos(y) * np.cos(x), np.cos(y) * np.sin(x), np.sin(y)], axis=1)


def error_of(coverage: PathLike | None, flux: str) -> tuple[float, str]:
    """Standard deviation of the mean of an unseen place, in the unit of ``flux``, and what is to be said of it."""
    if coverage is None:
        return 0.0, "error of the map not known: members alone"
    table = files.read_table(coverage)
    row = table[(table["model"] == MEMBERS) & (table["target"] == flux) & (table["what"] == "means")]
    if row.empty:
        return 0.0, f"no mean of '{flux}' at unseen sites: members alone"
    width, level = float(row["half_width"].iloc[0]), float(row["level"].iloc[0])
    if not np.isfinite(width):
        return 0.0, f"error of the map {row['note'].iloc[0]}: members alone"
    return width / NormalDist().inv_cdf(
        0.5 + level / 2
    ), f"error of the map from {int(row['clusters'].iloc[0])} clusters"


@dataclass(frozen=True)
class Yearly:
    """Areas (year, lat, lon) [m2] of the years from ``first`` on; earlier and later years have the nearest."""

    first: int
    area: Array

    def of(self, year: int) -> Array:
        """That of ``year`` (lat, lon)."""
        return np.asarray(self.area[min(max(year - self.first, 0), len(self.area) - 1)])


def of_year(area: Array | Yearly, year: int) -> Array:
    """``area`` as it is in ``year``."""
    return area.of(year) if isinstance(area, Yearly) else area


def areas(piece: TileResult, mask: str) -> dict[str, Array | Yearly]:
    """Area [m2] that the flux is per in each cell that is run, by map, (lat, lon), (month, lat, lon) or by year. The
    share is multiplied once; the map of the mask itself stands first."""
    with open_netcdf(piece.attributes) as data:
        names = str(data.attrs.get("area_maps", "")).split()
        shares = {mask: np.asarray(data[mask], float)}
        shares |= {name: np.asarray(data[f"{mask}_{name}"], float) for name in names}
        yearly = {name: f"{mask}_{name}_year" for name in names if f"{mask}_{name}_year" in data.dims}
        first = {name: int(data[axis][0]) for name, axis in yearly.items()}
    layers = piece.layers("active", *(name for name in piece.weight_layers if name != mask))
    whole = np.ones(piece.shape)
    for name in piece.weight_layers:
        if name != mask:
            whole = whole * layers[name].to_numpy() / (100.0 if variables.get(name).units == "%" else 1.0)
    active = layers["active"].to_numpy()
    found = {name: np.where(active, whole * share / 100.0, 0.0) for name, share in shares.items()}
    return {name: Yearly(first[name], area) if name in first else area for name, area in found.items()}


def regions(system: System, domain: str) -> list[tuple[str, str, float, float, Published | None]]:
    """Kind, name, south, north and the published total of each region: the domain, zones, and what is published."""
    found: list[tuple[str, str, float, float, Published | None]] = [("global", domain, -90.0, 90.0, None)]
    found += [("zone", zone_name(south, north), south, north, None) for south, north in pairwise(ZONES)]
    boxes = [(p, domain if p.north - p.south == 180 else zone_name(p.south, p.north)) for p in system.published]
    return found + [("published", name, p.south, p.north, p) for p, name in boxes]


def _monthly(path: PathLike, flux: str) -> Array:
    """Means (month, lat, lon) of the daily flux of the ensemble."""
    with open_netcdf(path) as data:
        return np.asarray(data[flux].groupby("time.month").mean().to_numpy(), dtype=np.float64)


def _mean_area(area: Array, year: int) -> Array:
    """Mean (lat, lon) of an ``area`` that may have months over the days of ``year``."""
    if area.ndim == 2:
        return area
    length = np.array([calendar.monthrange(year, month)[1] for month in range(1, 13)], float)
    return np.asarray(np.tensordot(length / length.sum(), area, axes=1))


def _masses(annual: Array, months: Array | None, area: Array, year: int) -> Array:
    """Flux times area and days of the year by member, (member, lat, lon).

    With an area by month the flux of a member in a month is that of the ensemble, moved by the difference of the member
    in the year.
    """
    length = np.array([calendar.monthrange(year, month)[1] for month in range(1, 13)], float)
    if area.ndim == 2:
        return np.where(area > 0, annual, 0.0) * area * length.sum()
    mean = _mean_area(area, year)
    season = np.zeros_like(mean) if months is None else months - np.tensordot(length / length.sum(), months, axes=1)
    more = np.nansum(length[:, None, None] * season * area, axis=0)
    return np.where(mean > 0, annual * mean * length.sum() + more, 0.0)


@dataclass
class Sums:
    """What is added up over tiles for one year, flux, map and region."""

    members: Any = 0.0
    errors: Any = 0.0
    area: float = 0.0


def totals_table(
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    system: System,
    settings: EvaluateBlock | None = None,
    coverage: PathLike | None = None,
    domain: str = "domain",
) -> pd.DataFrame:
    """Totals (:data:`COLUMNS`) in the budget unit of each flux per area of a part of the cell.

    ``low`` and ``high`` are 5 and 95 % of the drawn maps; ``sd_members`` and ``sd_error`` are the parts of ``sd``;
    ``error`` is the standard deviation of the map at a place, in the unit of the flux. Published totals stand beside
    the same latitudes of what was run. Raises :class:`InputError` for tiles that do not fit together, where an active
    cell has no value, and where tiles have other maps.
    """
    settings, mask = settings or EvaluateBlock(), str(system.mask)
    mosaic = assemble(flux, attributes)
    fields = ErrorFields.drawn(settings.total_draws, settings.error_length_km, settings.seed)
    boxes = regions(system, domain)
    sums: dict[tuple[int, str, str], list[Sums]] = defaultdict(lambda: [Sums() for _ in boxes])
    maps: list[str] = []
    for piece in mosaic.pieces:
        own = areas(piece, mask)
        if maps and list(own) != maps:
            hint = "run `regrid` again"
            raise InputError("other maps of the area than in other tiles", where=str(piece.attributes), hint=hint)
        maps = list(own)
        lat, lon = np.meshgrid(mosaic.grid.lat(piece.rows), mosaic.grid.lon(piece.columns), indexing="ij")
        inside = np.stack([(lat >= south) & (lat < north) for _, _, south, north, _ in boxes])
        _add(sums, piece, own, inside, on_sphere(lat.ravel(), lon.ravel()), system, fields)
    return _rows(sums, boxes, maps, system, settings, coverage)


def _add(
    sums: Mapping[tuple[int, str, str], list[Sums]],
    piece: TileResult,
    own: Mapping[str, Array | Yearly],
    inside: npt.NDArray[np.bool_],
    places: Array,
    system: System,
    draws: ErrorFields,
) -> None:
    """Add one tile to the ``sums``; ``inside`` (region, lat, lon)."""
    fields = [one.area if isinstance(one, Yearly) else one for one in own.values()]
    used = np.any([np.any(a > 0, axis=0) if a.ndim == 3 else a > 0 for a in fields], axis=0)
    seasonal = any(not isinstance(one, Yearly) and one.ndim == 3 for one in own.values())

    def kind_of(name: str, year: int) -> tuple[str, int]:
        """What areas of the same ``name`` have in common."""
        return name, year if isinstance(own[name], Yearly) else int(seasonal and calendar.isleap(year))

    means = {
        kind_of(name, year): _mean_area(of_year(area, year), year) for year in piece.flux for name, area in own.items()
    }
    drawn = _errors(draws, places[used.ravel()], np.stack([one[used] for one in means.values()]), inside[:, used])
    errors = dict(zip(means, drawn, strict=True))
    for year, path in sorted(piece.flux.items()):
        days = 366 if calendar.isleap(year) else 365
        for one in (one for one in system.fluxes if one.per_cell and one.budget_unit):
            annual, factor = read_layer(path, f"{one.variable}_member"), mass_factor(one)
            if not np.isfinite(annual[:, used]).all():
                what = f"active cells without '{one.variable}_member'"
                raise InputError(what, where=str(path), hint="run `infer` for it again")
            months = _monthly(path, one.variable) if seasonal else None
            for name, area in own.items():
                mass, kind = _masses(annual, months, of_year(area, year), year), kind_of(name, year)
                for total, box, wrong in zip(sums[year, one.variable, name], inside, errors[kind], strict=True):
                    total.members = total.members + factor * mass[:, box].sum(axis=1)
                    total.errors = total.errors + factor * days * wrong
                    total.area += float((means[kind] * box)[used].sum())


def _errors(fields: ErrorFields, places: Array, area: Array, inside: npt.NDArray[np.bool_]) -> Array:
    """Sums (map, region, draw) of each field times ``area`` (map, n) over the ``places`` (n, 3) that are ``inside``
    (region, n), some cells at a time."""
    found = np.zeros((len(area), len(inside), len(fields.waves)))
    for first in range(0, len(places), CELLS):
        part = slice(first, first + CELLS)
        weight = area[:, None, part] * inside[:, part]
        for draw, field in enumerate(fields.at(places[part])):
            found[..., draw] += weight @ field
    return found


def _rows(
    sums: Mapping[tuple[int, str, str], list[Sums]],
    boxes: Sequence[tuple[str, str, float, float, Published | None]],
    maps: Sequence[str],
    system: System,
    settings: EvaluateBlock,
    coverage: PathLike | None,
) -> pd.DataFrame:
    """The table: members and maps are drawn anew for each year and flux, the same for all regions; fields of errors are
    the same for all."""
    rows: list[dict[str, Any]] = []
    for year, variable in dict.fromkeys((year, variable) for year, variable, _ in sums):
        error, note = error_of(coverage, variable)
        rng = np.random.default_rng([settings.seed, 53, year, *variable.encode()])
        count = len(next(iter(sums.values()))[0].members)
        member = rng.integers(count, size=settings.total_draws)
        which = rng.integers(len(maps), size=settings.total_draws)
        for name in (*maps, *([ALL] if len(maps) > 1 else [])):
            for number, (kind, region, _, _, published) in enumerate(boxes):
                own = [sums[year, variable, other][number] for other in maps]
                if not any(one.area for one in own):
                    continue
                chosen = which if name == ALL else np.full(settings.total_draws, maps.index(name))
                members, errors = np.stack([one.members for one in own]), np.stack([one.errors for one in own])
                draw = np.arange(settings.total_draws)
                plain, wrong = members[chosen, member], error * errors[chosen, draw]
                total = plain + wrong
                low, high = np.percentile(total, [5, 95])
                about = {"year": year, "variable": variable, "map": name, "region_kind": kind, "region": region}
                about |= {"mean": float(members[np.unique(chosen)].mean()), "sd": float(total.std(ddof=1))}
                about |= {"sd_members": float(plain.std(ddof=1)), "sd_error": float(wrong.std(ddof=1))}
                about |= {"low": float(low), "high": float(high), "unit": system.get_flux(variable).budget_unit}
                about |= {"area_m2": float(np.mean([own[k].area for k in np.unique(chosen)]))}
                about |= {"draws": settings.total_draws, "error": error, "note": note}
                if published:
                    about |= {"published": published.source}
                    about |= {"published_low": published.low, "published_high": published.high}
                rows.append(about)
    return pd.DataFrame(rows, columns=COLUMNS)


def write_totals(
    output: PathLike,
    flux: Sequence[PathLike],
    attributes: Sequence[PathLike],
    system: System,
    settings: EvaluateBlock | None = None,
    coverage: PathLike | None = None,
    domain: str = "domain",
) -> pd.DataFrame:
    """Write :func:`totals_table` as CSV to ``output`` and return it."""
    table = totals_table(flux, attributes, system, settings, coverage, domain)
    files.write_text(output, table.to_csv(index=False, float_format="%.8g"))
    return table

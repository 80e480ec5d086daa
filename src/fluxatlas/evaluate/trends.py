"""What made the fluxes of a run trend: factorial runs in which one factor after another is held at the first years.

The process model and the members run at some places that stand for the domain, four times or more: with everything as
it was, with each factor held in turn, and with all of them held. What a factor adds to the trend is the trend with
everything less that with the factor held; what these do not sum to is the interaction of factors.

Weather is held by repeating the days of the first years in their order, so that it stays weather; a series of the
atmosphere at its mean over the same day of the first years. What the run itself takes as constant (attributes of the
soil, deposition of nitrogen, land cover, climatologies of leaf area) has no trend, unless ``evaluate.trend_attributes``
says how much of it there was in the first year: then fluxes go in equal steps from those under the attributes of the
first year to those under the attributes of the map. That is exact where fluxes are linear in the attribute, else to
second order in its change.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import InputError, counted
from ..grid import Grid
from ..ingest.atmosphere import series_of
from ..systems import System
from ..tiles.cells import read_cells
from ..tiles.mosaic import assemble
from ..train.data import FloatArray, SequenceSet
from ..train.member import Member
from ..train.predict import predict
from ..train.regional.points import choose_points
from ..train.regional.prepare import TilePart, features_of, placed, sequences
from ..train.simulation import one_theta, simulate_sites

CLIMATE, ALL, NONE, INTERACTION = "climate", "all", "none", "(interaction)"
COLUMNS = ("model", "member", "flux", "factor", "trend", "low", "high", "unit", "first_year", "last_year", "points")

Array = npt.NDArray[np.float64]
Days = npt.NDArray[np.int_]
Model = Callable[[SequenceSet], Mapping[str, FloatArray]]
"""Fluxes (time, place) by name under the drivers of a set."""


def stand_ins(
    system: System,
    grid: Grid,
    tile_size: int,
    attributes: Sequence[Path],
    forcing: Sequence[Path],
    series: Sequence[str],
    settings: EvaluateBlock,
) -> tuple[SequenceSet, Array]:
    """Series of places that stand for all active cells, and the area [m2] of each (:func:`choose_points`).

    ``attributes`` are files ``<tile>.nc``, ``forcing`` pieces ``<tile>/<year>.nc`` of consecutive years, ``series``
    files of the atmosphere, ``gas=path``. Raises :class:`InputError` where files are absent or have gaps.
    """
    parts = []
    for piece in assemble([], attributes).pieces:
        cells = read_cells(piece.attributes, grid.tile(piece.name, tile_size), system)
        pieces = {int(Path(path).stem): Path(path) for path in forcing if Path(path).parent.name == piece.name}
        if len(cells) and not pieces:
            raise InputError(f"no forcing of tile {piece.name}", hint="give its pieces, <tile>/<year>.nc")
        area, name = piece.weight().ravel()[cells.index], np.full(len(cells), "", object)
        if len(cells):
            place = np.arange(len(cells))
            parts.append(TilePart(cells, dict(sorted(pieces.items())), place, name, area, float(area.sum())))
    if not parts:
        raise InputError("no active cell in any tile", hint="check the domain and the attributes")
    area = np.concatenate([part.area for part in parts])
    features = np.concatenate([features_of(part, system, "bilinear") for part in parts])
    points = choose_points(features, area, np.zeros(len(area), int), settings.trend_points, settings.seed).points
    data, position = placed(parts, points.cell, system, "bilinear", series_of(system.slow, series))
    found = np.zeros(data.sizes["place"])
    found[position] = points.area
    return sequences(data, system), found


def factors(system: System) -> dict[str, tuple[str, ...]]:
    """Drivers of each factor: the weather, and each slow driver that follows a series of the atmosphere."""
    return {CLIMATE: system.forcing} | {one.name: (one.name,) for one in system.slow if one.series}


def held(data: SequenceSet, names: Sequence[str], years: int, repeat: bool) -> SequenceSet:
    """``data`` with the drivers ``names`` as in its first ``years`` years: their days again and again in their order
    (``repeat``), or the mean of each day of the year over them."""
    year, day = data.dates.year.to_numpy(), data.dates.dayofyear.to_numpy()
    first = np.stack([_days(year, day, year[0] + n, np.arange(1, 367)) for n in range(years)])  # (year, day)
    turn = (year - year[0]) % years
    made = {}
    for name in names:
        given = data.drivers[name]
        made[name] = given[first[turn, day - 1]] if repeat else given[first].mean(axis=0, dtype=float)[day - 1]
    kept = {name: values.astype(np.float32) for name, values in made.items()}
    return replace(data, drivers={**data.drivers, **kept})


def _days(year: Days, day: Days, of: int, wanted: Days) -> Days:
    """Positions of the days ``wanted`` of the year ``of``; 31 December for a day that it lacks."""
    mine = np.flatnonzero(year == of)
    return mine[np.searchsorted(day[mine], np.minimum(wanted, day[mine[-1]]))]


def changing(
    model: Model,
    data: SequenceSet,
    shares: Mapping[str, float],
    moving: Sequence[str],
    began: Mapping[str, FloatArray] | None = None,
) -> Model:
    """``model`` under attributes that were ``shares`` of those of ``data`` in its first year: those of ``moving`` are
    as in ``data`` in its last year, and change in equal steps of years; the others stay as they were.

    ``began`` are the fluxes under the attributes of the first year (:func:`_scaled`), where they are at hand.
    """
    if not shares:
        return model
    ended = _scaled(data, shares, (name for name in shares if name not in moving))
    year = data.dates.year.to_numpy()
    part = ((year - year[0]) / (year[-1] - year[0]))[:, None]

    def made(driven: SequenceSet) -> dict[str, FloatArray]:
        first = model(replace(driven, statics=_scaled(data, shares, shares))) if began is None else began
        last = model(replace(driven, statics=ended)) if moving else first
        return {name: (1 - part) * first[name] + part * last[name] for name in first}

    return made


def _scaled(data: SequenceSet, shares: Mapping[str, float], names: Iterable[str]) -> dict[str, FloatArray]:
    """Attributes of ``data``, those of ``names`` times their share; what would leave the valid range of its variable
    stays at the edge."""
    made = {name: data.statics[name] * np.float32(shares[name]) for name in names}
    return {**data.statics, **{name: np.clip(of, *variables.get(name).valid) for name, of in made.items()}}


def trends(
    model: Model,
    data: SequenceSet,
    area: Array,
    system: System,
    years: int,
    shares: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Trend of the mean flux of all places that each factor makes (``flux, factor, trend, low, high, unit``).

    ``area`` (place,) is what each place stands for; factors are held at the first ``years`` years, attributes of which
    ``shares`` says how they began (:func:`changing`) at their first. ``all`` is the trend
    of the run, ``none`` that with every factor held: the drift of the model and what repeated years are by themselves.
    ``all`` = ``none`` + the factors + ``(interaction)``. ``low`` and ``high``: 90 % interval of the slope of annual
    values (Student's t about the line). Raises :class:`InputError` for too few years.
    """
    count = len(np.unique(data.dates.year))
    fewest = EvaluateBlock(held_years=years).fewest_trend_years
    if count < fewest:
        raise InputError(
            f"{counted(count, 'year')}, of which the first {years} are to be repeated",
            hint=f"give {fewest} years or more, or fewer to repeat (evaluate.held_years)",
        )
    shares = dict(shares or {})
    began = model(replace(data, statics=_scaled(data, shares, shares))) if shares else None

    def run(
        driven: SequenceSet, moving: Sequence[str], began: Mapping[str, FloatArray] | None = None
    ) -> dict[str, Array]:
        return _annual(changing(model, data, shares, moving, began)(driven), data, area, system)

    known, constant, runs = factors(system), data, {ALL: run(data, [*shares], began)}
    for name, drivers in known.items():
        runs[name] = run(held(data, drivers, years, name == CLIMATE), [*shares])
        constant = held(constant, drivers, years, name == CLIMATE)
    for name in shares:
        runs[name] = run(data, [other for other in shares if other != name], began)
    runs[NONE] = run(constant, [])
    rows = []
    for flux, whole in runs[ALL].items():
        parts = {name: whole - runs[name][flux] for name in (*known, *shares)}
        left = whole - runs[NONE][flux] - np.sum(list(parts.values()), axis=0)
        unit = f"{variables.get(flux).units} yr-1"
        for factor, series in {ALL: whole, **parts, INTERACTION: left, NONE: runs[NONE][flux]}.items():
            rows.append((flux, factor, *slope(series), unit))
    return pd.DataFrame(rows, columns=["flux", "factor", "trend", "low", "high", "unit"])


def _annual(made: Mapping[str, FloatArray], data: SequenceSet, area: Array, system: System) -> dict[str, Array]:
    """Means over the places, by area, and the days of each year, of the fluxes that the model makes."""
    year = np.unique(data.dates.year, return_inverse=True)[1]
    found = {}
    for name in system.flux_names:
        if name in made:
            daily = np.average(np.asarray(made[name], float), axis=1, weights=area)
            found[name] = np.bincount(year, daily) / np.bincount(year)
    return found


def slope(values: Array) -> tuple[float, float, float]:
    """Slope of ``values`` (year,) by least squares, per year, and the ends of its 90 % interval."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    found = float(x @ values / (x @ x))
    rest = values - values.mean() - found * x
    half = stdtrit(len(x) - 2, 0.95) * np.sqrt(rest @ rest / (len(x) - 2) / (x @ x))
    return found, found - float(half), found + float(half)


def write_trends(
    output: str | Path, data: SequenceSet, area: Array, members: Sequence[Path], system: System, settings: EvaluateBlock
) -> pd.DataFrame:
    """Write :func:`trends` of every member, and of the process model with its parameters, as CSV; return them.

    Without ``members`` the process model runs with its defaults. Raises :class:`InputError` as :func:`trends`, and
    :class:`ConfigError` for attributes in the settings that ``system`` does not read.
    """
    settings.refuse_attributes(system.key, system.statics)
    tables = []
    for name, number, model in _models(members, system):
        print(f"trends of the {name}, member {number}", file=sys.stderr, flush=True)
        found = trends(model, data, area, system, settings.held_years, settings.trend_attributes)
        tables.append(found.assign(model=name, member=number))
    about = {"first_year": data.dates[0].year, "last_year": data.dates[-1].year, "points": len(area)}
    table = pd.concat(tables, ignore_index=True).assign(**about)[list(COLUMNS)]
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table


def _models(members: Sequence[Path], system: System) -> Iterator[tuple[str, int, Model]]:
    if not members:
        yield "process", 0, partial(_process, system=system, given=None)
    for number, path in enumerate(members):
        member = Member.load(path)
        yield "network", number, partial(predict, member.network)
        yield "process", number, partial(_process, system=system, given=member.meta.get("theta"))


def _process(data: SequenceSet, system: System, given: Mapping[str, float] | None) -> dict[str, FloatArray]:
    """The process model under the parameters and the structure of a member, its defaults where it has none."""
    places = len(data.sites)
    theta = one_theta(given, system, places) if given else None
    return simulate_sites(data, system, slice(None), range(places), theta)

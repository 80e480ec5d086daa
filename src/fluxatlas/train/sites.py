"""Towers and chambers as sequences: those with meteorology, and those that measured soil temperature and moisture only.

A site without meteorology runs the last sub-module alone, where the system declares profiles that can stand in for the
weather. These are interpolated linearly across gaps of at most ``completion_gap_days``: longer ones end a segment, as
gaps in the meteorology do. What was not measured is assumed by the system (``System.without_weather``).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import variables
from ..drivers import slow_drivers
from ..errors import ConfigError, InputError, nearest
from ..files import read_made
from ..gases import AnnualSeries
from ..ingest.sites.completion import segments
from ..loading import load_object
from ..systems import System
from ..systems.forms import refuse_form
from ..tiles.soil import derive_statics
from .data import FloatArray, Segment, SequenceSet
from .site_periods import YEARLY, in_days, read_means, with_means
from .splits import blocks

TOLD = " (ingest/sites/report.json says what lacks of its weather)"
COMPLETION_GAP_DAYS = 7
"""Longest gap in days that is interpolated, where nothing else is said."""


@dataclass(frozen=True)
class SiteData:
    """All sites that can be used: ``sets`` with meteorology and without (either may be absent), never both empty."""

    sets: tuple[SequenceSet, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        return tuple(site for data in self.sets for site in data.sites)

    @property
    def block(self) -> npt.NDArray[np.int64]:
        return np.concatenate([data.block for data in self.sets])

    def places(self, hidden: Sequence[npt.NDArray[np.bool_]]) -> list[list[Any]]:
        """Name, latitude and longitude of the sites of which not every day is ``hidden`` (time, site) in each set."""
        return [
            [site, float(lat), float(lon)]
            for data, mask in zip(self.sets, hidden, strict=True)
            for number, (site, lat, lon) in enumerate(zip(data.sites, data.lat, data.lon, strict=True))
            if not mask[:, number].all()
        ]

    def count(self, variable: str) -> npt.NDArray[np.int64]:
        """Observed days and periods of ``variable`` per site, in the order of :attr:`sites`."""
        return np.concatenate([data.count(variable) for data in self.sets])


def read_sites(
    attributes: str | Path,
    forcing: str | Path,
    observations: str | Path,
    system: System,
    block_distance_km: float,
    series: Mapping[str, AnnualSeries],
    completion_gap_days: int = COMPLETION_GAP_DAYS,
    evaluate: bool = False,
    unobserved: bool = False,
    periods: str | Path | None = None,
) -> SiteData:
    """Sites of the three tables of docs/contracts.md; sites that cannot be used are named on stderr.

    ``series`` are those of the atmosphere that the slow drivers need; ``completion_gap_days`` is the longest gap of
    soil temperature and moisture that is interpolated at sites without meteorology (``sites.completion_gap_days``).
    Sites marked ``use: evaluate`` are left out unless ``evaluate``, those without observations unless ``unobserved``.
    ``periods`` is the table of means over months and the like, which count at sites with meteorology.

    Raises :class:`InputError` for an absent file or column, and where no site is left.
    """
    table = _read(attributes, ("site", "lat", "lon", "elevation")).set_index("site")
    weather = _read(forcing, ("site", "time", *system.forcing))
    observed = _read(observations, ("site", "time", "variable", "value", "sd"))
    for frame in (weather, observed):
        frame["time"] = pd.to_datetime(frame["time"]).astype("datetime64[ns]")
    observed = observed[np.isfinite(observed["value"])]
    if "origin" not in observed:
        observed["origin"] = "measured"
    longer = read_means(periods, system)
    seen = {*observed["site"], *longer["site"]}
    table = _usable(table, system, None if unobserved else seen, evaluate)
    driven = [site for site in table.index if site in set(weather["site"])]
    measured = _measured(
        observed, [site for site in table.index if site not in set(driven)], system, completion_gap_days, unobserved
    )
    kept = table.loc[[*driven, *measured]]
    if kept.empty:
        raise InputError("no site has attributes, observations and forcing", where=str(attributes), hint="check ingest")
    number = blocks(kept["lat"], kept["lon"], block_distance_km)
    sets = []
    if driven:
        part = _driven(kept.loc[driven], weather, observed, system, number[: len(driven)], series)
        yearly = {kind.variable for kind in system.observations if kind.support == YEARLY}
        sets.append(with_means(part, longer, yearly))
    if measured:
        sets.append(_undriven(kept.loc[list(measured)], measured, observed, system, number[len(driven) :], series))
    return SiteData(tuple(sets))


def handed(data: SiteData, given: Sequence[str], system: System) -> SiteData:
    """``data`` whose sites with meteorology hand the outputs ``given`` on, as far as they are measured, within their
    valid range; they are not learnt from then. The mean of a period is handed on by day
    (:func:`~fluxatlas.train.site_periods.in_days`).

    Raises :class:`ConfigError` for a name that no sub-module of ``system`` makes.
    """
    for name in given:
        if name not in system.intermediates:
            raise ConfigError(
                f"'{name}' is not made by a sub-module of {system.name}{nearest(name, system.intermediates)}",
                where="train.measured_inputs",
                hint=f"choose from {', '.join(system.intermediates)}",
            )

    def with_given(one: SequenceSet) -> SequenceSet:
        known = {name: in_days(one, name) for name in given}
        measured = {name: values for name, values in known.items() if np.isfinite(values).any()}
        bounds = {name: variables.get(name).valid for name in measured}
        return replace(one, overrides={name: np.clip(values, *bounds[name]) for name, values in measured.items()})

    return SiteData(tuple(with_given(one) if given and one.modules is None else one for one in data.sets))


def _read(path: str | Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_made(path, columns, by="`ingest sites` and `regrid sites`")
    if "site" in table:
        table["site"] = table["site"].astype(str)
    return table


def _usable(table: pd.DataFrame, system: System, observed: set[str] | None, evaluate: bool) -> pd.DataFrame:
    """Rows with observations (None: or without) and all attributes, those to be evaluated only where asked for."""
    needed = [*system.attributes, *(name for layer in system.monthly for name in _columns(table, layer))]
    lacking = [name for name in needed if name not in table]
    if lacking:
        raise InputError(f"columns {', '.join(lacking)} are absent", where="site attributes", hint="see regrid")
    table = table if observed is None else table[table.index.isin(observed)]
    if "use" in table and not evaluate:
        table = table[table["use"] != "evaluate"]
    complete = np.isfinite(table[needed].to_numpy(float)).all(axis=1)
    for site in table.index[~complete]:
        absent = dict.fromkeys(re.sub(r"_\d\d$", "", name) for name in needed if pd.isna(table.loc[site, name]))
        _say(f"site {site} is left out: no {', '.join(absent)}")
    return table[complete]


def _columns(table: pd.DataFrame, layer: str) -> list[str]:
    """Columns ``<layer>_01`` ... ``<layer>_12`` of the monthly climatology, or the one ``<layer>`` for all months."""
    monthly = [f"{layer}_{month:02d}" for month in range(1, 13)]
    return monthly if set(monthly) <= set(table) else [layer]


def _monthly(table: pd.DataFrame, system: System) -> dict[str, FloatArray]:
    """Monthly layers (12, site) of the system."""
    found = {}
    for layer in system.monthly:
        columns = _columns(table, layer)
        values = table[columns].to_numpy(float).T
        found[layer] = values if len(columns) == 12 else np.repeat(values, 12, axis=0)
    return found


def _statics(table: pd.DataFrame, system: System) -> dict[str, FloatArray]:
    given = {name: table[name].to_numpy(float) for name in system.attributes}
    return derive_statics(given, system)


def _axis(times: pd.Series[Any]) -> pd.DatetimeIndex:
    return pd.date_range(times.min().normalize(), times.max().normalize(), freq="D")


def _series(
    frame: pd.DataFrame, column: str, dates: pd.DatetimeIndex, position: dict[str, int]
) -> npt.NDArray[np.float32]:
    """Column of a long table as (time, site); rows of other sites or days are passed over."""
    found = np.full((len(dates), len(position)), np.nan, np.float32)
    day = dates.get_indexer(pd.DatetimeIndex(frame["time"]).normalize())
    site = frame["site"].map(position).to_numpy(float)
    use = (day >= 0) & np.isfinite(site)
    found[day[use], site[use].astype(int)] = frame[column].to_numpy(np.float32)[use]
    return found


def _targets(
    observed: pd.DataFrame, system: System, dates: pd.DatetimeIndex, position: dict[str, int]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    targets: dict[str, FloatArray] = {}
    sd: dict[str, FloatArray] = {}
    for name in system.simulated:
        rows = observed[(observed["variable"] == name) & (observed["origin"] == "measured")]
        if rows["site"].isin(list(position)).any() or name == system.flux:
            targets[name] = _series(rows, "value", dates, position)
            sd[name] = _series(rows, "sd", dates, position)
    return targets, sd


def _segments(complete: npt.NDArray[np.bool_]) -> tuple[Segment, ...]:
    """Gap-free spans of ``complete`` (time, site)."""
    found = []
    for site in range(complete.shape[1]):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], complete[:, site].astype(int), [0]])))
        found += [Segment(site, int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
    return tuple(found)


def _driven(
    table: pd.DataFrame,
    weather: pd.DataFrame,
    observed: pd.DataFrame,
    system: System,
    block: npt.NDArray[np.int64],
    series: Mapping[str, AnnualSeries],
) -> SequenceSet:
    position = {site: index for index, site in enumerate(table.index)}
    weather = weather[weather["site"].isin(list(position))]
    dates = _axis(weather["time"])
    drivers: dict[str, FloatArray] = {name: _series(weather, name, dates, position) for name in system.forcing}
    complete = np.all([np.isfinite(values) for values in drivers.values()], axis=0)
    drivers |= slow_drivers(system.slow, dates, table["lat"].to_numpy(float), _monthly(table, system), series)
    targets, sd = _targets(observed, system, dates, position)
    return SequenceSet(
        dates=dates,
        sites=tuple(position),
        lat=table["lat"].to_numpy(float),
        lon=table["lon"].to_numpy(float),
        block=block,
        drivers=drivers,
        statics=_statics(table, system),
        targets={name: np.where(complete, values, np.float32(np.nan)) for name, values in targets.items()},
        segments=_segments(complete),
        sd=sd,
        forms=_forms(table, system),
    )


def _forms(table: pd.DataFrame, system: System) -> dict[str, npt.NDArray[np.int64]]:
    """Codes (site,) of the structural choices of ``system`` that ``table`` states, those of the default where a site is
    silent; raises :class:`InputError` for a form that it does not have."""
    found = {}
    for choice, names in system.choices.items():
        stated = table[choice].fillna("").astype(str) if choice in table else pd.Series("", index=table.index)
        if not (stated != "").any():
            continue
        for site, form in stated.items():
            refuse_form(system, choice, form, str(site))
        found[choice] = np.array([names.index(form or names[0]) for form in stated], np.int64)
    return found


def _measured(
    observed: pd.DataFrame, sites: list[str], system: System, max_gap: int, unobserved: bool
) -> dict[str, pd.DataFrame]:
    """The profiles of the system (columns) by day, of each site that has a part of each, and, unless ``unobserved``,
    the flux.

    A depth without data takes those of the nearest depth above, or else below, that has some. Days that ingest
    completed (``origin``) count here, but never as observations. Gaps up to ``max_gap`` days are interpolated; on other
    days a depth is like the one above it, and days without data at the top hold nothing.
    """
    found: dict[str, pd.DataFrame] = {}
    for site in sites:
        rows = observed[observed["site"] == site].pivot_table(index="time", columns="variable", values="value")
        present = {profile: [name for name in profile if name in rows] for profile in system.profiles}
        lacking = [profile[0] for profile, names in present.items() if not names]
        if lacking or not present or (system.flux not in rows and not unobserved):
            absent = " and ".join(f"no {name}" for name in lacking or [system.flux])
            _say(f"site {site} is left out: no meteorology and {absent if present else 'nothing in its place'}{TOLD}")
            continue
        filled = pd.DataFrame(
            {name: pd.concat(segments(rows[_stand_in(name, profile, names)], max_gap))
             for profile, names in present.items() for name in profile}
        )  # fmt: skip
        for profile in system.profiles:
            filled[list(profile)] = filled[list(profile)].ffill(axis=1)
        filled = filled.dropna()
        if filled.empty:
            tops = " and ".join(p[0] for p in system.profiles)
            _say(f"site {site} is left out: no meteorology and no day with {tops}{TOLD}")
            continue
        found[site] = filled
    return found


def _stand_in(name: str, profile: tuple[str, ...], present: list[str]) -> str:
    """The depth of ``profile`` that gives the values of ``name``: the nearest above that has some, else the highest."""
    above = [other for other in present if profile.index(other) <= profile.index(name)]
    return above[-1] if above else present[0]


def _undriven(
    table: pd.DataFrame,
    measured: dict[str, pd.DataFrame],
    observed: pd.DataFrame,
    system: System,
    block: npt.NDArray[np.int64],
    series: Mapping[str, AnnualSeries],
) -> SequenceSet:
    position = {site: index for index, site in enumerate(table.index)}
    dates = _axis(observed.loc[observed["site"].isin(list(position)), "time"])
    statics = _statics(table, system)
    rows = [measured[site].reindex(dates) for site in position]
    names = [name for profile in system.profiles for name in profile]
    soil = {name: np.stack([row[name].to_numpy(np.float32) for row in rows], axis=1) for name in names}
    complete = np.all([np.isfinite(soil[profile[0]]) for profile in system.profiles], axis=0)
    for site in table.index[table["elevation"].isna()]:
        _say(f"site {site} has no elevation: air pressure of sea level is assumed (1 % too high per 85 m)")
    elevation = table["elevation"].fillna(0.0).to_numpy(float)
    assumed, overrides = load_object(str(system.without_weather))(soil, statics, elevation)
    lat = table["lat"].to_numpy(float)
    drivers: dict[str, FloatArray] = slow_drivers(system.slow, dates, lat, _monthly(table, system), series) | assumed
    targets, sd = _targets(observed[observed["variable"] == system.flux], system, dates, position)
    return SequenceSet(
        dates=dates,
        sites=tuple(position),
        lat=table["lat"].to_numpy(float),
        lon=table["lon"].to_numpy(float),
        block=block,
        drivers=drivers,
        statics=statics,
        targets={name: np.where(complete, values, np.float32(np.nan)) for name, values in targets.items()},
        segments=_segments(complete),
        sd=sd,
        overrides=overrides,
        modules=(system.submodules[-1].name,),
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""One series of a site from its chambers, free of which of them ran: an additive fit of days and chambers.

The mean over the chambers that ran on a day changes with *which* ran. Here the value of chamber c on day d is

    y[d, c] = day[d] + effect[c] + noise[d, c]

and the value of the site is ``day[d]`` plus the mean of the effects over all chambers: each has the same weight on
every day, whether it ran or not. Days are free, effects are drawn from a normal distribution whose spread is estimated
(Henderson 1975, doi:10.2307/2529430). Effects that the data decide are thus those of least squares. Sets of chambers
that have no day in common cannot be told from the time between them: each is taken to be a random part of all chambers,
and the sd of its days holds the spread between chambers. Weights follow from the number of measurements; Huber's
function (1964, doi:10.1214/aoms/1177703732) bounds what single bursts do. The fit is additive: a chamber whose fluxes
are a multiple of another's through the seasons is described by its mean distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

FloatArray = npt.NDArray[np.float64]

HUBER = 2.5
"""Departures beyond so many standard deviations count less (our choice: 1.3 % of normal noise)."""
FREEDOM = 5
"""Fewest chamber-days beyond the number of effects for which noise can be told from effects (our choice)."""
SHRUNK = 0.1
"""Least part of the variance between fitted effects that is taken as true (our choice)."""
PAIRS = 20
"""Fewest pairs of successive days for which the memory of the noise is estimated."""
HOT = 3.5
"""Robust standard deviations from the median of the chambers beyond which one is a hot spot (Iglewicz and Hoaglin)."""
HOT_CHAMBERS = 5
"""Fewest chambers among which a hot spot can be told."""
LEVEL = 2.0
"""Standard deviations from zero beyond which the sign of a chamber's level is told."""
COLUMNS = {
    "chamber": "object",
    **dict.fromkeys(("effect", "sd", "level"), "float64"),
    **dict.fromkeys(("days", "set"), "int64"),
    "kind": "object",
    "hot_spot": "bool",
    "between_sd": "float64",
    "adjusted": "bool",
}
"""Columns of the table of chambers, with their types."""


@dataclass(frozen=True)
class Composition:
    """What :func:`fit` found.

    ``days``: by day ``value`` and ``sd``. ``chambers``: a row per chamber (:data:`COLUMNS`). ``adjusted``: whether the
    fit could be made; else ``days`` are plain means over the chambers of a day. ``noise``: standard deviation of a
    chamber-day about the fit. ``memory``: correlation of noise on successive days. ``share``: part of the variance of
    the daily values that goes with which chambers ran, before and after. ``sets``: sets of chambers that no day links.
    """

    days: pd.DataFrame
    chambers: pd.DataFrame
    adjusted: bool
    noise: float
    memory: float
    share: tuple[float, float]
    sets: int

    def doubt(self) -> str:
        """What a user should know of a fit that could not be made, or not of all chambers together; '' for nothing."""
        if not self.adjusted and len(self.chambers) > 1:
            return "too few common days to tell chambers from days: days are means over the chambers that ran"
        if self.sets > 1:
            return (
                f"{self.sets} sets of chambers have no day in common: their levels cannot be told from the time "
                "between them, and the sd of their days holds the spread between chambers"
            )
        return ""

    def text(self) -> str:
        """One sentence for people."""
        level, between = float(self.days["value"].mean()), float(self.chambers["between_sd"].iloc[0])
        how = "adjusted for which ran" if self.adjusted else "plain means over those that ran"
        odd = [
            f"{', '.join(self.chambers.loc[rows, 'chamber'])} {word}"
            for rows, word in (
                (self.chambers["kind"] == "source", "a source"),
                (self.chambers["hot_spot"], "a hot spot"),
            )
            if rows.any()
        ]
        before, after = (max(share, 0.0) for share in self.share)
        lines = [
            f"{len(self.chambers)} chambers, {how}: mean {level:.3g}, sd between chambers {between:.2g}",
            f"which of them ran makes {before:.0%} of the variance of plain daily means, {after:.0%} of the series",
        ]
        return "; ".join(lines + odd)

    def as_dict(self) -> dict[str, Any]:
        """For report.json: effects by chamber, the numbers of the site, and the same in words (``text``)."""
        level = float(self.days["value"].mean())
        between = float(self.chambers["between_sd"].iloc[0])
        signed = bool((self.chambers["kind"] != "").any())
        effects = self.chambers.set_index("chamber")[["effect", "sd", "level", "days"]]
        return {
            "adjusted": self.adjusted,
            "effects": {str(name): row.dropna().to_dict() for name, row in effects.iterrows()},
            "mean": level,
            "between_sd": between,
            "cv": between / abs(level) if level and signed else None,
            "share_of_variance": {"mean": self.share[0], "series": self.share[1]},
            "noise_sd": self.noise if np.isfinite(self.noise) else None,
            "memory": self.memory,
            "sets": self.sets,
            "sources": list(self.chambers.loc[self.chambers["kind"] == "source", "chamber"]),
            "hot_spots": list(self.chambers.loc[self.chambers["hot_spot"], "chamber"]),
            "net_source": signed and level > 0,
            "text": self.text(),
        }


def chamber_table(found: Mapping[tuple[str, str], Composition], sites: Iterable[str]) -> pd.DataFrame:
    """The table ``chambers.parquet``: ``site, variable`` and :data:`COLUMNS`, of the ``sites`` that are kept."""
    kept = set(sites)
    parts = [made.chambers.assign(site=s, variable=v) for (s, v), made in found.items() if s in kept]
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMNS.items()})
    table = pd.concat(parts, ignore_index=True) if parts else empty.assign(site="", variable="")
    table = table[["site", "variable", *COLUMNS]].astype({"site": object, "variable": object, **COLUMNS})
    return table.sort_values(["site", "variable", "chamber"], ignore_index=True)


@dataclass(frozen=True)
class _Effects:
    """Effects ``b`` by chamber and all that the errors of days follow from."""

    b: FloatArray
    covariance: FloatArray
    """Of the effects, (chamber, chamber)."""
    weights: FloatArray
    """Of the chamber-days, (day, chamber), in units of 1 / ``noise``²."""
    residual: FloatArray
    noise: float
    memory: float
    between: float


def fit(table: pd.DataFrame, *, adjust: bool = True, signed: bool = False) -> Composition:
    """The series of a site from the chamber-days ``table``: ``day, chamber, value, n, scatter``.

    A row per day and chamber, values finite. ``n``: measurements in a value, ``scatter``: their variance within the
    day (NaN where there is one). ``signed``: the variable is a flux, so that chambers are sources or sinks. Where
    ``adjust`` is false, of one chamber, and where fewer than :data:`FREEDOM` chamber-days are left to tell noise from
    effects, days are plain means over their chambers with their standard error.
    """
    d, days = pd.factorize(table["day"], sort=True)
    c, names = pd.factorize(table["chamber"], sort=True)
    y, n = table["value"].to_numpy(float), table["n"].to_numpy(float)
    ran = np.zeros((len(days), len(names)))
    np.add.at(ran, (d, c), 1.0)
    member, sets = _sets(d, c, ran.shape)
    shared = ran.sum(axis=1)[d] > 1
    freedom = int(shared.sum() - np.unique(d[shared]).size - len(names) + sets)
    plain = _plain_days(table, d, days)
    mean = plain["value"].to_numpy(float)
    found = None
    if adjust and len(names) > 1 and freedom >= FREEDOM:
        found = _effects(y, d, c, n, table["scatter"].to_numpy(float), days, member)
    if found is None:
        average = pd.Series(y).groupby(c).mean().to_numpy(float)
        spread = float(average.std(ddof=1)) if len(names) > 1 else np.nan
        missing = np.nan_to_num(spread) * np.sqrt(np.clip(1 / ran.sum(axis=1) - 1 / len(names), 0, None))
        result = plain.assign(sd=np.maximum(plain["sd"], missing if adjust else 0.0))
        b, sd, noise, memory, between = average - average.mean(), np.full(len(names), np.nan), np.nan, 0.0, spread
    else:
        result = _days(found, y, d, c, days)
        centred = np.eye(len(names)) - 1 / len(names)
        b, sd = centred @ found.b, np.sqrt(np.diag(centred @ found.covariance @ centred))
        noise, memory, between = found.noise, found.memory, found.between
    composed = (ran @ b) / ran.sum(axis=1)
    share = (_share(mean, composed), _share(result["value"].to_numpy(float), composed))
    repeats = _repeats(memory, c, days.to_numpy()[d])
    chambers = _chambers(names, y, d, c, result["value"].to_numpy(float), repeats, signed)
    chambers = chambers.assign(effect=b, sd=sd, set=member, between_sd=between, adjusted=found is not None)
    return Composition(result, chambers[list(COLUMNS)], found is not None, noise, memory, share, sets)


def _sets(d: npt.NDArray[np.intp], c: npt.NDArray[np.intp], shape: tuple[int, int]) -> tuple[npt.NDArray[np.intp], int]:
    """Number of the connected set of every chamber, and how many sets there are: chambers linked by common days."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = sum(shape)
    graph = coo_array((np.ones(len(d)), (d, c + shape[0])), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    return np.unique(label[shape[0] :], return_inverse=True)[1].astype(np.intp), int(count)


def _effects(
    y: FloatArray,
    d: npt.NDArray[np.intp],
    c: npt.NDArray[np.intp],
    n: FloatArray,
    scatter: FloatArray,
    days: pd.Index,
    member: npt.NDArray[np.intp],
) -> _Effects:
    """Effects of chambers by iterated least squares with Huber's weights, then with the spread of effects as prior."""
    size, count = len(member), int(member.max()) + 1
    known = scatter[np.isfinite(scatter)]
    single = float(np.median(known)) / n if len(known) else np.zeros(len(y))  # variance of the mean of n measurements
    base, robust = np.ones(len(y)), np.ones(len(y))
    residual, scale, b, least = y, 1.0, np.zeros(size), max(1e-4 * float(y.std()), 1e-9)
    for step in range(50):
        weights, total, normal, right = _normal(y, d, c, base * robust, (len(days), size))
        inverse = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
        b = inverse @ right
        residual = y - b[c]
        residual -= np.bincount(d, base * robust * residual)[d] / total[d]
        z = residual * np.sqrt(base)
        apart = np.eye(size)[c] - (weights / total[:, None])[d]
        free = 1 - weights[d, c] * (1 / total[d] + ((apart @ inverse) * apart).sum(axis=1))
        told = free > 1e-6  # the fit goes through others whatever they are
        scale = max(1.4826 * float(np.median(np.abs(z[told]) / np.sqrt(free[told]))), least)
        new = np.minimum(1.0, HUBER * scale / np.maximum(np.abs(z), 1e-300))
        settled = np.abs(new - robust).max() < 1e-3
        robust = new
        if step == 5:
            rest = max(scale**2 - float(single[told].mean()), 0.01 * scale**2)
            base = 1 / (rest + single)
            base /= base.mean()
        elif settled and step > 5:
            break
    weights = _normal(y, d, c, base * robust, (len(days), size))[0]
    memory = _memory(y - b[c], d, c, days)
    lasting = _repeats(memory, c, days.to_numpy()[d])[c]  # noise that lasts tells less about effects
    _, _, normal, right = _normal(y, d, c, base * robust / lasting, (len(days), size))
    normal, right = normal / scale**2, right / scale**2
    within = b - (np.bincount(member, b) / np.bincount(member))[member]
    raw = float(within @ within) / (size - count)
    error = float(np.trace(np.linalg.pinv(normal, rcond=1e-9, hermitian=True))) / (size - count)
    between = max(raw - error, SHRUNK * raw, 1e-6 * scale**2)
    covariance: FloatArray = np.linalg.inv(normal + np.eye(size) / between).astype(np.float64)
    return _Effects(covariance @ right, covariance, weights, residual, scale, memory, float(np.sqrt(between)))


def _normal(
    y: FloatArray, d: npt.NDArray[np.intp], c: npt.NDArray[np.intp], w: FloatArray, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """(weights (day, chamber), their sums by day, normal matrix and right side of the effects without the days)."""
    weights: FloatArray = np.zeros(shape)
    np.add.at(weights, (d, c), w)
    total: FloatArray = weights.sum(axis=1)
    normal: FloatArray = np.diag(weights.sum(axis=0)) - weights.T @ (weights / total[:, None])
    right: FloatArray = np.bincount(c, w * (y - (np.bincount(d, w * y) / total)[d]), shape[1]).astype(np.float64)
    return weights, total, normal, right


def _memory(y: FloatArray, d: npt.NDArray[np.intp], c: npt.NDArray[np.intp], days: pd.Index) -> float:
    """Correlation of noise on successive days, 0 to 0.95, from ``y`` without the effects of chambers.

    Of two days the chambers that ran on both count, as departures from their mean, so that what others did does not.
    """
    values = np.full((len(days), int(c.max()) + 1), np.nan)
    values[d, c] = y
    first = np.flatnonzero(np.diff(days.to_numpy()) == np.timedelta64(1, "D"))
    both = np.isfinite(values[first]) & np.isfinite(values[first + 1])
    several = both.sum(axis=1, keepdims=True)
    one, two = (np.where(both, values[at], 0.0) for at in (first, first + 1))
    one, two = (
        np.where(both & (several > 1), x - x.sum(axis=1, keepdims=True) / np.maximum(several, 1), 0.0)
        for x in (one, two)
    )
    if (both & (several > 1)).sum() < PAIRS:
        return 0.0
    return float(np.clip((one * two).sum() / max(np.sqrt((one**2).sum() * (two**2).sum()), 1e-300), 0.0, 0.95))


def _repeats(memory: float, c: npt.NDArray[np.intp], day: npt.NDArray[np.datetime64]) -> FloatArray:
    """How many days of a chamber are worth one independent one, where the noise keeps ``memory`` from day to day."""
    found = np.ones(int(c.max()) + 1)
    for chamber in range(len(found)) if memory > 0 else ():
        t = day[c == chamber].astype("datetime64[D]").astype(float)
        found[chamber] = (memory ** np.abs(t[:, None] - t)).sum() / len(t)
    return found


def _days(
    found: _Effects, y: FloatArray, d: npt.NDArray[np.intp], c: npt.NDArray[np.intp], days: pd.Index
) -> pd.DataFrame:
    """Value and sd of every day: the mean of what ran, moved by the effects to the mean over all chambers."""
    total = found.weights.sum(axis=1)
    missing = 1 / len(found.b) - found.weights / total[:, None]
    value = np.bincount(d, found.weights[d, c] * y) / total + missing @ found.b
    variance = found.noise**2 / total + np.einsum("dc,ce,de->d", missing, found.covariance, missing)
    return pd.DataFrame({"value": value, "sd": np.sqrt(variance)}, index=days)


def _plain_days(table: pd.DataFrame, d: npt.NDArray[np.intp], days: pd.Index) -> pd.DataFrame:
    """Mean over the chambers of a day, and its standard error: from three chambers on from their spread, else from that
    of three values or more, else 0."""
    by_day = table["value"].groupby(d)
    mean, count = by_day.mean().to_numpy(float), by_day.size().to_numpy(float)
    n = np.bincount(d, table["n"])
    centre = np.bincount(d, table["n"] * table["value"]) / n
    inner = np.bincount(d, np.nan_to_num(table["scatter"]) * (table["n"] - 1))
    outer = np.bincount(d, table["n"] * (table["value"].to_numpy(float) - centre[d]) ** 2)
    values = np.sqrt((inner + outer) / np.maximum(n - 1, 1) / n)
    error = np.where(count >= 3, by_day.std().to_numpy(float) / np.sqrt(count), np.where(n >= 3, values, 0.0))
    return pd.DataFrame({"value": mean, "sd": error}, index=days)


def _share(series: FloatArray, composed: FloatArray) -> float:
    """Part of the variance of ``series`` that goes with ``composed``: covariance over variance."""
    if len(series) < 2 or series.std() == 0:
        return 0.0
    return float(np.cov(series, composed)[0, 1] / series.var(ddof=1))


def _chambers(
    names: pd.Index,
    y: FloatArray,
    d: npt.NDArray[np.intp],
    c: npt.NDArray[np.intp],
    value: FloatArray,
    repeats: FloatArray,
    signed: bool,
) -> pd.DataFrame:
    """Level of every chamber over the days of the site with its sign, and whether it is a hot spot.

    Levels are means with nothing bounded, since bursts are what makes a hot spot.
    """
    by_chamber = pd.Series(y - value[d]).groupby(c)
    days = by_chamber.size().to_numpy()
    level = float(value.mean()) + by_chamber.mean().to_numpy(float)
    error = by_chamber.std().to_numpy(float) * np.sqrt(repeats / days)
    with np.errstate(invalid="ignore"):
        sign = np.where(np.abs(level) > LEVEL * error, np.sign(level), 0)
    kind = np.select([sign > 0, sign < 0], ["source", "sink"], "unclear") if signed else np.full(len(level), "")
    hot = np.zeros(len(level), bool)
    if len(level) >= HOT_CHAMBERS:
        away = np.abs(level - np.median(level))
        hot = away > HOT * 1.4826 * np.median(away)
    return pd.DataFrame(
        {"chamber": [str(name) for name in names], "level": level, "days": days, "kind": kind, "hot_spot": hot}
    )

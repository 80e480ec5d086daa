"""Models at sites they have not seen: what each site says, and what all sites together say with intervals.

Sites differ in their number of days by a factor of a hundred and neighbours resemble each other. A pooled score is
therefore the score of a few long records, and a score without an interval claims more than a handful of sites can tell.
Scores stand here by protocol (:data:`PROTOCOLS`), each with a bootstrap interval over clusters of sites.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import InputError
from ..train.splits import blocks
from .clusters import interval, quantile, resamples
from .coverage import coverage_table
from .metrics import scores
from .scales import SCALES
from .skill import read_predictions

PathLike = str | Path
Array = npt.NDArray[np.float64]

SITE_COLUMNS = [
    *("model", "target", "site", "cluster", "scale"),
    *("n", "r2", "r", "rmse", "bias", "observed_mean", "unit"),
]
COLUMNS = [
    *("model", "against", "target", "subset", "protocol", "scale", "score"),
    *("value", "low", "high", "sites", "clusters", "unit"),
]


@dataclass(frozen=True)
class SiteSums:
    """Sums over the days of each site (site,): what pooled and balanced scores are made of."""

    name: npt.NDArray[np.object_]
    cluster: npt.NDArray[np.int64]
    n: Array
    o: Array
    p: Array
    oo: Array
    ee: Array
    """Squared errors."""
    noise: Array
    """Squared standard errors that the observations state; NaN where they state none."""

    @classmethod
    def of(cls, days: pd.DataFrame, cluster: pd.Series) -> SiteSums:
        """``days`` has ``site, observed, predicted, sd``; ``cluster`` numbers by site."""
        o, p = days["observed"], days["predicted"]
        table = pd.DataFrame({"site": days["site"], "n": 1.0, "o": o, "p": p, "oo": o**2, "ee": (p - o) ** 2})
        table["noise"] = days["sd"] ** 2
        sums = table.groupby("site").sum(min_count=1)
        columns = {str(name): sums[name].to_numpy(np.float64) for name in sums}
        known = days["sd"].notna().groupby(days["site"]).all()
        columns["noise"] = np.where(known, columns["noise"], np.nan)
        return cls(sums.index.to_numpy(dtype=object), cluster[sums.index].to_numpy(np.int64), **columns)

    def only(self, kept: npt.NDArray[np.bool_]) -> SiteSums:
        """The sites of the mask ``kept`` (site,)."""
        return SiteSums(**{name: getattr(self, name)[kept] for name in self.__dataclass_fields__})

    def resamples(self, count: int, seed: int) -> Array:
        """How often each site counts (:func:`fluxatlas.evaluate.clusters.resamples`)."""
        return resamples(self.cluster, count, seed)


# --- scores of all sites for each row of weights (resample, site); NaN where they are not defined ---------------------


def pooled(s: SiteSums, w: Array) -> dict[str, Array]:
    """Every day counts the same."""
    return _skill(w @ s.n, w @ s.o, w @ s.p, w @ s.oo, w @ s.ee)


def balanced(s: SiteSums, w: Array) -> dict[str, Array]:
    """Every site counts the same, however long its record."""
    return _skill(w.sum(axis=1), w @ (s.o / s.n), w @ (s.p / s.n), w @ (s.oo / s.n), w @ (s.ee / s.n))


def between(s: SiteSums, w: Array) -> dict[str, Array]:
    """Means of sites: is the level of an unseen site right?"""
    o, p = s.o / s.n, s.p / s.n
    return _skill(w.sum(axis=1), w @ o, w @ p, w @ o**2, w @ (p - o) ** 2)


def within(s: SiteSums, w: Array) -> dict[str, Array]:
    """Departures of days from the site's own mean, every site the same: is the course of an unseen site right?"""
    variance = s.oo / s.n - (s.o / s.n) ** 2
    error = np.maximum(s.ee / s.n - ((s.p - s.o) / s.n) ** 2, 0)
    return {"r2": _ratio(w @ error, w @ variance), "rmse": np.sqrt(w @ error / w.sum(axis=1))}


def ceiling(s: SiteSums, w: Array) -> dict[str, Array]:
    """What a perfect model would reach in ``balanced``, given the errors that the observations state."""
    count = w.sum(axis=1)
    spread = w @ (s.oo / s.n) - (w @ (s.o / s.n)) ** 2 / count
    return {"r2": _ratio(w @ (s.noise / s.n), spread), "rmse": np.sqrt(w @ (s.noise / s.n) / count)}


PROTOCOLS: dict[str, Callable[[SiteSums, Array], dict[str, Array]]] = {
    function.__name__: function for function in (pooled, balanced, between, within, ceiling)
}
"""Besides these: ``sites`` (quartiles over sites, as CarbonFluxBench gives them, arXiv:2603.09868) and ``scales``
(median and 90th percentile over sites of six time scales, as FLUXtrapolation does, 2026)."""


def _skill(n: Array, o: Array, p: Array, oo: Array, ee: Array) -> dict[str, Array]:
    return {"r2": _ratio(ee, oo - o**2 / n), "rmse": np.sqrt(ee / n), "bias": (p - o) / n}


def _ratio(error: Array, spread: Array) -> Array:
    """1 - error / spread; NaN without a spread."""
    return 1 - error / np.where(spread > 1e-12 * np.abs(error) + 1e-300, spread, np.nan)


# --- the tables -------------------------------------------------------------------------------------------------------


def mean_of_members(predictions: pd.DataFrame) -> pd.DataFrame:
    """Days of each model, target and unseen site: the mean of the members that have not seen it.

    Rows of the split ``test`` of prediction files in, ``model, target, site, time, observed, predicted, sd, low, high``
    out, the first six without missing values.
    """
    keys = ["model", "variable", "site", "time"]
    unseen = predictions[predictions["split"] == "test"]
    unseen = unseen.assign(**{name: np.nan for name in ("sd", "low", "high") if name not in unseen})
    days = unseen.groupby(keys, as_index=False)[["observed", "predicted", "sd", "low", "high"]].mean()
    return days.dropna(subset=["observed", "predicted"]).rename(columns={"variable": "target"})


def site_scores(days: pd.DataFrame, cluster: pd.Series) -> pd.DataFrame:
    """Scores of each model at each site and time scale of :data:`SCALES` (rows of :func:`mean_of_members`)."""
    rows = []
    for (model, target, site), frame in days.groupby(["model", "target", "site"]):
        unit = variables.get(str(target)).units
        series = frame.set_index("time")[["observed", "predicted"]].sort_index()
        for scale, function in SCALES.items():
            pairs = function(series)
            if len(pairs):
                found = scores(pairs["observed"], pairs["predicted"])
                found.pop("kge")
                row = {"model": model, "target": target, "site": site, "cluster": cluster[str(site)]}
                mean = float(series["observed"].mean())
                rows.append({**row, "scale": scale, **found, "observed_mean": mean, "unit": unit})
    return pd.DataFrame(rows, columns=SITE_COLUMNS)


def protocol_table(days: pd.DataFrame, sites: pd.DataFrame, settings: EvaluateBlock, reference: str) -> pd.DataFrame:
    """Scores over sites by protocol with 90 % intervals, and what ``reference`` gains on each other model.

    ``days`` is from :func:`mean_of_members`, ``sites`` from :func:`site_scores`. Rows with a name in ``against`` are
    differences on the days that both models predict: score of ``model`` less that of ``against``, of the protocol
    ``sites`` those of the lower quartile and the median of R2; the score ``better`` is the share of sites where
    ``model`` has the smaller RMSE. ``subset`` is ``all``, or ``sinks`` and ``sources``: sites with a negative and a
    positive mean, where there are both.
    """
    cluster = sites.drop_duplicates("site").set_index("site")["cluster"]
    rows: list[dict[str, object]] = []
    for target, group in days.groupby("target"):
        about = {"target": target, "unit": variables.get(str(target)).units}
        models = dict(list(group.groupby("model")))
        for model, frame in models.items():
            mine = sites[(sites["model"] == model) & (sites["target"] == target)]
            rows += [{**about, "model": model, "against": "", **row} for row in _one(frame, mine, cluster, settings)]
            if reference in models and model != reference:
                pair = models[reference].merge(frame, on=["site", "time"], suffixes=("", "_other"))
                found = _difference(pair, cluster, settings) if len(pair) else ()
                rows += [{**about, "model": reference, "against": model, "subset": "all", **row} for row in found]
    return pd.DataFrame(rows, columns=COLUMNS)


def _one(
    days: pd.DataFrame, by_site: pd.DataFrame, cluster: pd.Series, settings: EvaluateBlock
) -> Iterator[dict[str, object]]:
    every = SiteSums.of(days, cluster)
    sign = np.sign(every.o)
    subsets = {"all": np.ones(len(sign), bool)}
    if (sign > 0).any() and (sign < 0).any():
        subsets |= {"sinks": sign < 0, "sources": sign > 0}
    for subset, kept in subsets.items():
        s = every.only(kept)
        for row in _over_days(s, settings):
            yield {"subset": subset, **row}
    for row in _over_sites(every, by_site, settings):
        yield {"subset": "all", **row}


def _over_days(every: SiteSums, settings: EvaluateBlock) -> Iterator[dict[str, object]]:
    for protocol, function in PROTOCOLS.items():
        fewest = 1 if protocol == "pooled" else settings.minimum_site_days
        known = (every.n >= fewest) & (np.isfinite(every.noise) | (protocol != "ceiling"))
        s = every.only(known)
        if len(s.n):
            for score, values in function(s, s.resamples(settings.resamples, settings.seed)).items():
                yield {"protocol": protocol, "scale": "daily", "score": score, **_interval(values), **_size(s)}


def _over_sites(every: SiteSums, by_site: pd.DataFrame, settings: EvaluateBlock) -> Iterator[dict[str, object]]:
    """Quartiles of daily scores over sites with ``minimum_days`` days; percentiles of the RMSE, median r, of scales."""
    long = set(every.name[every.n >= settings.minimum_days])
    wanted = [("sites", "daily", score, q) for score in ("r2", "r", "rmse", "bias") for q in (25, 50, 75)]
    wanted += [("scales", scale, "rmse", q) for scale in SCALES for q in (50, 90)]
    wanted += [("scales", scale, "r", 50) for scale in SCALES if scale not in ("daily", "site_mean")]
    for protocol, scale, score, q in wanted:
        part = by_site[by_site["scale"] == scale].set_index("site")[score].dropna()
        kept = np.isin(every.name, sorted(long & set(part.index)))
        if kept.any():
            s = every.only(kept)
            values = part.reindex(s.name).to_numpy(np.float64)
            w = s.resamples(settings.resamples, settings.seed)
            row = {"protocol": protocol, "scale": scale, "score": f"{score}_q{q}"}
            yield {**row, **_interval(quantile(values, w, q / 100)), **_size(s)}


def _difference(pair: pd.DataFrame, cluster: pd.Series, settings: EvaluateBlock) -> Iterator[dict[str, object]]:
    one = SiteSums.of(pair, cluster)
    two = SiteSums.of(pair.assign(predicted=pair["predicted_other"]), cluster)
    kept = one.n >= settings.minimum_site_days
    one, two = one.only(kept), two.only(kept)
    if not len(one.n):
        return
    w = one.resamples(settings.resamples, settings.seed)
    for protocol in ("pooled", "balanced", "between", "within"):
        first, second = PROTOCOLS[protocol](one, w), PROTOCOLS[protocol](two, w)
        for score in ("r2", "rmse"):
            row = {"protocol": protocol, "scale": "daily", "score": score}
            yield {**row, **_interval(first[score] - second[score]), **_size(one)}
    own, other = (_ratio(s.ee, s.oo - s.o**2 / s.n) for s in (one, two))
    long = (one.n >= settings.minimum_days) & np.isfinite(own) & np.isfinite(other)
    if long.any():
        part = one.only(long)
        some = part.resamples(settings.resamples, settings.seed)
        for q in (25, 50):
            row = {"protocol": "sites", "scale": "daily", "score": f"r2_q{q}"}
            gains = quantile(own[long], some, q / 100) - quantile(other[long], some, q / 100)
            yield {**row, **_interval(gains), **_size(part)}
    share = (w @ (one.ee < two.ee)) / w.sum(axis=1)
    yield {"protocol": "sites", "scale": "daily", "score": "better", **_interval(share), **_size(one)}


def _interval(values: Array) -> dict[str, float]:
    """The value of the sites as they are and the interval of the resamples."""
    return dict(zip(("value", "low", "high"), interval(values), strict=True))


def _size(s: SiteSums) -> dict[str, int]:
    return {"sites": len(s.n), "clusters": len(np.unique(s.cluster))}


def write_unseen(
    output: PathLike,
    site_output: PathLike,
    coverage_output: PathLike,
    predictions: Sequence[PathLike],
    places: PathLike,
    settings: EvaluateBlock | None = None,
    reference: str = "network",
) -> pd.DataFrame:
    """Write :func:`protocol_table`, :func:`site_scores` and :func:`fluxatlas.evaluate.coverage.coverage_table` of the
    files ``predictions`` as CSV; return the first.

    ``places`` is the table of sites (``site, lat, lon``); sites nearer than ``cluster_distance_km``, directly or
    through others, are one cluster, and a site that is not in the table is one of its own. Raises
    :class:`InputError` for a missing file or column and where no site is unseen. Where sites have periods alone, the
    tables hold no row (:mod:`.periods`).
    """
    settings = settings or EvaluateBlock()
    days = mean_of_members(read_predictions(predictions))
    if days.empty and not (read_predictions(predictions, periods=True)["split"] == "test").any():
        raise InputError("no prediction of an unseen site", hint="train with more than one fold of sites")
    cluster = clusters_of(places, sorted(days["site"].unique()), settings.cluster_distance_km)
    by_site = site_scores(days, cluster)
    table = protocol_table(days, by_site, settings, reference)
    files.write_text(site_output, by_site.to_csv(index=False, float_format="%.6g"))
    files.write_text(coverage_output, coverage_table(days, cluster).to_csv(index=False, float_format="%.6g"))
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table


def clusters_of(places: PathLike, sites: Sequence[str], distance_km: float) -> pd.Series:
    """Number of the cluster by name of site."""
    table = files.read_made(places, by="`ingest sites`").drop_duplicates("site").set_index("site")
    here = table.loc[table.index.isin(sites)]
    number = dict(zip(here.index, blocks(here["lat"], here["lon"], distance_km), strict=True))
    alone = [site for site in sites if site not in number]
    if alone:
        print(f"{places}: no place is given for {', '.join(alone)}: each is a cluster of its own", file=sys.stderr)
    return pd.Series(number | {site: len(here) + extra for extra, site in enumerate(alone)})

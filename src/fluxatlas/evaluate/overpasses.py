"""Fluxes at the moment of a satellite's overpass: models of the system beside those that stand in the same table.

Models of the system learn from towers of other clusters alone: every cluster of neighbours is left out once. Published
models are scored on the same rows as they stand in the table. Intervals (90 %) come from drawing clusters with
replacement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import ConfigError, InputError
from ..ingest.sites.overpasses import Overpasses, read_overpasses
from ..loading import load_object
from ..systems import System
from ..systems.protocols import OverpassModel
from ..train.splits import blocks
from .clusters import interval, quantile, resamples
from .metrics import scores

FEWEST_ROWS = 6
"""Rows of a site below which it has no scores of its own."""
FEWEST_CLUSTERS = 2
QUARTILES = (25, 50, 75)
SCORES = ("rmse", "bias", "r2", "r")
COLUMNS = [
    *("model", "learned", "against", "target", "protocol", "score", "value", "low", "high"),
    *("rows", "sites", "clusters", "folds", "closure", "unit"),
]
Array = npt.NDArray[np.float64]


def left_out(
    found: Overpasses, models: Mapping[str, OverpassModel], cluster: npt.NDArray[np.int64], seed: int
) -> dict[str, pd.DataFrame]:
    """What each model says of the rows of every cluster, having learned from the others; ``cluster`` (row,).

    Raises :class:`InputError` where there is but one cluster.
    """
    numbers = np.unique(cluster)
    if len(numbers) < FEWEST_CLUSTERS:
        hint = "give towers that are further apart than evaluate.cluster_distance_km"
        raise InputError("all sites are neighbours: nothing is left to learn from", hint=hint)
    made: dict[str, pd.DataFrame] = {}
    for name, model in models.items():
        parts = [
            model(found.rows[cluster != one], found.measured[cluster != one], found.rows[cluster == one], seed)
            for one in numbers
        ]
        made[name] = pd.concat(parts).sort_index()
    return made


def overpass_table(
    found: Overpasses, ours: Mapping[str, pd.DataFrame], cluster: npt.NDArray[np.int64], settings: EvaluateBlock
) -> pd.DataFrame:
    """Scores of every model and variable that the towers measured.

    Protocol ``rows``: over all rows; ``sites``: quartiles over sites with :data:`FEWEST_ROWS` rows. Rows with a name in
    ``against`` hold the RMSE over that of the best model of others (smallest RMSE) on the same resamples: ``model`` is
    better where ``high`` is below 1. ``closure`` is what latent and sensible heat of the towers were taken to be.
    """
    rows: list[dict[str, object]] = []
    for target in found.measured:
        every = {**found.others, **ours}
        here = {name: table[target] for name, table in every.items() if target in table}
        seen = found.measured[target].notna().to_numpy()
        for table in here.values():
            seen = seen & table.notna().to_numpy()
        if not here or not seen.any():
            continue
        one = _Target(found.rows[seen], found.measured[target].to_numpy(float)[seen], cluster[seen], settings)
        given = {name: table.to_numpy(float)[seen] for name, table in here.items()}
        about = {"target": target, "unit": variables.get(str(target)).units, **one.size}
        about["closure"] = settings.overpass_closure
        errors = {name: one.rmse(values) for name, values in given.items()}
        best = min((name for name in given if name in found.others), key=lambda name: errors[name][0], default="")
        for name, values in given.items():
            about |= {"model": name, "learned": name in ours, "folds": one.size["clusters"] if name in ours else 0}
            rows += [{**about, "against": "", **row} for row in one.scored(values)]
            if best and name != best:
                ratio = _row("rows", "rmse ratio", errors[name] / errors[best])
                rows.append({**about, "against": best, **ratio})
    return pd.DataFrame(rows, columns=COLUMNS)


class _Target:
    """One variable on the rows that all models have."""

    def __init__(self, rows: pd.DataFrame, observed: Array, cluster: npt.NDArray[np.int64], settings: EvaluateBlock):
        self.observed, self.site, self.cluster, self.settings = observed, rows["site"].to_numpy(), cluster, settings
        self.weights = resamples(cluster, settings.resamples, settings.seed)
        counts = {"sites": len(np.unique(self.site)), "clusters": len(np.unique(cluster))}
        self.size: dict[str, int] = {"rows": len(observed), **counts}

    def rmse(self, predicted: Array) -> Array:
        """(resample,)."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                np.sqrt(self.weights @ (predicted - self.observed) ** 2 / self.weights.sum(axis=1)), float
            )

    def scored(self, predicted: Array) -> Iterator[dict[str, object]]:
        drawn = [scores(self.observed, predicted, weight) for weight in self.weights]
        for score in SCORES:
            yield _row("rows", score, np.array([one[score] for one in drawn]))
        by_site = [(self.cluster[mine][0], scores(self.observed[mine], predicted[mine])) for mine in self._sites()]
        if not by_site:
            return
        w = resamples(np.array([cluster for cluster, _ in by_site]), self.settings.resamples, self.settings.seed)
        for score in SCORES:
            values = np.array([one[score] for _, one in by_site])
            for q in QUARTILES:
                yield _row("sites", f"{score}_q{q}", quantile(values, w, q / 100)) | {"sites": len(by_site)}

    def _sites(self) -> Iterator[npt.NDArray[np.bool_]]:
        for name in np.unique(self.site):
            if (mine := self.site == name).sum() >= FEWEST_ROWS:
                yield mine


def _row(protocol: str, score: str, values: Array) -> dict[str, object]:
    value, low, high = interval(values)
    return {"protocol": protocol, "score": score, "value": value, "low": low, "high": high}


def refuse_system(system: System) -> None:
    """Raise :class:`ConfigError` for a system without models of a moment."""
    if not system.overpasses:
        hint = "take a system that names models of a moment as 'overpasses'"
        raise ConfigError(f"'{system.name}' estimates nothing at the moment of an overpass", hint=hint)


def write_overpasses(
    output: str | Path, source: str | Path, places: str | Path, system: System, settings: EvaluateBlock | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Write :func:`overpass_table` of a table of overpasses as CSV; return it and what was left out, in words.

    Raises :class:`ConfigError` for a system without models of a moment, and what
    :func:`fluxatlas.ingest.sites.overpasses.read_overpasses` raises.
    """
    settings = settings or EvaluateBlock()
    refuse_system(system)
    found = read_overpasses(source, places, settings.overpass_closure)
    sites = found.rows.groupby("site")[["lat", "lon"]].first()
    number = pd.Series(blocks(sites["lat"], sites["lon"], settings.cluster_distance_km), sites.index)
    cluster = found.rows["site"].map(number).to_numpy(np.int64)
    ours = left_out(found, load_object(system.overpasses), cluster, settings.seed)
    table = overpass_table(found, ours, cluster, settings)
    files.write_text(Path(output), table.to_csv(index=False, float_format="%.6g"))
    return table, found.notes

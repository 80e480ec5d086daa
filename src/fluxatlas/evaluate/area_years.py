"""Values of areas by year, such as yields of counties: plain models to beat, and scores with intervals.

The hardest plain model to beat is the mean of each place with one trend that all places share; published models of
county yields often lose to it. Two protocols: ``later years`` learns from the years up to one and predicts those after;
``new states`` also leaves the place's whole state out of what is learned. Scores are those of the same rows for all
models. Intervals come from resampling states with replacement: they tell how places differ, not how years do, of which
there are few.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files
from ..errors import InputError
from .clusters import interval, resamples
from .metrics import scores

Array = npt.NDArray[np.float64]
Model = Callable[[pd.DataFrame, pd.DataFrame], Array]
"""``(learned from, asked for) -> values``: tables with ``place``, ``state``, ``year`` and features; the first has
``value``."""

REFERENCE = "place mean and trend"
SCORES = ("r2", "rmse", "nrmse", "bias")
COLUMNS = ("protocol", "model", "score", "value", "low", "high", "against", "rows", "places", "states", "years", "unit")
FEWEST_ROWS = 100
RESAMPLES = 500


def common_trend(train: pd.DataFrame) -> float:
    """Slope per year that all places share, free of which places report in which year (fixed effects)."""
    within = train[["year", "value"]] - train.groupby("place")[["year", "value"]].transform("mean")
    square = float((within["year"] ** 2).sum())
    return float((within["year"] * within["value"]).sum()) / square if square > 0 else 0.0


def place_mean(train: pd.DataFrame, test: pd.DataFrame, slope: float = 0.0) -> Array:
    """Mean of the place, or where it was not seen of its state, or of all, along a ``slope`` per year."""
    level = train["value"] - slope * train["year"]
    by_place, by_state = (level.groupby(train[key]).mean() for key in ("place", "state"))
    found = test["place"].map(by_place).fillna(test["state"].map(by_state)).fillna(level.mean())
    return np.asarray(found + slope * test["year"], float)


def place_trend(train: pd.DataFrame, test: pd.DataFrame) -> Array:
    """:func:`place_mean` along the :func:`common_trend`."""
    return place_mean(train, test, common_trend(train))


def weather_trees(train: pd.DataFrame, test: pd.DataFrame) -> Array:
    """:func:`place_trend` and boosted trees of what is left, from the features as departures from the place's mean."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    names = features(train)
    means = train.groupby("place")[names].mean()
    usual = train[names].mean()

    def inputs(table: pd.DataFrame) -> Array:
        here = means.reindex(table["place"]).fillna(usual).to_numpy(float)
        return np.hstack([table[names].to_numpy(float) - here, here])

    left = train["value"].to_numpy(float) - place_trend(train, train)
    model = HistGradientBoostingRegressor(max_iter=150, learning_rate=0.05, max_leaf_nodes=16, random_state=0)
    return place_trend(train, test) + model.fit(inputs(train), left).predict(inputs(test))


def season_network(train: pd.DataFrame, test: pd.DataFrame) -> Array:
    """:func:`place_trend` and a recurrent network of the season's parts (:mod:`.yield_network`) of what is left."""
    from .yield_network import chosen_epochs, departures

    names, left = features(train), train["value"].to_numpy(float) - place_trend(train, train)
    epochs = chosen_epochs(train, names, place_trend, 0)
    return place_trend(train, test) + departures(train, left, test, names, epochs, 0)


def features(table: pd.DataFrame) -> list[str]:
    """Names of the features of a table."""
    return [str(name) for name in table if name not in ("place", "state", "year", "value")]


MODELS: dict[str, Model] = {
    "place mean": place_mean,
    REFERENCE: place_trend,
    "trees of the weather": weather_trees,
    "network of the season": season_network,
}
OF_WEATHER = (weather_trees, season_network)
"""Models that need features."""


def parts(table: pd.DataFrame, last: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows up to the year ``last``, which models learn from, and rows after it.

    Raises :class:`InputError` where either has fewer than :data:`FEWEST_ROWS` rows, or the first without one of the
    states of the second has.
    """
    train, test = table[table["year"] <= last], table[table["year"] > last].reset_index(drop=True)
    if min(len(train), len(test)) < FEWEST_ROWS:
        raise InputError(
            f"{len(train)} rows up to {last} and {len(test)} after it",
            where="last year of training",
            hint=f"the years are {table['year'].min()} to {table['year'].max()}; both parts need {FEWEST_ROWS} rows",
        )
    for state in test["state"].unique():
        elsewhere = int((train["state"] != state).sum())
        if elsewhere < FEWEST_ROWS:
            raise InputError(
                f"{elsewhere} rows up to {last} are of other states than {state}",
                where="state",
                hint=f"states are left out in turn, and {FEWEST_ROWS} rows must remain: give a table of more states",
            )
    return train, test


def _without_values(train: pd.DataFrame, states: Iterable[str]) -> list[str]:
    """Features that hold no number in ``train`` or in what is left of it without one of ``states``."""
    known = train[features(train)].apply(pd.to_numeric, errors="coerce").notna()
    kept = [known, *(known[train["state"] != state] for state in states)]
    return [name for name in known if not all(part[name].any() for part in kept)]


def predictions(table: pd.DataFrame, last: int) -> pd.DataFrame:
    """Rows of the years after ``last`` with a column per protocol and model, ``protocol/model``.

    Features without values to learn from are left out, which is said on stderr. Raises as :func:`parts`.
    """
    train, test = parts(table, last)
    empty = _without_values(train, test["state"].unique())
    if empty:
        print(f"left out, without values to learn from: {', '.join(empty)}", file=sys.stderr, flush=True)
        train, test = train.drop(columns=empty), test.drop(columns=empty)
    chosen = {name: model for name, model in MODELS.items() if model not in OF_WEATHER or features(train)}
    for name, model in chosen.items():
        test[f"later years/{name}"] = model(train, test)
        test[f"new states/{name}"] = np.nan
        for state in test["state"].unique():
            here = test["state"] == state
            test.loc[here, f"new states/{name}"] = model(train[train["state"] != state], test[here])
    return test


def score_table(test: pd.DataFrame, unit: str, seed: int = 0) -> pd.DataFrame:
    """Scores of every protocol and model with 90 % intervals, and the ratio of their RMSE to that of the reference.

    ``test`` is what :func:`predictions` gives. ``nrmse`` is RMSE over the mean observed. Rows with ``against`` hold the
    RMSE over that of :data:`REFERENCE` on the same resamples: a model is better where ``high`` is below one.
    """
    numbers, states = pd.factorize(test["state"])
    weights = resamples(numbers, RESAMPLES, seed)
    rows = []
    for column in [str(name) for name in test if "/" in str(name)]:
        protocol, model = column.split("/", 1)
        found = np.array([_scores(test, column, weight) for weight in weights])
        base = np.array([_scores(test, f"{protocol}/{REFERENCE}", weight)[1] for weight in weights])
        for k, score in enumerate(SCORES):
            rows.append((protocol, model, score, *interval(found[:, k]), ""))
        if model != REFERENCE:
            rows.append((protocol, model, "rmse ratio", *interval(found[:, 1] / base), REFERENCE))
    made = pd.DataFrame(rows, columns=list(COLUMNS[:7]))
    counts = (len(test), test["place"].nunique(), len(states), test["year"].nunique())
    made[list(COLUMNS[7:11])] = np.tile(counts, (len(made), 1))
    made["unit"] = np.where(made["score"].isin(["rmse", "bias"]), unit, "1")
    return made[list(COLUMNS)]


def _scores(test: pd.DataFrame, column: str, weight: Array) -> tuple[float, ...]:
    found = scores(test["value"], test[column], weight)
    mean = float(np.average(test["value"], weights=weight))
    return found["r2"], found["rmse"], found["rmse"] / mean, found["bias"]


def write_yields(output: str | Path, source: str | Path, crop: str, last: int, carbon: float | None) -> pd.DataFrame:
    """Scores of the plain models on a table of yields (:func:`fluxatlas.ingest.yields.read_yields`), as CSV."""
    from ..ingest.yields import read_yields

    table = score_table(predictions(read_yields(source, crop, carbon), last), "g m-2 yr-1")
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table

"""Soil moisture where no station has been, at all real stations and towers at hand: months, and satellite overpasses.

    python benchmarks/soil_moisture_unseen.py RUN TABLE PLACES [--write]

RUN is the result folder of ``config/examples/soil_moisture_months.yaml`` (``snakemake --cores 1 --configfile
config/examples/soil_moisture_months.yaml results/soil_moisture_months/regrid/sites_forcing.parquet`` is enough); TABLE
and PLACES are the ECOSTRESS calibration table and its list of towers. Labels above 0.6 are dropped, as flag C02 of the
ISMN does. Learners see rows of other months, earlier years or other clusters of 100 km; ``chosen`` is, in each fold,
the one of a few that errs least at clusters left out of the rows that are learnt from. ``--write`` writes the result.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import machine
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor

from fluxatlas.evaluate.clusters import interval, quantile, resamples
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.ingest.sites.overpasses import read_overpasses
from fluxatlas.systems import get_system
from fluxatlas.systems.soil_moisture_energy.overpass import features
from fluxatlas.train.baselines import tree_features
from fluxatlas.train.learners import Predictor, Rows
from fluxatlas.train.remedies import calibrated, chosen, mean, plain_trees, residual_trees
from fluxatlas.train.ridge import fit_ridge
from fluxatlas.train.simulation import simulated
from fluxatlas.train.sites import read_sites
from fluxatlas.train.splits import blocks

SYSTEM = get_system("soil_moisture_energy")
MOST, KM, FOLDS, DRAWS = 0.6, 100.0, 5, 1000
PUBLISHED = (0.0379, 0.0599, 0.0786)
Learner = Callable[[Rows, int], Predictor]


def months(run: Path) -> tuple[pd.DataFrame, list[str]]:
    """Rows of months (site, block, year, y, limits of the soil) and the names of their predictors, process last."""
    files = [str(run / name) for name in ("regrid/sites_attributes.csv", "regrid/sites_forcing.parquet")]
    told = (*files, str(run / "ingest/sites/observations.parquet"), SYSTEM, KM, series_of(SYSTEM.slow, []))
    (part, *_) = read_sites(*told, unobserved=True).sets
    longer = pd.read_parquet(run / "ingest/sites/periods.parquet").query("variable == 'swc05'")
    inputs, names = tree_features(part, SYSTEM)
    made, found = simulated(part, SYSTEM), []
    for k, site in enumerate(part.sites):
        known = np.isfinite(part.drivers["tas"][:, k])
        days = pd.DataFrame(inputs[known, k], part.dates[known], names)
        days = days.assign(deep=made["swc45"][known, k], process=made["swc05"][known, k])
        days["y"] = part.targets["swc05"][known, k] if "swc05" in part.targets else np.nan
        own = days.resample("MS").mean().assign(site=site, block=int(part.block[k]))
        held, seen = days["tas"].resample("MS").count(), days["y"].resample("MS").count()
        if seen.sum() < 60:
            of_month = longer[longer["site"] == site].set_index("start")["value"]
            of_month.index = pd.to_datetime(of_month.index)
            own["y"] = of_month.reindex(own.index).where(held >= 28)
        else:
            own["y"] = own["y"].where(seen >= 20)
        found.append(own[own["y"].between(0, MOST)])
    table = pd.concat(found)
    table["year"] = table.index.year
    return table.reset_index(drop=True), [*names, "deep", "process"]


def overpasses(table: str, places: str) -> tuple[pd.DataFrame, list[str]]:
    """Rows of overpasses as :func:`months`; the last predictor is soil moisture as the satellite has it."""
    read = read_overpasses(table, places)
    names = [f"x{number}" for number in range(features(read.rows).shape[1])]
    rows = pd.DataFrame(features(read.rows), columns=names)
    rows = rows.assign(satellite=read.rows["swc05"].to_numpy(float), site=read.rows["site"].to_numpy())
    rows["y"] = read.measured["swc05"].to_numpy(float)
    rows["year"] = pd.to_datetime(read.rows["time"]).dt.year.to_numpy()
    place = read.rows.drop_duplicates("site")
    number = dict(zip(place["site"], blocks(place["lat"], place["lon"], KM), strict=True))
    rows["block"] = rows["site"].map(number)
    return rows[rows["y"].between(0, MOST)].reset_index(drop=True), [*names, "satellite"]


def forest(rows: Rows, seed: int) -> Predictor:
    """100 trees with leaves and depth of the published emulator, a third of the predictors at each split."""
    sizes = {"max_depth": 20, "min_samples_split": 10, "min_samples_leaf": 4, "max_features": 1 / 3}
    model = RandomForestRegressor(100, random_state=seed, **sizes)
    return model.fit(np.nan_to_num(rows[0]), rows[1], sample_weight=rows[2]).predict


def ridge(rows: Rows, seed: int) -> Predictor:
    """Ridge regression whose strength leaves clusters out."""
    return fit_ridge(*rows)


def given(rows: Rows, seed: int) -> Predictor:
    """The last predictor as it is."""
    return lambda predictors: predictors[:, -1].astype(float)


def relative(names: list[str]) -> Learner:
    """Trees of the relative saturation between air-dry (half the wilting point) and saturation of the land cover."""
    low, high = names.index("swcwp"), names.index("swcsat")

    def learn(rows: Rows, seed: int) -> Predictor:
        def least(x: np.ndarray) -> np.ndarray:
            return 0.5 * x[:, low]

        x, y, weights, block = rows
        model = plain_trees((x, (y - least(x)) / (x[:, high] - least(x)), weights, block), seed)
        return lambda asked: least(asked) + model(asked) * (asked[:, high] - least(asked))

    return learn


def level_apart(rows: Rows, seed: int) -> Predictor:
    """Ridge regression, and half of what trees make of its residuals (our choice)."""
    x, y, weights, block = rows
    first = fit_ridge(*rows)
    more = plain_trees((x, y - first(x), weights, block), seed)
    return lambda asked: first(asked) + 0.5 * more(asked)


def splits(table: pd.DataFrame) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Name of a split and what is tested, a mask for each fold."""
    rng = np.random.default_rng(0)
    yield "random", [rng.random(len(table)) < 0.2]
    span = table.groupby("site")["year"].agg(["min", "max"])
    last = span["min"] + np.maximum(6 * (span["max"] - span["min"]) // 7, 0)
    yield "later years", [(table["year"] > table["site"].map(last)).to_numpy()]
    order = rng.permutation(table["block"].unique())
    yield "unseen clusters", [table["block"].isin(part).to_numpy() for part in np.array_split(order, FOLDS)]


def predictions(
    table: pd.DataFrame, names: list[str], learners: Mapping[str, Learner], folds: list[np.ndarray]
) -> pd.DataFrame:
    """A column per learner, NaN on rows that no fold tests."""
    weights = 1 / np.sqrt(table.groupby("site")["y"].transform("size").to_numpy(float))
    whole: Rows = (table[names].to_numpy(float), table["y"].to_numpy(float), weights, table["block"].to_numpy(int))
    found = pd.DataFrame(np.nan, table.index, list(learners))
    for test in folds:
        kept = tuple(part[~test] for part in whole)
        for name, learner in learners.items():
            found.loc[test, name] = learner((kept[0].copy(), *kept[1:]), 0)(whole[0][test])
    return found


def scores(table: pd.DataFrame, predicted: pd.Series) -> dict[str, tuple[float, float, float]]:
    """RMSE, ubRMSE and bias over rows, quartiles of RMSE over stations: value and 90 % over clusters."""
    rows = pd.DataFrame({"site": table["site"], "e": predicted - table["y"]}).dropna()
    site = rows.groupby("site")["e"].agg(["size", "mean", lambda e: float((e**2).mean())]).to_numpy(float)
    cluster = table.groupby("site")["block"].first().loc[sorted(rows["site"].unique())].to_numpy()
    w = resamples(cluster, DRAWS, 0)
    n, bias, square = site.T
    many = w @ n
    own = np.sqrt(square)
    return {
        "rmse": interval(np.sqrt(w @ (n * square) / many)),
        "ubrmse": interval(np.sqrt(w @ (n * (square - bias**2)) / many)),
        "bias": interval(w @ (n * bias) / many),
        **{f"q{q}": interval(quantile(own, w, q / 100)) for q in (25, 50, 75)},
    }


def section(
    title: str, table: pd.DataFrame, names: list[str], learners: dict[str, Learner], choice: tuple[str, ...]
) -> list[str]:
    """Table of the three splits side by side, then of the unseen clusters with intervals; ``choice``: from which
    learners inner folds choose."""
    pick = {name: learners[name] for name in choice}
    learners["chosen"] = lambda rows, seed: chosen(rows, seed, pick)
    found, heads = {}, []
    for split, folds in splits(table):
        made = predictions(table, names, learners, folds)
        rows = made[next(iter(learners))].notna()
        heads.append(f"{split} ({int(rows.sum())} rows, {table.loc[rows, 'site'].nunique()} stations)")
        found[split] = {name: scores(table, made[name]) for name in learners}
        print(title, heads[-1], {name: round(one["rmse"][0], 4) for name, one in found[split].items()}, flush=True)
    lines = ["", f"## {title}", "", f"{table['site'].nunique()} stations in {table['block'].nunique()} clusters."]
    lines += ["", f"| RMSE (ubRMSE) | {' | '.join(heads)} |", "|---|---|---|---|"]
    for name in learners:
        cells = [f"{one[name]['rmse'][0]:.3f} ({one[name]['ubrmse'][0]:.3f})" for one in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [f"| published, daily | {' | '.join(f'{value:.4f}' for value in PUBLISHED)} |", ""]
    lines += ["| unseen clusters | RMSE | bias | quartiles of RMSE over stations |", "|---|---|---|---|"]
    for name, one in found["unseen clusters"].items():
        told = {key: f"{a:.3f} [{b:.3f}, {c:.3f}]" for key, (a, b, c) in one.items()}
        lines.append(f"| {name} | {told['rmse']} | {told['bias']} | {told['q25']}, {told['q50']}, {told['q75']} |")
    return lines


def of_overpasses(table: str, places: str) -> list[str]:
    """The section of overpasses."""
    rows, names = overpasses(table, places)
    own = {"mean": mean, "satellite": given, "calibrated satellite": calibrated, "ridge": ridge, "forest": forest}
    title = "Overpasses of ECOSTRESS, surface sensors of towers"
    return section(title, rows, names, own, ("mean", "calibrated satellite", "ridge", "forest"))


def of_months(run: Path) -> list[str]:
    """The section of months."""
    rows, names = months(run)
    own = {"mean": mean, "process model": given, "calibrated": calibrated, "forest": forest, "trees": plain_trees}
    own |= {"residual trees": residual_trees, "trees of relative saturation": relative(names), "ridge": ridge}
    own |= {"ridge, trees on what it lacks": level_apart}
    choice = ("mean", "calibrated", "residual trees", "ridge")
    return section("Months of towers and stations", rows, names, own, choice)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "table", "places"):
        parser.add_argument(name)
    parser.add_argument("--write", action="store_true", help="write the result file")
    asked = parser.parse_args()
    lines = [*of_months(Path(asked.run)), *of_overpasses(asked.table, asked.places)]
    head = "Soil moisture where no station has been [m3 m-3]"
    machine.report("soil_moisture_unseen", head, lines, asked.write, "in brackets 90 % over clusters; one seed.")


if __name__ == "__main__":
    main()

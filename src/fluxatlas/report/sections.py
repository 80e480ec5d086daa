"""The sections of the page with the numbers of a run: a table of text each, and a sentence that says what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..stages import STAGES
from ..style import (
    BOUNDS,
    PROTOCOL_NAMES,
    TOLD_DAYS,
    between,
    fixed,
    model_name,
    model_order,
    number,
    percent,
    plain_unit,
)
from ..systems import System
from .verdicts import called, comparison


@dataclass(frozen=True)
class Section:
    """A heading, a sentence that says what the numbers are, and a table of text."""

    title: str
    note: str
    table: pd.DataFrame


def budget_section(table: pd.DataFrame, system: System) -> Section:
    """The totals of the domain by year."""
    whole = table[table["region_kind"] == "global"]
    rows = [
        {
            "year": str(row.year),
            "flux": called(str(row.variable), system),
            "mean": number(row.mean),
            "interval": f"{number(row.low)} to {number(row.high)}",
            "unit": f"{row.unit} of {system.get_flux(str(row.variable)).substance}",
            f"{system.area} [km2]": number(float(str(row.area_m2)) / 1e6),
        }
        for row in whole.itertuples()
    ]
    interval = whole["interval"].iloc[0] if "interval" in whole and len(whole) else "interval of the members"
    name = str(whole["region"].iloc[0]) if len(whole) else "the domain"
    return Section(f"Budget: {name}", f"Mean of the ensemble; interval: {interval}.", pd.DataFrame(rows))


SCALE_NAMES = {"daily": "days", "site_mean": "means of sites"}
SPLIT_NOTE = (
    "Each site is predicted by models that have not seen it. R2 is negative where the mean would do better: bad skill."
)


def skill_section(table: pd.DataFrame, system: System, synthetic: bool = False) -> Section:
    """Scores of every model and target at sites left out."""
    test = table[(table["split"] == "test") & (table["member"].astype(str) == "all")]
    rows = []
    for target in dict.fromkeys([system.flux, *test["target"]]):
        here = test[test["target"] == target]
        for model in model_order(here["model"]):
            for row in here[here["model"] == model].itertuples():
                rows.append(
                    {
                        "model": model_name(str(model)),
                        "target": called(str(target), system),
                        "values": SCALE_NAMES.get(str(row.scale), str(row.scale)),
                        "sites": str(row.sites),
                        "values used": f"{row.n:,}",
                        "R2": fixed(row.r2) + (" (bad)" if float(str(row.r2)) < 0 else ""),
                        "r": fixed(row.r),
                        "RMSE": number(row.rmse),
                        "bias": number(row.bias, sign=True),
                        "unit": plain_unit(str(row.unit)),
                    }
                )
    note = SPLIT_NOTE + (f" Read this with care: {system.truth_note}" if synthetic and system.truth_note else "")
    return Section("Skill at sites left out", note, pd.DataFrame(rows))


def protocols_section(table: pd.DataFrame, system: System) -> Section:
    """R2 of each model at unseen sites with its interval, and what the network gains on it."""
    table = table[(table["target"] == system.flux) & (table["subset"] == "all")]
    r2 = table[table["against"].isna() & (table["score"] == "r2")].set_index(["protocol", "model"])
    pairs = table[(table["protocol"] == "balanced") & (table["score"] == "rmse")].set_index("against")
    rows = []
    for model in model_order(table["model"]):
        line = {"model": model_name(str(model))}
        for protocol, words in PROTOCOL_NAMES.items():
            known = (protocol, model) in r2.index
            line[f"R2, {words}"] = _with_interval(r2.loc[(protocol, model)]) if known else "–"
        line["network's RMSE less this one's"] = _with_interval(pairs.loc[model]) if model in pairs.index else ""
        said = model in pairs.index and model not in (*BOUNDS, *TOLD_DAYS)
        line["the network is"] = f"{comparison(pairs.loc[model])} it" if said else ""
        rows.append(line)
    name = called(system.flux, system)
    note = f"{name[:1].upper()}{name[1:]}: R2 with 90 % intervals over clusters of sites (none below five clusters)."
    best = r2[r2.index.get_level_values("protocol") == "ceiling"]["value"].max() if len(r2) else float("nan")
    if best == best:
        note += f" A perfect model would reach {fixed(best)}, given the errors that the observations state."
    if set(BOUNDS) & set(table["model"]):
        note += (
            " A bound has seen what it predicts: it says what the site's own record would give, not what a model can."
        )
    if set(TOLD_DAYS) & set(table["model"]):
        note += " What was told some days of a site is scored on its other days, at sites that have enough."
    return Section("How good is it at a place that nobody has measured?", note, pd.DataFrame(rows))


def _with_interval(row: Any) -> str:
    return f"{fixed(row['value'])}{between(row['low'], row['high'], fixed)}"


def prior_section(table: pd.DataFrame, system: System) -> Section:
    """How much of what the sites measured the process model could have made, and the sites whose soil it never saw."""
    rows = [
        {
            "target": called(str(row.target), system),
            "sites": str(row.n),
            "means inside": percent(row.mean_inside),
            "days inside": percent(row.days_inside),
        }
        for row in table[table["site"] == "all"].itertuples()
    ]
    note = "Shares of sites and days within 5 to 95 % of draws of the process model, which should be near 90 %."
    far = table[(table["site"] != "all") & table["outside"].fillna("").astype(str).str.strip().ne("")]
    places = [f"{row.site} ({row.outside})" for row in far.drop_duplicates("site").itertuples()]
    note += (
        f" Soils outside of the samples: {'; '.join(places)}." if places else " No site lies outside of the samples."
    )
    return Section("Could the process model have made what the sites measured?", note, pd.DataFrame(rows))


def truth_section(table: pd.DataFrame, system: System) -> Section:
    """The product against the truth of the synthetic Earth."""
    rows = [
        {
            "year": str(row.year),
            "flux": called(str(row.variable), system),
            "cells": f"{row.cells:,}",
            "r": fixed(row.r),
            "R2": fixed(row.r2),
            "RMSE": number(row.rmse),
            "bias": number(row.bias, sign=True),
            "within members": f"{percent(row.within_members)} (expected {percent(row.expected_within)})",
            "total (true)": "" if str(row.total) == "nan" else f"{number(row.total)} ({number(row.true_total)})",
        }
        for row in table.itertuples()
    ]
    note = "Annual means of the product against the synthetic Earth's hidden truth, in the units of the product."
    return Section("Against the truth", note, pd.DataFrame(rows))


def towers_section(table: pd.DataFrame, system: System) -> Section:
    """The product's cells against the towers in them."""
    rows = [
        {
            "site": str(row.site),
            "variable": called(str(row.variable), system),
            "days": f"{row.n:,}",
            "r": fixed(row.r),
            "RMSE": number(row.rmse),
            "bias": number(row.bias, sign=True),
            "r of anomalies": fixed(row.r_anomaly),
        }
        for row in table.sort_values(["variable", "site"]).itertuples()
    ]
    return Section("Product against towers", "The product's cell that holds the tower, day by day.", pd.DataFrame(rows))


def seams_section(table: pd.DataFrame, system: System) -> Section:
    """Steps across the edges of tiles."""
    whole = table[table["edge"] == "all"]
    rows = [
        {
            "year": str(r.year),
            "variable": called(str(r.variable), system),
            "pairs": str(r.pairs),
            "across / inside": fixed(r.ratio),
        }
        for r in whole.itertuples()
    ]
    return Section("Seams", "Mean step across the edges of tiles over the mean step beside them.", pd.DataFrame(rows))


def cost_section(folder: Path) -> Section:
    """Wall time, processor time and memory by stage from Snakemake's benchmark files."""
    rows = []
    for path in sorted(folder.rglob("*.tsv")):
        table = pd.read_csv(path, sep="\t", na_values="-")
        stage = path.relative_to(folder).parts[0].removesuffix(".tsv")
        rows.append({"stage": stage, "s": table["s"].mean(), "rss": table["max_rss"].max()})
    found = pd.DataFrame(rows, columns=["stage", "s", "rss"])
    order = list(dict.fromkeys(_stage_order(found["stage"])))
    lines = [
        {
            "stage": stage,
            "jobs": str(len(part)),
            "wall time of all jobs [s]": fixed(part["s"].sum(), 1),
            "longest job [s]": fixed(part["s"].max(), 1),
            "largest memory [MB]": fixed(part["rss"].max(), 0),
        }
        for stage in order
        for part in [found[found["stage"] == stage]]
    ]
    note = f"Sum over all stages: {found['s'].sum():.0f} s of wall time, as measured by Snakemake for each job."
    return Section("What the run cost", note, pd.DataFrame(lines))


def _stage_order(stages: pd.Series) -> list[str]:
    present = list(stages)
    return [*(s for s in STAGES if s in present), *sorted(set(present) - set(STAGES))]

"""What the tables of a run say in words: the total, and whether its skill at unseen sites is good or bad."""

from __future__ import annotations

import math
import re
from typing import Any

import pandas as pd

from .. import variables
from ..errors import counted
from ..style import BOUNDS, TOLD_DAYS, between, fixed, model_name, model_order, number
from ..systems import System

NETWORK = "network"


def called(name: str, system: System) -> str:
    """What a variable is called: the label of the flux or of the variable table; a name that nobody knows stays."""
    label = next((f.label for f in system.fluxes if f.variable == name), "")
    if not label and name in variables.table():
        label = variables.get(name).label
    return re.sub(r"\$[_^]?\{?([^$}]*)\}?\$", r"\1", label or name)


def total(budget: pd.DataFrame, system: System) -> str:
    """One clause: the mean total, over the years, of the flux with a budget, with the range of the members; empty
    without rows."""
    flux = system.budgeted_flux
    rows = budget[(budget["region_kind"] == "global") & (budget["variable"] == flux.variable)]
    if rows.empty:
        return ""
    mean, low, high = (rows[name].mean() for name in ("mean", "low", "high"))
    unit = f"{rows['unit'].iloc[0]} of {flux.substance}"
    words = called(flux.variable, system)
    return f"{words[:1].upper()}{words[1:]}: {number(mean)} {unit}{between(low, high)}"


def judgement(protocols: pd.DataFrame, system: System) -> str:
    """One clause on the network at unseen sites; empty where it was not scored there.

    Bad is said to be bad: an R2 below zero, where the mean of all sites would do better, and every model that does
    better on the same days. A difference whose interval holds zero is not called one, and neither a bound nor what was
    told days of the site is a competitor.
    """
    rows = protocols[(protocols["target"] == system.flux) & (protocols["subset"] == "all")]
    rows = rows[rows["protocol"] == "balanced"]
    own = rows[rows["against"].isna() & (rows["model"] == NETWORK) & (rows["score"] == "r2")]
    if own.empty:
        return ""
    row: Any = own.iloc[0]
    if not math.isfinite(float(row["value"])):
        return f"too few days at {counted(int(row['sites']), 'unseen site')} to judge the network"
    words = "bad: the mean of all sites does better" if row["value"] < 0 else "better than the mean of all sites"
    over = counted(int(row["sites"]), "site")
    parts = [f"R2 {fixed(row['value'])}{between(row['low'], row['high'], fixed)} over {over}, {words}"]
    pairs = rows[rows["against"].notna() & (rows["score"] == "rmse")].set_index("against")
    found: dict[str, list[str]] = {}
    for name in model_order(pairs.index.difference([*BOUNDS, *TOLD_DAYS])):
        found.setdefault(comparison(pairs.loc[name]), []).append(_spoken(str(name)))
    parts += [f"{word} {' and '.join(found[word])}" for word in COMPARISONS if word in found]
    if any(word.startswith("seems") for word in found):
        parts.append("too few places for intervals")
    return f"at sites it has not seen the network has {'; '.join(parts)}"


COMPARISONS = ("worse than", "seems worse than", "better than", "seems better than", "not distinguishable from")


def comparison(row: Any) -> str:
    """One of :data:`COMPARISONS` for a difference of RMSE: by its interval, else by its sign."""
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return "seems worse than" if value > 0 else "seems better than"
    if low > 0:
        return "worse than"
    return "better than" if high < 0 else "not distinguishable from"


def _spoken(model: str) -> str:
    """The name of a model within a sentence."""
    name = model_name(model)
    return f"the network {name}" if name.startswith("without") else name.replace(", prior", " with its prior")

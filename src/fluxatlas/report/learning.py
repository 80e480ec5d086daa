"""Sections of the page of numbers on learning: emulation of the process model, and intervals at sites."""

from __future__ import annotations

import math

import pandas as pd

from ..style import fixed, number, percent, plain_unit
from ..systems import System
from .sections import Section
from .verdicts import called


def emulation_section(table: pd.DataFrame, system: System) -> Section:
    """Scores of the pretrained networks against the process model, mean over the members (rows of all members)."""
    rows = []
    given = table["given"].fillna("") if "given" in table else pd.Series("", table.index)
    for handed in dict.fromkeys(given):
        own = table[given == handed]
        for variable in [name for name in system.simulated if name in set(own["variable"])]:
            here = own[own["variable"] == variable]
            bias = float(here["bias_percent"].mean())
            name = called(variable, system) + (f", given {handed.replace('+', ', ')}" if handed else "")
            rows.append(
                {
                    "variable": name,
                    "R2 of days": fixed(here["r2"].mean()),
                    "R2 of means": fixed(here["r2_mean"].mean()),
                    "RMSE": number(here["rmse"].mean()),
                    "unit": plain_unit(str(here["unit"].iloc[0])),
                    "bias": f"{fixed(bias, 1, sign=True)} %" if math.isfinite(bias) else "–",
                }
            )
    note = (
        "Pretrained networks against the process model at synthetic series of places held out, with the parameters of "
        "each series given: what a network cannot emulate, calibration cannot carry to the map."
    )
    return Section("How well do the networks stand in for the process model?", note, pd.DataFrame(rows))


def intervals_section(table: pd.DataFrame, system: System) -> Section:
    """How often 90 % intervals hold the means and the days of sites, seen and unseen (rows of all members)."""
    rows = []
    for seen, who in ((0, "not seen"), (1, "seen")):
        here = table[table["seen"] == seen]
        for target in dict.fromkeys([system.flux, *here["target"]]):
            part = here[here["target"] == target]
            if len(part):
                rows.append(
                    {
                        "target": called(str(target), system),
                        "sites": who,
                        "number": str(part["site"].nunique()),
                        "means inside": percent(part["mean_inside"].mean()),
                        "days inside": percent(part["days_inside"].mean()),
                        "mean width": number((part["high"] - part["low"]).mean()),
                        "unit": plain_unit(str(part["unit"].iloc[0])),
                    }
                )
    note = (
        "Shares of sites and of days inside 90 % intervals, which should be near 90 %. Those of means hold what is not "
        "known of the parameters, at sites that were not seen also what places differ by; errors of the process model "
        "are not in them."
    )
    return Section("Do the intervals hold what was measured?", note, pd.DataFrame(rows))


def coverage_section(table: pd.DataFrame, system: System) -> Section:
    """What the stated intervals of the network hold at unseen sites, and the width of one that would hold 90 %."""
    table = table[table["model"] == "network"]
    rows = []
    for target in dict.fromkeys([system.flux, *table["target"]]):
        for row in table[table["target"] == target].itertuples():
            widened = percent(row.inside_half_width) if row.half_width == row.half_width else ""
            rows.append(
                {
                    "target": called(str(target), system),
                    "of": "days" if row.what == "days" else "means of sites",
                    "sites (clusters)": f"{row.sites} ({row.clusters})",
                    "stated interval holds": percent(row.inside) if row.inside == row.inside else "none stated",
                    "half width for 90 %": f"-/+ {number(row.half_width)}"
                    if row.half_width == row.half_width
                    else str(row.note),
                    "holds of clusters left out": widened,
                    "unit": plain_unit(str(row.unit)),
                }
            )
    note = (
        "What sites that the network has not seen say about its intervals, every cluster of sites the same. One "
        "made of what a model knows of itself leaves out what it does not know; the one with the half width "
        "for 90 % would have held at the sites left out (conformal prediction by cluster) and is "
        "the one to quote for a place that nobody has measured. It needs nine clusters."
    )
    found = pd.DataFrame(rows)
    if len(table) and table["half_width"].isna().all() and table["note"].nunique() == 1:
        found = found.drop(columns=["half width for 90 %", "holds of clusters left out"])
        note += f" Here there is none: {table['note'].iloc[0]}."
    return Section("How wide must an interval be at a place that nobody has measured?", note, found)

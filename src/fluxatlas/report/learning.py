"""Sections of the page of numbers on learning: emulation of the process model, and intervals at sites."""

from __future__ import annotations

import pandas as pd

from ..systems import System
from .sections import Section
from .verdicts import called, fixed, number, percent


def emulation_section(table: pd.DataFrame, system: System) -> Section:
    """Scores of the pretrained networks against the process model, mean over the members (rows of all members)."""
    rows = []
    for variable in [name for name in system.simulated if name in set(table["variable"])]:
        here = table[table["variable"] == variable]
        rows.append(
            {
                "variable": called(variable, system),
                "R2 of days": fixed(here["r2"].mean()),
                "R2 of means": fixed(here["r2_mean"].mean()),
                "RMSE": number(here["rmse"].mean()),
                "unit": here["unit"].iloc[0],
                "bias": f"{fixed(here['bias_percent'].mean(), 1, sign=True)} %",
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
                        "unit": part["unit"].iloc[0],
                    }
                )
    note = (
        "Shares of sites and of days inside 90 % intervals, which should be near 90 %. Those of means hold what is not "
        "known of the parameters, at sites that were not seen also what places differ by; errors of the process model "
        "are not in them."
    )
    return Section("Do the intervals hold what was measured?", note, pd.DataFrame(rows))

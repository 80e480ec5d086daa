"""Intervals of members elsewhere, as wide as those that would have held at the sites that were held out in training."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..train.member import Member
from ..train.splits import blocks
from .coverage import coverage_table
from .skill import read_predictions
from .unseen import mean_of_members


def held_out(paths: Sequence[Path], members: Sequence[Member], distance_km: float) -> pd.DataFrame | None:
    """Rows of days of :func:`~fluxatlas.evaluate.coverage.coverage_table` for the network, at the sites that each of
    ``members`` did not see; None where that is not known.

    ``paths`` are their files; their predictions are in the folder ``predictions`` beside the folder of these, as
    ``train`` leaves them. Sites nearer than ``distance_km`` are one cluster.
    """
    files = [path.parent.parent / "predictions" / f"{path.stem}.parquet" for path in paths]
    places = {str(site): (lat, lon) for member in members for site, lat, lon in member.meta.get("sites", [])}
    if not places or not all(path.is_file() for path in files):
        return None
    lat, lon = np.array([*places.values()]).T
    number = pd.Series(blocks(lat, lon, distance_km), index=list(places))
    days = mean_of_members(read_predictions(files))
    table = coverage_table(days[(days["model"] == "network") & days["site"].isin(number.index)], number)
    return table[table["what"] == "days"] if len(table) else None


def half_widths(paths: Sequence[Path], members: Sequence[Member], distance_km: float) -> dict[str, float]:
    """Distance by target, in its unit, within which 90 % of the days of the sites held out in training lie.

    The targets of :func:`held_out`; one with too few clusters is left out, and the screen says so.
    """
    known = held_out(paths, members, distance_km)
    if known is None:
        text = "no 90 % intervals of days: the members have no predictions of sites held out beside them"
        print(text, file=sys.stderr)
        return {}
    for row in known[known["note"] != ""].itertuples():
        print(f"no 90 % interval of days of {row.target}: {row.note}", file=sys.stderr)
    return {
        str(target): width for target, width in zip(known["target"], known["half_width"], strict=True) if width == width
    }


def with_intervals(tables: Sequence[pd.DataFrame], half: Mapping[str, float]) -> list[pd.DataFrame]:
    """``tables`` of predictions with ``low`` and ``high`` of 90 % of the days of a place that nobody has measured:
    ``half`` (:func:`half_widths`) from the prediction, NaN for variables that it lacks and for periods."""
    lengths = [table.get("days", pd.Series(1, index=table.index)) for table in tables]
    widths = [
        table["variable"].map(half).astype(float).where(days == 1) for table, days in zip(tables, lengths, strict=True)
    ]
    return [
        table.assign(low=table["predicted"] - width, high=table["predicted"] + width)
        for table, width in zip(tables, widths, strict=True)
    ]

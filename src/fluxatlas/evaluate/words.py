"""Scores at unseen sites as a short text, for the screen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..errors import counted
from ..style import PROTOCOL_NAMES, fixed, number
from ..systems import System
from .clusters import FEWEST_CLUSTERS

ROWS = (
    *((f"R2, {name}", protocol, "r2") for protocol, name in PROTOCOL_NAMES.items()),
    ("RMSE, means of sites", "between", "rmse"),
    ("bias, all sites alike", "balanced", "bias"),
    ("r, median of sites", "sites", "r_q50"),
    ("RMSE, median of sites", "sites", "rmse_q50"),
    ("R2, noise ceiling", "ceiling", "r2"),
)
"""What :func:`words` shows: label, protocol and score."""


PERIOD_ROWS = {
    "r2_q25": "R2, lower quartile",
    "r2_q50": "R2, median of sites",
    "r2_q75": "R2, upper quartile",
    "rmse_q50": "RMSE, median of sites",
}
"""What :func:`words_of_periods` shows."""


def words(table: pd.DataFrame, held: pd.DataFrame, system: System, members: int) -> str:
    """The scores of ``table`` (``protocols.csv``) and what intervals hold of days (``held``, ``coverage.csv``) as a
    short text, a block per target, the first flux first."""
    lines: list[str] = []
    for target in sorted(set(table["target"]), key=lambda name: name != system.flux):
        part = table[(table["target"] == target) & (table["subset"] == "all")]
        own = part[part["against"] == ""].set_index(["protocol", "scale", "score", "model"])
        models = list(dict.fromkeys(part["model"]))
        size = part.loc[part["protocol"] == "pooled"].iloc[0]
        where = f"{counted(int(size['sites']), 'site')} in {counted(int(size['clusters']), 'cluster')}"
        interval = (
            "90 % intervals" if own["low"].notna().any() else f"fewer than {FEWEST_CLUSTERS} clusters: no intervals"
        )
        lines += [f"{target} [{size['unit']}]: {where}, {counted(members, 'member')}; {interval}"]
        lines += [f"  {'':24}{'sites':>6}" + "".join(f"{model:>26}" for model in models)]
        for label, protocol, score in ROWS:
            keys = [(protocol, "daily", score, model) for model in models]
            rows = [own.loc[key] if key in own.index else None for key in keys]
            many = max([int(row["sites"]) for row in rows if row is not None], default=0)
            lines += [f"  {label:24}{many:>6}" + "".join(f"  {_cell(row, score):>24}" for row in rows)]
        lines += [*_held(held[held["target"] == target])]
        better = part[(part["score"] == "better") & (part["against"] != "")]
        for row in better.itertuples():
            lines += [f"  the model '{row.model}' has a smaller error than '{row.against}' at {row.value:.0%} of sites"]
    return "\n".join(lines)


def words_of_periods(table: pd.DataFrame, system: System) -> str:
    """The scores of ``table`` (``periods.csv``) as a short text, a block per target, the first flux first."""
    lines: list[str] = []
    for target in sorted(set(table["target"]), key=lambda name: name != system.flux):
        own = table[(table["target"] == target) & (table["against"] == "")].set_index(["score", "model"])
        own = own[own["protocol"] == "sites"]
        models, size = list(dict.fromkeys(own.index.get_level_values("model"))), own.iloc[0]
        where = f"{counted(int(size['sites']), 'site')} in {counted(int(size['clusters']), 'cluster')}"
        lines += [f"{target} [{size['unit']}], means of periods: {where}, {counted(int(size['periods']), 'period')}"]
        lines += [f"  {'':24}" + "".join(f"{model:>26}" for model in models)]
        for score, name in PERIOD_ROWS.items():
            lines += [f"  {name:24}" + "".join(f"  {_cell(own.loc[(score, model)], score):>24}" for model in models)]
    return "\n".join(lines)


def _cell(row: pd.Series | None, score: str) -> str:
    """A value with its interval: what has a unit with significant digits, since it may be small."""
    if row is None or not np.isfinite(row["value"]):
        return "-"
    known = np.isfinite([row["low"], row["high"]]).all()
    text = number if score.startswith(("rmse", "bias")) else fixed
    return text(row["value"]) + (f" [{text(row['low'])}, {text(row['high'])}]" if known else "")


def _held(rows: pd.DataFrame) -> Iterator[str]:
    """What the 90 % intervals of the network hold of the days, where it has such."""
    mine = rows[(rows["model"] == "network") & (rows["what"] == "days")]
    for share in mine["inside"].dropna().to_numpy(float):
        yield f"  90 % intervals, as wide as the sites held out in training ask for, hold {share:.0%} of days"

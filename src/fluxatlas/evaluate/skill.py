"""Skill at sites: every model, target and split in one table, day by day and for the means of sites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import InputError
from .metrics import scores

PathLike = str | Path

READ = ["model", "member", "site", "time", "variable", "observed", "predicted", "split"]
OPTIONAL = ("sd", "low", "high", "days")
COLUMNS = [
    *("model", "target", "split", "sites", "n", "r2", "r", "rmse", "bias", "unit"),
    *("scale", "member", "kge"),
]
ENSEMBLE = "all"
"""``member`` of the rows that score the mean of all members that apply."""


def read_predictions(paths: Sequence[PathLike], periods: bool = False) -> pd.DataFrame:
    """Days of all prediction files, or their ``periods``; none where they have only the others.

    Raises :class:`InputError` for a missing file or column, and where there is no row at all.
    """
    frames = []
    for path in map(Path, paths):
        frame = files.read_made(path, READ, by="`train`")
        frames.append(frame[[*READ, *(name for name in OPTIONAL if name in frame)]])
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        raise InputError("there are no predictions", hint="run `train` first, with sites that have observations")
    whole = pd.concat(filled, ignore_index=True)
    length = whole.pop("days").fillna(1) if "days" in whole else pd.Series(1, index=whole.index)
    return whole[(length > 1) == periods].assign(days=length).reset_index(drop=True)


def days_or_periods(paths: Sequence[PathLike]) -> pd.DataFrame:
    """Days of all prediction files, or their periods where none has a day; raises as :func:`read_predictions`."""
    days = read_predictions(paths)
    return days if len(days) else read_predictions(paths, periods=True)


def skill_table(predictions: pd.DataFrame, settings: EvaluateBlock | None = None) -> pd.DataFrame:
    """Scores by model, target, split, scale (``daily``, ``site_mean``) and member.

    The rows of ``member`` ``all`` score the mean of the members; in the split ``test`` these are only the members that
    have not seen the site. Every day counts the same in ``daily``, every site with at least ``minimum_site_days`` days
    the same in ``site_mean``.
    """
    settings = settings or EvaluateBlock()
    rows = []
    for (model, target, split), group in predictions.groupby(["model", "variable", "split"], sort=True):
        unit = variables.get(str(target)).units
        for member, frame in _by_member(group):
            for scale, pairs in (("daily", frame), ("site_mean", _site_means(frame, settings.minimum_site_days))):
                found = scores(pairs["observed"], pairs["predicted"])
                sites = pairs.loc[pairs[["observed", "predicted"]].notna().all(axis=1), "site"].nunique()
                row = {"model": model, "target": target, "split": split, "sites": sites, "unit": unit}
                rows.append({**row, **found, "scale": scale, "member": member})
    return pd.DataFrame(rows, columns=COLUMNS)


def _by_member(group: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The mean of the members, then each of them if there is more than one."""
    keys = ["site", "time"]
    yield ENSEMBLE, group.groupby(keys, as_index=False)[["observed", "predicted"]].mean()
    if group["member"].nunique() > 1:
        for member, frame in group.groupby("member"):
            yield str(member), frame


def _site_means(frame: pd.DataFrame, fewest: int) -> pd.DataFrame:
    both = frame.dropna(subset=["observed", "predicted"])
    means = both.groupby("site").agg(
        observed=("observed", "mean"), predicted=("predicted", "mean"), days=("observed", "size")
    )
    return means[means["days"] >= fewest].reset_index()


def write_skill(
    output: PathLike, predictions: Sequence[PathLike], settings: EvaluateBlock | None = None
) -> pd.DataFrame:
    """Write :func:`skill_table` of the files ``predictions`` as CSV; return it."""
    table = skill_table(read_predictions(predictions), settings)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table

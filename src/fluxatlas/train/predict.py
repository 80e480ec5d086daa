"""Predictions of a network or of a baseline for whole series, and the table they are kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from .. import files
from .data import YEAR, Batch, DayWindow, FloatArray, SequenceSet
from .networks import HierarchicalNetwork
from .site_periods import predicted_means
from .sites import SiteData

COLUMNS = (
    *("model", "member", "site", "time", "variable", "observed", "sd", "predicted", "low", "high", "split"),
    "days",
)


@torch.no_grad()
def predict(
    network: HierarchicalNetwork, data: SequenceSet, warmup: int = YEAR, group: int = 64, device: str = "cpu"
) -> dict[str, FloatArray]:
    """Outputs of ``network`` for every segment, (time, site) float32 in physical units, NaN outside the segments.

    Each segment is preceded by ``warmup`` days of its own (see :mod:`fluxatlas.train.data`). ``group`` segments run
    together.
    """
    network.eval()
    shape = (len(data.dates), len(data.sites))
    found: dict[str, FloatArray] = {}
    order = sorted(
        range(len(data.segments)), key=lambda number: data.segments[number].start - data.segments[number].stop
    )
    for begin in range(0, len(order), group):
        windows = [
            DayWindow(n, data.segments[n].start, data.segments[n].stop - data.segments[n].start)
            for n in order[begin : begin + group]
        ]
        for name, series in _run(network, data.batch(windows, warmup, device)).items():
            target = found.setdefault(name, np.full(shape, np.nan, np.float32))
            for column, window in enumerate(windows):
                segment = data.segments[window.segment]
                target[segment.start : segment.stop, segment.site] = series[: window.length, column]
    return found


@torch.no_grad()
def predict_draws(
    network: HierarchicalNetwork,
    data: SequenceSet,
    site: int,
    theta: Mapping[str, FloatArray],
    warmup: int = YEAR,
    group: int = 64,
) -> dict[str, FloatArray]:
    """Outputs at the site number ``site`` for each draw of its parameters ``theta`` (draw,): (draw, time) float32, NaN
    outside its segments. Draws and segments run together, ``group`` at a time; see :func:`predict`."""
    network.eval()
    draws = len(next(iter(theta.values())))
    bare = replace(data, targets={}, sd={}, periods=(), theta={})
    own = sorted((s.start - s.stop, n) for n, s in enumerate(data.segments) if s.site == site)
    pairs = [(DayWindow(n, data.segments[n].start, -size), draw) for size, n in own for draw in range(draws)]
    found: dict[str, FloatArray] = {}
    for begin in range(0, len(pairs), group):
        windows, chosen = zip(*pairs[begin : begin + group], strict=True)
        told = {name: torch.as_tensor(values[list(chosen)]) for name, values in theta.items()}
        told |= {name: torch.full((len(chosen),), int(codes[site])) for name, codes in data.forms.items()}
        for name, series in _run(network, replace(bare.batch(list(windows), warmup), theta=told)).items():
            target = found.setdefault(name, np.full((draws, len(data.dates)), np.nan, np.float32))
            for column, (window, draw) in enumerate(zip(windows, chosen, strict=True)):
                target[draw, window.start : window.start + window.length] = series[: window.length, column]
    return found


def _run(network: HierarchicalNetwork, batch: Batch) -> dict[str, FloatArray]:
    """Outputs (time, cell) by variable after the warm-up."""
    given = {"overrides": batch.overrides, "modules": batch.modules, "theta": batch.theta}
    outputs, _ = network(batch.drivers, batch.statics, **given)
    return {name: values[batch.warmup :].cpu().numpy() for name, values in outputs.items()}


def table(
    model: str,
    member: int,
    data: SequenceSet,
    predicted: Mapping[str, FloatArray],
    hidden: npt.NDArray[np.bool_],
    interval: tuple[Mapping[str, FloatArray], Mapping[str, FloatArray]] = ({}, {}),
) -> pd.DataFrame:
    """Observed against predicted, one row per observed day or period and variable, in the columns of docs/contracts.md.

    ``hidden`` (time, site) marks what the model did not see: its ``split`` is ``test``. A period of which some days are
    hidden and others are not belongs to no split and is left out. Variables that the data override are left out.
    ``interval``: low and high (time, site) of 90 % by variable, where known; of days alone.
    """
    frames: list[pd.DataFrame] = []
    for name, observed in data.targets.items():
        if name not in predicted or name in data.overrides:
            continue
        day, site = np.nonzero(np.isfinite(observed) & np.isfinite(predicted[name]))
        sd: Any = data.sd[name][day, site] if name in data.sd else np.nan
        low, high = (bound[name][day, site].astype(np.float64) if name in bound else np.nan for bound in interval)
        frames.append(
            pd.DataFrame(
                {
                    "site": np.asarray(data.sites, dtype=object)[site],
                    "time": data.dates[day],
                    "variable": name,
                    "observed": observed[day, site].astype(np.float64),
                    "sd": np.asarray(sd, np.float64),
                    "predicted": predicted[name][day, site].astype(np.float64),
                    "low": low,
                    "high": high,
                    "split": np.where(hidden[day, site], "test", "train"),
                    "days": 1,
                }
            )
        )
    frames += _of_periods(data, predicted, hidden)
    frames = [frame.assign(model=model, member=member)[list(COLUMNS)] for frame in frames]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def _of_periods(
    data: SequenceSet, predicted: Mapping[str, FloatArray], hidden: npt.NDArray[np.bool_]
) -> list[pd.DataFrame]:
    """The means of periods, each of so many ``days`` from ``time`` on."""
    frames = []
    for one, values in predicted_means(data, predicted):
        unseen = one.share(hidden)
        found = pd.DataFrame(
            {
                "site": np.asarray(data.sites, dtype=object)[one.site],
                "time": data.dates[one.first],
                "variable": one.variable,
                "observed": one.value.astype(np.float64),
                "sd": one.sd.astype(np.float64),
                "predicted": values,
                "low": np.nan,
                "high": np.nan,
                "split": np.where(unseen == 1, "test", "train"),
                "days": one.days,
            }
        )
        frames.append(found[np.isfinite(values) & np.isin(unseen, (0, 1))])
    return frames


def site_table(
    model: str, member: int, network: HierarchicalNetwork, sites: SiteData, hidden: Sequence[npt.NDArray[np.bool_]]
) -> pd.DataFrame:
    """:func:`table` of the predictions of ``network`` for all ``sites``; ``hidden`` for each of their sets."""
    frames = [
        table(model, member, data, predict(network, data), mask) for data, mask in zip(sites.sets, hidden, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def write_table(frames: list[pd.DataFrame], path: str | Path) -> None:
    """Write the predictions of one or more models, completely or not at all."""
    whole = pd.concat([frame for frame in frames if len(frame)] or [pd.DataFrame(columns=list(COLUMNS))])
    files.write_parquet(whole.reset_index(drop=True), path)

"""Yields by a recurrent network with attention over the parts of a season, on what place mean and trend leave.

The yield module of Liu et al. (2024, doi:10.1038/s41467-023-43860-5) attends to the days of a year; statistics come
with few features for each part of the season, so that its steps are these parts. It sees departures of the features
from the place's mean and that mean. Members differ in their seed; how long they learn is decided on years of training
that are left out in turn.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn

Array = npt.NDArray[np.float64]
PART = re.compile(r"^(?P<name>.+?)p(?P<part>\d)$")
"""How a feature of a part of the season is called, such as avgTAVGp2."""
UNITS, EPOCHS, MEMBERS, FOLDS = 24, 16, 3, 3
Reference = Callable[[pd.DataFrame, pd.DataFrame], Array]
"""``(learned from, asked for) -> values``."""


class SeasonNetwork(nn.Module):
    """Features (row, part, feature) and fixed ones (row, feature) to a scaled number (row,)."""

    def __init__(self, features: int, fixed: int) -> None:
        super().__init__()
        self.cell = nn.GRU(features + fixed, UNITS, batch_first=True)
        self.attention = nn.Sequential(nn.Linear(UNITS, UNITS), nn.ReLU(), nn.Linear(UNITS, 1), nn.Tanh())
        self.readout = nn.Sequential(nn.Dropout(0.2), nn.Linear(UNITS + fixed, UNITS), nn.ReLU(), nn.Linear(UNITS, 1))

    def forward(self, parts: Tensor, fixed: Tensor) -> Tensor:
        hidden, _ = self.cell(torch.cat([parts, fixed[:, None].expand(-1, parts.shape[1], -1)], dim=-1))
        weight = torch.softmax(self.attention(hidden), dim=1)
        found: Tensor = self.readout(torch.cat([(weight * hidden).sum(dim=1), fixed], dim=-1))
        return found.squeeze(-1)


@dataclass(frozen=True)
class Inputs:
    """What the network sees of a table, scaled by the rows that it learns from."""

    names: list[str]
    means: pd.DataFrame
    usual: pd.Series[float]
    spread: Array
    between: Array

    @classmethod
    def of(cls, train: pd.DataFrame, names: list[str]) -> Inputs:
        means, usual = train.groupby("place")[names].mean(), train[names].mean()
        away = train[names].to_numpy(float) - means.reindex(train["place"]).to_numpy(float)
        spread, between = np.nanstd(away, axis=0), np.nanstd(means.to_numpy(float), axis=0)
        return cls(names, means, usual, np.where(spread > 0, spread, 1.0), np.where(between > 0, between, 1.0))

    def __call__(self, table: pd.DataFrame) -> tuple[Tensor, Tensor]:
        """Departures (row, part, feature) and the place's means (row, feature); what is missing is usual."""
        here = self.means.reindex(table["place"]).fillna(self.usual).to_numpy(float)
        away = np.nan_to_num((table[self.names].to_numpy(float) - here) / self.spread).clip(-4, 4)
        level = ((here - self.usual.to_numpy(float)) / self.between).clip(-3, 3)
        kinds, parts = _layout(self.names)
        steps = np.zeros((len(table), max(len(parts), 1), len(kinds)))
        for column, name in enumerate(self.names):
            found = PART.match(name)
            kind = kinds.index(found["name"] if found else name)
            where = [parts.index(found["part"])] if found else range(steps.shape[1])
            steps[:, where, kind] = away[:, [column]]
        return torch.as_tensor(steps, dtype=torch.float32), torch.as_tensor(level, dtype=torch.float32)


def _layout(names: list[str]) -> tuple[list[str], list[str]]:
    """Kinds of features and parts of the season."""
    found = [PART.match(name) for name in names]
    kinds = dict.fromkeys(one["name"] if one else name for one, name in zip(found, names, strict=True))
    return list(kinds), sorted({one["part"] for one in found if one})


def departures(
    train: pd.DataFrame, left: Array, asked: pd.DataFrame, names: list[str], epochs: int, seed: int
) -> Array:
    """Mean over members of what rows ``asked`` depart by, learned from ``left`` (row,) of ``train`` in ``epochs``."""
    inputs, scale = Inputs.of(train, names), float(left.std()) or 1.0
    seen, target = inputs(train), torch.as_tensor(left / scale, dtype=torch.float32)
    unseen = inputs(asked)
    found = [_member(seen, target, [unseen], epochs, seed + number)[-1][0] for number in range(MEMBERS)]
    return np.asarray(scale * np.mean(found, axis=0), float)


def chosen_epochs(train: pd.DataFrame, names: list[str], reference: Reference, seed: int) -> int:
    """Epochs with the least error in years of ``train`` that were left out, :data:`FOLDS` parts of them in turn.

    0 where none beats the ``reference``, whose errors are what is learned, or where there are fewer years than parts.
    """
    years = np.sort(train["year"].unique())
    if len(years) < FOLDS:
        return 0
    errors = np.zeros(EPOCHS + 1)
    for fold in range(FOLDS):
        out = train["year"].isin(years[fold::FOLDS]).to_numpy()
        kept, late = train[~out], train[out]
        left = kept["value"].to_numpy(float) - reference(kept, kept)
        missed = late["value"].to_numpy(float) - reference(kept, late)
        inputs, scale = Inputs.of(kept, names), float(left.std()) or 1.0
        target = torch.as_tensor(left / scale, dtype=torch.float32)
        course = _member(inputs(kept), target, [inputs(late)], EPOCHS, seed)
        errors += [float(np.sum(missed**2)), *(float(np.sum((missed - scale * one[0]) ** 2)) for one in course)]
    return int(np.argmin(errors))


def _member(
    seen: tuple[Tensor, Tensor], target: Tensor, asked: list[tuple[Tensor, Tensor]], epochs: int, seed: int
) -> list[list[Array]]:
    """Predictions for each of ``asked`` after each epoch; zeros where there is none."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SeasonNetwork(seen[0].shape[-1], seen[1].shape[-1])
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
        course, batch = [], min(max(len(target) // 11, 32), 512)
        for _ in range(epochs):
            network.train()
            for rows in torch.randperm(len(target)).split(batch):
                optimizer.zero_grad(set_to_none=True)
                loss = nn.functional.mse_loss(network(seen[0][rows], seen[1][rows]), target[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            network.eval()
            with torch.no_grad():
                course.append([network(*one).double().numpy() for one in asked])
    return course or [[np.zeros(len(one[0])) for one in asked]]

"""Made-up towers, folds and results of experiments for the tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from fluxatlas.config.train import TrainBlock
from fluxatlas.experiments.folds import Fold, make_folds
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.sites import SiteData
from toy_system import carbon

SETTINGS = TrainBlock(
    hidden=4, code=0, batch=4, sequence_days=60, warmup_days=5, finetune_steps=4, validation_share=0.3, head="exchange"
)
DATES = pd.date_range("2001-01-01", "2003-12-31")


def series(count: int, seed: int, days: int = len(DATES)) -> SequenceSet:
    """Places of which every second one shares a block with the one before."""
    rng, dates = np.random.default_rng(seed), DATES[:days]
    shape = (days, count)
    season = 90 * np.sin(2 * np.pi * (dates.dayofyear.to_numpy() - 80) / 365)[:, None]
    drivers = {
        "tas": (283 + 5 * rng.normal(size=count) + season / 10 + rng.normal(size=shape)).astype(np.float32),
        "rsds": np.clip(150 + season + 20 * rng.normal(size=shape), 0, None).astype(np.float32),
        "lai": np.full(shape, 2, np.float32),
        "co2": np.full(shape, 380, np.float32),
    }
    made = carbon(drivers["rsds"], drivers["tas"], drivers["lai"], drivers["co2"], np.ones(count))
    return SequenceSet(
        dates,
        tuple(f"s{number}" for number in range(count)),
        np.zeros(count),
        np.arange(count, dtype=float),
        np.arange(count) // 2,
        drivers,
        {name: rng.uniform(5, 40, count).astype(np.float32) for name in ("clay", "soc")},
        {name: values.astype(np.float32) for name, values in made.items()},
        tuple(Segment(site, 0, days) for site in range(count)),
    )


SAMPLES = series(12, 1, 400)
SITES = SiteData((replace(series(12, 2), targets={"nee": series(12, 2).targets["nee"]}),))


def folds(split: str, share: float = 1.0, number: int = 0, sites: SiteData = SITES) -> list[Fold]:
    return make_folds(sites, "nee", split, share, 3, SETTINGS, number)


def true_table(shift: float) -> pd.DataFrame:
    """What is true of ``reco`` at the sites, and ``shift``."""
    wide = pd.DataFrame(series(12, 2).targets["reco"] + shift, index=DATES, columns=list(SITES.sites))
    return wide.rename_axis("time").reset_index().melt("time", var_name="site").assign(variable="reco")

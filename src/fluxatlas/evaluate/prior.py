"""Prior-predictive check: could the process model, with parameters of its prior, have made what the sites measured?

A network that is pretrained on the process model learns the worlds of its prior and no others. Where measurements lie
outside of them, or a site's soil outside of the samples, no fine-tuning with a few sites can be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import files, variables
from ..loading import load_object
from ..systems import System
from ..theta import draw
from ..train.data import FloatArray, SequenceSet
from ..train.scaler import Scaler
from ..train.simulation import simulate_sites
from ..train.sites import SiteData

COLUMNS = [
    *("site", "target", "n", "observed_mean", "low", "median", "high"),
    *("mean_inside", "days_inside", "unit", "outside"),
]
INTERVAL = (0.05, 0.95)


def prior_table(
    sites: SiteData, system: System, draws: int, seed: int, samples: SequenceSet | None = None
) -> pd.DataFrame:
    """What the sites measured against ``draws`` draws of parameters and structure, by site and target.

    ``low``, ``median``, ``high``: 5, 50 and 95 % of the simulated means over the measured days; ``mean_inside`` (0
    or 1) and ``days_inside`` (share) say whether mean and days lie within 5 to 95 % of the simulations, to which
    the random error that the observations state (``sd``) is added. ``outside`` names the statics of the site that
    lie further than :data:`~fluxatlas.train.scaler.FAR` standard deviations from ``samples``, as a network sees
    them. Rows of the site ``all`` hold the mean of the shares over sites and, in ``n``, their number. Sites without
    meteorology are compared in what follows from the profiles that they measured.
    """
    rows: list[dict[str, Any]] = []
    for data in sites.sets:
        far = _outside(data, samples)
        for site, name in enumerate(data.sites):
            found = _site(data, site, system, draws, (seed, site))
            rows += [{"site": name, "outside": far[site], **row} for row in found]
    table = pd.DataFrame(rows, columns=COLUMNS)
    shares = table.groupby("target", sort=False)[["mean_inside", "days_inside"]].mean().reset_index()
    whole = shares.assign(site="all", n=table.groupby("target", sort=False).size().to_numpy())
    return pd.concat([table, whole], ignore_index=True)[COLUMNS] if len(table) else table


def _site(data: SequenceSet, site: int, system: System, draws: int, seed: tuple[int, int]) -> Iterator[dict[str, Any]]:
    """One row per target that the site measured; its segments share their draws, as they are one place."""
    observed = {name: values[:, site] for name, values in data.targets.items() if np.isfinite(values[:, site]).any()}
    theta = draw(load_object(system.priors)(), system.choices, draws, np.random.default_rng(seed))
    made: dict[str, list[FloatArray]] = {name: [] for name in observed}
    seen: dict[str, list[FloatArray]] = {name: [] for name in observed}
    for segment in data.segments:
        days = slice(segment.start, segment.stop)
        if segment.site == site and any(np.isfinite(values[days]).any() for values in observed.values()):
            simulated = simulate_sites(data, system, days, [site], theta, draws)
            for name, values in observed.items():
                if name not in simulated:
                    continue
                use = np.isfinite(values[days])
                made[name].append(simulated[name][use])
                sd = np.nan_to_num(data.sd[name][days, site][use]) if name in data.sd else np.zeros(use.sum())
                seen[name].append(np.stack([values[days][use], sd]))
    for name, parts in made.items():
        if not parts:
            continue
        value, sd = np.concatenate(seen[name], axis=1)
        row = _row(np.concatenate(parts), value, sd, np.random.default_rng((*seed, 1)))
        yield {"target": name, "unit": variables.get(name).units, **row}


def _row(made: FloatArray, value: FloatArray, sd: FloatArray, rng: np.random.Generator) -> dict[str, Any]:
    """Scores of ``value`` (day,) with random errors ``sd`` against ``made`` (day, draw)."""
    low, median, high = np.quantile(made.mean(axis=0), (INTERVAL[0], 0.5, INTERVAL[1]))
    noisy = made + sd[:, None] * rng.standard_normal(made.shape)
    least, most = np.quantile(noisy, INTERVAL, axis=1)
    mean = float(value.mean())
    return {
        "n": value.size,
        "observed_mean": mean,
        "low": float(low),
        "median": float(median),
        "high": float(high),
        "mean_inside": float(low <= mean <= high),
        "days_inside": float(((value >= least) & (value <= most)).mean()),
    }


def _outside(data: SequenceSet, samples: SequenceSet | None) -> list[str]:
    """Names of the statics of each site that lie far outside of the samples, joined by blanks."""
    far: list[list[str]] = [[] for _ in data.sites]
    known = samples.statics if samples else {}
    scaler = Scaler(known)
    scaler.fit(known)
    for name in known:
        for site in np.flatnonzero(scaler.beyond(name, torch.as_tensor(data.statics[name])).numpy()):
            far[site].append(name)
    return [" ".join(names) for names in far]


def write_prior(
    output: str | Path, sites: SiteData, system: System, draws: int, seed: int, samples: SequenceSet | None = None
) -> pd.DataFrame:
    """Write :func:`prior_table` as CSV; return it."""
    table = prior_table(sites, system, draws, seed, samples)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    return table

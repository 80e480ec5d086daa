"""What a few measured days of a place are worth (``train.local_days``): the sites of a fold, told some of their days.

| model | what it is |
|---|---|
| ``network_local`` | the network with the place's own parameters, by these days and what other sites taught |
| ``process_local`` | the process model with its defaults, times one number that is fitted to these days |
| ``mean_local`` | their mean |

The days are spread evenly over the record of a site, as visits with a chamber are. They are in the split ``train``, the
days that are scored in ``test``. A site with fewer than twice as many observed days is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import counted
from ..systems import System
from .calibrated import DIFFERENCE, SitesModel, Structured, predict_places
from .calibration import Place, Posterior
from .data import SequenceSet
from .finetune import Mask, without
from .gauss_newton import Options
from .networks import HierarchicalNetwork
from .predict import table
from .simulation import simulated
from .sites import SiteData

NAME = "network_local"


def local_days(data: SequenceSet, flux: str, count: int) -> Mask:
    """The days (time, site) that are taken as known: ``count`` of those in segments on which ``flux`` was observed,
    from the first to the last, evenly in their order; none of a site with fewer than twice as many."""
    shape = len(data.dates), len(data.sites)
    inside, found = np.zeros(shape, bool), np.zeros(shape, bool)
    for segment in data.segments:
        inside[segment.start : segment.stop, segment.site] = True
    seen = inside & np.isfinite(data.targets.get(flux, np.full(shape, np.nan)))
    for site in np.flatnonzero(seen.sum(axis=0) >= 2 * count):
        days = np.flatnonzero(seen[:, site])
        found[days[np.linspace(0, len(days) - 1, count).round().astype(int)], site] = True
    return found


def network_local(
    network: HierarchicalNetwork,
    sites: SiteData,
    hidden: Sequence[Mask],
    posterior: Posterior,
    model: Structured,
    seed: int,
    count: int,
    member: int,
) -> pd.DataFrame:
    """Predictions of ``network`` as member number ``member`` at the sites that are ``hidden`` (time, site of each set)
    from ``posterior`` on all days, with parameters of their own from ``count`` of these.

    Empty where the posterior was made without observations of the flux, which leaves its errors unknown. Says that, and
    how many sites have too few days.
    """
    flux, frames, few = model.system.flux, [], 0
    if flux not in posterior.pool:
        text = f"member {member}: no {NAME}, since no site outside of the fold says what errors {flux} has"
        print(text, file=sys.stderr, flush=True)
        return pd.DataFrame()
    for data, mask in zip(sites.sets, hidden, strict=True):
        known = local_days(data, flux, count)
        unseen, told = mask.all(axis=0), known.any(axis=0)
        left = np.logical_and(unseen, told)
        few += int(np.count_nonzero(unseen & ~told))
        if not left.any():
            continue
        part = data.only(left)
        places = _places(without(part, ~known), posterior, model)
        found = predict_places(network, part, posterior, model, seed, mask & ~known, places)
        frames.append(table(NAME, member, part, found.mean, mask & ~known, (found.low, found.high)))
    _say_few(f"member {member}: {NAME}", few, flux, count)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _say_few(what: str, sites: int, flux: str, count: int) -> None:
    if sites:
        text = f"{what} leaves out {counted(sites, 'site')} with fewer than {2 * count} observed days of {flux}"
        print(text, file=sys.stderr, flush=True)


def _places(data: SequenceSet, posterior: Posterior, model: Structured) -> dict[str, Place]:
    """Parameters of each site of ``data`` with segments, from what it observed as far as the posterior knows errors."""
    forward, found = SitesModel([data.steady()], model), {}
    for site, observed in forward.observations.items():
        few = {name: one for name, one in observed.items() if name in posterior.pool}
        found[site] = posterior.few_shot(forward, few, site, Options(difference=DIFFERENCE))
        if not found[site].converged:
            print(f"{site} by its own days: {found[site].message}", file=sys.stderr, flush=True)
    return found


def local_baseline(name: str, sites: SiteData, system: System, count: int) -> list[pd.DataFrame]:
    """``process_local`` or ``mean_local`` (``name``) of the flux, from ``count`` days of each site.

    Either is a course times its slope through the origin over the days that are known; that of a mean is one.
    """
    flux, found, few = system.flux, [], 0
    for data in (data for data in sites.sets if flux in data.targets):
        known = local_days(data, flux, count)
        few += int(np.count_nonzero(~known.any(axis=0)))
        course = np.ones(known.shape) if name == "mean_local" else simulated(data, system)[flux].astype(float)
        told = known & np.isfinite(course)
        product = np.where(told, course * data.targets[flux], 0).sum(axis=0)
        square = np.where(told, course**2, 0).sum(axis=0)
        slope = np.divide(product, square, out=np.full(len(data.sites), np.nan), where=square > 0)
        found.append(table(name, 0, data, {flux: course * slope}, ~known))
    _say_few(name, few, flux, count)
    return found

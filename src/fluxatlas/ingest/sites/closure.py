"""Latent and sensible heat of towers, which sum to 0.75 to 0.85 of the available energy, brought onto the balance.

``corrected``: the columns that the network corrected (``LE_CORR``, ``H_CORR`` of FLUXNET, by the energy balance ratio
of a window of days, Pastorello et al. 2020, doi:10.1038/s41597-020-0534-3; ``Qle_cor``, ``Qh_cor`` of PLUMBER2); days
of these need not close one by one. ``bowen_ratio``: what net radiation and ground heat leave on each day, shared as the
two were measured (Twine et al. 2000, doi:10.1016/S0168-1923(00)00123-4 [R]), so that every day closes. Heat stored in
canopy and soil above the plates is left out of account, which is why a day far from its balance is not corrected but
dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ...config.sites import SiteEntry
from ...errors import InputError
from .records import Ledger, SiteRecord

BALANCE = ("rns", "hfdsl", "hfls", "hfss")
TURBULENT = ("hfls", "hfss", "evspsbl")
LEAST = 10.0
"""W m-2 of latent and sensible heat together below which their ratio says nothing (our choice)."""
FACTORS = (0.5, 2.0)
"""Least and largest factor of a correction that is believed (our choice)."""
CORRECTED = {"LE_F_MDS": "LE_CORR", "H_F_MDS": "H_CORR", "Qle": "Qle_cor", "Qh": "Qh_cor"}
"""Columns as measured and as the network corrected them."""
MEASURED = {corrected: measured for measured, corrected in CORRECTED.items()}


def column(name: str, entry: SiteEntry) -> str:
    """The column that stands for ``name`` under the closure of the entry."""
    return CORRECTED.get(name, name) if entry.closure == "corrected" else name


def balance_factor(wide: pd.DataFrame) -> pd.Series:
    """What latent and sensible heat of each row (:data:`BALANCE` [W m-2]) are multiplied by so that it closes.

    ``(rns - hfdsl) / (hfls + hfss)``; NaN with less than :data:`LEAST` of both or outside :data:`FACTORS`.
    """
    both = wide["hfls"] + wide["hfss"]
    factor = (wide["rns"] - wide["hfdsl"]) / both.where(both >= LEAST)
    return factor.where(factor.between(*FACTORS))


def bowen_ratio(table: pd.DataFrame, keys: Sequence[str], ledger: Ledger, of: str) -> pd.DataFrame:
    """Long ``table`` (``variable, value, sd``) with turbulent fluxes on the balance.

    It is unique by ``keys``, one of which is ``site``, and variable. Their values and errors are multiplied by
    :func:`balance_factor`; those without one are dropped and counted ``of`` days or months. Other variables stay as
    they are.
    """
    four = table[table["variable"].isin(BALANCE)]
    wide = four.pivot(index=list(keys), columns="variable", values="value").reindex(columns=list(BALANCE))
    factors = balance_factor(wide).rename("factor").reset_index()
    turbulent = table["variable"].isin(TURBULENT).to_numpy()
    own = np.where(turbulent, table[list(keys)].merge(factors, on=list(keys), how="left")["factor"], 1.0)
    made = table.assign(value=table["value"] * own, sd=table["sd"] * own)
    lost = table[made["value"].isna().to_numpy()]
    for (site, name), part in lost.groupby(["site", "variable"]):
        label = str(site) if of == "days" else f"{site} ({of})"
        ledger.drop(label, str(name), "energy cannot be closed", len(part), of=of)
    return made[made["value"].notna()].reset_index(drop=True)


def closed(record: SiteRecord, entry: SiteEntry, ledger: Ledger) -> SiteRecord:
    """The site with the closure of its entry, with a line on the screen where nothing of it can be closed."""
    if entry.closure == "measured":
        return record
    found = record.observations
    if entry.closure == "bowen_ratio" and len(found):
        named = bowen_ratio(found.assign(site=record.name), ("site", "time"), ledger, "days")
        found = named[list(record.observations.columns)]
    if set(found["variable"]) & set(TURBULENT):
        ledger.offer(entry, "closure", [record.name])
    elif len(record.observations):
        ledger.warn(record.name, f"no latent and sensible heat with 'closure: {entry.closure}': {_needs(entry)}")
    return replace(record, observations=found)


def closed_periods(periods: pd.DataFrame, entry: SiteEntry, ledger: Ledger) -> pd.DataFrame:
    """The same of a table of periods."""
    if entry.closure == "bowen_ratio" and len(periods):
        periods = bowen_ratio(periods, ("site", "start", "end"), ledger, "months")
    ledger.offer(entry, "closure", periods.loc[periods["variable"].isin(TURBULENT), "site"].unique())
    return periods


def check_closure(entry: SiteEntry, ledger: Ledger) -> None:
    """Raise :class:`InputError` where a closure is asked for and nothing of the entry has any heat with it."""
    if entry.closure == "measured" or ledger.known(entry, "closure"):
        return
    raise InputError(
        f"no tower has latent and sensible heat with 'closure: {entry.closure}': {_needs(entry)}",
        where=f"sites.entries, {', '.join(entry.path)}",
        hint="choose another 'closure' of the entry: measured, corrected or bowen_ratio",
    )


def _needs(entry: SiteEntry) -> str:
    if entry.closure == "corrected":
        return "its columns of LE and H as the network corrected them are absent or empty"
    return "that needs net radiation, ground heat, latent and sensible heat of the same days"

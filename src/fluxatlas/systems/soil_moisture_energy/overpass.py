"""Estimates of the energy fluxes at the moment of a satellite's overpass, from what the satellite knows.

The daily chain has no moment of the day; here its canopy, its balance and its forms of closing stand alone, beside
trees. A model is ``(known, measured, asked, seed) -> fluxes``: rows of towers it may learn from with their fluxes, and
rows (``fluxatlas.ingest.sites.overpasses``) it is asked for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ...process.energy.instant import GROUND_SHARE, energy_at, leaf_area, vapour_deficit

Array = npt.NDArray[np.float64]

TARGETS = ("hfls", "hfss", "rns", "hfdsl")
FEATURES = ("rns", "rsds", "tas", "hurs", "ts", "swc05", "ndvi", "albedo", "emissivity", "solar_hour")
WIND, CO2 = 3.0, 415.0
"""m s-1 and ppm: the table has neither (assumed)."""
COVER = {"CVM": "CRO"}
NETWORKS, UNITS, STEPS = 3, 16, 150


def features(rows: pd.DataFrame) -> Array:
    """What learners see, (row, feature): :data:`FEATURES`, surface less air [K], vapour pressure deficit [kPa]."""
    deficit = vapour_deficit(rows["tas"].to_numpy(float) - 273.15, rows["hurs"].to_numpy(float))
    return np.column_stack([rows[list(FEATURES)], rows["ts"] - rows["tas"], deficit])


def canopy(known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The canopy of the process model, default parameters; roots are as wet as the surface that the satellite sees."""
    return _canopy(asked, stressed=True)


def watered_canopy(known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The same with roots that have all the water they want: nothing in the table tells of the deep soil."""
    return _canopy(asked, stressed=False)


def _canopy(asked: pd.DataFrame, stressed: bool) -> pd.DataFrame:
    drivers = {name: asked[name].to_numpy(float) for name in (*FEATURES, "elevation")}
    soil = {name: asked[name].to_numpy(float) for name in ("sand", "clay", "soc")}
    cover = [COVER.get(name, name) for name in asked["igbp"]]
    return pd.DataFrame(energy_at(drivers, soil, cover, wind=WIND, co2=CO2, stressed=stressed), index=asked.index)


def forest(known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One forest for the four fluxes, which knows no balance: leaves and depth of the published emulator (Han et al.
    2025, ESSD 17, 7101), 200 trees, a third of the features at each split."""
    from sklearn.ensemble import RandomForestRegressor

    sizes = {"max_depth": 20, "min_samples_split": 10, "min_samples_leaf": 4, "max_features": 1 / 3}
    model = RandomForestRegressor(200, random_state=seed, **sizes)
    model.fit(features(known), measured[list(TARGETS)].to_numpy(float))
    return pd.DataFrame(model.predict(features(asked)), asked.index, list(TARGETS))


def closed_forest(known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int) -> pd.DataFrame:
    """:func:`forest`, moved onto the balance by the variances of the system's head ``projection``."""
    import torch

    from .network import projection

    free = forest(known, measured, asked, seed)
    given = {name: torch.tensor(free[name].to_numpy(float)) for name in TARGETS}
    closed = projection(given | {"tas": torch.tensor(asked["tas"].to_numpy(float))})
    return pd.DataFrame({name: closed[name].numpy() for name in TARGETS}, index=asked.index)


def network(known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Mean of three networks of two layers with the system's head ``fraction``, which closes by construction.

    Net radiation is the satellite's and heat into the ground that of the process model, each plus what is learned.
    """
    parts = [_network(known, measured, asked, seed + number) for number in range(NETWORKS)]
    return pd.DataFrame(np.mean(parts, axis=0), asked.index, list(TARGETS))


def _network(known: pd.DataFrame, measured: pd.DataFrame, asked: pd.DataFrame, seed: int) -> Array:
    import torch
    from torch import nn

    from ...process.energy.canopy_torch import ground_heat
    from .network import fraction, fraction_bound

    inputs, wanted = features(known), measured[list(TARGETS)].to_numpy(float)
    middle, spread = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    scale, width = torch.tensor(wanted.std(axis=0) + 1e-9), wanted.std(axis=0)
    torch.manual_seed(seed)
    sizes = (inputs.shape[1], UNITS)
    layers = nn.Sequential(nn.Linear(*sizes), nn.Tanh(), nn.Linear(UNITS, UNITS), nn.Tanh(), nn.Linear(UNITS, 3))
    layers.double()

    def run(rows: pd.DataFrame) -> torch.Tensor:
        raw = layers(torch.tensor((features(rows) - middle) / spread))
        radiation, celsius = (torch.tensor(rows[name].to_numpy(float)) for name in ("rns", "tas"))
        lai = torch.tensor(leaf_area(rows["ndvi"].to_numpy(float)))
        rns = radiation + 0.3 * width[2] * raw[:, 0]
        ground = ground_heat(rns, lai, GROUND_SHARE) + 0.3 * width[3] * raw[:, 1]
        made = {"rns": rns, "hfdsl": ground, "tas": celsius, "evapfrac": fraction_bound(raw[:, 2], {}, None, {})}
        made |= fraction(made)
        return torch.stack([made[name] for name in TARGETS], dim=1)

    optimiser = torch.optim.Adam(layers.parameters(), lr=0.01, weight_decay=1e-3)
    goal = torch.tensor(wanted)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = (((run(known) - goal) / scale) ** 2).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        return np.asarray(run(asked).numpy())


MODELS = {
    "process model": canopy,
    "process model, watered": watered_canopy,
    "forest": forest,
    "forest, projected": closed_forest,
    "network": network,
}

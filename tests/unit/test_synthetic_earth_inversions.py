"""Pseudo-inversions of the synthetic Earth: they add up to the truth of all cells, fire and the errors of members."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import infer_world as world
from fluxatlas.config.synthetic_earth import FIRE_FILE, INVERSION_FILE, SyntheticEarthBlock
from fluxatlas.errors import ConfigError
from fluxatlas.files import write_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.ingest.constraints.inversions import load_inversion
from fluxatlas.regrid.regions import bounds, cell_area
from fluxatlas.systems import get_system
from fluxatlas.testing.earth import SyntheticEarth
from fluxatlas.testing.inversions import write_inversions
from toy_system import TOY


class Truth:
    """A flux that is its place and month: 0.1 times the latitude plus the month."""

    undisturbed = {"disturbance": 0.0}

    def parameters(self, temperature, attributes, monthly, waves, scatter=None):
        return {}

    def simulate(self, drivers, attributes, hidden, *, lat, dates):
        return {"nee": (0.1 * lat + dates.month.to_numpy()[:, None]).astype(np.float32)}


TRUTH = Truth()
SYSTEM = replace(TOY, truth="test_synthetic_earth_inversions:TRUTH")
TILE = get_grid("0.25deg").tile("N38W124", 2)


def test_inversions_are_the_sums_of_the_truth_and_errors(tmp_path: Path) -> None:
    path = world.write_attributes(tmp_path / f"{TILE.name}.nc", TILE)
    with xr.open_dataset(path) as data:
        layers = data.load()
    active = layers["active"].to_numpy() == 1
    area = np.broadcast_to(cell_area(bounds(TILE.lat, "lat"), bounds(TILE.lon, "lon")), active.shape)
    layers["areacella"], layers["sftlf"] = (("lat", "lon"), area), (("lat", "lon"), np.where(active, 80.0, 0.0))
    write_netcdf(layers.assign_attrs(weight="areacella sftlf"), path)
    write_inversions(SyntheticEarth(SyntheticEarthBlock()), SYSTEM, [path], [2001, 2002], tmp_path)
    net, fire = (
        load_inversion(tmp_path / name, kind, variable=variable)
        for name, kind, variable in ((INVERSION_FILE, "gcb", ""), (FIRE_FILE, "carbontracker", "fire_flux_imp"))
    )
    assert net.sizes == {"time": 24, "lat": 4, "lon": 4, "member": 4} and fire.sizes["member"] == 1
    cells = cell_area(bounds(net.lat.to_numpy(), "lat"), bounds(net.lon.to_numpy(), "lon"))
    total = ((net - fire.isel(member=0, drop=True)) * cells[:, :, None]).sum(["lat", "lon"]).to_numpy()
    land = area * 0.8 * active
    months = pd.DatetimeIndex(net.time.to_numpy()).month.to_numpy()
    truth = (0.1 * TILE.lat[None, :, None] + months[:, None, None]) * land
    error = (total - truth.sum(axis=(1, 2))[:, None]) / land.sum()
    assert 0.02 < error.std() < 0.2 and np.abs(error).max() < 0.5  # of its truth of 4 to 17
    # the error is the same over all land: cell by cell the rest is the truth, binned by place
    binned = truth.reshape(24, 4, 2, 4, 2).sum(axis=(2, 4))
    share = land.reshape(4, 2, 4, 2).sum(axis=(1, 3))
    found = (net - fire.isel(member=0, drop=True)).to_numpy() * cells[:, :, None]
    rest = (found - binned[..., None]) / share[:, :, None]
    np.testing.assert_allclose(rest, np.broadcast_to(error[:, None, None], rest.shape), atol=2e-4)
    assert float(fire.min()) >= 0 and float(fire.max()) > 0.05


def test_a_flux_that_is_not_of_carbon_has_no_inversions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'fch4' is not a flux of carbon"):
        write_inversions(SyntheticEarth(SyntheticEarthBlock()), get_system("soil_methane_sink"), [], [2001], tmp_path)

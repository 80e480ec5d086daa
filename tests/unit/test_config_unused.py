"""An option that would do nothing is refused where the configuration is read, or where the kind of a file is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from fluxatlas.config.base import UnitOverride
from fluxatlas.config.constraints import Constraint
from fluxatlas.config.forcing import ForcingBlock, RainPattern
from fluxatlas.config.model import Config
from fluxatlas.config.static import Layer
from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError
from fluxatlas.ingest.constraints.build import kind_of

WHY = "there is no map of it"
WHOLE = {"system": "soil_methane_sink", "period": {"start": 2001, "end": 2001}}


@pytest.mark.parametrize(
    ("block", "given", "message"),
    [
        (Layer, {"constant": 1.0, "reason": WHY, "scale": 10}, "'scale' is of a file"),
        (Layer, {"constant": 1.0, "reason": WHY, "units": "%"}, "'units' is of a file"),
        (Layer, {"constant": 1.0, "reason": "short"}, "'reason' of 10 letters or more"),
        (Layer, {"path": "a.tif", "reason": WHY}, "'reason' belongs to a 'constant'"),
        (Layer, {"path": "a.tif", "columns": {"code": "A"}}, "'columns' are those of a 'table'"),
        (Layer, {"path": "a.tif", "depths": ["0-5cm"]}, "'depths' are what"),
        (Config, {**WHOLE, "forcing": {"source": "synthetic_earth", "path": "x_{year}.nc"}}, "'path' does nothing"),
        (Config, {**WHOLE, "forcing": {"source": "synthetic_earth", "elevation": "x.nc"}}, "'elevation' does nothing"),
        (
            Config,
            {**WHOLE, "forcing": {"source": "synthetic_earth"}, "static": {"layers": {"sand": {"path": "a.tif"}}}},
            "static: the synthetic Earth makes its own layers: 'layers' does nothing",
        ),
        (ForcingBlock, {"elevation_variable": "z"}, "'elevation_variable' does nothing"),
        (ForcingBlock, {"source": "era5", "path": "x", "elevation": "y", "mapping": "z"}, "'mapping' is read with"),
        (RainPattern, {"source": "era5", "path": "x", "mapping": "z"}, "'mapping' is read with"),
        (Constraint, {"path": "a.nc", "units": "kg C m-2 s-1", "reason": "short"}, "'reason' of 10 letters or more"),
        (Constraint, {"path": "a.nc", "reason": WHY}, "'reason' belongs to"),
        (TrainBlock, {"rate_decay_epochs": 10}, "'rate_decay_epochs' does nothing without 'rate_decay'"),
        (UnitOverride, {"units": "K", "reason": "wrong"}, "a reason has 10 letters or more"),
    ],
)
def test_what_would_do_nothing_is_refused(block: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        block(**given)


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        ("cams", {"grid": "0.5deg"}, "grid"),
        ("gcb", {"overpass": "am"}, "overpass"),
        ("carboscope", {"minimum_share": 0.2}, "minimum_share"),
        ("smap", {"units": "%", "reason": WHY}, "units"),
        ("esa_cci", {"variable": "sm"}, "variable"),
        ("gldas", {"add_fire": True}, "add_fire"),
        ("ascat", {"step": "native"}, "step"),
        ("era5_land", {"start": "2001-01", "reason": WHY}, "start"),
    ],
)
def test_options_of_another_family_of_constraints_are_refused(
    tmp_path: Path, kind: str, given: dict[str, Any], name: str
) -> None:
    path = tmp_path / "x.nc"
    xr.Dataset({"sm": (("lat", "lon"), np.zeros((2, 2)))}, {"lat": [1.0, 0.0], "lon": [0.0, 1.0]}).to_netcdf(path)
    with pytest.raises(ConfigError, match=f"'{name}' does nothing for"):
        kind_of(Constraint(path=[str(path)], kind=kind, **given), path)
    kind_of(Constraint(path=[str(path)], kind=kind, gaps="keep", first_year=2001), path)

"""Maps of one crop with the members of a run, and spin-ups of years that stand for others, from files to files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

import crop_cases as cases
import infer_world as world
from fluxatlas.config.infer import InferBlock
from fluxatlas.config.train import TrainBlock
from fluxatlas.drivers import slow_drivers
from fluxatlas.errors import ConfigError
from fluxatlas.files import write_netcdf
from fluxatlas.grid import get_grid
from fluxatlas.infer.commands import app
from fluxatlas.infer.tile import run_tile, spin_up
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.systems import get_system
from fluxatlas.systems.crop_carbon import ROTATIONS
from fluxatlas.systems.crop_carbon.process import MODEL, priors
from fluxatlas.theta import draw
from fluxatlas.train.adapt import adapt
from fluxatlas.train.data import Segment, SequenceSet
from fluxatlas.train.member import Member
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.sites import SiteData

SYSTEM = get_system("crop_carbon")
TILE = get_grid("4km").tile("N40W090", 1)
SETTINGS = TrainBlock(hidden=4, code=3, members=2, ladder="prior", sequence_days=365, warmup_days=30)
WHEAT, MAIZE = InferBlock(forms={"rotation": "wheat"}), InferBlock(forms={"rotation": "maize"})


def samples() -> SequenceSet:
    """Two years of six fields under draws of the prior, as the process model has them."""
    count = 6
    lat = np.full(count, 40.0)
    forcing, dates = cases.weather(lat, 2, 13.0, 12.0, 950.0)
    rng = np.random.default_rng(4)
    shape = forcing["tas"].shape
    drivers = {**forcing, "sfcWind": rng.uniform(1.0, 5.0, shape), "ps": rng.uniform(94000.0, 98500.0, shape)}
    drivers |= slow_drivers(SYSTEM.slow, dates, lat, {}, series_of(SYSTEM.slow))
    ranges = {"sand": (15.0, 75.0), "clay": (8.0, 34.0), "soc": (6.0, 34.0), "bdod": (1200.0, 1480.0)}
    soil = {name: rng.permutation(np.linspace(*limits, count)) for name, limits in ranges.items()}
    theta = draw(priors(), SYSTEM.choices, count, rng)
    made = MODEL.simulate(drivers, soil, lat=lat, dates=dates, spinup_years=1, theta=theta)
    statics = {name: values for name, values in {**soil, **MODEL.derive(soil)}.items() if name in SYSTEM.statics}
    return SequenceSet(
        dates,
        tuple(map(str, range(count))),
        lat,
        np.arange(count, dtype=float),
        np.arange(count),
        drivers={name: np.asarray(drivers[name], np.float32) for name in (*SYSTEM.forcing, *SYSTEM.slow_drivers)},
        statics={name: np.asarray(values, np.float32) for name, values in statics.items()},
        targets={name: np.asarray(made[name], np.float32) for name in SYSTEM.simulated},
        segments=tuple(Segment(site, 0, len(dates)) for site in range(count)),
        theta={name: np.asarray(values, np.float32) for name, values in theta.all().items()},
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A member as a run makes it, on disk, and a strip of cells with the same weather in an odd and an even year."""
    folder, data = tmp_path_factory.mktemp("forms"), samples()
    torch.manual_seed(0)
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=4, code=3))
    network.scaler.fit(data.values())
    with torch.no_grad():
        network.parts["plants"].readout.bias -= 3.0  # little is respired: something is left to harvest
    towers = replace(data, targets={"nee": data.targets["nee"]}, theta={})
    made = adapt(Member(network, "4km"), data, SiteData((towers,)), SETTINGS, 0).member
    made.save(folder / "0.pt")
    found = {"member": folder / "0.pt", "attributes": folder / "attributes.nc", "series": f"co2={folder / 'co2.csv'}"}
    world.write_attributes(found["attributes"], TILE, ocean_west_of=-89.1)
    (folder / "co2.csv").write_text(
        "# CO2\nyear,mean,unc\n" + "".join(f"{year},400.0,0.1\n" for year in range(1990, 2010))
    )
    found |= {2001: world.write_piece(folder / "2001.nc", TILE, 2001)}
    with xr.open_dataset(found[2001]) as piece:
        later = piece.load().assign_coords(time=pd.date_range("2002-01-01", "2002-12-31"))
    write_netcdf(later, folder / "2002.nc")
    return found | {2002: folder / "2002.nc"}


def mapped(files: dict[str, Any], folder: Path, settings: InferBlock, **more: Any) -> xr.Dataset:
    """The tile-year 2001 under ``settings``."""
    given = {"forcing": files[2001], "attributes": files["attributes"], "members": [files["member"]], **more}
    run_tile(TILE, **given, output=folder / "out.nc", state_out=folder / "state.nc", settings=settings)
    return world.open_raw(folder / "out.nc")


def state(path: Path) -> dict[str, np.ndarray]:
    return {str(name): values.to_numpy() for name, values in world.open_raw(path).data_vars.items()}


def same(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> bool:
    return one.keys() == two.keys() and all(
        np.array_equal(values, two[name], equal_nan=True) for name, values in one.items()
    )


def test_a_member_of_a_run_maps_each_crop(files: dict[str, Any], tmp_path: Path) -> None:
    """Wheat and maize are harvested on their own days by the member that a run has made, saved and read again."""
    own = Member.load(files["member"])
    assert own.network.architecture.code == 0 and own.unbound is not None
    made, days = {}, {}
    for name, settings in (("wheat", WHEAT), ("maize", MAIZE), ("own", InferBlock())):
        (tmp_path / name).mkdir()
        made[name] = mapped(files, tmp_path / name, settings)
        harvest = world.decode(tmp_path / name / "out.nc")["harvest"].max(("lat", "lon"))
        days[name] = (np.flatnonzero(harvest > 0) + 1).tolist()
    _, odd = list(ROTATIONS.values())[int(own.network.theta["rotation"])]  # 2001 is odd
    for name, crop in (("wheat", "wheat"), ("maize", "maize"), ("own", odd)):
        assert days[name] == [pytest.approx(own.meta["theta"][f"{crop}_harvest_day"], abs=1)]
    assert not made["wheat"]["gpp"].equals(made["maize"]["gpp"])


def test_the_forms_are_those_that_the_network_was_told_before_it_was_bound(files: dict[str, Any]) -> None:
    """Folded into biases and told day by day is the same; parameters stay those of the member."""
    own, data = Member.load(files["member"]), samples()
    drivers, statics = ({name: torch.as_tensor(v[..., :2]) for name, v in part.items()}
                        for part in (data.drivers, data.statics))  # fmt: skip
    for forms, code in (({}, own.meta["theta"]["rotation"]), (WHEAT.forms, list(ROTATIONS).index("wheat"))):
        theta = {**own.meta["theta"], "rotation": code}
        told = {name: torch.full((2,), value) for name, value in theta.items()}
        with torch.no_grad():
            bound, _ = own.bound_to(forms).network(drivers, statics)
            whole, _ = own.unbound(drivers, statics, theta=told)  # type: ignore[misc]
        for name in SYSTEM.outputs:
            torch.testing.assert_close(bound[name], whole[name], rtol=1e-4, atol=1e-4)


def test_without_forms_a_member_is_what_it_was(files: dict[str, Any], tmp_path: Path) -> None:
    """Bit by bit that of a member that holds nothing but the bound network."""
    own = Member.load(files["member"])
    replace(own, unbound=None).save(tmp_path / "bound.pt")
    here = []
    for name, member in (("now", files["member"]), ("then", tmp_path / "bound.pt")):
        (tmp_path / name).mkdir()
        made = mapped(files, tmp_path / name, InferBlock(), members=[member])
        here.append({str(key): made[key].to_numpy() for key in made.data_vars} | state(tmp_path / name / "state.nc"))
    assert same(*here)
    assert own.bound_to({}) is own
    with pytest.raises(ConfigError, match="the members are not told the forms of the process model"):
        mapped(files, tmp_path, WHEAT, members=[tmp_path / "bound.pt"])
    assert not (tmp_path / "out.nc").exists()


def spun(files: dict[str, Any], years: list[int], path: Path, **more: Any) -> dict[str, np.ndarray]:
    where = {"attributes": files["attributes"], "members": [files["member"]], "series": [files["series"]]}
    spin_up(TILE, forcing=[files[year] for year in years], state_out=path, **where, **more)
    return state(path)


def test_a_spin_up_has_the_parity_of_the_years_it_stands_for(files: dict[str, Any], tmp_path: Path) -> None:
    """2001 once before 2001 stands for 2000, and twice for 1999 and 2000: the weather of 2001 in an even year."""
    even, odd = spun(files, [2002], tmp_path / "even.nc"), spun(files, [2001], tmp_path / "odd.nc")
    assert not same(even, odd)
    assert same(spun(files, [2001], tmp_path / "once.nc", before=2001), even)
    both = spun(files, [2001, 2002], tmp_path / "both.nc")
    assert same(spun(files, [2001], tmp_path / "twice.nc", before=2001, repeat=2), both)
    assert same(spun(files, [2001], tmp_path / "odd_again.nc", before=2002), odd)
    words = ["spinup", "--tile", TILE.name, "--tile-size", "1", "--forcing", files[2001], "--before", "2001"]
    words += ["--attributes", files["attributes"], "--member", files["member"], "--series", files["series"]]
    done = CliRunner().invoke(app, [*map(str, words), "--state-out", str(tmp_path / "command.nc")])
    assert done.exit_code == 0, done.output
    assert same(state(tmp_path / "command.nc"), even)


def test_a_student_is_told_no_forms(files: dict[str, Any]) -> None:
    own = Member.load(files["member"])
    architecture = replace(own.network.architecture, members=2)
    student = Member(HierarchicalNetwork(SYSTEM, architecture), "4km")
    with pytest.raises(ConfigError, match="a student knows the forms of its lesson alone"):
        student.bound_to(WHEAT.forms)

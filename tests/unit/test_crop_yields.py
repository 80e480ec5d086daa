"""Yields as labels: from tables of statistics to sums of a year that networks learn, under the crop of the place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from pydantic import ValidationError

import crop_cases as cases
from fluxatlas.config import load
from fluxatlas.config.infer import InferBlock
from fluxatlas.config.sites import SitesBlock
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.config.train import TrainBlock
from fluxatlas.errors import ConfigError, InputError
from fluxatlas.experiments.run import checks
from fluxatlas.infer.kernel import Job
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.ingest.sites.area_yields import area_yields
from fluxatlas.ingest.sites.inputs import site_inputs
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.table import build
from fluxatlas.ingest.yields import GRAINS
from fluxatlas.paths import REPOSITORY
from fluxatlas.systems import get_system
from fluxatlas.systems.crop_carbon import ROTATIONS
from fluxatlas.systems.crop_carbon.network import harvested
from fluxatlas.testing.earth import SyntheticEarth
from fluxatlas.testing.site_files import YIELD_ERROR, yield_table
from fluxatlas.testing.sites import place_sites, site_truth
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.loop import Schedule
from fluxatlas.train.losses import Objective
from fluxatlas.train.networks import Architecture, HierarchicalNetwork
from fluxatlas.train.simulation import simulate_sites
from fluxatlas.train.site_periods import means
from fluxatlas.train.sites import read_sites

SYSTEM = get_system("crop_carbon")
COUNTIES = "17,19,-88.2,40.1\n17,113,-88.9,40.5\n"
TABLE = "2004,17,19,180.0\n2005,17,19,150.0\n2004,17,113,170.0\n2004,55,1,99.0\n"
"""Maize [bushels per acre]; the last county has no position."""
SOIL = {"sand": 30.0, "clay": 25.0, "soc": 20.0, "bdod": 1350.0}


def block(folder: Path, **entry: Any) -> SitesBlock:
    (folder / "maize.csv").write_text(TABLE)
    (folder / "places.csv").write_text(COUNTIES)
    given = {"path": str(folder / "maize.csv"), "crop": "maize", "places": str(folder / "places.csv")}
    return SitesBlock.model_validate({"yields": [{**given, **entry}]})


def test_counties_become_sites_and_their_yields_sums_of_years(tmp_path: Path) -> None:
    wanted = block(tmp_path)
    assert site_inputs(wanted) == [str(tmp_path / "maize.csv"), str(tmp_path / "places.csv")]
    report = build(wanted, tmp_path / "made")
    sites = pd.read_csv(tmp_path / "made/sites.csv").set_index("site")
    assert sites["rotation"].to_dict() == {"maize-17019": "maize", "maize-17113": "maize"}
    assert sites.loc["maize-17019", ["lat", "lon"]].tolist() == [40.1, -88.2]
    rows = pd.read_parquet(tmp_path / "made/periods.parquet").set_index(["site", "start"])
    leap = rows.loc[("maize-17019", pd.Timestamp("2004-01-01"))]
    # science notes 6: one bushel of maize per acre is 2.39 gC m-2
    assert leap["value"] * 366 == pytest.approx(180 * 2.39, rel=2e-3) and leap["end"] == pd.Timestamp("2005-01-01")
    assert leap["sd"] * 366 == pytest.approx(10 + 0.1 * 180 * 2.39, rel=2e-3) and set(rows["variable"]) == {"harvest"}
    counts = report["sites"]["yields"]["variables"]["harvest"]["values"]
    assert counts["dropped"] == {"of a place without position": 1} and len(rows) == 3


def test_what_is_wrong_with_yields_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="first_year 2010 comes after last_year 2000"):
        block(tmp_path, first_year=2010, last_year=2000)
    with pytest.raises(InputError, match="4 yields of the years asked for, none at a place that has a position"):
        build(block(tmp_path, places=None), tmp_path / "made")
    twice = block(tmp_path)
    with pytest.raises(InputError, match="site 'maize-17019' has two yields in 2004"):
        build(twice.model_copy(update={"yields": twice.yields * 2}), tmp_path / "made")
    (tmp_path / "twice.csv").write_text(COUNTIES + "17,19,-88.3,40.2\n")
    with pytest.raises(InputError, match="county 17019 is listed twice"):
        build(block(tmp_path, places=str(tmp_path / "twice.csv")), tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (COUNTIES + "17,Cook,-88.3,40.2\n", "county is 'Cook' in row 3 of the data, not a whole number within 1..999"),
        (COUNTIES + "17,21.5,-88.3,40.2\n", "county is '21.5' in row 3"),
        (COUNTIES + "17,21,west,40.2\n", "'west' in row 3 of column 'lon' is not a number"),
        (COUNTIES + "17,21,-88.3,40.2,7\n", "not a table of counties .*Expected 4 fields in line 3, saw 5"),
        (COUNTIES + "17,21,-88.3,140.2\n", "is not a position on Earth"),
    ],
)
def test_a_bad_table_of_places_is_refused_by_its_row(tmp_path: Path, places: str, message: str) -> None:
    (tmp_path / "bad.csv").write_text(places)
    with pytest.raises(InputError, match=message):
        build(block(tmp_path, places=str(tmp_path / "bad.csv")), tmp_path / "made")


@pytest.mark.parametrize("places", [COUNTIES.replace("40.5", ""), "site,lat,lon\n17019,40.1,-88.2\n17113,,-88.9\n"])
def test_a_place_without_latitude_has_no_position(tmp_path: Path, places: str) -> None:
    (tmp_path / "some.csv").write_text(places)
    report = build(block(tmp_path, places=str(tmp_path / "some.csv")), tmp_path / "made")
    counts = report["sites"]["yields"]["variables"]["harvest"]["values"]
    assert counts["dropped"] == {"of a place without position": 2} and counts["kept"] == 2


def test_at_a_tower_its_entry_says_what_it_is_used_for_and_the_table_what_grows(tmp_path: Path) -> None:
    """Yields of a tower: 'use: evaluate' would be trained on, and is refused; wheat grows where nothing is stated."""

    def made(crop: str = "wheat", tower: dict[str, Any] | None = None, **entry: Any) -> dict[str, Any]:
        (tmp_path / "own.csv").write_text(f"site,year,crop,yield\nUS-X,2004,{crop},5.0\n")
        given = {"path": str(tmp_path / "own.csv"), "crop": crop, **entry}
        known = {"US-X": {"site": "US-X", "lat": 40.0, "lon": -88.0, "use": "train", **(tower or {})}}
        tables = SitesBlock.model_validate({"yields": [given]})
        new, rows = area_yields(tables.yields, tables.qc, known, Ledger())
        assert new == [] and len(rows) == 1
        return known["US-X"]

    assert made()["rotation"] == "wheat" and made(tower={"rotation": "wheat"})["rotation"] == "wheat"
    assert made("maize", {"rotation": "maize_soybean"})["rotation"] == "maize_soybean"  # 2004 is even
    for crop, rotation, grows in (
        ("wheat", "maize_soybean", "maize"), ("maize", "soybean_maize", "soybean"), ("soybean", "maize", "maize"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"a yield of {crop} in 2004, where its rotation {rotation} has {grows}"):
            made(crop, {"rotation": rotation})
    with pytest.raises(InputError, match=r"'use: evaluate' does not hold at 'US-X', a site of sites\.entries"):
        made(use="evaluate")
    assert made(use="evaluate", tower={"use": "evaluate"})["use"] == "evaluate"
    (tmp_path / "soil.csv").write_text("site,sand\nUS-X,30\n")
    with pytest.raises(InputError, match=r"'attributes' do nothing: all places are sites of sites\.entries"):
        made(attributes=str(tmp_path / "soil.csv"))


@pytest.mark.parametrize(
    ("yields", "rotation"),
    [
        ({2003: "soybean", 2004: "maize", 2005: "soybean"}, "maize_soybean"),
        ({2003: "maize", 2004: "soybean"}, "soybean_maize"),
        ({2003: "maize", 2004: "maize"}, "maize"),
        ({2003: "soybean", 2004: "maize", 2005: "maize"}, None),
        ({2003: "soybean", 2004: "maize", 2006: "wheat"}, None),
        ({2001: "maize", 2002: "wheat"}, None),  # by turns, but of no rotation that there is
    ],
)
def test_yields_tell_the_rotation_of_a_tower_that_states_none(tmp_path: Path, yields: dict, rotation) -> None:
    rows = "".join(f"US-X,{year},{crop},5.0\n" for year, crop in yields.items())
    (tmp_path / "own.csv").write_text(f"site,year,crop,yield\n{rows}")
    known = {"US-X": {"site": "US-X", "lat": 40.0, "lon": -88.0, "use": "train"}}
    tables = [{"path": str(tmp_path / "own.csv"), "crop": crop} for crop in dict.fromkeys(yields.values())]
    given = SitesBlock.model_validate({"yields": tables})
    if rotation:
        area_yields(given.yields, given.qc, known, Ledger())
        assert known["US-X"]["rotation"] == rotation
        with pytest.raises(InputError, match=r"a yield of .* where its rotation wheat has wheat"):
            area_yields(given.yields, given.qc, {"US-X": {**known["US-X"], "rotation": "wheat"}}, Ledger())
    else:
        with pytest.raises(InputError, match=r"has yields of .* in 200\d, .* in 200\d.* which follow no rotation"):
            area_yields(given.yields, given.qc, known, Ledger())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A county of maize and one of wheat with two years of weather and a yield of the second."""
    folder, lat = tmp_path_factory.mktemp("yields"), np.array([40.0, 40.0])
    forcing, dates = cases.weather(lat, 2, 13.0, 12.0, 950.0)
    sites = ["maize-1", "wheat-1"]
    weather = [pd.DataFrame({"site": site, "time": dates, "sfcWind": 3.0, **{k: v[:, n] for k, v in forcing.items()}})
               for n, site in enumerate(sites)]  # fmt: skip
    year = str(dates[-1].year)
    periods = pd.DataFrame({"site": sites, "lat": 40.0, "lon": 0.0, "start": pd.Timestamp(f"{year}-01-01")})
    periods = periods.assign(end=dates[-1] + pd.Timedelta("1D"), variable="harvest", value=[1.2, 0.6], sd=[0.12, 0.06])
    observed = pd.DataFrame({"site": sites, "time": dates[0], "variable": "nee", "value": [1.0, 1.0], "sd": 0.3})
    table = pd.DataFrame({"site": sites, "lat": lat, "lon": 0.0, "elevation": 100.0, **SOIL})
    table["rotation"] = ["maize", "wheat"]
    table.to_csv(folder / "attributes.csv", index=False)
    pd.concat(weather).to_parquet(folder / "forcing.parquet")
    observed.to_parquet(folder / "observations.parquet")
    periods.to_parquet(folder / "periods.parquet")
    return [folder / name for name in ("attributes.csv", "forcing.parquet", "observations.parquet", "periods.parquet")]


def read(files: list[Path]) -> Any:
    return read_sites(*files[:3], SYSTEM, 50.0, series_of(SYSTEM.slow), periods=files[3]).sets[0]


def test_the_yield_step_learns_a_yield(files: list[Path]) -> None:
    """The misfit is that of the sum of the year over its sd, linear beyond one, and step 3 brings it down."""
    data = read(files)
    days = int(data.dates.year.to_numpy().searchsorted(data.dates[-1].year))
    length = len(data.dates) - days
    one = next(iter(data.periods))
    assert one.operator.kind == "year_sum" and one.value.tolist() == pytest.approx([1.2 * length, 0.6 * length])
    assert next(means(data)).value == pytest.approx([1.2, 0.6])
    torch.manual_seed(0)
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=4, code=3))
    network.scaler.fit(
        {**data.drivers, **data.statics, **{name: np.array([0.0, 5.0]) for name in SYSTEM.intermediates}}
    )
    batch = data.batch(data.windows(len(data.dates)), 365)
    step = next(phase for phase in SYSTEM.phases if "yield" in phase.name)
    objective = Objective(SYSTEM, "finetune", Knowledge.of(SYSTEM, "finetune", {}))
    learns = [value for name in step.learns for value in network.parts[name].parameters()]
    optimiser = torch.optim.Adam(learns, 0.02)
    begun = objective.terms(network, batch, probe=False)["observed"]
    with torch.no_grad():
        made, _ = network(batch.drivers, batch.statics, theta=batch.theta)
    sums = made["harvest"][batch.warmup + days : batch.warmup + len(data.dates)].sum(dim=0)
    label, sd = torch.tensor([1.2, 0.6]) * length, torch.tensor([0.12, 0.06]) * length
    apart = ((sums - label) / sd).abs()
    huber = torch.where(apart < 1, 0.5 * apart**2, apart - 0.5).mean()
    assert float(begun.detach()) == pytest.approx(0.05 * float(huber), rel=1e-3) and float(apart.max()) > 1
    assert objective.weights()["observed"] > 0
    for _ in range(60):
        optimiser.zero_grad()
        loss = objective.terms(network, batch, probe=False)["observed"]
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.1 * float(begun.detach())


def test_the_crop_of_a_site_is_that_of_the_table(files: list[Path], tmp_path: Path) -> None:
    data = read(files)
    assert [tuple(ROTATIONS)[code] for code in data.forms["rotation"]] == ["maize", "wheat"]
    made = simulate_sites(data, SYSTEM, slice(None), [0, 1])
    day = [int(data.dates[np.flatnonzero(made["harvest"][:, n])[-1]].dayofyear) for n in (0, 1)]
    assert day == [300, 240]  # maize and wheat of the table of parameters
    wrong = pd.read_csv(files[0]).assign(rotation=["maize", "whaet"])
    wrong.to_csv(tmp_path / "attributes.csv", index=False)
    with pytest.raises(InputError, match=r"rotation 'whaet' of site 'wheat-1' is not one .*wheat"):
        read([tmp_path / "attributes.csv", *files[1:]])


def test_a_year_that_stands_for_the_one_before_it_has_the_other_crop(files: list[Path]) -> None:
    data = read(files)
    batch = data.batch(data.windows(len(data.dates)), 365)
    turns = batch.drivers["evenyear"][:, 0].numpy()
    assert (turns[:365] == 1 - turns[365]).all()
    assert (turns[365:] == data.drivers["evenyear"][:, 0]).all()
    assert torch.equal(batch.drivers["tas"][:365], batch.drivers["tas"][365:730])


def test_years_of_a_spin_up_stand_for_those_before_the_first() -> None:
    job = Job(None, ("2001", "2001", "2001"), "", (), None, (), None, before=2001)  # type: ignore[arg-type]
    assert [job.turned(number, 2001) for number in (1, 2, 3)] == [True, False, True]  # for 1998, 1999, 2000
    real = replace(job, forcing=("1999", "2000"))
    assert not real.turned(1, 1999) and not real.turned(2, 2000) and not replace(job, before=0).turned(1, 2001)


def test_what_a_map_cannot_be_told_is_said_before_training(tmp_path: Path) -> None:
    example = yaml.safe_load((REPOSITORY / "config/examples/crop_benchmark.yaml").read_text())
    with pytest.raises(ConfigError, match=r"infer.forms.rotation: unknown form 'whaet'.*wheat"):
        load({**example, "infer": {"forms": {"rotation": "whaet"}}})
    untold = {**example, "infer": {"forms": {"rotation": "wheat"}}, "train": {**example["train"], "code": 0}}
    with pytest.raises(ConfigError, match=r"infer.forms: with train.code: 0 members are not told forms"):
        load(untold)
    load({**untold, "train": {**untold["train"], "members_from": str(tmp_path)}})
    told = {**example, "infer": {"forms": {"rotation": "wheat"}}, "train": {**example["train"], "code": 8}}
    with pytest.raises(ConfigError, match=r"infer.forms.rotation: no sample has 'wheat'.*synthesize.exclude: \{\}"):
        load(told)  # the hidden truth of the synthetic Earth has it
    sampled = {**told, "synthesize": {**example.get("synthesize", {}), "exclude": {}}}
    load(sampled)
    with pytest.raises(ConfigError, match=r"no sample has 'wheat', .*take it out of synthesize.exclude"):
        load({**sampled, "synthesize": {**sampled["synthesize"], "exclude": {"rotation": ["wheat", "soybean"]}}})
    wheat = InferBlock(forms={"rotation": "wheat"})
    assert hash(wheat) == hash(InferBlock(forms={"rotation": "wheat"})) != hash(InferBlock())  # jobs are kept by it
    with pytest.raises(ValidationError, match="a student knows those of its lesson"):
        InferBlock.model_validate({"forms": {"rotation": "wheat"}, "ensemble": "student"})


def test_what_paper_and_code_disagree_on_can_be_set() -> None:
    """Layers, decay of the learning rate, patience and the greatest harvest (science notes 11)."""
    block = TrainBlock.model_validate(
        {"layers": 2, "patience": 30, "rate_decay": 0.6, "options": {"most_harvest": "whole"}}
    )
    published = Schedule("2 soil", 80, 1e-3, decay=(block.rate_decay, block.rate_decay_epochs))
    assert [published.rate_at(epoch, 0.0) for epoch in (0, 19, 20, 79)] == pytest.approx(
        [1e-3, 1e-3, 6e-4, 1e-3 * 0.6**3]
    )
    assert Schedule("2 soil", 80, 1e-3).rate_at(40, 0.5) < 1e-3 and TrainBlock().rate_decay is None
    known = {"grown": torch.tensor([[90.0]]), "produced": torch.tensor([[100.0]])}
    most = [harvested(torch.tensor([[9.0]]), known, None, {"most_harvest": name}).item() for name in ("half", "whole")]
    assert most == [50.0, pytest.approx(90.0, rel=1e-3)]
    network = HierarchicalNetwork(SYSTEM, Architecture(hidden=4, layers=2, options=block.options))
    assert network.architecture.options == {"most_harvest": "whole"} and block.patience == 30


def test_days_that_break_the_balance_are_told(files: list[Path]) -> None:
    fluxes = {name: np.full((3, 1), value) for name, value in {"gpp": 10.0, "ra": 4.0, "rh": 2.0}.items()}
    nee = np.array([[-4.0], [-3.95], [-3.9]])  # open by 0, 0.05 and 0.1, of which 0.06 are allowed
    assert checks([{**fluxes, "nee": nee}], SYSTEM)["balance broken"][0].ravel().tolist() == [0, 0, 1]
    assert checks([{"nee": nee}], SYSTEM) == {}


def test_yields_of_the_synthetic_earth_are_the_harvests_of_its_fields() -> None:
    earth = SyntheticEarth(SyntheticEarthBlock(towers=3))
    towers, _ = place_sites(earth, (2, 48, 3, 49))
    dates = pd.date_range("2001-01-01", "2002-12-31")
    table = yield_table(earth, SYSTEM, towers, dates)
    assert table.groupby("year")["crop"].first().to_dict() == {2001: "soybean", 2002: "maize"}
    true = site_truth(earth, SYSTEM, towers, dates)["harvest"]
    sums = pd.DataFrame(true, dates, towers.names).groupby(dates.year).sum().stack()
    carbon = table["yield"] * table["crop"].map({crop: grain.factor("t ha-1") for crop, grain in GRAINS.items()})
    found = pd.Series(carbon.to_numpy(), pd.MultiIndex.from_frame(table[["year", "site"]]))
    error = np.log(found / sums.rename_axis(["year", "site"])).dropna()
    assert len(error) == len(table) == 6 and 0.2 * YIELD_ERROR < error.std() < 3 * YIELD_ERROR

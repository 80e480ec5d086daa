"""The system of wetland methane: heads, the truth of the synthetic Earth, and what towers call its flux."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.ingest.sites.qc import bounds
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.table import read_sites
from fluxatlas.process.wetland import rates
from fluxatlas.process.wetland.choices import MILLIGRAMS
from fluxatlas.process.wetland.column import TABLE
from fluxatlas.run_inputs import rules_of
from fluxatlas.systems import get_system
from fluxatlas.systems.wetland_methane.network import CORRECTION, PARTS, PARTS_OF_FLUX
from fluxatlas.systems.wetland_methane.truth import TRUTH

SYSTEM = get_system("wetland_methane")


def known(cells: int = 40) -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    made = {"tsl15": rng.uniform(262, 305, (6, cells)), "wth": rng.uniform(-0.8, 0.4, (6, cells))}
    defaults = {name: np.full(cells, TABLE.defaults()[name]) for name in ("lumped_rate", "lumped_q10", "lumped_depth")}
    return {name: torch.as_tensor(values) for name, values in {**made, **defaults}.items()}


def test_the_flux_is_the_sum_of_its_parts_and_none_is_negative() -> None:
    given = known()
    generator = torch.Generator().manual_seed(1)
    raw = {name: 5 * torch.randn(6, 40, generator=generator, dtype=torch.float64) for name in PARTS_OF_FLUX}
    head = PARTS.heads["lumped"]
    parts = head.physics(raw, given)
    assert tuple(sorted(parts)) == tuple(sorted(PARTS_OF_FLUX)) and all((part >= 0).all() for part in parts.values())
    flux = head.function({**given, **parts})["fch4wet"]
    torch.testing.assert_close(flux, parts["ch4wetdif"] + parts["ch4wetpla"] + parts["ch4wetebu"] - parts["ch4wetupt"])
    assert (flux[given["tsl15"] < 273.0] == 0).all()


def test_the_lumped_head_without_correction_is_the_lumped_model() -> None:
    given = known()
    zero = {name: torch.zeros(6, 40, dtype=torch.float64) for name in PARTS_OF_FLUX}
    parts = PARTS.heads["lumped"].physics(zero, given)
    gained = sum(parts[name] for name in PARTS_OF_FLUX[:3]).numpy()
    p = TABLE.defaults()
    celsius, h = given["tsl15"].numpy() - 273.15, given["wth"].numpy()
    expected = rates.lumped_flux(celsius, h, p["lumped_rate"], np.log(p["lumped_q10"]), p["lumped_depth"])
    np.testing.assert_allclose(gained, MILLIGRAMS * expected, rtol=1e-12)
    one = {**zero, "ch4wetpla": zero["ch4wetpla"] + 100.0}
    more = PARTS.heads["lumped"].physics(one, given)["ch4wetpla"]
    torch.testing.assert_close(more, np.exp(CORRECTION) * parts["ch4wetpla"])


def test_towers_measure_the_flux_under_another_name_within_wider_limits() -> None:
    rules = rules_of(SYSTEM, QcRules())
    assert rules.taken_as == {"fch4": "fch4wet"} and bounds("fch4", rules)[1] == (-200.0, 2500.0)
    assert SYSTEM.measured_as("fch4wet") == "fch4" and SYSTEM.measured_as("tsl05") == "tsl05"
    upland = rules_of(get_system("soil_methane_sink"), QcRules())
    assert upland.taken_as == {} and bounds("fch4", upland)[1] == (-25.0, 37.0)


@pytest.mark.parametrize("world", ["kind", "realistic"])
def test_hidden_wetlands_differ_as_declared(world: str) -> None:
    cells = 60
    rng = np.random.default_rng(3)
    soil = {"soc": rng.uniform(10, 300, cells), "phh2o": rng.uniform(4, 7.5, cells)}
    scatter = (lambda name: rng.standard_normal(cells)) if world == "realistic" else None
    hidden = TRUTH.parameters(
        rng.uniform(-5, 25, cells),
        soil,
        {"lai": rng.uniform(0.3, 4, (12, cells))},
        lambda name: np.zeros(cells),
        scatter,
    )
    rows = TABLE.rows()
    assert all((rows.at[n, "lower"] <= v).all() and (v <= rows.at[n, "upper"]).all() for n, v in hidden.items())
    spread = np.log(hidden["production_rate"]).std()
    assert (spread > 0.75) == (world == "realistic")
    dates = pd.date_range("2001-01-01", periods=40)
    weather = {"tas": 285.0, "pr": 5e-5, "rsds": 180.0, "rlds": 300.0, "ps": 98000.0, "lai": 2.0, "ch4": 1850.0}
    drivers = {name: np.full((40, cells), value) for name, value in weather.items()}
    made = TRUTH.simulate(drivers, soil, hidden, lat=np.zeros(cells), dates=dates)
    assert set(SYSTEM.simulated) <= set(made) and (made["fch4wet"].std(axis=1) > 0).all()


def test_a_real_wetland_tower_keeps_all_its_measured_days(data_dir: Path) -> None:
    folder = data_dir / "wetland_ch4" / "mwdjones_dichotomous_FLUXNET-CH4"
    (path,) = folder.rglob("FLX_FR-LGt_FLUXNET-CH4_DD_*.csv")
    site = {"site": "FR-LGt", "lat": 47.3229, "lon": 2.2841, "utc_offset": 1, "elevation": 150.0, "igbp": "WET"}
    entry = SiteEntry(source="fluxnet", path=[str(path)], sites=[site])
    (record,) = read_sites(SitesBlock(entries=[entry], qc=rules_of(SYSTEM, QcRules())), Ledger())
    made = record.observations.set_index("variable").loc["fch4wet"].set_index("time")["value"]
    raw = pd.read_csv(path, na_values=-9999)
    raw = raw.set_index(pd.to_datetime(raw["TIMESTAMP"], format="%Y%m%d"))["FCH4"].dropna()
    assert len(raw) == 269 and record.site["use"] == "train"
    assert len(made) >= 0.95 * len(raw)  # the test for spikes drops a few
    np.testing.assert_allclose(made, MILLIGRAMS * raw.reindex(made.index), rtol=1e-4)

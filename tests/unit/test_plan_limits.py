"""Run times that rules ask for: what `plan` expects of a job with a margin, never less than a small run gets."""

import pytest
import yaml

from fluxatlas.config import load
from fluxatlas.paths import REPOSITORY
from fluxatlas.plan import limits
from fluxatlas.plan.costs import Calibration, Cost
from fluxatlas.plan.work import StageWork
from fluxatlas.run import Run


@pytest.fixture(scope="module")
def globe() -> Run:
    return Run(load(yaml.safe_load((REPOSITORY / "config/examples/global_4km_1984_2022.yaml").read_text())))


def test_a_job_gets_three_times_what_it_is_expected_to_take(globe, monkeypatch) -> None:
    monkeypatch.setattr(limits, "work", lambda run: {"ingest": StageWork(5, 8000.0, 4, 1, 1)})
    cost = {"ingest": Cost("cell", seconds_per_job=60.0, seconds_per_unit=1.5, memory_mb=1, bytes_per_unit=1)}
    monkeypatch.setattr(limits, "calibration", lambda run: Calibration(cost, 0.0, ""))
    # a quarter of the units at 1.5 s and a minute of start: 51 minutes, times 3, in steps of 10
    assert limits.minutes(globe, "ingest", 60) == 160
    assert limits.minutes(globe, "ingest", 60, times=2) == 310
    assert limits.minutes(globe, "ingest", 600) == 600


def test_an_hourly_year_of_the_globe_is_not_stopped_after_an_hour(globe) -> None:
    assert limits.minutes(globe, "ingest", 60) > 600  # ten core-hours a year by the shipped costs
    assert limits.of_training(globe, "pretrain", 240) > 600
    assert limits.of_training(globe, "baseline", 240, "process") == 240
    small = Run(load(yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())))
    assert [limits.minutes(small, stage, 60) for stage in ("ingest", "infer", "products")] == [60, 60, 60]


def test_a_tile_of_land_alone_gets_the_time_of_its_own_cells(globe, monkeypatch) -> None:
    work = StageWork(2, 1000.0, 2, 1, 1)
    monkeypatch.setattr(limits, "work", lambda run: {"infer": work, "products": work})
    cost = dict.fromkeys(("infer", "products"), Cost("cell", 0.0, 6.0, 1, 1))
    monkeypatch.setattr(limits, "calibration", lambda run: Calibration(cost, 0.0, ""))
    monkeypatch.setattr(Run, "land", property(lambda run: {"coast": 100, "inland": 300}))
    # a mean tile takes 50 minutes, that of land alone 75
    assert limits.minutes(globe, "products", 10) == 150
    assert limits.minutes(globe, "infer", 10) == 230

"""Screening of site series: sensors by depth, spikes, codes of missing values, gaps that are completed."""

import numpy as np
import pandas as pd
import pytest

from fluxatlas.astronomy import extraterrestrial_radiation
from fluxatlas.config.sites import QcRules, SitesBlock
from fluxatlas.ingest.sites import completion, depths, qc, table
from fluxatlas.ingest.sites.records import Ledger, SiteRecord, observations


def test_segments_are_whole() -> None:
    days = pd.date_range("2001-01-01", periods=100)
    frame = pd.DataFrame({"tas": 280.0, "pr": 0.0}, index=days)
    frame.iloc[40, 1] = np.nan
    frame = frame.drop(days[90])
    assert table.whole_segments(frame, 30).index.tolist() == [*days[:40], *days[41:90]]
    assert table.whole_segments(frame, 45).index.tolist() == list(days[41:90])


def test_radiation_above_the_sun_is_dropped() -> None:
    days = pd.date_range("2001-12-01", periods=3)
    assert extraterrestrial_radiation(90.0, days)[:, 0].tolist() == pytest.approx([0, 0, 0])
    # FAO-56, table 2.6 (example 8): 32.2 MJ m-2 d-1 at 20 S on 3 September
    assert extraterrestrial_radiation(-20.0, pd.DatetimeIndex(["2001-09-03"])).item() * 0.0864 == pytest.approx(
        32.2, abs=0.1
    )
    names = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")
    frame = pd.DataFrame(dict.fromkeys(names, 0.5), index=days).assign(rsds=[100.0, 500.0, 100.0])
    site = {"site": "A", "lat": 32.0, "lon": 0.0, "kind": "tower"}
    ledger = Ledger()
    record = SiteRecord(
        site, observations([]), frame.assign(tas=280, tasmin=270, tasmax=290, rlds=300, ps=9e4, huss=0.01, pr=0)
    )
    *_, forcing = table.assemble([record], SitesBlock(min_segment_days=1), ledger)
    assert forcing["rsds"].tolist() == [100.0, 100.0]
    assert ledger.sentence("A", "rsds") == "kept 2 of 3 days: 1 above the top of the atmosphere"


@pytest.mark.parametrize(
    ("depth", "standard"),
    [
        (0, 5),
        (2, 5),
        (3, 5),
        (5.08, 5),
        (10, 5),
        (11, 15),
        (20, 15),
        (25, 15),
        (30, 45),
        (60, 45),
        (66, None),
        (100, None),
    ],
)
def test_standard_depths(depth: float, standard: int | None) -> None:
    assert depths.standard_depth(depth) == standard


def test_the_nearest_sensor_is_chosen() -> None:
    assert depths.choose({"a": 2, "b": 6, "c": 20, "d": 200}) == {5: "b", 15: "c"}
    assert depths.choose({}) == {}


def screened(values: list[float], variable: str = "tsl05", **rules: object) -> tuple[pd.Series, Ledger]:
    ledger = Ledger()
    made = QcRules(**{"spike_z": 0.0, **rules})
    return qc.screen(pd.Series(values), variable, rules=made, ledger=ledger, site="A"), ledger


def test_reasons_add_up() -> None:
    values = [280.0, np.nan, -9999.0, -6999.0, 500.0, 281.0]
    kept, ledger = screened(values)
    assert kept.notna().sum() == 2
    text = "kept 2 of 6 days: 1 missing, 1 missing code -9999, 1 missing code -6999, 1 out of range"
    assert ledger.sentence("A", "tsl05") == text


def test_scaled_codes_are_told_from_outliers() -> None:
    kept, ledger = screened([-1.0, -7777.7, -2.0, 99.0] + [-13862.5] * 7, "fch4")
    counted = ledger.counts[("A", "fch4", "days")]
    assert counted["scaled missing code -13862.5"] == 7
    assert counted["out of range"] == 1  # no flux of any soil
    assert counted["outside -25 to 37 (qc.limits)"] == 1  # none of upland soil
    assert kept.notna().sum() == 2


def test_single_spikes_are_found_and_steps_are_not() -> None:
    rng = np.random.default_rng(1)
    values = 285 + rng.normal(0, 0.2, 400).cumsum() * 0.3
    values[200:] += 12  # a step is not a spike
    clean = values.copy()
    values[100] += 35
    kept, _ = screened(list(values), spike_z=12.0)
    assert np.flatnonzero(kept.isna()).tolist() == [100]
    assert screened(list(clean), spike_z=12.0)[0].notna().all()


def test_gap_filled_days_are_counted() -> None:
    ledger = Ledger()
    values, flags = pd.Series([280.0, 281, 282]), pd.Series([1.0, 0.2, np.nan])
    kept = qc.screen(values, "tsl05", rules=QcRules(), ledger=ledger, site="A", qc=flags, min_qc=0.5)
    assert kept.notna().tolist() == [True, False, False]
    assert ledger.sentence("A", "tsl05") == "kept 1 of 3 days: 2 gap-filled"


def filtered(surface: np.ndarray, tau: float, start: float) -> np.ndarray:
    result, rate = [start], 1 - np.exp(-1 / tau)
    for value in surface[1:]:
        result.append(result[-1] + rate * (value - result[-1]))
    return np.array(result)


def test_relaxation_recovers_the_other_depth() -> None:
    days = np.arange(400)
    surface = 283 + 8 * np.sin(2 * np.pi * days / 365) + np.random.default_rng(0).normal(0, 3, 400)
    shallow, deep = filtered(surface, 2, 283), filtered(surface, 6, 283)
    np.testing.assert_allclose(completion.relax(shallow, 5, 15)[60:], deep[60:], atol=1e-3)
    np.testing.assert_allclose(completion.relax(deep, 15, 5)[60:], shallow[60:], atol=1e-3)
    np.testing.assert_allclose(completion.relax(np.full(9, 280.0), 5, 15), 280.0)


def rows(variable: str, values: pd.Series) -> pd.DataFrame:
    frame = pd.DataFrame({"time": values.index, "variable": variable, "value": values.to_numpy()})
    return frame.assign(sd=0.5, qc=1.0, n=1, origin="measured")


def test_completion_fills_short_gaps_only() -> None:
    days = pd.date_range("2001-06-01", periods=30)
    warm = pd.Series(np.linspace(280, 286, 30), index=days).drop(days[[5, 6, *range(15, 25)]])
    extra = completion.complete_profile(observations([rows("tsl05", warm)]), 7)
    assert (extra["origin"] == "completed").all()
    assert (extra["qc"] == 0).all()
    assert extra.query("variable == 'tsl05'")["time"].tolist() == list(days[[5, 6]])
    assert len(extra.query("variable == 'tsl15'")) == 20  # two segments of 15 and 5 days
    assert not len(extra.query("variable == 'swc05'"))


def test_completion_keeps_to_what_was_measured() -> None:
    days = pd.date_range("2001-06-01", periods=60)
    shallow = pd.Series(np.linspace(280, 286, 60), index=days)
    deep = pd.Series(274.0, index=days[:30])  # permafrost below
    extra = completion.complete_profile(observations([rows("tsl05", shallow), rows("tsl15", deep)]))
    later = extra.query("variable == 'tsl15'")
    assert later["time"].min() == days[30]
    assert later["value"].max() < 279

"""Sequences: windows, warm-up, masks, and the file of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import train_toy as toy
from fluxatlas.errors import InputError
from fluxatlas.train.baselines import learned
from fluxatlas.train.data import DayWindow, Segment, read_samples
from fluxatlas.train.sites import SiteData


@pytest.fixture(scope="module")
def data():
    return toy.samples(n=4, days=800)


def counted(data, **drivers):
    """The set with ``lai`` replaced by the number of the day, to see which days are taken."""
    days = np.broadcast_to(np.arange(len(data.dates), dtype=np.float32)[:, None], (len(data.dates), len(data.sites)))
    return replace(data, drivers={"lai": days}, **drivers)


def test_windows_cover_every_segment_once(data) -> None:
    windows = data.windows(365)
    covered = np.zeros((800, 4), int)
    for number, start, length in windows:
        covered[start : start + length, data.segments[number].site] += 1
    assert (covered >= 1).all() and len(windows) == 4 * 3


def test_random_windows_lie_inside_and_are_reproducible(data) -> None:
    first, again = (data.windows(100, np.random.default_rng(7)) for _ in range(2))
    assert first == again and first != data.windows(100)
    assert all(w.start >= 0 and w.start + w.length <= 800 for w in first)


def test_windows_without_targets_are_left_out(data) -> None:
    late = data.observed(lambda _, v: np.where(np.arange(800)[:, None] < 700, np.nan, v).astype(np.float32))
    assert {window.start for window in late.windows(200)} == {600}


def test_warm_up_takes_the_days_before_or_the_season_a_year_later(data) -> None:
    days = counted(data)
    inside = days.batch([DayWindow(0, 500, 3)], warmup=4).drivers["lai"][:, 0]
    assert inside.tolist() == [496, 497, 498, 499, 500, 501, 502]
    edge = days.batch([DayWindow(0, 0, 3)], warmup=4).drivers["lai"][:, 0]
    assert edge.tolist() == [361, 362, 363, 364, 0, 1, 2]
    short = counted(data, segments=(Segment(0, 10, 15),))
    assert short.batch([DayWindow(0, 11, 3)], warmup=3).drivers["lai"][:, 0].tolist() == [10, 10, 10, 11, 12, 13]


def test_only_a_season_of_another_year_has_the_other_parity(data) -> None:
    """A first day that is repeated before a short segment is that day, and so are those of the segment itself."""
    shape, window = (len(data.dates), len(data.sites)), [DayWindow(0, 0, 3)]
    even = replace(data, drivers={"evenyear": np.ones(shape, np.float32)})
    for days, before in ((364, 1.0), (365, 0.0)):
        cut = replace(even, segments=(Segment(0, 0, days),))
        assert cut.batch(window, warmup=4).drivers["evenyear"][:, 0].tolist() == [before] * 4 + [1.0] * 3
    twice = even.batch(window, warmup=2 * 365).drivers["evenyear"][:, 0]
    assert twice.tolist() == [1.0] * 365 + [0.0] * 365 + [1.0] * 3


def test_warm_up_and_padding_do_not_count(data) -> None:
    batch = data.batch([DayWindow(0, 100, 5), DayWindow(1, 100, 3)], warmup=2)
    observed = next(one for one in batch.observations if one.operator.variable == "fch4")
    entries = observed.operator.parts["fch4"]
    places = sorted(zip(entries.cell.tolist(), entries.time.tolist(), strict=True))
    assert places == [(0, day) for day in range(2, 7)] + [(1, day) for day in range(2, 5)]
    assert observed.cluster.tolist() == entries.cell.tolist()
    assert torch.isfinite(batch.drivers["tas"]).all()
    outputs = {"fch4": np.stack([data.targets["fch4"][98:105, site] for site in (0, 1)], axis=1)}
    assert torch.equal(observed.apply(outputs), observed.value)


def write(data, path, **changes):
    series = {**data.drivers, **data.targets}
    content = {name: (("site", "time"), values.T) for name, values in series.items()}
    content |= {name: ("site", values) for name, values in {**data.statics, **data.theta}.items()}
    content |= changes
    coords = {"time": data.dates, "lat": ("site", data.lat), "lon": ("site", data.lon), "block": ("site", data.block)}
    dataset = xr.Dataset({k: v for k, v in content.items() if v is not None}, coords)
    dataset.to_netcdf(path)
    return path


def test_samples_are_read_as_written(data, tmp_path) -> None:
    read = read_samples(write(data, tmp_path / "samples.nc"), toy.SYSTEM)
    for name, values in data.values().items():
        np.testing.assert_array_equal(read.values()[name], values)
    for name, values in data.theta.items():
        np.testing.assert_array_equal(read.theta[name], values)
    assert read.site_days == 3200 and (np.unique(read.block).size == np.unique(data.block).size)


def test_bad_samples_are_refused(data, tmp_path) -> None:
    with pytest.raises(InputError, match="lack tas, oxk"):
        read_samples(write(data, tmp_path / "a.nc", tas=None, oxk=None), toy.SYSTEM)
    hole = data.targets["oxk"].T.copy()
    hole[1, 5] = np.nan
    with pytest.raises(InputError, match="'oxk' holds NaN"):
        read_samples(write(data, tmp_path / "b.nc", oxk=(("site", "time"), hole)), toy.SYSTEM)
    with pytest.raises(InputError, match="outside"):
        read_samples(write(data, tmp_path / "c.nc", tas=(("site", "time"), np.full_like(hole, 15.0))), toy.SYSTEM)


def _errors_that_grow(data):
    """Labels of -2 with noise at two sites, of -0.5 at the others; the stated errors grow with what was measured."""
    rng = np.random.default_rng(3)
    true = np.array([-2.0, -2.0, -0.5, -0.5], np.float32)
    flux = (true * (1 + 0.4 * rng.normal(size=(800, 4)))).astype(np.float32)
    sd = (0.15 + 0.4 * np.abs(flux)).astype(np.float32)
    return replace(data, targets={"fch4": flux}, sd={"fch4": sd}), true


def test_stated_errors_are_those_of_the_site_and_of_what_is_seen_alone(data) -> None:
    known, _ = _errors_that_grow(data)
    hidden = known.observed(lambda _, values: np.where(np.arange(800)[:, None] < 400, np.float32(np.nan), values))
    sd = hidden.steady().sd["fch4"]
    assert np.isnan(sd[:400]).all()
    expected = np.sqrt((known.sd["fch4"][400:].astype(float) ** 2).mean(axis=0))
    np.testing.assert_allclose(sd[400:], np.broadcast_to(expected, (400, 4)), rtol=1e-6)
    np.testing.assert_array_equal(known.targets["fch4"], known.steady().targets["fch4"])


def test_a_mean_is_not_drawn_to_zero_by_errors_that_grow(data) -> None:
    """A learner of the weighted mean finds the mean of each site; weights by the errors of days miss it by 10 %."""
    known, true = _errors_that_grow(data)
    features = [np.zeros((800, 4, 1), np.float32)]
    for site in (0, 2):
        hidden = [np.broadcast_to(np.arange(4) != site, (800, 4))]
        found = learned(("fch4",), features, SiteData((known,)), hidden, toy.SYSTEM, 1, _mean)["fch4"]
        mean = float(known.targets["fch4"][:, site].mean())
        assert found(np.zeros((1, 1)))[0] == pytest.approx(mean, rel=1e-4)
        assert mean == pytest.approx(true[site], rel=0.05)
    by_day = np.average(known.targets["fch4"][:, 0], weights=1 / (0.25 + known.sd["fch4"][:, 0] ** 2))
    assert by_day > 0.9 * true[0]


def _mean(rows, seed):
    _, values, weights, _ = rows
    return lambda predictors: np.full(len(predictors), np.average(values, weights=weights))

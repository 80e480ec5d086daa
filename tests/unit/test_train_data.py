"""Sequences: windows, warm-up, masks, and the file of samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

import train_toy as toy
from fluxatlas.errors import InputError
from fluxatlas.train.data import DayWindow, Segment, read_samples


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

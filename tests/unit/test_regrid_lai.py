"""Leaf area from satellite composites: bits by hand, means of a known season, gaps, real MODIS pixels."""

import re
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.lai import LaiQuality
from fluxatlas.grid import get_grid
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.lai import fill_months, read_lai
from fluxatlas.regrid.lai_dates import days_by_month, window_of
from fluxatlas.regrid.lai_quality import LAYOUTS, accept, field
from lai_composites import BACKUP, CLOUDY, COWEETA, FRAME, GOOD, LAI_FILE, NOT_PRODUCED, PIXELS, series, starts, year

MODIS_BYTES = {
    # byte: (modland, sensor, dead_detector, cloud, scf), read off the legend of FparLai_QC bit by bit, bit 0 last
    0b00000000: (0, 0, 0, 0, 0),
    0b00000010: (0, 1, 0, 0, 0),
    0b00010000: (0, 0, 0, 2, 0),
    0b00100000: (0, 0, 0, 0, 1),
    0b00101010: (0, 1, 0, 1, 1),
    0b01000001: (1, 0, 0, 0, 2),
    0b01100001: (1, 0, 0, 0, 3),
    0b01110001: (1, 0, 0, 2, 3),
    0b10011101: (1, 0, 1, 3, 4),
}


@pytest.mark.parametrize(("byte", "states"), MODIS_BYTES.items())
def test_bits_of_modis(byte: int, states: tuple[int, ...]) -> None:
    names = ("modland", "sensor", "dead_detector", "cloud", "scf")
    assert tuple(int(field(np.array([byte], np.uint8), "modis", name)[0]) for name in names) == states


def test_every_byte_by_its_binary_digits() -> None:
    every = np.arange(256).astype(np.uint8)
    digits = {"scf": (0, 3), "cloud": (3, 5), "dead_detector": (5, 6), "sensor": (6, 7), "modland": (7, 8)}
    for name, (left, right) in digits.items():
        assert field(every, "modis", name).tolist() == [int(f"{byte:08b}"[left:right], 2) for byte in range(256)]
    for name, (left, right) in {"scf": (5, 8), "dead_detector": (4, 5)}.items():
        assert field(every, "viirs", name).tolist() == [int(f"{byte:08b}"[left:right], 2) for byte in range(256)]


@pytest.mark.parametrize(("byte", "scf", "dead"), [(0b00010000, 0, 0), (0b01100001, 1, 0), (0b01111100, 4, 1)])
def test_bits_of_viirs_begin_with_the_algorithm(byte: int, scf: int, dead: int) -> None:
    """The biome fills bits 4 to 7; read as MODIS, the first of these bytes would be a mixed cloud."""
    found = [int(field(np.array([byte], np.uint8), "viirs", name)[0]) for name in ("scf", "dead_detector")]
    assert found == [scf, dead] and "cloud" not in LAYOUTS["viirs"]


def test_the_legend_in_a_real_file_says_the_same(data_dir) -> None:
    path = data_dir.joinpath(*COWEETA, LAI_FILE)
    if not path.exists():
        pytest.skip(f"no real file {LAI_FILE}")
    with xr.open_dataset(path, decode_times=False) as data:
        legend = data["FparLai_QC"].attrs["FparLai_QC_DOC"]
    stated = {name: (int(a), int(b)) for name, a, b in re.findall(r"^(\w+) START (\d) END (\d)", legend, re.MULTILINE)}
    names = {"modland": "MODLAND_QC", "sensor": "SENSOR", "dead_detector": "DEADDETECTOR", "cloud": "CLOUDSTATE"}
    for ours, theirs in (names | {"scf": "SCF_QC"}).items():
        lowest, bits = LAYOUTS["modis"][ours]
        assert (lowest, lowest + bits - 1) == stated[theirs]


def test_every_pixel_is_dropped_for_one_reason() -> None:
    quality = np.array([GOOD, CLOUDY, BACKUP, NOT_PRODUCED, 255, 0b100, GOOD], np.uint8)
    missing = np.array([0, 0, 0, 0, 0, 0, 1], bool)
    good, why = accept(missing, quality, "modis", LaiQuality(), np.ones(7, bool))
    assert good.tolist() == [True] + [False] * 6
    assert dict(why) == {"fill value": 1, "no quality byte": 1, "scf": 2, "cloud": 1, "dead_detector": 1,
                         "modland": 0, "sensor": 0}  # fmt: skip
    more = LaiQuality(scf=[0, 1, 2, 3], cloud=[0, 1, 2, 3])
    assert accept(missing, quality, "modis", more, np.ones(7, bool))[0].sum() == 3
    assert accept(missing, quality, "modis", LaiQuality(sensor=[1]), np.ones(7, bool))[0].sum() == 0


def test_windows_end_with_the_year() -> None:
    assert window_of(date(2009, 12, 27), "8_days", "") == (date(2009, 12, 27), date(2010, 1, 1))  # 5 days
    assert days_by_month(*window_of(date(2008, 12, 26), "8_days", "")) == {12: 6}  # a leap year: 6 days
    assert days_by_month(*window_of(date(2009, 12, 31), "4_days", "")) == {12: 1}
    assert days_by_month(*window_of(date(2009, 1, 25), "8_days", "")) == {1: 7, 2: 1}
    assert window_of(date(2008, 2, 20), "half_month", "") == (date(2008, 2, 16), date(2008, 3, 1))
    assert window_of(date(2008, 2, 29), "dekad", "") == (date(2008, 2, 21), date(2008, 3, 1))


def _season(day: date) -> float:
    """Leaf area of a day: a cosine with its peak on day 200."""
    return 3.0 + 2.0 * np.cos(2 * np.pi * (day.timetuple().tm_yday - 200) / 365.0)


def _of_window(day: date, length: int) -> float:
    """Mean of :func:`_season` over a composite, in stored tenths."""
    end = min(day + timedelta(length), date(day.year + 1, 1, 1))
    return round(10 * np.mean([_season(day + timedelta(i)) for i in range((end - day).days)]))


@pytest.mark.parametrize(("length", "product"), [(8, "MCD15A2H.061"), (4, "MCD15A3H.061")])
def test_monthly_means_of_a_known_season(tmp_path, length: int, product: str) -> None:
    """A leap and a common year. Against every day of the composites by pandas, and against the season itself."""
    daily = {}
    for number in (2008, 2009):
        year(tmp_path, number, length, lambda day: _of_window(day, length), product=product)
        for day in starts(number, length):
            last = min(day + timedelta(length), date(number + 1, 1, 1))
            daily |= {day + timedelta(i): _of_window(day, length) / 10 for i in range((last - day).days)}
    found = read_lai(series(tmp_path, years=(2008, 2009)), FRAME)
    days = pd.Series(daily).rename(pd.to_datetime)
    assert len(days) == 731
    assert found.values.shape == (12, 24, 24) and not found.filled.any()
    np.testing.assert_allclose(found.share, 100, rtol=1e-6)
    truth = days.groupby(days.index.month).mean().to_numpy()
    np.testing.assert_allclose(found.values, np.broadcast_to(truth[:, None, None], found.values.shape), rtol=1e-5)
    exact = pd.Series([_season(day.date()) for day in days.index], days.index)
    assert np.abs(truth - exact.groupby(days.index.month).mean().to_numpy()).max() < 0.06  # tenths, and the windows
    count = 2 * len(starts(2009, length))
    assert f"kept {count} of {count} composites" in found.summary


def test_only_accepted_pixels_count(tmp_path) -> None:
    """Leaf area of 10 wherever the byte says cloud or back-up, and fill codes: none of it reaches the mean of 2."""
    rng = np.random.default_rng(3)
    bad = rng.random((PIXELS, PIXELS)) < 0.4
    codes = rng.choice([249, 250, 251, 252, 253, 254, 255], (PIXELS, PIXELS))
    byte = np.where(bad, rng.choice([CLOUDY, BACKUP], bad.shape), rng.choice([GOOD, 2, 32, 24], bad.shape))
    fill = rng.random(bad.shape) < 0.1
    year(tmp_path, lai=np.where(fill, codes, np.where(bad, 100, 20)), quality=byte)
    found = read_lai(series(tmp_path), FRAME)
    known = np.isfinite(found.values)
    assert known.mean() > 0.9
    np.testing.assert_allclose(found.values[known], 2.0, rtol=1e-6)
    good = (~bad & ~fill).reshape(24, 2, 24, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(found.share, np.broadcast_to(100 * good, found.share.shape), atol=0.01)
    pixels = 46 * PIXELS**2
    assert f"{46 * int((~bad & ~fill).sum()):,} of {pixels:,} pixels" in found.summary
    assert f"{46 * int(fill.sum()):,} fill value" in found.summary
    everything = read_lai(series(tmp_path, use_quality=False), FRAME)
    assert 2.5 < np.nanmean(everything.values) < 10


def test_bare_ground_counts_as_leafless_where_declared(tmp_path) -> None:
    """Half of each cell is barren (253, with the byte of what is not produced), half has a leaf area of 4."""
    half = np.arange(PIXELS) % 2 == 0
    year(tmp_path, lai=np.where(half, 253, 40)[None, :], quality=np.where(half, NOT_PRODUCED, GOOD)[None, :])
    assert np.allclose(read_lai(series(tmp_path), FRAME).values, 4.0)
    np.testing.assert_allclose(read_lai(series(tmp_path, leafless=[253]), FRAME).values, 2.0, rtol=1e-6)


def test_composites_of_a_month_are_weighted_by_their_days(tmp_path) -> None:
    """January 2009 is days 1-31: three composites of 8 days and 7 days of the fourth; the last is cloudy here."""
    values = {1: 10, 9: 20, 17: 30, 25: 90}
    number = {day: day.timetuple().tm_yday for day in starts(2009, 8)}
    year(tmp_path, lai=lambda day: values.get(number[day], 50), quality=lambda day: CLOUDY if number[day] == 25 else 0)
    found = read_lai(series(tmp_path), FRAME)
    np.testing.assert_allclose(found.values[0], 2.0, rtol=1e-6)
    np.testing.assert_allclose(found.share[0], 100 * 24 / 31, rtol=1e-5)
    np.testing.assert_allclose(found.values[1], 5.0, rtol=1e-6)
    assert "kept 45 of 46 composites" in found.summary


NAN = np.nan
GAPS = [
    # known months, longest gap filled, what comes out
    ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ([1, 2, NAN, 4, 5, 6, 7, 8, 9, 10, 11, 12], 1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ([1, 2, NAN, 4, 5, 6, 7, 8, 9, 10, 11, 12], 0, [1, 2, NAN, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ([3, 2, 3, 4, 5, 6, 7, 8, 9, 9, NAN, NAN], 2, [3, 2, 3, 4, 5, 6, 7, 8, 9, 9, 7, 5]),  # across the new year
    ([NAN, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8, NAN], 2, [4, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8, 6]),
    ([NAN, 2, 3, 4, 5, 6, 7, 8, 9, NAN, NAN, NAN], 3, [NAN, 2, 3, 4, 5, 6, 7, 8, 9, NAN, NAN, NAN]),
    ([NAN, 2, 3, NAN, 5, 6, 7, 8, 9, NAN, NAN, NAN], 2, [NAN, 2, 3, 4, 5, 6, 7, 8, 9, NAN, NAN, NAN]),
    ([7] + [NAN] * 11, 10, [7] + [NAN] * 11),
    ([NAN] * 12, 10, [NAN] * 12),
]


@pytest.mark.parametrize(("given", "reach", "expected"), GAPS)
def test_gaps_of_the_climatology(given, reach, expected) -> None:
    found = fill_months(np.array(given, float)[:, None, None], reach)
    np.testing.assert_allclose(found[:, 0, 0], expected)


def test_long_winters_may_take_the_lowest_month() -> None:
    given = np.array([NAN, NAN, 1.5, 2, 3, 4, 3, 2, 1.2, NAN, NAN, NAN])[:, None]
    np.testing.assert_allclose(fill_months(given, 2, lowest=True)[[0, 1, 9, 10, 11], 0], 1.2)
    few = np.array([NAN] * 6 + [4, 3, 2, 1, 1] + [NAN])[:, None]  # five months known: no season to speak of
    np.testing.assert_array_equal(np.isnan(fill_months(few, 2, lowest=True)), np.isnan(few))


def test_gaps_are_filled_and_counted(tmp_path) -> None:
    """No clear view in February and March; one cell without any from October on."""
    byte = np.zeros((PIXELS, PIXELS), int)
    byte[:2, :2] = CLOUDY
    month = {day: (day + timedelta(4)).month for day in starts(2009, 8)}

    def quality(day: date):
        clouds = (date(2009, 1, 25), date(2009, 2, 26), date(2009, 3, 30))
        return CLOUDY if month[day] in (2, 3) or day in clouds else byte if month[day] > 9 or day.day == 30 else GOOD

    year(tmp_path, lai=lambda day: 8 * month[day], quality=quality)
    found = read_lai(series(tmp_path), FRAME)
    first, fourth = found.values[0, 5, 5], found.values[3, 5, 5]
    np.testing.assert_allclose(found.values[1, 5, 5], first + (fourth - first) / 3, rtol=1e-5)
    assert found.filled[1:3].all() and not found.filled[3:9].any()
    assert np.isnan(found.values[10, 0, 0]) and np.isfinite(found.values[10, 0, 1])
    assert f"{int(found.filled.sum()):,} of 6,912 months of cells filled" in found.summary
    wider = read_lai(series(tmp_path, long_gaps="lowest_month"), FRAME)
    assert wider.values[10, 0, 0] == pytest.approx(np.nanmin(np.where(found.filled, NAN, found.values)[:, 0, 0]))


def test_real_modis_against_plain_counting(data_dir) -> None:
    """The Coweeta file (93 dates, Julian calendar) against pixels expanded to days; a cell is 10 x 10 pixels."""
    path = data_dir.joinpath(*COWEETA, LAI_FILE)
    if not path.exists():
        pytest.skip(f"no real file {LAI_FILE}")
    frame = Frame.around(get_grid("4km").tile("N35W084", 1))
    found = read_lai(series(path), frame)
    assert found.summary.startswith("MCD15A3H: 93 of 93 composites of 2010-08-01 to 2011-08-01; kept 92 of 93")
    with xr.open_dataset(path, decode_times=False, mask_and_scale=False) as data:
        lai, byte, days = (data[name].to_numpy() for name in ("Lai_500m", "FparLai_QC", "time"))
        row = ((36 - data["lat"].to_numpy()) * 24).astype(int)
        column = ((data["lon"].to_numpy() + 84) * 24).astype(int)
    bits = np.vectorize(lambda b: f"{b:08b}")(byte)
    good = np.isin(np.vectorize(lambda b: b[:3])(bits), ["000", "001"]) & (lai <= 100)
    good &= np.isin(np.vectorize(lambda b: b[3:5])(bits), ["00", "11"]) & (np.vectorize(lambda b: b[5])(bits) == "0")
    first = pd.Timestamp("2000-01-01") + pd.to_timedelta(days, "D")
    sums, weights = np.zeros((2, 12, 24, 24))
    for i, start in enumerate(first):
        span = pd.date_range(start, periods=4) if start.dayofyear < 365 else pd.DatetimeIndex([start])
        for day in span:
            for y, x in zip(*np.nonzero(good[i]), strict=True):
                sums[day.month - 1, row[y], column[x]] += 0.1 * lai[i, y, x]
                weights[day.month - 1, row[y], column[x]] += 1
    whole = np.zeros((24, 24), bool)
    whole[np.ix_(np.flatnonzero(np.bincount(row, minlength=24) == 10), np.bincount(column, minlength=24) == 10)] = True
    assert whole.sum() == 1 and f"({int(good.sum()):,} of {good.size:,} pixels" in found.summary
    truth = sums[:, whole] / weights[:, whole]
    np.testing.assert_allclose(found.values[:, whole], truth, rtol=1e-4)
    assert truth[6:8].mean() > 4 and truth[:2].mean() < 1  # deciduous forest
    cells = np.isfinite(found.values).all(axis=0)
    assert cells.sum() >= 6 and (weights[:, cells].sum(axis=0) > 0).all()

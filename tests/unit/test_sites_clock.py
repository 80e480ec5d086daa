"""Clocks of towers that are not standard time: told by the sun, against hours of the zone's own rules (tz database)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.ingest.sites import ameriflux, clock, fluxnet
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.subdaily import whole_days

PLACES = {  # latitude, longitude, standard time, zone with summer time
    "Berlin": (52.5, 13.4, 1.0, "Europe/Berlin"),
    "Denver": (39.7, -105.0, -7.0, "America/Denver"),
    "Sydney": (-33.9, 151.2, 10.0, "Australia/Sydney"),
}


def sun(lat: float, lon: float, times: pd.DatetimeIndex) -> np.ndarray:
    """Radiation above the air [W m-2] at ``times`` in UTC under clouds of a seed, by the formulas of Meeus (low
    precision): not those of FAO-56 that the product uses."""
    d = (times - pd.Timestamp("2000-01-01 12:00")) / pd.Timedelta("1D")
    g, q = np.deg2rad(357.529 + 0.98560028 * d), 280.459 + 0.98564736 * d
    along = np.deg2rad(q + 1.915 * np.sin(g) + 0.020 * np.sin(2 * g))
    tilt = np.deg2rad(23.439)
    right = np.arctan2(np.cos(tilt) * np.sin(along), np.cos(along))
    down = np.arcsin(np.sin(tilt) * np.sin(along))
    angle = np.deg2rad(15 * ((18.697374558 + 24.06570982441908 * d) % 24) + lon) - right
    high = np.sin(np.deg2rad(lat)) * np.sin(down) + np.cos(np.deg2rad(lat)) * np.cos(down) * np.cos(angle)
    clouds = np.random.default_rng(4).uniform(0.1, 0.75, len(times))
    return np.round(1361 * np.clip(high, 0, None) * clouds, 1)


def year(lat: float, lon: float, zone: str | float) -> pd.Series:
    """A year of half hours on the clock ``zone``: hours from UTC, or a name; the hour that summer time leaves out is
    missing, and the hour that it has twice stands there once."""
    utc = pd.date_range("2009-12-31", "2011-01-02", freq="30min")
    values = sun(lat, lon, utc + pd.Timedelta("15min"))
    if isinstance(zone, str):
        local = utc.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    else:
        local = utc + pd.Timedelta(hours=zone)
    series = pd.Series(values, index=local, name="SW_IN_F")
    return series[~series.index.duplicated()].loc["2010"]


def told(series: pd.Series, lat: float, lon: float, offset: float) -> list[str]:
    ledger = Ledger()
    steps, _ = whole_days(series.to_frame(), "here")
    clock.judge(steps["SW_IN_F"], {"site": "XX-Tst", "lat": lat, "lon": lon, "utc_offset": offset}, ledger)
    return ledger.told()


@pytest.mark.parametrize("where", PLACES)
def test_summer_time_is_told_and_standard_time_is_not(where: str) -> None:
    lat, lon, offset, zone = PLACES[where]
    assert told(year(lat, lon, offset), lat, lon, offset) == []
    season = "May to August" if lat > 0 else "November to February"
    (line,) = told(year(lat, lon, zone), lat, lon, offset)
    assert "summer time" in line and f"h later from {season}" in line
    (line,) = told(year(lat, lon, offset), lat, lon, offset - 3)  # a zone stated wrongly
    assert "h later than by" in line
    (line,) = told(year(lat, lon, offset + 12), lat, lon, offset)
    assert "days are shifted" in line


def test_the_noon_of_each_month_is_that_of_the_place() -> None:
    for lat, lon, offset, _ in PLACES.values():
        noons = clock.noons_by_month(year(lat, lon, offset))
        np.testing.assert_allclose(noons, 12 + offset - lon / 15, atol=0.12)
        assert len(noons) == 12
    assert clock.noons_by_month(year(78.2, 15.6, 1.0)).index.isin(range(3, 11)).all()  # Svalbard: no sun in winter


def test_half_hours_of_fluxnet_are_judged(tmp_path: Path) -> None:
    lat, lon, offset, zone = PLACES["Berlin"]
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_HH_2010-2010_1-4.csv"
    for kept, lines in ((offset, 0), (zone, 1)):
        series = year(lat, lon, kept)
        table = series.to_frame().assign(TS_F_MDS_1=5.0).rename_axis("TIMESTAMP_START")
        table.index = table.index.strftime("%Y%m%d%H%M")
        path.write_text(table.to_csv())
        ledger = Ledger()
        place = [{"site": "XX-Tst", "lat": lat, "lon": lon, "utc_offset": offset}]
        fluxnet.read([str(path)], SiteEntry(source="fluxnet", path=[str(path)], sites=place), QcRules(), ledger)
        assert sum("summer time" in line for line in ledger.told()) == lines


def test_real_towers_keep_standard_time_and_one_with_summer_time_is_told(data_dir: Path) -> None:
    path = data_dir / "flux_towers/chuhousen_amerifluxr/AMF_US-CRT_BASE-BADM_2-5.zip"
    ledger = Ledger()
    found = ameriflux.read_file(path)
    place = {"site": "US-CRT", **found.facts}
    steps = whole_days(found.table[["SW_IN"]].replace(-9999, np.nan), "")[0]["SW_IN"]
    clock.judge(steps, place, ledger)
    assert ledger.told() == []
    local = steps.index.tz_localize("Etc/GMT+5").tz_convert("America/New_York").tz_localize(None)
    late = pd.Series(steps.to_numpy(), index=local, name="SW_IN")
    clock.judge(whole_days(late[~local.duplicated()].to_frame(), "")[0]["SW_IN"], place, ledger)
    assert "summer time" in ledger.told()[0]

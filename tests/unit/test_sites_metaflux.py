"""Monthly tower tables of MetaFlux: days that keep the means of months, leaf area put in order, fluxes as periods."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fluxatlas.astronomy import daylight_fraction
from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.constants import FREEZING
from fluxatlas.errors import InputError
from fluxatlas.humidity import saturation_vapour_pressure, vapour_pressure
from fluxatlas.ingest.sites import metaflux
from fluxatlas.ingest.sites.records import MONTHLY_COLUMNS, Ledger, SiteRecord

LAT = -12.0


def write(folder: Path, drop: tuple[int, ...] = (), **changes: Any) -> str:
    """Two years, the second to September; LAI of a month is its number, in the order in which these tables hold it."""
    months = pd.date_range("2003-01-01", "2004-09-01", freq="MS")
    season = np.cos(2 * np.pi * (months.month.to_numpy() - 1) / 12)
    order = [1, 10, 11, 12, 2, 3, 4, 5, 6, 7, 8, 9]
    table = pd.DataFrame({
        "TIMESTAMP": months.strftime("%Y%m"), "Site": "XX-Tst", "Lat": LAT, "Lon": 131.0, "PFT": "SAV",
        "NEE_VUT_REF": -1.0 - season, "NEE_VUT_REF_QC": 0.9, "GPP_NT_VUT_REF": 4.0, "RECO": 3.0 - season,
        "TA_F": 20 + 8 * season, "TA_ERA": 19 + 8 * season, "TA_ERA_DAY": 21 + 8 * season,
        "SW_IN_F": 220 + 40 * season, "LW_IN_F": 350.0, "VPD_F": 8 + 4 * season, "PA_F": 98 + 0.2 * season,
        "P_F": np.where(season > 0, 6.0, 0.0), "WS_F": 2.0, "LAI": [*order, *([99.0] * 9)],
    }).drop(index=list(drop))  # fmt: skip
    table = table.assign(**{name: value for name, value in changes.items() if value is not None})
    table = table.drop(columns=[name for name, value in changes.items() if value is None])
    table.to_csv(folder / "XX-Tst_MM.csv", index=True, index_label="")
    return str(folder / "XX-Tst_MM.csv")


def read(path: str, **rules: Any) -> tuple[SiteRecord, Ledger]:
    ledger = Ledger()
    (record,) = metaflux.read([path], SiteEntry(source="metaflux", path=[path]), QcRules(**rules), ledger)
    return record, ledger


def test_days_keep_the_means_of_months(tmp_path) -> None:
    path = write(tmp_path)
    record, ledger = read(path)
    raw, days = pd.read_csv(path), record.forcing
    assert record.observations.empty and len(days) == 639 and not days.isna().any().any()
    means = days.groupby(days.index.to_period("M")).mean()
    for name, column, factor, offset in (
        ("tas", "TA_F", 1, FREEZING), ("rsds", "SW_IN_F", 1, 0), ("ps", "PA_F", 1000, 0), ("pr", "P_F", 1 / 86400, 0)
    ):  # fmt: skip
        np.testing.assert_allclose(means[name], raw[column] * factor + offset, rtol=1e-9, atol=1e-12)
    wet = days["pr"] > 0
    assert days.index[wet].day.isin(range(2, 32, 3)).all() and wet["2003-01"].sum() == 10
    assert days["tas"].diff().abs().max() < 0.5  # smooth: there is no step from month to month
    cold, warm = (saturation_vapour_pressure(days[name].to_numpy()) for name in ("tasmin", "tasmax"))
    deficit = 0.5 * (cold + warm) - vapour_pressure(days["huss"].to_numpy(), days["ps"].to_numpy())
    deficit = pd.Series(deficit, days.index).groupby(days.index.to_period("M")).mean()
    np.testing.assert_allclose(deficit, 100 * raw["VPD_F"], rtol=1e-6)
    light = pd.Series(daylight_fraction(days.index, LAT)[:, 0], days.index)
    # by day it is 2 K warmer than the mean: by night as much colder as keeps the mean
    np.testing.assert_allclose(days["tasmax"] - days["tas"], 2 + 2 * light / (1 - light), rtol=1e-6)
    np.testing.assert_allclose(days["tas"] - days["tasmin"], 2 + 2 * light / (1 - light), rtol=1e-6)
    told = " ".join(ledger.notes["XX-Tst"])
    assert "made of monthly means" in told and "reco is gpp + nee, not an estimate of its own" in told


def test_leaf_area_is_put_in_the_order_of_months(tmp_path) -> None:
    record, _ = read(write(tmp_path))
    assert [record.site[name] for name in MONTHLY_COLUMNS] == list(range(1, 13))  # of the whole year alone
    assert record.site["igbp"] == "SAV" and record.site["lat"] == LAT
    record, _ = read(write(tmp_path, drop=(5,)))
    assert not set(MONTHLY_COLUMNS) & set(record.site)  # no year has all twelve: whose rows these are is not known


def test_a_month_that_is_missing_is_no_weather(tmp_path) -> None:
    record, _ = read(write(tmp_path, drop=(5,)))
    assert not record.forcing.index.to_period("M").isin([pd.Period("2003-06", "M")]).any()
    means = record.forcing["tas"].groupby(record.forcing.index.to_period("M")).mean()
    expected = 20 + 8 * np.cos(2 * np.pi * (means.index.month - 1) / 12) + FREEZING
    np.testing.assert_allclose(means, expected, rtol=1e-9)
    record, ledger = read(write(tmp_path, WS_F=None))
    assert record.forcing is None and "its files lack WS_F" in " ".join(ledger.notes["XX-Tst"])


def test_fluxes_are_means_of_months_of_good_quality(tmp_path) -> None:
    path = write(tmp_path, NEE_VUT_REF_QC=np.r_[0.2, np.full(20, 0.9)])
    entry = SiteEntry(source="metaflux", path=[path])
    found = metaflux.read_periods([path], entry, QcRules(min_qc=0.7), Ledger())
    assert found.groupby("variable").size().to_dict() == {"gpp": 20, "nee": 20, "reco": 20}
    nee = found[found["variable"] == "nee"].set_index("start")
    assert nee.loc["2003-07-01", "value"] == pytest.approx(0) and nee.loc["2004-02-01", "end"] == pd.Timestamp(
        "2004-03-01"
    )
    assert (nee["sd"] == 0.3).all() and pd.Timestamp("2003-01-01") not in nee.index


def test_two_towers_in_one_file_are_refused(tmp_path) -> None:
    path = write(tmp_path, Site=["XX-Tst"] * 20 + ["XX-Two"])
    with pytest.raises(InputError, match="several sites or positions"):
        read(path)


def test_a_table_is_read_once_for_weather_and_fluxes_and_again_when_it_changed(tmp_path, monkeypatch) -> None:
    seen: list[str] = []
    once = metaflux.read_table
    monkeypatch.setattr(metaflux, "read_table", lambda path, **given: seen.append(path) or once(path, **given))
    path = write(tmp_path)
    record, _ = read(path)
    entry = SiteEntry(source="metaflux", path=[path])
    first = metaflux.read_periods([path], entry, QcRules(), Ledger())
    assert seen == [path] and record.forcing is not None
    time.sleep(0.01)
    write(tmp_path, NEE_VUT_REF=0.5)
    again = metaflux.read_periods([path], entry, QcRules(), Ledger())
    assert len(seen) == 2 and (again[again["variable"] == "nee"]["value"] == 0.5).all() and not again.equals(first)

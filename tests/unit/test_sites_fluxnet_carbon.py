"""Carbon of FLUXNET files: thresholds, shared flags, the filled series of methane towers, series derived from them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import derived, fluxnet
from fluxatlas.ingest.sites.magnitude import too_large
from fluxatlas.ingest.sites.records import Ledger
from fluxnet_cases import PLACE, TOWERS, WETLANDS, carbon, half_hourly, place, plain, read, real


def test_carbon_of_the_daily_file(data_dir: Path) -> None:
    path = real(data_dir, "FI-Ken", "FULLSET_DD")
    (record,), _ = read([path], sites=place("FI-Ken"))
    raw = plain(path)
    good = raw["NEE_VUT_REF"].notna() & (raw["NEE_VUT_REF_QC"] >= 0.5)
    nee = record.observations.query("variable == 'nee'").set_index("time")
    assert len(nee) == good.sum() > 300
    np.testing.assert_allclose(nee["value"], raw.loc[good, "NEE_VUT_REF"], rtol=1e-12)
    stated = raw.loc[good, "NEE_VUT_REF_JOINTUNC"].fillna(0)
    np.testing.assert_allclose(nee["sd"], np.maximum(stated, 0.3))


CARBON = {"nee": "NEE_VUT_REF", "gpp": "GPP_NT_VUT_REF", "reco": "RECO_NT_VUT_REF"}


@pytest.mark.parametrize("resolution", ["DD", "HH", "MM"])
def test_carbon_of_the_constant_threshold_stands_in_for_the_other_one(tmp_path: Path, resolution: str) -> None:
    def rows(**thresholds: float | None) -> tuple[pd.DataFrame, bool, dict[str, str]]:
        path, ledger = str(carbon(tmp_path, resolution, thresholds)), Ledger()
        entry = SiteEntry(source="fluxnet", path=[path], sites=PLACE)
        if resolution == "MM":
            found = fluxnet.read_periods([path], entry, QcRules(), ledger)
        else:
            found = fluxnet.read([path], entry, QcRules(), ledger)[0].observations
        columns = {variable: next(iter(found)) for held in ledger.sources.values() for variable, found in held.items()}
        return found, any("NEE_CUT_REF" in line for line in ledger.told()), columns

    truth, told, _ = rows(VUT=0.5)
    assert set(truth["variable"]) == {"nee", "gpp", "reco"}
    assert len(truth) >= 3 * 38
    assert not told
    for others in ({"CUT": 0.5}, {"VUT": None, "CUT": 0.5}, {"VUT": 0.5, "CUT": 1.5}):
        found, told, sources = rows(**others)
        pd.testing.assert_frame_equal(found, truth)
        assert sources["nee"] == ("NEE_VUT_REF" if others.get("VUT") else "NEE_CUT_REF")
        assert told is (others.get("VUT") is None)


def test_months_of_a_tower_are_of_one_threshold_whatever_its_files_hold(tmp_path: Path) -> None:
    paths = [str(carbon(tmp_path, "MM", thresholds)) for thresholds in ({"CUT": 1.5}, {"VUT": 0.5})]
    entry = SiteEntry(source="fluxnet", path=paths, sites=PLACE)
    found = fluxnet.read_periods(paths, entry, QcRules(), Ledger())
    pd.testing.assert_frame_equal(found, fluxnet.read_periods(paths[1:], entry, QcRules(), Ledger()))


def test_carbon_of_methane_towers_is_their_filled_series_on_days_that_have_a_measurement(data_dir: Path) -> None:
    path = next((data_dir / WETLANDS).glob("FLX_SE-Deg_*.csv"))
    (record,), ledger = read([path], sites=place("SE-Deg"))
    table = plain(path)
    days = table["NEE"].notna()
    assert 0.8 < days.mean() < 1.0
    found = {v: rows.set_index("time")["value"] for v, rows in record.observations.groupby("variable")}
    truth = table["NEE_F"][days] * 12.011e-6 * 86400
    np.testing.assert_allclose(found["nee"], truth, rtol=1e-9)
    closed = (found["reco"] - found["gpp"]).dropna()
    np.testing.assert_allclose(closed, truth[closed.index], atol=1e-4)
    assert len(closed) > 1000
    assert any("NEE_F is read as umol m-2 s-1: not verified" in line for line in ledger.notes["SE-Deg"])
    (told,), ledger = read(
        [path], sites=place("SE-Deg"), units={"NEE_F": {"units": "g m-2 d-1", "reason": "a test of the unit"}}
    )
    rows = told.observations
    np.testing.assert_allclose(rows[rows["variable"] == "nee"]["value"], table["NEE_F"][days], rtol=1e-9)
    assert not any("NEE_F" in line and "not verified" in line for line in ledger.notes["SE-Deg"])


def test_half_hours_of_methane_towers_give_what_was_measured(tmp_path: Path) -> None:
    value = np.where(np.arange(96) % 5 == 0, -9999.0, -2.0 + 0.01 * np.arange(96))
    path = tmp_path / "FLX_XX-Tst_FLUXNET-CH4_HH_2001-2001_1-1.csv"
    path.write_text(half_hourly(2, NEE=value, NEE_F=np.full(96, 7.0), GPP_NT=np.full(96, 3.0)))
    (record,), _ = read([path], sites=PLACE)
    rows = record.observations
    assert set(rows["variable"]) == {"nee"}
    quarters = np.where(value > -9999, value, np.nan).reshape(2, 4, 12)
    np.testing.assert_allclose(rows["value"], np.nanmean(quarters, axis=2).mean(axis=1) * 12.011e-6 * 86400)
    np.testing.assert_allclose(rows["qc"], np.isfinite(quarters).mean(axis=(1, 2)))


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("factor", "times"), [(1e3, "1,000"), (1e6, "1,000,000"), (1.0, None), (3.0, None)])
def test_values_of_another_prefix_are_called_so(
    tmp_path: Path, factor: float, times: str | None, rounded: bool
) -> None:
    """160 nmol m-2 s-1 are 222 mg m-2 d-1, a wetland; a column in pmol reads as if it were a thousand times that."""
    path = tmp_path / "FLX_XX-Tst_FLUXNET-CH4_DD_2001-2001_1-1.csv"
    days = pd.date_range("2001-01-01", periods=90)
    wave = np.sin(np.arange(90) / 9)
    flux = 160 * (1 + 0.5 * (np.sign(wave) if rounded else wave)) * factor
    path.write_text(pd.DataFrame({"TIMESTAMP": days.strftime("%Y%m%d"), "FCH4": flux}).to_csv(index=False))
    rules = QcRules(limits={"fch4": (-100, 3000)})
    _, ledger = read([path], rules)
    said = ledger.sentence("XX-Tst", "fch4")
    if times is None:
        assert "too large" not in said
    else:
        assert said.startswith("kept 0 of 90 days")
        assert f"; they are about {times} times too large" in said
        assert said.endswith("state it with sites.entries.units.FCH4")
    coded = np.where(np.arange(90) < 60, -231458.33, 1 + 0.1 * np.sin(np.arange(90)))  # a code that was converted
    assert too_large(coded, -200, 5000) == too_large(coded[:60], -200, 5000) == 1


def test_production_and_respiration_share_the_flag_of_net_exchange(data_dir: Path) -> None:
    path = real(data_dir, "FR-LGt", "FULLSET_DD")
    (record,), _ = read([path], sites=place("FR-LGt"))
    raw = plain(path)
    for variable, column in CARBON.items():
        ours = record.observations.query("variable == @variable").set_index("time")
        good = raw[column].notna() & (raw["NEE_VUT_REF_QC"] >= 0.5) & (raw[column] >= 0 if variable != "nee" else True)
        assert set(ours.index) <= set(raw.index[good])
        assert len(ours) > 0.98 * good.sum()  # spikes
        np.testing.assert_allclose(ours["value"], raw.loc[ours.index, column], rtol=1e-12)
        assert (ours["sd"] >= 0.3).all()


def test_negative_production_is_noise_of_partitioning_where_the_system_says_so(data_dir: Path) -> None:
    path = real(data_dir, "FR-LGt", "FULLSET_DD")
    rules = QcRules(limits={"gpp": (-20, 45)}, spike_z=0)
    (record,), _ = read([path], rules, sites=place("FR-LGt"))
    raw = plain(path)
    good = raw["GPP_NT_VUT_REF"].where(raw["NEE_VUT_REF_QC"] >= 0.5).dropna()
    ours = record.observations.query("variable == 'gpp'")["value"]
    assert (good < 0).any()
    np.testing.assert_allclose(ours, good, rtol=1e-12)


def test_derived_series_are_read_where_a_tower_has_no_other_days(data_dir: Path) -> None:
    both = [
        path for path in sorted((data_dir / TOWERS / "GF-Guy").rglob("*")) if path.is_file() and "_MM_" not in path.name
    ]
    paths = [path for path in both if not path.name.startswith("et_")]
    (record,), ledger = read(paths, QcRules(spike_z=0), sites=place("GF-Guy", 5.2787, -52.9248))
    assert record.forcing is not None
    days = record.observations.groupby("variable").size()
    assert days["nee"] == 5940  # of the list of sources
    assert (record.observations["qc"] == 0.75).all()
    assert ledger.counts[("GF-Guy", "gpp", "days")]["missing code -9999"] > 5000  # they went through the factor too
    assert record.observations.query("variable == 'gpp'")["value"].between(0, 20).all()


@pytest.mark.parametrize("site", ["BE-Lcr", "FI-Ken", "IT-BFt"])
def test_derived_series_are_the_daily_file_again(data_dir: Path, site: str) -> None:
    raw = plain(real(data_dir, site, "FULLSET_DD"))
    for variable, column in CARBON.items():
        path = next((data_dir / TOWERS / site / "ref_da").glob(f"{variable}_*.nc"))
        table = derived.read(path)
        assert derived.station(path) == site
        known = table[column].dropna()
        np.testing.assert_allclose(known, raw.loc[known.index, column], rtol=1e-5, atol=1e-6)
        assert raw.loc[known.index, "NEE_VUT_REF_QC"].min() >= derived.QC
    (record,), _ = read([real(data_dir, site, "FULLSET_DD"), path], sites=place(site))
    assert record.observations["qc"].max() == 1  # the daily file takes precedence


def test_a_derived_series_without_its_quantity_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nee_Abc_FLUXNET2015.nc"
    data = xr.Dataset({"gpp": ("time", [1.0, 2.0])}, {"time": pd.date_range("2001-01-01", periods=2)})
    data.assign_coords(station_name="XX-Tst").to_netcdf(path)
    with pytest.raises(InputError, match="no series 'nee' by time"):
        read([path])
    data.to_netcdf(path)
    with pytest.raises(InputError, match="'station_name' is missing"):
        read([path])

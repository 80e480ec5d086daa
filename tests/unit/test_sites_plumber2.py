"""PLUMBER2 files: the tower-year of US-Wi7 against the network's own daily file of it; flags, units, bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.sites import plumber2
from fluxatlas.ingest.sites.records import Ledger

FOLDER = "flux_towers/geco-bern_FluxDataKit"
MET, FLUX = (f"US-Wi7_2005-2005_FLUXNET2015_{kind}.nc" for kind in ("Met", "Flux"))


def read(paths: list[Path], rules: QcRules | None = None, **entry: object) -> tuple[list, Ledger]:
    ledger = Ledger()
    made = SiteEntry(source="plumber2", path=[str(p) for p in paths], **entry)
    return plumber2.read([str(p) for p in paths], made, rules or QcRules(), ledger), ledger


@pytest.fixture(scope="module")
def real(data_dir: Path) -> tuple:
    (record,), ledger = read([data_dir / FOLDER / MET, data_dir / FOLDER / FLUX])
    daily = pd.read_csv(next((data_dir / FOLDER).glob("*FULLSET_DD*.csv")), na_values=[-9999])
    return record, ledger, daily.set_index(pd.to_datetime(daily["TIMESTAMP"].astype(str)))


def test_facts_of_the_source_list(real: tuple) -> None:
    record, ledger, _ = real
    assert (record.site["lat"], record.site["lon"]) == (46.6491, -91.0693)
    assert record.site["elevation"] == 335 and record.site["igbp"] == "OSH" and record.site["utc_offset"] == -6
    assert len(record.forcing.dropna()) == 365
    assert ledger.counts[("US-Wi7", "Tair", "values")]["read"] == 17520
    assert any("LWdown 0 %" in note for note in ledger.notes["US-Wi7"])  # all of it is reanalysis


def test_the_same_tower_year_in_the_networks_daily_file(real: tuple) -> None:
    record, _, daily = real
    le = record.observations.query("variable == 'evspsbl'").set_index("time")
    np.testing.assert_allclose(le["value"] * 2.45e6, daily.loc[le.index, "LE_F_MDS"], atol=5e-4)
    np.testing.assert_allclose(le["qc"], daily.loc[le.index, "LE_F_MDS_QC"], atol=1e-6)
    assert len(le) == (daily["LE_F_MDS_QC"] >= 0.5).sum()
    for variable, column, apart in (("hfls", "LE_F_MDS", 1e-3), ("hfss", "H_F_MDS", 1e-3), ("rns", "NETRAD", 1.0)):
        own = record.observations[record.observations["variable"] == variable].set_index("time")
        np.testing.assert_allclose(own["value"], daily.loc[own.index, column], atol=apart)
        np.testing.assert_allclose(own["sd"], 5.0 + 0.1 * own["value"].abs())
    nee = record.observations.query("variable == 'nee'").set_index("time")["value"]
    # the reference threshold of friction velocity is chosen anew for days: alike, not equal
    assert np.corrcoef(nee, daily.loc[nee.index, "NEE_VUT_REF"])[0, 1] > 0.95
    assert abs(float((nee - daily.loc[nee.index, "NEE_VUT_REF"]).mean())) < 0.15
    weather = record.forcing
    measured = daily["TA_F_MDS_QC"] == 1
    np.testing.assert_allclose(weather["tas"][measured] - 273.15, daily["TA_F_MDS"][measured], atol=1e-3)
    np.testing.assert_allclose(weather["ps"] / 1000, daily["PA_F"], atol=2e-3)
    np.testing.assert_allclose(weather["rsds"], daily["SW_IN_F_MDS"], atol=0.02)


def test_poor_weather_can_be_left_out(data_dir: Path) -> None:
    (record,), ledger = read([data_dir / FOLDER / MET], QcRules(forcing_min_qc=0.5))
    assert record.forcing.dropna().empty  # longwave is reanalysis throughout
    assert ledger.counts[("US-Wi7", "LWdown", "days")]["gap-filled"] == 365
    assert 150 < record.forcing["tas"].notna().sum() < 220


def made(folder: Path, name: str = "XX-Tst_2001-2001_P_Met.nc", **change: object) -> Path:
    n = 96
    series = {n_: ("time", np.full(n, v)) for n_, v in {"Tair": 280.0, "Qair": 0.005, "Psurf": 99000.0}.items()}
    series |= {n_: ("time", np.full(n, v)) for n_, v in {"SWdown": 100.0, "LWdown": 300.0, "Wind": 2.0}.items()}
    series["Precip"] = ("time", np.full(n, 1e-5))
    data = xr.Dataset(series, coords={"time": ("time", np.arange(n) * 1800.0)})
    for name_, unit in plumber2.WEATHER.values():
        data[name_].attrs["units"] = unit
    data["time"].attrs |= {"units": "seconds since 2001-01-01 00:00:00", "time_zone": "Etc/GMT-1"}
    data["latitude"], data["longitude"] = 50.0, 10.0
    for key, value in change.items():
        if value is None:
            data = data.drop_vars(key)
        elif isinstance(value, dict):
            data[key].attrs |= value
        else:
            data[key] = (data[key].dims, np.asarray(value), data[key].attrs)
    path = folder / name
    data.to_netcdf(path)
    return path


def test_a_made_file_and_a_gap(tmp_path: Path) -> None:
    (record,), _ = read([made(tmp_path)])
    assert record.site["site"] == "XX-Tst" and record.site["utc_offset"] == 1
    assert len(record.forcing.dropna()) == 2 and record.forcing["pr"].iloc[0] == pytest.approx(1e-5)
    gap = np.where(np.arange(96) == 50, -9999.0, 2.0)
    (record,), ledger = read([made(tmp_path, Wind=gap)])
    assert list(record.forcing["tas"].notna()) == [True, False]
    assert ledger.counts[("XX-Tst", "Wind", "values")]["missing"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Tair": {"units": "degC"}}, "degC"),
        ({"latitude": None}, "latitude"),
        ({"time": {"units": "days since 2001-01-01", "calendar": "noleap"}}, "noleap"),
        ({"time": {"units": "hours"}}, "cannot be used"),
        ({"time": np.repeat(np.arange(48) * 1800.0, 2)}, "out of order"),
        ({"time": np.arange(96)[::-1] * 1800.0}, "out of order"),
        ({"time": np.where(np.arange(96) == 95, 1e12, np.arange(96) * 1800.0)}, "absurd"),
        ({"time": np.arange(96) * 1700.0}, "28.3333 minutes"),
        ({"time": {"time_zone": "Mars"}}, "not a time zone"),
    ],
)
def test_bad_files_give_one_clear_error(tmp_path: Path, change: dict, message: str) -> None:
    path = made(tmp_path, **change)
    with pytest.raises(FluxAtlasError, match=message) as caught:
        read([path])
    assert str(path) in caught.value.where and caught.value.hint


def test_missing_truncated_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="file not found"):
        read([tmp_path / "none_Met.nc"])
    whole = made(tmp_path)
    cut = tmp_path / "XX-Tst_cut_Met.nc"
    cut.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(InputError, match="NetCDF"):
        read([cut])
    cut.write_bytes(b"")
    with pytest.raises(InputError):
        read([cut])
    other = tmp_path / "other_Met.nc"
    xr.Dataset({"x": ("time", np.zeros(3))}).to_netcdf(other)
    with pytest.raises(InputError, match="missing"):
        read([other])
    with pytest.raises(InputError, match="two Met files"):
        read([whole, made(tmp_path, "XX-Tst_again_Met.nc")])


def test_without_a_driver_there_is_no_weather(tmp_path: Path) -> None:
    (record,), ledger = read([made(tmp_path, LWdown=None)])
    assert record.forcing is None and "its files lack LWdown" in " ".join(ledger.notes["XX-Tst"])

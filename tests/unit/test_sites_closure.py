"""Energy of towers brought onto the balance: columns of the network, Bowen ratio by day and month, every refusal."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from pydantic import ValidationError

from fluxatlas.config.sites import SiteEntry, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites.fluxnet_files import half_hours_to_days
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.table import build, read_sites

PLACE = [{"site": "XX-Tst", "lat": 50.0, "lon": 10.0, "utc_offset": 1}]
DAYS = 8


def fluxnet(folder: Path, step: str = "DD", **columns: object) -> Path:
    """A FLUXNET file of days or months; net radiation less ground heat is 1.25 of the measured heat."""
    freq, form = {"DD": ("D", "%Y%m%d"), "MM": ("MS", "%Y%m")}[step]
    table = pd.DataFrame({"TIMESTAMP": pd.date_range("2001-06-01", periods=DAYS, freq=freq).strftime(form)})
    heat = 20.0 + 10 * np.arange(DAYS)
    fixed = {"LE_F_MDS": heat, "H_F_MDS": 2 * heat, "G_F_MDS": 8.0, "NETRAD": 8 + 1.25 * 3 * heat}
    fixed |= {"LE_CORR": 1.3 * heat, "H_CORR": 2.6 * heat, **columns}
    flags = {f"{name}_QC": 1.0 for name in ("LE_F_MDS", "H_F_MDS", "G_F_MDS", "NETRAD")}
    path = folder / f"FLX_XX-Tst_FLUXNET2015_FULLSET_{step}_2001-2001_1-4.csv"
    table.assign(**{**flags, **fixed}).to_csv(path, index=False)
    return path


def block(path: Path, closure: str, source: str = "fluxnet") -> SitesBlock:
    entry = {"source": source, "path": [str(path)], "sites": PLACE, "closure": closure}
    return SitesBlock.model_validate({"entries": [entry], "qc": {"spike_z": 0}})


def wide(path: Path, closure: str) -> tuple[pd.DataFrame, pd.DataFrame, Ledger]:
    ledger = Ledger()
    (record,) = read_sites(block(path, closure), ledger)
    found = record.observations
    return *(found.pivot(index="time", columns="variable", values=name) for name in ("value", "sd")), ledger


def test_each_closure_gives_the_numbers_of_its_definition(tmp_path: Path) -> None:
    path, heat = fluxnet(tmp_path), 20.0 + 10 * np.arange(DAYS)
    for closure, factor in (("measured", 1.0), ("corrected", 1.3), ("bowen_ratio", 1.25)):
        value, sd, _ = wide(path, closure)
        np.testing.assert_allclose(value["hfls"], factor * heat, rtol=1e-12)
        np.testing.assert_allclose(value["hfss"], factor * 2 * heat, rtol=1e-12)
        np.testing.assert_allclose(value["evspsbl"] / value["hfls"], wide(path, "measured")[0]["evspsbl"] / heat)
        assert (value["hfdsl"] == 8).all()
        if closure == "bowen_ratio":
            np.testing.assert_allclose(sd["hfls"], 1.25 * wide(path, "measured")[1]["hfls"])
            np.testing.assert_allclose(value["rns"] - value["hfdsl"] - value["hfls"] - value["hfss"], 0, atol=1e-9)


def test_days_that_cannot_be_closed_are_dropped_and_counted(tmp_path: Path) -> None:
    heat = np.array([4.0, 30, 40, 50, 60, 70, 80, 90])  # the first is too small for a ratio
    rns = 8 + 1.25 * heat
    rns[1], rns[2] = 8 + 2.1 * 30, -9999  # too far from its balance; not measured
    value, _, ledger = wide(fluxnet(tmp_path, LE_F_MDS=heat / 2, H_F_MDS=heat / 2, NETRAD=rns), "bowen_ratio")
    assert value["hfls"].notna().sum() == value["hfss"].notna().sum() == 5
    assert ledger.counts[("XX-Tst", "hfls", "days")]["energy cannot be closed"] == 3
    assert value["hfdsl"].notna().sum() == DAYS


def test_stated_errors_of_corrected_heat_are_in_the_unit_of_the_variable(tmp_path: Path) -> None:
    stated = np.array([-9999, 30, 40, 50, 60, 70, 80, 9000.0])  # W m-2; the first is missing, the last impossible
    _, sd, _ = wide(fluxnet(tmp_path, LE_CORR_JOINTUNC=stated), "corrected")
    np.testing.assert_allclose(sd["hfls"].iloc[1:7], stated[1:7])
    np.testing.assert_allclose(sd["evspsbl"].iloc[1:7], stated[1:7] / 2.45e6, rtol=0.03)  # by latent heat, J kg-1
    assert (sd["hfls"].iloc[[0, 7]] < 60).all() and (sd["hfss"] < 60).all()


def test_stated_errors_of_half_hours_are_not_those_of_a_day() -> None:
    stamps = pd.date_range("2001-06-01", periods=48, freq="30min")
    table = pd.DataFrame({"LE_CORR": 50.0, "LE_CORR_JOINTUNC": 40.0, "NEE_VUT_REF_JOINTUNC": 1.0}, stamps)
    assert list(half_hours_to_days(table, [-9999.0])) == ["LE_CORR"]


def test_quality_is_that_of_what_was_measured(tmp_path: Path) -> None:
    flags = np.ones(DAYS)
    flags[3] = 0.1
    value, _, ledger = wide(fluxnet(tmp_path, LE_F_MDS_QC=flags), "corrected")
    assert np.isnan(value["hfls"].iloc[3]) and value["hfss"].notna().all()
    assert ledger.counts[("XX-Tst", "hfls", "days")]["gap-filled"] == 1


def test_months_are_closed_too(tmp_path: Path) -> None:
    path = fluxnet(tmp_path, "MM")
    for closure, factor in (("corrected", 1.3), ("bowen_ratio", 1.25)):
        build(block(path, closure), tmp_path / closure)
        found = pd.read_parquet(tmp_path / closure / "periods.parquet")
        heat = found[found["variable"] == "hfls"].sort_values("start")["value"]
        np.testing.assert_allclose(heat, factor * (20.0 + 10 * np.arange(DAYS)), rtol=1e-9)


@pytest.mark.parametrize(
    ("closure", "columns", "message"),
    [
        ("corrected", {"LE_CORR": -9999, "H_CORR": -9999}, "as the network corrected them are absent or empty"),
        ("bowen_ratio", {"NETRAD": -9999}, "needs net radiation, ground heat"),
    ],
)
def test_what_cannot_be_closed_is_refused(tmp_path: Path, closure: str, columns: dict, message: str) -> None:
    path = fluxnet(tmp_path, **columns)
    with pytest.raises(InputError, match=f"no tower has latent and sensible heat with 'closure: {closure}'.*{message}"):
        build(block(path, closure), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValidationError, match="Input should be 'measured', 'corrected' or 'bowen_ratio'"):
        block(path, "twine")


def test_a_tower_without_it_is_told_among_others(tmp_path: Path) -> None:
    whole = fluxnet(tmp_path)
    other = tmp_path / whole.name.replace("XX-Tst", "XX-Oth")
    pd.read_csv(whole).assign(LE_CORR=-9999, H_CORR=-9999).to_csv(other, index=False)
    places = [*PLACE, {**PLACE[0], "site": "XX-Oth"}]
    entry = {"source": "fluxnet", "path": [str(whole), str(other)], "sites": places, "closure": "corrected"}
    report = build(SitesBlock.model_validate({"entries": [entry]}), tmp_path / "out")
    assert report["totals"]["days_by_variable"]["hfls"] == DAYS and report["totals"]["days_by_variable"]["rns"] == 16
    assert any("no latent and sensible heat with 'closure: corrected'" in n for n in report["sites"]["XX-Oth"]["notes"])


def test_sources_that_cannot_close_refuse_the_option() -> None:
    for source in ("stdfmt", "ismn", "chambers", "metaflux", "rsofun"):
        with pytest.raises(ValidationError, match=f"'closure' is not used with 'source: {source}'"):
            SiteEntry(source=source, path="x", closure="bowen_ratio")
    with pytest.raises(ValidationError, match="'closure: corrected' is not possible with 'source: ameriflux'"):
        SiteEntry(source="ameriflux", path="x", closure="corrected")
    assert SiteEntry(source="ameriflux", path="x", closure="bowen_ratio").closure == "bowen_ratio"


def test_plumber2_has_columns_of_its_own(tmp_path: Path) -> None:
    steps = pd.date_range("2001-06-01", periods=48 * 2, freq="30min")
    series = {"Qle": 50.0, "Qle_qc": 0.0, "Qle_cor": 65.0, "Qh": 40.0, "Qh_qc": 0.0, "Qh_cor": 52.0}
    data = xr.Dataset({name: ("time", np.full(len(steps), value)) for name, value in series.items()})
    for name in ("Qle", "Qle_cor", "Qh", "Qh_cor"):
        data[name].attrs["units"] = "W/m2"
    seconds = (steps - steps[0]).total_seconds().to_numpy()
    data["time"] = ("time", seconds, {"units": "seconds since 2001-06-01 00:00:00"})
    data = data.assign(latitude=50.0, longitude=10.0).assign_attrs(site_code="XX-Tst")
    path = tmp_path / "XX-Tst_2001-2001_FLUXNET2015_Flux.nc"
    data.to_netcdf(path)
    for closure, expected in (("measured", (50, 40)), ("corrected", (65, 52))):
        (record,) = read_sites(block(path, closure, "plumber2"), Ledger())
        found = record.observations.groupby("variable")["value"].mean()
        assert (found["hfls"], found["hfss"]) == pytest.approx(expected)


def test_real_towers_close_on_average_as_the_network_says(data_dir: Path) -> None:
    folder = data_dir / "flux_towers/jpdarela_FLUXNET_EU"
    (path,) = (folder / "IT-BFt").glob("FLX_IT-BFt_FLUXNET2015_FULLSET_DD_*.csv")
    place = [{"site": "IT-BFt", "lat": 45.2, "lon": 10.7, "utc_offset": 1}]
    entry = {"source": "fluxnet", "path": [str(path)], "sites": place, "closure": "corrected"}
    (record,) = read_sites(SitesBlock.model_validate({"entries": [entry]}), Ledger())
    raw = pd.read_csv(path, na_values=-9999)
    found = record.observations.groupby("variable")["value"].mean()
    assert found["hfls"] == pytest.approx(raw["LE_CORR"].mean(), rel=1e-3)
    residual = found["rns"] - found["hfdsl"] - found["hfls"] - found["hfss"]
    assert abs(residual) < 5 < 22 < 5 + (raw["LE_CORR"] - raw["LE_F_MDS"] + raw["H_CORR"] - raw["H_F_MDS"]).mean()

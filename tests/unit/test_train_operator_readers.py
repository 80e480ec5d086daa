"""Periods and inversions as sets of observations, beside pandas, xarray and the daily files of the same towers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import constraint_files as made
from fluxatlas.config.constraints import Constraint
from fluxatlas.config.sites import SiteEntry, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.constraints.build import build
from fluxatlas.ingest.sites import periods
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.train.operators.readers import inversion_totals, read_periods

DATES = pd.date_range("2001-01-01", "2002-12-31")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = periods.period_table(
        site=pd.Series(["b", "a", "b", "c", "b", "a"]),
        lat=pd.Series([10.0, 40.0, 10.0, 10.004, 10.0, 40.0]),
        lon=pd.Series([5.0, 6.0, 5.0, 5.001, 5.0, 6.0]),
        start=pd.to_datetime(["2001-02-01", "2001-07-01", "2002-02-01", "2001-01-01", "2000-12-01", "2001-07-01"]),
        end=pd.to_datetime(["2001-03-01", "2001-08-01", "2002-03-01", "2002-01-01", "2001-01-01", "2001-08-01"]),
        variable=pd.Series(["nee"] * 5 + ["gpp"]),
        value=pd.Series([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
        sd=pd.Series([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        qc=1.0,
        source="test",
    )
    rows.to_parquet(tmp_path / "periods.parquet")
    return tmp_path / "periods.parquet"


def test_periods_are_means_over_their_days_at_their_places(table) -> None:
    observed, places = read_periods(table, "nee", DATES)
    assert places["site"].tolist() == ["a", "b", "c"] and places["lat"].tolist() == [40.0, 10.0, 10.004]
    assert observed.value.tolist() == [1, 2, 3, 4] and observed.sd.tolist() == [0.1, 0.2, 0.3, 0.4]
    assert observed.cluster[0] == observed.cluster[2] == observed.cluster[3] != observed.cluster[1]  # one place
    field = np.random.default_rng(0).normal(size=(len(DATES), 3))
    frame = pd.DataFrame(field, DATES, ["a", "b", "c"])
    wanted = [frame.loc["2001-02", "b"], frame.loc["2001-07", "a"], frame.loc["2002-02", "b"], frame.loc["2001", "c"]]
    np.testing.assert_allclose(observed.apply({"nee": field}), [part.mean() for part in wanted], rtol=1e-12)


def test_periods_of_the_sites_of_a_run_in_their_order(table) -> None:
    observed, places = read_periods(table, "nee", DATES, ["x", "b"], correlation=0.99)
    assert places["site"].tolist() == ["x", "b"] and np.isnan(places["lat"][0])
    assert observed.value.tolist() == [1, 3] and set(observed.operator.parts["nee"].cell.tolist()) == {1}
    assert observed.effective_size == pytest.approx(2 / (1 + 0.99**365), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda path: read_periods(path.with_name("none.parquet"), "nee", DATES), "file not found"),
        (lambda path: read_periods(path, "neee", DATES), "did you mean 'nee'.*it has gpp, nee"),
        (lambda path: read_periods(path, "nee", DATES, ["x"]), "no period of 'nee' lies within 2001-01-01"),
        (lambda path: read_periods(path, "nee", DATES[:20]), "no period of 'nee' lies within 2001-01-01"),
    ],
)
def test_periods_that_are_not_there(table, call: Callable[[Path], object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        call(table)


def test_a_table_of_another_kind_is_refused(tmp_path) -> None:
    pd.DataFrame({"site": ["a"]}).to_parquet(tmp_path / "p.parquet")
    with pytest.raises(InputError, match="columns lat, lon, start"):
        read_periods(tmp_path / "p.parquet", "nee", DATES)


def test_monthly_files_of_a_real_tower_are_the_means_of_its_daily_file(data_dir, tmp_path) -> None:
    """The operator over the days of the daily file, read by pandas alone, gives what the monthly file holds.

    Not so at every tower: the reference of ``NEE_VUT_REF`` is chosen anew for every resolution, elsewhere another one.
    """
    folder = data_dir / "flux_towers" / "jpdarela_FLUXNET_EU" / "FR-LGt"
    if not folder.is_dir():
        pytest.skip("no FLUXNET files")
    place = {"site": "FR-LGt", "lat": 47.3, "lon": 2.3, "elevation": 150, "utc_offset": 1}
    entry = SiteEntry(source="fluxnet", path=[str(next(folder.glob("*_FULLSET_MM_*.csv")))], sites=[place])
    periods.read_periods(SitesBlock(entries=[entry]), Ledger()).to_parquet(tmp_path / "periods.parquet")
    dates = pd.date_range("2017-01-01", "2020-12-31")
    days = pd.read_csv(next(folder.glob("*_FULLSET_DD_*.csv")), usecols=["TIMESTAMP", "NEE_VUT_REF"])
    series = days.set_index(pd.to_datetime(days["TIMESTAMP"], format="%Y%m%d"))["NEE_VUT_REF"].reindex(dates)
    observed, _ = read_periods(tmp_path / "periods.parquet", "nee", dates, ["XX-Oth", "FR-LGt"])
    daily = np.stack([np.full(len(dates), np.nan), series.where(series > -9000)], axis=1)
    found = observed.residuals(observed.apply({"nee": daily})).numpy()
    assert observed.size == found.size > 40 and np.std(observed.value.numpy()) > 0.5
    assert np.abs(found).max() < 1e-4


def test_soil_respiration_of_real_studies_is_read_by_place(data_dir, tmp_path) -> None:
    path = data_dir / "soil_ch4" / "bpbond_srdb" / "srdb-data.csv"
    if not path.exists():
        pytest.skip("no SRDB")
    entry = SiteEntry(source="srdb", path=str(path))
    whole = periods.read_periods(SitesBlock(entries=[entry]), Ledger())
    whole.to_parquet(tmp_path / "periods.parquet")
    dates = pd.date_range("2000-01-01", "2004-12-31")
    observed, places = read_periods(tmp_path / "periods.parquet", "rs", dates)
    inside = whole[(whole["start"] >= dates[0]) & (whole["end"] <= "2005-01-01")]
    assert observed.size == len(inside) > 500 and len(places) == inside["site"].nunique()
    clusters = len(set(zip(inside["lat"].round(2), inside["lon"].round(2), strict=True)))
    assert len(set(observed.cluster.tolist())) == clusters < len(places)
    flat = observed.apply({"rs": np.full((len(dates), len(places)), 2.5)})
    np.testing.assert_allclose(flat, 2.5, rtol=1e-9)
    assert np.isfinite(float(observed.nll(flat)))


GRID = (made.LAT.size, made.LON.size)
SHARE = np.zeros((2, *GRID))
SHARE[0, 25:30, 10:20], SHARE[1, 12:18, 40:55] = 1, 0.5  # on the grid of the result: north first


@pytest.fixture(scope="module")
def inversions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two members; the second has no January."""
    folder = tmp_path_factory.mktemp("gcb")
    made.gcb(folder, made.known_flux())
    build(Constraint(path=[str(folder / "GCP*.nc")]), folder / "gcb.nc", say=lambda _: None)
    return folder / "gcb.nc"


def test_inversions_are_totals_of_regions_and_months(inversions) -> None:
    found = inversion_totals(inversions, SHARE)
    with xr.open_dataset(inversions) as dataset:
        area = xr.DataArray(
            made.cell_area(dataset["lat"].values, dataset["lon"].values),
            coords={"lat": dataset.lat, "lon": dataset.lon},
        )
        for number, share in enumerate(SHARE):
            inside = area * xr.DataArray(share, coords=area.coords)
            total = (dataset["fco2"].astype(float) * inside).sum(("lat", "lon"), min_count=1)
            days = xr.DataArray([31, 28, 31], dims="time")
            want = (total * days / 1e12).transpose("time", "member")
            np.testing.assert_allclose(found.totals[:, number], want, rtol=1e-5)
            assert found.area[number] == pytest.approx(float(inside.sum()))
    assert found.month.astype(str).tolist() == ["2015-01", "2015-02", "2015-03"] and len(found.members) == 2
    assert np.isnan(found.totals[0, :, 1]).all() and np.isfinite(found.totals[1:]).all()


def test_a_gap_of_a_member_in_a_region_takes_its_month_and_sea_does_not(inversions, tmp_path) -> None:
    with xr.open_dataset(inversions) as dataset:
        changed = dataset.load()
    changed["fco2"][1, 0, 26, 12] = np.nan  # a gap of the first member, in February
    changed["fco2"][:, :, 13, 41] = np.nan  # no member has anything there
    changed.to_netcdf(tmp_path / "gap.nc")
    gap = np.isnan(inversion_totals(tmp_path / "gap.nc", SHARE).totals)
    assert np.argwhere(gap & ~np.isnan(inversion_totals(inversions, SHARE).totals)).tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("change", "share", "said"),
    [
        (lambda d: d.rename(fco2="swc05"), SHARE, "no fluxes of inversions .* it holds swc05"),
        (lambda d: d, SHARE[:, :-1], "map of regions of shape"),
        (lambda d: d.assign(time_bnds=d.time_bnds + np.timedelta64(1, "D")), SHARE, "steps are not months"),
    ],
)
def test_constraints_that_cannot_be_used(inversions, tmp_path, change, share, said) -> None:
    with xr.open_dataset(inversions) as dataset:
        changed = change(dataset.load())
    changed.to_netcdf(tmp_path / "changed.nc")
    with pytest.raises(InputError, match=said):
        inversion_totals(tmp_path / "changed.nc", share)

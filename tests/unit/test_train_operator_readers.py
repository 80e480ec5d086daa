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
from fluxatlas.train.operators import Points
from fluxatlas.train.operators.readers import SPREAD, read_constraint, read_periods

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
REGION = np.full(GRID, -1)
REGION[25:30, 10:20], REGION[12:18, 40:55] = 0, 2  # on the grid of the result: north first
MONTHS = pd.date_range("2015-01-01", "2015-03-31")


@pytest.fixture(scope="module")
def inversions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two members; the second has no January."""
    folder = tmp_path_factory.mktemp("gcb")
    made.gcb(folder, made.known_flux())
    build(Constraint(path=[str(folder / "GCP*.nc")]), folder / "gcb.nc", say=lambda _: None)
    return folder / "gcb.nc"


def _points(dataset: xr.Dataset) -> Points:
    """All cells of the file's grid in the regions."""
    cells = np.flatnonzero(REGION.ravel() >= 0)
    area = made.cell_area(dataset["lat"].values, dataset["lon"].values).ravel()[cells]
    return Points.of(REGION.ravel()[cells], np.arange(cells.size), area)


def test_inversions_are_totals_of_regions_and_months(inversions) -> None:
    with xr.open_dataset(inversions) as dataset:
        points, flux = _points(dataset), dataset["fco2"].load().astype(float)
        area = xr.DataArray(
            made.cell_area(dataset["lat"].values, dataset["lon"].values),
            coords={"lat": dataset.lat, "lon": dataset.lon},
        )
    observed = read_constraint(inversions, "nee", MONTHS, REGION, points, floor=[3.0, 9.0, 4.0])
    days = np.array([31, 28, 31])
    totals = {
        number: (flux * area).where(xr.DataArray(number == REGION, dims=("lat", "lon")))
        .sum(("lat", "lon"), min_count=1)
        * xr.DataArray(days, dims="time") / 1e12
        for number in (0, 2)
    }  # fmt: skip
    value = observed.value.numpy().reshape(3, 3)
    spread = observed.sd.numpy().reshape(3, 3)
    assert observed.rows.tolist() == [0, 2, 3, 5, 6, 8]  # region 1 has no cells
    for number, floor in ((0, 3.0), (2, 4.0)):
        np.testing.assert_allclose(value[:, number], totals[number].mean("member"), rtol=1e-5)
        deviation = np.nan_to_num(totals[number].std("member", ddof=1).values)  # of one member: none
        widened = SPREAD**2 * deviation**2 * np.array([1, 1.5, 1.5])
        np.testing.assert_allclose(spread[:, number], np.sqrt(widened + floor**2), rtol=1e-5)
    assert observed.cluster.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert observed.errors.matrix[3, 8] != 0 and observed.errors.matrix[0, 3] == 0  # of one member nothing is known


def test_a_model_that_has_the_fluxes_of_the_inversions_has_no_residuals(inversions) -> None:
    with xr.open_dataset(inversions) as dataset:
        points = _points(dataset)
        mean = dataset["fco2"].mean("member").values.reshape(3, -1)[:, REGION.ravel() >= 0].astype(float)
    daily = {"nee": np.repeat(mean, [31, 28, 31], axis=0)}
    observed = read_constraint(inversions, "nee", MONTHS, REGION, points, floor=5.0)
    residuals = observed.residuals(observed.apply(daily)).numpy()
    assert np.nanmax(np.abs(residuals)) < 1e-4 * np.nanmax(np.abs(observed.value.numpy()))
    assert float(observed.misfit(observed.apply(daily))) < 1e-6
    assert float(observed.misfit(observed.apply({"nee": daily["nee"] + 0.1}))) > 1
    rng = np.random.default_rng(0)
    pair = read_constraint(
        inversions, "nee", MONTHS, REGION, points.draw(9, rng), floor=5.0, second=points.draw(9, rng)
    )
    assert pair.draws(daily).shape == (2, 9) and np.isfinite(float(pair.nll(pair.draws(daily))))


def test_months_that_the_outputs_do_not_hold_are_left_out(inversions) -> None:
    with xr.open_dataset(inversions) as dataset:
        points = _points(dataset)
    observed = read_constraint(inversions, "nee", pd.date_range("2015-01-15", "2015-03-30"), REGION, points, floor=5.0)
    assert observed.rows.tolist() == [0, 2] and observed.operator.size == 3


def test_a_gap_of_a_member_in_a_region_takes_its_month_and_sea_does_not(inversions, tmp_path) -> None:
    with xr.open_dataset(inversions) as dataset:
        points, changed = _points(dataset), dataset.load()
    changed["fco2"][1, 0, 26, 12] = np.nan  # a gap of the first member, in February
    changed["fco2"][:, :, 13, 41] = np.nan  # no member has anything there
    changed.to_netcdf(tmp_path / "gap.nc")
    observed = read_constraint(tmp_path / "gap.nc", "nee", MONTHS, REGION, points, floor=5.0)
    clean = read_constraint(inversions, "nee", MONTHS, REGION, points, floor=5.0)
    found, before = (one.value.numpy().reshape(3, 3) for one in (observed, clean))
    assert found[1, 0] == pytest.approx(before[1, 0] * 1.1 / 1.05, rel=1e-4)  # the second member alone: 1.1 times
    assert np.isfinite(found[:, 2]).all() and found[2, 0] == pytest.approx(before[2, 0])


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda d: d.rename(fco2="swc05"), {}, "no fluxes of inversions .* it holds swc05"),
        (lambda d: d, {"region": REGION[:-1]}, "map of regions of shape"),
        (lambda d: d, {"floor": 0.0}, "not positive"),
        (lambda d: d, {"floor": [1.0, 2.0]}, "each of the 3 regions"),
        (lambda d: d, {"dates": MONTHS[:20]}, "no month lies within 2015-01-01 to 2015-01-20"),
        (lambda d: d.assign(time_bnds=d.time_bnds + np.timedelta64(1, "D")), {}, "steps are not months"),
    ],
)
def test_constraints_that_cannot_be_used(inversions, tmp_path, change, options, said) -> None:
    with xr.open_dataset(inversions) as dataset:
        points, changed = _points(dataset), change(dataset.load())
    changed.to_netcdf(tmp_path / "changed.nc")
    given = {"dates": MONTHS, "region": REGION, "floor": 1.0} | options
    with pytest.raises(InputError, match=said):
        read_constraint(tmp_path / "changed.nc", "nee", points=points, **given)

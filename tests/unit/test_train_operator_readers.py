"""Totals of inversions over regions and months, beside xarray."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import constraint_files as made
from fluxatlas.config.constraints import Constraint
from fluxatlas.errors import InputError
from fluxatlas.ingest.constraints.build import build
from fluxatlas.train.operators.readers import inversion_totals

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

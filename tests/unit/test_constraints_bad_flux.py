"""Every defect of an inversion file is one message with file and remedy, in whichever of several files it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import constraint_files as made
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.constraints.inversions import load_inversion
from fluxatlas.ingest.constraints.recognise import recognise

FLUX = made.known_flux()
Change = Callable[[xr.Dataset], xr.Dataset]


def rewrite(path: Path, change: Change) -> None:
    change(xr.load_dataset(path, decode_times=False)).to_netcdf(path)


def attrs(data: xr.Dataset, name: str, **more: object) -> xr.Dataset:
    return data.assign({name: data[name].assign_attrs(more)})


def replaced(data: xr.Dataset, name: str, values: object) -> xr.Dataset:
    return data.assign({name: (data[name] * 0 + values).assign_attrs(data[name].attrs)})


def timed(data: xr.Dataset, shift: float, units: str) -> xr.Dataset:
    return data.assign_coords(time=("time", data.time.values + shift, {"units": units}))


IN_ONE_OF_THREE: dict[str, tuple[Change, str]] = {
    "wrong unit": (lambda d: attrs(d, "bio_flux_opt", units="ppm"), "is 'ppm', which is not a flux of carbon"),
    "mass of what": (lambda d: attrs(d, "bio_flux_opt", units="kg m-2 s-1"), "whether it is of C or of CO2"),
    "missing variable": (lambda d: d.drop_vars("bio_flux_opt"), "no variable 'bio_flux_opt"),
    "another grid": (lambda d: d.assign_coords(latitude=d.latitude * 0.9), "its grid differs from that of"),
    "another size": (lambda d: d.isel(longitude=slice(0, 40)), "its grid differs from that of"),
    "uneven axis": (lambda d: d.assign_coords(latitude=d.latitude**3 / 8000), "not evenly spaced"),
    "impossible": (lambda d: replaced(d, "bio_flux_opt", -9999.0), "impossible"),
    "bare missing code": (lambda d: replaced(d, "bio_flux_opt", -1e34), "missing-value code"),
    "text": (lambda d: d.assign(bio_flux_opt=d.bio_flux_opt.astype(str)), "holds no numbers"),
    "repeated time": (lambda d: timed(d, -31, d.time.attrs["units"]), "repeated or out of order"),
    "no time unit": (lambda d: timed(d, 0, "fortnights since 2000-01-01"), "time"),
    "extra dimension": (lambda d: d.assign(bio_flux_opt=d.bio_flux_opt.expand_dims(level=2)), "extra dimension level"),
}  # fmt: skip


@pytest.mark.parametrize("defect", IN_ONE_OF_THREE)
def test_a_defect_in_one_of_several_files(tmp_path: Path, defect: str) -> None:
    change, message = IN_ONE_OF_THREE[defect]
    paths = made.carbontracker(tmp_path, FLUX)
    rewrite(paths[1], change)
    with pytest.raises(InputError, match=message) as caught:
        load_inversion(paths, "carbontracker")
    assert paths[1].name in caught.value.where and caught.value.hint


def test_a_month_without_any_value_is_said(tmp_path: Path) -> None:
    paths = made.carbontracker(tmp_path, FLUX)
    rewrite(paths[1], lambda d: replaced(d, "bio_flux_opt", np.nan))
    found = load_inversion(paths)
    assert "no value in 2015-02" in found.attrs["notes"]
    for path in paths:
        rewrite(path, lambda d: replaced(d, "bio_flux_opt", np.nan))
    with pytest.raises(InputError, match="missing everywhere"):
        load_inversion(paths)


def test_missing_truncated_and_empty_files(tmp_path: Path) -> None:
    paths = made.carbontracker(tmp_path, FLUX)
    with pytest.raises(InputError, match="file not found"):
        load_inversion([*paths, tmp_path / "CT2022.flux1x1.201504.nc"], "carbontracker")
    whole = paths[2].read_bytes()
    for size in (len(whole) - 4000, len(whole) // 2, 100):
        paths[2].write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"truncated|cannot be read"):
            load_inversion(paths, "carbontracker")
    paths[2].write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        load_inversion(paths, "carbontracker")


def test_gaps_are_refused_or_kept(tmp_path: Path) -> None:
    paths = made.carbontracker(tmp_path, FLUX)
    with pytest.raises(InputError, match="a gap in time: 1 month absent before 2015-03, the first is 2015-02"):
        load_inversion([paths[0], paths[2]], "carbontracker")
    path = made.carboscope(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.isel(mtime=np.delete(np.arange(90), [40, 41])))
    with pytest.raises(InputError, match="a gap in time: 2 days absent before 2015-02-12"):
        load_inversion(path)
    with pytest.raises(InputError, match=r"1 month absent before 2015-03[\s\S]*incomplete: 2015-02 \(26 of 28 days\)"):
        load_inversion(path, step="month")


def test_an_area_of_another_grid(tmp_path: Path) -> None:
    path = made.carboscope(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.assign(dxyp=d.dxyp.roll(lat=6)))
    with pytest.raises(InputError, match="the cell area 'dxyp' does not fit the coordinates"):
        load_inversion(path)
    path = made.carboscope(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.assign(dxyp=d.dxyp / 1e6))
    with pytest.raises(InputError, match="does not fit the coordinates"):
        load_inversion(path)


def test_regions_that_do_not_fit(tmp_path: Path) -> None:
    path = made.carbontracker_europe_regions(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.assign(region_mask=d.region_mask.roll(latitude=3)))
    with pytest.raises(InputError, match="do not add up to 'region_area'"):
        load_inversion(path)
    path = made.carbontracker_europe_regions(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.drop_vars("region_area"))
    with pytest.raises(InputError, match="need the variable 'region_area'"):
        load_inversion(path)


def test_members_calendars_steps_and_times(tmp_path: Path) -> None:
    first = made.gcb(tmp_path, FLUX)[0]
    second = tmp_path / "GCP2024_more.nc"
    later = xr.load_dataset(first, decode_times=False)
    later = later.assign_coords(time=("time", later.time.values + 90, later.time.attrs)).isel(ensemble_member=[1, 0])
    later.to_netcdf(second)
    with pytest.raises(InputError, match=r"its members .* differ from"):
        load_inversion([first, second], "gcb")
    path = made.oco2_mip(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.drop_vars("start_date"))
    with pytest.raises(InputError, match=r"3 steps and no times[\s\S]*start: YYYY-MM"):
        load_inversion(path, "oco2_mip")
    assert str(load_inversion(path, "oco2_mip", start="2016-11").time.values[-1])[:7] == "2017-01"
    with pytest.raises(InputError, match="'2016-13' is not a month"):
        load_inversion(path, "oco2_mip", start="2016-13")
    path = made.carboscope(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.isel(mtime=slice(0, 90, 8)))
    with pytest.raises(InputError, match="steps of 8 days cannot be used"):
        load_inversion(path)
    path = made.carboscope(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.assign_coords(mtime=("mtime", d.mtime.values, {**d.mtime.attrs, "calendar": "noleap"})))
    with pytest.raises(InputError, match="calendar 'noleap' cannot be used for steps shorter than a month"):
        load_inversion(path)


def test_wrong_kinds_and_ambiguous_variables(tmp_path: Path) -> None:
    path = made.gongga(tmp_path, FLUX)[0]
    rewrite(path, lambda d: d.assign(bio_optimized=d.nee_posterior))
    with pytest.raises(InputError, match="several variables may be meant: nee_posterior, bio_optimized"):
        load_inversion(path)
    assert load_inversion(path, variable="nee_posterior").attrs["source_variable"] == "nee_posterior"
    spread = made.oco2_mip(tmp_path, FLUX)[0].rename(tmp_path / "EnsStd_gridded_fluxes_LNLGIS.nc4")
    with pytest.raises(InputError, match="holds standard deviations"):
        load_inversion(spread)
    with pytest.raises(FluxAtlasError, match="did you mean 'carboscope'"):
        load_inversion(spread, "carboscop")
    plain = tmp_path / "mask.nc"
    xr.Dataset({"land": (("lat", "lon"), made.AREA)}, {"lat": made.LAT, "lon": made.LON}).to_netcdf(plain)
    with pytest.raises(InputError, match="no known kind"):
        recognise(plain)


@pytest.mark.parametrize("layout", made.LAYOUTS)
def test_no_layout_survives_a_cut_anywhere_with_another_error(tmp_path: Path, layout: str) -> None:
    write, kind, said = made.LAYOUTS[layout]
    paths = write(tmp_path, FLUX)
    whole = paths[-1].read_bytes()
    rng = np.random.default_rng(5)
    for size in rng.integers(0, len(whole), 6):
        paths[-1].write_bytes(whole[:size])
        try:
            load_inversion(paths, kind, **said)
        except InputError as problem:
            assert problem.where and problem.hint

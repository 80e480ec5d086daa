"""Inversion files of each provider's layout, made from one known flux, come back as that flux with unit and sign."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.errors import InputError, UnitError
from fluxatlas.grid import EARTH_RADIUS
from fluxatlas.ingest.constraints.inversion_file import cell_area
from fluxatlas.ingest.constraints.inversions import load_inversion
from fluxatlas.ingest.constraints.kinds import FIRE, KINDS
from fluxatlas.ingest.constraints.units import parse_flux_unit

LAT, LON = np.arange(-87.5, 90, 5.0), np.arange(-177.5, 180, 5.0)
MONTHS = pd.date_range("2015-01-01", periods=3, freq="MS")
LENGTHS = np.array([31, 28, 31])[:, None, None]


@pytest.fixture(scope="module")
def flux() -> np.ndarray:
    """gC m-2 d-1 (time, lat, lon), south to north: a sink of about 2 PgC yr-1 with noise."""
    rng = np.random.default_rng(4)
    return rng.normal(-0.011, 0.05, (3, LAT.size, LON.size))


def grid(values: np.ndarray, name: str, unit: str, lat: str = "latitude", lon: str = "longitude") -> xr.Dataset:
    return xr.Dataset({name: (("time", lat, lon), values, {"units": unit})}, {"time": MONTHS, lat: LAT, lon: LON})


def gcb(flux: np.ndarray, folder: Path) -> Path:
    """Two members, PgC m-2 yr-1, names as characters, the second member NaN in the first month."""
    values = np.stack([flux, flux * 1.1]) * 365.25 / 1e15
    values[1, 0] = np.nan
    names = np.array([list(n.ljust(12)) for n in ("CAMS", "CarboScope")], "S1")
    data = xr.Dataset(
        {
            "land_flux_only_fossil_cement_adjusted": (
                ("ensemble_member", "time", "latitude", "longitude"),
                values,
                {"units": "PgC/m2/yr"},
            ),
            "ensemble_member_name": (("ensemble_member", "string_length"), names),
        },
        {"time": MONTHS + pd.Timedelta(days=14), "latitude": LAT, "longitude": LON},
    )
    data.to_netcdf(folder / "GCP2023_inversions.nc")
    return folder / "GCP2023_inversions.nc"


def test_gcb_ensemble(tmp_path: Path, flux: np.ndarray) -> None:
    found = load_inversion(gcb(flux, tmp_path), "gcb")
    assert found.dims == ("time", "lat", "lon", "member")
    assert list(found.member.values) == ["CAMS", "CarboScope"]
    assert (found.lat.values[0], found.lon.values[0]) == (87.5, -177.5)
    assert list(found.time.values) == list(MONTHS.values)
    np.testing.assert_allclose(found[..., 0], flux[:, ::-1], rtol=1e-5)
    assert bool(found[0, :, :, 1].isnull().all())
    assert found.attrs["sign"] == "positive_to_atmosphere"
    assert (found.attrs["fire_included"], found.attrs["fossil_adjusted"]) == (True, True)
    weights = cell_area(LAT, LON)
    sums = [(flux[t] * weights).sum() * factor for t, factor in enumerate((1.0, 1.05, 1.05))]  # mean of the members
    expected = np.average(sums, weights=[31, 28.25, 31])
    assert found.attrs["global_sum"] == pytest.approx(expected * 365.25 / 1e15, rel=1e-4)


def test_carbontracker_months_and_0_to_360(tmp_path: Path, flux: np.ndarray) -> None:
    paths = []
    for t, month in enumerate(MONTHS):
        data = grid(flux / 12.011 / 86400, "bio_flux_opt", "mol m-2 s-1").isel(time=[t])
        data = data.assign_coords(longitude=np.where(LON < 0, LON + 360, LON)).sortby("longitude")
        paths.append(tmp_path / f"CT2022.flux1x1.{month:%Y%m}.nc")
        data.to_netcdf(paths[-1])
    found = load_inversion(paths[::-1], "carbontracker")
    np.testing.assert_allclose(found[..., 0], flux[:, ::-1], rtol=1e-5)
    assert found.attrs["fire_included"] is False


def test_cams_has_its_month_in_the_name(tmp_path: Path, flux: np.ndarray) -> None:
    paths = []
    for t, month in enumerate(MONTHS):
        values = (flux * LENGTHS / 1000)[t]
        data = xr.Dataset(
            {"flux_apos_bio": (("latitude", "longitude"), values, {"units": "kgC m-2 month-1"})},
            {"latitude": LAT, "longitude": LON},
        )
        paths.append(tmp_path / f"cams73_latest_co2_flux_surface_mm_{month:%Y%m}.nc")
        data.to_netcdf(paths[-1])
    np.testing.assert_allclose(load_inversion(paths, "cams")[..., 0], flux[:, ::-1], rtol=1e-5)
    bad = tmp_path / "flux.nc"
    bad.write_bytes(paths[0].read_bytes())
    with pytest.raises(InputError, match=r"no month .YYYYMM. stands in its name"):
        load_inversion(bad, "cams")


@pytest.mark.parametrize("with_area", [True, False])
def test_carboscope_is_per_cell(tmp_path: Path, flux: np.ndarray, with_area: bool) -> None:
    area = cell_area(LAT, LON)
    data = grid(flux * area * 365.25 / 1e15, "co2flux_land", "PgC/yr", "lat", "lon").rename(time="mtime")
    if with_area:
        data["dxyp"] = (("lat", "lon"), area, {"units": "m2"})
    data.to_netcdf(tmp_path / "s99oc.nc")
    found = load_inversion(tmp_path / "s99oc.nc", "carboscope")
    np.testing.assert_allclose(found[..., 0], flux[:, ::-1], rtol=1e-5)


def test_oco2_mip_has_dates_in_rows(tmp_path: Path, flux: np.ndarray) -> None:
    data = grid(flux * 365.25, "land", "gC m-2 yr-1").drop_vars("time")
    data["start_date"] = ("time", "part"), np.array([[m.year, m.month, 1, 0, 0, 0] for m in MONTHS])
    data.to_netcdf(tmp_path / "EnsMean_gridded_fluxes_LNLGIS.nc4")
    found = load_inversion(tmp_path / "EnsMean_gridded_fluxes_LNLGIS.nc4", "oco2_mip")
    np.testing.assert_allclose(found[..., 0], flux[:, ::-1], rtol=1e-5)
    assert list(found.time.values) == list(MONTHS.values)


def test_areas_add_up_to_the_sphere() -> None:
    assert cell_area(LAT, LON).sum() == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)
    poles = cell_area(np.arange(-90, 91, 2.0), LON)
    assert poles.sum() == pytest.approx(4 * np.pi * EARTH_RADIUS**2, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("PgC/m2/yr", "PgC m-2 yr-1"),
        ("mol m^-2 s^-1", "mol m-2 s-1"),
        ("mole/m**2/s", "mol m-2 s-1"),
        ("kg C m-2 month-1", "kgC m-2 month-1"),
        ("gC m-2 day-1", "gC m-2 d-1"),
    ],
)
def test_units_are_recognised_however_they_are_written(text: str, same: str) -> None:
    assert parse_flux_unit(text) == parse_flux_unit(same) is not None
    assert all(parse_flux_unit(kind.unit) for kind in KINDS.values() if kind.unit)


def edited(folder: Path, flux: np.ndarray, **changes: object) -> Path:
    data = grid(flux * 365.25, "land", "gC m-2 yr-1")
    for key, value in changes.items():
        data = value(data) if callable(value) else data
        assert key
    data.to_netcdf(folder / "mip.nc")
    return folder / "mip.nc"


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda d: d.rename(land="lnad"), InputError, "no variable 'land'; did you mean 'lnad'"),
        (lambda d: d.assign(land=d.land.assign_attrs(units="g m-2 yr-1")), UnitError, "whether it is of C or of CO2"),
        (lambda d: d.assign(land=d.land.assign_attrs(units="K")), UnitError, "not a flux of carbon"),
        (
            lambda d: d.assign(land=d.land.assign_attrs(units="mol m-2 s-1", long_name="CH4 flux of wetlands")),
            InputError,
            r"'land' is a flux of CH4, not of CO2 \(land CH4 flux of wetlands",
        ),
        (
            lambda d: (-20 * d).assign(land=(-20 * d.land).assign_attrs(d.land.attrs)),
            InputError,
            r"the global land flux is \d+",
        ),
        (lambda d: d.assign(land=(d.land * np.nan).assign_attrs(d.land.attrs)), InputError, "missing everywhere"),
        (
            lambda d: d.assign(land=d.land.where(d.longitude > -170, -1e36).assign_attrs(d.land.attrs)),
            InputError,
            "impossible",
        ),
        (lambda d: d.isel(time=[0, 1, 1]), InputError, "repeated or out of order: 2015-02-01"),
        (lambda d: d.rename(latitude="row"), InputError, "no coordinate called latitude"),
        (lambda d: d.assign_coords(latitude=LAT**3), InputError, r"pole|evenly"),
        (lambda d: d.assign(land=d.land.expand_dims(level=2)), InputError, "extra dimension level"),
        (lambda d: d.assign_coords(time=[0, 1, 2]), InputError, "cannot be read"),
    ],
)
def test_unusable_files(tmp_path: Path, flux: np.ndarray, edit, error: type, message: str) -> None:
    path = edited(tmp_path, flux, edit=edit)
    with pytest.raises(error, match=message) as caught:
        load_inversion(path, "oco2_mip")
    assert caught.value.where
    assert caught.value.hint


@pytest.mark.parametrize("name", ["fch4", "FCH4", "CH4emis", "wetlandCH4", "CO_flux", "fco", "n2o_flux"])
def test_a_name_of_another_gas_is_refused_until_variable_and_units_say_otherwise(
    tmp_path: Path, flux: np.ndarray, name: str
) -> None:
    path = edited(tmp_path, flux, edit=lambda d: d.rename(land=name))
    with pytest.raises(InputError, match=f"'{name}' is a flux of .*, not of CO2") as refused:
        load_inversion(path, "oco2_mip", variable=name)
    assert "both 'variable' and 'units'" in refused.value.hint
    found = load_inversion(path, "oco2_mip", variable=name, units="gC m-2 yr-1")
    np.testing.assert_allclose(found[..., 0], flux[:, ::-1], rtol=1e-5)
    assert "taken as 'variable' and 'units' say" in found.attrs["notes"]


@pytest.mark.parametrize(
    ("name", "words", "other"),
    [
        ("land", "net biosphere carbon flux, corrected for carbon monoxide and methane", ""),
        ("land", "net ecosystem exchange without CH4", ""),
        ("land", "CO2 flux, CO and CH4 counted apart", ""),
        ("fco2", "", ""),
        ("co_2_flux", "", ""),
        ("land", "methane flux in mass of carbon", "methane"),
        ("land", "CO flux of fires", "CO"),
        ("land", "methane emission as CO2 equivalent", "methane"),
    ],
)
def test_the_subject_of_a_long_name_tells_the_gas(
    tmp_path: Path, flux: np.ndarray, name: str, words: str, other: str
) -> None:
    def named(data: xr.Dataset) -> xr.Dataset:
        data["land"].attrs["long_name"] = words
        return data if name == "land" else data.rename(land=name)

    path = edited(tmp_path, flux, edit=named)
    if other:
        with pytest.raises(InputError, match=f"is a flux of {other}, not of CO2"):
            load_inversion(path, "oco2_mip", variable=name)
    else:
        assert "is a flux of" not in load_inversion(path, "oco2_mip", variable=name).attrs["notes"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("nbe_opt_with_fire", "'nbe_opt_with_fire', as 'variable' says"),
        ("nee_posterior", "net ecosystem exchange without fire and fossil fuel"),
        ("fire_emission", FIRE),
        ("biomass_burning_opt", FIRE),
    ],
)
def test_only_a_flux_of_fires_alone_says_so(tmp_path: Path, flux: np.ndarray, name: str, content: str) -> None:
    path = edited(tmp_path, flux, edit=lambda d: d.rename(land=name))
    assert load_inversion(path, "gongga", variable=name).attrs["content"] == content


def test_missing_truncated_unknown(tmp_path: Path, flux: np.ndarray) -> None:
    with pytest.raises(InputError, match="file not found"):
        load_inversion(tmp_path / "no.nc", "gcb")
    with pytest.raises(InputError, match="did you mean 'carboscope'"):
        load_inversion(tmp_path / "no.nc", "carboscop")
    with pytest.raises(InputError, match="no inversion file"):
        load_inversion([], "gcb")
    path = edited(tmp_path, flux)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match="truncated"):
        load_inversion(path, "oco2_mip")


def test_a_wrong_label_can_be_overruled_and_a_region_has_no_global_sum(tmp_path: Path, flux: np.ndarray) -> None:
    region = lambda d: d.isel(longitude=slice(0, 20)).assign(  # noqa: E731
        land=d.land.isel(longitude=slice(0, 20)).assign_attrs(units="kg")
    )
    path = edited(tmp_path, flux, edit=region)
    found = load_inversion(path, "oco2_mip", units="gC m-2 yr-1")
    assert "global_sum" not in found.attrs
    np.testing.assert_allclose(found[..., 0], flux[:, ::-1, :20], rtol=1e-5)

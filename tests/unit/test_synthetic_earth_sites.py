"""Sites and hidden truth of the synthetic Earth: where they stand, what the files say, what nobody may know."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config import load
from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.drivers import slow_drivers
from fluxatlas.errors import InputError
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.paths import REPOSITORY
from fluxatlas.process import CHOICES, parameters, simulate
from fluxatlas.run import Run
from fluxatlas.systems import get_system
from fluxatlas.systems.soil_methane_sink.truth import HIDDEN
from fluxatlas.testing import SyntheticEarth, land
from fluxatlas.testing import truth as hidden
from fluxatlas.testing.site_files import LAYOUT, write_sites
from fluxatlas.testing.sites import place_sites, site_truth
from fluxatlas.testing.truth_maps import write_truth
from fluxatlas.testing.weather import daily as daily_weather
from fluxatlas.testing.weather import hourly as hourly_weather
from fluxatlas.theta import draw

SYSTEM = get_system("soil_methane_sink")
BOX = (-124.0, 36.0, -120.0, 40.0)
DATES = pd.date_range("2001-01-01", "2002-12-31")
# mg CH4 m-2 d-1 per unit, from molar masses 16.043 and 12.011 g mol-1
TO_MG = {"ug CH4-C m-2 h-1": 24 / 1000 * 16.043 / 12.011, "nmol m-2 s-1": 86400 * 16.043e-6}


@pytest.fixture(scope="module")
def earth() -> SyntheticEarth:
    return SyntheticEarth(SyntheticEarthBlock(towers=3, chambers=6))


@pytest.fixture(scope="module")
def folder(earth: SyntheticEarth, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sites")
    written = write_sites(earth, SYSTEM, BOX, 2001, 2002, target)
    assert {path.name for path in written} == set(earth.settings.site_files(2001, 2002))
    return target


@pytest.fixture(scope="module")
def chambers(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "chambers.csv", comment="#", parse_dates=["datetime_utc"])


def test_sites_stand_on_land_apart_and_always_there(earth: SyntheticEarth) -> None:
    towers, chambers = place_sites(earth, BOX)
    lat, lon = (np.concatenate([getattr(s.place, a) for s in (towers, chambers)]) for a in ("lat", "lon"))
    assert lat.size == 9 and land.is_land(lat, lon).all()
    assert ((lon > BOX[0]) & (lon < BOX[2]) & (lat > BOX[1]) & (lat < BOX[3])).all()
    apart = np.hypot(lat[:, None] - lat, (lon[:, None] - lon) * np.cos(np.deg2rad(38))) + 9 * np.eye(9)
    assert apart.min() > 0.15
    assert np.ptp(np.concatenate([towers.place.temperature, chambers.place.temperature])) > 8  # spread over climates
    pd.testing.assert_frame_equal(place_sites(earth, BOX)[1].table(), chambers.table())


def test_a_domain_with_little_land_gets_its_sites_there(earth: SyntheticEarth) -> None:
    towers, chambers = place_sites(earth, (-20.0, 30.0, -9.0, 38.8))  # the capes of Portugal, some half percent of it
    lat, lon = (np.concatenate([getattr(sites.place, axis) for sites in (towers, chambers)]) for axis in ("lat", "lon"))
    assert lat.size == 9 and land.is_land(lat, lon).all()


def test_a_domain_of_sea_is_refused(earth: SyntheticEarth) -> None:
    with pytest.raises(InputError, match="upland"):
        place_sites(earth, (-130.0, 36.0, -128.0, 38.0))


def test_tower_files_have_the_products_layout(earth: SyntheticEarth, folder: Path) -> None:
    listed = pd.read_csv(folder / "towers.csv")
    assert list(listed) == ["site", "lat", "lon", "elevation", "igbp", "utc_offset"]
    table = pd.read_csv(folder / f"FLX_{listed['site'][0]}_FLUXNET2015_FULLSET_DD_2001-2002_1-1.csv")
    assert tuple(table) == LAYOUT[: LAYOUT.index("G_F_MDS")] and len(table) == 730
    gaps = table["TS_F_MDS_1"] == -9999
    assert 0.1 < gaps.mean() < 0.25
    assert (table.loc[gaps, "TA_F_QC"] == 0).all() and (table["TA_F_QC"].between(0, 1)).all()
    assert (table["TA_F_DAY"] > table["TA_F_NIGHT"]).mean() > 0.95


def test_tower_weather_is_the_world_s_weather_by_local_day(earth: SyntheticEarth, folder: Path) -> None:
    towers, _ = place_sites(earth, BOX)
    table = pd.read_csv(folder / "FLX_XX-T01_FLUXNET2015_FULLSET_DD_2001-2002_1-1.csv")
    hours = hourly_weather(
        earth.seed,
        earth.climate(towers.place.lat[:1], towers.place.lon[:1], towers.place.elevation[:1]),
        pd.date_range("2001-07-01", periods=9),
    )
    begin = -int(towers.utc_offset[0])
    assert begin == 8
    local = {name: values[begin : begin + 24 * 8, 0].astype(float).reshape(8, 24) for name, values in hours.items()}
    rows = table[table["TIMESTAMP"].between(20010701, 20010708)]
    good = rows["TA_F_QC"].to_numpy() > 0
    assert good.any()
    np.testing.assert_allclose(rows["TA_F"][good], (local["t2m"].mean(1) - 273.15)[good], atol=2e-3)
    np.testing.assert_allclose(rows["SW_IN_F"][good], local["ssrd"].mean(1)[good], atol=2e-3)
    np.testing.assert_allclose(rows["P_F"][good], local["tp"].sum(1)[good], atol=2e-3)
    np.testing.assert_allclose(rows["PA_F"][good], (local["sp"].mean(1) / 1000)[good], atol=2e-3)


def test_chambers_state_two_units_that_mean_the_truth(earth: SyntheticEarth, chambers: pd.DataFrame) -> None:
    """Converted by molar masses the flux agrees with the truth within its stated error."""
    _, sites = place_sites(earth, BOX)
    true = site_truth(earth, SYSTEM, sites, DATES)["fch4"]
    assert set(chambers["flux_unit"]) == set(TO_MG) and chambers.groupby("site")["flux_unit"].nunique().max() == 1
    sign = chambers["flux_sign"].map({"uptake_positive": -1.0, "upward_positive": 1.0})
    factor = chambers["flux_unit"].map(TO_MG)
    measured, sd = chambers["flux"] * sign * factor, chambers["flux_sd"] * factor
    day = (chambers["datetime_utc"].dt.normalize() - DATES[0]).dt.days.to_numpy()
    known = true[np.minimum(day, len(DATES) - 1), chambers["site"].map(sites.names.index).to_numpy()]
    np.testing.assert_allclose(sd, 0.15 + 0.2 * np.abs(known), rtol=2e-3)
    scaled = (measured - known) / sd
    assert abs(scaled.mean()) < 4 / np.sqrt(len(scaled)) and scaled.std() == pytest.approx(1, abs=0.1)


def test_chambers_are_visited_in_the_growing_season(earth: SyntheticEarth, chambers: pd.DataFrame) -> None:
    kelvin = chambers["soil_temperature_unit"] == "K"
    assert kelvin.any() and not kelvin.all()
    assert set(chambers["soil_moisture_unit"]) == {"m3 m-3", "%"}
    celsius = chambers["soil_temperature"] - 273.15 * kelvin
    assert celsius.between(-20, 45).all()
    _, sites = place_sites(earth, BOX)
    warm = site_truth(earth, SYSTEM, sites, DATES)["tsl05"] > 278.15
    visited = np.zeros_like(warm)
    day = (chambers["datetime_utc"].dt.normalize() - DATES[0]).dt.days.clip(upper=len(DATES) - 1).to_numpy()
    visited[day, chambers["site"].map(sites.names.index).to_numpy()] = True
    assert 0.3 < visited[warm].mean() < 0.5  # three days a week, less three weeks a year
    assert visited[warm].mean() > 2.5 * visited[~warm].mean() > 0.1


def test_the_generator_never_uses_the_hidden_structure() -> None:
    exclude = Run(load(REPOSITORY / "config" / "config.yaml")).synthesize.exclude  # what the demo hands on
    drawn = draw({}, CHOICES, 3000, np.random.default_rng(0), exclude).forms
    secret = HIDDEN.codes(1)
    for choice in CHOICES:
        assert (drawn[choice] != secret[choice][0]).all()


def test_hidden_parameters_vary_and_keep_to_the_table(earth: SyntheticEarth) -> None:
    rng = np.random.default_rng(3)
    lat, lon = rng.uniform(-50, 70, 400), rng.uniform(-180, 180, 400)
    on_land = land.is_land(lat, lon)
    place = earth.climate(lat[on_land], lon[on_land])
    attributes, lai = hidden.point_attributes(earth, place)
    values = hidden.hidden_parameters(earth, SYSTEM, place, attributes, lai)
    parameters.SOIL.complete(values, place.lat.size)  # raises outside the bounds
    assert values["oxidation_rate"].max() > 2.5 * values["oxidation_rate"].min()


def test_truth_is_the_process_model_on_exact_weather(earth: SyntheticEarth) -> None:
    """Against a separate run of the model, and different from the model with prior parameters."""
    place = earth.climate([38.6, 37.3], [-120.9, -121.0])
    attributes, lai = hidden.point_attributes(earth, place)
    dates = pd.date_range("2001-01-01", "2001-12-31")
    made = hidden.truth(earth, SYSTEM, place, attributes, lai, dates, ("fch4",))
    forcing = daily_weather(earth.seed, earth.climate(place.lat, place.lon, place.elevation), dates)
    run = {**forcing, **slow_drivers(SYSTEM.slow, dates, place.lat, {"lai": lai}, series_of(SYSTEM.slow))}
    given = hidden.hidden_parameters(earth, SYSTEM, place, attributes, lai)
    again = simulate(run, attributes, given, lat=place.lat, dates=dates, structure=HIDDEN, spinup_years=2)
    prior = simulate(run, attributes, {}, lat=place.lat, dates=dates, spinup_years=2)
    np.testing.assert_allclose(made["fch4"], again["fch4"], atol=1e-6)
    assert np.abs(made["fch4"] - prior["fch4"]).mean() > 0.1
    assert (-made["fch4"].mean(axis=0) > 0.05).all() and (-made["fch4"].mean(axis=0) < 2.5).all()


def test_truth_maps_join_tiles_and_leave_out_inactive_cells(earth: SyntheticEarth, tmp_path: Path) -> None:
    paths = []
    for south in (38.0, 39.0):
        lat, lon = np.array([south + 0.6, south + 0.4]), np.array([-121.3, -121.1, -120.9])
        place = earth.climate(np.repeat(lat, 3), np.tile(lon, 2))
        attributes, lai = hidden.point_attributes(earth, place)
        fields = {name: (("lat", "lon"), values.reshape(2, 3)) for name, values in attributes.items()}
        fields["orog"] = (("lat", "lon"), place.elevation.reshape(2, 3))
        fields["active"] = (("lat", "lon"), np.array([[1, 0, 1], [1, 1, 1]], np.int8))
        fields["lai"] = (("month", "lat", "lon"), lai.reshape(12, 2, 3))
        paths.append(tmp_path / f"{south:.0f}.nc")
        xr.Dataset(fields, coords={"lat": lat, "lon": lon}).to_netcdf(paths[-1])
    write_truth(earth, SYSTEM, paths, [2001, 2002], tmp_path / "truth.nc")
    with xr.open_dataset(tmp_path / "truth.nc") as made:
        assert made["fch4"].dims == ("year", "lat", "lon") and made["fch4"].shape == (2, 4, 3)
        assert (np.diff(made["lat"]) < 0).all() and made["fch4"].attrs["units"] == "mg m-2 d-1"
        np.testing.assert_array_equal(made["fch4"].isnull().sum(("year", "lon")), [2, 0, 2, 0])
        assert (made["ch4ox"] >= 0).where(made["ch4ox"].notnull(), True).all()
    with pytest.raises(InputError, match="at least one tile"):
        write_truth(earth, SYSTEM, [], [2001], tmp_path / "none.nc")
    xr.Dataset({"active": (("lat", "lon"), np.ones((1, 1), np.int8))}).to_netcdf(tmp_path / "bare.nc")
    with pytest.raises(InputError, match="are missing"):
        write_truth(earth, SYSTEM, [tmp_path / "bare.nc"], [2001], tmp_path / "none.nc")

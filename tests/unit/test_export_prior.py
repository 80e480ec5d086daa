"""Priors for atmospheric inversions: read back by the rules of each layout, against sums over the product alone."""

import calendar
import re
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from fluxatlas import open_run, variables
from fluxatlas.cli import app
from fluxatlas.errors import ConfigError, FluxAtlasError, InputError
from fluxatlas.export import prior
from fluxatlas.export.prior import export_prior
from fluxatlas.gases import mass_ratio, molar_mass
from fluxatlas.systems import SYSTEMS, Flux, get_system
from tiny_product import LAT, LON, WEIGHTS, product

FACTORS = {  # kg of gas m-2 s-1 to the atmosphere, written out by hand: mg CH4 m-2 d-1, g C m-2 d-1
    "fch4": 1e-6 / 86400,
    "ch4ox": -1e-6 / 86400,
    "nee": 1e-3 * 44.009 / 12.011 / 86400,
    "gpp": -1e-3 * 44.009 / 12.011 / 86400,
}


def mass(data: xr.Dataset, variable: str, system: str, days: slice = slice(None)) -> float:
    """kg of gas that the cells of a product give off, cell by cell."""
    total = 0.0
    for row, column in np.ndindex(LAT.size, LON.size):
        area = float(data["areacella"][row, column])
        for name in WEIGHTS[system]:
            area *= float(data[name][row, column]) / 100
        values = data[variable].to_numpy()[days, row, column]
        total += 0.0 if np.isnan(values).any() else float(values.sum()) * area * FACTORS[variable] * 86400
    return total


CASES = [(system, name) for system, names in (
    ("soil_methane_sink", ("fch4", "ch4ox")), ("net_ecosystem_exchange", ("nee", "gpp"))
) for name in names]  # fmt: skip


@pytest.mark.parametrize(("system", "variable"), CASES)
def test_hemco_reads_the_mass_of_the_product(tmp_path: Path, system: str, variable: str) -> None:
    """As HEMCO does it: follow the line of the configuration, take the slice of the day, regrid, sum."""
    run, out = tmp_path / "tiny", tmp_path / "out"
    years = {year: product(run, system, variable, year) for year in (2000, 2001)}
    about = export_prior(open_run(run), out, "hemco", variable)
    lines = [line.split() for line in (out / "HEMCO_Config.rc").read_text().splitlines()]
    fields = {line[1]: line for line in lines if re.fullmatch(r"#?0", line[0]) and "EmisC" in " ".join(line)}
    (entry,) = (line for line in lines if line[0] == "0")
    path, name, when, cycle, dims, units, species, scale = entry[2:10]
    assert (cycle, dims, when) == ("RFY", "xy", "2000-2001/1-12/1-31/0") and len(fields) == 1
    (mask,) = (line for line in lines if line[0] == scale)
    assert mask[-1] == "9/49.5/11/51" and (out / Path(mask[2]).name).exists() and mask[3] == "modelled"
    for year, data in years.items():
        with netCDF4.Dataset(path.replace("$ROOT", str(out)).replace("$YYYY", str(year))) as file:
            file.set_auto_mask(False)
            assert file["time"].units == f"days since {year}-01-01 00:00:00" and file["time"].calendar == "standard"
            assert file[name].dimensions == ("time", "lat", "lon") and file[name].units == units == "kg/m2/s"
            assert all((np.diff(file[axis][:]) > 0).all() for axis in ("time", "lat", "lon")) and file["time"][0] == 0
            assert all(variable.dtype.kind == "f" for variable in file.variables.values())
            assert (file["lat"].units, file["lon"].units) == ("degrees_north", "degrees_east")
            assert file.Conventions == "COARDS" and file.title and file.history
            assert all(one.long_name and one.units for one in file.variables.values())
            assert species == file[name].species and file[name].missing_value == file[name]._FillValue
            flux, area = file[name][:], file["area"][:]
            assert np.isfinite(flux).all() and (flux[:, 2, 1] == 0).all() and file["modelled"][2, 1] == 0
            half = (flux * area).reshape(-1, 3, 2, 2).sum(-1) / area.reshape(3, 2, 2).sum(-1)  # twice as wide
        assert flux.shape[0] == (366 if year == 2000 else 365)
        total = float((half * area.reshape(3, 2, 2).sum(-1)).sum(dtype=float)) * 86400
        assert total == pytest.approx(mass(data, variable, system), rel=1e-6)
        assert about["total_kg"][str(year)] == pytest.approx(total, rel=1e-6)
        leap_day = float((half * area.reshape(3, 2, 2).sum(-1))[59].sum(dtype=float)) * 86400
        assert leap_day == pytest.approx(mass(data, variable, system, slice(59, 60)), rel=1e-5)


def test_cams_months_are_means_of_their_days_and_errors_relative(tmp_path: Path) -> None:
    data = product(tmp_path / "tiny", "soil_methane_sink", "ch4ox", 2000)
    export_prior(open_run(tmp_path / "tiny"), tmp_path / "out", "cams", "ch4ox")
    with xr.open_dataset(tmp_path / "out" / "tiny_ch4ox_monthly_2000.nc") as file:
        months = file.load()
    assert list(months["time"].dt.strftime("%Y-%m-%d").values) == [f"2000-{month:02d}-01" for month in range(1, 13)]
    assert months["flux_apri_bio"].dims == ("time", "latitude", "longitude") and "MADE UP" in months.attrs["comment"]
    assert months["flux_apri_bio"].units == "kg m-2 s-1" and months["area"].units == "m2"
    assert float(months["flux_apri_bio"].max()) == 0.0 > float(months["flux_apri_bio"].min())  # uptake
    lengths = [calendar.monthrange(2000, month)[1] for month in range(1, 13)]
    sums = (months["flux_apri_bio"] * months["area"]).sum(("latitude", "longitude")).to_numpy() * 86400 * lengths
    assert sums.sum() == pytest.approx(mass(data, "ch4ox", "soil_methane_sink"), rel=1e-6)
    assert sums[1] == pytest.approx(mass(data, "ch4ox", "soil_methane_sink", slice(31, 60)), rel=1e-6)
    cell = data.isel(lat=0, lon=2, time=slice(31, 60))
    here = months.isel(latitude=2, longitude=2, time=1)
    assert float(here["relative_error"]) == pytest.approx(
        float(cell["ch4ox_sd"].mean() / cell["ch4ox"].mean()), rel=1e-5
    )
    assert float(here["applicable"]) == float(cell["applicable"]) and float(here["latitude"]) == 50.75
    share = -float(here["flux_apri_bio_error"] / here["flux_apri_bio"])
    assert share == pytest.approx(float(here["relative_error"]), rel=1e-6)
    assert float(months["modelled"].sum()) == 11 and not months["relative_error"].isnull().any()


def test_a_missing_day_has_the_mean_of_its_month(tmp_path: Path) -> None:
    product(tmp_path / "tiny", "soil_methane_sink", "fch4", 2001)
    path = tmp_path / "tiny" / "products" / "daily" / "fch4_2001.nc"
    with netCDF4.Dataset(path, "a") as file:
        file["fch4"][40, 1, 2] = np.nan
        others = np.delete(np.asarray(file["fch4"][31:59, 1, 2]), 9)
        share = float(file["uplandFrac"][1, 2]) / 100
    about = export_prior(open_run(tmp_path / "tiny"), tmp_path / "out", "hemco")
    with xr.open_dataset(tmp_path / "out" / "tiny_fch4_daily_2001.nc") as file:
        assert float(file["EmisCH4"][40, 1, 2]) == pytest.approx(others.mean() * share * FACTORS["fch4"], rel=1e-6)
    assert about["filled_cell_days"] == {"2001": 1} and about["sign"] == "positive to the atmosphere"


BAD = {
    "layout": (("hemcoo", "fch4", "", True), ConfigError, "no layout 'hemcoo'; did you mean 'hemco'"),
    "flux": (("hemco", "fch5", "", True), InputError, "no daily 'fch5'; did you mean 'fch4'"),
    "no gas": (("hemco", "swc05", "", True), ConfigError, "'swc05' is not a flux of a gas.*\n.*\n.*choose from fch4"),
    "year": (("cams", "fch4", "2001-2003", True), InputError, "the run has no 'fch4' of 2003"),
    "years": (("cams", "fch4", "2002-2001", True), ConfigError, "'2002-2001' are not years"),
    "part": (("cams", "fch4", "2002", True), InputError, "31 days that are not the 365 of 2002"),
    "no sd": (("cams", "ch4ox", "", True), InputError, "no uncertainty of 'ch4ox'.*\n.*\n.*--no-error"),
}


@pytest.fixture(scope="module")
def poor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a year that ends in January, a flux without uncertainty and a variable that is no flux."""
    folder = tmp_path_factory.mktemp("poor") / "tiny"
    product(folder, "soil_methane_sink", "fch4", 2001)
    product(folder, "soil_methane_sink", "fch4", 2002, days=31)
    product(folder, "soil_methane_sink", "ch4ox", 2001, sd=False)
    product(folder, "soil_methane_sink", "swc05", 2001)
    return folder


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_exported_is_said_and_leaves_nothing(poor: Path, tmp_path: Path, name: str) -> None:
    (layout, flux, years, error), kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        export_prior(open_run(poor), tmp_path / "out", layout, flux, years, error=error)
    assert not list(tmp_path.iterdir())


def test_folders_of_others_are_kept_and_older_exports_replaced(poor: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(FluxAtlasError, match="holds other files"):
        export_prior(open_run(poor), tmp_path, "hemco", "ch4ox", "2001", error=False)
    words = ["export", "prior", str(poor), "--layout", "hemco", "--flux", "ch4ox", "--no-error"]
    for _ in range(2):
        done = CliRunner().invoke(app, [*words, "--output", str(tmp_path / "out")], catch_exceptions=False)
        assert re.search(r"2001: -\d\S* Tg CH4 to the atmosphere", done.output)
    with xr.open_dataset(tmp_path / "out" / "tiny_ch4ox_daily_2001.nc") as file:
        assert "relative_error" not in file
    with pytest.raises(InputError, match="there is no such folder"):
        CliRunner().invoke(
            app, ["export", "prior", str(tmp_path / "none"), *words[3:], "--output", "x"], catch_exceptions=False
        )


def test_masses_of_molecules() -> None:
    known = {"CO2": 44.009, "CH4": 16.043, "N2O": 44.013, "H2O": 18.015}  # CIAAW, to the last digit given
    assert {name: round(molar_mass(name), 3) for name in known} == known
    assert mass_ratio("CO2", "C") == pytest.approx(44.009 / 12.011) and mass_ratio("N2O", "N") == pytest.approx(
        44.013 / 28.014
    )
    for gas, substance in (("CH4", "N"), ("Xx2", "C"), ("CO2+", "C")):
        with pytest.raises(ConfigError, match=r"no mass of CH4 follows|not a molecule"):
            mass_ratio(gas, substance)
    with pytest.raises(ConfigError, match="without a substance"):
        Flux("nee", 1.0, "", gas="CO2")


@pytest.mark.parametrize("name", SYSTEMS)
def test_declared_signs_are_those_of_the_long_names(name: str) -> None:
    fluxes = [flux for flux in get_system(name).fluxes if flux.gas]
    for flux in fluxes:
        words = variables.get(flux.variable).long_name
        assert flux.variable == "evspsbl" or ("positive upward" if flux.upward else "positive into the") in words
        assert (prior.kilograms(flux) > 0) == flux.upward
    assert fluxes and {flux.variable for flux in get_system(name).fluxes} - {flux.variable for flux in fluxes} <= {
        *("hfls", "hfss", "rns", "hfdsl"),  # energy
        "harvest",  # carried off the field
    }

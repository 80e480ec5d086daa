"""Slow layers from NetCDF: nitrogen deposition, wetlands and altitude in their providers' units, names and times."""

import numpy as np
import pytest

from fluxatlas.config.static import Layer
from fluxatlas.errors import InputError, UnitError
from fluxatlas.grid import get_grid
from fluxatlas.land_mask import is_land
from fluxatlas.regrid.frame import Frame
from fluxatlas.regrid.layers import read_layer
from static_layouts import around, netcdf, write_tif

TILE = get_grid("4km").tile("N37W009", 1)
FRAME = Frame.around(TILE)
LAT, LON = around(2)
CELLS = (len(LAT), len(LON))
DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
YEAR = 365.25 * 86400


def series(months):
    """Values by month over the whole grid: (time, lat, lon)."""
    return np.asarray(months, float)[:, None, None] * np.ones((1, *CELLS))


def ndep(path, name, data, units, time, time_units, **more):
    attrs = {"units": units} if units else {}
    return netcdf(path, {name: (("time", "lat", "lon"), data, attrs)}, LAT, LON, time, time_units, **more)


def one(layer, name="ndep"):
    """The only value that the layer has over the tile."""
    found = read_layer(name, layer, FRAME)
    assert np.nanmax(found) - np.nanmin(found) < 1e-4 * max(1.0, np.nanmax(found)) and np.isfinite(found).all()
    return float(found[5, 5])


def test_isimip_amounts_per_month(tmp_path) -> None:
    """g N m-2 month-1 in files of NHx and NOy, months since a date: a year's sum of both in kg ha-1 yr-1."""
    nhx, noy = 0.01 * np.arange(1, 13), 0.02 * np.ones(12)
    time = np.arange(36.0)
    paths = [
        ndep(tmp_path / f"ndep-{part}_histsoc_monthly_1901_1903.nc", part, series(np.tile(values, 3) * factor),
             "g m-2 month-1", time, "months since 1901-1-1 00:00:00")
        for part, values in (("nhx", nhx), ("noy", noy))
        for factor in (np.repeat([1.0, 2.0, 4.0], 12),)
    ]  # fmt: skip
    total = 10 * (nhx.sum() + noy.sum())
    assert one(Layer(path=paths, years=(1902, 1902))) == pytest.approx(2 * total, rel=1e-5)
    assert one(Layer(path=paths, years=(1902, 1903))) == pytest.approx(3 * total, rel=1e-5)
    assert one(Layer(path=paths, over_time="mean")) == pytest.approx(7 / 3 * total, rel=1e-5)
    assert one(Layer(path=paths[0], variable="nhx", years=(1901, 1901))) == pytest.approx(10 * nhx.sum(), rel=1e-5)


@pytest.mark.parametrize("unit", ["kg m-2 s-1", "kg(N) m-2 s-1", "kg N m-2 s-1", "kgN/m2/s", "kgN m-2 s-1"])
def test_input4mips_rates_weigh_months_by_their_days(tmp_path, unit) -> None:
    """Four rates, no-leap calendar, stamps in mid-month; the year's amount is the sum of rate times seconds."""
    rates = 1e-11 * np.arange(1, 13)
    middle = np.concatenate([365 * y + np.cumsum(DAYS) - DAYS / 2 for y in (0, 1)])
    paths = [
        ndep(tmp_path / f"{part}_input4MIPs_surfaceFluxes_CMIP_NCAR-CCMI-2-0_gn_185001-185112.nc", part,
             series(np.tile(rates, 2)), unit, middle, "days since 1850-01-01", calendar="365_day")
        for part in ("drynhx", "wetnhx", "drynoy", "wetnoy")
    ]  # fmt: skip
    expected = 4 * (rates * DAYS).sum() / 365 * YEAR * 1e4
    assert one(Layer(path=paths, years=(1850, 1851))) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(InputError, match="lacks drynoy, wetnoy"):
        read_layer("ndep", Layer(path=paths[:2], years=(1850, 1850)), FRAME)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("g N m-2 yr-1", 10), ("gN/m2/yr", 10), ("mg N m-2 yr-1", 0.01), ("kg N ha-1 yr-1", 1), ("kg ha-1 a-1", 1),
     ("g m-2 year-1", 10), ("mgN/m^2/yr", 0.01), ("kgN/ha/yr", 1), ("kg(N)/ha/year", 1), ("g m-2 of N yr-1", 10)],
)  # fmt: skip
def test_spellings_of_a_mass_of_nitrogen(tmp_path, unit, factor) -> None:
    path = ndep(tmp_path / "n.nc", "ndep", series([0.8, 1.2]), unit, np.array([1990, 1991]), "year as integer")
    assert one(Layer(path=path, years=(1990, 1991))) == pytest.approx(factor, rel=1e-6)


@pytest.mark.parametrize("unit", ["kg NH4 m-2 yr-1", "mg NO3 m-2 yr-1", "kg(NH3)/ha/yr"])
def test_the_mass_of_a_compound_is_refused(tmp_path, unit) -> None:
    path = ndep(tmp_path / "n.nc", "ndep", series([1.0, 1.0]), unit, np.array([1990, 1991]), "year")
    with pytest.raises(UnitError, match="mass of a compound"):
        read_layer("ndep", Layer(path=path, years=(1990, 1990)), FRAME)


def test_several_files_follow_each_other_in_time(tmp_path) -> None:
    """1 in 2000, 2 in 2001 and 2002: the mean over all is 5/3; a year in two files is refused."""

    def file(name, values, first):
        return ndep(tmp_path / name, "ndep", series(values), "kg ha-1 yr-1", first + np.arange(len(values)), "year")

    first, second, again = file("a.nc", [1.0], 2000), file("b.nc", [2.0, 2.0], 2001), file("c.nc", [3.0, 3.0], 2002)
    first = file("a.nc", [9.0, 1.0], 1999)
    assert one(Layer(path=[first, second], over_time="mean")) == pytest.approx((9 + 1 + 2 + 2) / 4)
    assert one(Layer(path=[first, second], over_time="maximum")) == 9
    with pytest.raises(InputError, match=r"2002-01-01 is in two files"):
        read_layer("ndep", Layer(path=[second, again], over_time="mean"), FRAME)


def test_what_is_ambiguous_is_refused(tmp_path) -> None:
    time = np.array([1990, 1991])
    data = (("time", "lat", "lon"), series([1.0, 2.0]), {"units": "kg ha-1 yr-1"})
    both = netcdf(tmp_path / "both.nc", {"nhx": data, "noy": data}, LAT, LON, time, "year")
    assert one(Layer(path=both, years=(1990, 1990))) == pytest.approx(2)
    assert one(Layer(path=both, variable=["nhx", "noy"], years=(1991, 1991))) == pytest.approx(4)
    with pytest.raises(InputError, match="'years' or 'over_time'"):
        read_layer("ndep", Layer(path=both, variable="nhx"), FRAME)
    total = netcdf(tmp_path / "total.nc", {"nhx": data, "noy": data, "ndep": data}, LAT, LON, time, "year")
    with pytest.raises(InputError, match="total and parts"):
        read_layer("ndep", Layer(path=total, years=(1990, 1990)), FRAME)
    strange = netcdf(tmp_path / "strange.nc", {"a": data, "b": data}, LAT, LON, time, "year")
    with pytest.raises(InputError, match=r"no variable 'ndep'(.|\n)*choose from \['a', 'b'\]"):
        read_layer("ndep", Layer(path=strange, years=(1990, 1990)), FRAME)
    bare = ndep(tmp_path / "bare.nc", "ndep", series([1.0, 2.0]), "", time, "year")
    with pytest.raises(InputError, match="states no unit"):
        read_layer("ndep", Layer(path=bare, years=(1990, 1990)), FRAME)
    assert one(Layer(path=bare, years=(1990, 1990), units="g m-2 yr-1")) == pytest.approx(10)


def test_years_that_are_not_there_or_not_whole_are_refused(tmp_path) -> None:
    path = ndep(
        tmp_path / "n.nc", "ndep", series(np.ones(30)), "kg ha-1 yr-1", np.arange(30.0), "months since 2000-01-01"
    )
    with pytest.raises(InputError, match="no step of the year 2003; the file holds 2000 to 2002"):
        read_layer("ndep", Layer(path=path, years=(2001, 2004)), FRAME)
    with pytest.raises(InputError, match="2002 has 6 of 12 steps"):
        read_layer("ndep", Layer(path=path, over_time="mean"), FRAME)
    twice = ndep(tmp_path / "t.nc", "ndep", series([1.0, 2.0]), "kg ha-1 yr-1", np.array([1990, 1990]), "year")
    with pytest.raises(InputError, match="1990-01-01 is there twice"):
        read_layer("ndep", Layer(path=twice, over_time="mean"), FRAME)
    wrong = ndep(tmp_path / "w.nc", "ndep", series([1.0, 2.0]), "kg ha-1 yr-1", np.array([1.0, 2.0]), "fortnights")
    with pytest.raises(InputError, match="time unit 'fortnights' cannot be used"):
        read_layer("ndep", Layer(path=wrong, years=(1990, 1990)), FRAME)
    raster = write_tif(tmp_path / "n.tif", np.ones((72, 72), np.float32), -10, 39, 24)
    with pytest.raises(InputError, match="this is a raster"):
        read_layer("ndep", Layer(path=raster, years=(1990, 1990)), FRAME)
    single = netcdf(tmp_path / "s.nc", {"ndep": (("lat", "lon"), np.ones(CELLS), {"units": "kg ha-1 yr-1"})}, LAT, LON)
    with pytest.raises(InputError, match="no series in time"):
        read_layer("ndep", Layer(path=single, years=(1990, 1990)), FRAME)


@pytest.mark.parametrize(("unit", "factor"), [("1", 1.0), ("%", 100.0), ("percent", 100.0), ("fraction", 1.0)])
def test_wetland_fractions_of_a_series(tmp_path, unit, factor) -> None:
    """Like WAD2M: `Fw` by month. Mean by days, or the largest month; missing months do not count."""
    share = np.array([0, 0, 0, 0.1, 0.3, 0.5, 0.6, 0.4, 0.2, 0.1, 0, 0]) * factor
    data = series(share)
    data[0] = np.nan
    path = netcdf(tmp_path / "WAD2M.nc", {"Fw": (("time", "lat", "lon"), data, {"units": unit})}, LAT, LON,
                  np.cumsum(DAYS) - 15, "days since 2001-01-01")  # fmt: skip
    mean = 100 / factor * (share[1:] * DAYS[1:]).sum() / DAYS[1:].sum()
    assert one(Layer(path=path, over_time="mean"), "wetlandFrac") == pytest.approx(mean, rel=1e-5)
    assert one(Layer(path=path, over_time="maximum"), "wetlandFrac") == pytest.approx(60, rel=1e-5)
    assert one(Layer(path=path, over_time="minimum"), "wetlandFrac") == pytest.approx(0, abs=1e-9)


def test_a_fraction_without_unit_is_refused_where_it_could_be_percent(tmp_path) -> None:
    path = netcdf(tmp_path / "w.nc", {"Fw": (("lat", "lon"), np.full(CELLS, 0.4))}, LAT, LON)
    with pytest.raises(UnitError, match="fraction or percent"):
        read_layer("wetlandFrac", Layer(path=path), FRAME)
    assert one(Layer(path=path, units="1"), "wetlandFrac") == pytest.approx(40)
    assert one(Layer(path=path, units="%"), "wetlandFrac") == pytest.approx(0.4)
    large = netcdf(tmp_path / "p.nc", {"Fw": (("lat", "lon"), np.full(CELLS, 40.0))}, LAT, LON)
    assert one(Layer(path=large), "wetlandFrac") == pytest.approx(40)


def test_a_climatology_without_dates(tmp_path) -> None:
    data = (("month", "lat", "lon"), series(np.arange(12.0)), {"units": "%"})
    path = netcdf(tmp_path / "w.nc", {"wetland": data}, LAT, LON)
    expected = (np.arange(12) * DAYS).sum() / 365
    assert one(Layer(path=path, over_time="mean"), "wetlandFrac") == pytest.approx(expected, rel=1e-6)
    assert one(Layer(path=path, select={"month": 7}), "wetlandFrac") == pytest.approx(7)


def test_long_series_are_read_in_blocks(tmp_path, monkeypatch) -> None:
    """The same mean, maximum and minimum, whether all steps are read at once or one by one."""
    from fluxatlas.regrid import netcdf_source

    rng = np.random.default_rng(1)
    data = rng.uniform(0, 100, (36, *CELLS))
    data[rng.random(data.shape) < 0.3] = np.nan
    path = netcdf(tmp_path / "w.nc", {"Fw": (("time", "lat", "lon"), data, {"units": "%"})}, LAT, LON,
                  np.arange(36.0), "months since 2001-01-01")  # fmt: skip
    for how in ("mean", "maximum", "minimum"):
        layer = Layer(path=path, over_time=how, years=(2002, 2003))
        monkeypatch.undo()
        whole = read_layer("wetlandFrac", layer, FRAME)
        monkeypatch.setattr(netcdf_source, "VALUES_AT_ONCE", 1)
        np.testing.assert_allclose(read_layer("wetlandFrac", layer, FRAME), whole, rtol=1e-6)


def test_altitude_from_geopotential_feet_and_sea_floor(tmp_path) -> None:
    """ERA5: m2 s-2 by standard gravity. ETOPO: the sea floor is left out by the land mask, not averaged in."""
    z = (("time", "lat", "lon"), series([9.80665 * 250]), {"units": "m**2 s**-2", "standard_name": "geopotential"})
    era = netcdf(tmp_path / "z.nc", {"z": z}, LAT, LON, np.array([0.0]), "hours since 1900-01-01")
    assert one(Layer(path=era), "orog") == pytest.approx(250, rel=1e-6)
    feet = netcdf(tmp_path / "f.nc", {"elevation": (("lat", "lon"), np.full(CELLS, 1000.0), {"units": "ft"})}, LAT, LON)
    assert one(Layer(path=feet), "orog") == pytest.approx(304.8, rel=1e-6)
    lat, lon = around(60, -10, 39, 3)
    land = is_land(lat[:, None], lon[None, :])
    relief = np.where(land, 120, -3500).astype(np.int16)
    etopo = netcdf(tmp_path / "ETOPO1_Ice_g_gmt4.nc", {"z": (("lat", "lon"), relief, {"units": "meters"})}, lat, lon)
    with pytest.raises(InputError, match="lie outside"):
        read_layer("orog", Layer(path=etopo), FRAME)
    found = read_layer("orog", Layer(path=etopo, land_only=True), FRAME)
    assert 0.1 < np.isnan(found).mean() < 0.9
    np.testing.assert_allclose(found[np.isfinite(found)], 120, rtol=1e-6)


def test_units_of_the_file_are_used_unless_the_configuration_says_otherwise(tmp_path) -> None:
    def clay(units, value=0.25, /, **more):
        path = netcdf(tmp_path / "c.nc", {"clay": (("lat", "lon"), np.full(CELLS, value), {"units": units})}, LAT, LON)
        return one(Layer(path=path, **more), "clay")

    assert clay("1") == pytest.approx(25)
    assert clay("kg kg-1") == pytest.approx(25)
    assert clay("g/kg", 250) == pytest.approx(25)
    assert clay("% weight", 25) == pytest.approx(25)
    assert clay("none", 25) == pytest.approx(25)
    assert clay("1", 25, units="%") == pytest.approx(25)  # a wrong label, corrected
    assert clay("K", 0.25, scale=100) == pytest.approx(25)  # a factor makes the label void
    with pytest.raises(UnitError, match="'K' cannot be converted"):
        clay("K")
    with pytest.raises(UnitError, match="'parts of soil' is not a unit"):
        clay("parts of soil")
    ph = netcdf(tmp_path / "p.nc", {"ph": (("lat", "lon"), np.full(CELLS, 61.0), {"units": "pH*10"})}, LAT, LON)
    assert one(Layer(path=ph), "phh2o") == pytest.approx(6.1)
    tif = write_tif(tmp_path / "c.tif", np.full((288, 288), 310, np.int16), -12, 42, 24, units=("g/kg",))
    assert one(Layer(path=tif), "clay") == pytest.approx(31)

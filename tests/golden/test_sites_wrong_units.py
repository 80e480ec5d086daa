"""Wrong units, steps, calendars and positions, reader by reader: refused in words, or dropped and counted."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.sites.records import Ledger
from site_contract import block, tables
from site_layouts import Layout, layouts, netcdf, rds

ALL = layouts()
Change = Callable[[Layout], Layout]


def swap(old: str, new: str, n: int = -1) -> Change:
    def change(layout: Layout) -> Layout:
        assert old in layout.text
        return layout.with_text(layout.text.replace(old, new, n))

    return change


def column(at: int, text: str) -> Change:
    return lambda layout: layout.with_cells(lambda cells: [[*row[:at], text, *row[at + 1 :]] for row in cells])


def with_entry(**entry: object) -> Change:
    return lambda layout: Layout(**{**layout.__dict__, "entry": {**layout.entry, **entry}})


def tower(**changes: object) -> Change:
    """The NetCDF file with other attributes or times."""

    def change(layout: Layout) -> Layout:
        data = _open(layout)
        for name, value in changes.items():
            if name == "units":
                data["NEE"].attrs["units"] = value
            elif name == "calendar":
                data["time"].attrs["calendar"] = value
            elif name == "time":
                data = data.assign_coords(time=("time", np.asarray(value), data["time"].attrs))
            elif name == "lat":
                data["latitude"] = data["latitude"] * 0 + value
            elif name == "drop":
                data = data.drop_vars(str(value))
            elif name == "nee":
                data["NEE"] = data["NEE"] * 0 + value
                data["NEE"].attrs["units"] = "umol/m2/s"
        return layout.with_text(netcdf(data, "NETCDF4"))

    return change


def _open(layout: Layout) -> xr.Dataset:
    with tempfile.TemporaryDirectory() as folder:
        return xr.load_dataset(layout.write(Path(folder)), decode_times=False)


def chamber_data(**changes: np.ndarray) -> Change:
    def change(layout: Layout) -> Layout:
        seconds = 978307200.0 + 3600.0 * np.arange(72)
        columns = {
            "CSR_PORT": np.tile([1.0, 2.0], 36),
            "CSR_TIMESTAMP_BEGIN": seconds,
            "CSR_FLUX_CH4": np.full(72, -1.5),
        }
        columns |= changes
        return layout.with_text(rds(**{name: values for name, values in columns.items() if values is not None}))

    return change


def ramp(at: int, first: float) -> Change:
    """A column that counts up from ``first`` by a tenth."""
    return lambda layout: layout.with_cells(
        lambda cells: [[*row[:at], f"{first + i / 10:.1f}", *row[at + 1 :]] for i, row in enumerate(cells)]
    )


def kelvin(name: str) -> Change:
    return ramp(ALL[name].value, 280.0)


ambiguous = with_entry(units={"FCH4": {"units": "mg m-2 d-1", "reason": "for this test"}})
NOWHERE = [{"site": "XX-Tst", "lat": 30.0, "lon": -50.0}]
START = np.arange(96) * 1800.0
CASES: list[tuple[str, str, Change, str]] = [
    # wrong unit
    ("fluxnet-DD", "kelvin", kelvin("fluxnet-DD"), "is read as K: the unit says 'degC'"),
    ("fluxnet-HH", "kelvin", kelvin("fluxnet-HH"), "is read as K: the unit says 'degC'"),
    ("fluxnet-MM", "kelvin", kelvin("fluxnet-MM"), "is read as K: the unit says 'degC'"),
    ("fluxnet-WW", "kelvin", kelvin("fluxnet-WW"), "is read as K: the unit says 'degC'"),
    ("fluxnet-YY", "kelvin", kelvin("fluxnet-YY"), "is read as K: the unit says 'degC'"),
    ("fluxnet-ERA", "kelvin", kelvin("fluxnet-ERA"), "is read as K: the unit says 'degC'"),
    ("fluxnet-ch4-DD", "mass of what", ambiguous, "does not say whether the mass is CH4 or CH4-C"),
    ("fluxnet-ch4-HH", "mass of what", ambiguous, "does not say whether the mass is CH4 or CH4-C"),
    ("ameriflux", "mass of what", ambiguous, "does not say whether the mass is CH4 or CH4-C"),
    ("ameriflux-l2", "unit line", swap("umol/m2/s", "mg/m2/s"), "column 'FC' is in 'mg/m2/s', expected 'umol/m2/s'"),
    ("plumber2", "attribute", tower(units="g/m2/s"), "'NEE' is in 'g/m2/s', expected 'umol/m2/s'"),
    ("ismn-ceop", "percent", ramp(12, 30), "sm is read as percent"),
    ("ismn-header", "percent", ramp(2, 30), "sm is read as percent"),
    ("chambers", "unit column", swap("mg CH4 m-2 d-1", "mg m-2 d-1"), "does not say whether the mass is CH4 or CH4-C"),
    ("chambers", "sign column", swap("upward_positive", "up"), "flux sign 'up' is unknown"),
    ("chambers", "temperature", swap("degC", "degF"), "soil_temperature unit 'degF' is unknown"),
    ("cosore-data", "percent", chamber_data(CSR_SM5=np.full(72, 30.0)), "swc05: kept 36 of 36 values"),
    (
        "voigt-tab",
        "override",
        with_entry(units={"CH4_flux": {"units": "ug", "reason": "for this test"}}),
        "'ug' is not a unit",
    ),
    ("stdfmt", "kelvin", ramp(23, 280), "is read as K: the unit says 'degC'"),
    ("srdb", "per day", column(9, "0"), "rs: kept 0 of 2 values: 2 out of range"),
    # wrong step
    ("fluxnet-DD", "every third day", lambda w: w.with_cells(lambda c: c[::3]), "the days are not consecutive"),
    (
        "fluxnet-HH",
        "off the step",
        swap("\n200101020030,", "\n200101020037,"),
        "not on the 30-minute steps|not a time|more than once",
    ),
    ("fluxnet-ch4-HH", "seven minutes", swap("200101010030,", "200101010007,"), "not on the 30-minute steps"),
    ("ameriflux", "seven minutes", swap("200101010030,2", "200101010007,2"), "not on the 30-minute steps"),
    ("ameriflux-l2", "seven minutes", swap("2001,1,0130,", "2001,1,0137,"), "not on the 30-minute steps"),
    ("ismn-ceop", "off the hour", swap("2017/01/01 05:00", "2017/01/01 05:10"), "not on the 60-minute steps"),
    ("ismn-header", "off the hour", swap("2017/01/01 05:00", "2017/01/01 05:10"), "not on the 60-minute steps"),
    ("plumber2", "out of order", tower(time=START[::-1]), "times are repeated or out of order"),
    ("cosore-data", "milliseconds", chamber_data(CSR_TIMESTAMP_BEGIN=np.arange(72) + 9e11), "out of range"),
    ("fluxnet-WW", "weeks of a month", swap("20010107", "20010131"), "the week of row 1 has 31 days"),
    # wrong calendar
    ("plumber2", "noleap", tower(calendar="noleap"), r"\(noleap\) cannot be used"),
    ("fluxnet-DD", "the year 3001", swap("\n2001", "\n3001"), "the year 3001 cannot be right|not a time"),
    ("chambers", "local words", swap("2001-01-01T10:00Z", "1.1.2001 10:00"), "is not a time"),
    # positions
    ("fluxnet-DD", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("fluxnet-HH", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("fluxnet-ERA", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("fluxnet-MM", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("fluxnet-ch4-DD", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("ameriflux", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("stdfmt", "none", with_entry(sites=[]), "no coordinates for site 'XX-Tst'"),
    ("ameriflux-l2", "none", lambda w: with_entry(sites=[])(swap("Latitude", "Lat")(w)), "no coordinates for site"),
    ("fluxnet-DD", "at sea", with_entry(sites=NOWHERE), r"\(30, -50\) lies in the sea"),
    ("bif-facts", "impossible", swap("50.5", "95"), r"\(95, 10.5\) is not a position on Earth"),
    ("bif-facts", "text", swap("50.5", "fifty"), "LOCATION_LAT 'fifty' is not a number"),
    ("bif-facts", "none", swap("LOCATION_LAT", "OTHER"), "no coordinates for site 'XX-Tst'"),
    ("plumber2", "impossible", tower(lat=95), r"\(95, 10\) is not a position on Earth"),
    ("plumber2", "none", tower(drop="latitude"), "variable 'latitude' is missing"),
    ("ismn-ceop", "impossible", swap("40.0 -90.0", "140.0 -90.0"), "not a position on Earth"),
    ("ismn-header", "text", swap("40.0 -90.0", "x -90.0"), "lat 'x' is not a number"),
    ("ismn-ceop", "two", swap("40.0 -90.0", "41.0 -90.0", 1), "station, position or depth change in line 2"),
    ("chambers", "impossible", swap(",50,10,", ",95,10,"), r"\(95, 10\) is not a position on Earth"),
    ("chambers", "none", swap(",50,10,", ",,10,"), "a row has no coordinates"),
    ("chambers", "two", swap(",50,10,", ",51,10,", 1), "site 'A' has more than one position"),
    ("cosore-description", "impossible", swap("LATITUDE: 50", "LATITUDE: 95"), "not a position on Earth"),
    ("cosore-description", "none", swap("CSR_LATITUDE", "CSR_LAT"), "column 'CSR_LATITUDE' is missing"),
    ("cosore-description", "zone", swap("Etc/GMT-1", "Mars"), "'Mars' is not a time zone"),
    ("voigt-tab", "impossible", column(1, "95"), "not a position on Earth"),
    ("srdb", "impossible", column(3, "95"), "2 without place"),
    ("metadata", "impossible", swap(",50,10,", ",95,10,"), r"\(95, 10\) is not a position on Earth"),
    ("metadata", "none", swap("lat", "LA"), "column 'lat' is missing"),
    ("metadata", "twice", swap("YY-Oth", "XX-Tst"), "site 'XX-Tst' is listed twice"),
    ("metadata", "height", swap(",50,10,5,", ",50,10,-2493,"), "elevation -2493 of site 'XX-Tst' is impossible"),
    ("attributes", "clay in g kg-1", column(2, "400"), "'clay' lie outside"),
    ("attributes", "twice", swap("YY-Oth", "XX-Tst"), "site 'XX-Tst' is listed twice"),
    # nothing but missing values, where the text matrix has no word of it
    ("plumber2", "all missing", tower(nee=np.nan), "nee: kept 0 of 2 days: 2 missing"),
    ("plumber2", "too large", tower(nee=9999.5), "nee: kept 0 of 2 days: 2 out of range"),
    ("cosore-data", "all missing", chamber_data(CSR_FLUX_CH4=np.full(72, np.nan)), "no CH4 flux in this dataset"),
    ("cosore-data", "no port", chamber_data(CSR_PORT=None), "column 'CSR_PORT' is missing"),
    (
        "cosore-data",
        "too large",
        chamber_data(CSR_FLUX_CH4=np.arange(72) + 9e4),
        "fch4: kept 0 of 36 values: 36 out of range",
    ),
]


@pytest.mark.parametrize(("name", "what", "change", "said"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_case(name: str, what: str, change: Change, said: str, tmp_path: Path) -> None:
    layout = change(ALL[name])
    layout.write(tmp_path)
    ledger = Ledger()
    try:
        tables(block(layout, tmp_path), ledger)
    except FluxAtlasError as problem:
        assert re.search(said, str(problem)) or _counted(said, ledger), str(problem)
        assert problem.where and problem.hint
    else:
        assert _counted(said, ledger), ledger.as_dict()


def _counted(said: str, ledger: Ledger) -> bool:
    told = [f"{name}: {ledger.sentence(site, name, of)}" for site, name, of in ledger.counts]
    return any(re.search(said, line) for line in [*told, *(note for notes in ledger.notes.values() for note in notes)])

"""Atmospheric CH4 and CO2 in NOAA GML's files: every layout and defect; the provider's annual means."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.errors import InputError
from fluxatlas.ingest.atmosphere import annual_series, looks_like, read_series, write_series
from fluxatlas.inspect.registry import inspect_path
from fluxatlas.process import slow
from fluxatlas.process.slow import latitude_offset

HEADER = "# USE OF NOAA GML DATA\n# CH4 expressed as a mole fraction in dry air, nanomol/mol, abbreviated as ppb\n"
COLUMNS = "year,month,decimal,average,average_unc,trend,trend_unc\n"


def monthly(first: str = "1999-01", months: int = 36, value: float = 1700.0) -> str:
    rows = [
        f"{p.year},{p.month},{p.year + (p.month - 0.5) / 12:.3f},{value + n:.2f},-9.90,{value:.2f},-9.90"
        for n, p in enumerate(pd.period_range(first, periods=months, freq="M"))
    ]
    return HEADER + COLUMNS + "\n" + "\n".join(rows) + "\n"


def write(folder: Path, text: str, name: str = "ch4_mm_gl.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_months_count_by_their_days_in_annual_means(tmp_path: Path) -> None:
    series = read_series(write(tmp_path, monthly(months=30)))
    assert series.gas == "ch4" and series.unit == "1e-9" and series.monthly and series.values["sd"].isna().all()
    annual = series.annual()
    assert list(annual.index) == [1999, 2000]  # half of 2001 is no year
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    assert annual[1999] == pytest.approx(1700 + (np.arange(12) * days).sum() / 365)


@pytest.mark.parametrize(
    ("name", "text", "first", "value", "sd"),
    [
        (
            "co2_mm_mlo.txt",
            "# CO2 expressed as a mole fraction in dry air, micromol/mol, abbreviated as ppm\n"
            "#            decimal       monthly    de-season  #days  st.dev  unc. of\n"
            "#             date         average     alized          of days  mon mean\n"
            "1958   3    1958.2027      315.71       314.44     -1    -9.99    -0.99\n"
            "1958   4    1958.2877      317.45       315.16     -1     0.10     0.05\n",
            "1958-03",
            315.71,
            np.nan,
        ),
        (
            "ch4_annmean_gl.txt",
            "# CH4 in nmol/mol (ppb)\n# year     mean      unc\n  1984   1644.84     0.67\n  1985  1657.30 0.59\n",
            "1984",
            1644.84,
            0.67,
        ),
        (
            "ch4_mlo_surface-flask_1_ccgg_month.txt",
            "# number_of_header_lines: 3\n# dataset: CH4 nanomol mol-1\n# data_fields: site year month value\n"
            "MLO 1983   5 1639.20\nMLO 1983   6 1633.48\n",
            "1983-05",
            1639.2,
            np.nan,
        ),
        (
            "co2_annmean_mlo.csv",
            "# co2 in ppm\nyear,mean,unc\n1959,315.98,0.12\n1960,316.91,0.12\n",
            "1959",
            315.98,
            0.12,
        ),
    ],
)
def test_every_layout_of_the_provider(tmp_path: Path, name, text, first, value, sd) -> None:
    path = write(tmp_path, text, name)
    series = read_series(path)
    assert str(series.values.index[0]) == first and len(series.values) == 2
    assert series.values["value"].iloc[0] == value
    np.testing.assert_equal(series.values["sd"].iloc[0], sd)
    assert looks_like(name, text) and not looks_like("site.csv", "site,lat,lon")
    report = inspect_path(path)
    assert report.format == "noaa-gml" and (report.status == "usable") == (len(series.annual()) > 0), report.verdict


@pytest.mark.parametrize("name", ["ch4_mm_gl.csv", "ch4_mm_gl.txt", "ch4_mlo_surface-flask_1_ccgg_month.txt"])
def test_inspect_judges_every_layout_as_ingest_does(tmp_path: Path, name: str) -> None:
    report = inspect_path(write(tmp_path, flasks() if "mlo" in name else monthly(), name))
    column = "value" if "mlo" in name else "average"
    assert (report.status, report.reader, report.mapping[0].source) == ("usable", "atmosphere.series.ch4", [column])
    assert report.time.step == "1 month" and {row.name for row in report.variables} >= {column}
    gappy = monthly().replace("2000,5,", "#2000,5,")
    assert "1 periods are missing" in inspect_path(write(tmp_path, gappy, "ch4_mm_gl.csv")).verdict


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "which gas|holds no data"),
        (HEADER, "holds no data"),
        (HEADER + COLUMNS, "below its header"),
        (monthly().replace("average,", "mole,"), "no columns year and average"),
        (monthly()[:-30], "columns, not 7"),
        (monthly() + "2001,12,2001.9,1700,0,1700,0\n", "lists 2001-12 twice"),
        (monthly().replace("2000,5,", "#2000,5,"), "1 periods are missing, the first is 2000-05"),
        (monthly().replace("2000,5,2000.375,1716.00", "2000,5,2000.375,-9.99"), "1 periods are missing"),
        (monthly().replace("2000,5,", "2000,13,"), "year or month that is none"),
        (monthly().replace("1716.00", "17l6.00"), "is not a number: '17l6.00'"),
        (monthly().replace("1716.00", "n/a"), "1 periods are missing, the first is 2000-05"),
        (monthly(value=1.7), "CH4 of 1.7 in 1999-01 is not within 600-4000"),
        (monthly(value=1.7e6), "CH4 of 1.7e.06 in 1999-01 is not within 600-4000 .1e-9.: 1000 times too large"),
        (monthly(value=330.0), "CH4 of 330 in 1999-01 is not within 600-4000"),  # nitrous oxide, or CO2 in ppm
        (monthly().replace("CH4", "N2O"), "the name says CH4 but the header N2O"),
        (monthly(value=-999.0, months=3), "only missing values"),
        ("<!DOCTYPE html>\n<html>not found</html>\n", "no columns|holds"),
    ],
)
def test_every_defect_is_one_message_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_series(path)
    assert str(path) in str(caught.value) and "do:" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "header", "message"),
    [
        ("co2_mm_gl.csv", "# N2O expressed as a mole fraction in dry air, nanomol/mol, abbreviated as ppb\n", "N2O"),
        ("co2_mm_gl.csv", "# dataset_parameter: n2o\n# as calibrated with CO2\n", "N2O"),
        ("co2_mm_gl.csv", "# parameter: ch4\n", "CH4"),
        ("co2_mm_gl.csv", "# CO2 expressed as a mole fraction, unlike N2O\n", ""),
        ("co2_mm_gl.csv", "# of the laboratory in Boulder, CO\n", ""),
        ("table.csv", "# N2O expressed as a mole fraction, as CO2 is\n", "N2O"),
    ],
)
def test_the_header_says_which_gas_it_is(tmp_path: Path, name: str, header: str, message: str) -> None:
    """Nitrous oxide [ppb] and carbon dioxide [ppm] are of one magnitude; so both readers ask the header."""
    path = write(tmp_path, header + "year,month,average\n" + "".join(f"2001,{m},371\n" for m in range(1, 13)), name)
    report = inspect_path(path)
    if not message:
        assert read_series(path).gas == "co2" and report.usable
        return
    with pytest.raises(InputError, match=f"the name says CO2 but the header {message}|which gas"):
        read_series(path)
    assert not report.usable


def test_missing_file_other_encoding_and_unnamed_gas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_series(tmp_path / "ch4_mm_gl.csv")
    (tmp_path / "ch4_mm_gl.csv").write_bytes(monthly().encode("utf-16"))
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_series(tmp_path / "ch4_mm_gl.csv")
    with pytest.raises(InputError, match="which gas"):
        read_series(write(tmp_path, COLUMNS + "1999,1,1999.04,1700,0,1700,0\n", "table.csv"))


def test_the_drivers_follow_the_file_and_refuse_years_beyond_it(tmp_path: Path) -> None:
    flat = "# CH4 in ppb\nyear,mean,unc\n" + "".join(f"{year},{year - 500},0.5\n" for year in range(2000, 2011))
    path = str(write(tmp_path, flat, "ch4_annmean_gl.csv"))
    dates = pd.date_range("2005-07-01", periods=1)
    own, given_ = methane(dates, [10.0]), methane(dates, [10.0], path)
    assert given_[0, 0] - own[0, 0] == pytest.approx(1505 - 1774.23, abs=1.5)
    with pytest.raises(InputError, match="no atmospheric CH4 for 2011"):
        methane(pd.date_range("2011-01-01", periods=1), [0.0], path)
    co2 = str(write(tmp_path, "# CO2\nyear,mean,unc\n2000,368.96,0.1\n", "co2_annmean_gl.csv"))
    with pytest.raises(InputError, match="holds CO2, expected CH4"):
        methane(dates, [0.0], co2)


def test_a_file_that_was_written_again_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, monthly(value=1700.0))
    first = read_series(path).values["value"]
    write(tmp_path, monthly(value=1800.0))
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1_000_000))
    assert (read_series(path).values["value"] == first + 100).all()


def test_annual_means_agree_with_those_of_the_provider(data_dir: Path) -> None:
    folder = data_dir / "atmosphere" / "lyubo-t_climate-forcing-model"
    ours = read_series(folder / "co2_mm_gl.csv").annual()
    theirs = read_series(folder / "co2_annmean_gl.csv").annual()
    both = ours.index.intersection(theirs.index)
    assert len(both) > 40 and np.abs(ours[both] - theirs[both]).max() < 0.02  # ppm; rounded to 0.01
    table = pd.read_csv(Path(__file__).parents[2] / "resources" / "ch4_annual.csv", comment="#").set_index("year")[
        "ch4"
    ]
    methane_ = read_series(folder / "ch4_mm_gl.csv").annual()
    years = methane_.index.intersection(table.index)
    assert np.abs(methane_[years] - table[years]).max() < 1.0  # ppb; the table is of an earlier release


# --- stations and older layouts --------------------------------------------------------------------------------------

MAUNA_LOA_2019 = (
    "# CO2 expressed as a mole fraction in dry air, micromol/mol, abbreviated as ppm\n#\n"
    "#            decimal     average   interpolated    trend    #days\n"
    "#             date                             (season corr)\n"
    "1958   4    1958.292      317.45      317.45      315.29     -1\n"
    "1958   5    1958.375      317.50      317.50      314.71     -1\n"
    "1958   6    1958.458      -99.99      317.10      314.85     -1\n"
    "1958   7    1958.542      315.86      315.86      314.98     -1\n"
)
IN_SITU = (
    "# header_lines : 4\n# dataset_name: co2_mlo_surface-insitu_1_ccgg_MonthlyData\n# site_latitude : 19.5362\n"
    "# value:units : micromol mol-1\n"
    "site_code year month day hour minute second time_decimal value value_std_dev nvalue latitude longitude altitude "
    "elevation intake_height qcflag\n"
    "MLO 1975 9 1 0 0 0 1975.6657534246576 328.48 0.75 23 19.536 -155.576 3437.0 3397.0 40.0 ...\n"
    "MLO 1975 10 1 0 0 0 1975.7479452054795 328.45 0.39 12 19.536 -155.576 3437.0 3397.0 40.0 ...\n"
    "MLO 1975 11 1 0 0 0 1975.8328767123287 329.24 0.43 19 19.536 -155.576 3437.0 3397.0 40.0 *..\n"
    "MLO 1975 12 1 0 0 0 1975.9150684931508 -999.99 -99.99 0 19.536 -155.576 3437.0 3397.0 40.0 *..\n"
    "MLO 1976 1 1 0 0 0 1976.0 331.65 0.29 20 19.536 -155.576 3437.0 3397.0 40.0 ..P\n"
)


def flasks(first: str = "2000-01", months: int = 24, site: str = "MLO", latitude: str = "") -> str:
    rows = [
        f"{site} {p.year} {p.month:3d} {1800 + n:.2f}"
        for n, p in enumerate(pd.period_range(first, periods=months, freq="M"))
    ]
    head = "# number_of_header_lines: 4\n# contact_parameter: CH4 CCGG (Individual Flasks)\n# comment: ppb\n"
    return head + latitude + "# data_fields: site year month value\n" + "\n".join(rows) + "\n"


def test_columns_named_on_two_lines_are_known_by_their_number(tmp_path: Path) -> None:
    series = read_series(write(tmp_path, MAUNA_LOA_2019, "co2_mm_mlo.txt"), gap=1)
    assert series.site == "MLO" and series.filled == 1 and series.latitude == pytest.approx(19.536)
    assert series.values["value"].tolist() == [317.45, 317.5, pytest.approx((317.5 + 315.86) / 2), 315.86]


def test_in_situ_months_that_were_rejected_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path, IN_SITU, "co2_mlo_surface-insitu_1_ccgg_MonthlyData.txt")
    with pytest.raises(InputError, match="2 periods are missing, the first is 1975-11, 2 in a row"):
        read_series(path, gap=1)
    series = read_series(path, gap=2)
    assert series.filled == 2 and series.values["value"].iloc[[1, -1]].tolist() == [328.45, 331.65]
    np.testing.assert_allclose(np.diff(series.values["value"].iloc[1:]), (331.65 - 328.45) / 3)


def test_headers_may_hold_other_letters_but_data_may_not(tmp_path: Path) -> None:
    path = tmp_path / "ch4_mm_gl.csv"
    path.write_bytes(monthly().replace("# USE", "# 1974\N{EN DASH}1985, Universit\xe9. USE").encode("cp1252"))
    assert len(read_series(path).values) == 36
    path.write_bytes(monthly().replace("1716.00", "17\xe916.00").encode("cp1252"))
    with pytest.raises(InputError, match="not UTF-8 text"):
        read_series(path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ch4_mm_gl.csv", monthly().replace("2000,5,2000.375", "2000,5,2001.375"), "of 2000-05 but of 2001.375 in"),
        ("ch4_mlo_surface-flask_1_ccgg_month.txt", flasks() + "BRW 2002 1 1900\n", "2 sites: BRW, MLO"),
        ("ch4_xyz_surface-flask_1_ccgg_month.txt", flasks(latitude="# site_latitude : 190.0\n"), "latitude of 190"),
        ("ch4_gr_gl.txt", "# CH4 growth\n# year     inc      unc\n  1984   12.9  0.6\n", "no columns year and average"),
        ("ch4c13_bal_surface-flask_1_sil_month.txt", flasks().replace("CH4", "CH4C13"), "which gas"),
    ],
)
def test_what_is_not_such_a_series_is_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_series(write(tmp_path, text, name))
    assert name in caught.value.where and caught.value.hint


def methane(dates: pd.DatetimeIndex, lat: object, path: str = "") -> np.ndarray:
    return slow.ch4(dates, lat, {}, annual_series("ch4", path))


# --- the driver of a run ---------------------------------------------------------------------------------------------


def test_the_driver_made_of_a_global_file_is_that_of_the_file(data_dir: Path, tmp_path: Path) -> None:
    source = data_dir / "atmosphere" / "lyubo-t_climate-forcing-model" / "ch4_mm_gl.csv"
    series = write_series(source, tmp_path / "ch4_global.csv", "ch4", [2001, 2002])
    assert series.filled == 0 and not series.site
    dates = pd.date_range("2001-01-01", "2002-12-31")
    made, direct, own = (
        methane(dates, [-30.0, 50.0], name) for name in (str(tmp_path / "ch4_global.csv"), str(source), "")
    )
    np.testing.assert_allclose(made, direct, atol=1e-4)
    assert np.abs(made - own).max() < 1.0  # two releases of one record
    assert "fluxatlas_inputs" in (tmp_path / "ch4_global.csv").read_text()


@pytest.mark.parametrize(("site", "latitude", "stated", "given_"), [
    ("MLO", 19.536, "", None), ("ABC", 71.25, "# site_latitude : 71.25\n", None), ("ABC", -40.0, "", -40.0),
])  # fmt: skip
def test_at_its_own_latitude_a_station_is_what_was_measured_there(tmp_path, site, latitude, stated, given_) -> None:
    source = write(tmp_path, flasks(site=site, latitude=stated), f"ch4_{site.lower()}_surface-flask_1_ccgg_month.txt")
    write_series(source, tmp_path / "ch4_global.csv", "ch4", [2000, 2001], latitude=given_)
    dates = pd.date_range("2000-01-01", "2001-12-31")
    there = methane(dates, [latitude], str(tmp_path / "ch4_global.csv"))[:, 0]
    measured = np.mean([1800 + n for n in range(24)])
    assert there.mean() == pytest.approx(measured, abs=1.0)  # season and months of unequal length cancel in the mean
    globe = read_series(tmp_path / "ch4_global.csv").values["value"].mean()
    assert globe == pytest.approx(measured - latitude_offset(latitude), abs=1e-3)


def test_the_offset_of_a_latitude_is_that_of_the_driver() -> None:
    lat = np.array([-80.0, -14.0, 0.0, 19.5, 71.0])
    year = methane(pd.date_range("2001-01-01", "2001-12-31"), lat)
    flat = year.mean(axis=0) - year[:, [2]].mean(axis=0)
    np.testing.assert_allclose(flat, latitude_offset(lat) - latitude_offset(0.0), atol=0.15)
    sine = np.linspace(-1, 1, 20001)
    assert np.mean(latitude_offset(np.rad2deg(np.arcsin(sine)))) == pytest.approx(0, abs=1e-2)  # by area


def test_years_gaps_gases_and_places_that_do_not_do_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    output = tmp_path / "ch4_global.csv"
    good = write(tmp_path, monthly())
    gappy = write(tmp_path, monthly().replace("2000,5,", "#2000,5,"), "ch4_mm_gl.txt")
    unknown = write(tmp_path, flasks(site="ABC"), "ch4_abc_surface-flask_1_ccgg_month.txt")
    other = write(tmp_path, MAUNA_LOA_2019.replace("-99.99", "317.10"), "co2_mm_mlo.txt")
    for source, years, message in (
        (good, [1998, 1999], "complete years 1999-2001, not 1998"),
        (good, [2001, 2002], "not 2002: it|complete years 1999-2001, not 2002"),
        (
            good,
            [1996, 1997, 2000, 2003, 2004],
            r"not 1996-1997, 2003-2004\n(.|\n)*needs 1996-1997, 2000, 2003",
        ),
        (gappy, [2000], "1 periods are missing"),
        (unknown, [2000], "latitude of station ABC"),
        (other, [1958], "holds CO2, expected CH4"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            write_series(source, output, "ch4", years)
        assert str(source) in caught.value.where and caught.value.hint and not output.exists()
    assert (
        write_series(gappy, output, "ch4", [2000], gap=1).filled == 1
        and "1 periods were interpolated" in output.read_text()
    )
    with pytest.raises(InputError, match="station series \\(MLO\\); a global mean is needed"):
        station = write(tmp_path, flasks(), "ch4_mlo_surface-flask_1_ccgg_month.txt")
        methane(pd.date_range("2000-01-01", periods=2), [0.0], str(station))


def test_co2_is_carried_as_the_provider_gives_it(data_dir: Path, tmp_path: Path) -> None:
    source = data_dir / "atmosphere" / "lyubo-t_climate-forcing-model" / "co2_mm_gl.csv"
    output = tmp_path / "co2_global.csv"
    write_series(source, output, "co2", [1984, 2022])
    made = read_series(output)
    assert made.gas == "co2" and "CO2, global mean in dry air, ppm (1e-6)" in output.read_text()
    published = read_series(source.with_name("co2_annmean_gl.csv")).annual()
    years = published.index.intersection(made.annual().index)
    assert len(years) > 40
    np.testing.assert_allclose(made.annual()[years], published[years], atol=0.1)  # rounded to 0.01 ppm, other weights


def test_co2_of_a_station_stays_what_was_measured_there(tmp_path: Path) -> None:
    rows = [f"2000 {month} {2000 + (month - 0.5) / 12:.4f} {369 + month / 10:.2f} 369 369 30" for month in range(1, 13)]
    text = "#            decimal      monthly     de-season\n#             date        average     alized\n"
    source = write(tmp_path, "# CO2\n" + text + "\n".join(rows) + "\n", "co2_mm_mlo.txt")
    output = tmp_path / "co2_global.csv"
    words = ["ingest", "atmosphere", "--gas", "co2", "--input", str(source), "--output", str(output)]
    done = CliRunner().invoke(app, [*words, "--first-year", "2000", "--last-year", "2000"])
    assert done.exit_code == 0 and "CO2, station MLO, as measured, 12 periods" in done.output
    np.testing.assert_allclose(read_series(output).values["value"], [369 + month / 10 for month in range(1, 13)])
    assert "not the global mean" in output.read_text()
    with pytest.raises(InputError, match="holds CO2, expected CH4"):
        write_series(source, output, "ch4", [2000])


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    source = write(tmp_path, flasks(), "ch4_mlo_surface-flask_1_ccgg_month.txt")
    words = ["ingest", "atmosphere", "--gas", "ch4", "--input", str(source), "--output", str(tmp_path / "out.csv")]
    done = CliRunner().invoke(app, [*words, "--first-year", "2000", "--last-year", "2001"])
    assert done.exit_code == 0 and "station MLO, adjusted to the global mean, 24 periods, 0 interpolated" in done.output
    (tmp_path / "out.csv").unlink()
    for given, absent in (("--first-year", "--last-year"), ("--last-year", "--first-year")):
        refused = CliRunner().invoke(app, [*words, given, "1950"])
        assert refused.exit_code and f"{given} is given without {absent}" in str(refused.exception)
        assert not (tmp_path / "out.csv").exists()


def test_the_default_driver_is_unchanged_to_the_last_bit() -> None:
    found = methane(pd.date_range("1984-01-01", "2023-12-31", freq="97D"), [-75.0, -10.0, 0.0, 33.3, 60.0])
    table = pd.read_csv(Path(__file__).parents[2] / "resources" / "ch4_annual.csv", comment="#")
    dates = pd.date_range("1984-01-01", "2023-12-31", freq="97D")
    day, length = dates.dayofyear.to_numpy(float), np.where(dates.is_leap_year, 366.0, 365.0)
    at = dates.year.to_numpy(float) + (day - 0.5) / length
    annual = np.interp(at, table["year"].to_numpy(float) + 0.5, table["ch4"].to_numpy(float))[:, None]
    lat = np.array([[-75.0, -10.0, 0.0, 33.3, 60.0]])
    sine = np.sin(np.deg2rad(lat))
    amplitude, peak = np.array([[13.0, 13.0, 12.0, 12.0, 20.0]]), np.array([[265.0, 265.0, 60.0, 60.0, 30.0]])
    season = amplitude * np.cos(2 * np.pi * (day[:, None] - peak) / 365.0)
    np.testing.assert_array_equal(found, annual + 70 * sine + 15 * (sine**2 - 1 / 3) + season)

"""Atmospheric CH4 and CO2 in NOAA GML's files: every layout and defect; the provider's annual means."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluxatlas.drivers import methane
from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.atmosphere import looks_like, read_series

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
            "#            decimal   monthly\n# year month decimal average deseason. ndays sdev unc\n"
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
        (monthly().replace("1716.00", "n/a"), "is no number: 'n/a'"),
        (monthly(value=1.7), "CH4 of 1.7 in 1999-01 is not within 300-3000"),
        (monthly(value=-999.0, months=3), "only missing values"),
        ("<!DOCTYPE html>\n<html>not found</html>\n", "no columns|holds"),
    ],
)
def test_every_defect_is_one_message_that_names_the_file(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=message) as caught:
        read_series(path)
    assert str(path) in str(caught.value) and "do:" in str(caught.value)


def test_missing_file_other_encoding_and_unnamed_gas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not found"):
        read_series(tmp_path / "ch4_mm_gl.csv")
    (tmp_path / "ch4_mm_gl.csv").write_bytes(monthly().encode("utf-16"))
    with pytest.raises(InputError, match="no text in UTF-8"):
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
    with pytest.raises(InputError, match="of CO2, not of CH4"):
        methane(dates, [0.0], co2)


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


PIECE = st.one_of(
    st.sampled_from([HEADER, COLUMNS, "\n", "#", ",", "1999,1,1999.04,1700.0,1,1700,1\n", "year month value", "-9.99"]),
    st.text(max_size=12),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECE, max_size=12), st.sampled_from(["ch4_mm_gl.csv", "co2_mm_mlo.txt", "table.txt"]))
def test_no_text_raises_anything_but_our_errors(tmp_path_factory, pieces: list[str], name: str) -> None:
    path = tmp_path_factory.mktemp("noaa") / name
    path.write_text("".join(pieces), encoding="utf-8", errors="surrogatepass")
    try:
        series = read_series(path)
    except FluxAtlasError:
        return
    assert series.values["value"].notna().all() and series.values.index.is_unique

"""Whatever the bytes of a file of mole fractions are, it is read as a sound series or refused with one message.

Run once with 6,000 cases per layout (FLUXATLAS_FUZZ_CASES=6000, 24,000 cases in all): no other exception escaped.
"""

import tempfile
from pathlib import Path

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from damage import cases
from fluxatlas import gases
from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.atmosphere import read_series, write_series

CASES = cases(120)
MONTHS = pd.period_range("1999-11", periods=26, freq="M")
COMMAS = (
    "# CH4 expressed in dry air, nanomol/mol, abbreviated as ppb\nyear,month,decimal,average,average_unc\n"
    + "".join(
        f"{p.year},{p.month},{p.year + (p.month - 0.5) / 12:.3f},{1770 + n}.5,-9.99\n" for n, p in enumerate(MONTHS)
    )
)
BLANKS = (
    "# CO2 as a mole fraction\n#      decimal     average   interpolated    trend    #days\n#       date\n"
    + "".join(
        f"{p.year} {p.month:3d}  {p.year + (p.month - 0.5) / 12:.3f}  {370 + n}.1  370.00  370.00  -1\n"
        for n, p in enumerate(MONTHS)
    )
)
ANNUAL = "# CH4 in ppb\n# year     mean      unc\n" + "".join(
    f"  {year}   {1700 + year - 1990}.3  0.6\n" for year in range(1990, 2004)
)
STATION = "# number_of_header_lines: 2\n# data_fields: site year month value\n" + "".join(
    f"MLO {p.year} {p.month:3d} {1780 + n}.11\n" for n, p in enumerate(MONTHS)
)
PIECES = [
    b"",
    b",",
    b"\n",
    b" ",
    b"#",
    b"-9.99",
    b"-99.99",
    b"nan",
    b"inf",
    b"1e999",
    b"2000",
    b"year",
    b'"',
    b"\t",
    b"\x00",
    b"\xe9",
]


@st.composite
def damaged(draw: st.DrawFn, text: str) -> bytes:
    """The bytes of a good file with pieces replaced, cut out, repeated or moved; sometimes bytes of no file at all."""
    if draw(st.integers(0, 12)) == 0:
        return draw(st.binary(max_size=200))
    data = text.encode()
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        stop = min(len(data), start + draw(st.integers(0, 40)))
        other = draw(st.integers(0, len(data)))
        piece = draw(
            st.one_of(
                st.binary(max_size=5),
                st.sampled_from(PIECES),
                st.just(data[start:stop] * 2),
                st.just(data[other : other + 30]),
            )
        )
        data = data[:start] + piece + data[stop:]
    return data


def attempt(name: str, content: bytes, gap: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            series = read_series(path, gap)
        except FluxAtlasError as problem:
            assert str(path) in problem.where and problem.hint
            return
        low, high = gases.get(series.gas).range
        values = series.values["value"]
        assert values.notna().all() and values.between(low, high).all() and values.index.is_unique
        assert (values.index == pd.period_range(values.index[0], values.index[-1], freq=values.index.freq)).all()
        if series.gas == "co2":
            return
        write_series(path, Path(folder) / "ch4_global.csv", "ch4", [], gap, latitude=10.0)
        again = read_series(Path(folder) / "ch4_global.csv")
        assert len(again.values) == len(values) and not again.filled


@CASES
@given(damaged(COMMAS), st.integers(0, 3))
def test_global_months(content: bytes, gap: int) -> None:
    attempt("ch4_mm_gl.csv", content, gap)


@CASES
@given(damaged(BLANKS), st.integers(0, 3))
def test_mauna_loa(content: bytes, gap: int) -> None:
    attempt("co2_mm_mlo.txt", content, gap)


@CASES
@given(damaged(ANNUAL), st.integers(0, 3))
def test_annual_means(content: bytes, gap: int) -> None:
    attempt("ch4_annmean_gl.txt", content, gap)


@CASES
@given(damaged(STATION), st.integers(0, 3))
def test_stations(content: bytes, gap: int) -> None:
    attempt("ch4_mlo_surface-flask_1_ccgg_month.txt", content, gap)

"""The compiled CSV pass equals the careful reader bit for bit, and gives up rather than differ."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fluxatlas.errors import FluxAtlasError, InputError
from fluxatlas.ingest.sites import fluxnet
from fluxatlas.ingest.sites.quick import quick_table, stamps

NUMBER = st.one_of(
    st.floats(-1e6, 1e6).map(lambda x: f"{x:.6f}"),
    st.integers(-9999, 10**9).map(str),
    st.sampled_from(["", "-9999", "0", "-0", "1.", ".5", "0.1", "123456789.123456"]),
)


def parse(text: bytes) -> tuple[pd.DataFrame, int] | None:
    return quick_table(text, ("TIMESTAMP",), lambda name: name.startswith("T"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=1, max_size=20), st.sampled_from(["\n", "\r\n"]))
def test_numbers_equal_those_of_python(rows: list[tuple[str, str, str]], end: str) -> None:
    days = pd.date_range("2001-01-01", periods=len(rows)).strftime("%Y%m%d")
    text = end.join(
        ["TIMESTAMP,T1,OTHER,T2", *(f"{d},{a},{b},{c}" for d, (a, b, c) in zip(days, rows, strict=True)), ""]
    )
    found = parse(text.encode())
    assert found is not None and found[1] == 8
    for column, place in (("T1", 0), ("T2", 2)):
        expected = [float(row[place]) if row[place] else np.nan for row in rows]
        assert found[0][column].to_numpy().tobytes() == np.array(expected).tobytes()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 80), st.integers(0, 6), st.binary(max_size=4))
@example(53, 1, b"1")  # a year of 2101
def test_of_a_damaged_file_it_reads_what_the_careful_reader_reads(at: int, cut: int, piece: bytes) -> None:
    whole = b"TIMESTAMP,TA_F,CO2\n20010101,1.5,400\n20010102,-2,401\n20010103,3,402\n"
    data = whole[:at] + piece + whole[at + cut :]
    found = quick_table(data, ("TIMESTAMP",), lambda name: name == "TA_F")
    if found is None:
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "FLX_XX-Tst_FLUXNET2015_FULLSET_DD.csv"
        path.write_bytes(data)
        try:
            careful = fluxnet.read_file(path)
        except InputError as problem:  # of the file as a whole, which the table alone does not judge
            assert "the days are not consecutive" in str(problem)
            return
    pd.testing.assert_frame_equal(found[0], careful.table, check_freq=False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"TIMESTAMP,T1\n",
        b"TIMESTAMP,T1\n20010101,1",  # the last line has no end: it may be cut
        b"TIMESTAMP,T1\n20010101,1e3\n",
        b"TIMESTAMP,T1\n20010101,+1\n",
        b"TIMESTAMP,T1\n20010101,nan\n",
        b"TIMESTAMP,T1\n20010101, 1\n",
        b"TIMESTAMP,T1\n20010101,1.2.3\n",
        b"TIMESTAMP,T1\n20010101,-\n",
        b"TIMESTAMP,T1\n20010101,1234567890123456\n",
        b"TIMESTAMP,T1\n20010101,1,2\n",
        b"TIMESTAMP,T1,X\n20010101,1\n",
        b'TIMESTAMP,T1,X\n20010101,1,"a"\n',
        b"TIMESTAMP,T1,X\n20010101,1,\xe9\n",
        b"TIMESTAMP,T1,X\n20010101,1,\x00\n",
        b"TIMESTAMP,T1\n20010102,1\n20010101,1\n",
        b"TIMESTAMP,T1\n20010101,1\n20010101,1\n",
        b"TIMESTAMP,T1\n20010230,1\n",
        b"TIMESTAMP,T1\n20010101.5,1\n",
        b"TIMESTAMP,T1\n,1\n",
        b"TIMESTAMP,T1,T1\n20010101,1,1\n",
        b"TIMESTAMP,T1,\n20010101,1,1\n",
        b"TIMESTAMP,T1\r20010101,1\r",
        b"# only a comment",
    ],
)
def test_it_gives_up_on_anything_unusual(text: bytes) -> None:
    assert parse(text) is None


def test_comments_and_empty_lines_are_passed_over() -> None:
    found = parse(b"# Site: x\n# Version: 1\nTIMESTAMP,T1,X\n20010101,1,a b\n\n20010102,2,\n")
    assert found is not None and found[0]["T1"].tolist() == [1.0, 2.0]


def test_times_equal_those_of_pandas() -> None:
    times = pd.date_range("1999-12-30", "2004-03-02", freq="30min")
    values = times.strftime("%Y%m%d%H%M").astype("int64").to_numpy()
    pd.testing.assert_index_equal(stamps(values), pd.DatetimeIndex(times.to_numpy().astype("datetime64[ns]")))
    assert stamps(np.array([190002290000])) is None  # 1900 was no leap year
    assert stamps(np.array([200001012400])) is None and stamps(np.array([200001010060])) is None


def test_a_large_damaged_file_still_gets_the_careful_message(tmp_path: Path) -> None:
    times = pd.date_range("2001-01-01", periods=48 * 900, freq="30min").strftime("%Y%m%d%H%M")
    text = "TIMESTAMP_START,TA_F,CO2\n" + "".join(f"{t},1.25,400.123\n" for t in times)
    path = tmp_path / "FLX_XX-Tst_FLUXNET2015_FULLSET_HH_2001-2003_1-4.csv"
    path.write_text(text)
    assert path.stat().st_size > 2**20 and len(fluxnet.read_file(path).table) == len(times)
    path.write_text(text[:-5])
    assert len(fluxnet.read_file(path).table) == len(times)  # a cell cut short cannot be told
    path.write_text(text[:-9])
    with pytest.raises(FluxAtlasError, match="line 43201 has 2 cells"):
        fluxnet.read_file(path)

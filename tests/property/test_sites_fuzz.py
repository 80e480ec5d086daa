"""Whatever the bytes of a file are, the sites stage makes tables that obey the contract or raises one FluxAtlasError.

Valid files of every layout are damaged in a few places: cells, columns, rows, bytes, encodings, line ends. The suite
runs a few dozen cases per reader; ``FLUXATLAS_FUZZ_CASES=20000`` runs more (results: benchmarks/results/fuzz.md).
"""

import contextlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.sites import badm
from fluxatlas.ingest.sites.quick import quick_table
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.units import methane_factor
from fluxatlas.paths import RESOURCES
from fluxatlas.regrid.cover import read_legend
from site_contract import block, obeys, tables
from site_layouts import BIF, Layout, layouts, workbook

CASES = settings(
    max_examples=int(os.environ.get("FLUXATLAS_FUZZ_CASES", "60")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LAYOUTS = layouts()
WORDS = (
    "|-9999|-6999|NaN|nan|NA|inf|-inf|1e999|1e308|-1e308|1e-320|0|-0|1|5|20010101|200101010000|20010230|0001-01-01|2001|"
    "99999999999999999999|1_000|0x1F|+3|3,5|3.5.1|--|#|\"|'|é|\u22121|XX-Tst|TIMESTAMP|2262-04-12|9999-12-31|12:60|2400|"
    "None|true|%|degC|nmol m-2 s-1|G|D01,G|<NA>|1e5|-91|181|360|3|7|50|100|1000|12345"
)
CELLS = WORDS.split("|")
BYTES = [
    b"\x00",
    b"\xff",
    b"\xe9",
    b"\xc3\xa9",
    b"\xef\xbb\xbf",
    b'"',
    b"\r",
    b"\n",
    b",",
    b";",
    b"\t",
    b" ",
    b"#",
    b"\x1a",
    b"\x85",
]
CODECS = ["utf-8-sig", "latin-1", "utf-16", "utf-16-le", "cp1252", "utf-32"]


def damage(data: bytes, kind: str, a: int, b: int, separator: str) -> bytes:
    """``data`` with one kind of damage at the places that ``a`` and ``b`` choose."""
    if kind == "bytes":
        at = a % (len(data) + 1)
        return data[:at] + BYTES[b % len(BYTES)] + data[at + b % 3 :]
    if kind == "cut":
        return data[: a % (len(data) + 1)]
    if kind == "splice":
        at, stop = a % (len(data) + 1), b % (len(data) + 1)
        return data[:at] + data[stop : stop + 12] + data[at:]
    if kind == "codec":
        with contextlib.suppress(UnicodeError):
            return data.decode().encode(CODECS[a % len(CODECS)])
        return data
    if kind == "ends":
        return data.replace(b"\n", [b"\r\n", b"\r", b"\n\n", b" \n", b"\n\r"][a % 5])
    if kind == "delimiter":
        return data.replace(
            separator.encode(), [b";", b"\t", b" ", b",", separator.encode() * 2][a % 5], (b % 200) or -1
        )
    lines = data.split(b"\n")
    row = a % len(lines)
    cells = lines[row].split(separator.encode())
    column = b % len(cells)
    if kind == "cell":
        cells[column] = CELLS[(a ^ b) % len(CELLS)].encode()
        lines[row] = separator.encode().join(cells)
    elif kind == "column":
        word = CELLS[(a ^ b) % len(CELLS)].encode()
        for i, line in enumerate(lines[a % 4 :], a % 4):
            parts = line.split(separator.encode())
            if column < len(parts) and i < len(lines):
                parts[column] = word
                lines[i] = separator.encode().join(parts)
    elif kind == "drop":
        for i, line in enumerate(lines):
            parts = line.split(separator.encode())
            lines[i] = separator.encode().join(parts[:column] + parts[column + 1 :])
    elif kind == "row":
        other = b % len(lines)
        lines[row], lines[other] = lines[other], lines[row]
    elif kind == "again":
        lines.insert(row, lines[b % len(lines)])
    elif kind == "gone":
        del lines[row : row + 1 + b % 3]
    return b"\n".join(lines)


KINDS = ["cell"] * 5 + [
    "bytes",
    "cut",
    "splice",
    "codec",
    "ends",
    "delimiter",
    "column",
    "drop",
    "row",
    "again",
    "gone",
]
DAMAGES = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 2**16), st.integers(0, 2**16)), min_size=1, max_size=4
)


def attempt(layout: Layout) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layout.write(folder)
        made = block(layout, folder)
        try:
            found = tables(made, Ledger())
        except FluxAtlasError as problem:
            assert problem.what and problem.where and problem.hint
        else:
            obeys(found, made)


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if not layout.packed])
def test_text(name: str) -> None:
    layout = LAYOUTS[name]

    @CASES
    @given(DAMAGES)
    def cases(damages: list[tuple[str, int, int]]) -> None:
        data = layout.files[layout.target]
        for kind, a, b in damages:
            data = damage(data, kind, a, b, layout.separator)
        attempt(layout.with_text(data))

    cases()


@pytest.mark.parametrize("name", ["fluxnet-zip", "ameriflux-zip", "ismn-zip"])
def test_zips(name: str) -> None:
    """Bytes of an archive, or of the text in it, changed or cut off."""
    layout = LAYOUTS[name]

    @CASES
    @given(DAMAGES, st.integers(0, 7))
    def cases(damages: list[tuple[str, int, int]], member: int) -> None:
        data = layout.files[layout.target]
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
            for i, part in enumerate(old.namelist()):
                text = old.read(part)
                for kind, a, b in damages if i == member else ():
                    text = damage(text, kind, a, b, ",")
                new.writestr(part, text)
        data = stream.getvalue()
        for kind, a, b in damages if member >= len(old.namelist()) else ():
            data = damage(data, kind if kind in ("bytes", "cut", "splice") else "bytes", a, b, ",")
        attempt(layout.with_text(data))

    cases()


@CASES
@given(DAMAGES, st.booleans())
def test_badm_workbook(damages: list[tuple[str, int, int]], inside: bool) -> None:
    data = workbook(BIF)
    if inside:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            (name,) = book.namelist()
            sheet = book.read(name)
        for kind, a, b in damages:
            sheet = damage(sheet, kind, a, b, "<")
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as book:
            book.writestr(name, sheet)
        data = stream.getvalue()
    for kind, a, b in () if inside else damages:
        data = damage(data, kind if kind in ("bytes", "cut", "splice") else "bytes", a, b, ",")
    with contextlib.suppress(FluxAtlasError):
        for facts in badm.site_facts(data, "book.xlsx").values():
            assert all(abs(facts.get(name, 0)) < float("inf") for name in ("lat", "lon", "elevation", "utc_offset"))


@CASES
@given(st.sampled_from(["fluxnet-HH", "ameriflux", "fluxnet-DD"]), DAMAGES)
def test_the_compiled_pass(name: str, damages: list[tuple[str, int, int]]) -> None:
    content = LAYOUTS[name].files[LAYOUTS[name].target]
    for kind, a, b in damages:
        content = damage(content, kind, a, b, ",")
    found = quick_table(content, ("TIMESTAMP", "TIMESTAMP_START"), lambda column: column.startswith("T"))
    assert found is None or (found[0].index.is_monotonic_increasing and found[0].index.is_unique)


@CASES
@given(DAMAGES)
def test_legend(damages: list[tuple[str, int, int]]) -> None:
    data = (RESOURCES / "landcover_modis_igbp.csv").read_bytes()
    for kind, a, b in damages:
        data = damage(data, kind, a, b, ",")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "legend.csv"
        path.write_bytes(data)
        with contextlib.suppress(FluxAtlasError):
            for found in read_legend(str(path)).values():
                assert all(0 <= share <= 1 for share in (found.upland, found.crop, found.wetland))


@CASES
@given(st.text(max_size=30), st.sampled_from(["", "mg CH4 m-2 d-1", "nmol m-2 s-1"]))
def test_units(noise: str, unit: str) -> None:
    with contextlib.suppress(FluxAtlasError):
        assert methane_factor(unit + noise) > 0

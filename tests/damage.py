"""Damage to good text files, for fuzzing: cells, columns, rows, bytes, encodings, line ends."""

import contextlib
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def count(usual: int) -> int:
    """What ``FLUXATLAS_FUZZ_CASES`` says, ``usual`` without it."""
    return int(os.environ.get("FLUXATLAS_FUZZ_CASES", usual))


def cases(usual: int) -> settings:
    """As many cases as :func:`count` says."""
    return settings(max_examples=count(usual), deadline=None, database=None, suppress_health_check=list(HealthCheck))


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


def damaged(data: bytes, damages: list[tuple[str, int, int]], separator: str) -> bytes:
    """``data`` with all of ``damages``."""
    for kind, a, b in damages:
        data = damage(data, kind, a, b, separator)
    return data


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

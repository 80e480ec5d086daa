"""Every reader of sites against every defect: one clear message and exit status 1, or the effect counted in words.

Each case goes through the command line. An error must name the file, say what is wrong and what to do, and leave
nothing in the output folder. What is kept must be told in the same words on stderr and in report.json.
"""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fluxatlas import cli
from site_contract import block
from site_layouts import Layout, layouts

ALL = layouts()
TEXT = [name for name, layout in ALL.items() if not layout.packed]
SERIES = [
    name
    for name in TEXT
    if name not in ("bif-facts", "bif-depths", "metadata", "attributes", "ismn-static", "cosore-ports")
]
SERIES.remove("cosore-description")
PACKED = [name for name, layout in ALL.items() if layout.packed]


def lines(layout: Layout, change: object) -> Layout:
    return layout.with_text("\n".join(change(layout.text.splitlines())) + "\n")  # type: ignore[operator]


def set_cell(layout: Layout, at: int, text: str, rows: slice = slice(None)) -> Layout:
    """One column, or some rows of it, set to a text."""

    def change(cells: list[list[str]]) -> list[list[str]]:
        for row in cells[rows]:
            row[at] = text
        return cells

    return layout.with_cells(change)


def truncated(layout: Layout) -> Layout:
    """The last line ends where its main value begins."""
    if layout.packed:
        data = layout.files[layout.target]
        return layout.with_text(data[: len(data) // 2])
    data = layout.text.rstrip("\n")
    last = data.rsplit("\n", 1)[-1].split(layout.separator)
    return layout.with_text(data[: -len(layout.separator.join(last[layout.value :]))].rstrip(layout.separator))


def renamed(layout: Layout) -> Layout:
    """The main variable is not in the header, or its cells are not in the rows."""
    if layout.rows:
        head = layout.text.splitlines()[layout.rows - 1 if layout.source != "ameriflux_l2" else 2]
        if layout.column and layout.column in head:
            text = re.sub(rf"(?<![A-Za-z0-9_]){layout.column}(?![A-Za-z0-9_])", "OTHER", layout.text)
            return layout.with_text(re.sub(r"\b(TS_1|TS_1_1_1|SWC_1|SWC_PI_1|TA_\w+|TA|TS1)\b", "OTHER\\1", text))
    return layout.with_cells(lambda cells: [row[: layout.value] + row[layout.value + 1 :] for row in cells])


def repeated(layout: Layout) -> Layout:
    """The second row has the time of the first and another value."""

    def change(cells: list[list[str]]) -> list[list[str]]:
        again = list(cells[0])
        again[layout.value] = "4.25"
        return [cells[0], again, *cells[1:]]

    return layout.with_cells(change)


def gap(layout: Layout) -> Layout:
    return layout.with_cells(lambda cells: cells[: len(cells) // 3] + cells[len(cells) // 3 + 1 :])


def undated(layout: Layout) -> Layout:
    """The third time is the thirtieth of February, or a day 400."""
    row = min(2, len(layout.cells()) - 1)
    word = layout.cells()[row][layout.time]
    wrong = {4: "20O1", 6: "200113", 8: "20010230", 12: "200102300000"}.get(len(word))
    wrong = {"ismn": "2017/02/30", "chambers": "2001-02-30T00:00Z", "voigt": "2018-02-30"}.get(layout.source, wrong)
    at = layout.time
    if layout.source in ("ameriflux_l2", "stdfmt"):
        wrong, at = "400" if layout.source == "ameriflux_l2" else "13", 1
    return set_cell(layout, at, str(wrong), slice(row, row + 1))


def latin(layout: Layout) -> Layout:
    """A letter of latin-1 at the end of the second line."""
    head, _, rest = layout.text.partition("\n")
    return layout.with_text(head.encode() + b"\n" + rest.encode().replace(b"\n", b"\xe9\n", 1))


def emptied(layout: Layout) -> Layout:
    return lines(layout, lambda text: text[: layout.rows])


DEFECTS = {
    "truncated": truncated,
    "missing variable": renamed,
    "gap": gap,
    "repeated time": repeated,
    "all missing": lambda layout: set_cell(layout, layout.value, layout.code),
    "one value too large": lambda layout: set_cell(layout, layout.value, layout.wild, slice(1, 2)),
    "no such day": undated,
    "latin-1 text": latin,
    "no rows": emptied,
    "zero bytes": lambda layout: layout.with_text(b""),
}
KEPT = "kept "
SAID: dict[str, str] = {
    "truncated": r"line \d+ has \d+ (cells|fields)",
    "missing variable": "column '.*' is missing|none of the (columns|variables)",
    "gap": KEPT,
    "repeated time": "occurs more than once with different values",
    "all missing": r"kept 0 of \d+ .*missing",
    "one value too large": "1 out of range",
    "no such day": "in row [23].* is not a time",
    "latin-1 text": r"byte 0xe9 on line \d+ is not utf-8 text",
    "no rows": "header but no rows|holds no values|file is empty|fewer than two",
    "zero bytes": "file is empty",
}
"""What the message, or the report of what was kept, says of a defect; other words of single readers below."""
OWN: dict[tuple[str, str], str] = {
    ("fluxnet-DD", "missing variable"): "no site is left .*its files lack TA_F_MIN and TA_F_MAX",
    ("fluxnet-HH", "gap"): "1 missing",
    ("fluxnet-HH", "missing variable"): "no site is left .*its files lack TA_F_MIN and TA_F_MAX",
    ("fluxnet-ERA", "missing variable"): "no site is left .*its files lack TA_F_MIN and TA_F_MAX",
    ("soil-ch4-means", "all missing"): r"kept 0 of 3 values: 3 without value",
    ("soil-ch4-means", "no such day"): "kept 2 of 3 values: 1 without year",
    ("fluxnet-WW", "missing variable"): r"nee: kept 3 of 3 weeks\n1 site",
    ("fluxnet-MM", "missing variable"): r"nee: kept 6 of 6 months\n1 site",
    ("fluxnet-YY", "missing variable"): r"nee: kept 2 of 2 years\n1 site",
    ("ameriflux", "missing variable"): "no site is left .*FC: kept 0 of 96 values: 96 missing code -9999",
    ("chambers", "repeated time"): "fch4: kept 19 of 19 values",  # of two chambers, if the table does not name them
    ("voigt-tab", "repeated time"): "kept 9 of 9 values",
    ("voigt-tab", "one value too large"): r"1 of chambers mostly outside -25 to 37 \(qc.limits\)",
    ("srdb", "repeated time"): "kept 3 of 3 values",
    ("srdb", "latin-1 text"): r"warning: .*srdb-data.csv: the text is (mixed|latin-1)",
    ("srdb", "no such day"): "'20O1' in row 2 of column 'Study_midyear' is not a number",
    ("srdb", "all missing"): "kept 0 of 2 values: 2 without annual flux",
    ("stdfmt", "missing variable"): "has 32 columns",
    ("ismn-ceop", "missing variable"): "'G' in row 1 of column 'value' is not a number",
    ("ismn-header", "missing variable"): "line 2 has 4 fields|'G' in row 1",
}


def run(
    layout: Layout, folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    """Exit status and stderr of ``fluxatlas ingest sites build`` on the folder."""
    made = block(layout, folder).model_dump_json()
    arguments = ["fluxatlas", "ingest", "sites", "build", "--settings", made, "--output-dir", str(folder / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), capsys.readouterr().err


def check(status: int, said: str, expected: str, layout: Layout, folder: Path) -> None:
    assert re.search(expected, said), said
    out = folder / "out"
    if status:
        assert "Traceback" not in said and len(re.findall("^error: ", said, re.MULTILINE)) == 1
        assert "\n  where: " in said and "\n  do:    " in said
        assert Path(layout.target).name in said.split("where: ")[1] or str(folder) in said.split("where: ")[1], said
        assert not out.exists() or not list(out.iterdir())
        return
    report = json.loads((out / "report.json").read_text())
    texts = [
        level["text"] for site in report["sites"].values() for v in site["variables"].values() for level in v.values()
    ]
    assert any(text.startswith("kept ") and text in said for text in texts)
    assert sorted(path.name for path in out.iterdir()) == [
        "chambers.parquet",
        "forcing.parquet",
        "observations.parquet",
        "periods.parquet",
        "report.json",
        "sites.csv",
    ]


@pytest.mark.parametrize("name", list(ALL))
def test_a_valid_file_is_told_in_words(name: str, tmp_path: Path, capsys, monkeypatch) -> None:
    layout = ALL[name]
    layout.write(tmp_path)
    status, said = run(layout, tmp_path, capsys, monkeypatch)
    assert status == 0, said
    check(status, said, r"kept [\d,]+ of [\d,]+ (days|values|months|weeks|years)", layout, tmp_path)
    made = set(pd.read_parquet(tmp_path / "out/observations.parquet")["variable"])
    made |= set(pd.read_parquet(tmp_path / "out/periods.parquet")["variable"])
    assert layout.made in made or (layout.made == "forcing" and len(pd.read_parquet(tmp_path / "out/forcing.parquet")))


@pytest.mark.parametrize("defect", list(DEFECTS))
@pytest.mark.parametrize("name", SERIES)
def test_text(name: str, defect: str, tmp_path: Path, capsys, monkeypatch) -> None:
    layout = DEFECTS[defect](ALL[name])
    assert layout.files != ALL[name].files
    layout.write(tmp_path)
    status, said = run(layout, tmp_path, capsys, monkeypatch)
    check(status, said, OWN.get((name, defect), SAID[defect]), layout, tmp_path)


@pytest.mark.parametrize("name", PACKED)
def test_truncated_archives_and_binary_files(name: str, tmp_path: Path, capsys, monkeypatch) -> None:
    layout = truncated(ALL[name])
    layout.write(tmp_path)
    status, said = run(layout, tmp_path, capsys, monkeypatch)
    assert status == 1
    check(status, said, "the zip is damaged|cannot be read as (R data|NetCDF)", layout, tmp_path)


@pytest.mark.parametrize("name", list(ALL))
def test_missing_files(name: str, tmp_path: Path, capsys, monkeypatch) -> None:
    layout = ALL[name]
    path = layout.write(tmp_path)
    path.unlink()
    entry = layout.entry if {"metadata", "attributes"} & set(layout.entry) else layout.entry | {"path": str(path)}
    if name in ("bif-facts", "bif-depths", "ismn-static"):
        pytest.skip("such a file may be absent")
    if layout.source == "cosore":
        entry = layout.entry | {"path": str(tmp_path / "d1")}
    status, said = run(replace(layout, entry=entry), tmp_path, capsys, monkeypatch)
    assert status == 1
    check(status, said, "file not found|file cannot be read", layout, tmp_path)

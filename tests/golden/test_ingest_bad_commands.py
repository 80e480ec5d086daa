"""Spoilt archives through the command line: one message, a status of 1, and nothing written."""

import re
import shutil
from pathlib import Path

import pytest

import ingest_layouts as layouts
from bad_archives import BYTES, CONTENTS, Archive
from fluxatlas import cli
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.ingest.declaration import MAPPINGS


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A whole year of daily files, and their names."""
    folder = tmp_path_factory.mktemp("year")
    files = layouts.cf_daily(folder, layouts.all_days("standard", 2001, 2001), layouts.weather(365))
    return folder, [path.name for path in files]


def command(mapping: str, files: list[Path], relief: Path, pieces: Path) -> list[str]:
    block = ForcingBlock(source="mapping", mapping=mapping, path="x", elevation=str(relief))
    words = [
        "fluxatlas",
        "ingest",
        "forcing",
        "--system",
        "soil_methane_sink",
        "--settings",
        block.model_dump_json(),
        "--year",
        "2001",
        "--grid",
        "4km",
    ]
    words += ["--tile-size", "1", "--tile", "N40W124", "--output-dir", str(pieces)]
    return words + [word for path in files for word in ("--input", str(path))]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("defect", [*CONTENTS, *BYTES, "not UTF-8", "no defect"])
def test_the_command_fails_with_one_message(
    defect: str,
    year: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw, pieces = tmp_path / "raw", tmp_path / "pieces"
    shutil.copytree(year[0], raw)
    archive = Archive([raw / name for name in year[1]], "rlds", "rlds")
    victim, mapping, expected = archive.victim, "isimip", ""
    if defect in CONTENTS:
        spoil, expected = CONTENTS[defect]
        spoil(archive)
    elif defect in BYTES:
        damage, expected = BYTES[defect]
        damage(victim)
    elif defect == "not UTF-8":
        mapping, expected = str(tmp_path / "own.yaml"), "not UTF-8: byte 0xfc in line 2"
        text = (MAPPINGS / "isimip.yaml").read_text(encoding="utf-8")
        Path(mapping).write_bytes(b"# by\n# M\xfcller\n" + text.encode())
    relief, _ = layouts.elevation(tmp_path / "elevation.nc")
    status = run(command(mapping, archive.files, relief, pieces), monkeypatch)
    said = capsys.readouterr().err
    written = [path for path in pieces.rglob("*") if path.is_file()]
    if defect == "no defect":
        assert status == 0
        assert [path.name for path in written] == ["2001.nc"]
        return
    assert status == 1
    assert not written
    assert "Traceback" not in said
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1
    assert re.search(expected.format(key="rlds").replace("2001-01-0", "2001-0"), said), said
    assert "  where: " in said
    assert "  do:    " in said

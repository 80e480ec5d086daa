"""Hashes: those of sha256sum, read once per file however many processes ask, and never an old one."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fluxatlas import hashes


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path]:
    """The files whose bytes are read, with a cache folder of the test's own."""
    found: list[Path] = []
    read = hashes._bytes_hash
    monkeypatch.setattr(hashes, "_bytes_hash", lambda path: (found.append(path), read(path))[1])
    monkeypatch.setattr(hashes, "_KNOWN", {})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


def old(path: Path, content: bytes, age: float = 60) -> Path:
    """A file that was last changed ``age`` seconds ago."""
    path.write_bytes(content)
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def test_a_large_file_is_read_once_by_all_processes(reads: list[Path], tmp_path: Path) -> None:
    path = old(tmp_path / "large.tif", bytes(hashes.LARGE))
    assert [hashes.file_hash(path) for _ in range(3)] == [sha256(path)] * 3 and len(reads) == 1
    command = (
        "import sys; from fluxatlas import hashes as h; h._bytes_hash = None; print(h.file_hash(sys.argv[1]), end='')"
    )
    other = subprocess.run([sys.executable, "-c", command, str(path)], capture_output=True, text=True, check=True)
    assert other.stdout == sha256(path)


def test_a_small_file_is_read_once_in_a_process_and_leaves_nothing_in_the_cache(
    reads: list[Path], tmp_path: Path
) -> None:
    path = old(tmp_path / "small.csv", b"a,b\n")
    assert hashes.file_hash(path) == hashes.file_hash(path) == sha256(path) and len(reads) == 1
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("age", [60, 0], ids=["settled", "just written"])
def test_other_bytes_of_the_same_length_give_another_hash(reads: list[Path], tmp_path: Path, age: float) -> None:
    path = old(tmp_path / "a.nc", b"one", age)
    first, stamp = hashes.file_hash(path), path.stat()
    path.write_bytes(b"two")
    if not age:  # within the resolution of the file system's clock
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert first != hashes.file_hash(path) == sha256(path)


def test_a_cache_that_cannot_be_used_is_done_without(reads: list[Path], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder")
    path = old(tmp_path / "large.tif", bytes(hashes.LARGE))
    assert hashes.file_hash(path) == sha256(path)


def test_a_damaged_entry_of_the_cache_is_replaced(reads: list[Path], tmp_path: Path) -> None:
    path = old(tmp_path / "large.tif", bytes(hashes.LARGE))
    hashes.file_hash(path)
    (entry,) = (tmp_path / "cache/fluxatlas/hashes").iterdir()
    entry.write_text("")
    hashes._KNOWN.clear()
    assert hashes.file_hash(path) == sha256(path) == entry.read_text()


def test_any_folder_is_hashed_by_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "map.gdb"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    first = hashes.file_hash(folder)
    (folder / "a").write_bytes(b"2")
    assert hashes.file_hash(folder) != first

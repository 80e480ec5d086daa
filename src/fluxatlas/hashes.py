"""Hashes of files and settings for provenance, and the checksum that a file between stages carries in itself.

A large file is hashed once, however many jobs name it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from .errors import InputError

LARGE = 16_000_000
"""Bytes from which a hash is kept on disk for other jobs; smaller files are read faster than that is worth."""

SETTLED = 2.0
"""Seconds since the last change after which a time stamp tells one content from the next."""

_KNOWN: dict[str, str] = {}

SEAL = b"fluxatlas crc32 00000000"
"""What a writer puts into a file, or :func:`seal` behind it, with zeros where the checksum comes to stand."""
_SEAL = re.compile(rb"fluxatlas crc32 ([0-9a-f]{8})")
_TAIL = 1 << 20
"""Bytes at the end of a file among which its checksum is looked for: the footer of Parquet lies there."""
_WHOLE: set[str] = set()


def file_hash(path: str | Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's bytes; of a Zarr store (a folder), of its metadata documents.

    Kept by path, size, time of change and inode: in this process, and for files from :data:`LARGE` bytes in the user's
    cache folder (``XDG_CACHE_HOME``, else ``~/.cache``). A file that has just changed is read again. Of any other
    folder: names and bytes of all files in it.
    """
    source = Path(path).resolve()
    if source.is_dir():
        return _folder_hash(source)
    fact = source.stat()
    text = f"{source} {fact.st_size} {fact.st_mtime_ns} {fact.st_ino}"
    key = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    settled = time.time() - fact.st_mtime > SETTLED
    folder = _cache_folder() if settled and fact.st_size >= LARGE else None
    entry = folder / key if folder else None
    known = _KNOWN.get(key) if settled else None
    known = known or (_remembered(entry) if entry else None)
    if known is None:
        known = _bytes_hash(source)
        if entry:
            _remember(entry, known)
    if settled:
        _KNOWN[key] = known
    return known


def _bytes_hash(source: Path) -> str:
    with source.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    documents = ("zarr.json", ".zmetadata", ".zgroup", ".zarray", ".zattrs")
    members = sorted(m for name in documents for m in (*folder.glob(name), *folder.glob(f"*/{name}")))
    for member in members:
        digest.update(member.read_bytes())
    for member in [] if members else sorted(m for m in folder.rglob("*") if m.is_file()):
        digest.update(f"{member.relative_to(folder)} {_bytes_hash(member)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _cache_folder() -> Path | None:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "fluxatlas", "hashes").expanduser()
    except RuntimeError:  # a user without a home
        return None


def _remembered(entry: Path) -> str | None:
    try:
        text = entry.read_text("ascii")
    except (OSError, ValueError):
        return None
    return text if len(text) == 16 and set(text) <= set("0123456789abcdef") else None


def _remember(entry: Path, known: str) -> None:
    """Write the hash for other jobs; where that is not possible they read the file themselves."""
    partial = entry.with_name(f"{entry.name}.{os.getpid()}")
    with suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(known, "ascii")
            partial.replace(entry)
        finally:
            partial.unlink(missing_ok=True)


def seal(path: str | Path) -> None:
    """Write the CRC-32 of a complete file into it, over :data:`SEAL` near its end or behind its last byte.

    NetCDF4 and torch read a file to the end that it states itself, so that neither sees what stands behind it.
    """
    with Path(path).open("r+b") as file:
        place = _place(file)
        if place is None:
            file.seek(0, os.SEEK_END)
            place = file.tell() + len(SEAL) - 8
            file.write(SEAL)
        value = _crc(file, place)
        file.seek(place)
        file.write(value)


def check_seal(path: str | Path, largest: float = float("inf")) -> bool:
    """Whether a file carries the checksum of :func:`seal`, and it was compared: not with more bytes than ``largest``.

    Raises :class:`InputError` where the checksum is not that of the bytes. A file that held is not read again by this
    process while its size, inode and time of change stay.
    """
    source = Path(path)
    if not source.is_file():
        return False
    fact = source.stat()
    key = f"{source.resolve()} {fact.st_size} {fact.st_mtime_ns} {fact.st_ino}"
    if key in _WHOLE:
        return True
    with source.open("rb") as file:
        place = _place(file) if fact.st_size <= largest else None
        if place is None:
            return False
        file.seek(place)
        if file.read(8) != _crc(file, place):
            raise InputError(
                "the file has changed since it was written: its checksum does not hold",
                where=str(source),
                hint=f"a disk or a transfer has damaged it: delete it, then `snakemake {source}` makes it again",
            )
    if time.time() - fact.st_mtime > SETTLED:
        _WHOLE.add(key)
    return True


def _place(file: BinaryIO) -> int | None:
    """Where the eight digits of the checksum stand; None without one."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    found = list(_SEAL.finditer(tail := file.read()))
    return size - len(tail) + found[-1].start(1) if found else None


def _crc(file: BinaryIO, place: int) -> bytes:
    """CRC-32 of the file with zeros for its own digits, as eight hexadecimal digits."""
    value, at = 0, 0
    file.seek(0)
    while block := file.read(_TAIL):
        first, last = max(place - at, 0), min(place + 8 - at, len(block))
        if first < last:
            block = block[:first] + b"0" * (last - first) + block[last:]
        value, at = zlib.crc32(block, value), at + len(block)
    return b"%08x" % value


def settings_hash(settings: Any) -> str:
    """First 16 hex digits of the SHA-256 of ``settings`` as canonical JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]

"""Hashes of files and settings for provenance; a large file is read once, however many jobs name it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

LARGE = 16_000_000
"""Bytes from which a hash is kept on disk for other jobs; smaller files are read faster than that is worth."""

SETTLED = 2.0
"""Seconds since the last change after which a time stamp tells one content from the next."""

_KNOWN: dict[str, str] = {}


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


def settings_hash(settings: Any) -> str:
    """First 16 hex digits of the SHA-256 of ``settings`` as canonical JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]

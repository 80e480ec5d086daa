"""Checksums that a provider offers, in whichever of the usual ways."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import FetchError

DIGITS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


class Checksum(NamedTuple):
    """An algorithm of :mod:`hashlib` and the lower-case hexadecimal digits."""

    algorithm: str
    digits: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.digits}"


def parse(text: str, name: str = "") -> Checksum | None:
    """The checksum of the file ``name`` in ``text``; ``None`` if there is none.

    Understood are '<algorithm>:<digits>', digits alone, and lists of lines 'digits  name' or 'ALGORITHM (name) =
    digits'. The algorithm follows from the number of digits where it is not said.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    own = [line for line in lines if name and re.search(rf"(^|[\s*(/]){re.escape(name)}($|[\s)])", line)]
    for line in own or (lines if len(lines) == 1 else []):
        found = re.search(
            r"(?i)(?:\b(md5|sha1|sha256|sha512)\b\W[^=]*?)?(?<![0-9a-f])([0-9a-f]{32,128})(?![0-9a-f])", line
        )
        if found:
            algorithm = next((known for known, count in DIGITS.items() if count == len(found[2])), "")
            if algorithm:
                return Checksum(algorithm, found[2].lower())
    return None


def from_headers(headers: Mapping[str, str]) -> Checksum | None:
    """The checksum of the whole file that the headers of a reply state (lower-case names), or ``None``."""
    candidates = [("md5", headers.get("content-md5", ""))]
    for part in headers.get("x-goog-hash", "").split(","):
        key, _, value = part.strip().partition("=")
        candidates.append((key, value))
    for key, value in re.findall(r"(sha-256|sha-512)=:?([A-Za-z0-9+/=]+):?", headers.get("repr-digest", "")):
        candidates.append((key.replace("-", ""), value))
    for algorithm, value in candidates:
        try:
            digits = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            continue
        if len(digits) == DIGITS.get(algorithm, -1):
            return Checksum(algorithm, digits)
    return None


def digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digits of the whole file at ``path``."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()


def verify(path: Path, expected: Checksum, *, where: str) -> None:
    """Raise :class:`FetchError` where the file at ``path`` is not the ``expected`` one."""
    found = digest(path, expected.algorithm)
    if found != expected.digits:
        raise FetchError(
            f"the {expected.algorithm} of what was received is {found[:16]}..., the provider states "
            f"{expected.digits[:16]}...",
            where=where,
            hint="it was damaged on the way and is not kept: fetch again; if it happens again, tell the provider",
        )

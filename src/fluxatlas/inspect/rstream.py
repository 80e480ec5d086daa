"""A light walk through R's serialized data: names, types and values of a data frame, without building every R object.

Why beside the package rdata (which ingest uses): an inspection must say what a file of any size holds. A vector longer
than :data:`MOST_VALUES` is read at its head only and ends the walk, so memory stays bounded (a file of 350 kB may
unpack to 670 MB); and each text keeps its own encoding mark, so a text that is not UTF-8 is found and not fatal.
Format: "R Internals", section 1.8 (serialization, XDR form, versions 2 and 3).
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zlib
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

import numpy as np

from ..errors import InputError

MOST_VALUES = 1_000_000
DEEPEST = 200
HINT = "the file is probably truncated: delete it and download it again"
_TYPES = {10: "logical", 13: "integer", 14: "double", 15: "complex", 16: "character", 19: "list", 20: "expression"}
_NA_INT = -2147483648


@dataclass
class RObject:
    """One R object: ``kind``, ``length`` as declared, ``values`` (maybe only the head) and attributes by name."""

    kind: str
    length: int = 0
    values: Any = None
    attributes: dict[str, Any] = field(default_factory=dict)
    whole: bool = True

    @property
    def classes(self) -> list[str]:
        found = self.attributes.get("class")
        return [str(x) for x in found.values] if isinstance(found, RObject) and found.values is not None else []

    @property
    def names(self) -> list[str]:
        found = self.attributes.get("names")
        return [str(x) for x in found.values] if isinstance(found, RObject) and found.values is not None else []


class _EnoughError(Exception):
    """A vector is longer than what is read; what was found so far counts."""


class _Walker:
    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.references: list[str] = []
        self.bad_text: list[bytes] = []
        self.partial: list[RObject] = []
        self.native = "utf-8"

    def bytes(self, n: int) -> bytes:
        data = self.stream.read(n)
        if len(data) < n:
            raise InputError("the R data end too early", hint=HINT)
        return data

    def integer(self) -> int:
        return int(struct.unpack(">i", self.bytes(4))[0])

    def length(self) -> int:
        n = self.integer()
        if n == -1:
            n = (self.integer() << 32) + self.integer()
        if n < 0:
            raise InputError("a vector has a negative length", hint=HINT)
        return n

    def header(self) -> None:
        if self.bytes(2) != b"X\n":
            raise InputError("the R data are not in XDR form", hint="save them with saveRDS(x, ascii = FALSE)")
        version = self.integer()
        self.bytes(8)
        if version not in (2, 3):
            raise InputError(f"R serialization version {version} is unknown", hint=HINT)
        if version == 3:
            self.native = self.bytes(min(self.length(), 64)).decode("ascii", "replace")

    def item(self, depth: int = 0, flags: int | None = None) -> Any:
        """The next object (its ``flags`` may be read already): RObject, text, None for NULL, a dict for a pairlist."""
        if depth > DEEPEST:
            raise InputError("the R data are nested too deeply", hint=HINT)
        if flags is None:
            flags = self.integer()
        kind = flags & 0xFF
        if kind in (254, 253, 252, 251, 250, 242, 241):
            return None
        if kind == 255:
            at = flags >> 8 or self.integer()
            if not 0 < at <= len(self.references):
                raise InputError("a reference in the R data leads nowhere", hint=HINT)
            return self.references[at - 1]
        if kind == 1:
            name = self.item(depth + 1)
            self.references.append(str(name))
            return str(name)
        if kind == 9:
            return self.text(flags)
        if kind == 2:
            return self.pairs(flags, depth)
        if kind == 238:
            return self.compact(depth)
        if kind in _TYPES:
            return self.vector(kind, flags, depth)
        raise InputError(f"R objects of type {kind} hold no data", hint="save a data frame or a vector")

    def text(self, flags: int) -> str | None:
        n = self.integer()
        if n == -1:
            return None
        raw = self.bytes(n)
        latin = bool((flags >> 12) & 4)
        try:
            return raw.decode("latin-1" if latin else "utf-8")
        except UnicodeDecodeError:
            self.bad_text.append(raw)
            return raw.decode("latin-1")

    def pairs(self, flags: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while True:
            if flags & 0x200:
                self.item(depth + 1)
            tag = self.item(depth + 1) if flags & 0x400 else f"item {len(found) + 1}"
            found[str(tag)] = self.item(depth + 1)
            flags = self.integer()
            if flags & 0xFF == 254:
                return found
            if flags & 0xFF != 2:  # a dotted pair, as in the state of a wrapper
                found["tail"] = self.item(depth + 1, flags)
                return found

    def compact(self, depth: int) -> RObject:
        """An ALTREP object: only compact sequences and wrappers occur in files of data."""
        info, state = self.item(depth + 1), self.item(depth + 1)
        attributes = self.item(depth + 1)
        name = str(next(iter(info.values()), "")) if isinstance(info, dict) else ""
        if name.startswith("wrap_") and isinstance(state, (RObject, dict)):
            inner = next(iter(state.values())) if isinstance(state, dict) else (state.values or [None])[0]
            if isinstance(inner, RObject):
                inner.attributes |= attributes if isinstance(attributes, dict) else {}
                return inner
        length = 0
        if isinstance(state, RObject) and state.kind == "double" and state.values is not None and len(state.values):
            length = int(max(state.values[0], 0))
        return RObject("integer", length, np.arange(1, min(length, MOST_VALUES) + 1, dtype=float))

    def vector(self, kind: int, flags: int, depth: int) -> RObject:
        found = RObject(_TYPES[kind], self.length())
        self.partial.append(found)
        n = min(found.length, MOST_VALUES)
        found.whole = n == found.length
        if kind in (10, 13):
            raw = np.frombuffer(self.bytes(4 * n), ">i4").astype(np.float64)
            found.values = np.where(raw == _NA_INT, np.nan, raw)
        elif kind == 14:
            found.values = np.frombuffer(self.bytes(8 * n), ">f8").astype(np.float64)
        elif kind == 15:
            found.values = np.frombuffer(self.bytes(16 * n), ">c16").astype(np.complex128)
        elif kind == 16:
            found.values = [self.item(depth + 1) for _ in range(n)]
        else:
            found.values = []
            for _ in range(n):
                found.values.append(self.item(depth + 1))
        if not found.whole:
            raise _EnoughError
        if flags & 0x200:
            attributes = self.item(depth + 1)
            found.attributes = attributes if isinstance(attributes, dict) else {}
        self.partial.pop()
        return found


def unpacked(head: bytes, path: str) -> BinaryIO:
    """The file as a stream of unpacked bytes, whatever R packed it with."""
    opener: Any = open
    if head.startswith(b"\x1f\x8b"):
        opener = gzip.open
    elif head.startswith(b"BZh"):
        opener = bz2.open
    elif head.startswith(b"\xfd7zXZ\x00"):
        opener = lzma.open
    return cast(BinaryIO, io.BufferedReader(opener(path, "rb"), 2**20))


def read(head: bytes, path: str) -> tuple[dict[str, Any], list[bytes]]:
    """The objects of a file by name ('' for a single one) and the texts that are neither UTF-8 nor marked.

    Raises :class:`InputError` where the file is no R data or is damaged.
    """
    try:
        with unpacked(head, path) as stream:
            walker = _Walker(stream)
            start = walker.bytes(5) if _peek(stream, 4) in (b"RDX2", b"RDX3") else b""
            walker.header()
            try:
                found = walker.item()
            except _EnoughError:
                outer = walker.partial[0]
                name = walker.references[0] if start and walker.references else ""
                return {name: outer}, walker.bad_text
            objects = found if start and isinstance(found, dict) else {"": found}
            return objects, walker.bad_text
    except (OSError, EOFError, zlib.error, lzma.LZMAError, struct.error, ValueError, MemoryError) as problem:
        raise InputError(f"cannot be read as R data ({problem})", where=path, hint=HINT) from None


def _peek(stream: BinaryIO, n: int) -> bytes:
    return stream.peek(n)[:n]  # type: ignore[attr-defined,no-any-return]

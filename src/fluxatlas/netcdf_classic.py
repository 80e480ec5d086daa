"""Whether a NetCDF file of the classic formats is complete.

The NetCDF library reads zeros, without a word, where a classic file was cut off. Its header says how long the file must
be at least (NetCDF classic format specification: CDF-1, CDF-2 and CDF-5); HDF5 files are checked by their own library.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_MOST = 100_000
"""More dimensions, attributes or variables than this are not a header."""


def missing_bytes(path: str | Path) -> int:
    """How many bytes a classic file lacks at its end; 0 for a complete one and for files of other formats.

    Raises :class:`ValueError` where the header itself is cut off or makes no sense.
    """
    with Path(path).open("rb") as file:
        magic = file.read(4)
        if magic[:3] != b"CDF" or magic[3:] not in (b"\x01", b"\x02", b"\x05"):
            return 0
        least = _Header(file, magic[3]).least_size()
        return max(0, least - file.seek(0, 2))


class _Header:
    """Reads the header of one file, item by item."""

    def __init__(self, file: BinaryIO, version: int) -> None:
        self.file = file
        self.wide = 8 if version == 5 else 4  # counts
        self.place = 4 if version == 1 else 8  # offsets

    def number(self, size: int) -> int:
        data = self.file.read(size)
        if len(data) < size:
            raise ValueError("the header is cut off")
        return int.from_bytes(data, "big")

    def count(self) -> int:
        found = self.number(self.wide)
        if found > _MOST:
            raise ValueError(f"the header counts {found} items")
        return found

    def skip(self, size: int) -> None:
        """Pass over bytes that are padded to a multiple of four."""
        self.file.seek(-(-size // 4) * 4, 1)

    def attributes(self) -> None:
        self.number(4)
        for _ in range(self.count()):
            self.skip(self.number(self.wide))
            kind = self.number(4)
            self.skip(_size(kind) * self.number(self.wide))

    def least_size(self) -> int:
        """Where the last value of the last variable ends."""
        records = self.number(self.wide)
        self.number(4)
        lengths = []
        for _ in range(self.count()):
            self.skip(self.number(self.wide))
            lengths.append(self.number(self.wide))
        self.attributes()
        self.number(4)
        fixed, repeated = [self.file.tell()], []
        for _ in range(self.count()):
            self.skip(self.number(self.wide))
            shape = [self.number(self.wide) for _ in range(self.count())]
            if any(axis >= len(lengths) for axis in shape):
                raise ValueError("a variable has a dimension that is not there")
            self.attributes()
            size = _size(self.number(4))
            self.number(self.wide)  # the padded size, which cannot hold that of large variables
            begin = self.number(self.place)
            grows = bool(shape) and lengths[shape[0]] == 0
            part = size * math.prod(lengths[axis] for axis in (shape[1:] if grows else shape))
            if grows:
                repeated.append((begin, part))
            else:
                fixed.append(begin + part)
        if repeated and 0 < records < 2 ** (8 * self.wide) - 1:
            parts = [part if len(repeated) == 1 else -(-part // 4) * 4 for _, part in repeated]
            fixed += [begin + (records - 1) * sum(parts) + part for begin, part in repeated]
        return max(fixed)


def _size(kind: int) -> int:
    if kind not in _SIZES:
        raise ValueError(f"the header names a type {kind}")
    return _SIZES[kind]

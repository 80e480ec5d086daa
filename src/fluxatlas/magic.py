"""What a file is by its first bytes, and what goes wrong where it is packed."""

from __future__ import annotations

import lzma
import zipfile
import zlib

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"CDF\x01", "netcdf3"),
    (b"CDF\x02", "netcdf3"),
    (b"CDF\x05", "netcdf3"),
    (b"\x0e\x03\x13\x01", "hdf4"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"GRIB", "grib"),
    (b"\x00\x00\x27\x0a", "shapefile"),
    (b"RDX2\n", "rdata"),
    (b"RDX3\n", "rdata"),
    (b"X\n\x00\x00\x00", "rdata"),
    (b"PAR1", "parquet"),
    (b"%PDF", "pdf"),
    (b"\xd0\xcf\x11\xe0", "xls"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
LONGEST = 8
"""Bytes that are enough to tell."""
NETCDF = ("hdf5", "netcdf3")
PACKED = ("zip", "gzip", "bzip2", "xz")


DAMAGE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
    KeyError,
)  # fmt: skip
"""What the standard library raises for a packed file that is damaged, truncated, encrypted or packed in a way that it
does not know."""


def kind_of(head: bytes) -> str:
    """The kind of a file that begins with ``head``, '' where it is none of :data:`MAGIC` (such as text)."""
    return next((kind for start, kind in MAGIC if head.startswith(start)), "")

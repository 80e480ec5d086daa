"""Files that are not what their name promises, and formats that have to be turned into another one first."""

from __future__ import annotations

import re

from ..probe import Probe
from ..report import Report

BINARY: dict[str, str] = {
    "gzip": "a gzip file: unpack it (gunzip -k) and inspect what it holds",
    "bzip2": "a bzip2 file: unpack it (bunzip2 -k) and inspect what it holds",
    "xz": "an xz file: unpack it (unxz -k) and inspect what it holds",
    "hdf4": "HDF4 is not read: get the product as GeoTIFF or NetCDF, or convert it with GDAL",
    "parquet": "Parquet is not read as input: save the table as CSV",
    "pdf": "a PDF document, no data",
    "xls": "an old Excel workbook: save its sheet as CSV",
    "utf-16": "text in UTF-16: save it as UTF-8",
}
"""Kind by the first bytes, and what to do."""
POINTER = "version https://git-lfs.github.com/spec/"
PAGE = re.compile(r"\s*(<!doctype html|<html|<\?xml[^>]*>\s*<(html|error))", re.IGNORECASE)


def recognise(probe: Probe) -> Report | None:
    """A file of which nothing more can be said than what to do with it."""
    if probe.is_folder:
        return None
    if probe.kind in BINARY:
        return Report(str(probe.path), probe.kind).decide("unusable", BINARY[probe.kind])
    said = probe.head.decode("latin-1").lstrip("\xef\xbb\xbf")
    if said.startswith(POINTER):
        size = re.search(r"size (\d+)", said)
        whole = f" of a file of {int(size[1]) / 2**20:,.1f} MiB" if size else ""
        text = f"a Git LFS pointer{whole}, not the file itself: run `git lfs pull` where it comes from"
        return Report(str(probe.path), "lfs-pointer").decide("unusable", text)
    if PAGE.match(said) and probe.suffix not in (".html", ".htm", ".xml"):
        title = re.search(r"<title>\s*(.{1,80}?)\s*</title>", said, re.IGNORECASE | re.DOTALL)
        named = f" ('{title[1]}')" if title else ""
        text = (
            f"a web page{named}, not the file: the download was refused or needs a login; delete it and fetch it again"
        )
        return Report(str(probe.path), "web-page").decide("unusable", text)
    return None

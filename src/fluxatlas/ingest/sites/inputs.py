"""Which files a sites block reads; standard library only, so that the workflow can ask at no cost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...paths import matches

COSORE_FILES = ("DESCRIPTION.txt", "PORTS.txt", "data/data.RDS")
SUFFIXES = {
    "fluxnet": (".csv", ".zip", ".nc"),
    "ameriflux": (".csv", ".zip"),
    "ameriflux_l2": (".csv",),
    "plumber2": (".nc",),
    "ismn": (".stm", ".csv", ".zip"),
    "srdb": (".csv",),
    "chambers": (".csv",),
    "voigt": (".rds", ".tab"),
    "stdfmt": (".txt",),
    "rsofun": (".csv",),
    "xmethanewet": (".csv",),
    "metaflux": (".csv",),
    "cardamom": (".csv",),
    "treat": (".rds",),
    "uscrn": (".txt", ".csv"),
    "literature_means": (".csv",),
}
DERIVED = r"(nee|gpp|reco)_[A-Za-z0-9-]+_FLUXNET2015\.nc$"
"""Name of a daily series derived from FLUXNET (:mod:`.derived`)."""
NAMES = {
    "fluxnet": re.compile(
        r"[A-Z][A-Z0-9]{2,9}_[A-Za-z0-9-]+_("
        r"(VARINFO_)?FLUXNET[A-Za-z0-9-]*_(?!AUX)(?!.*_AUX)(?!README|DATA_POLICY).*\.csv|SITEINFO_.*\.csv)$|" + DERIVED
    ),
    "ameriflux": re.compile(r"AMF_.*_BASE"),
    "ameriflux_l2": re.compile(r"AMF_.*_L2_(?!GF_)"),
    "plumber2": re.compile(r".*_(Met|Flux)\.nc$"),
    "srdb": re.compile(r"srdb-data.*\.csv$"),
    "ismn": re.compile(r".*(\.stm|_static_variables\.csv)$"),
    "stdfmt": re.compile(r".*\.stdfmt\.daily\.txt$"),
    "rsofun": re.compile(r"(.*_(drivers|fluxes)|sites)\.csv$"),
    "xmethanewet": re.compile(r"FLUXNET_T1_DD\.csv$"),
    "metaflux": re.compile(r"[A-Z][A-Z0-9]-[A-Za-z0-9]+_MM\.csv$"),
    "literature_means": re.compile(r".*ch4_places.*\.csv$", re.IGNORECASE),
    "treat": re.compile(r"Annual_CH4_estimates.*\.rds$", re.IGNORECASE),
    "uscrn": re.compile(r"(CRND\d+-\d{4}-)?[A-Z]{2}_[A-Za-z_.]+_\d+_[NSEW]{1,3}\.(txt|csv)$"),
    "cardamom": re.compile(r"validation_(?P<site>[A-Z][A-Z0-9]-[A-Za-z0-9]+)\.csv$"),
}
"""Names of the files of a layout among others in a folder or a zip."""
HEADS = {"chambers": (b"datetime_utc", b"flux_unit", b"flux_sign")}
"""Columns in the head of a file of a layout whose files have any name."""
ZIPS = {
    "fluxnet": re.compile(r"[A-Z][A-Z0-9]{2,9}_[A-Za-z0-9-]+_(FLUXNET|ARCHIVE).*\.zip$"),
    "ismn": re.compile(r"Data_sep[ae]rate_files_.*\.zip$", re.IGNORECASE),
}
"""Names of the zips of a layout among others in a folder; in the entry itself any zip may be named."""


def entry_files(entry: Any) -> list[str]:
    """Data files of one entry, sorted, without duplicates.

    A pattern is expanded (no match raises :class:`InputError`), an existing folder stands for the files below it that
    have the layout's suffix, and a plain path is passed on whether it exists yet or not. For COSORE a dataset folder
    stands for its three files.
    """
    found: list[str] = []
    for pattern in entry.path:
        named = matches(pattern)
        if not named:
            raise InputError(f"no file matches '{pattern}'", where="sites.entries", hint="correct the path or pattern")
        below = [name for path in named for name in _below(Path(path), entry.source)]
        if not below:
            raise InputError(
                f"the folder holds no file of the layout '{entry.source}'",
                where=pattern,
                hint="check the path and the names of the files (docs/sites.md)",
            )
        found += below
    tables = {entry.metadata, entry.attributes}
    return [path for path in dict.fromkeys(found) if path not in tables]


def _below(path: Path, source: str) -> list[str]:
    if source == "cosore":
        if path.is_dir() and not any((path / name).exists() for name in COSORE_FILES):
            return [name for child in sorted(path.iterdir()) if child.is_dir() for name in _below(child, source)]
        return [str(path / name) for name in COSORE_FILES]
    if not path.is_dir():
        return [str(path)]
    return [str(p) for p in sorted(path.rglob("*")) if p.is_file() and belongs(str(p), source) and _head(p, source)]


def belongs(path: str, source: str) -> bool:
    """Whether a file is one of the layout ``source`` by its name: the one rule for folders and for zips.

    Files that begin with a dot or a tilde, which systems and editors leave behind, never are.
    """
    name = path.rsplit("/", 1)[-1]
    known = [forms[source] for forms in (NAMES, ZIPS) if source in forms]
    fits = not known or any(form.match(name) for form in known)
    return fits and name.lower().endswith(SUFFIXES[source]) and name[0] not in ".~" and "__MACOSX/" not in path


def _head(path: Path, source: str) -> bool:
    if source not in HEADS:
        return True
    with path.open("rb") as file:
        head = file.read(2**16)
    return not head or all(name in head for name in HEADS[source])  # the reader says that an empty file is empty


def site_inputs(block: Any) -> list[str]:
    """Every file that a :class:`~fluxatlas.config.sites.SitesBlock` reads: data, metadata and attributes."""
    found: list[str] = []
    for entry in block.entries:
        found += entry_files(entry)
        found += [name for name in (entry.metadata, entry.attributes) if name]
    for table in block.yields:
        found += [name for name in (table.path, table.places, table.attributes) if name]
    found += [name for entry in block.gridded.values() for pattern in entry.path for name in matches(pattern)]
    return list(dict.fromkeys(found))

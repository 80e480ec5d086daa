"""Files of sites: which reader of ingest takes a file; what is in it is what that reader sees."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...errors import FluxAtlasError
from ...files import NETCDF, open_netcdf
from ...ingest.sites import (
    cardamom,
    chambers,
    cosore,
    fluxnet_files,
    literature_means,
    metaflux,
    rsofun,
    stdfmt,
    uscrn,
    voigt,
    xmethanewet,
)
from ...ingest.sites.inputs import COSORE_FILES, NAMES, ZIPS
from ...magic import DAMAGE
from ..probe import Probe
from ..readers import through
from ..report import Report, refused

LOCAL = "local standard time"
_DATE = re.compile(r"^\s*(\d{4})\s+(\d{1,2})\s+(\d{1,2})\s")
_CEOP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d \d{4}/\d\d/\d\d \d\d:\d\d\s+\S+\s+\S+\s+\S+(\s+[-\d.]+){6}\s+\S")
_HEAD = re.compile(r"^\S+\s+\S+\s+\S.*(\s+-?\d+(\.\d+)?){5}\s+\S")
_VALUE = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d\s+[-\d.]+\s")


@dataclass(frozen=True)
class Kind:
    """A layout of site files: its reader, name, product and how it is known; the rest as for :func:`through`."""

    source: str
    format: str
    product: str
    fits: Callable[[Probe], bool]
    zone: str = LOCAL
    nothing: str = "no_reader"
    units_from: str = "format"


def _fluxnet(probe: Probe) -> bool:
    header, layout = probe.header(), fluxnet_files.layout()
    clock = {"TIMESTAMP", "TIMESTAMP_START", "TIMESTAMP_END"} & set(header)
    known = sum(layout.find(name) is not None for name in header)
    fits = known > 1 or (known == 1 and NAMES["fluxnet"].match(probe.name) is not None)
    return bool(clock) and fits and not {"Site", "Lat"} <= set(header) and not _base(probe)


def _base(probe: Probe) -> bool:
    commented = any(line.startswith("# Site:") for line in probe.lines[:5])
    return (commented or bool(NAMES["ameriflux"].match(probe.name))) and "TIMESTAMP_START" in probe.header()


def _ismn(probe: Probe) -> bool:
    headed = bool(_HEAD.match(probe.first_row)) and len(probe.lines) > 1 and bool(_VALUE.match(probe.lines[1]))
    return headed or bool(_CEOP.match(probe.first_row))


def _stdfmt(probe: Probe) -> bool:
    return bool(_DATE.match(probe.first_row)) and len(probe.first_row.split()) == len(stdfmt.COLUMNS)


def _uscrn(probe: Probe) -> bool:
    return uscrn.is_uscrn(probe.first_row)


def _rsofun(probe: Probe) -> bool:
    return rsofun.is_drivers(probe.header()) or rsofun.is_fluxes(probe.header())


def _xmethanewet(probe: Probe) -> bool:
    return xmethanewet.is_towers(probe.header())


def _chambers(probe: Probe) -> bool:
    header = set(probe.header())
    return set(chambers.REQUIRED) <= header or {"datetime_utc", "flux", "flux_unit"} <= header


def _plumber(probe: Probe) -> bool:
    try:
        with NETCDF, open_netcdf(probe.path, decode_times=False) as data:
            tower = "site_code" in data.attrs or any("Fluxnet_name" in data[name].attrs for name in data.data_vars)
            return tower and all(data[name].size == 1 for name in ("latitude", "longitude") if name in data)
    except (FluxAtlasError, OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError, IndexError):
        return False


def _level2(probe: Probe) -> bool:
    return probe.lines[0].startswith("Sitename:") and any(line.startswith("YEAR,") for line in probe.lines[:60])


TEXT = (
    Kind("ameriflux_l2", "ameriflux-l2", "AmeriFlux Level 2", _level2, units_from="file"),
    Kind("ameriflux", "ameriflux-base", "AmeriFlux BASE", _base),
    Kind("xmethanewet", "xmethanewet-towers", "X-MethaneWet, CH4 flux of towers", _xmethanewet, nothing="unusable"),
    Kind("metaflux", "metaflux-monthly", "MetaFlux, monthly FLUXNET2015 fluxes with drivers",
         lambda probe: set(metaflux.REQUIRED) <= set(probe.header()), "not stated"),
    Kind("cardamom", "cardamom-monthly", "CARDAMOM-FluxVal, monthly FLUXNET2015 observations",
         lambda probe: set(cardamom.REQUIRED) == set(probe.header()), "not stated"),
    Kind("literature_means", "soil-ch4-means", "means of soil CH4 flux at upland places, from the literature",
         lambda probe: set(literature_means.REQUIRED) <= set(probe.header()), "not stated", "unusable"),
    Kind("fluxnet", "fluxnet", "FLUXNET2015 / ICOS", _fluxnet, nothing="unusable"),
    Kind("ismn", "ismn-stm", "ISMN station series", _ismn, "UTC"),
    Kind("stdfmt", "stdfmt", "VIC tower file, daily (stdfmt)", _stdfmt, "not stated", "unusable"),
    Kind("uscrn", "uscrn-daily", "U.S. Climate Reference Network, daily", _uscrn),
    Kind("rsofun", "rsofun", "daily tower table of rsofun", _rsofun, "not stated", "unusable"),
    Kind("chambers", "chambers", "plain chamber table", _chambers, "UTC", "unusable", "file"),
    Kind("srdb", "srdb", "SRDB global soil respiration database",
         lambda probe: {"Record_number", "Rs_annual"} <= set(probe.header())),
)  # fmt: skip
VOIGT = Kind("voigt", "voigt", "CH4 uptake of upland soils, chambers (Voigt et al. 2023)", lambda probe: True, "UTC",
             "unusable", "file")  # fmt: skip
TREAT = Kind("treat", "wetland-ch4-annual", "annual CH4 fluxes of northern wetlands and uplands (Treat et al. 2018)",
             lambda probe: True, "not stated", "unusable")  # fmt: skip
PLUMBER = Kind("plumber2", "plumber2", "PLUMBER2 / FluxnetLSM tower", _plumber, units_from="file")


def layout_of(probe: Probe) -> str:
    """The reader of ingest (``source`` of an entry) that takes a file or folder, '' where none does.

    Looks at names and heads alone; R data are distinguished in :mod:`r_data`.
    """
    if probe.is_folder:
        return "cosore" if is_cosore(probe.path) else ""
    if probe.kind in ("hdf5", "netcdf3"):
        return "plumber2" if _plumber(probe) else ""
    if probe.kind == "zip":
        return _archive(probe) or ("ameriflux" if _holds_base(probe) else "")
    if probe.kind != "text":
        return ""
    if probe.first_row.startswith("/*"):
        return "voigt"
    return next((kind.source for kind in TEXT if kind.fits(probe)), "")


def recognise(probe: Probe) -> Report | None:
    """A file or a folder of one of the layouts that the site readers of ingest know."""
    if probe.is_folder:
        return _folder(probe) if is_cosore(probe.path) else None
    if probe.kind in ("hdf5", "netcdf3"):
        return read(PLUMBER, probe) if _plumber(probe) else None
    if probe.kind == "zip":
        return _zip(probe)
    if probe.kind != "text":
        return None
    if probe.first_row.startswith("/*"):
        return _pangaea(probe)
    if probe.first_row.startswith("quantity_name;unit;depth_from"):
        report = Report(str(probe.path), "ismn-static", "ISMN static variables of a station")
        return report.decide("part", "soil of an ISMN station: give the folder with its series", "sites.entries")
    if probe.name in COSORE_FILES[:2] and "CSR_" in probe.text[:20_000]:
        return _cosore_text(probe)
    kind = next((kind for kind in TEXT if kind.fits(probe)), None)
    return None if kind is None else read(kind, probe)


def read(kind: Kind, probe: Probe) -> Report:
    """The report on a file of ``kind``."""
    report = Report(str(probe.path), kind.format, kind.product)
    if kind.source == "fluxnet":
        called = fluxnet_files.CALLED.get(fluxnet_files.resolution_of(probe.path), "")
        report.format = f"fluxnet-{called}" if called else "fluxnet"
        report.product = "FLUXNET-CH4" if "FCH4" in probe.header() else report.product
    return through(report, probe, kind.source, nothing=kind.nothing, zone=kind.zone, units_from=kind.units_from)


def _archive(probe: Probe) -> str:
    """The layout of an archive that a network names."""
    return next((source for source, form in ZIPS.items() if form.fullmatch(probe.name)), "")


def _zip(probe: Probe) -> Report | None:
    """An archive as a network hands it out; a BASE-BADM zip is known by what it holds."""
    if layout := _archive(probe):
        report = Report(str(probe.path), f"{layout}-zip", f"{layout.upper()} archive (zip)")
        return through(report, probe, layout, zone={"ismn": "UTC"}.get(layout, LOCAL))
    return read(TEXT[1], probe) if _holds_base(probe) else None


def _holds_base(probe: Probe) -> bool:
    try:
        with zipfile.ZipFile(probe.path) as packed:
            names = packed.namelist()
    except DAMAGE:
        return False
    return any(re.search(r"AMF_.*_BASE_.*\.csv$", name) for name in names)


def _pangaea(probe: Probe) -> Report:
    """PANGAEA text: the campaigns of Voigt et al., else something that has no reader."""
    try:
        voigt.read_tab(probe.path, probe.encoding)
    except FluxAtlasError as problem:
        report = refused(Report(str(probe.path), "pangaea", "PANGAEA text"), problem)
        report.status = "no_reader" if "*/" in probe.text else report.status
        return report
    return read(VOIGT, probe)


def is_cosore(path: Path) -> bool:
    """Whether a folder holds a COSORE data set."""
    return all((path / name).exists() for name in COSORE_FILES)


def _folder(probe: Probe) -> Report:
    report = Report(str(probe.path), "cosore", "COSORE data set")
    files = [str(probe.path / name) for name in COSORE_FILES]
    return through(report, probe, "cosore", files=files, nothing="unusable", zone="UTC")


def _cosore_text(probe: Probe) -> Report:
    """The description or the chambers of a data set, whose folder is to be given."""
    report = Report(str(probe.path), "cosore-text", "COSORE metadata")
    try:
        if probe.name == COSORE_FILES[0]:
            cosore.read_description(probe.path)
        else:
            report.details["treated_ports"] = sorted(cosore.treated_ports(probe.path))
    except FluxAtlasError as problem:
        return refused(report, problem)
    return report.decide("part", "belongs to a COSORE data set: give the folder", "sites.entries: {source: cosore}")


def cosore_data(probe: Probe) -> Report:
    """A ``data.RDS`` on its own."""
    report = Report(str(probe.path), "cosore-data", "COSORE data")
    if probe.path.parent.name == "data" and is_cosore(probe.path.parent.parent):
        text = "the measurements of a COSORE data set: give its folder"
        return report.decide("part", text, "sites.entries: {source: cosore}")
    return report.decide("unusable", "DESCRIPTION.txt and PORTS.txt of the data set are not beside it")

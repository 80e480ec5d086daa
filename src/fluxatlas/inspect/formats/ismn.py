"""Files of the International Soil Moisture Network: CEOP text (``.stm``) and the static variables of a station.

Layout as in the readme of a download: nominal and actual time, network, station, position, depths, value, ISMN flag,
provider's flag (Dorigo et al. 2021, doi:10.5194/hess-25-5749-2021).
"""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd

from ...errors import InputError
from ...ingest.sites.ismn import LAYOUT
from .. import places, times
from ..frames import judge_frame, specs_of
from ..probe import Probe
from ..readers import through
from ..report import Report, refused

_LINE = re.compile(
    r"^\d{4}/\d\d/\d\d \d\d:\d\d \d{4}/\d\d/\d\d \d\d:\d\d\s+\S+\s+\S+\s+\S+(\s+[-\d.]+){6}\s+\S+(\s+\S+)?\s*$"
)
_HEAD = re.compile(r"^\S+\s+\S+\s+\S.*(\s+-?\d+(\.\d+)?){5}\s+\S")
_VALUE = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d\s+[-\d.]+\s")
_NAME = re.compile(
    r"_(?P<variable>sm|ts|p|ta|sd|swe|sweq|tsf|tsfr)_(?P<top>[\d.]+)_(?P<base>[\d.]+)_(?P<sensor>.*?)_\d{8}"
)
COLUMNS = ["day", "hour", "day2", "hour2", "cse", "network", "station", "lat", "lon", "elevation"]
COLUMNS += ["top", "base", "value", "flag", "provider_flag"]


def recognise(probe: Probe) -> Report | None:
    """A .stm file in CEOP format, or the table of a station's static variables."""
    if probe.kind != "text":
        return None
    if probe.first_row.startswith("quantity_name;unit;depth_from"):
        return _static(Report(str(probe.path), "ismn-static", "ISMN static variables of a station"), probe)
    if _HEAD.match(probe.first_row) and len(probe.lines) > 1 and _VALUE.match(probe.lines[1]):
        report = Report(str(probe.path), "ismn-stm", "ISMN station series (header and values)")
        return _headed(report, probe)
    if not _LINE.match(probe.first_row):
        return None
    report = Report(str(probe.path), "ismn-stm", "ISMN station series (CEOP)")
    try:
        return _series(report, probe)
    except InputError as problem:
        return refused(report, problem)


def _headed(report: Report, probe: Probe) -> Report:
    """A series whose first line states the station and whose other lines are time, value and flags."""
    lines = [line.split() for line in probe.text.split("\n")[1:] if line.strip()]
    head = probe.first_row.split()
    report.details |= {"network": head[1], "station": head[2]}
    clock = pd.to_datetime([" ".join(line[:2]) for line in lines], format="%Y/%m/%d %H:%M", errors="coerce")
    times.judge(report, np.asarray(clock, "datetime64[s]"), zone="UTC")
    named = _NAME.search(probe.name)
    quantity = named["variable"] if named else "value"
    values = pd.to_numeric(pd.Series([line[2] if len(line) > 2 else "" for line in lines]), errors="coerce")
    spec = specs_of(LAYOUT, [quantity], step=3600.0)
    judge_frame(report, pd.DataFrame({quantity: values}), spec, stamps=pd.Series(clock), subdaily=True, day_steps=24)
    return through(report, probe, "ismn")


def _table(probe: Probe) -> pd.DataFrame:
    try:
        table = pd.read_csv(
            io.StringIO(probe.text), sep=r"\s+", header=None, names=COLUMNS, index_col=False, on_bad_lines="error"
        )
    except (ValueError, OverflowError, TypeError, IndexError, KeyError) as problem:
        raise InputError(f"the lines differ ({problem})", where=str(probe.path), hint="download it again") from None
    return table


def _series(report: Report, probe: Probe) -> Report:
    table = _table(probe)
    named = _NAME.search(probe.name)
    quantity = named["variable"] if named else ""
    first = table.iloc[0]
    report.details |= {"network": str(first["network"]), "station": str(first["station"])}
    report.details |= {"depth_m": [_float(first["top"]), _float(first["base"])], "quantity": quantity}
    if named:
        report.details["sensor"] = named["sensor"]
    clock = pd.to_datetime(
        table["day"].astype(str) + " " + table["hour"].astype(str), format="%Y/%m/%d %H:%M", errors="coerce"
    )
    times.judge(report, np.asarray(clock, "datetime64[s]"), zone="UTC")
    for name in ("lat", "lon", "value"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    places.judge(report, [table["lat"].iloc[0]], [table["lon"].iloc[0]], [str(first["station"])])
    if table[["lat", "lon"]].nunique().max() > 1:
        report.warn("position-changes", "the position changes within the file")
    frame = table[["value"]].rename(columns={"value": quantity or "value"})
    judge_frame(report, frame, specs_of(LAYOUT, [quantity], step=3600.0), stamps=clock, subdaily=True, day_steps=24)
    _flags(report, table)
    return through(report, probe, "ismn")


def _float(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _flags(report: Report, table: pd.DataFrame) -> None:
    """Share of values that the network's quality control did not find good."""
    flags = table["flag"].astype(object).where(table["flag"].notna(), "").astype(str)
    counts = {str(k): int(n) for k, n in flags.value_counts().items()}
    report.details["flags"] = dict(list(counts.items())[:20])
    bad = int((~flags.str.split(",").str[0].str.startswith("G")).sum())
    if bad:
        worst = ", ".join(f"{k} {n:,}" for k, n in list(counts.items())[:6] if not k.startswith("G"))
        report.warn("flagged-values", f"{bad:,} of {len(table):,} values are flagged as not good ({worst})")


def _static(report: Report, probe: Probe) -> Report:
    try:
        table = pd.read_csv(io.StringIO(probe.text), sep=";", index_col=False)
    except (ValueError, OverflowError, TypeError, IndexError, KeyError) as problem:
        return refused(report, InputError(f"the table cannot be read ({problem})", hint="download it again"))
    names = table.get("quantity_name")
    report.details["quantities"] = [] if names is None else sorted({str(name) for name in names})
    report.details["rows"] = len(table)
    text = "soil of an ISMN station: give the folder with its series"
    return report.decide("part", text, "sites.entries: {source: ismn}")

"""NetCDF and Zarr: reads axes and variables, then asks the layout's module what it is and how it would be used."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from ... import variables as table
from ...calendars import RULES, dates
from ...errors import FluxAtlasError, InputError
from ...files import open_netcdf
from .. import checks, places, times
from ..checks import CheckedVariable
from ..datasets import READ_ERRORS, Axes, are_means, axes, decode_times, is_flag, sample
from ..names import canonical_name, conversion
from ..probe import Probe
from ..report import Report, SpaceSummary, TimeSummary, refused
from . import netcdf_constraints, netcdf_forcing, netcdf_simulated, netcdf_sites, netcdf_static

MOST_VARIABLES = 60


def recognise(probe: Probe) -> Report | None:
    """A NetCDF file (classic or HDF5) or a Zarr store."""
    if probe.kind == "grib":
        return _grib(Report(str(probe.path), "grib", "GRIB"), probe)
    zarr = probe.is_folder and any((probe.path / name).exists() for name in (".zgroup", ".zmetadata", "zarr.json"))
    if not zarr and probe.kind not in ("hdf5", "netcdf3"):
        return None
    report = Report(str(probe.path), "zarr" if zarr else "netcdf")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if zarr:
                from ...ingest.containers import open_zarr

                dataset = open_zarr(probe.path, decode_times=False)
            else:
                dataset = open_netcdf(probe.path, decode_times=False, foreign=True)
            with dataset:
                report = _inspect(report, dataset, probe)
            # only now: the C library crashes where a file is opened anew, closed and opened while it is open
            return netcdf_constraints.decide(report, probe) if report.status == "no_reader" else report
    except FluxAtlasError as problem:
        return refused(report, problem)


def _grib(report: Report, probe: Probe) -> Report:
    """GRIB through the container that ingest opens it with; the first data set of the file is described."""
    from ...ingest.containers import open_container

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            datasets = open_container(probe.path)
            report.details["data_sets"] = [label for label, _ in datasets]
            return _inspect(report, datasets[0][1], probe)
    except FluxAtlasError as problem:
        return refused(report, problem)


def _inspect(report: Report, dataset: xr.Dataset, probe: Probe) -> Report:
    roles = axes(dataset)
    report.details["dimensions"] = {str(k): int(v) for k, v in dataset.sizes.items()}
    report.details["attributes"] = {
        key: str(dataset.attrs[key])[:200]
        for key in ("title", "product", "institution", "source", "id", "Conventions", "description", "site_code")
        if key in dataset.attrs
    }
    if not dataset.data_vars:
        report.format = report.format or "netcdf"
        return report.decide("unusable", "the file holds no variables: it is empty or truncated")
    _time(report, dataset, roles, probe)
    _space(report, dataset, roles)
    _variables(report, dataset, roles)
    for module in (netcdf_simulated, netcdf_sites, netcdf_forcing, netcdf_static):
        decided = module.decide(report, dataset, roles, probe)
        if decided is not None:
            return decided
    return report.decide("no_reader", "NetCDF without a layout that a reader of fluxatlas takes")


def _time(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> None:
    if not roles.time:
        return
    attrs = dataset[roles.time].attrs
    local = "local" in f"{attrs.get('long_name', '')} {attrs.get('standard_name', '')}".lower()
    report.time = TimeSummary(calendar=str(attrs.get("calendar", "standard")).lower())
    report.time.zone = str(attrs.get("time_zone", "local" if local else "")) or ""
    if local:
        report.note("local-time", "times are local to the cells, not UTC", roles.time)
    try:
        codes, calendar = decode_times(dataset, roles.time, probe.path)
    except InputError as problem:
        report.warn("time-unit", problem.what, roles.time)
        return
    report.series["x"] = dates(codes, calendar)
    if calendar in RULES:
        report.warn("calendar", f"the calendar is '{calendar}': {RULES[calendar]}", roles.time)
    centred = are_means(dataset, roles.time)
    times.judge(report, codes, zone=report.time.zone, calendar=calendar, centred=centred)


def _space(report: Report, dataset: xr.Dataset, roles: Axes) -> None:
    if roles.layout == "none":
        return
    try:
        lat = np.asarray(dataset[roles.lat].values, np.float64)
        lon = np.asarray(dataset[roles.lon].values, np.float64)
    except READ_ERRORS as problem:
        report.error("coordinates", f"the coordinates cannot be read ({problem})")
        return
    if roles.layout in ("points", "point"):
        places.judge(report, lat, lon, sea=roles.layout == "point" or lat.size <= 20)
        return
    known = np.isfinite(lat).any() and np.isfinite(lon).any()
    if not known:
        report.error("coordinates", "the coordinates hold no numbers")
        return
    cell = [float(np.median(np.abs(np.diff(axis)))) if axis.ndim == 1 and axis.size > 1 else 0.0 for axis in (lat, lon)]
    box = [float(np.nanmin(lon)), float(np.nanmin(lat)), float(np.nanmax(lon)), float(np.nanmax(lat))]
    report.space = SpaceSummary("grid", box, [int(lat.shape[0]), int(lon.shape[-1])], cell)
    report.series["lat"], report.series["lon"] = lat, lon
    if np.nanmax(lon) > 180:
        report.note("longitude-0-360", f"longitude runs from {box[0]:g} to {box[2]:g}: ingest turns it to -180..180")
    if lat.ndim == 1 and lat.size > 1:
        order = "north to south" if lat[0] > lat[-1] else "south to north"
        report.details["latitude_order"] = order
        for name, axis in (("latitude", lat), ("longitude", np.unwrap(lon, period=360.0))):
            steps = np.diff(axis)
            if steps.size and np.ptp(steps) > 0.02 * abs(np.median(steps)):
                report.warn("irregular-grid", f"{name} is not evenly spaced: {steps.min():g} to {steps.max():g}")
    if np.nanmax(np.abs(lat)) > 90.001:
        report.error("coordinates", f"latitudes reach {np.nanmax(np.abs(lat)):g}")


def _variables(report: Report, dataset: xr.Dataset, roles: Axes) -> None:
    """Summary and checks of all variables that are not axes."""
    skipped = {roles.lat, roles.lon, roles.time, "crs", "spatial_ref"}
    names = [str(n) for n in dataset.variables if str(n) not in skipped and str(n) not in dataset.dims]
    for name in names[:MOST_VARIABLES]:
        variable = dataset[name]
        if variable.dtype.kind not in "fiub":
            report.details.setdefault("text_variables", []).append(name)
            continue
        _one(report, dataset, roles, name, variable)
    if len(names) > MOST_VARIABLES:
        report.details["further_variables"] = len(names) - MOST_VARIABLES


def _one(report: Report, dataset: xr.Dataset, roles: Axes, name: str, variable: xr.DataArray) -> None:
    try:
        values, sampled = sample(variable, roles.time)
    except InputError as problem:
        report.error("unreadable", problem.what, name)
        return
    attrs = variable.attrs
    label = str(attrs.get("units", "")).strip()
    flag = is_flag(name, variable)
    canonical = "" if flag else canonical_name(name, attrs)
    column = CheckedVariable(
        name,
        values,
        units=label,
        units_from="file" if label else "",
        long_name=str(attrs.get("long_name", attrs.get("full_name", attrs.get("description", ""))))[:120],
        kind="flag" if flag else "data",
        canonical=canonical,
        ordered=values.size == values.shape[0] if values.ndim else False,
        subdaily=report.time is not None and report.time.step.endswith(("h", "min", "s")),
        clipped=roles.layout != "point",
        sampled=sampled,
        shape=tuple(int(n) for n in variable.shape),
        fill_declared=bool(variable.encoding.get("declared")),
    )
    if canonical:
        column.factor, column.offset, problem_text = conversion(label, canonical)
        if problem_text:
            report.warn("unit-label", problem_text, name)
            column.canonical = canonical if not label else ""
    checks.judge(report, column)
    _labels(report, name, attrs, canonical, flag, column)
    _keep(report, name, column, values)


def _labels(
    report: Report, name: str, attrs: dict[str, Any], canonical: str, flag: bool, column: CheckedVariable
) -> None:
    """What the attributes say against each other."""
    if not flag and not str(attrs.get("units", "")).strip() and canonical:
        expected = table.get(canonical).units
        report.warn("unit-missing", f"has no unit label ({canonical} is expected in '{expected}')", name)
    text = str(attrs.get("long_name", "")).lower()
    finite = column.clean[np.isfinite(column.clean)] if column.clean.size else column.clean
    if canonical in ("rsds", "rlds") and " net " in f" {text} ":
        positive = finite.size and finite.min() > -1
        what = "the values are all positive, as downward radiation is" if positive else "check which it is"
        report.warn("contradicting-labels", f"long_name says net ('{attrs.get('long_name')}') but {what}", name)
    if canonical == "tasmax" and "mean" in text:
        report.note("contradicting-labels", f"long_name says mean ('{attrs.get('long_name')}')", name)


def _keep(report: Report, name: str, column: CheckedVariable, values: Any) -> None:
    """Up to four lines over time (mean over places) and one map for ``--plot``."""
    if column.kind != "data" or column.clean.size != np.size(values) or not np.isfinite(column.clean).any():
        return
    array = column.clean.reshape(np.shape(values))
    n = report.series.get("x")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if n is not None and array.ndim and array.shape[0] == len(n) > 1:
            lines = report.series.setdefault("lines", {})
            if len(lines) < 8:
                lines[name] = (n, np.nanmean(array.reshape(array.shape[0], -1), axis=1))
        space = report.space
        if space and space.kind == "grid" and array.shape[-2:] == tuple(space.shape) and "map" not in report.series:
            report.series["map"] = (name, np.nanmean(array.reshape(-1, *array.shape[-2:]), axis=0))

"""NetCDF of points without a reader: series derived from FLUXNET, time-series cell files."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...ingest.sites.derived import COLUMNS, FACTOR
from .. import places
from ..datasets import Axes
from ..probe import Probe
from ..report import Report

DERIVED = {*COLUMNS, "et"}
"""Variables of the daily reference series for data assimilation derived from FLUXNET (``ref_da``)."""


def decide(report: Report, dataset: xr.Dataset, roles: Axes, probe: Probe) -> Report | None:
    """The verdict for a file of places, or None where it is something else."""
    if roles.layout not in ("point", "points"):
        return None
    names = {str(name) for name in dataset.data_vars}
    if roles.layout == "point" and DERIVED & names and "station_name" in {*names, *map(str, dataset.coords)}:
        return _derived(report, dataset, next(iter(DERIVED & names)))
    if "gpi" in names:
        report.format, report.product = "grid-point-index", "index of the points of time-series cell files"
        return report.decide("not_input", "an index of grid points (gpi, cell), no data")
    if str(dataset.attrs.get("featureType", "")) == "timeSeries" or roles.layout == "points":
        return _cells(report, dataset, roles)
    return None


def _derived(report: Report, dataset: xr.Dataset, name: str) -> Report:
    report.format, report.product = "ref-da-series", "daily series derived from FLUXNET for model evaluation"
    units = str(dataset[name].attrs.get("units", ""))
    daily = report.time is not None and report.time.step == "1 d"
    if "month" in units and daily:
        truth = (
            "mm per 30.44 d"
            if name == "et"
            else f"g C m-2 d-1 times {FACTOR:.6f} ({1000 * FACTOR:.3f} d per month / 1000)"
        )
        text = f"the unit says '{units}' although the series is daily: the values are {truth}"
        report.warn("unit-contradicts-step", text, name)
    if name == "et" and "all-missing" in report.codes():
        report.note("no-energy-balance", "et follows the closed energy balance, which this site does not have", name)
    report.note("days-left-out", "only days with QC of at least 0.75 are kept")
    if name in COLUMNS:
        text = "daily series of a tower without its weather: give the folder with its FLUXNET files"
        return report.decide("part", text, "sites.entries: {source: fluxnet}")
    return report.decide("no_reader", "derived site series: no reader yet; read the FLUXNET file itself")


def _cells(report: Report, dataset: xr.Dataset, roles: Axes) -> Report:
    title = " ".join(str(dataset.attrs.get(k, "")) for k in ("product", "title", "source"))
    known = {
        "ERA5-LAND": "ERA5-Land",
        "ERA5": "ERA5",
        "GLDAS": "GLDAS Noah",
        "ESACCI-SOILMOISTURE": "ESA CCI soil moisture",
        "SPL3SMP": "SMAP L3 soil moisture",
    }
    product = next((full for key, full in known.items() if key in title.upper().replace("_", "-")), title.strip())
    report.format, report.product = "netcdf-points", f"{product}, points" if product else "points"
    version = str(dataset.attrs.get("product", ""))
    report.version = version.rsplit("-", 1)[-1] if "-v" in version.lower() else ""
    for summary in report.variables:
        if summary.units in ("kg m-2", "kg/m2", "kg/m**2") and "soilmoi" in summary.name.lower():
            report.warn(
                "amount-not-content",
                "an amount of water in a layer [kg m-2]: divide by the thickness of the layer in mm (0-10 cm: 100)",
                summary.name,
            )
        if summary.kind == "data" and summary.n and summary.missing > 0.8 * summary.n and summary.minimum is not None:
            share = 100 * (1 - summary.missing / summary.n)
            report.note("sparse", f"only {share:.1f} % of the values are present", summary.name)
    if roles.layout == "points":
        lat, lon = np.asarray(dataset[roles.lat].values, float), np.asarray(dataset[roles.lon].values, float)
        good = np.isfinite(lat) & np.isfinite(lon) & (np.abs(lat) <= 90) & (np.abs(lon) <= 360)
        wet = int((~places.on_land(lat[good], lon[good])).sum())
        if wet > 0.5 * max(good.sum(), 1):
            report.note("points-in-sea", f"{wet:,} of {int(good.sum()):,} points lie in the sea (cells of a coast)")
    return report.decide(
        "no_reader", "points in NetCDF: forcing is read from regular grids, and these hold no soil moisture"
    )

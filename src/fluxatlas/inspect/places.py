"""Judging positions: outside the Earth, in the sea, mirrored or exchanged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..land_mask import is_land
from .report import Report, SpaceSummary

COAST = 0.1
"""A point is on land if any point within this distance [degrees] is: the mask knows no narrow coasts."""
MOST = 5


def on_land(lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether points [degrees] are land to within :data:`COAST`; lakes count as land, and so does Antarctica."""
    lats, lons = np.asarray(lat, float), np.asarray(lon, float)
    shifts = [(a, b) for a in (0.0, -COAST, COAST) for b in (0.0, -COAST, COAST)]
    return np.any([is_land(np.clip(lats + a, -89.99, 89.99), lons + b) for a, b in shifts], axis=0)


def judge(
    report: Report, lat: npt.ArrayLike, lon: npt.ArrayLike, names: Sequence[str] = (), *, sea: bool = True
) -> None:
    """Fill ``report.space`` with points and add those that are missing, impossible, in the sea or at (0, 0).

    ``sea``: whether a point in the sea is suspicious.
    """
    lats, lons = np.asarray(lat, float).ravel(), np.asarray(lon, float).ravel()
    known = np.isfinite(lats) & np.isfinite(lons)
    labels = list(names) if len(names) == lats.size else [f"point {i + 1}" for i in range(lats.size)]
    if not known.all() and lats.size:
        n = int((~known).sum())
        report.note("position-missing", f"{n:,} of {lats.size:,} positions are missing")
    good = known & (np.abs(lats) <= 90) & (lons >= -180) & (lons <= 360)
    for i in np.flatnonzero(known & ~good)[:MOST]:
        swapped = "; latitude and longitude may be exchanged" if abs(lats[i]) > 90 >= abs(lons[i]) else ""
        report.warn(
            "position-impossible", f"{labels[i]} ({lats[i]:g}, {lons[i]:g}) is not a position on Earth{swapped}"
        )
    if not good.any():
        return
    west, east = float(lons[good].min()), float(lons[good].max())
    kind = "point" if good.sum() == 1 or (np.ptp(lats[good]) == 0 and west == east) else "points"
    report.space = SpaceSummary(kind, [west, float(lats[good].min()), east, float(lats[good].max())])
    report.space.shape = [int(good.sum())]
    if len(names) == lats.size and 0 < lats.size <= 400:
        report.space.sites = [str(name) for name in names]
    if sea:
        _sea(report, lats, lons, good, labels)


def _sea(
    report: Report,
    lats: npt.NDArray[np.float64],
    lons: npt.NDArray[np.float64],
    good: npt.NDArray[np.bool_],
    labels: Sequence[str],
) -> None:
    where = np.flatnonzero(good)
    wet = where[~on_land(lats[where], lons[where])]
    for i in wet[:MOST]:
        report.warn(
            "position-in-sea", f"{labels[i]} ({lats[i]:g}, {lons[i]:g}) lies in the sea{guess(lats[i], lons[i])}"
        )
    if wet.size > MOST:
        report.warn("position-in-sea", f"{wet.size:,} of {where.size:,} positions lie in the sea")


def guess(lat: float, lon: float) -> str:
    """Which mirrored or exchanged position would be land; empty where none is."""
    turned = (lon + 180) % 360 - 180
    guesses = {
        "mirrored in longitude": (lat, -turned),
        "mirrored in latitude": (-lat, turned),
        "exchanged": (turned, lat),
    }
    likely = [name for name, (a, b) in guesses.items() if abs(a) <= 90 and bool(on_land(a, b))]
    return f"; on land if {' or '.join(likely)}" if likely else ""

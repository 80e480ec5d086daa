"""A picture of a constraint file: the mean as a map, and months by latitude zone (or place) as series."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import NETCDF, open_netcdf
from .inversion_file import cell_area
from .units import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.float64]

ZONES = ((90.0, 50.0, "50\N{DEGREE SIGN}N to pole"), (50.0, 23.5, "23.5\N{DEGREE SIGN}N to 50\N{DEGREE SIGN}N"),
         (23.5, -23.5, "tropics"), (-23.5, -90.0, "south of 23.5\N{DEGREE SIGN}S"))  # fmt: skip
BLOCK = 64 << 20


@dataclass(frozen=True, eq=False)
class Picture:
    """``field`` (lat, lon) or (location): mean over time and members; ``series`` (month, zone); ``months``."""

    name: str
    field: Array
    months: npt.NDArray[np.datetime64]
    series: Array
    labels: list[str]
    unit: str


def summarise(path: str | Path) -> tuple[Picture, xr.Dataset]:
    """The mean field and the monthly series of a constraint file, read in blocks; raises :class:`InputError`."""
    dataset = open_netcdf(path)
    name = next((str(n) for n in dataset.data_vars if str(n) in ("fco2", "swc05", "sat05")), "")
    if not name or "time" not in dataset.dims:
        raise InputError("no variable of a constraint", where=str(path), hint="give a file of ingest/constraints")
    array = dataset[name]
    points = "location" in array.dims
    weights, labels = _zones(dataset, points)
    shape = [array.sizes[d] for d in array.dims if d not in ("time", "member")]
    total, count = np.zeros(shape), np.zeros(shape)
    months = np.unique(dataset.time.values.astype("datetime64[M]"))
    sums, norm = np.zeros((months.size, len(labels))), np.zeros((months.size, len(labels)))
    length = max(1, BLOCK // (8 * int(np.prod([array.sizes[d] for d in array.dims if d != "time"]))))
    for start in range(0, array.sizes["time"], length):
        with NETCDF:
            block = array.isel(time=slice(start, start + length))
            values = block.values.astype(np.float64)
        if "member" in array.dims:
            values = _mean(values, 1)
        known = np.isfinite(values)
        total += np.where(known, values, 0).sum(axis=0)
        count += known.sum(axis=0)
        flat, seen = np.where(known, values, 0).reshape(len(values), -1), known.reshape(len(values), -1)
        place = np.searchsorted(months, block.time.values.astype("datetime64[M]"))
        np.add.at(sums, place, flat @ weights.T)
        np.add.at(norm, place, (seen @ weights.T) if name != "fco2" else np.ones((len(values), len(labels))))
    field = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    series = np.where(norm > 0, sums / np.where(norm > 0, norm, 1), np.nan)
    if name == "fco2":
        series = np.where(np.abs(sums) > 0, series * DAYS_PER_YEAR / 1e15, np.nan)
    unit = "PgC yr$^{-1}$" if name == "fco2" else "m$^3$ m$^{-3}$" if name == "swc05" else "degree of saturation"
    return Picture(name, field, months, series, labels, unit), dataset


def draw(path: str | Path, output: str | Path) -> None:
    """Write the picture of the constraint file ``path`` as PNG; raises :class:`InputError` as :func:`summarise`."""
    import matplotlib.pyplot as plt
    from matplotlib.dates import AutoDateLocator

    from ...config.report import ReportBlock
    from ...style import house_style, save

    picture, dataset = summarise(path)
    settings = ReportBlock()
    with house_style(settings):
        figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 6.4), height_ratios=(1.7, 1))
        _map(figure, above, picture, dataset)
        days = picture.months.astype("datetime64[D]").astype(object)
        for number, label in enumerate(picture.labels):
            if np.isfinite(picture.series[:, number]).any():
                alone = len(picture.months) < 3
                below.plot(days, picture.series[:, number], marker="o" if alone else "", label=label)
        if picture.name == "fco2":
            below.axhline(0, color="#8A8A8A", linewidth=0.7)
        what = "sums" if picture.name == "fco2" else "means"
        below.set(ylabel=picture.unit, title=f"Monthly {what} by region")
        below.set_xlim(days[0] - timedelta(20), days[-1] + timedelta(50))
        below.xaxis.set_major_locator(AutoDateLocator(minticks=2, maxticks=8))
        known = picture.series[np.isfinite(picture.series)]
        if known.size and np.ptp(known) < 1e-3:
            below.set_ylim(known.min() - 0.05, known.max() + 0.05)
        if below.get_legend_handles_labels()[0]:
            below.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.16))
        dataset.close()
        save(figure, output, settings)


def _zones(dataset: xr.Dataset, points: bool) -> tuple[Array, list[str]]:
    """Weights (zone, cell) [m2, or 1 per place] and names of the zones."""
    lat = dataset.lat.values
    if points:
        return np.ones((1, lat.size)), ["all places"]
    area = cell_area(lat, dataset.lon.values)
    zones = [np.where((lat <= north) & (lat > south), 1.0, 0.0)[:, None] * area for north, south, _ in ZONES]
    held = [(z.ravel(), label) for z, (_, _, label) in zip(zones, ZONES, strict=True) if z.any()]
    return np.stack([z for z, _ in held]), [label for _, label in held]


def _mean(values: Array, axis: int) -> Array:
    known = np.isfinite(values)
    count = known.sum(axis=axis)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=axis) / np.maximum(count, 1), np.nan)


def _map(figure: Any, axes: Any, picture: Picture, dataset: xr.Dataset) -> None:
    """The mean field with coasts; places as dots."""
    from ...land_mask import is_land
    from ...style import BARE, SEA, MapFrame, colorbar, limits

    title = f"{dataset.attrs.get('title', '')}\nmean of {picture.months[0]} to {picture.months[-1]}"
    if picture.name == "fco2":
        reach = max(abs(x) for x in limits(picture.field))
        look: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}
        label = "g C m$^{-2}$ d$^{-1}$, positive to the atmosphere"
    else:
        low, high = limits(picture.field)
        look, label = {"cmap": "YlGnBu", "vmin": max(low, 0.0), "vmax": high}, picture.unit
    axes.set_title(title)
    if "location" in dataset.dims:
        known = np.isfinite(picture.field)
        axes.set_facecolor(SEA)
        axes.scatter(dataset.lon[~known], dataset.lat[~known], s=9, color=BARE)
        mesh = axes.scatter(dataset.lon[known], dataset.lat[known], c=picture.field[known], s=16, **look)
        axes.set_aspect(1 / np.cos(np.deg2rad(float(dataset.lat.mean()))))
    else:
        lat, lon = dataset.lat_bnds.values, dataset.lon_bnds.values
        land = is_land(dataset.lat.values[:, None], dataset.lon.values[None, :])
        frame = MapFrame(np.append(lat[:, 0], lat[-1, 1]), np.append(lon[:, 0], lon[-1, 1]), land)
        mesh = frame.draw(axes, picture.field, **look)
    colorbar(figure, mesh, axes, label)

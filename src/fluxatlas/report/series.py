"""Series: the seasonal cycle by latitude, fluxes at sites left out, and the product against towers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from .. import variables
from ..config.report import ReportBlock
from ..constants import FREEZING
from ..errors import InputError
from ..evaluate.metrics import scores
from ..evaluate.skill import days_or_periods
from ..files import chunk_of, open_netcdf, read_parquet
from ..style import COLORS, FAINT, INK, WIDTH, fixed, model_color, model_name, model_order, signed, unit
from ..systems import System, get_system
from .catalogue import Inputs

Array = npt.NDArray[np.float64]
LEAP_DAY = 59
"""Place of 29 February in a leap year."""
SMOOTHING = 15
"""Days of the running mean in the seasonal cycle."""


def seasonal_cycle(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Mean of the year's course over all years by latitude band, with the ensemble's spread where the files have it."""
    system = get_system(inputs.system)
    variable, paths = _one_variable(inputs.daily, system.shown_flux.variable)
    edges = _band_edges(paths[0], settings.bands)
    means, spreads = zip(*(_band_means(path, edges, system.weight) for path in paths), strict=True)
    course, spread = (_climatology(parts) for parts in (means, spreads))
    row = variables.get(variable)
    figure, axes = plt.subplots(figsize=(WIDTH, 3.6))
    days = pd.date_range("2001-01-01", periods=365)
    for number in range(len(edges) - 1):
        north, south = edges[number], edges[number + 1]
        if not np.isfinite(course[:, number]).any():
            continue
        color = plt.get_cmap(settings.colormap)(0.9 * number / max(1, len(edges) - 2))
        axes.plot(days, course[:, number], color=color, label=f"{_latitude(south)} to {_latitude(north)}")
        low, high = course[:, number] - spread[:, number], course[:, number] + spread[:, number]
        axes.fill_between(days, low, high, color=color, alpha=0.18, linewidth=0)
    axes.set(xlim=(days[0], days[-1]), ylabel=f"{_short_name(variable, system)} ({unit(row.units)})")
    axes.xaxis.set_major_locator(mdates.MonthLocator())
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%b"))
    axes.axhline(0, color=FAINT, linewidth=0.7)
    axes.legend(ncols=min(4, len(edges) - 1), loc="upper left", bbox_to_anchor=(0, 1.13))
    return figure


def _one_variable(paths: list[Path], preferred: str) -> tuple[str, list[Path]]:
    """The files of ``preferred``, or of the first variable where there are none: variables are never averaged."""
    names = [Path(path).stem.rpartition("_")[0] for path in paths]
    chosen = preferred if preferred in names else names[0]
    return chosen, [path for name, path in zip(names, paths, strict=True) if name == chosen]


def _short_name(variable: str, system: System) -> str:
    """The label of a flux of the system, or that of the variable table."""
    return next((f.label for f in system.fluxes if f.variable == variable), variables.get(variable).label)


def _latitude(edge: float) -> str:
    return f"{abs(edge):g}°{'N' if edge > 0 else 'S' if edge < 0 else ''}"


def _band_edges(path: Path, bands: int) -> list[float]:
    """Edges of the bands, north first: equal parts of the domain, or zones of 30 degrees if it is taller than 90."""
    with open_netcdf(path) as data:
        bounds = data["lat_bnds"].to_numpy()
    south, north = float(bounds.min()), float(bounds.max())
    if north - south > 90:
        inner = [edge for edge in (60.0, 30.0, 0.0, -30.0, -60.0) if south < edge < north]
        return [north, *inner, south]
    return [round(float(edge), 2) for edge in np.linspace(north, south, bands + 1)]


def _band_means(path: Path, edges: list[float], weight: Sequence[str]) -> tuple[Array, Array]:
    """Daily mean per band weighted by the area of the flux, and the mean of the sd (as if fully correlated).

    Both are (time, band). Cells without a value on a day do not count on that day. Packed values are read a chunk of
    days and rows at a time, and only where there is area, so that a global year needs little memory.
    """
    variable = Path(path).stem.rpartition("_")[0]
    with open_netcdf(path) as data, netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        band = _band_of(data["lat"].to_numpy(), edges)
        days, lines = chunk_of(file[variable])[:2]
        names = [name for name in (variable, f"{variable}_sd") if name in data]
        shape = data.sizes["time"], len(edges) - 1
        totals, areas = ({name: np.zeros(shape) for name in names} for _ in range(2))
        for start in range(0, len(band), lines):
            rows = slice(start, start + lines)
            layers = [data[name][rows].astype(np.float64).to_numpy() for name in weight]
            area = np.nan_to_num(np.prod(layers, axis=0)).ravel()
            cells = np.flatnonzero(area)
            if not cells.size:
                continue
            inside = np.repeat(band[rows], len(area) // len(band[rows]))[cells, None] == np.arange(shape[1])
            shares = area[cells, None] * inside
            for name in names:
                for first in range(0, shape[0], days):
                    here = slice(first, first + days)
                    raw = file[name][here, rows, :].reshape(-1, len(area))[:, cells]
                    known, values = _unpacked(file[name], raw)
                    totals[name][here] += values @ shares
                    areas[name][here] += known @ shares if not known.all() else shares.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {name: total / areas[name] for name, total in totals.items()}
    mean = found[variable]
    return mean, found.get(f"{variable}_sd", np.zeros_like(mean))


def _band_of(lat: Array, edges: list[float]) -> npt.NDArray[np.intp]:
    """The number of the band, north first, in which each latitude lies."""
    return np.clip(np.searchsorted(-np.asarray(edges), -lat, side="right") - 1, 0, len(edges) - 2)


def _unpacked(variable: netCDF4.Variable, raw: npt.NDArray[Any]) -> tuple[npt.NDArray[np.bool_], Array]:
    """Which packed values are there, and all in physical units, 0 where they are not."""
    fill = variable._FillValue
    known = ~np.isnan(raw) if fill != fill else raw != fill
    values = raw * float(getattr(variable, "scale_factor", 1.0)) + float(getattr(variable, "add_offset", 0.0))
    return known, values if known.all() else np.where(known, values, 0.0)


def _climatology(years: tuple[Array, ...]) -> Array:
    """Mean over years by day of the year (365, without 29 February), smoothed around the turn of the year."""
    mean = np.mean([np.delete(year, LEAP_DAY, axis=0) if len(year) == 366 else year for year in years], axis=0)
    kernel = np.ones(SMOOTHING) / SMOOTHING
    half = SMOOTHING // 2
    around = np.concatenate([mean[-half:], mean, mean[:half]])
    return np.stack([np.convolve(column, kernel, mode="valid") for column in around.T], axis=1)


def site_series(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Observed flux at the sites with most observations, with models that have not seen the site."""
    table, shown_flux = days_or_periods(inputs.predictions), get_system(inputs.system).fluxes[0]
    flux = table[(table["variable"] == shown_flux.variable) & (table["split"] == "test")]
    if flux.empty:
        raise InputError("no predictions of the flux at sites left out", hint="train with more than one fold of sites")
    days = flux.drop_duplicates(["site", "time"]).groupby("site").size().sort_values(ascending=False)
    sites = list(days.index[: settings.sites])
    shown = [m for m in model_order(flux["model"]) if m in ("network", "process")] or model_order(flux["model"])[:2]
    figure, axes = _small_multiples(len(sites))
    for axis, site in zip(axes, sites, strict=True):
        here = flux[flux["site"] == site]
        seen = here.groupby("time")["observed"].mean()
        axis.plot(seen.index, seen, ".", color=INK, markersize=2.5, alpha=0.45, label="observed", zorder=2)
        for model in shown:
            series = here[here["model"] == model].groupby("time")["predicted"].mean()
            axis.plot(*_broken(series), color=model_color(model), label=model_name(model), zorder=3)
        _robust_limits(axis, here)
        axis.set_title(str(site))
        axis.axhline(0, color=FAINT, linewidth=0.7)
    figure.supylabel(
        f"{shown_flux.label} ({unit(variables.get(shown_flux.variable).units)})", fontsize=settings.font_size
    )
    _legend_above(figure, axes[0])
    return figure


def _robust_limits(axis: Any, here: pd.DataFrame) -> None:
    """Limits that hold 99 % of the observations and all of the models shown, so that one spike hides nothing."""
    low, high = np.nanpercentile(here["observed"], [0.5, 99.5])
    lines = [line.get_ydata() for line in axis.lines[1:]]
    drawn = np.concatenate([np.asarray(line, float) for line in lines]) if lines else np.array([low])
    low, high = min(low, float(np.nanmin(drawn))), max(high, float(np.nanmax(drawn)), 0.0)
    margin = 0.06 * (high - low or 1.0)
    axis.set_ylim(low - margin, high + margin)


def _broken(series: pd.Series, gap: int = 20) -> tuple[Any, Any]:
    """Times and values with a break in every gap of more than ``gap`` days."""
    times, values = pd.DatetimeIndex(series.index), series.to_numpy(float)
    after = np.flatnonzero(np.diff(times) > pd.Timedelta(days=gap)) + 1
    middle = times[after] - pd.Timedelta(days=1)
    return np.insert(times.to_numpy(), after, middle.to_numpy()), np.insert(values, after, np.nan)


def _small_multiples(count: int) -> tuple[Figure, list[Any]]:
    columns = min(3, max(1, count)) if count != 4 else 2
    rows = -(-count // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 1.75 * rows + 0.7), squeeze=False)
    flat = list(axes.ravel())
    for axis in flat[count:]:
        axis.remove()
    for axis in flat[:count]:
        _few_dates(axis)
    return figure, flat[:count]


def _few_dates(axis: Any) -> None:
    locator = mdates.AutoDateLocator(minticks=3, maxticks=7)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator, show_offset=False))


def _legend_above(figure: Figure, axis: Any) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=min(4, len(labels)), markerscale=3)


def tower_series(inputs: Inputs, settings: ReportBlock) -> Figure:
    """Measured soil temperature and moisture against the product's cell at the towers with most days."""
    table = read_parquet(inputs.one("towers"))
    system = get_system(inputs.system)
    names = [name for name in system.outputs if (table["variable"] == name).any()][:2]
    if not names:
        return _nothing("no tower lies in a cell of the product")
    many = table[table["variable"].isin(names)].groupby("site").size().sort_values(ascending=False)
    sites = list(many.index[: max(1, settings.sites // 2)])
    shape = (len(names), len(sites))
    figure, axes = plt.subplots(
        *shape, figsize=(WIDTH, 2.1 * len(names) + 0.6), squeeze=False, sharey="row", sharex="col"
    )
    for row, name in enumerate(names):
        for column, site in enumerate(sites):
            here = table[(table["variable"] == name) & (table["site"] == site)].sort_values("time")
            _draw_tower(axes[row, column], here, name)
            if row == 0:
                axes[row, column].set_title(str(site))
        low, high = axes[row, 0].get_ylim()
        axes[row, 0].set_ylim(low - 0.15 * (high - low), high)
        axes[row, 0].set_ylabel(f"{_short_name(name, system)}\n({_tower_unit(name)})")
    _legend_above(figure, axes[0, 0])
    return figure


def _tower_unit(name: str) -> str:
    """Temperatures are drawn in degrees Celsius."""
    units = variables.get(name).units
    return "°C" if units == "K" else unit(units)


def _draw_tower(axis: Any, here: pd.DataFrame, name: str) -> None:
    celsius = variables.get(name).units == "K"
    shift = FREEZING if celsius else 0.0
    axis.plot(here["time"], here["observed"] - shift, ".", color=INK, markersize=2, alpha=0.5, label="measured")
    line = _broken(here.set_index("time")["product"] - shift)
    axis.plot(*line, color=COLORS[0], linewidth=1.1, label="product, cell of the tower")
    found = scores(here["observed"], here["product"])
    bias = signed(found["bias"], 2 if celsius else 3)
    text = f"r = {fixed(found['r'])}, bias {bias}" if found["n"] else "no days"
    axis.text(0.02, 0.03, text, transform=axis.transAxes, fontsize="small", va="bottom")
    _few_dates(axis)


def _nothing(text: str) -> Figure:
    """A figure that says why it is empty."""
    figure, axes = plt.subplots(figsize=(WIDTH, 1.5))
    axes.axis("off")
    axes.text(0.5, 0.5, text, ha="center", va="center", color=FAINT)
    return figure

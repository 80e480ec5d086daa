"""The leaf-area climatology of a tile as a file of its own, and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import files, variables
from ..axes import WRITTEN
from ..config.lai import LaiSeries
from ..config.report import ReportBlock
from ..errors import InputError
from ..grid import Tile
from .attributes import land_percent
from .frame import Frame
from .lai import Climatology, read_lai

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write(series: LaiSeries, tile: Tile, output: Path, plot: Path | None = None) -> Climatology:
    """Write ``lai``, ``accepted_share`` [%] and ``filled`` (month, lat, lon) of ``tile``, and draw them to ``plot``.

    The file can be given as ``static.layers.lai``. Raises what :func:`fluxatlas.regrid.lai.read_lai` raises, and
    :class:`InputError` where nothing is known in the tile.
    """
    frame = Frame.around(tile)
    found = read_lai(series, frame)
    if not np.isfinite(found.values).any():
        hint = "choose a tile that the files cover, or look at the quality rules"
        raise InputError(f"no leaf area in tile {tile.name}: {found.summary}", where=", ".join(series.path), hint=hint)
    coords = {
        "month": ("month", np.arange(1, 13, dtype="int32"), {"long_name": "month of the year", "units": "1"}),
        "lat": ("lat", tile.lat, WRITTEN["lat"]),
        "lon": ("lon", tile.lon, WRITTEN["lon"]),
    }
    dims = ("month", "lat", "lon")
    share = {"long_name": "share of area and days that accepted pixels cover", "units": "%"}
    filled = {"long_name": "month filled from others", "flag_values": np.array([0, 1], "int8")}
    data: dict[str, Any] = {
        "lai": (dims, found.values.astype("float32"), {**variables.get("lai").attrs, **found.attrs}),
        "accepted_share": (dims, found.share.astype("float32"), share),
        "filled": (dims, found.filled.astype("int8"), {**filled, "flag_meanings": "no yes"}),
    }
    encoding: dict[str, Any] = {name: {"compression": "zstd", "complevel": 3} for name in data}
    attrs = {"Conventions": "CF-1.11", "title": f"Monthly leaf area of tile {tile.name}", "grid": tile.grid.name}
    attrs |= files.provenance("regrid lai", series.model_dump(mode="json"))
    files.write_netcdf(xr.Dataset(data, coords), output, encoding, attrs=attrs, crs=True)
    if plot:
        draw(found, frame, plot)
    return found


def draw(found: Climatology, frame: Frame, output: Path, settings: ReportBlock | None = None) -> None:
    """Draw the twelve months and the seasonal cycle of a climatology over ``frame`` as a PNG."""
    from matplotlib import pyplot as plt

    from .. import style

    settings = settings or ReportBlock()
    half = 0.5 * frame.step
    land = land_percent(frame) >= 50
    edges = np.append(frame.lat + half, frame.lat[-1] - half), np.append(frame.lon - half, frame.lon[-1] + half)
    place = style.MapFrame(*edges, land)
    highest = float(np.ceil(np.nanmax(found.values)))
    with style.house_style(settings):
        width = style.WIDTH
        figure = plt.figure(figsize=(width, 0.66 * width * place.ratio + 2.9), layout="constrained")
        grid = figure.add_gridspec(4, 4, height_ratios=[place.ratio] * 3 + [0.75 + 0.1 * place.ratio])
        maps = [figure.add_subplot(grid[i // 4, i % 4]) for i in range(12)]
        for i, axes in enumerate(maps):
            mesh = place.draw(axes, found.values[i], cmap="YlGn", vmin=0, vmax=highest)
            axes.set_title(MONTHS[i])
            axes.locator_params(axis="x", nbins=2)
            axes.tick_params(labelleft=i % 4 == 0, labelbottom=i >= 8)
        style.colorbar(figure, mesh, maps, "leaf area index [m$^2$ m$^{-2}$]")
        _cycle(figure.add_subplot(grid[3, :]), found, style.COLORS)
        style.save(figure, output, settings)


def _cycle(axes: Any, found: Climatology, colors: tuple[str, ...]) -> None:
    """Median and range of the cells by month, and the share of area and days that was seen."""
    flat = found.values.reshape(12, -1)
    known = flat[:, np.isfinite(flat).all(axis=0)]
    month = np.arange(12)
    if known.size:
        low, middle, high = np.percentile(known, [10, 50, 90], axis=1)
        axes.fill_between(month, low, high, color=colors[2], alpha=0.2, lw=0, label="10 to 90 % of cells")
        axes.plot(month, middle, color=colors[2], marker="o", ms=3, label="median cell")
    axes.set(xticks=month, xticklabels=MONTHS, ylabel="leaf area index", ylim=(0, None))
    seen = axes.twinx()
    cells = np.isfinite(flat).any(axis=0)
    seen.plot(month, found.share.reshape(12, -1)[:, cells].mean(axis=1), color=colors[0], ls="--", label="accepted")
    seen.set(ylim=(0, 100), ylabel="accepted [%]")
    seen.grid(visible=False)
    lines, labels = (
        a + b for a, b in zip(axes.get_legend_handles_labels(), seen.get_legend_handles_labels(), strict=True)
    )
    axes.legend(lines, labels, loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)

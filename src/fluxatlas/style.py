"""The house style: one look for all figures, colours that everybody can tell apart, and maps without any download."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from cycler import cycler

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from . import files
from .config.report import ReportBlock
from .config.train import Local
from .errors import ConfigError, nearest

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#4D4D4D")
"""Colours in order of use, after Okabe and Ito (2008), which colour-blind readers can tell apart."""
SEA, BARE, INK, FAINT = "#E8EEF2", "#D9D6CF", "#222222", "#8A8A8A"
MINUS = "\N{MINUS SIGN}"
WIDTH = 7.2
"""Width of a figure in inches."""

MODEL_NAMES = {
    "network": "knowledge-guided network",
    "network_no_knowledge": "without knowledge terms",
    "network_no_pretraining": "without pretraining",
    "trees": "gradient-boosted trees",
    "process": "process model, prior",
    "ridge": "ridge regression",
    "season": "season of other sites",
    "own_season": "bound: own mean season",
    "calibrated": "process model, calibrated",
    "residual_trees": "trees on what it lacks",
    "log_trees": "trees of the compressed flux",
    "chosen": "chosen by inner folds",
    "stacked": "stacked by inner folds",
    "network_local": "network, some days",
    "process_local": "process model, some days",
    "mean_local": "mean of some days",
}
"""How models are called in figures, best known first; others keep the name of the table."""

BOUNDS = ("own_season",)
"""What has seen the values that it is scored on: a bound beside models, never one that a model is judged by."""

TOLD_DAYS = ("network_local", *get_args(Local))
"""What was told some days of the site that it is scored at, on the others: no competitor of a model that was not."""

PROTOCOL_NAMES = {"balanced": "all sites alike", "between": "means of sites", "within": "course within sites"}
"""How the protocols that are shown of skill at unseen sites are called."""

MODEL_COLORS = dict(zip(MODEL_NAMES, COLORS, strict=False))
MODEL_MARKERS = dict(zip([*MODEL_NAMES][len(COLORS) :], "sD^PX*<>", strict=False))
"""Of models that have no colour of their own."""


@contextmanager
def house_style(settings: ReportBlock) -> Iterator[None]:
    """Matplotlib settings of the house; raises :class:`ConfigError` for an unknown colour map."""
    if settings.colormap not in mpl.colormaps:
        raise ConfigError(
            f"unknown colour map '{settings.colormap}'{nearest(settings.colormap, mpl.colormaps)}",
            where="report.colormap",
            hint="use a name of matplotlib, such as viridis",
        )
    size = settings.font_size
    parameters: Any = {
        "font.size": size,
        "axes.titlesize": size + 1,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": size,
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E3E3E3",
        "grid.linewidth": 0.6,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": size - 1,
        "ytick.labelsize": size - 1,
        "text.color": INK,
        "legend.frameon": False,
        "legend.fontsize": size - 1,
        "lines.linewidth": 1.4,
        "axes.prop_cycle": cycler(color=COLORS),
        "figure.constrained_layout.use": True,
        "image.cmap": settings.colormap,
    }
    with plt.rc_context(parameters):
        yield


def save(figure: Figure, output: str | Path, settings: ReportBlock) -> None:
    """Write ``figure`` as PNG, completely or not at all, and close it."""
    with files.atomic(output) as partial:
        figure.savefig(partial, dpi=settings.dpi, format="png", metadata={"Software": f"fluxatlas {files.__version__}"})
    plt.close(figure)


def unit(text: str) -> str:
    """A unit as it is set in a figure: exponents and formulas as such; volume fractions are m3 m-3."""
    if text == "1":
        return "m$^3$ m$^{-3}$"
    raised = re.sub(r"(?<=[A-Za-z])(-\d+)", r"$^{\1}$", text)
    return re.sub(r"\b(C[HO])(\d)\b", r"\1$_\2$", raised)


def plain_unit(text: str) -> str:
    """A unit in text: volume fractions, of which there are targets, are m3 m-3."""
    return "m3 m-3" if text == "1" else text


def signed(value: float, digits: int = 2) -> str:
    """A number with its sign, set with a true minus; what rounds to zero has none, and what is not known is a dash."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", MINUS)


def number(value: Any, digits: int = 3, sign: bool = False) -> str:
    """A number with ``digits`` significant digits, plain where that can be read; a dash where there is none."""
    found, plus = float(value), "+" if sign else ""
    if not math.isfinite(found):
        return "–"
    if found == 0:
        return "0"
    if 1e-4 <= abs(found) < 1e7:
        return f"{found:{plus},.{max(0, digits - 1 - math.floor(math.log10(abs(found))))}f}"
    return f"{found:{plus}.{digits - 1}e}"


def fixed(value: Any, places: int = 2, sign: bool = False) -> str:
    """A number with ``places`` decimals, such as a coefficient; a dash where there is none."""
    found = float(value)
    return f"{found:{'+' if sign else ''}.{places}f}" if math.isfinite(found) else "–"


def percent(share: Any) -> str:
    """A share [0-1] in percent; a dash where there is none."""
    return f"{fixed(100 * float(share), 0)} %" if math.isfinite(float(share)) else "–"


def between(low: Any, high: Any, text: Any = number) -> str:
    """`` (low to high)``; empty where there is no interval."""
    return f" ({text(low)} to {text(high)})" if math.isfinite(float(low)) and math.isfinite(float(high)) else ""


def model_name(name: str) -> str:
    return MODEL_NAMES.get(name, name.replace("_", " "))


def model_order(names: Any) -> list[str]:
    """Models in the order of :data:`MODEL_NAMES`, unknown ones last."""
    known = list(MODEL_NAMES)
    return sorted(set(names), key=lambda name: (known.index(name) if name in known else len(known), name))


def model_color(name: str) -> str:
    return MODEL_COLORS.get(name, COLORS[-1])


def model_marker(name: str) -> str:
    return MODEL_MARKERS.get(name, "o")


# --- maps -----------------------------------------------------------------------------------------------------------


MOST_CELLS = 1800
"""Most cells along an edge of a map that are drawn; larger maps are averaged to fewer first."""


def coarsen(values: npt.NDArray[Any], step: int) -> npt.NDArray[Any]:
    """Means of blocks of ``step`` x ``step`` cells without the missing ones; what does not fill a block is cut off."""
    if step == 1:
        return values
    rows, columns = values.shape[0] // step, values.shape[1] // step
    blocks = values[: rows * step, : columns * step].astype(np.float64).reshape(rows, step, columns, step)
    present = np.isfinite(blocks)
    count = present.sum(axis=(1, 3))
    return np.where(count > 0, np.where(present, blocks, 0).sum(axis=(1, 3)) / np.maximum(count, 1), np.nan)


def map_step(shape: tuple[int, int]) -> int:
    """Cells along each side of a block of a map of ``shape`` cells: as few as leave at most :data:`MOST_CELLS`."""
    return max(1, -(-max(shape) // MOST_CELLS))


class MapFrame:
    """Where maps are drawn: edges of the cells (n + 1) and land (lat, lon), north first.

    ``land`` and what is drawn are of each cell, or means of blocks of :func:`map_step` cells as :func:`coarsen` makes
    them.
    """

    def __init__(
        self, lat_bounds: npt.NDArray[np.float64], lon_bounds: npt.NDArray[np.float64], land: npt.NDArray[Any]
    ) -> None:
        self.cells = len(lat_bounds) - 1, len(lon_bounds) - 1
        self.step = map_step(self.cells)
        self.ground = self.blocks(land) >= 0.5
        rows, columns = self.ground.shape
        self.lat = lat_bounds[:: self.step][: rows + 1]
        self.lon = lon_bounds[:: self.step][: columns + 1]
        self.outline = _outline(self.ground, self.lat, self.lon)

    def blocks(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """``values`` of each cell as means of blocks; what are blocks already as they are."""
        return coarsen(values, self.step) if values.shape == self.cells else values

    @property
    def ratio(self) -> float:
        """Height of a map over its width."""
        height, width = abs(self.lat[0] - self.lat[-1]), self.lon[-1] - self.lon[0]
        return float(height / (width * self._squeeze))

    @property
    def _squeeze(self) -> float:
        """Length of a degree of longitude over one of latitude in the middle of the map; 1 for a map of the globe."""
        if abs(self.lat[0] - self.lat[-1]) > 60:
            return 1.0
        return float(np.cos(np.deg2rad(0.5 * (self.lat[0] + self.lat[-1]))))

    def draw(self, axes: Axes, values: npt.NDArray[Any], **options: Any) -> Any:
        """Draw ``values`` (lat, lon) with land in grey where they are missing, sea pale, the coast as a line."""
        from matplotlib.colors import ListedColormap

        ground = ListedColormap([SEA, BARE])
        axes.pcolormesh(self.lon, self.lat, self.ground.astype(float), cmap=ground, vmin=0, vmax=1, rasterized=True)
        shown = np.ma.masked_invalid(self.blocks(values))
        mesh = axes.pcolormesh(self.lon, self.lat, shown, rasterized=True, **options)
        self.finish(axes)
        return mesh

    def finish(self, axes: Axes) -> None:
        """The coast, the limits and degrees as labels."""
        axes.add_collection(LineCollection(self.outline, colors=INK, linewidths=0.6, zorder=3))
        axes.set(xlim=(self.lon[0], self.lon[-1]), ylim=(self.lat[-1], self.lat[0]), aspect=1 / self._squeeze)
        axes.grid(visible=False)
        for axis, (positive, negative) in ((axes.xaxis, "EW"), (axes.yaxis, "NS")):
            axis.set_major_locator(mpl.ticker.MaxNLocator(3, steps=[1, 2, 3, 5, 10]))
            axis.set_major_formatter(_degrees(positive, negative))
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)


SITE_MARKS = {"tower": "^", "chamber": "o", "station": "s"}
"""Marks of sites on maps by kind."""


def draw_sites(axes: Axes, sites: pd.DataFrame) -> None:
    """Mark the sites (``lat, lon, kind, use``) within the limits of ``axes``; those not trained on are hollow."""
    (west, east), (south, north) = axes.get_xlim(), axes.get_ylim()
    inside = sites[sites["lon"].between(west, east) & sites["lat"].between(south, north)]
    kinds = inside["kind"].fillna("") if "kind" in inside else pd.Series("", inside.index)
    for kind, part in inside.groupby(kinds):
        trained = part["use"].ne("evaluate") if "use" in part else pd.Series(True, part.index)
        face = ["white" if known else "none" for known in trained]
        mark = SITE_MARKS.get(str(kind), "D")
        axes.scatter(part["lon"], part["lat"], s=16, marker=mark, c=face, edgecolors=INK, linewidths=0.9, zorder=4)


def _degrees(positive: str, negative: str) -> Any:
    def text(value: float, _: int) -> str:
        return f"{abs(value):g}°{positive if value > 0 else negative if value < 0 else ''}"

    return mpl.ticker.FuncFormatter(text)


def _outline(
    land: npt.NDArray[np.bool_], lat: npt.NDArray[np.float64], lon: npt.NDArray[np.float64]
) -> list[list[tuple[float, float]]]:
    """Edges between land and sea cells as line segments (lon, lat)."""
    rows, columns = np.nonzero(land[:, 1:] != land[:, :-1])
    segments = [[(lon[c + 1], lat[r]), (lon[c + 1], lat[r + 1])] for r, c in zip(rows, columns, strict=True)]
    rows, columns = np.nonzero(land[1:] != land[:-1])
    segments += [[(lon[c], lat[r + 1]), (lon[c + 1], lat[r + 1])] for r, c in zip(rows, columns, strict=True)]
    return segments


NARROWEST = 0.02
"""Least span of a colour scale in parts of its largest value: what differs by less is one colour, not noise."""


def limits(values: npt.NDArray[Any], low: float = 2, high: float = 98) -> tuple[float, float]:
    """Percentiles of the finite values as limits of a colour scale, at least :data:`NARROWEST` apart."""
    found = values[np.isfinite(values)]
    if not found.size:
        return 0.0, 1.0
    lower, upper = (float(x) for x in np.percentile(found, [low, high]))
    least = NARROWEST * max(abs(lower), abs(upper))
    if upper - lower > least:
        return lower, upper
    middle, half = 0.5 * (lower + upper), 0.5 * least or 0.5
    return middle - half, middle + half


def colorbar(figure: Figure, mesh: Any, axes: Any, label: str, ticks: int = 5, aspect: float = 28) -> Any:
    """A thin bar below ``axes`` (one or several), pointed at the ends beyond which there are values."""
    where: Any = {"ax": axes, "orientation": "horizontal", "shrink": 0.9, "pad": 0.02}
    bar = figure.colorbar(mesh, aspect=aspect, extend=_ends(mesh), **where)
    bar.set_label(label)
    bar.outline.set_linewidth(0.4)
    bar.locator = mpl.ticker.MaxNLocator(ticks)
    bar.formatter = mpl.ticker.ScalarFormatter(useOffset=False, useMathText=True)
    bar.update_ticks()
    return bar


def _ends(mesh: Any) -> str:
    values = np.ma.compressed(mesh.get_array())
    below, above = values.size and values.min() < mesh.norm.vmin, values.size and values.max() > mesh.norm.vmax
    return {(True, True): "both", (True, False): "min", (False, True): "max"}.get((bool(below), bool(above)), "neither")


def panel_letters(axes: Any) -> None:
    """(a), (b), ... before the titles of all panels that have one."""
    for letter, each in zip("abcdefghijkl", np.ravel(axes), strict=False):
        title = each.get_title(loc="left")
        if title:
            each.set_title(f"({letter}) {title}", loc="left")

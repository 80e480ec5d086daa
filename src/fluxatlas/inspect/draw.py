"""``fluxatlas inspect --plot``: the series on one axis of time, the map or the shapes of one report on one page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..files import atomic
from .report import Report

MOST_LINES = 6
MOST_CLASSES = 20
"""Classes that the legend of a map names."""
MATTER = ("fch4", "nee", "swc", "tsl", "gpp", "reco", "rs", "hfls", "evspsbl", "hfss", "tas", "pr", "rsds")
"""Quantities, by their names without depth, that are drawn before others."""
GAP = 10
"""A line is interrupted where nothing is known for more than so many steps."""
INK, FAINT, LINE, WARN = "#222222", "#8A8A8A", "#0072B2", "#D55E00"


def draw(report: Report, output: str | Path) -> None:
    """Write a PNG of the report; raises :class:`InputError` where it holds nothing to draw."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    lines = _chosen(report)
    field, shapes = report.series.get("map"), report.series.get("shapes")
    places = report.space is not None and report.space.kind in ("points",) and not lines and field is None
    if not lines and field is None and shapes is None:
        raise InputError("there is nothing to draw", where=report.path, hint="leave --plot out" if not places else "")
    rows = len(lines) + (1 if field is not None or shapes is not None else 0)
    heights = [1.0] * len(lines) + ([3.6] if rows > len(lines) else [])
    with plt.rc_context(_style()):
        figure, axes = plt.subplots(
            rows,
            1,
            figsize=(9, 0.9 + 1.35 * sum(heights)),
            gridspec_kw={"height_ratios": heights},
            squeeze=False,
            layout="constrained",
        )
        figure.suptitle(f"{Path(report.path).name}\n{report.product}", x=0.01, ha="left", fontsize=10, color=INK)
        timed = all(x is not None and len(x) == values.size for x, values in lines.values())
        for axis, (name, (x, values)) in zip(axes[:, 0], lines.items(), strict=False):
            _line(axis, report, name, x, values)
            if timed:  # one axis of time; what is known in a part of it alone shows when
                axis.sharex(axes[0, 0])
                axis.tick_params(labelbottom=axis is axes[len(lines) - 1, 0])
        if lines and timed:
            _dates(axes[len(lines) - 1, 0].xaxis)
        elif lines:
            axes[len(lines) - 1, 0].set_xlabel("row of the file")
        if field is not None:
            _map(figure, axes[-1, 0], report, field)
        elif shapes is not None:
            shapes.boundary.plot(ax=axes[-1, 0], color=LINE, linewidth=0.7)
            axes[-1, 0].set(xlabel="", ylabel="")
            axes[-1, 0].ticklabel_format(useOffset=False, style="plain")
        with atomic(output) as partial:
            figure.savefig(partial, dpi=130, format="png")
        plt.close(figure)


def _chosen(report: Report) -> dict[str, tuple[Any, Any]]:
    """The series that are drawn: one of each quantity, fluxes and soil first, then whatever else there is room for."""
    held = {name: line for name, line in report.series.get("lines", {}).items() if np.isfinite(line[1]).any()}
    known = {name: row.canonical for row in report.mapping for name in row.source}
    known |= {v.name: v.canonical for v in report.variables if v.canonical}
    stems = {name: re.sub(r"^(tsl|swc)\d+$", r"\1", canonical) for name, canonical in known.items()}
    first: dict[str, str] = {}
    for name in held:
        first.setdefault(stems.get(name) or name, name)
    ranked = [first[stem] for stem in MATTER if stem in first]
    names = list(dict.fromkeys([*ranked, *first.values(), *held]))[:MOST_LINES]
    return {name: held[name] for name in names}


def _style() -> Any:
    return {
        "font.size": 8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": INK,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "axes.grid": True,
        "grid.color": "#E8E8E8",
        "grid.linewidth": 0.5,
        "axes.axisbelow": True,
    }


def _dates(axis: Any) -> None:
    """Dates below an axis of time, each beside the next."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    axis.set_major_locator(locator := AutoDateLocator(maxticks=9))
    axis.set_major_formatter(ConciseDateFormatter(locator))


def _line(axis: Any, report: Report, name: str, stamps: Any, values: np.ndarray) -> None:
    """One variable over time (or row number); values far off are drawn at the edge in the warning colour."""
    timed = stamps is not None and len(stamps) == values.size
    x: Any = np.asarray(stamps) if timed else np.arange(values.size)
    order = np.argsort(x, kind="stable")
    x, y = x[order], values[order]
    finite = y[np.isfinite(y)]
    low, high = np.quantile(finite, [0.001, 0.999])
    reach = 1.2 * (high - low) or 1.0
    far = np.isfinite(y) & ((y < low - reach) | (y > high + reach))
    near = np.where(far, np.nan, y)
    steps = np.diff(x)
    broken = report.format in ("cosore", "voigt", "cosore-data") or (
        steps.size and (steps == steps[0] * 0).mean() > 0.2
    )
    gaps: Any = np.flatnonzero(steps > GAP * np.median(steps)) + 1 if timed and steps.size else []
    points = {"marker": ".", "ls": "none", "ms": 1.2 if timed else 2.5} if broken or not timed else {}
    axis.plot(np.insert(x, gaps, x[gaps]), np.insert(near, gaps, np.nan), lw=0.7, color=LINE, **points)
    if far.any():
        edge = np.clip(y[far], np.nanmin(near), np.nanmax(near))
        axis.plot(x[far], edge, "d", ms=4, color=WARN)
        text = f"{int(far.sum())} far off, such as {y[far][np.argmax(np.abs(y[far]))]:.5g}"
        axis.text(0.995, 1.02, text, transform=axis.transAxes, ha="right", va="bottom", color=WARN, fontsize=7)
    units = next((v.units for v in report.variables if v.name == name), "")
    axis.set_title(f"{name} [{units}]" if units else name, loc="left", fontsize=8, color=INK, pad=3)
    axis.margins(x=0.01)


def _map(figure: Any, axis: Any, report: Report, field: tuple[str, Any]) -> None:
    """One field, north up; classes in distinct colours."""
    name, values = field[0], field[1]() if callable(field[1]) else field[1]
    space = report.space
    lat = report.series.get("lat")
    if lat is not None and lat.ndim == 1 and lat.size > 1 and lat[0] < lat[-1]:
        values = values[::-1]
    classes = bool(report.details.get("land_cover"))
    extent = None
    geographic = space is not None and space.crs in ("degrees", "EPSG:4326") and len(space.bbox) == 4
    if geographic and space is not None:
        west, south, east, north = space.bbox
        half_y, half_x = (space.cell[0] / 2, space.cell[1] / 2) if lat is not None else (0.0, 0.0)
        extent = (west - half_x, east + half_x, south - half_y, north + half_y)
    finite = values[np.isfinite(values)]
    codes = np.unique(finite) if classes else np.empty(0)
    limits = (
        {}
        if classes or not finite.size
        else dict(zip(("vmin", "vmax"), np.quantile(finite, [0.01, 0.99]), strict=True))
    )
    shown = values
    if classes:
        shown = np.where(np.isfinite(values), np.searchsorted(codes, np.nan_to_num(values)), np.nan)
    stretch: Any = "auto"
    if geographic and space is not None:
        stretch = 1 / max(np.cos(np.deg2rad(0.5 * (space.bbox[1] + space.bbox[3]))), 0.2)
    image = axis.imshow(
        shown, extent=extent, cmap="tab20" if classes else "viridis", interpolation="nearest", aspect=stretch, **limits
    )
    axis.grid(False)
    axis.set_anchor("W")
    axis.ticklabel_format(useOffset=False, style="plain")
    units = next((v.units for v in report.variables if v.name == name), "")
    times = report.series.get("x")
    what = ["mean over time"] * (times is not None and len(times) > 1 and not classes) + [f"[{units}]"] * bool(units)
    if classes:
        what = ["classes" if codes.size <= MOST_CLASSES else "classes (colours repeat)"]
    title = f"{name}: {' '.join(what)}" if what else name
    axis.set_title(title, loc="left", fontsize=8, color=INK, pad=3)
    if not geographic:
        axis.set_xlabel("column")
        axis.set_ylabel("row")
    if classes:
        _legend(axis, image, codes, report.details.get("class_names", {}))
    else:
        bar = figure.colorbar(image, cax=axis.inset_axes((1.02, 0.0, 0.03, 1.0)))
        bar.ax.ticklabel_format(useOffset=False)


def _legend(axis: Any, image: Any, codes: np.ndarray, names: dict[str, str]) -> None:
    """What the colours of ``image`` mean, up to :data:`MOST_CLASSES` of them."""
    from matplotlib.patches import Patch

    labels = [f"{int(code)} {names.get(str(int(code)), '')}".strip() for code in codes[:MOST_CLASSES]]
    patches = [Patch(color=image.cmap(image.norm(i)), label=label) for i, label in enumerate(labels)]
    axis.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=6, frameon=False)

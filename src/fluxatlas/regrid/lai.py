"""Monthly climatology of leaf area on the target grid from satellite composites (MODIS, VIIRS and others).

Every pixel is decoded and judged by its quality byte before anything is averaged. Composites are read one after the
other in windows around the target and added up by month, weighted with the area of accepted pixels in the target cell
and the days of their window in the month; memory depends on the number of target cells alone. A month of a cell is
the sum over the weight (all years together), so a year with more clear views counts more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import files
from ..config.lai import LaiSeries
from ..errors import GridError, InputError, counted
from ..weights import AxisWeights, Method, axis_weights
from .apply import separable
from .frame import Frame
from .lai_dates import check_dates, days_by_month, window_of
from .lai_files import Stack, blocks, index, open_layers
from .lai_quality import Product, accept, quality_bytes

Array = npt.NDArray[Any]
MONTHS = 12
KNOWN_FOR_LOWEST = 6
"""Months that must be known before the lowest of them stands for a long gap."""


@dataclass(frozen=True)
class Climatology:
    """Leaf area ``values`` [m2 m-2] by month (12, rows, columns), NaN where unknown.

    ``share`` [%] of area and days that accepted pixels cover; ``filled`` months; ``summary`` in words.
    """

    values: Array
    share: Array
    filled: npt.NDArray[np.bool_]
    summary: str
    inputs: str

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes that tell where the layer comes from."""
        return {"comment": self.summary, "source_files": self.inputs}


def read_lai(series: LaiSeries, frame: Frame) -> Climatology:
    """The climatology of ``series`` over ``frame``.

    Raises :class:`InputError`, :class:`UnitError` or :class:`GridError` for files that are absent, unreadable, without
    date or quality, doubled, on grids that differ, or out of range, for too few composites, and where the quality rules
    leave nothing of what has a value.
    """
    product, window, stacks = index(series)
    where = ", ".join(series.path)
    held = {day for stack in stacks for day in stack.dates}
    dates = check_dates(held, series.years, window, series.minimum_dates, where)
    sums, weights = (np.zeros((MONTHS, *frame.shape)) for _ in range(2))
    why: Counter[str] = Counter()
    used: set[Any] = set()
    cached: dict[Any, AxisWeights] = {}
    for stack in stacks:
        for block in blocks(stack):
            _add(block, product, window, series, frame, (sums, weights, why, used, cached))
    seen = why["pixels"] - why["fill value"]
    if seen and not why["kept"]:
        hint = "look at the rules in static.lai_series.quality and at 'product'"
        raise InputError(f"the quality rules reject all {seen:,} pixels: {_reasons(why)}", where=where, hint=hint)
    days = np.zeros(MONTHS)
    for day in held:
        for month, count in days_by_month(*window_of(day, window, where)).items():
            days[month - 1] += count
    share = 100.0 * weights / np.where(days > 0, days, 1)[:, None, None]
    known = share >= series.minimum_share
    climatology = np.where(known, sums / np.where(weights > 0, weights, 1), np.nan)
    values = fill_months(climatology, series.fill_months, series.long_gaps == "lowest_month")
    filled = np.isfinite(values) & ~known
    summary = (
        f"{product.name}: {dates}; kept {len(used)} of {len(held)} composites "
        f"({why['kept']:,} of {why['pixels']:,} pixels: {_reasons(why)}); "
        f"{int(filled.sum()):,} of {filled.size:,} months of cells filled"
    )
    return Climatology(values, share, filled, summary, _inputs(stacks))


def _reasons(why: Counter[str]) -> str:
    dropped = {name: count for name, count in why.items() if name not in ("pixels", "kept") and count}
    return ", ".join(f"{count:,} {name}" for name, count in dropped.items()) or "none dropped"


def _inputs(stacks: list[Stack]) -> str:
    """Number of files and a hash of their names and sizes (their contents would have to be read whole)."""
    paths = sorted({Path(part.path) for stack in stacks for part in (stack.lai, stack.quality) if part})
    sizes = files.settings_hash([(p.name, p.stat().st_size) for p in paths])
    return f"{counted(len(paths), 'file')}, names and sizes {sizes}"


def _add(block: Stack, product: Product, window: str, series: LaiSeries, frame: Frame, into: tuple[Any, ...]) -> None:
    """Add the dates of ``block`` to sums and weights by month, and count what is dropped."""
    sums, weights, why, used, cached = into
    where = f"{block.lai.path} ({block.dates[0]} and later)" if len(block.dates) > 1 else block.lai.path
    for rows, raw, quality, lat, lon in _windows(block, frame):
        half, inside = 0.5 * frame.step, np.zeros(raw.shape, bool)
        in_rows = (lat < frame.lat[rows].max() + half) & (lat > frame.lat[rows].min() - half)
        inside |= in_rows[:, None] & ((lon > frame.lon[0] - half) & (lon < frame.lon[-1] + half))
        value, missing = block.encoding.decode(raw, where)
        bare = block.encoding.is_code(raw, tuple(map(float, series.leafless)))
        good, dropped = accept(missing & ~bare, _unless(quality, bare), product.layout, series.quality, inside)
        value = np.where(bare, 0.0, value)
        why.update(dropped)
        why["pixels"] += int(inside.sum())
        why["kept"] += int((good & inside).sum())
        kept = (good & inside).any(axis=(1, 2))
        used.update(day for day, any_kept in zip(block.dates, np.ravel(kept).tolist(), strict=True) if any_kept)
        total, share = _regrid(value, good, (lat, lon), (frame.lat[rows], frame.lon), frame.step, cached)
        for i, day in enumerate(block.dates):
            for month, count in days_by_month(*window_of(day, window, where)).items():
                sums[month - 1, rows] += count * total[i]
                weights[month - 1, rows] += count * share[i]


def _unless(quality: Array | None, bare: Array) -> Array | None:
    """Quality bytes; those of ground without leaves are good (the products retrieve nothing there)."""
    return None if quality is None else np.where(bare, 0, quality).astype(np.uint8)


def _windows(block: Stack, frame: Frame) -> Iterator[tuple[slice, Array, Array | None, Array, Array]]:
    """Strips of ``frame``: rows, raw leaf area, quality bytes (both (date, ny, nx)), latitudes and longitudes."""
    fill = block.encoding.fills[-1] if block.encoding.fills else None
    with open_layers(block.lai, fill) as lai:
        if block.quality is None:
            for rows, raw, lat, lon in lai.windows(frame):
                yield rows, raw.astype(np.float64), None, lat, lon
            return
        with open_layers(block.quality, 255.0) as quality:
            if (
                lai.lat.shape != quality.lat.shape
                or lai.lon.shape != quality.lon.shape
                or (
                    max(np.abs(lai.lat - quality.lat).max(), np.abs(lai.lon - quality.lon).max())
                    > 0.1 * abs(lai.lat[1] - lai.lat[0])
                )
            ):
                hint = "export leaf area and quality together, on one grid"
                what = f"leaf area is on {len(lai.lat)} x {len(lai.lon)} cells, its quality on others"
                raise GridError(what, where=block.quality.path, hint=hint)
            for (rows, raw, lat, lon), (_, raw_quality, _, _) in zip(
                lai.windows(frame), quality.windows(frame), strict=True
            ):
                signed = block.quality.signed or raw_quality.dtype == np.int8
                found = quality_bytes(raw_quality.astype(np.float64), signed, block.quality.path)
                if block.lai.signed or raw.dtype == np.int8:  # bytes, whose codes 249 to 255 read as -7 to -1
                    raw = np.where(raw < 0, raw + 256.0, raw)
                yield rows, raw.astype(np.float64), found, lat, lon


def _regrid(
    value: Array, good: Array, source: tuple[Array, Array], target: tuple[Array, Array], step: float, cached: Any
) -> tuple[Array, Array]:
    """Mean over the cell times share of the cell, and the share, of ``good`` pixels: (date, rows, columns) each.

    Around the source lies ground that is not good, so that parts of a cell in several files add up.
    """
    pads, weights = [], []
    for centres, wanted, axis in zip(source, target, ("lat", "lon"), strict=True):
        cell = (centres[-1] - centres[0]) / (len(centres) - 1)
        pad = int(np.ceil(step / abs(cell))) + 1
        key = axis, len(centres), centres[0], centres[-1], wanted[0], wanted[-1]
        if key not in cached:
            if len(cached) > 64:
                cached.clear()
            wide = centres[0] + cell * np.arange(-pad, len(centres) + pad)
            method: Method = "conservative" if abs(cell) < 0.75 * step else "bilinear"
            cached[key] = axis_weights(wide, wanted, axis, method)  # type: ignore[arg-type]
        pads.append((pad, pad))
        weights.append(cached[key])
    share = np.pad(good.astype(np.float32), [(0, 0), *pads])
    total = np.pad(np.where(good, value, 0.0).astype(np.float32), [(0, 0), *pads])
    both = separable(np.concatenate([total, share]), *weights).astype(np.float64)
    both = np.nan_to_num(both)  # beyond the source
    return both[: len(value)], both[len(value) :]


def fill_months(values: Array, reach: int, lowest: bool = False) -> Array:
    """``values`` (12, ...) with gaps of up to ``reach`` months filled linearly between the months around them.

    The year is a circle. ``lowest``: longer gaps take the lowest month where at least :data:`KNOWN_FOR_LOWEST` months
    are known; else they stay NaN, as do cells without any month.
    """
    flat = values.reshape(MONTHS, -1)
    out = flat.copy()
    known = np.isfinite(flat)
    before, after = np.full(flat.shape, MONTHS), np.full(flat.shape, MONTHS)
    for distance in range(MONTHS - 1, -1, -1):
        before[np.roll(known, distance, axis=0)] = distance
        after[np.roll(known, -distance, axis=0)] = distance
    month = np.arange(MONTHS)[:, None]
    column = np.arange(flat.shape[1])[None, :]
    left, right = flat[(month - before) % MONTHS, column], flat[(month + after) % MONTHS, column]
    short = ~known & (before + after - 1 <= reach)
    between = (left * after + right * before) / np.where(short, before + after, 1)
    out[short] = between[short]
    if lowest:
        enough = known.sum(axis=0) >= KNOWN_FOR_LOWEST
        least = np.where(known, flat, np.inf).min(axis=0)
        long = ~np.isfinite(out) & enough
        out[long] = np.broadcast_to(least, out.shape)[long]
    return out.reshape(values.shape)

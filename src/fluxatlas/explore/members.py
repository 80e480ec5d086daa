"""The fluxes of each member of the ensemble, from the files of the tiles: they are not in the product.

Every tile-year holds the mean of its year by member; with ``infer.daily_members`` also the days.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import InputError
from ..variables import FILL
from .source import Lattice, ProductSource, StoreLayer
from .tiles import RunTile, run_tiles

Array = npt.NDArray[Any]


class MemberSource:
    """The members of the run of ``source``; none where it no longer has the files of its tiles."""

    def __init__(self, source: ProductSource, lattice: Lattice) -> None:
        self.source = source
        try:
            self.tiles: Sequence[RunTile] = run_tiles(source.run, lattice)
        except InputError:
            self.tiles = []

    @property
    def files(self) -> list[Path]:
        """The files of the tiles."""
        return [one.year(year) for one in self.tiles for year in self.source.run.years]

    @cached_property
    def held(self) -> dict[str, dict[str, int]]:
        """By kind of variable, ``_member`` (of years) and ``_member_day``: members of each flux that all files hold."""
        found: dict[str, dict[str, int]] = {"_member": {}, "_member_day": {}}
        for number, path in enumerate(self.files):
            with netCDF4.Dataset(path) as data:
                for kind, known in found.items():
                    here = {
                        name: len(data.dimensions["member"])
                        for name in self.source.run.variables
                        if f"{name}{kind}" in data.variables
                    }
                    found[kind] = {k: v for k, v in here.items() if not number or known.get(k) == v}
        return found

    def layers(self, step: str) -> list[StoreLayer]:
        """The layers ``<flux>_m<member>`` of a step, for ensembles of more than one."""
        kind = "_member" if step == "year" else "_member_day"
        read = {"year": self._years, "month": self._months, "day": self._days}[step]
        layers = []
        for name, members in self.held[kind].items():
            about = self._about(name, kind)
            packing = {key: about[key] for key in ("scale_factor", "add_offset")} if step == "day" else {}
            for member in range(members if members > 1 else 0):
                attrs = {
                    "long_name": f"member {member}: {about['long_name']}",
                    "units": about["units"],
                    "cell_methods": "time: mean" + (f" (interval: 1 {step})" if step != "day" else ""),
                    **packing,
                }
                dtype, fill = ("int16", float(FILL)) if step == "day" else ("float32", float("nan"))
                layers.append(StoreLayer(f"{name}_m{member}", dtype, fill, attrs, partial(read, name, member)))
        return layers

    def _about(self, name: str, kind: str) -> dict[str, Any]:
        """What the newest file of the product says of a flux, with the packing that the tiles have."""
        product = self.source.file(max(self.source.run.files(name).items())[1])[name]
        with netCDF4.Dataset(self.files[-1]) as data:
            return {"long_name": name, "units": "", **product.__dict__, **data[f"{name}{kind}"].__dict__} | {
                key: product.__dict__[key] for key in ("long_name", "units") if key in product.__dict__
            }

    def _window(self, year: int, variable: str, at: Any, rows: slice, columns: slice, empty: Array) -> Array:
        """``empty`` (..., lat, lon) of a window filled with what the tiles of ``year`` hold ``at`` an index."""
        for one in self.tiles:
            parts = []
            for here, inner, window in zip(one.here, one.inner, (rows, columns), strict=True):
                begin, end = max(here.start, window.start), min(here.stop, window.stop)
                shift = inner.start - here.start
                parts.append((slice(begin - window.start, end - window.start), slice(begin + shift, end + shift)))
            (r, from_r), (c, from_c) = parts
            if r.start < r.stop and c.start < c.stop:
                with netCDF4.Dataset(one.year(year)) as data:
                    data.set_auto_maskandscale(False)
                    empty[..., r, c] = data[variable][(*at, from_r, from_c)]
        return empty

    def _years(self, name: str, member: int, times: slice, rows: slice, columns: slice) -> Array:
        shape = rows.stop - rows.start, columns.stop - columns.start
        years = self.source.run.years[times]
        return np.stack(
            [self._window(y, f"{name}_member", (member,), rows, columns, np.full(shape, np.nan, "f4")) for y in years]
        )

    def _days(self, name: str, member: int, times: slice, rows: slice, columns: slice) -> Array:
        days = self.source.times("day")[times]
        return self._of_days(name, member, days, rows, columns)

    def _of_days(self, name: str, member: int, days: pd.DatetimeIndex, rows: slice, columns: slice) -> Array:
        """Packed values of consecutive ``days``."""
        parts = []
        for year in days.year.unique():
            mine = days[days.year == year].dayofyear
            empty = np.full((len(mine), rows.stop - rows.start, columns.stop - columns.start), FILL, np.int16)
            at = member, slice(int(mine[0]) - 1, int(mine[-1]))
            parts.append(self._window(year, f"{name}_member_day", at, rows, columns, empty))
        return np.concatenate(parts)

    def _months(self, name: str, member: int, times: slice, rows: slice, columns: slice) -> Array:
        about = self._about(name, "_member_day")
        means = []
        for month in self.source.times("month")[times]:
            days = pd.date_range(month, month + pd.offsets.MonthEnd(0))
            packed = self._of_days(name, member, days, rows, columns)
            known = packed != FILL
            count = known.sum(axis=0)
            total = np.where(known, packed, 0).sum(axis=0, dtype=np.int64)
            mean = total / np.where(count, count, 1) * about["scale_factor"] + about["add_offset"]
            means.append(np.where(count, mean, np.nan).astype(np.float32))
        return np.stack(means)

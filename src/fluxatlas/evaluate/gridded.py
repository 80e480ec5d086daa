"""Gridded series side by side: the product and others on the coarsest of their grids, at the times that all have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables
from ..config.regional import UNIT
from ..errors import InputError
from ..files import NETCDF, open_netcdf
from ..ingest.constraints.cells import CellAxes, CellMean
from ..ingest.constraints.soil_kinds import SOIL_KINDS
from ..weights import edges, regular

Array = npt.NDArray[np.float32]
Times = npt.NDArray[np.datetime64]

BLOCK = 8 << 20
"""Values of one product that are worked on at a time."""
SLAB = 32 << 20
"""Values that are read at a time."""
FLUX = "fco2"
"""What ``ingest constraint`` calls the flux of inversions."""


@dataclass(frozen=True, eq=False)
class Gridded:
    """One product: files along time, the variable in them, its cells, its times (days or months) and its layer."""

    name: str
    paths: tuple[Path, ...]
    variable: str
    cells: CellAxes
    times: Times
    layer: str

    @property
    def monthly(self) -> bool:
        return self.times.dtype == np.dtype("datetime64[M]")

    def slabs(self, rows: slice) -> Iterator[tuple[int, Array]]:
        """Parts (time, row, lon) along time in order, each with the number of its first time; rows from the north."""
        first = 0
        for path in self.paths:
            with NETCDF, open_netcdf(path) as data:
                values = data[self.variable]
                count = data.sizes["time"]
                step = max(1, SLAB // max((rows.stop - rows.start) * self.cells.lon.size, 1))
                for start in range(0, count, step):
                    part = values[start : start + step]
                    yield first + start, self._rows(part, data, rows)
                first += count

    def _rows(self, part: Any, data: Any, rows: slice) -> Array:
        if "location" not in part.dims:
            found = part.isel(lat=rows).to_numpy()
            return _mean_of_members(found) if "member" in part.dims else found
        column, row = (np.rint((data[n].to_numpy() - a[0]) / (a[1] - a[0])).astype(int) for n, a in self._axes())
        here = (row >= rows.start) & (row < rows.stop)
        found = np.full((part.shape[0], rows.stop - rows.start, self.cells.lon.size), np.nan, np.float32)
        found[:, row[here] - rows.start, column[here]] = part.to_numpy()[:, here]
        return found

    def _axes(self) -> tuple[tuple[str, Any], tuple[str, Any]]:
        return ("lon", self.cells.lon), ("lat", self.cells.lat)


def _mean_of_members(values: Any) -> Array:
    """The mean of those members (time, member, lat, lon) that have a value."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def daily_product(paths: Sequence[Path], variable: str) -> Gridded:
    """The product from its daily files ``<variable>_<year>.nc``; raises :class:`InputError` where one lacks it."""
    ordered = tuple(sorted(map(Path, paths)))
    times = []
    for path in ordered:
        with NETCDF, open_netcdf(path) as data:
            if variable not in data:
                raise InputError(f"no variable '{variable}'", where=str(path), hint="give files <variable>_<year>.nc")
            _same_unit(data[variable], variable, path)
            times.append(data["time"].to_numpy().astype("datetime64[D]"))
            cells = _cells(data, path)
    return Gridded("product", ordered, variable, cells, np.concatenate(times), variables.get(variable).long_name)


def other_product(name: str, path: Path, variable: str) -> Gridded:
    """The product ``name`` in what ``ingest constraint`` wrote to ``path``.

    Raises :class:`InputError` where it holds nothing to compare ``variable`` with, or in another unit.
    """
    with NETCDF, open_netcdf(path) as data:
        held = [
            str(key) for key in data.data_vars if "time" in data[key].dims and not str(key).endswith(("_sd", "_bnds"))
        ]
        used = FLUX if FLUX in held and is_carbon_flux(variable) else variable
        if used not in held:
            raise InputError(
                f"'{name}' holds {', '.join(held)} and nothing to compare '{variable}' with",
                where=str(path),
                hint="correct comparison.against; degrees of saturation (sat05) are not volume fractions",
            )
        _same_unit(data[used], variable, path)
        days = data["time"].to_numpy().astype("datetime64[D]")
        ends = data["time_bnds"].to_numpy().astype("datetime64[D]")
        monthly = bool(ends.size) and int((ends[0, 1] - ends[0, 0]).astype(int)) > 1
        times = days.astype("datetime64[M]") if monthly else days
        layer = str(data.attrs.get(f"layer_{used}", "")) or variables.get(used).long_name
        return Gridded(name, (Path(path),), used, _cells(data, path), times, layer)


def unfit(variable: str, name: str, kind: str) -> str:
    """Why the product ``name`` of a ``kind`` of `ingest constraint` has nothing to compare ``variable`` with, or ''."""
    if kind in SOIL_KINDS:
        held = list(SOIL_KINDS[kind].variables)
        return "" if variable in held else f"'{name}' ({kind}) holds {', '.join(held)}, not '{variable}'"
    if is_carbon_flux(variable):
        return ""
    return f"'{name}' ({kind}) is a flux of carbon in {UNIT}, positive upward, and '{variable}' is not"


def is_carbon_flux(variable: str) -> bool:
    """Whether ``variable`` is a flux of carbon that counts as those of inversions do."""
    row = variables.get(variable)
    return row.units == UNIT and "carbon" in row.long_name and "positive upward" in row.long_name


def _same_unit(values: Any, variable: str, path: Path) -> None:
    wanted, given = variables.get(variable).units, str(values.attrs.get("units", ""))
    if given != wanted:
        raise InputError(
            f"'{values.name}' is in '{given}', and '{variable}' in '{wanted}'",
            where=str(path),
            hint="make the file again with `fluxatlas ingest constraint`, which converts units",
        )


def _cells(data: Any, path: Path) -> CellAxes:
    """The cells of a file; series at points are taken for the cells of the regular grid that they lie on."""
    if "location" not in data.dims:
        lat, lon = (edges(data[name].to_numpy(), name).astype(np.float64) for name in ("lat", "lon"))
        if lat[0] < lat[-1] or lon[0] > lon[-1]:
            raise InputError(
                "rows run from the south or columns from the east", where=str(path), hint="ingest it again"
            )
        return CellAxes(lat, lon)
    axes = []
    for name in ("lat", "lon"):
        found = np.unique(np.round(data[name].to_numpy().astype(float), 6))
        step = float(np.diff(found).min()) if found.size > 1 else 0.0
        place = (found - found[0]) / step if step else found
        if not step or abs(place - np.rint(place)).max() > 1e-3:
            raise InputError(
                f"'{name}' of its points lies on no regular grid",
                where=str(path),
                hint="compare with a product on cells; points of a reduced grid cannot be put into some",
            )
        axes.append(regular(found[0] + step * np.arange(round(place[-1]) + 1), name))
    lat, lon = (edges(axis, name).astype(np.float64) for axis, name in ((axes[0][::-1], "lat"), (axes[1], "lon")))
    return CellAxes(lat, lon)


@dataclass(frozen=True, eq=False)
class Match:
    """Products on common cells at common times (days, or months where one is monthly)."""

    products: tuple[Gridded, ...]
    cells: CellAxes
    times: Times
    minimum_share: float

    @property
    def area(self) -> npt.NDArray[np.float64]:
        """Relative area of a cell of each row."""
        return np.abs(np.diff(np.sin(np.deg2rad(self.cells.lat_edges))))

    @property
    def monthly(self) -> bool:
        return self.times.dtype == np.dtype("datetime64[M]")

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Rows of the common cells, and the values (product, time, row, lon) of all products there."""
        rows = self.cells.lat.size
        step = int(np.clip(BLOCK // max(self.times.size * self.cells.lon.size, 1), 1, rows))
        means = [CellMean(one.cells, self.cells, self.minimum_share) for one in self.products]
        for first in range(0, rows, step):
            band = slice(first, min(first + step, rows))
            yield band, np.stack([self._one(*each, band) for each in zip(self.products, means, strict=True)])

    def _one(self, product: Gridded, mean: CellMean, band: slice) -> Array:
        """Values (time, row, lon) of one product at the common times."""
        shape = (band.stop - band.start, self.cells.lon.size)
        own = product.times.astype(self.times.dtype)
        place = np.searchsorted(self.times, own)
        wanted = (place < self.times.size) & (self.times[np.minimum(place, self.times.size - 1)] == own)
        total, count = np.zeros((self.times.size, *shape)), np.zeros((self.times.size, *shape), np.int16)
        for start, part in product.slabs(mean.needed(band)):
            here = np.flatnonzero(wanted[start : start + len(part)])
            if here.size:
                values = mean.days(part[here], band)
                known = np.isfinite(values)
                np.add.at(total, place[start + here], np.where(known, values, 0.0))
                np.add.at(count, place[start + here], known)
        fewest = np.ones(self.times.size)
        if self.monthly and not product.monthly:
            lengths = ((self.times + 1).astype("datetime64[D]") - self.times.astype("datetime64[D]")).astype(int)
            fewest = np.maximum(self.minimum_share * lengths - 1e-9, 1)
        enough = count >= fewest[:, None, None]
        return np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float32)


def match(products: Sequence[Gridded], minimum_share: float) -> Match:
    """``products`` side by side; raises :class:`InputError` where they share no cell or no time."""
    coarsest = max((one.cells for one in products), key=lambda one: _size(one))
    keep = {}
    for axis in ("lat", "lon"):
        low = max(float(getattr(one.cells, f"{axis}_edges").min()) for one in products)
        high = min(float(getattr(one.cells, f"{axis}_edges").max()) for one in products)
        centres = getattr(coarsest, axis)
        keep[axis] = np.flatnonzero((centres > low) & (centres < high))
        if not keep[axis].size:
            raise InputError(_apart(products, axis), hint="choose products that hold some of the domain of the run")
    cells = CellAxes(*(
        getattr(coarsest, f"{axis}_edges")[found[0] : found[-1] + 2] for axis, found in keep.items()
    ))  # fmt: skip
    unit = "datetime64[M]" if any(one.monthly for one in products) else "datetime64[D]"
    times = products[0].times.astype(unit)
    for one in products[1:]:
        times = np.intersect1d(times, one.times.astype(unit))
    if not times.size:
        spans = "; ".join(f"{one.name}: {one.times[0]} to {one.times[-1]}" for one in products)
        hint = "choose a period of the run, and files, that all have"
        raise InputError(f"the products have no day or month in common ({spans})", hint=hint)
    return Match(tuple(products), cells, np.unique(times), minimum_share)


def _size(cells: CellAxes) -> float:
    """Square degrees of a cell."""
    return float(abs(np.diff(cells.lat_edges)).mean() * abs(np.diff(cells.lon_edges)).mean())


def _apart(products: Sequence[Gridded], axis: str) -> str:
    letter = {"lat": "N", "lon": "E"}[axis]
    spans = []
    for one in products:
        found = getattr(one.cells, f"{axis}_edges")
        spans.append(f"{one.name}: {found.min():g} to {found.max():g} {letter}")
    return f"the products have no cell in common ({'; '.join(spans)})"

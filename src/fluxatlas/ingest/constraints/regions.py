"""Fluxes by region put on a grid: the total of a region spread evenly over its area, so that its sum is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...errors import InputError

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.float64]

AREA_TOLERANCE = 0.02


def numbers(array: xr.DataArray, path: Path) -> Array:
    """The values of ``array`` as floats; raises :class:`InputError` where they are none."""
    if array.dtype.kind not in "fiub":
        raise InputError(f"'{array.name}' holds no numbers", where=str(path), hint="get the provider's own file again")
    return np.asarray(array.values, np.float64)


@dataclass(frozen=True, eq=False)
class RegionNumbers:
    """``number`` (lat, lon) is the region of each cell, -1 for none; ``area`` [m2] that of each region."""

    number: npt.NDArray[np.int64]
    area: Array

    @classmethod
    def of(cls, dataset: xr.Dataset, lat: str, lon: str, path: Path) -> RegionNumbers:
        """The regions of a file of CarbonTracker Europe: ``region_mask``, ``region_area``, ``cell_area``.

        Regions may be numbered from 0 or from 1: the numbering is that by which the cells add up to ``region_area``.
        Raises :class:`InputError` where a variable is missing or neither numbering does.
        """
        absent = [n for n in ("region_mask", "region_area", "cell_area") if n not in dataset.variables]
        if absent:
            raise InputError(
                f"fluxes by region need the variable '{absent[0]}'",
                where=str(path),
                hint="give the provider's regional file, or the gridded one",
            )
        shapes = {"region_mask": {lat, lon}, "cell_area": {lat, lon}, "region_area": {"regions_transcom"}}
        odd = next((name for name, dims in shapes.items() if set(dataset[name].dims) != dims), "")
        if odd:
            raise InputError(
                f"'{odd}' has the dimensions {', '.join(map(str, dataset[odd].dims))}",
                where=str(path),
                hint="get the provider's own file again",
            )
        mask, cells = (numbers(dataset[name].transpose(lat, lon), path) for name in ("region_mask", "cell_area"))
        area = numbers(dataset["region_area"], path)
        for base in (1, 0):
            number = np.where(np.isfinite(mask), mask, base - 1).astype(np.int64) - base
            number = np.where((number >= 0) & (number < area.size), number, -1)
            held = np.bincount(number[number >= 0], cells[number >= 0], area.size)
            if np.allclose(held, area, rtol=AREA_TOLERANCE, atol=AREA_TOLERANCE * area.max()):
                return cls(number, np.where(held > 0, held, np.nan))
        raise InputError(
            "the cells of 'region_mask' do not add up to 'region_area'",
            where=str(path),
            hint="mask and areas are not of one set of regions: get the file again",
        )

    def spread(self, totals: Array) -> Array:
        """Flux (time, lat, lon, member) per m2 of ``totals`` (time, region, member) per region; NaN outside regions."""
        density = np.concatenate([totals / self.area[None, :, None], np.full_like(totals[:, :1], np.nan)], axis=1)
        return np.asarray(density[:, self.number])

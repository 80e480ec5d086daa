"""Fluxes by region brought to a grid: the total of a region spread evenly over its area, so that its sum is kept."""

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


@dataclass(frozen=True, eq=False)
class RegionMap:
    """``number`` (lat, lon) is the region of each cell, -1 for none; ``area`` [m2] that of each region."""

    number: npt.NDArray[np.int64]
    area: Array

    @classmethod
    def of(cls, dataset: xr.Dataset, lat: str, lon: str, path: Path) -> RegionMap:
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
        mask = dataset["region_mask"].transpose(lat, lon).values.astype(np.float64)
        cells = dataset["cell_area"].transpose(lat, lon).values.astype(np.float64)
        area = dataset["region_area"].values.astype(np.float64)
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

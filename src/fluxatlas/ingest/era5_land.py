"""ERA5-Land and ERA5: hourly NetCDF as the climate data store distributes it, in both generations of its format.

ERA5-Land accumulates since 00 UTC; ERA5 gives the amount of the hour that ends at the stamp. Both need the first step
of the next year to close 31 December. Mixed ERA5/ERA5T files carry a dimension ``expver``: the final values win where
they exist. Reanalysis over the sea is missing in ERA5-Land.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.forcing import UnitOverride
from .declaration import load_mapping
from .mapping import MappedSource

SYNTHETIC_EARTH = {
    "title": "Synthetic Earth of fluxatlas, in the layout of ERA5-Land",
    "citation": "fluxatlas.testing",
}
"""What the synthetic Earth, which writes the layout of ERA5-Land, says of itself."""


def open_era5_land(
    files: Sequence[str | Path], closing: Sequence[str | Path], overrides: Mapping[str, UnitOverride] | None = None
) -> MappedSource:
    """ERA5-Land files of a year and the one with the next year's first step; errors as :class:`MappedSource`."""
    return MappedSource(load_mapping("era5_land"), files, closing, overrides)


def open_era5(
    files: Sequence[str | Path], closing: Sequence[str | Path], overrides: Mapping[str, UnitOverride] | None = None
) -> MappedSource:
    """ERA5 files of a year and the one with the next year's first step; errors as :class:`MappedSource`."""
    return MappedSource(load_mapping("era5"), files, closing, overrides)

"""Livneh et al. (2015, doi:10.1038/sdata.2015.42) as 3-hourly VIC forcing: an instance of a declared mapping.

Its times are local, so a day is a local day, and nothing of the next year is needed. Two unit labels are wrong and
overridden with a reason (``resources/mappings/livneh.yaml``): ``wind`` says mm s-1 and ``prec`` mm timestep-1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config.forcing import UnitOverride
from .declaration import load_mapping
from .mapping import MappedSource


def open_livneh(files: Sequence[str | Path], overrides: Mapping[str, UnitOverride] | None = None) -> MappedSource:
    """Livneh files of a year; errors as :class:`MappedSource`."""
    return MappedSource(load_mapping("livneh"), files, (), overrides)

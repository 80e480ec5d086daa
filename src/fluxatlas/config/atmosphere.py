"""The block ``atmosphere`` of the configuration."""

from __future__ import annotations

from pydantic import Field, field_validator

from ..errors import FluxAtlasError
from ..gases import get
from .base import Block


class GasSeries(Block):
    """A series of one gas of the atmosphere, in a file as NOAA GML distributes it."""

    path: str
    """File of global means or of a station, monthly or annual (`fluxatlas fetch noaa_ch4`, `noaa_co2`)."""
    gap: int = Field(0, ge=0, le=12)
    """Longest run of missing months (or years) that is interpolated; 0: a gap is refused."""
    latitude: float | None = Field(None, ge=-90, le=90)
    """Latitude of the station where neither the file nor its name tells it."""


class AtmosphereBlock(Block):
    """Gases of the atmosphere that drive the system."""

    jobs = ("atmosphere",)

    series: dict[str, GasSeries] = Field(default_factory=dict)
    """Series by gas, such as {ch4: {path: ch4_mm_gl.csv}}. Left out: the table of fluxatlas, where it has one."""

    @field_validator("series")
    @classmethod
    def _gases_are_known(cls, series: dict[str, GasSeries]) -> dict[str, GasSeries]:
        for gas in series:
            try:
                get(gas)
            except FluxAtlasError as problem:
                raise ValueError(f"{problem.what} ({problem.hint})") from None
        return series

"""The block ``synthetic_earth`` of the configuration: the embedded default's made-up world."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Block
from .leaves import leaf

YIELDS = "yields.csv"
"""Table of yields at the towers, where the system has fields of crops."""
_WORLD = leaf("synthetic_sites", "synthetic_inversions", "hidden_truth", "site_truth")


class SyntheticEarthBlock(Block):
    """Settings of the synthetic Earth; read only where ``forcing.source`` is ``synthetic_earth``."""

    jobs = (
        "synthetic_weather", "synthetic_closing", "synthetic_orography", "synthetic_static", "synthetic_sites",
        "synthetic_inversions", "hidden_truth", "site_truth",
    )  # fmt: skip

    world: Literal["kind", "realistic"] = Field("kind", json_schema_extra=_WORLD)
    """'kind': soils follow their attributes, errors are white; 'realistic': sites differ without reason or memory in
    space, several chambers that come and go at each site, errors that last for days (docs/synthetic_earth.md)."""
    seed: int = Field(73, ge=0)
    """Seed of the whole world: terrain, soils, cover, weather, hidden truth, sites and noise."""
    resolution: float = Field(0.25, ge=0.1, le=1.0)
    """Cell size of the weather files in degrees; the real ERA5-Land has 0.1."""
    margin: int = Field(2, ge=1, le=10)
    """Source cells added on each side of the domain, so that every tile finds its halo."""
    sea_missing: bool = True
    """Leave the weather of cells without land missing, as ERA5-Land does; false fills them too."""
    towers: int = Field(6, ge=1, le=200)
    """Number of flux towers (their own meteorology and what the system observes at towers)."""
    chambers: int = Field(12, ge=2, le=500)
    """Number of chamber sites; there are none where the system observes nothing with chambers."""
    chamber_noise: float = Field(1.0, ge=0, le=5)
    """Factor on the random error of a chamber flux, whose sd is 0.15 + 0.2 |F| mg m-2 d-1."""
    tower_gaps: float = Field(0.12, ge=0, lt=0.9)
    """Share of tower days without measured soil data; as many days of the meteorology are gap-filled (QC below 1)."""
    chamber_days_per_week: float = Field(3.0, gt=0, le=7)
    """Mean number of days per week with a chamber measurement in the growing season (a quarter of it in winter)."""

    twin_worlds: int = Field(1, ge=1, le=100, json_schema_extra=leaf("twin", changes="inputs"))
    """Worlds of each kind that `snakemake twin` runs, with the seeds 'seed', 'seed' + 1, ..."""

    def site_files(self, start: int, end: int, chambers: bool = True, yields: bool = False) -> list[str]:
        """Names of the raw site files that ``fluxatlas ingest synthetic-earth sites`` writes for these years."""
        towers = [f"FLX_XX-T{n:02d}_FLUXNET2015_FULLSET_DD_{start}-{end}_1-1.csv" for n in range(1, self.towers + 1)]
        return ["towers.csv", *towers, *(["chambers.csv"] if chambers else []), *([YIELDS] if yields else [])]


INVERSION_FILE, FIRE_FILE = "GCP2024_inversions_synthetic.nc", "CT2022_fire_synthetic.nc"
"""Names of the files that ``fluxatlas ingest synthetic-earth inversions`` writes."""

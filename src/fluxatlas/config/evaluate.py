"""The block ``evaluate`` of the configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from ..errors import ConfigError, nearest
from .base import Block
from .leaves import leaf


class EvaluateBlock(Block):
    """Settings of the stage ``evaluate``: comparison with sites, towers and, where there is one, the truth."""

    minimum_days: int = Field(30, ge=2, json_schema_extra=leaf("towers", "unseen"))
    """Fewest days with an observation for a site to have scores of its own."""
    minimum_site_days: int = Field(5, ge=1, json_schema_extra=leaf("skill", "unseen", "truth_sites"))
    """Fewest days with an observation for a site's mean to count in the skill of site means."""
    minimum_quality: float = Field(0.5, ge=0, le=1, json_schema_extra=leaf("towers"))
    """Smallest share of measured data (qc) for a day of a tower to be compared with the product."""
    anomaly_window: int = Field(31, ge=3, le=365, json_schema_extra=leaf("towers"))
    """Days of the centred running mean that is taken off both series to compare anomalies."""
    cluster_distance_km: float = Field(100.0, gt=0, json_schema_extra=leaf("unseen", "periods", "overpasses"))
    """Sites nearer than this [km], directly or through others, are drawn together when intervals are worked out."""
    resamples: int = Field(1000, ge=100, le=100_000, json_schema_extra=leaf("unseen", "periods", "overpasses"))
    """Draws of clusters of sites from which the 90 % intervals of scores are taken."""
    prior_draws: int = Field(100, ge=20, le=10_000, json_schema_extra=leaf("prior"))
    """Draws of parameters of the process model that are compared with what the sites measured."""
    response_series: int = Field(16, ge=2, le=1000, json_schema_extra=leaf("responses"))
    """Synthetic series at which members and process model are asked how they respond to each driver."""
    total_draws: int = Field(200, ge=20, le=10_000, json_schema_extra=leaf("totals"))
    """Whole maps that are drawn for the uncertainty of totals."""
    error_length_km: float = Field(1000.0, gt=0, json_schema_extra=leaf("totals"))
    """Distance [km] over which errors of the map are alike (correlation exp(-distance / length)); assumed."""
    held_years: int = Field(5, ge=1, json_schema_extra=leaf("trends"))
    """First years at which `snakemake trends` holds the weather or a series of the atmosphere."""
    trend_points: int = Field(24, ge=1, le=1000, json_schema_extra=leaf("trends"))
    """Places that stand for the domain where trends are attributed to their factors."""
    trend_attributes: dict[str, Annotated[float, Field(ge=0, le=100)]] = Field(
        default_factory=dict, json_schema_extra=leaf("trends")
    )
    """Attributes that changed over the run, such as {ndep: 0.7, cropFrac: 1.1}: how much of each there was in the first
    year, as a share of the map, which is that of the last. `snakemake trends` takes them as factors; the product does
    not change."""
    overpass_table: str = Field("", json_schema_extra=leaf("overpasses", changes="inputs"))
    """ECOSTRESS calibration table that `snakemake overpasses` scores the fluxes of a moment on (CSV)."""
    overpass_places: str = Field("", json_schema_extra=leaf("overpasses", changes="inputs"))
    """Its list of towers with places and heights (CSV)."""
    overpass_closure: Literal[
        "corrected_50", "corrected_25", "corrected_75", "corrected_annual", "measured", "bowen_ratio"
    ] = Field("corrected_50", json_schema_extra=leaf("overpasses"))
    """What the latent and sensible heat of its towers are: corrected by the 50th, 25th or 75th percentile of their
    closure or that of the year, as measured, or what net radiation and ground leave, shared as measured."""
    yield_tables: dict[Literal["maize", "soybean", "wheat"], str] = Field(
        default_factory=dict, json_schema_extra=leaf(changes="inputs", why="each table is an input of its own job")
    )
    """Tables of yields of counties or states by crop that `snakemake yields` scores models on (docs/crop_carbon.md)."""
    yield_last_year: int = Field(2011, json_schema_extra=leaf("yield_scores"))
    """Last year that these models learn from."""
    seed: int = Field(
        1,
        ge=0,
        json_schema_extra=leaf(
            "unseen", "periods", "prior", "responses", "totals", "trends", "factor_table", "overpasses"
        ),
    )
    """Seed of these draws."""

    def refuse_attributes(self, system: str, known: Sequence[str]) -> None:
        """Raise :class:`ConfigError` for one of ``trend_attributes`` that is not ``known`` to the ``system``."""
        for name in self.trend_attributes:
            if name not in known:
                what = f"'{system}' does not read the attribute '{name}'{nearest(name, known)}"
                raise ConfigError(what, where="evaluate.trend_attributes", hint=f"it reads {', '.join(known)}")

    @property
    def fewest_trend_years(self) -> int:
        """Fewest years whose trend has an error that can be stated, and of which not all are held."""
        return max(4, self.held_years + 1)

"""The block ``constraints`` of the configuration: gridded observations and inversions that a network may be held to."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from ..paths import matches
from .base import SHORTEST_REASON, Block

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Constraint(Block):
    """One product: its files, what they are, and how they are converted to ``ingest/constraints/<name>.nc``."""

    path: list[str] = Field(min_length=1)
    """Files or patterns with '*' and '**' (one or a list); a file without time axis has its date in its name."""
    kind: Literal[
        "auto", "gcb", "carbontracker", "carbontracker_europe", "cams", "carboscope", "oco2_mip", "gcas", "gongga",
        "cms_flux", "fluxcom", "esa_cci", "smap", "smap_l4", "era5_land", "gldas", "ascat",
    ] = "auto"  # fmt: skip
    """Format; 'auto' recognises it from variables, attributes and name, and refuses what is ambiguous."""
    variable: str = ""
    """Inversions: another variable than the default net land flux; its global sum is then not judged."""
    units: str = ""
    """Inversions: the true unit where the label of the file is wrong or absent; needs 'reason'."""
    sign: Literal["", "to_atmosphere", "to_land"] = ""
    """Inversions: which way is positive in the file, where it does not say so rightly; needs 'reason'."""
    start: str = ""
    """Inversions: first month (YYYY-MM) of a file of monthly steps without readable times; needs 'reason'."""
    reason: str = ""
    """Why 'units', 'sign' or 'start' overrule the file; kept in the result."""
    add_fire: bool = False
    """Inversions with a separate fire flux: add it, so that the result is the net land flux with fire."""
    step: Literal["month", "native"] = "month"
    """Inversions: monthly means, or the steps of the file (days, or months; shorter steps become days)."""
    gaps: Literal["", "refuse", "keep"] = ""
    """Steps absent between others: refuse, or keep as missing; empty: refuse for inversions, keep for soil moisture."""
    grid: Literal["", "4km", "1km", "0.25deg", "0.5deg"] = ""
    """Soil moisture: grid of the result (means by area); empty: that of the files, 0.25deg for EASE-Grid 2.0."""
    minimum_share: float = Field(0.5, ge=0, le=1)
    """Soil moisture on another grid: least share of a cell that must have values."""
    overpass: Literal["both", "am", "pm"] = "both"
    """SMAP L3: the descending (6 am) or ascending (6 pm) pass, or the mean of what there is of both."""
    first_year: int | None = Field(None, ge=1900, le=2200)
    """First year to keep."""
    last_year: int | None = Field(None, ge=1900, le=2200)
    """Last year to keep."""

    @field_validator("path", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("start")
    @classmethod
    def _month(cls, start: str) -> str:
        if start and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", start):
            raise ValueError(f"'{start}' is not a month: write it as 2001-07")
        return start

    @model_validator(mode="after")
    def _reasons(self) -> Constraint:
        overruled = [key for key in ("units", "sign", "start") if getattr(self, key)]
        if overruled and len(self.reason.strip()) < SHORTEST_REASON:
            raise ValueError(
                f"'{overruled[0]}' overrules the file and needs a 'reason' of {SHORTEST_REASON} letters or more"
            )
        if self.reason and not overruled:
            raise ValueError("a 'reason' belongs to 'units', 'sign' or 'start': nothing else is overruled")
        if self.first_year and self.last_year and self.first_year > self.last_year:
            raise ValueError(f"first_year {self.first_year} lies after last_year {self.last_year}")
        return self

    def unused(self, family: str, *, points: bool = False) -> list[str]:
        """Options that are given and do nothing for a product of ``family``, or of series at ``points``."""
        fluxes = ("variable", "units", "sign", "start", "add_fire", "step")
        cells = ("grid", "minimum_share", "overpass")
        return self.given(*(cells if family == "inversion" else fluxes), *((*cells, "gaps") if points else ()))

    @property
    def years(self) -> tuple[int | None, int | None]:
        """First and last year to keep."""
        return self.first_year, self.last_year


class ConstraintsBlock(Block):
    """Gridded constraints: net carbon fluxes of inversions, soil moisture of satellites and reanalyses."""

    jobs = ("constraint",)

    sets: dict[str, Constraint] = Field(default_factory=dict)
    """Products by a name of your choice (letters, digits, '_' and '-'), which becomes the name of the file."""

    @field_validator("sets")
    @classmethod
    def _names(cls, sets: dict[str, Constraint]) -> dict[str, Constraint]:
        wrong = [name for name in sets if not NAME.fullmatch(name)]
        if wrong:
            raise ValueError(f"'{wrong[0]}' is not a file name: use letters, digits, '_' and '-'")
        return sets


def constraint_inputs(constraint: Constraint) -> list[str]:
    """Every file that the patterns of ``constraint`` match, in order of the patterns and of their names.

    A path without '*' is kept even if it does not exist, so that its absence is reported.
    """
    return list(dict.fromkeys(name for pattern in constraint.path for name in matches(pattern)))

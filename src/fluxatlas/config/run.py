"""The blocks that say what is run: ``run``, ``grid``, ``domain`` and ``period``."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .base import Block, Folder
from .leaves import leaf
from .synthetic_earth import SyntheticEarthBlock

_YEARS = leaf("forcing", "atmosphere", "spinup", "infer", "truth", changes="inputs")


class RunBlock(Block):
    """Name and place of the run."""

    name: str = Field("demo", json_schema_extra=leaf("stac", changes="inputs"))
    """Name of the run; results go to <results>/<name>. Letters, digits, '_', '.' and '-'."""
    results: Folder = Field(
        "results", json_schema_extra=leaf(why="the folder of every file: another place means other files")
    )
    """Folder that holds the results of all runs."""

    @field_validator("name")
    @classmethod
    def _fit_for_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            better = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-")
            hint = f", such as '{better}'" if better else ""
            raise ValueError(
                f"'{name}' is not the name of a run: use letters, digits, '_', '.' and '-', beginning with a letter or"
                f" digit{hint}"
            )
        return name


class GridBlock(Block):
    """The target grid and its tiles."""

    jobs = (
        "forcing", "attributes", "site_inputs", "regions", "synthesize", "regional_points", "pretrain", "baseline",
        "spinup", "infer",
    )  # fmt: skip

    name: str = "4km"
    """Target grid: '4km' (1/24 degree), '1km' (1/120 degree), '0.25deg' or '0.5deg'."""
    tile_size: int = Field(10, ge=1, le=90)
    """Edge of a tile in degrees; it must divide 90. A tile-year is one job: smaller tiles mean more, shorter jobs."""


def edge_name(degrees: float, sides: str = "NS") -> str:
    """``8W``, ``36.5N``, ``0``: an edge in degrees with the letter of its side."""
    return f"{abs(degrees):.8g}{sides[degrees < 0] if degrees else ''}"


class DomainBlock(Block):
    """The area to run."""

    jobs = ("attributes", "constraint", "regional_target", "daily", "fetch_forcing", *SyntheticEarthBlock.jobs)

    name: str = Field("", json_schema_extra=leaf("daily", "budget", "summary"))
    """What tables, figures and files call the area, such as 'Walnut Gulch'; empty: its edges, 'globe' for all land."""
    west: float = Field(-180.0, ge=-180, lt=180)
    """Western edge in degrees east."""
    south: float = Field(-60.0, ge=-90, lt=90)
    """Southern edge in degrees north."""
    east: float = Field(180.0, gt=-180, le=180)
    """Eastern edge in degrees east."""
    north: float = Field(90.0, gt=-90, le=90)
    """Northern edge in degrees north."""

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        return self.west, self.south, self.east, self.north

    @property
    def title(self) -> str:
        """The name, else ``globe`` for a box around all land but Antarctica, else the edges: ``36N-40N 8W-4W``."""
        if self.name:
            return self.name
        if (self.west, self.east) == (-180, 180) and self.south <= -55 and self.north >= 83:
            return "globe"
        return (
            f"{edge_name(self.south)}-{edge_name(self.north)} {edge_name(self.west, 'EW')}-{edge_name(self.east, 'EW')}"
        )

    @model_validator(mode="before")
    @classmethod
    def _date_line(cls, given: Any) -> Any:
        """Refuse a box across the date line, and say which two boxes it is."""
        globe = {"west": -180.0, "east": 180.0}
        edges = [given.get(side, globe[side]) for side in globe] if isinstance(given, dict) else []
        numbers = [float(edge) for edge in edges if isinstance(edge, int | float) and abs(edge) <= 360]
        if len(numbers) < 2:
            return given
        west, east = numbers
        if -180 <= west < east <= 180 or west == east:
            return given
        a, b = (west + 180) % 360 - 180, 180 - (180 - east) % 360
        said = f"the box from {west:g} to {east:g} E"
        if a < b or east - west == 360:
            a, b = (-180.0, 180.0) if east - west == 360 else (a, b)
            raise ValueError(f"{said}: edges are from -180 to 180 degrees east, so write west: {a:g}, east: {b:g}")
        parts = (a, 180), (-180, b)
        boxes = " and ".join(f"west: {a:g}, east: {b:g}" for a, b in parts)
        raise ValueError(
            f"{said} is empty, or crosses the date line: make two runs, {boxes} (tiles end at the date line)"
        )

    @model_validator(mode="after")
    def _edges_in_order(self) -> DomainBlock:
        if self.west >= self.east or self.south >= self.north:
            raise ValueError(f"the box {self.bbox} is empty: west must be below east and south below north")
        return self


class PeriodBlock(Block):
    """The years of the product and how the state before the first one is made."""

    start: int = Field(ge=1850, le=2200, json_schema_extra=_YEARS)
    """First year of the product."""
    end: int = Field(ge=1850, le=2200, json_schema_extra=_YEARS)
    """Last year of the product."""
    spinup: Literal["previous", "repeat"] = Field("previous", json_schema_extra=_YEARS)
    """'previous': spin up on the years before the first one; 'repeat': on the first year again and again."""
    spinup_years: int = Field(1, ge=1, le=30, json_schema_extra=_YEARS)
    """Years of spin-up before the first year of the product."""

    @model_validator(mode="before")
    @classmethod
    def _whole_years(cls, given: Any) -> Any:
        """Refuse dates: a run is made of whole years."""
        for key in ("start", "end") if isinstance(given, dict) else ():
            if isinstance(given.get(key), str | date) and re.fullmatch(r"\d{4}-\d\d?(-\d\d?)?", str(given[key])):
                raise ValueError(f"{key} is {given[key]}, but a run is made of whole years: give {str(given[key])[:4]}")
        return given

    @model_validator(mode="after")
    def _years_in_order(self) -> PeriodBlock:
        if self.start > self.end:
            raise ValueError(f"the period starts in {self.start} but ends in {self.end}")
        return self

    @classmethod
    def none(cls) -> PeriodBlock:
        """The period of a run without maps: no year."""
        return cls.model_construct(start=1, end=0, spinup="previous", spinup_years=0)

    @property
    def years(self) -> range:
        """Years of the product."""
        return range(self.start, self.end + 1)

    @property
    def spinup_sequence(self) -> list[int]:
        """Years to run, in order, before the first year of the product."""
        if self.spinup == "repeat":
            return [self.start] * self.spinup_years
        return list(range(self.start - self.spinup_years, self.start))

    @property
    def forcing_years(self) -> list[int]:
        """Every year whose forcing is needed, in order."""
        return sorted({*self.spinup_sequence, *self.years})

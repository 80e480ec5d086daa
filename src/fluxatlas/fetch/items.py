"""A recipe cut into files: one per variable and period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .recipe import Recipe

Area = tuple[float, float, float, float]
"""West, south, east, north [degrees]."""


@dataclass(frozen=True)
class Item:
    """One file to get: ``variable`` (empty: all) from ``start`` until before ``stop``, cut to ``area`` if given."""

    recipe: Recipe
    target: Path
    variable: str
    start: datetime
    stop: datetime
    area: Area | None = None

    def fill(self, pattern: str) -> str:
        """``pattern`` with the variable and the date of this item."""
        return _filled(self.recipe, pattern, self.variable, self.start)

    @property
    def request(self) -> dict[str, Any]:
        """What identifies the content of the file: it is compared with that of a file which is already there."""
        recipe = self.recipe
        return {
            "dataset": recipe.dataset,
            "route": recipe.route,
            "variable": recipe.named(self.variable),
            "from": self.start.isoformat() if recipe.per != "once" else "",
            "until": self.stop.isoformat() if recipe.per != "once" else "",
            "area": list(self.area) if self.area else None,
        }


def items(
    recipe: Recipe,
    folder: str | Path,
    *,
    years: Sequence[int] = (),
    variables: Sequence[str] = (),
    months: Sequence[int] = (),
    area: Area | None = None,
) -> list[Item]:
    """Every file of ``recipe`` for ``years`` (all ``months`` unless named), to lie in ``folder``.

    ``area`` is used where the provider can cut; it is widened by the margin of the recipe and stays within the globe.
    Raises :class:`ConfigError` for missing years, or a variable or month that there is not.
    """
    if recipe.per != "once" and not years:
        raise ConfigError(f"{recipe.dataset} needs years", where="--years", hint="for example --years 2001-2003")
    if any(not 1 <= month <= 12 for month in months):
        raise ConfigError(f"a month is 1 to 12, not {list(months)}", where="--month", hint="correct it")
    box = _widened(area, recipe.edge) if area and recipe.can_cut else None
    chosen = recipe.choose(tuple(variables))
    return [
        Item(recipe, Path(folder) / _filled(recipe, recipe.file, variable, start), variable, start, stop, box)
        for start, stop in _periods(recipe, years, months)
        for variable in chosen
    ]


def _filled(recipe: Recipe, pattern: str, variable: str, start: datetime) -> str:
    return pattern.format(
        variable=variable,
        request=recipe.named(variable),
        year=f"{start:%Y}",
        month=f"{start:%m}",
        day=f"{start:%d}",
        doy=f"{start:%j}",
        hour=f"{start:%H}",
    )


def _widened(area: Area, edge: float) -> Area:
    west, south, east, north = area
    if not (west < east and south < north):
        raise ConfigError(f"the box {area} is empty", where="--bbox", hint="give west south east north in degrees")
    box = (max(west - edge, -180.0), max(south - edge, -90.0), min(east + edge, 180.0), min(north + edge, 90.0))
    return (round(box[0], 6), round(box[1], 6), round(box[2], 6), round(box[3], 6))


def _periods(recipe: Recipe, years: Sequence[int], months: Sequence[int]) -> Iterator[tuple[datetime, datetime]]:
    if recipe.per == "once":
        yield datetime(1, 1, 1), datetime(1, 1, 1)
        return
    for year in sorted(set(years)):
        start, last = datetime(year, 1, 1), datetime(year + 1, 1, 1)
        while start < last:
            stop = _next(start, recipe.per)
            if recipe.per == "year" or not months or start.month in months:
                yield start, stop
            start = stop


def _next(start: datetime, per: str) -> datetime:
    if per == "year":
        return datetime(start.year + 1, 1, 1)
    if per == "month":
        return datetime(start.year + start.month // 12, start.month % 12 + 1, 1)
    return start + (timedelta(days=1) if per == "day" else timedelta(hours=1))

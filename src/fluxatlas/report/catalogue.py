"""The figures there are: what each needs and who draws it. Imports nothing heavy, so that the workflow can read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest
from ..loading import load_object


@dataclass(frozen=True)
class Inputs:
    """Files a figure may read, by kind; see docs/contracts.md for what each holds."""

    system: str
    flux: list[Path] = field(default_factory=list)
    attributes: list[Path] = field(default_factory=list)
    forcing: list[Path] = field(default_factory=list)
    truth: list[Path] = field(default_factory=list)
    daily: list[Path] = field(default_factory=list)
    predictions: list[Path] = field(default_factory=list)
    skill: list[Path] = field(default_factory=list)
    protocols: list[Path] = field(default_factory=list)
    responses: list[Path] = field(default_factory=list)
    attribution: list[Path] = field(default_factory=list)
    history: list[Path] = field(default_factory=list)
    budget: list[Path] = field(default_factory=list)
    region_months: list[Path] = field(default_factory=list)
    towers: list[Path] = field(default_factory=list)
    sites: list[Path] = field(default_factory=list)

    def one(self, kind: str) -> Path:
        """The only file of a kind."""
        paths: list[Path] = getattr(self, kind)
        if len(paths) != 1:
            raise InputError(f"{len(paths)} files of the kind '{kind}'", hint=f"give --{kind} once")
        return paths[0]


KINDS = tuple(f.name for f in fields(Inputs) if f.name != "system")


@dataclass(frozen=True)
class FigureRow:
    """One figure: ``module:function`` that draws it, the kinds of files it needs, and those that it shows if given."""

    drawn_by: str
    needs: tuple[str, ...]
    title: str
    shows: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """All kinds of files that it reads."""
        return self.needs + self.shows

    def function(self) -> Callable[..., Any]:
        """The function ``(inputs, settings) -> matplotlib Figure``."""
        found: Callable[..., Any] = load_object(f"{__package__}.{self.drawn_by}")
        return found


FIGURES: dict[str, FigureRow] = {
    "inputs_map": FigureRow("maps:inputs_map", ("attributes", "forcing"), "The domain", ("sites",)),
    "flux_map": FigureRow("maps:flux_map", ("flux", "attributes"), "Annual mean", ("sites",)),
    "truth_map": FigureRow("maps:truth_map", ("flux", "attributes", "truth"), "Estimate and truth"),
    "seasonal_cycle": FigureRow("series:seasonal_cycle", ("daily",), "Seasonal cycle by latitude"),
    "site_series": FigureRow("series:site_series", ("predictions",), "Flux at sites left out"),
    "tower_series": FigureRow("series:tower_series", ("towers",), "Product against towers"),
    "site_scatter": FigureRow("skill:site_scatter", ("predictions",), "Observed and predicted flux"),
    "skill": FigureRow("skill:skill", ("skill",), "Skill at sites left out"),
    "unseen": FigureRow("unseen:unseen", ("protocols",), "Skill with intervals"),
    "responses": FigureRow("responses:responses", ("responses",), "Response to each driver"),
    "attribution": FigureRow("responses:attribution", ("attribution",), "What drives the flux"),
    "loss_curves": FigureRow("training:loss_curves", ("history",), "Training"),
    "budget": FigureRow("budget:budget", ("budget",), "Budget"),
    "region_months": FigureRow("regions:region_months", ("region_months",), "Regions beside inversions"),
}
"""All figures of the report by name; the caption of each is ``workflow/report/<name>.rst``."""

PICTURES: dict[str, FigureRow] = {
    "overview": FigureRow("overview:overview", ("flux", "attributes", "truth"), "A run at a glance"),
}
"""Pictures for other places than the report, drawn by the same command."""


def figure_row(name: str) -> FigureRow:
    """The row called ``name``; raises :class:`InputError` with the nearest name for an unknown one."""
    rows = FIGURES | PICTURES
    if name not in rows:
        raise InputError(f"unknown figure '{name}'{nearest(name, rows)}", hint=f"choose from {', '.join(rows)}")
    return rows[name]

"""What ``fluxatlas fetch`` does; registered as a top-level command in :mod:`fluxatlas.cli`."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, FetchError, nearest
from .datasets import datasets
from .http import Patience
from .items import Area, Item, items
from .recipe import load_recipe, names
from .transfer import obtain_all


@dataclass(frozen=True)
class FetchRequest:
    """The options of the command line, as they were given."""

    recipe: str
    folder: Path
    years: str
    months: list[int]
    variables: list[str]
    bbox: str
    jobs: int
    patience: str
    only: list[str]
    dry_run: bool


def run(wish: FetchRequest) -> None:
    """Fetch what is absent; raises :class:`FetchError` or :class:`ConfigError` that says what could not be got."""
    recipe = load_recipe(wish.recipe)
    wanted = items(
        recipe,
        wish.folder,
        years=parse_years(wish.years),
        months=wish.months,
        variables=wish.variables,
        area=parse_bbox(wish.bbox),
    )
    wanted = _only(wanted, wish.only)
    if wish.dry_run:
        for item in wanted:
            print(f"{item.target}  {'there' if item.target.exists() else 'to fetch'}")
        return
    fetched, errors = obtain_all(wanted, jobs=wish.jobs, patience=parse_patience(wish.patience))
    there = len(wanted) - fetched - len(errors)
    print(f"{fetched} files fetched, {there} were there already, {len(errors)} failed", file=sys.stderr)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        first = errors[0]
        raise FetchError(
            f"{len(errors)} of {len(wanted)} files could not be fetched; the first: {first.what}",
            where=first.where,
            hint=first.hint,
        )


def _only(found: list[Item], names: list[str]) -> list[Item]:
    """Those of ``found`` with one of ``names``, or all; raises :class:`ConfigError` for a name that is not there."""
    known = {item.target.name: item for item in found}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"'{name}' is not a file of these years{nearest(name, known)}", where="--only", hint="see --dry-run"
            )
    return [known[name] for name in dict.fromkeys(names)] or found


def show_recipes() -> None:
    """Print the recipes with what they are cut into and where they come from."""
    for name in names():
        recipe = load_recipe(name)
        row = datasets()[recipe.dataset]
        cut = (
            "" if recipe.per == "once" else f", one file per {'variable and ' if recipe.variables else ''}{recipe.per}"
        )
        print(f"{name:24} {row['title']} ({recipe.route}{cut})\n{'':24} {row['licence']}; {row['citation']}")
        if recipe.variables:
            print(f"{'':24} variables: {' '.join(recipe.variables)}")


def parse_years(text: str) -> list[int]:
    """``"1999,2001-2003"`` as years; raises :class:`ConfigError` for anything else."""
    years: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", part)
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise ConfigError(f"'{part}' is not a year or span of years", where="--years", hint="write 1999,2001-2003")
        years += range(int(match[1]), int(match[2] or match[1]) + 1)
    return years


def parse_bbox(text: str) -> Area | None:
    """``"west south east north"`` as numbers; raises :class:`ConfigError` for anything else."""
    if not text.strip():
        return None
    try:
        west, south, east, north = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ConfigError(f"'{text}' is not a box", where="--bbox", hint="write 'west south east north'") from None
    return west, south, east, north


def parse_patience(text: str) -> Patience:
    """A JSON object as :class:`Patience`; raises :class:`ConfigError` for unknown keys and bad values."""
    try:
        given = json.loads(text)
        bad = [
            k
            for k, v in given.items()
            if k not in Patience.__dataclass_fields__ or isinstance(v, (str, bool)) or v <= 0
        ]
    except (ValueError, AttributeError, TypeError):
        bad = [text]
    if bad:
        known = ", ".join(Patience.__dataclass_fields__)
        raise ConfigError(
            f"'{bad[0]}' is not a valid patience setting", where="--patience", hint=f"a JSON object of {known}, all > 0"
        )
    return Patience(**given)

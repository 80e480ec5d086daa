"""The block ``forcing`` of a first configuration: mapping, paths and altitude; its domain and years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from typing import Any

import yaml

from ..config.run import DomainBlock
from ..ingest.declaration import DeclaredMapping, load_mapping
from ..ingest.elevation import NAMES as ELEVATION
from ..inspect.formats.netcdf_forcing import held_raw, makeable, steps_fit
from ..inspect.report import SpaceSummary
from .patterns import patterns
from .shown import Shown

Box = tuple[float, float, float, float]
EXAMPLE = {
    "source": "era5_land",
    "path": "data/era5_land/{year}_{month}.nc",
    "elevation": "data/era5_land/geopotential.nc",
}
"""What stands in for weather that nobody has shown."""


@dataclass
class ShownWeather:
    """What the shown weather makes: ``block``, ``mapping`` (to be saved as YAML) where none is shipped, and its extent.

    ``used``: the files; ``makes``: daily variables; ``box`` (west, south, east, north) and whole ``years``, if known.
    """

    block: dict[str, Any] = field(default_factory=lambda: dict(EXAMPLE))
    mapping: dict[str, Any] | None = None
    used: list[Shown] = field(default_factory=list)
    makes: list[str] = field(default_factory=list)
    box: Box | None = None
    years: list[int] = field(default_factory=list)
    elevation: Shown | None = None


def weather(shown: Sequence[Shown]) -> ShownWeather:
    """The weather among the ``shown`` files; of several grids and mappings those that make most variables.

    Names such as ``ps`` are those of several mappings: every mapping that ``inspect`` names for one of the files is
    tried on all of its grid.
    """
    files = [one for one in shown if one.uses("forcing")]
    grids: dict[str, list[Shown]] = {}
    for one in files:
        grids.setdefault(str(one.first.space), []).append(one)
    made = []
    for alike in grids.values():
        named = Counter(tuple(sorted(one.uses("forcing")[0].options.items())) for one in alike)
        made += [_set(dict(keys), alike) for keys, _ in named.most_common()]
    found = max(made, key=lambda one: len(one.makes), default=ShownWeather())
    if found.used:
        _altitude(found, shown)
    return found


def _set(keys: dict[str, Any], files: list[Shown]) -> ShownWeather:
    """The weather of those of ``files``, all on one grid, that a mapping reads."""
    found = ShownWeather({**keys})
    if keys["source"] == "mapping" and "mapping" not in keys:
        files = [one for one in files if "proposed_mapping" in one.first.details]
        found.mapping = _merged([yaml.safe_load(one.first.details["proposed_mapping"]) for one in files])
        mapping = DeclaredMapping.model_validate(found.mapping)
    else:
        mapping = load_mapping(keys.get("mapping") or keys["source"])
    held: dict[str, str] = {}
    paths: list[str] = []
    years: list[set[int]] = []
    for one in files:
        own = held_raw(mapping, {variable.name for variable in one.first.variables}, one.paths[0])
        single = one.first.time is not None and not one.first.time.step
        if own and (single or steps_fit(one.first, mapping)):
            held |= own
            found.used.append(one)
            names, whole = patterns(one)
            paths += names
            years.append(set(whole))
    found.block["path"] = paths if len(paths) > 1 else "".join(paths)
    found.makes = makeable(mapping, held)
    found.years = sorted(set.intersection(*years)) if years else []
    found.box = _inside(files[0].first.space)
    return found


def _merged(proposals: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One mapping of those that ``inspect`` proposes for files with a part of the variables each."""
    whole = dict(proposals[0])
    for key in ("raw", "variables"):
        whole[key] = {name: value for one in proposals for name, value in one[key].items()}
    return whole


def _inside(space: SpaceSummary | None) -> Box | None:
    """The box between the outermost cell centres; all longitudes where the cells go around the Earth."""
    if space is None or len(space.bbox) != 4:
        return None
    west, south, east, north = space.bbox
    if east - west + (space.cell or [0, 0])[1] >= 359.9:
        return -180.0, south, 180.0, north
    turn = 360.0 if west >= 180 else 0.0
    return west - turn, south, min(east - turn, 180.0), north


def _altitude(found: ShownWeather, shown: Sequence[Shown]) -> None:
    """The altitude on the grid of the weather: a geopotential, else a map of altitude on the same grid."""
    own = found.used[0].first.space
    keys = ("forcing.elevation", "static.layers.orog")
    choices = [(one, use) for key in keys for one in shown for use in one.uses(key)]
    for one, use in choices:
        name = use.options.get("elevation_variable") or use.options.get("variable", "")
        if name and own and _same_grid(own, one.first.space):
            found.block["elevation"], found.elevation = one.path, one
            if name not in ELEVATION:
                found.block["elevation_variable"] = name
            return
    found.block["elevation"] = "data/elevation_of_the_forcing.nc"


def _same_grid(a: SpaceSummary, b: SpaceSummary | None) -> bool:
    """Whether cells of two grids have one size, and the second holds the first, longitudes of either kind."""
    if b is None or len(a.bbox) != 4 or len(b.bbox) != 4 or not a.cell or not b.cell:
        return False
    half = 0.5 * a.cell[0]
    same = all(abs(x - y) < 0.02 * x for x, y in zip(a.cell, b.cell, strict=True))
    shift = 360.0 * round((a.bbox[0] - b.bbox[0]) / 360.0) if b.bbox[2] - b.bbox[0] < 359 else 0.0
    wide = b.bbox[2] - b.bbox[0] >= 359 or (
        b.bbox[0] + shift <= a.bbox[0] + half and b.bbox[2] + shift >= a.bbox[2] - half
    )
    return same and wide and b.bbox[1] <= a.bbox[1] + half and b.bbox[3] >= a.bbox[3] - half


def domain_of(boxes: Sequence[Box]) -> Box | None:
    """The area that all ``boxes`` share, inwards to whole degrees where it is wider; None if there is none."""
    if not boxes:
        return None
    west, south, east, north = (
        max(box[0] for box in boxes),
        max(box[1] for box in boxes),
        min(box[2] for box in boxes),
        min(box[3] for box in boxes),
    )
    south = max(south, float(DomainBlock.model_fields["south"].default))
    if west >= east or south >= north:
        return None
    inner = (float(ceil(west)), float(ceil(south)), float(floor(east)), float(floor(north)))
    whole = inner[2] - inner[0] >= 1 and inner[3] - inner[1] >= 1
    return inner if whole else (round(west, 4), round(south, 4), round(east, 4), round(north, 4))

"""A first configuration as data and as commented YAML, and what it still lacks."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ..check.layers import given_layers
from ..config import load
from ..config.static import StaticBlock
from ..run import Run
from ..systems import System
from .forcing import Box, ShownWeather
from .inputs import ShownInputs
from .shown import Shown

SOURCES = {
    "orog": "a digital elevation model, such as ETOPO (land_only: true) or MERIT DEM",
    **dict.fromkeys(("sand", "clay", "soc", "bdod", "phh2o"), "SoilGrids or HWSD"),
    "lai": "a climatology of twelve bands, or MODIS composites",
    "ndep": "ISIMIP or input4MIPs",
    "cropFrac": "land cover: ESA CCI or MODIS MCD12Q1",
    "wetlandFrac": "land cover, or a map of wetlands",
}
"""Where static layers come from (docs/your_data.md)."""
COMMENTS = {
    "run": "Name of the run; results go to results/<name>.",
    "system": "What is estimated.",
    "grid": "Target grid, and the edge of a tile in degrees: a tile and a year are one job.",
    "domain": "The area in degrees; tiles without land are left out.",
    "period": "Years of the product, and how the state before the first one is made ('previous' years, or 'repeat').",
    "forcing": "Daily weather.",
    "atmosphere": "Gases of the atmosphere, in place of the tables of fluxatlas.",
    "static": "Layers that do not change from day to day (docs/static_layers.md).",
    "sites": "Towers and chambers (docs/sites.md).",
    "constraints": "Fluxes of inversions and soil moisture on a grid (docs/constraints.md).",
    "regions": "User-defined regions for the budget (docs/regions.md); the names are yours to choose.",
}
HEADER = """\
# A first configuration, written by `fluxatlas init`: it says only what differs from the defaults. All keys are in
# docs/configuration.md. Paths are relative to the folder that the run is started in. Next: fluxatlas check {name}
"""


@dataclass(frozen=True)
class Lack:
    """What is missing at ``key`` of the configuration, and what would fill it."""

    key: str
    what: str


def settings(
    name: str, system: str, area: Box, years: tuple[int, int], found: ShownWeather, rest: ShownInputs
) -> dict[str, Any]:
    """The configuration as data; raises :class:`ConfigError` where it would be refused."""
    west, south, east, north = (int(edge) if edge == int(edge) else edge for edge in area)
    before = [year for year in found.years if year < years[0]]
    spinup = (
        {"spinup": "previous", "spinup_years": 1} if years[0] - 1 in before else {"spinup": "repeat", "spinup_years": 2}
    )
    data: dict[str, Any] = {
        "run": {"name": name},
        "system": system,
        "grid": {"name": "4km", "tile_size": _tile(area)},
        "domain": {"west": west, "south": south, "east": east, "north": north},
        "period": {"start": years[0], "end": years[1], **spinup},
        "forcing": found.block,
        **{key: rest.blocks[key] for key in COMMENTS if key in rest.blocks},
    }
    Run(load(data)).describe()
    return data


def _tile(area: Box) -> int:
    """Edge of a tile in degrees: few tiles for a small area, jobs of minutes for a large one."""
    wide = max(area[2] - area[0], area[3] - area[1])
    return next((size for most, size in ((3, 1), (8, 2), (30, 5), (90, 10)) if wide <= most), 15)


def lacks(system: System, found: ShownWeather, rest: ShownInputs) -> list[Lack]:
    """What a run of ``system`` needs beside what was shown, in the order of the configuration."""
    listed = []
    if not found.used:
        listed.append(Lack("forcing", f"daily {', '.join(system.forcing)}; the paths in the file are examples"))
    elif absent := [name for name in system.forcing if name not in found.makes]:
        listed.append(Lack("forcing.path", f"files that make {', '.join(absent)}"))
    if not found.elevation:
        listed.append(Lack("forcing.elevation", "altitude or geopotential on the grid of the weather, in NetCDF"))
    if found.mapping:
        listed.append(Lack("forcing.mapping", "how to cite the weather; a look at units and times, which were guessed"))
    given = given_layers(StaticBlock.model_validate(rest.blocks.get("static", {})))
    groups: dict[str, list[str]] = {}
    for name in system.layers:
        if name not in given:
            groups.setdefault(SOURCES.get(name, "a map, or a constant with its reason"), []).append(name)
    listed += [Lack(f"static.layers: {', '.join(names)}", text) for text, names in groups.items()]
    if "landcover" not in rest.blocks.get("static", {}) and "cropFrac" in given:
        listed.append(Lack("static.landcover", "land cover; without it all land counts as what the system is about"))
    if "sites" not in rest.blocks:
        measured = dict.fromkeys(kind.measured or kind.variable for kind in system.observations)
        listed.append(Lack("sites.entries", f"sites that measure {', '.join(measured)}"))
    return listed


def text(data: Mapping[str, Any], notes: Mapping[str, str], missing: Sequence[Lack], name: str) -> str:
    """``data`` as YAML: each block below a comment, with ``notes`` by block, and what is ``missing`` of it."""
    parts = [HEADER.format(name=name)]
    for key, value in data.items():
        said = [COMMENTS[key], *([notes[key]] if key in notes else [])]
        said += [f"Still lacks {lack.key}: {lack.what}." for lack in missing if _block(lack) == key]
        lines = [line for one in said for line in _wrapped(one)]
        style = None if isinstance(value, Mapping) else False
        body = yaml.safe_dump({key: value}, sort_keys=False, default_flow_style=style, width=110, allow_unicode=True)
        parts.append("\n".join(lines) + f"\n{body}")
    for key in dict.fromkeys(_block(lack) for lack in missing):
        if key not in data:
            lines = [f"Still lacks {lack.key}: {lack.what}." for lack in missing if _block(lack) == key]
            parts.append("\n".join(line for one in [COMMENTS[key], *lines] for line in _wrapped(one)) + f"\n# {key}:\n")
    return "\n".join(parts)


def _block(lack: Lack) -> str:
    return lack.key.split(".")[0]


def _wrapped(said: str) -> list[str]:
    return textwrap.wrap(said, 112, initial_indent="# ", subsequent_indent="#   ", break_long_words=False)


def mapping_text(mapping: Mapping[str, Any]) -> str:
    """A proposed mapping as YAML."""
    head = (
        "# How the weather is read (docs/forcing_mappings.md), proposed by `fluxatlas init`: check units and times.\n"
    )
    return head + yaml.safe_dump(dict(mapping), sort_keys=False, allow_unicode=True)


def unused(shown: Sequence[Shown], found: ShownWeather, rest: ShownInputs) -> list[tuple[str, str]]:
    """Files that the configuration does not name, with the reason."""
    used = {id(one) for one in (*found.used, found.elevation, *(one for one, _ in rest.used))}
    return [(one.what, _why(one)) for one in shown if id(one) not in used]


def _why(one: Shown) -> str:
    if not one.first.usable:
        return one.first.verdict or "not recognised"
    keys = ", ".join(dict.fromkeys(use.key for use in one.first.uses))
    return (
        f"can be given to {keys}, but nothing needs it there, or another file is better" if keys else one.first.verdict
    )

"""The blocks of a first configuration that name static layers, sites, gases, constraints and regions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config.providers import SOIL, interval
from ..config.sites import UNUSED, SiteEntry
from ..errors import InputError
from ..ingest.sites.inputs import entry_files
from ..inspect.report import Use
from ..systems import System
from .forcing import Box
from .shown import Shown


@dataclass
class ShownInputs:
    """``blocks`` by key of the configuration; ``used`` files with where they went; ``boxes`` of static layers."""

    blocks: dict[str, Any] = field(default_factory=dict)
    used: list[tuple[Shown, str]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


def inputs(shown: Sequence[Shown], system: System) -> ShownInputs:
    """What the ``shown`` files are to ``system``, the forcing aside."""
    found = ShownInputs()
    static: dict[str, Any] = {}
    _layers(found, shown, static)
    _cover(found, shown, static)
    if static:
        found.blocks["static"] = static
    _sites(found, shown)
    for gas in system.series:
        for one, _ in _first(found, shown, f"atmosphere.series.{gas}"):
            found.blocks.setdefault("atmosphere", {"series": {}})["series"][gas] = {"path": one.path}
    for one in shown:
        for use in one.uses("constraints.sets"):
            sets = found.blocks.setdefault("constraints", {"sets": {}})["sets"]
            sets.setdefault(use.options["kind"], {"path": [], **use.options})["path"] += _paths(one)
            found.used.append((one, f"constraints.sets.{use.options['kind']}"))
        for use in one.uses("regions.maps"):
            name = f"of_{re.sub(r'[^A-Za-z0-9]+', '_', Path(one.path).stem).strip('_')}"
            found.blocks.setdefault("regions", {"maps": {}})["maps"][name] = {"path": one.path, **use.options}
            found.used.append((one, f"regions.maps.{name}"))
    return found


def _paths(one: Shown) -> list[str]:
    return [path.as_posix() for path in one.paths]


def _first(found: ShownInputs, shown: Sequence[Shown], key: str) -> list[tuple[Shown, Use]]:
    """The first file that can be given to ``key``, which is noted, as a list of one or none."""
    fitting = [(one, use) for one in shown for use in one.uses(key)]
    _note(found, fitting[:1], key)
    return fitting[:1]


def _note(found: ShownInputs, files: Sequence[tuple[Shown, Use]], key: str) -> None:
    for one, _ in files:
        found.used.append((one, key))
        space = one.first.space
        if key.startswith("static.") and space and len(space.bbox) == 4 and space.crs != "unknown":
            west, south, east, north = space.bbox
            turn = 360.0 if west >= 180 else 0.0
            found.boxes.append(
                (-180.0, south, 180.0, north) if east > 180 > west else (west - turn, south, east - turn, north)
            )


def _layers(found: ShownInputs, shown: Sequence[Shown], static: dict[str, Any]) -> None:
    """``static.soil`` and ``static.layers``: of several files for a layer the one with the finest cells."""
    held: dict[str, list[tuple[Shown, Use]]] = {}
    for one in shown:
        for use in one.below_key("static.layers"):
            held.setdefault(use.key.removeprefix("static.layers."), []).append((one, use))
    layers: dict[str, Any] = {}
    for name, files in held.items():
        grids = [file for file in files if file[1].options.get("provider") == "soilgrids"]
        parts = [file for file in files if "part-of-nitrogen" in file[0].first.codes()]
        if grids:
            layers[name] = _soilgrids(grids)
            _note(found, grids, f"static.layers.{name}")
        elif len(parts) > 1:
            keys = {key: value for key, value in parts[0][1].options.items() if key != "variable"}
            layers[name] = {"path": [path for one, _ in parts for path in _paths(one)], **keys}
            _note(found, parts, f"static.layers.{name}")
        else:
            best = min(files, key=lambda file: _fineness(file[0]))
            layers[name] = {"path": best[0].path, **best[1].options}
            _note(found, [best], f"static.layers.{name}")
    soil = [layers[name] for name in SOIL if name in layers]
    if len(soil) == len(SOIL) and soil[0].get("provider") and all(one == soil[0] for one in soil):
        static["soil"] = soil[0]
        layers = {name: layer for name, layer in layers.items() if name not in SOIL}
    maps, tables = ([one for one in shown if one.uses(key)] for key in ("static.soil", "static.soil.table"))
    if maps and tables and "soil" not in static:
        static["soil"] = {**maps[0].uses("static.soil")[0].options, "path": maps[0].path, "table": tables[0].path}
        found.used += [(maps[0], "static.soil"), (tables[0], "static.soil.table")]
    if layers:
        static["layers"] = layers


def _fineness(one: Shown) -> float:
    """Rows of cells per degree, turned round: the finest grid is the smallest number."""
    space = one.first.space
    if space is None or len(space.bbox) != 4 or not space.shape:
        return 1e9
    return (space.bbox[3] - space.bbox[1]) / max(space.shape[0], 1)


def _soilgrids(files: Sequence[tuple[Shown, Use]]) -> dict[str, Any]:
    """A layer of SoilGrids: the folder of its files and the depth that they reach, 30 cm at most."""
    paths = [path for one, _ in files for path in one.paths]
    depths = sorted(found for path in paths if (found := interval(path.stem)))
    bottom = 0.0
    for high, low in depths:
        bottom = low if high <= bottom else bottom
    if not bottom:
        return {"path": files[0][0].path, "provider": "soilgrids"}
    return {"provider": "soilgrids", "path": paths[0].parent.as_posix(), "depth": [0, min(30, int(bottom))]}


def _cover(found: ShownInputs, shown: Sequence[Shown], static: dict[str, Any]) -> None:
    """``static.landcover`` and ``static.lai_series``."""
    for one, use in _first(found, shown, "static.landcover"):
        static["landcover"] = {"path": one.path, **use.options}
    series = [(one, use) for one in shown for use in one.uses("static.lai_series")]
    if series and "lai" not in static.get("layers", {}):
        static["lai_series"] = {"path": [path for one, _ in series for path in _paths(one)]}
        _note(found, series, "static.lai_series")


def _sites(found: ShownInputs, shown: Sequence[Shown]) -> None:
    """``sites.entries``: one for each layout and encoding, with the tables of positions and of attributes."""
    kinds: dict[tuple[str, str], list[Shown]] = {}
    for one in shown:
        for use in one.uses("sites.entries"):
            kinds.setdefault((use.options["source"], use.options.get("encoding", "")), []).append(one)
            found.used.append((one, f"sites.entries: {use.options['source']}"))
    if not kinds:
        return
    entries = []
    tables = {key: [one for one in shown if one.uses(f"sites.{key}")] for key in ("metadata", "attributes")}
    for (source, encoding), files in kinds.items():
        entry: dict[str, Any] = {"source": source, "path": _folder(source, files)}
        if encoding:
            entry["encoding"] = encoding
        placeless = any("position-not-in-file" in one.first.codes() for one in files)
        for key, table in tables.items():
            if table and source not in UNUSED[key][0] and (key == "attributes" or placeless):
                entry[key] = table[0].path
                found.used.append((table[0], f"sites.entries: {key}"))
        entries.append(entry)
    found.blocks["sites"] = {"entries": entries}


def _folder(source: str, files: Sequence[Shown]) -> list[str]:
    """The folder that holds ``files`` and no other of the layout ``source``, else the files themselves."""
    paths = [path for one in files for path in one.paths]
    names = sorted(path.as_posix() for path in paths)
    folder = files[0].below
    if len(paths) > 1 and source != "cosore" and all(one.below == folder for one in files):
        try:
            if sorted(entry_files(SiteEntry(source=source, path=[folder.as_posix()]))) == names:  # type: ignore[arg-type]
                return [folder.as_posix()]
        except InputError:
            pass
    return names

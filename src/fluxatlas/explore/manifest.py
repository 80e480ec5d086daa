"""What the page has to know before it reads a number: ``manifest.json`` beside the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import zarr
from matplotlib.colors import to_hex

from .. import __version__
from ..constants import NORMAL_90
from ..errors import FluxAtlasError
from ..files import write_text
from ..hashes import settings_hash
from ..report.verdicts import called
from ..results import RunResults
from ..style import limits
from ..systems import get_system
from .drivers import GROUP, DriverSource
from .members import MemberSource
from .regions import regions
from .source import STEPS, ProductSource
from .store import VERSION, coasts, shards

RAMPS = ("viridis", "cividis", "magma", "YlGnBu", "RdBu_r", "PuOr_r", "BrBG")
"""Colour maps that colour-blind readers can tell apart; the last three have their middle at zero."""
DIVERGING = RAMPS[4:]
SAMPLES = 12
"""Times that the limits of the colours are taken from."""


def fingerprint(source: ProductSource, members: MemberSource | None = None, drivers: DriverSource | None = None) -> str:
    """What the store is made of: layout and the files of product, members and drivers with size and time."""
    files = [*source.files, *(members.files if members else ()), *(drivers.files if drivers else ())]
    stats = [(str(Path(*path.parts[-2:])), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return json.dumps([VERSION, *stats])


def write_manifest(source: ProductSource, store: Path, output: Path, made_of: str, absent: str = "") -> None:
    """Write ``manifest.json`` for the store of ``source``, which is ``made_of`` what :func:`fingerprint` says.

    ``absent``: why it has no drivers.
    """
    run = source.run
    about = run.about
    content = {
        "version": VERSION,
        "tag": settings_hash(made_of),
        "fluxatlas": __version__,
        "title": about["fluxatlas_about"].get("run") or run.folder.name,
        "summary": about.get("summary", ""),
        "synthetic": bool(about["fluxatlas_about"].get("synthetic")),
        "license": about.get("license", ""),
        "source": about.get("source", ""),
        "band": NORMAL_90,
        "bbox": source.lattice.bbox,
        "years": list(run.years),
        "fields": _fields(run, store),
        "fixed": [name for name in ("applicable", "dissimilarity") if (store / "fixed" / "0" / name).is_dir()],
        "coasts": [name for name, *_ in coasts(source.lattice)],
        **_drivers(store, absent),
        "about": _described(store),
        "shards": _files(store),
        "ramps": {name: _ramp(name) for name in RAMPS},
        "diverging": list(DIVERGING),
        "sites": _sites(run),
        **regions(run),
    }
    write_text(output, json.dumps(content, allow_nan=False, separators=(",", ":")))


def _fields(run: RunResults, store: Path) -> list[dict[str, Any]]:
    """The variables of the run, the one that its system shows first."""
    try:
        system = get_system(json.loads(run.about.get("fluxatlas_settings", "{}")).get("system", ""))
    except FluxAtlasError:  # one's own, which is not installed here
        system = None
    first = system.shown_flux.variable if system else ""
    names = sorted(run.variables, key=lambda name: (name != first, name))
    return [_field(name, called(name, system) if system else name, store) for name in names]


def _field(name: str, label: str, store: Path) -> dict[str, Any]:
    """Label, unit, and for each step the statistics that there are with limits for their colours."""
    steps: dict[str, dict[str, list[float]]] = {}
    for step in STEPS:
        for statistic, array in (("mean", name), ("sd", f"{name}_sd")):
            if (store / step / "0" / array).is_dir():
                steps.setdefault(step, {})[statistic] = _limits(store / step, array, zero=statistic == "sd")
    for step, known in steps.items():  # each member in the colours of their mean
        if "mean" in known:
            known |= {f"m{m}": known["mean"] for m in range(_members(store / step / "0", name))}
    attrs = zarr.open_array(str(store / next(iter(steps)) / "0" / name), mode="r").attrs
    low, high = next(iter(steps.values()))["mean"]
    both = low < 0 < high and min(-low, high) > 0.1 * max(-low, high)
    return {
        "name": name,
        "label": label,
        "long_name": attrs.get("long_name", name),
        "units": attrs.get("units", ""),
        "steps": steps,
        "ramp": DIVERGING[0] if both else RAMPS[0],
    }


def _members(folder: Path, name: str) -> int:
    """How many members of the ensemble the level in ``folder`` holds of a variable."""
    return len([path for path in folder.glob(f"{name}_m*") if path.name.removeprefix(f"{name}_m").isdigit()])


def _limits(folder: Path, array: str, zero: bool) -> list[float]:
    """Limits of the colours from the coarsest level at a few times, rounded; from zero where ``zero``."""
    top = max(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    found: Any = zarr.open_array(str(folder / str(top) / array), mode="r")
    count = found.shape[0]
    picked = np.unique(np.linspace(0, count - 1, min(count, SAMPLES)).astype(int))
    raw = np.stack([found[int(index)] for index in picked])
    fill = found.fill_value
    values = np.where(raw == fill, np.nan, raw.astype(float)) if raw.dtype.kind in "iu" else raw.astype(float)
    low, high = limits(values * found.attrs.get("scale_factor", 1.0) + found.attrs.get("add_offset", 0.0))
    digits = 2 - int(np.floor(np.log10(max(high - low, 1e-30))))
    return [0.0 if zero else round(low, digits), round(high, digits)]


def _described(store: Path) -> dict[str, Any]:
    """What the store says of the groups and arrays that the page reads, so that it need not ask for it."""
    root = json.loads((store / "zarr.json").read_text())["consolidated_metadata"]["metadata"]
    return {
        path: about
        for path, about in root.items()
        if "multiscales" in about["attributes"] or len(about.get("shape", ())) > 1
    }


def _drivers(store: Path, absent: str) -> dict[str, Any]:
    """``drivers``: names, words and kinds; ``adjustment``: how the weather is brought to the altitude of a cell."""
    if not (store / GROUP).is_dir():
        return {"drivers": [], "no_drivers": absent}
    about = json.loads((store / GROUP / "zarr.json").read_text())["attributes"]
    return {"drivers": about["drivers"], "adjustment": about["adjustment"]}


def _files(store: Path) -> dict[str, dict[str, list[str]]]:
    """For each array in shards the places that have files, so that nobody asks for those that are not there."""
    found = {}
    for path in store.glob("*/*/*/zarr.json"):
        about = json.loads(path.read_text())
        if about["node_type"] == "array" and about["codecs"][0]["name"] == "sharding_indexed":
            name = str(path.parent.relative_to(store))
            whole, part = shards(path.parent, about)
            found[name] = {"whole": whole, "part": part}
    return found


def _ramp(name: str) -> list[str]:
    return [to_hex(color) for color in mpl.colormaps[name](np.linspace(0, 1, 64))]


def _sites(run: RunResults) -> list[dict[str, Any]]:
    table = pd.DataFrame(run.sites.drop(columns="geometry"))
    rows = []
    for row in table.to_dict("records"):
        use = str(row.get("use", "train"))
        kind = row.get("kind")
        rows.append(
            {
                "site": str(row["site"]),
                "lat": float(row["lat"]),
                "lon": float(row["lon"]),
                "kind": kind if isinstance(kind, str) else "",
                "trained": use != "evaluate",
            }
        )
    return rows

"""Static layers and maps of regions before the first job, read in a few places by the stage regrid's own readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import variables
from ..config.lai import lai_inputs
from ..config.static import StaticBlock
from ..errors import InputError, counted
from ..regrid.area_maps import read_area_maps
from ..regrid.cover import shares
from ..regrid.frame import Frame
from ..regrid.layers import read_layer
from ..regrid.regions import region_shares
from ..run import Run
from .findings import Findings


def look(run: Run, frames: Sequence[Frame], findings: Findings) -> None:
    """Look at the static layers and the regions of ``run`` in ``frames``, small places on land."""
    if not run.is_synthetic:
        _static(run, frames, findings)
    for name, source in run.config.regions.maps.items():
        with findings.trying(f"regions.maps.{name}"):
            region_shares(source, frames[0].lat, frames[0].lon)
            findings.seen.append(f"regions {name}")


def _static(run: Run, frames: Sequence[Frame], findings: Findings) -> None:
    block: StaticBlock = run.static
    absent = [name for name in run.system.layers if name not in given_layers(block)]
    if absent:
        findings.add(
            InputError(f"no layer for {', '.join(absent)}", where="static.layers", hint="add a file or constant")
        )
    found: dict[str, list[npt.NDArray[Any]]] = {}
    for name, layer in block.all_layers().items():
        with findings.trying(f"static.layers.{name}"):
            found[name] = [read_layer(name, layer, frame) for frame in frames]
            if not any(np.isfinite(values).any() for values in found[name]):
                findings.notes.append(
                    f"static.layers.{name} has no value in the {counted(len(frames), 'place')} looked at"
                )
    for name, layer in block.area_maps.items():
        with findings.trying(f"static.area_maps.{name}"):
            alone = block.model_copy(update={"area_maps": {name: layer}})
            for frame in frames:
                read_area_maps(alone, run.system.mask, frame, np.full(frame.shape, 100.0))
    if block.landcover:
        with findings.trying("static.landcover"):
            for frame in frames:
                shares(block.landcover, frame)
    if block.lai_series and not findings.absent("static.lai_series", lai_inputs(block.lai_series)):
        findings.unseen.append("values of static.lai_series")
    findings.seen.append(f"{counted(len(found), 'static layer')} ({counted(len(frames), 'place')})")
    if block.area_maps:
        findings.seen.append(counted(len(block.area_maps), "map of the area", "maps of the area"))
    _texture(found, frames, findings)


def given_layers(block: StaticBlock) -> set[str]:
    """Names of the layers that ``block`` gives, or that are made from what it gives."""
    made = {"sftlf", "uplandFrac", "wetlandFrac", "biome"}
    return {*made, *block.all_layers(), *(["lai"] * bool(block.lai_series)), *(["cropFrac"] * bool(block.landcover))}


def constants(block: StaticBlock) -> set[str]:
    """Names of the layers that are a constant, which says nothing of places outside the domain."""
    return {name for name, layer in block.all_layers().items() if layer.constant is not None}


def _texture(found: dict[str, list[npt.NDArray[Any]]], frames: Sequence[Frame], findings: Findings) -> None:
    """Sand and clay are parts of one soil, in one unit."""
    if not {"sand", "clay"} <= found.keys():
        return
    spots = [(lat, lon) for frame in frames for lat in frame.lat for lon in frame.lon]
    sand, clay = (np.concatenate([part.ravel() for part in found[name]]) for name in ("sand", "clay"))

    def place(index: int) -> str:
        return f"at {spots[index][0]:.3f} N {spots[index][1]:.3f} E"

    with findings.trying("static.layers"):
        variables.check_texture(sand, clay, where="static.layers.sand, static.layers.clay", place=place)

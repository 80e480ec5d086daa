"""One constraint of the configuration from its files to ``ingest/constraints/<name>.nc``, in bounded memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...config.constraints import Constraint, constraint_inputs
from ...errors import ConfigError, InputError
from ...files import atomic, file_hash, provenance
from ...grid import get_grid
from ..coordinates import BBox
from .cells import CellAxes
from .inversion_file import InversionRequest
from .inversions import Inversion
from .kinds import KINDS
from .output import ConstraintFile, write_points
from .points import SoilPoints, are_points
from .recognise import Recognised, recognise
from .soil_kinds import SOIL_KINDS
from .soil_moisture import GLOBE, SoilMoisture, counted

Say = Callable[[str], None]

FLUX = "fco2"
"""Canonical name of the net land flux."""
MOST_HASHED = 50
"""Up to so many files are traced by their content, more by names and sizes."""


def build(settings: Constraint, output: str | Path, bbox: BBox = GLOBE, say: Say = print) -> None:
    """Write the file of one constraint; soil moisture is cut to ``bbox``, fluxes stay as large as the files.

    Raises :class:`InputError` (nothing is written) for no file and for whatever the readers refuse.
    """
    paths = [Path(name) for name in constraint_inputs(settings)]
    if not paths:
        raise InputError(
            "no file matches the pattern", where=", ".join(settings.path), hint="correct 'path', or get the files"
        )
    found = kind_of(settings, paths[0])
    say(f"{found.title} ({found.kind}), {len(paths)} file{'s' if len(paths) > 1 else ''}")
    attrs = {
        "Conventions": "CF-1.11",
        **provenance("ingest constraint", settings.model_dump(mode="json"), {}),
        "fluxatlas_inputs": _traced(paths),
        **({"override_reason": settings.reason} if settings.reason else {}),
    }
    with atomic(output) as partial:
        if found.family == "inversion":
            _fluxes(settings, found.kind, paths, partial, attrs, say)
        elif are_points(paths[0]):
            points = SoilPoints(paths, found.kind, years=settings.years)
            write_points(partial, points, attrs)
            say(counted(points.counts()))
        else:
            _soil(settings, found.kind, paths, partial, attrs, bbox, say)


def kind_of(settings: Constraint, path: Path) -> Recognised:
    """What ``path`` is, as stated or recognised.

    Raises :class:`InputError` where it is not known, :class:`ConfigError` for options that do nothing for its kind.
    """
    if settings.kind == "auto":
        found = recognise(path)
    elif settings.kind in KINDS:
        found = Recognised("inversion", settings.kind, KINDS[settings.kind].title)
    else:
        found = Recognised("soil_moisture", settings.kind, SOIL_KINDS[settings.kind].title)
    points = found.family != "inversion" and are_points(path)
    if unused := settings.unused(found.family, points=points):
        what = f"'{unused[0]}' does nothing for {found.title}" + (" at points" if points else "")
        raise ConfigError(what, where=str(path), hint="leave it out, or correct 'kind' (docs/constraints.md)")
    return found


def _fluxes(settings: Constraint, kind: str, paths: list[Path], partial: Path, attrs: dict[str, Any], say: Say) -> None:
    wish = InversionRequest(settings.variable, settings.units, settings.sign, settings.start, settings.add_fire)
    source = Inversion(paths, kind, wish, step=settings.step, keep_gaps=settings.gaps == "keep", years=settings.years)
    cells = CellAxes.regular(source.grid.lat, source.grid.lon)
    file = ConstraintFile(partial, cells, [FLUX], "M" if source.monthly else "D", members=source.members)
    try:
        for number, period in enumerate(source.steps(), start=1):
            file.add(period.start, {FLUX: period.values})
            if number % 120 == 0:
                say(f"{period.start}")
        found = source.attrs()
        file.close({**attrs, **found, "units": "g m-2 d-1 of carbon"})
    finally:
        file.abandon()
    total = f", global sum {found['global_sum']:.2f} PgC yr-1" if "global_sum" in found else ""
    say(f"{found['content']}; fire included: {found['fire_included']}; lateral: {found['lateral']}{total}")
    if source.notes:
        say("; ".join(source.notes))


def _soil(
    settings: Constraint, kind: str, paths: list[Path], partial: Path, attrs: dict[str, Any], bbox: BBox, say: Say
) -> None:
    source = SoilMoisture(
        paths,
        kind,
        bbox=bbox,
        grid=get_grid(settings.grid) if settings.grid else None,
        minimum_share=settings.minimum_share,
        overpass=settings.overpass,
        refuse_gaps=settings.gaps == "refuse",
        years=settings.years,
    )
    file = ConstraintFile(partial, source.cells, source.names, "D")
    try:
        year = None
        for day, values in source.days():
            file.add(day, values)
            if day.astype("datetime64[Y]") != year:
                year = day.astype("datetime64[Y]")
                say(f"{year}")
        file.close({**attrs, **source.attrs()})
    finally:
        file.abandon()
    say(source.summary())
    if source.absent:
        say(f"absent: {'; '.join(source.absent[:5])}" + (" ..." if len(source.absent) > 5 else ""))


def _traced(paths: Sequence[Path]) -> str:
    """How the files are traced: by content, or by number, names and sizes where they are many."""
    import json

    if len(paths) <= MOST_HASHED:
        return json.dumps({str(path): file_hash(path) if path.exists() else "absent" for path in paths}, sort_keys=True)
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name} {path.stat().st_size if path.exists() else -1}\n".encode())
    ends = {str(path): file_hash(path) for path in (paths[0], paths[-1])}
    return json.dumps({"files": len(paths), "names_and_sizes": digest.hexdigest()[:16], **ends}, sort_keys=True)

"""What kind of constraint a file is, from its variables, attributes and name; refused where that is ambiguous."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import InputError
from ...files import NETCDF, open_netcdf
from ..containers import open_container
from .kinds import KINDS, pick
from .soil_kinds import SOIL_KINDS


@dataclass(frozen=True)
class Recognised:
    """``kind`` is a key of :data:`KINDS` (family ``inversion``) or :data:`SOIL_KINDS` (``soil_moisture``)."""

    family: Literal["inversion", "soil_moisture"]
    kind: str
    title: str


def recognise(path: str | Path) -> Recognised:
    """The kind of the file at ``path``.

    Raises :class:`InputError` where the file cannot be read, is of no known kind, or fits several: then the message
    names them, and the configuration has to say which it is.
    """
    names, text = _contents(Path(path))
    found = candidates(names, f"{Path(path).name} {text}")
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"the file fits several kinds: {', '.join(sorted(f.kind for f in found))}",
            where=str(path),
            hint="say which it is with 'kind'",
        )
    if "gpi" in names:
        raise InputError(
            "the file is an index of grid points (gpi, cell) without data",
            where=str(path),
            hint="give the cell files beside it, such as 0165.nc",
        )
    raise InputError(
        f"the file is of no known kind of constraint; it holds {', '.join(sorted(names)[:8]) or 'no variables'}",
        where=str(path),
        hint=f"set 'kind' ({', '.join([*KINDS, *SOIL_KINDS])}) and, where the name differs, 'variable'",
    )


def candidates(names: Collection[str], text: str) -> list[Recognised]:
    """Every kind that a file with variables ``names`` (``group/name``) fits; ``text``: its name and attributes."""
    said = text.lower()
    found: list[Recognised] = []
    for key, kind in KINDS.items():
        named = any(word in said for word in kind.names)
        if pick(kind.variables, list(names)) and (named or not kind.names):
            found.append(Recognised("inversion", key, kind.title))
    for name, soil in SOIL_KINDS.items():
        if any(v in names for spellings in soil.variables.values() for v in spellings) and (
            not soil.names or any(word in said for word in soil.names)
        ):
            found.append(Recognised("soil_moisture", name, soil.title))
    sure = [f for f in found if _names(f) and any(word in said for word in _names(f))]
    return sure if len(sure) == 1 else found


def _names(found: Recognised) -> tuple[str, ...]:
    return KINDS[found.kind].names if found.family == "inversion" else SOIL_KINDS[found.kind].names


def _contents(path: Path) -> tuple[set[str], str]:
    """Names of all variables, those in groups as ``group/name``, and the global attributes as text."""
    import netCDF4

    if path.suffix in (".h5", ".hdf5", ".he5") and path.is_file():
        open_netcdf(path, decode_times=False).close()
        with NETCDF, netCDF4.Dataset(path) as file:
            names = set(file.variables)
            names |= {f"{name}/{variable}" for name, group in file.groups.items() for variable in group.variables}
            return names, " ".join(str(file.getncattr(key)) for key in file.ncattrs())
    opened = open_container(path, decode_times=False)
    names = {str(name) for _, dataset in opened for name in dataset.variables}
    text = " ".join(str(v)[:300] for _, dataset in opened for v in dataset.attrs.values())
    for _, dataset in opened:
        dataset.close()
    return names, text

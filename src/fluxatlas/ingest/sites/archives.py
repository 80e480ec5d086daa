"""Zip archives read in place: a path may lead into one, as in ``FLX_XX-Abc_....zip/FLX_XX-Abc_..._DD_....csv``."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ...errors import InputError
from ...magic import DAMAGE
from .inputs import belongs

LARGEST = 4 * 1024**3
"""Largest member that is unpacked [bytes]; what promises more is not a site file."""


@contextmanager
def opened(source: str | Path | bytes, where: str) -> Iterator[zipfile.ZipFile]:
    """The archive at a path or in memory; whatever is wrong with it becomes one :class:`InputError`."""
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            yield archive
    except DAMAGE as problem:
        raise InputError(
            f"the zip is damaged ({problem})", where=where, hint="delete it and download it again"
        ) from None


def unpack(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """The bytes of a member; raises :class:`InputError` for one of more than :data:`LARGEST`."""
    if archive.getinfo(name).file_size > LARGEST:
        raise InputError(f"'{name}' unpacks to more than 4 GiB", where=where, hint="check the file")
    return archive.read(name)


def members(files: Sequence[str], source: str) -> list[str]:
    """``files`` with each zip replaced by the paths of its members that belong to the layout ``source``, sorted.

    Raises :class:`InputError` for a damaged zip and for one without such a member.
    """
    found: list[str] = []
    for path in files:
        if not str(path).lower().endswith(".zip"):
            found.append(str(path))
            continue
        if not Path(path).is_file():
            raise InputError("file cannot be read (no such file)", where=str(path), hint="check the path")
        with opened(path, str(path)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
        inside = sorted(name for name in names if belongs(name, source) and not name.lower().endswith(".zip"))
        if not inside:
            shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
            raise InputError(
                "the zip holds no file of this layout",
                where=str(path),
                hint=f"it holds {shown}: unpack archives within it first" if names else "download it again",
            )
        found += [f"{path}/{name}" for name in inside]
    return found


def inner(path: str | Path) -> bytes | None:
    """The bytes at a path that leads into a zip, or None where it does not."""
    text = str(path)
    for at in (found.end() for found in re.finditer(r"\.zip(?=/)", text, re.IGNORECASE)):
        if Path(text[:at]).is_file():
            with opened(text[:at], text) as archive:
                return unpack(archive, text[at + 1 :], text)
    return None

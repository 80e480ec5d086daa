"""The folder of the page: our own files, the map library, the store and what the page must know of it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigError, InputError
from ..files import atomic, atomic_folder, refuse_others, write_text
from ..results import open_run
from .drivers import find_drivers
from .manifest import fingerprint, write_manifest
from .members import MemberSource
from .source import ProductSource
from .store import build

PAGE = Path(__file__).parent / "page"
LIBRARY = ("maplibre-gl.js", "maplibre-gl.css")
"""Files of MapLibre GL JS in the Python package ``maplibre``, which is where they come from."""
MADE_OF = "made_of.json"
MANIFEST = "manifest.json"


def library() -> list[Path]:
    """The files of the map library; raises :class:`InputError` where the package is not installed or lacks them."""
    spec = find_spec("maplibre")
    folder = Path(spec.origin).parent / "srcjs" if spec and spec.origin else Path()
    if not all((folder / name).is_file() for name in LIBRARY):
        raise InputError(
            "the package maplibre, which has the map of the page, is not installed", hint="pip install maplibre"
        )
    return [folder / name for name in LIBRARY]


def make(run: str | Path, drivers: bool = True) -> tuple[Path, bool]:
    """Bring the page of ``run`` up to date, in ``<run>/explore``; that folder, and whether its store was made anew.

    ``drivers``: whether it holds them, where the run still has their files. Raises :class:`InputError` where the run
    has no product, or the map library is absent.
    """
    results = open_run(run)
    folder = results.folder / "explore"
    parts = [*PAGE.iterdir(), *library()]
    with ExitStack() as stack:
        source = ProductSource(results, stack)
        given, absent = find_drivers(results, source.lattice) if drivers else (None, "as was asked for")
        members = MemberSource(source, source.lattice)
        now, note = fingerprint(source, members, given), folder / MADE_OF
        stale = not note.is_file() or note.read_text() != now or not (folder / "store.zarr").is_dir()
        if stale:
            note.unlink(missing_ok=True)
            build(
                source,
                folder / "store.zarr",
                {"title": results.about.get("title", ""), "fluxatlas_run": results.folder.name},
                given,
                members,
            )
            write_text(note, now)
        write_manifest(source, folder / "store.zarr", folder / MANIFEST, now, absent)
    for part in parts:
        with atomic(folder / part.name) as partial:
            shutil.copyfile(part, partial)
    return folder, stale


def export(folder: Path, output: Path) -> int:
    """Copy the page in ``folder`` to ``output``, completely or not at all; its size in bytes.

    Raises :class:`ConfigError` where ``output`` is there already and is not an older export.
    """
    refuse_others(output, MANIFEST)
    output = output.absolute()
    if output.is_relative_to(folder.absolute()):
        raise ConfigError("the export cannot lie in the folder it is made from", where=str(output), hint="name another")
    with atomic_folder(output) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", MADE_OF))
        (new / ".nojekyll").touch()  # GitHub Pages then serves every file as it is
        return sum((Path(root) / name).stat().st_size for root, _, names in os.walk(new) for name in names)

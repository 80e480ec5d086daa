"""Reading and writing files so that what exists is complete.

One writer per file. A file is written to a hidden sibling, checked, synced to disk and renamed; a crash leaves no file
under the final name and the sibling is removed, at the latest when the file is written again. NetCDF, Parquet and
member files carry a checksum of their bytes (:func:`fluxatlas.hashes.seal`), which every reader here compares.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from . import __version__
from .errors import ConfigError, FluxAtlasError, InputError, MemoryLimitError
from .failures import MORE_MEMORY
from .hashes import LARGE, SEAL, check_seal, file_hash, seal, settings_hash
from .missing import declare, decode
from .netcdf_classic import missing_bytes
from .paths import IS_CLONE, REPOSITORY

if TYPE_CHECKING:
    import netCDF4
    import pandas as pd
    import xarray as xr

NC_ENOMEM = -61
"""Number of the NetCDF library for memory that it was not given."""
NETCDF = RLock()
"""Held by whoever touches NetCDF in a process that may have several threads: the C libraries below are not made for it,
and xarray's own locks leave out the metadata (two threads that open files at once end in a segmentation fault)."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of ``path`` to write to; rename it to ``path`` only if the block succeeds."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent, {target.stem})
    partial = _sibling(target, f"part{target.suffix}")
    try:
        yield partial
        _finish(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_all(paths: Sequence[str | Path]) -> Iterator[list[Path]]:
    """As :func:`atomic` for many files that belong together: all get their names, or none does.

    Every file is on disk before the first one is renamed. A machine that stops during the renaming leaves some of them
    under their names, each complete.
    """
    targets = [Path(path) for path in paths]
    for folder in {target.parent for target in targets}:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, {target.stem for target in targets if target.parent == folder})
    partials = [_sibling(target, f"part{target.suffix}") for target in targets]
    try:
        yield partials
        with ThreadPoolExecutor(8) as pool:  # waiting for the disk, not for a processor
            list(pool.map(_finish, partials))
        for partial, target in zip(partials, targets, strict=True):
            partial.replace(target)
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)


@contextmanager
def scratch(path: str | Path) -> Iterator[Path]:
    """Yield an empty hidden folder beside ``path`` for what is needed to write it; it is gone after the block."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent, {target.stem})
    folder = _sibling(target, "scratch")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it becomes ``path`` only if the block succeeds, in place of what is there."""
    target = Path(path)
    with scratch(target) as folder:
        new = folder / "new"
        new.mkdir()
        yield new
        if target.exists():
            target.replace(folder / "old")
        new.replace(target)


def refuse_others(path: Path, mark: str) -> None:
    """Raise :class:`ConfigError` where a file, or a folder with files but none called ``mark``, is at ``path``."""
    ours = path.is_dir() and ((path / mark).is_file() or not any(path.iterdir()))
    if path.exists() and not ours:
        what = "the folder holds other files" if path.is_dir() else "is a file"
        hint = "name a folder that does not exist yet; an older export is replaced"
        raise ConfigError(what, where=str(path), hint=hint)


SEALED = (".nc", ".parquet", ".pt")
"""Suffixes of the files between stages that carry a checksum."""
NODE = re.sub(r"[^A-Za-z0-9]", "_", platform.node()) or "node"
OWNED = re.compile(r"\.(?P<stem>.+)\.(?P<node>\w+)-(?P<pid>\d+)-\d+\.(?:part(?:\..*)?|scratch)")
FORGOTTEN = 2 * 86400.0
"""Seconds after which what another machine has not touched is taken for the remains of a dead job."""
_numbers = itertools.count()


def _sibling(target: Path, kind: str) -> Path:
    """A hidden sibling of ``target`` that no other process on any node, and no other thread, writes."""
    return target.with_name(f".{target.stem}.{NODE}-{os.getpid()}-{next(_numbers)}.{kind}")


def _sweep(folder: Path, stems: Set[str]) -> None:
    """Remove what dead writers of the files called ``stems`` have left in ``folder``."""
    for entry in os.scandir(folder):
        if not entry.name.startswith(".") or not (owner := OWNED.fullmatch(entry.name)) or owner["stem"] not in stems:
            continue
        try:
            if owner["node"] == NODE:
                os.kill(int(owner["pid"]), 0)  # asks whether it lives
                continue
            if time.time() - entry.stat().st_mtime < FORGOTTEN:
                continue
        except ProcessLookupError:
            pass
        except OSError:  # it belongs to somebody else, or is gone
            continue
        shutil.rmtree(entry.path, ignore_errors=True) if entry.is_dir() else Path(entry.path).unlink(missing_ok=True)


def _finish(path: Path) -> None:
    """Give a file its checksum, and wait until the disk has it."""
    if path.suffix in SEALED:
        seal(path)
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8, completely or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_netcdf(
    dataset: xr.Dataset,
    path: str | Path,
    encoding: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    attrs: Mapping[str, str] | None = None,
    crs: bool = False,
) -> None:
    """Write ``dataset`` as NetCDF4 with ``encoding`` per variable and ``attrs`` added, completely or not at all.

    With ``crs`` its variables on ``lat`` and ``lon``, which need their CF attributes, say that these are WGS 84.
    """
    dataset = dataset.assign_attrs({**dataset.attrs, **(attrs or {})})
    wanted = {str(name): dict(options) for name, options in (encoding or {}).items()}
    if crs:
        import rioxarray  # noqa: F401 (adds .rio)

        dataset = dataset.rio.write_crs("EPSG:4326", grid_mapping_name="crs")
        for name, values in dataset.data_vars.items():  # xarray forgets the encoding of variables that are given one
            if "grid_mapping" in values.encoding:
                wanted.setdefault(str(name), {})["grid_mapping"] = values.encoding["grid_mapping"]
    with atomic(path) as partial, NETCDF:
        dataset.to_netcdf(partial, engine="netcdf4", encoding=wanted)


def open_netcdf(
    path: str | Path, *, decode_times: bool = True, foreign: bool = False, whole: bool = False, **options: Any
) -> xr.Dataset:
    """Open a NetCDF file lazily; one that others made (``foreign``) with all that it says is missing as NaN.

    The checksum of its bytes is compared first, where all of it will be read (``whole``) or it is small
    (:data:`~fluxatlas.hashes.LARGE`); chunks of larger ones have checksums of their own. Raises :class:`InputError`
    where the file is missing, empty, truncated, damaged or no NetCDF, :class:`MemoryLimitError` where memory ran out.
    """
    import xarray as xr

    source = Path(path)
    if foreign:
        raw = open_netcdf(source, decode_times=False, mask_and_scale=False, **options)
        return decode(declare(raw), str(source), decode_times=decode_times)
    if not source.exists():
        raise InputError("file not found", where=str(source), hint="check the path, or make the file first")
    if source.stat().st_size == 0:
        raise InputError("file is empty", where=str(source), hint="delete it and make or download it again")
    try:
        lacking = missing_bytes(source)  # the library would read zeros there
        if lacking:
            raise OSError(f"its last {lacking:,} bytes are missing")
        check_seal(source, float("inf") if whole else LARGE)
        with NETCDF:
            return xr.open_dataset(source, decode_times=decode_times, engine="netcdf4", **options)
    except (OSError, ValueError, RuntimeError, MemoryError) as problem:
        raise unreadable(problem, source, "cannot be read as NetCDF") from problem


def read_netcdf(
    path: str | Path, *, only: Sequence[str] = (), part: Mapping[str, slice] | None = None, **options: Any
) -> xr.Dataset:
    """Read a NetCDF file, or ``only`` those of its variables that are named, into memory and close it.

    ``part`` are the places of each dimension that are wanted. Errors as :func:`open_netcdf`; a name that the file lacks
    is left out.
    """
    with NETCDF, open_netcdf(path, whole=True, **options) as dataset:
        try:
            chosen = dataset[[name for name in only if name in dataset]] if only else dataset
            return chosen.isel(part or {}).load()
        except (OSError, RuntimeError, MemoryError) as problem:
            raise unreadable(problem, path, "data cannot be read") from problem


def chunk_of(variable: netCDF4.Variable) -> tuple[int, ...]:
    """Size of a chunk of ``variable`` by dimension; its shape where it is stored whole."""
    found = variable.chunking()
    return tuple(variable.shape) if found is None or found == "contiguous" else tuple(int(size) for size in found)


def shuffle(variable: netCDF4.Variable) -> None:
    """Sort the bytes of a new ``variable`` by significance before compression: a third smaller and three times faster.

    netCDF4-python (1.7) does so for zlib only and ignores ``shuffle`` for other codecs, so the function of the NetCDF
    library that it uses itself is called (``nc_def_var_deflate`` with shuffling and without deflation). Where that
    cannot be done the file is larger, and as good.
    """
    define = _define_shuffle()
    if define is not None and not variable.filters()["shuffle"]:
        define(variable._grpid, variable._varid, 1, 0, 0)


@lru_cache
def _define_shuffle() -> Any:
    """``nc_def_var_deflate`` of the NetCDF library that netCDF4-python has loaded, ``None`` if it is not found."""
    import netCDF4

    try:
        return ctypes.CDLL(sys.modules[netCDF4.Dataset.__module__].__file__).nc_def_var_deflate
    except (OSError, AttributeError):
        return None


def unreadable(problem: BaseException, path: str | Path, what: str) -> FluxAtlasError:
    """The error for a file that could not be read: memory that ran out, or damage.

    HDF5 tells neither from the other; a file whose checksum holds is not the one at fault.
    """
    where = str(path)
    if isinstance(problem, MemoryError) or getattr(problem, "errno", 0) in (errno.ENOMEM, NC_ENOMEM):
        return MemoryLimitError(f"memory ran out while the file was read ({problem})", where=where, hint=MORE_MEMORY)
    if check_seal(path):
        hint = f"the file is whole, so that memory or the disk is at fault: {MORE_MEMORY}, or run it again"
        return InputError(f"{what} ({problem})", where=where, hint=hint)
    hint = "the file is probably truncated, else memory ran out: delete it and make or download it again"
    return InputError(f"{what} ({problem})", where=where, hint=hint)


def write_parquet(table: pd.DataFrame, path: str | Path, attrs: Mapping[str, str] | None = None) -> None:
    """Write ``table`` without its index, with ``attrs`` in the metadata of the schema, completely or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.Table.from_pandas(table, preserve_index=False)
    about = {**(data.schema.metadata or {}), **(attrs or {}), "checksum": SEAL}
    with atomic(path) as partial:
        pq.write_table(data.replace_schema_metadata(about), partial, compression="zstd")


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a table; raises :class:`InputError` where the file is damaged or no Parquet."""
    import pandas as pd

    check_seal(path)
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError, MemoryError) as problem:
        raise unreadable(problem, path, "cannot be read as Parquet") from problem


def read_table(path: str | Path, text: Sequence[str] = ("site",)) -> pd.DataFrame:
    """Read a table of ours from CSV, below lines that begin with ``#``: the columns ``text`` are text, also ``007`` and
    ``NA``, and an empty field alone is missing."""
    import pandas as pd

    with Path(path).open(encoding="utf-8") as lines:
        above = sum(1 for _ in itertools.takewhile(lambda line: line.startswith("#"), lines))
    return pd.read_csv(path, skiprows=above, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])


def read_made(
    path: str | Path, columns: Collection[str] = (), *, by: str, text: Sequence[str] = ("site",)
) -> pd.DataFrame:
    """Read a table that an earlier step made (``by``, such as "`ingest sites`"), CSV or Parquet, and has ``columns``.

    ``text`` as for :func:`read_table`. Raises :class:`InputError` for an absent file or column.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError("file not found", where=str(path), hint=f"run {by} first")
    table = read_parquet(source) if source.suffix == ".parquet" else read_table(source, text)
    absent = [name for name in columns if name not in table]
    if absent:
        raise InputError(f"no column {', '.join(absent)}", where=str(path), hint=f"make it again with {by}")
    return table


@lru_cache
def commit() -> str:
    """The commit of the source tree, with ``-dirty`` for local changes, or ``unknown`` outside a checkout."""
    if not IS_CLONE:
        return "unknown"
    try:
        command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def provenance(stage: str, settings: Any, inputs: Mapping[str, str | Path] | None = None) -> dict[str, str]:
    """Global attributes that trace a file: stage, settings (and their hash), hashes of inputs, version and commit."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    hashes = {name: file_hash(path) for name, path in (inputs or {}).items()}
    return {
        "history": f"{now} fluxatlas {__version__} {stage}",
        "fluxatlas_version": __version__,
        "fluxatlas_commit": commit(),
        "fluxatlas_stage": stage,
        "fluxatlas_settings": json.dumps(settings, sort_keys=True, default=str),
        "fluxatlas_settings_hash": settings_hash(settings),
        "fluxatlas_inputs": json.dumps(hashes, sort_keys=True),
    }

"""What a raw path may hold: a NetCDF file, a GRIB file, a Zarr store, or a zip archive of one of them.

The climate data store delivers a request with instantaneous and accumulated variables as a zip with one NetCDF file per
step type. Members are extracted, and GRIB fields decoded, to a temporary folder (``TMPDIR``) that lives as long as the
process. GRIB needs ecCodes (the optional dependency ``fluxatlas[grib]``).
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import magic
from ..errors import InputError
from ..files import open_netcdf
from ..magic import DAMAGE
from ..missing import declare, decode

if TYPE_CHECKING:
    import xarray as xr

AGAIN = "delete it and make or download it again"


def open_container(path: str | Path, *, decode_times: bool = True) -> list[tuple[str, xr.Dataset]]:
    """The data sets of ``path``, lazily, each with a label for messages; times are left as numbers on request.

    Raises :class:`InputError` where the path is missing, empty, truncated, or of an unknown format.
    """
    source = Path(path)
    if source.is_dir():
        return [(str(source), open_zarr(source, decode_times))]
    if not source.exists():
        raise InputError("file not found", where=str(source), hint="check the path, or make the file first")
    with source.open("rb") as handle:
        kind = magic.kind_of(handle.read(magic.LONGEST))
    if kind == "zip":
        return _open_zip(source, decode_times)
    if kind == "grib":
        return _open_grib(source)
    return [(str(source), _open_netcdf(source, decode_times))]


def _open_netcdf(path: Path, decode_times: bool) -> xr.Dataset:
    """A NetCDF file whose packed 16-bit integers are decoded to float32, which holds them exactly enough."""
    from xarray.core.indexing import LazilyIndexedArray

    from .packed import KEY, Unpacked, packing_of

    raw = declare(open_netcdf(path, mask_and_scale=False, decode_times=False))
    for array in raw.variables.values():
        if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
            for key in {"scale_factor", "add_offset"} & set(array.attrs):
                array.attrs[key] = np.float32(array.attrs[key])
    decoded = decode(raw, str(path), decode_times=decode_times)
    for name, array in decoded.variables.items():
        packing = packing_of(raw.variables[name]) if array.dtype == np.float32 and name not in decoded.indexes else None
        if packing is not None:
            array.data = LazilyIndexedArray(Unpacked(packing))
            array.encoding[KEY] = packing
    return decoded


def open_zarr(store: Path, decode_times: bool = True) -> xr.Dataset:
    """A Zarr store of format 2 or 3, with consolidated metadata or without; a folder, or a zip archive of one.

    Raises :class:`InputError` where it cannot be read.
    """
    import xarray as xr
    from xarray.backends import ZarrStore
    from zarr.storage import ZipStore

    target = ZipStore(store, mode="r") if store.is_file() else str(store)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that are not consolidated
            # with its own reading of attributes xarray refuses codes of floating type that others wrote to format 3
            opened = ZarrStore.open_group(target, mode="r", consolidated=None, use_zarr_fill_value_as_mask=True)
            raw = xr.open_dataset(opened, mask_and_scale=False, decode_times=False)
            if opened.zarr_group.metadata.zarr_format == 3:
                for name, array in raw.variables.items():
                    _fill_of_zarr3(array, opened.zarr_group[str(name)])
    except Exception as problem:  # zarr raises many kinds for a broken store
        raise InputError(
            f"cannot be read as a Zarr store ({str(problem).splitlines()[0] if str(problem) else type(problem)})",
            where=str(store),
            hint="a folder must be a Zarr store; if it is one, its metadata are damaged: get it again",
        ) from problem
    return decode(declare(raw), str(store), decode_times=decode_times)


def _fill_of_zarr3(variable: xr.Variable, array: Any) -> None:
    """Give ``variable`` the missing codes of an array of format 3: its attribute, and its fill value unless that is 0.

    Format 2 has one fill value; here the attribute ``_FillValue`` says what is missing, and the fill value of the array
    what was never written, where zero is the default of the libraries.
    """
    import base64

    said = array.attrs.get("_FillValue")
    if isinstance(said, str) and variable.dtype.kind == "f" and said.endswith("="):
        said = np.frombuffer(base64.standard_b64decode(said), "<f8")[0]  # as xarray writes it
    variable.attrs.pop("_FillValue", None)
    codes = ([] if said is None else [said]) + ([array.fill_value] if array.fill_value else [])
    if codes and variable.dtype.kind in "iuf":
        variable.attrs["_FillValue"] = codes[0] if len(codes) == 1 else np.array(codes, variable.dtype)


def _open_zip(archive: Path, decode_times: bool) -> list[tuple[str, xr.Dataset]]:
    try:
        with zipfile.ZipFile(archive) as file:
            names = [name for name in file.namelist() if not name.endswith("/")]
            if any(Path(name).name in ("zarr.json", ".zgroup", ".zmetadata") for name in names):
                return [(str(archive), open_zarr(archive, decode_times))]
            wanted = [name for name in names if Path(name).suffix in (".nc", ".nc4", ".grib", ".grb", ".grib2")]
            if not wanted:
                raise InputError(
                    f"the zip holds no NetCDF or GRIB file but {', '.join(names[:4]) or 'nothing'}",
                    where=str(archive),
                    hint="give the archive as the provider delivered it, or the files in it",
                )
            folder = Path(tempfile.mkdtemp(dir=scratch()))
            extracted = [(f"{archive}:{name}", Path(file.extract(name, folder))) for name in wanted]
    except DAMAGE as problem:
        raise InputError(f"cannot be read as a zip archive ({problem})", where=str(archive), hint=AGAIN) from problem
    found = []
    for label, member in extracted:
        try:
            found += [(label, dataset) for _, dataset in open_container(member, decode_times=decode_times)]
        except InputError as problem:
            raise InputError(problem.what, where=label, hint=problem.hint) from problem
    return found


@lru_cache(maxsize=1)
def scratch() -> str:
    """The folder for extracted members; removed when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix=f"fluxatlas-{os.getpid()}-")
    atexit.register(folder.cleanup)
    return folder.name


def _open_grib(path: Path) -> list[tuple[str, xr.Dataset]]:
    """The variables of a GRIB file over the time they are valid at; decoded to disk by a process of its own."""
    from .grib import open_decoded

    folder = Path(tempfile.mkdtemp(dir=scratch()))
    command = [sys.executable, "-m", "fluxatlas.ingest.grib", str(path), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        problem = (result.stderr.strip().splitlines() or ["it was killed"])[-1]
        if "ModuleNotFoundError" in problem or "library" in problem:
            raise InputError(
                f"GRIB files need ecCodes ({problem})",
                where=str(path),
                hint="pip install 'fluxatlas[grib]', or request NetCDF from the provider",
            )
        raise InputError(f"cannot be read as GRIB ({problem})", where=str(path), hint=AGAIN)
    return [(str(path), dataset) for dataset in open_decoded(folder)]

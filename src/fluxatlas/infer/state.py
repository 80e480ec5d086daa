"""The recurrent state of all members over the active cells of a tile, and its file.

In memory the state is a dictionary ``sub-module -> float32 (member, layer, cell, hidden)``. In the file each sub-module
is a variable with those dimensions (``<sub-module>_layer``, ``<sub-module>_hidden``, since widths may differ), beside
``row`` and ``column``, the cell's position on the grid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import files
from ..errors import InputError, MemberMismatchError
from ..tiles.cells import ActiveCells

EnsembleState = dict[str, npt.NDArray[np.float32]]


def write_state(
    path: str | Path,
    state: Mapping[str, npt.NDArray[np.float32]],
    cells: ActiveCells,
    members: Sequence[str],
    *,
    last_day: pd.Timestamp,
    spinup: bool,
    attrs: Mapping[str, str],
) -> None:
    """Write the state at the end of ``last_day``; ``members`` are the hashes of the member files in order."""
    dataset = xr.Dataset(
        {
            name: (("member", f"{name}_layer", "cell", f"{name}_hidden"), values.astype(np.float32, copy=False))
            for name, values in state.items()
        },
        coords={"row": ("cell", cells.rows.astype(np.int32)), "column": ("cell", cells.columns.astype(np.int32))},
    )
    own = {
        "title": f"Recurrent state of tile {cells.tile.name} at the end of {last_day:%Y-%m-%d}",
        "members": json.dumps(list(members)),
        "last_day": f"{last_day:%Y-%m-%d}",
        "spinup": "yes" if spinup else "no",
        "grid": cells.tile.grid.name,
    }
    encoding = {name: {"zlib": False} for name in dataset.data_vars}
    files.write_netcdf(dataset, path, encoding, attrs={**own, **attrs})  # type: ignore[arg-type]


def read_state(path: str | Path, cells: ActiveCells, members: Sequence[str], first_day: pd.Timestamp) -> EnsembleState:
    """Read a state to start ``first_day`` from.

    Raises :class:`MemberMismatchError` where it is of other members, :class:`InputError` where it is of other cells, or
    of another day (a state of a spin-up may start any year).
    """
    dataset = files.read_netcdf(path)
    where = str(path)
    given = json.loads(dataset.attrs.get("members", "[]"))
    if given != list(members):
        raise MemberMismatchError(
            f"the state was made by members {given}, not by {list(members)}",
            where=where,
            hint="run the year before, or the spin-up, again with these members",
        )
    rows, columns = dataset["row"].to_numpy(), dataset["column"].to_numpy()
    if not (np.array_equal(rows, cells.rows) and np.array_equal(columns, cells.columns)):
        theirs, ours = set(zip(rows, columns, strict=True)), set(zip(cells.rows, cells.columns, strict=True))
        raise InputError(
            f"the state is of other cells: {len(theirs - ours)} are not active, {len(ours - theirs)} active ones lack",
            where=where,
            hint="run the spin-up again, since the attributes have changed",
        )
    last = pd.Timestamp(dataset.attrs["last_day"])
    if dataset.attrs.get("spinup") != "yes" and last + pd.Timedelta(days=1) != first_day:
        raise InputError(
            f"the state is of the end of {last:%Y-%m-%d}, the forcing starts on {first_day:%Y-%m-%d}",
            where=where,
            hint="give the state of the year before, or one of a spin-up",
        )
    return {str(name): dataset[name].to_numpy() for name in dataset.data_vars}

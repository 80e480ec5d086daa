"""The recurrent state of all members over the active cells of a tile, and its file.

The state of a block of cells is a dictionary ``sub-module -> float32 (member, layer, cell, hidden)``. That of a tile
can be larger than all the rest of a job (11 GB at 1 km with five members of 64 units and 10 degrees), so that it is
never in memory as a whole: a :class:`StateStore` on disk hands it from the file to the workers and back. In the file
each sub-module is a variable with those dimensions (``<sub-module>_layer``, ``<sub-module>_hidden``, since widths may
differ), beside ``row`` and ``column``, the cell's position on the grid.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from .. import files
from ..errors import InputError, MemberMismatchError
from ..tiles.cells import ActiveCells
from .sharing import STRIPE

EnsembleState = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class StateStore:
    """The state of ``cells`` cells in ``folder``: one raw float32 file per sub-module, cells slowest.

    ``shapes`` are the sub-modules with the numbers of members, layers and hidden units.
    """

    folder: str
    cells: int
    shapes: tuple[tuple[str, int, int, int], ...]

    def create(self) -> None:
        """Make the files in their full length (sparse)."""
        Path(self.folder).mkdir(parents=True)
        for name, *shape in self.shapes:
            with self._file(name).open("wb") as handle:
                handle.truncate(self.cells * self._bytes(shape))

    def write(self, start: int, state: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Put the ``state`` (member, layer, cell, hidden) of the cells from ``start`` on."""
        for name, *shape in self.shapes:
            block = np.ascontiguousarray(np.moveaxis(state[name], 2, 0), dtype=np.float32)
            handle = os.open(self._file(name), os.O_WRONLY)
            try:
                if os.pwrite(handle, block.data, start * self._bytes(shape)) != block.nbytes:
                    raise OSError(f"short write to {self._file(name)}: the disk is full")
            finally:
                os.close(handle)

    def read(self, start: int, stop: int) -> EnsembleState:
        """The state (member, layer, cell, hidden) of the cells ``start`` to ``stop`` (exclusive)."""
        found = {}
        for name, *shape in self.shapes:
            count = (stop - start) * int(np.prod(shape))
            values = np.fromfile(self._file(name), np.float32, count=count, offset=start * self._bytes(shape))
            found[name] = np.moveaxis(values.reshape(stop - start, *shape), 0, 2)
        return found

    @property
    def stripes(self) -> Iterator[tuple[int, int]]:
        """First and last cell (exclusive) of each stripe of :data:`STRIPE`."""
        return ((start, min(start + STRIPE, self.cells)) for start in range(0, self.cells, STRIPE))

    def _file(self, name: str) -> Path:
        return Path(self.folder) / f"{name}.float32"

    @staticmethod
    def _bytes(shape: Sequence[int]) -> int:
        return 4 * int(np.prod(shape))


def write_state(
    path: str | Path,
    state: StateStore,
    cells: ActiveCells,
    members: Sequence[str],
    *,
    last_day: pd.Timestamp,
    spinup: bool,
    attrs: Mapping[str, str],
) -> None:
    """Write the state at the end of ``last_day``; ``members`` are the hashes of the member files in order."""
    own = {
        "title": f"Recurrent state of tile {cells.tile.name} at the end of {last_day:%Y-%m-%d}",
        "members": json.dumps(list(members)),
        "last_day": f"{last_day:%Y-%m-%d}",
        "spinup": "yes" if spinup else "no",
        "grid": cells.tile.grid.name,
    }
    with files.atomic(path) as partial, netCDF4.Dataset(partial, "w", format="NETCDF4") as file:
        file.setncatts({**own, **attrs})
        file.createDimension("cell", len(cells))
        file.createDimension("member", len(members))
        for name, place in (("row", cells.rows), ("column", cells.columns)):
            file.createVariable(name, "i4", ("cell",))[:] = place.astype(np.int32)
        for name, _, layers, hidden in state.shapes:
            file.createDimension(f"{name}_layer", layers)
            file.createDimension(f"{name}_hidden", hidden)
            dims = ("member", f"{name}_layer", "cell", f"{name}_hidden")
            file.createVariable(name, "f4", dims, fill_value=False).coordinates = "row column"
        for start, stop in state.stripes:
            for name, values in state.read(start, stop).items():
                file[name][:, :, start:stop] = values


def read_state(
    path: str | Path, cells: ActiveCells, members: Sequence[str], first_day: pd.Timestamp, into: StateStore
) -> None:
    """Read a state to start ``first_day`` from and put it ``into`` a store, whose files are made.

    Raises :class:`MemberMismatchError` where it is of other members, :class:`InputError` where it is of other cells, or
    of another day (a state of a spin-up may start any year).
    """
    with files.open_netcdf(path, whole=True) as dataset:
        _check(dataset, str(path), cells, members, first_day)
        into.create()
        for start, stop in into.stripes:
            with files.NETCDF:
                stripe = {name: dataset[name][:, :, start:stop].to_numpy() for name, *_ in into.shapes}
            into.write(start, stripe)


def _check(
    dataset: xr.Dataset, where: str, cells: ActiveCells, members: Sequence[str], first_day: pd.Timestamp
) -> None:
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
            f"the state has other cells: {len(theirs - ours)} are inactive, {len(ours - theirs)} active missing",
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

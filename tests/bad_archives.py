"""Archives of forcing that are spoilt in every way that the tests know."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import xarray as xr


@dataclass
class Archive:
    """The files of a provider and the variable that is spoilt: its name in the mapping and in its file."""

    files: list[Path]
    key: str
    name: str

    @cached_property
    def victim(self) -> Path:
        """The first of the files that hold the variable, or the middle one of many."""
        return self.holders[len(self.holders) // 2 if len(self.holders) > 5 else 0]

    @cached_property
    def holders(self) -> list[Path]:
        found = []
        for path in self.files:
            with opened(path) as data:
                if self.name in data and (
                    self.key == self.name or f"/{self.key}/" in str(path) or self.key in path.name
                ):
                    found.append(path)
        return found


def opened(path: Path) -> xr.Dataset:
    """A file as stored: nothing decoded."""
    kind = "zarr" if path.is_dir() else "netcdf4"
    return xr.open_dataset(path, engine=kind, decode_cf=False)


def rewrite(path: Path, edit: Callable[[xr.Dataset], xr.Dataset]) -> None:
    """Replace a NetCDF file by an edited copy of what it stores."""
    with opened(path) as data:
        changed = edit(data.load())
    changed.to_netcdf(path, engine="netcdf4")


def time_of(data: xr.Dataset) -> str:
    return "day" if "day" in data.dims else "time"


def alone(path: Path, data: xr.Dataset) -> bool:
    """Whether the file is one step of many."""
    return data.sizes[time_of(data)] == 1


def gap(archive: Archive) -> None:
    with opened(archive.victim) as data:
        single, middle = alone(archive.victim, data), data.sizes[time_of(data)] // 2
    if single:
        archive.files.remove(archive.victim)
    elif "TerraClimate" in archive.victim.name:
        rewrite(archive.victim, lambda d: d.isel(time=slice(1, None)))
    else:
        steps = lambda d: [k for k in range(d.sizes[time_of(d)]) if k != (1 if middle > 1 else 0)]  # noqa: E731
        rewrite(archive.victim, lambda d: d.isel({time_of(d): steps(d)}))


def twice(archive: Archive) -> None:
    with opened(archive.victim) as data:
        single = alone(archive.victim, data)
    if single:
        copy = archive.victim.with_name(f"copy_{archive.victim.name}")
        shutil.copy(archive.victim, copy)
        rewrite(copy, lambda d: d.assign({archive.name: d[archive.name] * 1.01}))
        archive.files.append(copy)
    else:
        rewrite(archive.victim, lambda d: xr.concat([d.isel({time_of(d): [0]}), d], time_of(d), data_vars="minimal"))


def fill(values: xr.DataArray, value: float) -> xr.DataArray:
    """All values replaced, by the missing code where ``value`` is NaN."""
    code = values.attrs.get("_FillValue", np.nan) if np.isnan(value) else value
    return xr.full_like(values, np.asarray(code, values.dtype))


def extreme(values: xr.DataArray) -> xr.DataArray:
    if values.dtype.kind == "f":
        return values * 0 + 1e9
    if values.attrs.get("_Unsigned"):
        return fill(values, -2.0)  # 65534
    return fill(values, 32000.0)


def on(change: Callable[[xr.Dataset, str], xr.Dataset], *, everywhere: bool = False) -> Callable[[Archive], None]:
    """A defect of the contents of the file that is spoilt, or of all that hold the variable."""

    def spoil(archive: Archive) -> None:
        for path in archive.holders if everywhere else [archive.victim]:
            rewrite(path, lambda d: change(d, archive.name))

    return spoil


def with_values(change: Callable[[xr.DataArray], xr.DataArray]) -> Callable[[xr.Dataset, str], xr.Dataset]:
    return lambda d, name: d.assign({name: change(d[name])})


def with_attrs(data: xr.Dataset, name: str, **attrs: object) -> xr.Dataset:
    data = data.copy()
    data[name].attrs = {**data[name].attrs, **attrs}
    return data


def shifted(data: xr.Dataset, name: str) -> xr.Dataset:
    lon = "longitude" if "longitude" in data.coords else "lon"
    return data.assign_coords({lon: data[lon] + 0.1})


def bent(data: xr.Dataset, name: str) -> xr.Dataset:
    lat = "latitude" if "latitude" in data.coords else "lat"
    values = data[lat].values.copy()
    values[1] += 0.05
    return data.assign_coords({lat: (lat, values, data[lat].attrs)})


def split_and_shift(archive: Archive) -> None:
    """The variable on a grid of its own: in its file if it has one to itself, else moved out of it."""
    path = archive.victim
    with opened(path) as data:
        gridded = [n for n in data.data_vars if {"lat", "lon"} <= set(data[n].dims) or "latitude" in data[n].dims]
    if len(gridded) == 1:
        rewrite(path, lambda d: shifted(d, archive.name))
        return
    other = path.with_name(f"own_{path.name}")
    shutil.copy(path, other)
    rewrite(other, lambda d: shifted(d[[archive.name]], archive.name))
    rewrite(path, lambda d: d.drop_vars(archive.name))
    archive.files.append(other)


Defect = tuple[Callable[[Archive], None], str]
CONTENTS: dict[str, Defect] = {
    "wrong unit": (on(lambda d, n: with_attrs(d, n, units="s"), everywhere=True), "'s' cannot be converted to"),
    "missing variable": (on(lambda d, n: d.drop_vars(n), everywhere=True), "no variable '{key}'"),
    "gap in time": (gap, r"steps of '\w+' .* missing, the first at 2001-01-0"),
    "duplicated time": (twice, "are present more than once|different values of '{key}' at"),
    "NaN only": (
        on(with_values(lambda v: fill(v, np.nan)), everywhere=True),
        "is missing (everywhere|on some days only)",
    ),
    "out of range": (on(with_values(extreme), everywhere=True), r"lie outside \["),
    "wrong calendar": (
        on(lambda d, n: with_attrs(d, time_of(d), calendar="lunar", units="days since 2001-01-01")),
        "calendar 'lunar' cannot be used",
    ),
    "irregular grid": (on(bent), "lat is not evenly spaced"),
    "another grid": (split_and_shift, "its grid differs"),
}


def halved(path: Path) -> None:
    if path.is_dir():
        victim = max((p for p in path.rglob("*") if p.is_file()), key=lambda p: (p.stat().st_size, str(p)))
        path = victim
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def emptied(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
        path.mkdir()
    else:
        path.write_bytes(b"")


def removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


BYTES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing file": (removed, "file not found"),
    "truncated file": (halved, "cannot be read|missing on some days|missing everywhere"),
    "empty file": (emptied, "file is empty|cannot be read as a Zarr store"),
}

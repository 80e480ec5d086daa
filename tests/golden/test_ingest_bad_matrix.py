"""Every shipped mapping and container times every defect: one message that names file and variable, and no file left.

The same defects go through the command line on whole years in the second half.
"""

import importlib.util
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import ingest_layouts as layouts
from fluxatlas import cli
from fluxatlas.config.forcing import ForcingBlock
from fluxatlas.errors import FluxAtlasError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.declaration import MAPPINGS
from fluxatlas.ingest.pieces import write_pieces
from fluxatlas.ingest.source import open_source
from fluxatlas.systems import get_system
from ingest_raw import era5_land, hourly_truth, write_grib

NAMES = get_system("soil_methane_sink").forcing
TILE = get_grid("4km").tile("N40W124", 1)
DAYS = pd.date_range("2001-01-01", "2001-01-03")
HOURS = pd.date_range("2001-01-01", "2001-01-02", freq="h")
PERIOD = np.datetime64("2001-01-01"), np.datetime64("2001-01-02")


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


# --- the archives -----------------------------------------------------------------------------------------------


def hourly(name: str) -> xr.Dataset:
    truth = hourly_truth("2001-01-01", "2001-01-02T01")
    return (era5_land(truth) if name == "era5_land" else truth).astype(np.float32, keep_attrs=True)


def era5(folder: Path, name: str) -> Archive:
    hourly(name).to_netcdf(folder / "2001_01.nc")
    return Archive([folder / "2001_01.nc"], "sp", "sp")


def livneh(folder: Path) -> Archive:
    """Three-hourly VIC forcing with the labels of the provider."""
    truth = layouts.weather(8)
    vapour = truth["huss"] * truth["ps"] / (0.622 + 0.378 * truth["huss"])
    fields = {
        "temp": (truth["tas"] - 273.15, "C"),
        "prec": (truth["pr"] * 10800, "mm timestep-1"),
        "shortwave": (truth["rsds"], "W m-2"),
        "longwave": (truth["rlds"], "W m-2"),
        "vapor_pressure": (vapour / 1000, "kPa"),
        "air_pressure": (truth["ps"] / 1000, "kPa"),
        "wind": (truth["sfcWind"], "mm s-1"),
    }
    data = {n: (("time", "lat", "lon"), v.astype(np.float32), {"units": u}) for n, (v, u) in fields.items()}
    time = pd.date_range("2001-01-01", periods=8, freq="3h")
    xr.Dataset(data, {"time": time, "lat": layouts.LAT, "lon": layouts.LON}).to_netcdf(folder / "livneh.2001.nc")
    return Archive([folder / "livneh.2001.nc"], "longwave", "longwave")


def cf(folder: Path, name: str) -> Archive:
    truth = layouts.weather(3)
    renamed = {"ps": ("Pa", None), "psl": ("Pa", truth["ps"] + 6000)} if name == "cmip_day" else {}
    renamed |= {"huss": ("1", None), "hurs": ("%", 1e4 * truth["huss"])} if name == "isimip_hurs" else {}
    files = layouts.cf_daily(folder, layouts.all_days("standard", 2001, 2001)[:3], truth, renamed)
    return Archive(files, "rlds", "rlds")


def months(folder: Path) -> Archive:
    series = pd.date_range("2000-11-01", "2001-03-01", freq="MS")
    files = layouts.terraclimate(folder, series, layouts.weather(series.size))
    return Archive([f for f in files if "2001" in f.name], "ws", "ws")


WRITERS: dict[str, Callable[[Path], Archive]] = {
    "era5_land": lambda f: era5(f, "era5_land"),
    "era5": lambda f: era5(f, "era5"),
    "livneh": livneh,
    "nldas2": lambda f: Archive(layouts.nldas2(f, HOURS, layouts.weather(HOURS.size)), "PSurf", "PSurf"),
    "gridmet": lambda f: Archive(layouts.gridmet(f, DAYS, layouts.weather(3)), "vs", "wind_speed"),
    "mswx": lambda f: Archive(layouts.mswx(f, DAYS, layouts.weather(3)), "LWd", "downward_longwave_radiation"),
    "mswx_mswep": lambda f: Archive(layouts.mswep(f, DAYS, layouts.weather(3)), "LWd", "downward_longwave_radiation"),
    "terraclimate": months,
    "isimip": lambda f: cf(f, "isimip"),
    "isimip_hurs": lambda f: cf(f, "isimip_hurs"),
    "cmip_day": lambda f: cf(f, "cmip_day"),
}


# --- the containers: a file is put into one after it was spoilt --------------------------------------------------


def as_zip(path: Path) -> Path:
    target = path.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        archive.write(path, path.name)
    path.unlink()
    return target


def as_zarr(path: Path) -> Path:
    target = path.with_suffix(".zarr")
    with xr.open_dataset(path, decode_cf=False) as data:
        for name in data.variables:
            data[name].encoding.clear()
        data.to_zarr(target, zarr_format=2, consolidated=True)
    path.unlink()
    return target


def as_grib(path: Path) -> Path:
    with xr.open_dataset(path) as data:
        target = write_grib(data.load(), path.with_suffix(".grib"))
    path.unlink()
    return target


CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "nc": lambda path: path,
    "zip": as_zip,
    "zarr": as_zarr,
    "grib": as_grib,
}


# --- the defects ------------------------------------------------------------------------------------------------


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

PAIRS = [(m, "nc") for m in WRITERS]
PAIRS += [(m, c) for m in ("era5_land", "isimip", "terraclimate") for c in ("zip", "zarr")] + [("era5_land", "grib")]
NOT_IN_GRIB = ("wrong unit", "wrong calendar", "irregular grid")  # its units, calendar and grid are codes


def cases() -> list[object]:
    found = []
    for mapping, container in PAIRS:
        for defect in (*CONTENTS, *BYTES):
            if container == "grib" and defect in NOT_IN_GRIB:
                continue
            marks = [NEEDS_ECCODES] if container == "grib" else []
            found.append(pytest.param(mapping, container, defect, id=f"{mapping}-{container}-{defect}", marks=marks))
    return found


NEEDS_ECCODES = pytest.mark.skipif(importlib.util.find_spec("eccodes") is None, reason="ecCodes is not installed")


def refused(action: Callable[[], object], folder: Path) -> FluxAtlasError:
    """The one error of ``action``, after which the folder of pieces holds no file."""
    with pytest.raises(FluxAtlasError) as caught:
        action()
    assert caught.value.where
    assert caught.value.hint
    assert not [path for path in folder.rglob("*") if path.is_file()]
    return caught.value


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Archive]:
    """A copy of the sound archive of a mapping, which is made once."""
    made: dict[str, tuple[Path, Archive]] = {}

    def copy(mapping: str, folder: Path) -> Archive:
        if mapping not in made:
            home = tmp_path_factory.mktemp(mapping)
            archive = WRITERS[mapping](home)
            assert archive.victim in archive.holders
            made[mapping] = home, archive
        home, first = made[mapping]
        shutil.copytree(home, folder)
        own = Archive([folder / path.relative_to(home) for path in first.files], first.key, first.name)
        own.holders = [folder / path.relative_to(home) for path in first.holders]
        return own

    return copy


@pytest.mark.parametrize(("mapping", "container", "defect"), cases())
def test_one_message_and_nothing_written(
    mapping: str, container: str, defect: str, sound: Callable[[str, Path], Archive], tmp_path: Path
) -> None:
    pieces = tmp_path / "pieces"
    archive = sound(mapping, tmp_path / "raw")
    victim = archive.victim
    spoil, expected = CONTENTS.get(defect, (None, ""))
    if spoil is not None:
        spoil(archive)
    place = archive.files.index(victim) if victim in archive.files else 0
    named = [archive.key, archive.name, *(path.stem for path in archive.files)]
    files = [CONTAINERS[container](path) for path in archive.files]
    if defect in BYTES:
        damage, expected = BYTES[defect]
        damage(files[place])
    relief, _ = layouts.elevation(tmp_path / "elevation.nc")
    own = (
        {"source": mapping} if mapping in ("era5", "era5_land", "livneh") else {"source": "mapping", "mapping": mapping}
    )
    block = ForcingBlock.model_validate({**own, "path": "x", "elevation": str(relief)})
    problem = refused(
        lambda: write_pieces(open_source(block, files), PERIOD, [TILE], NAMES, pieces, elevation=relief), pieces
    )
    assert re.search(expected.format(key=archive.key), problem.what), problem
    if defect in BYTES:
        assert files[place].name in str(problem)
    else:
        assert any(name in str(problem) for name in named), problem


def test_every_mapping_is_in_the_matrix() -> None:
    assert set(WRITERS) == {path.stem for path in MAPPINGS.glob("*.yaml")}


@pytest.mark.parametrize(("mapping", "container"), [p for p in PAIRS if p[1] != "grib"])
def test_the_archives_are_sound_without_a_defect(
    mapping: str, container: str, sound: Callable[[str, Path], Archive], tmp_path: Path
) -> None:
    """What the matrix spoils is read without complaint when it is not spoilt."""
    archive = sound(mapping, tmp_path / "raw")
    files = [CONTAINERS[container](path) for path in archive.files]
    relief, _ = layouts.elevation(tmp_path / "elevation.nc")
    own = (
        {"source": mapping} if mapping in ("era5", "era5_land", "livneh") else {"source": "mapping", "mapping": mapping}
    )
    block = ForcingBlock.model_validate({**own, "path": "x", "elevation": str(relief)})
    (piece,) = write_pieces(open_source(block, files), PERIOD, [TILE], NAMES, tmp_path / "pieces", elevation=relief)
    with xr.open_dataset(piece) as data:
        assert not any(bool(data[name].isnull().any()) for name in NAMES)


# --- through the command line -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A whole year of daily files, and their names."""
    folder = tmp_path_factory.mktemp("year")
    files = layouts.cf_daily(folder, layouts.all_days("standard", 2001, 2001), layouts.weather(365))
    return folder, [path.name for path in files]


def command(mapping: str, files: list[Path], relief: Path, pieces: Path) -> list[str]:
    block = ForcingBlock(source="mapping", mapping=mapping, path="x", elevation=str(relief))
    words = [
        "fluxatlas",
        "ingest",
        "forcing",
        "--system",
        "soil_methane_sink",
        "--settings",
        block.model_dump_json(),
        "--year",
        "2001",
        "--grid",
        "4km",
    ]
    words += ["--tile-size", "1", "--tile", "N40W124", "--output-dir", str(pieces)]
    return words + [word for path in files for word in ("--input", str(path))]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


@pytest.mark.parametrize("defect", [*CONTENTS, *BYTES, "not UTF-8", "no defect"])
def test_the_command_fails_with_one_message(
    defect: str,
    year: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw, pieces = tmp_path / "raw", tmp_path / "pieces"
    shutil.copytree(year[0], raw)
    archive = Archive([raw / name for name in year[1]], "rlds", "rlds")
    victim, mapping, expected = archive.victim, "isimip", ""
    if defect in CONTENTS:
        spoil, expected = CONTENTS[defect]
        spoil(archive)
    elif defect in BYTES:
        damage, expected = BYTES[defect]
        damage(victim)
    elif defect == "not UTF-8":
        mapping, expected = str(tmp_path / "own.yaml"), "not UTF-8: byte 0xfc in line 2"
        text = (MAPPINGS / "isimip.yaml").read_text(encoding="utf-8")
        Path(mapping).write_bytes(b"# by\n# M\xfcller\n" + text.encode())
    relief, _ = layouts.elevation(tmp_path / "elevation.nc")
    status = run(command(mapping, archive.files, relief, pieces), monkeypatch)
    said = capsys.readouterr().err
    written = [path for path in pieces.rglob("*") if path.is_file()]
    if defect == "no defect":
        assert status == 0
        assert [path.name for path in written] == ["2001.nc"]
        return
    assert status == 1
    assert not written
    assert "Traceback" not in said
    assert sum(line.startswith("error: ") for line in said.splitlines()) == 1
    assert re.search(expected.format(key="rlds").replace("2001-01-0", "2001-0"), said), said
    assert "  where: " in said
    assert "  do:    " in said

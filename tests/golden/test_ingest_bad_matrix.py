"""Every shipped mapping and container times every defect: one message that names file and variable, and no file left.

The same defects go through the command line on whole years in the second half.
"""

import importlib.util
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import ingest_layouts as layouts
from bad_archives import BYTES, CONTENTS, Archive
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

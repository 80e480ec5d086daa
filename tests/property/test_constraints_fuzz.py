"""Damaged constraint files: whatever is broken in structure, values or bytes, one message and no other exception."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import constraint_files as made
from damage import count
from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.constraints.inversions import load_inversion
from fluxatlas.ingest.constraints.soil_moisture import load_soil_moisture

CASES = count(12)
"""Per layout; thousands were run by hand with other seeds."""


def cut(data: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    name = str(rng.choice([str(d) for d in data.dims]))
    size = data.sizes[name]
    return data.isel({name: [slice(0, int(rng.integers(0, 3))), 0, rng.permutation(size)][rng.integers(3)]})


def values(data: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    name = str(rng.choice([str(n) for n in data.variables]))
    held = np.asarray(data[name].values)
    made_up = [np.full(held.shape, np.nan), np.full(held.shape, "text").astype(object), np.full(held.shape, 1e37)]
    if held.dtype.kind == "f":
        made_up += [held * 0, held * -1000, np.where(rng.random(held.shape) < 0.3, -9999, held)]
    attrs = {k: v for k, v in data[name].attrs.items() if k != "_FillValue"}
    return data.assign({name: (data[name].dims, made_up[rng.integers(len(made_up))], attrs)})


def labels(data: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    name = str(rng.choice([str(n) for n in data.variables]))
    odd = [("units", u) for u in ("", "K", "days since nowhere", "%", "months since 2000-01-01")]
    key, value = [*odd, ("calendar", "noleap"), ("calendar", "banana")][rng.integers(7)]
    return data.assign({name: (data[name].dims, data[name].values, {**data[name].attrs, key: value})})


def names(data: xr.Dataset, rng: np.random.Generator) -> xr.Dataset:
    name = str(rng.choice([str(n) for n in data.variables]))
    return data.drop_vars(name) if rng.random() < 0.5 else data.rename({name: f"{name}x"})


def layouts(folder: Path) -> dict[str, tuple[list[Path], Callable[[list[Path]], object]]]:
    flux = made.known_flux()
    found: dict[str, tuple[list[Path], Callable[[list[Path]], object]]] = {
        key: (write(folder, flux), lambda paths, kind=kind, said=said: load_inversion(paths, kind, **said))
        for key, (write, kind, said) in made.LAYOUTS.items()
    }
    found["regions"] = (
        made.carbontracker_europe_regions(folder, flux),
        lambda p: load_inversion(p, "carbontracker_europe"),
    )
    sm = np.random.default_rng(1).random((2, 12, 12)) * 0.5
    days = pd.date_range("2010-01-01", periods=2)
    found["esa_cci"] = (
        made.esa_cci(folder, days, sm, np.zeros(sm.shape, int)),
        lambda p: load_soil_moisture(p, "esa_cci"),
    )
    hours = np.random.default_rng(2).random((48, 3, 3)) * 0.4
    found["era5_land"] = [made.era5_land(folder, "2019-01", hours)], lambda p: load_soil_moisture(p, "era5_land")
    return found


@pytest.mark.parametrize("layout", [*made.LAYOUTS, "regions", "esa_cci", "era5_land"])
def test_no_other_exception_escapes(tmp_path: Path, layout: str) -> None:
    paths, load = layouts(tmp_path)[layout]
    rng = np.random.default_rng(sum(map(ord, layout)))
    refused = 0
    for number in range(CASES):
        victim = int(rng.integers(len(paths)))
        bad = tmp_path / f"bad{number}_{paths[victim].name}"
        with xr.open_dataset(paths[victim], decode_times=False, mask_and_scale=False) as opened:
            data = opened.load()
        try:
            [cut, values, labels, names][number % 4](data, rng).drop_encoding().to_netcdf(bad)
        except (ValueError, TypeError, RuntimeError):
            continue  # xarray itself cannot write this one
        if number % 3 == 0:
            raw = bytearray(bad.read_bytes())
            for place in rng.integers(0, len(raw), 8):
                raw[place] = int(rng.integers(256))
            bad.write_bytes(bytes(raw))
        try:
            load([bad if n == victim else path for n, path in enumerate(paths)])
        except FluxAtlasError as problem:
            refused += 1
            assert problem.what and problem.hint
    assert refused >= 3, "the damage was harmless: the test tests nothing"

"""Small, made-up files as the stages before `products` write them (docs/contracts.md), for tests of what reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from fluxatlas import variables
from fluxatlas.grid import get_grid
from fluxatlas.land_mask import is_land
from fluxatlas.train.flags import INSIDE, MEANINGS, NEAR, NO_CELL, OUTSIDE, UNJUDGED

FLUX = ("fch4", "ch4ox")
STATE = ("tsl05", "swc05")


@dataclass
class World:
    """Paths of the files and the unpacked truth behind them (whole domain, float64)."""

    root: Path
    grid: object
    tiles: list
    years: list[int]
    members: int
    flux: list[Path] = field(default_factory=list)
    attributes: list[Path] = field(default_factory=list)
    active: np.ndarray = None
    area: np.ndarray = None
    annual: dict = field(default_factory=dict)  # (variable, year) -> (member, lat, lon)
    lat: np.ndarray = None
    lon: np.ndarray = None

    def flux_of(self, year: int) -> list[Path]:
        return [path for path in self.flux if path.stem == str(year)]


def write_region_months(path: Path, regions: int = 3) -> Path:
    """A table of regions and months (docs/contracts.md) of two years, the second held out in the first region."""
    rng = np.random.default_rng(2)
    rows = []
    for number in range(regions):
        for year in (2001, 2002):
            for month in range(1, 13):
                flux = -20 * np.sin(2 * np.pi * (month - 4) / 12) - 5 * number
                own = {"region": f"region {number}", "year": year, "month": month, "product": flux + rng.normal(0, 3)}
                wide = {"inversions": flux, "low": flux - 6, "high": flux + 6, "sd": 4.0, "unit": "Tg"}
                rows.append({**own, **wide, "held_out": int(number == 0 and year == 2002)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


def make_world(
    root: Path,
    grid: str = "0.5deg",
    tile_size: int = 10,
    bbox: tuple[int, int, int, int] = (-130, 30, -110, 50),
    years: tuple[int, ...] = (2001, 2002),
    members: int = 3,
    seed: int = 7,
) -> World:
    """Attributes and fluxes of every tile in ``bbox``; the land mask is real, everything else is smooth noise."""
    lattice = get_grid(grid)
    tiles = lattice.tiles(tile_size, bbox)
    world = World(Path(root), lattice, tiles, list(years), members)
    rows = slice(min(t.rows.start for t in tiles), max(t.rows.stop for t in tiles))
    columns = slice(min(t.columns.start for t in tiles), max(t.columns.stop for t in tiles))
    world.lat, world.lon = lattice.lat(rows), lattice.lon(columns)
    layers = _attributes(world, np.random.default_rng(seed))
    world.active = layers["active"].astype(bool)
    world.area = np.where(world.active, layers["areacella"] * layers["uplandFrac"] / 100, 0.0)
    for tile in tiles:
        here = _crop(tile, rows, columns)
        path = world.root / "regrid" / "attributes" / f"{tile.name}.nc"
        _write_attributes(path, tile, {name: layer[(..., *here)] for name, layer in layers.items()})
        world.attributes.append(path)
    for year in years:
        _write_year(world, year, layers, np.random.default_rng([seed, year]), rows, columns)
    return world


def _crop(tile, rows, columns):
    return (
        slice(tile.rows.start - rows.start, tile.rows.stop - rows.start),
        slice(tile.columns.start - columns.start, tile.columns.stop - columns.start),
    )


def _noise(rng, shape, width):
    """Smooth noise with mean 0 and standard deviation 1."""
    data = gaussian_filter(rng.standard_normal(shape), width, mode="nearest")
    return (data - data.mean()) / data.std()


def _attributes(world, rng):
    shape = len(world.lat), len(world.lon)
    lon, lat = np.meshgrid(world.lon, world.lat)
    land = is_land(lat, lon)
    width = shape[0] / 14
    orog = np.clip(600 + 500 * _noise(rng, shape, width) + 120 * _noise(rng, shape, 1.2), 0, None)
    wet = np.clip(8 + 8 * _noise(rng, shape, width), 0, 60)
    upland = np.where(land, np.clip(92 - wet - 5 * np.abs(_noise(rng, shape, 2)), 5, 100), 0.0)
    known = _noise(rng, shape, 2) < 2.6
    biome = 1 + np.digitize(_noise(rng, shape, width) + (lat - lat.mean()) / np.ptp(lat), [-0.8, 0, 0.8])
    lai = 1.5 + np.sin(np.linspace(0, 2 * np.pi, 12, endpoint=False) - 1.5)[:, None, None] * np.ones(shape)
    return {
        "active": (land & known).astype(np.int8),
        "sftlf": 100.0 * land,
        "uplandFrac": upland,
        "orog": np.where(land, orog, 0),
        "biome": np.where(land, biome, np.nan),
        "sand": np.clip(45 + 15 * _noise(rng, shape, width), 2, 95),
        "clay": np.clip(20 + 8 * _noise(rng, shape, width), 2, 80),
        "wetlandFrac": wet,
        "lai": lai,
        "areacella": np.broadcast_to(_area(world)[:, None], shape).astype(np.float64),
    }


def _area(world):
    half = 0.5 * world.grid.resolution
    edges = np.sin(np.deg2rad(world.lat + half)) - np.sin(np.deg2rad(world.lat - half))
    return 6_371_007.2**2 * np.deg2rad(2 * half) * edges


def _dims(file, tile, **more):
    for name, values in (("lat", tile.lat), ("lon", tile.lon), *more.items()):
        file.createDimension(name, len(values))
        file.createVariable(name, "f8", (name,))[:] = values


def _write_attributes(path, tile, layers):
    path.parent.mkdir(parents=True, exist_ok=True)
    with netCDF4.Dataset(path, "w") as file:
        _dims(file, tile, month=np.arange(1, 13))
        file.weight = "areacella uplandFrac"
        for name, layer in layers.items():
            dims = ("month", "lat", "lon")[-layer.ndim :]
            kind, fill = ("i1", -1) if name == "active" else ("f4", np.float32(np.nan))
            file.createVariable(name, kind, dims, fill_value=fill)[:] = layer


def _write_year(world, year, layers, rng, rows, columns):
    days = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    daily, annual = _fields(world, len(days), layers, rng)
    for name in FLUX:
        world.annual[name, year] = np.where(world.active, annual[name], np.nan)
    distance = np.abs(_noise(rng, world.active.shape, 3)) * 0.4
    for tile in world.tiles:
        here = _crop(tile, rows, columns)
        path = world.root / "infer" / tile.name / f"{year}.nc"
        path.parent.mkdir(parents=True, exist_ok=True)
        with netCDF4.Dataset(path, "w") as file:
            write_flux(
                file,
                tile,
                days,
                {name: data[(..., *here)] for name, data in daily.items()},
                {name: data[(..., *here)] for name, data in annual.items()},
                distance[here],
                layers["active"][here].astype(bool),
            )
        world.flux.append(path)


def _fields(world, days, layers, rng):
    """Daily fields of the ensemble (mean, sd) and the annual mean of each member."""
    shape = world.active.shape
    t = np.arange(days)[:, None, None] / days
    lat = world.lat[:, None] * np.ones(shape)
    season = np.cos(2 * np.pi * (t - 0.56))
    weather = gaussian_filter(rng.standard_normal((days, 1, 1)), (6, 0, 0)) * 8
    warm = 284 - 0.5 * (lat - 40) - 0.005 * layers["orog"] + 9 * season + weather
    wet = np.clip(0.22 - 0.07 * season + 0.002 * (layers["clay"] - 20) - 0.01 * weather, 0.03, 0.6)
    uptake = 2.2 * 1.7 ** ((warm - 288) / 10) * np.exp(-(((wet - 0.16) / 0.14) ** 2)) * (layers["sand"] / 45) ** 0.5
    source = 0.05 * np.exp((wet - 0.3) / 0.05)
    factor = 1 + 0.12 * np.stack([_noise(rng, shape, shape[0] / 10) for _ in range(world.members)])
    factor = factor + 0.1 * rng.standard_normal((world.members, 1, 1))
    spread = factor.std(axis=0, ddof=1) if world.members > 1 else np.zeros(shape)
    mean = factor.mean(axis=0)
    daily = {
        "fch4": source - uptake * mean,
        "fch4_sd": uptake * spread,
        "ch4ox": uptake * mean,
        "ch4ox_sd": uptake * spread,
        "tsl05": warm + 0.5,
        "swc05": wet,
    }
    means = uptake.mean(axis=0)
    annual = {"ch4ox": means * factor, "fch4": source.mean(axis=0) - means * factor}
    return daily, annual


def write_flux(file, tile, days, daily, annual, distance, active, **attrs):
    """Write one tile-year as the stage `infer` does."""
    file.setncatts(
        {
            "fluxatlas_version": "0.1.0",
            "fluxatlas_settings": json.dumps({"regrid": "bilinear", "workers": 1}),
            "fluxatlas_inputs": json.dumps({"member 0": "aa", "forcing 0": tile.name}),
            **attrs,
        }
    )
    members = len(next(iter(annual.values())))
    _dims(file, tile, member=np.arange(members))
    file.createDimension("time", len(days))
    time = file.createVariable("time", "i4", ("time",))
    time.setncatts({"units": "days since 1970-01-01", "calendar": "standard"})
    time[:] = (days - pd.Timestamp("1970-01-01")).days
    for name, data in daily.items():
        scale, offset = variables.get(name.removesuffix("_sd")).packing
        packed = np.where(active, np.rint((data - offset) / scale), variables.FILL)
        variable = file.createVariable(
            name, "i2", ("time", "lat", "lon"), fill_value=variables.FILL, compression="zstd", complevel=1
        )
        variable.set_auto_maskandscale(False)
        variable.setncatts({"scale_factor": scale, "add_offset": offset})
        variable[:] = packed
    for name, data in annual.items():
        dims = ("member", "lat", "lon")
        file.createVariable(f"{name}_member", "f4", dims, fill_value=np.float32(np.nan))[:] = np.where(
            active, data, np.nan
        )
        sd = data.std(axis=0, ddof=1) if members > 1 else np.full(data.shape[1:], np.nan)
        year = file.createVariable(f"{name}_year_sd", "f4", dims[1:], fill_value=np.float32(np.nan))
        year[:] = np.where(active, sd, np.nan)
    layers = {"dissimilarity": distance, "point_density": np.round(9 * np.maximum(0, 0.8 - distance))}
    for name, data in layers.items():
        variable = file.createVariable(name, "f4", ("lat", "lon"), fill_value=np.float32(np.nan))
        variable[:] = np.where(active, data, np.nan)
    flag = file.createVariable("applicable", "i1", ("lat", "lon"), fill_value=np.int8(NO_CELL))
    flag.set_auto_maskandscale(False)
    flag.setncatts(
        {
            "long_name": "whether the cell is inside the library of samples and near observed sites",
            "flag_values": np.array([UNJUDGED, OUTSIDE, INSIDE, NEAR], np.int8),
            "flag_meanings": MEANINGS,
        }
    )
    flag[:] = np.where(active, np.where(distance < 0.8, NEAR, INSIDE), NO_CELL)


# --- files of the sites, of training and of the truth ----------------------------------------------------------------


def write_truth(world, path, error=0.15):
    """`evaluate/truth.nc`: the ensemble mean times smooth noise of relative size ``error``."""
    rng = np.random.default_rng(11)
    factor = 1 + error * _noise(rng, world.active.shape, 3)
    data = {
        name: (
            ("year", "lat", "lon"),
            np.stack([world.annual[name, year].mean(axis=0) * factor for year in world.years]).astype(np.float32),
        )
        for name in FLUX
    }
    import xarray as xr

    xr.Dataset(data, {"year": world.years, "lat": world.lat, "lon": world.lon}).to_netcdf(path)
    return Path(path)


def write_observations(world, folder, daily, bias=0.0, noise=1.0, sites=5):
    """`sites.csv` and `observations.parquet`: the product at some cells plus ``bias`` and ``noise``.

    The site ``X-sea`` lies in a cell that is not run, ``X-far`` outside the domain.
    """
    import xarray as xr

    rng = np.random.default_rng(5)
    cells = np.argwhere(world.active)[:: max(1, world.active.sum() // sites)][:sites]
    sea = np.argwhere(~world.active)[0]
    points = {f"X-{n}": (world.lat[r], world.lon[c]) for n, (r, c) in enumerate(cells)}
    points |= {"X-sea": (world.lat[sea[0]], world.lon[sea[1]]), "X-far": (-10.2, 20.3)}
    table = pd.DataFrame([{"site": s, "lat": p[0], "lon": p[1], "elevation": 500.0} for s, p in points.items()])
    table["kind"] = "tower"
    frames = []
    for path in daily:
        name = path.stem.rpartition("_")[0]
        scale, shift = (noise, bias) if name.startswith("tsl") else (0.01 * noise, 0.01 * bias)
        with xr.open_dataset(path, engine="netcdf4") as data:
            for site, (lat, lon) in points.items():
                there = data[name].sel(lat=lat, lon=lon, method="nearest").to_numpy()
                value = np.nan_to_num(there, nan=280.0) + shift + rng.normal(0, scale, len(there))
                frame = pd.DataFrame({"site": site, "time": data.time.to_numpy(), "variable": name, "value": value})
                frame["qc"] = rng.choice([0.3, 0.8, 1.0], len(there), p=[0.1, 0.3, 0.6])
                frames.append(frame.assign(sd=scale, n=48, origin="measured"))
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "sites.csv", index=False)
    pd.concat(frames, ignore_index=True).to_parquet(folder / "observations.parquet", index=False)
    return folder / "sites.csv", folder / "observations.parquet"


MODELS = {"network": 0.25, "network_no_pretraining": 0.5, "network_no_knowledge": 0.35, "trees": 0.45, "process": 0.7}


def write_predictions(world, folder, sites=8):
    """`predictions/<m>.parquet` of each member and `baselines/predictions.parquet`; member m has not seen fold m."""
    rng = np.random.default_rng(9)
    days = pd.date_range(f"{world.years[0]}-01-01", f"{world.years[-1]}-12-31")
    season = np.cos(2 * np.pi * (days.dayofyear / 365.25 - 0.56))
    frames = {}
    for s in range(sites):
        strength = rng.uniform(0.4, 3.0)
        true = {"fch4": -strength * (1 + 0.6 * season), "tsl05": 284 + 9 * season + rng.normal(0, 2)}
        true["swc05"] = np.clip(0.22 - 0.08 * season + rng.normal(0, 0.03), 0.02, 0.6)
        for variable, series in true.items():
            spread = {"fch4": 0.35 * strength, "tsl05": 1.2, "swc05": 0.02}[variable]
            seen = rng.random(len(days)) < (0.25 if variable == "fch4" else 0.9)
            observed = series + rng.normal(0, spread, len(days))
            for model, error in MODELS.items():
                size = {"fch4": strength, "tsl05": 5.0, "swc05": 0.08}[variable] * error
                own = rng.normal(0, size)
                for member in range(world.members if model.startswith("network") else 1):
                    test = s % world.members == member or model == "process"
                    shift = own * (1.0 if test else 0.3) + rng.normal(0, 0.2 * size)
                    frame = pd.DataFrame({"site": f"site-{s:02d}", "time": days, "variable": variable})
                    frame["observed"], frame["sd"] = observed, spread
                    frame["predicted"] = series * (1 + 0.1 * rng.normal()) if variable == "fch4" else series
                    frame["predicted"] += shift
                    frame["split"] = "test" if test else "train"
                    frame = frame[seen].assign(model=model, member=member)
                    frames.setdefault((model, member), []).append(frame)
    folder = Path(folder)
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    (folder / "baselines").mkdir(parents=True, exist_ok=True)
    paths = []
    for member in range(world.members):
        paths.append(folder / "predictions" / f"{member}.parquet")
        pd.concat(frames["network", member], ignore_index=True).to_parquet(paths[-1], index=False)
    paths.append(folder / "baselines" / "predictions.parquet")
    rest = [frame for (model, _), found in frames.items() for frame in found if model != "network"]
    pd.concat(rest, ignore_index=True).to_parquet(paths[-1], index=False)
    return paths


def write_responses(world, folder):
    """`evaluate/{responses,attribution}.csv`: straight lines through the origin, and shares by chance."""
    rng = np.random.default_rng(17)
    rows, shares = [], []
    for model in ("network", "process"):
        for member in range(world.members):
            own = {"model": model, "member": member, "flux": "ch4ox", "unit": "mg m-2 d-1", "series": 16}
            for driver, by, changes in (
                ("temperatures", "K", (-4, 0, 4)),
                ("pr", "1", (0.5, 1, 1.5)),
                ("lai", "1", (1,)),
            ):
                slope = rng.normal(0.1, 0.05)
                for change in changes:
                    by_how_much = slope * (change - (by == "1"))
                    row = {"driver": driver, "change": change, "by": by, "mean": 1 + by_how_much}
                    rows.append(
                        own | row | {"difference": by_how_much, "low": 0.7 * by_how_much, "high": 1.3 * by_how_much}
                    )
            for name in ("tas", "pr", "soc", "(not attributed)"):
                shares.append(own | {"input": name, "mean": rng.normal(0, 0.1), "size": rng.uniform(0.1, 0.3)})
    paths = [Path(folder) / f"{name}.csv" for name in ("responses", "attribution")]
    for path, table in zip(paths, (rows, shares), strict=True):
        pd.DataFrame(table).to_csv(path, index=False)
    return paths


def write_history(world, folder, epochs=30):
    """`history/<m>_{pretrain,finetune}.csv`: decaying loss terms, raw and weighted."""
    rng = np.random.default_rng(13)
    Path(folder).mkdir(parents=True, exist_ok=True)
    paths = []
    terms = {"thermal": (1.0, 1.0), "hydrology": (0.8, 1.0), "fch4": (1.5, 1.0), "temperature": (0.4, 0.1)}
    terms |= {"moisture": (0.2, 0.1), "diffusion_limit": (0.02, 0.1)}
    for member in range(world.members):
        for phase in ("pretrain", "finetune"):
            rows = []
            for epoch in range(epochs if phase == "pretrain" else epochs // 2):
                row = {"phase": phase, "epoch": epoch}
                for name, (start, weight) in terms.items():
                    raw = start * (0.05 + np.exp(-epoch / 6)) * rng.lognormal(0, 0.06)
                    row |= {name: raw, f"weighted_{name}": raw * weight}
                row["total"] = sum(row[f"weighted_{name}"] for name in terms)
                row["validation"] = row["total"] * 1.1 * rng.lognormal(0, 0.05)
                rows.append(row | {"best": row["validation"], "seconds": 1.0})
            paths.append(Path(folder) / f"{member}_{phase}.csv")
            pd.DataFrame(rows).to_csv(paths[-1], index=False)
    return paths


def write_forcing(world, folder, resolution=0.25):
    """Forcing pieces of the first year with `tas` only: each tile with a halo of one source cell."""
    import xarray as xr

    year = world.years[0]
    days = pd.date_range(f"{year}-01-01", f"{year}-12-31")
    paths = []
    for tile in world.tiles:
        west, south, east, north = tile.bbox
        lat = np.arange(north + resolution / 2, south - resolution, -resolution)
        lon = np.arange(west - resolution / 2, east + resolution, resolution)
        season = 9 * np.cos(2 * np.pi * (days.dayofyear.to_numpy() / 365 - 0.56))[:, None, None]
        tas = 284 - 0.7 * (lat[:, None] - 40) + 1.5 * np.sin(lon[None, :] * 2) + season
        path = Path(folder) / tile.name / f"{year}.nc"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = xr.Dataset({"tas": (("time", "lat", "lon"), tas)}, {"time": days, "lat": lat, "lon": lon})
        data.to_netcdf(path, encoding={"tas": variables.get("tas").encoding()})
        paths.append(path)
    return paths

"""Totals: areas multiplied once, maps and seasons of the area, errors of whole maps against their analytic sum."""

from __future__ import annotations

import calendar
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.evaluate import EvaluateBlock
from fluxatlas.config.leaves import jobs
from fluxatlas.errors import InputError
from fluxatlas.evaluate import totals
from fluxatlas.evaluate.totals import ErrorFields, on_sphere, totals_table, write_totals
from fluxatlas.grid import get_grid
from fluxatlas.systems import get_system
from stage_files import write_flux

SYSTEM = get_system("wetland_methane")
TILE = get_grid("4km").tile("N64E024", 2)
SHAPE, YEAR = TILE.shape, 2003
DAYS = pd.date_range(f"{YEAR}-01-01", f"{YEAR}-12-31")
SEASON = np.cos(2 * np.pi * (DAYS.month.to_numpy() - 7) / 12)
PLAIN = np.broadcast_to(TILE.cell_area[:, None], SHAPE)


def world(
    folder: Path, maps: dict[str, np.ndarray] | None = None, wet: float = 20.0, land: float = 80.0, year: int = YEAR
) -> tuple[Path, Path]:
    """A tile whose members have 30 and 50 mg m-2 d-1 in the mean of a year, with a season of 20."""
    attributes, flux = folder / "attributes" / f"{TILE.name}.nc", folder / "infer" / TILE.name / f"{year}.nc"
    for path in (attributes, flux):
        path.parent.mkdir(parents=True, exist_ok=True)
    layers = {"areacella": PLAIN, "sftlf": np.full(SHAPE, land), "wetlandFrac": np.full(SHAPE, wet)}
    layers |= {"biome": np.ones(SHAPE), **{f"wetlandFrac_{name}": share for name, share in (maps or {}).items()}}
    with netCDF4.Dataset(attributes, "w") as file:
        for name, values in (("lat", TILE.lat), ("lon", TILE.lon), ("month", np.arange(1, 13))):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file.weight = " ".join(SYSTEM.weight)
        file.area_maps = " ".join(maps or {})
        axis = {name: ("month", "lat", "lon")[-np.ndim(layer) :] for name, layer in layers.items()}
        for name in (name for name in layers if np.ndim(layers[name]) == 3 and len(layers[name]) < 12):
            axis[name] = (f"{name}_year", "lat", "lon")
            file.createDimension(axis[name][0], len(layers[name]))
            years = file.createVariable(axis[name][0], "i4", axis[name][:1])
            years[:] = YEAR - 1 + np.arange(len(layers[name]))
        file.createVariable("active", "i1", ("lat", "lon"))[:] = 1
        for name, layer in layers.items():
            file.createVariable(name, "f8", axis[name])[:] = layer
    annual = np.stack([np.full(SHAPE, 30.0), np.full(SHAPE, 50.0)])
    mean = 40.0 + 20.0 * SEASON - (20.0 * SEASON).mean()
    daily = np.broadcast_to(mean[:, None, None], (len(DAYS), *SHAPE))
    with netCDF4.Dataset(flux, "w") as file:
        write_flux(
            file,
            TILE,
            DAYS + pd.DateOffset(years=year - YEAR),
            {"fch4wet": daily},
            {"fch4wet": annual},
            np.zeros(SHAPE),
            np.ones(SHAPE, bool),
        )
    return flux, attributes


def coverage(path: Path, half_width: float) -> Path:
    row = {"model": "network", "target": "fch4wet", "what": "means", "level": 0.9, "clusters": 12}
    pd.DataFrame([row | {"half_width": half_width, "note": "not calibratable: few"}]).to_csv(path, index=False)
    return path


def row(table: pd.DataFrame, name: str, kind: str = "global") -> pd.Series:
    return table[(table["map"] == name) & (table["region_kind"] == kind)].iloc[0]


def test_the_share_of_wetland_is_multiplied_once_and_members_are_whole_maps(tmp_path: Path) -> None:
    flux, attributes = world(tmp_path)
    table = totals_table([flux], [attributes], SYSTEM, EvaluateBlock(total_draws=4000))
    found = row(table, "wetlandFrac")
    wetland = PLAIN.sum() * 0.8 * 0.2
    assert found["area_m2"] == pytest.approx(wetland, rel=1e-6)
    assert found["mean"] == pytest.approx(40 * 365 * wetland * 1e-15, rel=1e-6) and found["unit"] == "Tg yr-1"
    assert found["sd"] == pytest.approx(10 * 365 * wetland * 1e-15, rel=0.05)  # 30 or 50 everywhere
    assert found["sd_error"] == 0 and "members alone" in found["note"]
    assert row(table, "wetlandFrac", "zone")["mean"] == pytest.approx(found["mean"])
    beside = table[table["region_kind"] == "published"].set_index("published")
    north = beside.loc["WetCH4 (Ying et al. 2025), north of 45 N, by map"]
    assert (north["published_low"], north["published_high"]) == (13.7, 44.1) and north["region"] == "45N-90N"
    assert north["mean"] == pytest.approx(found["mean"]) and "all" not in set(table["map"])


def test_other_maps_and_seasons_of_the_area(tmp_path: Path) -> None:
    months = np.array([5, 5, 5, 10, 20, 30, 40, 30, 20, 10, 5, 5], float)
    maps = {"giems2": np.full(SHAPE, 10.0), "wad2m": np.broadcast_to(months[:, None, None], (12, *SHAPE))}
    flux, attributes = world(tmp_path, maps)
    table = totals_table([flux], [attributes], SYSTEM, EvaluateBlock(total_draws=3000))
    assert list(dict.fromkeys(table["map"])) == ["wetlandFrac", "giems2", "wad2m", "all"]
    main, half, season, every = (row(table, name) for name in ("wetlandFrac", "giems2", "wad2m", "all"))
    assert half["mean"] == pytest.approx(main["mean"] / 2)
    share = months[DAYS.month.to_numpy() - 1] / 100
    mean = 40.0 + 20.0 * SEASON - (20.0 * SEASON).mean()
    assert season["mean"] == pytest.approx((mean * share).sum() * PLAIN.sum() * 0.8 * 1e-15, rel=1e-3)
    length = [calendar.monthrange(YEAR, month)[1] for month in range(1, 13)]
    assert season["area_m2"] == pytest.approx(PLAIN.sum() * 0.8 * np.average(months, weights=length) / 100)
    assert every["mean"] == pytest.approx(np.mean([main["mean"], half["mean"], season["mean"]]))
    assert every["sd"] > max(half["sd"], season["sd"])


def test_the_area_of_a_year_is_that_of_the_map_of_this_year(tmp_path: Path) -> None:
    """10, 20 and 40 % in three years from the year before the first run on; later years have the last."""
    share = np.array([10.0, 20.0, 40.0])
    maps = {"cdl": np.broadcast_to(share[:, None, None], (3, *SHAPE))}
    parts = [world(tmp_path, maps, year=YEAR + k) for k in (0, 2, 3)]
    table = totals_table([flux for flux, _ in parts], [parts[0][1]], SYSTEM, EvaluateBlock(total_draws=500))
    found = table[(table["map"] == "cdl") & (table["region_kind"] == "global")].set_index("year")
    assert found["area_m2"].to_dict() == pytest.approx(
        {YEAR + k: PLAIN.sum() * 0.8 * part for k, part in ((0, 0.2), (2, 0.4), (3, 0.4))}
    )
    days = {year: 366 if calendar.isleap(year) else 365 for year in found.index}
    expected = {year: 40 * days[year] * found["area_m2"][year] * 1e-15 for year in found.index}
    assert found["mean"].to_dict() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("length", [20.0, 200.0, 1e6])
def test_errors_of_whole_maps_add_up_as_correlated_errors_do(tmp_path: Path, length: float) -> None:
    """The variance of a sum of correlated errors is the sum of their covariances."""
    flux, attributes = world(tmp_path)
    block = EvaluateBlock(total_draws=1500, error_length_km=length)
    table = totals_table([flux], [attributes], SYSTEM, block, coverage(tmp_path / "c.csv", 16.449))
    found = row(table, "wetlandFrac")
    lat, lon = np.meshgrid(TILE.lat, TILE.lon, indexing="ij")
    coarse = np.s_[1::3, 1::3]  # a sum over every third cell stands for the integral
    places = on_sphere(lat[coarse].ravel(), lon[coarse].ravel())
    distance = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    area = (PLAIN[coarse] * 0.8 * 0.2).ravel()
    expected = 10.0 * 365e-15 * 9 * np.sqrt(area @ np.exp(-distance / length) @ area)
    assert found["error"] == pytest.approx(10.0, rel=1e-4)
    assert found["sd_error"] == pytest.approx(expected, rel=0.1)
    independent = 10.0 * 365e-15 * np.sqrt(((PLAIN * 0.16) ** 2).sum())
    assert found["sd_error"] > 5 * independent
    assert found["sd"] == pytest.approx(np.hypot(found["sd_members"], found["sd_error"]), rel=0.1)
    assert found["low"] < found["mean"] < found["high"] and "12 clusters" in found["note"]


def test_fields_of_errors_have_the_stated_correlation() -> None:
    fields = ErrorFields.drawn(6000, 500.0, 3)
    places = on_sphere(np.array([60.0, 60.0, 60.0, 40.0]), np.array([20.0, 24.0, 40.0, 20.0]))
    values = np.stack([*fields.at(places)])
    distance = np.sqrt(((places[:, None] - places[None]) ** 2).sum(axis=-1))
    np.testing.assert_allclose(values.T @ values / len(values), np.exp(-distance / 500.0), atol=0.06)
    assert np.abs(values.mean(axis=0)).max() < 0.05


def test_some_cells_at_a_time_give_the_same_and_seed_year_and_draws_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flux, attributes = world(tmp_path)
    told = coverage(tmp_path / "c.csv", 16.449)
    later, _ = world(tmp_path, year=2005)  # the same flux
    files, block = [flux, later], EvaluateBlock(total_draws=40)
    table = write_totals(tmp_path / "totals.csv", files, [attributes], SYSTEM, block, told)
    monkeypatch.setattr(totals, "CELLS", 1000)
    again = totals_table(files, [attributes], SYSTEM, block, told)
    pd.testing.assert_frame_equal(table, again, rtol=1e-9)
    other = block.model_copy(update={"seed": 2})
    another = write_totals(tmp_path / "totals.csv", files, [attributes], SYSTEM, other, told)
    assert (table["sd_error"] != another["sd_error"]).all() and (table["mean"] == another["mean"]).all()
    first, second = (table[table["year"] == year].reset_index(drop=True) for year in (YEAR, 2005))
    np.testing.assert_allclose(first["mean"], second["mean"])
    np.testing.assert_allclose(first["sd_error"], second["sd_error"])  # the fields of errors are those of all years
    assert (first["sd"] != second["sd"]).all()  # members are drawn anew
    assert "totals" in jobs(EvaluateBlock, "seed")


def test_what_is_not_calibratable_is_said_and_bad_input_is_refused(tmp_path: Path) -> None:
    flux, attributes = world(tmp_path)
    few = totals_table([flux], [attributes], SYSTEM, coverage=coverage(tmp_path / "few.csv", np.nan))
    assert few["error"].eq(0).all() and few["note"].str.contains("not calibratable: few: members alone").all()
    with netCDF4.Dataset(flux, "a") as file:
        file["fch4wet_member"][0, 3, 3] = np.nan
    with pytest.raises(InputError, match="active cells without 'fch4wet_member'"):
        write_totals(tmp_path / "totals.csv", [flux], [attributes], SYSTEM)
    assert not (tmp_path / "totals.csv").exists()

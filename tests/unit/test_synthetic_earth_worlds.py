"""The two worlds of the synthetic Earth: what *realistic* promises, measured on what it makes; *kind* as before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from fluxatlas.config.synthetic_earth import SyntheticEarthBlock
from fluxatlas.errors import ConfigError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.sites.chambers import read_file
from fluxatlas.process import parameters
from fluxatlas.systems import get_system
from fluxatlas.systems.soil_methane_sink import truth as methane
from fluxatlas.testing import SyntheticEarth, land, surface
from fluxatlas.testing import truth as hidden
from fluxatlas.testing.climate import Climate
from fluxatlas.testing.site_files import write_sites
from fluxatlas.testing.sites import (
    CHAMBER_CV,
    WEEK_CORRELATION,
    chamber_days,
    chamber_factors,
    chamber_visits,
    deviates,
    place_sites,
    site_truth,
)
from fluxatlas.testing.truth_maps import tile_truth
from fluxatlas.testing.waves import Waves, rng, scatter

SYSTEM = get_system("soil_methane_sink")
DEMO = (-8.0, 36.0, -4.0, 40.0)
ALWAYS_WARM = np.full(1461, 290.0)


def earth(world: str, seed: int = 73, **leaves: float) -> SyntheticEarth:
    return SyntheticEarth(SyntheticEarthBlock.model_validate({"world": world, "seed": seed, **leaves}))


def upland(world: SyntheticEarth, count: int) -> Climate:
    """Random upland points of the embedded default."""
    draw = np.random.default_rng(1)
    lat, lon = draw.uniform(DEMO[1], DEMO[3], count), draw.uniform(DEMO[0], DEMO[2], count)
    dry = land.is_land(lat, lon)
    place = world.climate(lat[dry], lon[dry])
    return place.take(np.isin(surface.land_cover(world.seed, place.lat, place.lon, place), surface.UPLAND))


def moran(values: np.ndarray) -> float:
    """Moran's I of a field (row, column) with the four nearest neighbours: 0 without memory in space."""
    z = values - values.mean()
    pairs = (z[1:] * z[:-1]).sum() + (z[:, 1:] * z[:, :-1]).sum()
    count = z[1:].size + z[:, 1:].size
    return float(pairs / count / (z**2).mean())


# --- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_scatter_is_normal_and_has_no_memory_in_space(seed: int) -> None:
    lat, lon = 36 + (np.arange(200) + 0.5) / 24, -8 + (np.arange(300) + 0.5) / 24
    field = scatter(seed, "a", *(part.ravel() for part in np.meshgrid(lat, lon, indexing="ij"))).reshape(200, 300)
    error = 1 / np.sqrt(field.size)
    assert abs(field.mean()) < 4 * error and field.std() == pytest.approx(1, abs=4 * error)
    assert np.quantile(field, [0.025, 0.975]) == pytest.approx([-1.96, 1.96], abs=0.04)
    assert abs(moran(field)) < 4 * error and moran(field[::2, ::3]) == pytest.approx(0, abs=0.03)
    for other in (scatter(seed + 1, "a", lat[:200], lon[:200]), scatter(seed, "b", lat[:200], lon[:200])):
        assert abs(np.corrcoef(other, scatter(seed, "a", lat[:200], lon[:200]))[0, 1]) < 0.25
    smooth = Waves(seed, "a", [(60, 1.0)]).at(*(part.ravel() for part in np.meshgrid(lat[:40], lon[:40])))
    assert moran(smooth.reshape(40, 40)) > 0.9  # the measure sees memory where there is some


def test_scatter_is_one_value_for_a_cell_whatever_is_asked_for_and_goes_around_the_globe() -> None:
    grid = get_grid("4km")
    lat, lon = np.array([36.01, -54.99, 89.99]), np.array([-7.99, 179.99, -180.0])
    rows, columns = np.floor((90 - lat) * 24).astype(int), np.floor((lon + 180) * 24).astype(int)
    centres = scatter(73, "a", grid.lat()[rows], grid.lon()[columns])
    np.testing.assert_array_equal(scatter(73, "a", lat, lon), centres)
    np.testing.assert_array_equal(scatter(73, "a", lat[::-1], lon[::-1] + 360), centres[::-1])
    np.testing.assert_array_equal(scatter(73, "a", lat[1:2], lon[1:2]), centres[1:2])


# --- hidden truth -----------------------------------------------------------------------------------------------------


def test_level_of_realistic_sites_is_mostly_unexplained_and_without_memory() -> None:
    """sd of ln J 0.9, 70 % of its variance unexplained: against the kind world, which all attributes make, and against
    a regression on the attributes; and between neighbouring cells."""
    dates = pd.date_range("2001-01-01", "2001-12-31")
    place = upland(earth("kind"), 420)
    half = place.lat.size
    attributes, lai = hidden.point_attributes(earth("kind"), place)
    # each point again, moved by a cell to the east: the same soil and weather, another cell
    place = place.take(np.tile(np.arange(half), 2))
    place.lon[half:] += 1 / 24
    attributes, lai = {name: np.tile(values, 2) for name, values in attributes.items()}, np.tile(lai, 2)
    log = {}
    for world in ("kind", "realistic"):
        made = hidden.truth(earth(world), SYSTEM, place, attributes, lai, dates, ("ch4ox",))["ch4ox"]
        log[world] = np.log(made.mean(axis=0, dtype=float))
    taking_up = (log["kind"][:half] > np.log(0.1)) & (log["kind"][half:] > np.log(0.1))
    assert taking_up.sum() > 280
    kind, real = log["kind"][:half][taking_up], log["realistic"][:half][taking_up]
    assert real.std() == pytest.approx(0.9, abs=0.09)
    assert 1 - np.corrcoef(kind, real)[0, 1] ** 2 == pytest.approx(0.7, abs=0.07)
    known = [np.log(attributes["soc"]), *(attributes[n] for n in ("clay", "sand", "phh2o", "ndep")), lai.mean(axis=0)]
    table = np.column_stack([np.ones(taking_up.sum()), *(x[:half][taking_up] for x in known), kind])
    rest = real - table @ np.linalg.lstsq(table, real, rcond=None)[0]
    assert rest.var() / real.var() > 0.6
    beside = log["realistic"][half:][taking_up] - log["kind"][half:][taking_up]
    assert abs(np.corrcoef(real - kind, beside)[0, 1]) < 4 / np.sqrt(taking_up.sum())
    assert np.corrcoef(kind, log["kind"][half:][taking_up])[0, 1] > 0.8


def test_hidden_parameters_keep_to_the_table_and_kind_is_what_it_was() -> None:
    place = upland(earth("kind"), 2000)
    attributes, lai = hidden.point_attributes(earth("kind"), place)
    found = {w: hidden.hidden_parameters(earth(w), SYSTEM, place, attributes, lai) for w in ("kind", "realistic")}
    for values in found.values():
        parameters.SOIL.complete(values, place.lat.size)  # raises outside the bounds

    def waves(name: str) -> np.ndarray:
        return Waves(73, name, [(60, 1.0)], count=60).at(place.lat, place.lon)

    before = methane.parameters(place.temperature, attributes, lai, waves)
    assert before.keys() == found["kind"].keys()
    assert all(np.array_equal(before[name], found["kind"][name]) for name in before)
    changed = {n for n, v in found["realistic"].items() if n not in before or not np.array_equal(v, before[n])}
    assert changed == {"oxidation_rate", "oxidation_width", "retention_factor"}
    other = hidden.hidden_parameters(earth("realistic", 74), SYSTEM, place, attributes, lai)
    ratio = [np.log(x["oxidation_rate"]) for x in (found["realistic"], other)]
    assert abs(np.corrcoef(*ratio)[0, 1]) < 0.2  # another seed, another world


def test_unexplained_share_of_the_kind_world_is_as_stated() -> None:
    place = upland(earth("kind"), 3000)
    attributes, lai = hidden.point_attributes(earth("kind"), place)
    log = np.log(hidden.hidden_parameters(earth("kind"), SYSTEM, place, attributes, lai)["oxidation_rate"])
    wave = 0.2 * Waves(73, "truth.oxidation", [(60, 1.0)], count=60).at(place.lat, place.lon)
    assert wave.var() / log.var() == pytest.approx(0.59, abs=0.03)
    assert log.std() == pytest.approx(0.22, abs=0.02)


@pytest.mark.parametrize("world", ["kind", "realistic"])
def test_truth_of_the_map_is_that_of_the_site(world: str) -> None:
    made = earth(world, towers=1, chambers=2)
    _, sites = place_sites(made, DEMO)
    dates = pd.date_range("2001-01-01", "2001-12-31")
    at_site = site_truth(made, SYSTEM, sites, dates)["fch4"].mean(axis=0, dtype=float)
    attributes, lai = hidden.point_attributes(made, sites.place)
    for number in range(2):
        here = {name: (("lat", "lon"), values[number].reshape(1, 1)) for name, values in attributes.items()}
        here |= {
            "orog": (("lat", "lon"), sites.place.elevation[number].reshape(1, 1)),
            "active": (("lat", "lon"), np.ones((1, 1))),
        }
        here["lai"] = (("month", "lat", "lon"), lai[:, number].reshape(12, 1, 1))
        place = {"lat": sites.place.lat[[number]], "lon": sites.place.lon[[number]]}
        on_map = tile_truth(made, SYSTEM, xr.Dataset(here, coords=place), [2001])["fch4"].item()
        assert on_map == pytest.approx(at_site[number], rel=1e-5)


def test_a_system_without_a_truth_has_no_world() -> None:
    bare = replace(SYSTEM, truth=None)
    place = upland(earth("realistic"), 20)
    with pytest.raises(ConfigError, match="no truth"):
        hidden.hidden_parameters(earth("realistic"), bare, place, {}, np.ones((12, place.lat.size)))


# --- measurements -----------------------------------------------------------------------------------------------------


def _autocorrelation(series: np.ndarray, lag: int) -> float:
    """Of a series (day,) with gaps (NaN) and mean 0."""
    pairs = series[:-lag] * series[lag:]
    return float(np.nanmean(pairs) / np.nanmean(series**2))


def test_levels_of_chambers_have_the_stated_spread_about_the_cell() -> None:
    sites = [chamber_factors(earth("realistic", seed), f"XX-C{n:02d}") for seed in range(20) for n in range(1, 31)]
    assert {len(site) for site in sites} == {3, 4, 5, 6}
    every = np.concatenate(sites)
    assert every.mean() == pytest.approx(1, abs=0.03)
    assert every.std() / every.mean() == pytest.approx(CHAMBER_CV, abs=0.03) and CHAMBER_CV == 0.5
    between = np.array([site.mean() for site in sites]).std()
    assert between == pytest.approx(0.5 * np.sqrt(np.mean([1 / len(site) for site in sites])), rel=0.1)  # independent


def test_errors_of_realistic_chambers_last_and_chambers_come_and_go() -> None:
    flux = -1 - 0.5 * np.sin(np.arange(1461) / 365.25 * 2 * np.pi)
    week, year, spread, absent, composition = [], [], [], [], []
    for seed in range(20):
        world = earth("realistic", seed, chamber_days_per_week=7)
        found = chamber_visits(world, "XX-C01", flux, ALWAYS_WARM)
        assert found.chamber is not None
        factors = chamber_factors(world, "XX-C01")
        own = flux[found.day] * factors[found.chamber]
        np.testing.assert_allclose(found.sd, 0.15 + 0.2 * np.abs(own))
        scaled = np.full((flux.size, factors.size), np.nan)
        scaled[found.day, found.chamber] = (found.flux - own) / found.sd
        week.append(_autocorrelation(scaled, 7))
        year.append(_autocorrelation(scaled, 90))
        spread.append(np.nanstd(scaled))
        absent.append(np.isnan(scaled).mean())
        level = pd.Series(factors[found.chamber]).groupby(found.day).mean()
        residual = pd.Series(found.flux).groupby(found.day).mean() / flux[level.index]
        composition.append(level.var() / residual.var())
    assert np.mean(week) == pytest.approx(WEEK_CORRELATION, abs=0.05) and np.quantile(week, 0.1) > 0.4
    assert np.quantile(week, 0.9) < 0.7 and abs(np.mean(year)) < 0.1
    assert np.mean(spread) == pytest.approx(1, abs=0.07)
    assert 0.2 < np.mean(absent) < 0.6
    assert 0.1 < np.median(composition) < 0.7  # real sites: 0.33 and 0.66 (Howland, Yamashiro)


def test_kind_chambers_are_what_they_were() -> None:
    world, flux = earth("kind"), np.linspace(-2, 0.5, 730)
    found = chamber_visits(world, "XX-C03", flux, ALWAYS_WARM[:730])
    days = chamber_days(world, "XX-C03", ALWAYS_WARM[:730])
    sd = 0.15 + 0.2 * np.abs(flux[days])
    noise = rng(73, "sites.XX-C03.noise").standard_normal(int(days.sum()))
    assert found.chamber is None
    np.testing.assert_array_equal(found.day, np.flatnonzero(days))
    np.testing.assert_array_equal(found.flux, flux[days] + sd * noise)


def test_errors_have_unit_variance_at_all_times() -> None:
    always = np.ones(40, bool)
    made = np.array([deviates(earth("realistic"), np.random.default_rng(n), always) for n in range(4000)])
    np.testing.assert_allclose(made.var(axis=0), 1, atol=0.12)
    white = deviates(earth("kind"), np.random.default_rng(0), always)
    np.testing.assert_array_equal(white, np.random.default_rng(0).standard_normal(40))


def test_realistic_files_name_chambers_and_ingest_reads_them(tmp_path: Path) -> None:
    world = earth("realistic", towers=1, chambers=3)
    write_sites(world, SYSTEM, DEMO, 2001, 2002, tmp_path)
    table = read_file(str(tmp_path / "chambers.csv"))
    chambers = table.groupby("site")["chamber"].nunique()
    assert chambers.between(3, 6).all() and len(chambers) == 3
    days = table.assign(day=table["datetime_utc"].dt.floor("D"))
    by_day = days.groupby(["site", "day"])["chamber"].agg(tuple)
    assert by_day.groupby("site").nunique().min() > 3  # which chambers ran differs
    shared = days.groupby(["site", "day"])[["soil_temperature"]].nunique(dropna=False)
    assert (shared["soil_temperature"] == 1).all()
    again = tmp_path / "again"
    write_sites(world, SYSTEM, DEMO, 2001, 2002, again)
    assert (again / "chambers.csv").read_bytes() == (tmp_path / "chambers.csv").read_bytes()
    write_sites(earth("kind", towers=1, chambers=3), SYSTEM, DEMO, 2001, 2002, again)
    kind = read_file(str(again / "chambers.csv"))
    assert "chamber" not in kind
    assert table.groupby("site").size().min() > kind.groupby("site").size().min()

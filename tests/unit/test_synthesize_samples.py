"""The synthetic samples of a small made-up world: complete, valid, reproducible, covering."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import infer_world as world
from fluxatlas import variables
from fluxatlas.config import load
from fluxatlas.config.synthesize import SynthesizeBlock
from fluxatlas.errors import ConfigError, GridError, InputError
from fluxatlas.grid import get_grid
from fluxatlas.ingest.atmosphere import series_of
from fluxatlas.paths import REPOSITORY
from fluxatlas.run import Run
from fluxatlas.synthesize.generate import SamplesSummary, synthesize
from fluxatlas.synthesize.weather import GridWeather, SiteWeather

SERIES = series_of(world.SYSTEM.slow)
GRID, SIZE = get_grid("0.25deg"), 2
TILES = [GRID.tile(name, SIZE) for name in ("N38W124", "N40W122")]
SITES = {"warm": (31.7, -110.1), "cold": (60.1, 25.2)}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    for tile in TILES:
        world.write_attributes(folder / "attributes" / f"{tile.name}.nc", tile)
        for year in (2000, 2001):
            world.write_piece(folder / "forcing" / tile.name / f"{year}.nc", tile, year)
    write_sites(folder)
    return folder


def write_sites(folder: Path) -> None:
    """Two sites: one with two whole years, one with a gap, so that only its second year and a half can be used."""
    frames, rows = [], []
    for site, (lat, lon) in SITES.items():
        dates = pd.date_range("2003-01-01", "2004-12-31")
        values = {name: world.weather(name, np.array([lat]), np.array([lon]), dates)[:, 0, 0] for name in FORCING}
        frame = pd.DataFrame({"site": site, "time": dates, **values, "forcing_source": "site"})
        frames.append(frame if site == "warm" else frame.drop(index=frame.index[100]))
        rows.append({"site": site, "lat": lat, "lon": lon, "sand": 60.0, "clay": 10.0, "soc": 8.0, "bdod": 1500.0})
    pd.concat(frames).to_parquet(folder / "sites.parquet")
    pd.DataFrame(rows).assign(phh2o=7.0, cropFrac=0.0, ndep=np.nan, lai=0.7).to_csv(folder / "sites.csv", index=False)


FORCING = world.SYSTEM.forcing


def make(inputs: Path, output: Path, sites: bool = False, **settings: Any) -> tuple[SamplesSummary, xr.Dataset]:
    """Samples of the two tiles."""
    report = synthesize(
        output,
        grid=GRID,
        tile_size=SIZE,
        system=world.SYSTEM,
        attributes=[inputs / "attributes" / f"{tile.name}.nc" for tile in TILES],
        forcing=sorted((inputs / "forcing").glob("*/*.nc")),
        sites_attributes=inputs / "sites.csv" if sites else None,
        sites_forcing=inputs / "sites.parquet" if sites else None,
        settings=SynthesizeBlock(**{"site_days": 40 * 365, "spinup_years": 1, **settings}),
    )
    return report, world.decode(output)


@pytest.fixture(scope="module")
def made(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return make(inputs, tmp_path_factory.mktemp("made") / "samples.nc", sites=True)[1]


def test_samples_hold_what_the_contract_lists(made: xr.Dataset) -> None:
    series = (*FORCING, *world.SYSTEM.slow_drivers, *world.SYSTEM.simulated)
    assert {"ch4ox", "ch4prod", "fch4", "tsl45", "difs", "oxk"} <= set(series)
    for name in series:
        assert made[name].dims == ("site", "time") and made[name].dtype == np.float32
        assert made[name].attrs["units"] == variables.get(name).units
    for name in (*world.SYSTEM.statics, "lat", "lon", "draw", "block"):
        assert made[name].dims == ("site",)


def test_site_days_are_met_and_nothing_is_missing_or_out_of_range(made: xr.Dataset) -> None:
    assert made.sizes["site"] * made.sizes["time"] == made.attrs["site_days"] == 40 * 365
    for name in made.data_vars:
        assert np.isfinite(made[name]).all(), name
        if name in variables.table():
            variables.check_range(made[name], str(name), where="samples")


def test_fluxes_are_consistent(made: xr.Dataset) -> None:
    """Net flux = production - uptake, water never above porosity: relations of the process model."""
    np.testing.assert_allclose(made["fch4"], made["ch4prod"] - made["ch4ox"], atol=2e-5)
    assert (made["swc05"] <= made["phi"] + 1e-6).all()
    assert float(made["ch4ox"].mean()) > 0.05


def test_training_reads_the_samples(inputs: Path, tmp_path: Path) -> None:
    from fluxatlas.train.data import read_samples

    _, made = make(inputs, tmp_path / "samples.nc")
    samples = read_samples(tmp_path / "samples.nc", world.SYSTEM)
    years = {str(day)[:4] for day in made["first_day"].values}
    assert years == {"2000", "2001"}  # pieces of both, a series of a year each
    assert samples.span == ["2000-01-01", "2001-12-31"]
    assert samples.site_days == 40 * 365 and len(np.unique(samples.block)) >= 4


def test_the_same_seed_gives_the_same_samples_and_another_does_not(inputs: Path, tmp_path: Path) -> None:
    (_, one), (_, two), (_, other) = (make(inputs, tmp_path / f"{n}.nc", seed=s) for n, s in enumerate((1, 1, 2)))
    xr.testing.assert_identical(one.drop_attrs(), two.drop_attrs())
    assert not np.array_equal(one["oxk"], other["oxk"])


def test_every_quantile_class_of_climate_and_soil_is_sampled(inputs: Path, tmp_path: Path) -> None:
    attributes = [inputs / "attributes" / f"{tile.name}.nc" for tile in TILES]
    pieces = sorted((inputs / "forcing").glob("*/*.nc"))
    _, samples = make(inputs, tmp_path / "s.nc", strata=3, draws=1, jitter=0, site_days=110 * 365, spinup_years=0)
    cells = GridWeather(GRID, SIZE, world.SYSTEM, attributes, pieces, years=1, method="bilinear")
    everywhere = dict(zip(("tas", "pr", "clay", "soc"), cells.features().T, strict=True))
    for name in ("clay", "soc"):
        edges = np.quantile(everywhere[name], [0, 1 / 3, 2 / 3, 1])
        counts = np.histogram(samples[name], edges + np.array([-1e-3, 0, 0, 1e-3]))[0]
        assert counts.min() >= 0.15 * samples.sizes["site"], (name, counts)


def test_draws_share_the_weather_but_not_the_soil(inputs: Path, tmp_path: Path) -> None:
    _, samples = make(inputs, tmp_path / "s.nc", draws=5)
    place = samples.isel(
        site=np.flatnonzero((samples["lat"] == samples["lat"][0]) & (samples["lon"] == samples["lon"][0]))
    )
    np.testing.assert_array_equal(place["draw"], np.arange(5))
    assert (place["tas"].std("site") == 0).all() and (place["ch4ox"].std("site").mean() > 0)
    assert len(np.unique(place["clay"])) == 5


def test_without_jitter_statics_are_those_of_the_cells(inputs: Path, tmp_path: Path) -> None:
    _, samples = make(inputs, tmp_path / "s.nc", jitter=0)
    for position in range(0, 40, 7):
        one = samples.isel(site=position)
        expected = world.attribute("clay", np.array([float(one["lat"])]), np.array([float(one["lon"])]))[0, 0]
        assert float(one["clay"]) == pytest.approx(expected, rel=1e-5)


def test_sites_give_their_share_of_the_weather(made: xr.Dataset) -> None:
    at = {site: np.isclose(made["lat"], lat) & np.isclose(made["lon"], lon) for site, (lat, lon) in SITES.items()}
    assert sum(where.sum() for where in at.values()) == round(0.3 * 40)
    assert min(where.sum() for where in at.values()) == 6
    cold = made.isel(site=np.flatnonzero(at["cold"]))
    assert set(pd.DatetimeIndex(cold["first_day"])) == {pd.Timestamp("2004-01-01")}, "2003 has a gap"
    assert (cold["ndep"] > 0).all(), "unknown attributes are taken from active cells"


def test_a_site_series_is_the_site_s_weather(made: xr.Dataset) -> None:
    lat, lon = SITES["cold"]
    where = np.flatnonzero(np.isclose(made["lat"], lat))[0]
    truth = world.weather("tas", np.array([lat]), np.array([lon]), pd.date_range("2003-01-01", "2004-12-31"))
    np.testing.assert_allclose(made["tas"][where], truth[365 : 365 + 365, 0, 0], rtol=1e-6)


def test_spans_of_a_site_with_gaps(inputs: Path) -> None:
    sites = SiteWeather(world.SYSTEM, inputs / "sites.csv", inputs / "sites.parquet", years=1, series=SERIES)
    assert sites.sites == ["cold", "warm"]
    assert [f"{day:%Y-%m-%d}" for day in sites.starts["warm"]] == ["2003-01-01", "2004-01-01"]
    assert SiteWeather(world.SYSTEM, inputs / "sites.csv", inputs / "sites.parquet", years=2, series=SERIES).sites == [
        "warm"
    ]


def test_the_run_s_own_series_says_which_weather_of_sites_can_be_used(inputs: Path, tmp_path: Path, capsys) -> None:
    """Weather of 2024-2025 lies beyond the table of fluxatlas, that of 1990 before a user's series from 2000."""
    frame = pd.read_parquet(inputs / "sites.parquet")
    shifted = {"warm": pd.Timestamp("2024-01-01"), "cold": pd.Timestamp("1990-01-01")}
    parts = []
    for site, start in shifted.items():
        part = frame[frame["site"] == site].sort_values("time").tail(400)
        parts.append(part.assign(time=pd.date_range(start, periods=400)))
    pd.concat(parts).to_parquet(tmp_path / "sites.parquet")
    rows = "".join(f"{year},{1770 + year - 2000},0.5\n" for year in range(2000, 2027))
    (tmp_path / "ch4_annmean_gl.csv").write_text("# CH4 in ppb\nyear,mean,unc\n" + rows)
    users = series_of(world.SYSTEM.slow, [f"ch4={tmp_path / 'ch4_annmean_gl.csv'}"])

    def sites(series: dict) -> SiteWeather:
        return SiteWeather(world.SYSTEM, inputs / "sites.csv", tmp_path / "sites.parquet", years=1, series=series)

    assert SERIES["ch4"].years[-1] < 2025 and sites(SERIES).sites == ["cold"]
    assert "beyond the series of the atmosphere: warm" in capsys.readouterr().err
    chosen = sites(users)
    assert chosen.sites == ["warm"] and "atmosphere: cold" in capsys.readouterr().err
    weather = chosen.weather("warm", chosen.starts["warm"][0])
    assert weather.dates[0] == shifted["warm"] and users["ch4"].at(weather.dates).min() > 1793


def test_several_years_and_small_batches(inputs: Path, tmp_path: Path) -> None:
    report, samples = make(inputs, tmp_path / "s.nc", years=2, site_days=7000, batch=3, spinup_years=0)
    assert samples.sizes == {"site": 10, "time": 730} and report.site_days == 7300
    one = samples.isel(site=0)
    piece = world.weather(
        "tas", np.array([float(one["lat"])]), np.array([float(one["lon"])]), pd.date_range("2001", periods=300)
    )
    assert np.corrcoef(one["tas"][366:666], piece[:, 0, 0])[0, 1] > 0.99


@pytest.mark.parametrize("sites", [False, True])
def test_the_size_of_batches_changes_no_sample(inputs: Path, tmp_path: Path, sites: bool) -> None:
    options = {"site_days": 40 * 365, "spinup_years": 0, "draws": 7}
    whole = make(inputs, tmp_path / "whole.nc", sites, **options)[1]
    for batch in (1, 3, 64):
        part = make(inputs, tmp_path / f"{batch}.nc", sites, batch=batch, **options)[1]
        xr.testing.assert_equal(whole, part)


def test_the_hidden_structure_is_left_out_on_the_synthetic_earth_only() -> None:
    demo, real = (
        Run(load(REPOSITORY / "config" / name)) for name in ("config.yaml", "examples/walnut_gulch_2008.yaml")
    )
    assert demo.synthesize.exclude == dict(world.SYSTEM.withheld) and demo.synthesize.exclude
    assert real.synthesize.exclude is None


def test_parameters_and_structures_stay_within_table_and_exclusions(
    inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fluxatlas.process import parameters, simulate
    from fluxatlas.process.structure import code
    from fluxatlas.systems.soil_methane_sink import process

    seen: list[tuple[Any, Any]] = []

    def spy(forcing: Any, soil: Any, values: Any, **more: Any) -> Any:
        seen.append((values, more["structure"]))
        return simulate(forcing, soil, values, **more)

    monkeypatch.setattr(process, "simulate", spy)
    withheld = world.SYSTEM.withheld
    make(inputs, tmp_path / "s.nc", site_days=100 * 365, spinup_years=0, exclude=withheld)
    table = parameters.SOIL.rows()
    for name, row in table.iterrows():
        values = np.concatenate([parts[str(name)] for parts, _ in seen])
        assert row["lower"] <= values.min() < values.max() <= row["upper"], name
    for choice, names in withheld.items():
        codes = np.concatenate([np.asarray(getattr(structure, choice)) for _, structure in seen])
        assert len(set(codes)) > 1 and not {code(choice, name) for name in names} & set(codes)


def test_the_command_writes_the_file(inputs: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from fluxatlas.cli import app

    arguments = [
        "synthesize",
        "samples",
        "--system",
        "soil_methane_sink",
        "--settings",
        '{"site_days": 3650, "spinup_years": 0}',
        "--grid",
        "0.25deg",
    ]
    arguments += ["--tile-size", "2", "--attributes", str(inputs / "attributes" / f"{TILES[0].name}.nc")]
    arguments += ["--forcing", str(inputs / "forcing" / TILES[0].name / "2001.nc"), "--output", str(tmp_path / "s.nc")]
    sites = ["--sites-attributes", str(inputs / "sites.csv"), "--sites-forcing", str(inputs / "sites.parquet")]
    done = CliRunner().invoke(app, [*arguments, *sites])
    assert done.exit_code == 0, done.output
    assert world.decode(tmp_path / "s.nc").attrs["site_days"] == 3650
    wrong = CliRunner().invoke(app, [*arguments, "--settings", '{"site_dys": 1}'])
    assert isinstance(wrong.exception, ConfigError) and "did you mean 'site_days'" in str(wrong.exception)


def test_errors(inputs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no form is left"):
        make(inputs, tmp_path / "s.nc", exclude={"profile": ("gaussian", "uniform", "exponential")})
    with pytest.raises(ConfigError, match="unknown structural choice 'shape'"):
        make(inputs, tmp_path / "s.nc", exclude={"shape": ("x",)})
    with pytest.raises(InputError, match=r"has forcing of \[2000, 2001\], but series of 3 years"):
        make(inputs, tmp_path / "s.nc", years=3)
    with pytest.raises(InputError, match="not a forcing piece"):
        GridWeather(GRID, SIZE, world.SYSTEM, [], [tmp_path / "N38W124" / "first.nc"], years=1, method="bilinear")
    with pytest.raises(GridError, match="not a tile name"):
        GridWeather(GRID, SIZE, world.SYSTEM, [tmp_path / "west.nc"], [], years=1, method="bilinear")
    (tmp_path / "bare.csv").write_text("site,lat\nA,1\n")
    with pytest.raises(InputError, match="no column lon"):
        SiteWeather(world.SYSTEM, tmp_path / "bare.csv", inputs / "sites.parquet", years=1, series=SERIES)
    with pytest.raises(InputError, match="file not found"):
        SiteWeather(world.SYSTEM, inputs / "sites.csv", tmp_path / "absent.parquet", years=1, series=SERIES)
    assert not (tmp_path / "s.nc").exists()


@pytest.mark.parametrize("name", ["007", "NA"])
def test_names_of_sites_are_text(inputs: Path, tmp_path: Path, name: str) -> None:
    table, weather = pd.read_csv(inputs / "sites.csv"), pd.read_parquet(inputs / "sites.parquet")
    table.replace("warm", name).to_csv(tmp_path / "sites.csv", index=False)
    weather.replace("warm", name).to_parquet(tmp_path / "sites.parquet")
    found = SiteWeather(world.SYSTEM, tmp_path / "sites.csv", tmp_path / "sites.parquet", years=1, series=SERIES)
    assert name in found.sites and len(found.sites) == 2


def test_a_domain_without_cells_is_refused(inputs: Path, tmp_path: Path) -> None:
    path = world.write_attributes(tmp_path / f"{TILES[0].name}.nc", TILES[0], ocean_west_of=0.0)
    with pytest.raises(InputError, match="no tile has an active cell"):
        synthesize(tmp_path / "s.nc", grid=GRID, tile_size=SIZE, system=world.SYSTEM, attributes=[path], forcing=[])


def test_absurd_forcing_is_refused_after_some_attempts(inputs: Path, tmp_path: Path) -> None:
    tile = TILES[0]
    attributes = world.write_attributes(tmp_path / f"{tile.name}.nc", tile)
    source = world.decode(inputs / "forcing" / tile.name / "2001.nc")
    for variable in source.variables.values():
        variable.encoding = {}
    source["huss"] = (source["huss"] * 0 + 0.06).assign_attrs(source["huss"].attrs)  # more vapour than there can be
    source["sfcWind"] = (source["sfcWind"] + 70).assign_attrs(source["sfcWind"].attrs)
    (tmp_path / tile.name).mkdir()
    source.to_netcdf(tmp_path / tile.name / "2001.nc")
    with pytest.raises(InputError, match="series left the valid ranges, only 0 of 4 did not"):
        synthesize(
            tmp_path / "s.nc",
            grid=GRID,
            tile_size=SIZE,
            system=world.SYSTEM,
            attributes=[attributes],
            forcing=[tmp_path / tile.name / "2001.nc"],
            settings=SynthesizeBlock(site_days=4 * 365, spinup_years=0),
        )
    assert [path.name for path in tmp_path.iterdir() if "s.nc" in path.name or ".s." in path.name] == []


def test_samples_with_soils_of_anywhere_are_not_those_of_the_domain(inputs: Path, tmp_path: Path) -> None:
    """All of the soil, none of the weather: the spread of the world, the temperature of the domain."""
    own, mixed = (make(inputs, tmp_path / f"{share}.nc", world_soils=share)[1] for share in (0.0, 1.0))
    assert float(mixed["soc"].std()) > 3 * float(own["soc"].std()) and float(mixed["phh2o"].std()) > 0.7
    assert float(mixed["lai"].max()) > float(own["lai"].max())
    assert abs(float(mixed["tas"].mean()) - float(own["tas"].mean())) < 2

"""A run at sites alone: no domain, no period, no weather on a grid; the workflow, its samples, its messages."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

import infer_world as world
from fluxatlas.astronomy import extraterrestrial_radiation
from fluxatlas.check.run import look
from fluxatlas.config import load
from fluxatlas.config.synthesize import SynthesizeBlock
from fluxatlas.errors import ConfigError, FluxAtlasError, InputError, UnitError
from fluxatlas.farewell import farewell
from fluxatlas.grid import get_grid
from fluxatlas.ingest.sites.metadata import read_attributes
from fluxatlas.plan import learning, work
from fluxatlas.regrid.site_weather import read_weather
from fluxatlas.regrid.sites import write
from fluxatlas.run import Run
from fluxatlas.status import FileStatus, table
from fluxatlas.synthesize.generate import synthesize
from fluxatlas.systems import get_system

ATTRIBUTES = {"sand": 40.0, "clay": 20.0, "soc": 10.0, "bdod": 1300.0, "phh2o": 6.0, "cropFrac": 10.0, "ndep": 0.5}
PLACES = {"A": (38.0, -7.0), "B": (52.0, 5.0), "C": (61.0, 25.0)}
DRIVERS = ("tas", "tasmin", "tasmax", "pr", "rsds", "rlds", "huss", "ps", "sfcWind")


def weather(sites: str = "ABC", days: int = 365) -> pd.DataFrame:
    """Daily weather of some sites in canonical units."""
    dates, parts = pd.date_range("2003-01-01", periods=days), []
    for site in sites:
        lat, lon = PLACES[site]
        values = {name: world.weather(name, np.array([lat]), np.array([lon]), dates)[:, 0, 0] for name in DRIVERS}
        parts.append(pd.DataFrame({"site": site, "time": dates, **values}))
    return pd.concat(parts, ignore_index=True)


def tables(folder: Path, sites: str = "ABC", days: int = 365, **lacking: float) -> dict[str, Path]:
    """The two tables of sites that samples are made of; soils that differ from site to site."""
    rows = [
        {"site": site, "lat": PLACES[site][0], "lon": PLACES[site][1], "lai": 1.0 + number}
        | {name: value * (1 + 0.5 * number) for name, value in ATTRIBUTES.items()}
        for number, site in enumerate(sites)
    ]
    frame = pd.DataFrame(rows).assign(sand=[60.0, 20.0, 40.0][: len(sites)], clay=[10.0, 60.0, 20.0][: len(sites)])
    frame.assign(**lacking).to_csv(folder / "attributes.csv", index=False)
    weather(sites, days).assign(forcing_source="site").to_parquet(folder / "forcing.parquet")
    return {"sites_attributes": folder / "attributes.csv", "sites_forcing": folder / "forcing.parquet"}


def samples(folder: Path, system: str, count: int = 60, **more: Any) -> xr.Dataset:
    settings = SynthesizeBlock(site_days=count * 365, spinup_years=0, **{"jitter": 0, **more})
    where = {"grid": get_grid("4km"), "tile_size": 10}
    synthesize(folder / "s.nc", system=get_system(system), settings=settings, **where, **tables(folder))
    return world.decode(folder / "s.nc")


@pytest.mark.parametrize("system", ["soil_methane_sink", "net_ecosystem_exchange"])
def test_samples_have_the_weather_of_sites(tmp_path: Path, system: str) -> None:
    made = samples(tmp_path, system, count=9)
    of_sites = weather().set_index("site")
    assert made.sizes["site"] == 9 and sorted(set(made["lat"].values.tolist())) == [38.0, 52.0, 61.0]
    for number in range(9):
        own = next(site for site, (lat, _) in PLACES.items() if np.isclose(lat, made["lat"][number]))
        np.testing.assert_allclose(made["tas"][number], of_sites.loc[own, "tas"], rtol=1e-6)
    assert all(np.isfinite(made[name]).all() for name in made.data_vars)


def test_soils_reach_over_the_joint_range_of_the_sites(tmp_path: Path) -> None:
    """With the weather of A (60 % sand, 10 % clay) soils lie on the lines from its own to those of B and of C."""
    made = samples(tmp_path, "soil_methane_sink", count=300)
    at_a = made.isel(site=np.flatnonzero(made["lat"] == 38.0))
    sand, clay = at_a["sand"].values, at_a["clay"].values
    assert sand.max() == pytest.approx(60, abs=0.5) and sand.min() == pytest.approx(20, abs=2)
    to_b, to_c = (60 - sand) / 40, (60 - sand) / 20  # the share of the other's soil
    on_b, on_c = np.isclose(clay, 10 + 50 * to_b, atol=1e-3), np.isclose(clay, 10 + 10 * to_c, atol=1e-3)
    assert (on_b | on_c).all() and on_b.mean() > 0.2 and on_c.mean() > 0.2
    assert (made["sand"] + made["clay"] <= 100).all() and (at_a["lai"] == 1.0).all(), "leaf area is that of the weather"
    again = samples(tmp_path, "soil_methane_sink", count=300)
    xr.testing.assert_equal(made, again)


def test_leaves_that_are_unknown_are_those_of_the_site_whose_soil_is_mixed_in(tmp_path: Path) -> None:
    given = tables(tmp_path)
    frame = pd.read_csv(given["sites_attributes"])
    frame.loc[frame["site"] == "A", "lai"] = np.nan  # B has 2, C has 3
    frame.to_csv(given["sites_attributes"], index=False)
    settings = SynthesizeBlock(site_days=60 * 365, spinup_years=0, jitter=0)
    where = {"grid": get_grid("4km"), "tile_size": 10, "system": get_system("soil_methane_sink")}
    synthesize(tmp_path / "s.nc", settings=settings, **where, **given)
    made = world.decode(tmp_path / "s.nc")
    at_a = made.isel(site=np.flatnonzero(made["lat"] == 38.0))
    sand, clay, lai = at_a["sand"].values, at_a["clay"].values, at_a["lai"].values
    of_b = (lai == 2.0).all(axis=1)
    assert 0 < of_b.sum() < len(of_b) and (lai[~of_b] == 3.0).all()
    share = np.where(of_b, (60 - sand) / 40, (60 - sand) / 20)
    np.testing.assert_allclose(clay, 10 + np.where(of_b, 50, 10) * share, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"days": 364}, "no site has weather of its own to sample"),
        ({"ndep": np.nan}, "no site has all attributes; site 'A' has no ndep"),
        ({"lai": np.nan}, "no site has all attributes; site 'A' has no lai"),
    ],
)
def test_samples_of_no_site_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    system, days = get_system("soil_methane_sink"), change.pop("days", 365)
    given = tables(tmp_path, "AB", days, **change)
    with pytest.raises(InputError, match=message):
        synthesize(tmp_path / "s.nc", grid=get_grid("4km"), tile_size=10, system=system, **given)
    assert not (tmp_path / "s.nc").exists()


def configured(folder: Path, **blocks: Any) -> Path:
    """A run at three chambers, whose weather is in a table."""
    days = pd.date_range("2003-05-01", periods=40)
    rows = [
        {"site": site, "lat": lat, "lon": lon, "elevation": 100, "igbp": "DBF", "flux": 1.0 + 0.01 * n,
         "datetime_utc": f"{day:%Y-%m-%d}T12:00Z", "flux_unit": "mg CH4 m-2 d-1", "flux_sign": "uptake_positive"}
        for site, (lat, lon) in PLACES.items() for n, day in enumerate(days)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "chambers.csv", index=False)
    pd.DataFrame([{"site": site, **ATTRIBUTES, "lai": 1.0} for site in PLACES]).to_csv(
        folder / "soils.csv", index=False
    )
    weather().to_csv(folder / "weather.csv", index=False)
    entry = {"source": "chambers", "path": [f"{folder}/chambers.csv"], "attributes": f"{folder}/soils.csv"}
    data = {
        "run": {"name": "alone", "results": str(folder / "results")},
        "system": "soil_methane_sink",
        "forcing": {"source": "sites", "path": f"{folder}/weather.csv"},
        "sites": {"entries": [entry]},
        "train": {"members": 2, "baselines": ["process"]},
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(data | blocks))
    return folder / "c.yaml"


def test_the_run_has_no_map_and_says_so(tmp_path: Path) -> None:
    run = Run(load(configured(tmp_path)))
    assert run.describe() == f"soil_methane_sink at sites alone, 2 members, into {tmp_path}/results/alone"
    assert not run.tiles and not run.years and run.tables == ["skill", "protocols", "prior", "responses"]
    assert {"flux_map", "inputs_map", "budget", "seasonal_cycle", "tower_series"}.isdisjoint(run.figures)
    jobs = {stage: todo.jobs for stage, todo in work(run).items()}
    assert jobs["infer"] == jobs["products"] == 0 and jobs["regrid"] == jobs["synthesize"] == 1
    assert learning.counted_days(run) == 50 * 10 * 365  # until the sites are read, as no period says how many years
    skill = run.paths("evaluate", "skill.csv")
    assert "tile-years" not in table(run, [FileStatus(skill, "skill", "done", "")])
    Path(skill).parent.mkdir(parents=True)
    Path(skill).touch()
    assert "explore" not in farewell(run) and skill in farewell(run)
    for asked in (lambda: run.trend_pieces, lambda: run.factor_pieces, lambda: run.compared("pairs")):
        with pytest.raises(ConfigError, match="the run is at sites alone and makes no maps"):
            asked()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"domain": {"west": -8, "south": 37, "east": -6, "north": 38}}, "run over a grid: 'domain' does nothing"),
        ({"period": {"start": 2001, "end": 2001}}, "run over a grid: 'period' does nothing"),
        ({"products": {"monthly": False}}, "run over a grid: 'products' does nothing"),
        ({"infer": {"workers": 2}}, "run over a grid: 'infer' does nothing"),
        ({"synthesize": {"max_tiles": 2}}, "run over a grid: 'synthesize.max_tiles' does nothing"),
        ({"train": {"years": [2001, 2002]}}, "run over a grid: 'train.years' does nothing"),
        (
            {"static": {"layers": {"phh2o": {"constant": 8.0, "reason": "calcareous soils"}}}},
            "'static.layers.phh2o: {constant}' does nothing",
        ),
        ({"forcing": {"source": "sites", "elevation": "z.nc"}}, "no grid of weather is read: 'elevation' does nothing"),
        ({"forcing": {"source": "sites", "path": "w_{year}.csv"}}, "one table of all years, without placeholders"),
        ({"forcing": {"source": "synthetic_earth"}}, "period: this key is required"),
        ({"static": {"area_maps": {"other": {"path": "a.tif"}}}}, "over a grid: 'static.area_maps' does nothing"),
        ({"synthetic_earth": {"towers": 4}}, "over a grid: 'synthetic_earth' does nothing"),
    ],
)
def test_what_is_said_of_maps_is_refused(tmp_path: Path, blocks: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(configured(tmp_path, **blocks))


def test_check_looks_at_weather_and_attributes_of_the_sites(tmp_path: Path) -> None:
    findings, subject = look(configured(tmp_path))
    assert not findings.problems and not findings.notes and "at sites alone" in subject
    weather("AB").to_csv(tmp_path / "weather.csv", index=False)
    findings, _ = look(tmp_path / "c.yaml")
    assert findings.notes == ["1 of 3 sites have no weather of their own, such as 'C': nothing is made for them"]
    findings, _ = look(configured(tmp_path, forcing={"source": "sites"}))
    assert [problem.what for problem in findings.problems] == ["3 of 3 sites have no weather of their own, such as 'A'"]
    (tmp_path / "soils.csv").write_text("site,sand\nA,40\n")
    said = [problem.what for problem in look(tmp_path / "c.yaml")[0].problems]
    assert said[0].startswith("no site can be used for training: site 'A' has no clay, soc")


def test_check_looks_at_yields_and_gridded_products(tmp_path: Path) -> None:
    """Places of a table of yields alone make a run, as they do for the jobs; what is absent is said of each."""
    (tmp_path / "maize.csv").write_text("site,year,crop,yield\nA,2003,maize,9\nB,2003,maize,8\n")
    (tmp_path / "places.csv").write_text("site,lat,lon\nA,38,-7\nB,52,5\n")
    (tmp_path / "soil.csv").write_text("site,sand,clay,soc,bdod\nA,40,20,10,1300\nB,30,20,10,1300\n")
    table = {"path": "maize.csv", "crop": "maize", "places": "places.csv", "attributes": "soil.csv"}
    table |= {key: f"{tmp_path}/{name}" for key, name in table.items() if key != "crop"}

    def found(**sites: Any) -> list[str]:
        path = configured(tmp_path, system="crop_carbon", sites=sites)
        weather("AB").assign(site=lambda rows: "maize-" + rows["site"]).to_csv(tmp_path / "weather.csv", index=False)
        return [str(problem) for problem in look(path)[0].problems]

    assert found(yields=[table]) == []
    (tmp_path / "sea.csv").write_text("site,lat,lon\nA,38,-7\nB,52,-25\n")
    (wrong,) = found(yields=[{**table, "places": f"{tmp_path}/sea.csv"}])
    assert "(52, -25) lies in the sea" in wrong and "site 'maize-B'" in wrong
    wrong = found(yields=[{**table, "places": "nowhere.csv"}], gridded={"gpp": {"path": f"{tmp_path}/gpp_*.nc"}})
    assert len(wrong) == 2 and "sites.yields[0]: nowhere.csv" in wrong[0] and "no file matches" in wrong[1]
    xr.Dataset({"GPP": ("time", [1.0])}, {"time": [0]}).to_netcdf(tmp_path / "gpp_1.nc")
    (wrong,) = found(yields=[table], gridded={"gpp": {"path": f"{tmp_path}/gpp_*.nc"}})
    assert "sites.gridded.gpp" in wrong and "no coordinate called latitude or lat" in wrong
    (tmp_path / "soil.csv").write_text("site,sand,clay,soc,bdod,rotation\nA,40,20,10,1300,whaet\nB,30,20,10,1300,\n")
    (wrong,) = found(yields=[table])
    assert "rotation 'whaet' of site 'maize-A' is not one of crop_carbon; did you mean 'wheat'" in wrong
    assert "no sites are configured" in found()[0]


def test_tables_of_sites_are_made_without_tiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configured(tmp_path)
    rows = [
        {"site": s, "lat": a, "lon": o, "elevation": 1.0, "kind": "chamber", **ATTRIBUTES}
        for s, (a, o) in PLACES.items()
    ]
    pd.DataFrame(rows).assign(lai=1.0).to_csv(tmp_path / "sites.csv", index=False)
    own = weather("A", days=20)
    own.to_parquet(tmp_path / "forcing.parquet")
    weather("AB").to_csv(tmp_path / "weather.csv", index=False)
    write(
        [],
        [],
        get_system("soil_methane_sink"),
        tmp_path,
        tmp_path,
        tmp_path,
        tmp_path / "out",
        weather=tmp_path / "weather.csv",
    )
    made = pd.read_parquet(tmp_path / "out/sites_forcing.parquet")
    assert made.groupby("site").size().to_dict() == {"A": 20, "B": 365}, "what a site measured takes precedence"
    assert set(made["forcing_source"]) == {"site"} and not list((tmp_path / "out").glob("*.json"))
    assert "1 site without weather of their own, which nothing is made for: C" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_table_of_weather(tmp_path: Path, kind: str) -> None:
    path, given = tmp_path / f"w.{kind}", weather().iloc[::-1]
    (given.to_csv if kind == "csv" else given.to_parquet)(path, index=False)
    made = read_weather(path, {"A": 47.0, "C": 47.0, "unknown": 0.0}, DRIVERS)
    assert made["site"].unique().tolist() == ["A", "C"] and len(made) == 730
    np.testing.assert_allclose(made["ps"], weather("AC")["ps"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"site": "X"}, "no site of this table is one of the run"),
        ({"time": "2003-05-01"}, "site 'A' has 2003-05-01 twice"),
        ({"time": "2003-05-01 06:00"}, "the weather is not daily"),
        ({"time": "May"}, "'May' in row 1 of column 'time' is not a time"),
        ({"tas": 15.0}, r"values of 'tas' lie outside \[.*\] K"),
        ({"pr": "much"}, "'much' in row 1 of column 'pr' is not a number"),
    ],
)
def test_a_wrong_table_of_weather_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    weather("A", days=9).assign(**change).to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(InputError, match=message) as refused:
        read_weather(tmp_path / "w.csv", {"A": 47.0}, DRIVERS)
    assert "w.csv" in refused.value.where and refused.value.hint
    weather("A").drop(columns="huss").to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(InputError, match="column 'huss' is missing"):
        read_weather(tmp_path / "w.csv", {"A": 47.0}, DRIVERS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.assign(rsds=w["rsds"] * 0.0864), r"'rsds': no day of \d+ is brighter than .*: in MJ m-2 d-1\?"),
        (lambda w: w.assign(sfcWind=60.0), r"'sfcWind': .* is that of km h-1"),
        (
            lambda w: w.assign(tasmin=w["tasmax"], tasmax=w["tasmin"]),
            r"'tasmin' exceeds 'tas' on 365 days, first .*site",
        ),
        (lambda w: w.assign(tas=w["tasmax"] + (w.index == 7)), "'tas' exceeds 'tasmax' on 1 day.*on 2003-01-08"),
    ],
)
def test_weather_within_its_range_is_judged_too(tmp_path: Path, change: Any, message: str) -> None:
    """What forcing of a grid is asked: units by magnitude, and extremes on either side of the mean."""
    change(weather("A")).to_csv(tmp_path / "w.csv", index=False)
    with pytest.raises(FluxAtlasError, match=message):
        read_weather(tmp_path / "w.csv", {"A": 47.0}, DRIVERS)
    noisy = weather("A")
    noisy["pr"] -= 1e-12 * (noisy["pr"] == 0)  # round-off below zero
    noisy.to_csv(tmp_path / "w.csv", index=False)
    assert (read_weather(tmp_path / "w.csv", {"A": 47.0}, DRIVERS)["pr"] >= 0).all()


@pytest.mark.parametrize(("lat", "start"), [(69.0, "2003-10-20"), (-69.0, "2003-04-20")])
def test_winter_of_high_latitudes_is_no_other_unit(tmp_path: Path, lat: float, start: str) -> None:
    """Half of the sun, never above 45 W m-2, is weather; 0.0864 of it over a year is another unit."""
    path, days = tmp_path / "w.csv", pd.date_range(start, periods=110)
    parts = []
    for year in range(3):
        dark = weather("A", days=110).assign(time=days + pd.DateOffset(years=year))
        sun = extraterrestrial_radiation(lat, pd.DatetimeIndex(dark["time"]))[:, 0]
        parts.append(dark.assign(rsds=np.minimum(0.5 * sun, 40.0)))
    winters = pd.concat(parts)
    winters.to_csv(path, index=False)
    assert len(read_weather(path, {"A": lat}, DRIVERS)) == 330 and winters["rsds"].max() < 45
    year = weather("A", days=365)
    sun = extraterrestrial_radiation(lat, pd.DatetimeIndex(year["time"]))[:, 0]
    year.assign(rsds=0.7 * 0.0864 * sun).to_csv(path, index=False)
    with pytest.raises(UnitError, match=r"'rsds': no day of \d+ is brighter than .*: in MJ m-2 d-1\?"):
        read_weather(path, {"A": lat}, DRIVERS)


def test_carbon_of_a_table_that_may_be_in_percent_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for values, said in (((1.2, 2.0, 3.1), True), ((12.0, 5.0, 31.0), False)):
        rows = "".join(f"{site},{value}\n" for site, value in zip("ABC", values, strict=True))
        (tmp_path / "soils.csv").write_text(f"site,soc\n{rows}")
        read_attributes(tmp_path / "soils.csv")
        assert ("have soc of 2 or less: it is read in g kg-1; is it in %?" in capsys.readouterr().err) == said


def test_a_table_with_a_zone_or_without_a_whole_day_is_refused(tmp_path: Path) -> None:
    path, given = tmp_path / "w.parquet", weather("A", days=9)
    given.assign(time=pd.to_datetime(given["time"]).dt.tz_localize("UTC")).to_parquet(path)
    with pytest.raises(InputError, match="the times are in the zone UTC, not days of the site"):
        read_weather(path, {"A": 47.0}, DRIVERS)
    given.assign(huss=np.nan).to_parquet(path)
    with pytest.raises(InputError, match="no day has all drivers; 'huss' has no value"):
        read_weather(path, {"A": 47.0}, DRIVERS)
    odd = np.arange(9) % 2 == 0
    given.assign(huss=given["huss"].where(odd), tas=given["tas"].where(~odd)).to_parquet(path)
    with pytest.raises(InputError, match=r"no day has all drivers\n"):
        read_weather(path, {"A": 47.0}, DRIVERS)

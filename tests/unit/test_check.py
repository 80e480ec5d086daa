"""``fluxatlas check``: nine mistakes of nine kinds give nine messages at once; a sound run gives a short summary."""

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

import constraint_files
from fluxatlas.check import tables
from fluxatlas.check.findings import Findings
from fluxatlas.check.run import look
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.config.static import StaticBlock
from fluxatlas.errors import ConfigError, FluxAtlasError, InputError
from fluxatlas.ingest.sites.records import SiteRecord, observations
from fluxatlas.run import Run
from fluxatlas.systems import get_system

WEATHER = {
    "tas": (288.0, "K"), "tasmin": (280.0, "K"), "tasmax": (295.0, "K"), "pr": (2.0, "mm d-1"),
    "rsds": (180.0, "W m-2"), "rlds": (320.0, "W m-2"), "huss": (0.008, "kg kg-1"), "ps": (98000.0, "Pa"),
    "sfcWind": (3.0, "m s-1"),
}  # fmt: skip
ASSUMED = "assumed for this test"
ATTRIBUTES = {"sand": 40, "clay": 20, "soc": 10, "bdod": 1300, "phh2o": 6, "cropFrac": 10, "ndep": 5, "lai": 1}


def _weather(folder: Path, **units: str) -> None:
    axes = {"time": pd.date_range("2001-01-01", "2001-12-31"), "lat": np.arange(38.875, 36, -0.25)}
    axes["lon"] = np.arange(-8.875, -6, 0.25)
    shape = tuple(len(axis) for axis in axes.values())
    data = {
        name: (tuple(axes), np.full(shape, value, np.float32), {"units": units.get(name, unit)})
        for name, (value, unit) in WEATHER.items()
    }
    xr.Dataset(data, axes).to_netcdf(folder / "weather_2001.nc")
    z = xr.DataArray(np.full(shape[1:], 200.0), {"lat": axes["lat"], "lon": axes["lon"]}, ("lat", "lon"))
    z.to_dataset(name="z").assign_attrs().to_netcdf(folder / "z.nc")
    mapping = {
        "title": "Daily weather", "citation": "made up", "step_hours": 24, "stamp": "start",
        "raw": {name: {"time": "interval"} for name in WEATHER}, "variables": {name: {"of": name} for name in WEATHER},
    }  # fmt: skip
    (folder / "daily.yaml").write_text(yaml.safe_dump(mapping))


def _methane(folder: Path, last: int) -> None:
    rows = "".join(f"{year},{1700 + year - 1990},0.5\n" for year in range(1995, last + 1))
    (folder / "ch4.csv").write_text(f"# CH4\nyear,mean,unc\n{rows}")


def _chambers(path: Path, site: str, year: int) -> None:
    days = pd.date_range(f"{year}-05-01", periods=40).strftime("%Y-%m-%dT12:00:00")
    head = "site,lat,lon,elevation,igbp,datetime_utc,flux,flux_unit,flux_sign\n"
    rows = "".join(f"{site},37.6,-7.5,200,GRA,{day},-1,mg CH4 m-2 d-1,upward_positive\n" for day in days)
    path.write_text(head + rows)


def _attributes(path: Path, site: str, **change: float) -> None:
    values = {"site": site, **ATTRIBUTES, **change}
    path.write_text(",".join(values) + "\n" + ",".join(map(str, values.values())) + "\n")


@pytest.fixture
def sound(tmp_path: Path) -> tuple[Path, dict]:
    """A folder of small real files and the configuration of a run on them."""
    _weather(tmp_path)
    _methane(tmp_path, 2005)
    for name in ("old", "new"):
        _chambers(tmp_path / f"{name}.csv", name, 2002)
        _attributes(tmp_path / f"{name}_soil.csv", name)
    ring = [[-9, 36], [-6, 36], [-6, 39], [-9, 39], [-9, 36]]
    shape = {"type": "Feature", "properties": {"name": "x"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (tmp_path / "region.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [shape]}))
    constraint_files.oco2_mip(tmp_path, constraint_files.known_flux())
    layers = {name: {"constant": value, "reason": ASSUMED} for name, value in {**ATTRIBUTES, "orog": 200}.items()}
    config = {
        "run": {"name": "r", "results": str(tmp_path / "results")},
        "system": "soil_methane_sink",
        "grid": {"name": "4km", "tile_size": 1},
        "domain": {"west": -8, "south": 37, "east": -7, "north": 38},
        "period": {"start": 2001, "end": 2001, "spinup": "repeat", "spinup_years": 1},
        "forcing": {
            "source": "mapping", "mapping": str(tmp_path / "daily.yaml"), "path": str(tmp_path / "weather_{year}.nc"),
            "elevation": str(tmp_path / "z.nc"),
        },
        "atmosphere": {"series": {"ch4": {"path": str(tmp_path / "ch4.csv")}}},
        "static": {"layers": layers},
        "sites": {"entries": [
            {"source": "chambers", "path": f"{tmp_path}/{name}.csv", "attributes": f"{tmp_path}/{name}_soil.csv"}
            for name in ("old", "new")
        ]},
        "regions": {"maps": {"box": {"path": str(tmp_path / "region.geojson"), "field": "name"}}},
        "constraints": {"sets": {"inversions": {"path": str(tmp_path / "EnsMean_gridded_fluxes_LNLGIS.nc4")}}},
    }  # fmt: skip
    return tmp_path, config


def _found(folder: Path, config: dict) -> list[FluxAtlasError]:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return look(path)[0].problems


def test_a_sound_run_gives_a_short_summary(sound) -> None:
    folder, config = sound
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(app, ["check", str(folder / "config.yaml")])
    assert done.exit_code == 0 and len(done.output.splitlines()) <= 4, str(done.exception)
    for part in (
        ": fine",
        "1 file of forcing",
        "9 static layers",
        "2 sites",
        "CH4 (1995-2005)",
        "regions box",
        "constraint inv",
    ):
        assert part in done.output, done.output
    assert not (folder / "results").exists()


def test_nine_mistakes_give_nine_messages_at_once(sound) -> None:
    folder, config = sound
    _weather(folder, pr="K")  # the unit
    _methane(folder, 2000)  # the years of the product, and those of a site
    _attributes(folder / "old_soil.csv", "old", clay=430)
    config["report"] = {"colormap": "viridiss"}
    config["forcing"] |= {"first_year": 2002}
    config["static"]["layers"].pop("phh2o")
    config["static"]["layers"]["clay"] = {"constant": 75, "reason": ASSUMED}
    config["constraints"]["sets"]["inversions"]["path"] = str(folder / "no*.nc4")
    messages = [str(problem) for problem in _found(folder, config)]
    expected = (
        ("unknown colour map 'viridiss'; did you mean 'viridis'?", "report.colormap"),
        ("needs forcing of 2001", "period"),
        ("'K'", "forcing: "),
        ("no layer for phh2o", "static.layers"),
        ("sand and clay add up to 115 %", "static.layers.sand"),
        ("holds the complete years 1995-2000, not 2001", "atmosphere.series.ch4: "),
        ("'clay'", "sites.entries[0]: attributes of site 'old'"),
        ("site 'new' needs CH4 of 2002-2002, the series holds 1995-2000", "sites.entries"),
        ("no file matches the pattern", "constraints.sets.inversions: "),
    )
    assert len(messages) == 9, "\n".join(messages)
    for what, where in expected:
        (one,) = [text for text in messages if what in text and "where: " in text and where in text]
        assert "  do:    " in one


def test_the_command_says_all_of_it_and_fails(sound) -> None:
    folder, config = sound
    config["regions"]["maps"]["box"]["path"] = str(folder / "gone.geojson")
    config["forcing"]["elevation"] = str(folder / "gone.nc")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    done = CliRunner().invoke(app, ["check", str(folder / "config.yaml")])
    text = str(done.exception)
    assert done.exit_code == 1 and "2 problems before the first job" in text
    assert "1. the file does not exist" in text and "gone.nc" in text and "gone.geojson" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forcing": {"path": "{year}_nowhere.nc"}}, "the file does not exist (years 2001)"),
        ({"forcing": {"mapping": "nowhere.yaml"}}, "no mapping 'nowhere.yaml'"),
        ({"domain": {"west": 20, "south": 50, "east": 21, "north": 51}}, "forcing"),
        ({"sites": {"entries": []}}, "no sites are configured"),
        ({"sites": {"qc": {"limits": {"fch5": [0, 1]}}}}, "unknown variable 'fch5'; did you mean 'fch4'?"),
    ],
)
def test_one_mistake_gives_one_message(sound, change: dict, message: str) -> None:
    folder, config = sound
    wrong = copy.deepcopy(config)
    for block, values in change.items():
        wrong[block] |= values
    if "domain" in change:
        wrong["regions"] = {}
    problems = _found(folder, wrong)
    assert len(problems) == 1 and message in str(problems[0]), problems


def test_the_same_unknown_name_under_two_keys_is_two_problems() -> None:
    findings = Findings()
    for key in ("train.qc", "sites.qc", "sites.qc"):
        findings.add(InputError("unknown variable 'fch5'"), key)
    findings.add(InputError("unknown variable 'fch5'"), "sites.entries[0]")  # a reader that is handed sites.qc
    assert [problem.where for problem in findings.problems] == ["train.qc", "sites.qc"]
    for index in (0, 1):
        findings.add(InputError("unknown kind 'towr'"), f"sites.entries[{index}]")
    assert len(findings.problems) == 4


def test_of_the_synthetic_earth_little_is_looked_at(tmp_path: Path) -> None:
    findings, subject = look(Path("config/config.yaml"))
    assert not findings.problems and findings.seen == ["series of CH4 (1984-2023)"] and "4 tiles" in subject


def test_a_synthetic_domain_without_room_for_its_sites_is_refused_before_its_forcing_is_made(tmp_path: Path) -> None:
    cape = {"west": -9.1, "south": 36.95, "east": -8.95, "north": 37.1}  # Sao Vicente: all of it is near the coast
    config = {"system": "soil_methane_sink", "domain": cape, "period": {"start": 2001, "end": 2001}}
    path = tmp_path / "few.yaml"
    path.write_text(yaml.safe_dump(config | {"forcing": {"source": "synthetic_earth"}}))
    (problem,) = look(path)[0].problems
    assert "18 are needed" in str(problem) and "choose a domain with more land or fewer" in str(problem)


def test_the_years_of_training_are_looked_at_too(sound) -> None:
    folder, config = sound
    config["train"] = {"years": [1999, 2001]}
    (problem,) = _found(folder, config)
    assert "2 of 3 files do not exist (years 1999, 2000)" in str(problem) and "weather_1999.nc" in str(problem)
    config["forcing"]["first_year"] = 2001
    assert "needs forcing of 1999, 2000, which the archive does not hold" in str(_found(folder, config)[0])


def test_a_layer_that_is_refused_leaves_the_sum_of_textures_alone(sound) -> None:
    folder, config = sound
    config["static"]["layers"]["clay"] = {"path": str(folder / "gone.tif")}
    (problem,) = _found(folder, config)
    assert "gone.tif" in str(problem)


def test_sand_as_a_fraction_beside_clay_in_percent(sound) -> None:
    folder, config = sound
    config["static"]["layers"]["sand"] = {"constant": 0.4, "reason": ASSUMED}
    (problem,) = _found(folder, config)
    assert "sand is a fraction by magnitude (never above 0.4), clay is percent" in str(problem)


def test_plan_says_the_same_below_its_table(sound) -> None:
    folder, config = sound
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    check, plan = (CliRunner().invoke(app, [command, str(path)]) for command in ("check", "plan"))
    assert plan.exit_code == 0 and plan.output.startswith("soil_methane_sink on") and plan.output.endswith(check.output)
    for change in ({"forcing": {"elevation": str(folder / "gone.nc")}}, {"report": {"colormap": "viridiss"}}):
        for block, values in change.items():
            config[block] = {**config.get(block, {}), **values}
        path.write_text(yaml.safe_dump(config))
        check, plan = (CliRunner().invoke(app, [command, str(path)]) for command in ("check", "plan"))
        assert check.exit_code == plan.exit_code == 1 and str(plan.exception) == str(check.exception)
        assert ("core-hours" in plan.output) == ("report" not in change)
    assert "2 problems before the first job" in str(plan.exception)


def test_large_data_of_r_are_left_to_the_jobs(sound) -> None:
    folder, config = sound
    (folder / "large.rds").write_bytes(b"\x1f\x8b" + bytes(1_000_000))
    (folder / "small.rds").write_bytes(b"\x1f\x8b" + bytes(100))
    large, small = ({"source": "voigt", "path": str(folder / f"{name}.rds")} for name in ("large", "small"))
    config["sites"]["entries"].append(large)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    findings, _ = look(path)
    assert not findings.problems and "1 of 1 files of sites.entries[2]" in findings.unseen
    config["sites"]["entries"][2] = small
    (problem,) = _found(folder, config)
    assert "cannot be read as R data" in str(problem)


@pytest.mark.parametrize(
    ("kind", "regional", "said"),
    [
        ("oco2_mip", {"preset": "ecosystem"}, "hold fire, which no tower sees"),
        ("oco2_mip", {"preset": "land_sink", "without": ["lateral"]}, ""),
        (
            "carbontracker",
            {"preset": "land_sink", "without": ["lateral"]},
            "without fire, which the land sink includes",
        ),
    ],
)
def test_a_preset_that_does_not_follow_from_the_files_is_refused_before_the_first_job(
    tmp_path: Path, kind: str, regional: dict, said: str
) -> None:
    path = getattr(constraint_files, kind)(tmp_path, constraint_files.known_flux())[0]
    config = {
        "system": "net_ecosystem_exchange",
        "period": {"start": 2001, "end": 2001},
        "forcing": {"source": "synthetic_earth"},
        "constraints": {"sets": {"inversions": {"path": str(path)}}},
        "regions": {"maps": {"box": {"path": "region.geojson"}}},
        "regional": {"constraint": "inversions", "regions": "box", **regional},
        "train": {"ladder": "network", "strategy": "constrained"},
    }
    findings = Findings()
    with findings.trying("regional"):
        tables._regional(Run(load(config)), findings)
    assert len(findings.problems) == bool(said) and all(said in str(one) for one in findings.problems)


def test_what_all_variables_lack_is_one_problem(sound) -> None:
    folder, config = sound
    weather = xr.load_dataset(folder / "weather_2001.nc", decode_times=False)
    weather.assign_coords(time=("time", weather["time"].values + 200, weather["time"].attrs)).to_netcdf(
        folder / "weather_2001.nc"
    )
    (problem,) = _found(folder, config)
    assert "are missing" in problem.what and problem.what.endswith("; the same of 8 other variables")


@pytest.mark.parametrize("east", [-7.99, -7.955])
def test_a_domain_without_the_centre_of_a_cell_is_refused_and_one_with_it_is_not(sound, east: float) -> None:
    folder, config = sound  # centres lie at odd multiples of 1/48 degree
    config["domain"] = {"west": -8, "south": 37.5, "east": east, "north": 37.53}
    if east > -7.979:
        assert _found(folder, config) == []
    else:
        with pytest.raises(ConfigError, match=r"no cell of the domain .* is land(.|\n)*0.04167 degrees wide"):
            _found(folder, config)


def test_maps_tell_what_sites_outside_the_tiles_lack(monkeypatch) -> None:
    """A map that reaches the site tells it; one that does not, and a constant, tell nothing."""
    layers = {name: {"path": f"{name}.tif"} for name in ("sand", "clay", "soc", "bdod", "phh2o", "ndep", "lai")}
    static = StaticBlock.model_validate({"layers": layers, "landcover": {"path": "cover.tif"}})
    system, tile = get_system("soil_methane_sink"), SimpleNamespace(bbox=(-8.0, 37.0, -7.0, 38.0))
    run = SimpleNamespace(tiles=["t"], tile=lambda name: tile, system=system, static=static, grid=None)
    run.is_synthetic, run.has_maps = False, True
    told = {name: xr.DataArray(1.0) for name in (*system.attributes, *system.monthly)}
    monkeypatch.setattr(tables, "at_place", lambda *given: told)
    records = [SiteRecord({"site": "far", "lat": 60.0, "lon": 10.0}, observations([]))]

    def said() -> str:
        findings = Findings()
        tables._attributes(run, records, True, findings)
        return "\n".join(map(str, findings.problems))

    assert said() == ""
    told["soc"] = xr.DataArray(np.nan)
    assert "no site can be used for training: site 'far' lies outside the tiles and has no soc" in said()
    told["soc"] = xr.DataArray(1.0)
    layers["clay"] = {"constant": 20, "reason": ASSUMED}
    run.static = StaticBlock.model_validate({"layers": layers, "landcover": {"path": "cover.tif"}})
    assert re.search(r"has no clay\n", said())
    del layers["lai"]
    run.static = StaticBlock.model_validate({"layers": {**layers, "clay": {"path": "clay.tif"}}})
    assert re.search(r"has no cropFrac, lai\n", said())
    monthly = {f"lai_{month:02d}": 1.0 for month in range(1, 13)}
    records[0].site.update({**monthly, **{name: 1.0 for name in ATTRIBUTES if name != "lai"}})
    assert said() == ""
    del records[0].site["lai_07"]
    assert "site 'far' lies outside the tiles and has no lai" in said()

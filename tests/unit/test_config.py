"""The configuration: everything wrong is said at once, generated files are in step with the models."""

import copy
import json
import subprocess
import sys
from datetime import date

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config import Config, load
from fluxatlas.config.constraints import Constraint
from fluxatlas.config.generate import DEMO, files, schema
from fluxatlas.config.run import DomainBlock, PeriodBlock, RunBlock
from fluxatlas.config.sites import SiteInfo
from fluxatlas.errors import ConfigError, counted
from fluxatlas.paths import REPOSITORY


def _demo(**changes):
    data = copy.deepcopy(DEMO)
    for key, value in changes.items():
        data[key] = {**data.get(key, {}), **value} if isinstance(value, dict) else value
    return data


def test_generated_files_are_in_step_with_the_models() -> None:
    for path, text in files().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run `fluxatlas config generate`"


def test_the_annotated_default_reads_back_as_the_demo() -> None:
    path = next(p for p in files() if p.name == "config.yaml")
    assert load(path) == Config.model_validate(DEMO)


def test_the_schema_accepts_the_default_and_refuses_a_typo() -> None:
    import jsonschema

    data = yaml.safe_load(next(text for path, text in files().items() if path.name == "config.yaml"))
    jsonschema.validate(data, json.loads(schema()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "sytem": "x"}, json.loads(schema()))


def test_every_field_of_every_block_is_described() -> None:
    def walk(model):
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name} has no description"
            for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(part, type) and hasattr(part, "model_fields"):
                    walk(part)

    walk(Config)


def test_a_value_in_place_of_a_block_says_what_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"period: a block of keys is needed, .* \(given: '2001-2002'\)"):
        load(_demo() | {"period": "2001-2002"})


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        load({"perod": {}, "run": {"nam": "x"}, "train": {"seed": -1}, "forcing": {"source": "era5_lnd"}})
    text = str(caught.value)
    for part in (
        "perod: unknown key; did you mean 'period'?",
        "run.nam: unknown key; did you mean 'name'?",
        "train.seed: ",
        "(given: -1)",
        "period: this key is required",
        "forcing.source",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "soil_methane"}, "did you mean 'soil_methane_sink'"),
        ({"grid": {"name": "4k"}}, "did you mean '4km'"),
        ({"grid": {"tile_size": 7}}, "does not divide"),
        ({"period": {"start": 2003}}, "starts in 2003 but ends in 2002"),
        ({"domain": {"west": -2}}, "is empty"),
        ({"run": {"name": "a/b"}}, "run.name"),
        ({"run": {"name": False}}, r"YAML reads this as 'false' \(yes, no"),
        ({"train": {"seed": True}}, "train.seed: YAML reads this as 'true'"),
        ({"domain": {"west": False, "east": 2}}, "domain.west: YAML reads this as 'false'"),
        ({"sites": {"qc": {"missing_codes": [-9999, True]}}}, "missing_codes: YAML reads this as 'true'"),
        ({"sites": {"qc": {"limits": {"fch4": [False, 20]}}}}, "limits"),
        ({"sites": {"qc": {"spike_z": float("inf")}}}, "finite number"),
        ({"sites": {"yields": [{"path": "a.csv", "crop": "wheat"}]}}, "'soil_methane_sink' has no harvest"),
        ({"sites": {"gridded": {"orog": {"path": "a.nc"}}}}, "sites.gridded: 'orog' is not measured at sites of"),
        ({"sites": {"gridded": {"fch": {"path": "a.nc"}}}}, "sites.gridded: unknown variable 'fch'.*'fch4'"),
    ],
)
def test_contradictions_are_refused(change, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(_demo(**change))


REASON = {"units": "mm", "reason": "the label of the file is wrong"}
DAILY = {
    "source": "mapping",
    "mapping": "livneh",
    "path": "rain_{year}.nc",
    "overrides": {"prec": REASON, "prc": REASON},
}
MONTHLY = {"source": "mapping", "path": "{year}.nc", "elevation": "z.nc"}
WRONG_NAMES = {
    "products.variables": ({"products": {"variables": ["fch4", "swc5"]}}, "variable 'swc5'", "swc05"),
    "train.options.diffusivity": ({"train": {"options": {"diffusivity": "cury"}}}, "form 'cury'", "curry"),
    "train.knowledge": ({"train": {"knowledge": {"moistrue": 2}}}, "knowledge term 'moistrue'", "moisture"),
    "synthesize.exclude": (
        {"synthesize": {"exclude": {"diffusivty": []}}},
        "structural choice 'diffusivty'",
        "diffusivity",
    ),
    "synthesize.exclude.profile": ({"synthesize": {"exclude": {"profile": ["unifrm"]}}}, "form 'unifrm'", "uniform"),
    "forcing.overrides": ({"forcing": {"overrides": {"t2n": REASON}}}, "raw variable 't2n'", "t2m"),
    "forcing.mapping": ({"forcing": {**MONTHLY, "mapping": "terraclimat"}}, "mapping 'terraclimat'", "terraclimate"),
    "forcing.rain_pattern.overrides": (
        {"forcing": {**MONTHLY, "mapping": "terraclimate", "rain_pattern": DAILY}},
        "raw variable 'prc'",
        "prec",
    ),
    "sites.qc.limits": ({"sites": {"qc": {"limits": {"fhc4": [-100, 3000]}}}}, "variable 'fhc4'", "fch4"),
    "static.landcover.legend": (
        {
            "static": {"landcover": {"path": "lc.tif", "legend": "modis_igpb"}},
            "forcing": {"source": "era5_land", "path": "{year}.nc", "elevation": "z.nc"},
        },
        "legend 'modis_igpb'",
        "modis_igbp",
    ),
    "report.colormap": ({"report": {"colormap": "viridiss"}}, "colour map 'viridiss'", "viridis"),
}


@pytest.mark.parametrize("key", WRONG_NAMES)
def test_a_name_that_nothing_has_is_refused_with_the_nearest(key: str) -> None:
    change, what, meant = WRONG_NAMES[key]
    with pytest.raises(ConfigError) as caught:
        load(_demo(**change))
    (line,) = [line.strip() for line in str(caught.value).splitlines() if line.startswith("  - ")]
    assert line.startswith(f"- {key}: unknown {what}; did you mean '{meant}'?")


def test_wrong_names_of_all_blocks_come_in_one_message() -> None:
    blocks = ("products.variables", "train.knowledge", "synthesize.exclude", "sites.qc.limits", "report.colormap")
    changes = {name: value for key in blocks for name, value in WRONG_NAMES[key][0].items()}
    with pytest.raises(ConfigError, match="has 6 problems") as caught:
        load(_demo(**changes, period={"start": 2001, "end": 2002}, grid={"tile_size": 7}))
    assert all(WRONG_NAMES[key][1] in str(caught.value) for key in blocks)


def test_a_choice_of_which_no_form_is_left_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"synthesize\.exclude\.temperature: no form is left"):
        load(_demo(synthesize={"exclude": {"temperature": ["curry", "memo", "optimum"]}}))


def test_a_knowledge_term_that_holds_by_construction_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.knowledge: 'substrate' holds by construction with the head 'column'"
    ):
        load(_demo(train={"knowledge": {"substrate": 0.1}}))
    assert load(_demo(train={"knowledge": {"substrate": 0.1}, "head": "free"})).train.knowledge == {"substrate": 0.1}


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            {"ladder": "network", "strategy": "constrained"},
            "the strategy compares regions, and no inversions are given",
        ),
        ({"strategy": "l2sp"}, "l2sp has no effect with train.ladder: calibrated; set ladder: network"),
        ({"ladder": "climb", "split": "time"}, "climb leaves out clusters of sites, which train.split: time does not"),
        ({"ladder": "network", "strategy": "adversarial", "rehearsal": 0.0}, "give train.rehearsal a value above 0"),
    ],
)
def test_a_strategy_that_cannot_run_as_configured_is_refused(train: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(_demo(train=train))


def test_right_names_pass() -> None:
    given = {
        "products": {"variables": ["tsl05", "fch4"]},
        "train": {
            "options": {"diffusivity": "penman"},
            "knowledge": {"moisture": 0},
            "ladder": "network",
            "strategy": "l2sp",
        },
        "synthesize": {"exclude": {"profile": ["uniform"]}},
        "sites": {"qc": {"limits": {"fch4": [-100, 3000], "tsl05": [200, 300]}}},
        "static": {"landcover": {"path": "lc.tif", "legend": "my_own.csv"}},
        "report": {"colormap": "cividis_r"},
        "forcing": {**MONTHLY, "mapping": "my_own.yaml", "overrides": {"anything": REASON}},
    }
    assert load(_demo(**given)).report.colormap == "cividis_r"


def test_the_colour_maps_are_those_of_matplotlib() -> None:
    from matplotlib import colormaps

    from fluxatlas.config.names import COLORMAPS

    assert {*COLORMAPS, *(f"{name}_r" for name in COLORMAPS)} == set(colormaps)


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "not YAML"), ("- 1", "holds a list, not keys"), ("", "is empty"), (None, "not found")],
)
def test_unreadable_files_are_refused(tmp_path, text, message: str) -> None:
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load(path)


@pytest.mark.parametrize("command", [["plan"], ["check"], ["status"], ["explain", "results/demo/report.html"]])
def test_every_command_says_in_one_message_what_is_wrong_with_its_configuration(tmp_path, command: list[str]) -> None:
    (tmp_path / "text.yaml").write_text("hello")
    text = (REPOSITORY / "config" / "config.yaml").read_text()
    assert "start: 2001" in text
    (tmp_path / "period.yaml").write_text(text.replace("start: 2001", "start: 2009"))
    before = sorted(tmp_path.iterdir())
    for name, message in {
        "": "the configuration is a folder",
        "text.yaml": "the configuration holds text, not keys",
        "nowhere.yaml": "configuration file not found",
        "period.yaml": "the period starts in 2009 but ends in 20",
    }.items():
        done = CliRunner().invoke(app, [*command, str(tmp_path / name), "--directory", str(tmp_path)])
        assert done.exit_code == 1 and isinstance(done.exception, ConfigError), done.exception
        assert message in str(done.exception) and str(tmp_path / name) in str(done.exception)
    assert sorted(tmp_path.iterdir()) == before


def test_spinup_years() -> None:
    previous = load(_demo(period={"spinup_years": 2})).period
    assert previous.spinup_sequence == [1999, 2000] and previous.forcing_years == [1999, 2000, 2001, 2002]
    repeat = load(_demo(period={"spinup": "repeat", "spinup_years": 3})).period
    assert repeat.spinup_sequence == [2001] * 3 and repeat.forcing_years == [2001, 2002]


def test_reading_the_configuration_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fluxatlas.config import load; from fluxatlas.run import Run\n"
        "r = Run(load('config/config.yaml')); r.tiles; r.static_files; r.forcing_files(r.years[0])\n"
        "heavy = ('torch', 'xarray', 'geopandas', 'pandas', 'dask', 'rasterio', 'numba', 'matplotlib', 'pint')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]", out.stdout


def test_a_command_starts_without_numeric_libraries() -> None:
    heavy = "{'torch', 'xarray', 'pandas', 'numba', 'scipy', 'numpy'}"
    code = f"import sys, fluxatlas.cli; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(("west", "east"), [(170, -170), (170, 190), (-190, -170)])
def test_a_box_across_the_date_line_is_told_how_to_run_it(west: float, east: float) -> None:
    boxes = "west: 170, east: 180 and west: -180, east: -170"
    with pytest.raises(ValidationError, match=f"crosses the date line: make two runs, {boxes}"):
        DomainBlock.model_validate({"west": west, "east": east, "south": 50, "north": 60})
    for one in boxes.split(" and "):
        DomainBlock.model_validate({**yaml.safe_load(f"{{{one}}}"), "south": 50, "north": 60})


@pytest.mark.parametrize("start", ["2001-03", "2001-03-01", date(2001, 3, 1)])
def test_a_period_is_made_of_whole_years(start: object) -> None:
    with pytest.raises(ValidationError, match=r"start is 2001-03\S*, but a run is made of whole years: give 2001"):
        PeriodBlock.model_validate({"start": start, "end": 2002})


def test_one_of_a_thing_is_not_called_several() -> None:
    assert [counted(n, "tile") for n in (0, 1, 2, 1000)] == ["0 tiles", "1 tile", "2 tiles", "1,000 tiles"]
    assert counted(2, "series", "series") == "2 series"


@pytest.mark.parametrize(
    ("west", "east", "said"),
    [
        (200, 210, "so write west: -160, east: -150"),
        (350, 10, "so write west: -10, east: 10"),
        (200, 400 - 360, "so write west: -160, east: 40"),
        (0, 360, "so write west: -180, east: 180"),
        (-8, -180, "so write west: -8, east: 180"),
        (-6, -8, "is empty, or crosses the date line: make two runs, west: -6, east: 180 and west: -180, east: -8"),
        (10, 10, "is empty: west must be below east"),
    ],
)
def test_edges_beyond_180_degrees_are_told_as_they_have_to_be_written(west: float, east: float, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        DomainBlock.model_validate({"west": west, "east": east, "south": 50, "north": 60})


def test_an_edge_alone_is_one_of_the_globe() -> None:
    with pytest.raises(ValidationError, match=r"the box from 200 to 180 E: edges .* so write west: -160, east: 180"):
        DomainBlock.model_validate({"west": 200})


def test_no_message_shows_a_regular_expression() -> None:
    with pytest.raises(ValidationError, match=r"'my run \(1\)' is not the name of a run: use letters, .*'my_run_1'"):
        RunBlock.model_validate({"name": "my run (1)"})
    with pytest.raises(ValidationError, match="'2001-7' is not a month: write it as 2001-07"):
        Constraint.model_validate({"path": "a.nc", "start": "2001-7"})
    with pytest.raises(ValidationError, match=r"so write -110\.5 instead of 249\.5"):
        SiteInfo.model_validate({"site": "A", "lat": 31, "lon": 249.5})
    assert '"pattern"' not in json.dumps(Config.model_json_schema())


def test_a_run_without_a_system_is_told_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"system: this key is required: choose from crop_carbon, .*wetland_methane"):
        load({key: value for key, value in _demo().items() if key != "system"})

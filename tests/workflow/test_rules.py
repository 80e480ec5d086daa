"""The workflow without running it: rules, messages, what is imported, how it scales."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import forked
from fluxatlas.braces import brace_expansion, unfolded
from fluxatlas.cli import app
from fluxatlas.config import load
from fluxatlas.ingest.sites.inputs import COSORE_FILES
from fluxatlas.paths import REPOSITORY, matches
from fluxatlas.plan import work
from fluxatlas.run import Run

STAGES = ("ingest", "regrid", "synthesize", "train", "infer", "products", "evaluate", "report")


def snakemake(*options: str, cwd: Path = REPOSITORY, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = forked.snakemake(*options, cwd=cwd)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("dry")
    config = REPOSITORY / "config" / "config.yaml"
    done = snakemake("-n", "-p", "--cores", "2", "--directory", str(folder), "--configfile", str(config))
    return done.stdout + done.stderr


def test_the_workflow_passes_snakemakes_lint() -> None:
    assert snakemake("--lint").returncode == 0


def test_every_stage_has_a_rules_file_a_package_and_a_command(dry_run: str) -> None:
    for stage in STAGES:
        assert (REPOSITORY / "workflow" / "rules" / f"{stage}.smk").exists()
        assert (REPOSITORY / "src" / "fluxatlas" / stage / "commands.py").exists()
        assert f"fluxatlas {stage} " in dry_run, stage


def test_each_job_is_one_visible_command_with_a_log_and_a_benchmark() -> None:
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        text = path.read_text()
        lines = [line.strip() for line in text.splitlines()]
        logs, benchmarks, shells = (lines.count(word) for word in ("log:", "benchmark:", "shell:"))
        rules = sum(line.strip().startswith("rule ") or line.strip() == "rule:" for line in text.splitlines())
        own_runs = sum(
            '"fluxatlas run ' in line for line in lines
        )  # their jobs have benchmarks; one here would count as done
        assert rules == logs == benchmarks + own_runs == shells, path.name
        assert "run:" not in text.split() and "partition" not in text and "account" not in text


def _shell_commands() -> dict[str, str]:
    """Place -> text of every shell block of the rules; a name stands for the text that is assigned to it."""
    found: dict[str, str] = {}
    for path in sorted((REPOSITORY / "workflow" / "rules").glob("*.smk")):
        text = path.read_text()
        named = dict(re.findall(r"^([A-Z_]+) = \((.*?)^\)", text, re.M | re.S))
        for number, block in enumerate(re.findall(r"^ +shell:\n((?: +.*\n)+?)(?=\n|\Z)", text, re.M)):
            found[f"{path.name} {number}"] = named.get(block.strip(), block)
    return found


def test_every_placeholder_of_every_shell_command_is_quoted() -> None:
    commands = _shell_commands()
    rules = "".join(path.read_text() for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    assert len(commands) == rules.count(" shell:\n") > 25
    for place, text in commands.items():
        words = "".join(re.findall(r'^ +f?"(.*)"$', text, re.M))
        assert words.startswith("fluxatlas ") and words.endswith(" 2> {log:q}"), place
        assert set(re.findall(r"\{[^{}]*\}", words)) == set(re.findall(r"\{[\w.]+:q\}", words)), place
        assert not set(re.sub(r"\{.*?\}", "", words)) & set("$`;&|*?()'\\"), (
            place
        )  # nothing but words and one redirection
    assert not re.search(r'f" ', "".join(commands.values())) and "shell=True" not in rules


def test_the_run_of_an_example_is_asked_for_again_though_it_was_run(tmp_path) -> None:
    for path in ("logs", "benchmarks"):
        (tmp_path / "results/demo" / path / "experiments").mkdir(parents=True)
        for end in ("log", "tsv"):
            (tmp_path / "results/demo" / path / f"experiments/wetland_benchmark.{end}").touch()
    done = snakemake("-n", "-p", "--cores", "2", "--directory", str(tmp_path), "wetland_benchmark")
    assert "config/examples/wetland_benchmark.yaml benchmark --nolock" in done.stdout + done.stderr


def test_every_command_of_the_dry_run_is_understood_by_the_command_line(dry_run: str, tmp_path: Path) -> None:
    """With a second run that is held to inversions: it has commands and a figure that the first one lacks."""
    config = REPOSITORY / "config" / "examples" / "nee_constrained.yaml"
    data = yaml.safe_load(config.read_text())
    data["regions"]["maps"]["quarters"]["path"] = str(config.with_name("nee_constrained_regions.geojson"))
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    said = dry_run + done.stdout + done.stderr
    assert "report figure region_months" in said
    # the dry run's own commands with --help at the end: an option that does not exist, or lacks its value, is refused
    lines = [line[line.index("fluxatlas ") :].split(" 2> ")[0] for line in said.splitlines() if " 2> " in line]
    commands = {tuple(w for w in line.split()[1:4] if not w.startswith("-")): line for line in lines}
    assert len(commands) >= 20
    script = "\n".join(f"printf '%s\\0' {line}; printf '\\n'" for line in commands.values())
    expanded = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    for words in expanded.splitlines():
        result = CliRunner().invoke(app, [*unfolded(words.rstrip("\0").split("\0")[1:]), "--help"])
        assert result.exit_code == 0, f"{words}\n{result.output[-500:]}"


def test_parsing_the_snakefile_imports_nothing_heavy(tmp_path) -> None:
    code = (
        "import sys; from snakemake.cli import main\n"
        f"sys.argv = ['snakemake', '--snakefile', {str(REPOSITORY / 'Snakefile')!r}, '--list-rules']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('HEAVY', [m for m in ('torch', 'xarray', 'geopandas', 'dask', 'rasterio', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert "HEAVY []" in done.stdout


def test_a_wrong_configuration_stops_before_anything_is_made(tmp_path) -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["grid"]["tile_sise"] = 2
    data["train"]["members"] = 0
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(data))
    done = snakemake(
        "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "wrong.yaml"), check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "grid.tile_sise: unknown key; did you mean 'tile_size'?" in said and "train.members" in said
    assert not (tmp_path / "results").exists()


def test_inference_and_products_are_told_how_to_share_the_work(tmp_path, dry_run) -> None:
    assert '"dask_address": ""' in dry_run and '"scheduler": "auto"' in dry_run
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["infer"] |= {"scheduler": "processes", "dask_address": "tls://10.0.0.7:8786"}
    data["products"] |= {"dask_address": "tls://10.0.0.7:8787"}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    for command in ("spinup", "tile"):
        jobs = [line for line in done.stdout.splitlines() if f"fluxatlas infer {command} " in line]
        told = ('"dask_address": "tls://10.0.0.7:8786"', '"scheduler": "processes"')
        assert jobs and all(part in job for job in jobs for part in told)
    for command in ("daily", "budget"):
        jobs = [line for line in done.stdout.splitlines() if f"fluxatlas products {command} " in line]
        assert jobs and all('"dask_address": "tls://10.0.0.7:8787"' in job for job in jobs)


def test_regions_have_a_job_per_tile_only_where_a_map_is_given(tmp_path, dry_run) -> None:
    assert "regrid regions" not in dry_run and "--regions" not in dry_run
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["regions"]["maps"] = {"countries": {"path": "countries.shp", "field": "NAME"}}
    for suffix in (".shp", ".dbf"):
        (tmp_path / f"countries{suffix}").touch()
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    said = done.stdout + done.stderr
    assert said.count("fluxatlas regrid regions") == 4 and "--regions=" in said and "countries.dbf" in said


def test_atmospheric_gases_are_made_once_where_a_file_is_given(tmp_path, dry_run) -> None:
    assert "ingest atmosphere" not in dry_run and "--series" not in dry_run
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    station = {"path": "ch4_mlo.txt", "gap": 2, "latitude": 19.5}
    data["atmosphere"]["series"] = {"ch4": station, "co2": {"path": "co2_mm_gl.csv"}}
    data["sites"]["entries"] = [{"source": "chambers", "path": ["chambers.csv"]}]
    for name in ("ch4_mlo.txt", "co2_mm_gl.csv", "chambers.csv"):
        (tmp_path / name).touch()
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    said = done.stdout + done.stderr
    assert said.count("fluxatlas ingest atmosphere") == 2 and "--gas ch4 --gap 2 --latitude 19.5 --first-year" in said
    assert "--input co2_mm_gl.csv --gas co2 --gap 0 --first-year 2000" in said
    made = "--series ch4=results/demo/ingest/atmosphere/ch4_global.csv"
    users = {line[line.index("fluxatlas ") :].split()[1] for line in said.splitlines() if made in line}
    assert users == {"synthesize", "train", "infer", "evaluate"}
    planned = sum(todo.jobs for todo in work(Run(load(tmp_path / "c.yaml"))).values())
    assert re.search(rf"^total +{planned + 1}$", said, re.M)  # and the rule `all`


def test_a_missing_archive_is_named(tmp_path) -> None:
    config = {
        "system": "soil_methane_sink",
        "period": {"start": 2001, "end": 2001},
        "domain": {"west": -8, "south": 36, "east": -6, "north": 38},
        "grid": {"tile_size": 2},
        "forcing": {"source": "era5_land", "path": "nowhere/{year}_{month}.nc", "elevation": "nowhere/z.nc"},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(
        "-n", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"), check=False
    )
    assert done.returncode != 0 and "nowhere/" in done.stdout + done.stderr


def test_the_global_example_validates_and_dry_runs_on_stand_ins(tmp_path) -> None:
    """All tiles of its first three years; the other 36 add as many jobs of the same kinds each."""
    path = REPOSITORY / "config" / "examples" / "global_4km_1984_2022.yaml"
    whole = load(path)
    assert len(Run(whole).tiles) > 150 and len(Run(whole).years) == 39
    period = whole.period.model_copy(update={"end": 1986})
    run = Run(whole.model_copy(update={"period": period}))
    needed = {*run.static_files, *run.elevation_files}
    for year in run.forcing_years:
        needed |= {*run.forcing_files(year), *run.neighbour_files(year)}
    needed |= {f"data/sites/cosore/d20190101_SOMEONE/{name}" for name in COSORE_FILES}
    needed |= {"data/sites/fluxnet/FLX_US-Xxx_FLUXNET2015_FULLSET_DD_2000-2001_1-4.csv"}
    for name in [*needed, "data/sites/attributes.csv", "data/sites/fluxnet_sites.csv"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    done = snakemake("-n", "-q", "rules", "--cores", "64", "--directory", str(tmp_path), "--configfile", str(path),
        "--config", "period={end: 1986}")  # fmt: skip
    jobs = {
        line.split()[0]: line.split()[1] for line in (done.stdout + done.stderr).splitlines() if len(line.split()) == 2
    }
    assert jobs["infer"] == str(len(run.tiles) * 3)


def test_every_example_validates() -> None:
    for path in sorted((REPOSITORY / "config" / "examples").glob("*.yaml")):
        assert re.search(r" on [\d,]+ tiles? of \d+ degrees | at sites alone, ", Run(load(path)).describe())


def test_a_run_at_sites_alone_plans_no_map(tmp_path) -> None:
    (tmp_path / "towers.csv").touch()
    data = {"system": "crop_carbon", "forcing": {"source": "sites"}, "train": {"members": 2, "baselines": ["process"]}}
    data["sites"] = {"entries": [{"source": "metaflux", "path": [str(tmp_path / "towers.csv")]}]}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    place = ("-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    done = snakemake("-n", *place)
    lines = [line[line.index("fluxatlas ") :].split(" 2> ")[0] for line in done.stdout.splitlines() if " 2> " in line]
    stages = {line.split()[1] for line in lines}
    assert stages == {"ingest", "regrid", "synthesize", "train", "evaluate", "report"}
    script = "\n".join(f"printf '%s\\0' {line}; printf '\\n'" for line in lines)
    expanded = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    for words in expanded.splitlines():
        result = CliRunner().invoke(app, [*unfolded(words.rstrip("\0").split("\0")[1:]), "--help"])
        assert result.exit_code == 0, f"{words}\n{result.output[-500:]}"
    refused = snakemake("trends", "-n", *place, check=False)
    assert refused.returncode and "the run is at sites alone and makes no maps" in refused.stdout + refused.stderr


def test_lists_of_files_are_one_word_that_the_command_line_unfolds_as_bash_does() -> None:
    words = brace_expansion("--flux", "infer/{tile}/{year}.nc", tile=["A", "B"], year=[1, 2])
    assert words == ["--flux=infer/{A,B}/{1,2}.nc"]
    done = subprocess.run(["bash", "-c", f"echo {words[0]}"], capture_output=True, text=True, check=True)
    assert unfolded(words) == done.stdout.split() == [f"--flux=infer/{t}/{y}.nc" for t in "AB" for y in (1, 2)]
    assert brace_expansion("--flux", "my results/{tile}.nc", tile=["A"]) == ["--flux=my results/A.nc"]
    assert brace_expansion("--flux", "{tile}/{year}.nc", tile=["A"], year=[]) == []
    for word in ('--settings={"a": 1, "b": 2}', "--settings", '{"a": {"b": 1}}', "{a,b}", "--grid=4km"):
        assert unfolded([word]) == [word]


@pytest.mark.parametrize("variables", [["fch4"], ["tsl05"]])
def test_empty_lists_leave_no_option_without_a_value(tmp_path, variables) -> None:
    data = yaml.safe_load((REPOSITORY / "config" / "config.yaml").read_text())
    data["products"] |= {"variables": variables, "monthly": False}
    data["train"]["baselines"], data["report"]["figures"] = [], ["inputs_map", "seasonal_cycle", "tower_series"]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(data))
    done = snakemake("-n", "-p", "--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    shells = [line[line.index("fluxatlas ") :] for line in done.stdout.splitlines() if " 2> " in line]
    assert ("evaluate towers" in done.stdout) == (variables == ["tsl05"]) == ("--towers" in done.stdout)
    assert ("report figure seasonal_cycle" in done.stdout) == (variables == ["fch4"])
    script = "fluxatlas() { printf '%s\\0' \"$@\"; printf '\\n'; }\n" + "\n".join(
        f"{s.split(' 2> ')[0]}" for s in shells
    )
    lines = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(lines) == len(shells)
    for words in lines:
        listed = unfolded(words.rstrip("\0").split("\0"))
        options = [word for word in listed if word.startswith("--")]
        assert "" not in listed and not any(o.endswith("=") or "{}" in o for o in options), words
        assert CliRunner().invoke(app, [*listed, "--help"]).exit_code == 0, words


def _ismn(folder: Path, sensor: str) -> None:
    folder.mkdir(parents=True)
    head = f"CSE NETA STA 40.00000 -100.00000 300.00 0.0500 0.0500 {sensor}"
    rows = [f"2015/01/{day:02d} {hour:02d}:00    0.2000 G M" for day in range(1, 32) for hour in range(24)]
    file = f"NETA_NETA_STA_sm_0.050000_0.050000_{sensor.replace(' ', '-')}_20150101_20150131.stm"
    (folder / file).write_text("\n".join([head, *rows]) + "\n")


def _config(results: str, sites: object, ch4: str) -> dict:
    return {
        "run": {"name": "r", "results": results},
        "system": "soil_methane_sink",
        "grid": {"name": "4km", "tile_size": 1},
        "domain": {"west": -101, "south": 39, "east": -100, "north": 40},
        "period": {"start": 2015, "end": 2015, "spinup": "repeat"},
        "forcing": {"source": "era5_land", "path": "era/{year}.nc", "elevation": "era/z.nc"},
        "atmosphere": {"series": {"ch4": {"path": ch4}}},
        "sites": {"entries": [{"source": "ismn", "path": sites}]},
    }


@pytest.mark.parametrize(
    ("results", "archive", "ch4"),
    [
        ("my results; $(touch broken)", "ismn (SCAN)", "my ch4 (NOAA).csv"),
        ('it\'s "my" `touch broken` & * | [a-z] ~', "a*b? [0-9] $HOME;", "-ch4 'x'; touch broken #.csv"),
        ("Ergebnisse für alle, P", "P {a b} {} $(touch broken)", "ch4 > broken.csv"),
    ],
)
def test_whatever_paths_hold_reaches_the_commands(tmp_path, results: str, archive: str, ch4: str) -> None:
    _ismn(tmp_path / archive / "NETA" / "STA", "Probe Analog (2.5 Volt)")
    rows = "".join(f"{year},{1700 + year - 1990},0.5\n" for year in range(2000, 2020))
    (tmp_path / ch4).write_text(f"# CH4\nyear,mean,unc\n{rows}")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(_config(results, [archive], ch4)))
    made = [f"{results}/r/ingest/{name}" for name in ("sites/sites.csv", "atmosphere/ch4_global.csv")]
    options = ["--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml")]
    snakemake(*options, "--", *made)
    assert all((tmp_path / name).exists() for name in made)
    assert (tmp_path / results / "r" / "logs" / "ingest" / "sites.log").exists()
    held = {path.name for path in tmp_path.iterdir()} - {".snakemake"}
    assert held == {"c.yaml", archive, ch4, results.split("/")[0]}


def test_names_that_snakemake_would_take_for_its_own_are_refused(tmp_path) -> None:
    (tmp_path / "{year} 2015").mkdir()
    (tmp_path / "{year} 2015" / "x.stm").touch()
    for results, sites, message in (
        ("r {a}", ["x.stm"], "run.results: the path of this folder must not hold '{'"),
        ("r <a>", ["x.stm"], "run.results: the path of this folder must not hold '<'"),
        ("r", [str(tmp_path / "{year} 2015")], "Snakemake would take '{year}' for a wildcard"),
        ("r", ["<logs>/x.stm"], "Snakemake would take '<logs>' for a wildcard"),
    ):
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(_config(results, sites, "ch4.csv")))
        done = CliRunner().invoke(app, ["check", str(tmp_path / "c.yaml")])
        assert done.exit_code == 1 and message in str(done.exception), done.exception
    options = ("-n", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    done = snakemake(*options, check=False)
    said = done.stdout + done.stderr
    assert message in said and "sites.entries: <logs>/x.stm" in said and "Traceback" not in said


def test_folders_whose_names_look_like_patterns_are_taken_for_what_they_are(tmp_path) -> None:
    for name in ("a[1]", "a1", "b*", "bc"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.nc").touch()
    for given, found in (
        ("a[1]/*.nc", ["a[1]/1.nc"]), ("b*/1.nc", ["b*/1.nc"]), ("b*/*", ["b*/1.nc"]), ("a[0-9]/*.nc", ["a1/1.nc"]),
        ("a?", ["a1"]), ("a[1]/2.nc", []), ("no/1.nc", ["no/1.nc"]),
        ("*/1.nc", ["a1/1.nc", "a[1]/1.nc", "b*/1.nc", "bc/1.nc"]),
    ):  # fmt: skip
        assert matches(f"{tmp_path}/{given}") == [f"{tmp_path}/{name}" for name in found], given


def test_lists_of_files_in_the_configuration_may_be_longer_than_an_argument(tmp_path) -> None:
    folder = tmp_path / ("archive_" + "x" * 200)
    folder.mkdir()
    files = [folder / f"NET_NET_S{number}_sm_0.05_0.05_x_20150101_20150131.stm" for number in range(1000)]
    for file in files:
        file.touch()
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(_config("r", [str(file) for file in files], "ch4.csv")))
    options = ("--cores", "1", "--directory", str(tmp_path), "--configfile", str(tmp_path / "c.yaml"))
    done = snakemake(*options, "--", "r/r/ingest/sites/sites.csv", check=False)
    log = (tmp_path / "r" / "r" / "logs" / "ingest" / "sites.log").read_text()
    assert "reading 1,000 ismn files" in log and "error: file is empty" in log and "too long" not in log + done.stderr
    assert len(done.stdout + done.stderr) < 10_000


def test_twenty_thousand_files_fit_on_a_command_line(tmp_path) -> None:
    tiles, years = [f"N{number:02d}W{number:03d}" for number in range(594)], list(range(1984, 2023))
    (word,) = brace_expansion("--flux", "results/global_1km_1984_2022/infer/{tile}/{year}.nc", tile=tiles, year=years)
    assert len(word) < 10_000 and len(unfolded([word])) == 594 * 39 == 23_166
    command = f"fluxatlas evaluate seams --system soil_methane_sink '{word}' --attributes x.nc --output y.csv"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert done.returncode == 1 and "error: " in done.stderr and "x.nc" in done.stderr  # it starts, and misses the file

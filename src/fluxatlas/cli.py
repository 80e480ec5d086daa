"""The command line: ``fluxatlas <stage> ...``, with one module of commands per stage.

Nothing heavy is imported here; each command imports what it needs when it runs.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .braces import listed, unfolded
from .errors import ConfigError, FluxAtlasError
from .paths import DEFAULT_CONFIG, SNAKEFILE
from .stages import STAGES

if TYPE_CHECKING:
    from .inspect.report import Report

app = typer.Typer(
    name="fluxatlas",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for name in (*STAGES, "config", "twin", "experiments", "export"):
    app.add_typer(importlib.import_module(f".{name}.commands", __package__).app, name=name)


def _version(wanted: bool) -> None:
    if wanted:
        from . import __version__

        print(f"fluxatlas {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """From raw climate forcing to daily land-flux products. The workflow itself is run with snakemake."""


ConfigFile = Annotated[
    Path, typer.Argument(help="The configuration of the run.", show_default="config/config.yaml of fluxatlas")
]

SiteFiles = Annotated[list[Path], typer.Argument(help="Files or folders of sites (docs/sites.md).", metavar="FILES...")]
Members = Annotated[list[Path], typer.Option(help="Folder 'train' of a run, or member files; repeat for more.")]
SiteAttributes = Annotated[Path | None, typer.Option(help="Soil and vegetation by site (CSV).")]
SiteMetadata = Annotated[Path | None, typer.Option(help="Positions by site, where the files have none (CSV).")]
StaticLayers = Annotated[Path | None, typer.Option(help="Folder regrid/attributes of a run, for what the table lacks.")]
OfRun = Annotated[
    Path | None, typer.Option(help="Folder ingest/forcing of that run, for sites without weather of their own.")
]
Gases = Annotated[list[str] | None, typer.Option(help="Series of the atmosphere as gas=path; repeat.")]

Directory = Annotated[Path, typer.Option("--directory", "-d", help="Folder of the run, as for snakemake.")]
Snakefile = Annotated[
    Path, typer.Option("--snakefile", "-s", help="Another workflow.", show_default="that of fluxatlas")
]


@contextmanager
def _inside(directory: Path, config: Path, snakefile: Path = SNAKEFILE) -> Iterator[tuple[Path, Path]]:
    """Work in ``directory``, from where the other two files have the paths that are given back."""
    if not directory.is_dir():
        raise ConfigError("there is no such folder", where=str(directory), hint="correct --directory")
    if not snakefile.is_file():
        raise ConfigError("there is no such file", where=str(snakefile), hint="correct --snakefile")
    files = config if str(config) == "-" else config.absolute(), snakefile.absolute()
    with chdir(directory):
        yield files


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def run(
    config: Annotated[Path, typer.Argument(help="The configuration of the run.")],
    options: Annotated[list[str] | None, typer.Argument(help="Options and targets of snakemake.")] = None,
) -> None:
    """Run the workflow that comes with fluxatlas: `fluxatlas run CONFIG --cores 4` is snakemake with its Snakefile."""
    if not config.is_file():
        hint = "the configuration comes first, then options of snakemake: fluxatlas run my.yaml --cores 4"
        raise ConfigError("file not found", where=str(config), hint=hint)
    command = [sys.executable, "-m", "snakemake", "--configfile", str(config), "--snakefile", str(SNAKEFILE)]
    os.execv(sys.executable, [*command, *(options or [])])


@app.command()
def plan(
    config: ConfigFile = DEFAULT_CONFIG,
    cores: Annotated[int, typer.Option(min=1, help="Cores to expect the wall time for.")] = os.cpu_count() or 1,
    profile: Annotated[
        str | None, typer.Option(help="Profile of Snakemake, such as workflow/profiles/slurm: wall time by its limits.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Measure first what the work costs here, about a minute, and keep it.")
    ] = False,
    directory: Directory = Path(),
) -> None:
    """Say what a run will cost (jobs, time, memory, disk), then what `fluxatlas check` says; no stage is run."""
    from .check.run import look
    from .config.model import contradictions, parse
    from .plan import table
    from .run import Run

    with _inside(directory, config) as (file, _):
        if not contradictions(settings := parse(file)):
            run = Run(settings)
            limits = None
            if profile is not None:
                from .plan.profile import read

                limits = read(profile)
            if calibrate:
                from .plan.calibrate import calibrate as measure
                from .plan.costs import keep

                keep(run, measure(run, lambda text: print(text, file=sys.stderr, flush=True)))
            print(table(run, cores, limits), flush=True)
        findings, subject = look(file)
    if findings.problems:
        raise findings.refusal(str(config))
    print(f"\n{findings.text(subject)}")


@app.command()
def check(
    config: Annotated[
        Path, typer.Argument(help="The configuration of the run; '-': from standard input.")
    ] = DEFAULT_CONFIG,
    output: Annotated[Path | None, typer.Option(help="File for what is said, written where nothing is wrong.")] = None,
    directory: Directory = Path(),
) -> None:
    """Look at everything that a run reads, before it is started: all problems at once, exit code 1 if there are any."""
    from .check.run import look
    from .files import write_text

    with _inside(directory, config) as (file, _):
        findings, subject = look(file)
        if findings.problems:
            raise findings.refusal("the configuration" if str(config) == "-" else str(config))
        if output:
            write_text(output, findings.text(subject) + "\n")
    print(findings.text(subject))


@app.command()
def status(
    config: ConfigFile = DEFAULT_CONFIG,
    directory: Directory = Path(),
    snakefile: Snakefile = SNAKEFILE,
    watched: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show how far each stage is.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 10,
) -> None:
    """Say what of a run is done, stale or missing, and why; with --watch until everything is made."""
    from .config import load
    from .run import Run
    from .status import read, table

    with _inside(directory, config, snakefile) as (file, workflow):
        run, files = Run(load(file)), read(file, workflow)
        if watched:
            from .watch import Watch, watch

            watch(Watch(str(run.paths.root), files), every)
        else:
            print(table(run, files))


@app.command()
def explain(
    target: Annotated[str, typer.Argument(help="A file of the run, such as results/demo/infer/N36W008/2002.nc.")],
    config: ConfigFile = DEFAULT_CONFIG,
    directory: Directory = Path(),
    snakefile: Snakefile = SNAKEFILE,
) -> None:
    """Name the leaf of the configuration (old -> new) or the file that makes a result stale."""
    from .config import load
    from .explain import explain as words

    with _inside(directory, config, snakefile) as (file, workflow):
        load(file)  # its own message, not that of a Snakefile that stumbles over it
        print(words(target, file, workflow))


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders of any format.", metavar="PATH...")],
    plot: Annotated[Path | None, typer.Option(help="Draw it to this PNG (one path only).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines (docs/inspect.md).")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show all variables and findings.")] = False,
) -> None:
    """Say what a file is, what is in it, what is suspicious and how it would be used; exit code 1 if it cannot be."""
    from .inspect.commands import run

    def lacking(reports: Sequence[Report]) -> list[str]:
        from .init.lacking import by_system

        return by_system(reports)

    raise typer.Exit(run(paths, plot=plot, as_json=as_json, everything=everything, lacking=lacking))


@app.command()
def init(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders to make it of.", metavar="[FILES_OR_FOLDERS...]")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The configuration to write.")] = Path("config.yaml"),
    system: Annotated[str, typer.Option(help="Name of the system: what is estimated.")] = "",
    domain: Annotated[str, typer.Option(help="W,S,E,N [degrees], where the files do not tell.")] = "",
    period: Annotated[str, typer.Option(help="Years, such as 2001-2005, where the files do not tell.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take what the files tell, and ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that exists.")] = False,
) -> None:
    """Write a first configuration from the files it is shown and a few questions; say what still lacks."""
    from .init.run import InitRequest
    from .init.run import init as write

    print(write(InitRequest(files or [], output, system, domain, period, yes, force)))


@app.command()
def explore(
    run: Annotated[Path, typer.Argument(help="Folder of a run with its product, such as results/demo.")],
    output: Annotated[
        Path | None, typer.Option("--export", help="Write a folder for any web server instead of serving.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0: any that is free.")] = 8765,
    drivers: Annotated[
        bool, typer.Option("--drivers/--no-drivers", help="Whether the page gives the drivers beside a series.")
    ] = True,
) -> None:
    """Look at the product of a run in the browser: map, series with band, sites, budgets; or write that page."""
    from .explore.run import explore as show

    show(run, output, port, drivers)


@app.command("evaluate-sites")
def evaluate_sites(
    files: SiteFiles,
    members: Members,
    output: Annotated[Path, typer.Option(help="Folder for tables and figure.")] = Path("evaluate-sites"),
    attributes: SiteAttributes = None,
    metadata: SiteMetadata = None,
    static_layers: StaticLayers = None,
    forcing: OfRun = None,
    series: Gases = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Keep sites that the members were trained on.")
    ] = False,
) -> None:
    """Score trained members at sites that they have not seen, beside the process model on the same days."""
    from .evaluate_sites import Wish, run

    wish = Wish(members, files, output, attributes, metadata, static_layers, forcing, series or (), allow_seen)
    print(run(wish))
    print(f"wrote {output}", file=sys.stderr)


@app.command()
def predict(
    files: SiteFiles,
    members: Members,
    output: Annotated[Path, typer.Option(help="Folder for series and figures.")] = Path("predict"),
    attributes: SiteAttributes = None,
    metadata: SiteMetadata = None,
    static_layers: StaticLayers = None,
    forcing: OfRun = None,
    series: Gases = None,
) -> None:
    """What trained members say of places day by day, with a 90 % band and how far they are from what was learnt."""
    from .evaluate_sites import Wish
    from .predict_sites import run

    table = run(Wish(members, files, output, attributes, metadata, static_layers, forcing, series or ()))
    for row in table.to_dict("records"):
        print(f"{row['site']}: {row['days']} days, {str(row['applicable']).replace('_', ' ')}")
    print(f"wrote {output}", file=sys.stderr)


@app.command()
def fetch(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file of your own.")] = "",
    output_dir: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("data"),
    years: Annotated[str, typer.Option(help="Years, such as 2001, 2001-2003 or 1999,2001-2003.")] = "",
    month: Annotated[list[int] | None, typer.Option(help="Months, if not all.")] = None,
    variable: Annotated[list[str] | None, typer.Option(help="Variables of the recipe, if not all.")] = None,
    bbox: Annotated[str, typer.Option(help="'west south east north' [degrees], where the provider can cut.")] = "",
    jobs: Annotated[int, typer.Option(min=1, max=16, help="Files at the same time; providers like few.")] = 2,
    patience: Annotated[str, typer.Option(help="JSON: tries, pause, timeout, queue [s]; see docs/fetch.md.")] = "{}",
    only: Annotated[list[str] | None, typer.Option(help="Names of files, if not all of the years.")] = None,
    show: Annotated[bool, typer.Option("--list", help="List the recipes and what they need.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched.")] = False,
) -> None:
    """Fetch a data set from its provider: resumed, checked, with its provenance; exit code 1 if a file failed."""
    from .fetch.commands import FetchRequest, run, show_recipes

    if show or not recipe:
        show_recipes()
        return
    run(FetchRequest(recipe, output_dir, years, month or [], variable or [], bbox, jobs, patience, only or [], dry_run))


def main() -> None:
    """Run the command line; a user's error is one message and exit status 1."""
    words = listed(sys.argv[1:])
    by_rules = words[:1] and words[0] in (*STAGES, "twin", "experiments")  # commands that rules write
    words = unfolded(words) if by_rules else words
    try:
        app(args=words)
    except FluxAtlasError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(1)
    except Exception as problem:
        from .failures import explained

        if (known := explained(problem, words)) is None:
            raise
        print(f"error: {known}", file=sys.stderr)
        sys.exit(1)

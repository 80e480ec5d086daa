# What all rules share: the checked configuration as RUN, and where results go.
# Nothing heavy is imported here, since every job on a cluster parses this again.
import argparse
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

from snakemake.cli import get_profile_dir

from fluxatlas.braces import brace_expansion
from fluxatlas.config import load
from fluxatlas.errors import FluxAtlasError
from fluxatlas.farewell import absent_results, farewell
from fluxatlas.hashes import settings_hash
from fluxatlas.plan.limits import minutes as planned_minutes
from fluxatlas.plan.limits import of_training as training_minutes
from fluxatlas.retries import ceilings, grown
from fluxatlas.run import Run, commands_on_path
from fluxatlas.slurm import check_first as check_slurm_first
from fluxatlas.stages import STAGE_VERSIONS
from fluxatlas.yaml_text import read_keys


def profiles():
    """The files of the profiles that Snakemake has read: its options of this call, and those of the workflow."""
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument(
        "--profile", nargs="+", default=[os.environ.get("SNAKEMAKE_PROFILE", "none")]
    )
    options.add_argument("--workflow-profile", default="default")
    given = options.parse_known_args()[0]
    name, start = given.workflow_profile, os.environ.get("PWD", ".")
    places = [
        Path(base, name)
        for base in (start, f"{start}/profiles", f"{workflow.basedir}/profiles")
    ]
    places = [place for place in places if place.exists()][:1] + [
        Path(start, name) if Path(start, name).exists() else name
        for name in given.profile
    ]
    found = [get_profile_dir(str(place)) for place in places]
    return [entry[1] for entry in found if entry]


commands_on_path()
try:
    for file in (*workflow.configfiles, *profiles()):
        read_keys(file)  # Snakemake itself takes the last of two equal keys
    RUN = Run(load(config))
    RUN.refuse_wildcards()
    TILES = RUN.tiles
except FluxAtlasError as problem:
    raise WorkflowError(str(problem)) from None

YEARS = RUN.years
MEMBERS = RUN.members


pathvars:
    results=str(RUN.paths.root),
    trained=RUN.trained,


# The system takes no argument of more than 128 KiB. bash itself has no such limit: longer command lines go by file.
shell.prefix(
    'set -euo pipefail; fluxatlas() {{ local words="$*"; if (( ${{#words}} < 30000 )); then command fluxatlas "$@";'
    " else command fluxatlas @<(printf '%s\\0' \"$@\"); fi; }}; "
)


wildcard_constraints:
    tile=r"[NS]\d{2}[EW]\d{3}",
    year=r"\d{4}",
    month=r"\d{2}",
    member=r"\d+",
    variable=r"[A-Za-z0-9]+",
    baseline=r"[a-z_]+",


def known(function):
    """``function`` with its signature at hand, which Snakemake asks for several times per job."""
    function.__signature__ = inspect.signature(function)
    return function


CEILINGS = ceilings(workflow.resource_settings.default_resources or {})


def growing(first, cause, ceiling, beside=0, counted=True):
    """A resource of a job that doubles with each failure that had this ``cause``, up to the profile's ``ceiling``.

    What the job shares its allocation with, ``beside``, does not double; it is part of the amount if ``counted``.
    """

    def amount(wildcards, attempt, rulename):
        own = first
        if attempt > 1:
            log = workflow.get_rule(rulename).log[0].apply_wildcards(wildcards)
            limit = CEILINGS.get(ceiling)
            own = grown(first, limit and limit - beside, cause, attempt, log)
        return own + beside * counted

    return known(amount)


def memory(first_mb, counted=True):
    """Memory of a job in MB, with that of the Snakemake processes in its allocation if ``counted``; see ``growing``."""
    return growing(
        first_mb, "memory", "max_mem_mb", CEILINGS.get("snakemake_mb", 0), counted
    )


def minutes(first):
    """Run time of a job in minutes; see ``growing``."""
    return growing(first, "time", "max_runtime")


def planned(stage, least, times=1):
    """Run time in minutes of a job with ``times`` the work of a heavy job of ``stage``: what `fluxatlas plan` expects
    with a margin, ``least`` or more, and no more than the profile's ceiling."""
    try:
        expected = planned_minutes(RUN, stage, least, times)
    except FluxAtlasError as problem:
        raise WorkflowError(str(problem)) from None
    return minutes(min(expected, CEILINGS.get("max_runtime", expected)))


def trained(rule, least, name=None):
    """As ``planned`` for a job of training, by its steps; ``name`` is the wildcard that names a baseline, a model or a member.

    It is worked out when a job asks, since the sites may have been read by then.
    """

    def amount(wildcards, attempt, rulename):
        given = getattr(wildcards, name) if name else ""
        try:
            expected = training_minutes(RUN, rule, least, given)
        except FluxAtlasError as problem:
            raise WorkflowError(str(problem)) from None
        first = min(expected, CEILINGS.get("max_runtime", expected))
        return growing(first, "time", "max_runtime")(wildcards, attempt, rulename)

    return known(amount)


# Strings with braces are hidden in functions, since Snakemake would take what stands between them for wildcards.
# Words of a command line are given as lists: `{params.x:q}` then quotes each of them, and none is nothing.


def settings(job):
    """The leaves of the configuration that ``job`` reads, as JSON."""
    leaves = RUN.settings(job)
    return known(lambda wildcards: leaves)


def map_settings(wildcards):
    """Options with what the job `site_inputs` reads: its leaves as JSON (the synthetic Earth has no map beyond its
    tiles), and a table of weather."""
    maps = [] if RUN.is_synthetic else ["--settings", RUN.settings("site_inputs")]
    return maps + repeat("--weather", RUN.site_weather)


def twin_settings(wildcards):
    """The whole configuration as JSON, for the run of one world."""
    try:
        return RUN.twin_settings(wildcards.world, wildcards.seed)
    except FluxAtlasError as problem:
        raise WorkflowError(str(problem)) from None


def option(block, name):
    """The leaf ``name`` of another ``block`` than the one of which a job is handed its settings."""
    leaf = RUN.option(block, name)
    return known(lambda wildcards: leaf)


def each(option, template, **lists):
    """``template`` filled with every combination of ``lists`` (and the wildcards) behind ``option``: one short word."""

    def options(wildcards):
        own = {key: [value] for key, value in wildcards.items()}
        return brace_expansion(option, template, **own, **lists)

    return known(options)


def repeat(option, values):
    """``values`` for a command line, each behind its own ``option``."""
    values = [values] if isinstance(values, str) else values
    return [word for value in values for word in (option, value)]


def each_of(table, kinds):
    """The files of some ``kinds`` of a table {kind: (template, lists)}, each behind its option, ``--region-months``."""

    def options(kind):
        template, lists = table[kind]
        for name, folder in (
            ("<results>", str(RUN.paths.root)),
            ("<trained>", RUN.trained),
        ):
            template = template.replace(name, folder)
        return brace_expansion(f"--{kind.replace('_', '-')}", template, **lists)

    return lambda wildcards: [word for kind in kinds for word in options(kind)]


def state_before(tile, year):
    """The state that a tile-year begins with."""
    path = RUN.state_before(tile, year)
    return ancient(path) if RUN.is_current(tile, year) else path


def experiment_start_file(wildcards):
    """The pretrained network that an experiment begins with, where it does."""
    from fluxatlas.experiments.grid import SCRATCH

    name = f"{wildcards.model}-{wildcards.number}.pt"
    return (
        [] if wildcards.transfer == SCRATCH else RUN.paths("experiments", "start", name)
    )


def experiment_priority(wildcards):
    """What tells most comes first."""
    from fluxatlas.experiments.grid import Experiment, priority

    names = (wildcards.split, wildcards.share, wildcards.model, wildcards.transfer)
    return priority(RUN.config.experiments, Experiment(*names, int(wildcards.number)))


def check_first():
    """Stop before the first job where anything that the whole run reads is wrong (`fluxatlas check`).

    What was found is kept by the hash of the configuration, so that a run that goes on is not checked again.
    """
    whole = any(job.rule.name == "all" for job in workflow.dag.targetjobs)
    if not workflow.touch:
        try:
            check_slurm_first(workflow, Path(RUN.paths("check", "slurm.txt")))
        except FluxAtlasError as problem:
            raise WorkflowError(str(problem)) from None
    if whole and not workflow.touch:
        look_at_inputs()


def check_dry_run(wildcards):
    """Refuse a dry run of everything for what the run would be refused for, and write nothing.

    With `--no-hooks` nothing is looked at. Snakemake wraps any error of an input function in a traceback: the text is
    printed and Snakemake left.
    """
    if workflow.dryrun and not workflow.execution_settings.no_hooks:
        try:
            look_at_inputs(keep=False)
        except WorkflowError as problem:
            logger.error(str(problem))
            raise SystemExit(1) from None
    return []


def look_at_inputs(keep=True):
    """Run `fluxatlas check`; raises WorkflowError with all that it finds."""
    settings = RUN.config.model_dump(mode="json")
    kept = RUN.paths("check", f"{settings_hash(settings)}.txt")
    if os.path.exists(kept):
        return
    command = ["fluxatlas", "check", "-", *(["--output", kept] if keep else [])]
    done = subprocess.run(
        command, input=json.dumps(settings), capture_output=True, text=True
    )
    if done.returncode:
        raise WorkflowError(done.stderr.strip())
    logger.info(done.stdout.strip(), extra={"show": True})


def part_of_the_run():
    """The files that were asked for, or none where the whole run was."""
    jobs = list(workflow.dag.targetjobs)
    if any(job.rule.name == "all" for job in jobs) and not absent_results(RUN):
        return []
    return [
        str(file) for job in jobs if job.rule.name != "all" for file in job.output
    ] or ["some of its jobs"]

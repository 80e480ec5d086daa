# What all rules share: the checked configuration as RUN, and where results go.
# Nothing heavy is imported here, since every job on a cluster parses this again.
from fluxatlas.config import load
from fluxatlas.errors import FluxAtlasError
from fluxatlas.run import STAGE_VERSIONS, Run

try:
    RUN = Run(load(config))
    TILES = RUN.tiles
except FluxAtlasError as problem:
    raise WorkflowError(str(problem)) from None

YEARS = RUN.years
MEMBERS = RUN.members


pathvars:
    results=str(RUN.paths.root),


wildcard_constraints:
    tile=r"[NS]\d{2}[EW]\d{3}",
    year=r"\d{4}",
    month=r"\d{2}",
    member=r"\d+",
    variable=r"[A-Za-z0-9]+",


# Ignored without --software-deployment-method; the pins of the environment file are those of constraints.txt.
conda: "../envs/fluxatlas.yaml"


def memory(first_mb):
    """Memory of a job in MB that doubles with every further attempt."""
    return lambda wildcards, attempt: first_mb * 2 ** (attempt - 1)


def minutes(first):
    """Run time of a job in minutes that doubles with every further attempt."""
    return lambda wildcards, attempt: first * 2 ** (attempt - 1)


def repeat(option, values):
    """``values`` for a command line, each behind its own ``option``."""
    return " ".join(f"{option} {value}" for value in values)

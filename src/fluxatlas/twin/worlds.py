"""The workflow on one world: a run of its own, up to the comparison with the hidden truth."""

from __future__ import annotations

import subprocess
import sys

import yaml

from ..config.model import Config
from ..errors import FluxAtlasError
from ..files import write_text
from ..paths import SNAKEFILE
from ..run import Run


def run_world(config: Config, cores: int) -> None:
    """Run the workflow for ``config`` (:meth:`fluxatlas.run.Run.twin_settings`) up to what :mod:`.table` reads.

    The map of estimate and truth is drawn as well. The folder of work is not locked: the run that asks for this one
    holds the lock. Raises :class:`FluxAtlasError` where the workflow fails.
    """
    run = Run(config)
    path = run.paths("config.yaml")
    write_text(path, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
    targets = [run.paths("evaluate", name) for name in ("truth.csv", "truth_sites.csv")]
    targets += [run.paths("report", "figures", "truth_map.png")] if "truth_map" in run.figures else []
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--configfile", path]
    command += ["--nolock", "--rerun-incomplete", "--cores", str(cores), *targets]
    if subprocess.run(command, check=False, stdout=sys.stderr).returncode:
        raise FluxAtlasError("the run of this world failed", where=str(run.paths.root), hint="see what is said above")

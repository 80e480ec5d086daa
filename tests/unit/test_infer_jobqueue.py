"""A Dask cluster of batch jobs: the script of a job, and a cluster whose jobs are processes of this machine."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dask
import dask_jobqueue
import pandas as pd
import pytest
from dask_jobqueue.local import LocalJob
from distributed.security import Security
from typer.testing import CliRunner

from fluxatlas.cli import app
from fluxatlas.config.products import ProductsBlock
from fluxatlas.errors import ConfigError
from fluxatlas.infer import jobqueue
from fluxatlas.products.budget import budget_table
from fluxatlas.systems import get_system
from stage_files import make_world

CLUSTER = ["infer", "cluster", "--cores", "4", "--memory", "8GB", "--script"]


@pytest.fixture
def certificates(tmp_path, monkeypatch):
    """Certificates in files, told as docs/cluster.md says; this process has read its environment already."""
    made, told = Security.temporary(), {"distributed.comm.require-encryption": True}
    names = {"CA_FILE": made.tls_ca_file}
    for who in ("SCHEDULER", "WORKER", "CLIENT"):
        names |= {f"{who}__{kind}": getattr(made, f"tls_{who}_{kind}".lower()) for kind in ("CERT", "KEY")}
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION", "True")
    for name, text in names.items():
        path = tmp_path / f"{name}.pem"
        path.write_text(text)
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(path))
        told[f"distributed.comm.tls.{name.lower().replace('__', '.').replace('_', '-')}"] = str(path)
    with dask.config.set(told):
        yield tmp_path


class ShellJob(LocalJob):
    """A job whose script a shell runs."""

    async def _submit_job(self, script_filename):
        text = Path(script_filename).read_text()  # the file is gone when the shell would read it
        return str(subprocess.Popen(["bash", "-c", text], start_new_session=True, stderr=subprocess.DEVNULL).pid)

    @classmethod
    async def _close_job(cls, job_id, cancel_command):
        os.killpg(int(job_id), signal.SIGTERM)


class ShellCluster(dask_jobqueue.JobQueueCluster):
    job_cls = ShellJob


@pytest.mark.parametrize(
    ("system", "lines"),
    [
        ("slurm", ["#SBATCH -p main", "#SBATCH -A flux", "#SBATCH --cpus-per-task=4", "#SBATCH --mem=8G"]),
        ("pbs", ["#PBS -q main", "#PBS -A flux", "#PBS -l select=1:ncpus=4:mem=7630MB", "#PBS -l walltime=04:00:00"]),
    ],
)  # fmt: skip
def test_the_script_of_a_job_asks_for_what_was_said_and_knows_the_certificates(certificates, system, lines) -> None:
    done = CliRunner().invoke(app, [*CLUSTER, "--system", system, "--queue", "main", "--account", "flux"])
    assert done.exit_code == 0, done.output
    said = done.stdout.splitlines()
    assert set(lines) <= set(said), done.stdout
    assert f"export DASK_DISTRIBUTED__COMM__TLS__CA_FILE={certificates / 'CA_FILE.pem'}" in said
    (worker,) = [line for line in said if "dask_worker" in line]
    assert "tls://" in worker and "--nthreads 1" in worker and "--nworkers 4" in worker


@pytest.mark.slow
def test_a_budget_by_batch_jobs_is_that_of_one_process(certificates, monkeypatch) -> None:
    world, system = make_world(certificates / "world", years=(2001,)), get_system("soil_methane_sink")
    monkeypatch.setattr(jobqueue, "SYSTEMS", {"shell": "ShellCluster"})
    monkeypatch.setattr(dask_jobqueue, "ShellCluster", ShellCluster, raising=False)
    cluster = jobqueue.make_cluster(
        "shell", cores=1, memory="1GB", walltime="00:10:00", options={"scheduler_options": {"host": "127.0.0.1"}}
    )
    said, found = [], []

    def use() -> None:
        block = ProductsBlock(dask_address=said[0])
        found.append(budget_table(world.flux, world.attributes, block, system=system))

    jobqueue.serve(cluster, 1, said.append, use)
    assert said[0].startswith("tls://127.0.0.1:")
    pd.testing.assert_frame_equal(found[0], budget_table(world.flux, world.attributes, system=system), check_exact=True)


def test_an_interruption_stays_one_though_dask_jobqueue_takes_it(certificates, monkeypatch) -> None:
    """Its module of a runner, imported with it, makes of Ctrl-C an exit with status 0."""
    for name in [name for name in sys.modules if name.split(".")[0] == "dask_jobqueue"]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with jobqueue.make_cluster("slurm", cores=1, memory="1GB", walltime="00:10:00", options={}):
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_cannot_be_started_is_refused_in_words(certificates, monkeypatch) -> None:
    for words, said in (
        (["--system", "slurn"], "did you mean 'slurm'"),
        (["--memory", "much"], "refuses this cluster"),
    ):
        error = CliRunner().invoke(app, [*CLUSTER, *words]).exception
        assert isinstance(error, ConfigError) and said in str(error)
    monkeypatch.delenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE")
    with pytest.raises(ConfigError, match="there are no certificates"):
        jobqueue.make_cluster("slurm", cores=1, memory="1GB", walltime="01:00:00", options={})
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(ConfigError, match="dask-jobqueue is not installed"):
        jobqueue.make_cluster("slurm", cores=1, memory="1GB", walltime="01:00:00", options={})


def test_jobs_that_cannot_be_submitted_are_refused_and_no_address_is_said(certificates, monkeypatch) -> None:
    words, commands = ["infer", "cluster", "--jobs", "2", "--memory", "1GB", "--interface", "lo"], certificates / "bin"
    commands.mkdir()
    monkeypatch.setenv("PATH", str(commands))
    done = CliRunner().invoke(app, words)
    assert "there is no command 'sbatch' on this machine" in str(done.exception) and not done.stdout
    for name, says in (("sbatch", "echo invalid partition >&2; exit 1"), ("scancel", "exit 1")):
        (commands / name).write_text(f"#!/bin/sh\n{says}\n")
        (commands / name).chmod(0o755)
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, ConfigError) and not done.stdout
    assert "the batch system refuses the jobs:" in str(done.exception)
    assert "invalid partition" in str(done.exception) and "\n" not in done.exception.what

"""What SLURM is asked before the first job: of jobs left by a lost driver, and of jobs that no node would take."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from fluxatlas import slurm
from fluxatlas.errors import FluxAtlasError, InputError

LEFT = "41|flux_b|RUNNING|rule_infer_wildcards_N36W008_2001\n42|flux_a|PENDING|rule_daily|with a bar\n"


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    """A stand-in for a ``name`` of SLURM that notes its arguments; the file with these."""
    path, heard = folder / name, folder / f"{name}.heard"
    path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {heard}\n{script}\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return heard


def driver(name: str | None, *jobs: SimpleNamespace) -> SimpleNamespace:
    """A workflow as Snakemake shows it to ``onstart``."""
    executor = SimpleNamespace(run_uuid=name) if name else SimpleNamespace()
    dag = SimpleNamespace(needrun_jobs=lambda: iter(jobs))
    return SimpleNamespace(scheduler=SimpleNamespace(_executor=executor), dag=dag)


def job(rule: str, local: bool = False, **resources: object) -> SimpleNamespace:
    facts = {"resources": resources, "threads": 2, "is_local": local, "is_group": lambda: False}
    return SimpleNamespace(rule=SimpleNamespace(name=rule), **facts)


def test_jobs_of_a_lost_driver_are_named_and_nothing_is_submitted_beside_them(tmp_path, monkeypatch) -> None:
    record = tmp_path / "check" / "slurm.txt"
    heard = program(tmp_path, monkeypatch, "squeue", f"printf '{LEFT}'")
    slurm.claim(record, "flux_a")
    assert record.read_text() == "flux_a\n" and not heard.exists()  # nothing to ask for
    with pytest.raises(InputError) as told:
        slurm.claim(record, "flux_c")
    said = str(told.value)
    assert "2 jobs of an earlier start of this run are still in the queue" in said
    assert "41 RUNNING rule_infer_wildcards_N36W008_2001; 42 PENDING rule_daily|with a bar" in said
    assert "scancel --me --name flux_a,flux_b; then start again" in said
    assert "--me --noheader --name flux_a --format" in heard.read_text()
    assert record.read_text() == "flux_a\n"  # asked for again by the next start
    program(tmp_path, monkeypatch, "squeue", "true")
    slurm.claim(record, "flux_c")
    assert record.read_text() == "flux_c\n"


@pytest.mark.parametrize("trouble", ["echo 'Unable to contact slurm controller' >&2; exit 1", None])
def test_a_queue_that_does_not_answer_is_not_taken_for_an_empty_one(tmp_path, monkeypatch, trouble) -> None:
    record = tmp_path / "slurm.txt"
    record.write_text("flux_a\n")
    if trouble is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        program(tmp_path, monkeypatch, "squeue", trouble)
    with pytest.raises(InputError, match="Unable to contact" if trouble else "squeue is not on this machine"):
        slurm.claim(record, "flux_c")
    assert record.read_text() == "flux_a\n"


def test_each_kind_of_job_is_tried_once_and_a_refusal_is_shown(tmp_path, monkeypatch) -> None:
    script = (
        'case "$*" in *mem=9000*) echo "allocation failure: Requested node configuration is not available" >&2; exit 1'
    )
    heard = program(tmp_path, monkeypatch, "sbatch", f"{script};; esac")
    program(tmp_path, monkeypatch, "sinfo", "echo 'idle|8000'")
    fits = {"slurm_account": "a,b", "slurm_partition": "main", "mem_mb": 500, "runtime": 10, "gres": "gpu:1"}
    jobs = [job("maps", **fits), job("daily", **fits), job("all", local=True), job("train", **fits | {"mem_mb": 9000})]
    record = tmp_path / "slurm.txt"
    slurm.check_first(driver("flux_a", *jobs[:3]), record)
    options = "--account=a --partition=main --mem=500 --time=10 --gres=gpu:1 --cpus-per-task=2"
    assert heard.read_text() == f"--test-only --ntasks=1 {options} --wrap true\n"
    assert record.read_text() == "flux_a\n"
    with pytest.raises(FluxAtlasError, match=r"is not available\n  where: rule train: sbatch .*9000"):
        slurm.check_first(driver("flux_b", *jobs), record)
    assert record.read_text() == "flux_a\n"


def test_a_job_that_would_wait_for_a_node_that_is_down_is_taken(tmp_path, monkeypatch) -> None:
    program(tmp_path, monkeypatch, "sbatch", "echo 'Requested node configuration is not available' >&2; exit 1")
    program(tmp_path, monkeypatch, "sinfo", "echo 'idle|500'; echo 'drained|4000'")
    record = tmp_path / "slurm.txt"
    slurm.check_first(driver("flux_a", job("infer", slurm_partition="main", mem_mb=4000)), record)
    with pytest.raises(FluxAtlasError, match="Requested node configuration"):
        slurm.check_first(driver("flux_a", job("infer", slurm_partition="main", mem_mb=4001)), record)


def test_a_profile_that_was_not_filled_in_is_refused_without_asking(tmp_path, monkeypatch) -> None:
    heard = program(tmp_path, monkeypatch, "sbatch", "exit 0")
    with pytest.raises(FluxAtlasError, match="the profile still says account=CHANGE_ME"):
        slurm.check_first(driver("flux_a", job("infer", slurm_account="CHANGE_ME", mem_mb=1)), tmp_path / "slurm.txt")
    assert not heard.exists() and not (tmp_path / "slurm.txt").exists()


def test_a_local_run_does_not_begin_beside_jobs_of_a_lost_driver(tmp_path, monkeypatch) -> None:
    record = tmp_path / "slurm.txt"
    record.write_text("flux_a\n")
    program(tmp_path, monkeypatch, "squeue", f"printf '{LEFT}'")
    with pytest.raises(InputError, match="2 jobs of an earlier start of this run are still in the queue"):
        slurm.check_first(driver(None, job("infer")), record)
    program(tmp_path, monkeypatch, "squeue", "true")
    slurm.check_first(driver(None, job("infer")), record)
    assert record.read_text() == "flux_a\n"


def test_other_executors_are_asked_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm.check_first(driver(None, job("infer", slurm_account="CHANGE_ME")), tmp_path / "slurm.txt")
    assert not (tmp_path / "slurm.txt").exists()

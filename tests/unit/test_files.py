"""Files: complete or absent; broken ones refused with a message."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from fluxatlas import files
from fluxatlas.errors import InputError
from fluxatlas.files import atomic_all


def _leftovers(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(RuntimeError), files.atomic(target) as partial:
        partial.write_text("half")
        raise RuntimeError("power cut")
    assert target.read_text() == "old"
    assert _leftovers(tmp_path) == ["a.txt"]


def test_netcdf_round_trip_carries_provenance(tmp_path) -> None:
    source = tmp_path / "in.txt"
    source.write_text("x")
    data = xr.Dataset({"tas": ("time", np.array([280.0, 281.0]))})
    attrs = files.provenance("ingest", {"b": 1, "a": 2}, {"raw": source})
    files.write_netcdf(data, tmp_path / "out.nc", {"tas": {"dtype": "float32"}}, attrs=attrs)
    back = files.read_netcdf(tmp_path / "out.nc")
    assert back.tas.dtype == "float32" and back.attrs["fluxatlas_stage"] == "ingest"
    assert files.file_hash(source) in back.attrs["fluxatlas_inputs"]
    assert back.attrs["fluxatlas_settings_hash"] == files.settings_hash({"a": 2, "b": 1})


def test_missing_empty_and_truncated_files_are_refused(tmp_path) -> None:
    whole = tmp_path / "whole.nc"
    files.write_netcdf(xr.Dataset({"x": ("t", np.random.default_rng(0).normal(size=20000))}), whole)
    (tmp_path / "empty.nc").touch()
    (tmp_path / "cut.nc").write_bytes(whole.read_bytes()[:9000])
    for name, message in (("none.nc", "not found"), ("empty.nc", "is empty"), ("cut.nc", "cannot be read")):
        with pytest.raises(InputError, match=message) as caught:
            files.read_netcdf(tmp_path / name)
        assert name in str(caught.value) and "do:" in str(caught.value)


def test_errors_survive_a_process_boundary() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(InputError("what", where="here", hint="do this")))
    assert (error.what, error.where, error.hint) == ("what", "here", "do this")


def test_files_that_belong_together_get_their_names_together(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "1.txt", tmp_path / "b" / "1.txt"]
    with atomic_all(paths) as partials:
        for partial in partials:
            partial.write_text("x")
        assert not any(path.exists() for path in paths)
    assert all(path.read_text() == "x" for path in paths)
    with pytest.raises(FileNotFoundError), atomic_all([tmp_path / "c.nc", tmp_path / "d.nc"]) as partials:
        partials[0].write_text("x")
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == ["1.txt", "1.txt"]


def test_what_dead_writers_left_is_swept_and_what_others_write_is_not(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    ).stdout
    here, there = f"{files.NODE}-{dead.strip()}", "elsewhere-1"
    names = {
        "gone": [f".a.{here}-0.part.nc", f".a.{there}-0.part.nc"],
        "kept": [
            f".a.{files.NODE}-{os.getpid()}-999.part.nc",  # this process, which lives
            f".a.{there}-1.part.nc",  # another machine, a moment ago
            f".b.{here}-0.part.nc",  # of another file
            f".a.b.{here}-0.part.nc",
            ".a.nc.part",  # a download that goes on
            "a.part.nc",
        ],
    }
    for name in (*names["gone"], *names["kept"]):
        (tmp_path / name).write_text("x")
    os.utime(tmp_path / names["gone"][1], (0, 0))
    left = tmp_path / f".a.{here}-3.scratch"
    left.mkdir()
    (left / "x").write_text("x")
    with files.atomic(tmp_path / "a.nc") as partial, files.scratch(tmp_path / "a.nc") as folder:
        partial.write_text("y")
        (folder / "z").write_text("z")
    assert _leftovers(tmp_path) == sorted([*names["kept"], "a.nc"])


READERS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from fluxatlas import files
paths = sys.argv[1:]
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda n: float(files.read_netcdf(paths[n % len(paths)])["v3"][0]), range(300)))
assert found == [n % len(paths) for n in range(300)], found
"""


def test_many_threads_may_read_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.nc" for number in range(4)]
    for number, path in enumerate(paths):
        files.write_netcdf(xr.Dataset({f"v{k}": ("x", np.full(20, float(number))) for k in range(20)}), path)
    done = subprocess.run([sys.executable, "-c", READERS, *map(str, paths)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]  # without the lock: HDF errors or a segmentation fault

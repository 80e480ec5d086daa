"""An environment of its own with fluxatlas as a user installs it: from a wheel, made from the source distribution."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import numpy as np

from fluxatlas.paths import REPOSITORY
from fluxatlas.process import simulate
from process_weather import one_soil, weather

SOURCES = ("src", "Snakefile", "config", "profiles", "resources", "workflow", "pyproject.toml", "README.md", "LICENSE")


def build(folder: Path) -> Path:
    """The wheel, made in ``folder`` from a source distribution that was made from a copy of the sources."""
    copy = folder / "copy"
    copy.mkdir()
    for name in SOURCES:
        path = REPOSITORY / name
        if path.is_symlink():
            (copy / name).symlink_to(path.readlink())
        elif path.is_dir():
            shutil.copytree(
                path, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(path, copy / name)
    backend = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
    _call([sys.executable, "-c", backend, "build_sdist", str(folder)], copy)
    archive = next(folder.glob("fluxatlas-*.tar.gz"))
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    _call([sys.executable, "-c", backend, "build_wheel", str(folder)], folder / archive.name.removesuffix(".tar.gz"))
    return next(folder.glob("fluxatlas-*.whl"))


def install(folder: Path) -> Path:
    """The folder ``bin`` of a new environment with the wheel; other packages are those of the one that runs the tests.

    A line of a ``.pth`` file adds the packages without those that are installed as links, such as fluxatlas itself.
    """
    wheel, made = build(folder), folder / "environment"
    _call([sys.executable, "-m", "venv", "--without-pip", str(made)], folder)
    pip = [sys.executable, "-m", "pip", "--python", str(made / "bin" / "python"), "--disable-pip-version-check"]
    _call([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], folder)
    site = next((made / "lib").glob("python*/site-packages"))
    _machine_code(site / "fluxatlas")
    (site / "others.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}) + "\n")
    return made / "bin"


def _machine_code(installed: Path) -> None:
    """Give the installed package what Numba has compiled of the same sources: it goes by their time stamp and size.

    The soil column is compiled here where no test before has done so (half a minute, else paid again by the run).
    """
    lat = np.zeros(1)
    drivers, dates = weather(2, lat)
    simulate(drivers, one_soil(), {}, lat=lat, dates=dates)
    sources = REPOSITORY / "src" / "fluxatlas"
    for source in sources.rglob("*.py"):
        shutil.copystat(source, installed / source.relative_to(sources))
    for compiled in sources.rglob("__pycache__/*.nb[ci]"):
        place = installed / compiled.relative_to(sources)
        place.parent.mkdir(exist_ok=True)
        shutil.copy(compiled, place)


def environment() -> dict[str, str]:
    """Variables for a command of the new environment, which must find no other fluxatlas."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {**kept, "OMP_NUM_THREADS": "1"}


def _call(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

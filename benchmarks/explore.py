"""How long the page of ``fluxatlas explore`` takes to its first complete view, and what it reads for it.

    python benchmarks/explore.py results/demo [--repeats 3] [--before COMMIT] [--write]
    python benchmarks/explore.py --globe /tmp/globe [--write]

A headless Chromium (``tests/install_tools.sh``) with an empty profile opens the page from the server of ``explore`` on
this machine. The times are those from the request to the first picture (land, values, sites, legend and controls are
seen) and to the moment when the map that can be moved has drawn all that is in view; processor time is that of all
processes of the browser; bytes and requests are those of the whole page, and of the store alone. ``--before`` looks in
turn at the same store through the page of another commit of this repository. Other programs make the times longer;
where they run, give it precedence, as root: ``setsid -w sh -c 'echo -20 > /proc/self/autogroup; exec python ...'``.

``--globe`` makes a stand-in of a year of one variable at 4 km (4320 x 8640 cells, 365 days in the layout of the
store, made-up values on the land of the Earth) of which the first 16 days are written, and says what a day of the
globe, the next day, and a closer look read. Files of the other days are absent, as are those of a sea without land.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import chromium
from fluxatlas.errors import InputError
from fluxatlas.explore import site
from fluxatlas.explore.manifest import fingerprint, write_manifest
from fluxatlas.explore.serve import server
from fluxatlas.explore.source import Lattice, StoreLayer
from fluxatlas.explore.store import write_store
from fluxatlas.land_mask import is_land

RESULTS = Path(__file__).parent / "results"
WINDOW = (1280, 800)
WRITTEN = 16
"""Days of the stand-in that are written: one chunk of the store."""
READ = """(async () => {
  const { traffic } = await import('./zarr.js');
  const all = performance.getEntriesByType('resource');
  const page = performance.getEntriesByType('navigation')[0];
  return {
    picture: (fluxatlas.pictured ?? fluxatlas.started) / 1000,
    seconds: fluxatlas.started / 1000,
    requests: all.length + 1,
    bytes: all.reduce((sum, one) => sum + one.transferSize, page.transferSize),
    ...Object.fromEntries(Object.entries(traffic).map(([key, value]) => [`store_${key}`, value])),
  };
})()"""


@contextmanager
def page(folder: Path, state: str = "") -> Iterator[tuple[chromium.Browser, float]]:
    """A new browser on the page in ``folder``, its first view drawn, and its processor time before that."""
    served = server(folder, 0)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = chromium.Browser(Path(profile), *WINDOW)
        try:
            browser.call("Performance.enable")
            began = started(browser.process.pid)
            browser.open(served.address + state)
            yield browser, began
        finally:
            browser.close()
            served.shutdown()
            served.server_close()


def processor_seconds(root: int) -> float:
    """Processor time so far of a process and all below it."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        found[int(folder.name)] = int(words[1]), int(words[11]) + int(words[12])
    below = {root}
    while more := {pid for pid, (parent, _) in found.items() if parent in below} - below:
        below |= more
    return sum(found[pid][1] for pid in below if pid in found) / os.sysconf("SC_CLK_TCK")


def started(root: int) -> float:
    """Processor time of a browser once it has started: when it asks for next to none any more, at most 10 s."""
    used = processor_seconds(root)
    for _ in range(20):
        time.sleep(0.5)
        before, used = used, processor_seconds(root)
        if used - before < 0.05:
            break
    return used


def first_view(folders: Sequence[Path], repeats: int) -> list[dict[str, float]]:
    """For each folder medians of :data:`READ` and of the browser's processor time without its start, all in turn."""
    rows: list[list[dict[str, float]]] = [[] for _ in folders]
    for _ in range(repeats):
        for folder, found in zip(folders, rows, strict=True):
            with page(folder) as (browser, began):
                used = processor_seconds(browser.process.pid) - began
                found.append({**browser.evaluate(READ), "processor": used})
    return [{key: median(row[key] for row in found) for key in found[0]} for found in rows]


def page_of(commit: str, now: Path, folder: Path) -> Path:
    """The store and the manifest of ``now`` with the page as it was at ``commit``."""
    shutil.copytree(now, folder, ignore=shutil.ignore_patterns("store.zarr", "*.js", "*.html", "*.css"))
    (folder / "store.zarr").symlink_to((now / "store.zarr").resolve())
    root, where = Path(__file__).parents[1], site.PAGE.relative_to(Path(__file__).resolve().parents[1])
    archive = subprocess.run(
        ["git", "archive", commit, str(where)], cwd=root, check=True, stdout=subprocess.PIPE
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files.getmembers():
            if content := files.extractfile(member):
                (folder / Path(member.name).name).write_bytes(content.read())
    for part in site.library():
        shutil.copyfile(part, folder / part.name)
    return folder


def words(found: dict[str, float]) -> str:
    return (
        f"{found['picture']:.2f} s from request to the first picture, {found['seconds']:.2f} s to the complete map, "
        f"{found['processor']:.1f} s of processor time of the browser; "
        f"{found['bytes'] / 1e6:.2f} MB in {found['requests']:.0f} requests, "
        f"{found['store_bytes'] / 1e6:.3f} MB in {found['store_requests']:.0f} of them from the store"
    )


def both(run: Path, before: str, repeats: int) -> list[str]:
    """Lines on the first view of ``run``, and through the page at commit ``before`` where that is named."""
    now = site.make(run)[0]
    with tempfile.TemporaryDirectory() as scratch:
        folders = [now, *([page_of(before, now, Path(scratch) / "page")] if before else [])]
        found = first_view(folders, repeats)
    lines = [f"first view of {run.name}: {words(found[0])}"]
    if before:
        share = found[1]["picture"] / found[0]["picture"]
        lines.append(f"through the page of {before}, in turn with it: {words(found[1])}")
        lines.append(f"{share:.1f} times as long to the first picture, medians of {repeats}")
    return lines


class Globe:
    """Stands in for the product of a run: a year at 4 km, of which the first days have values."""

    files: Sequence[Path] = ()

    def __init__(self, folder: Path) -> None:
        self.lattice = Lattice(90.0, -180.0, 1 / 24, (4320, 8640))
        self.run: Any = SimpleNamespace(
            about={"fluxatlas_about": {"run": "globe", "synthetic": True}},
            folder=folder,
            years=(2001,),
            variables=["fch4"],
            sites=pd.DataFrame(columns=["site", "lat", "lon", "geometry"]),
        )

    def times(self, step: str) -> pd.DatetimeIndex:
        return pd.date_range("2001-01-01", "2001-12-31", freq="D")

    def layers(self, step: str) -> list[StoreLayer]:
        attrs = {"long_name": "made up", "units": "mg m-2 d-1", "scale_factor": 0.001, "add_offset": 0.0}
        return [StoreLayer("fch4", "int16", -32768, attrs, self._read)] if step == "day" else []

    def fixed(self) -> list[StoreLayer]:
        return []

    def _read(self, times: slice, rows: slice, columns: slice) -> np.ndarray:
        """Waves that move from day to day, with noise, on land."""
        lat, lon = self.lattice.centres()
        shape = times.stop - times.start, rows.stop - rows.start, columns.stop - columns.start
        found = np.full(shape, -32768, np.int16)
        grid = np.meshgrid(lat[rows], lon[columns], indexing="ij")
        land = is_land(grid[0].ravel(), grid[1].ravel()).reshape(shape[1:])
        if times.start >= WRITTEN or not land.any():
            return found
        noise = np.random.default_rng(rows.start * 10_000 + columns.start).integers(-40, 40, shape[1:])
        for day in range(min(shape[0], WRITTEN - times.start)):
            wave = 800 * np.sin(np.deg2rad(3 * grid[0] + day)) * np.cos(np.deg2rad(2 * grid[1]))
            found[day] = np.where(land, np.rint(wave + noise - 1000), -32768)
        return found


class NoBudget(SimpleNamespace):
    @property
    def budget(self) -> pd.DataFrame:
        raise InputError("the stand-in has no budget")


def globe(folder: Path) -> list[str]:
    """Lines on the stand-in: how it is made, and what views of it read."""
    lines = []
    if not (folder / "manifest.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        source: Any = Globe(folder)
        source.run = NoBudget(**vars(source.run))
        began = time.process_time()
        write_store(source, folder / "store.zarr", {})
        write_manifest(source, folder / "store.zarr", folder / "manifest.json", fingerprint(source))
        for part in (*site.PAGE.iterdir(), *site.library()):
            (folder / part.name).write_bytes(part.read_bytes())
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        lines.append(
            f"made in {time.process_time() - began:.0f} s of processor time, at most {memory:.2f} GB of memory"
        )
    size = sum((Path(root) / name).stat().st_size for root, _, names in os.walk(folder) for name in names)
    lines.append(f"{size / 1e9:.2f} GB on disk")
    with page(folder, "#p=day&t=2001-01-01&m=20,0,1.2") as (browser, began):
        used = processor_seconds(browser.process.pid) - began
        before = browser.evaluate(READ)
        lines.append(f"a day of the globe: {words({**before, 'processor': used})}")
        for said, state in (
            ("the next day", "#p=day&t=2001-01-02&m=20,0,1.2"),
            ("Europe", "#p=day&t=2001-01-02&m=50,10,4"),
            ("Iberia", "#p=day&t=2001-01-02&m=40,-5,6"),
        ):
            browser.go(state)
            after = browser.evaluate(READ)
            more, asked = (after[f"store_{key}"] - before[f"store_{key}"] for key in ("bytes", "requests"))
            lines.append(f"{said}: {more / 1e6:.2f} MB more in {asked:.0f} requests")
            before = after
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="folder of a finished run")
    parser.add_argument("--globe", type=Path, help="folder for the stand-in of a global year")
    parser.add_argument("--before", default="", metavar="COMMIT", help="compare with the page of this commit")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the result file")
    wish = parser.parse_args()
    if not chromium.executable():
        sys.exit("no Chromium on this machine: run tests/install_tools.sh as root")
    lines = []
    if wish.run:
        lines += both(wish.run, wish.before, wish.repeats)
    if wish.globe:
        lines += [f"globe, {line}" for line in globe(wish.globe)]
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, no graphics card used"
    text = "\n".join([*(f"- {line}" for line in lines), f"- {load}"])
    print(text)
    if wish.write:
        name = "explore_globe.md" if wish.globe else "explore.md"
        (RESULTS / name).write_text(f"# First view of `fluxatlas explore`\n\n{text}\n")


if __name__ == "__main__":
    main()

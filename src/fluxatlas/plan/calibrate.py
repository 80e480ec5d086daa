"""``fluxatlas plan --calibrate``: what the dominant work of a run costs on this machine.

A tile-year of the synthetic Earth goes through the stages themselves (ingest, process model, pretraining, inference)
with the system, the networks and the settings of the run, in a temporary folder. Processor time is measured, so that
other work on the machine disturbs little. Only the costs are kept.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

from ..config.model import parse
from ..errors import FluxAtlasError, InputError
from ..paths import SNAKEFILE
from ..run import Run
from . import costs
from .costs import Speed
from .learning import network_costs

SECONDS = 60.0
"""Processor seconds after which nothing further is measured."""
PART = 2.5
"""Core-seconds that a measured part of the work should take, by the shipped costs."""
CORNERS = {1: (-6.0, 39.0), 2: (-6.0, 40.0), 5: (-5.0, 40.0)}
"""Edge of a tile [degrees] -> east and north of one in Spain that is land in that corner."""
DAYS = 365
NETWORK = (*costs.NETWORK, "dropout", "seed")
INFER = (*costs.INFER, "memory_mb")


def calibrate(run: Run, say: Callable[[str], None]) -> Speed:
    """Measure the costs of the work of ``run``; ``say`` is told what is measured.

    Raises :class:`InputError` where the synthetic Earth lacks what the system of the run needs.
    """
    began = _processor_seconds()
    say("calibration: start of commands")
    start = _child(["-c", "import fluxatlas.infer.tile, fluxatlas.infer.fused"])
    snakemake = 2 * _child(["-m", "snakemake", "--snakefile", str(SNAKEFILE), "--list-rules"])
    stages: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, _one_thread():
        world = _Trial(run, folder)
        for stage, measure in world.parts():
            if _processor_seconds() - began > SECONDS:
                over = f"{SECONDS:.0f} s of processor time are over"
                say(f"calibration: {over}; {stage} and what follows keep the shipped costs")
                break
            say(f"calibration: {stage}")
            try:
                with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
                    found = measure()
            except FluxAtlasError as problem:
                hint = "plan without --calibrate: the shipped costs are used then"
                raise InputError(
                    f"the calibration failed at {stage}: {problem}", where="fluxatlas plan", hint=hint
                ) from problem
            if found:
                stages[stage] = found
    made = f"{datetime.now(UTC):%Y-%m-%d}"
    return Speed(round(start, 2), round(snakemake, 2), stages, f"{os.cpu_count()} cores, {_processor()}", made)


def _child(words: list[str]) -> float:
    """Processor seconds of a Python that is started with ``words``; the second of two, with files in the cache."""
    with tempfile.TemporaryDirectory() as folder:
        spent = []
        for _ in range(2):
            before = sum(os.times()[2:4])
            subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, check=False)
            spent.append(sum(os.times()[2:4]) - before)
    return spent[-1]


def _processor() -> str:
    found = Path("/proc/cpuinfo")
    rows = found.read_text(encoding="utf-8").splitlines() if found.exists() else []
    return next((row.split(":", 1)[1].strip() for row in rows if row.startswith("model name")), platform.processor())


@contextmanager
def _one_thread() -> Iterator[None]:
    """As jobs run: one thread of torch, and denormal numbers are zero."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(False)


def _processor_seconds() -> float:
    """Of this process and of those that it started."""
    return sum(os.times()[:4])


def _spent(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


class _Trial:
    """A tile-year of the synthetic Earth for the system and networks of ``run``, in ``folder``."""

    def __init__(self, run: Run, folder: str) -> None:
        self.folder, self.members = Path(folder), len(run.members)
        cost = costs.shipped()
        self.inferred, self.trained = network_costs(run)
        per_cell = DAYS * self.members * self.inferred * cost["infer"].seconds_per_unit
        cells = min(max(PART / per_cell, 96), 1500)
        edge = max(cells**0.5 * run.grid.resolution, 0.3)
        size = next((size for size in CORNERS if size >= edge), 5)
        per_series = DAYS * self.trained * cost["train"].seconds_per_unit
        batch = run.config.train.batch
        self.series = int(min(max(PART / per_series, 2 * batch), 400))
        self.affordable = self.series * per_series < 5 * PART and cells * per_cell < 5 * PART
        self.run = Run(parse(self._settings(run, size, min(edge, size))))
        self.config = self.run.config
        self.tile = self.run.tile(self.run.tiles[0])
        self.attributes = self.folder / f"{self.tile.name}.nc"
        self.samples = self.folder / "samples.nc"
        self.piece = self.folder / "forcing" / self.tile.name / "2001.nc"

    def _settings(self, run: Run, size: int, edge: float) -> dict[str, Any]:
        east, north = CORNERS[size]
        train, infer = (block.model_dump(mode="json") for block in (run.config.train, run.config.infer))
        synthesize = run.config.synthesize.model_dump(mode="json") | {"include_sites": 0, "years": 1, "site_days": DAYS}
        return {
            "run": {"name": "calibration", "results": str(self.folder)},
            "system": run.config.system,
            "grid": {"name": run.grid.name, "tile_size": size},
            "domain": {"west": east - edge, "east": east, "south": north - edge, "north": north},
            "period": {"start": 2001, "end": 2001, "spinup_years": 1},
            "forcing": {"source": "synthetic_earth", "halo": 2},
            "synthetic_earth": {"resolution": min(max(0.1, edge / 12), 1.0), "margin": 3},
            "synthesize": synthesize,
            "train": {name: train[name] for name in NETWORK} | {"members": self.members},
            "infer": {name: infer[name] for name in INFER},
        }

    def parts(self) -> list[tuple[str, Callable[[], float]]]:
        """What is measured, in order: stage, and what gives its seconds per unit, 0 where it is left out."""
        return [
            ("ingest", self.ingest),
            ("synthesize", self.synthesize),
            ("train", self.train),
            ("infer", self.infer),
        ]

    def ingest(self) -> float:
        """Core-seconds per source cell and year of hourly forcing."""
        from ..ingest.pieces import PieceOptions, write_pieces
        from ..ingest.source import open_source
        from ..regrid.attributes import write
        from ..testing.earth import SyntheticEarth
        from ..testing.era5_land import write_closing, write_orography, write_year
        from ..testing.rasters import write_static

        earth, box, raw = SyntheticEarth(self.config.synthetic_earth), self.config.domain.bbox, Path(self.run.raw)
        write_static(earth, box, raw / "static")
        write_orography(earth, box, raw / "era5_land")
        write_year(earth, box, 2001, raw / "era5_land")
        write_closing(earth, box, 2002, raw / "era5_land")
        write(self.run.static, self.tile, self.run.system, box, self.attributes)
        forcing = self.run.forcing
        relief = Path(forcing.elevation)
        own, beside = ([Path(p) for p in names(2001)] for names in (self.run.forcing_files, self.run.neighbour_files))
        options = PieceOptions(forcing.halo, forcing.fill_cells, forcing.compression, forcing.compression_level)

        def cut() -> None:
            source = open_source(forcing, own, beside, relief, [])
            write_pieces(
                source,
                2001,
                [self.tile],
                self.run.system.forcing,
                self.folder / "forcing",
                elevation=relief,
                elevation_variable=forcing.elevation_variable,
                options=options,
                attrs={},
                say=lambda text: None,
            )

        cut()  # what is compiled and read once
        return _spent(cut) / self._source_cells()

    def _source_cells(self) -> int:
        from ..files import open_netcdf

        with open_netcdf(self.piece) as piece:
            return int(piece.sizes["lat"] * piece.sizes["lon"])

    def synthesize(self) -> float:
        """Core-seconds per site-day of the process model."""
        from ..synthesize.generate import synthesize

        def make(series: int) -> None:
            synthesize(
                self.samples,
                grid=self.run.grid,
                tile_size=self.config.grid.tile_size,
                system=self.run.system,
                attributes=[self.attributes],
                forcing=[self.piece],
                settings=self.run.synthesize.model_copy(update={"site_days": series * DAYS}),
            )

        few = max(self.series // 20, 4)
        make(few)  # compiles, where this is the first time on a machine
        little, much = _spent(lambda: make(few)), _spent(lambda: make(self.series))
        return max(much - little, 0.0) / ((self.series - few) * DAYS)

    def train(self) -> float:
        """Core-seconds per site-day, epoch and member, of a GRU of 32 units; members of the network lie there then."""
        from ..train.data import read_samples
        from ..train.member import Member
        from ..train.pretrain import pretrain

        if not self.affordable:
            return 0.0
        data = read_samples(self.samples, self.run.system)

        def learn(epochs: int) -> Member:
            settings = self.config.train.model_copy(update={"pretrain_epochs": epochs})
            return pretrain(data, self.run.system, settings, 0, self.run.grid.name)[0]

        member = learn(1)  # compiles, too
        for number in range(self.members):
            member.meta["member"] = number
            member.save(self.folder / f"{number}.pt")
        once = _spent(lambda: learn(1))
        return max(_spent(lambda: learn(2)) - once, 0.0) / (self.series * DAYS * self.trained)

    def infer(self) -> float:
        """Core-seconds per land cell, day and member, of a GRU of 32 units, with all else that a tile-year needs."""
        from ..infer.tile import TileSummary, run_tile

        if not self.affordable:
            return 0.0
        reports: list[TileSummary] = []

        def year() -> None:
            reports.append(
                run_tile(
                    self.tile,
                    forcing=self.piece,
                    attributes=self.attributes,
                    members=[self.folder / f"{number}.pt" for number in range(self.members)],
                    output=self.folder / "2001.nc",
                    state_out=self.folder / "state.nc",
                    year=2001,
                    settings=self.config.infer,
                )
            )

        year()
        return _spent(year) / (reports[-1].cell_days * self.members * self.inferred)

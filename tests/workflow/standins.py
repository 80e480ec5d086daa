"""A finished run of stand-in files: everything that the workflow makes exists and is recorded, nothing is computed."""

import os
import re
from pathlib import Path
from typing import Any

import yaml

import forked

STATIC = ("orog", "sand", "clay", "soc", "bdod", "phh2o", "lai", "ndep")
SETTINGS: dict[str, Any] = {
    "run": {"name": "r"},
    "system": "soil_methane_sink",
    "grid": {"name": "4km", "tile_size": 1},
    "domain": {"west": -8, "south": 37, "east": -6, "north": 37.5},
    "period": {"start": 2002, "end": 2005, "spinup": "repeat", "spinup_years": 2},
    "forcing": {"source": "era5_land", "path": "era/{year}_{month}.nc", "elevation": "era/z.nc"},
    "static": {"layers": {name: {"path": f"{name}.tif"} for name in STATIC}, "landcover": {"path": "cover.tif"}},
    "sites": {"entries": [{"source": "chambers", "path": ["c.csv"]}]},
    "train": {"members": 2, "baselines": []},
    "products": {"variables": ["fch4", "tsl05"], "monthly": False},
}
"""Two tiles and four years of a real archive."""


def jobs_by_rule(said: str) -> dict[str, int]:
    """The table at the head of a dry run, without the rule ``all``."""
    if "Nothing to be done" in said:
        return {}
    table = said[said.index("Job stats:") :].split("\n\n")[0]
    jobs = {rule: int(count) for rule, count in re.findall(r"^(\w+)\s+(\d+)$", table, re.M)}
    return {rule: count for rule, count in jobs.items() if rule not in ("all", "total")}


class StandIns:
    """A folder with raw files of ``years`` and the configuration of a run, and Snakemake on it."""

    def __init__(self, folder: Path, years: range = range(2001, 2008), **blocks: dict[str, Any]) -> None:
        self.folder = folder
        names = [f"era/{year}_{month:02d}.nc" for year in years for month in range(1, 13)]
        for name in (*names, "era/z.nc", *(f"{layer}.tif" for layer in STATIC), "cover.tif", "c.csv"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(os.urandom(64))
        self.configure(**blocks)

    def configure(self, **blocks: dict[str, Any]) -> Path:
        """Write the configuration: ``SETTINGS`` with ``blocks`` on top."""
        settings = {name: dict(block) if isinstance(block, dict) else block for name, block in SETTINGS.items()}
        for name, block in blocks.items():
            settings[name] = {**settings.get(name, {}), **block}
        path = self.folder / "c.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    def snakemake(self, *options: str, env: dict[str, str] | None = None) -> str:
        """What Snakemake says; it has to succeed."""
        place = ("--directory", str(self.folder), "--configfile", str(self.folder / "c.yaml"))
        done = forked.snakemake("--cores", "1", *place, *options, env=env)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    def finish(self) -> None:
        """Make every file of the run and record it as made by the workflow as it is."""
        made = re.findall(r"^    output: (.*)$", self.snakemake("-n"), re.M)
        for name in ", ".join(made).split(", "):
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_bytes(os.urandom(16))
        said = self.snakemake("--touch", "--forceall")
        assert "Worth opening" not in said, "nothing was made"

    def planned(self, *options: str, env: dict[str, str] | None = None) -> dict[str, int]:
        """Jobs by rule of a dry run, without the rule ``all``."""
        return jobs_by_rule(self.snakemake("-n", *options, env=env))

    def path(self, name: str) -> Path:
        """A result."""
        return self.folder / "results" / "r" / name

"""Where things lie: the one home of every path of a run and of the repository's resources."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RESOURCES = REPOSITORY / "resources"


class RunPaths:
    """Paths of one run as strings with Snakemake wildcards where a stage makes many files.

    The first folder below the run is the stage that wrote the file.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def __call__(self, *parts: str) -> str:
        return str(self.root.joinpath(*parts))

    def forcing(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("ingest", "forcing", tile, f"{year}.nc")

    def regions(self, tile: str = "{tile}") -> str:
        return self("regrid", "regions", f"{tile}.nc")

    def constraint(self, name: str = "{name}") -> str:
        return self("ingest", "constraints", f"{name}.nc")

    def attributes(self, tile: str = "{tile}") -> str:
        return self("regrid", "attributes", f"{tile}.nc")

    def member(self, member: int | str = "{member}") -> str:
        return self("train", "members", f"{member}.pt")

    def flux(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("infer", tile, f"{year}.nc")

    def state(self, tile: str = "{tile}", year: int | str = "{year}") -> str:
        return self("infer", tile, f"{year}_state.nc")

    def daily(self, variable: str = "{variable}", year: int | str = "{year}") -> str:
        return self("products", "daily", f"{variable}_{year}.nc")

    def log(self, *parts: str) -> str:
        return self("logs", *parts) + ".log"

    def benchmark(self, *parts: str) -> str:
        return self("benchmarks", *parts) + ".tsv"

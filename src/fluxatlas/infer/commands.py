"""``fluxatlas infer``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

app = typer.Typer(no_args_is_help=True, help="Apply the trained members to every land cell, tile by tile.")

Settings = Annotated[str, typer.Option(help="The block 'infer' as JSON.")]
GridName = Annotated[str, typer.Option("--grid", help="Target grid, such as 4km.")]
TileSize = Annotated[int, typer.Option(help="Edge of the tiles in degrees.")]
TileName = Annotated[str, typer.Option("--tile", help="Tile, such as N38W124.")]
Forcing = Annotated[list[Path], typer.Option("--forcing", help="Forcing piece of a year; repeat in order.")]
Attributes = Annotated[Path, typer.Option(help="Attributes of the tile.")]
Members = Annotated[list[Path], typer.Option("--member", help="Member file; repeat.")]
Workers = Annotated[Optional[int], typer.Option(help="Cores of this job.")]  # noqa: UP045 (typer reads it)
Memory = Annotated[Optional[int], typer.Option("--memory-mb", help="Memory this job may use.")]  # noqa: UP045
SeriesFiles = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Series of the atmosphere, gas=FILE; repeat. Otherwise the tables of fluxatlas."),
]
StudentFile = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--student", help="Student of the members, to run in their place if it was accepted."),
]
StateOut = Annotated[Path, typer.Option(help="File for the state at the end.")]


@app.command("tile")
def tile_command(
    tile: TileName,
    year: Annotated[int, typer.Option(help="Year of the forcing piece.")],
    forcing: Annotated[Path, typer.Option(help="Forcing piece of the year.")],
    attributes: Attributes,
    member: Members,
    output: Annotated[Path, typer.Option(help="File for the fluxes.")],
    state_out: StateOut,
    state_in: Annotated[Optional[Path], typer.Option(help="State to start from; none: the initial one.")] = None,  # noqa: UP045
    settings: Settings = "{}",
    grid: GridName = "4km",
    tile_size: TileSize = 10,
    workers: Workers = None,
    memory_mb: Memory = None,
    series: SeriesFiles = None,
    student: StudentFile = None,
) -> None:
    """Run one tile-year: fluxes and the state of its last day."""
    from ..grid import get_grid
    from .tile import run_tile

    report = run_tile(
        get_grid(grid).tile(tile, tile_size),
        forcing=forcing,
        attributes=attributes,
        members=member,
        output=output,
        state_out=state_out,
        state_in=state_in,
        year=year,
        settings=_settings(settings, workers, memory_mb),
        series=series or (),
        student=student,
    )
    _tell(report)


@app.command()
def spinup(
    tile: TileName,
    forcing: Forcing,
    attributes: Attributes,
    member: Members,
    state_out: StateOut,
    repeat: Annotated[int, typer.Option(min=1, help="Times to run through the years.")] = 1,
    before: Annotated[int, typer.Option(help="Year that follows: repeated years stand for those before it.")] = 0,
    settings: Settings = "{}",
    grid: GridName = "4km",
    tile_size: TileSize = 10,
    workers: Workers = None,
    memory_mb: Memory = None,
    series: SeriesFiles = None,
    student: StudentFile = None,
) -> None:
    """Run the years given, in order, and write only the state at the end."""
    from ..grid import get_grid
    from .tile import spin_up

    report = spin_up(
        get_grid(grid).tile(tile, tile_size),
        forcing=forcing,
        attributes=attributes,
        members=member,
        state_out=state_out,
        repeat=repeat,
        before=before,
        settings=_settings(settings, workers, memory_mb),
        series=series or (),
        student=student,
    )
    _tell(report)


def _settings(text: str, workers: int | None = None, memory_mb: int | None = None) -> Any:
    """The block from JSON with the options of the command line on top."""
    from ..config.infer import InferBlock
    from ..config.settings import read_settings

    given = {"workers": workers, "memory_mb": memory_mb}
    return read_settings(InferBlock, text, **{k: v for k, v in given.items() if v is not None})


def _tell(report: Any) -> None:
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items())
    print(f"{report.cells} cells, {report.cell_days:,} cell-days, {report.members} members: {parts}", file=sys.stderr)


@app.command("student")
def student_command(
    member: Members,
    samples: Annotated[Path, typer.Option(help="Synthetic samples: weather and soils to learn on.")],
    output: Annotated[Path, typer.Option(help="File for the student.")],
    errors: Annotated[Path, typer.Option(help="CSV file for its errors at the places held out.")],
    settings: Settings = "{}",
    checkpoint: Annotated[Optional[Path], typer.Option(help="Where to go on from after an interruption.")] = None,  # noqa: UP045
) -> None:
    """Distil one network that stands in for all members, and try it at places it never saw."""
    from .student import make_student

    make_student(member, samples, output, errors, _settings(settings), checkpoint)


@app.command()
def history(
    input: Annotated[list[Path], typer.Option(help="A file that later years depend on; repeat.")],
    output: Annotated[Path, typer.Option(help="JSON file to write.")],
) -> None:
    """Note what the tile-years after this depend on besides their own inputs, so that they become stale with it."""
    from ..freshness import write_history

    write_history(output, input)


@app.command()
def cluster(
    system: Annotated[str, typer.Option(help="Batch system: slurm or pbs.")] = "slurm",
    jobs: Annotated[int, typer.Option(min=1, help="Jobs of workers.")] = 1,
    cores: Annotated[int, typer.Option(min=1, help="Cores of a job, a worker on each.")] = 1,
    memory: Annotated[str, typer.Option(help="Memory of a job, for all its workers.")] = "2GB",
    walltime: Annotated[str, typer.Option(help="Time limit of a job.")] = "04:00:00",
    interface: Annotated[Optional[str], typer.Option(help="Network interface of the nodes, such as ib0.")] = None,  # noqa: UP045
    queue: Annotated[Optional[str], typer.Option(help="Queue or partition.")] = None,  # noqa: UP045
    account: Annotated[Optional[str], typer.Option(help="Account to charge.")] = None,  # noqa: UP045
    script: Annotated[bool, typer.Option("--script", help="Show the script of a job and end.")] = False,
) -> None:
    """Start a Dask cluster of batch jobs, say its address for infer.dask_address, and stay until Ctrl-C."""
    from .jobqueue import make_cluster, serve, until_interrupted

    named = {"interface": interface, "queue": queue, "account": account}
    options = {name: value for name, value in named.items() if value is not None}
    made = make_cluster(system, cores=cores, memory=memory, walltime=walltime, options=options)
    if script:
        with made:
            print(made.job_script())
        return
    serve(made, jobs, lambda text: print(text, flush=True), until_interrupted)

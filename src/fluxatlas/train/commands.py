"""``fluxatlas train``: the commands of this stage; each imports what it needs when it runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..config.train import TrainBlock
    from ..gases import AnnualSeries
    from ..systems import System
    from .regional import RegionalData
    from .sites import SiteData

app = typer.Typer(no_args_is_help=True, help="Train the ensemble: pretrain, fine-tune, and what to compare it with.")

Settings = Annotated[str, typer.Option(help="The block 'train' of the configuration as JSON.")]
Number = Annotated[int, typer.Option(help="Number of the member, from 0.", min=0)]
Samples = Annotated[Path, typer.Option(help="Synthetic samples (NetCDF).")]
Attributes = Annotated[Path, typer.Option(help="Attributes of the sites (CSV).")]
Forcing = Annotated[Path, typer.Option(help="Forcing of the sites (Parquet).")]
Observations = Annotated[Path, typer.Option(help="Observations of the sites (Parquet).")]
Periods = Annotated[Path | None, typer.Option(help="Means of fluxes over months and the like (Parquet).")]
Output = Annotated[Path, typer.Option(help="File to write.")]
History = Annotated[Path, typer.Option(help="Table of the epochs to write (CSV).")]
Checkpoint = Annotated[Path | None, typer.Option(help="Resume point; continued from where it exists.")]
Gap = Annotated[
    int, typer.Option("--completion-gap-days", min=0, help="Longest gap of measured soil data to interpolate.")
]
SeriesFiles = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(help="Series of the atmosphere, gas=FILE; repeat. Otherwise the tables of fluxatlas."),
]
Threads = Annotated[int, typer.Option(help="Threads to use.", min=1)]
SystemName = Annotated[str, typer.Option("--system", help="Name of the system.")]
RegionalTarget = Annotated[Path | None, typer.Option(help="What sums of regions are held to (NetCDF).")]
RegionalPoints = Annotated[Path | None, typer.Option(help="Points that stand for regions (NetCDF).")]
RegionalSettings = Annotated[str, typer.Option(help="The block 'regional' of the configuration as JSON.")]
Trained = Annotated[
    Path | None, typer.Option(help="What the last of phases in jobs of their own left; nothing is trained then.")
]
Histories = Annotated[
    Optional[list[Path]],  # noqa: UP045
    typer.Option(help="Table of the epochs of such a phase; repeat for all."),
]
GridName = Annotated[str, typer.Option("--grid", help="Name of the grid the member is for.")]


@app.callback()
def tidy(context: typer.Context) -> None:
    """For groups whose commands call :func:`begin`: what it set for this thread is undone when the command ends."""
    context.call_on_close(_keep_denormals)


def _keep_denormals() -> None:
    """Undo what :func:`begin` set for this thread: whoever calls a command in a process of its own goes on with it."""
    if torch := sys.modules.get("torch"):
        torch.set_flush_denormal(False)


def begin(settings: str, threads: int) -> TrainBlock:
    """Parse the settings, limit the threads and flush denormal numbers until the command ends."""
    import torch

    from ..config.settings import read_settings
    from ..config.train import TrainBlock

    block = read_settings(TrainBlock, settings)

    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    return block


def _meta(block: TrainBlock, **inputs: Path) -> dict[str, object]:
    """Provenance kept in a member: version, settings and hashes of the inputs."""
    from .. import __version__
    from ..files import file_hash

    hashes = {name: file_hash(path) for name, path in inputs.items()}
    return {"version": __version__, "settings": block.model_dump(mode="json"), "inputs": hashes}


def _regional(target: Path | None, points: Path | None, system: System, block: TrainBlock) -> RegionalData | None:
    """The region-months that training is held to; None where no file is given."""
    from ..errors import ConfigError

    if target is None and points is None:
        return None
    if target is None or points is None:
        hint = "make both: `train regional-target`, `train regional-points`"
        raise ConfigError("--regional-target and --regional-points belong together", hint=hint)
    from .regional.prepare import read_regional

    return read_regional(target, points, system, block)


def _sites(
    tables: tuple[Path, Path, Path],
    periods: Path | None,
    system: System,
    block: TrainBlock,
    series: Mapping[str, AnnualSeries],
    gap: int,
) -> SiteData:
    """Sites of the ``tables`` of attributes, forcing and observations, with means over ``periods``."""
    from .site_periods import refuse_long
    from .sites import handed, read_sites

    found = read_sites(*tables, system, block.block_distance_km, series, gap, periods=periods)
    refuse_long(found.sets, block.sequence_days)
    return handed(found, block.measured_inputs, system)


def _done(path: Path, started: float) -> None:
    print(f"wrote {path} after {time.monotonic() - started:.1f} s", file=sys.stderr)


@app.command()
def pretrain(
    samples: Samples,
    output: Output,
    history: History,
    system: SystemName,
    emulation: Annotated[Path | None, typer.Option(help="Scores at samples held out to write (CSV).")] = None,
    member: Number = 0,
    settings: Settings = "{}",
    grid: GridName = "4km",
    checkpoint: Checkpoint = None,
    threads: Threads = 1,
) -> None:
    """Pretrain one member on synthetic samples of the process model."""
    block, started = begin(settings, threads), time.monotonic()
    from ..files import write_text
    from ..grid import get_grid
    from ..systems import get_system
    from .data import read_samples
    from .emulation import emulation_table
    from .pretrain import pretrain as run
    from .pretrain import split_samples

    declared = get_system(system)
    data = read_samples(samples, declared)
    trained, table = run(
        data,
        declared,
        block,
        member,
        get_grid(grid).name,
        checkpoint,
        _meta(block, samples=samples),
    )
    write_text(history, table.to_csv(index=False))
    if emulation:
        held_out = split_samples(data, block, block.seed + member)[1]
        scores = emulation_table(trained.network, held_out, declared, block.measured_inputs)
        print(scores.to_string(index=False, float_format="{:.3g}".format), file=sys.stderr, flush=True)
        write_text(emulation, scores.to_csv(index=False, float_format="%.6g"))
    trained.save(output)
    _done(output, started)


@app.command()
def finetune(
    pretrained: Annotated[Path, typer.Option(help="The pretrained member.")],
    samples: Samples,
    sites_attributes: Attributes,
    sites_forcing: Forcing,
    observations: Observations,
    output: Output,
    predictions: Annotated[Path, typer.Option(help="Predictions at all sites to write (Parquet).")],
    intervals: Annotated[Path, typer.Option(help="Intervals of the sites' means to write (CSV).")],
    parameters: Annotated[Path, typer.Option(help="Parameters before and after calibration to write (CSV).")],
    history: History,
    member: Number = 0,
    settings: Settings = "{}",
    checkpoint: Checkpoint = None,
    series: SeriesFiles = None,
    gap: Gap = 7,
    periods: Periods = None,
    regional_target: RegionalTarget = None,
    regional_points: RegionalPoints = None,
    trained: Trained = None,
    trained_history: Histories = None,
    threads: Threads = 1,
) -> None:
    """Adapt a pretrained member to the sites, and predict those of its fold with what the others teach."""
    block, started = begin(settings, threads), time.monotonic()
    import pandas as pd

    from ..files import read_table, write_text
    from ..ingest.atmosphere import series_of
    from .adapt import adapt
    from .data import read_samples
    from .member import Member
    from .predict import write_table

    first = Member.load(pretrained)
    regional = _regional(regional_target, regional_points, first.system, block)
    known = series_of(first.system.slow, series or ())
    sites = _sites((sites_attributes, sites_forcing, observations), periods, first.system, block, known, gap)
    meta = _meta(
        block,
        samples=samples,
        sites_attributes=sites_attributes,
        sites_forcing=sites_forcing,
        observations=observations,
        **({"periods": periods} if periods else {}),
        **{gas: Path(given.source) for gas, given in known.items() if not given.carried},
        **({"regional_target": regional_target} if regional_target else {}),
        **({"regional_points": regional_points} if regional_points else {}),
    )
    data = read_samples(samples, first.system)
    last = Member.load(trained).network if trained else None
    found = adapt(first, data, sites, block, member, checkpoint, meta, regional=regional, trained=last)
    epochs = pd.concat([read_table(path) for path in trained_history]) if trained_history else found.history
    write_text(history, epochs.to_csv(index=False))
    write_text(intervals, found.intervals.to_csv(index=False, float_format="%.6g"))
    write_text(parameters, found.parameters.to_csv(index=False, float_format="%.6g"))
    write_table([found.predictions], predictions)
    found.member.save(output)
    _done(output, started)


@app.command()
def phase(
    number: Annotated[int, typer.Option("--phase", help="Number of the phase, from 1.", min=1)],
    before: Annotated[Path, typer.Option(help="What the phase before left; of the first the pretrained member.")],
    pretrained: Annotated[Path, typer.Option(help="The pretrained member.")],
    samples: Samples,
    sites_attributes: Attributes,
    sites_forcing: Forcing,
    observations: Observations,
    output: Output,
    history: History,
    member: Number = 0,
    settings: Settings = "{}",
    checkpoint: Checkpoint = None,
    series: SeriesFiles = None,
    gap: Gap = 7,
    periods: Periods = None,
    threads: Threads = 1,
) -> None:
    """One phase of the strategy alone (train.ladder: weights), with every term of its loss by epoch."""
    block, started = begin(settings, threads), time.monotonic()
    from ..files import write_text
    from ..ingest.atmosphere import series_of
    from .adapt import train_phase
    from .data import read_samples
    from .member import Member

    first = Member.load(pretrained)
    known = series_of(first.system.slow, series or ())
    sites = _sites((sites_attributes, sites_forcing, observations), periods, first.system, block, known, gap)
    meta = _meta(block, samples=samples, observations=observations, before=before)
    data = read_samples(samples, first.system)
    made, table = train_phase(
        Member.load(before), first, data, sites, block, member, number - 1, checkpoint, meta
    )  # fmt: skip
    write_text(history, table.to_csv(index=False))
    made.save(output)
    _done(output, started)


@app.command()
def baselines(
    samples: Samples,
    sites_attributes: Attributes,
    sites_forcing: Forcing,
    observations: Observations,
    output: Output,
    system: SystemName,
    settings: Settings = "{}",
    grid: GridName = "4km",
    only: Annotated[str, typer.Option(help="One baseline instead of those of the settings.")] = "",
    series: SeriesFiles = None,
    gap: Gap = 7,
    periods: Periods = None,
    regional_target: RegionalTarget = None,
    regional_points: RegionalPoints = None,
    threads: Threads = 1,
) -> None:
    """Predict all sites with what the ensemble is compared with, on the same folds."""
    block, started = begin(settings, threads), time.monotonic()
    if only:
        block = type(block).model_validate({**block.model_dump(), "baselines": [only]})
    from ..ingest.atmosphere import series_of
    from ..systems import get_system
    from .baselines import run_baselines
    from .data import read_samples
    from .predict import write_table

    declared = get_system(system)
    regional = _regional(regional_target, regional_points, declared, block)
    known = series_of(declared.slow, series or ())
    sites = _sites((sites_attributes, sites_forcing, observations), periods, declared, block, known, gap)
    tables = run_baselines(read_samples(samples, declared), sites, declared, block, grid, regional)
    write_table(tables, output)
    _done(output, started)


@app.command()
def regional_target(
    regions: Annotated[str, typer.Option(help="The map of regions, an entry of 'regions.maps', as JSON.")],
    constraint: Annotated[Path, typer.Option(help="The inversions, ingest/constraints/<name>.nc.")],
    output: Output,
    settings: RegionalSettings = "{}",
    correction: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A flux that separates them from the preset, name=FILE (such a file, or CSV); repeat."),
    ] = None,
    years: Annotated[tuple[int, int] | None, typer.Option(help="First and last year to compare.")] = None,
    bbox: Annotated[
        tuple[float, float, float, float] | None, typer.Option(help="Domain: west south east north in degrees.")
    ] = None,
) -> None:
    """Bring inversions to sums of regions and months that training can be held to."""
    from ..config.regional import RegionalBlock
    from ..config.regions import RegionMap
    from ..config.settings import read_settings
    from .regional.build import GLOBE, build_target

    block, source = read_settings(RegionalBlock, settings), read_settings(RegionMap, regions)
    given = dict(one.partition("=")[::2] for one in correction or ())
    build_target(output, block, source, constraint, given, years=years, bbox=bbox or GLOBE)


@app.command()
def regional_points(
    attributes: Annotated[list[Path], typer.Option(help="Attributes of a tile, <tile>.nc; repeat.")],
    forcing: Annotated[list[Path], typer.Option(help="Forcing piece, <tile>/<year>.nc; repeat.")],
    regions: Annotated[list[Path], typer.Option(help="Regions of a tile, <tile>.nc; repeat.")],
    output: Output,
    system: SystemName,
    settings: RegionalSettings = "{}",
    grid: GridName = "4km",
    tile_size: Annotated[int, typer.Option(help="Edge of the tiles in degrees.")] = 10,
    series: SeriesFiles = None,
) -> None:
    """Choose points that stand for regions and bring the drivers of the network there."""
    from ..config.regional import RegionalBlock
    from ..config.settings import read_settings
    from ..grid import get_grid
    from ..systems import get_system
    from .regional.prepare import prepare_points

    prepare_points(
        output,
        read_settings(RegionalBlock, settings),
        system=get_system(system),
        grid=get_grid(grid),
        tile_size=tile_size,
        attributes=attributes,
        forcing=forcing,
        regions=regions,
        series=series or (),
    )


@app.command()
def ensemble(
    member: Annotated[list[Path], typer.Option(help="Member file; repeat.")],
    output: Output,
) -> None:
    """List the members that belong together, after checking that they fit."""
    from .ensemble import write_ensemble

    write_ensemble(member, output)

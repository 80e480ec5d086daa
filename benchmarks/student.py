"""A student in place of an ensemble: how fast and how close.

    python benchmarks/student.py [--write] [--steps 4000]

Speed: a tile-year from files to files (mean, interval, applicability, restart file) with five members of 64 hidden
units in torch, the same in the fused engine, and their student in the fused engine, in one process and one thread, in
turn; processor time, best of the rounds. Weights are random, on which speed does not depend.

Closeness: members pretrained on a small made-up world (tests/train_toy.py), bound to different parameters each, and a
student of them that learns for so many steps; its errors at places that it never saw, beside those of the first member
alone. With ``--write`` the result goes to benchmarks/results/student.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from machine import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import infer_world as world
from fluxatlas import files
from fluxatlas.config.infer import InferBlock
from fluxatlas.config.train import TrainBlock
from fluxatlas.grid import get_grid
from fluxatlas.infer import distil
from fluxatlas.infer.engine import make_engine
from fluxatlas.infer.tile import run_tile
from fluxatlas.loading import load_object
from fluxatlas.theta import draw
from fluxatlas.train.member import Member
from fluxatlas.train.pretrain import pretrain
from train_toy import SYSTEM, samples

RESULT = Path(__file__).parent / "results" / "student.md"
HIDDEN, MEMBERS = 64, 5
TILE = ("N36W124", 2)
FLOOR = 4.5
"""Ratio of today's torch to the student below which the benchmark fails; the machine may be shared."""


def untaught_student(path: Path, members: list[Path]) -> Path:
    """A student of ``members`` that has learned nothing, marked as if it had been accepted: its speed is the same."""
    row = {"variable": SYSTEM.flux, "what": "mean", "ratio_95": 0.0}
    meta = {"members": [files.file_hash(one) for one in members], "accepted": True, "errors": [row], "places": 0}
    Member(distil.untaught([Member.load(one) for one in members], 1), "4km", None, meta).save(path)
    return path


def tile_years(folder: Path, rounds: int) -> tuple[dict[str, float], int]:
    """Processor seconds of a tile-year by who runs it, and its cell-days."""
    tile = get_grid("4km").tile(*TILE)
    attributes = world.write_attributes(folder / "attributes.nc", tile)
    forcing = world.write_piece(folder / "forcing.nc", tile, 2001)
    paths = [world.write_member(folder / f"{seed}.pt", seed, HIDDEN) for seed in range(MEMBERS)]
    student = untaught_student(folder / "student.pt", paths)
    kinds = {
        "ensemble, torch": ("torch", None),
        "ensemble, fused": ("fused", None),
        "student, fused": ("fused", student),
    }
    best, cell_days = dict.fromkeys(kinds, float("inf")), 0
    for _ in range(rounds):
        for kind, (engine, given) in kinds.items():
            begin = time.process_time()
            report = run_tile(
                tile,
                forcing=forcing,
                attributes=attributes,
                members=paths,
                output=folder / "out.nc",
                state_out=folder / "state.nc",
                settings=InferBlock(engine=engine),
                student=given,
            )
            best[kind], cell_days = min(best[kind], time.process_time() - begin), report.cell_days
            print(f"{kind}: {time.process_time() - begin:.2f} s, {report.seconds}", file=sys.stderr)
    return best, cell_days


def trained(number: int, series: int, epochs: int) -> Member:
    """A member pretrained on the made-up world and bound to parameters of its own, a third of the way from the defaults
    to a draw from the prior."""
    settings = TrainBlock(hidden=HIDDEN, pretrain_epochs=epochs, seed=7 * number)
    member, _ = pretrain(samples(series, 365), SYSTEM, settings, number, "4km")
    priors, usual = load_object(SYSTEM.priors)(), member.network.theta
    drawn = draw(priors, {}, 1, np.random.default_rng(50 + number)).all()
    theta = {
        name: usual[name] * (float(value[0]) / usual[name]) ** 0.3
        for name, value in drawn.items()
        if name in SYSTEM.told and usual[name] > 0 and value[0] > 0
    }
    member.network = member.network.bind(theta)
    return member


def closeness(series: int, epochs: int, steps: int) -> tuple[pd.DataFrame, pd.DataFrame, float, float]:
    """Errors of an untaught and of a taught student, and processor seconds of preparing and of learning."""
    members = [trained(number, series, epochs) for number in range(MEMBERS)]
    begin = time.process_time()
    lesson = distil.prepare(members, samples(series, 365), seed=1)
    prepared = time.process_time() - begin
    student = distil.untaught(members, 1)
    before = distil.judge(make_engine("torch", Member(student, "4km")), members, lesson)
    begin = time.process_time()
    distil.teach(student, lesson, steps, 1)
    taught = time.process_time() - begin
    return before, distil.judge(make_engine("fused", Member(student, "4km")), members, lesson), prepared, taught


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--series", type=int, default=240)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        best, cell_days = tile_years(Path(name), options.rounds)
    torch_seconds = best["ensemble, torch"]
    lines = [
        "# A student in place of an ensemble",
        "",
        *describe("benchmarks/student.py"),
        "",
        f"## A tile-year from files to files, {MEMBERS} members, {HIDDEN} hidden units, {cell_days:,} cell-days",
        "",
        "| who runs | processor seconds | times as fast as torch |",
        "|---|---|---|",
        *(f"| {kind} | {seconds:.1f} | {torch_seconds / seconds:.1f} |" for kind, seconds in best.items()),
    ]
    if options.steps:
        before, after, prepared, taught = closeness(options.series, options.epochs, options.steps)
        lines += [
            "",
            f"## Errors at {after['places'].iloc[0]} of {options.series} places, held out by block, per width of the "
            "90 % interval",
            "",
            f"{options.steps} steps took {taught:.0f} processor seconds ({taught / options.steps:.2f} each), what the "
            f"members give {prepared:.0f}. Accepted: {'yes' if distil.is_accepted(after) else 'no'} "
            f"(95 % of the places within {distil.LIMIT:g}).",
            "",
            "| variable | what | all places | 95 % of the places within | first member alone: all | 95 % |",
            "|---|---|---|---|---|---|",
            *(
                f"| {new.variable} | {new.what} | {new.ratio:.3f} | {new.ratio_95:.3f} | {old.ratio:.3f} |"
                f" {old.ratio_95:.3f} |"
                for old, new in zip(before.itertuples(), after.itertuples(), strict=True)
            ),
        ]
    text = "\n".join(lines)
    print(text)
    if options.write:
        RESULT.write_text(text + "\n", encoding="utf-8")
    assert torch_seconds / best["student, fused"] >= FLOOR, best


if __name__ == "__main__":
    main()

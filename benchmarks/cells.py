"""What a day of a grid cell costs in each sequence cell, beside torch's own nn.GRU in the same run.

    python benchmarks/cells.py [--hidden 32] [--window 365] [--repeats 5] [--write]

*Inference*: 384 cells over 73 days that carry on from a full state, as ``infer`` runs them. *Training*: forward and
backward over 32 sequences of 425 days from no state, as ``train`` runs them. One thread, processor time, medians of
repeats in turn. Also bytes of state per grid cell, which a restart file holds for each sub-module and member, and the
number of weights. Fails if the cells ``gru`` and ``lstm`` cost more than nn.GRU and nn.LSTM by what repeats differ by.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch import nn

from fluxatlas.train.networks.cells import CELLS, make_cell
from fluxatlas.train.networks.sequence import SequenceCell, Sizes

ROOT = Path(__file__).resolve().parents[1]
RESULT = Path(__file__).parent / "results" / "cells.md"
FEATURES, STATICS = 15, 7
MOST = 1.25


def spent(call: Callable[[], object]) -> float:
    begin = time.process_time()
    call()
    return time.process_time() - begin


def inference(network: nn.Module, x: torch.Tensor, state: torch.Tensor | None) -> float:
    """Microseconds of processor time per day of a cell."""
    with torch.inference_mode():
        return 1e6 * spent(lambda: network(x, state)) / (x.shape[0] * x.shape[1])


def training(network: nn.Module, x: torch.Tensor) -> float:
    """Microseconds of processor time per day of a cell, forward and backward."""
    network.zero_grad()
    return 1e6 * spent(lambda: network(x)[0].square().mean().backward()) / (x.shape[0] * x.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--window", type=int, default=365)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    sizes = Sizes(FEATURES - STATICS, STATICS, options.hidden, window=options.window)
    networks: dict[str, nn.Module] = {
        "nn.GRU": nn.GRU(FEATURES, options.hidden),
        "nn.LSTM": nn.LSTM(FEATURES, options.hidden),
        **{name: make_cell(name, sizes) for name in CELLS},
    }
    block, batch = torch.randn(73, 384, FEATURES), torch.randn(425, 32, FEATURES)
    states: dict[str, torch.Tensor | None] = {"nn.GRU": None, "nn.LSTM": None}
    with torch.inference_mode():
        states |= {name: networks[name](torch.randn(options.window, 384, FEATURES))[1] for name in CELLS}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
    for number in range(options.repeats + 1):
        for name, network in networks.items():
            found = inference(network.eval(), block, states[name]), training(network.train(), batch)
            if number:  # the first warms up
                times[name].append(found)
    costs = {name: [median(pair[k] for pair in found) for k in (0, 1)] for name, found in times.items()}
    text = table(options, networks, costs)
    print(text)
    if options.write:
        RESULT.write_text(text + "\n", encoding="utf-8")
    for own, torchs in (("gru", "nn.GRU"), ("lstm", "nn.LSTM")):
        assert all(costs[own][k] <= MOST * costs[torchs][k] for k in (0, 1)), f"{own} costs more than {torchs}"


def table(options: argparse.Namespace, networks: dict[str, nn.Module], costs: dict[str, list[float]]) -> str:
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=7"], capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = []
    for name, network in networks.items():
        shape = network.state_shape if isinstance(network, SequenceCell) else None
        memory = "-" if shape is None else "unbounded" if network.memory is None else f"{network.memory}"
        (infer, train), (one, other) = costs[name], costs["nn.GRU"]
        rows.append(
            f"| `{name}` | {infer:.2f} | {infer / one:.1f} | {train:.2f} | {train / other:.1f} | {memory} |"
            f" {'-' if shape is None else f'{4 * shape[0] * shape[1]:,}'} |"
            f" {sum(weight.numel() for weight in network.parameters()):,} |"
        )
    return "\n".join(
        [
            "# Cost of the sequence cells",
            "",
            f"This tree ({commit}); microseconds of one core per day of a grid cell, {options.hidden} units, one",
            f"layer, {FEATURES} features ({STATICS} of them statics), windows of {options.window} days; medians of",
            f"{options.repeats} in turn. torch {torch.__version__}, Python {platform.python_version()}; the machine",
            "was shared. Made by `python benchmarks/cells.py --write`.",
            "",
            "| cell | inference | of nn.GRU | training | of nn.GRU | memory [d] | state [B] | weights |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()

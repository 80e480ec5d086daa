"""Speed of a step of pretraining: the compiled GRU beside torch's, from the same weights on the same batches.

    python benchmarks/train.py [--write]

One step is what the trainer does: make the batch, run the network that is told its parameters, all loss terms, probes
of knowledge, gradients, optimiser. Both networks in one process and one thread, in turn; processor time, best of the
steps. The loss after equal steps must be equal. Samples are the made-up world of the tests (tests/train_toy.py). With
``--write`` the result goes to benchmarks/results/train.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from fluxatlas.config.train import TrainBlock
from fluxatlas.train.knowledge import Knowledge
from fluxatlas.train.losses import Objective
from fluxatlas.train.networks import gru, stepwise
from fluxatlas.train.pretrain import new_network, single
from train_toy import SYSTEM, samples

RESULT = Path(__file__).parent / "results" / "train.md"
KINDS = ("torch", "compiled")
FEATURES = 13
FLOOR = {32: 1.6, 64: 1.5}
"""Ratios of a whole step below which the benchmark fails; the machine may be shared."""


def use(kind: str) -> None:
    """Let GRUs learn by the kernel or by torch."""
    stepwise.available = gru.available if kind == "compiled" else lambda: False


def steps(hidden: int, count: int) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of processor time per step and the loss after ``count`` steps, by kind."""
    settings = TrainBlock(hidden=hidden)
    data = samples(64, 500)
    networks = {kind: new_network(SYSTEM, settings, data, 1).train() for kind in KINDS}
    optimizers = {kind: torch.optim.AdamW(network.parameters(), lr=2e-3) for kind, network in networks.items()}
    objective = Objective(SYSTEM, "pretrain", Knowledge.of(SYSTEM, "pretrain", settings.knowledge, settings.head))
    epochs = (single(objective, data, settings, "cpu")(np.random.default_rng(epoch)) for epoch in range(count))
    batches = [make for epoch in epochs for make in epoch][:count]
    best, loss = dict.fromkeys(KINDS, float("inf")), dict.fromkeys(KINDS, float("nan"))
    for make in batches:
        for kind, network in networks.items():
            use(kind)
            begin = time.process_time()
            optimizers[kind].zero_grad(set_to_none=True)
            ((_, _, batch),) = make()
            total = objective.total(objective.terms(network, batch))
            total.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            optimizers[kind].step()
            best[kind] = min(best[kind], 1e3 * (time.process_time() - begin))
            loss[kind] = float(total.detach())
    return best, loss


def layer(hidden: int, count: int) -> dict[str, float]:
    """Milliseconds of processor time of one recurrent layer forward and backward, 32 sequences of 425 days."""
    torch.manual_seed(1)
    cell = stepwise.Gru(stepwise.Sizes(FEATURES, 0, hidden)).train()
    x = torch.randn(425, 32, FEATURES, requires_grad=True)
    best = dict.fromkeys(KINDS, float("inf"))
    for _ in range(count):
        for kind in KINDS:
            use(kind)
            begin = time.process_time()
            cell(x)[0].square().mean().backward()
            best[kind] = min(best[kind], 1e3 * (time.process_time() - begin))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="write the result file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    assert gru.available()
    rows, ratios = [], {}
    for hidden in (32, 64):
        best, loss = steps(hidden, options.steps)
        alone = layer(hidden, options.steps)
        apart = abs(loss["compiled"] / loss["torch"] - 1)
        assert apart < 1e-3, loss
        ratios[hidden] = best["torch"] / best["compiled"]
        rows.append(
            f"| {hidden} | {alone['torch']:.0f} | {alone['compiled']:.0f} | {alone['torch'] / alone['compiled']:.1f} |"
            f" {best['torch']:.0f} | {best['compiled']:.0f} | {ratios[hidden]:.1f} |"
            f" {loss['torch']:.5f} | {loss['compiled']:.5f} |"
        )
    text = "\n".join(
        [
            "# Speed of a step of pretraining",
            "",
            *describe("benchmarks/train.py"),
            "32 sequences of 365 + 60 days, three sub-modules, head `column`, told 12 numbers; milliseconds.",
            "",
            "| hidden | one layer, torch | compiled | ratio | whole step, torch | compiled | ratio |"
            f" loss after {options.steps} steps, torch | compiled |",
            "|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )
    print(text)
    if options.write:
        RESULT.write_text(text + "\n", encoding="utf-8")
    assert all(ratios[hidden] >= floor for hidden, floor in FLOOR.items()), ratios


if __name__ == "__main__":
    main()

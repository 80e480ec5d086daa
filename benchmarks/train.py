"""Speed of a step of pretraining: the compiled GRU beside torch's and beside the build of November 2026.

    python benchmarks/train.py [--write]

One step is what the trainer does: make the batch, run the network, all loss terms, probes of knowledge, gradients,
optimiser. Each contender is a process of its own that does a step when it is told to, so that they take turns; one
thread, processor time (user and system), best of the steps. The network has three recurrent sub-modules (head
``diffusion_oxidation``, which is the network of the older build), or two before the soil column (head ``column``,
today's). The loss after equal steps must be that with torch's layers. Samples are the made-up world of the tests
(tests/train_toy.py), each tree's own. With ``--write`` the result goes to benchmarks/results/train.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from machine import ROOT, options, report
from startup import checkout

THEN = "7aefd0e"
HEADS = ("diffusion_oxidation", "column")
MEASURED = "processor time (user and system) of processes that take turns, best of the steps."
GOALS = {32: 3.0, 64: 2.5}
FLOORS = {32: 2.4, 64: 2.0}
"""Ratios to the older build below which the benchmark fails; the machine may be shared."""


def stepper(kind: str, hidden: int, head: str) -> Callable[[], tuple[float, float]]:
    """A function that does a step and says its milliseconds and its loss; ``kind`` is then, torch or compiled."""
    import inspect

    import numpy as np
    import torch

    from fluxatlas.config.train import TrainBlock
    from fluxatlas.train.knowledge import Knowledge
    from fluxatlas.train.losses import Objective
    from fluxatlas.train.pretrain import new_network, single
    from train_toy import SYSTEM, samples

    torch.set_num_threads(1)
    if kind != "then":
        from fluxatlas.train.networks import gru, stepwise

        stepwise.available = gru.available if kind == "compiled" else lambda: False
        assert gru.available()
        gru.keep_freed()
    settings, data = TrainBlock(hidden=hidden, head=head), samples(64, 500)
    network = new_network(SYSTEM, settings, data, 1).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    told: list[Any] = [network, settings.knowledge] if "network" in inspect.signature(Knowledge.of).parameters else []
    objective = Objective(
        SYSTEM, "pretrain", Knowledge.of(SYSTEM, "pretrain", *(told or [settings.knowledge, settings.head]))
    )
    batches = single(objective, data, settings, "cpu")
    waiting: list[Any] = []
    epochs = iter(range(10_000))

    def step() -> tuple[float, float]:
        if not waiting:
            waiting.extend(batches(np.random.default_rng(next(epochs))))
        begin = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        ((_, _, batch),) = waiting.pop(0)()
        total = objective.total(objective.terms(network, batch))
        total.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        return 1e3 * (time.process_time() - begin), float(total.detach())

    return step


def serve(kind: str, hidden: int, head: str) -> None:
    """Do a step for each line that comes in."""
    step = stepper(kind, hidden, head)
    for _ in sys.stdin:
        print(*step(), flush=True)


class Contender:
    """A process that does steps."""

    def __init__(self, tree: Path, *words: object) -> None:
        paths = os.pathsep.join(map(str, [tree / "src", tree / "tests", ROOT / "benchmarks"]))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, __file__, "--serve", *map(str, words)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=tree
        )
        self.words, self.best, self.loss = words, float("inf"), float("nan")

    def step(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        with suppress(BrokenPipeError):  # it has ended, which the empty line says
            self.process.stdin.write("step\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.words} ended with status {self.process.wait()}: its error is above")
        spent, self.loss = map(float, line.split())
        self.best = min(self.best, spent)

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()


def compare(then: Path, hidden: int, head: str, steps: int) -> dict[str, Contender]:
    """Contenders by kind after so many ``steps`` of each, in turn."""
    trees = {"then": then, "torch": ROOT, "compiled": ROOT}
    with ExitStack() as stack:
        found = {kind: stack.enter_context(Contender(tree, kind, hidden, head)) for kind, tree in trees.items()
                 if kind != "then" or head == HEADS[0]}  # fmt: skip
        for _ in range(steps):
            for contender in found.values():
                contender.step()
    return found


def main() -> None:
    if "--serve" in sys.argv:
        kind, hidden, head = sys.argv[2:]
        serve(kind, int(hidden), head)
        return
    given: argparse.Namespace = options(__doc__, steps=24)
    rows, ratios, then_ms = [], {}, {}
    with checkout(THEN) as tree:
        for head in HEADS:
            for hidden in GOALS:
                found = compare(tree, hidden, head, given.steps)
                torch_, compiled = found["torch"], found["compiled"]
                assert abs(compiled.loss / torch_.loss - 1) < 2e-3, (compiled.loss, torch_.loss)
                if "then" in found:
                    then_ms[hidden], ratios[hidden] = found["then"].best, found["then"].best / compiled.best
                rows.append(
                    f"| `{head}` | {hidden} | {then_ms[hidden]:.0f} | {torch_.best:.0f} | {compiled.best:.0f} |"
                    f" {then_ms[hidden] / compiled.best:.1f} | {torch_.best / compiled.best:.1f} |"
                    f" {torch_.loss:.5f} | {compiled.loss:.5f} |"
                )
    lines = [
        f"32 sequences of 365 + 60 days; milliseconds a step. `then` is {THEN}, whose network has the head",
        "`diffusion_oxidation` and stands beside both. Goals beside it: 3 with 32 units, 2.5 with 64.",
        "",
        f"| head | hidden | then | torch's layers | compiled | then / compiled | torch / compiled |"
        f" loss after {given.steps} steps, torch | compiled |",
        "|---|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    report("train", "Speed of a step of pretraining", lines, given.write, MEASURED)
    assert all(ratios[hidden] >= floor for hidden, floor in FLOORS.items()), ratios


if __name__ == "__main__":
    main()

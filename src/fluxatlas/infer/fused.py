"""The network of a member as compiled code: recurrent layers and formulas, each in one pass through the memory.

Recurrent layers run in :mod:`fluxatlas.train.networks.gru_kernel`; scaling, bounds and physics are recorded from torch
once (:mod:`~fluxatlas.infer.pointwise`) and run by :mod:`~fluxatlas.infer.pointwise_kernel`. The formulas fall into
*stages*: what can be computed before the first recurrent sub-module, what its outputs allow, and so on. Inputs that are
constant in time are folded into the biases of each cell.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..systems import Submodule
from ..train.networks.gru import biases, padded, pairs
from ..train.networks.gru_kernel import UNITS, forward
from ..train.networks.hierarchy import HierarchicalNetwork, LinearPart
from ..train.networks.stepwise import Gru
from ..train.networks.totals import run_totals
from .pointwise import CONSTANT, FIXED, Graph, Listing, NotPointwiseError, Recorder, assemble, needs
from .pointwise_kernel import ROW, carry_out

Array = npt.NDArray[np.float32]
_NOTHING = np.empty(0, np.float32)
_ZERO = np.zeros((1, 1), np.float32)
_SCRATCH = threading.local()


@dataclass(frozen=True)
class FusedLayer:
    """Weights of one recurrent layer as the kernel reads them; ``fixed`` (unit, gate, static) those of statics."""

    weights: Array
    base: Array
    q_bias: Array
    fixed: Array


@dataclass(frozen=True)
class Part:
    """A recurrent sub-module: its layers, its read-out, and the rows of its inputs, statics and outputs.

    ``x`` and ``raw`` are the first rows of the inputs that change from day to day and of the outputs in the memory;
    ``statics`` rows of what is constant in time. ``inner`` (output, input) and ``outer`` (output, unit) are the
    read-out, ``fixed`` (output, static) that of statics, ``bias`` (output,).
    """

    name: str
    hidden: int
    units: int
    layers: tuple[FusedLayer, ...]
    inner: Array
    outer: Array
    fixed: Array
    bias: Array
    x: int
    raw: int
    statics: tuple[int, ...]


class Recording:
    """What a network does, as a graph: its values by stage, inputs of each recurrent sub-module, outputs by name."""

    def __init__(
        self, network: HierarchicalNetwork, drivers: Mapping[str, Array], statics: Mapping[str, Array]
    ) -> None:
        recorder = Recorder()
        self.graph: Graph = recorder.graph
        self.features: list[list[int]] = []
        self.raws: list[list[int]] = []
        known = {name: torch.from_numpy(np.array(values[:2, :3])) for name, values in drivers.items()}
        known |= {name: torch.from_numpy(np.array(values[:3])) for name, values in statics.items()}
        self.given = {name: self.graph.given(name, 0 if name in drivers else FIXED) for name in known}
        for part in network.submodules:
            if is_late(part, drivers) and isinstance(network.parts[part.name], LinearPart):
                raise NotPointwiseError(f"'{part.name}' has a past that earlier sub-modules make, and no memory")
            self.given |= {name: self.graph.given(name, 0) for name in past_of(part)}
        found: dict[str, torch.Tensor] = {}
        with torch.no_grad():
            known_before = dict(known)
            for name, tensor in known_before.items():
                recorder.give(tensor, torch.tensor(self.given[name]))
            known |= network._bound(known_before)
            with recorder:
                for part in network.submodules:
                    found |= self._part(network, part, known, recorder)
                    known |= found
                found |= network.head.function(known)
        self.outputs = {name: recorder.number(values) for name, values in found.items()}

    def _part(self, network: HierarchicalNetwork, part: Any, known: Any, recorder: Recorder) -> Any:
        own: Any = network.parts[part.name]
        features = network.features(part, known)
        if part.memories:
            past = features.new_zeros(*features.shape[:2], len(part.memories))
            recorder.give(past, torch.tensor([self.given[name] for name in past_of(part)]))
            features = torch.cat([past, features], dim=-1)
        if isinstance(own, LinearPart):
            raw, _ = own(features, None)
        else:
            self.features.append([recorder.number(values) for values in features.unbind(dim=-1)])
            stage = len(self.features)
            self.raws.append([self.graph.given(f"{part.name}:{name}", stage) for name in part.outputs])
            raw = torch.zeros(*features.shape[:2], len(part.outputs))
            recorder.give(raw, torch.tensor(self.raws[-1]))
        totals = {}
        for total in part.totals:
            self.given[total.name] = self.graph.given(total.name, len(self.features))
            totals[total.name] = features.new_zeros(features.shape[:2])
            recorder.give(totals[total.name], torch.tensor(self.given[total.name]))
        return network._outputs(part, raw, {**known, **totals}, {})


def past_of(part: Submodule) -> list[str]:
    """Names of the means of the past that ``part`` sees."""
    return [f"{part.name}_past {number}" for number in range(len(part.memories))]


def is_late(part: Submodule, drivers: Collection[str]) -> bool:
    """Whether earlier sub-modules make what ``part`` sums or averages over days."""
    return bool(part.totals) or not {memory.driver for memory in part.memories} <= {*drivers}


class FusedNetwork:
    """The network ready to run; made from a few cells of real inputs.

    Raises :class:`NotPointwiseError` where a formula cannot be written as instructions, and for other cells than GRU.
    """

    def __init__(
        self, network: HierarchicalNetwork, drivers: Mapping[str, Array], statics: Mapping[str, Array]
    ) -> None:
        network = (network.bind({}) if network.architecture.code else network).eval()
        parts: Any = network.parts
        recurrent = [name for name, part in parts.items() if not isinstance(part, LinearPart)]
        if not all(isinstance(parts[name].cell, Gru) for name in recurrent):
            raise NotPointwiseError(f"the cell '{network.architecture.cell}' has no kernel")
        recording = Recording(network, drivers, statics)
        self.network = network
        self.late = {part.name: part for part in network.submodules if is_late(part, drivers)}
        made = [name for part in network.submodules for name in (*past_of(part), *(one.name for one in part.totals))]
        self._lay_out(recording, {*drivers, *made})
        self.parts = [
            self._part(name, parts[name], features, x, raws)
            for name, features, x, raws in zip(recurrent, recording.features, self.x, recording.raws, strict=True)
        ]

    def _lay_out(self, recording: Recording, drivers: set[str]) -> None:
        """Rows of the memory, and the instructions of each stage."""
        graph, given = recording.graph, recording.given
        self.drivers = {name: row for row, name in enumerate(sorted(drivers))}
        self.statics = {name: row for row, name in enumerate(sorted({*given} - drivers))}
        self.rows: dict[int, int] = {given[name]: row for name, row in self.drivers.items()}
        self.fixed: dict[int, int] = {given[name]: row for name, row in self.statics.items()}
        self.count = len(self.rows)
        self.x: list[int] = []
        moving = [[number for number in part if graph.stage[number] >= 0] for part in recording.features]
        for features, raws in zip(moving, recording.raws, strict=True):
            self.x.append(self.count)
            self.count += len(features)
            self.rows.update({number: self.count + place for place, number in enumerate(raws)})
            self.count += len(raws)
        stages = len(moving) + 1
        wanted: list[list[tuple[int, int]]] = [[] for _ in range(stages)]
        for stage, (x, features) in enumerate(zip(self.x, moving, strict=True)):
            wanted[stage] += [(x + place, number) for place, number in enumerate(features)]
        for number in recording.outputs.values():
            self._keep(graph, number, wanted)
        constant = {number for part in recording.features for number in part if graph.stage[number] < 0}
        for stage, rows in enumerate(wanted):
            made = needs(graph, stage, [number for _, number in rows], self._stored(graph, stage))
            read = {one for number in made for one in graph.nodes[number][1]} | {number for _, number in rows}
            constant |= {number for number in read if graph.stage[number] == FIXED}
        self.outputs = {name: self.rows[number] for name, number in recording.outputs.items()}
        for number in sorted(constant - {*self.fixed}):
            self.fixed[number] = len(self.fixed)
        self._instructions(graph, wanted, given)

    def _keep(self, graph: Graph, number: int, wanted: list[list[tuple[int, int]]]) -> None:
        """Give a value a row of its own, written by its stage."""
        if number not in self.rows:
            self.rows[number], self.count = self.count, self.count + 1
            wanted[max(0, graph.stage[number])].append((self.rows[number], number))

    def _instructions(self, graph: Graph, wanted: list[list[tuple[int, int]]], given: Mapping[str, int]) -> None:
        inputs = {number: row for number, row in self.fixed.items() if not graph.nodes[number][1]}
        targets = [(row, number) for number, row in self.fixed.items() if number not in inputs or
                   graph.stage[number] == CONSTANT]  # fmt: skip
        self.once = assemble(graph, FIXED, targets, {}, {given[name]: row for name, row in self.statics.items()})
        self.listings: list[Listing] = []
        for stage, rows in enumerate(wanted):
            self.listings.append(assemble(graph, stage, rows, self._stored(graph, stage), self.fixed))

    def _stored(self, graph: Graph, stage: int) -> dict[int, int]:
        """Rows of the values that are there before ``stage``: inputs and what earlier stages wrote."""
        return {n: row for n, row in self.rows.items() if graph.stage[n] < stage or not graph.nodes[n][1]}

    def _part(self, name: str, part: Any, features: list[int], x: int, raws: list[int]) -> Part:
        cell, graph_rows = part.cell, self.fixed
        moving = [place for place, number in enumerate(features) if number not in graph_rows]
        still = [place for place, number in enumerate(features) if number in graph_rows]
        hidden, units = cell.hidden_size, padded(cell.hidden_size, UNITS)
        layers = []
        with torch.no_grad():
            for number, (inner, recurrent, b, c) in enumerate(cell.all_weights):
                fixed = inner.new_zeros(units, 3, 0)
                if number == 0:
                    fixed = inner.new_zeros(units, 3, len(still))
                    fixed[:hidden] = inner[:, still].view(3, hidden, -1).transpose(0, 1)
                    inner = inner[:, moving]
                else:
                    inner = torch.nn.functional.pad(inner, (0, units - hidden))
                base, q_bias = biases(b, c, units)
                layers.append(FusedLayer(pairs(inner, recurrent, units).numpy().ravel(), base.numpy(), q_bias.numpy(),
                                    fixed.numpy()))  # fmt: skip
            read = part.readout.weight
            outer = torch.nn.functional.pad(read[:, :hidden], (0, units - hidden))
            of_inputs = read[:, hidden:]
            return Part(
                name, hidden, units, tuple(layers), of_inputs[:, moving].numpy(), outer.numpy(),
                of_inputs[:, still].numpy(), part.readout.bias.numpy().copy(), x, self.rows[raws[0]],
                tuple(self.fixed[features[place]] for place in still),
            )  # fmt: skip

    def run(
        self, drivers: Mapping[str, Array], statics: Mapping[str, Array], state: Mapping[str, Array] | None
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """As :meth:`fluxatlas.infer.engine.Engine.run`."""
        days, count = next(iter(drivers.values())).shape
        cells = padded(count, ROW)
        memory = _scratch(self.count * days * cells).reshape(self.count, days, cells)
        known = {name: torch.from_numpy(values) for name, values in {**drivers, **statics}.items()}
        early = [part for part in self.network.submodules if part.memories and part.name not in self.late]
        past, end = self._past(early, known, state or {})
        for name, row in self.drivers.items():
            self._write(memory, row, past[name] if name in past else drivers.get(name, _ZERO), count)
        fixed = np.empty((len(self.fixed), cells), np.float32)
        for name, row in self.statics.items():
            fixed[row, :count] = statics[name]
            fixed[row, count:] = statics[name][0]
        self._carry_out(self.once, memory, fixed, 0)
        for part, listing in zip(self.parts, self.listings, strict=False):
            self._carry_out(listing, memory, fixed, days)
            if part.name in self.late:
                known |= {name: torch.from_numpy(memory[row, :, :count]) for name, row in self.outputs.items()}
                past, last = self._past([self.late[part.name]], known, state or {})
                end |= last
                for name, values in past.items():
                    self._write(memory, self.drivers[name], values, count)
                self._carry_out(listing, memory, fixed, days)  # with what the inputs have of the past
            end[part.name] = _recur(part, memory, fixed, None if state is None else state.get(part.name), count)
        self._carry_out(self.listings[-1], memory, fixed, days)
        return {name: memory[row, :, :count].copy() for name, row in self.outputs.items()}, end

    def _past(
        self, parts: Iterable[Submodule], known: Mapping[str, torch.Tensor], state: Mapping[str, Array]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Means of the past and totals (time, cell) of ``parts`` by name, from torch, and their states."""
        found: dict[str, Array] = {}
        end: dict[str, Array] = {}
        before = {name: torch.from_numpy(values) for name, values in state.items()}
        with torch.inference_mode():
            for part in parts:
                if part.memories:
                    key = f"{part.name}_past"
                    means, last = self.network._past(part, known, before.get(key))
                    found |= dict(zip(past_of(part), (one.numpy() for one in means), strict=True))
                    end[key] = last.numpy()
                if part.totals:
                    key, events = f"{part.name}_total", self.network.network_parts.events
                    whole = {**known, **self.network._bound(known)}
                    totals, last = run_totals(part.totals, events, whole, before.get(key))
                    found |= {name: values.numpy() for name, values in totals.items()}
                    end[key] = last.numpy()
        return found, end

    @staticmethod
    def _write(memory: Array, row: int, values: Array, count: int) -> None:
        """``values`` (time, cell) into a row of the memory, the first cell repeated where there are no more."""
        memory[row, :, :count] = values
        memory[row, :, count:] = values[:, :1]

    @staticmethod
    def _carry_out(listing: Listing, memory: Array, fixed: Array, days: int) -> None:
        carry_out(
            listing.first, listing.program, listing.registers, listing.constants, memory.ravel(), fixed.ravel(), days,
            fixed.shape[1],
        )  # fmt: skip


def _scratch(size: int) -> Array:
    """Memory of this thread, used again by the next call."""
    held: Array = getattr(_SCRATCH, "held", _NOTHING)
    if len(held) < size:
        held = _SCRATCH.held = np.empty(size, np.float32)
    return held[:size]


def _with_statics(bias: Array, weights: Array, still: Array) -> Array:
    """Biases (..., cell) that hold what ``weights`` (..., static) make of statics (static, cell); a cell gets the same
    bits in every block."""
    found = np.repeat(bias[..., None], still.shape[1], axis=-1)
    for place in range(weights.shape[-1]):
        found += weights[..., place, None] * still[place]
    return found


def _recur(part: Part, memory: Array, fixed: Array, state: Array | None, count: int) -> Array:
    """Run a recurrent sub-module through the days; its outputs are written to the memory, its state is given back."""
    days, cells = memory.shape[1:]
    row, still = days * cells, fixed[list(part.statics)]
    end = np.zeros((len(part.layers), count, part.hidden), np.float32)
    raw_base = _with_statics(part.bias, part.fixed, still)
    features, outputs = part.inner.shape[1], len(part.bias)
    x, raw = memory[part.x :].ravel(), memory[part.raw :].ravel()
    several, hidden = len(part.layers) > 1, _NOTHING
    readout = _NOTHING if several else np.concatenate([part.inner, part.outer], axis=1).ravel()
    for number, layer in enumerate(part.layers):
        base = _with_statics(layer.base, layer.fixed, still)
        last = np.zeros((part.units, cells), np.float32)
        if state is not None:
            last[: part.hidden, :count] = state[number].T
        hidden = np.empty(part.units * row if several else 0, np.float32)
        forward(
            x, row, cells, features, base.ravel(), layer.weights, layer.q_bias,
            part.units, days, cells, last.ravel(), hidden, _NOTHING, row, cells, readout, raw_base.ravel(), raw, row,
            0 if several else outputs,
        )  # fmt: skip
        end[number] = last[: part.hidden, :count].T
        x, features = hidden, part.units
    if several:
        made = part.outer @ hidden.reshape(part.units, row)
        made += part.inner @ memory[part.x : part.x + part.inner.shape[1]].reshape(-1, row)
        memory[part.raw : part.raw + outputs] = made.reshape(outputs, days, cells) + raw_base[:, None]
    return end

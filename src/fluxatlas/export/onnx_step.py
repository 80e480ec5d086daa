"""A trained member as an ONNX file: one day of any number of cells, from drivers, statics and the state of the day
before to fluxes, intermediate variables and the state after that day.

Everything that enters and leaves is in the units of the variable table; scaling, bounds, physics and the parameters of
the process model are inside. What the file needs and gives stands in the file (``metadata_props``, docs/export.md).
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import variables
from ..errors import ConfigError, InputError
from ..hashes import file_hash
from ..infer.engine import Array, State, TorchEngine, departures, difference
from ..train.member import Member
from ..train.networks import HierarchicalNetwork
from ..train.networks.hierarchy import LinearPart

OPSET = 17
BEFORE, AFTER = "{}_state", "{}_state_next"
"""Names of the state of a part as input and as output."""
CHECKED_DAYS, CHECKED_CELLS = 40, 5
"""Days and cells on which a file is compared with torch."""
START = "zeros: nothing was seen; run a year or more before the days that count"


@dataclass(frozen=True)
class Exported:
    """One file: its member, the hash of the member's file, and the largest departure from torch of any output, in its
    standard deviations."""

    member: str
    member_hash: str
    departure: float


class _Step(nn.Module):
    """The network over one day, with what it takes and gives in a fixed order."""

    def __init__(self, network: HierarchicalNetwork, drivers: Sequence[str], outputs: Sequence[str]) -> None:
        super().__init__()
        self.network, self.drivers, self.outputs = network, drivers, outputs

    def forward(self, drivers: list[Tensor], statics: list[Tensor], state: list[Tensor]) -> list[Tensor]:
        days = {name: values[None] for name, values in zip(self.drivers, drivers, strict=True)}
        fixed = dict(zip(self.network.system.statics, statics, strict=True))
        before = dict(zip(self.network.state_shapes, state, strict=True))
        found, after = self.network(days, fixed, before)
        return [*(found[name][0] for name in self.outputs), *(after[name] for name in before)]


class OnnxStep:
    """An ONNX file of :func:`export_member` ready to run day by day with onnxruntime, on one thread.

    :meth:`run` is that of :class:`fluxatlas.infer.engine.Engine`. Raises :class:`InputError` for a file that cannot
    be read.
    """

    def __init__(self, path: str | Path) -> None:
        runtime = _package("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        try:
            self.session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as problem:  # onnxruntime has an exception of its own for each kind
            raise InputError(f"not an ONNX file ({problem})", where=str(path), hint="export the member again") from None
        self.takes = {one.name: one.shape for one in self.session.get_inputs()}
        self.gives = [one.name for one in self.session.get_outputs()]

    @property
    def about(self) -> dict[str, str]:
        """What the file says of itself."""
        return dict(self.session.get_modelmeta().custom_metadata_map)

    def run(
        self, drivers: Mapping[str, Array], statics: Mapping[str, Array], state: State | None
    ) -> tuple[dict[str, Array], State]:
        days, cells = next(iter(drivers.values())).shape
        ends = BEFORE.format("")
        parts = [name.removesuffix(ends) for name in self.takes if name.endswith(ends)]
        shapes = {
            part: (self.takes[BEFORE.format(part)][0], cells, self.takes[BEFORE.format(part)][2]) for part in parts
        }
        now = state or {part: np.zeros(shape, np.float32) for part, shape in shapes.items()}
        fixed = {name: values for name, values in statics.items() if name in self.takes}
        found: dict[str, Array] = {}
        for day in range(days):
            given = {name: values[day] for name, values in drivers.items() if name in self.takes}
            before = {BEFORE.format(part): now[part] for part in parts}
            made = dict(zip(self.gives, self.session.run(None, {**given, **fixed, **before}), strict=True))
            now = {part: made.pop(AFTER.format(part)) for part in parts}
            for name, values in made.items():
                found.setdefault(name, np.empty((days, cells), np.float32))[day] = values
        return found, now


def export_member(path: str | Path, output: str | Path) -> Exported:
    """Write the member in ``path`` to ``output`` and compare the file with torch over :data:`CHECKED_DAYS` days.

    The inputs of that comparison are drawn around those the member has learned from. Raises :class:`ConfigError` for a
    cell that has no step of constant cost and where the extra ``onnx`` is not installed, :class:`InputError` where the
    network cannot be written or the file gives something else than torch.
    """
    _package("onnx")
    member = Member.load(path)
    network = member.network.bind({}) if member.network.architecture.code else member.network
    refuse(network, str(path))
    network.eval()
    drawn = plausible(network, CHECKED_DAYS, CHECKED_CELLS)
    engine = TorchEngine(Member(network, member.grid))
    wanted = engine.run(*drawn, None)
    outputs = [*(name for name in member.system.flux_names if name in wanted[0])]
    outputs += [name for name in wanted[0] if name not in outputs]
    _write(network, drawn, outputs, Path(output), str(path))
    member_hash = file_hash(path)
    _describe(Path(output), member, outputs, member_hash, Path(path).stem)
    found: tuple[dict[str, Array], State] = (OnnxStep(output).run(*drawn, None)[0], {})  # states end in the outputs
    right: tuple[dict[str, Array], State] = (wanted[0], {})
    if problem := difference(found, right):
        hint = "a fault of the export: report it with the versions of torch, onnx and onnxruntime"
        raise InputError(f"the exported network is not the member: {problem}", where=str(path), hint=hint)
    return Exported(Path(path).stem, member_hash, max(departures(found, right).values()))


def refuse(network: HierarchicalNetwork, where: str) -> None:
    """Raise :class:`ConfigError` where ``network`` has no step that costs the same each day."""
    parts: Any = network.parts
    if not all(isinstance(part, LinearPart) or part.cell.stepwise for part in parts.values()):
        cell = network.architecture.cell
        raise ConfigError(
            f"the cell '{cell}' looks at a window of days and has no step to export",
            where=where,
            hint="members of gru, lstm, ea_lstm and tcn can be exported; `fluxatlas predict` runs all of them",
        )


def plausible(
    network: HierarchicalNetwork, days: int, cells: int, seed: int = 0
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Drivers (time, cell) and statics (cell,) that scatter as the samples do, inside the valid range.

    What the scaler does not know, because only the physics reads it, scatters about the middle of that range.
    """
    rng = np.random.default_rng(seed)
    system, scaler = network.system, network.scaler

    def drawn(name: str, shape: tuple[int, ...]) -> Array:
        low, high = variables.get(name).valid
        z = rng.normal(0.0, 0.7, shape).astype(np.float32)
        if name in scaler.position:
            values = scaler.unscale(name, torch.from_numpy(z)).numpy()
        else:
            values = (low + high) / 2 + 0.05 * (high - low) * z
        return np.clip(values, low, high).astype(np.float32)

    drivers = {name: drawn(name, (days, cells)) for name in (*system.forcing, *system.slow_drivers)}
    return drivers, {name: drawn(name, (cells,)) for name in system.statics}


def _package(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as problem:
        hint = "install the extra: pip install 'fluxatlas[onnx]'"
        raise ConfigError(f"the package '{name}' is not installed ({problem})", hint=hint) from problem


def _write(
    network: HierarchicalNetwork,
    drawn: tuple[dict[str, Array], dict[str, Array]],
    outputs: Sequence[str],
    path: Path,
    where: str,
) -> None:
    """Record the network on one day and write it."""
    drivers, statics = drawn
    state = [torch.zeros(first, CHECKED_CELLS, last) for first, last in network.state_shapes.values()]
    given = ([torch.from_numpy(v[0]) for v in drivers.values()], [torch.from_numpy(v) for v in statics.values()], state)
    before, after = ([form.format(name) for name in network.state_shapes] for form in (BEFORE, AFTER))
    cells = {name: {0: "cell"} for name in (*drivers, *statics, *outputs)}
    for name, form in (("asinh", "Asinh"), ("sinh", "Sinh")):  # ONNX has them, the exporter does not know
        torch.onnx.register_custom_op_symbolic(f"aten::{name}", _same(form), 9)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer warns of each number that it takes as constant
            torch.onnx.export(
                _Step(network, list(drivers), outputs),
                given,
                str(path),
                input_names=[*drivers, *statics, *before],
                output_names=[*outputs, *after],
                dynamic_axes=cells | {name: {1: "cell"} for name in (*before, *after)},
                opset_version=OPSET,
                dynamo=False,  # the other exporter does not follow choices of forms by number
            )
    except Exception as problem:  # the exporter fails in many ways
        reason = " ".join(str(problem).split())[-300:]
        what = f"the head '{network.architecture.head}' cannot be written as ONNX ({reason})"
        raise InputError(
            what, where=where, hint="run the member with `fluxatlas predict` or the engine 'torch'"
        ) from None


def _same(form: str) -> Any:
    return lambda graph, x: graph.op(form, x).setType(x.type())


def _describe(path: Path, member: Member, outputs: Sequence[str], member_hash: str, number: str) -> None:
    """Write units, names and origin into the file."""
    onnx = _package("onnx")
    model = onnx.load(str(path))
    system = member.system
    facts = {
        "system": system.key,
        "title": system.title,
        "member": number,
        "member_hash": member_hash,
        "grid": member.grid,
        "fluxatlas_version": str(member.meta.get("version", "")),
        "fluxatlas_commit": str(member.meta.get("commit", "")),
        "trained_on": json.dumps(member.meta.get("span", [])),
        "sign": json.dumps({name: variables.get(name).long_name for name in system.flux_names}, ensure_ascii=False),
        "step": "one day",
        "initial_state": START,
    }
    for kind, ports in (("inputs", model.graph.input), ("outputs", model.graph.output)):
        about = {port.name: _port(port.name, system.statics) for port in ports}
        for port in ports:
            port.doc_string = f"{about[port.name]['long_name']} [{about[port.name]['units']}]"
        facts[kind] = json.dumps(about, ensure_ascii=False)
    model.producer_name, model.producer_version = "fluxatlas", facts["fluxatlas_version"]
    model.doc_string = f"{system.title}: one day of a trained network"
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _port(name: str, statics: Sequence[str]) -> dict[str, Any]:
    """Kind, unit, name and valid range of an input or output."""
    if name.endswith((BEFORE.format(""), AFTER.format(""))):
        return {
            "kind": "state",
            "units": "1",
            "long_name": "state carried from day to day, of the network's own making",
        }
    row = variables.get(name)
    kind = "static" if name in statics else "daily"
    return {"kind": kind, "units": row.units, "long_name": row.long_name, "valid": list(row.valid), "time": row.time}

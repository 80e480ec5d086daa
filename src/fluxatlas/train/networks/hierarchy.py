"""The hierarchical network: recurrent sub-modules in the order of the system's declaration, then a physical head.

Tensors are sequence-major: (time, cell) for series, (cell,) for statics, (time, cell, feature) inside. Everything that
enters and leaves is in the canonical units of the variable table; standardisation happens inside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ConfigError, InputError, nearest
from ...loading import load_object
from ...systems import Submodule, System
from ...systems.protocols import Head, NetworkParts
from ..scaler import Scaler
from ..states import Shape
from .bounds import to_physical
from .cells import make_cell
from .sequence import Sizes
from .told import Told

Series = Mapping[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    """What a network is made of, apart from its system; plain values, stored in the member file.

    ``window`` is how many days the cells with bounded memory see, the day itself included.
    ``code`` is the number of values that each sub-module condenses the parameters of the process model into; 0: it is
    not told them (see :mod:`fluxatlas.train.networks.told`).
    ``head`` and ``options`` are names of the system's :class:`~fluxatlas.systems.protocols.NetworkParts`; those left
    out are its defaults.
    """

    cell: str = "gru"
    hidden: int = 32
    layers: int = 1
    dropout: float = 0.0
    window: int = 365
    code: int = 0
    head: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class RecurrentPart(nn.Module):
    """One sub-module: a sequence cell and a linear read-out of its hidden values and of its inputs.

    ``forward``: features (time, cell, feature), the last ``statics`` of them constant, a state of the cell or None
    where nothing was seen, and a code (cell, code) or None, to raw outputs (time, cell, output) and the state after the
    last step (layer, cell, number).
    """

    def __init__(self, variates: int, statics: int, outputs: int, architecture: Architecture) -> None:
        super().__init__()
        sizes = Sizes(
            variates,
            statics + architecture.code,
            architecture.hidden,
            architecture.layers,
            architecture.dropout,
            architecture.window,
        )
        self.cell = make_cell(architecture.cell, sizes)
        self.dropout = nn.Dropout(architecture.dropout)
        self.readout = nn.Linear(self.cell.width + sizes.features, outputs)
        with torch.no_grad():
            self.readout.bias.zero_()

    def forward(self, features: Tensor, state: Tensor | None, code: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if code is not None:
            features = torch.cat([features, code.expand(len(features), -1, -1)], dim=-1)
        hidden, last = self.cell(features, state)
        return self.readout(torch.cat([self.dropout(hidden), features], dim=-1)), last

    @torch.no_grad()
    def fold(self, code: Tensor, into: RecurrentPart) -> None:
        """Copy the weights ``into`` a part without a code that does what this one does with ``code`` (code,)."""
        self.cell.fold(code, into.cell)
        into.readout.weight.copy_(self.readout.weight[:, : -len(code)])
        into.readout.bias.copy_(self.readout.bias + self.readout.weight[:, -len(code) :] @ code)


class HierarchicalNetwork(nn.Module):
    """The network of a system.

    Parameters: the declaration and the :class:`Architecture`. Weights depend on torch's global random state; seed it.
    Raises :class:`ConfigError` with the nearest name for an unknown cell, head or option.
    """

    def __init__(self, system: System, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.system = system
        self.network_parts: NetworkParts = load_object(system.network)
        self.architecture = _complete(architecture or Architecture(), system)
        self.head: Head = self.network_parts.heads[self.architecture.head]
        last = system.submodules[-1]
        extended = replace(
            last, drivers=(*last.drivers, *self.head.drivers), outputs=(*last.outputs, *self.head.outputs)
        )
        self.submodules = (*system.submodules[:-1], extended)
        inputs = [name for part in self.submodules for name in (*part.drivers, *part.upstream, *part.statics)]
        self.scaler = Scaler([*inputs, *(name for part in self.submodules for name in part.outputs)])
        self.told: Any = nn.ModuleDict()
        if self.architecture.code:
            priors = load_object(system.priors)()
            self.told.update({part.name: Told(part, priors, system.choices, self.architecture.code)
                              for part in self.submodules if part.parameters or part.choices})  # fmt: skip
        self.parts = nn.ModuleDict(
            {
                part.name: RecurrentPart(_variates(part), len(part.statics), len(part.outputs), self._part(part))
                for part in self.submodules
            }
        )

    def _part(self, part: Submodule) -> Architecture:
        return self.architecture if part.name in self.told else replace(self.architecture, code=0)

    @property
    def shape(self) -> Shape:
        """What decides its size."""
        own = self.architecture
        return Shape(own.cell, own.hidden, own.layers, own.window, tuple(map(_variates, self.submodules)))

    @property
    def state_shapes(self) -> dict[str, tuple[int, int]]:
        """First and last length of the state (layer, cell, number) of each sub-module."""
        parts: Any = self.parts
        return {name: part.cell.state_shape for name, part in parts.items()}

    def forward(
        self,
        drivers: Series,
        statics: Series,
        state: Series | None = None,
        overrides: Series | None = None,
        modules: Sequence[str] | None = None,
        theta: Series | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Run the hierarchy over a block of days.

        Parameters
        ----------
        drivers: daily series (time, cell): ``system.forcing`` and ``system.slow_drivers``.
        statics: (cell,), ``system.statics``.
        state: what the last call returned, to carry on; None starts from zeros.
        overrides: series (time, cell) that replace an output of a sub-module where finite, before it is used further.
        modules: names of the sub-modules to run (default all). The outputs of the others must come complete in
            ``overrides`` where they are needed: a site that measured them needs no meteorology.
        theta: parameters and codes of the structure of the process model (cell,); those not given are the defaults.

        Returns outputs (time, cell) in physical units, of the sub-modules and of the head, and the state after the last
        day. Raises :class:`InputError` naming an absent input.
        """
        overrides = overrides or {}
        known = {**drivers, **statics}
        outputs: dict[str, Tensor] = {}
        carried: dict[str, Tensor] = dict(state or {})
        for part in self.submodules:
            if modules is not None and part.name not in modules:
                found = {name: overrides[name] for name in part.outputs if name in overrides}
            else:
                features = self.features(part, known)
                code = self.told[part.name](theta or {}, features.shape[1]) if part.name in self.told else None
                raw, carried[part.name] = self.parts[part.name](
                    features, None if state is None else state[part.name], code
                )
                found = self._outputs(part, raw, known, overrides)
            outputs.update(found)
            known.update(found)
        lacking = [name for name in self.head.reads if name not in known]
        if lacking:
            names = ", ".join(lacking)
            raise InputError(f"the head '{self.architecture.head}' lacks {names}", hint="give it as driver")
        outputs.update(self.head.function(known))
        return outputs, carried

    def bind(self, theta: Mapping[str, float]) -> HierarchicalNetwork:
        """The network of one set of parameters ``theta`` and codes by name (others: the defaults), at no cost per step:
        what does not change is folded into the biases."""
        bound = HierarchicalNetwork(self.system, replace(self.architecture, code=0))
        bound.scaler.load_state_dict(self.scaler.state_dict())
        given = {name: self.scaler.mean.new_tensor([value]) for name, value in theta.items()}
        own: Any
        for name, own in self.parts.items():
            if name in self.told:
                own.fold(self.told[name](given, 1)[0], bound.parts[name])
            else:
                bound.parts[name].load_state_dict(own.state_dict())
        return bound.train(self.training)

    def beyond(self, statics: Series) -> dict[str, Tensor]:
        """Where (cell,) each of the ``statics`` (cell,) lies beyond the samples and is held at their edge."""
        used = {name for part in self.submodules for name in part.statics}
        return {name: self.scaler.beyond(name, values) for name, values in statics.items() if name in used}

    def features(self, part: Submodule, known: Series) -> Tensor:
        """Scaled inputs of ``part``, (time, cell, feature), in the order drivers, upstream, statics.

        Statics beyond what the scaler knows are held at its edge, never extrapolated."""
        lacking = [name for name in (*part.drivers, *part.upstream, *part.statics) if name not in known]
        if lacking:
            raise InputError(
                f"sub-module '{part.name}' lacks {', '.join(lacking)}",
                hint="give them as drivers or statics, or override the outputs of the sub-module and do not run it",
            )
        series = [self.scaler.scale(name, known[name]) for name in (*part.drivers, *part.upstream)]
        fixed = [self.scaler.scale_static(name, known[name]).expand_as(series[0]) for name in part.statics]
        return torch.stack([*series, *fixed], dim=-1)

    def _outputs(self, part: Submodule, raw: Tensor, known: Series, overrides: Series) -> dict[str, Tensor]:
        known = dict(known)
        found: dict[str, Tensor] = {}
        for index, name in enumerate(part.outputs):
            bound = self.network_parts.bounds.get(name)
            if bound is None:
                value = to_physical(name, raw[..., index], self.scaler)
            else:
                value = bound(raw[..., index], known, self.scaler, self.architecture.options)
            if name in overrides:
                value = torch.where(torch.isfinite(overrides[name]), overrides[name], value)
            found[name] = known[name] = value
        return found


def _variates(part: Submodule) -> int:
    return len(part.drivers) + len(part.upstream)


def _complete(architecture: Architecture, system: System) -> Architecture:
    """``architecture`` with the defaults of the system; raises :class:`ConfigError` for a name that it lacks."""
    chosen = {name: architecture.options.get(name, forms[0]) for name, forms in system.options.items()}
    head = architecture.head or system.heads[0]
    choices: list[tuple[str, str, Collection[str]]] = [("head", head, system.heads)]
    choices += [("option of the network", name, system.options) for name in architecture.options]
    choices += [(name, form, system.options[name]) for name, form in chosen.items()]
    for what, name, known in choices:
        if name not in known:
            hint = f"choose from {', '.join(known)}" if known else "this system has none"
            raise ConfigError(f"unknown {what} '{name}'{nearest(name, known)}", hint=hint)
    return replace(architecture, head=head, options=chosen)

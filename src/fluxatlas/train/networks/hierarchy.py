"""The hierarchical network: sub-modules in the order of the system's declaration, then a physical head.

Tensors are sequence-major: (time, cell) for series, (cell,) for statics, (time, cell, feature) inside. Everything that
enters and leaves is in the canonical units of the variable table; standardisation happens inside.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import ConfigError, InputError, nearest
from ...loading import load_object
from ...systems import Submodule, System
from ...systems.protocols import Head, NetworkParts
from ..scaler import Scaler
from ..states import NetworkShape
from .antecedent import Antecedent
from .bounds import to_physical
from .cells import make_cell
from .sequence import Sizes
from .several import Several
from .stepwise import Gru
from .told import Told
from .totals import run_totals

Series = Mapping[str, Tensor]


@dataclass(frozen=True)
class Architecture:
    """What a network is made of, apart from its system; plain values, stored in the member file.

    ``window`` is how many days the cells with bounded memory see, the day itself included.
    ``code`` is the number of values that each sub-module condenses the parameters of the process model into; 0: it is
    not told them (see :mod:`fluxatlas.train.networks.told`). ``theta`` holds parameters and codes of the structure that
    the network is bound to; those left out are the defaults.
    ``head`` and ``options`` are names of the system's :class:`~fluxatlas.systems.protocols.NetworkParts`; those left
    out are its defaults. ``members``: how many networks it imitates at once, a student (0: none;
    :mod:`fluxatlas.train.networks.several`).
    """

    cell: str = "gru"
    hidden: int = 32
    layers: int = 1
    dropout: float = 0.0
    window: int = 365
    code: int = 0
    head: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    theta: Mapping[str, float] = field(default_factory=dict)
    members: int = 0

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

    def learns(self, like: Tensor) -> bool:
        """Whether :meth:`learn` can be used for inputs such as ``like``: who listens to the cell hears its forward."""
        return isinstance(self.cell, Gru) and not self.cell._forward_hooks and self.cell.learns(like)

    def learn(
        self, series: Sequence[Tensor], fixed: Sequence[Tensor], state: Tensor | None, code: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """:meth:`forward` of features (time, cell) and constant ones (cell,) one by one, by compiled code.

        What does not change from day to day is worked out once, and series stay rows of days of cells."""
        x, cell = torch.stack([*series]), cast(Gru, self.cell)
        constant = torch.stack([*fixed], dim=-1) if fixed else x.new_zeros(x.shape[2], 0)
        constant = constant if code is None else torch.cat([constant, code], dim=-1)
        hidden, last = cell.learn(x, constant, state)
        own, width = self.readout, cell.width
        of_hidden, of_series, of_constant = own.weight.split([width, len(x), constant.shape[-1]], dim=1)
        told = nn.functional.linear(constant, of_constant, own.bias).T[:, None]
        raw = of_hidden @ self.dropout(hidden).flatten(1) + of_series @ x.flatten(1)
        return (raw.unflatten(1, x.shape[1:]) + told).permute(1, 2, 0), last

    @torch.no_grad()
    def fold(self, code: Tensor, into: RecurrentPart) -> None:
        """Copy the weights ``into`` a part without a code that does what this one does with ``code`` (code,)."""
        self.cell.fold(code, into.cell)
        _fold_readout(self.readout, code, into.readout)


class LinearPart(nn.Module):
    """A sub-module without memory, whose outputs physics completes: a linear read-out of its inputs, zero at first.

    ``forward`` as that of :class:`RecurrentPart`, without a state.
    """

    def __init__(self, variates: int, statics: int, outputs: int, architecture: Architecture) -> None:
        super().__init__()
        self.readout = nn.Linear(variates + statics + architecture.code, outputs)
        with torch.no_grad():
            self.readout.weight.zero_()
            self.readout.bias.zero_()

    def forward(self, features: Tensor, state: Tensor | None, code: Tensor | None = None) -> tuple[Tensor, None]:
        if code is None:
            return self.readout(features), None
        width = code.shape[-1]
        told = nn.functional.linear(code, self.readout.weight[:, -width:], self.readout.bias)
        return nn.functional.linear(features, self.readout.weight[:, :-width]) + told, None

    @torch.no_grad()
    def fold(self, code: Tensor, into: LinearPart) -> None:
        """See :meth:`RecurrentPart.fold`."""
        _fold_readout(self.readout, code, into.readout)


def _fold_readout(own: nn.Linear, code: Tensor, into: nn.Linear) -> None:
    into.weight.copy_(own.weight[:, : -len(code)])
    into.bias.copy_(own.bias + own.weight[:, -len(code) :] @ code)


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
        self.bounds = dict(self.network_parts.bounds)
        if self.architecture.members:
            several = Several(system, self.submodules, self.head, self.scaler, self.architecture.members)
            self.submodules, self.head = several.submodules, several.head
            self.bounds |= several.bounds
        priors = load_object(system.priors)()
        defaults = {name: prior.default for name, prior in priors.items()} | dict.fromkeys(system.choices, 0.0)
        self.theta: dict[str, float] = {**defaults, **self.architecture.theta}
        self.told: Any = nn.ModuleDict()
        if self.architecture.code:
            self.told.update({part.name: Told(part, priors, system.choices, self.architecture.code)
                              for part in self.submodules if part.parameters or part.choices})  # fmt: skip
        self.past: Any = nn.ModuleDict(
            {part.name: Antecedent(part.memories) for part in self.submodules if part.memories}
        )
        self.parts = nn.ModuleDict({part.name: self._part(part) for part in self.submodules})

    def _part(self, part: Submodule) -> nn.Module:
        told = self.architecture if part.name in self.told else replace(self.architecture, code=0)
        kind = LinearPart if self._closed(part) else RecurrentPart
        return kind(_variates(part), len(part.statics), len(part.outputs), told)

    def _closed(self, part: Submodule) -> bool:
        """Whether the physics of the head makes the outputs of ``part``."""
        return self.head.physics is not None and part is self.submodules[-1]

    @property
    def shape(self) -> NetworkShape:
        """What decides its size; a sub-module that physics completes counts for its work arrays."""
        own, past = self.architecture, sum(len(part.memories) + len(part.totals) for part in self.submodules)
        return NetworkShape(own.cell, own.hidden, own.layers, own.window, tuple(map(_variates, self.submodules)), past)

    @property
    def state_shapes(self) -> dict[str, tuple[int, int]]:
        """First and last length of the state (layer, cell, number) of each sub-module, of its means of the past and of
        its totals."""
        parts: Any = self.parts
        cells = {name: part.cell.state_shape for name, part in parts.items() if not isinstance(part, LinearPart)}
        cells |= {f"{name}_past": (1, len(past.memories)) for name, past in self.past.items()}
        return cells | {f"{part.name}_total": (1, len(part.totals)) for part in self.submodules if part.totals}

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
        theta: parameters and codes of the structure of the process model (cell,); those not given are the defaults. A
            network that is not told them (``code`` 0) has those that it is bound to instead, but the events that end
            sums over days are those of the given.

        Returns outputs (time, cell) in physical units, of the sub-modules and of the head, and the state after the last
        day. Raises :class:`InputError` naming an absent input.
        """
        overrides = overrides or {}
        calendar = theta or {}  # events are of the place, whatever the network is told
        theta = calendar if self.architecture.code else {}
        known = {**drivers, **statics}
        known |= self._bound(known, theta)
        outputs: dict[str, Tensor] = {}
        carried: dict[str, Tensor] = dict(state or {})
        for part in self.submodules:
            if modules is not None and part.name not in modules:
                found = {name: overrides[name] for name in part.outputs if name in overrides}
            else:
                series, fixed = self._inputs(part, known)
                if part.totals:
                    key, events = f"{part.name}_total", self.network_parts.events
                    released, carried[key] = run_totals(
                        part.totals, events, {**known, **calendar}, (state or {}).get(key)
                    )
                    known |= released
                if part.name in self.past:
                    past, carried[f"{part.name}_past"] = self._past(part, known, (state or {}).get(f"{part.name}_past"))
                    series = [*past, *series]
                code = self.told[part.name](theta, series[0].shape[1]) if part.name in self.told else None
                raw, last = _run(self.parts[part.name], series, fixed, (state or {}).get(part.name), code)
                if last is not None:
                    carried[part.name] = last
                found = self._outputs(part, raw, known, overrides)
            outputs.update(found)
            known.update(found)
        self._require(known, self.head.reads)
        outputs.update(self.head.function(known))
        return outputs, carried

    def _bound(self, known: Series, theta: Series | None = None) -> dict[str, Tensor]:
        """Parameters and codes (cell,) of ``theta``, and those that the network is bound to for what is not given."""
        like = next(iter(known.values()))
        return {
            name: theta[name] if theta and name in theta else like.new_tensor(value).expand(like.shape[-1:])
            for name, value in self.theta.items()
        }

    def _require(self, known: Series, names: Sequence[str]) -> None:
        lacking = [name for name in names if name not in known]
        if lacking:
            what = f"the head '{self.architecture.head}' lacks {', '.join(lacking)}"
            raise InputError(what, hint="give it as driver")

    def bind(self, theta: Mapping[str, float]) -> HierarchicalNetwork:
        """The network of one set of parameters ``theta`` and codes by name (others: the defaults), at no cost per step:
        what does not change is folded into the biases. Its architecture holds all of them; one that is not told keeps
        those that it has."""
        chosen = {**self.theta, **theta} if self.architecture.code else self.theta
        bound = HierarchicalNetwork(self.system, replace(self.architecture, code=0, theta=chosen))
        bound.scaler.load_state_dict(self.scaler.state_dict())
        given = {name: self.scaler.mean.new_tensor([value]) for name, value in chosen.items()}
        bound.past.load_state_dict(self.past.state_dict())
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
        return _stacked(*self._inputs(part, known))

    def _inputs(self, part: Submodule, known: Series) -> tuple[list[Tensor], list[Tensor]]:
        """Scaled drivers and upstream (time, cell), and statics (cell,), of ``part``."""
        lacking = [name for name in (*part.drivers, *part.upstream, *part.statics) if name not in known]
        if lacking:
            raise InputError(
                f"sub-module '{part.name}' lacks {', '.join(lacking)}",
                hint="give them as drivers or statics, or override the outputs of the sub-module and do not run it",
            )
        series = [self.scaler.scale(name, known[name]) for name in (*part.drivers, *part.upstream)]
        return series, [self.scaler.scale_static(name, known[name]) for name in part.statics]

    def _past(self, part: Submodule, known: Series, state: Tensor | None) -> tuple[list[Tensor], Tensor]:
        """Scaled means of the past (time, cell) of ``part``, memory by memory, and their state."""
        own: Antecedent = self.past[part.name]
        drivers = [memory.driver for memory in part.memories]
        series = torch.stack([known[name] for name in drivers], dim=-1)
        names = {name for memory in part.memories for name in memory.statics}
        fixed = {name: self.scaler.scale_static(name, known[name]) for name in names}
        means, last = own(series, own.kept(fixed, series.shape[1]), state)
        columns = means.unbind(dim=-1)  # one gradient for all: that of an index fills the whole array for each
        return [self.scaler.scale(name, column) for name, column in zip(drivers, columns, strict=True)], last

    def _outputs(self, part: Submodule, raw: Tensor, known: Series, overrides: Series) -> dict[str, Tensor]:
        known = dict(known)
        found: dict[str, Tensor] = {}
        closed: Mapping[str, Tensor] = {}
        columns = dict(zip(part.outputs, raw.unbind(dim=-1), strict=True))
        if self.head.physics is not None and self._closed(part):
            self._require(known, [name for name in self.head.reads if name not in part.outputs])
            closed = self.head.physics(columns, known)
        for name, column in columns.items():
            bound = self.bounds.get(name)
            if name in closed:
                value = closed[name]
            elif bound is None:
                value = to_physical(name, column, self.scaler)
            else:
                value = bound(column, known, self.scaler, self.architecture.options)
            if name in overrides:
                value = torch.where(torch.isfinite(overrides[name]), overrides[name], value)
            found[name] = known[name] = value
        return found


def _stacked(series: Sequence[Tensor], fixed: Sequence[Tensor]) -> Tensor:
    """Features (time, cell, feature) from series (time, cell) and constants (cell,)."""
    return torch.stack([*series, *(values.expand_as(series[0]) for values in fixed)], dim=-1)


def _run(
    own: Any, series: Sequence[Tensor], fixed: Sequence[Tensor], state: Tensor | None, code: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Raw outputs (time, cell, output) and state of a part; see :meth:`RecurrentPart.forward`."""
    if isinstance(own, RecurrentPart) and own.learns(series[0]):
        return own.learn(series, fixed, state, code)
    found: tuple[Tensor, Tensor | None] = own(_stacked(series, fixed), state, code)
    return found


def _variates(part: Submodule) -> int:
    return len(part.drivers) + len(part.upstream) + len(part.memories)


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

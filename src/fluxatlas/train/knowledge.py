"""Knowledge terms: soft constraints that a system declares, evaluated with their weights in one stage of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ConfigError, nearest
from ..loading import load_object
from ..systems import KnowledgeTerm, System
from ..systems.protocols import KnowledgeProbe
from .networks import HierarchicalNetwork

SITES = 6
"""Cells of a batch that probes of made-up conditions run over."""


@dataclass(frozen=True)
class Knowledge:
    """The ``terms`` of ``system`` with their ``weights`` in one stage (``pretrain`` or ``finetune``).

    ``phased`` are terms that a phase weighs, whatever their weight here; ``reference`` is what probes see as such.
    """

    system: System
    terms: tuple[KnowledgeTerm, ...]
    weights: Mapping[str, float]
    phased: frozenset[str] = frozenset()
    reference: HierarchicalNetwork | None = None

    @classmethod
    def of(cls, system: System, stage: str, replaced: Mapping[str, float] | None = None, head: str = "") -> Knowledge:
        """The terms of the system that ``head`` (empty: the first) leaves open, with ``replaced`` weights.

        Raises :class:`ConfigError` for a term that is unknown or holds by construction, and for one that reads a
        variable the network does not have.
        """
        terms = system.terms(head)
        replaced = dict(replaced or {})
        weights = {term.name: replaced.pop(term.name, getattr(term, stage)) for term in terms}
        if replaced:
            name = next(iter(replaced))
            hint = f"choose from {sorted(weights)}"
            raise ConfigError(f"unknown knowledge term '{name}'{nearest(name, weights)}", where="train", hint=hint)
        available = {*system.forcing, *system.slow_drivers, *system.statics, *system.simulated}
        functions = load_object(system.network).knowledge
        for term in terms:
            absent = [name for name in term.reads if name not in available]
            if absent:
                raise ConfigError(
                    f"knowledge term '{term.name}' reads {', '.join(absent)}, which system '{system.name}' lacks",
                    hint="correct the declaration of the system",
                )
            if term.name not in functions:
                raise ConfigError(f"no function for knowledge term '{term.name}'{nearest(term.name, functions)}")
        return cls(system, terms, weights)

    def evaluate(
        self,
        network: HierarchicalNetwork,
        outputs: Mapping[str, Tensor],
        known: Mapping[str, Tensor],
        theta: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Raw value of every term; ``known`` holds drivers (time, cell) and statics (cell,), ``outputs`` the network's,
        ``theta`` what it was told (cell,).

        A term of weight 0 that no phase weighs is evaluated without gradient. Raises :class:`ConfigError` naming a term
        whose variable is absent.
        """
        probe = KnowledgeProbe(network, outputs, known, SITES, theta or {}, self.reference)
        functions = load_object(self.system.network).knowledge
        values: dict[str, Tensor] = {}
        for term in self.terms:
            absent = [key for key in term.reads if key not in outputs and key not in known]
            if absent:
                raise ConfigError(
                    f"knowledge term '{term.name}' lacks {', '.join(absent)}", hint="give it, or drop the term"
                )
            live = self.weights[term.name] != 0 or term.name in self.phased
            with torch.set_grad_enabled(live and torch.is_grad_enabled()):
                values[term.name] = functions[term.name](probe)
        return values

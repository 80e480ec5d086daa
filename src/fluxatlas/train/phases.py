"""Strategies: how a network is trained, as lists of phases. Imports nothing heavy.

A strategy is a name for phases (:class:`fluxatlas.systems.Phase`), nothing else: a system may declare its own.
"""

from __future__ import annotations

from collections.abc import Callable

from ..config.regional import TERM as REGIONAL
from ..config.train import TrainBlock
from ..systems import Phase, Ramp, System

ADVERSARY = "adversary"
"""The term of gradient reversal, which exists where a phase weighs it."""
ANCHOR = 0.01
"""Weight of L2-SP, as published for fine-tuning (Li et al. 2018, arXiv:1802.01483)."""
REVERSED = Ramp(0.1, 0.5)
"""Weight of the reversed gradient, which rises as the classifier learns (Ganin et al. 2016, arXiv:1505.07818)."""


def phases_of(system: System, settings: TrainBlock) -> tuple[Phase, ...]:
    """The phases of ``settings.strategy``; ``declared``: those of the ``system``."""
    steps = settings.finetune_steps
    ramp = Ramp(settings.regional_weight, settings.regional_ramp)
    named: dict[str, Callable[[], tuple[Phase, ...]]] = {
        "declared": lambda: system.phases,
        "finetune": lambda: (Phase("sites", steps=steps),),
        "l2sp": lambda: (Phase("sites, near the start", steps=steps, anchor=ANCHOR),),
        "reweighted": lambda: (
            Phase("samples like the sites", steps=steps, synthetic=1.0, reweight=True),
            Phase("sites", steps=steps, rate=0.5, reweight=True),
        ),
        "adversarial": lambda: (Phase("alike", steps=steps, terms={ADVERSARY: REVERSED}),),
        "constrained": lambda: (
            Phase("sites", steps=steps),
            Phase("regions", steps=steps, rate=0.5, terms={REGIONAL: ramp}),
        ),
    }
    return named[settings.strategy]()


def phases_apart(system: System, settings: TrainBlock) -> tuple[Phase, ...]:
    """The phases that are jobs of their own, each with its checkpoint: those of two or more where weights alone are
    learnt (``train.ladder: weights``); none otherwise, where fine-tuning is one job."""
    found = phases_of(system, settings) if settings.ladder == "weights" else ()
    return found if len(found) > 1 else ()

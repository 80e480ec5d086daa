"""What every product of a run says of it: its name, its domain, whether its world is made up, what it is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import ConfigError, counted

SYNTHETIC_TITLE = "Synthetic Earth (not real)"
SYNTHETIC_NOTE = (
    "MADE UP: weather, soils, sites and truth are those of the synthetic Earth of fluxatlas, which tests the software "
    "and says nothing of the real Earth."
)
SYNTHETIC_LICENCE = "for tests and demonstrations only: not to be passed on as an estimate of the real Earth"
"""Added to the licence of a product of the synthetic Earth."""


@dataclass(frozen=True)
class About:
    """Facts of a run that its products carry; the default is for files that are made without a workflow.

    ``inputs`` are lines ``what: title. Citation``. ``constraint`` is what sums of the members' fluxes were held to in
    training (``about`` of ``train/regional/target.nc``), ``student`` says that one network imitated the members, and
    how well; the product takes both from its tiles.
    """

    run: str = "fluxatlas"
    domain: str = "domain"
    synthetic: bool = False
    inputs: tuple[str, ...] = ()
    constraint: Mapping[str, Any] | None = None
    student: str = ""

    def title(self, text: str) -> str:
        """``text`` as a title, which says so where the world is made up."""
        return f"{SYNTHETIC_TITLE}: {text}" if self.synthetic else text

    def licence(self, text: str) -> str:
        """The licence ``text`` of a product, with what a made-up world must not be used for."""
        return f"{text}; {SYNTHETIC_LICENCE}" if self.synthetic else text

    def to_json(self) -> str:
        """For a command line."""
        found = {key: value for key, value in asdict(self).items() if key not in ("constraint", "student") or value}
        return json.dumps(found, sort_keys=True, ensure_ascii=False)

    @property
    def held_to(self) -> str:
        """One sentence: what training was held to beside sites; empty where it was not."""
        found = self.constraint
        if not found:
            return ""
        held = "; ".join(f"{name} {', '.join(map(str, years))}" for name, years in found["held_out"].items())
        return (
            f"In training its sums over {counted(len(found['regions']), 'region')} and months ({found['years']}) "
            f"were held to those of {counted(len(found['inversions']), 'inversion')} as {found['flux_name']} "
            f"(preset {found['target_kind']}: {found['flux_meaning']}), {found['flux_sign']}; "
            f"region-years held out: {held or 'none'}."
        )

    @property
    def remarks(self) -> str:
        """Sentences on how the networks came about, for a summary; empty where there is nothing to say."""
        return " ".join(text for text in (self.held_to, self.student) if text)

    @classmethod
    def from_json(cls, text: str) -> About:
        """The opposite of :meth:`to_json`; raises :class:`ConfigError` for text that is not of this form."""
        try:
            found = json.loads(text)
            return cls(**{**found, "inputs": tuple(found.get("inputs", ()))})
        except (ValueError, TypeError, AttributeError) as problem:
            hint = "give what the workflow gives: run, domain, synthetic, inputs"
            raise ConfigError(f"cannot be read ({problem})", where="--about", hint=hint) from None

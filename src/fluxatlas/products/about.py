"""What every product of a run says of it: its name, its domain, whether its world is made up, what it is made of."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ..errors import ConfigError

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

    ``inputs`` are lines ``what: title. Citation``.
    """

    run: str = "fluxatlas"
    domain: str = "domain"
    synthetic: bool = False
    inputs: tuple[str, ...] = ()

    def title(self, text: str) -> str:
        """``text`` as a title, which says so where the world is made up."""
        return f"{SYNTHETIC_TITLE}: {text}" if self.synthetic else text

    def licence(self, text: str) -> str:
        """The licence ``text`` of a product, with what a made-up world must not be used for."""
        return f"{text}; {SYNTHETIC_LICENCE}" if self.synthetic else text

    def to_json(self) -> str:
        """For a command line."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> About:
        """The opposite of :meth:`to_json`; raises :class:`ConfigError` for text that is not of this form."""
        try:
            found = json.loads(text)
            return cls(**{**found, "inputs": tuple(found.get("inputs", ()))})
        except (ValueError, TypeError, AttributeError) as problem:
            hint = "give what the workflow gives: run, domain, synthetic, inputs"
            raise ConfigError(f"cannot be read ({problem})", where="--about", hint=hint) from None

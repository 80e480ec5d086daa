"""The settings that a rule hands to ``fluxatlas ingest forcing``."""

from __future__ import annotations

from pydantic import ValidationError

from ..config.base import problems
from ..config.forcing import ForcingBlock
from ..errors import ConfigError


def parse_settings(text: str) -> ForcingBlock:
    """The block ``forcing`` from JSON; raises :class:`ConfigError` that lists every problem."""
    try:
        return ForcingBlock.model_validate_json(text)
    except ValidationError as problem:
        lines = "".join(f"\n  - {line}" for line in problems(problem))
        raise ConfigError(
            f"the settings are wrong:{lines}", where="--settings", hint="see docs/configuration.md"
        ) from None

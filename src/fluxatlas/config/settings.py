"""Reading the settings a command is given as JSON."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError

from ..errors import ConfigError
from .base import Block, problems

B = TypeVar("B", bound=Block)


def read_settings(block: type[B], text: str, **overrides: Any) -> B:
    """A ``block`` from its JSON ``text`` with ``overrides`` on top; raises :class:`ConfigError`."""
    hint = "see docs/configuration.md for the keys of this block"
    try:
        given = json.loads(text)
    except json.JSONDecodeError as problem:
        raise ConfigError(f"the settings are not JSON: {problem}", where="--settings", hint=hint) from None
    try:
        return block.model_validate({**given, **overrides} if isinstance(given, dict) else given)
    except ValidationError as problem:
        lines = "".join(f"\n  - {line}" for line in problems(problem))
        raise ConfigError(f"the settings are wrong:{lines}", where="--settings", hint=hint) from None

"""The block ``synthetic_earth`` of the configuration: the embedded default's made-up world."""

from __future__ import annotations

from .base import Block


class SyntheticEarthBlock(Block):
    """Settings of the synthetic Earth; read only where ``forcing.source`` is ``synthetic_earth``."""

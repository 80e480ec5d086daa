"""The block ``synthesize`` of the configuration."""

from __future__ import annotations

from .base import Block


class SynthesizeBlock(Block):
    """Settings of the stage ``synthesize``."""

"""The block ``forcing`` of the configuration."""

from __future__ import annotations

from .base import Block


class ForcingBlock(Block):
    """What the run reads: forcing."""

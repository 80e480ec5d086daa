"""The block ``static`` of the configuration."""

from __future__ import annotations

from .base import Block


class StaticBlock(Block):
    """What the run reads: static."""

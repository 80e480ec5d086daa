"""The block ``evaluate`` of the configuration."""

from __future__ import annotations

from .base import Block


class EvaluateBlock(Block):
    """Settings of the stage ``evaluate``."""

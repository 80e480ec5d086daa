"""The block ``infer`` of the configuration."""

from __future__ import annotations

from .base import Block


class InferBlock(Block):
    """Settings of the stage ``infer``."""

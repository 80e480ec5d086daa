"""The block ``train`` of the configuration."""

from __future__ import annotations

from .base import Block


class TrainBlock(Block):
    """Settings of the stage ``train``."""

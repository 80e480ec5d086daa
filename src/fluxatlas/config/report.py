"""The block ``report`` of the configuration."""

from __future__ import annotations

from .base import Block


class ReportBlock(Block):
    """Settings of the stage ``report``."""

"""The block ``sites`` of the configuration."""

from __future__ import annotations

from .base import Block


class SitesBlock(Block):
    """What the run reads: sites."""

"""The block ``products`` of the configuration."""

from __future__ import annotations

from .base import Block


class ProductsBlock(Block):
    """Settings of the stage ``products``."""

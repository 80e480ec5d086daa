"""The blocks ``forcing``, ``static`` and ``sites`` of the configuration: what the run reads."""

from __future__ import annotations

from .base import Block


class ForcingBlock(Block):
    """The meteorological forcing."""


class StaticBlock(Block):
    """The static layers."""


class SitesBlock(Block):
    """The sites: towers and chambers."""

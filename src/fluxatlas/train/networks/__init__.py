"""The networks: a hierarchy of recurrent sub-modules with a physical head."""

from .hierarchy import Architecture, HierarchicalNetwork

__all__ = ["Architecture", "HierarchicalNetwork"]

"""The networks: a hierarchy of recurrent sub-modules with a physical head."""

from .gru import keep_freed
from .hierarchy import Architecture, HierarchicalNetwork

__all__ = ["Architecture", "HierarchicalNetwork", "keep_freed"]

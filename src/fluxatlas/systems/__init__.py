"""The systems: one module each, a declaration of what is estimated."""

from .base import KnowledgeTerm, SlowDriver, Submodule, System, get_system

__all__ = ["KnowledgeTerm", "SlowDriver", "Submodule", "System", "get_system"]

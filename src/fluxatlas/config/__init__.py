"""The configuration: one module of pydantic models per block, refused as a whole if anything in it is wrong.

``Config`` and ``load`` are found when they are asked for: a job that needs one block does not build them all.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import Config, load

__all__ = ["Config", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import model

        return getattr(model, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

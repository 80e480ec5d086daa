"""The configuration: one module of pydantic models per block, refused as a whole if anything in it is wrong."""

from .model import Config, load

__all__ = ["Config", "load"]

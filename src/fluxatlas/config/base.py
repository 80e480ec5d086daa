"""The base of every block of the configuration: frozen, and unknown keys refused with the nearest valid one."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from ..errors import nearest


class Block(BaseModel):
    """A block of the configuration. Every field has a docstring: the default file and the docs are made from them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_key(cls, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = [key for key in data if key not in cls.model_fields]
            if unknown:
                raise ValueError(
                    "; ".join(f"unknown key '{key}'{nearest(str(key), cls.model_fields)}" for key in unknown)
                )
        return data

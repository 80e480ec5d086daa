"""The base of every block of the configuration: frozen, and unknown keys refused with the nearest valid one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from ..errors import nearest


def _folder(path: str) -> str:
    """A folder in whose names Snakemake finds no names of its own."""
    if held := sorted(set(path) & set("{}<>")):
        raise ValueError(f"the path of this folder must not hold '{held[0]}', which Snakemake reads as a wildcard")
    return path


Folder = Annotated[str, AfterValidator(_folder)]
"""The path of a folder that the workflow puts the names of its files together with."""


def _in_order(years: tuple[int, int] | None) -> tuple[int, int] | None:
    if years and years[0] > years[1]:
        raise ValueError(f"the years {years[0]} to {years[1]} run backwards")
    return years


Years = Annotated[tuple[int, int] | None, AfterValidator(_in_order)]
"""The first and the last year, or none."""


class Block(BaseModel):
    """A block of the configuration. Every field has a docstring: the default file and the docs are made from them."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)
    moved: ClassVar[Mapping[str, str]] = {}
    """Keys that this block once had, and where they are now."""
    jobs: ClassVar[tuple[str, ...]] = ()
    """The jobs (rules of the workflow) that read its leaves, where a leaf does not name its own; see ``leaves``."""

    def given(self, *names: str) -> list[str]:
        """Those of the fields ``names`` that are not left at their default."""
        fields = type(self).model_fields
        return [name for name in names if getattr(self, name) != fields[name].get_default(call_default_factory=True)]

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_not_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse yes, no, on and off where they would count as 1 and 0 without a word."""
        truths = list(_truths(value))
        if truths and not _takes_truth(cls.model_fields[info.field_name or ""].annotation):
            said = str(truths[0]).lower()
            raise ValueError(
                f"YAML reads this as '{said}' (yes, no, on, off): write a number, or quote it if it is text"
            )
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_nearest_key(cls, data: Any, handler: Callable[[Any], Any]) -> Any:
        """Report unknown keys with the nearest valid one, together with whatever else is wrong in the block."""
        unknown = [key for key in data if key not in cls.model_fields] if isinstance(data, dict) else []
        if not unknown:
            return handler(data)
        errors = [_unknown_key(str(key), data[key], cls) for key in unknown]
        try:
            handler({key: value for key, value in data.items() if key in cls.model_fields})
        except ValidationError as problem:
            errors += [
                InitErrorDetails(
                    type=PydanticCustomError("known_key", "{text}", {"text": _text(e)}), loc=e["loc"], input=e["input"]
                )
                for e in problem.errors()
            ]
        raise ValidationError.from_exception_data(cls.__name__, errors)


def _truths(value: Any) -> Iterator[bool]:
    """Every true and false in a value, lists and tables looked through."""
    if isinstance(value, bool):
        yield value
    elif isinstance(value, list | tuple | Mapping):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _truths(part)


def _takes_truth(annotation: Any) -> bool:
    """Whether a field may hold true or false, or a block that judges its own fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return True
    return annotation in (bool, Any) or any(_takes_truth(part) for part in get_args(annotation))


def _reason(text: str) -> str:
    if len(text.strip()) < SHORTEST_REASON:
        raise ValueError(
            f"a reason has {SHORTEST_REASON} letters or more, so that it can be understood later: '{text}'"
        )
    return text


SHORTEST_REASON = 10
"""Letters that a reason has at least."""
Reason = Annotated[str, AfterValidator(_reason)]
"""Why something is not what a file says or a rule asks for."""


class UnitOverride(Block):
    """The true unit of a variable or column that the file labels wrongly or not at all."""

    moved: ClassVar[Mapping[str, str]] = {"unit": "units"}
    units: str = Field(min_length=1)
    """The unit that the values really have."""
    reason: Reason
    """Why it is not that of the file, in ten letters or more; it is kept in what is made from it."""


def _unknown_key(key: str, value: Any, block: type[Block]) -> InitErrorDetails:
    text = f"this key is now '{block.moved[key]}'" if key in block.moved else ""
    text = text or f"unknown key{nearest(key, block.model_fields)}"
    message = PydanticCustomError("unknown_key", "{text}", {"text": text})
    return InitErrorDetails(type=message, loc=(key,), input=value)


def _text(error: Any) -> str:
    """One line of a validation error: what is wrong and, for a plain value, what was given."""
    text = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return "this key is required"
    given = error.get("input")
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"a block of keys is needed, 'key: value' lines or {{key: value, ...}} (given: {given!r})"
    if error["type"] in ("value_error", "unknown_key", "known_key") or isinstance(given, dict):
        return text
    return f"{text} (given: {given!r})"


def problems(error: ValidationError) -> list[str]:
    """Every problem of a validation error, one ``key: what is wrong`` each."""
    return [f"{'.'.join(str(part) for part in e['loc']) or 'top level'}: {_text(e)}" for e in error.errors()]

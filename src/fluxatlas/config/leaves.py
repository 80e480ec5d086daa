"""What each leaf of the configuration changes and which jobs read it: stated once, where the leaf is declared.

A block names the jobs (rules of the workflow) that read it as ``jobs``; a leaf that differs says so by
``Field(json_schema_extra=leaf(...))``. A rule is handed the leaves of its own job and no others (:func:`handed`);
of these, only the ones that change its result are compared with the last run (:func:`recorded`).
"""

from __future__ import annotations

import json
from typing import Any, Literal

from .base import Block

Changes = Literal["result", "speed", "inputs"]
"""``result``: another value can change what the job makes, so the job is stale. ``speed``: how the job runs or packs
its working files; nothing becomes stale. ``inputs``: which files are read or made, which Snakemake sees for itself."""


def leaf(*jobs: str, changes: Changes = "result", why: str = "") -> dict[str, Any]:
    """What a leaf changes and which ``jobs`` read it (left out: those of its block); ``why`` there are none."""
    return {"changes": changes, **({"jobs": list(jobs)} if jobs or why else {}), **({"why": why} if why else {})}


def _extra(block: type[Block], name: str) -> dict[str, Any]:
    extra = block.model_fields[name].json_schema_extra
    return extra if isinstance(extra, dict) else {}


def changes(block: type[Block], name: str) -> Changes:
    """What the leaf ``name`` of ``block`` changes."""
    return _extra(block, name).get("changes", "result")


def jobs(block: type[Block], name: str) -> tuple[str, ...]:
    """The jobs that read the leaf ``name`` of ``block``."""
    return tuple(_extra(block, name).get("jobs", block.jobs))


def why(block: type[Block], name: str) -> str:
    """Why no job reads the leaf ``name`` of ``block``; empty where one does."""
    return str(_extra(block, name).get("why", ""))


def names(block: type[Block], job: str, *, changing: Changes | None = None) -> set[str]:
    """The leaves of ``block`` that ``job`` reads, or those of them that change what is named."""
    fields = (name for name in block.model_fields if job in jobs(block, name))
    return {name for name in fields if changing in (None, changes(block, name))}


def handed(block: Block, job: str) -> dict[str, Any]:
    """The leaves of ``block`` that ``job`` reads, ready for JSON."""
    return block.model_dump(mode="json", include=names(type(block), job))


def recorded(block: Block, job: str) -> dict[str, Any]:
    """The leaves of :func:`handed` that change the result of ``job``, to any depth."""
    kept = names(type(block), job, changing="result")
    return {key: _of_result(getattr(block, key), plain) for key, plain in handed(block, job).items() if key in kept}


def _of_result(value: Any, plain: Any) -> Any:
    """``plain``, the JSON form of ``value``, without leaves of nested blocks that change no result."""
    if isinstance(value, Block):
        held = {key for key in plain if changes(type(value), key) == "result"}
        return {key: _of_result(getattr(value, key), part) for key, part in plain.items() if key in held}
    if isinstance(value, dict):
        return {key: _of_result(part, plain[key]) for part, key in zip(value.values(), plain, strict=True)}
    if isinstance(value, list | tuple):
        return [_of_result(part, form) for part, form in zip(value, plain, strict=True)]
    return plain


class Settings(str):
    """Leaves for a command line as JSON; its ``repr``, which Snakemake records and compares, holds less.

    Snakemake runs a job again where the ``repr`` of a parameter differs from the recorded one. This one is the name of
    the block and the leaves that change the result.
    """

    compared: str

    def __new__(cls, block: str, handed: Any, recorded: dict[str, Any]) -> Settings:
        made = super().__new__(cls, json.dumps(handed, sort_keys=True))
        made.compared = f"{block} {json.dumps(recorded, sort_keys=True)}"
        return made

    def __repr__(self) -> str:
        return self.compared

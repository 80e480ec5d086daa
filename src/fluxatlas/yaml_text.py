"""YAML read so that nothing in it is lost: YAML itself keeps the last of two equal keys, here both lines are named."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError

_MERGE = "tag:yaml.org,2002:merge"


def read_keys(path: str | Path, noun: str = "file", hint: str = "") -> dict[Any, Any]:
    """The mapping that the YAML (or JSON) file ``path`` holds; ``noun`` and ``hint`` are for messages.

    Raises :class:`ConfigError` where it cannot be read, and as :func:`parse_keys`.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as problem:
        what = f"the {noun} cannot be read ({problem.strerror})"
        raise ConfigError(what, where=str(path), hint="check the path and the rights of the file") from None
    return parse_keys(content, noun, str(path), hint)


def parse_keys(content: bytes | str, noun: str, where: str, hint: str = "") -> dict[Any, Any]:
    """The mapping that ``content`` holds; ``noun``, ``where`` and ``hint`` are for messages.

    Raises :class:`ConfigError` where it is not UTF-8, not YAML, not a mapping, or where a key comes twice at any depth.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        found = _parsed(text, where)
    except UnicodeDecodeError as problem:
        line = problem.object[: problem.start].count(b"\n") + 1
        raise ConfigError(
            f"the {noun} is not UTF-8: byte 0x{problem.object[problem.start]:02x} in line {line}",
            where=where,
            hint="save it as UTF-8, for instance with iconv -f latin1 -t utf-8",
        ) from None
    except yaml.YAMLError as problem:
        raise ConfigError(f"this is not YAML: {problem}", where=where, hint=hint) from None
    except (ValueError, OverflowError, RecursionError, AttributeError, TypeError) as problem:  # of odd scalars
        raise ConfigError(f"this is not YAML: {str(problem)[:200]}", where=where, hint=hint) from None
    if not isinstance(found, dict):
        what = "is empty" if found is None else f"holds {'a list' if isinstance(found, list) else 'text'}, not keys"
        raise ConfigError(f"the {noun} {what}", where=where, hint=hint)
    return found


def _parsed(text: str, where: str) -> Any:
    """What ``text`` holds, read as Snakemake does, but for keys that come twice."""
    if "\t" in text:
        with suppress(ValueError):  # JSON may be indented by tabs, YAML may not
            json.loads(text)
            text = text.replace("\t", " ")
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        repeated = _repeated(loader, root)
        if repeated:
            raise ConfigError(
                "\n".join(repeated), where=where, hint="keep one of them: the last one would hide the others"
            )
        return None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _repeated(loader: yaml.SafeLoader, root: yaml.Node | None) -> list[str]:
    """A line for every key that comes twice in one mapping. Keys that ``<<`` merges may be given anew."""
    found: list[tuple[int, str]] = []
    waiting, seen = [(root, "")], set[int]()
    while waiting:
        node, path = waiting.pop()
        if id(node) in seen:  # by an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            parts = [(part, f"{path}{number}.") for number, part in enumerate(node.value)]
            waiting += reversed(parts)
        elif isinstance(node, yaml.MappingNode):
            lines: dict[Any, list[int]] = {}
            waiting += [(value, f"{path}{key.value}.") for key, value in reversed(node.value)]
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                    lines.setdefault(loader.construct_object(key, deep=True), []).append(key.start_mark.line + 1)
            found += [(held[0], _words(f"{path}{key}", held)) for key, held in lines.items() if len(held) > 1]
    return [line for _, line in sorted(found)]


def _words(key: str, lines: list[int]) -> str:
    count = "twice" if len(lines) == 2 else f"{len(lines)} times"
    return f"the key '{key}' comes {count}: lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}"

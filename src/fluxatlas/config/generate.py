"""What is made from the configuration models: the annotated default file, the JSON schema and the docs page.

``fluxatlas config generate`` writes them; a test keeps them in step with the models.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from ..paths import REPOSITORY
from .base import Block
from .model import Config

DEMO: dict[str, Any] = {
    "run": {"name": "demo"},
    "system": "soil_methane_sink",
    "grid": {"name": "4km", "tile_size": 2},
    "domain": {"west": -8, "south": 36, "east": -4, "north": 40},
    "period": {"start": 2001, "end": 2002, "spinup": "previous", "spinup_years": 1},
    "forcing": {"source": "synthetic_earth"},
}
"""What the embedded default sets; every other key keeps the default of its model."""

HEADER = """\
# The embedded default of fluxatlas: a synthetic Earth that needs no download.
# Every key there is, with its default. A file of your own (snakemake --configfile my.yaml) states only what differs
# from the defaults of the models, listed in docs/configuration.md; `system`, `period`
# and `forcing` have to be given.
# Made by `fluxatlas config generate`; edit the models in src/fluxatlas/config/ instead of this file.
# yaml-language-server: $schema=schema.json
"""


def annotated_yaml(config: Config) -> str:
    """``config`` as YAML, each key below a comment with its description."""
    return HEADER + "".join(_lines(config, 0))


def _lines(block: BaseModel, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, field in type(block).model_fields.items():
        value = getattr(block, name)
        if depth == 0:
            yield "\n"
        yield from (f"{indent}# {line}\n" for line in (field.description or "").split("\n"))
        if isinstance(value, Block):
            if type(value).model_fields:
                yield f"{indent}{name}:\n"
                yield from _lines(value, depth + 1)
            else:
                yield f"{indent}{name}: {{}}\n"
        else:
            plain = block.model_dump(mode="json", include={name})[name]
            text = yaml.safe_dump(plain, sort_keys=False, default_flow_style=True, width=1000).removesuffix("...\n")
            yield f"{indent}{name}: {text.rstrip()}\n"


def schema() -> str:
    """The JSON schema (2020-12) of the configuration, for editors."""
    return (
        json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **Config.model_json_schema()}, indent=2)
        + "\n"
    )


def reference() -> str:
    """The docs page: one table per block with key, type, default and meaning."""
    head = (
        "# Configuration\n\nEvery key, made from the models by `fluxatlas config generate`. Unknown keys are refused.\n"
    )
    return head + "".join(_tables(Config, "", {}))


def _tables(model: type[BaseModel], path: str, seen: dict[type[BaseModel], str]) -> Iterator[str]:
    doc = _shown((model.__doc__ or "").strip().split("\n")[0])
    yield f"\n## {path or 'Top level'}\n\n{doc}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"
    nested: list[tuple[type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        below = [k for k in _models(kind) if k not in seen]
        for k in below:
            where = f"{path}.{name}" if path else name
            seen[k] = where
            nested.append((k, where))
        text = _shown((field.description or "").replace("\n", " ").replace("|", "\\|"))
        yield f"| `{name}` | {_type(kind)} | {_default(field)} | {text} |\n"
    for k, where in nested:
        yield from _tables(k, where, seen)


def _shown(text: str) -> str:
    """``text`` for Markdown: ``<name>`` outside of code would be taken for HTML and not be seen."""
    return re.sub(r"(`+)(.*?)\1|<", lambda found: found[0] if found[1] else "&lt;", text)


def _models(kind: Any) -> list[type[BaseModel]]:
    """The block classes that an annotation mentions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [found for part in getattr(kind, "__args__", ()) for found in _models(part)]


def _type(kind: Any) -> str:
    if _models(kind) and isinstance(kind, type):
        return "block"
    text = kind.__name__ if isinstance(kind, type) and not getattr(kind, "__args__", ()) else str(kind)
    for noise in ("typing.", "fluxatlas.config.", "NoneType"):
        text = text.replace(noise, "none" if noise == "NoneType" else "")
    return f"`{text}`".replace("|", "\\|")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    if field.default is PydanticUndefined or isinstance(field.default, BaseModel):
        made = field.default_factory() if field.default_factory else None
        return "see below" if isinstance(made, BaseModel) or made is None else f"`{json.dumps(made)}`"
    return f"`{json.dumps(field.default, default=str)}`".replace("|", "\\|")


def files() -> dict[Path, str]:
    """Every generated file of the repository with its text."""
    return {
        REPOSITORY / "config" / "config.yaml": annotated_yaml(Config.model_validate(DEMO)),
        REPOSITORY / "config" / "schema.json": schema(),
        REPOSITORY / "docs" / "configuration.md": reference(),
    }

"""What the site makes of files written for readers of the repository: pages beside ``docs/``, links out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
BESIDE = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages of the repository's root that the site shows too."""
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")

CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
"""Code, in which a ``|`` is escaped for other readers of tables and not for Python-Markdown."""


def on_config(config: Any) -> Any:
    """A folder in the navigation stands for its pages in the order of their names."""
    config.nav = _with_folders(config.nav, Path(config.docs_dir))
    return config


def _with_folders(entry: Any, docs: Path) -> Any:
    if isinstance(entry, list):
        return [_with_folders(one, docs) for one in entry]
    if isinstance(entry, Mapping):
        return {name: _with_folders(inner, docs) for name, inner in entry.items()}
    if entry.endswith("/"):
        return [path.relative_to(docs).as_posix() for path in sorted((docs / entry).glob("*.md"))]
    return entry


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the root, and notebooks as pages: their text, and their code as blocks to copy."""
    for name in BESIDE:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for notebook in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(notebook)
        files.append(File.generated(config, f"{notebook.src_uri[:-6]}.md", content=_markdown(notebook.content_string)))
    return files


def _markdown(notebook: str) -> str:
    cells = json.loads(notebook)["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    made = [
        f"```python\n{text}\n```" if cell["cell_type"] == "code" else text
        for cell, text in zip(cells, texts, strict=True)
    ]
    return "\n\n".join(made)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links of a page to other pages of the site stay, of whatever folder they are written from; links to other files
    of the repository lead there where ``repo_url`` says where it is, and are else their text."""
    here = PurePosixPath(page.file.src_uri)
    folder = PurePosixPath("") if here.name in BESIDE else "docs" / here.parent

    def link(found: re.Match[str]) -> str:
        text, target = found.groups()
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            return found[0]
        path = _normal(folder / parts.path)
        inside = path if path in BESIDE else path.removeprefix("docs/")
        inside = f"{inside[:-6]}.md" if inside.endswith(".ipynb") else inside
        if (path in BESIDE or path.startswith("docs/")) and files.get_file_from_path(inside):
            up = "../" * (len(here.parts) - 1)
            return f"[{text}]({up}{inside}{'#' + parts.fragment if parts.fragment else ''})"
        if not (ROOT / path).exists():
            return found[0]  # MkDocs says what is wrong with it
        return f"[{text}]({config.repo_url}/{path})" if config.repo_url else text

    blocks = CODE.split(markdown)
    return "".join(block.replace("\\|", "|") if CODE.fullmatch(block) else LINK.sub(link, block) for block in blocks)


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts[-1:] = []
        else:
            parts.append(part)
    return "/".join(parts)

"""The site of the documentation: it builds with warnings as errors, needs no other host, and quotes what is said."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fluxatlas.paths import REPOSITORY
from fluxatlas.report.catalogue import FIGURES

ASSET = re.compile(r"""<(?:script|img|iframe|source|video|audio)\b[^>]*?\bsrc=["']?([^"'\s>]+)""")
STYLE = re.compile(
    r"""<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon|manifest))[^>]*?\bhref=["']?([^"'\s>]+)"""
)
WITHIN = re.compile(r"""(?:url\(|@import\s)\s*["']?([^"')\s]+)""")
FAQ = re.compile(r"^### `(.+)`$", re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return folder


def _external(text: str, *patterns: re.Pattern[str]) -> list[str]:
    return [found for pattern in patterns for found in pattern.findall(text) if re.match(r"(https?:)?//", found)]


def test_no_page_takes_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not _external(text, ASSET, STYLE, WITHIN), page
        assert 'class="mermaid"' not in text, f"{page}: the theme would take mermaid from another host"
    for sheet in site.rglob("*.css"):
        assert not _external(sheet.read_text(encoding="utf-8"), WITHIN), sheet


def test_what_would_be_taken_from_elsewhere_is_found() -> None:
    page = (
        '<link rel="stylesheet" href="https://a.example/x.css"><script defer src="//b.example/y.js"></script>'
        "<style>@import 'https://c.example/z.css'; p { background: url(https://d.example/w.png) }</style>"
        '<a href="https://e.example/">a link is not taken</a><img src=/images/own.png>'
    )
    hosts = {found.split("/")[2] for found in _external(page, ASSET, STYLE, WITHIN)}
    assert hosts == {"a.example", "b.example", "c.example", "d.example"}


def test_the_site_has_the_api_the_notebook_and_the_pages_of_the_root(site: Path) -> None:
    api = (site / "api.html").read_text(encoding="utf-8")
    for name in ("open_run", "RunResults.at", "RunResults.daily", "FluxAtlasError"):
        assert f'id="fluxatlas.{"errors" if name.endswith("Error") else "results"}.{name}"' in api
    assert ":class:" not in api
    assert "open_run" in (site / "notebooks" / "open_run.html").read_text(encoding="utf-8")
    contributing = (site / "CONTRIBUTING.html").read_text(encoding="utf-8")
    assert "Add a system" in contributing and (site / "CHANGELOG.html").exists()
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="CONTRIBUTING.html"' in index
    keys = (site / "configuration.html").read_text(encoding="utf-8")
    assert "results go to &lt;results&gt;/&lt;name&gt;" in keys and "<code>int | None</code>" in keys


def test_the_gallery_has_every_figure_and_its_pictures_are_small() -> None:
    """``region_months`` alone is not drawn by the demo, which is held to no inversion."""
    page = (REPOSITORY / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(images/gallery/(\w+)\.png\)", page))
    assert set(FIGURES) - shown == {"region_months"}
    pictures = list((REPOSITORY / "docs" / "images").rglob("*.png"))
    sizes = {path.name: path.stat().st_size for path in pictures if path.parent.name in ("gallery", "explore")}
    assert sizes and max(sizes.values()) < 150_000 and sum(sizes.values()) < 1_500_000


def _pages() -> list[Path]:
    return [REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.name)
def test_lists_and_tables_are_shown_as_such_by_both_kinds_of_markdown(page: Path) -> None:
    """Python-Markdown wants an empty line before a list or table that follows a paragraph, and four spaces to nest."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    item, before = re.compile(r"(-|\*|\d+\.) "), ""
    for line in text.splitlines():
        in_list = item.match(before) or before.startswith(" ")
        assert not (item.match(line) and before.strip() and not in_list and not before.startswith("#")), line
        assert not (line.startswith("|") and before.strip() and not before.startswith(("|", "#"))), line
        assert not re.match(r" {1,3}(-|\*|\d+\.) ", line), f"nested by less than four spaces: {line}"
        before = line


def _said(openings: list[str]) -> Iterator[str]:
    """Every text in the modules that hold one of ``openings``, with … for what is filled in."""
    for path in (REPOSITORY / "src" / "fluxatlas").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)) if any(opening in text for opening in openings) else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
            elif isinstance(node, ast.JoinedStr):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)


def test_every_message_that_the_faq_quotes_is_one_that_fluxatlas_says() -> None:
    quoted = FAQ.findall((REPOSITORY / "docs" / "faq.md").read_text(encoding="utf-8"))
    assert len(quoted) > 25
    longest = [max(message.split("…"), key=len) for message in quoted]
    said = "\n".join(_said([piece[:16] for piece in longest]))
    assert not [message for message in quoted if message not in said]

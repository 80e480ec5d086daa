"""Snakemake's own report, made to open on the page of numbers instead of the graph of its rules."""

from __future__ import annotations

from pathlib import Path

from ..files import write_text

SCRIPT = """
<script>
(function () {
  const found = Object.keys(results).find((path) => path.endsWith("/%s"));
  function open() {
    if (typeof app === "undefined" || !app) { setTimeout(open, 50); return; }
    setTimeout(() => app.setView({content: "html", contentPath: results[found].data_uri}), 100);
  }
  if (found) { open(); }
})();
</script>
"""
"""Does what a click on the result does; where Snakemake changes its page, it opens as it always did."""


def open_on(page: str | Path, name: str) -> None:
    """Let Snakemake's report ``page`` open on its result called ``name``; a page of another form stays as it is."""
    text = Path(page).read_text(encoding="utf-8")
    head, end, tail = text.rpartition("</body>")
    if end:
        write_text(page, f"{head}{SCRIPT % name}{end}{tail}")

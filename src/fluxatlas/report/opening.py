"""Snakemake's own report, made to open on the page of numbers instead of the graph of its rules."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ..config.model import Config
from ..errors import FluxAtlasError
from ..files import scratch, write_text
from ..paths import SNAKEFILE

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


def write_page(output: str | Path, config: Config) -> None:
    """Write Snakemake's report of the run of ``config``, whose other jobs have finished, to ``output``.

    The folder of work is not locked: the run that asks for this page holds the lock. Raises :class:`FluxAtlasError`
    with what Snakemake says where there is no report.
    """
    with scratch(output) as folder:
        page, settings = folder / "report.html", folder / "config.yaml"
        settings.write_text(json.dumps(config.model_dump(mode="json")), encoding="utf-8")  # JSON is YAML
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(SNAKEFILE), "--configfile", str(settings)]
        command += ["--executor", "local", "--cores", "1", "--nolock", "--quiet", "--report", str(page)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not page.exists():
            said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
            raise FluxAtlasError(f"Snakemake made no report of the run:\n{said}", where=str(output))
        open_on(page, "summary.html")
        page.replace(output)

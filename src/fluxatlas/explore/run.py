"""What ``fluxatlas explore`` does."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from ..files import refuse_others
from . import site
from .serve import server


def explore(run: Path, output: Path | None, port: int, drivers: bool = True) -> None:
    """Bring the page of ``run`` up to date, then copy it to ``output`` if that is given, else serve it until Ctrl-C.

    ``drivers``: whether the page gives them beside the series. Raises :class:`~fluxatlas.errors.FluxAtlasError` kinds
    for a run without product, a folder with other files and a port that is taken, before anything is written.
    """
    if output:
        refuse_others(output, site.MANIFEST)
    waiting = None if output else server(run / "explore", port)
    try:
        began = time.monotonic()
        folder, made = site.make(run, drivers)
        words = f"store made in {time.monotonic() - began:.0f} s" if made else "store is up to date"
        print(f"{folder}: {words}", file=sys.stderr)
        if why := json.loads((folder / site.MANIFEST).read_text()).get("no_drivers"):
            print(f"drivers are left out: {why}", file=sys.stderr)
        if output:
            size = site.export(folder, output)
            print(f"wrote {output} ({size / 1e6:.1f} MB): put it on any web server and open its index.html there")
        elif waiting:
            print(f"open {waiting.address} in a browser; Ctrl-C ends it", flush=True)
            waiting.serve_forever()
    except KeyboardInterrupt:
        print(file=sys.stderr)
    finally:
        if waiting:
            waiting.server_close()

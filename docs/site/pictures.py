"""Make the pictures of the documentation from finished runs: ``make pictures``, after ``make demo``.

``pictures.py results/demo`` takes every figure of the report, draws the picture of the README, and looks at ``fluxatlas
explore`` in a headless Chromium;
``pictures.py --system NAME RUN`` takes the map of the run of another system's example.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import chromium  # noqa: E402
from fluxatlas import open_run  # noqa: E402
from fluxatlas.config.report import ReportBlock  # noqa: E402
from fluxatlas.explore.serve import server  # noqa: E402
from fluxatlas.explore.site import make  # noqa: E402
from fluxatlas.report.catalogue import FIGURES, Inputs  # noqa: E402
from fluxatlas.report.figures import write_figure  # noqa: E402

IMAGES = ROOT / "docs" / "images"
MOST_BYTES = 100_000
VIEWS = {
    "map": ("#v=fch4&p=year&t=2002", (1200, 760), False),
    "series": ("#v=fch4&p=day&t=2002-08-15&at=38.2,-6.1&m=37.7,-6,6.3", (1200, 760), False),
    "member": ("#v=fch4&s=m1&p=year&t=2002&at=38.2,-6.1&m=37.7,-6,6.3&w=pr", (1200, 760), False),
    "overlay": ("#v=fch4&p=year&t=2002&ov=applicable&m=38.9,-5.1,8.5", (900, 600), False),
    "difference": ("#v=fch4&p=month&t=2002-08&d=2002-02", (1200, 760), False),
    "phone": ("#v=fch4&p=year&t=2002&at=38.2,-6.1", (390, 844), True),
}
"""Pictures of the page: its address, the size of the window, whether it is a phone."""


def small(picture: Image.Image, path: Path, widest: int) -> None:
    """Write ``picture`` as PNG with a palette, no wider than ``widest`` and no larger than ``MOST_BYTES``."""
    picture = picture.convert("RGB")
    for width, colours in (
        (widest, 256),
        (widest, 128),
        (widest * 4 // 5, 128),
        (widest * 2 // 3, 128),
        (widest // 2, 64),
    ):
        if picture.width > width:
            picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.quantize(colours, kmeans=1, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    print(f"{path.relative_to(ROOT)}: {buffer.tell() / 1000:.0f} kB")


def figures(run: Path) -> None:
    """All figures of the report of ``run``."""
    for name in FIGURES:
        path = run / "report" / "figures" / f"{name}.png"
        if path.exists():
            small(Image.open(path), IMAGES / "gallery" / f"{name}.png", 800)


def at_a_glance(run: Path) -> None:
    """The picture of ``run`` for README and start page."""
    inputs = Inputs(
        system=open_run(run).system.key,
        flux=sorted(run.glob("infer/[NS]*/????.nc")),
        attributes=sorted(run.glob("regrid/attributes/*.nc")),
        truth=[run / "evaluate" / "truth.nc"],
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "overview.png"
        write_figure("overview", inputs, path, ReportBlock(dpi=222))
        small(Image.open(path), IMAGES / "demo.png", 1600)


def explored(run: Path) -> None:
    """The page of ``run`` in the browser."""
    folder, _ = make(run)
    served = server(folder, 0)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = chromium.Browser(Path(profile))
        try:
            for name, (view, (width, height), mobile) in VIEWS.items():
                browser.size(width, height, mobile)
                browser.open(served.address + view)
                browser.evaluate("window.fluxatlas.drawn")
                if "at=" in view:
                    browser.wait("window.fluxatlas.panel.series")
                    browser.evaluate("window.fluxatlas.panel.loaded")
                browser.evaluate("new Promise((done) => setTimeout(done, 1500))")
                small(Image.open(io.BytesIO(browser.picture())), IMAGES / "explore" / f"{name}.png", 960)
                if browser.messages:
                    raise SystemExit(f"{name}: {browser.messages}")
        finally:
            browser.close()
    served.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--system", default="", help="name of the picture of the map; nothing else is made")
    given = parser.parse_args()
    if given.system:
        small(Image.open(given.run / "report/figures/flux_map.png"), IMAGES / "gallery" / f"{given.system}.png", 700)
        return
    figures(given.run)
    at_a_glance(given.run)
    explored(given.run)


if __name__ == "__main__":
    main()

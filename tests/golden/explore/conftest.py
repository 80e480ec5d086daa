"""The run that is explored, its page, its address, and a browser that has it open."""

import threading
from contextlib import ExitStack

import pytest

import chromium
import infer_world
from explore_run import SYSTEM, YEAR, keep_members
from fluxatlas.explore import pyramid, site, store
from fluxatlas.explore.serve import server
from fluxatlas.products.budget import write_budget
from fluxatlas.products.cog import write_maps
from fluxatlas.products.daily import write_daily
from fluxatlas.systems import get_system
from stage_files import make_world


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of 40 x 40 cells with its product, budget and two sites, one of which was not trained on."""
    folder = tmp_path_factory.mktemp("explore") / "toy"
    world = make_world(folder, years=(YEAR,))
    for name in ("fch4", "tsl05"):
        path = folder / "products" / "daily" / f"{name}_{YEAR}.nc"
        write_daily(path, name, YEAR, world.flux, world.attributes, system=SYSTEM)
        write_maps(path, name, YEAR, folder / "products" / "cog")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(infer_world, "SOURCE_STEP", 2.0)  # weather is coarser than the cells, as in a real run
        for tile in world.tiles:
            path = folder / "ingest" / "forcing" / tile.name / f"{YEAR}.nc"
            path.parent.mkdir(parents=True)
            infer_world.write_piece(path, tile, YEAR)
    for path in world.flux:
        keep_members(path)
    write_budget(folder / "products" / "budget.csv", world.flux, world.attributes, system=get_system(SYSTEM))
    (folder / "ingest" / "sites").mkdir(parents=True)
    rows = ["site,lat,lon,kind,use", "A-near,40.1,-120.2,tower,train", "B-far,45,-115,chamber,train"]
    (folder / "ingest" / "sites" / "sites.csv").write_text("\n".join([*rows, "C-not,40.1,-120.1,,evaluate", ""]))
    return folder


@pytest.fixture(scope="module")
def page(run):
    """The folder of the page, with files of 32 cells, so that there are several and two levels, and coarse coasts."""
    coasts = store.coasts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "coasts", lambda lattice: [(name, box, 2) for name, box, _ in coasts(lattice)])
        patch.setattr(pyramid, "SIDE", 32)
        patch.setattr(store, "CHUNKS", {step: (chunk[0], 16, 16) for step, chunk in store.CHUNKS.items()})
        folder, made = site.make(run)
    assert made
    return folder


@pytest.fixture(scope="module")
def address(page):
    served = server(page, 0)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served.address
    served.shutdown()
    served.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory, address):
    if not chromium.executable():
        pytest.skip("no Chromium on this machine: run tests/install_tools.sh as root")
    with ExitStack() as stack:
        opened = chromium.Browser(tmp_path_factory.mktemp("browser"))
        stack.callback(opened.close)
        opened.open(address)
        yield opened

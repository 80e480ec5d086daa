"""Whatever the bytes of a file are, the sites stage makes tables that obey the contract or raises one FluxAtlasError.

Valid files of every layout are damaged in a few places: cells, columns, rows, bytes, encodings, line ends. The suite
runs a few dozen cases per reader; ``FLUXATLAS_FUZZ_CASES=20000`` runs more (results: benchmarks/results/fuzz.md).
"""

import contextlib
import io
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from damage import DAMAGES, cases, damage, damaged
from fluxatlas.errors import FluxAtlasError
from fluxatlas.ingest.sites import badm
from fluxatlas.ingest.sites.quick import quick_table
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.units import methane_factor
from fluxatlas.paths import RESOURCES
from fluxatlas.regrid.cover import read_legend
from site_contract import block, obeys, tables
from site_layouts import BIF, Layout, layouts, workbook

CASES = cases(30)
LAYOUTS = layouts()


def attempt(layout: Layout) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layout.write(folder)
        made = block(layout, folder)
        try:
            found = tables(made, Ledger())
        except FluxAtlasError as problem:
            assert problem.what and problem.where and problem.hint
        else:
            obeys(found, made)


@pytest.mark.parametrize("name", [name for name, layout in LAYOUTS.items() if not layout.packed])
def test_text(name: str) -> None:
    layout = LAYOUTS[name]

    @CASES
    @given(DAMAGES)
    def any_damage(damages: list[tuple[str, int, int]]) -> None:
        data = damaged(layout.files[layout.target], damages, layout.separator)
        attempt(layout.with_text(data))

    any_damage()


@pytest.mark.parametrize("name", ["fluxnet-zip", "ameriflux-zip", "ismn-zip"])
def test_zips(name: str) -> None:
    """Bytes of an archive, or of the text in it, changed or cut off."""
    layout = LAYOUTS[name]

    @CASES
    @given(DAMAGES, st.integers(0, 7))
    def any_damage(damages: list[tuple[str, int, int]], member: int) -> None:
        data = layout.files[layout.target]
        stream = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
            for i, part in enumerate(old.namelist()):
                text = old.read(part)
                for kind, a, b in damages if i == member else ():
                    text = damage(text, kind, a, b, ",")
                new.writestr(part, text)
        data = stream.getvalue()
        for kind, a, b in damages if member >= len(old.namelist()) else ():
            data = damage(data, kind if kind in ("bytes", "cut", "splice") else "bytes", a, b, ",")
        attempt(layout.with_text(data))

    any_damage()


@CASES
@given(DAMAGES, st.booleans())
def test_badm_workbook(damages: list[tuple[str, int, int]], inside: bool) -> None:
    data = workbook(BIF)
    if inside:
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            parts = {part: book.read(part) for part in book.namelist()}
        name = "xl/worksheets/sheet1.xml"
        sheet = parts[name]
        for kind, a, b in damages:
            sheet = damage(sheet, kind, a, b, "<")
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as book:
            for part, content in (parts | {name: sheet}).items():
                book.writestr(part, content)
        data = stream.getvalue()
    for kind, a, b in () if inside else damages:
        data = damage(data, kind if kind in ("bytes", "cut", "splice") else "bytes", a, b, ",")
    with contextlib.suppress(FluxAtlasError):
        for facts in badm.site_facts(data, "book.xlsx").values():
            assert all(abs(facts.get(name, 0)) < float("inf") for name in ("lat", "lon", "elevation", "utc_offset"))


@CASES
@given(st.sampled_from(["fluxnet-HH", "ameriflux", "fluxnet-DD"]), DAMAGES)
def test_the_compiled_pass(name: str, damages: list[tuple[str, int, int]]) -> None:
    content = damaged(LAYOUTS[name].files[LAYOUTS[name].target], damages, ",")
    found = quick_table(content, ("TIMESTAMP", "TIMESTAMP_START"), lambda column: column.startswith("T"))
    assert found is None or (found[0].index.is_monotonic_increasing and found[0].index.is_unique)


@CASES
@given(DAMAGES)
def test_legend(damages: list[tuple[str, int, int]]) -> None:
    data = damaged((RESOURCES / "landcover_modis_igbp.csv").read_bytes(), damages, ",")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "legend.csv"
        path.write_bytes(data)
        with contextlib.suppress(FluxAtlasError):
            for found in read_legend(str(path)).values():
                assert all(0 <= share <= 1 for share in (found.upland, found.crop, found.wetland))


@CASES
@given(st.text(max_size=30), st.sampled_from(["", "mg CH4 m-2 d-1", "nmol m-2 s-1"]))
def test_units(noise: str, unit: str) -> None:
    with contextlib.suppress(FluxAtlasError):
        assert methane_factor(unit + noise) > 0

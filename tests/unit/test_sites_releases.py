"""Two versions of a file of a site, in every layout: refused with the names of both, by ingest and inspect alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import site_layouts
from fluxatlas.config.sites import SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites.periods import read_periods
from fluxatlas.ingest.sites.records import Ledger
from fluxatlas.ingest.sites.table import read_sites
from fluxatlas.inspect.commands import run

LAYOUTS = site_layouts.layouts()
OTHER = (
    "chambers",  # of dates alone: measurements of one day, of which there may be several
    "bif-depths", "metadata", "attributes", "ismn-static", "cosore-description", "cosore-ports",  # no series
)  # fmt: skip
NAMES = sorted(name for name, layout in LAYOUTS.items() if name not in OTHER and not layout.packed)


def _other(layout: site_layouts.Layout) -> site_layouts.Layout:
    """The same file with other values."""
    if layout.target.endswith((".nc", ".RDS", ".rds")):
        return layout  # another version of it is a file of the same site all the same

    def changed(rows: list[list[str]]) -> list[list[str]]:
        for row in rows:
            try:
                row[layout.value] = f"{1.25 * float(row[layout.value]) + 0.01:g}"
            except (ValueError, IndexError):
                continue
        return rows

    return layout.with_cells(changed)


def _entry(layout: site_layouts.Layout, folder: Path) -> SitesBlock:
    places: dict[str, Any] = {} if layout.source == "srdb" else {"sites": site_layouts.PLACE}
    entry = {"source": layout.source, "path": [str(folder / "r1"), str(folder / "r2")], **places, **layout.entry}
    return SitesBlock.model_validate({"entries": [entry], "qc": site_layouts.LOOSE, "min_days": 1})


@pytest.mark.parametrize("name", NAMES)
def test_two_versions_of_a_file_are_refused_with_their_names(name: str, tmp_path: Path, capsys) -> None:
    layout = LAYOUTS[name]
    layout.write(tmp_path / "r1")
    _other(layout).write(tmp_path / "r2")
    block = _entry(layout, tmp_path)
    with pytest.raises(InputError) as caught:
        read_sites(block, Ledger())
        read_periods(block, Ledger())
    said = str(caught.value)
    assert "r1" in said and "r2" in said, said
    run([tmp_path], plot=None, as_json=False, everything=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert name == "bif-facts" or f"({layout.source}): cannot be used together: " in shown


@pytest.mark.parametrize("name", ["ismn-ceop", "ismn-header", "rsofun", "srdb", "voigt-tab", "fluxnet-DD"])
def test_the_same_file_twice_counts_once(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    for part in ("r1", "r2"):
        layout.write(tmp_path / part)
    block = _entry(layout, tmp_path)
    alone = block.model_copy(update={"entries": [block.entries[0].model_copy(update={"path": [str(tmp_path / "r1")]})]})
    for read in (read_sites, read_periods):
        found: list[Any] = [read(one, Ledger()) for one in (block, alone)]
        tables = [[part.observations for part in one] if isinstance(one, list) else [one] for one in found]
        assert [len(part) for part in tables[0]] == [len(part) for part in tables[1]]
        for both, one in zip(*tables, strict=True):
            assert both.reset_index(drop=True).equals(one.reset_index(drop=True))


def test_of_two_positions_the_one_that_the_entry_states_counts(tmp_path: Path) -> None:
    layout = LAYOUTS["bif-facts"]
    layout.write(tmp_path / "r1")
    _other(layout).write(tmp_path / "r2")
    entry = _entry(layout, tmp_path).entries[0].model_dump() | {"sites": site_layouts.PLACE}
    (record,) = read_sites(SitesBlock.model_validate({"entries": [entry], "qc": site_layouts.LOOSE}), Ledger())
    assert (record.site["lat"], record.site["lon"]) == (50.0, 10.0)


def test_two_positions_of_a_site_without_data_are_nothing(tmp_path: Path) -> None:
    layout = LAYOUTS["bif-facts"]
    for part, lat in (("r1", "40"), ("r2", "45")):
        layout.write(tmp_path / part)
        path = tmp_path / part / layout.target
        path.write_text(path.read_text() + f"YY-Oth,3,GRP_LOCATION,LOCATION_LAT,{lat}\n")
    block = _entry(layout, tmp_path)
    assert [record.name for record in read_sites(block, Ledger())] == ["XX-Tst"]


def test_parts_of_the_record_of_a_sensor_are_one_series(tmp_path: Path) -> None:
    """Two downloads of a sensor, one after the other: before, the second was left out as another sensor."""
    layout = LAYOUTS["ismn-header"]
    for part, year in (("r1", "2017"), ("r2", "2018")):
        text = layout.text.replace("2017", year)
        target = layout.target.replace("2017", year)
        file = tmp_path / part / target
        file.parent.mkdir(parents=True)
        file.write_text(text)
    block = _entry(layout, tmp_path)
    (record,) = read_sites(block, Ledger())
    assert sorted(record.observations["time"].dt.year.unique()) == [2017, 2018]

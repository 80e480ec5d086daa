"""Sections on learning: means over members, sites seen and unseen apart."""

import pandas as pd

from fluxatlas.report.learning import coverage_section, emulation_section, intervals_section
from fluxatlas.report.summary import _table_html, write_summary
from fluxatlas.systems import get_system

SYSTEM = get_system("soil_methane_sink")


def _emulation(r2: float) -> pd.DataFrame:
    row = {"series": 20, "r2_mean": r2 / 2, "rmse": 0.1, "bias_percent": -1.0}
    units = {"fch4": "mg m-2 d-1", "tsl05": "K"}
    return pd.DataFrame([{"variable": name, "unit": unit, "r2": r2, **row} for name, unit in units.items()])


def _intervals(member: int, seen: int, inside: list[float]) -> pd.DataFrame:
    rows = {"site": list("abcd"), "target": "fch4", "unit": "mg m-2 d-1", "n": 9, "mean_inside": inside}
    return pd.DataFrame({**rows, "member": member, "seen": seen, "days_inside": 0.8, "low": -2.0, "high": -0.5 - seen})


def test_emulation_is_the_mean_over_members_in_the_order_of_the_system() -> None:
    table = emulation_section(pd.concat([_emulation(0.9), _emulation(0.8)]), SYSTEM).table
    assert table["variable"].tolist() == ["soil temperature, 5 cm", "net CH4 flux, upward"]
    assert table["R2 of days"].tolist() == ["0.85", "0.85"] and table["bias"].tolist() == ["-1.0 %"] * 2


def test_intervals_of_sites_seen_and_unseen_stand_apart(tmp_path) -> None:
    parts = [_intervals(0, 0, [1, 1, 1, 0]), _intervals(1, 0, [1, 1, 1, 1]), _intervals(0, 1, [0, 1, 0, 1])]
    table = intervals_section(pd.concat(parts), SYSTEM).table
    assert table["sites"].tolist() == ["not seen", "seen"] and table["number"].tolist() == ["4", "4"]
    assert table["means inside"].tolist() == ["88 %", "50 %"] and table["mean width"].tolist() == ["1.50", "0.500"]
    files = []
    for number, part in enumerate(parts):
        files.append(tmp_path / f"{number}.csv")
        part.to_csv(files[-1], index=False)
    write_summary(tmp_path / "page.html", system=SYSTEM, intervals=files)
    assert "| net CH4 flux, upward | not seen | 4 | 88 % | 80 % | 1.50 |" in (tmp_path / "page.md").read_text()


def test_widths_that_hold_stand_beside_what_stated_intervals_hold() -> None:
    same = {"target": "fch4", "sites": 12, "clusters": 11, "unit": "mg m-2 d-1", "note": ""}
    known = {"inside": 0.6, "half_width": 1.25, "inside_half_width": 0.93}
    few = {"inside": float("nan"), "half_width": float("nan"), "inside_half_width": float("nan")}
    rows = [
        {"model": "trees", "what": "days", **same, **known},
        {"model": "network", "what": "days", **same, **known},
        {"model": "network", "what": "means", **same, **few, "note": "not calibratable: 3 of 9"},
    ]
    table = coverage_section(pd.DataFrame(rows), SYSTEM).table
    assert table["of"].tolist() == ["days", "means of sites"]
    assert table["stated interval holds"].tolist() == ["60 %", "none stated"]
    assert table["half width for 90 %"].tolist() == ["-/+ 1.25", "not calibratable: 3 of 9"]
    assert table["holds of clusters left out"].tolist() == ["93 %", ""]


def test_where_no_width_can_be_given_it_is_said_once() -> None:
    few = {
        "inside": 0.97,
        "half_width": float("nan"),
        "inside_half_width": float("nan"),
        "note": "not calibratable: 2 of 9",
    }
    about = {"model": "network", "sites": 6, "clusters": 2}
    rows = [
        {**about, "target": t, "what": "days", "unit": u, **few} for t, u in (("fch4", "mg m-2 d-1"), ("swc05", "1"))
    ]
    section = coverage_section(pd.DataFrame(rows), SYSTEM)
    assert section.note.endswith("Here there is none: not calibratable: 2 of 9.")
    assert list(section.table) == ["target", "of", "sites (clusters)", "stated interval holds", "unit"]
    assert section.table["unit"].tolist() == ["mg m-2 d-1", "m3 m-3"]


def test_a_bias_of_nothing_is_a_dash_and_words_stand_to_the_left(tmp_path) -> None:
    table = _emulation(0.9).assign(bias_percent=[-1.0, float("nan")])
    assert emulation_section(table, SYSTEM).table["bias"].tolist() == ["–", "-1.0 %"]
    table.to_csv(tmp_path / "0.csv", index=False)
    write_summary(tmp_path / "page.html", system=SYSTEM, emulation=[tmp_path / "0.csv"])
    page = (tmp_path / "page.html").read_text()
    assert '<td class="text unit">mg m-2 d-1</td>' in page and "<td>0.90</td>" in page
    assert "<td>nan</td><td>nan-2</td>" in _table_html(pd.DataFrame({"r": ["nan", "0.5"], "ends": ["nan-2"] * 2}))
    assert '<td class="text">soil temperature, 5 cm</td>' in page and ".unit { white-space: nowrap; }" in page

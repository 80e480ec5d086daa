"""Daily tower tables of rsofun, attributes by land cover, and what the real towers of the example are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fluxatlas.astronomy import extraterrestrial_radiation
from fluxatlas.config.sites import QcRules, SiteEntry, SitesBlock
from fluxatlas.errors import InputError
from fluxatlas.evaluate_sites import BY_COVER, _assume_by_cover
from fluxatlas.humidity import saturation_vapour_pressure, vapour_pressure
from fluxatlas.ingest.sites import rsofun, table
from fluxatlas.ingest.sites.metadata import attributes_of_cover, read_attributes
from fluxatlas.ingest.sites.records import MONTHLY_COLUMNS, Ledger
from fluxatlas.inspect.formats.sites import layout_of
from fluxatlas.inspect.probe import Probe
from fluxatlas.paths import REPOSITORY
from fluxatlas.regrid.sites import _attributes
from fluxatlas.run_inputs import rules_of
from fluxatlas.systems import get_system

SYSTEM = get_system("net_ecosystem_exchange")
LAT = 50.0


def tower(folder: Path, name: str = "XX-Tst", **changes: Any) -> list[str]:
    """A leap year without its 29 February; production falls below zero on the first day. None drops a column."""
    days = pd.date_range("2004-01-01", "2004-12-31")
    days = days[~((days.month == 2) & (days.day == 29))]
    dates = days.strftime("%Y-%m-%d")
    share = 0.5 + 0.3 * np.sin(2 * np.pi * (days.month - 4) / 12)
    drivers = pd.DataFrame({
        "date": dates, "temp": 12.0, "vpd": 500.0, "ppfd": 2.04e-4, "netrad": np.nan,
        "patm": 98000.0, "snow": 1e-5, "rain": 2e-5, "tmin": 4.0, "tmax": 14.0, "vwind": 3.0, "fapar": share,
        "co2": 380.0, "ccov": 40.0,
    })  # fmt: skip
    gpp, qc = np.r_[-0.5, np.full(len(days) - 1, 4.0)], np.r_[0.2, np.full(len(days) - 1, 0.9)]
    fluxes = pd.DataFrame({
        "date": dates, "gpp": gpp, "gpp_qc": 0.9, "nee": -1.0, "nee_qc": qc, "le": 50.0, "le_qc": 1.0,
    })  # fmt: skip
    drivers = drivers.assign(**{k: v for k, v in changes.items() if v is not None})
    drivers = drivers.drop(columns=[k for k, v in changes.items() if v is None])
    folder.mkdir(exist_ok=True)
    drivers.to_csv(folder / f"{name}_drivers.csv", index=False)
    fluxes.to_csv(folder / f"{name}_fluxes.csv", index=False)
    (folder / "sites.csv").write_text(f"sitename,lon,lat,elv,whc\n{name},10.0,{LAT},300,200\n")
    return [str(folder)]


def read(path: list[str], **entry: Any) -> tuple[Any, Ledger]:
    from fluxatlas.ingest.sites.inputs import entry_files

    ledger, made = Ledger(), SiteEntry.model_validate({"source": "rsofun", "path": path} | entry)
    rules = rules_of(SYSTEM, QcRules())
    (record,) = rsofun.read(entry_files(made), made, rules, ledger)
    return record, ledger


def test_weather_and_fluxes_of_a_table_are_those_of_their_definitions(tmp_path: Path) -> None:
    folder = tower(tmp_path / "t")
    for name in ("._XX-Tst_drivers.csv", "~$XX-Tst_fluxes.csv", "notes.csv"):  # no files of this layout
        (tmp_path / "t" / name).write_text("date\n")
    record, ledger = read(folder)
    frame = record.forcing
    assert len(frame) == 366 and frame.notna().all(axis=None)  # the 29th of February is there
    day = frame.loc["2004-02-29"]
    assert day["tas"] == pytest.approx(273.15 + 9) and day["pr"] == pytest.approx(3e-5)
    assert day["rsds"] == pytest.approx(100.0) and day["sfcWind"] == 3.0  # 2.04e-4 mol m-2 s-1 over 2.04 mol MJ-1
    vapour = saturation_vapour_pressure(np.array(285.15)) - 500.0
    assert vapour_pressure(day["huss"], day["ps"]) == pytest.approx(vapour, rel=1e-6)
    # FAO-56, eq. 39, by hand for the day: net longwave in MJ m-2 d-1, at an emissivity of 0.98
    sun = float(extraterrestrial_radiation(LAT, pd.DatetimeIndex(["2004-02-29"]))[0, 0])
    altitude = 44331.0 * (1 - (98000 / 101325) ** 0.1903)
    cloud = 1.35 * min(max(100 / ((0.75 + 2e-5 * altitude) * sun), 0.3), 1.0) - 0.35
    warm = 4.903e-9 * (277.15**4 + 287.15**4) / 2 * (0.34 - 0.14 * np.sqrt(vapour / 1000)) * cloud * 1e6 / 86400
    assert day["rlds"] == pytest.approx(5.670374e-8 * 282.15**4 - warm / 0.98, rel=1e-3)
    days = record.observations.pivot(index="time", columns="variable", values="value")
    assert np.isnan(days["nee"].iloc[0]) and days["gpp"].iloc[0] == -0.5  # below its QC; noise around zero stays
    assert (days["reco"].iloc[1:] == 3.0).all() and np.isnan(days["reco"].iloc[0])
    assert days["evspsbl"].iloc[0] == pytest.approx(50 / 2.5e6, rel=0.03)
    assert record.site["lat"] == LAT and record.site["elevation"] == 300
    assert record.site["lai_07"] == pytest.approx(-2 * np.log(1 - 0.8), abs=2e-3)
    assert any("not an estimate of its own" in line for line in ledger.notes["XX-Tst"])


def test_what_a_table_lacks_is_named_and_inspect_knows_the_layout(tmp_path: Path) -> None:
    record, ledger = read(tower(tmp_path / "calm", vwind=None))
    assert (record.forcing["sfcWind"] == 2.0).all()  # FAO-56, chapter 3: where nothing is known of the wind
    assert any("no wind in its drivers: 2 m s-1 is assumed" in line for line in ledger.notes["XX-Tst"])
    record, ledger = read(tower(tmp_path / "other", vwind=None, wind=4.5))  # as at CH-Dav, DK-Sor and FI-Hyy
    assert (record.forcing["sfcWind"] == 4.5).all() and not any("wind" in line for line in ledger.notes["XX-Tst"])
    record, _ = read(tower(tmp_path / "bare", fapar=None))
    assert not set(MONTHLY_COLUMNS) & set(record.site)
    with pytest.raises(InputError, match="column 'patm' is missing"):
        read(tower(tmp_path / "thin", patm=None))
    for name in ("drivers", "fluxes"):
        assert layout_of(Probe(tmp_path / "calm" / f"XX-Tst_{name}.csv")) == "rsofun"
    only = [str(tmp_path / "calm" / "XX-Tst_fluxes.csv")]
    with pytest.raises(InputError, match="no coordinates for site 'XX-Tst'"):
        read(only)
    assert read(only, sites=[{"site": "XX-Tst", "lat": 1, "lon": 2}])[0].site["lat"] == 1


def test_tables_of_one_site_with_different_columns_are_one_series(tmp_path: Path) -> None:
    whole, _ = read(tower(tmp_path / "whole"))
    tower(tmp_path / "parts")
    fluxes = pd.read_csv(tmp_path / "whole" / "XX-Tst_fluxes.csv")
    gaps = fluxes.assign(le=fluxes["le"].mask(fluxes["date"] < "2004-03-01"))
    for name, part in (("one", gaps.drop(columns=["nee", "nee_qc"])), ("two", fluxes.drop(columns="le_qc"))):
        (tmp_path / "parts" / name).mkdir()
        part.to_csv(tmp_path / "parts" / name / "XX-Tst_fluxes.csv", index=False)
    (tmp_path / "parts" / "XX-Tst_fluxes.csv").unlink()
    parts, _ = read([str(path) for path in sorted((tmp_path / "parts").rglob("*.csv"))])
    pd.testing.assert_frame_equal(parts.observations, whole.observations)
    changed = fluxes.assign(le=fluxes["le"].where(fluxes["date"] != "2004-03-05", 51.0))
    changed.to_csv(tmp_path / "parts" / "two" / "XX-Tst_fluxes.csv", index=False)
    with pytest.raises(InputError, match="contradict each other on 2004-03-05"):
        read([str(path) for path in sorted((tmp_path / "parts").rglob("*.csv"))])


def test_land_cover_fills_what_nobody_else_says(tmp_path: Path) -> None:
    covers = tmp_path / "covers.csv"
    north = [round(0.1 * month, 1) for month in range(1, 13)]
    head = ",".join(["igbp", "sand", "clay", *MONTHLY_COLUMNS])
    covers.write_text(f"# by class\n{head}\nGRA,40,20,{','.join(map(str, north))}\n")
    known = read_attributes(covers)
    assert known.index.name == "igbp" and attributes_of_cover(known, "ENF", 10.0) == {}
    south = attributes_of_cover(known, "GRA", -10.0)
    assert [south[name] for name in MONTHLY_COLUMNS] == north[6:] + north[:6]
    told = [{"site": "XX-Tst", "lat": LAT, "lon": 10, "igbp": "GRA", "elevation": 300}]
    for name, change in (("own", {}), ("none", {"fapar": None})):
        entry = {"source": "rsofun", "path": tower(tmp_path / name, **change), "sites": told, "attributes": str(covers)}
        table.build(SitesBlock(entries=[entry]), tmp_path / f"{name}-out")
        row = pd.read_csv(tmp_path / f"{name}-out" / "sites.csv").iloc[0]
        assert (row["sand"], row["clay"]) == (40, 20)
        leaves = [row[month] for month in MONTHLY_COLUMNS]
        assert leaves == north if name == "none" else row["lai_07"] == pytest.approx(3.219, abs=1e-3)
        notes = json.loads((tmp_path / f"{name}-out" / "report.json").read_text())["sites"]["XX-Tst"]["notes"]
        assert any(line.endswith("are those of its land cover, GRA") for line in notes)
        made = _attributes(row, None, SYSTEM)  # what regrid hands on
        assert [made[month] for month in MONTHLY_COLUMNS] == leaves and made["lai"] == pytest.approx(np.mean(leaves))
    covers.write_text("igbp,sand,clay\nGrasslands,40,20\nevergreen needleleaf forest,41,21\n")
    assert attributes_of_cover(read_attributes(covers), "GRA", 10.0) == {"sand": 40, "clay": 20}
    covers.write_text("igbp,sand\nGRA,40\nGrassland,41\n")
    with pytest.raises(InputError, match="class 'GRA' is listed twice"):
        read_attributes(covers)
    covers.write_text("igbp,sand,lai_01\nGRA,40,1\n")
    with pytest.raises(InputError, match="column 'lai_02' is missing"):
        read_attributes(covers)
    covers.write_text("igbp,sand\nGRA,40\nGRA,41\n")
    with pytest.raises(InputError, match="class 'GRA' is listed twice"):
        read_attributes(covers)


def test_land_cover_stands_for_attributes_of_unseen_sites_where_it_tells_all(tmp_path: Path, capsys) -> None:
    path, absent = tmp_path / "a.csv", dict.fromkeys((*SYSTEM.attributes, "lai", *MONTHLY_COLUMNS), np.nan)
    row = {"lat": LAT, "lon": 10.0, "elevation": 300.0, "attribute_source": "site"} | absent
    rows = [{"site": "A", "igbp": "ENF", **row}, {"site": "B", "igbp": "", **row}]
    pd.DataFrame([*rows, {"site": "C", "igbp": "ENF", **row, "sand": 90.0}]).to_csv(path, index=False)
    made, carried = _assume_by_cover(path, SYSTEM), read_attributes(BY_COVER)
    assert made.loc["A", list(SYSTEM.attributes)].tolist() == carried.loc["ENF", list(SYSTEM.attributes)].tolist()
    assert made.loc["A", "lai_07"] == carried.loc["ENF", "lai_07"] and made.loc["B", "sand":].isna().any()
    assert made.loc["C", "sand"] == 90.0 and made.loc["C", "attribute_source"].startswith("clay:landcover")
    assert pd.read_csv(path).set_index("site").loc["A", "clay"] == made.loc["A", "clay"]
    said = capsys.readouterr().err
    assert "A: assumed sand, clay, soc, bdod, cropFrac, lai of the land cover ENF" in said and "B" not in said
    before = path.read_text()
    _assume_by_cover(path, get_system("soil_methane_sink"))  # its pH and nitrogen are not among them
    assert path.read_text() == before


def test_the_table_by_land_cover_has_seasons_of_the_north() -> None:
    carried = read_attributes(BY_COVER)
    assert carried.notna().all(axis=None) and (carried["sand"] + carried["clay"] <= 100).all()
    months = carried.loc[["DBF", "MF", "ENF", "CRO", "GRA", "WET", "OSH"], list(MONTHLY_COLUMNS)]
    assert set(months.idxmax(axis=1)) <= {"lai_06", "lai_07", "lai_08"}  # text order of months would say September


def test_the_towers_of_the_example_are_read(tmp_path: Path, data_dir: Path) -> None:
    """Five towers of the first layout and all of the second; the others of the first are read in the same way."""
    text = (REPOSITORY / "config/examples/nee_europe.yaml").read_text().replace("../shared/data", str(data_dir))
    sites = yaml.safe_load(text.replace("resources/", f"{REPOSITORY}/resources/"))["sites"]
    europe = f"{data_dir}/flux_towers/jpdarela_FLUXNET_EU"
    sites["entries"][0]["path"] = [f"{europe}/{name}" for name in ("BE-Lcr", "FI-Ken", "FR-LGt", "IT-BFt", "SE-Svb")]
    block = SitesBlock.model_validate(sites)
    block = block.model_copy(update={"qc": rules_of(SYSTEM, block.qc)})
    report = table.build(block, tmp_path)
    days = pd.read_parquet(tmp_path / "observations.parquet").groupby(["site", "variable"]).size()
    expected = {"FI-Ken": 908, "FR-LGt": 1097, "IT-BFt": 709, "SE-Svb": 1836, "FR-Pue": 2619, "US-Jo1": 1931}
    assert {site: int(days[site, "nee"]) for site in expected} == expected
    assert report["totals"]["forcing_sites"] == report["totals"]["sites"] == 13
    assert days["SE-Svb", "gpp"] > 1820  # days of noise below zero are kept: 276 of them
    attributes = pd.read_csv(tmp_path / "sites.csv")[[*SYSTEM.attributes, *MONTHLY_COLUMNS]]
    assert attributes.notna().all(axis=None)

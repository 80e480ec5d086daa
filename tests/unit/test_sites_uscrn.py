"""The reader of the U.S. Climate Reference Network: real tables, NOAA's own layout, what is estimated, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.errors import InputError
from fluxatlas.ingest.sites import uscrn
from fluxatlas.ingest.sites.inputs import NAMES
from fluxatlas.ingest.sites.records import Ledger, SiteRecord

PLACE = {"site": "KS_Manhattan_6_SSW", "lat": 39.1, "lon": -96.61, "elevation": 345, "utc_offset": -6}
ROW = "53974 2004{:02d}{:02d}  1.201  -96.61   39.10 {} -9999.0    {}     4.0 12.96 R 9 -1 4 90 50 70 {} 0.2 -99.0 "
ROW += "-99.000 -99.000 3.0 4.0 -9999.0 -9999.0 -9999.0\n"


def run(paths: list[Path], **changes: object) -> tuple[list[SiteRecord], Ledger]:
    entry = SiteEntry.model_validate({"source": "uscrn", "path": list(map(str, paths)), "sites": [PLACE]} | changes)
    ledger = Ledger()
    return uscrn.read(list(map(str, paths)), entry, QcRules(), ledger), ledger


def official(path: Path, days: int = 30, month: int = 6, swc: str = "0.123") -> Path:
    rows = (ROW.format(month, day, "25.0 10.0 17.5", "18.0", swc) for day in range(1, days + 1))
    path.write_text("".join(rows).replace(" -9999.0    18.0", "    18.0"))
    return path


def test_the_real_tables(data_dir: Path) -> None:
    folder = data_dir / "soil_moisture/andres-patrignani_pynotes"
    path = folder / "KS_Manhattan_6_SSW.csv"
    (record,), _ = run([path])
    plain = pd.read_csv(path, index_col="LST_DATE").replace([-9999, -99], np.nan)
    wet = record.observations[record.observations["variable"] == "swc05"]["value"]
    assert len(wet) == plain["SOIL_MOISTURE_5_DAILY"].count() == 2841
    assert wet.mean() == pytest.approx(plain["SOIL_MOISTURE_5_DAILY"].mean())
    weather = record.forcing
    assert weather is not None and len(weather) == len(plain)
    sun = plain["SOLARAD_DAILY"].to_numpy() * 1e6 / 86400
    np.testing.assert_allclose(weather["rsds"], sun)
    np.testing.assert_allclose(weather["pr"] * 86400, plain["P_DAILY_CALC"], atol=1e-9)
    assert weather["rlds"].mean() == pytest.approx(340, abs=15)  # as ERA5 has over Kansas
    (other,), ledger = run([folder / "IN_Bedford_5_WNW.txt"])  # no elevation is known
    assert other.forcing is None and other.site["lat"] == 38.89
    assert any("no weather: its pressure follows from the elevation" in str(note) for note in ledger.notes[other.name])


def test_years_in_the_layout_of_noaa_are_joined(tmp_path: Path) -> None:
    paths = [official(tmp_path / f"CRND0103-200{n}-KS_Manhattan_6_SSW.txt", month=n) for n in (4, 6)]
    assert all(NAMES["uscrn"].match(path.name) for path in paths)
    (record,), _ = run(paths)
    assert record.name == "KS_Manhattan_6_SSW"
    assert record.forcing is not None and len(record.forcing.dropna()) == 60
    day = record.forcing.iloc[0]
    assert day["tas"] == pytest.approx(291.15) and day["rsds"] == pytest.approx(150.0) and day["sfcWind"] == 2.0
    fao56 = 101300 * ((293 - 0.0065 * 345) / 293) ** 5.26  # its eq. 7
    assert day["ps"] == pytest.approx(fao56, abs=60)
    values = record.observations.groupby("variable")["value"].mean()
    assert values["swc05"] == pytest.approx(0.123) and values["tsl05"] == pytest.approx(276.15)


def test_what_is_another_file_is_refused(tmp_path: Path) -> None:
    one = official(tmp_path / "KS_Manhattan_6_SSW.txt")
    one.write_text(one.read_text() + official(tmp_path / "x.txt", month=7).read_text().replace("53974", "53975"))
    with pytest.raises(InputError, match="WBANNO is not the same in all rows"):
        run([one])
    one.write_text("1 2 3\n4 5 6\n")
    with pytest.raises(InputError, match=r"column 'WBANNO', .* is missing"):
        run([one])

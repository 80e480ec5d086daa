"""FLUXNET files for the tests, made up and real."""

from pathlib import Path

import numpy as np
import pandas as pd

from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.ingest.sites import fluxnet
from fluxatlas.ingest.sites.records import Ledger

PLACE = [{"site": "XX-Tst", "lat": 50.0, "lon": 10.0, "utc_offset": 1}]
TOWERS = "flux_towers/jpdarela_FLUXNET_EU"
WETLANDS = "wetland_ch4/mwdjones_dichotomous_FLUXNET-CH4"


def read(paths: list[Path], rules: QcRules | None = None, **entry: object) -> tuple[list, Ledger]:
    ledger = Ledger()
    made = SiteEntry(source="fluxnet", path=[str(p) for p in paths], **{"sites": PLACE, **entry})
    return fluxnet.read([str(p) for p in paths], made, rules or QcRules(), ledger), ledger


def real(data_dir: Path, site: str, product: str) -> Path:
    return next((data_dir / TOWERS / site).glob(f"FLX_{site}_*_{product}_*.csv"))


def plain(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, na_values=[-9999])
    return table.set_index(pd.to_datetime(table["TIMESTAMP"].astype(str), format="%Y%m%d"))


def place(site: str, lat: float = 50.0, lon: float = 10.0) -> list[dict]:
    return [{"site": site, "lat": lat, "lon": lon, "utc_offset": 1}]


def half_hourly(days: int = 3, **columns: np.ndarray) -> str:
    times = pd.date_range("2004-02-28", periods=48 * days, freq="30min")
    table = pd.DataFrame({name: np.asarray(values, float) for name, values in columns.items()})
    table.insert(0, "TIMESTAMP_START", times.strftime("%Y%m%d%H%M"))
    return table.to_csv(index=False)


def carbon(folder: Path, resolution: str, thresholds: dict[str, float | None]) -> Path:
    """A file of 60 steps with carbon of each of ``thresholds`` shifted by its number, or without a value of it."""
    form = {"DD": "%Y%m%d", "HH": "%Y%m%d%H%M", "MM": "%Y%m"}[resolution]
    freq = {"DD": "D", "HH": "30min", "MM": "MS"}[resolution]
    step = np.arange(48 * 40 if resolution == "HH" else 60)
    table = pd.DataFrame({"TIMESTAMP": pd.date_range("2001-01-01", periods=len(step), freq=freq).strftime(form)})
    table = table.rename(columns={"TIMESTAMP": "TIMESTAMP_START"}) if resolution == "HH" else table
    for kind, shift in thresholds.items():
        for name, value in (("NEE", -1.0), ("GPP_NT", 4.0), ("RECO_NT", 3.0)):
            table[f"{name}_{kind}_REF"] = -9999 if shift is None else value + shift + 0.1 * np.sin(step)
        quality = 1.0 if resolution != "HH" else 0
        table[f"NEE_{kind}_REF_QC"] = -9999 if shift is None else quality
    path = folder / f"FLX_XX-Tst_FLUXNET2015_FULLSET_{resolution}_{'_'.join(thresholds)}_1-4.csv"
    path.write_text(table.to_csv(index=False))
    return path

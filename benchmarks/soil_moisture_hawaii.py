"""Gridded soil water over Hawaii at three ISMN stations: scores, anomalies and triple collocation, from real files.

    python benchmarks/soil_moisture_hawaii.py FOLDER [--write]

FOLDER is ``soil_moisture/awst-austria_qa4sm`` of the real data (ERA5-Land, ERA5, GLDAS, SMAP, ESA CCI in cell files
and ISMN stations, 2017-2018). Each product is read by the reader of ``ingest constraint``, at the nearest cell that
contains a station; stations by the reader of ``sites.entries``. ``--write`` writes the result beside the others.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from fluxatlas.config.comparison import ComparisonBlock
from fluxatlas.config.sites import QcRules, SiteEntry
from fluxatlas.evaluate.agreement import Blocks, anomalies, pair_sums, pooled
from fluxatlas.evaluate.collocation import FLAGS, collocate
from fluxatlas.ingest.constraints.soil_moisture import load_soil_moisture
from fluxatlas.ingest.sites import ismn
from fluxatlas.ingest.sites.inputs import entry_files
from fluxatlas.ingest.sites.records import Ledger

PRODUCTS = {
    "ERA5-Land": ("era5_land", "ERA5_LAND/ERA5_LAND_TESTDATA_HAWAII", 0.1),
    "ERA5": ("era5_land", "ERA5/ERA5_TESTDATA_HAWAII", 0.25),
    "GLDAS": ("gldas", "GLDAS/GLDAS_TESTDATA_HAWAII", 0.25),
    "SMAP": ("smap", "SMAP/SMAP_V5_PM/netcdf", 0.37),
    "ESA CCI": ("esa_cci", "ESA_CCI_SM_combined/ESA_CCI_SM_C_V04_4", 0.25),
}
"""Kind of reader, folder, and size of the cells [degrees]."""
DAYS = pd.date_range("2017-01-01", "2018-12-31")
DATES = DAYS.to_numpy().astype("datetime64[D]")
TRIPLES = (("ERA5-Land", "GLDAS"), ("ERA5-Land", "SMAP"))
BLOCK = 30
BLOCKS, SETTINGS = Blocks.along(DATES, BLOCK, 1000, 1), ComparisonBlock()

HEAD = f"""# Gridded soil water at three ISMN stations of Hawaii, 2017-2018

Made by `python benchmarks/soil_moisture_hawaii.py FOLDER --write` from real files. Differences are product less station
[m3 m-3]; in brackets 90 % from blocks of {BLOCK} days. Days of stations are local, those of products in UTC; ERA5-Land
and ERA5 have one time a day. Errors of triple collocation are in the scale of the station; they hold what a point and a
cell differ in.
"""


def stations(folder: Path) -> dict[str, tuple[float, float, pd.Series]]:
    """Latitude, longitude and daily ``swc05`` of each station (local days)."""
    entry = SiteEntry(source="ismn", path=[str(folder / "ISMN")])
    found = {}
    for record in ismn.read(entry_files(entry), entry, QcRules(), Ledger()):
        own = record.observations[record.observations["variable"] == "swc05"]
        place = float(record.site["lat"]), float(record.site["lon"])
        found[record.name] = (*place, own.set_index("time")["value"].reindex(DAYS))
    return found


def cell(folder: Path, name: str, lat: float, lon: float) -> pd.Series | None:
    """The series of the cell of a product at a place, None where no cell with values contains it."""
    kind, where, size = PRODUCTS[name]
    best: tuple[float, pd.Series] | None = None
    for path in sorted((folder / where).glob("0*.nc")):
        data = load_soil_moisture(path, kind)
        times = pd.DatetimeIndex(data.time.values).floor("D")
        north, east = np.abs(data.lat.values - lat), np.abs(data.lon.values - lon)
        for number in np.flatnonzero((north <= size / 2 + 1e-4) & (east <= size / 2 + 1e-4)):
            values = pd.Series(data.swc05.values[:, number], times).reindex(DAYS)
            away = float(np.hypot(north[number], east[number]))
            if values.notna().any() and (best is None or away < best[0]):
                best = away, values
    return best[1] if best else None


def between(found: dict[str, float], name: str) -> str:
    return f"{found[name]:.3f} [{found[f'{name}_low']:.3f}, {found[f'{name}_high']:.3f}]"


def together(*series: pd.Series) -> np.ndarray:
    """(series, time, 1), NaN on days that not all have."""
    values = np.stack([one.to_numpy(float) for one in series])[:, :, None]
    values[:, ~np.isfinite(values).all(axis=(0, 2))] = np.nan
    return values


def departures(values: np.ndarray) -> np.ndarray:
    return np.stack([anomalies(one, DATES, SETTINGS.season_window) for one in values])


def score_line(station: str, name: str, values: pd.Series | None, truth: pd.Series) -> str:
    if values is None:
        return f"| {station} | {name} | 0: no value of 2017-2018 in a cell that contains it | | | | |"
    pair = together(values, truth)
    raw, moved = (
        pooled(BLOCKS.sums(np.moveaxis(pair_sums(*each)[0][:, :, 0], 0, 1)), BLOCKS)
        for each in (pair, departures(pair))
    )
    count = int(np.isfinite(pair[0]).sum())
    scores = [between(raw, "bias"), between(raw, "ubrmse"), between(raw, "r"), between(moved, "r")]
    return f"| {station} | {name} | {count} | {' | '.join(scores)} |"


def triple_lines(station: str, known: dict[str, pd.Series]) -> list[str]:
    found = []
    raw = together(*known.values())
    for kind, values in (("raw", raw), ("anomaly", departures(raw))):
        result = collocate(values, BLOCKS, SETTINGS.triplet_days)
        about = f"| {station} | {kind} | {int(result.n[0])} |"
        if result.flag[0]:
            flag = next(name for name, code in FLAGS.items() if code == result.flag[0]).replace("_", " ")
            found.append(f"{about} {', '.join(known)} | refused: {flag} | |")
            continue
        for number, name in enumerate(known):
            sd, r = (
                f"{result.values[m][number, 0]:.3f} [{result.low[m][number, 0]:.3f}, {result.high[m][number, 0]:.3f}]"
                for m in ("scaled_sd", "r_truth")
            )
            found.append(f"{about} {name} | {sd} | {r} |")
    return found


def lines(folder: Path) -> list[str]:
    scores = ["| station | product | days | bias | ubRMSE | r | r of anomalies |", "|---|---|---|---|---|---|---|"]
    third = ["| station | values | days | product | error in the scale of the station | r with the truth |"]
    third.append("|---|---|---|---|---|---|")
    for station, (lat, lon, truth) in stations(folder).items():
        known = {name: cell(folder, name, lat, lon) for name in PRODUCTS}
        scores += [score_line(station, name, values, truth) for name, values in known.items()]
        for pair in TRIPLES:
            own = {name: values for name in pair if (values := known[name]) is not None}
            third += triple_lines(station, {"station": truth, **own}) if len(own) == len(pair) else []
    return [*scores, "", *third]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = "\n".join(lines(given.folder))
    print(text)
    if given.write:
        (Path(__file__).parent / "results" / "soil_moisture_hawaii.md").write_text(f"{HEAD}\n{text}\n")


if __name__ == "__main__":
    main()

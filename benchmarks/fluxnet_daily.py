"""A half-hourly FLUXNET file to daily values with QC: fluxatlas beside plain pandas, in one run, the same numbers.

    OMP_NUM_THREADS=1 python benchmarks/fluxnet_daily.py [--years 20] [--repeats 3] [--write]

The file is made in a temporary folder with the layout of a ONEFlux FULLSET file (names as in the product's table of
variables, three decimals, -9999 for missing). *Plain pandas* is ``read_csv`` of the file and ``resample``; *with
usecols* gives ``read_csv`` the list of columns, which is what someone does who minds. All times are wall clock, the
best of the repeats, the file in the page cache. Fails if a number differs or the ratio to plain pandas is below 3.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from fluxatlas.ingest.sites import fluxnet
from fluxatlas.ingest.sites.fluxnet_files import wanted as used

TARGET = 3.0
CODE = -9999.0
RESULT = Path(__file__).parent / "results" / "fluxnet_daily.md"


def names() -> list[str]:
    """Columns of a FULLSET HH file: meteorology, soil, energy, and the percentiles of NEE, RECO and GPP."""
    found = ["NIGHT"]
    for stem in ("TA", "SW_IN", "LW_IN", "VPD"):
        found += [f"{stem}_{kind}" for kind in ("F_MDS", "F_MDS_QC", "ERA", "F", "F_QC")]
    for stem in ("PA", "P", "WS"):
        found += [stem, f"{stem}_ERA", f"{stem}_F", f"{stem}_F_QC"]
    found += ["SW_IN_POT", "WD", "RH", "USTAR", "NETRAD", "PPFD_IN", "PPFD_OUT", "SW_OUT", "LW_OUT", "CO2_F_MDS"]
    found += [f"{stem}_F_MDS_{i}{qc}" for stem in ("TS", "SWC") for i in range(1, 6) for qc in ("", "_QC")]
    for stem in ("G", "LE", "H"):
        found += [f"{stem}_F_MDS", f"{stem}_F_MDS_QC"]
    for stem in ("LE", "H"):
        found += [f"{stem}_{kind}" for kind in ("CORR", "CORR_25", "CORR_75", "RANDUNC", "CORR_JOINTUNC")]
    marks = ("REF", "USTAR50", "MEAN", "SE", "05", "16", "25", "50", "75", "84", "95")
    for threshold in ("CUT", "VUT"):
        found += [f"NEE_{threshold}_{m}{qc}" for m in marks for qc in ("", "_QC")]
        found += [f"NEE_{threshold}_REF_{kind}" for kind in ("RANDUNC", "JOINTUNC")]
        for flux in ("RECO", "GPP"):
            found += [f"{flux}_{way}_{threshold}_{m}" for way in ("NT", "DT") for m in marks]
    return found


def make(path: Path, years: int) -> int:
    """Write the file; returns its number of rows."""
    rng = np.random.default_rng(0)
    start, end = pd.Timestamp("2000-01-01"), pd.Timestamp(f"{2000 + years}-01-01")
    times = pd.date_range(start, end, freq="30min", inclusive="left")
    n = len(times)
    clock = times.strftime("%Y%m%d%H%M").astype("int64")
    data = {
        "TIMESTAMP_START": clock,
        "TIMESTAMP_END": (times + pd.Timedelta("30min")).strftime("%Y%m%d%H%M").astype("int64"),
    }
    wave = np.sin(2 * np.pi * (np.arange(n) / 48 - 0.3))
    for name in names():
        if name.endswith("_QC"):
            data[name] = rng.integers(0, 4, n)
            continue
        values = np.round(10 + 8 * wave + rng.normal(0, 3, n), 3)
        if not name.endswith(("_F", "_ERA")):
            gap = rng.integers(0, n, n // 2000)
            for at in gap:
                values[at : at + 20] = CODE
        data[name] = values
    with path.open("wb") as file:
        file.write((",".join(data) + "\n").encode())
        csv.write_csv(pa.table(data), file, csv.WriteOptions(include_header=False))
    return n


def ours(path: Path) -> pd.DataFrame:
    """The daily table of fluxatlas."""
    return fluxnet.half_hours_to_days(fluxnet.read_file(path).table, [CODE])


def pandas_way(path: Path, columns: list[str] | None) -> pd.DataFrame:
    """The same by ``read_csv`` and ``resample``."""
    keep = columns and ["TIMESTAMP_START", *columns]
    table = pd.read_csv(path, usecols=keep, na_values=[-9999])
    table.index = pd.to_datetime(table["TIMESTAMP_START"].astype(str), format="%Y%m%d%H%M")
    wanted = [name for name in table.columns if columns is None or name in columns]
    wanted = [name for name in wanted if used(name) and not name.endswith("_JOINTUNC")]
    flags = [name for name in wanted if name.endswith("_QC")]
    days = table[[name for name in wanted if name not in flags]].resample("D")
    daily = days.mean()
    daily["P_F"], daily["P_ERA"] = days["P_F"].sum(), days["P_ERA"].sum()
    daily = daily.where(days.count() == 48)
    daily["TA_F_MIN"], daily["TA_F_MAX"] = days["TA_F"].min(), days["TA_F"].max()
    daily["NEE_VUT_REF"] *= 12.011e-6 * 86400
    return daily.join((table[flags] <= 1).resample("D").mean())


def best(work: Callable[[], pd.DataFrame], repeats: int) -> tuple[float, pd.DataFrame]:
    """Shortest wall time of ``repeats`` runs, and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def main() -> None:
    """Make the file, run, compare, print, and with --write keep the table of results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--years", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "FLX_XX-Tst_FLUXNET2015_FULLSET_HH_2000-2019_1-4.csv"
        rows = make(path, options.years)
        size = path.stat().st_size / 2**20
        chosen = [name for name in names() if used(name)]
        ours(path)  # the compiled pass is loaded once per machine, not once per file
        quick, mine = best(lambda: ours(path), options.repeats)
        plain, theirs = best(lambda: pandas_way(path, None), options.repeats)
        careful, same = best(lambda: pandas_way(path, chosen), options.repeats)
    for other in (theirs, same):
        assert sorted(other.columns) == sorted(mine.columns), "the columns differ"
        np.testing.assert_allclose(other[mine.columns].to_numpy(), mine.to_numpy(), rtol=1e-9, atol=1e-9)
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    shape = f"{options.years} years, {rows:,} rows, {len(names()) + 2} columns, {size:,.0f} MiB"
    versions = f"pandas {pd.__version__}, pyarrow {pa.__version__}, Python {platform.python_version()}"
    verdict = "met" if plain / quick >= TARGET else "NOT met"
    lines = [
        "# A half-hourly FLUXNET file to daily values with QC",
        "",
        f"{shape}; {mine.shape[1]} daily columns of {len(mine):,} days, equal to 1e-9.",
        f"Best of {options.repeats}, threads: {threads}; {versions}. The machine was shared while it ran.",
        "Made by `OMP_NUM_THREADS=1 python benchmarks/fluxnet_daily.py --write`.",
        "",
        "| way | seconds | ratio |",
        "|---|---|---|",
        f"| fluxatlas | {quick:.2f} | 1 |",
        f"| pandas `read_csv` + `resample` | {plain:.2f} | {plain / quick:.1f} |",
        f"| the same with `usecols` | {careful:.2f} | {careful / quick:.1f} |",
        "",
        f"Target: at least {TARGET:g} times faster than plain pandas: {verdict}.",
    ]
    print("\n".join(lines))
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert plain / quick >= TARGET, "slower than the target"


if __name__ == "__main__":
    main()

"""The daily product against what towers and chambers measure in its cells: soil temperature, soil moisture, flux."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files, variables
from ..config.evaluate import EvaluateBlock
from ..errors import InputError
from ..tiles.mosaic import PathLike, grid_of
from .metrics import anomalies, scores

SERIES = ["site", "time", "variable", "observed", "product"]
COLUMNS = [
    *("site", "variable", "n", "r2", "r", "rmse", "bias", "kge"),
    *("r_anomaly", "rmse_anomaly", "unit", "lat", "lon", "elevation"),
]


def product_series(
    daily: Sequence[PathLike], sites: pd.DataFrame, observations: pd.DataFrame, settings: EvaluateBlock
) -> pd.DataFrame:
    """Measured and product values of the same day and place: ``site, time, variable, observed, product``.

    Each site is compared with the cell that holds it. Only measured days (``origin``) of at least ``minimum_quality``
    count; sites outside the product or in a cell that is not run are left out.
    """
    kept = observations[observations["qc"].fillna(1.0) >= settings.minimum_quality]
    if "origin" in kept:
        kept = kept[kept["origin"] == "measured"]
    frames = [_one_file(Path(path), sites, kept) for path in daily]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True)[SERIES] if filled else pd.DataFrame(columns=SERIES)


def _one_file(path: Path, sites: pd.DataFrame, observations: pd.DataFrame) -> pd.DataFrame:
    variable = path.stem.rpartition("_")[0]
    frames = []
    with files.open_netcdf(path) as data:
        if variable not in data:
            raise InputError(f"no variable '{variable}'", where=str(path), hint="give files <variable>_<year>.nc")
        grid = grid_of(data["lat"].to_numpy(), str(path))
        rows, columns = grid.snap(data["lat"].to_numpy(), "lat"), grid.snap(data["lon"].to_numpy(), "lon")
        wanted = observations[observations["variable"] == variable]
        for site, measured in wanted.groupby("site"):
            place = sites.loc[sites["site"] == site]
            if place.empty:
                raise InputError(f"site '{site}' has observations but no place", hint="it must be in sites.csv")
            row, column = grid.index(float(place["lat"].iloc[0]), float(place["lon"].iloc[0]))
            if not (rows[0] <= row <= rows[-1] and columns[0] <= column <= columns[-1]):
                continue
            cell = data[variable][:, row - int(rows[0]), column - int(columns[0])]
            series = pd.DataFrame({"time": data["time"].to_numpy(), "product": cell.to_numpy().astype(np.float64)})
            both = measured[["site", "time", "variable", "value"]].rename(columns={"value": "observed"})
            frames.append(both.merge(series.dropna(), on="time"))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=SERIES)


def tower_table(series: pd.DataFrame, sites: pd.DataFrame, settings: EvaluateBlock | None = None) -> pd.DataFrame:
    """Scores of ``series`` (see :func:`product_series`) by site and variable, and of all sites together (``all``).

    ``r_anomaly`` and ``rmse_anomaly`` compare departures from a centred running mean of ``anomaly_window`` days:
    weather without the season. Sites with fewer than ``minimum_days`` days have no row of their own.
    """
    settings = settings or EvaluateBlock()
    rows: list[dict[str, Any]] = []
    for variable, group in series.groupby("variable"):
        departures = []
        for site, frame in group.groupby("site"):
            days = frame.set_index("time")[["observed", "product"]].sort_index().asfreq("D")
            both = days.where(days.notna().all(axis=1))
            parts = {name: anomalies(both[name], settings.anomaly_window) for name in both}
            departures.append(pd.DataFrame(parts))
            if len(frame) >= settings.minimum_days:
                rows.append({"site": site, **_scores(str(variable), frame, departures[-1])})
        rows.append({"site": "all", **_scores(str(variable), group, pd.concat(departures))})
    places = sites.drop_duplicates("site").set_index("site")
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("lat", "lon", "elevation"):
        if name in places:
            table[name] = table["site"].map(places[name])
    return table


def _scores(variable: str, frame: pd.DataFrame, departures: pd.DataFrame) -> dict[str, Any]:
    weather = scores(departures["observed"], departures["product"])
    return {
        "variable": variable,
        **scores(frame["observed"], frame["product"]),
        "r_anomaly": weather["r"],
        "rmse_anomaly": weather["rmse"],
        "unit": variables.get(variable).units,
    }


def write_towers(
    output: PathLike,
    daily: Sequence[PathLike],
    sites: PathLike,
    observations: PathLike,
    settings: EvaluateBlock | None = None,
) -> pd.DataFrame:
    """Write :func:`tower_table` to ``output`` (CSV) and the series beside it (Parquet); return the table."""
    settings = settings or EvaluateBlock()
    places, observed = (files.read_made(path, by="`ingest sites`") for path in (sites, observations))
    series = product_series(daily, places, observed, settings)
    table = tower_table(series, places, settings)
    files.write_text(output, table.to_csv(index=False, float_format="%.6g"))
    files.write_parquet(series, Path(output).with_suffix(".parquet"))
    return table

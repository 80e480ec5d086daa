"""The product's annual means against the hidden truth of the synthetic Earth, cell by cell."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .. import files, variables
from ..constants import NORMAL_90
from ..errors import InputError
from ..products.budget import mass_factor
from ..systems import Flux, System
from ..tiles.mosaic import Mosaic, PathLike, assemble
from .metrics import half_width, scores

COLUMNS = [
    *("year", "variable", "cells", "r2", "r", "rmse", "bias", "kge", "unit"),
    *("within_members", "expected_within", "within_2sd", "mean_sd"),
    *("true_total", "total", "total_low", "total_high", "total_unit"),
    *("within_90", "members", "total_sd", "total_within_2sd", "total_within_90"),
]


def read_truth(path: PathLike, mosaic: Mosaic) -> dict[tuple[str, int], npt.NDArray[np.float64]]:
    """True annual means (lat, lon) on the box of ``mosaic`` by variable and year; NaN where the truth has none.

    Raises :class:`InputError` for a file without ``year``, and :class:`GridError` for one off the grid.
    """
    with files.open_netcdf(path) as data:
        if "year" not in data.dims:
            raise InputError("no dimension 'year'", where=str(path), hint="see evaluate/truth.nc in docs/contracts.md")
        rows = mosaic.grid.snap(data["lat"].to_numpy(), "lat") - mosaic.rows.start
        columns = mosaic.grid.snap(data["lon"].to_numpy(), "lon") - mosaic.columns.start
        inside_r = (rows >= 0) & (rows < mosaic.shape[0])
        inside_c = (columns >= 0) & (columns < mosaic.shape[1])
        found = {}
        names = [str(name) for name, v in data.data_vars.items() if v.dims == ("year", "lat", "lon")]
        for name in names:
            for number, year in enumerate(data["year"].to_numpy().astype(int)):
                whole = np.full(mosaic.shape, np.nan)
                values = data[name][number].to_numpy().astype(np.float64)
                whole[np.ix_(rows[inside_r], columns[inside_c])] = values[np.ix_(inside_r, inside_c)]
                found[name, int(year)] = whole
    return found


def truth_table(
    flux: Sequence[PathLike], attributes: Sequence[PathLike], truth: PathLike, system: System
) -> pd.DataFrame:
    """Scores of the ensemble's annual mean map against the truth, weighted by the area that the flux is per.

    ``within_members`` is the share of the area where the truth lies between the smallest and largest member; for n
    members as good as draws from the same distribution it would be ``expected_within`` = (n - 1) / (n + 1).
    ``within_2sd`` is the share within two standard uncertainties (``<flux>_year_sd``) of the mean, ``mean_sd`` their
    mean, ``within_90`` the share inside the central 90 % of a normal distribution with it. Totals are in the budget
    unit of each flux over the cells that have both; ``total_within_2sd`` and ``total_within_90`` are 1 where the true
    one lies inside two standard deviations of the members and their 90 % interval
    (:func:`~fluxatlas.evaluate.metrics.half_width`), missing for one member. Raises :class:`InputError` where truth and
    product share no year, variable or cell.
    """
    mosaic = assemble(flux, attributes)
    area = mosaic.weight()
    rows = []
    for (variable, year), true in sorted(read_truth(truth, mosaic).items()):
        if year in mosaic.years:
            members = mosaic.layer(f"{variable}_member", year)
            rows.append(
                {
                    "year": year,
                    "variable": variable,
                    **_compare(
                        true, members, mosaic.layer(f"{variable}_year_sd", year), area, year, system.get_flux(variable)
                    ),
                }
            )
    if not rows:
        raise InputError(
            f"the truth has none of the years {mosaic.years}", where=str(truth), hint="make the truth of these years"
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def _compare(
    true: npt.NDArray[np.float64],
    members: npt.NDArray[np.float64],
    uncertainty: npt.NDArray[np.float64],
    area: npt.NDArray[np.float64],
    year: int,
    flux: Flux,
) -> dict[str, Any]:
    both = np.isfinite(true) & np.isfinite(members).all(axis=0) & (area > 0)
    if not both.any():
        raise InputError(f"truth and product of {year} share no cell", hint="check that they are of the same domain")
    t, m, w = true[both], members[:, both], area[both]
    mean, n = m.mean(axis=0), len(m)
    sd = np.nan_to_num(uncertainty[both])
    found: dict[str, Any] = scores(t, mean, w)
    found["cells"] = found.pop("n")
    return {
        **found,
        "unit": variables.get(flux.variable).units,
        "within_members": float(np.average((t >= m.min(axis=0)) & (t <= m.max(axis=0)), weights=w)),
        "expected_within": (n - 1) / (n + 1),
        "within_2sd": float(np.average(np.abs(t - mean) <= 2 * sd, weights=w)),
        "mean_sd": float(np.average(sd, weights=w)),
        "within_90": float(np.average(np.abs(t - mean) <= NORMAL_90 * sd, weights=w)),
        "members": n,
        **(_totals(t, m, w * (366 if calendar.isleap(year) else 365), flux) if flux.budget_unit else {}),
    }


def _totals(
    true: npt.NDArray[np.float64], members: npt.NDArray[np.float64], area_days: npt.NDArray[np.float64], flux: Flux
) -> dict[str, Any]:
    """Totals of a flux with a budget over cells with ``true`` (cell,) and ``members`` (member, cell) fluxes."""
    mass, n = area_days * mass_factor(flux), len(members)
    totals, true_total = (members * mass).sum(axis=1), float((true * mass).sum())
    total_sd, width = float(totals.std(ddof=1)) if n > 1 else np.nan, half_width(n)
    off = abs(float(totals.mean()) - true_total)
    return {
        "true_total": true_total,
        "total": float(totals.mean()),
        "total_low": float(totals.min()),
        "total_high": float(totals.max()),
        "total_unit": flux.budget_unit,
        "total_sd": total_sd,
        "total_within_2sd": float(off <= 2 * total_sd) if n > 1 else np.nan,
        "total_within_90": float(off <= width * total_sd) if n > 1 else np.nan,
    }


def write_truth_scores(
    output: PathLike, flux: Sequence[PathLike], attributes: Sequence[PathLike], truth: PathLike, system: System
) -> pd.DataFrame:
    """Write :func:`truth_table` as CSV; return it."""
    table = truth_table(flux, attributes, truth, system)
    files.write_text(Path(output), table.to_csv(index=False, float_format="%.6g"))
    return table

"""How two gridded series agree: by cell, and pooled over cells and days with intervals from blocks of time.

Arrays are (time, cell), in the unit of the variable, NaN where there is no value; pairs with a missing value on either
side do not count. ``ubrmse`` is the root mean square error without the mean error, sqrt(RMSE^2 - bias^2) (Entekhabi et
al. 2010, doi:10.1175/2010JHM1223.1). Anomalies are departures of each series from its own mean season, as in Gruber et
al. (2020, doi:10.1016/j.rse.2020.111806).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .clusters import interval, resamples

Array = npt.NDArray[np.floating]
Sums = npt.NDArray[np.float64]

SCORES = ("bias", "rmse", "ubrmse", "r")
SLOTS = {"D": 366, "M": 12}
"""Days (29 February has its own) or months of a year."""


def slots(times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """The place (time,) in the year of each day (0 to 365, as in a leap year) or month (0 to 11)."""
    month = times.astype("datetime64[M]")
    number = month.astype(np.int64) % 12
    if times.dtype == np.dtype("datetime64[M]"):
        return number
    starts = np.arange("2000-01", "2001-01", dtype="datetime64[M]").astype("datetime64[D]")
    first = (starts - starts[0]).astype(np.int64)
    return first[number] + (times.astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)


def anomalies(values: Array, times: npt.NDArray[np.datetime64], window: int) -> Array:
    """Departures (time, cell) of ``values`` from the mean season of each cell.

    The mean season of days is the mean over all years of the values within ``window`` days around the same day of the
    year, with a third of as many values at least; that of months the mean of the same month, of two years at least.
    Where that is not known the anomaly is NaN. The window goes round the end of the year.
    """
    daily = times.dtype == np.dtype("datetime64[D]")
    place, count = slots(times), SLOTS["D" if daily else "M"]
    known = np.isfinite(values)
    total, number = (np.zeros((count, values.shape[1])) for _ in range(2))
    np.add.at(total, place, np.where(known, values, 0.0))
    np.add.at(number, place, known)
    if daily:
        total, number = (_circular(sums, window) for sums in (total, number))
    fewest = max(2, window // 3) if daily else 2
    season = np.where(number >= fewest, total / np.maximum(number, 1), np.nan)
    return values - season[place]


def _circular(sums: Sums, window: int) -> Sums:
    """Sums over ``window`` slots around each, round the end of the year."""
    half = window // 2
    padded = np.concatenate([sums[-half:], sums, sums[:half]]) if half else sums
    running = np.cumsum(np.concatenate([np.zeros((1, sums.shape[1])), padded]), axis=0)
    return running[2 * half + 1 :] - running[: -2 * half - 1]


def pair_sums(product: Array, reference: Array) -> tuple[Sums, npt.NDArray[np.bool_]]:
    """What scores are made of: 1, x, y, x^2, y^2, x y (6, time, cell), zero where not both have a value; and where."""
    both = np.isfinite(product) & np.isfinite(reference)
    x, y = (np.where(both, each, 0.0).astype(np.float64) for each in (product, reference))
    return np.stack([both.astype(np.float64), x, y, x * x, y * y, x * y]), both


def scores(sums: Sums) -> dict[str, Sums]:
    """``n`` (the first of the sums), the means of both, their standard deviations and :data:`SCORES`, of ``sums``
    (6, ...) as in :func:`pair_sums`.

    NaN where nothing counts; ``r`` also where either series does not vary. ``bias`` is product less reference.
    """
    n = sums[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        x, y, xx, yy, xy = sums[1:] / n
        var_x, var_y = np.maximum(xx - x * x, 0.0), np.maximum(yy - y * y, 0.0)
        covariance = xy - x * y
        bias = x - y
        unbiased = np.maximum(var_x + var_y - 2 * covariance, 0.0)
        flat = (var_x <= 1e-12 * np.maximum(xx, 1e-30)) | (var_y <= 1e-12 * np.maximum(yy, 1e-30))
        r = np.where(flat, np.nan, np.clip(covariance / np.sqrt(var_x * var_y), -1, 1))
    return {
        "n": n,
        "mean_product": x,
        "mean_reference": y,
        "sd_product": np.sqrt(var_x),
        "sd_reference": np.sqrt(var_y),
        "bias": bias,
        "rmse": np.sqrt(unbiased + bias**2),
        "ubrmse": np.sqrt(unbiased),
        "r": r,
    }


def cell_scores(product: Array, reference: Array, fewest: int) -> dict[str, Sums]:
    """:func:`scores` (cell,) of each cell, NaN (but ``n``) in cells with fewer than ``fewest`` times in common.

    Each cell is centred on its own means first, so that nothing is lost to cancellation.
    """
    pair, both = pair_sums(product, reference)
    count = np.maximum(pair[0].sum(axis=0), 1.0)
    means = [pair[k].sum(axis=0) / count for k in (1, 2)]
    centred = [np.where(both, each - mean, np.nan) for each, mean in zip((product, reference), means, strict=True)]
    found = scores(pair_sums(*centred)[0].sum(axis=1))
    found |= {"mean_product": means[0], "mean_reference": means[1], "bias": means[0] - means[1]}
    found["rmse"] = np.hypot(found["ubrmse"], found["bias"])
    enough = found["n"] >= max(fewest, 1)
    return {name: each if name == "n" else np.where(enough, each, np.nan) for name, each in found.items()}


@dataclass(frozen=True, eq=False)
class Blocks:
    """Times put together to consecutive blocks, which are drawn with replacement (Carlstein 1986,
    doi:10.1214/aos/1176350057): what is left of a series' memory between them is not in the intervals."""

    of_time: npt.NDArray[np.int64]
    """The number of the block of each time (time,), in order."""
    weights: Sums
    """How often each block counts, (1 + draws, block); see :func:`fluxatlas.evaluate.clusters.resamples`."""

    @classmethod
    def along(cls, times: npt.NDArray[np.datetime64], length: int, draws: int, seed: int) -> Blocks:
        """Blocks of ``length`` days or months from the first of ``times``, those without any left out."""
        numbers = (times - times[0]).astype(np.int64) // length
        found, number = np.unique(numbers, return_inverse=True)
        return cls(number, resamples(np.arange(len(found)), draws, seed))

    def sums(self, values: Sums) -> Sums:
        """Sums (block, ...) of ``values`` (time, ...) over the times of each block."""
        return np.add.reduceat(values, np.flatnonzero(np.diff(self.of_time, prepend=-1)), axis=0)


def pooled(sums: Sums, blocks: Blocks) -> dict[str, float]:
    """Scores of all pairs behind ``sums`` (block, 6) together, with 90 % intervals ``<score>_low`` and ``_high``."""
    drawn = scores(np.moveaxis(blocks.weights @ sums, -1, 0))
    found = {name: float(each[0]) for name, each in drawn.items() if name not in ("n", *SCORES)}
    for name in SCORES:
        found[name], found[f"{name}_low"], found[f"{name}_high"] = interval(drawn[name])
    return found

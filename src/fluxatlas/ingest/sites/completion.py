"""Complete soil temperature and moisture profiles for chamber sites, which seldom have meteorology of their own.

Where a site has no weather the network can be driven by measured soil temperature and moisture. It needs daily series
at 5 and 15 cm. From one measured depth they follow with the relaxation filter of the science notes (2.1, "cheap
baseline", derived): a layer approaches the surface temperature with a time constant of 2 d at 5 cm and 6 d at 15 cm.
One depth gives the surface temperature by inverting its filter, the other depth follows by running its own. Moisture
is taken as the same at both depths. Where the target depth was measured on other days, the mean difference on the days
that both have is added, since a filter knows no permafrost below. Completed rows are marked ``origin = completed`` with
``qc = 0``: they are inputs, not observations to learn from or to be judged by.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from .records import observations

TAU = {5: 2.0, 15: 6.0}
"""Time constant [d] of the relaxation filter by depth [cm]."""
EXTRA_SD = {"tsl": 1.0, "swc": 0.05}
"""Uncertainty [K, m3 m-3] added in quadrature to completed values (our choice)."""


OVERLAP = 10
"""Fewest common days for which the difference between completed and measured values is trusted."""


def relax(values: npt.NDArray[np.float64], source: int, target: int) -> npt.NDArray[np.float64]:
    """Daily temperature at ``target`` depth [cm] from a gap-free daily series at ``source`` depth [cm].

    With ``a = 1 - exp(-1/tau)`` a depth follows ``T[t] = T[t-1] + a (S[t] - T[t-1])`` for a surface temperature S. The
    target starts at the mean of the first ``tau`` days of the source; the start is forgotten after a few of them.
    Downward (5 to 15 cm) fast changes are damped by a15/a5 = 0.39; upward they are amplified by 2.6.
    """
    if source == target:
        return values.copy()
    a_source, a_target = (1 - np.exp(-1 / TAU[depth]) for depth in (source, target))
    surface = values.copy()
    surface[1:] = values[:-1] + np.diff(values) / a_source
    result = np.empty_like(values)
    previous = float(values[: int(max(TAU[source], TAU[target]))].mean())
    for t, forced in enumerate(surface):
        previous += a_target * (forced - previous) if t else 0.0
        result[t] = previous
    return result


def segments(series: pd.Series, max_gap: int) -> list[pd.Series]:
    """Gap-free daily pieces of ``series`` (indexed by day); gaps up to ``max_gap`` days are interpolated linearly."""
    known = series.dropna().sort_index()
    if known.empty:
        return []
    gap = known.index.to_series().diff().dt.days.fillna(1).to_numpy()
    piece = np.cumsum(gap > max_gap + 1)
    return [part.asfreq("D").interpolate("linear") for _, part in known.groupby(piece)]


def complete_profile(table: pd.DataFrame, max_gap: int = 7) -> pd.DataFrame:
    """Extra observation rows that complete ``tsl05, tsl15, swc05, swc15`` of one site.

    ``table`` is the long table of one site. For each kind the source is the measured depth with more days (5 cm of two
    equal). Gaps up to ``max_gap`` days are interpolated; a day that is measured at the target depth gets no row.
    Returns only the new rows (``origin`` 'completed', ``qc`` 0, ``n`` 0); none where nothing was measured.
    """
    rows = []
    for kind in ("tsl", "swc"):
        measured = {
            depth: part.set_index("time")["value"].sort_index()
            for depth in TAU
            for part in [table[(table["variable"] == f"{kind}{depth:02d}") & (table["origin"] == "measured")]]
        }
        source = max(TAU, key=lambda depth: (len(measured[depth]), -depth))
        parts = segments(measured[source], max_gap)
        for target in TAU:
            shift = _shift(kind, parts, source, target, measured[target])
            rows += [_rows(kind, part, source, target, measured[target], shift) for part in parts]
    return observations(rows)


def _shift(kind: str, parts: list[pd.Series], source: int, target: int, measured: pd.Series) -> float:
    """Mean of measured minus completed values on common days, or 0 where there are fewer than :data:`OVERLAP`."""
    if target == source or not parts:
        return 0.0
    filled = [relax(part.to_numpy(float), source, target) if kind == "tsl" else part.to_numpy(float) for part in parts]
    series = pd.concat([pd.Series(values, index=part.index) for values, part in zip(filled, parts, strict=True)])
    both = series.index.intersection(measured.index)
    return float((measured[both] - series[both]).mean()) if len(both) >= OVERLAP else 0.0


def _rows(kind: str, part: pd.Series, source: int, target: int, measured: pd.Series, shift: float) -> pd.DataFrame:
    values = part.to_numpy(float)
    filled = relax(values, source, target) if kind == "tsl" else values
    series = pd.Series(filled, index=part.index) + shift
    series = series[~series.index.isin(measured.index)]
    if kind == "swc":
        series = series.clip(0.0, 0.98)
    variable = f"{kind}{target:02d}"
    sd = float(np.hypot(EXTRA_SD[kind], 0.5 if kind == "tsl" else 0.03))
    return pd.DataFrame(
        {"time": series.index, "variable": variable, "value": series.to_numpy(), "sd": sd, "qc": 0.0, "n": 0}
    ).assign(origin="completed")

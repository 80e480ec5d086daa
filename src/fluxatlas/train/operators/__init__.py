"""Observation operators: everything that is compared with data is ``y = H(outputs)``, and the losses know nothing else.

An :class:`Operator` (``kinds.py``) says how daily outputs become observed numbers, an :class:`ObservationSet` holds
these numbers with their errors, and ``readers.py`` makes sets of the files of ingest.
"""

from __future__ import annotations

from .correlation import Autoregressive, Covariance, Independent
from .kinds import anomaly, area_mean, chamber, day, interval, region_month, year_sum
from .linear import Operator
from .observations import ObservationSet
from .spans import Points, Spans

__all__ = [
    "Autoregressive",
    "Covariance",
    "Independent",
    "ObservationSet",
    "Operator",
    "Points",
    "Spans",
    "anomaly",
    "area_mean",
    "chamber",
    "day",
    "interval",
    "region_month",
    "year_sum",
]

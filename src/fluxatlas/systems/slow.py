"""Slow drivers that systems share."""

from .base import SlowDriver

LEAF_AREA = SlowDriver("lai", "fluxatlas.process.slow:lai", layers=("lai",))
METHANE = SlowDriver("ch4", "fluxatlas.process.slow:ch4", series="ch4")
CARBON_DIOXIDE = SlowDriver("co2", "fluxatlas.process.slow:co2", series="co2")
SOLAR_POTENTIAL = SlowDriver("rsdt", "fluxatlas.process.slow:rsdt")
FIELD_DAY = SlowDriver("fieldday", "fluxatlas.process.slow:field_day")
EVEN_YEAR = SlowDriver("evenyear", "fluxatlas.process.slow:even_year")
ALTERNATING = (EVEN_YEAR.name,)
"""Drivers that are 1 in one year and 0 in the next: a year that stands for one of the other parity has the other."""

"""Fluxes of atmospheric inversions from the files of each provider, with one unit and one sign.

The result says what the flux contains (fire, lateral transport, fossil adjustment), and the global land sum of a
default variable must be plausible: a wrong unit, area or sign shows there, and the message says which it may be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, nearest
from ..coordinates import SourceGrid
from .averaging import Averager, Period
from .inversion_file import InversionFile, InversionRequest, cell_area
from .kinds import FIRE, KINDS, InversionKind, pick
from .ordering import in_order
from .recognise import recognise
from .units import CARBON, CARBON_DIOXIDE, DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr

Array = npt.NDArray[np.float64]

MONTH_DAYS = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
LARGEST = 100.0
"""Largest believable flux of a cell [gC m-2 d-1]."""
MISTAKES: tuple[tuple[float, str], ...] = (
    (-1.0, "the sign is the other way round (set sign: to_land)"),
    (CARBON / CARBON_DIOXIDE, "values are of CO2, not of C (a factor of 12/44)"),
    (CARBON_DIOXIDE / CARBON, "values are of C, but the unit says CO2 (a factor of 44/12)"),
    (1 / 12, "values are per year, but the unit says per month (a factor of 12)"),
    (12.0, "values are per month, but the unit says per year (a factor of 12)"),
    (1 / DAYS_PER_YEAR, "values are per year, but the unit says per day (a factor of 365)"),
    (DAYS_PER_YEAR, "values are per day, but the unit says per year (a factor of 365)"),
    (1 / 30.4375, "values are per month, but the unit says per day (a factor of 30)"),
    (30.4375, "values are per day, but the unit says per month (a factor of 30)"),
    (1 / 86400, "values are per day, but the unit says per second (a factor of 86400)"),
    (86400.0, "values are per second, but the unit says per day (a factor of 86400)"),
    (1e-3, "values are in grams, but the unit says kg (a factor of 1000)"),
    (1e3, "values are in kg, but the unit says grams (a factor of 1000)"),
    (CARBON, "values are in mol, but the unit says grams (a factor of 12)"),
)
"""By what a sum is multiplied to undo a mistake, and what the mistake is."""
CELLS = (1e6, 1e14)
"""A flux or sum of such a size is too large by a factor like the area of a cell [m2], but no missing code."""


SEASON = (-45.0, 30.0)
"""Bounds of the global land sum [PgC yr-1] where months of the year are absent: its season reaches some 30 [R]."""


class Totals:
    """Sums over the globe by calendar month as the steps go by, so that an absent season does not count as a bias."""

    def __init__(self, grid: SourceGrid) -> None:
        height, width = grid.cell
        covered = height * grid.lat.size >= 170 and width * grid.lon.size >= 355
        self._area = cell_area(grid.lat, grid.lon) if covered else None
        self._grams, self._days = np.zeros(12), np.zeros(12)
        self.finite = False

    def add(self, start: np.datetime64, values: Array, days: float) -> None:
        """One step (lat, lon, member) of ``days``; members without any value are left out."""
        present = np.isfinite(values).any(axis=(0, 1))
        self.finite = self.finite or bool(present.any())
        if self._area is None or not present.any():
            return
        sums = np.nansum(values * self._area[:, :, None], axis=(0, 1))[present]
        month = int(start.astype("datetime64[M]").astype(np.int64)) % 12
        self._grams[month] += float(sums.sum()) * days
        self._days[month] += sums.size * days

    @property
    def whole_year(self) -> bool:
        """Whether all months of the year are there."""
        return bool((self._days > 0).all())

    @property
    def sum(self) -> float | None:
        """Mean global sum [PgC yr-1] over members and the year; ``None`` where the grid is not global."""
        held = self._days > 0
        if not held.any():
            return None
        means = self._grams[held] / self._days[held]
        return float(np.average(means, weights=MONTH_DAYS[held]) * DAYS_PER_YEAR / 1e15)


class Inversion:
    """The files of one inversion as a stream of steps; memory does not grow with their number."""

    def __init__(
        self,
        paths: Sequence[str | Path],
        kind: str = "",
        wish: InversionRequest | None = None,
        *,
        step: str = "month",
        keep_gaps: bool = False,
        years: tuple[int | None, int | None] = (None, None),
    ) -> None:
        """``kind`` empty: recognised from the first file. ``step``: ``month`` or ``native`` (days stay days)."""
        if not paths:
            raise InputError("no inversion file is given", hint="name one file or those of several months")
        if kind and kind not in KINDS:
            raise InputError(
                f"unknown kind of inversion '{kind}'{nearest(kind, KINDS)}", hint=f"one of {', '.join(KINDS)}"
            )
        self.kind = kind or _recognised(Path(paths[0]))
        self.facts: InversionKind = KINDS[self.kind]
        self.wish = wish or InversionRequest()
        self.paths = [Path(p) for p in paths]
        for path in self.paths:
            if "ensstd" in path.name.lower():
                raise InputError(
                    "the file holds standard deviations, no fluxes", where=str(path), hint="give the EnsMean file"
                )
        self.step, self.keep_gaps, self.years = step, keep_gaps, years
        first = self._open(self.paths[0])
        self.grid, self.members, self.name, self.native = first.grid, first.members, first.name, first.step
        self.regional, self.flipped, self._fire = first.regions is not None, first.flip, bool(first.fire)
        first.close()
        self.totals = Totals(self.grid)
        self.notes = list(first.notes)

    @property
    def monthly(self) -> bool:
        """Whether the steps of the result are months."""
        return self.step == "month" or self.native == "month"

    def steps(self) -> Iterator[Period]:
        """Every month or day in order, with values (lat, lon, member) [gC m-2 d-1], positive to the atmosphere.

        Raises :class:`InputError` for files that do not belong together, times that are repeated or lacking, impossible
        values, and at the end for no data or an implausible global sum.
        """
        averager = Averager("M" if self.monthly else "D", self._where, self.keep_gaps)
        for period in averager.averaged(self._raw()):
            year = int(period.start.astype("datetime64[Y]").astype(int)) + 1970
            if (self.years[0] or year) <= year <= (self.years[1] or year):
                self._plausible_cells(period)
                if not np.isfinite(period.values).any():
                    self.notes.append(f"no value in {period.start}")
                self.totals.add(period.start, period.values, period.days)
                yield period
        self.notes += averager.notes
        self._check_end()

    def attrs(self) -> dict[str, Any]:
        """What the flux contains; complete once all steps went by."""
        lateral = "removed (rivers)" if self.name in self.facts.lateral_in else "not removed"
        total = self.totals.sum
        fire = self.facts.fire_included or self._fire
        return {
            "title": self.facts.title,
            "kind": self.kind,
            "source_variable": self.name,
            "units": "gC m-2 d-1",
            "sign": "positive_to_atmosphere",
            "sign_changed": self.flipped,
            "fire_included": fire,
            "lateral": "not seen by towers" if self.kind == "fluxcom" else lateral,
            "fossil_adjusted": self.facts.fossil_adjusted,
            "content": self._content,
            "spatial": "even within each region of the file" if self.regional else "grid of the file",
            "citation": self.facts.citation,
            **({} if total is None else {"global_sum": round(total, 6)}),
            **({"notes": "; ".join(self.notes)} if self.notes else {}),
        }

    @property
    def _content(self) -> str:
        """What the flux is, in words; of a variable other than the net flux of the format its name alone is known."""
        net = pick((*self.facts.variables, *self.facts.lateral_in), [self.name])
        burnt = pick(self.facts.fire, [self.name])
        if burnt and not net:
            return FIRE
        if burnt or not net:
            return f"'{self.name}', as 'variable' says"
        known = self.facts.contains
        return known.replace("without fire and", "with fire, without") if self._fire else known

    @property
    def _where(self) -> str:
        return ", ".join(map(str, self.paths[:2])) + (f" and {len(self.paths) - 2} more" if len(self.paths) > 2 else "")

    def _open(self, path: Path) -> InversionFile:
        return InversionFile(path, self.facts, self.wish)

    def _raw(self) -> Iterator[Period]:
        """The steps of all files in order of time."""
        for path in in_order(self.paths, self._first_time):
            file = self._open(path)
            try:
                self._belongs(file)
                lengths = {"month": None, "day": 1.0}.get(file.step, _part_of_day(file.times))
                for times, values in file.blocks():
                    for when, one in zip(times, values, strict=True):
                        yield Period(when, lengths or _month_days(when), one, str(path))
            finally:
                file.close()

    def _first_time(self, path: Path) -> np.datetime64:
        file = self._open(path)
        try:
            return np.min(file.times)
        finally:
            file.close()

    def _belongs(self, file: InversionFile) -> None:
        """Raise :class:`InputError` unless ``file`` has the grid, members and step of the first one."""
        if self.grid.positions(file.grid) is None:
            what = f"its grid differs from that of {self.paths[0]}: {file.grid.text} and {self.grid.text}"
        elif file.members != self.members:
            what = f"its members {file.members} differ from {self.members} of {self.paths[0]}"
        elif (file.step == "month") != (self.native == "month"):
            what = f"its steps ({file.step}) differ from those of {self.paths[0]} ({self.native})"
        elif file.flip != self.flipped:
            what = f"it says another sign than {self.paths[0]}"
        else:
            return
        raise InputError(what, where=str(file.path), hint="give files of one data set")

    def _plausible_cells(self, period: Period) -> None:
        finite = np.isfinite(period.values)
        worst = float(np.abs(period.values, where=finite, out=np.zeros_like(period.values)).max())
        if worst > LARGEST:
            raise InputError(
                f"a flux of {worst:.3g} gC m-2 d-1 is impossible",
                where=f"{period.where}, {str(period.start)[:7]}",
                hint=_hint(worst, "check the unit and the missing-value code of the file"),
            )

    def _check_end(self) -> None:
        total, (low, high) = self.totals.sum, self.facts.plausible if self.totals.whole_year else SEASON
        if not self.totals.finite:
            raise InputError("the flux is missing everywhere", where=self._where, hint="get the file again")
        if self.wish.variable or total is None or low <= total <= high:
            if total is not None and not self.totals.whole_year:
                self.notes.append("months of the year are absent, so the global sum is not judged closely")
            elif total is not None and total > 0 and not self.wish.variable:
                self.notes.append(f"the land is a source of {total:.2f} PgC yr-1: check the sign")
            return
        bounds = f"{low:g}..{high:g}"
        low, high = self.facts.plausible
        likely = [text for factor, text in MISTAKES if low <= total * factor <= min(high, 0.0)]
        raise InputError(
            f"the global land flux is {total:.3g} PgC yr-1, outside {bounds}",
            where=self._where,
            hint=_hint(
                abs(total),
                "perhaps " + "; or ".join(likely[:3])
                if likely
                else "unit, sign or variable are not those of this kind of file",
            ),
        )


def load_inversion(
    path: str | Path | Sequence[str | Path],
    kind: str = "",
    *,
    variable: str = "",
    units: str = "",
    sign: str = "",
    start: str = "",
    add_fire: bool = False,
    step: str = "native",
) -> xr.DataArray:
    """Net flux (time, lat, lon, member) [gC m-2 d-1], positive to the atmosphere, float32.

    ``path``: one file or the files of several months; ``kind``: a key of :data:`KINDS`, empty: recognised; ``step``:
    ``native`` (months or days; hours become days) or ``month``; the others as in :class:`InversionRequest`. Latitude
    runs north to south, longitude -180..180, time is the first of the month or the day. NaN outside a member's period.
    Attributes: ``fire_included``, ``lateral``, ``fossil_adjusted``, ``sign``, ``content``, ``citation``,
    ``global_sum`` [PgC yr-1]. The whole series is in memory; :class:`Inversion` streams it.

    Raises :class:`InputError` for an unreadable file, a missing variable or coordinate, times that are repeated or
    lacking, no data, impossible values, or a global land sum of the default variable outside the bounds of the kind;
    :class:`UnitError` for a unit that is none of carbon.
    """
    import xarray as xr

    paths = [path] if isinstance(path, str | Path) else list(path)
    source = Inversion(paths, kind, InversionRequest(variable, units, sign, start, add_fire), step=step)
    steps = [(period.start, period.values.astype(np.float32)) for period in source.steps()]
    coords = {
        "time": np.array([when for when, _ in steps]).astype("datetime64[ns]"),
        "lat": source.grid.lat,
        "lon": source.grid.lon,
        "member": source.members,
    }
    values = np.stack([one for _, one in steps])
    return xr.DataArray(values, coords, ("time", "lat", "lon", "member"), attrs=source.attrs(), name="net_flux")


def _hint(size: float, text: str) -> str:
    """``text``, or that the cell area is missing where a sum is too large by about one."""
    if CELLS[0] < size < CELLS[1]:
        return "values are per grid cell: the division by the cell area is missing (unit 'PgC yr-1', not per m2)"
    return text


def _recognised(path: Path) -> str:
    found = recognise(path)
    if found.family != "inversion":
        raise InputError(
            f"the file is {found.title}, no inversion", where=str(path), hint="give the files of an inversion"
        )
    return found.kind


def _month_days(when: np.datetime64) -> float:
    month = when.astype("datetime64[M]")
    return float(((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int))


def _part_of_day(times: Iterable[np.datetime64]) -> float:
    """Length [d] of the steps of a file of several a day."""
    seconds = np.asarray(list(times)).astype("datetime64[s]").astype(np.int64)
    return float(np.median(np.diff(seconds))) / 86400 if seconds.size > 1 else 1.0

"""Names of files of forcing as a pattern with ``{year}`` and the like, and the years that are there as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

from ..config.forcing import ForcingBlock
from ..ingest.inputs import forcing_inputs
from ..inspect.report import TimeSummary
from .shown import Shown

CHOICES = {
    2: ("{month}", "{day}", "{hour}"),
    3: ("{doy}",),
    4: ("{year}", "{hour}00"),
    6: ("{year}{month}",),
    7: ("{year}{doy}",),
    8: ("{year}{month}{day}",),
    10: ("{year}{month}{day}{hour}",),
}
"""What a number in a name may be, by its digits."""
DIGITS = {"year": 4, "month": 2, "day": 2, "doy": 3, "hour": 2}
LONGEST = 370.0
"""Days that a file named by a year may hold."""


def patterns(shown: Shown) -> tuple[list[str], list[int]]:
    """Paths for ``forcing.path``, and the years of which every day is there.

    They are one pattern, or the files themselves where their names do not follow the times that they hold.
    """
    texts = [path.relative_to(shown.below).as_posix() for path in shown.paths]
    held = set(map(Path, shown.paths))
    found: list[tuple[str, list[int]]] = []
    for below, years in _fitting(texts, shown):
        pattern = (shown.below / below).as_posix()
        block = ForcingBlock.model_construct(path=pattern)
        found.append((pattern, [year for year in years if set(map(Path, forcing_inputs(block, year))) <= held]))
    if found:
        pattern, years = next((one for one in found if one[1]), found[0])
        return [pattern], years
    return [path.as_posix() for path in shown.paths], whole_years(shown.first.time, shown.last.time)


def whole_years(first: TimeSummary | None, last: TimeSummary | None) -> list[int]:
    """Years that lie as a whole between the beginning of ``first`` and the end of ``last``."""
    if not first or not last or not first.start or not last.end:
        return []
    monthly = first.step == "1 month"
    start, end = int(first.start[:4]), int(last.end[:4])
    start += not (first.start[5:7] == "01" if monthly else first.start[5:10] == "01-01")
    end -= not (last.end[5:7] == "12" and (monthly or last.end[8:10] >= "30"))
    return list(range(start, end + 1))


def _fitting(texts: Sequence[str], shown: Shown) -> Iterator[tuple[str, list[int]]]:
    """Patterns that all of ``texts`` follow, those with most placeholders first, with their years."""
    time = shown.first.time
    if time is None or not time.start or _days(time.end) - _days(time.start) > LONGEST:
        return
    parts = [re.split(r"(\d+)", text) for text in texts]
    choices = [_choices([part[n] for part in parts], time.start[:4]) for n in range(1, len(parts[0]), 2)]
    literal = parts[0][::2]
    found = []
    for chosen in product(*choices):
        pattern = "".join(a + b for a, b in zip(literal, (*chosen, ""), strict=True))
        names = re.findall(r"\{(\w+)\}", pattern)
        if "year" in names and all(names.count(name) == 1 for name in names if name != "year"):
            found.append((len(set(names)), pattern))
    for _, pattern in sorted(found, key=lambda one: -one[0]):
        moments = [_moment(pattern, text) for text in texts]
        if all(moments) and _fits(pattern, moments[0], shown.first) and _fits(pattern, moments[-1], shown.last):
            yield pattern, sorted({moment.year for moment in moments if moment})


def _choices(values: Sequence[str], year: str) -> list[str]:
    """What a number of the names may stand for; one that never changes and is not the year is as it is."""
    same = len(set(values)) == 1
    if len(set(map(len, values))) > 1 or (same and not values[0].startswith(year)):
        return [values[0]] if same else []
    rest = {value[4:] for value in values}
    fixed = ["{year}" + values[0][4:]] if len(values[0]) in (6, 8, 10) and len(rest) == 1 else []
    return [*CHOICES.get(len(values[0]), ()), *fixed, *([values[0]] if same else [])]


def _moment(pattern: str, text: str) -> datetime | None:
    """The time that ``text`` names, None where it does not follow ``pattern``."""
    seen: set[str] = set()

    def group(name: str) -> str:
        again = name in seen
        seen.add(name)
        return f"(?P={name})" if again else rf"(?P<{name}>\d{{{DIGITS[name]}}})"

    pieces = re.split(r"\{(\w+)\}", pattern)
    form = "".join(group(piece) if n % 2 else re.escape(piece) for n, piece in enumerate(pieces))
    if not (match := re.fullmatch(form, text)):
        return None
    known = {name: int(value) for name, value in match.groupdict().items()}
    try:
        moment = datetime(known["year"], known.get("month", 1), known.get("day", 1), known.get("hour", 0))
        moment += timedelta(days=known.get("doy", 1) - 1)
    except ValueError:
        return None
    return moment if moment.year == known["year"] else None


def _fits(pattern: str, moment: datetime | None, report: object) -> bool:
    """Whether a file named by ``moment`` begins at that time, as far as ``pattern`` says it."""
    time = getattr(report, "time", None)
    if moment is None or time is None or not time.start:
        return False
    length = 10 if "{day}" in pattern or "{doy}" in pattern else 7 if "{month}" in pattern else 4
    return bool(time.start[:length] == moment.isoformat()[:length])


def _days(moment: str) -> float:
    """Days since year 0, near enough to compare lengths, of a time of any calendar."""
    year, month, day = (int(part) for part in moment[:10].split("-"))
    return 365.25 * year + 30.44 * month + day

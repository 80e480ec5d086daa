"""Raw files indexed by variable and time, so that any days can be read whichever way the files were split.

What is asked for must be there: a gap, a time that a file has twice, steps on which two files disagree, an unusable
calendar, another grid or an unreadable block is one :class:`InputError` that names file, variable and time.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..calendars import label, left_out, source_times
from ..errors import InputError, nearest
from ..files import NETCDF
from ..times import Times, decode, time_name
from ..variables import same_units
from .coordinates import GridWindow, IntArray
from .raw_file import RawFile

__all__ = ["Archive", "Field", "RawFile", "Steps"]


@dataclass(frozen=True)
class Field:
    """A variable of the files: its ``name`` in the mapping, its ``spellings`` in files, and the files that hold it.

    The spelling ``*`` is the only variable of a file; ``files`` is a pattern for the path, empty for any.
    """

    name: str
    spellings: tuple[str, ...] = ()
    files: str = ""

    def within(self, file: RawFile) -> str | None:
        """How this variable is called in ``file``; ``None`` if it is not there."""
        if "time" not in file.dims or (self.files and not fnmatch(file.path.as_posix(), self.files)):
            return None
        spellings = self.spellings or (self.name,)
        found = next((name for name in spellings if name in file.dataset.data_vars), None)
        if found is None and "*" in spellings:
            gridded = [str(n) for n, a in file.dataset.data_vars.items() if set(file.dims.values()) <= set(a.dims)]
            found = gridded[0] if len(gridded) == 1 else None
        return found


@dataclass(frozen=True, eq=False)
class Steps:
    """Where steps are: ``owner`` (number of the holder) and ``position`` in it, one of each per step asked for.

    ``spare`` are further places, in other files, of the distinct step that ``slot`` numbers.
    """

    owner: IntArray
    position: IntArray
    slot: IntArray
    spare: IntArray
    spare_owner: IntArray
    spare_position: IntArray


class _Lent:
    """Memory lent to a reader; it lives as long as any view of the array made of it, and so tells when it is free."""

    def __init__(self, owner: npt.NDArray[np.float32]) -> None:
        self.owner, self.__array_interface__ = owner, owner.__array_interface__


class Archive:
    """The raw files of one data set. ``grid`` is the grid and ``calendar`` the calendar they share.

    A file may hold the cells in another order (rows upwards, longitudes from 0 to 360). Several files may hold the same
    step if their values are equal there; ``overlaps`` counts such steps by variable.
    Raises :class:`InputError` for no file, an unreadable file or files on different grids.
    """

    def __init__(self, paths: Sequence[str | Path], snap: np.timedelta64 | None = None) -> None:
        if not paths:
            raise InputError("no raw file is given", hint="name the files of the year with --input")
        found = [file for path in dict.fromkeys(map(str, paths)) for file in RawFile.open_all(path, snap)]
        self.grid = found[0].grid
        timed = [file for file in found if "time" in file.dims] or found
        self.calendar = timed[0].calendar
        self.overlaps: Counter[str] = Counter()
        self._by_month = snap is not None and np.datetime_data(snap)[0] == "M"
        self._holders: dict[Field, list[tuple[RawFile, str]]] = {}
        self._released: set[Path] = set()
        self._buffer = np.empty(0, np.float32)
        self._lent: Callable[[], _Lent | None] = lambda: None
        self.files = [self._aligned(file, found[0]) for file in found]
        for file in timed[1:]:
            if file.calendar != self.calendar:
                raise InputError(
                    f"its calendar '{file.calendar}' differs from '{self.calendar}' of {timed[0].path}",
                    where=str(file.path),
                    hint="give files of one data set",
                )

    def _aligned(self, file: RawFile, first: RawFile) -> RawFile:
        """``file`` with the order in which it holds the cells of the ``first`` one."""
        order = self.grid.positions(file.grid)
        if order is None:
            raise InputError(
                f"its grid differs from that of {first.path}: {file.grid.text} and {self.grid.text}",
                where=str(file.path),
                hint="give files of one data set on one grid",
            )
        same = all(np.array_equal(places, np.arange(places.size)) for places in order)
        return file if same else file.ordered(order)

    def codes(self, moments: Times) -> Times:
        """Codes of the source times from which ``moments`` of the standard calendar take their values."""
        return moments.astype("datetime64[s]") if self._by_month else source_times(moments, self.calendar)

    def label(self, code: np.datetime64) -> str:
        """The date and time of a code as the calendar of the files writes it."""
        return label(code, "standard" if self._by_month else self.calendar)

    def holds(self, field: Field) -> bool:
        """Whether any file holds ``field``."""
        return any(field.within(file) for file in self.files)

    def holders(self, field: Field) -> list[tuple[RawFile, str]]:
        """The files that hold ``field`` over time, and its name there; raises :class:`InputError` if none does."""
        if field not in self._holders:
            named = ((file, field.within(file)) for file in self.files)
            self._holders[field] = [(file, name) for file, name in named if name is not None]
        found = self._holders[field]
        if not found:
            names = sorted({str(name) for f in self.files for name in f.dataset.data_vars})
            inside = f" in files like {field.files}" if field.files else ""
            timeless = "" if any("time" in f.dims for f in self.files) else "; the files have no time coordinate"
            raise InputError(
                f"no variable '{field.name}'{inside}{nearest(field.name, names)}{timeless}",
                where=", ".join(str(f.path) for f in self.files[:3]),
                hint=f"the files hold: {', '.join(names)}",
            )
        return found

    def units(self, field: Field) -> str | None:
        """Unit label of ``field``, ``None`` without one; raises :class:`InputError` if the files disagree."""
        labels = {str(file.path): file.dataset[name].attrs.get("units") for file, name in self.holders(field)}
        (path, first), *rest = labels.items()
        for other, unit in rest:
            if unit != first and not (unit and first and same_units(str(unit), str(first))):
                raise InputError(
                    f"the unit of '{field.name}' changes from {first!r} to {unit!r}",
                    where=f"{path} and {other}",
                    hint="mend the files, or override the unit if only the label is wrong",
                )
        return None if first is None else str(first).strip()

    def locate(self, field: Field, stamps: Times) -> Steps:
        """Where each of the ``stamps`` (codes) is; reads no data. Errors as :meth:`read`."""
        holders = self.holders(field)
        time = np.concatenate([f.times for f, _ in holders])
        owner = np.repeat(np.arange(len(holders)), [f.times.size for f, _ in holders])
        position = np.concatenate([np.arange(f.times.size) for f, _ in holders])
        wanted, slot = np.unique(stamps, return_inverse=True)
        inside = np.flatnonzero((time >= wanted[0]) & (time <= wanted[-1]))
        if not self._by_month:
            spoken_for = np.isin(time[inside], wanted)
            inside = inside[spoken_for | ~left_out(time[inside], self.calendar)]
        inside = inside[np.argsort(time[inside], kind="stable")]
        again = np.zeros(inside.size, bool)
        again[1:] = np.diff(time[inside]) == np.timedelta64(0, "s")
        paths = [holders[i][0].path for i in owner[inside]]
        self._check_repeated(field.name, time[inside], owner[inside], again, paths)
        once, more = inside[~again], inside[again]
        self._check_complete(
            field.name, wanted, time[once], [p for p, other in zip(paths, again, strict=True) if not other]
        )
        self.overlaps[field.name] = max(self.overlaps[field.name], more.size)
        spare = np.searchsorted(wanted, time[more])
        return Steps(owner[once][slot], position[once][slot], slot, spare, owner[more], position[more])

    def available(self, field: Field, stamps: Times) -> npt.NDArray[np.bool_]:
        """Whether each of ``stamps`` (codes) is in the files."""
        times = np.concatenate([f.times for f, _ in self.holders(field)])
        return np.isin(stamps, times)

    def read(self, field: Field, stamps: Times, window: GridWindow) -> npt.NDArray[np.float32]:
        """Values (time, lat, lon) of ``field`` at exactly the ``stamps`` (codes).

        Raises :class:`InputError` unless every stamp, and nothing between them, is present: once in a file, with equal
        values where several files have it (a field without any value counts as absent).
        """
        steps = self.locate(field, stamps)
        values = self._memory((stamps.size, *window.shape))
        for number in np.unique(steps.owner):
            slots = np.flatnonzero(steps.owner == number)
            self._read_into(values, slots, field, int(number), steps.position[slots], window)
        for number in np.unique(steps.spare_owner):
            mine = steps.spare_owner == number
            other = np.empty((int(mine.sum()), *window.shape), np.float32)
            self._read_into(other, np.arange(len(other)), field, int(number), steps.spare_position[mine], window)
            for new, place in zip(other, steps.spare[mine], strict=True):
                for slot in np.flatnonzero(steps.slot == place):
                    self._merge(values, int(slot), new, field, (int(steps.owner[slot]), int(number)), stamps[slot])
        return values

    def _memory(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """An array to read into: that of the last time if nobody holds it any more; fresh memory takes longer to get
        from the system than to fill."""
        if self._buffer.shape != shape or self._lent() is not None:
            self._buffer = np.empty(shape, np.float32)
        lent = _Lent(self._buffer)
        self._lent = weakref.ref(lent)
        return np.asarray(lent)

    def _read_into(
        self,
        values: npt.NDArray[np.float32],
        slots: IntArray,
        field: Field,
        number: int,
        steps: IntArray,
        window: GridWindow,
    ) -> None:
        """Fill ``values`` at ``slots`` with the positions ``steps`` of holder ``number``."""
        file, name = self.holders(field)[number]
        first = int(steps.min())
        self._released.discard(file.path)
        wanted = slice(first, int(steps.max()) + 1)
        if (np.diff(steps) == 1).all() and slots.size == slots[-1] - slots[0] + 1:
            into = values[slots[0] : slots[-1] + 1]
            part = file.read(name, wanted, window, into)
            if part is not into:
                into[...] = part
        else:
            values[slots] = file.read(name, wanted, window)[steps - first]

    def _merge(
        self,
        values: npt.NDArray[np.float32],
        slot: int,
        new: npt.NDArray[np.float32],
        field: Field,
        numbers: tuple[int, int],
        stamp: np.datetime64,
    ) -> None:
        """Compare a step with the ``new`` values of another file, which are taken where there were none at all."""
        old = values[slot]
        if np.isnan(new).all():
            return
        if np.isnan(old).all():
            values[slot] = new
            return
        files = [self.holders(field)[number] for number in numbers]
        noise = sum(file.noise(name) for file, name in files) * (1 + 1e-6)
        if not np.allclose(new, old, rtol=1e-6, atol=noise, equal_nan=True):
            raise InputError(
                f"two files hold different values of '{field.name}' at {self.label(stamp)}",
                where=" and ".join(str(file.path) for file, _ in files),
                hint="keep the file that is right, or cut the files so that they do not overlap",
            )

    def release(self, before: np.datetime64) -> None:
        """Close the files that end ``before`` a code, and free the chunks they keep; reading opens them again."""
        for file in self.files:
            if file.times.size and file.times.max() < before and file.path not in self._released:
                with NETCDF:
                    file.dataset.close()
                self._released.add(file.path)

    def where(self, field: Field, start: np.datetime64, stop: np.datetime64) -> str:
        """File, variable and time span (moments of the standard calendar) for a message."""
        first, last = self.codes(np.array([start, stop], "datetime64[s]"))
        files = [f for f, _ in self.holders(field) if f.times.size]
        paths = [str(f.path) for f in files if f.times.min() <= last and f.times.max() >= first]
        more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
        return f"{', '.join(paths[:2])}{more}: '{field.name}' from {label(start, '')} to {label(stop, '')}"

    def _check_repeated(
        self, variable: str, found: Times, owner: IntArray, again: npt.NDArray[np.bool_], paths: Sequence[Path]
    ) -> None:
        """Raise :class:`InputError` where one file has a time twice; ``found`` is sorted."""
        twice = np.flatnonzero(again & (owner == np.append(-1, owner[:-1])))
        if twice.size:
            self._refuse_finer(variable, paths[twice[0]])
            raise InputError(
                f"{twice.size} times of '{variable}' are present more than once, the first at "
                f"{self.label(found[twice[0]])}",
                where=str(paths[twice[0]]),
                hint="remove the duplicated steps from the file, or get it again",
            )

    def _refuse_finer(self, variable: str, path: Path) -> None:
        """Raise :class:`InputError` where most steps of a mapping have several times in the file at ``path``."""
        file = next(file for file in self.files if file.path == path)
        steps, counts = np.unique(file.times, return_counts=True)
        if steps.size > 1 and np.median(counts) > 1 and (time := time_name(file.dataset)):
            stamps = np.sort(decode(file.dataset, time, path, None)[0])
            expected, held = (float(np.median(np.diff(found.astype(np.int64)))) for found in (steps, stamps))
            raise InputError(
                f"'{variable}' has a step every {_span(held)}, one every {_span(expected)} is expected",
                where=str(path),
                hint=_other_step(held),
            )

    def _check_complete(self, variable: str, wanted: Times, found: Times, paths: Sequence[Path]) -> None:
        """Raise :class:`InputError` unless ``found`` (sorted, each once, in ``paths``) equals ``wanted``."""
        if np.array_equal(found, wanted):
            return
        misfit, way_on = step_misfit(wanted, found)
        missing = np.setdiff1d(wanted, found)
        if missing.size:
            last = f"; the data end at {self.label(found[-1])}" if found.size and missing[0] > found[-1] else ""
            outside = found.size == 0 or missing[0] > found[-1] or missing[-1] < found[0]
            years = ", or leave the year out of 'period': runs are over whole years" if outside else ""
            if found.size and missing[-1] < found[0] < missing[0] + np.timedelta64(1, "D"):
                years = f"; if the archive begins then, state forcing.first_year: {str(found[0])[:4]}"
            near = paths[max(int(np.searchsorted(found, missing[0])) - 1, 0)] if paths else None
            raise InputError(
                f"{missing.size} of {wanted.size} steps of '{variable}' from {self.label(wanted[0])} to "
                f"{self.label(wanted[-1])} are missing, the first at {self.label(missing[0])}{last}{misfit}",
                where=str(near) if near else self._reach(variable),
                hint=way_on
                or f"get the missing files{years}; a day that is accumulated ends at 00 UTC of the next (--next-input)",
            )
        strange = np.setdiff1d(found, wanted)
        if strange.size:
            raise InputError(
                f"{strange.size} steps of '{variable}' lie between the expected ones, the first at "
                f"{self.label(strange[0])}{misfit}",
                where=str(paths[0]),
                hint=way_on or "the step length of the mapping does not fit these files (step_hours)",
            )

    def _reach(self, variable: str) -> str:
        """The time that the files with ``variable`` cover, for a message."""
        timed = [f for field, found in self._holders.items() if field.name == variable for f, _ in found]
        if not timed:
            return "none of the files reaches this time"
        first, last = min(f.times.min() for f in timed), max(f.times.max() for f in timed)
        return f"{timed[0].path}: the files reach from {self.label(first)} to {self.label(last)} only"


def step_misfit(wanted: Times, found: Times) -> tuple[str, str]:
    """What to add to a message, and what to do, where ``found`` times are of another step than ``wanted`` or displaced.

    Both are sorted, each time once. Both texts are empty where single steps are missing or too many.
    """
    if wanted.size < 2 or found.size < 2:
        return "", ""
    expected, held = (float(np.median(np.diff(times.astype(np.int64)))) for times in (wanted, found))
    if abs(held - expected) > 0.2 * expected:
        what = f"; the files hold a step every {_span(held)}, one every {_span(expected)} is expected"
        return what, _other_step(held)
    if np.isin(found, wanted).any():
        return "", ""
    after = int((found[0] - wanted[max(int(np.searchsorted(wanted, found[0])) - 1, 0)]).astype(np.int64))
    what = f"; all are stamped {_span(after)} after the times that are expected"
    return (
        what,
        "set 'stamp' of the mapping to the part of the step that the files are stamped at: start, middle or end",
    )


def _other_step(held: float) -> str:
    """What to do where files hold a step of ``held`` seconds and the mapping another one."""
    whole = round(held / 1800) * 1800
    if held > 25 * 86400:
        key = "monthly: true"
    elif whole and 86400 % whole == 0 and abs(held - whole) < 60:
        key = f"step_hours: {whole / 3600:g}"
    else:
        return "give files with the step of the mapping: no mapping has the step of these"
    return f"give files with the step of the mapping, or a mapping with {key}"


def _span(seconds: float) -> str:
    """A length of time in words."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds:g} s"

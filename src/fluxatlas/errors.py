"""The errors a user can cause, each with one message: what is wrong, where, and what to do next.

Every such error derives from :class:`FluxAtlasError`; the command line prints it without a traceback and exits
with status 1. Anything else that escapes is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(number: int, noun: str, several: str = "") -> str:
    """``1 tile``, ``2 tiles``, ``1,000 tiles``; ``several`` is the plural where it is not ``noun`` with an s."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


class FluxAtlasError(Exception):
    """A problem the user can mend.

    Parameters
    ----------
    what: one sentence that says what is wrong, with the offending value.
    where: file, variable, time or config key it was found in.
    hint: what to do next.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  do:    {self.hint}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.hint))


def _rebuild(kind: type[FluxAtlasError], what: str, where: str, hint: str) -> FluxAtlasError:
    return kind(what, where=where, hint=hint)


class ConfigError(FluxAtlasError):
    """The configuration is wrong: an unknown key, a bad value, or keys that contradict each other."""


class InputError(FluxAtlasError):
    """An input file is missing, truncated, or holds what it must not hold."""


class FetchError(FluxAtlasError):
    """A provider did not deliver a file, or delivered one that cannot be used."""


class UnitError(InputError):
    """A unit is missing, unknown, or cannot be converted to the canonical one."""


class GridError(FluxAtlasError):
    """Coordinates do not lie on the grid, or a tile does not exist on it."""


class MemberMismatchError(FluxAtlasError):
    """A trained member does not fit the data it is applied to."""


class MemoryLimitError(FluxAtlasError):
    """The predicted memory exceeds what the job may use."""


def nearest(word: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``choices``, or an empty string if none is close."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"; did you mean '{found[0]}'?" if found else ""

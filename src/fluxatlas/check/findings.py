"""What a look at a run's inputs gathers: problems, notes, and what was looked at or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, FluxAtlasError, InputError


@dataclass
class Findings:
    """``problems`` stop a run, ``notes`` are odd; ``seen`` and ``unseen`` are what was looked at and what was not."""

    problems: list[FluxAtlasError] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, problem: FluxAtlasError, key: str = "") -> None:
        """Keep ``problem``, found under ``key`` of the configuration, unless it is already known.

        A name that nothing has is one problem of its key, and of all entries that a key of their block is handed to.
        """
        own = key or problem.where
        if problem.what.startswith("unknown ") and any(
            one.what.startswith(problem.what) and (one.where.startswith(own) or _handed_on(one.where, own))
            for one in self.problems
        ):
            return
        parts = [key] * (bool(key) and key not in problem.where) + [problem.where] * bool(problem.where)
        named = type(problem)(problem.what, where=": ".join(parts), hint=problem.hint)
        if all(str(named) != str(other) for other in self.problems):
            self.problems.append(named)

    @contextmanager
    def trying(self, key: str) -> Iterator[None]:
        """Keep what is refused inside as a problem of ``key``, instead of raising it."""
        try:
            yield
        except FluxAtlasError as problem:
            self.add(problem, key)

    def absent(self, key: str, files: Sequence[str], more: str = "") -> bool:
        """Whether any of ``files`` is absent, which is then one problem of ``key``; ``more`` is appended to it."""
        gone = [path for path in files if not Path(path).exists()]
        if gone:
            count = f"{len(gone)} of {len(files)} files do" if len(files) > 1 else "the file does"
            where = f"{key}: {gone[0]}" + (" and others" if len(gone) > 1 else "")
            self.add(InputError(f"{count} not exist{more}", where=where, hint="check the path, or get the files"))
        return bool(gone)

    def text(self, subject: str) -> str:
        """Everything for a screen; short where there is nothing wrong."""
        rest = [f"note: {note}" for note in self.notes]
        rest += [f"looked at: {', '.join(self.seen)}"] * bool(self.seen)
        rest += [f"not looked at: {', '.join(self.unseen)}"] * bool(self.unseen)
        return "\n".join([f"{subject}: fine", *rest])

    def refusal(self, subject: str) -> ConfigError:
        """All problems as one error."""
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = (str(problem).replace("\n", "\n  ") for problem in self.problems)
        listed = "".join(f"\n\n{number}. {line}" for number, line in enumerate(lines, start=1))
        return ConfigError(f"{subject}: {count} before the first job{listed}")


def _handed_on(general: str, key: str) -> bool:
    """Whether ``key`` is an entry of a list in the block of ``general``, which is not: its readers are handed that."""
    return "[" in key and "[" not in general and key.split(".")[0] == general.split(".")[0]

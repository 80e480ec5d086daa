"""A first look at a path: what its first bytes say, and its text with the encoding found out, read once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from ..errors import InputError
from ..magic import kind_of

HEAD = 4096
LARGEST_TEXT = 512 * 2**20
"""Text files above this many bytes are not read."""


class Probe:
    """One path that is to be inspected. Raises :class:`InputError` where it does not exist, is empty or unreadable."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.suffix = self.path.suffix.lower()
        try:
            self.is_folder = self.path.is_dir()
            self.size = 0 if self.is_folder else self.path.stat().st_size
            if not self.is_folder:
                with self.path.open("rb") as stream:
                    self.head = stream.read(HEAD)
            else:
                self.head = b""
        except (OSError, ValueError) as problem:
            missing = isinstance(problem, FileNotFoundError)
            what = "file not found" if missing else f"cannot be opened ({problem})"
            raise InputError(what, where=str(path), hint="check the path") from None
        if not self.is_folder and not self.head.strip(b"\x00 \t\r\n"):
            raise InputError("file is empty", where=str(path), hint="delete it and make or download it again")

    @cached_property
    def kind(self) -> str:
        """'folder', a binary kind of :data:`fluxatlas.magic.MAGIC`, 'text' or 'binary'."""
        if self.is_folder:
            return "folder"
        return kind_of(self.head) or ("binary" if b"\x00" in self.head else "text")

    @cached_property
    def encoding(self) -> str:
        """'utf-8', or 'latin-1' where the text is not UTF-8."""
        return "utf-8" if self.first_bad_byte is None else "latin-1"

    @cached_property
    def _bytes(self) -> bytes:
        if self.size > LARGEST_TEXT:
            raise InputError(f"text of {self.size / 2**20:.0f} MiB is not read", where=str(self.path), hint="cut it")
        try:
            return self.path.read_bytes()
        except OSError as problem:
            raise InputError(f"cannot be read ({problem})", where=str(self.path), hint="check the disk") from None

    @cached_property
    def first_bad_byte(self) -> tuple[int, int] | None:
        """Value of the first byte that is not UTF-8 and its line, or None."""
        try:
            self._bytes.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            return self._bytes[problem.start], self._bytes[: problem.start].count(b"\n") + 1
        return None

    @cached_property
    def text(self) -> str:
        """The whole text, line ends as ``\\n``; never fails on the encoding. Raises :class:`InputError` if huge."""
        text = self._bytes.decode("utf-8-sig" if self.encoding == "utf-8" else "latin-1")
        return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")

    @cached_property
    def lines(self) -> list[str]:
        """The first 400 lines of the text."""
        return self.text[: 2**20].split("\n")[:400]

    @cached_property
    def first_row(self) -> str:
        """The first line that is neither empty nor a comment (``#``)."""
        return next((line for line in self.lines if line.strip() and not line.startswith("#")), "")

    def header(self, separator: str = ",") -> list[str]:
        """Cells of the first line that is not a comment, without quotes and blanks."""
        return [cell.strip().strip('"').strip() for cell in self.first_row.split(separator)]

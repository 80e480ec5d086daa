"""Excel workbooks (``.xlsx``, a zip of XML) through python-calamine, once sizes and entities are checked."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from ...errors import InputError
from .archives import opened

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

LARGEST = 200 * 1024**2
"""Largest part of a workbook that is read [bytes]; what unpacks to more is not a table of facts."""


def sheets(data: bytes, where: str) -> dict[str, list[list[str]]]:
    """Cells of every sheet as text, row by row; raises :class:`InputError` for anything else."""
    from python_calamine import CalamineError, CalamineWorkbook

    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise InputError("the workbook cannot be read (not a zip)", where=where, hint="download it again")
    with opened(data, where) as book:
        for part in book.infolist():
            if part.file_size > LARGEST:
                raise InputError(f"'{part.filename}' unpacks to more than 200 MiB", where=where, hint="check the file")
            text = book.read(part)
            if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
                hint = "a workbook never does: do not trust the file"
                raise InputError(f"'{part.filename}' defines entities", where=where, hint=hint)
    try:
        found = CalamineWorkbook.from_filelike(io.BytesIO(data))
        return {name: _rows(found.get_sheet_by_name(name)) for name in found.sheet_names}
    except (CalamineError, ValueError, OSError, IndexError) as problem:
        raise InputError(f"the workbook cannot be read ({problem})", where=where, hint="download it again") from None
    except BaseException as problem:  # a panic of the library on a damaged file is not an Exception
        if type(problem).__name__ != "PanicException":
            raise
        raise InputError(f"the workbook is damaged ({problem})", where=where, hint="download it again") from None


def _rows(sheet: CalamineSheet) -> list[list[str]]:
    return [[_text(cell) for cell in row] for row in sheet.to_python()]


def _text(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)

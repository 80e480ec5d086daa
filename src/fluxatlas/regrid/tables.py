"""Soil maps of codes with a table of what each code means: HWSD 1.x, HWSD 2.0, or a table with declared columns.

A mapping unit holds several soils, each with its share of the area; the value of a unit is the mean of its soils,
weighted by share and by the part of their layers in the wanted depth. Negative numbers are missing (HWSD writes -1 to
-9 for rock, water, towns and gaps), and soils without a value do not count.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config.providers import depth_shares, presets
from ..config.static import Layer
from ..errors import InputError, nearest
from ..missing import without_value

Array = npt.NDArray[Any]
HWSD1, HWSD2 = "MU_GLOBAL", "HWSD2_SMU_ID"
"""Columns of codes by which the versions are distinguished."""
TOP_AND_SUBSOIL = {"T_": (0.0, 30.0), "S_": (30.0, 100.0)}
"""Depths [cm] of the columns of HWSD 1.x."""
LAYERS = {"D1": (0, 20), "D2": (20, 40), "D3": (40, 60), "D4": (60, 80), "D5": (80, 100), "D6": (100, 150),
          "D7": (150, 200)}  # fmt: skip
"""Depths [cm] of the layers of HWSD 2.0."""
LARGEST = 2.0**31
"""Codes, shares, depths and values are below this."""
NOT_ZERO = ("bdod", "phh2o")
"""Layers for which a zero is a missing value."""


@dataclass(frozen=True)
class Units:
    """Values by mapping unit: ``codes`` ascending, ``values`` (NaN where no soil has one), and the ``provider``."""

    codes: npt.NDArray[np.int64]
    values: Array
    provider: str

    def at(self, codes: Array, known: npt.NDArray[np.bool_], path: str, table: str) -> Array:
        """Values of ``codes`` where ``known``, else NaN; raises :class:`InputError` for codes that are not listed."""
        whole = np.where(known, codes, self.codes[0]).astype(np.int64)
        place = np.minimum(np.searchsorted(self.codes, whole), len(self.codes) - 1)
        strange = known & (self.codes[place] != whole)
        if strange.any():
            listed = np.unique(whole[strange])
            what = f"{len(listed)} mapping units of the map are not in the table, such as {listed[:8].tolist()}"
            raise InputError(what, where=f"{path} with {table}", hint="give the table of this map, or declare 'nodata'")
        return np.where(known, self.values[place], np.nan)


def units_of(name: str, layer: Layer) -> Units:
    """The values of layer ``name`` by mapping unit, as stored in its table (factor and unit are the preset's).

    Raises :class:`InputError` for a table that is absent, empty, no UTF-8 text, or without what is needed.
    """
    frame, path = (
        _read(layer.table, Path(layer.table).stat().st_mtime_ns if Path(layer.table).exists() else 0),
        layer.table,
    )
    columns = {str(column).strip().upper(): column for column in frame.columns}
    code = layer.columns.get("code") or next((c for c in (HWSD2, HWSD1) if c in columns), "")
    if not code:
        hint = f"give HWSD_DATA or HWSD2_LAYERS, or name the column of codes in 'columns' (held: {list(columns)[:12]})"
        raise InputError("the table has no column of mapping units", where=path, hint=hint)
    version = {HWSD1: "hwsd", HWSD2: "hwsd2"}.get(code.upper(), "")
    rows = _rows(frame, columns, layer, code, version, path)
    parts = _parts(rows, columns, name, layer, version, path)
    keys, place = np.unique(rows["code"].to_numpy(), return_inverse=True)
    total, known = np.zeros(len(keys)), np.zeros(len(keys))
    for values, share in parts:
        values = np.where((values < 0) | ((values == 0) & (name in NOT_ZERO)), np.nan, values)
        weight = np.where(np.isfinite(values), rows["share"].to_numpy() * share, 0.0)
        np.add.at(total, place, np.nan_to_num(values) * weight)
        np.add.at(known, place, weight)
    known = np.where(known > 1e-9, known, 0.0)  # shares that small are none
    if not known.any():
        raise InputError(f"no mapping unit has a value of '{name}' in this depth", where=path, hint="check 'depth'")
    means = np.divide(total, known, where=known > 0, out=np.full(len(keys), np.nan))
    return Units(keys.astype(np.int64), means, version)


def _rows(frame: Any, columns: dict[str, Any], layer: Layer, code: str, version: str, path: str) -> Any:
    """The table with the numeric columns ``code`` and ``share``; shares are checked to be at most the whole."""
    share = layer.columns.get("share") or ("SHARE" if "SHARE" in columns else "")
    if version and not share:
        hint = "export the table HWSD_DATA (version 1) or HWSD2_LAYERS (version 2)"
        raise InputError("the table has no column SHARE", where=path, hint=hint)
    rows = frame.copy(deep=False)
    rows["code"] = _numbers(frame, columns, code, path)
    rows["share"] = _numbers(frame, columns, share, path) if share else 1.0
    if rows["code"].isna().any():
        line = int(rows["code"].isna().to_numpy().argmax()) + 2
        raise InputError(f"a row without a mapping unit (line {line})", where=path, hint="mend the table")
    strange = rows["code"][rows["code"] % 1 != 0]
    if len(strange):
        raise InputError(f"the mapping unit {strange.iloc[0]:g} is not a code", where=path, hint="mend the table")
    if not (rows["share"].fillna(0) >= 0).all():
        raise InputError("a share is negative", where=path, hint="mend the table")
    layers = [columns["LAYER"]] if version == "hwsd2" and "LAYER" in columns else []
    whole = rows.groupby(["code", *layers], sort=False)["share"].sum()
    most = float(whole.max()) if share else 1.0
    if most > (1.05 if most < 2 else 105):
        unit = whole.idxmax()[0] if layers else whole.idxmax()
        what = f"the shares of mapping unit {unit:g} add up to {most:g}"
        raise InputError(what, where=path, hint="rows are listed twice, or several tables were joined")
    if not share and rows["code"].duplicated().any():
        raise InputError(
            "a mapping unit is listed twice, without shares", where=path, hint="name columns: {share: ...}"
        )
    return rows.assign(share=rows["share"].fillna(0.0))


def _parts(
    rows: Any, columns: dict[str, Any], name: str, layer: Layer, version: str, path: str
) -> list[tuple[Array, Array]]:
    """Columns of values with the share (row,) of their layer in the wanted depth."""
    preset = presets().get((version, name))
    ones = np.ones(len(rows))
    if layer.variables or not preset:
        wanted = layer.variables or [name]
        if len(wanted) > 1:
            raise InputError("several columns of a table cannot be summed", where=path, hint="name one 'variable'")
        chosen = wanted[0]
    elif version == "hwsd":
        chosen = next((n for n in preset.names if f"T_{n}" in columns), preset.names[-1])
        shares = dict(zip(TOP_AND_SUBSOIL, depth_shares(list(TOP_AND_SUBSOIL.values()), layer.depth), strict=True))
        return [(_numbers(rows, columns, mark + chosen, path), ones * share) for mark, share in shares.items() if share]
    else:
        chosen = next((n for n in preset.names if n in columns), preset.names[0])
    top, bottom = _bounds(rows, columns, layer, version, path)
    if top is None or bottom is None:
        return [(_numbers(rows, columns, chosen, path), ones)]
    low, high = layer.depth
    inside = np.maximum(0.0, np.minimum(bottom, high) - np.maximum(top, low)) / (high - low)
    return [(_numbers(rows, columns, chosen, path), inside)]


def _bounds(
    rows: Any, columns: dict[str, Any], layer: Layer, version: str, path: str
) -> tuple[Array | None, Array | None]:
    """Top and bottom [cm] of the layer of each row, None where the table has no layers."""
    top, bottom = (layer.columns.get(side, "") for side in ("top", "bottom"))  # type: ignore[call-overload]
    if version == "hwsd2" and {"TOPDEP", "BOTDEP"} <= set(columns):
        top, bottom = top or "TOPDEP", bottom or "BOTDEP"
    if top and bottom:
        return _numbers(rows, columns, top, path), _numbers(rows, columns, bottom, path)
    if version != "hwsd2":
        return None, None
    if "LAYER" not in columns:
        hint = "export the table HWSD2_LAYERS; HWSD2_SMU has no soils by layer"
        raise InputError("the table has no column LAYER", where=path, hint=hint)
    depths = [LAYERS.get(str(text).strip().upper(), (np.nan, np.nan)) for text in rows[columns["LAYER"]]]
    bounds = np.array(depths, float)
    return np.nan_to_num(bounds[:, 0]), np.nan_to_num(bounds[:, 1])


def _numbers(frame: Any, columns: dict[str, Any], column: str, path: str) -> Array:
    """A column as float64, NaN where empty; raises :class:`InputError` where it is absent or holds text."""
    held = columns.get(column.strip().upper())
    if held is None:
        what = f"the table has no column '{column}'{nearest(column.upper(), columns)}"
        raise InputError(what, where=path, hint=f"held: {', '.join(list(columns)[:40])}")
    text = frame[held].fillna("").astype(str).str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.isna().any():
        comma = pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce")
        numbers = comma if comma.notna().sum() > numbers.notna().sum() else numbers
    wrong = (numbers.isna() & ~without_value(text)) | (numbers.abs() >= LARGEST)
    if wrong.any():
        line = int(wrong.to_numpy().argmax()) + 2
        what = f"'{text[wrong].iloc[0]}' in column '{held}' is not a number (line {line})"
        raise InputError(what, where=path, hint="mend the table")
    return np.asarray(numbers, np.float64)


@lru_cache(maxsize=2)
def _read(path: str, _changed: int) -> Any:
    """The table as text cells, columns as named; read once for all layers."""
    try:
        data = Path(path).read_bytes()
    except OSError as problem:
        what = "file not found" if isinstance(problem, FileNotFoundError) else f"cannot be read ({problem.strerror})"
        raise InputError(what, where=path, hint="check 'table' in the block 'static'") from None
    if not data.strip():
        raise InputError("the table is empty", where=path, hint="export it again")
    if data[4:19] in (b"Standard Jet DB", b"Standard ACE DB"):
        hint = "export its table as CSV: mdb-export HWSD2.mdb HWSD2_LAYERS > HWSD2_LAYERS.csv (version 1: HWSD_DATA)"
        raise InputError("this is an Access database, not a CSV table", where=path, hint=hint)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data[: problem.start].count(b"\n") + 1
        hint = "save it as UTF-8: iconv -f latin1 -t utf-8"
        raise InputError(f"line {line} is not UTF-8 text", where=path, hint=hint) from None
    if "\x00" in text:
        raise InputError("the table is not text", where=path, hint="export it as CSV")
    header = text.lstrip().split("\n", 1)[0]
    mark = max(",;\t|", key=header.count)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=mark, dtype=str, keep_default_na=False, skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as problem:
        raise InputError(f"the table cannot be read ({problem})", where=path, hint="export it as CSV again") from None
    if frame.empty:
        raise InputError("the table has no rows", where=path, hint="export it again")
    twice = [str(c) for c in frame.columns if re.fullmatch(r".+\.1", str(c)) and str(c)[:-2] in frame.columns]
    if twice:
        raise InputError(f"the column '{twice[0][:-2]}' is there twice", where=path, hint="keep one of them")
    return frame

"""What ``fluxatlas init`` asks, writes and says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from ..errors import ConfigError, FluxAtlasError, counted
from ..files import write_text
from ..gases import year_spans
from ..systems import SYSTEMS, get_system
from .draft import Lack, lacks, mapping_text, settings, text, unused
from .forcing import Box, ShownWeather, domain_of, weather
from .inputs import ShownInputs, inputs
from .shown import Shown, look

T = TypeVar("T")
MOST = 12
"""Files that are not used are listed up to this number."""


@dataclass(frozen=True)
class InitRequest:
    """The command line: ``domain`` is ``W,S,E,N``, ``period`` is ``2001-2005`` or a year; empty: not said."""

    files: Sequence[Path]
    output: Path
    system: str = ""
    domain: str = ""
    period: str = ""
    yes: bool = False
    force: bool = False


def init(wish: InitRequest) -> str:
    """Write a first configuration and say what it holds and what still lacks.

    Raises :class:`ConfigError`, before anything is written, where the file exists, nothing can be read, or something is
    not said that cannot be known (a terminal is asked).
    """
    asking = not wish.yes and sys.stdin.isatty() and sys.stderr.isatty()
    name = _free(wish)
    for option, read in ((wish.domain, box_of), (wish.period, years_of), (wish.system, get_system)):
        if option:
            read(option)
    shown = look(wish.files)
    if wish.files and not any(one.first.uses for one in shown):
        raise _nothing(shown)
    found = weather(shown)
    system = wish.system or (_ask(f"System ({', '.join(SYSTEMS)})", "", get_system)[0] if asking else "")
    rest = inputs(shown, get_system(system or next(iter(SYSTEMS))))
    area = domain_of([*([found.box] if found.box else []), *rest.boxes])
    known = {
        "domain": wish.domain or (",".join(f"{edge:g}" for edge in area) if area else ""),
        "period": wish.period or (f"{found.years[0]}-{found.years[-1]}" if found.years else ""),
    }
    if asking:
        questions = {"domain": ("Domain W,S,E,N [degrees]", box_of), "period": ("Years", years_of)}
        known |= {
            key: _ask(said, known[key], read)[0] for key, (said, read) in questions.items() if not getattr(wish, key)
        }
    _refuse_unknown({"system": system, **known})
    return _write(wish, name, system, box_of(known["domain"]), years_of(known["period"]), shown, found, rest)


def _free(wish: InitRequest) -> str:
    """The name of the run, from that of the file, which must not exist."""
    if wish.output.is_dir():
        raise ConfigError("this is a folder, not a file", where=str(wish.output), hint="name the configuration in it")
    if wish.output.exists() and not wish.force:
        raise ConfigError("the file exists", where=str(wish.output), hint="choose another --output, or say --force")
    if wish.output.suffix not in (".yaml", ".yml"):
        raise ConfigError("a configuration ends in .yaml", where=f"--output {wish.output}", hint="choose another name")
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", wish.output.stem).lstrip("_.-") or "run"


def _nothing(shown: Sequence[Shown]) -> ConfigError:
    listed = [f"{one.what}: {one.first.verdict or 'not recognised'}" for one in shown[:MOST]]
    listed += [f"and {len(shown) - MOST} more"] * (len(shown) > MOST)
    hint = "`fluxatlas inspect` says more of each; docs/your_data.md names what a run needs"
    return ConfigError("none of these can be used as input", where="\n         ".join(listed), hint=hint)


def _refuse_unknown(known: dict[str, str]) -> None:
    said = {
        "system": f"--system NAME ({', '.join(SYSTEMS)})",
        "domain": "--domain W,S,E,N (degrees)",
        "period": "--period 2001-2005",
    }
    absent = [said[key] for key, value in known.items() if not value]
    if absent:
        what = "the files do not tell everything that a configuration needs"
        raise ConfigError(what, where="fluxatlas init", hint=f"add {'; '.join(absent)}")


def _ask(question: str, default: str, read: Callable[[str], T]) -> tuple[str, T]:
    """Ask until ``read`` takes the answer; the answer and what was read."""
    while True:
        answer = str(typer.prompt(question, default=default or None, err=True))
        try:
            return answer, read(answer)
        except FluxAtlasError as problem:
            typer.echo(str(problem), err=True)


def box_of(said: str) -> Box:
    """West, south, east, north from ``W,S,E,N``; raises :class:`ConfigError` for what is not four numbers in order."""
    try:
        west, south, east, north = (float(part) for part in said.replace(" ", ",").split(",") if part)
    except ValueError:
        hint = "give four numbers in degrees, such as --domain=-9,37,-8,38"
        raise ConfigError("not a domain of west, south, east and north", where=f"--domain {said}", hint=hint) from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        hint = "west lies below east (-180 to 180) and south below north; across the date line make two runs"
        raise ConfigError("the domain is empty or beyond the globe", where=f"--domain {said}", hint=hint)
    return west, south, east, north


def years_of(said: str) -> tuple[int, int]:
    """First and last year of ``2001-2005`` or ``2001``; raises :class:`ConfigError` for something else."""
    match = re.fullmatch(r"\s*(\d{4})(?:\s*-\s*(\d{4}))?\s*", said)
    years = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if years[0] > years[1]:
        raise ConfigError("not a period of years", where=f"--period {said}", hint="write it as 2001-2005, or 2001")
    return years


def _write(
    wish: InitRequest,
    name: str,
    system: str,
    area: Box,
    years: tuple[int, int],
    shown: Sequence[Shown],
    found: ShownWeather,
    rest: ShownInputs,
) -> str:
    mapping = wish.output.with_name(f"{wish.output.stem}_mapping.yaml")
    if found.mapping:
        if mapping.exists() and not wish.force:
            raise ConfigError("the file exists", where=str(mapping), hint="choose another --output, or say --force")
        found.block = {"source": "mapping", "mapping": mapping.as_posix(), **found.block}
    data = settings(name, system, area, years, found, rest)
    missing = lacks(get_system(system), found, rest)
    if found.mapping:
        write_text(mapping, mapping_text(found.mapping))
    write_text(wish.output, text(data, _notes(wish, found), missing, wish.output.as_posix()))
    return _said(wish, shown, found, rest, missing)


def _notes(wish: InitRequest, found: ShownWeather) -> dict[str, str]:
    """What the reader of the file should know of what was not said but taken from the files."""
    notes = {}
    if not wish.domain:
        notes["domain"] = "This is what the weather and the layers that were shown have in common."
    if found.years:
        notes["period"] = f"Whole years of the weather that was shown: {year_spans(found.years)}."
    if found.makes:
        notes["forcing"] = f"The files make {', '.join(found.makes)}."
    return notes


def _said(
    wish: InitRequest, shown: Sequence[Shown], found: ShownWeather, rest: ShownInputs, missing: Sequence[Lack]
) -> str:
    """What goes where, what is not used, what still lacks, and the next command."""
    rows = [("forcing", one.what) for one in found.used]
    rows += [("forcing.elevation", found.elevation.what)] if found.elevation else []
    rows += [(key, one.what) for one, key in rest.used]
    wide = max((len(key) for key, _ in rows), default=0)
    lines = [f"  {key:<{wide}}  {what}" for key, what in rows]
    aside = unused(shown, found, rest)
    if aside:
        lines.append("not used")
        lines += [f"  {what}: {why}" for what, why in aside[:MOST]]
        lines += [f"  ... and {len(aside) - MOST} more"] * (len(aside) > MOST)
    lines.append("still lacks" if missing else "nothing is missing at first sight")
    lines += [f"  {lack.key}: {lack.what}" for lack in missing]
    files = counted(sum(len(one.paths) for one in shown), "file")
    lines = [f"wrote {wish.output} from {files}", *lines, f"next: fluxatlas check {wish.output}"]
    return "\n".join(lines)

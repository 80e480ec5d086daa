"""Many files as one short word of a command line: braces as in bash, written by the rules, unfolded by the commands."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any


def brace_expansion(option: str, template: str, **lists: Sequence[Any]) -> list[str]:
    """One word for a path of every combination of ``lists`` behind ``option``; no word where a list is empty.

    ``brace_expansion("--flux", "infer/{tile}/{year}.nc", tile=["A", "B"], year=[1, 2])`` is
    ``["--flux=infer/{A,B}/{1,2}.nc"]``, which stands for four options (:func:`unfolded`).
    """
    if not all(lists.values()):
        return []
    braces = {k: "{" + ",".join(map(str, v)) + "}" if len(v) != 1 else str(v[0]) for k, v in lists.items()}
    return [f"{option}={template.format(**braces)}"]


def listed(words: Sequence[str]) -> list[str]:
    """``words`` of a command line, or those of the file where the only word is ``@FILE``: each ends with a NUL there.

    Command lines that are longer than the system takes reach us in this way (workflow/rules/common.smk).
    """
    if len(words) != 1 or not words[0].startswith("@"):
        return list(words)
    return Path(words[0][1:]).read_text(encoding="utf-8").split("\0")[:-1]


def unfolded(words: Sequence[str]) -> list[str]:
    """``--flux={a,b}/{1,2}.nc`` as four options, as bash does it: a long list of files stays one short word until here.

    Only options written with ``=`` are unfolded, and no JSON (``--settings={...}``).
    """
    found: list[str] = []
    for word in words:
        option, _, value = word.partition("=")
        parts = re.split(r"\{([^{}]*)\}", value)
        if not option.startswith("--") or len(parts) == 1 or value.startswith('{"'):
            found.append(word)
            continue
        choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
        found += [f"{option}={''.join(chosen)}" for chosen in product(*choices)]
    return found

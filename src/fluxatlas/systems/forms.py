"""What sites state of the structural choices of the process model, such as the crops that follow each other there."""

from __future__ import annotations

from ..errors import InputError, nearest
from .base import System


def refuse_form(system: System, choice: str, form: str, site: str) -> None:
    """Raise :class:`InputError` where ``form`` is not one of a ``choice`` of ``system``; empty is its default."""
    names = system.choices[choice]
    if form not in ("", *names):
        raise InputError(
            f"{choice} '{form}' of site '{site}' is not one of {system.name}{nearest(form, names)}",
            where="site attributes",
            hint=f"choose from {', '.join(names)}, or leave it empty for {names[0]}",
        )

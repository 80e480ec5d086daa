"""Docstrings of the source as Markdown: the roles of reStructuredText that they use become code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

ROLE = re.compile(r":(?:class|func|mod|meth|data|attr):`~?([^`]+)`")


class Roles(Extension):
    """Replace the roles in every docstring that is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = ROLE.sub(r"`\1`", obj.docstring.value)

"""Objects named by ``module:name`` strings, imported when they are asked for, so that declarations stay light."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from operator import attrgetter
from typing import Any


@cache
def load_object(path: str) -> Any:
    """What ``path``, such as ``fluxatlas.process.slow:lai`` or ``fluxatlas.process.parameters:SOIL.priors``, names.

    Raises :class:`ImportError` or :class:`AttributeError` where there is no such module or object: a fault of the
    declaration, which tests must find.
    """
    module, _, name = path.partition(":")
    return attrgetter(name)(import_module(module))

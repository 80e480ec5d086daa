"""Addresses of Dask schedulers: who reaches one can run code, so that only what is closed is taken."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator


def _closed(address: str) -> str:
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if address and parts.scheme not in ("tls", "wss", "inproc") and not _is_loopback(parts.hostname or ""):
        raise ValueError(
            f"'{address}' leaves this machine without encryption, and who reaches it can run code as you:"
            " start scheduler and workers with certificates (dask scheduler --protocol tls) and give tls://host:port"
        )
    return address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Address = Annotated[str, AfterValidator(_closed)]
"""Address of a scheduler, encrypted or of this machine alone; may be empty."""

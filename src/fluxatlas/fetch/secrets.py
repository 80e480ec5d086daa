"""Credentials come from the provider's own file or the environment, and nothing that is printed or written holds them.

Nothing here reads a credential to use it: the provider's client does. The values are read only to be taken out of
messages and log records, whoever writes them.
"""

from __future__ import annotations

import logging
import netrc
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

HIDDEN = "***"
ENVIRONMENT = ("KEY", "TOKEN", "PASSWORD", "SECRET", "PAT")
"""A variable of the environment with one of these as a word of its name holds a credential."""
LOGGERS = ("cdsapi", "ecmwf", "multiurl", "earthaccess", "s3fs", "gcsfs", "fsspec", "botocore", "urllib3", "requests")
SIGNED = re.compile(r"(?i)\b([\w-]*(?:signature|token|credential|password|secret|accesskeyid|key))=[^&\s'\"<>]+")
HEADER = re.compile(
    r"(?i)(authorization|private-token|x-[\w-]*token)(['\"]?\s*[:=]\s*['\"]?)(?:(?:bearer|basic)\s+)?[^\s'\",}]+"
)
USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def scrub(text: str) -> str:
    """``text`` without credentials: known values, signatures in addresses, authorization headers, user:password@."""
    for secret in sorted(set(_known()), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = HEADER.sub(rf"\1\2{HIDDEN}", text)
    return USERINFO.sub(f"{HIDDEN}@", SIGNED.sub(rf"\1={HIDDEN}", text))


def bare(url: str) -> str:
    """``url`` without user, query and fragment: fit for a provenance record."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _Scrubber(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        clean = scrub(record.getMessage())
        if record.exc_info:
            clean += f" ({scrub(str(record.exc_info[1]))})"
        record.msg, record.args, record.exc_info, record.exc_text = clean, None, None, None
        return True


def guard_logs() -> None:
    """Take credentials out of everything that the providers' clients log from now on."""
    loggers = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in LOGGERS]
    for name in {*LOGGERS, *loggers}:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _Scrubber) for known in logger.filters):
            logger.addFilter(_Scrubber())


def _known() -> Iterator[str]:
    """Values of credentials that this process could see; short ones are not secrets but would spoil every message."""
    for value in (*_from_environment(), *_from_cdsapirc(), *_from_netrc()):
        if len(value) >= 6:
            yield value


def _from_environment() -> list[str]:
    return [value for name, value in os.environ.items() if set(name.upper().split("_")) & set(ENVIRONMENT)]


def _from_cdsapirc() -> list[str]:
    path = Path(os.environ.get("CDSAPI_RC") or Path.home() / ".cdsapirc")
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.split(":", 1)[1].strip() for line in lines if line.strip().startswith("key") and ":" in line]


def _from_netrc() -> list[str]:
    path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        return [entry[2] for entry in netrc.netrc(str(path)).hosts.values() if entry[2]]
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
        return []

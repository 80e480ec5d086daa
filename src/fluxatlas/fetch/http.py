"""One file over HTTP, continued where it was broken off; used by every route that ends in an address.

What was received stays in the partial file, beside it ``<partial>.json`` with what identifies the remote file. It is
continued only if the server still has that very file (``If-Range``, RFC 9110) and answers with the bytes asked for;
any other answer starts again from nothing.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

import requests
import urllib3

from ..errors import FetchError
from .checksum import Checksum, from_headers
from .secrets import bare, scrub

Report = Callable[[int, int | None], None]
"""Told the bytes received and the size (``None``: unknown)."""

PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
LONGEST_PAUSE = 120.0
CHUNK = 1 << 18
HEADWAY = 1 << 16
"""Bytes that an attempt must add to count as progress."""


@dataclass(frozen=True)
class Patience:
    """How long a provider is waited for."""

    tries: int = 6
    """Failures in a row, without progress, after which a file is given up."""
    pause: float = 2.0
    """Seconds before the second try; doubled for every further one, up to two minutes."""
    timeout: float = 60.0
    """Seconds without a byte after which a connection counts as broken."""
    queue: float = 86400.0
    """Seconds that a request may wait in a provider's queue."""


@dataclass
class Remote:
    """What identifies the remote file."""

    url: str
    size: int | None = None
    etag: str = ""
    last_modified: str = ""
    checksum: str = ""


class _PassingError(Exception):
    """A failure that may pass; ``wait`` is what the server asks for [s]."""

    def __init__(self, what: str, wait: float = 0.0) -> None:
        super().__init__(what)
        self.wait = wait


def download(
    url: str,
    partial: Path,
    *,
    patience: Patience,
    report: Report,
    session: requests.Session | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Remote:
    """Get ``url`` into ``partial``, continuing what is there.

    ``session`` carries the credentials of a provider's client; without one those of the user's netrc file apply.
    Raises :class:`FetchError` where the server refuses, does not have the file, or fails ``patience.tries`` times in
    a row without progress; what was received is kept then.
    """
    with contextlib.ExitStack() as stack:
        session = session or stack.enter_context(requests.Session())
        failures, best = 0, _size(partial)
        while True:
            try:
                return _attempt(session, url, partial, patience, report)
            except _PassingError as problem:
                failures = 1 if _size(partial) > best + HEADWAY else failures + 1
                best = max(best, _size(partial))
                if failures >= patience.tries:
                    raise FetchError(
                        f"{scrub(str(problem))} ({failures} times in a row)",
                        where=bare(url),
                        hint="fetch again later; what was received is kept and continued"
                        if best
                        else "fetch again later",
                    ) from None
                pause = min(max(patience.pause * 2 ** (failures - 1), problem.wait), LONGEST_PAUSE)
                say(f"  {bare(url)}: {problem}; again in {pause:.3g} s, from byte {_size(partial):,}")
                time.sleep(pause)


def get_text(url: str, *, patience: Patience) -> str:
    """The text at ``url``, such as a list of checksums; errors as :func:`download`."""
    failures = 0
    while True:
        try:
            with requests.Session() as session, _request(session, url, {}, patience) as reply:
                return reply.text
        except _PassingError as problem:
            failures += 1
            if failures >= patience.tries:
                raise FetchError(scrub(str(problem)), where=bare(url), hint="fetch again later") from None
            time.sleep(min(max(patience.pause * 2 ** (failures - 1), problem.wait), LONGEST_PAUSE))


def state_file(partial: Path) -> Path:
    """Where it is noted what a partial file is a part of."""
    return partial.with_name(partial.name + ".json")


def _attempt(session: requests.Session, url: str, partial: Path, patience: Patience, report: Report) -> Remote:
    """Get the rest of the file in one request."""
    known = _known(partial, url)
    have = _size(partial) if known else 0
    if known and known.size == have > 0:
        return known
    headers = {"Accept-Encoding": "identity"}
    if known and have:
        headers["Range"] = f"bytes={have}-"
        validator = known.etag if known.etag and not known.etag.startswith("W/") else known.last_modified
        headers |= {"If-Range": validator} if validator else {}
    with _request(session, url, headers, patience) as reply:
        if reply.status_code == 416:
            partial.unlink(missing_ok=True)
            raise _PassingError("the file at the server is shorter than what was received: starting again")
        remote = _described(url, reply)
        if reply.status_code == 206:
            _check_continues(reply, have, known, remote, partial)
        else:
            have = 0
        state_file(partial).write_text(json.dumps(asdict(remote)), encoding="utf-8")
        _receive(reply, partial, have, remote, report)
    return remote


def _request(session: requests.Session, url: str, headers: Mapping[str, str], patience: Patience) -> requests.Response:
    """The reply to a GET: 200, 206 or 416; anything else is an error of one of the two kinds."""
    try:
        reply = session.get(url, headers=dict(headers), stream=True, timeout=patience.timeout)
    except requests.exceptions.SSLError as problem:
        raise FetchError(
            f"no secure connection ({_short(problem)})", where=bare(url), hint="check certificates and the clock"
        ) from None
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as problem:
        raise _PassingError(f"no connection ({_short(problem)})") from None
    except (requests.RequestException, ValueError) as problem:
        raise FetchError(
            f"cannot be requested ({_short(problem)})", where=bare(url), hint="check the address"
        ) from None
    if reply.status_code in (200, 206, 416):
        return reply
    reply.close()
    if reply.status_code in PASSING:
        wait = _retry_after(reply.headers.get("Retry-After", ""))
        raise _PassingError(f"the server answers {reply.status_code} {reply.reason}", wait)
    raise FetchError(f"the server answers {reply.status_code} {reply.reason}", where=bare(url), hint=_advice(reply))


def _receive(reply: requests.Response, partial: Path, have: int, remote: Remote, report: Report) -> None:
    """Append the body of ``reply`` to the first ``have`` bytes of ``partial``; the size must come out right."""
    try:
        with partial.open("r+b" if have else "wb") as handle:
            handle.seek(have)
            handle.truncate()
            while chunk := reply.raw.read1(CHUNK, decode_content=True):  # what has come, not what fills a buffer
                handle.write(chunk)
                have += len(chunk)
                report(have, remote.size)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as problem:
        raise _PassingError(f"the connection broke after {have:,} bytes ({_short(problem)})") from None
    except OSError as problem:
        raise FetchError(
            f"cannot be written ({problem.strerror})",
            where=str(partial.parent),
            hint="free space, or choose another folder",
        ) from None
    if remote.size is not None and have < remote.size:
        raise _PassingError(f"only {have:,} of {remote.size:,} bytes came")
    if remote.size is not None and have > remote.size:
        partial.unlink()
        raise _PassingError(f"{have:,} bytes came instead of {remote.size:,}: starting again")


def _check_continues(reply: requests.Response, have: int, known: Remote | None, remote: Remote, partial: Path) -> None:
    """A 206 must start where we stopped and be of the same file."""
    first = re.match(r"bytes (\d+)-", reply.headers.get("Content-Range", ""))
    same = known is not None and (known.size, known.etag) == (remote.size, remote.etag or known.etag)
    if not first or int(first[1]) != have or not same:
        partial.unlink(missing_ok=True)
        raise _PassingError("the server does not continue the same file: starting again")
    remote.checksum = remote.checksum or (known.checksum if known else "")


def _described(url: str, reply: requests.Response) -> Remote:
    headers = {key.lower(): value for key, value in reply.headers.items()}
    if reply.status_code == 206:
        headers.pop("content-md5", None)  # that of the part
        total = headers.get("content-range", "").rpartition("/")[2]
    else:
        total = "" if headers.get("content-encoding", "identity") != "identity" else headers.get("content-length", "")
    checksum: Checksum | None = from_headers(headers)
    return Remote(
        url=bare(url),
        size=int(total) if total.isdigit() else None,
        etag=headers.get("etag", ""),
        last_modified=headers.get("last-modified", ""),
        checksum=str(checksum) if checksum else "",
    )


def _known(partial: Path, url: str) -> Remote | None:
    """What ``partial`` is a part of; ``None`` if that is unknown or another address."""
    try:
        known = Remote(**json.loads(state_file(partial).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return known if known.url == bare(url) else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _retry_after(value: str) -> float:
    """Seconds that a server asks to wait: a number or a date."""
    if value.strip().isdigit():
        return float(value)
    with contextlib.suppress(ValueError, TypeError):
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    return 0.0


def _advice(reply: requests.Response) -> str:
    if reply.status_code in (401, 403):
        return "the credentials are missing, expired, or the licence is not accepted yet: see docs/fetch.md"
    if reply.status_code in (404, 410):
        return "the provider has no such file: check variable, year and version"
    return "check the address and the request"


def _short(problem: BaseException) -> str:
    """The innermost cause of a connection error, in one line without credentials."""
    while problem.__context__ is not None or problem.__cause__ is not None:
        problem = problem.__cause__ or problem.__context__  # type: ignore[assignment]
    text = str(problem) or type(problem).__name__
    return scrub(text.splitlines()[0])[:200]

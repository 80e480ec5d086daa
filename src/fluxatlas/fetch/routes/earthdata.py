"""A granule of NASA Earthdata, through the client ``earthaccess``.

The client searches, logs in (``EARTHDATA_TOKEN``, or ``EARTHDATA_USERNAME`` and ``EARTHDATA_PASSWORD``, or the user's
netrc file) and gives a session; :mod:`fluxatlas.fetch.http` then fetches with it, so that a granule can be continued.
One search serves a whole month.
"""

from __future__ import annotations

import os
import threading
from datetime import datetime, timedelta
from functools import lru_cache
from functools import partial as bind
from pathlib import Path
from typing import Any

import requests
from earthaccess import PROD
from earthaccess.auth import Auth
from earthaccess.exceptions import LoginAttemptFailure, LoginStrategyUnavailable
from earthaccess.search import DataGranules

from ...errors import FetchError
from .. import http
from ..checksum import DIGITS
from ..items import Item
from ..secrets import bare, guard_logs, scrub
from ..transfer import Delivery, TransferContext

SYSTEM = PROD
"""Which of the provider's systems is asked."""
CREDENTIALS = "set EARTHDATA_TOKEN, or put urs.earthdata.nasa.gov into ~/.netrc (docs/fetch.md)"

_lock = threading.Lock()


def deliver(item: Item, partial: Path, context: TransferContext) -> Delivery:
    """Fill ``partial`` with the granule of the period of ``item``.

    Raises :class:`FetchError` where the log-in fails, or not exactly one granule begins with the period.
    """
    month = item.start.replace(day=1, hour=0)
    with _lock:  # one log-in and one search, not one for every thread
        auth = _login()
        granules = _search(item.recipe.collection, item.recipe.version, month)
    own = [granule for granule in granules if _begins(granule) == item.start]
    links = [link for granule in own for link in granule.data_links(access="external")]
    if len(links) != 1:
        raise FetchError(
            f"{len(links)} granules begin at {item.start:%Y-%m-%d %H:%M}, of {len(granules)} in its month",
            where=f"{item.recipe.collection} {item.recipe.version}, {item.target.name}",
            hint="check collection and version of the recipe, and whether the provider has that time",
        )
    report = bind(context.progress.bytes, item.target.name)
    with auth.get_session() as session:
        remote = http.download(
            links[0], partial, patience=context.patience, report=report, session=session, say=context.progress.say
        )
    return Delivery(bare(links[0]), _checksum(own[0]) or remote.checksum, {"collection": item.recipe.collection})


@lru_cache(maxsize=1)
def _login() -> Any:
    """A logged-in ``Auth`` of the client."""
    own = {"EARTHDATA_TOKEN", "EARTHDATA_USERNAME"} & set(os.environ)
    auth = Auth()
    guard_logs()
    try:
        auth.login(strategy="environment" if own else "netrc", system=SYSTEM)
    except (LoginStrategyUnavailable, LoginAttemptFailure) as problem:
        what = scrub(str(problem).splitlines()[0])
        raise FetchError(f"no log-in to NASA Earthdata: {what}", hint=CREDENTIALS) from None
    except requests.RequestException as problem:
        what = scrub(str(problem).splitlines()[0])
        raise FetchError(f"no connection to NASA Earthdata ({what})", hint="fetch again later") from None
    return auth


@lru_cache(maxsize=24)
def _search(collection: str, version: str, month: datetime) -> tuple[Any, ...]:
    """All granules of a collection that touch a month."""
    until = (month + timedelta(days=32)).replace(day=1) - timedelta(seconds=1)
    query = DataGranules(_login()).short_name(collection).temporal(month, until)
    if version:
        query = query.version(version)
    try:
        return tuple(query.get(2000))
    except (requests.RequestException, RuntimeError, ValueError, KeyError) as problem:
        what = scrub((str(problem).splitlines() or [""])[0])[:200]
        raise FetchError(
            f"the search of NASA Earthdata failed ({what})",
            where=f"{collection} {month:%Y-%m}",
            hint="fetch again later",
        ) from None


def _begins(granule: Any) -> datetime | None:
    extent = granule["umm"].get("TemporalExtent", {})
    text = extent.get("RangeDateTime", {}).get("BeginningDateTime") or extent.get("SingleDateTime", "")
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).replace(tzinfo=None, microsecond=0)
    except ValueError:
        return None


def _checksum(granule: Any) -> str:
    """The checksum in the granule's metadata as '<algorithm>:<digits>', or nothing."""
    for archive in granule["umm"].get("DataGranule", {}).get("ArchiveAndDistributionInformation", []):
        stated = archive.get("Checksum", {})
        algorithm = str(stated.get("Algorithm", "")).lower().replace("-", "")
        if algorithm in DIGITS:
            return f"{algorithm}:{stated.get('Value', '')}"
    return ""

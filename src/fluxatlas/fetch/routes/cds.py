"""A request to the climate data store (or its sister stores), through their client ``cdsapi``.

The client queues the request and knows the credentials (``~/.cdsapirc``, or ``CDSAPI_URL`` and ``CDSAPI_KEY``); the
result is then fetched by :mod:`fluxatlas.fetch.http`, since the client throws away what it received when it is started
again. The number of the request is kept beside the partial file: a fetch that was stopped while it waited in the queue
takes up the same request.
"""

from __future__ import annotations

import json
import time
import warnings
from functools import partial as bind
from pathlib import Path
from typing import Any

import cdsapi
import requests
from ecmwf.datastores.processing import ProcessingFailedError

from ...errors import FetchError
from .. import http
from ..items import Item
from ..secrets import bare, guard_logs, scrub
from ..transfer import Delivery, TransferContext, job_file

LONGEST_POLL = 60.0
CREDENTIALS = "put url and key of your profile page into ~/.cdsapirc, or set CDSAPI_URL and CDSAPI_KEY (docs/fetch.md)"


class _GoneError(Exception):
    """The request, or its result, is no longer at the store."""


def deliver(item: Item, partial: Path, context: TransferContext) -> Delivery:
    """Fill ``partial`` with the result of the request of ``item``.

    Raises :class:`FetchError` where the credentials or the request are refused, the request fails, waits longer than
    ``patience.queue`` or its result is gone twice.
    """
    wanted = build_request(item)
    for last in (False, True):
        try:
            return _ask(item, wanted, partial, context)
        except _GoneError as problem:
            job_file(partial).unlink(missing_ok=True)
            if last:
                what = f"the result of the request is gone from the store ({problem})"
                raise FetchError(what, where=item.target.name, hint="fetch again") from None
            context.progress.say(f"  {item.target.name}: {problem}: asking again")
        except ProcessingFailedError as problem:
            job_file(partial).unlink(missing_ok=True)
            raise FetchError(
                f"the store could not answer the request: {_line(problem)}",
                where=f"{item.recipe.collection}, {item.target.name}",
                hint="check variable, dates and box; if the store has a fault, fetch again later",
            ) from None
    raise AssertionError("unreachable")


def build_request(item: Item) -> dict[str, Any]:
    """The request of one variable and period: the fixed part of the recipe, dates, hours, and north-west-south-east."""
    recipe = item.recipe
    request: dict[str, Any] = dict(recipe.request)
    if item.variable:
        request["variable"] = [recipe.named(item.variable)]
    if recipe.per != "once":
        request["year"] = [f"{item.start:%Y}"]
    if recipe.per in ("month", "day"):
        days = (item.stop - item.start).days
        request["month"] = [f"{item.start:%m}"]
        request["day"] = [f"{item.start.day + k:02d}" for k in range(days)]
    if 0 < recipe.step_hours < 24:
        request["time"] = [f"{hour:02d}:00" for hour in range(0, 24, recipe.step_hours)]
    if item.area:
        west, south, east, north = item.area
        request["area"] = [north, west, south, east]
    return request


def _ask(item: Item, request: dict[str, Any], partial: Path, context: TransferContext) -> Delivery:
    client = _client(context)
    try:
        job = _resumed(client, request, partial) or _submitted(client, item, request, partial)
        _wait(job, item, context)
        results = job.get_results()
        url, asset = str(results.location), dict(results.asset)
    except requests.RequestException as problem:
        raise _explained(problem, item) from None
    try:
        report = bind(context.progress.bytes, item.target.name)
        remote = http.download(url, partial, patience=context.patience, report=report, say=context.progress.say)
    except FetchError as problem:
        if any(f"answers {status} " in problem.what for status in (403, 404, 410)):
            raise _GoneError("the result has expired") from None
        raise
    _check_size(partial, asset, item)
    facts = {"collection": item.recipe.collection, "cds_request": request, "cds_job": str(job.request_id)}
    stated = str(asset.get("file:checksum", "")) or remote.checksum
    return Delivery(bare(url), stated, facts)


def _client(context: TransferContext) -> Any:
    """The provider's client; it reads the credentials itself and says nothing but warnings and errors."""
    patience, say = context.patience, context.progress.say
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # messages of the store that it could not read
            client = cdsapi.Client(
                quiet=True,
                progress=False,
                delete=False,
                wait_until_complete=False,
                timeout=patience.timeout,
                retry_max=patience.tries,
                sleep_max=min(patience.pause, http.LONGEST_PAUSE),
                session=requests.Session(),
                info_callback=lambda *a: None,
                debug_callback=lambda *a: None,
                warning_callback=lambda text, *a: say(f"  climate data store: {scrub(str(text))}"),
                error_callback=lambda text, *a: say(f"  climate data store: {scrub(str(text))}"),
            )
    except Exception as problem:  # the client raises a bare Exception for missing credentials
        raise FetchError(f"no access to the climate data store: {_line(problem)}", hint=CREDENTIALS) from None
    if not hasattr(client, "client"):
        raise FetchError("the key has the form of the old climate data store (number:key)", hint=CREDENTIALS)
    guard_logs()
    return client


def _submitted(client: Any, item: Item, request: dict[str, Any], partial: Path) -> Any:
    job = client.retrieve(item.recipe.collection, request)
    job_file(partial).write_text(json.dumps({"job": job.request_id, "request": request}), encoding="utf-8")
    return job


def _resumed(client: Any, request: dict[str, Any], partial: Path) -> Any | None:
    """The job of an earlier fetch, if it asked for the same and the store still knows it."""
    try:
        known = json.loads(job_file(partial).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if known.get("request") != request:
        return None
    try:
        return client.client.get_remote(known["job"])
    except requests.HTTPError as problem:
        if problem.response is not None and problem.response.status_code in (404, 410):
            return None
        raise


def _wait(job: Any, item: Item, context: TransferContext) -> None:
    """Ask for the state of the job at growing intervals until it is done."""
    begun, pause, last = time.monotonic(), min(context.patience.pause, LONGEST_POLL), ""
    while True:
        try:
            ready = job.results_ready
        except requests.HTTPError as problem:
            if problem.response is not None and problem.response.status_code in (404, 410):
                raise _GoneError("the store does not know the request any more") from None
            if job.last_status in ("failed", "rejected"):  # the reason comes as an error of its own
                raise ProcessingFailedError(str(problem)) from None
            raise
        if job.last_status != last:
            last = job.last_status
            context.progress.say(f"  {item.target.name}: {last}")
        if ready:
            return
        if time.monotonic() - begun > context.patience.queue:
            raise FetchError(
                f"the request is still '{last}' after {context.patience.queue:g} s",
                where=f"{item.recipe.collection}, {item.target.name}",
                hint="fetch again later: the same request is taken up",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_POLL)


def _check_size(partial: Path, asset: dict[str, Any], item: Item) -> None:
    stated = asset.get("file:size")
    if stated is not None and int(stated) != partial.stat().st_size:
        partial.unlink()
        http.state_file(partial).unlink(missing_ok=True)
        raise FetchError(
            f"{partial.name} came with another size than the {int(stated):,} bytes that the store states",
            where=item.target.name,
            hint="fetch again",
        )


def _explained(problem: requests.RequestException, item: Item) -> FetchError | _GoneError:
    status = problem.response.status_code if problem.response is not None else 0
    where = f"{item.recipe.collection}, {item.target.name}"
    if status in (404, 410) and "/jobs/" in str(getattr(problem.response, "url", "")):
        return _GoneError("the result has expired")
    if status == 401:
        return FetchError(
            f"the climate data store refuses the key (401): {_line(problem)}", where=where, hint=CREDENTIALS
        )
    if status == 403:
        hint = "accept the licence of the data set on its page at the store, once, then fetch again"
        return FetchError(f"the climate data store refuses (403): {_line(problem)}", where=where, hint=hint)
    if status:
        return FetchError(
            f"the climate data store answers {status}: {_line(problem)}", where=where, hint="check the recipe"
        )
    return FetchError(
        f"no connection to the climate data store ({_line(problem)})", where=where, hint="fetch again later"
    )


def _line(problem: BaseException) -> str:
    """A message in one line, without credentials; the store's own words stand in the last lines."""
    lines = [line.strip() for line in scrub(str(problem)).splitlines() if line.strip()]
    return "; ".join(lines[-2:])[:300] if lines else type(problem).__name__

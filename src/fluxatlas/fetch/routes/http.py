"""A file at an address."""

from __future__ import annotations

from functools import partial as bind
from pathlib import Path

from .. import http
from ..items import Item
from ..secrets import bare
from ..transfer import Delivery, TransferContext


def deliver(item: Item, partial: Path, context: TransferContext) -> Delivery:
    """Fill ``partial`` from the address of the recipe; errors as :func:`fluxatlas.fetch.http.download`."""
    url = item.fill(item.recipe.url)
    report = bind(context.progress.bytes, item.target.name)
    remote = http.download(url, partial, patience=context.patience, report=report, say=context.progress.say)
    facts = {"etag": remote.etag, "last_modified": remote.last_modified}
    return Delivery(bare(url), remote.checksum, {key: value for key, value in facts.items() if value})

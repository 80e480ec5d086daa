"""A small web server for the page: this machine only, and parts of files (HTTP ranges), which the page asks for."""

from __future__ import annotations

import errno
import re
import sys
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ConfigError

HOST = "127.0.0.1"


class Handler(SimpleHTTPRequestHandler):
    """Files below a folder, whole or one range of bytes of them."""

    protocol_version = "HTTP/1.1"
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript", ".json": "application/json"}

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the browser shows what goes wrong."""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()

    def send_head(self) -> Any:
        """As of the parent, with 206 and 416 for a request with ``Range: bytes=first-last``."""
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        path = Path(self.translate_path(self.path))
        if not wanted or wanted[0] == "bytes=-" or not path.is_file():
            return super().send_head()
        size = path.stat().st_size
        first = int(wanted[1]) if wanted[1] else max(size - int(wanted[2]), 0)
        last = min(int(wanted[2]) if wanted[1] and wanted[2] else size - 1, size - 1)
        if first > last:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        with path.open("rb") as file:
            part: BinaryIO = BytesIO(_read(file, first, last - first + 1))
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        return part


def _read(file: BinaryIO, first: int, count: int) -> bytes:
    file.seek(first)
    return file.read(count)


class Server(ThreadingHTTPServer):
    """The server of one folder; ``address`` is what to open."""

    daemon_threads = True
    allow_reuse_address = True
    address = ""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """As of the parent, but a browser that no longer wants an answer is not an error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def server(folder: Path, port: int) -> Server:
    """A server of ``folder`` on ``port`` of this machine (0: any that is free), not yet running.

    Raises :class:`ConfigError` where the port is taken or not allowed.
    """
    try:
        made = Server((HOST, port), partial(Handler, directory=str(folder)))
    except OSError as problem:
        taken = problem.errno == errno.EADDRINUSE
        raise ConfigError(
            f"port {port} is {'in use by another program' if taken else f'not available ({problem.strerror})'}",
            where="--port",
            hint="give another one, such as --port 8766, or --port 0 for any that is free",
        ) from problem
    made.address = f"http://{HOST}:{made.server_address[1]}/"
    return made

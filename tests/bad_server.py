"""A web server on 127.0.0.1 that misbehaves on purpose, so that real clients can be tested against it."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LIMIT = 200  # a test that asks more often than this loops for ever


@dataclass
class BadServer:
    """Files by path, and for each path a queue of misbehaviours: one is used up by every request.

    Misbehaviours: an int (status), ``cut:N`` (N bytes of the body, then the connection is closed), ``stall:N`` (N
    bytes, then silence), ``page`` (a form to log in), ``no-range`` (ignores Range).
    """

    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    plans: dict[str, deque[int | str]] = field(default_factory=lambda: defaultdict(deque))
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    validators: bool = True
    stall_s: float = 1.5
    token: str = ""
    base: str = ""
    answers: Callable[[str, str, dict[str, str], bytes], tuple[int, object] | None] | None = None
    """Answers of a service, as JSON: given method, path, headers and body; ``None``: not its business."""

    def ranges(self, path: str) -> list[str]:
        return [headers.get("range", "") for seen, headers in self.seen if seen == path]


def _handler(server: BadServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_POST(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.seen.append((path, {key.lower(): value for key, value in self.headers.items()}))
            plan = server.plans[path].popleft() if server.plans[path] else ""
            if len(server.seen) > LIMIT:
                plan = 400
            if server.token and self.headers.get("Authorization") != f"Bearer {server.token}":
                plan = 401
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            served = server.answers(self.command, self.path, server.seen[-1][1], body) if server.answers else None
            if served and not isinstance(plan, int):
                return self.answer(served[0], json.dumps(served[1]).encode(), {"Content-Type": "application/json"})
            if isinstance(plan, int):
                return self.answer(plan, b"no", {"Retry-After": "0"})
            if path not in server.files:
                return self.answer(404, b"nothing here", {})
            if plan == "page":
                return self.answer(200, b"<!DOCTYPE html><html>Please log in</html>", {})
            return self.send_file(server.files[path], path, plan)

        def send_file(self, body: bytes, path: str, plan: str) -> None:
            tag = f'"{hashlib.md5(body).hexdigest()}"'
            headers = {"Accept-Ranges": "bytes", **server.headers[path]}
            headers |= {"ETag": tag} if server.validators else {}
            first, status = 0, 200
            asked = self.headers.get("Range", "")
            if asked and plan != "no-range" and self.headers.get("If-Range", tag) == tag:
                first = int(asked.removeprefix("bytes=").partition("-")[0])
                if first >= len(body):
                    self.answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                    return
                status, headers["Content-Range"] = 206, f"bytes {first}-{len(body) - 1}/{len(body)}"
            body = body[first:]
            word, _, number = plan.partition(":")
            if word not in ("cut", "stall"):
                self.answer(status, body, headers)
                return
            self.begin(status, len(body), headers)
            self.wfile.write(body[: int(number)])
            self.wfile.flush()
            if word == "stall":
                time.sleep(server.stall_s)
            self.close_connection = True

        def begin(self, status: int, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(length), **headers}.items():
                self.send_header(key, value)
            self.end_headers()

        def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.begin(status, len(body), headers)
            self.wfile.write(body)

    return Handler


class QuietServer(ThreadingHTTPServer):
    """One that says nothing when a client leaves."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            raise


@contextmanager
def bad_server() -> Iterator[BadServer]:
    """A running :class:`BadServer`."""
    server = BadServer()
    with serving(_handler(server)) as server.base:
        yield server


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A running web server on a free port; yields its address."""
    with QuietServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{http.server_address[1]}"
        finally:
            http.shutdown()

"""A headless Chromium driven through its own DevTools protocol over a pipe: no driver, no socket, no package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--remote-debugging-pipe",
)


def executable() -> str | None:
    """The program, or None where this machine has none (``make tools`` installs it where it may)."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page. ``evaluate`` runs JavaScript and gives its value (of a promise: when it is fulfilled)."""

    def __init__(self, profile: Path, width: int = 700, height: int = 500) -> None:
        asked, answered = os.pipe(), os.pipe()

        def wire() -> None:  # the browser reads from 3 and writes to 4
            os.dup2(asked[0], 13)
            os.dup2(answered[1], 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        command = [str(executable()), *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        self.process = subprocess.Popen(
            command, preexec_fn=wire, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(asked[0])
        os.close(answered[1])
        self.writes, self.reads = asked[1], answered[0]
        self.buffer, self.number, self.session = b"", 0, ""
        self.requests: list[str] = []
        self.messages: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.size(width, height)

    def call(self, method: str, timeout: float = 60.0, **parameters: Any) -> dict[str, Any]:
        """The answer of the browser to ``method``."""
        self.number += 1
        text: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            text["sessionId"] = self.session
        os.write(self.writes, json.dumps(text).encode() + b"\0")
        until = time.monotonic() + timeout
        while (message := self._next(until)).get("id") != self.number:
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        result: dict[str, Any] = message["result"]
        return result

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            if not select.select([self.reads], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self.reads, 1 << 20)
            if not part:
                raise RuntimeError("the browser has ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        found: dict[str, Any] = json.loads(message)
        return found

    def _note(self, message: dict[str, Any]) -> None:
        about = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.messages.append(str(about["exceptionDetails"].get("exception", about["exceptionDetails"])))
        elif message.get("method") == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning"):
            self.messages.append(" ".join(str(a.get("value", a.get("description"))) for a in about["args"]))
        elif message.get("method") == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.messages.append(f"{about['entry']['text']} {about['entry'].get('url', '')}")

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        """Set the size of the window."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def open(self, address: str) -> None:
        """Load a page anew, then wait until its map is drawn."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        self.wait("window.fluxatlas?.started > 0 || document.getElementById('problem')?.textContent")

    def go(self, state: str) -> None:
        """Follow a link to another view of the page, then wait until its map is drawn."""
        before = self.evaluate("window.fluxatlas.updates")
        self.evaluate(f"location.hash = {json.dumps(state)}")
        self.wait(f"window.fluxatlas.updates > {before}")
        self.evaluate("window.fluxatlas.drawn")

    def wait(self, condition: str, timeout: float = 60.0) -> None:
        """Wait until the JavaScript ``condition`` holds."""
        until = time.monotonic() + timeout
        while not self.evaluate(f"Boolean({condition})"):
            if time.monotonic() > until:
                raise TimeoutError(f"not within {timeout} s: {condition}; {self.messages}")
            time.sleep(0.05)

    def evaluate(self, script: str) -> Any:
        """The value of ``script``."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(str(found["exceptionDetails"]))
        return found["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Press and release the left button."""
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path: Path | None = None) -> bytes:
        """What is seen, as PNG."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path:
            path.write_bytes(png)
        return png

    def close(self) -> None:
        """End the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self.writes)
        os.close(self.reads)

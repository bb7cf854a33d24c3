"""Drives Debian's Chromium over its debugging pipe: no driver to install, no port to open. For tests of pages."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page in a headless browser. ``errors`` is every console error, page error and policy violation so far."""

    def __init__(self, directory: Path) -> None:
        assert BINARY is not None
        down, up = os.pipe(), os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        # Chromium reads commands from descriptor 3 and answers on 4, whatever numbers the pipes have here.
        start = "import fcntl,os,sys;r,w=(fcntl.fcntl(int(n),fcntl.F_DUPFD,50) for n in sys.argv[1:3])"
        start += ";os.dup2(r,3);os.dup2(w,4);os.execv(sys.argv[3],sys.argv[3:])"
        line = [sys.executable, "-c", start, str(down[0]), str(up[1]), BINARY, *flags]
        self._process = subprocess.Popen(
            [*line, f"--user-data-dir={directory}", "about:blank"],
            pass_fds=(down[0], up[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down[0])
        os.close(up[1])
        self._write, self._read = os.fdopen(down[1], "wb", 0), os.fdopen(up[0], "rb", 0)
        self._buffer, self._last, self._session = b"", 0, ""
        self.errors: list[str] = []
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        self._find_page()
        for domain in ("Page", "Runtime", "Log"):
            self._send(f"{domain}.enable")

    def _find_page(self) -> None:
        """Waits for the first tab, which a cold browser opens only after it answers."""
        pages: list[Any] = []
        end = time.monotonic() + 20
        while not pages:
            assert time.monotonic() < end, "the browser opened no page"
            pages = [t for t in self._send("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = self._send("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)
        self._session = attached["sessionId"]

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)
        self._write.close()
        self._read.close()

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        self._send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self._send("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The JSON value of *script* in the page. Raises AssertionError with the page's error."""
        answer = self._send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, script: str, seconds: float = 15.0) -> None:
        """Waits until *script* is true in the page."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            # The page is another process: there is nothing here to wait on but its next state.
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def type(self, selector: str, text: str) -> None:
        """Types as a person does, into the element that has been focused."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self._send("Input.insertText", text=text)

    def mouse(self, selector: str) -> None:
        """A press of the mouse where the element is to be seen."""
        found = json.dumps(selector)
        where = self.run(
            f"(e => {{ e.scrollIntoView({{block: 'center'}}); const r = e.getBoundingClientRect();"
            f" return [r.x + r.width / 2, r.y + r.height / 2]; }})(document.querySelector({found}))"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._send("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

    def reach(self, selector: str, most: int = 90) -> None:
        """Tab until the focus is on the element, as somebody without a mouse does."""
        for _ in range(most):
            if self.run(f"document.activeElement.matches({json.dumps(selector)})"):
                return
            self.key("Tab")
        raise AssertionError(f"Tab never comes to {selector}")

    def choose_file(self, selector: str, path: Path) -> None:
        """The file that a person would choose in the dialog of the system, which no test can see."""
        root = self._send("DOM.getDocument")["root"]["nodeId"]
        node = self._send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._send("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def speak(self, language: str) -> None:
        """What the browser says that its user prefers."""
        self._send("Network.enable")
        self._send("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})

    def key(self, key: str) -> None:
        text = "\r" if key == "Enter" else key if len(key) == 1 else ""
        code = {"Enter": 13, "Tab": 9, " ": 32}.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            self._send("Input.dispatchKeyEvent", type=kind, key=key, text=text, windowsVirtualKeyCode=code)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """What is to be seen, or the *whole* page."""
        shot = self._whole() if whole else self._send("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _whole(self) -> Any:
        self._send("Emulation.setScrollbarsHidden", hidden=True)
        size = self._send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": max(size["width"], self.run("innerWidth")),
            "height": size["height"],
            "scale": 1,
        }
        return self._send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)

    def _send(self, method: str, **params: Any) -> Any:
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = self._read.read(65536)
            assert chunk, "the browser went away"
            self._buffer += chunk
        whole, _, self._buffer = self._buffer.partition(b"\0")
        loaded: dict[str, Any] = json.loads(whole)
        return loaded

    def _note(self, event: dict[str, Any]) -> None:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.errors.append(str(params["args"]))

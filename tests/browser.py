"""A headless Chromium that tests can steer, over its debugging protocol on the loopback interface."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import connect

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
WITHOUT = "Chromium is not installed (apt-get install chromium)"


class BrowserError(Exception):
    """Chromium refuses what it is asked, and says why."""


class Browser:
    """One window; ends its process when left."""

    def __init__(
        self, folder: Path, width: int = 1440, height: int = 1000, variables: Mapping[str, str] = os.environ
    ) -> None:
        self._log = (folder / "chromium.log").open("w+")
        command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        command += ["--no-first-run", f"--user-data-dir={folder / 'profile'}", "--remote-debugging-port=0"]
        command += [f"--window-size={width},{height}", "about:blank"]
        # A session of its own, so that its helpers can be ended with it.
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=self._log, env=variables, start_new_session=True
        )
        address = self._wait(self._address)
        self._socket = connect(address, max_size=None)
        self._number = 0
        targets = self._ask("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session: str | None = None
        self._session = self._ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        self._ask("Page.enable")
        # Of several windows only one has the focus, and pages wait for it.
        self._ask("Emulation.setFocusEmulationEnabled", enabled=True)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=20)
        # Helpers that outlive it for a moment still write into the profile, which whoever made the folder deletes.
        ends = time.monotonic() + 20
        with suppress(ProcessLookupError):
            while time.monotonic() < ends:
                os.killpg(self._process.pid, signal.SIGKILL)
                time.sleep(0.05)
        self._log.close()

    def open(self, url: str) -> None:
        """Goes to an address."""
        self._ask("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; None where the page goes away while it is asked."""
        try:
            found = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        except BrowserError as error:
            if any(word in str(error) for word in ("navigated", "context")):
                return None
            raise
        return found["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 60) -> None:
        """Waits until a JavaScript expression is true."""
        self._wait(lambda: self.evaluate(expression) or None, seconds, expression)

    def screenshot(self, path: Path) -> None:
        """Writes what is seen as PNG."""
        path.write_bytes(self.picture())

    def picture(self, **options: Any) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png", **options)["data"])

    def paper(self) -> bytes:
        """The page as it is printed, as PDF."""
        return base64.b64decode(self._ask("Page.printToPDF")["data"])

    def picture_of(self, selector: str) -> bytes:
        """An element, as PNG; the window must be high enough to hold it."""
        edges = "(({left, top, width, height}) => [left + scrollX, top + scrollY, width, height])"
        place = f"{edges}(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        box = None
        while box != (box := self.evaluate(place)):  # what is drawn above it may still move it
            time.sleep(1)
        clip = dict(zip(("x", "y", "width", "height"), box, strict=True)) | {"scale": 1}
        return self.picture(clip=clip)

    def resize(self, width: int, height: int) -> None:
        """Makes the window as large as this, however large the screen is."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str, medium: str = "screen") -> None:
        """Makes pages `light` or `dark`, as the reader's system would, on the `screen` or in `print`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("Emulation.setEmulatedMedia", media=medium, features=features)

    def _address(self) -> str | None:
        found = re.search(r"ws://\S+", Path(self._log.name).read_text())
        return found.group() if found else None

    def _wait(self, look: Any, seconds: float = 60, what: str = "Chromium") -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = look()
            if found is not None:
                return found
            time.sleep(0.2)
        raise TimeoutError(f"{what} does not exist after {seconds:.0f} s")

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number = getattr(self, "_number", 0) + 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if getattr(self, "_session", None):
            message["sessionId"] = self._session
        self._socket.send(json.dumps(message))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]


@contextmanager
def server(
    command: list[str],
    url: str,
    log_path: Path,
    seconds: float = 120,
    variables: Mapping[str, str] = os.environ,
    **options: Any,
) -> Iterator[None]:
    """Starts a server and all that it starts, waits until it answers, and ends them all."""
    environment = {**variables} | {"DO_NOT_TRACK": "1", "KEDRO_DISABLE_TELEMETRY": "1", "MLFLOW_DISABLE_TELEMETRY": "1"}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # ten processes that nothing here asks for
    with log_path.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True, **options)
        try:
            wait_until_it_answers(url, process, seconds)
            yield
        finally:
            # kedro-viz serves from a child that would outlive it.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=30)
            wait_until_it_is_gone(url)


def wait_until_it_is_gone(url: str, seconds: float = 30) -> None:
    """Waits until nothing answers any more."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with urlopen(url, timeout=5):
                time.sleep(0.2)
        except OSError:
            return
    raise TimeoutError(f"{url} still answers")


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    """Waits until a server that was started answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with exit code {process.returncode}")
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"{url} does not answer")

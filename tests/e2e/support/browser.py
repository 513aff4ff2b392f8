"""A browser on a host of the laboratory: Chromium without a window, steered by selenium through its own driver."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.e2e.support.lab import NAMESPACES, Namespace, until
from tests.e2e.support.program import COMMON

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
CLONE_NEWNET = 0x40000000
PATIENCE = 60
"""Seconds that the page may take to show something, with a machine being emulated beside it."""

PICTURES = Path("screenshots")
"""Below trial's directory: they are there until the next run."""

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions", "--no-proxy-server",
)  # fmt: skip

# Keeps every value that the bar of a transfer had, and every script or handler that the page's policy forbade.
RECORDER = """
window.bars = {};
window.forbidden = [];
document.addEventListener("securitypolicyviolation", (event) => window.forbidden.push(event.violatedDirective));
new MutationObserver((changes) => {
  for (const {target} of changes) {
    if (target.localName !== "progress") continue;
    (window.bars[target.getAttribute("aria-label")] ??= []).push(target.value);
  }
}).observe(document.querySelector("#machines"), {attributes: true, childList: true, subtree: true});
"""


@contextmanager
def inside(namespace: Namespace) -> Iterator[None]:
    """This thread's new sockets and programs are that host's."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(NAMESPACES / namespace.name) as there:  # noqa: PTH123
        _enter(libc, there.fileno())
        try:
            yield
        finally:
            _enter(libc, home.fileno())


def _enter(libc: ctypes.CDLL, descriptor: int) -> None:
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


class Browser:
    """One window; everything that is asked of it happens on its host."""

    def __init__(self, namespace: Namespace, scratch: Path, *, width: int = 1280, height: int = 900) -> None:
        """@param scratch: for its profile."""
        self._namespace = namespace
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for option in (*OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={scratch / 'chromium'}"):
            options.add_argument(option)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.ignore_local_proxy_environment_variables()
        service = Service(DRIVER, env={**os.environ, **COMMON})
        with inside(namespace):
            self.driver = webdriver.Chrome(options=options, service=service)

    def close(self) -> None:
        """It ends, and its driver."""
        with inside(self._namespace):
            self.driver.quit()

    def open(self, address: str) -> None:
        """Load a page."""
        with inside(self._namespace):
            self.driver.get(address)

    def run(self, script: str, *arguments: object) -> Any:
        """Run a script in the page; its value."""
        with inside(self._namespace):
            return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Sequence[WebElement]:
        """The elements of a CSS selector."""
        with inside(self._namespace):
            return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """The text of the first element that is shown, or nothing."""
        script = "const found = document.querySelector(arguments[0]); return found ? found.innerText : '';"
        return str(self.run(script, selector))

    def click(self, selector: str) -> None:
        """A click on the first such element."""
        with inside(self._namespace):
            self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def press(self, keys: str) -> None:
        """Keys, to whatever has the focus."""
        with inside(self._namespace):
            self.driver.switch_to.active_element.send_keys(keys)

    def wait(self, selector: str, words: str, timeout: float = PATIENCE) -> None:
        """Until the first such element has these words."""
        until(lambda: words in self.text(selector), timeout, f"{words!r} in {selector} (has {self.text(selector)!r})")

    def resize(self, width: int, height: int) -> None:
        """The window is as large as this."""
        with inside(self._namespace):
            self.driver.set_window_size(width, height)

    def picture(self, name: str) -> None:
        """A screenshot."""
        PICTURES.mkdir(exist_ok=True)
        with inside(self._namespace):
            self.driver.save_screenshot(str(PICTURES / f"{name}.png"))

    def complaints(self) -> list[str]:
        """What the browser has to say against the page."""
        with inside(self._namespace):
            return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

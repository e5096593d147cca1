"""A real HQ for tests that use a browser: a folder and database of its own, filled and served."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django_otp.oath import totp
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 120.0


@dataclass
class Served:
    """A running HQ. told: what `tests.hq.agency` said of what it made."""

    url: str
    told: dict[str, Any]
    env: dict[str, str]

    @property
    def ids(self) -> dict[str, Any]:
        return dict(self.told["ids"])

    def agency(self, what: str) -> dict[str, Any]:
        """Have `tests.hq.agency` do something in a process of its own, as a subscriber would."""
        return _agency(self.env, what)

    def sign_in(self, context: BrowserContext, username: str) -> None:
        """Put a session made beforehand into the browser."""
        context.add_cookies(
            [{"name": "hq_session", "value": self.told["sessions"][username], "url": self.url}]
        )

    def code(self, username: str) -> str:
        """The second factor of the moment."""
        from base64 import b32decode

        return f"{totp(b32decode(self.told['secrets'][username])):06d}"

    def log_in(self, page: Page, username: str) -> None:
        """As a person does: the banner, name and password, the authenticator's code."""
        page.goto(f"{self.url}/")
        page.get_by_role("button", name="I acknowledge").click()
        self.give_password(page, username)
        page.get_by_label("Six digits").fill(self.code(username))
        page.get_by_role("button", name="Log in").click()

    def give_password(self, page: Page, username: str, password: str = "") -> None:
        """Fill in the first form and send it; the right password unless another is given."""
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(password or self.told["password"])
        page.get_by_label("official law enforcement business").check()
        page.get_by_role("button", name="Continue").click()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Fill a new agency in the folder and serve it until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "PLATEWARDEN_HQ_DATA": str(folder),
        "PLATEWARDEN_HQ_DEMO": "1",
        "PLATEWARDEN_HQ_SECRET_KEY": "for tests in a browser only, of no use anywhere else",
    }
    env.pop("DATABASE_URL", None)
    told = _agency(env, "fill")
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "hq.cli", "serve", "--port", str(port)],
            cwd=ROOT,
            env=env,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _await(url, server, folder / "server.log")
        yield Served(url, told, env)
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def browsing() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def _agency(env: dict[str, str], what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hq.agency", what],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _await(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{url}/people/login/", timeout=5)
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(log.read_text())

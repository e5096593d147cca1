"""What systemd hears: sd_notify over a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.systemd import Notifier


class Manager:
    """The receiving end, as systemd holds it."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(2)

    def hear(self) -> str:
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.close()


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": str(tmp_path / "notify"), **more}


def test_the_manager_hears_ready_status_ping_and_stopping(tmp_path: Path, manager: Manager) -> None:
    notifier = Notifier(environ(tmp_path, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())))
    assert notifier.watchdog_s == 30.0
    notifier.ready()
    notifier.status("ready:\nall is well")
    notifier.ping()
    notifier.stopping()
    heard = [manager.hear() for _ in range(4)]
    assert heard == ["READY=1", "STATUS=ready: all is well", "WATCHDOG=1", "STOPPING=1"]
    notifier.close()
    notifier.close()
    notifier.ping()


def test_an_abstract_socket_is_reached_too() -> None:
    manager = Manager(f"\0platewarden-test-{os.getpid()}")
    notifier = Notifier({"NOTIFY_SOCKET": f"@platewarden-test-{os.getpid()}"})
    notifier.ready()
    assert manager.hear() == "READY=1"
    notifier.close()
    manager.close()


@pytest.mark.parametrize(
    "more", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}]
)
def test_nobody_is_pinged_who_does_not_watch(tmp_path: Path, manager: Manager, more: dict[str, str]) -> None:
    notifier = Notifier(environ(tmp_path, **more), pid=4711)
    assert notifier.watchdog_s is None
    notifier.ping()
    notifier.ready()
    assert manager.hear() == "READY=1"
    notifier.close()


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier({})
    notifier.ready()
    notifier.ping()
    assert notifier.watchdog_s is None


def test_a_manager_that_went_away_does_not_stop_the_unit(tmp_path: Path) -> None:
    notifier = Notifier(environ(tmp_path))
    notifier.ready()
    notifier.close()

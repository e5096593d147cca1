"""The life of the threads: a dead one ends the process, a stop goes in reverse order."""

from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import pytest

from firmware.errors import Exit
from firmware.tasks import JOIN_S, TaskDied, Tasks, stop_on_signals


def test_tasks_stop_in_reverse_order() -> None:
    tasks, ended = Tasks(), []

    def work(name: str) -> None:
        def run(stop: threading.Event) -> None:
            stop.wait(10)
            ended.append(name)

        tasks.start(name, run)

    work("publisher")
    work("upkeep")
    tasks.end()
    assert ended == ["upkeep", "publisher"]
    assert not tasks.stop.is_set()


def test_tasks_that_all_hang_are_left_before_systemd_kills_the_process() -> None:
    """Both brokers out of reach: each connection waits for the network while the unit is stopped."""
    service = (Path(__file__).parents[2] / "install.sh").read_text()
    limit = re.search(r"^TimeoutStopSec=(\d+)$", service, re.MULTILINE)
    assert limit is not None
    threads, hardware_s = 3, 5.0  # the GPS's thread is given 4 s, lamps and buzzer 1 s
    assert threads * JOIN_S + hardware_s < float(limit[1])


def test_a_task_that_raises_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    tasks = Tasks()

    def run(stop: threading.Event) -> None:
        raise ZeroDivisionError("broken")

    tasks.start("upkeep", run)
    assert tasks.stop.wait(5)
    with pytest.raises(TaskDied, match="upkeep") as died:
        tasks.end()
    assert died.value.exit_code == Exit.IO
    assert "ZeroDivisionError: broken" in caplog.text


def test_a_task_that_just_returns_ends_the_process() -> None:
    tasks = Tasks()
    tasks.start("publisher", lambda stop: None)
    assert tasks.stop.wait(5)
    with pytest.raises(TaskDied, match="publisher"):
        tasks.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_for_the_stop_and_a_second_one_insists(number: signal.Signals) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    insisted = []
    try:
        signal.signal(number, lambda *_: insisted.append(True))
        stop = threading.Event()
        stop_on_signals(stop)
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        assert not insisted
        os.kill(os.getpid(), number)
        assert insisted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)

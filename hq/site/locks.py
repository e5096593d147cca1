"""One run at a time of a command on this machine, by the lock of a file in the data folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings


class Busy(Exception):
    """Another run is under way; the text says of what."""


@contextmanager
def alone(name: str, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock `name`.lock for the block, or with `wait` first wait for the other run's end.

    Raises Busy beside another run, OSError where the data folder takes no file.
    """
    with (Path(settings.DATA) / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Busy(f"another run of {name} is under way") from error
        yield

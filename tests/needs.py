"""Programs that tests need from the machine: skipped without them at a desk, a failure under CI."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def program(name: str) -> str:
    """The path of a program that `make test` installs; ends the test where it is missing."""
    return shutil.which(name, path=_PATH) or lacking(f"{name} is not installed (apt-get install {name})")


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something; where $CI is set, as .ci/run does, that is a failure: what CI does
    not prove, nobody proves."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)

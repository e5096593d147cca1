"""A purge that is killed at any moment completes or undoes at the next start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.clause("430.4-d")
def test_a_purge_killed_at_every_moment_leaves_nothing_half_done(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "tests/hq/purge_child.py", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["faults"] == []
    assert told["moments"] >= 20

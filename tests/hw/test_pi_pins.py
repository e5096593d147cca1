"""What gpiozero's pin driver needs of the process that it is in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

LGPIO = """
# What the real lgpio 0.2.2 does as it is imported: a pipe in the working directory, opened by its name.
import os
os.mkfifo(".lgd-nfy0")
PIPE = os.open(".lgd-nfy0", os.O_RDWR)
"""

# No user, root neither, can make a file in a folder that was removed.
UNIT = """
import os, sys
from hw import open_hardware
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
gone = sys.argv[1]
os.mkdir(gone)
os.chdir(gone)
os.rmdir(gone)
hardware = open_hardware(
    "pi",
    camera=CameraSettings(),
    trigger=TriggerSettings(),
    signals=SignalSettings(),
    gps=GpsSettings(),
    clock=ClockSettings(),
)
import lgpio  # as gpiozero does for its first part
hardware.close()
print("it works")
"""


def test_lamps_and_buzzer_have_their_driver_where_the_working_directory_cannot_be_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "lgpio.py").write_text(LGPIO)
    environment = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "GPIOZERO_PIN_FACTORY": "mock",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run(
        [sys.executable, "-c", UNIT, str(tmp_path / "gone")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "it works\n", done.stderr

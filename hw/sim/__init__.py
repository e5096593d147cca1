"""The simulated set: a complete board without one, for demonstrations, tests and training of technicians.

Owns the choice of the simulated camera by `camera.source`. It is a feature of the product: the unit runs
over it exactly as over a Pi.
"""

from __future__ import annotations

from pathlib import Path

from hw.absent import NoGps
from hw.protocols import Camera, Hardware, HwError, Trigger
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
from hw.sim.clock import SimClock
from hw.sim.folder import FolderCamera
from hw.sim.parts import SimSignals
from hw.sim.street import living_street, measuring_street
from hw.sim.traffic import LIGHTS
from hw.trigger import AlwaysTrigger, MotionTrigger


def open_sim(
    camera: CameraSettings,
    trigger: TriggerSettings,
    signals: SignalSettings,
    gps: GpsSettings,
    clock: ClockSettings,
) -> Hardware:
    """Open the simulated set; see `hw.open_hardware`."""
    now = SimClock()
    source = open_camera(camera, now)
    return Hardware(source, _trigger(source, camera, trigger), SimSignals(signals), NoGps(), now)


def open_camera(settings: CameraSettings, clock: SimClock) -> Camera:
    """The simulated camera that `settings.source` names.

    Raises:
        HwError: there is no such source, or it cannot be opened.
    """
    kind, _, rest = settings.source.partition(":")
    if kind == "street" and rest == "measure":
        return measuring_street(settings, clock)
    if kind == "street" and (not rest or rest in LIGHTS):
        return living_street(settings, clock, rest or None)
    if kind == "folder" and rest:
        return FolderCamera(settings, clock, Path(rest))
    if kind in ("video", "clip") and (rest or kind == "clip"):
        from hw.sim.video import ClipCamera, VideoCamera

        return ClipCamera(settings, clock) if kind == "clip" else VideoCamera(settings, clock, Path(rest))
    raise HwError(
        f"camera {settings.name}: there is no source {settings.source!r}; sources are street,"
        f" {', '.join(f'street:{light}' for light in LIGHTS)}, street:measure, folder:DIR, video:FILE, clip"
    )


def _trigger(source: Camera, camera: CameraSettings, settings: TriggerSettings) -> Trigger:
    # Pictures of a folder do not move, and of the measuring street every frame counts.
    still = camera.source.startswith("folder:") or camera.source == "street:measure"
    if settings.kind == "motion" and not still:
        return MotionTrigger(source, settings, patience=camera.timeout_s)
    return AlwaysTrigger()

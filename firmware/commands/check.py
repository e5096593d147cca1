"""`platewarden check`: everything that can be told about a unit's set-up without starting it.

Owns the list of checks and their report. A wrong configuration ends it, since nothing else can then be
found; otherwise every check runs and every problem is told.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from firmware import config
from firmware.certificate import read_certificate, told_of_end
from firmware.config import Settings
from firmware.errors import Exit, FirmwareError, IoError
from mqtt.settings import MqttSettings

HELP = "check the configuration and everything else that can be checked without starting"


class Outcome(StrEnum):
    """What a check found. A note is worth knowing and no fault."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was found about `subject`."""

    outcome: Outcome
    subject: str
    text: str

    def __str__(self) -> str:
        return f"{self.outcome.value}: {self.subject}: {self.text}"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Check the configuration, the models and their hashes, the hot list, the store's folder, the TLS "
        "files with the client certificate's dates and name, the brokers' passwords, the hot list's keys, "
        "the people file and what the camera needs. "
        "Exit code 3 where the configuration is wrong, 1 where something else is."
    )


def run(args: argparse.Namespace) -> int:
    files = [args.config] if args.config else None
    settings = config.load(files, overrides=args.overrides)
    findings = list(check(settings))
    for finding in findings:
        print(finding, file=sys.stderr if finding.outcome is Outcome.PROBLEM else sys.stdout)
    return Exit.FAILED if any(finding.outcome is Outcome.PROBLEM for finding in findings) else Exit.OK


def check(settings: Settings) -> Iterator[Finding]:
    """Every finding about a configuration that is right by itself."""
    read = ", ".join(str(path) for path in settings.files) or "only the built-in defaults"
    yield Finding(Outcome.OK, "configuration", f"{read}; hash {settings.config_hash[:12]}")
    for subject, part in CHECKS.items():
        try:
            yield from part(settings)
        except OSError as error:
            # Such as a folder above it that this user may not enter: no reason to leave out the others.
            yield Finding(Outcome.PROBLEM, subject, f"{error.filename or subject}: {error.strerror or error}")


def _models(settings: Settings) -> Iterator[Finding]:
    from detector.errors import DetectorError
    from detector.sidecar import load_sidecar

    folder = settings.detector.models
    sound = True
    for kind in ("locator", "corners", "ocr"):
        try:
            sidecar = load_sidecar(folder / f"{kind}.tflite")
        except DetectorError as error:
            yield Finding(Outcome.PROBLEM, f"model {kind}", str(error))
            sound = False
        else:
            yield Finding(Outcome.OK, f"model {kind}", f"version {sidecar.version}, {sidecar.sha256[:12]}")
    if not sound:
        return
    from detector.reader import Reader

    try:
        Reader.open(folder, threads=settings.detector.model_threads)
    except DetectorError as error:
        yield Finding(Outcome.PROBLEM, "models", str(error))


def _store(settings: Settings) -> Iterator[Finding]:
    from firmware.store import unwritable

    directory = settings.store.directory
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    usable = place.is_dir() and os.access(place, os.W_OK | os.X_OK)
    closed = unwritable(directory) if usable else place
    if closed is not None:
        text = f"{directory}: {closed} cannot be written by this user"
        yield Finding(Outcome.PROBLEM, "store.directory", text)
        return
    free = shutil.disk_usage(place).free // 1_000_000
    if free < settings.store.min_free_mb:
        text = f"{directory}: {free} MB free, less than store.min_free_mb, {settings.store.min_free_mb}"
        yield Finding(Outcome.PROBLEM, "store.directory", text)
    elif directory.exists():
        yield Finding(Outcome.OK, "store.directory", f"{directory}: {free} MB free")
    else:
        yield Finding(Outcome.NOTE, "store.directory", f"{directory}: will be made at the first start")


def _service(settings: Settings) -> Iterator[Finding]:
    """Of the installed service: whether its sandbox lets it write where its configuration has it write."""
    from firmware.systemd import may_write

    folders = {"store.directory": settings.store.directory}
    if settings.mqtt.enabled and settings.mqtt.list_key_file:
        folders["hotlist.file"] = settings.hotlist.file.parent
    for option, folder in folders.items():
        # What another file or the command line says, the service does not hear of.
        if settings.origins[option].startswith(f"{config.ETC}/") and not may_write(folder):
            text = f"{option}: the service may not write in {folder}: its ReadWritePaths do not name it"
            yield Finding(Outcome.PROBLEM, "service", f"{text} (docs/retention.md)")


def _hot_list(settings: Settings) -> Iterator[Finding]:
    file, subject = settings.hotlist.file, "hotlist.file"
    if not file.exists():
        yield Finding(Outcome.NOTE, subject, f"{file}: no hot list yet; nothing will alarm")
        return
    from firmware.hotlist import HotList

    try:
        with HotList.open(file) as hot_list:
            now = datetime.now(UTC)
            version, entries, age = hot_list.version, hot_list.entries, hot_list.age_s(now)
            expired = hot_list.expired(now.astimezone().date())
    except FirmwareError as error:
        yield Finding(Outcome.PROBLEM, subject, str(error))
        return
    told = f"version {version}, {entries} entries"
    if expired:
        yield Finding(Outcome.NOTE, subject, f"{told}; all of {expired} have expired")
    elif age is not None and age > settings.hotlist.max_age_h * 3600:
        yield Finding(Outcome.NOTE, subject, f"{told}, {age / 3600:.0f} hours old")
    else:
        yield Finding(Outcome.OK, subject, told)


def _people(settings: Settings) -> Iterator[Finding]:
    from firmware.access import load_people

    if settings.access.people is None:
        yield Finding(Outcome.NOTE, "access.people", "nobody may see plate text on this unit")
        return
    try:
        people = load_people(settings.access.people)
    except FirmwareError as error:
        for line in str(error).splitlines():
            yield Finding(Outcome.PROBLEM, "access.people", line)
    else:
        yield Finding(Outcome.OK, "access.people", f"{settings.access.people}: {len(people)} named")


def _link(settings: Settings) -> Iterator[Finding]:
    mqtt = settings.mqtt
    if not mqtt.enabled:
        yield Finding(Outcome.NOTE, "mqtt", "not enabled: everything stays on the unit")
        return
    yield from _broker(mqtt)
    if mqtt.tls and mqtt.cert_file:
        yield from _certificate(settings)
    if mqtt.list_key_file:
        yield from _list_keys(settings)


def _broker(mqtt: MqttSettings) -> Iterator[Finding]:
    """Of one broker: whether the content of the files that connecting takes can be used. That they are
    there, and not open to everybody, the configuration's own rules have told."""
    from mqtt.client import read_password, tls_context
    from mqtt.errors import MqttError

    sound = True
    for read in (tls_context, read_password) if mqtt.tls else (read_password,):
        try:
            read(mqtt)
        except MqttError as error:
            sound = False
            yield Finding(Outcome.PROBLEM, mqtt.section, str(error))
    if sound:
        secured = "TLS" if mqtt.tls else "plain MQTT"
        yield Finding(Outcome.OK, mqtt.section, f"{mqtt.host}:{mqtt.port} with {secured}")


def _list_keys(settings: Settings) -> Iterator[Finding]:
    """Of the keys of hot lists over MQTT; with one that is wrong the unit does not start."""
    from firmware.publisher import list_secret_path
    from mqtt import hotlists
    from mqtt.errors import HotListError

    subject = "mqtt.list_key_file"
    try:
        key = hotlists.read_public_key(Path(settings.mqtt.list_key_file))
    except HotListError as error:
        yield Finding(Outcome.PROBLEM, subject, str(error))
    else:
        yield Finding(Outcome.OK, subject, f"HQ's key {key[:12]}")
    secret, subject = list_secret_path(settings), "mqtt.list_secret_file"
    # An empty one, as a power cut may leave it, is made anew like one that is not there.
    if secret.exists() and secret.stat().st_size:
        try:
            hotlists.unit_key(secret)
        except HotListError as error:
            yield Finding(Outcome.PROBLEM, subject, str(error))
            return
        if secret.stat().st_mode & 0o007:
            text = f"{secret} is open to every user of this machine: chmod o-rwx it"
            yield Finding(Outcome.PROBLEM, subject, text)
        else:
            yield Finding(Outcome.OK, subject, str(secret))
    elif settings.mqtt.list_secret_file and not os.access(secret.parent, os.W_OK | os.X_OK):
        # The store's folder, where the file is else, has its own check.
        text = f"{secret} is not there, or empty, and cannot be made by this user"
        yield Finding(Outcome.PROBLEM, subject, text)
    else:
        yield Finding(Outcome.NOTE, subject, f"{secret}: will be made at the first start")


def _home_assistant(settings: Settings) -> Iterator[Finding]:
    for line in settings.tolerated:
        yield Finding(Outcome.PROBLEM, "homeassistant", line)
    if settings.homeassistant.enabled:
        from firmware.homeassistant import link_settings

        yield from _broker(link_settings(settings.homeassistant))


def _certificate(settings: Settings) -> Iterator[Finding]:
    """Of the client certificate: what a broker that refuses the unit for it does not say."""
    mqtt, subject = settings.mqtt, "mqtt.cert_file"
    try:
        found = read_certificate(Path(mqtt.cert_file))
    except IoError as error:
        yield Finding(Outcome.NOTE, subject, str(error))
        return
    # With a user name and password the broker need not take the certificate's name for the unit's.
    wrong_name = found.common_name != settings.unit.id and not mqtt.username
    if wrong_name:
        text = f"its common name is {found.common_name!r}, not unit.id, {settings.unit.id!r}"
        yield Finding(Outcome.PROBLEM, subject, f"{mqtt.cert_file}: {text}")
    now = datetime.now(UTC)
    until = f"{found.expires:%Y-%m-%d %H:%M} UTC"
    if end := told_of_end(found.expires, now):
        outcome = Outcome.PROBLEM if found.expires <= now else Outcome.NOTE
        yield Finding(outcome, subject, f"{mqtt.cert_file}: {end}")
    elif not wrong_name:
        yield Finding(Outcome.OK, subject, f"{mqtt.cert_file}: {found.common_name}, good until {until}")


def _camera(settings: Settings) -> Iterator[Finding]:
    kind, _, name = settings.camera.source.partition(":")
    subject = "camera.source"
    if kind == "pi":
        missing = [module for module in ("picamera2", "gpiozero") if importlib.util.find_spec(module) is None]
        for module in missing:
            hint = " (apt install python3-picamera2)" if module == "picamera2" else ""
            yield Finding(Outcome.PROBLEM, subject, f'"pi" needs {module}, which is not installed{hint}')
        if not missing:
            yield Finding(Outcome.OK, subject, "pi")
    elif kind == "folder" and not Path(name).is_dir():
        yield Finding(Outcome.PROBLEM, subject, f"{name} is not a folder")
    elif kind == "video" and not Path(name).is_file():
        yield Finding(Outcome.PROBLEM, subject, f"{name} is not a file")
    elif kind == "video" and importlib.util.find_spec("av") is None:
        yield Finding(Outcome.PROBLEM, subject, "a video needs PyAV: install the extra [video]")
    else:
        yield Finding(Outcome.OK, subject, settings.camera.source)


def _gps(settings: Settings) -> Iterator[Finding]:
    if not settings.gps.enabled:
        return
    if settings.camera.kind == "pi" and not Path(settings.gps.port).exists():
        yield Finding(Outcome.PROBLEM, "gps.port", f"{settings.gps.port} is not there")
    else:
        yield Finding(Outcome.OK, "gps.port", settings.gps.port)


CHECKS: Final[Mapping[str, Callable[[Settings], Iterator[Finding]]]] = MappingProxyType(
    {
        "models": _models,
        "store.directory": _store,
        "service": _service,
        "hotlist.file": _hot_list,
        "access.people": _people,
        "mqtt": _link,
        "homeassistant": _home_assistant,
        "camera.source": _camera,
        "gps.port": _gps,
    }
)
"""Every check by the subject of a finding that it could not come to."""

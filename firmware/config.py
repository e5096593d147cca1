"""The unit's configuration: layers of files, environment and command line become one Settings value.

Owns the Settings, the order of the layers and the report of every mistake in one run:

    default.toml < /etc/platewarden/platewarden.toml < /etc/platewarden/conf.d/*.toml (by name)
                 < environment PLATEWARDEN__SECTION__KEY < --set section.key=value

`--config FILE` stands in the place of the files under /etc. What an option may be is declared in
`firmware.config_schema`; [camera], [trigger], [signals], [gps], [clock] have their fields in
`hw.settings`, [mqtt] and [homeassistant] in `mqtt.settings`. Secrets are never values here, only the
paths of their files.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from firmware.config_layers import Given, read_environment, read_overrides, read_toml
from firmware.config_rules import broken_rules
from firmware.config_schema import SCHEMA, show
from firmware.errors import ConfigError
from hw.settings import CameraSettings, ClockSettings, GpsSettings, SignalSettings, TriggerSettings
from mqtt.records import Position
from mqtt.settings import HomeAssistantSettings, MqttSettings

ETC: Final = Path("/etc/platewarden")
MOST_THREADS: Final = 4
"""Threads of a model where none are set: the cores of a Raspberry Pi. Small networks gain little of more."""
DEFAULTS: Final = Path(__file__).with_name("default.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSettings:
    """Section [unit]: who the unit is and where it stands.

    Attributes:
        id: the unit's name in topics and records.
        demo: the site is a demonstration: records say so and plate text may be printed.
        deployment: id or incident number of the deployment, "" where none.
        deployment_required: nothing is captured while none is named.
        position: where the unit stands when no GPS says otherwise, None where unknown.
    """

    id: str
    demo: bool
    deployment: str
    deployment_required: bool
    position: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings:
    """Section [detector].

    Attributes:
        models: folder of locator.tflite, corners.tflite, ocr.tflite and their sidecars.
        threads: of each model; 0 is `MOST_THREADS`, or the cores that there are.
        min_confidence: below it a look makes no read by itself, 0..1; None is the OCR sidecar's.
    """

    models: Path
    threads: int
    min_confidence: float | None

    @property
    def model_threads(self) -> int:
        """Threads of each model on this machine."""
        return self.threads or min(len(os.sched_getaffinity(0)), MOST_THREADS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageSettings:
    """Section [passage]; times in seconds of the frames' own time.

    Attributes:
        commit_s: at the latest so long after the first readable look a read is committed.
        settled_looks: so many agreeing looks settle the vote before that.
        gone_s: a vehicle unseen for so long has passed; its looks are closed.
        rearm_s: the same plate at the same place within so long after is still the same passage.
        parked_s: a vehicle in place for so long is parked.
    """

    commit_s: float
    settled_looks: int
    gone_s: float
    rearm_s: float
    parked_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HotListSettings:
    """Section [hotlist].

    Attributes:
        file: the SQLite file of the list in force.
        classes: alarm classes whose entries are loaded.
        substitutions: look-alike characters that may differ, 0 to 2; 0 switches look-alikes off.
        lookalike_score: the least score (0..1) of a look-alike hit.
        max_age_h: a list older than so many hours is told in the status.
    """

    file: Path
    classes: tuple[str, ...]
    substitutions: int
    lookalike_score: float
    max_age_h: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Section [store].

    Attributes:
        directory: holds platewarden.sqlite and pictures/.
        scene: which scene picture is kept: "full", "vehicle" (cut to it) or "none".
        blur: what of the scene picture is blurred: "none", "beyond" (the vehicle) or "cabin" (that too).
        jpeg_quality: of stored pictures, 30..95.
        grace_h: hours that a read is kept after HQ's receipt; longer than HQ's backup interval.
        min_free_mb: below so many megabytes of free disk no scene picture is kept.
    """

    directory: Path
    scene: str
    blur: str
    jpeg_quality: int
    grace_h: float
    min_free_mb: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Section [access]. `people` is the file of those who may see plate text, None for nobody."""

    people: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Section [log]. `level` is "debug", "info", "warning" or "error"."""

    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The effective configuration.

    Attributes:
        unit ... log: one value per section.
        values: every option as "section.key" with its checked value.
        origins: where each came from: "default", "FILE:LINE", "environment NAME" or "--set".
        files: the files that were read, in order, without default.toml.
        config_hash: SHA-256 of `values`, lower-case hexadecimal.
        tolerated: one line for each mistake that stops a nicety only: Home Assistant is then switched off.
    """

    unit: UnitSettings
    camera: CameraSettings
    trigger: TriggerSettings
    detector: DetectorSettings
    passage: PassageSettings
    hotlist: HotListSettings
    signals: SignalSettings
    gps: GpsSettings
    clock: ClockSettings
    store: StoreSettings
    access: AccessSettings
    mqtt: MqttSettings
    homeassistant: HomeAssistantSettings
    log: LogSettings
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    files: tuple[Path, ...]
    config_hash: str
    tolerated: tuple[str, ...] = ()


def load(
    files: Sequence[Path] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Settings:
    """Read all layers and check them.

    Args:
        files: the TOML files above default.toml, in order; None takes those under /etc/platewarden,
            as far as they exist.
        environ: environment variables; None takes the process's.
        overrides: "section.key=value" texts, the last layer.

    Raises:
        ConfigError: with one line for each mistake in any layer, where one of them stops the unit.
    """
    problems: list[str] = []
    tolerated: list[str] = []
    chosen = tuple(installed_files() if files is None else files)
    given: list[Given] = []
    for path in (DEFAULTS, *chosen):
        given += read_toml(path, problems)
    given += read_environment(os.environ if environ is None else environ, problems)
    given += read_overrides(overrides, problems)
    values, origins, wrong = _merge(given, problems)
    for broken in broken_rules({name: value for name, value in values.items() if name not in wrong}):
        places = [origins[name] for name in (broken.option, broken.related) if name]
        where = next((place for place in places if place != "default"), "default")
        # A file of the owner's own broker that is gone at a reboot must not keep a unit from reading plates.
        bearable = broken.option.startswith("homeassistant.")
        (tolerated if bearable else problems).append(f"{where}: {broken.option}: {broken.problem}")
    if problems:
        raise ConfigError(list(dict.fromkeys([*problems, *tolerated])))
    settings = _settings(values, origins, chosen)
    if tolerated:
        off = replace(settings.homeassistant, enabled=False)
        settings = replace(settings, homeassistant=off, tolerated=tuple(tolerated))
    return settings


def default_values() -> Mapping[str, Any]:
    """The built-in default of every option as "section.key"; one that must be set is missing."""
    values, _, wrong = _merge(read_toml(DEFAULTS, []), [])
    return {name: value for name, value in values.items() if name not in wrong}


def installed_files(etc: Path = ETC) -> list[Path]:
    """The files of a unit's own configuration that exist under `etc`, in order."""
    main = etc / "platewarden.toml"
    return [*([main] if main.exists() else []), *sorted((etc / "conf.d").glob("*.toml"))]


def default_models() -> Path:
    """The models that came with the software: beside the source tree, else in the installation."""
    beside = Path(__file__).resolve().parent.parent / "models"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "platewarden" / "models"


def _merge(given: Iterable[Given], problems: list[str]) -> tuple[dict[str, Any], dict[str, str], set[str]]:
    """The effective values and their origins by "section.key"; the names whose value is wrong."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    wrong: set[str] = set()
    unknown: set[str] = set()
    for item in given:
        if fault := _misplaced(item):
            if item.section not in unknown:
                problems.append(f"{item.origin}: {fault}")
            if item.section not in SCHEMA:
                unknown.add(item.section)
            continue
        if not item.key:
            continue
        name = f"{item.section}.{item.key}"
        built_in = item.origin.startswith(f"{DEFAULTS}:")
        try:
            values[name] = SCHEMA[item.section][item.key].parse(item.value, item.folder, item.textual)
            wrong.discard(name)
        except ValueError as error:
            values[name] = None
            wrong.add(name)
            if not (built_in and item.value == ""):  # an empty default that must be set, see below
                problems.append(f"{item.origin}: {name}: {error}")
        origins[name] = "default" if built_in else item.origin
    if "detector.models" not in wrong and values.get("detector.models") is None:
        values["detector.models"] = default_models()
    for name in sorted(wrong):
        if origins[name] == "default":
            section, key = name.split(".")
            problems.append(f"{name}: is not set: must be {SCHEMA[section][key].allowed}")
    return values, origins, wrong


def _misplaced(item: Given) -> str:
    """Why there is no such option, with the nearest one; "" where there is."""
    section, key = item.section, item.key
    if section in SCHEMA:
        if key in SCHEMA[section]:
            return ""
        if key:
            return f"{section}.{key}: is no option{_nearest_option(section, key)}"
        if item.value == {}:
            return ""
        return f"{section}: {show(item.value)} is not allowed: must be a section [{section}]"
    if key or item.value == {}:
        near = difflib.get_close_matches(section, SCHEMA, n=1)
        hint = f"; did you mean [{near[0]}]?" if near else f": the sections are {', '.join(SCHEMA)}"
        return f"[{section}] is no section{hint}"
    return f"{section}: stands outside any section{_nearest_option('', section)}"


def _nearest_option(section: str, key: str) -> str:
    """What to try instead of an unknown key: the nearest of its own section, else of all."""
    if near := difflib.get_close_matches(key, SCHEMA.get(section, {}), n=1):
        return f"; did you mean {section}.{near[0]}?"
    everywhere = {option: f"{name}.{option}" for name in SCHEMA for option in SCHEMA[name]}
    near = difflib.get_close_matches(key, everywhere, n=1, cutoff=0.8)
    if near:
        return f"; did you mean {everywhere[near[0]]}?"
    return f": [{section}] has {', '.join(SCHEMA[section])}" if section else ""


def _settings(values: Mapping[str, Any], origins: Mapping[str, str], files: tuple[Path, ...]) -> Settings:
    sections = {
        section: {key: values[f"{section}.{key}"] for key in options} for section, options in SCHEMA.items()
    }
    unit, detector = sections["unit"], sections["detector"]
    place = dict(zip(("latitude", "longitude", "heading"), unit["position"], strict=False))
    unit["position"] = Position(**place) if place else None
    detector["min_confidence"] = detector["min_confidence"] or None
    canonical = json.dumps({name: values[name] for name in sorted(values)}, default=str)
    return Settings(
        unit=UnitSettings(**unit),
        camera=CameraSettings(**sections["camera"]),
        trigger=TriggerSettings(**sections["trigger"]),
        detector=DetectorSettings(**detector),
        passage=PassageSettings(**sections["passage"]),
        hotlist=HotListSettings(**sections["hotlist"]),
        signals=SignalSettings(**sections["signals"]),
        gps=GpsSettings(**sections["gps"]),
        clock=ClockSettings(**sections["clock"]),
        store=StoreSettings(**sections["store"]),
        access=AccessSettings(**sections["access"]),
        mqtt=MqttSettings(**sections["mqtt"]),
        homeassistant=HomeAssistantSettings(**sections["homeassistant"]),
        log=LogSettings(**sections["log"]),
        values=MappingProxyType(dict(values)),
        origins=MappingProxyType(dict(origins)),
        files=files,
        config_hash=hashlib.sha256(canonical.encode()).hexdigest(),
    )


if __name__ == "__main__":
    from firmware.config_docs import main

    sys.exit(main(sys.argv[1:]))

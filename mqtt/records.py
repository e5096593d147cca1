"""The records that a unit sends to HQ, as values. `mqtt.messages` turns them into JSON and back.

Owns the fields and their meaning: this is the contract between unit and HQ, version 1. How they
are stored is `firmware.store` on the unit and `hq` at HQ.

Times are strings in ISO 8601, UTC, to 0.01 s with the offset written out, such as
"2026-01-31T23:59:59.07+00:00" (CJIS AU-8), or None while the unit's clock is not set.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PictureKind(StrEnum):
    """The plate cut from the winning look, and the scene it stood in."""

    PLATE = "plate"
    SCENE = "scene"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """By which clock a time was taken.

    Attributes:
        quality: "none", "ntp" or "gps".
        boot_id: the kernel's random id of the boot.
        boottime: seconds since that boot.
        offset_ms: the clock's estimated error in milliseconds, None where unknown.
    """

    quality: str
    boot_id: str
    boottime: float
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the unit stood: WGS 84 degrees; heading in degrees from true north."""

    latitude: float
    longitude: float
    heading: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRef:
    """One picture of a read, which travels as a message of its own.

    Attributes:
        kind: plate or scene.
        sha256: lower-case hexadecimal hash of the JPEG file's bytes.
        size: its length in bytes.
        width, height: in pixels.
    """

    kind: PictureKind
    sha256: str
    size: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCandidate:
    """A possible text with its share (0..1) of the votes."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The stored record of one passage.

    Attributes:
        read_id: UUID of the read, the same in every revision.
        revision: 1 for the first commit; later looks or a clock set later raise it.
        captured_at: time of the winning look, None before the clock was set.
        clock: by which clock.
        camera: the camera's name.
        deployment: id or incident number of the deployment, "" where none is set.
        position: where the unit stood, None where unknown.
        plate: the raw text that was read.
        confidence: calibrated probability (0..1) that all of it is right.
        char_confidence: one probability per character of `plate`.
        candidates: at most ten, best first.
        flags: the detector's flags.
        box: (x, y, w, h) of the plate in pixels of the frame.
        frame_size: (width, height) of the frame.
        detection_score: the locator's score (0..1) of the winning look.
        looks: frames in which the plate was read.
        agreeing: looks that read exactly `plate`.
        parked: the vehicle stood still for longer than a passage.
        pictures: plate and scene, as far as they could be kept.
        model_hashes: SHA-256 of the locator and of the OCR.
        config_hash: SHA-256 of the effective configuration.
        software: version of Platewarden.
        demo: made by a site that is marked as a demonstration.
    """

    read_id: str
    revision: int
    captured_at: str | None
    clock: ClockState
    camera: str
    deployment: str
    position: Position | None
    plate: str
    confidence: float
    char_confidence: tuple[float, ...]
    candidates: tuple[TextCandidate, ...]
    flags: tuple[str, ...]
    box: tuple[float, float, float, float]
    frame_size: tuple[int, int]
    detection_score: float
    looks: int
    agreeing: int
    parked: bool
    pictures: tuple[PictureRef, ...]
    model_hashes: tuple[str, str]
    config_hash: str
    software: str
    demo: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A read that matches a hot list entry: a lead, not a confirmation (430.3(f)).

    Attributes:
        hit_id: UUID of the hit.
        read_id: the read it belongs to.
        read_revision: the revision of the read that matched.
        at: when the match was found, None before the clock was set.
        kind: "exact", "lookalike" or "partial".
        score: weight of the match (0..1): 1 for exact, the OCR's belief in the substitution else.
        status: always "UNVERIFIED" when a unit sends it.
        withdrawn: a later revision of the read no longer matches.
        entry_plate, entry_state, alarm_class, reason, source, case_number, expiry, priority: the
            entry as it stood in the list.
        state_agrees: whether the read's state is the entry's; None where either is unknown.
        list_version: version of the hot list.
        list_age_s: seconds since that list was issued, None where unknown.
    """

    hit_id: str
    read_id: str
    read_revision: int
    at: str | None
    kind: str
    score: float
    entry_plate: str
    entry_state: str
    alarm_class: str
    reason: str
    source: str
    case_number: str
    expiry: str
    priority: int
    state_agrees: bool | None
    list_version: str
    list_age_s: float | None
    status: str = "UNVERIFIED"
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a unit could not keep or send, counted instead of forgotten (430.4-b).

    Attributes:
        kind: what was lost: "read", "hit", "picture", "access" or "frame".
        count: how many.
        reason: one line, without plate text.
        since, until: the period, None before the clock was set.
        read_id: the read concerned, "" where it is not one.
    """

    kind: str
    count: int
    reason: str
    since: str | None
    until: str | None
    read_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRecord:
    """Who saw plate text on a unit or at a subscriber, when and why (430.5(a), CC-52a).

    Attributes:
        access_id: UUID.
        at: when, None before the clock was set.
        clock: by which clock.
        person: the named person.
        title: their job title.
        agency: their agency.
        action: the command and what it showed, such as "reads list".
        query: the plate or other data elements that were asked for.
        purpose: a code of plates.words.Purpose.
        case_number: case or incident number, or the id that stands for it.
        results: how many records were shown.
        ids: the ids of the records that were shown.
        outcome: "shown", "refused" or "failed".
    """

    access_id: str
    at: str | None
    clock: ClockState
    person: str
    title: str
    agency: str
    action: str
    query: str
    purpose: str
    case_number: str
    results: int
    ids: tuple[str, ...]
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """HQ's word that it has everything of one store up to a sequence number, committed.

    A receipt lower than the last one means that HQ was restored: send again from there.
    """

    store_id: str
    sequence: int
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a unit sees of itself; retained, so it holds no plate text.

    Attributes:
        state: "starting", "ready", "degraded", "fault", or "offline" (the last will).
        faults: one line for each thing that is wrong.
        at, clock: when.
        software, config_hash, model_hashes: what runs.
        uptime_s: seconds since the unit's process started.
        queue: outbox rows that HQ has not receipted.
        oldest_queued_s: age of the oldest of them in seconds.
        disk_free_bytes, disk_total_bytes: of the store's file system.
        memory_bytes: resident memory of the process.
        temperature_c: of the board, None where unknown.
        list_version, list_age_s, list_entries: the hot list in force.
        reads_hour: reads in the last hour.
        reads_hour_norm: usual reads in this hour of the day, None until known.
        frames_s: frames per second processed.
        skipped_frames: since start.
        camera: "ok", "dark", "blocked", "moved" or "failed".
        position: from GPS or the configuration.
        losses: what could not be kept since the store was made, by kind.
        demo: the site is marked as a demonstration.
    """

    state: str
    faults: tuple[str, ...] = ()
    at: str | None = None
    clock: ClockState | None = None
    software: str = ""
    config_hash: str = ""
    model_hashes: tuple[str, ...] = ()
    uptime_s: float = 0.0
    queue: int = 0
    oldest_queued_s: float | None = None
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0
    memory_bytes: int = 0
    temperature_c: float | None = None
    list_version: str = ""
    list_age_s: float | None = None
    list_entries: int = 0
    reads_hour: int = 0
    reads_hour_norm: float | None = None
    frames_s: float = 0.0
    skipped_frames: int = 0
    camera: str = "ok"
    position: Position | None = None
    losses: dict[str, int] | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRef:
    """One piece of a hot list file: its number from 0, SHA-256 and length of the packed bytes."""

    number: int
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Which hot list is in force; retained for a group of units, holds no plate.

    Attributes:
        list_id: the list's name.
        version: rises with every publication; sortable text.
        issued_at, expires_at: between these the list may be used.
        entries: how many.
        chunks: the pieces, in order.
        sha256: hash of all pieces joined.
        signature: Ed25519 over the manifest without this field, hexadecimal; "" unsigned.
    """

    list_id: str
    version: str
    issued_at: str
    expires_at: str
    entries: int
    chunks: tuple[ChunkRef, ...]
    sha256: str
    signature: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRequest:
    """A unit asks for the pieces of a list version that it lacks."""

    list_id: str
    version: str
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureHeader:
    """What stands before a picture's bytes in its own message."""

    read_id: str
    kind: PictureKind
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every numbered message of a unit carries beside its record.

    Attributes:
        unit: the unit's id.
        store_id: random, made with the unit's database.
        sequence: the outbox row's number, from 1, without gaps within a store_id.
    """

    unit: str
    store_id: str
    sequence: int

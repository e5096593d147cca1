"""The records that a unit sends to HQ, as values. `mqtt.messages` turns them into JSON and back.

Owns the fields and their meaning: this is the contract between unit and HQ, version 1. How they
are stored is `firmware.store` on the unit and `hq` at HQ.

Times are strings in ISO 8601, UTC, to 0.01 s with the offset written out, such as
"2026-01-31T23:59:59.07+00:00" (CJIS AU-8), or None while the unit's clock is not set;
`mqtt.fields.time_text` makes them. The limits in the annotations are checked when a message is
decoded and stand in its JSON Schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from mqtt.fields import (
    Choice,
    Count,
    Date,
    Id,
    Key,
    Line,
    Most,
    OptionalId,
    PlateText,
    Probability,
    Range,
    Region,
    Seconds,
    Sequence,
    Sha256,
    Signature,
    Time,
    UnitId,
)

LOSS_KINDS: Final = ("read", "hit", "picture", "access", "frame", "record")
STATES: Final = ("starting", "ready", "degraded", "fault", "offline")


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

    quality: Annotated[str, Choice(("none", "ntp", "gps"))]
    boot_id: Line
    boottime: Seconds
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the unit stood: WGS 84 degrees; heading in degrees from true north."""

    latitude: Annotated[float, Range(-90.0, 90.0)]
    longitude: Annotated[float, Range(-180.0, 180.0)]
    heading: Annotated[float, Range(0.0, 360.0)] | None = None


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
    sha256: Sha256
    size: Count
    width: Count
    height: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCandidate:
    """A possible text with its share (0..1) of the votes."""

    text: PlateText
    probability: Probability


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
        model_hashes: SHA-256 of the models, in the order of their use: locator, corners, OCR; two where
            no model looked for corners.
        config_hash: SHA-256 of the effective configuration.
        software: version of Platewarden.
        demo: made by a site that is marked as a demonstration.
        region: the US state or district that the plate's design is of, by its two letters; "" where
            unknown.
        region_confidence: the estimated probability (0..1) that `region` is right; 0 where it is "".
    """

    read_id: Id
    revision: Sequence
    captured_at: Time | None
    clock: ClockState
    camera: Line
    deployment: Line
    position: Position | None
    plate: PlateText
    confidence: Probability
    char_confidence: tuple[Probability, ...]
    candidates: Annotated[tuple[TextCandidate, ...], Most(10)]
    flags: tuple[Line, ...]
    box: tuple[float, float, float, float]
    frame_size: tuple[Count, Count]
    detection_score: Probability
    looks: Count
    agreeing: Count
    parked: bool
    pictures: tuple[PictureRef, ...]
    model_hashes: Annotated[tuple[Sha256, ...], Most(8)]
    config_hash: Sha256
    software: Line
    demo: bool
    region: Region = ""
    region_confidence: Probability = 0.0


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

    hit_id: Id
    read_id: Id
    read_revision: Sequence
    at: Time | None
    kind: Annotated[str, Choice(("exact", "lookalike", "partial"))]
    score: Probability
    entry_plate: PlateText
    entry_state: Line
    alarm_class: Line
    reason: Line
    source: Line
    case_number: Line
    expiry: Date
    priority: Annotated[int, Range(0, 100)]
    state_agrees: bool | None
    list_version: Line
    list_age_s: float | None
    status: str = "UNVERIFIED"
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a unit could not keep or send, counted instead of forgotten (430.4-b).

    Attributes:
        kind: what was lost: "read", "hit", "picture", "access" or "frame"; "record" for a numbered
            message that was purged after HQ's receipt and that a restored HQ asks for again.
        count: how many.
        reason: one line, without plate text.
        since, until: the period, None before the clock was set.
        read_id: the read concerned, "" where it is not one.
    """

    kind: Annotated[str, Choice(LOSS_KINDS)]
    count: Count
    reason: Line
    since: Time | None
    until: Time | None
    read_id: OptionalId = ""


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

    access_id: Id
    at: Time | None
    clock: ClockState
    person: Line
    title: Line
    agency: Line
    action: Line
    query: Line
    purpose: Line
    case_number: Line
    results: Count
    ids: tuple[str, ...]
    outcome: Annotated[str, Choice(("shown", "refused", "failed"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """HQ's word that it has everything of one store up to a sequence number, committed.

    A receipt lower than the last one means that HQ was restored: send again from there.
    """

    store_id: Id
    sequence: Count
    at: Time


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

    state: Annotated[str, Choice(STATES)]
    faults: tuple[Line, ...] = ()
    at: Time | None = None
    clock: ClockState | None = None
    software: Line = ""
    config_hash: str = ""
    model_hashes: tuple[str, ...] = ()
    uptime_s: Seconds = 0.0
    queue: Count = 0
    oldest_queued_s: float | None = None
    disk_free_bytes: Count = 0
    disk_total_bytes: Count = 0
    memory_bytes: Count = 0
    temperature_c: float | None = None
    list_version: str = ""
    list_age_s: float | None = None
    list_entries: Count = 0
    reads_hour: Count = 0
    reads_hour_norm: float | None = None
    frames_s: float = 0.0
    skipped_frames: Count = 0
    camera: Annotated[str, Choice(("ok", "dark", "blocked", "moved", "failed"))] = "ok"
    position: Position | None = None
    losses: dict[str, int] | None = None
    demo: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRef:
    """One piece of a hot list file: its number from 0, SHA-256 and length of the packed bytes."""

    number: Count
    sha256: Sha256
    size: Count


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

    list_id: Line
    version: Line
    issued_at: Time
    expires_at: Time
    entries: Count
    chunks: tuple[ChunkRef, ...]
    sha256: Sha256
    signature: Signature = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRequest:
    """A unit asks for the pieces of a list version that it lacks.

    Attributes:
        list_id, version: as in the manifest.
        numbers: the pieces wanted.
        public_key: the unit's X25519 key, to which the pieces are sealed. The topic's owner is
            proved by the unit's certificate (ACL), and so is this key.
    """

    list_id: Line
    version: Line
    numbers: tuple[Count, ...]
    public_key: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkHeader:
    """What stands before a piece's sealed bytes in its own message.

    Attributes:
        list_id, version, number: which piece.
        sha256, size: of the packed bytes before sealing, as in the manifest.
    """

    list_id: Line
    version: Line
    number: Count
    sha256: Sha256
    size: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEntry:
    """One entry of a hot list as it travels in a piece; the fields are plates.words.HotListEntry's."""

    plate: PlateText
    state: Line
    alarm_class: Line
    reason: Line
    source: Line
    case_number: Line
    expiry: Date
    priority: Annotated[int, Range(0, 100)] = 50
    partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureHeader:
    """What stands before a picture's bytes in its own message."""

    read_id: Id
    kind: PictureKind
    sha256: Sha256
    size: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every numbered message of a unit carries beside its record.

    Attributes:
        unit: the unit's id.
        store_id: random, made with the unit's database.
        sequence: the outbox row's number, from 1, without gaps within a store_id.
    """

    unit: UnitId
    store_id: Id
    sequence: Sequence

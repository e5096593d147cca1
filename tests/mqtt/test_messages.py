from __future__ import annotations

import contextlib
import dataclasses
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt import messages, topics
from mqtt.errors import MessageError, TopicError
from mqtt.fields import time_text, time_value
from mqtt.records import (
    ChunkHeader,
    ChunkRef,
    ChunkRequest,
    ClockState,
    Envelope,
    Manifest,
    PictureHeader,
    Position,
    Receipt,
    Status,
)
from tests.mqtt import samples

ENVELOPE = Envelope(unit="unit-1", store_id="0" * 32, sequence=7)
READ_ID = samples.new_id()
RECORDS = {
    "read": samples.read(READ_ID),
    "hit": samples.hit(READ_ID),
    "picture": samples.picture(b"jpeg", READ_ID),
    "loss": samples.loss(),
    "access": samples.access(),
    "status": Status(
        state="ready", at=samples.AT, clock=samples.CLOCK, faults=("lamp: no answer",),
        position=Position(latitude=34.1, longitude=-118.15), losses={"picture": 2},
    ),
    "receipt": Receipt(store_id="0" * 32, sequence=0, at=samples.AT),
    "hotlist": Manifest(
        list_id="test", version="2", issued_at=samples.AT, expires_at=samples.AT, entries=1,
        chunks=(ChunkRef(number=0, sha256=samples.HASH, size=3),), sha256=samples.HASH,
    ),
    "chunk-request": ChunkRequest(list_id="test", version="2", numbers=(0, 5), public_key="c" * 64),
    "chunk": ChunkHeader(list_id="test", version="2", number=0, sha256=samples.HASH, size=3),
}  # fmt: skip


def encode(name: str) -> bytes:
    envelope = ENVELOPE if name in messages.NUMBERED else None
    data = b"\x00\xffdata" if name in messages.BINARY else b""
    return messages.encode(RECORDS[name], envelope, data)


def mutate(name: str, change: object) -> bytes:
    message = json.loads(messages.encode(RECORDS[name], ENVELOPE if name in messages.NUMBERED else None))
    change(message)  # type: ignore[operator]
    return json.dumps(message).encode()


def test_every_message_of_the_contract_has_a_sample() -> None:
    assert set(RECORDS) == set(messages.NUMBERED) | set(messages.PLAIN)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_what_is_encoded_comes_back_equal(name: str) -> None:
    message = messages.decode(name, encode(name))
    assert message.record == RECORDS[name]
    assert message.envelope == (ENVELOPE if name in messages.NUMBERED else None)
    assert message.data == (b"\x00\xffdata" if name in messages.BINARY else b"")
    assert message.unknown == ()


BAD_FIELDS = [
    ("read", lambda m: m["record"].update(confidence=1.5), "record.confidence"),
    ("read", lambda m: m["record"].update(confidence="0.5"), "record.confidence"),
    ("read", lambda m: m["record"].update(confidence=True), "record.confidence"),
    ("read", lambda m: m["record"].update(looks=1.0), "record.looks"),
    ("read", lambda m: m["record"].update(region="Nevada"), "record.region"),
    ("read", lambda m: m["record"].update(region_confidence=1.1), "record.region_confidence"),
    ("read", lambda m: m["record"].update(box=[1, 2, 3]), "record.box"),
    ("read", lambda m: m["record"].update(plate=None), "record.plate"),
    ("read", lambda m: m["record"].update(parked=0), "record.parked"),
    ("read", lambda m: m["record"].update(captured_at="2026-01-31T23:59:59Z"), "record.captured_at"),
    ("read", lambda m: m["record"].update(read_id="../../etc"), "record.read_id"),
    ("read", lambda m: m["record"]["clock"].pop("boot_id"), "record.clock.boot_id"),
    ("read", lambda m: m["record"].update(candidates=[{}]), "record.candidates[0].text"),
    ("read", lambda m: m["record"].update(candidates=[], flags=["x" * 1001]), "record.flags[0]"),
    ("read", lambda m: m["envelope"].update(sequence=0), "envelope.sequence"),
    ("read", lambda m: m["envelope"].update(unit="a/b"), "envelope.unit"),
    ("read", lambda m: m.pop("envelope"), "envelope"),
    ("read", lambda m: m.update(schema="platewarden.read/2"), "schema"),
    ("read", lambda m: m.update(schema="platewarden.hit/1"), "schema"),
    ("hit", lambda m: m["record"].update(kind="similar"), "record.kind"),
    ("loss", lambda m: m["record"].update(count=-1), "record.count"),
    ("status", lambda m: m["record"].update(losses={"read": "x"}), "record.losses.read"),
    ("receipt", lambda m: m["record"].update(sequence=2**60), "record.sequence"),
]


@pytest.mark.parametrize(("name", "change", "field"), BAD_FIELDS)
def test_a_bad_field_is_refused_by_its_name(name: str, change: object, field: str) -> None:
    with pytest.raises(MessageError, match="^" + field.replace("[", r"\[") + ":"):
        messages.decode(name, mutate(name, change))


def test_a_field_of_a_newer_minor_version_is_ignored_but_named() -> None:
    def change(message: dict[str, dict[str, object]]) -> None:
        message["record"]["colour"] = "blue"
        message["envelope"]["priority"] = 1
        message["trace"] = {}

    message = messages.decode("read", mutate("read", change))
    assert message.record == RECORDS["read"]
    assert set(message.unknown) == {"record.colour", "envelope.priority", "trace"}


def test_a_missing_field_with_a_default_takes_it() -> None:
    message = messages.decode("status", b'{"schema":"platewarden.status/1","record":{"state":"offline"}}')
    assert message.record == Status(state="offline")


def test_a_read_of_an_older_unit_is_taken_with_its_state_unknown() -> None:
    def change(message: dict[str, dict[str, object]]) -> None:
        del message["record"]["region"]
        del message["record"]["region_confidence"]

    message = messages.decode("read", mutate("read", change))
    assert message.unknown == ()
    assert message.record == dataclasses.replace(RECORDS["read"], region="", region_confidence=0.0)


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"schema":"platewarden.receipt/1","schema":"x"}',
        b"[" * 100_000, b'{"schema":"platewarden.receipt/1","record":{"sequence":NaN}}',
        b'{"schema":"platewarden.receipt/1","record":{"sequence":1' + b"0" * 5000 + b"}}",
    ],
)  # fmt: skip
def test_what_is_not_one_json_object_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        messages.decode("receipt", payload)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(MessageError, match=r"^record\.reason: holds half"):
        messages.decode("loss", mutate("loss", lambda m: m["record"].update(reason="\ud800")))


def test_a_number_without_json_form_is_never_sent() -> None:
    bad = dataclasses.replace(samples.read(), confidence=float("nan"))
    with pytest.raises(MessageError):
        messages.encode_record(bad)


@given(st.sampled_from(sorted(RECORDS)), st.binary(max_size=200))
def test_arbitrary_bytes_never_do_more_than_raise(name: str, payload: bytes) -> None:
    with pytest.raises(MessageError):
        messages.decode(name, payload)


@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_a_cut_or_changed_message_never_does_more_than_raise(name: str, data: st.DataObject) -> None:
    payload = bytearray(encode(name))
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    with contextlib.suppress(MessageError):
        message = messages.decode(name, bytes(payload[:cut]))
        assert type(message.record) in (*messages.NUMBERED.values(), *messages.PLAIN.values())


@given(st.binary(max_size=300))
def test_a_picture_comes_back_with_its_bytes(data: bytes) -> None:
    header = samples.picture(data, READ_ID)
    message = messages.decode("picture", messages.encode(header, ENVELOPE, data))
    assert isinstance(message.record, PictureHeader)
    assert message.data == data


@given(st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.timezones()))
def test_times_are_utc_to_a_hundredth_and_come_back(moment: datetime) -> None:
    """CJIS AU-8."""
    text = time_text(moment)
    assert 0 <= (moment - time_value(text)).total_seconds() < 0.01
    record = Receipt(store_id="0" * 32, sequence=1, at=text)
    assert messages.decode("receipt", messages.encode(record)).record == record


def test_clock_state_of_an_unset_clock_is_valid() -> None:
    clock = ClockState(quality="none", boot_id="x", boottime=0.0)
    record = dataclasses.replace(samples.read(), captured_at=None, clock=clock)
    assert messages.decode("read", messages.encode(record, ENVELOPE)).record == record


@pytest.mark.parametrize("unit", ["", "a/b", "+", "#", "a b", "-a", "é", "a" * 65, "a\n"])
def test_a_unit_id_that_breaks_out_of_its_topic_is_refused(unit: str) -> None:
    with pytest.raises(TopicError):
        topics.up(unit, "read")


def test_topics_come_apart_as_they_were_put_together() -> None:
    for name in topics.UP:
        assert topics.parse_up(topics.up("pole-7", name)) == ("pole-7", name)
    for name in topics.DOWN:
        assert topics.parse_down(topics.down("pole-7", name)) == ("pole-7", name)
    with pytest.raises(TopicError):
        topics.parse_up(topics.down("pole-7", "receipt"))
    with pytest.raises(TopicError):
        topics.up("pole-7", "receipt")


@pytest.mark.clause("430.7-b")
def test_nothing_with_a_plate_is_ever_retained() -> None:
    """430.7-b."""
    assert topics.RETAINED.isdisjoint({"read", "hit", "picture", "access", "loss", "chunk"})

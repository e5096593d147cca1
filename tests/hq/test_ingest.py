"""What is taken in: each record once, in its place, with nothing dropped and nothing that stops the rest."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.records import bulk, ledger, rows
from hq.records.intake import LARGE, Intake, Source, Taken
from hq.records.messages import Received, read_message
from hq.records.models import (
    AccessReceived,
    Gap,
    Hit,
    Loss,
    Picture,
    Quarantined,
    Read,
    Revision,
    Series,
    Transfer,
    Trigram,
    Unit,
    UnitStatus,
)
from hq.records.pictures import Files, sweep
from hq.records.rows import hit_record, read_record
from mqtt import messages, topics
from mqtt.fields import time_text
from mqtt.records import ChunkRequest, Status
from tests.hq.conftest import Clock
from tests.hq.ingest_site import STORE, UNIT, files_below, jpeg, payload_of, read_with_picture, received
from tests.mqtt import samples

SOURCE = Source("mqtt", "hq-test")

pytestmark = pytest.mark.django_db


@pytest.fixture
def unit() -> Unit:
    return Unit.objects.create(unit_id=UNIT, state=Unit.State.ENROLLED)


@pytest.fixture
def store(tmp_path: Path) -> FileSystemStorage:
    return FileSystemStorage(location=tmp_path / "files")


@pytest.fixture
def intake(store: FileSystemStorage, clock: Clock, unit: Unit) -> Iterator[Intake]:
    made = Intake(Files(store))
    yield made
    made.close()


def take(intake: Intake, *items: Received) -> Taken:
    return intake.take(items, SOURCE)


@pytest.mark.clause("430.4-b")
def test_a_batch_is_kept_whole_and_receipted(intake: Intake, store: FileSystemStorage, clock: Clock) -> None:
    read, header, data = read_with_picture(1)
    hit, loss, access = samples.hit(read.read_id), samples.loss(), samples.access()
    taken = take(
        intake,
        received(read, 1),
        received(hit, 2),
        received(header, 3, data),
        received(loss, 4),
        received(access, 5),
    )
    assert taken.standings == [ledger.Standing(UNIT, STORE, 5, 0)]
    assert (taken.new, taken.known, taken.quarantined) == (5, 0, 0)
    assert taken.hits == [UUID(hit.hit_id)]
    row = Read.objects.get()
    assert read_record(row, row.pictures.all()) == read
    assert row.digest == hashlib.sha256(messages.encode_record(read)).hexdigest()
    assert hit_record(Hit.objects.get()) == hit
    picture = Picture.objects.get()
    assert not picture.missing
    assert store.open(picture.file.name).read() == data
    assert Loss.objects.get().count == loss.count
    assert AccessReceived.objects.get().ids == list(access.ids)
    transfer = Transfer.objects.get()
    assert (transfer.messages, transfer.new, transfer.committed_at) == (5, 5, clock.at)
    counts = {"read": 1, "hit": 1, "picture": 1, "loss": 1, "access": 1, "first": 1, "last": 5}
    assert transfer.units == {UNIT: counts}


@pytest.mark.clause("430.4-b")
def test_what_comes_again_changes_nothing_and_is_receipted_again(
    intake: Intake, store: FileSystemStorage
) -> None:
    read, header, data = read_with_picture(1)
    batch = [
        received(read, 1),
        received(header, 2, data),
        received(samples.hit(read.read_id), 3),
        received(samples.loss(), 4),
        received(samples.access(), 5),
    ]
    take(intake, *batch)
    before = files_below(Path(store.location))
    for again in (batch, batch[::-1], batch + batch):
        taken = take(intake, *again)
        assert (taken.new, taken.known, taken.quarantined) == (0, len(again), 0)
        assert taken.standings[0].contiguous == 5
    for model in (Read, Picture, Hit, Loss, AccessReceived):
        assert model._default_manager.count() == 1
    assert files_below(Path(store.location)) == before


@given(order=st.permutations(range(1, 13)), sizes=st.lists(st.integers(1, 4), min_size=12, max_size=12))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_batches_come_to_the_same(
    order: list[int], sizes: list[int], intake: Intake
) -> None:
    """With several subscribers a hit may come before its read, a picture before both, revision 3 before 2."""
    store = uuid.uuid4().hex
    read, header, data = read_with_picture(1)
    bare = replace(read, pictures=())
    hit = samples.hit(read.read_id)
    log: list[tuple[object, bytes]] = [
        (replace(bare, revision=1, plate="7TST12"), b""), (header, data), (hit, b""),
        (replace(read, revision=2), b""), (replace(hit, read_revision=2, withdrawn=True), b""),
        (replace(read, revision=3, plate="8TST123"), b""), (samples.loss(), b""), (samples.access(), b""),
        *((samples.read(), b"") for _ in range(4)),
    ]  # fmt: skip
    waiting = [received(log[number - 1][0], number, log[number - 1][1], store=store) for number in order]
    done: set[int] = set()
    while waiting:
        size = sizes[len(waiting) % len(sizes)]
        batch, waiting = waiting[:size], waiting[size:]
        taken = take(intake, *batch)
        done |= {item.envelope.sequence for item in batch if item.envelope is not None}
        upto = next(number for number in range(13) if number + 1 not in done)
        assert taken.standings[0].contiguous == upto
        assert taken.quarantined == 0
        missing = {
            number
            for gap in Gap.objects.filter(series__store_id=store)
            for number in range(gap.first, gap.last + 1)
        }
        assert missing == set(range(1, max(done))) - done
    row = Read.objects.get(pk=read.read_id)
    assert read_record(row, row.pictures.all()) == replace(read, revision=3, plate="8TST123")
    assert [one.missing for one in row.pictures.all()] == [False]
    assert Hit.objects.get(pk=hit.hit_id).withdrawn
    superseded = Revision.objects.filter(record=read.read_id).order_by("revision")
    assert [one.body["plate"] for one in superseded] == ["7TST12", "7TST123"]
    assert Read.objects.filter(store_id=store).count() == 5


def test_a_revision_keeps_the_one_before(intake: Intake, clock: Clock) -> None:
    read, header, data = read_with_picture(1)
    take(intake, received(read, 1), received(header, 2, data))
    first = clock.at
    better = jpeg(2)
    newer = replace(read, revision=2, plate="7TST124", pictures=())
    clock.advance(hours=1)
    assert take(intake, received(newer, 3)).new == 1
    row = Read.objects.get()
    assert (row.text, row.key, row.revision, row.received_at) == ("7TST124", "7TST124", 2, first)
    assert row.purge_after >= first + timedelta(days=365)
    old = Revision.objects.get()
    assert old.body["plate"] == "7TST123"
    assert old.body["pictures"][0]["sha256"] == header.sha256
    assert [picture.current for picture in row.pictures.all()] == [False]
    take(intake, received(samples.picture(better, read.read_id), 4, better))
    assert row.pictures.filter(missing=False).count() == 2


def test_the_same_revision_with_another_content_goes_into_quarantine(intake: Intake) -> None:
    read = samples.read()
    take(intake, received(read, 1))
    taken = take(intake, received(replace(read, plate="8TST999"), 2))
    assert (taken.quarantined, taken.standings[0].contiguous) == (1, 2)
    assert Read.objects.get().text == "7TST123"
    assert "another content" in Quarantined.objects.get().reason


@pytest.mark.clause("430.2-c")
@pytest.mark.clause("430.4-b")
def test_a_read_kept_before_states_were_told_is_known_when_it_comes_again(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A unit that is older than the field sends again; HQ was upgraded in between."""
    first = replace(samples.read(), region="", region_confidence=0.0)
    second = replace(first, revision=2, plate="7TST124")

    def before(record: object) -> str:
        body = json.loads(messages.encode_record(record))
        del body["region"], body["region_confidence"]
        return hashlib.sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()

    with monkeypatch.context() as older:
        older.setattr(rows, "digest_of", before)
        take(intake, received(first, 1), received(second, 2))
    assert take(intake, received(first, 1), received(second, 2)).known == 2
    other = replace(second, region="CA", region_confidence=0.9)
    assert take(intake, received(other, 3)).quarantined == 1
    assert "revision 2 came before" in Quarantined.objects.get().reason


@pytest.mark.clause("430.3(f)")
def test_a_reads_state_is_kept_with_its_confidence_through_revisions(intake: Intake) -> None:
    first = replace(samples.read(), region="", region_confidence=0.0)
    second = replace(first, revision=2, region="NV", region_confidence=0.97)
    take(intake, received(first, 1))
    assert (Read.objects.get().region, Read.objects.get().region_confidence) == ("", 0.0)
    take(intake, received(second, 2))
    row = Read.objects.get()
    assert (row.region, row.region_confidence) == ("NV", 0.97)
    assert read_record(row, ()) == second
    assert Revision.objects.get().body["region"] == ""


def test_no_unit_touches_what_another_one_sent(intake: Intake) -> None:
    Unit.objects.create(unit_id="pole-8", state=Unit.State.ENROLLED)
    read, header, data = read_with_picture(1)
    take(intake, received(read, 1))
    other = {"unit": "pole-8", "store": "8" * 32}
    taken = take(
        intake,
        received(replace(read, revision=2, plate="8TST999"), 1, **other),
        received(header, 2, data, **other),
        received(samples.hit(read.read_id), 3, **other),
    )
    assert taken.quarantined == 3
    assert Read.objects.get().text == "7TST123"
    assert Picture.objects.get().missing
    assert not Hit.objects.exists()


@pytest.mark.clause("430.2-c")
@pytest.mark.parametrize("state", [None, *(s for s in Unit.State if s != Unit.State.ENROLLED)])
def test_a_unit_that_is_not_enrolled_is_kept_apart(intake: Intake, state: str | None) -> None:
    if state:
        Unit.objects.create(unit_id="stray", state=state)
    taken = take(
        intake,
        received(samples.read(), 1, unit="stray"),
        received(ChunkRequest(list_id="a", version="1", numbers=(0,), public_key="0" * 64), unit="stray"),
        received(samples.read(), 1),
    )
    assert taken.quarantined == 2
    assert taken.requests == []
    assert {(one.unit, one.contiguous) for one in taken.standings} == {("stray", 1), (UNIT, 1)}
    assert Read.objects.get().unit_id == UNIT
    row = Quarantined.objects.exclude(topic__endswith="request").get()
    assert row.not_enrolled
    assert "stray is not enrolled" in row.reason


def test_a_heartbeat_is_kept_as_the_last_one(intake: Intake, clock: Clock) -> None:
    status = Status(state="ready", at="2026-06-03T19:00:00.00+00:00", queue=3)
    take(intake, received(status), received(replace(status, queue=1), unit="stray"))
    first = clock.at
    clock.advance(minutes=1)
    take(intake, received(replace(status, state="degraded", at="2026-06-03T19:01:00.00+00:00")))
    take(intake, received(status))
    row = UnitStatus.objects.get(unit=UNIT)
    assert (row.state, row.received_at) == ("degraded", clock.at)
    assert UnitStatus.objects.get(unit="stray").received_at == first
    clock.advance(hours=1)
    will = read_message(topics.up(UNIT, "status"), payload_of(Status(state="offline")), retained=True)
    take(intake, will)
    row.refresh_from_db()
    assert (row.state, row.received_at) == ("offline", clock.at - timedelta(hours=1))


@pytest.mark.clause("430.4-a")
@pytest.mark.parametrize(("before", "after"), [(3, 0), (0, -3)])
def test_a_unit_whose_clock_is_set_back_is_still_heard(
    before: int, after: int, intake: Intake, clock: Clock
) -> None:
    def send(state: str, ahead_h: float, retained: bool = False) -> None:
        payload = payload_of(Status(state=state, at=time_text(clock.at + timedelta(hours=ahead_h))))
        take(intake, read_message(topics.up(UNIT, "status"), payload, retained=retained))

    send("ready", before)
    clock.advance(minutes=1)
    send("fault", after)
    row = UnitStatus.objects.get(unit=UNIT)
    assert (row.state, row.received_at) == ("fault", clock.at)
    clock.advance(minutes=1)
    send("ready", after - 0.1, retained=True)
    row.refresh_from_db()
    assert row.state == "fault", "what the broker kept from before is none that is newer"


@pytest.mark.clause("430.4-b")
def test_a_picture_that_is_not_its_hash_is_kept_apart(intake: Intake) -> None:
    read, header, data = read_with_picture(1)
    damaged = bytes([data[0] ^ 1]) + data[1:]
    taken = take(intake, received(read, 1), received(header, 2, damaged), received(header, 3, data[:-1]))
    assert (taken.quarantined, taken.standings[0].contiguous) == (2, 3)
    assert Picture.objects.get().missing
    assert {row.reason[:13] for row in Quarantined.objects.all()} == {"record.sha256", "record.size: "}
    take(intake, received(header, 4, data))
    assert not Picture.objects.get().missing


def test_a_large_bad_message_lies_in_a_file_and_is_counted_when_it_comes_again(
    intake: Intake, store: FileSystemStorage
) -> None:
    garbage = bytes(LARGE + 1)
    for _ in range(3):
        take(intake, read_message(topics.up(UNIT, "picture"), garbage))
    row = Quarantined.objects.get()
    assert (row.times, row.size, bytes(row.payload)) == (3, len(garbage), b"")
    assert store.open(row.file.name).read() == garbage


_TOPICS = st.one_of(
    st.sampled_from(
        ["read", "hit", "picture", "loss", "access", "status", "chunk-request", "chunk", "x"]
    ).map(lambda name: f"platewarden/v1/units/{UNIT}/up/{name}"),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
)


def _mangled() -> st.SearchStrategy[bytes]:
    good = [payload_of(samples.read(), 1), payload_of(samples.access(), 2), payload_of(samples.loss(), 3)]
    cut = st.tuples(st.sampled_from(good), st.integers(0, 400), st.binary(max_size=12)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
    )
    return st.one_of(st.binary(max_size=300), cut)


@given(messages_=st.lists(st.tuples(_TOPICS, _mangled()), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_message_stops_the_one_beside_it_and_none_is_dropped(
    messages_: list[tuple[str, bytes]], intake: Intake
) -> None:
    """Whatever a sender puts into a payload or topic is read, or kept with its reason."""
    good = samples.read()
    before = Transfer.objects.count()
    bad = [read_message(topic, payload) for topic, payload in messages_]
    store = good.read_id.replace("-", "")
    taken = take(intake, *bad, received(good, 1, store=store))
    assert Read.objects.filter(pk=good.read_id).exists()
    assert taken.new + taken.known + taken.quarantined == len(bad) + 1
    for item in bad:
        if item.reason:
            assert item.reason.isprintable()
            assert Quarantined.objects.filter(topic=item.topic, payload=item.payload).exists()
    assert Transfer.objects.count() == before + 1


@pytest.mark.parametrize(
    "text",
    ["2026-02-30T12:00:00.00+00:00", "2026-12-31T23:59:60.00+00:00", "0000-01-01T00:00:00.00+00:00"],
)
def test_a_time_that_no_calendar_has_is_kept_apart(intake: Intake, text: str) -> None:
    assert take(intake, received(replace(samples.read(), captured_at=text), 1)).quarantined == 1
    assert "no calendar" in Quarantined.objects.get().reason


@pytest.mark.parametrize(
    "plate",
    ["7TST\x00123", "7TST\n123", "7TST123\x1b[31m", "\u202e321TST7", "7TST\u200b123", "<script>", "тест", ""],
)
def test_a_text_that_no_plate_has_is_read_as_it_came_or_kept_apart(intake: Intake, plate: str) -> None:
    """Apart where a page or terminal would show another plate than the one that is kept."""
    taken = take(intake, received(replace(samples.read(), plate=plate, char_confidence=()), 1))
    assert taken.quarantined == (not plate.isprintable())
    assert [row.text for row in Read.objects.all()] == ([plate] if plate.isprintable() else [])


def test_a_record_that_the_database_refuses_stops_nothing_else(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PostgreSQL refuses some of what SQLite takes: that record goes into quarantine alone."""
    poisoned = samples.read()
    insert = bulk.insert

    def refuse(new: Collection[Model]) -> None:
        if any(str(row.pk) == poisoned.read_id for row in new):
            raise IntegrityError("no")
        insert(new)

    monkeypatch.setattr(bulk, "insert", refuse)
    taken = take(intake, received(samples.read(), 1), received(poisoned, 2), received(samples.read(), 3))
    assert (taken.new, taken.quarantined, taken.standings[0].contiguous) == (2, 1, 3)
    assert Quarantined.objects.get().reason == "record: cannot be kept (IntegrityError)"


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_cannot_be_committed_leaves_nothing(
    intake: Intake, store: FileSystemStorage, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row, no receipt; its files are swept two days later, and files that have a row stay."""
    read, header, data = read_with_picture(1)
    take(intake, received(read, 1), received(header, 2, data))
    kept = files_below(Path(store.location))
    other, other_header, other_data = read_with_picture(2)
    clock.advance(minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr(Transfer.objects, "create", _fail)
        with pytest.raises(DatabaseError):
            take(intake, received(other, 3), received(other_header, 4, other_data))
    assert Read.objects.count() == 1
    assert Series.objects.get().contiguous == 2
    assert len(files_below(Path(store.location))) == 2
    assert sweep(clock.advance(days=1), store) == 0
    assert sweep(clock.advance(days=2), store) == 1
    assert files_below(Path(store.location)) == kept
    take(intake, received(other, 3), received(other_header, 4, other_data))
    assert not Picture.objects.filter(missing=True).exists()


def _fail(**fields: object) -> None:
    raise DatabaseError("disk I/O error")


def test_a_restored_hq_tells_where_it_stands_and_takes_what_is_sent_again(intake: Intake) -> None:
    """Numbers that a unit gives anew after it lost commits are no reason to drop what comes under them."""
    take(intake, received(samples.read(), 1), received(samples.read(), 2))
    taken = take(intake, received(samples.read(), 2))
    assert (taken.new, taken.standings[0].contiguous) == (1, 2)
    assert Read.objects.count() == 3


@pytest.mark.clause("430.4-b")
def test_missing_numbers_stand_in_the_ledger_until_they_come(intake: Intake, clock: Clock) -> None:
    take(intake, received(samples.read(), 1), received(samples.read(), 10))
    noticed = clock.at
    clock.advance(hours=1)
    taken = take(intake, received(samples.read(), 5), received(samples.loss(), 6))
    assert taken.standings == [ledger.Standing(UNIT, STORE, 1, 6)]
    gaps = Gap.objects.order_by("first").values_list("first", "last", "noticed_at")
    assert list(gaps) == [(2, 4, noticed), (7, 9, noticed)]
    take(intake, *(received(samples.loss(), number) for number in (2, 3, 4, 7, 8, 9)))
    assert not Gap.objects.exists()
    assert Series.objects.get().contiguous == 10


@pytest.mark.clause("430.4-c")
def test_the_year_counts_from_the_later_of_capture_and_receipt(intake: Intake, clock: Clock) -> None:
    for capture, start in (
        (clock.at - timedelta(days=40), clock.at),
        (clock.at + timedelta(hours=1), clock.at + timedelta(hours=1)),
        (clock.at + timedelta(days=4000), clock.at),
    ):
        text = f"{capture:%Y-%m-%dT%H:%M:%S}.{capture.microsecond // 10000:02d}+00:00"
        read = replace(samples.read(), captured_at=text)
        take(intake, received(read, 1))
        kept_until = Read.objects.get(pk=read.read_id).purge_after - timedelta(days=365)
        assert abs(kept_until - start) < timedelta(seconds=0.02)
    unset = replace(samples.read(), captured_at=None)
    take(intake, received(unset, 2))
    assert Read.objects.get(pk=unset.read_id).at == clock.at


@pytest.mark.clause("CC-52a")
@pytest.mark.parametrize("model", [AccessReceived, Loss, Transfer])
def test_what_was_received_is_never_changed(intake: Intake, model: type) -> None:
    take(intake, received(samples.access(), 1), received(samples.loss(), 2))
    for change in (lambda rows: rows.update(unit="x"), lambda rows: rows.delete()):
        if model is Transfer:
            change = lambda rows: rows.update(messages=0)  # noqa: E731
        with pytest.raises(DatabaseError), transaction.atomic():
            change(model._default_manager.all())


def test_trigrams_follow_a_read_through_its_revisions(intake: Intake) -> None:
    first = replace(samples.read(), plate="7TST 123")
    take(intake, received(first, 1), received(samples.read(), 2))
    rows = Trigram.objects.filter(read=first.read_id)
    # Look-alikes made one: S is 5, so that one index answers with and without them.
    assert set(rows.values_list("gram", flat=True)) == {"7T5", "T5T", "5T1", "T12", "123"}
    later = "2026-03-04T05:06:07.50+00:00"
    take(intake, received(replace(first, plate="7TST124", revision=2, captured_at=later), 3))
    assert {row.gram for row in rows.all()} == {"7T5", "T5T", "5T1", "T12", "124"}
    assert {(row.key, row.at) for row in rows.all()} == {("7TST124", Read.objects.get(pk=first.read_id).at)}


def test_messages_of_units_cannot_pretend_to_be_others(intake: Intake) -> None:
    payload = payload_of(samples.read(), 5, unit="pole-9")
    taken = take(intake, read_message(topics.up(UNIT, "read"), payload))
    assert taken.quarantined == 1
    assert taken.standings == []
    assert messages.envelope_of("read", payload) is not None

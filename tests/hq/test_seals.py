"""Who drops the database's guards and changes, removes or puts in a read is found by the seals of reads."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from django.core.files.storage import FileSystemStorage
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hq.log import chain, heads, seals, triggers
from hq.log.models import AccessRecord
from hq.people.models import Person
from hq.records import keys, leaves, rows
from hq.records.intake import Intake, Source
from hq.records.messages import Received
from hq.records.models import Hit, Read, Revision, Seal, Unit, Unsealed
from hq.records.pictures import Files
from hq.retention import proposals, purge
from hq.retention.models import Batch
from hq.site import clock as hq_clock
from mqtt.records import ClockState, Position, TextCandidate
from mqtt.records import Hit as SentHit
from mqtt.records import Read as Sent
from tests.hq import kept
from tests.hq.conftest import Clock
from tests.hq.ingest_site import UNIT, read_with_picture, received
from tests.mqtt import samples

pytestmark = [pytest.mark.django_db, pytest.mark.clause("CJIS AU-9")]

Taker = Callable[..., None]


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, settings: object) -> None:
    settings.MEDIA_ROOT = tmp_path / "pictures"  # type: ignore[attr-defined]


@pytest.fixture
def intake(tmp_path: Path, clock: Clock) -> Iterator[Intake]:
    Unit.objects.create(unit_id=UNIT, state=Unit.State.ENROLLED)
    Unit.objects.create(unit_id="pole-8", state=Unit.State.ENROLLED)
    made = Intake(Files(FileSystemStorage(location=tmp_path / "pictures")))
    yield made
    made.close()


@pytest.fixture
def take(intake: Intake) -> Taker:
    def taken(*items: Received) -> None:
        assert intake.take(items, Source("mqtt", "hq-test")).quarantined == 0

    return taken


def lift() -> None:
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)


def sql(statement: str, *params: object) -> None:
    """What somebody with the database's password types."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        assert cursor.rowcount > 0


def raw(read: str) -> str:
    return UUID(read).hex if connection.vendor == "sqlite" else read


def fault() -> str:
    found = seals.verify().fault
    return found.what if found else ""


def forged(read: str, **fields: object) -> None:
    """Rewrite a read with everything that is made of it, its digest too."""
    row = Read.objects.get(id=read)
    for name, value in fields.items():
        setattr(row, name, value)
    row.at = row.captured_at or row.received_at
    row.key = keys.search_key(row.text)
    row.lookalike = keys.lookalike_key(row.key)
    row.digest = rows.digest_of(rows.read_record(row, row.pictures.all()))
    row.save()


UPDATES = {
    "text": "text = '7TST129'",
    "place": "lat = 34.5, lon = -118.2, heading = 0",
    "unit": "unit_id = 'pole-8'",
    "captured": "captured_at = '2026-01-31 22:00:00+00:00'",
    "received": "received_at = '2025-01-31 22:00:00+00:00'",
    "found by another text": "lookalike = '7TST129'",
    "found at another time": "at = '2026-01-31 22:00:00+00:00'",
    "number": "sequence = 9",
    "floor": "purge_after = '2026-01-31 22:00:00+00:00'",
    "score": "confidence = 0.5",
    "revision": "revision = 2",
    "no JSON of a read": "clock = '[]'",
}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "waiting"])
def test_a_changed_read_is_named(take: Taker, sealed: bool) -> None:
    read, header, data = read_with_picture(1)
    take(received(read, 1), received(header, 2, data))
    take(received(samples.read(plate="8TST999"), 3))
    if sealed:
        assert seals.seal("test") == 1
    state = seals.verify()
    assert (state.fault, state.unsealed, state.reads + state.waiting) == (None, 0, 2)
    lift()
    changes = [
        (f"UPDATE records_read SET {change} WHERE id = %s", raw(read.read_id)) for change in UPDATES.values()
    ]
    changes += [
        ("UPDATE records_picture SET sha256 = %s", "0" * 64),
        ("DELETE FROM records_picture WHERE read_id = %s", raw(read.read_id)),
    ]
    for change in changes:
        with transaction.atomic():
            sql(*change)
            assert read.read_id in fault(), change
            transaction.set_rollback(True)
    assert fault() == ""


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "waiting"])
def test_a_read_rewritten_whole_removed_or_put_in_is_named(take: Taker, sealed: bool) -> None:
    first, second = samples.read(), samples.read(plate="8TST999")
    assert seals.seal("test") == 1  # of what came before: nothing
    take(received(first, 1), received(second, 2))
    if sealed:
        seals.seal("test")
    lift()
    before = Read.objects.get(id=second.read_id)

    forged(second.read_id, text="8TST990")
    assert second.read_id in fault()
    before.save()
    assert fault() == ""

    # As a lawful revision would, the old one kept: nothing was sealed of the new one.
    Revision.objects.create(
        kind="read", record=before.id, revision=1, received_at=before.received_at, store_id=before.store_id,
        sequence=before.sequence, digest=before.digest,
        body=rows.asdict(rows.read_record(before, ())),
    )  # fmt: skip
    forged(second.read_id, text="8TST990", revision=2)
    assert f"read {second.read_id}: revision 2 is here" in fault()
    Revision.objects.all()._raw_delete("default")
    before.save()

    before.id = uuid4()
    before.save(force_insert=True)
    assert f"read {before.id}: revision 1 is here, but nothing was sealed of it" in fault()
    sql("DELETE FROM records_read WHERE id = %s", raw(str(before.id)))
    assert fault() == ""

    sql("DELETE FROM records_read WHERE id = %s", raw(first.read_id))
    assert f"read {first.read_id}" in fault()
    assert "missing" in fault()


HIT_UPDATES = {
    "plate": "entry_plate = '7TST129'",
    "class": "alarm_class = 'missing_person'",
    "withdrawn": "withdrawn = NOT withdrawn",
    "score": "score = 0.5",
    "found": "hit_at = '2026-01-31 22:00:00+00:00'",
    "received": "received_at = '2025-01-31 22:00:00+00:00'",
    "list": "list_version = '2'",
    "unit": "unit_id = 'pole-8'",
    "number": "sequence = 9",
    "revision": "read_revision = 3",
}


@pytest.mark.clause("CC-54")
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "waiting"])
def test_a_hit_changed_rewritten_moved_removed_or_put_in_is_named(take: Taker, sealed: bool) -> None:
    read, other = samples.read(), samples.read(plate="8TST999")
    hit = replace(samples.hit(read.read_id), hit_id=uuid4().hex)  # as a unit may write it
    assert seals.seal("test") == 1  # of what came before: nothing
    take(received(read, 1), received(other, 2), received(hit, 3))
    take(received(replace(read, revision=2), 4), received(replace(hit, read_revision=2, withdrawn=True), 5))
    if sealed:
        assert seals.seal("test") == 1
    state = seals.verify()
    assert (state.fault, state.hits, state.unsealed_hits) == (None, 3, 0)
    assert "hits that are as they came: 3" in state.words()
    lift()
    hit_id = raw(str(UUID(hit.hit_id)))
    changes = [(f"UPDATE records_hit SET {change} WHERE id = %s", hit_id) for change in HIT_UPDATES.values()]
    changes += [
        ("UPDATE records_hit SET read_id = %s", raw(other.read_id)),
        ("DELETE FROM records_hit WHERE id = %s", hit_id),
        ("DELETE FROM records_revision WHERE kind = %s", "hit"),
        ("UPDATE records_revision SET digest = %s WHERE kind = 'hit'", "0" * 64),
    ]
    for change in changes:
        with transaction.atomic():
            sql(*change)
            assert f"hit {UUID(hit.hit_id)} of" in fault(), change
            transaction.set_rollback(True)
    row = Hit.objects.get()
    with transaction.atomic():
        # With everything that is made of it.
        row.entry_plate, row.withdrawn = "7TST129", False
        row.digest = rows.digest_of(rows.hit_record(row))
        row.save()
        assert f"hit {row.pk} of" in fault()
        transaction.set_rollback(True)
    with transaction.atomic():
        kept.a_hit(Read.objects.get(id=other.read_id))
        assert "revision 1 is here, but nothing was sealed of it" in fault()
        transaction.set_rollback(True)
    assert fault() == ""


def test_hits_from_before_are_told_unsealed_and_sealed_late_once(
    take: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seals from before hits were sealed keep their hash and fit."""
    read = samples.read()
    hits = [samples.hit(read.read_id) for _ in range(3)]
    take(received(read, 1))
    with monkeypatch.context() as older:
        older.setattr(leaves, "note", lambda *_: None)
        take(*(received(hit, number) for number, hit in enumerate(hits, 2)))
        take(received(replace(hits[0], read_revision=2), 9))
    batch, at = Unsealed.objects.get(), hq_clock.now()
    made = {
        "number": 1,
        "late": False,
        "first": batch.pk,
        "last": batch.pk,
        "reads": 1,
        "previous": seals.FIRST,
    }
    sha256 = hashlib.sha256(batch.entries).hexdigest()
    digest = chain.digest_of({**made, "at": chain.stamp(at), "entries": sha256})
    Seal.objects.create(**made, at=at, entries=batch.entries, hash=digest)
    told = {"seal": 1, "sha256": digest, "late": False}
    chain.append(kind="log", person=None, username="test", action=seals.ACTION, elements=told)
    batch.delete()
    state = seals.verify()
    assert (state.fault, state.reads, state.hits, state.unsealed_hits) == (None, 1, 0, 4)
    assert "HITS NOT SEALED, as they came before hits were sealed: 4" in state.words()
    monkeypatch.setattr(seals, "MOST", 2)
    assert seals.seal("test") == 3
    state = seals.verify()
    assert (state.fault, state.reads, state.hits, state.unsealed_hits) == (None, 1, 4, 0)
    assert (seals.facts()["hits"], seals.facts()["late_hits"]) == (4, 4)
    assert seals.seal("test") == 0
    # The page's button looks at so many reads and hits, not at the hits of ten years.
    assert [seals.newest_within(entries) for entries in (0, 4, 5)] == [4, 2, 1]
    lift()
    with transaction.atomic():
        # A hit that was put in is not hidden in a seal whose hash is over no hits.
        put_in = kept.a_hit(Read.objects.get())
        Seal.objects.filter(number=1).update(hit_entries=leaves.pack_hits([leaves.of_hit(put_in)]))
        assert fault() == "seal 1 was changed"
        transaction.set_rollback(True)
    Seal.objects.filter(hits__gt=0).update(hits=None, hit_entries=None)
    assert "was changed" in fault()


def test_what_another_run_sealed_meanwhile_is_not_sealed_twice(
    take: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two runs at once, on PostgreSQL, the slower one would count every read and hit again."""
    take(received(samples.read(), 1))
    look_up = seals._waiting_batches

    def slow() -> tuple[list[int], list[leaves.Entry], list[leaves.HitEntry]]:
        found = look_up()
        monkeypatch.setattr(seals, "_waiting_batches", look_up)
        assert seals.seal("faster") == 1
        return found

    monkeypatch.setattr(seals, "_waiting_batches", slow)
    with pytest.raises(seals.Busy):
        seals.seal("slower")


def test_seals_rewritten_with_the_read_do_not_fit_the_log(take: Taker, tmp_path: Path) -> None:
    take(received(samples.read(), 1))
    seals.seal("test")
    take(received(read := samples.read(plate="8TST999"), 2))
    call_command("log", "head", "--sign", "--out", str(tmp_path / "heads"), stdout=StringIO())
    lift()
    forged(read.read_id, text="8TST990")
    held = Seal.objects.first()
    assert held is not None
    held.entries = leaves.pack([leaves.of_read(Read.objects.get(id=read.read_id))])
    held.save()
    assert fault() == f"seal {held.number} was changed"
    held.hash = seals.digest(held)
    held.save()
    assert fault() == f"seal {held.number} is not the one that the access log tells of"
    row = AccessRecord.objects.filter(action=seals.ACTION).latest("sequence")
    row.elements["sha256"] = held.hash
    row.hash = chain.digest(row)
    row.save()
    sql("UPDATE log_chainhead SET hash = %s", row.hash)
    assert (fault(), chain.verify()) == ("", None)
    signed = heads.verify()
    assert signed is not None
    assert signed.sequence == row.sequence

    Seal.objects.filter(number=held.number)._raw_delete("default")
    assert fault() == f"seal {held.number}, of which the access log tells, is missing"


def test_revisions_and_what_comes_again_fit(take: Taker) -> None:
    read, header, data = read_with_picture(1)
    other = replace(samples.read(), read_id=uuid4().hex)  # its id without dashes, as a unit may write it
    take(received(replace(read, revision=2), 1), received(other, 2))
    seals.seal("test")
    take(received(replace(read, revision=4, plate="8TST999", pictures=()), 3), received(header, 4, data))
    take(received(replace(read, revision=3, plate="8TST990"), 5), received(other, 2))
    take(received(replace(other, revision=2), 6), received(replace(other, revision=3), 7))
    state = seals.verify()
    assert (state.fault, state.waiting) == (None, 6)
    seals.seal("test")
    assert fault() == ""
    assert seals.seal("test") == 0
    lift()
    for row in Revision.objects.all():
        with transaction.atomic():
            body = row.body | {"plate": "8TST111"}
            Revision.objects.filter(pk=row.pk).update(body=body)
            assert f"revision {row.revision}: its content was changed" in fault()
            transaction.set_rollback(True)
        with transaction.atomic():
            sql("DELETE FROM records_revision WHERE id = %s", row.pk)
            assert f"revision {row.revision} is missing" in fault()
            transaction.set_rollback(True)
    assert fault() == ""


def test_reads_from_before_are_told_unsealed_and_sealed_late_once(
    take: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seals, "MOST", 2)
    with monkeypatch.context() as older:
        older.setattr(leaves, "note", lambda *_: None)
        take(*(received(samples.read(), number) for number in range(1, 6)))
        take(received(replace(samples.read(str(Read.objects.all()[0].id)), revision=2), 6))
    take(received(samples.read(), 7))
    state = seals.verify()
    assert (state.fault, state.unsealed, state.waiting) == (None, 6, 1)
    assert "NOT SEALED, as they came before reads were sealed: 6" in state.words()
    assert seals.seal("test") == 4
    assert (seals.facts()["late"], seals.facts()["reads"]) == (6, 7)
    state = seals.verify()
    assert (state.fault, state.unsealed, state.reads) == (None, 0, 7)
    lift()
    kept.read("8TST999")
    assert "nothing was sealed of it" in fault()
    assert seals.seal("test") == 0


@pytest.mark.clause("430.4-d")
def test_what_was_lawfully_destroyed_is_proved_by_its_certificate(
    intake: Intake, take: Taker, people: Callable[..., Person], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "BATCH", 2)
    now = clock.at = datetime.now(UTC)
    clock.at = now - timedelta(days=400)
    take(*(received(samples.read(), number) for number in range(1, 4)))
    take(received(samples.hit(str(Read.objects.all()[0].id)), 5))
    clock.at = now
    young = samples.read(plate="8TST999")
    take(received(young, 4))
    seals.seal("test")
    proposal = kept.Office(people).signed()
    with monkeypatch.context() as cut:
        # Cut off before its certificate: the reads that are gone are those of a signed destruction.
        cut.setattr(proposals, "certify", _cut)
        with pytest.raises(_Cut):
            purge.run(proposal.pk, run_by="test")
    state = seals.verify()
    assert (state.fault, state.destroyed, state.reads) == (None, 3, 1)
    purge.run(proposal.pk, run_by="test")
    state = seals.verify()
    assert (state.fault, state.destroyed, state.reads) == (None, 3, 1)
    assert "destroyed under certificates: 3" in state.words()

    with pytest.raises(IntegrityError), transaction.atomic():
        Batch.objects.update(ids=b"")
    lift()
    Read.objects.filter(id=young.read_id)._raw_delete("default")
    assert f"read {young.read_id}" in fault()
    # Slipped into a batch, with that batch's hash and the certificate's made to fit: the log tells otherwise.
    batch = Batch.objects.latest("pk")
    batch.ids = bytes(batch.ids) + UUID(young.read_id).bytes
    batch.save()
    assert "no certificate of destruction names it" in fault()
    ids = [UUID(bytes=batch.ids[start : start + 16]) for start in range(0, len(batch.ids), 16)]
    batch.ids_sha256 = proposals.digest(ids)
    batch.save()
    assert "no certificate of destruction names it" in fault()
    certificate = proposal.certificate
    certificate.ids_sha256 = proposals.digest(
        Batch.objects.order_by("pk").values_list("ids_sha256", flat=True)
    )
    certificate.save()
    assert "no certificate of destruction names it" in fault()


class _Cut(Exception):
    pass


def _cut(*_: object) -> None:
    raise _Cut


@pytest.mark.clause("CJIS AU-3")
def test_nobody_seals_under_a_name_that_the_environment_gives(
    take: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "commander")
    take(received(samples.read(), 1))
    call_command("log", "seal", stdout=StringIO())
    me = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert AccessRecord.objects.latest("sequence").username == f"account {me}"


def test_the_command_and_the_page_tell_of_reads(
    take: Taker, people: Callable[..., Person], client_for: Callable[..., Client]
) -> None:
    take(received(read := samples.read(), 1))
    call_command("log", "seal", stdout=StringIO())
    with pytest.raises(IntegrityError), transaction.atomic():
        Seal.objects.update(reads=0)
    waiting = Unsealed.objects.create(entries=b"")
    with pytest.raises(IntegrityError), transaction.atomic():
        waiting.delete()
    out = StringIO()
    call_command("log", "verify", stdout=out)
    assert "sealed reads that are as they came: 1, in seals: 1" in out.getvalue()
    client = client_for(people("auditor"))
    client.post("/log/chain/verify/")
    page = client.get("/log/chain/").content.decode()
    assert "Newest sealed reads that are as they came: 1, in seals: 1." in page
    assert Seal.objects.get().hash in page
    lift()
    forged(read.read_id, text="8TST999")
    with pytest.raises(CommandError, match=read.read_id):
        call_command("log", "verify", stdout=out)
    client.post("/log/chain/verify/")
    page = client.get("/log/chain/").content.decode()
    assert read.read_id in page
    assert "8TST999" not in page


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.floats(0, 1)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
COUNTS = st.integers(0, 2**53)
HASHES = st.binary(max_size=9).map(lambda data: hashlib.sha256(data).hexdigest())
TIMES = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1)).map(
    lambda at: f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 10_000:02d}+00:00".rjust(28, "0")
)
SENT_IDS = st.builds(lambda a, b: a if b else UUID(a).hex, st.uuids().map(str), st.booleans())
SENT = st.builds(
    Sent,
    read_id=SENT_IDS,
    revision=st.integers(1, 2**53),
    captured_at=st.none() | TIMES,
    clock=st.builds(
        ClockState,
        quality=st.sampled_from(["none", "ntp", "gps"]),
        boot_id=WORDS,
        boottime=st.floats(0, allow_infinity=False, allow_nan=False),
        offset_ms=st.none() | NUMBERS,
    ),
    camera=WORDS,
    deployment=WORDS,
    position=st.none()
    | st.builds(
        Position,
        latitude=st.floats(-90, 90),
        longitude=st.floats(-180, 180),
        heading=st.none() | st.floats(0, 360),
    ),
    plate=WORDS,
    confidence=SHARES,
    char_confidence=st.lists(SHARES, max_size=4).map(tuple),
    candidates=st.lists(st.builds(TextCandidate, text=WORDS, probability=SHARES), max_size=3).map(tuple),
    flags=st.lists(WORDS, max_size=2).map(tuple),
    box=st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    frame_size=st.tuples(COUNTS, COUNTS),
    detection_score=NUMBERS,
    looks=COUNTS,
    agreeing=COUNTS,
    parked=st.booleans(),
    pictures=st.just(()),
    model_hashes=st.lists(HASHES, max_size=3).map(tuple),
    config_hash=HASHES,
    software=WORDS,
    demo=st.booleans(),
    region=st.sampled_from(["", "CA", "NV"]),
    region_confidence=SHARES,
)


SEEN = st.text("ABÑ017 ", max_size=8)
SENT_HIT = st.builds(
    SentHit,
    hit_id=SENT_IDS,
    read_id=SENT_IDS,
    read_revision=st.integers(1, 2**53),
    at=st.none() | TIMES,
    kind=st.sampled_from(["exact", "lookalike", "partial"]),
    score=SHARES,
    entry_plate=SEEN,
    entry_state=SEEN,
    alarm_class=SEEN,
    reason=SEEN,
    source=SEEN,
    case_number=SEEN,
    expiry=st.dates().map(str),
    priority=st.integers(0, 100),
    state_agrees=st.none() | st.booleans(),
    list_version=SEEN,
    list_age_s=st.none() | NUMBERS,
    withdrawn=st.booleans(),
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
@given(
    batch=st.lists(SENT, max_size=4, unique_by=lambda sent: UUID(sent.read_id)),
    hits=st.lists(SENT_HIT, min_size=1, max_size=4, unique_by=lambda sent: UUID(sent.hit_id)),
    later=SENT_HIT,
)
def test_whatever_a_unit_may_send_fits_its_seal(
    intake: Intake, batch: list[Sent], hits: list[SentHit], later: SentHit
) -> None:
    """No false alarm: what the database gives back has the digest of what came."""
    first = hits[0]
    revision = first.read_revision % 2**53 + 1
    hits = [*hits, replace(later, hit_id=first.hit_id, read_id=first.read_id, read_revision=revision)]
    with transaction.atomic():
        items = [received(sent, number) for number, sent in enumerate([*batch, *hits], 1)]
        intake.take(items, Source("mqtt", "hq-test"))
        state = seals.verify()
        assert (state.fault, state.unsealed, state.unsealed_hits) == (None, 0, 0)
        # A read with a character that cannot be seen is refused.
        assert (state.waiting, state.hits) == (Read.objects.count(), len(hits))
        transaction.set_rollback(True)


ENTRIES = st.builds(
    leaves.Entry, st.uuids(), st.integers(-(2**62), 2**62), st.binary(min_size=32, max_size=32)
)


@given(st.lists(ENTRIES, max_size=5))
def test_entries_read_back(entries: list[leaves.Entry]) -> None:
    assert list(leaves.unpack(leaves.pack(entries))) == entries


@settings(deadline=None)
@given(data=st.data())
def test_no_two_reads_have_one_leaf(data: st.DataObject) -> None:
    """Two rows that differ in one field that is sealed differ in their leaf, whatever their texts hold."""
    made = st.fixed_dictionaries(
        {
            "id": st.sampled_from([UUID(int=1), UUID(int=2)]),
            "revision": st.integers(1, 3),
            "unit_id": st.text("a\n1", max_size=4),
            "store_id": st.text("a\n1", max_size=4).filter(lambda text: "\n" not in text),
            "sequence": st.integers(1, 3),
            "received_at": st.sampled_from(
                [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)]
            ),
            "digest": st.sampled_from(["a" * 64, "b" * 64]),
        }
    )
    one, other = data.draw(made), data.draw(made)
    leaf, other_leaf = (leaves.of_read(Read(**fields)).leaf for fields in (one, other))
    assert (leaf == other_leaf) == (one == other)

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mqtt import messages, outbox, topics
from mqtt.drainer import Drainer
from mqtt.messages import Message, encode_record
from mqtt.outbox import Outcome
from mqtt.records import Loss, PictureHeader, Read, Receipt
from mqtt.settings import MqttSettings
from tests.mqtt import samples
from tests.mqtt.samples import AT

SETTINGS = MqttSettings(window=6, inflight=4, receipt_timeout_s=10.0)


class Wire:
    """What the connection was given, and a clock."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Message]] = []
        self.tokens = 0
        self.time = 0.0
        self.files: dict[str, bytes] = {}

    def send(self, topic: str, payload: bytes, *, content_type: str = "") -> int:
        self.tokens += 1
        _, name = topics.parse_up(topic)
        self.sent.append((self.tokens, messages.decode(name, payload)))
        return self.tokens

    def load(self, ref: str) -> bytes:
        if ref not in self.files:
            raise FileNotFoundError(ref)
        return self.files[ref]

    def numbers(self) -> list[int]:
        return [message.envelope.sequence for _, message in self.sent if message.envelope]


def store() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    outbox.create_tables(db)
    db.commit()
    return db


def drainer(db: sqlite3.Connection, wire: Wire, settings: MqttSettings = SETTINGS) -> Drainer:
    made = Drainer(
        db,
        "unit-1",
        settings,
        load=wire.load,
        send=wire.send,
        wall=lambda: AT,
        clock=lambda: wire.time,
    )
    made.up(100, None)
    return made


def add_reads(db: sqlite3.Connection, count: int) -> list[str]:
    reads = [samples.read() for _ in range(count)]
    with db:
        for read in reads:
            outbox.append(db, "read", read.read_id, encode_record(read), AT, read.read_id)
    return [read.read_id for read in reads]


def word(db: sqlite3.Connection, sequence: int) -> Receipt:
    return Receipt(store_id=outbox.store_id(db), sequence=sequence, at=AT)


def ack(drain: Drainer, wire: Wire, fault: str = "") -> None:
    for token, _ in wire.sent:
        drain.published(token, fault)


def test_rows_go_in_order_within_the_limits_of_puback_and_receipt() -> None:
    db, wire = store(), Wire()
    add_reads(db, 20)
    drain = drainer(db, wire)
    assert drain.step()
    assert wire.numbers() == [1, 2, 3, 4]
    assert not drain.step()
    ack(drain, wire)
    assert drain.step()
    assert wire.numbers() == [1, 2, 3, 4, 5, 6]
    ack(drain, wire)
    assert not drain.step()
    drain.receipt(word(db, 6))
    assert drain.step()
    assert wire.numbers()[6:] == [7, 8, 9, 10]


def test_the_broker_s_own_limit_is_kept() -> None:
    db, wire = store(), Wire()
    add_reads(db, 20)
    drain = drainer(db, wire)
    drain.up(5, None)
    drain.step()
    assert wire.numbers() == [1, 2]


def test_a_puback_frees_nothing() -> None:
    db, wire = store(), Wire()
    add_reads(db, 3)
    drain = drainer(db, wire)
    drain.step()
    ack(drain, wire)
    assert outbox.counts(db).queue == 3
    drain.receipt(word(db, 2))
    assert outbox.counts(db).queue == 1


def test_silence_of_hq_sends_everything_again_once_and_then_asks_with_the_first() -> None:
    db, wire = store(), Wire()
    add_reads(db, 2)
    drain = drainer(db, wire)
    drain.step()
    wire.time += 1000
    assert not drain.step(), "no PUBACK yet: the network is slow, not HQ"
    ack(drain, wire)
    for patience in (10, 20, 40):
        wire.time += patience - 1
        assert not drain.step()
        wire.time += 1
        assert drain.step()
        ack(drain, wire)
    assert wire.numbers() == [1, 2, 1, 2, 1, 1]
    drain.receipt(word(db, 1))
    drain.step()
    assert wire.numbers()[6:] == [2], "HQ is there again"


def test_a_week_without_hq_fills_no_broker_that_keeps_its_messages() -> None:
    """HQ's session at the broker keeps what comes for seven days: 127,000 messages of one unit, once."""
    db, wire = store(), Wire()
    add_reads(db, 20)
    drain = drainer(db, wire)
    while wire.time < 7 * 24 * 3600:
        if drain.step():
            ack(drain, wire)
        wire.time += 10
    assert len(wire.sent) < 2 * SETTINGS.window + 7 * 24 * 3600 / (32 * SETTINGS.receipt_timeout_s) + 6


def test_what_a_broker_lost_is_sent_again_while_new_reads_keep_coming() -> None:
    """A broker that had no subscriber yet took the first; HQ cannot receipt past them, whatever follows."""
    db, wire = store(), Wire()
    drain = drainer(db, wire, replace(SETTINGS, window=100))
    for _ in range(9):
        add_reads(db, 1)
        drain.step()
        ack(drain, wire)
        drain.receipt(word(db, 0))
        wire.time += 1
    assert wire.numbers() == list(range(1, 10))
    wire.time += 1
    while drain.step():
        ack(drain, wire)
    assert wire.numbers()[9:] == list(range(1, 10))


@pytest.mark.clause("430.4-b")
def test_a_receipt_counts_for_no_row_that_was_not_sent_since_the_start() -> None:
    """430.4-b: an old image of a card, or one that forgot its newest commits in a power cut, gives numbers
    again that HQ has from before, and HQ's receipt for those is the first thing that it hears."""
    db, wire = store(), Wire()
    add_reads(db, 3)
    before = drainer(db, wire)
    before.step()
    before.receipt(word(db, 3))
    card = sqlite3.connect(":memory:")
    db.backup(card)
    at_hq = 11  # with what the store gave after that moment
    reads, wire = add_reads(card, 12), Wire()
    drain = drainer(card, wire)
    drain.receipt(word(card, at_hq))
    assert outbox.receipted(card) == 3
    assert outbox.counts(card).queue == 12
    while drain.step():
        ack(drain, wire)
        drain.receipt(word(card, max(at_hq, *wire.numbers())))
    assert [message.record.read_id for _, message in wire.sent if isinstance(message.record, Read)] == reads
    assert outbox.counts(card).queue == 0


def test_after_a_lost_connection_only_the_unacknowledged_go_again() -> None:
    db, wire = store(), Wire()
    add_reads(db, 4)
    drain = drainer(db, wire)
    drain.step()
    for token, message in wire.sent[:2]:
        assert message.envelope
        drain.published(token, "")
    drain.down()
    assert not drain.step()
    drain.up(100, None)
    drain.step()
    assert wire.numbers() == [1, 2, 3, 4, 3, 4]


def test_a_failure_reason_is_not_a_success() -> None:
    db, wire = store(), Wire()
    add_reads(db, 1)
    drain = drainer(db, wire)
    drain.step()
    drain.published(1, "Not authorized")
    assert "Not authorized" in drain.fault
    assert not drain.step(), "it waits before it tries again"
    wire.time += 6
    assert drain.step()
    assert wire.numbers() == [1, 1]
    drain.published(2, "")
    assert drain.fault == ""


def test_a_picture_travels_with_its_bytes() -> None:
    db, wire = store(), Wire()
    data = b"\xff\xd8" + bytes(1000)
    wire.files["pictures/a"] = data
    read_id = samples.new_id()
    with db:
        body = encode_record(samples.picture(data, read_id))
        outbox.append(db, "picture", "pictures/a", body, AT, read_id)
    drainer(db, wire).step()
    (_, message) = wire.sent[0]
    assert isinstance(message.record, PictureHeader)
    assert hashlib.sha256(message.data).hexdigest() == message.record.sha256


@pytest.mark.parametrize(
    ("stored", "limit", "reason"),
    [(None, None, "missing"), (b"other bytes", None, "damaged"), (b"the bytes", 100, "larger")],
)
def test_a_picture_that_can_never_be_sent_becomes_a_loss_under_its_number(
    stored: bytes | None, limit: int | None, reason: str
) -> None:
    """430.4-b: nothing is lost silently."""
    db, wire = store(), Wire()
    if stored is not None:
        wire.files["pictures/a"] = stored
    read_id = samples.new_id()
    with db:
        body = encode_record(samples.picture(b"the bytes", read_id))
        outbox.append(db, "picture", "pictures/a", body, AT, read_id)
    drain = drainer(db, wire)
    drain.up(100, limit)
    drain.step()
    (_, message) = wire.sent[0]
    assert isinstance(message.record, Loss)
    assert message.envelope is not None
    assert message.envelope.sequence == 1
    assert message.record.read_id == read_id
    assert reason in message.record.reason
    assert [row.kind for row in outbox.pending(db, 0, 9)] == ["loss"]


def test_a_passing_shortage_is_waited_for_and_loses_nothing() -> None:
    db, wire = store(), Wire()
    read_id = samples.new_id()
    with db:
        body = encode_record(samples.picture(b"x", read_id))
        outbox.append(db, "picture", "pictures/a", body, AT, read_id)
    drain = drainer(db, wire)
    real = wire.load

    def short(ref: str) -> bytes:
        raise OSError(24, "Too many open files")

    drain._load = short
    assert not drain.step()
    assert "Too many" in drain.fault
    wire.files["pictures/a"] = b"x"
    drain._load = real
    wire.time += 6
    assert drain.step()
    assert isinstance(wire.sent[0][1].record, PictureHeader)


def test_numbers_purged_before_hq_was_restored_come_as_losses() -> None:
    db, wire = store(), Wire()
    ids = add_reads(db, 5)
    drain = drainer(db, wire)
    while drain.step():
        ack(drain, wire)
    drain.receipt(word(db, 5))
    wire.sent.clear()
    with db:
        for read_id in (ids[1], ids[2], ids[4]):
            outbox.forget(db, read_id)
    assert drain.receipt(word(db, 1)) is Outcome.AGAIN
    while drain.step():
        ack(drain, wire)
    assert wire.numbers() == [2, 3, 4, 5]
    assert [type(message.record) for _, message in wire.sent] == [Loss, Loss, Read, Loss]


def test_a_receipt_that_a_full_disk_cannot_keep_does_not_stop_the_sending() -> None:
    db, wire = store(), Wire()
    add_reads(db, 12)
    drain = drainer(db, wire)
    drain.step()
    ack(drain, wire)
    db.execute("PRAGMA query_only = ON")
    drain.receipt(word(db, 4))
    assert drain.step()
    assert wire.numbers()[4:] == [5, 6, 7, 8]
    db.execute("PRAGMA query_only = OFF")
    drain.receipt(word(db, 8))
    assert outbox.counts(db).queue == 4


def test_a_loss_that_a_full_disk_cannot_keep_is_waited_for() -> None:
    db, wire = store(), Wire()
    read_id = samples.new_id()
    with db:
        body = encode_record(samples.picture(b"x", read_id))
        outbox.append(db, "picture", "pictures/missing", body, AT, read_id)
    drain = drainer(db, wire)
    db.execute("PRAGMA query_only = ON")
    assert not drain.step()
    assert "cannot be written" in drain.fault
    db.execute("PRAGMA query_only = OFF")
    wire.time += 6
    assert drain.step()
    assert isinstance(wire.sent[0][1].record, Loss)


class OutboxMachine(RuleBasedStateMachine):
    """Crashes, lost connections, brokers that forget, HQ restored and purges in any order: HQ ends
    with everything that the unit still holds, and the unit never frees what HQ does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.db, self.wire = store(), Wire()
        self.drain = drainer(self.db, self.wire)
        self.broker: list[Message] = []
        self.hq: dict[int, set[str]] = {}
        self.backup: dict[int, set[str]] = {}
        self.made: set[str] = set()
        self.purged: set[str] = set()

    @rule(count=st.integers(1, 4))
    def read(self, count: int) -> None:
        self.made.update(add_reads(self.db, count))

    @rule()
    def rolled_back(self) -> None:
        outbox.append(self.db, "read", "x", b"{}", AT)
        self.db.rollback()

    @rule()
    def drain_some(self) -> None:
        self.drain.step()

    @rule(count=st.integers(0, 4))
    def broker_takes(self, count: int) -> None:
        for token, message in self.wire.sent[:count]:
            self.broker.append(message)
            self.drain.published(token, "")
        del self.wire.sent[:count]

    @rule(count=st.integers(0, 3))
    def broker_refuses(self, count: int) -> None:
        for token, _ in self.wire.sent[:count]:
            self.drain.published(token, "Quota exceeded")
        del self.wire.sent[:count]

    @rule(some=st.booleans())
    def connection_lost(self, some: bool) -> None:
        if some:  # the broker got it, its PUBACK was lost
            self.broker.extend(message for _, message in self.wire.sent)
        self.wire.sent.clear()
        self.drain.down()
        self.drain.up(100, None)

    @rule()
    def broker_forgets(self) -> None:
        self.broker.clear()

    @rule()
    def unit_killed(self) -> None:
        self.db.rollback()
        self.wire.sent.clear()
        self.drain = drainer(self.db, self.wire)

    @rule()
    def hq_takes(self) -> None:
        for message in self.broker:
            assert message.envelope is not None
            ids = self.hq.setdefault(message.envelope.sequence, set())
            ids.add(message.record.read_id if isinstance(message.record, Read) else "")
        self.broker.clear()

    @rule(receipts=st.booleans())
    def all_is_well(self, receipts: bool) -> None:
        self.drain.step()
        self.broker_takes(100)
        self.hq_takes()
        if receipts:
            self.hq_receipts()

    @rule()
    def hq_receipts(self) -> None:
        self.drain.receipt(word(self.db, self.contiguous()))

    @rule()
    def hq_backs_up(self) -> None:
        self.backup = {number: set(ids) for number, ids in self.hq.items()}

    @rule()
    def hq_restored(self) -> None:
        self.hq = {number: set(ids) for number, ids in self.backup.items()}
        self.hq_receipts()

    @rule(data=st.data())
    def unit_purges(self, data: st.DataObject) -> None:
        # The grace is longer than HQ's backup interval: only what the backup holds too may go.
        safe = set().union(*self.backup.values()) if self.backup else set()
        due = sorted(
            read_id for read_id in safe & self.made if outbox.receipted_since(self.db, read_id) is not None
        )
        if due:
            gone = data.draw(st.sampled_from(due))
            with self.db:
                outbox.forget(self.db, gone)
            self.purged.add(gone)

    @rule(seconds=st.sampled_from([1.0, 11.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.wire.time += seconds

    def contiguous(self) -> int:
        number = 0
        while number + 1 in self.hq:
            number += 1
        return number

    @invariant()
    def what_the_unit_freed_hq_has(self) -> None:
        freed = self.db.execute("SELECT sequence FROM outbox WHERE receipted_at IS NOT NULL")
        assert {number for (number,) in freed} <= self.hq.keys()

    def teardown(self) -> None:
        for _ in range(200):
            self.wire.time += 500
            self.drain.step()
            self.broker_takes(100)
            self.hq_takes()
            self.hq_receipts()
            if outbox.counts(self.db).queue == 0 and self.contiguous() == outbox.last_sequence(self.db):
                break
        assert self.contiguous() == outbox.last_sequence(self.db)
        known = set().union(*self.hq.values()) if self.hq else set()
        assert self.made - self.purged <= known
        assert self.made <= known | self.purged


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

"""How old rows of the access log go: by whose signatures, what keeps them, what the chain still proves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from hq.audits import breaches
from hq.audits.models import Audit, Breach, Item, Plan
from hq.log import chain, heads, removal, triggers
from hq.log.models import AccessRecord, Removal, Removed
from hq.mail import alarms
from hq.people.models import Person
from hq.people.policy import Refused
from hq.retention import holds
from hq.retention.models import Hold
from hq.retention.scope import Scope
from hq.site import clock as hq_clock
from tests.hq import kept

pytestmark = pytest.mark.django_db
SEEN = UUID("00000000-0000-4000-8000-00000000abcd")
HIT = UUID("00000000-0000-4000-8000-00000000dcba")
TOLD = {11: [SEEN, "no read"], 16: [HIT]}
OLD = datetime(2022, 1, 3, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _data(settings: Any, tmp_path: Path) -> None:
    settings.DATA, settings.MEDIA_ROOT = tmp_path, tmp_path / "pictures"


@pytest.fixture
def office(people: Callable[..., Person], clock: Any) -> kept.Office:
    """Twenty rows of 2022 in the log, then the people and papers of today."""
    today, clock.at = clock.at, OLD
    for number in range(20):
        chain.append(
            kind="test",
            person=None,
            action="reads.view",
            elements={"n": number},
            case=f"22-{number + 1}",
            ids=TOLD.get(number, []),
        )
        clock.advance(hours=1)
    clock.at = today
    chain.append(kind="test", person=None, action="log.own", note="of today")
    return kept.Office(people)


def _signed(office: kept.Office, days: int = 730, *, cosign: bool = True, **authority: Any) -> Removal:
    office.schedule(days, category="access_log")
    made = removal.propose(office.administrator, office.authority(**authority))
    removal.approve(office.commander, made.pk)
    return removal.cosign(office.custodian, made.pk) if cosign else made


def _left() -> list[int]:
    return list(AccessRecord.objects.order_by("sequence").values_list("sequence", flat=True))


def _lift() -> None:
    with connection.cursor() as cursor:
        for table in triggers.tables():
            for statement in triggers.drops(connection, table):
                cursor.execute(statement)


@pytest.mark.clause("CJIS AU-11")
@pytest.mark.clause("430.2.1(f)")
@pytest.mark.clause("430.5(a)")
def test_old_rows_go_by_three_signatures_and_the_chain_still_proves_the_rest(
    office: kept.Office, tmp_path: Path
) -> None:
    heads.sign(tmp_path / "heads")
    before = chain.head()
    made = _signed(office)
    assert (made.rows, made.kept) == (20, 0)
    assert removal.run(made.pk, run_by="test") == 20
    assert _left()[0] == 21
    assert chain.verify() is None
    assert heads.verify() is None
    (anchor,) = Removed.objects.all()
    assert (anchor.first, anchor.last, anchor.previous) == (1, 20, chain.FIRST)
    assert AccessRecord.objects.get(sequence=21).previous == anchor.hash
    assert chain.head().sequence > before.sequence
    row = AccessRecord.objects.get(action="destruction.run")
    assert (row.result_count, row.case) == (20, str(made.pk))
    made.refresh_from_db()
    assert made.state == "done"


@pytest.mark.clause("430.2.1(f)")
@pytest.mark.clause("430.2-d")
def test_nobody_signs_twice_and_nothing_goes_unsigned(
    office: kept.Office, people: Callable[..., Person]
) -> None:
    with pytest.raises(Refused, match="no retention schedule"):
        removal.propose(office.administrator, office.authority())
    office.schedule(730, category="access_log")
    every = people(["administrator", "commander", "custodian"])
    made = removal.propose(every, office.authority())
    for sign in (removal.approve, removal.cosign):
        with pytest.raises(Refused):
            sign(every, made.pk)
    with pytest.raises(Refused, match="has not approved"):
        removal.cosign(office.custodian, made.pk)
    removal.approve(office.commander, made.pk)
    with pytest.raises(Refused, match="is proposed, not co-signed"):
        removal.run(made.pk, run_by="test")
    assert len(_left()) == 21
    with pytest.raises(IntegrityError), transaction.atomic():
        Removal.objects.filter(pk=made.pk).update(state="cosigned")
    with pytest.raises(IntegrityError), transaction.atomic():
        Removal.objects.filter(pk=made.pk).update(state="cosigned", cosigned_by=office.commander)


@pytest.mark.clause("CJIS AU-11")
def test_schedule_of_the_log_is_two_years_at_least(office: kept.Office) -> None:
    with pytest.raises(Refused, match="730 days at least"):
        office.schedule(729, category="access_log")


@pytest.mark.clause("CJIS AU-11")
def test_row_of_less_than_two_years_stays(people: Callable[..., Person], clock: Any) -> None:
    today = clock.at
    for days in (731, 729):
        clock.at = today - timedelta(days=days)
        chain.append(kind="test", person=None, action="log.own")
    clock.at = today
    made = _signed(kept.Office(people))
    assert made.rows == 1
    removal.run(made.pk, run_by="test")
    assert _left() == [2, 3]


def _freeze(office: kept.Office) -> Breach:
    held = Breach(what="laptop lost", told_by="the officer", detected_at=hq_clock.now())
    breach = breaches.record(office.administrator, held)
    breaches.freeze(office.administrator, breach, OLD + timedelta(hours=7), OLD + timedelta(hours=9))
    return breach


def _hold(office: kept.Office, case: str, scope: Scope) -> None:
    holds.place(
        office.commander, kind="discovery", case=case, requester="Counsel", reason="claim",
        review_on=hq_clock.today() + timedelta(days=60), scope=scope,
    )  # fmt: skip


def _sample(office: kept.Office, *, closed: bool = False) -> None:
    """An audit of rows 10 to 14 whose sample holds row 15; its papers are kept, and they point to it."""
    plan = Plan.objects.create(
        auditor=office.auditor, other_auditor=office.investigator, reviewer=office.commander,
        proposed_by=office.auditor, areas=["searches"], document="audit plan 1",
    )  # fmt: skip
    signed = {"signed_by": office.auditor, "approved_by": office.commander, "approved_at": hq_clock.now()}
    audit = Audit.objects.create(
        plan=plan, since=OLD + timedelta(hours=9), until=OLD + timedelta(hours=14), seed="1", population={},
        auditor=office.auditor, **(signed if closed else {}),
    )  # fmt: skip
    Item.objects.create(audit=audit, record_id=15, area="search", assigned_to=office.auditor)


KEEPERS: dict[str, tuple[Callable[[kept.Office], object], list[int]]] = {
    "freeze of an open breach": (_freeze, list(range(8, 21))),
    "hold on the case": (lambda office: _hold(office, "22-5", Scope(plate="1NONE000")), [5]),
    "hold on a read that the row tells of, itself or by its hit": (
        lambda office: _hold(office, "26-9", Scope(plate="7ABC123")),
        [12, 17],
    ),
    "audit's sample": (lambda office: _sample(office, closed=True), [15]),
    "period of an audit that is not closed": (lambda office: _sample(office), [10, 11, 12, 13, 14, 15]),
}


@pytest.mark.clause("430.5-z")
@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize("since", ["before the proposal", "after the signatures"])
@pytest.mark.parametrize("keeper", KEEPERS)
def test_row_that_something_keeps_stays_and_the_chain_is_whole_around_it(
    office: kept.Office, keeper: str, since: str
) -> None:
    kept.a_hit(kept.read("7ABC123", id=SEEN), HIT)
    place, expected = KEEPERS[keeper]
    if since == "before the proposal":
        place(office)
    made = _signed(office)
    if since == "after the signatures":
        place(office)
    assert removal.run(made.pk, run_by="test") == 20 - len(expected)
    assert [row for row in _left() if row <= 20] == expected
    assert chain.verify() is None
    assert heads.verify() is None
    assert [chain.verify(first) for first in (1, 4, 5, 13, 16, 21)] == [None] * 6


@pytest.mark.clause("430.5-z")
def test_what_was_kept_when_it_was_proposed_stays_out_of_that_removal(
    office: kept.Office, clock: Any
) -> None:
    breach = _freeze(office)
    made = _signed(office)
    breaches.step(office.administrator, breach, "containment", "account closed")
    breaches.close(office.administrator, breach.pk, "nothing was lost")
    removal.run(made.pk, run_by="test")
    assert _left()[:13] == list(range(8, 21))
    again = removal.propose(office.administrator, office.authority())
    removal.approve(office.commander, again.pk)
    removal.cosign(office.custodian, again.pk)
    assert removal.run(again.pk, run_by="test") == 13
    assert _left()[0] == 21
    assert chain.verify() is None
    assert heads.verify() is None


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.clause("430.5(a)")
@pytest.mark.parametrize(
    "lacking",
    ["anchor", "signatures", "age", "schedule's days", "place in the range", "no hold", "no freeze"],
)
def test_database_lets_a_row_go_by_that_one_path_only(office: kept.Office, lacking: str) -> None:
    """What a program forgets or an injected statement tries: with any one part lacking, the row stays."""
    made = _signed(office)
    row = 21 if lacking == "age" else 3
    if lacking == "age":
        Removed.objects.create(removal=made, first=1, last=21, previous=chain.FIRST, hash="x", signature="x")
    elif lacking == "place in the range":
        Removed.objects.create(removal=made, first=4, last=9, previous=chain.FIRST, hash="x", signature="x")
    elif lacking != "anchor":
        Removed.objects.create(removal=made, first=1, last=9, previous=chain.FIRST, hash="x", signature="x")
    if lacking == "signatures":
        Removal.objects.filter(pk=made.pk).update(state="proposed")
    elif lacking == "schedule's days":
        _lift()
        made.schedule.days = 7300
        made.schedule.save()
        triggers.install(connection)
    elif lacking == "no hold":
        _hold(office, "22-3", Scope(plate="1NONE000"))
    elif lacking == "no freeze":
        held = Breach(what="lost", told_by="the officer", detected_at=hq_clock.now())
        breach = breaches.record(office.administrator, held)
        breaches.freeze(office.administrator, breach, OLD, OLD + timedelta(hours=9))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM log_accessrecord WHERE sequence = %s", [row])
    assert AccessRecord.objects.filter(sequence=row).exists()


def test_database_lets_a_row_go_where_nothing_lacks(office: kept.Office) -> None:
    """The test above refuses for the reason that it names, and not for another one."""
    made = _signed(office)
    Removed.objects.create(removal=made, first=1, last=9, previous=chain.FIRST, hash="x", signature="x")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM log_accessrecord WHERE sequence = 3")
    assert not AccessRecord.objects.filter(sequence=3).exists()


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.parametrize(
    ("attack", "told"),
    [
        ("further rows", "rows were removed without a signed anchor"),
        ("another hash", "rows were removed without a signed anchor"),
        ("no anchor", "row is missing"),
        ("row under an anchor", "row is missing"),
    ],
)
def test_removal_that_nobody_signed_shows(office: kept.Office, attack: str, told: str) -> None:
    """By one who owns the database and lifts its triggers."""
    made = _signed(office)
    removal.run(made.pk, run_by="test")
    _lift()
    if attack == "further rows":
        row = AccessRecord.objects.get(sequence=21)
        Removed.objects.create(
            removal=made, first=21, last=21, previous=row.previous, hash=row.hash, signature="x"
        )
        AccessRecord.objects.filter(sequence=21).delete()
        assert chain.verify() is None
    elif attack == "another hash":
        Removed.objects.update(previous="0" * 64)
    elif attack == "no anchor":
        Removed.objects.all().delete()
    else:
        row = AccessRecord.objects.get(sequence=21)
        row.pk, row.hash = 7, "7" * 64
        row.save(force_insert=True)
    fault = heads.verify() or chain.verify()
    assert fault is not None
    assert told in fault.what
    with pytest.raises(CommandError):
        call_command("log", "verify")


def _cut_off(made: Removal, monkeypatch: pytest.MonkeyPatch, after: int = 2) -> None:
    """Run it in batches of six rows until the disk is full."""
    monkeypatch.setattr(removal, "BATCH", 6)
    remove, done = removal._remove, []

    def cut_off(pk: int, part: removal.Range) -> None:
        if len(done) == after:
            raise OSError("no space left")
        done.append(part)
        remove(pk, part)

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_remove", cut_off)
        with pytest.raises(OSError, match="no space"):
            removal.run(made.pk, run_by="test")


@pytest.mark.clause("430.5(a)")
@pytest.mark.clause("GC-34090.6")
def test_removal_that_was_cut_off_goes_on_though_its_authority_ended(
    office: kept.Office, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _signed(office, valid_until=hq_clock.today())
    _cut_off(made, monkeypatch)
    assert _left()[0] == 13
    assert chain.verify() is None
    clock.advance(days=2)
    (alarm,) = [one.alarm.text for one in alarms.standing() if one.source == "log"]
    assert alarm.endswith("was begun and is not finished; run platewarden-hq log remove")
    assert removal.run(made.pk, run_by="test") == 20
    assert not [one for one in alarms.standing() if one.source == "log"]
    assert chain.verify() is None
    assert heads.verify() is None


def _unreadable(office: kept.Office) -> None:
    _hold(office, "26-9", Scope(plate="1NONE000"))
    _lift()
    Hold.objects.update(plate="7XYZ123")
    triggers.install(connection)


# What becomes untrue of a co-signed removal, and what its refusal says.
STALE: dict[str, tuple[Callable[[kept.Office], object], str]] = {
    "authority ended": (lambda office: None, "does not allow a destruction today"),
    "schedule replaced": (lambda office: office.schedule(1460, category="access_log"), "no longer in force"),
    "hold that cannot be read": (_unreadable, "pattern cannot be read"),
}


@pytest.mark.clause("GC-34090.6")
@pytest.mark.clause("430.2.1(f)")
@pytest.mark.clause("430.4-d")
@pytest.mark.parametrize(
    ("stale", "state"),
    [
        # What was begun under a live authority is finished: the test above.
        ("authority ended", "approved"),
        ("authority ended", "co-signed"),
        ("schedule replaced", "co-signed"),
        ("schedule replaced", "begun"),
        ("hold that cannot be read", "co-signed"),
    ],
)
def test_removal_that_is_no_longer_true_removes_nothing_and_is_withdrawn(
    office: kept.Office,
    client_for: Callable[..., Client],
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    stale: str,
    state: str,
) -> None:
    happens, told = STALE[stale]
    until = hq_clock.today() + timedelta(days=1 if stale == "authority ended" else 300)
    made = _signed(office, cosign=state != "approved", valid_until=until)
    if state == "begun":
        _cut_off(made, monkeypatch)
    clock.advance(days=2)
    happens(office)
    left = _left()
    go_on = (
        partial(removal.cosign, office.custodian)
        if state == "approved"
        else partial(removal.run, run_by="test")
    )
    with pytest.raises(Refused, match=told) as refused:
        go_on(made.pk)
    assert refused.value.who_can_grant != "nobody"
    if state != "approved":
        with pytest.raises(CommandError, match=f"removal {made.pk}: .*{told}"):
            call_command("log", "remove")
        (alarm,) = [one for one in alarms.standing() if one.source == "log"]
        assert told in alarm.alarm.text
    assert [row for row in _left() if row <= 20] == [row for row in left if row <= 20]
    with pytest.raises(Refused, match=f"removal {made.pk} is open already.*withdraw"):
        removal.propose(office.administrator, office.authority())

    where = f"/log/removals/{made.pk}/"
    administrator, auditor = client_for(office.administrator), client_for(office.auditor)
    page = administrator.get(where).content.decode()
    assert f"{where}withdraw/" in page
    assert told in page, "the page says why it cannot be carried out"
    assert f"{where}withdraw/" not in auditor.get(where).content.decode()
    assert auditor.post(f"{where}withdraw/", {"why": "x"}).status_code == 403
    assert administrator.post(f"{where}withdraw/", {"why": " "}).status_code == 403, "no reason"
    assert administrator.post(f"{where}withdraw/", {"why": "no longer true"}).status_code == 302
    made.refresh_from_db()
    assert (made.state, made.refused_by, made.refused_why) == (
        "withdrawn", office.administrator, "no longer true",
    )  # fmt: skip
    row = AccessRecord.objects.get(action="destruction.withdraw", outcome="done")
    gone = 12 if state == "begun" else 0
    assert (row.elements["reason"], row.result_count) == ("no longer true", gone)
    with pytest.raises(Refused, match="is withdrawn, not co-signed"):
        removal.run(made.pk, run_by="test")
    assert chain.verify() is None
    assert heads.verify() is None
    if stale != "hold that cannot be read":
        assert removal.propose(office.administrator, office.authority()).rows == 20 - gone


@pytest.mark.clause("430.2.1(f)")
def test_removal_withdrawn_while_it_runs_stops_before_the_next_rows(
    office: kept.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, remove = _signed(office), removal._remove
    monkeypatch.setattr(removal, "BATCH", 6)

    def withdrawn(pk: int, part: removal.Range) -> None:
        remove(pk, part)
        if part[0] == 1:
            removal.withdraw(office.custodian, pk, "a claim was filed")

    monkeypatch.setattr(removal, "_remove", withdrawn)
    with pytest.raises(Refused, match="is withdrawn, not co-signed"):
        removal.run(made.pk, run_by="test")
    assert _left()[0] == 7
    assert chain.verify() is None


@pytest.mark.clause("CJIS AU-9")
@pytest.mark.clause("430.5(a)")
@pytest.mark.parametrize("attack", ["changed row", "changed last row", "row is missing", "signed head"])
def test_rows_that_were_tampered_with_are_not_removed_so_that_the_trace_stays(
    office: kept.Office, attack: str, tmp_path: Path
) -> None:
    """A removal's anchor would stand for what was changed, and nothing could tell it any more."""
    made = _signed(office)
    _lift()
    if attack == "row is missing":
        AccessRecord.objects.filter(sequence=9).delete()
    elif attack == "signed head":
        heads.sign_row(tmp_path / "heads", 9, "9" * 64)
    else:
        row = AccessRecord.objects.get(sequence=9 if attack == "changed row" else 20)
        row.case = "22-999"
        if row.sequence == 20:
            row.hash = chain.digest(row)
        row.save()
    triggers.install(connection)
    left = _left()
    with pytest.raises(CommandError, match="log verify"):
        call_command("log", "remove")
    assert _left()[: len(left)] == left
    assert not Removed.objects.exists()
    assert (chain.verify() or heads.verify()) is not None
    removal.withdraw(office.commander, made.pk, "the log was tampered with")


@pytest.mark.clause("430.4-d")
def test_row_that_the_database_keeps_against_the_program_is_told_in_a_line(
    office: kept.Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a hold comes between the look and the deletion, or the database's clock is behind."""
    _signed(office)
    _hold(office, "22-5", Scope(plate="1NONE000"))
    monkeypatch.setattr(removal, "_kept", lambda first, last: [])
    with pytest.raises(CommandError, match="rows 1 to 20: the database keeps one of them"):
        call_command("log", "remove")
    assert (len([row for row in _left() if row <= 20]), Removed.objects.count()) == (20, 0)


@given(
    rows=st.integers(1, 40),
    gone=st.sets(st.integers(1, 40)),
    held=st.sets(st.integers(1, 40)),
)
def test_ranges_hold_every_row_that_may_go_and_no_other(rows: int, gone: set[int], held: set[int]) -> None:
    here = [n for n in range(1, rows + 1) if n not in gone]
    ranges = [(n, n) for n in here]
    found = list(removal._without(ranges, sorted(held & set(here))))
    assert [n for first, last in found for n in range(first, last + 1)] == sorted(set(here) - held)


@pytest.mark.clause("430.2.1(f)")
def test_removal_is_proposed_and_signed_in_the_pages(
    office: kept.Office, client_for: Callable[..., Client]
) -> None:
    authority = office.authority()
    administrator = client_for(office.administrator)
    assert b"none: every row is kept" in administrator.get("/log/removals/").content
    office.schedule(730, category="access_log")
    answer = administrator.post("/log/removals/propose/", {"authority": authority.pk})
    made = Removal.objects.get()
    where = f"/log/removals/{made.pk}/"
    assert answer.headers["Location"] == where
    assert client_for(office.custodian).post(f"{where}cosign/").status_code == 403
    commander = client_for(office.commander)
    assert b"Approve as Commander" in commander.get(where).content
    assert b"removals of log rows to sign" in commander.get("/").content
    commander.post(f"{where}approve/")
    custodian = client_for(office.custodian)
    assert b"consent." in custodian.get(where).content
    custodian.post(f"{where}cosign/")
    call_command("log", "remove")
    made.refresh_from_db()
    assert made.state == "done"
    assert b"What stands for the removed rows" in custodian.get(where).content
    assert chain.verify() is None


@pytest.mark.clause("430.2.1(f)")
def test_signer_may_refuse_a_removal(office: kept.Office, client_for: Callable[..., Client]) -> None:
    office.schedule(730, category="access_log")
    made = removal.propose(office.administrator, office.authority())
    client_for(office.custodian).post(f"/log/removals/{made.pk}/refuse/", {"why": "claim expected"})
    made.refresh_from_db()
    assert (made.state, made.refused_why) == ("refused", "claim expected")
    assert len([row for row in _left() if row <= 20]) == 20

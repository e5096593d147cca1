"""The two steps of verifying a hit, and what cannot be said before them, in the code and in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from hq.hits import guard, reports, review, wording
from hq.hits.corrections import correct
from hq.hits.models import Acknowledgement, Clets, Correction, Outcome, Visual
from hq.people.models import Person
from hq.people.policy import Refused
from hq.records.models import Hit
from hq.retention import purge
from hq.site import clock as hq_clock
from tests.hq import kept
from tests.hq.conftest import Clock
from tests.hq.hits_kept import a_hit, answered, looked, reviewed

People = Callable[..., Person]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture(autouse=True)
def files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def officer(people: People) -> Person:
    return people("officer")


def act_on(hit: Hit, by: Person, note: str = "") -> Outcome:
    return review.close(reviewed(hit), by, kind="acted_on", note=note)


@pytest.mark.clause("430.3(f)")
def test_hit_is_not_closed_as_acted_on_before_clets_answered(officer: Person) -> None:
    hit = a_hit()
    with pytest.raises(Refused) as refused:
        act_on(hit, officer)
    assert refused.value.clause == "430.3(f)"
    looked(hit, officer)
    with pytest.raises(Refused):
        act_on(hit, officer)
    answered(hit, officer)
    assert act_on(hit, officer).clets == reviewed(hit).answer
    assert not reviewed(hit).open


@pytest.mark.clause("430.3(f)")
def test_step_two_waits_for_step_one(officer: Person) -> None:
    hit = a_hit()
    with pytest.raises(Refused, match="step 1"):
        answered(hit, officer)
    looked(hit, officer)
    answered(hit, officer)


@pytest.mark.clause("430.3(f)")
def test_another_plate_in_the_picture_ends_the_verification(officer: Person) -> None:
    hit = a_hit()
    with pytest.raises(Refused, match="which plate"):
        looked(hit, officer, "differs")
    with pytest.raises(Refused, match="the listed plate"):
        looked(hit, officer, "differs", read_as="7-TST-123")
    looked(hit, officer, "differs", read_as="7TSI123")
    with pytest.raises(Refused, match="another one"):
        answered(hit, officer)
    assert wording.status(reviewed(hit)) == "PLATE DIFFERS"
    review.close(reviewed(hit), officer, kind="wrong")


@pytest.mark.clause("430.3(f)")
def test_hit_is_not_closed_as_wrong_by_who_did_not_look(officer: Person) -> None:
    hit = a_hit()
    with pytest.raises(Refused, match="by eye first"):
        review.close(reviewed(hit), officer, kind="wrong")
    assert reviewed(hit).open


@pytest.mark.clause("CC-51b2F")
def test_correction_says_why_and_is_of_a_read_that_is_there(officer: Person) -> None:
    read = Hit.objects.get(pk=a_hit().pk).read
    with pytest.raises(Refused, match="say why"):
        correct(read, officer, corrected="7TSI123", why=" ")
    read.pk = uuid4()
    with pytest.raises(Refused, match="destroyed meanwhile"):
        correct(read, officer, corrected="7TSI123", why="the picture shows it")
    assert not Correction.objects.exists()


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize("reason", ["", "   "])
def test_not_practicable_takes_a_reason(officer: Person, reason: str) -> None:
    hit = a_hit()
    looked(hit, officer)
    with pytest.raises(Refused, match="not practicable"):
        answered(hit, officer, "not_practicable", reason)
    answered(hit, officer, "not_practicable", "terminal down, vehicle fleeing")
    assert wording.status(reviewed(hit)).startswith("UNVERIFIED")
    act_on(hit, officer)


@pytest.mark.clause("430.3(f)")
@pytest.mark.parametrize("result", ["not_found", "cancelled"])
def test_acting_against_clets_can_be_recorded_but_not_without_saying_why(
    officer: Person, result: str
) -> None:
    """It happens that the stop came first; the record must be able to say so."""
    hit = a_hit()
    looked(hit, officer)
    answered(hit, officer, result)
    with pytest.raises(Refused, match="speak against"):
        act_on(hit, officer)
    act_on(hit, officer, "stopped before the answer came; released")


@pytest.mark.clause("430.3(f)")
def test_answer_from_the_future_is_refused(officer: Person, clock: Clock) -> None:
    hit = a_hit()
    looked(hit, officer)
    with pytest.raises(Refused, match="future"):
        review.answer(
            reviewed(hit),
            officer,
            result="confirmed",
            operator="",
            answered_at=clock.at + timedelta(minutes=1),
        )


def row(hit: Hit, by: Person, at: Any, **fields: Any) -> Outcome:
    return Outcome(hit=hit, read_id=hit.read_id, by=by, at=at, kind="acted_on", **fields)


@pytest.mark.clause("430.3(f)")
def test_database_refuses_acted_on_without_the_hits_own_step_two(officer: Person, clock: Clock) -> None:
    """The trigger, for what the code forgot: an answer of another hit does not count either."""
    hit, other = a_hit(), a_hit("8TST456")
    looked(other, officer)
    answered(other, officer)
    foreign = reviewed(other).answer
    for clets in (None, foreign):
        with pytest.raises((IntegrityError, DatabaseError)), transaction.atomic():
            row(hit, officer, clock.at, clets=clets).save()
    with pytest.raises(DatabaseError, match=r"430\.3"), transaction.atomic():
        row(hit, officer, clock.at, clets=foreign).save()
    row(other, officer, clock.at, clets=foreign).save()


@pytest.mark.clause("430.3(f)")
def test_database_refuses_not_practicable_of_blanks(officer: Person, clock: Clock) -> None:
    """A reason of blanks passes the check of an empty one, and stops at the trigger."""
    hit = a_hit()
    visual = looked(hit, officer)
    common = {"hit": hit, "read_id": hit.read_id, "by": officer, "at": clock.at, "visual": visual}
    given = Clets.objects.create(
        **common, result="not_practicable", reason="   ", operator="x", answered_at=clock.at
    )
    with pytest.raises(DatabaseError, match=r"430\.3"), transaction.atomic():
        row(hit, officer, clock.at, clets=given).save()


@pytest.mark.clause("430.3(f)")
def test_missing_trigger_is_told_at_the_start() -> None:
    assert guard.check_guard(["default"]) == []
    with connection.cursor() as cursor:
        cursor.execute(guard._drop(connection))
    assert [fault.id for fault in guard.check_guard(["default"])] == ["hq.hits.E001"]
    guard.install(connection)
    assert guard.check_guard(["default"]) == []


@pytest.mark.clause("430.3(f)")
@pytest.mark.clause("CC-51b2F")
@pytest.mark.parametrize("model", [Acknowledgement, Visual, Clets, Outcome, Correction])
def test_what_was_entered_is_neither_changed_nor_deleted(officer: Person, clock: Clock, model: Any) -> None:
    hit = a_hit()
    review.acknowledge(hit, officer)
    looked(hit, officer)
    answered(hit, officer)
    act_on(hit, officer)
    Correction.objects.create(
        read_id=hit.read_id,
        revision=1,
        original="7TST123",
        corrected="7TSI123",
        key="7TSI123",
        lookalike="7TS1123",
        why="test",
        by=officer,
        at=clock.at,
    )
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        model.objects.update(at=clock.at - timedelta(days=1))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        model.objects.all().delete()


@pytest.mark.clause("430.3(f)")
def test_last_step_counts_and_the_ones_before_it_stay(officer: Person) -> None:
    hit = a_hit()
    looked(hit, officer, "unclear")
    looked(hit, officer, "agrees")
    answered(hit, officer, "not_found")
    answered(hit, officer, "confirmed")
    one = reviewed(hit)
    assert one.confirmed
    assert len(one.visuals) == len(one.answers) == 2
    looked(hit, officer, "differs", read_as="7TSI123")
    assert not reviewed(hit).confirmed


@pytest.mark.clause("430.3(f)")
@pytest.mark.clause("CC-51b2F")
def test_what_is_sent_twice_is_there_once(officer: Person, people: People, clock: Clock) -> None:
    """A second press on a slow network says nothing more; the same words about something new do."""
    hit, second = a_hit(), people("dispatcher")
    answered_at = clock.at

    def gone(by: Person) -> Outcome:
        return review.close(reviewed(hit), by, kind="gone", note="left")

    def confirm() -> Clets:
        return review.answer(
            reviewed(hit), officer, result="confirmed", operator="Dispatch 4", answered_at=answered_at
        )

    def right() -> Correction:
        return correct(hit.read, officer, corrected="7TSI123", why="the picture shows it")

    for act in (lambda: looked(hit, officer), confirm, lambda: gone(officer), right):
        first = act()
        clock.advance(seconds=3)
        assert act() == first
    assert gone(second).by == second, "another's own act"
    clock.advance(seconds=3)
    looked(hit, officer)
    clock.advance(seconds=3)
    gone(second)
    one = reviewed(hit)
    counts = [len(acts) for acts in (one.visuals, one.answers, one.outcomes, one.corrections)]
    assert counts == [2, 1, 3, 1]


def test_first_to_acknowledge_counts(officer: Person, people: People) -> None:
    hit, second = a_hit(), people("dispatcher")
    review.acknowledge(hit, officer)
    assert review.acknowledge(hit, second).by == officer
    assert reviewed(hit).unverified, "to acknowledge is not to verify"


@pytest.mark.clause("430.3(f)")
def test_what_a_list_says_is_never_told_without_its_time_and_that_it_is_unverified(officer: Person) -> None:
    hit = a_hit(reason="stolen 05/30", list_age_s=3600.0)
    said = wording.claim(reviewed(hit))
    assert said == "stolen vehicle, “stolen 05/30”: unverified - list of 2026-06-03 10:59 -07:00"
    looked(hit, officer)
    answered(hit, officer, "not_practicable", "terminal down")
    assert "unverified - list of" in wording.claim(reviewed(hit))
    answered(hit, officer)
    assert "confirmed by CLETS" in wording.claim(reviewed(hit))
    assert "list of unknown time" in wording.claim(reviewed(a_hit(list_age_s=None)))


@pytest.mark.clause("430.3(f)")
def test_hit_that_a_better_look_withdrew_says_so() -> None:
    one = reviewed(a_hit(withdrawn=True))
    assert wording.status(one) == "WITHDRAWN"
    assert "Do not act" in wording.advice(one)
    assert not one.open


@pytest.mark.clause("430.3(f)")
def test_report_lists_open_hits_without_an_answer_oldest_first(officer: Person) -> None:
    old, new, closed, checked = a_hit(age_s=90_000), a_hit(age_s=60), a_hit(), a_hit()
    a_hit(withdrawn=True)
    looked(checked, officer)
    answered(checked, officer, "not_found")
    review.close(reviewed(closed), officer, kind="gone")
    waiting = reports.unverified()
    assert [one.hit.pk for one in waiting] == [old.pk, new.pk]
    assert reports.waited(waiting[0]) == "25 h 00 min"
    assert reports.older() == 1
    found = reports.figures(reviewed(old).hit.received_at)
    assert (found.hits, found.withdrawn, found.unverified) == (5, 1, 2)
    assert dict(found.answers)["NOT FOUND"] == 1
    assert found.minutes == pytest.approx(5 / 60, abs=0.01)


def test_review_counts_a_read_that_has_not_come(officer: Person) -> None:
    """A hit may be committed before its read."""
    hit = a_hit()
    orphan = Hit.objects.get(pk=hit.pk)
    orphan.id, orphan.read_id = uuid4(), uuid4()
    orphan.save(force_insert=True)
    (one,) = review.of([Hit.objects.get(pk=orphan.id)])
    assert one.read is None
    looked(one.hit, officer)


@pytest.mark.clause("430.4-d")
def test_what_was_done_about_a_hit_goes_with_its_read_and_not_before(
    people: People, monkeypatch: Any
) -> None:
    """A correction and a comparison hold plate text: neither may outlive the read."""
    monkeypatch.setattr(hq_clock, "source", lambda: datetime.now(UTC))
    officer, hit = people("officer"), a_hit(age_s=400 * 86400)
    kept_hit = a_hit("8TST456")
    for one in (hit, kept_hit):
        review.acknowledge(one, officer)
        looked(one, officer)
        answered(one, officer)
        act_on(one, officer)
    correct(reviewed(hit).read, officer, corrected="7TSI123", why="picture")  # type: ignore[arg-type]
    purge.run(kept.Office(people).signed().pk, run_by="test")
    for model in (Hit, Acknowledgement, Visual, Clets, Outcome):
        assert model.objects.count() == 1, model  # type: ignore[attr-defined]
    assert not Correction.objects.exists()
    assert not reviewed(kept_hit).open

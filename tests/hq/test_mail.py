"""Mails of HQ, sent to a real SMTP server: who gets which, once, and never a plate."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError, connections, transaction
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hq.lists import manual, partials
from hq.lists.models import ListGroup
from hq.log import chain
from hq.log.models import AccessRecord
from hq.mail import alarms, outbox, withheld, wording
from hq.mail.alarms import Standing
from hq.mail.models import Mail, NoDigest, Raised
from hq.people.models import Appointment, Completion, Course, Grant, Person
from hq.retention.alarms import Alarm
from hq.site import doctor, locks
from hq.site.clock import today
from tests.hq import kept
from tests.hq.smtp_sink import Sink, serving

pytestmark = pytest.mark.django_db
People = Callable[..., Person]


@pytest.fixture
def sink(settings: Any, tmp_path: Path) -> Iterator[Sink]:
    with serving() as sink:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.DEFAULT_FROM_EMAIL = "HQ <hq@police.example>"
        settings.DATA = tmp_path
        yield sink


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> list[Standing]:
    """The alarms that stand, as a test sets them."""
    held: list[Standing] = []
    monkeypatch.setattr(alarms, "standing", lambda: list(held))
    return held


def _unit_alarm(text: str = "unit gate-1: not heard since 2026-06-03 05:00 -07:00") -> Standing:
    return Standing("units", Alarm("430.4-a", text))


def _mail(**options: bool) -> str:
    said = StringIO()
    call_command("mail", stdout=said, **options)
    return said.getvalue()


def _text(mail: Any) -> str:
    return str(mail.get_content())


@pytest.mark.clause("430.2.1(c)")
@pytest.mark.clause("430.4-a")
def test_alarm_reaches_who_must_act_once_until_it_clears(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    people("administrator", email="admin@police.example")
    people("technician", email="tech@police.example")
    people("officer", email="officer@police.example")
    raised.append(_unit_alarm())
    assert "2 mails made, 2 sent, 0 waiting" in _mail()
    assert {m["To"] for m in sink.mails} == {"admin@police.example", "tech@police.example"}
    assert "430.4-a: unit gate-1: not heard since" in _text(sink.mails[0])
    # A count that grows is the same alarm; another unit is another.
    raised[0] = _unit_alarm("unit gate-1: not heard since 2026-06-03 06:30 -07:00")
    assert _mail().startswith("0 mails made")
    raised.append(_unit_alarm("unit gate-2: not heard since 2026-06-03 06:30 -07:00"))
    assert _mail().startswith("2 mails made")
    assert "gate-1" not in _text(sink.mails[-1])
    # Cleared and back again is news.
    standing, raised[:] = list(raised), []
    assert _mail().startswith("0 mails made")
    clock.advance(hours=1)
    raised[:] = standing
    assert _mail().startswith("2 mails made")
    assert AccessRecord.objects.filter(action="mail.queue").count() == 3
    assert chain.verify() is None


@pytest.mark.parametrize(
    ("source", "clause", "role"),
    [
        ("units", "430.4-a", "technician"),
        ("units", "430.2-c", "commander"),
        ("audits", "430.5(c)", "auditor"),
        ("audits", "430.5-z", "custodian"),
        ("retention", "430.4-d", "custodian"),
        ("releases", "430.8(b)", "records_clerk"),
        ("public", "430.2.1(g)", "administrator"),
    ],
)
def test_alarm_goes_to_the_role_that_must_act(
    people: People, sink: Sink, raised: list[Standing], source: str, clause: str, role: str
) -> None:
    for number, each in enumerate(("commander", "administrator", "custodian", "auditor", "officer", role)):
        people(each, email=f"{each}{number}@police.example")
    raised.append(Standing(source, Alarm(clause, "something is late")))
    _mail()
    reached = {str(m["To"]) for m in sink.mails}
    assert any(address.startswith(role) for address in reached)
    assert not any(address.startswith("officer") for address in reached)


def test_alarm_for_a_role_that_nobody_holds_goes_to_the_commander(
    people: People, sink: Sink, raised: list[Standing]
) -> None:
    people("commander", email="chief@police.example")
    raised.append(_unit_alarm())
    _mail()
    assert len(sink.to("chief@police.example")) == 1


def test_alarm_for_holders_without_an_address_goes_to_the_commander(
    people: People, sink: Sink, raised: list[Standing]
) -> None:
    people("commander", email="chief@police.example")
    people("administrator")
    people("technician")
    raised.append(_unit_alarm())
    _mail()
    assert len(sink.to("chief@police.example")) == 1


def test_alarms_of_every_app_are_asked_for(people: People, sink: Sink) -> None:
    """The real ones of an empty agency: no audit plan, an unpublished policy."""
    people("auditor", email="auditor@police.example")
    people("administrator", email="admin@police.example")
    _mail()
    assert "no audit plan is in force" in _text(sink.to("auditor@police.example")[0])
    assert "the policy has not been published" in _text(sink.to("admin@police.example")[0])
    assert {row.source for row in Raised.objects.all()} >= {"audits", "public"}


@pytest.mark.clause("430.3-0")
def test_account_used_in_two_places_is_told_to_the_administrator(people: People, client_for: Any) -> None:
    person = people("officer")
    first, second = client_for(person), client_for(person)
    assert second.get("/").status_code == 200
    first.get("/")
    told = [one.alarm.text for one in alarms.standing() if one.alarm.clause == "430.3-0"]
    assert told == [f"the account {person.username} was used to log in while it was in use elsewhere"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("3 reads of alpr are late", "14 reads of alpr are late", True),
        ("unit car-7: hot list is 26 h old", "unit car-7: hot list is 27 h old", True),
        ("unit 7: camera dark", "unit 8: camera dark", False),
        ("breach 7 has no containment recorded", "breach 8 has no containment recorded", False),
        ("the audit is overdue since 2026-06-01", "the audit is overdue since 2026-07-01", True),
        ("unit car-7: camera dark", "unit car-8: camera dark", False),
    ],
)
def test_alarm_is_the_same_while_only_a_count_or_a_day_changes(one: str, other: str, same: bool) -> None:
    assert (_unit_alarm(one).key == _unit_alarm(other).key) is same


@pytest.mark.clause("430.2.1(b)")
@pytest.mark.clause("430.2-e")
@pytest.mark.clause("430.6")
def test_digest_tells_what_waits_and_what_ends_within_30_and_7_days(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    commander = people("commander", email="chief@police.example")
    sergeant = people("training_sergeant", email="sergeant@police.example")
    officer = people("officer", email="officer@police.example", full_name="Jo Marsh")
    people("officer", state="proposed")
    day = clock.at.date()
    for who, days in ((officer, 6), (sergeant, 200), (commander, 31)):
        Completion.objects.create(
            person=who, course=Course.objects.get(), completed_on=day, trainer="T", document="d",
            expires_on=day + timedelta(days=days),
        )  # fmt: skip
    given = {"starts_on": day, "document": "d", "approved_at": clock.at}
    Appointment.objects.create(person=officer, role="investigator", ends_on=day + timedelta(days=29), **given)
    Grant.objects.create(person=officer, code="ncic", ends_on=day + timedelta(days=31), **given)
    _mail(digest=True)
    (mail,) = sink.to("officer@police.example")
    soon, later = _text(mail).split("Ends within 30 days:")
    assert f"{day + timedelta(days=6)}  your training ALPR use 1 (430.3(d))" in soon
    assert "your appointment Investigator (430.2-e)" in later
    assert "NCIC" not in _text(mail)
    assert "Jo Marsh: training ALPR use 1" in _text(sink.to("sergeant@police.example")[0])
    chief = _text(sink.to("chief@police.example")[0])
    assert "accounts to approve: 1" in chief
    assert "Jo Marsh: appointment Investigator" in chief
    assert "your training" not in chief


@pytest.mark.clause("430.3(c)-2")
def test_who_entered_a_plate_is_told_before_it_runs_out(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    """Nobody else, by its number alone, and not once it is off the list."""
    investigator = people("investigator", email="investigator@police.example")
    people("investigator", email="other@police.example")
    group, day = ListGroup.objects.create(name="all"), clock.at.date()

    def entered(days: int) -> Any:
        remembered = partials.Remembered(
            group=group,
            pattern="7ABC12?",
            reason="robbery",
            case_number="26-1",
            expiry=day + timedelta(days=days),
        )
        return partials.enter(remembered, by=investigator, purpose="criminal_investigation")

    rows = [entered(days) for days in (5, 6, 20)]
    manual.withdraw(rows[1], by=investigator, why="found")
    _mail(digest=True)
    (mail,) = sink.mails
    assert mail["To"] == "investigator@police.example"
    soon, later = _text(mail).split("Ends within 30 days:")
    assert f"{day + timedelta(days=5)}  your partial plate, entry {rows[0].pk} (430.3(c)-2)" in soon
    assert f"entry {rows[2].pk}" in later
    assert f"entry {rows[1].pk}" not in _text(mail)
    assert "7AB" not in _text(mail)
    assert "26-1" not in _text(mail)


@pytest.mark.clause("430.4-d")
def test_custodian_is_told_of_holds_to_review(people: People, sink: Sink, raised: Any, clock: Any) -> None:
    from hq.retention.models import Hold

    administrator = people("administrator", email="admin@police.example")
    Hold.objects.create(
        kind="civil_evidence", case="26-1", requester="T. Attorney", reason="claim", placed_by=administrator,
        review_on=clock.at.date() + timedelta(days=5), plate="8XYZ987", unit=kept.unit(),
    )  # fmt: skip
    people("custodian", email="custodian@police.example")
    _mail(digest=True)
    told = [_text(mail) for mail in sink.mails]
    assert any("review of hold" in text for text in told)
    assert not any("8XYZ987" in text or "26-1" in text for text in told)


def test_digest_comes_once_a_day_and_not_to_whom_it_has_nothing_to_tell(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    people("commander", email="chief@police.example")
    people("officer", email="officer@police.example")
    people("officer", state="proposed")
    for _ in range(2):
        _mail(digest=True)
    assert [m["To"] for m in sink.mails] == ["chief@police.example"]
    clock.advance(days=1)
    _mail(digest=True)
    assert len(sink.mails) == 2


def test_digest_can_be_switched_off_and_alarms_not(
    people: People, sink: Sink, raised: list[Standing], client_for: Any
) -> None:
    chief = people("commander", email="chief@police.example")
    people("officer", state="proposed")
    client = client_for(chief)
    assert b"Send me the daily digest" in client.get("/mail/own/").content
    client.post("/mail/own/", {})
    raised.append(Standing("units", Alarm("430.2-c", "unit gate-1: unapproved change: model")))
    _mail(digest=True)
    assert ["alarm" in str(m["Subject"]) for m in sink.mails] == [True]
    client.post("/mail/own/", {"digest": "on"})
    assert not NoDigest.objects.exists()
    _mail(digest=True)
    assert "digest" in _text(sink.mails[-1])


@pytest.mark.clause("430.2.1(c)")
def test_upkeep_mails_the_digests(people: People, sink: Sink, raised: list[Standing], settings: Any) -> None:
    settings.SECRET_KEY_MISSING = False
    people("commander", email="chief@police.example")
    people("officer", state="proposed")
    call_command("upkeep", stdout=StringIO())
    assert "Daily digest" in _text(sink.mails[0])


def test_digests_wait_for_a_run_of_mail_that_is_under_way(
    people: People, sink: Sink, raised: list[Standing], settings: Any, tmp_path: Path
) -> None:
    """The timers of both go off at the same minute, and a slow server keeps the other run busy."""
    settings.SECRET_KEY_MISSING = False
    people("commander", email="chief@police.example")
    people("officer", state="proposed")
    with (tmp_path / "mail.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        ends = threading.Timer(0.5, fcntl.flock, (other, fcntl.LOCK_UN))
        ends.start()
        call_command("upkeep", stdout=StringIO())
        ends.join()
    assert "Daily digest" in _text(sink.mails[0])


def test_upkeep_keeps_digests_that_the_server_does_not_take(
    people: People, sink: Sink, raised: list[Standing], settings: Any, clock: Any
) -> None:
    settings.SECRET_KEY_MISSING = False
    settings.EMAIL_PORT = 9  # nobody listens there
    people("commander", email="chief@police.example")
    people("officer", state="proposed")
    out = StringIO()
    with pytest.raises(CommandError, match=r"mail: .*cannot be reached"):
        call_command("upkeep", stdout=out)
    assert "accounts suspended" in out.getvalue()
    settings.EMAIL_PORT = sink.port
    clock.advance(minutes=6)
    _mail()
    assert [m["To"] for m in sink.mails] == ["chief@police.example"]


def test_mail_waits_for_a_server_that_is_down_and_is_sent_once(
    people: People, sink: Sink, raised: list[Standing], settings: Any, clock: Any, client_for: Any
) -> None:
    administrator = people("administrator", email="admin@police.example")
    raised.append(_unit_alarm())
    settings.EMAIL_PORT = 9  # nobody listens there
    with pytest.raises(CommandError, match="cannot be reached"):
        _mail()
    assert any("undelivered" in f.what for f in doctor.findings())
    page = client_for(administrator).get("/mail/").content
    assert b"admin@police.example" in page
    assert b"cannot be reached" in page
    settings.EMAIL_PORT = sink.port
    assert "0 sent, 1 waiting" in _mail()  # not before its time
    clock.advance(minutes=6)
    assert "1 sent, 0 waiting" in _mail()
    assert "0 sent" in _mail()
    assert len(sink.mails) == 1
    assert Mail.objects.get().body == ""
    assert not any("undelivered" in f.what for f in doctor.findings())


def test_mailbox_that_refuses_holds_up_nobody_and_is_given_up_after_a_week(
    people: People, sink: Sink, raised: list[Standing], clock: Any, client_for: Any
) -> None:
    administrator = people("administrator", email="admin@police.example")
    people("technician", email="gone@police.example")
    sink.refuse = {"gone@police.example"}
    raised.append(_unit_alarm())
    for _ in range(40):
        try:
            _mail()
        except CommandError as error:
            assert "no such mailbox" in str(error)
        clock.advance(hours=6)
    assert [m["To"] for m in sink.mails] == ["admin@police.example"]
    mail = Mail.objects.get(state="failed")
    assert mail.attempts < 40
    assert AccessRecord.objects.get(action="mail.give_up").person == mail.person
    assert any("undelivered" in f.what for f in doctor.findings())
    client_for(administrator).post(f"/mail/{mail.pk}/discard/")
    assert not any("undelivered" in f.what for f in doctor.findings())
    assert client_for(administrator).post(f"/mail/{mail.pk}/discard/").status_code == 403


@pytest.mark.clause("430.4-a")
def test_server_that_ends_its_connection_after_some_mails_holds_up_only_the_one_that_it_did_not_take(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    for number in range(7):
        people("technician", email=f"tech{number}@police.example")
    raised.append(_unit_alarm())
    sink.most = 2
    with pytest.raises(CommandError, match="421"):
        _mail()
    assert (len(sink.mails), Mail.objects.filter(state="waiting").count()) == (5, 2)
    clock.advance(minutes=10)
    assert "2 sent, 0 waiting" in _mail()


@pytest.mark.clause("CJIS AU-5")
def test_folder_that_takes_no_file_stops_no_mail_and_is_told_as_what_it_is(
    people: People, sink: Sink, raised: list[Standing], settings: Any
) -> None:
    """As where root ran a command by hand and its files are root's, or the disk is full."""
    people("technician", email="tech@police.example")
    raised.append(_unit_alarm())
    (settings.DATA / "log-alarm.part").mkdir()
    with pytest.raises(CommandError, match=r"^whom to tell while the log is down is not noted: "):
        _mail()
    assert len(sink.to("tech@police.example")) == 1
    (settings.DATA / "mail.lock").unlink()
    (settings.DATA / "mail.lock").mkdir()
    with pytest.raises(CommandError, match=r"^\[Errno 21\] Is a directory: .*mail\.lock'$"):
        _mail()


def test_mail_that_waits_goes_to_the_address_that_the_person_has_by_then(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    technician = people("technician", email="tehc@police.example")
    sink.refuse = {"tehc@police.example"}
    raised.append(_unit_alarm())
    with pytest.raises(CommandError, match="no such mailbox"):
        _mail()
    Person.objects.filter(pk=technician.pk).update(email="tech@police.example")
    clock.advance(minutes=10)
    assert "1 sent, 0 waiting" in _mail()
    assert [m["To"] for m in sink.mails] == ["tech@police.example"] == [Mail.objects.get().address]


def test_alarms_and_a_digest_of_alarms_alone_read_as_what_they_are(
    people: People, sink: Sink, raised: list[Standing]
) -> None:
    people("technician", email="tech@police.example", full_name="Ana Núñez", title="Field Technician")
    raised.append(_unit_alarm())
    _mail(digest=True)
    alarm, digest = sink.mails
    assert "New alarms, for Ana Núñez, Field Technician" in _text(alarm)
    assert digest["Subject"] == "Platewarden HQ: daily digest"
    assert "switch this digest off under “Your mail”" in _text(digest)


@pytest.mark.clause("CJIS SC-8")
def test_mail_does_not_leave_unencrypted_where_the_server_offers_no_tls(
    people: People, sink: Sink, raised: list[Standing], settings: Any
) -> None:
    settings.EMAIL_USE_TLS = True
    people("administrator", email="admin@police.example")
    raised.append(_unit_alarm())
    with pytest.raises(CommandError):
        _mail()
    assert sink.raw == []
    assert Mail.objects.get().state == "waiting"


@pytest.mark.parametrize(("encoding", "newline"), [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
def test_password_of_the_mail_server_is_the_files_first_line_also_as_windows_saves_it(
    people: People, sink: Sink, raised: list[Standing], settings: Any, encoding: str, newline: str
) -> None:
    people("technician", email="tech@police.example")
    raised.append(_unit_alarm())
    file = settings.DATA / "smtp-password"
    settings.EMAIL_HOST_USER, settings.SMTP_PASSWORD_FILE = "hq", str(file)
    sink.password = "9 grey vans"
    file.write_text(f"{sink.password}\nsince 2026-01-05\n", encoding=encoding, newline=newline)
    assert "1 sent" in _mail()


@pytest.mark.clause("CJIS AU-5")
def test_password_file_that_cannot_be_read_is_named_also_while_the_log_is_down(
    people: People, sink: Sink, raised: list[Standing], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("technician", "auditor"):
        people(role, email=f"{role}@police.example")
    raised.append(_unit_alarm())
    file = settings.DATA / "smtp-password"
    settings.EMAIL_HOST_USER, settings.SMTP_PASSWORD_FILE = "hq", str(file)
    file.write_text("secret", encoding="utf-16")
    with pytest.raises(CommandError, match=r"PLATEWARDEN_HQ_SMTP_PASSWORD_FILE: .*is no UTF-8 text"):
        _mail()
    file.write_text("café")
    Mail.objects.update(next_at=outbox.clock.now())
    with pytest.raises(
        CommandError, match=r"SMTP_PASSWORD_FILE: .*: holds a character .* not ASCII"
    ) as error:
        _mail()
    assert "é" not in str(error.value)
    assert "xe9" not in str(error.value)
    file.write_text("secret", encoding="utf-16")
    monkeypatch.setattr(alarms, "log_works", lambda: False)
    with pytest.raises(CommandError, match=r"nobody can be told: PLATEWARDEN_HQ_SMTP_PASSWORD_FILE: .*is no"):
        _mail()
    file.unlink()
    with pytest.raises(CommandError, match=r"PASSWORD_FILE: .*: No such file or directory"):
        _mail()


@pytest.mark.clause("CJIS AU-5")
def test_log_that_cannot_be_written_is_told_at_once(
    people: People, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("auditor", "administrator", "commander", "officer"):
        people(role, email=f"{role}@police.example")

    def broken(*_: object, **__: object) -> None:
        raise DatabaseError("disk is full")

    assert alarms.log_works()
    assert not AccessRecord.objects.exists()
    monkeypatch.setattr(AccessRecord, "save", broken)
    with pytest.raises(CommandError, match="access log cannot be written"):
        _mail()
    assert {m["To"] for m in sink.mails} == {
        f"{role}@police.example" for role in ("auditor", "administrator", "commander")
    }
    assert "CJIS AU-5" in _text(sink.mails[0])


@pytest.mark.clause("CJIS AU-5")
def test_log_that_is_down_is_told_to_the_others_where_one_mailbox_refuses(
    people: People, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("auditor", "administrator", "commander"):
        people(role, email=f"{role}@police.example")
    sink.refuse.add("auditor@police.example")
    monkeypatch.setattr(alarms, "log_works", lambda: False)
    with pytest.raises(CommandError, match="access log cannot be written: HQ shows no records"):
        _mail()
    assert {m["To"] for m in sink.mails} == {"administrator@police.example", "commander@police.example"}
    sink.refuse |= {"administrator@police.example", "commander@police.example"}
    with pytest.raises(CommandError, match="nobody can be told"):
        _mail()


@pytest.mark.clause("CJIS AU-5")
def test_database_that_is_down_is_told_within_the_hour_to_those_it_last_named(
    people: People, sink: Sink, raised: list[Standing], clock: Any, settings: Any, tmp_path: Path
) -> None:
    """Not even a transaction begins, and the mail server comes back only in the last of the hour's runs."""
    for role in ("auditor", "administrator", "commander", "officer"):
        people(role, email=f"{role}@police.example")
    _mail()
    assert sink.mails == []
    assert (tmp_path / "log-alarm.json").stat().st_mode & 0o077 == 0
    settings.EMAIL_PORT = 9  # nobody listens there
    started = clock.at
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(connections["default"]), "cursor", _down)
        for _ in range(6):
            clock.advance(minutes=10)
            if clock.at - started > timedelta(minutes=55):
                settings.EMAIL_PORT = sink.port
            with pytest.raises(CommandError, match="access log cannot be written"):
                _mail()
    assert clock.at - started <= timedelta(hours=1)
    told = {f"{role}@police.example" for role in ("auditor", "administrator", "commander")}
    assert {m["To"] for m in sink.mails} == told
    assert "CJIS AU-5: the access log cannot be written" in _text(sink.mails[0])


def _down(*_: object, **__: object) -> None:
    raise OperationalError("could not connect to server")


@pytest.mark.clause("CJIS AU-5")
def test_failure_of_the_log_that_passed_between_two_runs_is_told_once(
    people: People, sink: Sink, raised: list[Standing], clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = people("auditor", email="auditor@police.example")
    _mail()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AccessRecord, "save", _down)
        for _ in range(2):
            with pytest.raises(chain.LogUnavailable):
                chain.append(kind="view", person=person, action="reads.view")
            clock.advance(minutes=4)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "connection", _down)  # the first who should be told are not reached
        with pytest.raises(OperationalError):
            _mail()
    _mail()
    (mail,) = sink.to("auditor@police.example")
    assert "could not be written from 2026-06-03T19:00:00" in _text(mail)
    assert AccessRecord.objects.get(action="log.outage").outcome == "failed"
    _mail()
    assert len(sink.mails) == 1


@pytest.mark.clause("CJIS AU-5")
def test_mail_that_does_not_run_every_hour_is_told(
    people: People, sink: Sink, raised: list[Standing], clock: Any
) -> None:
    people("commander", email="chief@police.example")

    def told() -> bool:
        return any("mail has not run" in one.what for one in doctor.findings())

    assert told()
    _mail()
    clock.advance(minutes=59)
    assert not told()
    clock.advance(minutes=2)
    assert told()


def test_mail_that_cannot_be_made_holds_up_no_other(
    people: People, sink: Sink, raised: list[Standing]
) -> None:
    for number, address in enumerate(("broken\naddress@police.example", "good@police.example")):
        people("administrator", email=address, username=f"person{number}")
    raised.append(_unit_alarm())
    with pytest.raises(CommandError, match="address"):
        _mail()
    assert [m["To"] for m in sink.mails] == ["good@police.example"]


@pytest.mark.clause("CJIS IA-5")
def test_account_that_was_set_back_is_told_to_its_holder_and_the_auditor(
    people: People, client_for: Any, sink: Sink
) -> None:
    commander = people("commander", email="commander@police.example")
    people("auditor", email="auditor@police.example")
    administrator = people("administrator")
    assert client_for(administrator).post(f"/people/{commander.pk}/new-start/").status_code == 200
    _mail()
    for address in ("commander@police.example", "auditor@police.example"):
        (mail,) = sink.to(address)
        assert f"the account {commander.username} was set back by {administrator.username}" in _text(mail)


def test_no_mail_to_an_account_that_is_shut(
    people: People, sink: Sink, raised: list[Standing], settings: Any, clock: Any
) -> None:
    from hq.people import accounts

    person = people("administrator", email="admin@police.example")
    raised.append(_unit_alarm())
    settings.EMAIL_PORT = 9
    with pytest.raises(CommandError):
        _mail()
    accounts.suspend(person, "left")
    settings.EMAIL_PORT = sink.port
    clock.advance(hours=1)
    _mail()
    assert sink.mails == []
    assert Mail.objects.get().state == "discarded"


def test_command_says_what_is_not_set_up(settings: Any) -> None:
    settings.EMAIL_HOST = ""
    with pytest.raises(CommandError, match="PLATEWARDEN_HQ_SMTP_HOST"):
        _mail()
    assert any("no mail server is named" in f.what for f in doctor.findings())


def test_doctor_names_whom_no_alarm_reaches(people: People, sink: Sink) -> None:
    people("commander", full_name="Mute Commander")
    people("auditor", email="auditor@police.example", full_name="Reached Auditor")
    (found,) = [f.what for f in doctor.findings() if f.what.startswith("no mail reaches")]
    assert "Mute Commander" in found
    assert "Reached Auditor" not in found


def test_two_runs_at_once_do_not_mail_twice(people: People, sink: Sink, raised: list[Standing]) -> None:
    people("administrator", email="admin@police.example")
    raised.append(_unit_alarm())
    with locks.alone("mail"):
        assert "under way" in _mail()
    assert sink.mails == []


def test_mail_is_one_that_robots_do_not_answer(people: People, sink: Sink, raised: list[Standing]) -> None:
    people("administrator", email="admin@police.example", full_name="Åsa\tWorth")
    raised.append(_unit_alarm())
    _mail()
    (mail,) = sink.mails
    assert mail["Auto-Submitted"] == "auto-generated"
    assert str(mail["Message-ID"]).endswith("@police.example>")
    assert mail["From"] == "HQ <hq@police.example>"
    assert "http" not in _text(mail)


_PLATES = st.from_regex(r"[1-9][A-Z]{2,3}[0-9]{2,3}", fullmatch=True)
_SPACED = st.sampled_from(["{0}", "{0} ", "x {1} {2}", "{1}-{2}", "{1} - {2}", "see_{0}.", "no{0}x", "({0})"])


@pytest.mark.clause("430.7-b")
@hypothesis_settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(plates=st.lists(_PLATES, min_size=4, max_size=4, unique=True), form=_SPACED, lower=st.booleans())
def test_no_plate_of_the_database_is_in_any_mail(
    people: People, sink: Sink, raised: list[Standing], plates: list[str], form: str, lower: bool
) -> None:
    """Not even one that somebody typed into a name, a title, a course or whatever an alarm quotes."""
    with transaction.atomic():
        _fill(people, plates, lambda plate: _typed(form, plate, lower))
        raised[:] = [
            Standing("units", Alarm("430.2-c", f"unit gate-1: fault near {_typed(form, plate, lower)}"))
            for plate in plates
        ]
        _mail(digest=True)
        transaction.set_rollback(True)
    assert len(sink.mails) == 2
    for mail in sink.mails:
        words = "".join(char for char in f"{mail['Subject']}{_text(mail)}" if char.isalnum()).upper()
        assert not [plate for plate in plates if plate in words], words
    sink.mails.clear()


def _typed(form: str, plate: str, lower: bool) -> str:
    text = form.format(plate, plate[:4], plate[4:])
    return text.lower() if lower else text


def _fill(people: People, plates: list[str], typed: Callable[[str], str]) -> None:
    """Reads and a hit with these plates, and the same plates in names, titles and a course."""
    read, other, named, listed = plates
    for plate in (read, other, named):
        hit = kept.a_hit(kept.read(plate))
    type(hit).objects.filter(pk=hit.pk).update(entry_plate=listed)
    course = Course.objects.create(
        code="alpr", version="1", title=f"Stops of {typed(other)}", document="test", required_from=today()
    )
    chief = people(
        "commander",
        email="chief@police.example",
        full_name=f"Jo {typed(read)}",
        title=typed(listed),
        trained=False,
    )
    Completion.objects.create(
        person=chief, course=course, completed_on=today(), expires_on=today(), trainer="Test Trainer"
    )
    people("officer", full_name=f"Sam {typed(named)}", state="proposed")


@given(text=st.text(max_size=60))
@hypothesis_settings(max_examples=50, deadline=None)
def test_text_without_a_plate_is_left_alone(text: str) -> None:
    assert withheld.withhold([text]) == [text]


def test_pattern_of_a_partial_plate_is_withheld_too(people: People) -> None:
    from hq.lists.models import PartialPlate

    fields = {f.name for f in PartialPlate._meta.local_concrete_fields}
    assert "pattern" in fields
    kept.read("7ABC123")
    assert withheld.withhold(["saw 7abc 123 today", "7-ABC-123", "unit 7"]) == [
        "saw [withheld] today",
        "[withheld]",
        "unit 7",
    ]


def test_outbox_is_closed_to_those_without_the_right(
    people: People, client_for: Callable[..., Client]
) -> None:
    client = client_for(people("officer"))
    assert client.get("/mail/").status_code == 403
    assert client.post("/mail/1/discard/").status_code == 403
    assert client.get("/mail/own/").status_code == 200
    assert wording.digest(people("officer"), []) is None
